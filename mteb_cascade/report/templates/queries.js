const $ = (id) => document.getElementById(id);
const UNJUDGED = -2147483648, PAGE = 50, CARDS = 10, NONE = -Infinity;
const CLASSES = ["unreachable", "missed", "kept", "recovered", "broken"];
const MEANING = {
  "": "All queries, in the order of the collection.",
  unreachable: "No relevant document among the first candidates.",
  missed: "A relevant document is among them, first neither before nor after.",
  kept: "A relevant document stands first both before and after.",
  recovered: "A relevant document stands first only after reranking.",
  broken: "A relevant document stood first before, and does no more.",
  phantom: "A document that stood below the best-placed answer stands above all answers; the farthest lifted come first.",
};

// Everything from a dataset enters the page as text.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined).map((child) => (typeof child === "number" ? String(child) : child)));
  return made;
}

// The browser of queries.
const tasks = [...document.querySelectorAll("script.packed")];
const state = { task: null, number: -1, sweep: null, filter: "", found: [], page: 0, query: -1, judged: [] };

async function open(number, pipeline) {
  if (state.number !== number) {
    $("status").textContent = "Unpacking…";
    state.task = await unpack(tasks[number]);
    state.number = number;
    state.lower = null;
    state.query = -1;
  }
  state.sweep = state.task.sweeps.find((sweep) => sweep.pipeline === pipeline);
  $("status").textContent = state.task.documents.texts === null ? "The texts of this collection are not here; ids, ranks and scores are." : "";
  const lines = Object.keys(state.sweep.blends);
  const line = lines.includes($("line").value) ? $("line").value : lines[lines.length - 1];
  $("line").replaceChildren(...lines.map((name) => element("option", { value: name }, name === "alone" ? "alone" : `blended (${state.sweep.blends[name]})`)));
  $("line").value = line;
  for (const id of ["depth", "slider", "second"]) {
    $(id).max = state.sweep.depth;
    $(id).min = state.sweep.depths[0];
    $(id).disabled = state.sweep.depths.length === 1;
  }
  $("slider").max = state.sweep.depths.length - 1;
  $("slider").min = 0;
  setDepth(nearest(Number($("depth").value) || state.sweep.depth));
  refresh();
}
function nearest(depth) {
  return state.sweep.depths.reduce((best, one) => (Math.abs(one - depth) < Math.abs(best - depth) ? one : best));
}
function setDepth(depth) {
  $("depth").value = depth;
  $("slider").value = state.sweep.depths.indexOf(depth);
  $("slider").setAttribute("aria-valuetext", `depth ${depth}`);
}
const depthNow = () => nearest(Number($("depth").value) || state.sweep.depth);
const secondNow = () => ($("second").value === "" ? null : nearest(Number($("second").value)));

function refresh() {
  const { sweep, task } = state, line = $("line").value, depth = depthNow(), count = task.queries.ids.length;
  state.judged = new Array(count);
  const counts = Object.fromEntries(CLASSES.map((name) => [name, 0]));
  let phantoms = 0;
  for (let query = 0; query < count; query++) {
    const one = judge(sweep, query, line, depth);
    state.judged[query] = one;
    counts[one.name]++;
    if (one.lifted !== NONE) phantoms++;
  }
  const chips = [["", "all", count], ...CLASSES.map((name) => [name, name, counts[name]]), ["phantom", "with a phantom", phantoms]];
  $("classes").replaceChildren(...chips.map(([value, name, number]) => element("button", {
    type: "button", "data-filter": value, "aria-pressed": String(state.filter === value),
    onclick: () => { state.filter = value; refresh(); $("classes").querySelector(`[data-filter="${value}"]`).focus(); },
  }, `${name} `, element("small", {}, number.toLocaleString("en")))));
  select();
}

function matching() {
  const words = $("search").value.trim().toLowerCase(), where = $("where").value, { task, sweep } = state;
  if (!words) return null;
  state.lower ??= {
    queries: task.queries.ids.map((id, at) => `${id}\n${task.queries.texts ? task.queries.texts[at] : ""}`.toLowerCase()),
    documents: task.documents.ids.map((id, at) => `${id}\n${(task.documents.texts && task.documents.texts[at]) || ""}`.toLowerCase()),
  };
  const queries = where === "documents" ? null : state.lower.queries.map((text) => text.includes(words));
  const documents = where === "queries" ? null : state.lower.documents.map((text) => text.includes(words));
  return task.queries.ids.map((_, query) => {
    if (queries && queries[query]) return 2;
    if (documents) {
      for (let cell = sweep.starts[query]; cell < sweep.starts[query + 1]; cell++) if (documents[sweep.document[cell]]) return 1;
      for (let at = task.answers.starts[query]; at < task.answers.starts[query + 1]; at++) if (documents[task.answers.document[at]]) return 1;
    }
    return 0;
  });
}
function select() {
  const matched = matching();
  let found = [...state.judged.keys()];
  if (state.filter === "phantom") found = found.filter((query) => state.judged[query].lifted !== NONE).sort((a, b) => state.judged[b].lifted - state.judged[a].lifted || a - b);
  else if (state.filter) found = found.filter((query) => state.judged[query].name === state.filter);
  if (matched) found = found.filter((query) => matched[query]).sort((a, b) => matched[b] - matched[a]);
  state.found = found;
  state.page = Math.max(0, Math.floor(found.indexOf(state.query) / PAGE));
  if (!found.includes(state.query)) state.query = found.length ? found[0] : -1;
  $("meaning").textContent = `${MEANING[state.filter]}${matched ? " Matches in the query come first." : ""}`;
  list();
  detail();
}
const queryText = (query) => (state.task.queries.texts ? state.task.queries.texts[query] : state.task.queries.ids[query]);

function list() {
  const start = state.page * PAGE, shown = state.found.slice(start, start + PAGE);
  $("list").replaceChildren(...shown.map((query) => element("li", {}, element("button", {
    type: "button", "aria-current": String(query === state.query), "data-query": query,
    onclick: () => { state.query = query; list(); detail(); $("list").querySelector('[aria-current="true"]').focus(); if (matchMedia("(max-width: 52rem)").matches) $("detail").scrollIntoView(); },
  }, queryText(query).slice(0, 160), " ", element("small", {}, state.judged[query].name + (state.filter === "phantom" ? `, lifted ${state.judged[query].lifted}` : ""))))));
  if (!shown.length) $("list").replaceChildren(element("li", { class: "facts" }, "No query is like that."));
  const last = Math.min(start + PAGE, state.found.length);
  $("place").textContent = state.found.length ? `${start + 1} to ${last} of ${state.found.length.toLocaleString("en")}` : "";
  $("previous").disabled = state.page === 0;
  $("next").disabled = last >= state.found.length;
}
for (const [id, step] of [["previous", -1], ["next", 1]])
  $(id).addEventListener("click", () => { state.page += step; list(); $("list").scrollTop = 0; });
