"use strict";
(() => {
  // Document texts reach the page as text nodes only: nothing in them is markup.
  const SNIPPET = 340;
  const $ = (id) => document.getElementById(id);
  const element = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  };
  const grouped = (number) => number.toLocaleString("en-GB");
  const plural = (number, noun) => `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;
  const time = (milliseconds) => (milliseconds < 10 ? milliseconds.toFixed(1) : grouped(Math.round(milliseconds))) + " ms";
  const tiny = (score) => score !== 0 && Math.abs(score) < 0.001;
  const figure = (score) => (score === null ? "–" : tiny(score) ? score.toExponential(2) : score.toFixed(Math.abs(score) < 1000 ? 4 : 1));

  // Words that stand in every English text mark nothing, unless the query has no others.
  const COMMON = new Set("a an and are as at be by can do does for from how i if in is it of on or that the this to what when where which who why with you".split(" "));
  function wordsOf(query) {
    const all = query.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? [], telling = all.filter((word) => !COMMON.has(word));
    return new Set(telling.length ? telling : all);
  }
  function marked(text, words) {
    const parts = document.createDocumentFragment();
    let from = 0;
    for (const found of text.matchAll(/[\p{L}\p{N}_]+/gu)) {
      if (!words.has(found[0].toLowerCase())) continue;
      parts.append(text.slice(from, found.index), element("mark", {}, found[0]));
      from = found.index + found[0].length;
    }
    parts.append(text.slice(from));
    return parts;
  }

  // The beginning of a text, or what surrounds its first shared word where that comes later.
  function snippet(text, words) {
    let from = 0;
    for (const found of text.matchAll(/[\p{L}\p{N}_]+/gu)) {
      if (!words.has(found[0].toLowerCase())) continue;
      if (found.index > SNIPPET - 40) from = text.lastIndexOf(" ", found.index - 80) + 1;
      break;
    }
    let to = from + SNIPPET;
    if (to >= text.length) return (from ? "… " : "") + text.slice(from);
    const space = text.lastIndexOf(" ", to);
    if (space > from + SNIPPET / 2) to = space;
    else if (/[\uD800-\uDBFF]/.test(text[to - 1])) to -= 1;
    return (from ? "… " : "") + text.slice(from, to) + " …";
  }

  function textOf(text, words) {
    const paragraph = element("p", { class: "text" });
    const short = snippet(text, words);
    const show = (whole) => {
      paragraph.classList.toggle("whole", whole);
      paragraph.replaceChildren(marked(whole ? text : short, words));
    };
    show(false);
    if (short === text) return [paragraph];
    const more = element("button", { type: "button", class: "more", "aria-expanded": "false" }, "whole text");
    more.addEventListener("click", () => {
      const whole = more.getAttribute("aria-expanded") !== "true";
      more.setAttribute("aria-expanded", String(whole));
      more.textContent = whole ? "less" : "whole text";
      show(whole);
    });
    return [paragraph, more];
  }

  function move(before, rank) {
    const cell = element("td", { class: "move" });
    if (before === null || rank === null || before === rank) return cell;
    const up = rank < before;
    cell.append(element("span", { class: up ? "up" : "down", title: `${up ? "up" : "down"} from rank ${before}` }, `${up ? "▲" : "▼"} ${grouped(Math.abs(before - rank))}`));
    return cell;
  }

  function stagesOf(stages) {
    const head = element("tr", {}, element("th", { scope: "col" }, "stage"), element("th", { scope: "col", class: "number" }, "rank"), element("th", { scope: "col", "aria-label": "moved" }), element("th", { scope: "col", class: "number" }, "score"));
    const rows = stages.map(({ stage, rank, score }, at) => element("tr", {},
      element("th", { scope: "row" }, stage),
      element("td", { class: "number" }, rank === null ? "–" : grouped(rank)),
      move(at ? stages[at - 1].rank : null, rank),
      element("td", { class: "number", ...(score === null ? { title: "not scored by this stage" } : {}) }, figure(score))));
    return element("table", { class: "stages" }, element("thead", {}, head), element("tbody", {}, ...rows));
  }

  function shown(answer) {
    const words = wordsOf(answer.query);
    $("results").replaceChildren(...answer.results.map((result, at) => element("li", {},
      element("div", { class: "place" }, String(at + 1)),
      element("article", {}, element("h2", { class: "id", title: "document id" }, result.document_id), ...textOf(result.document_text, words)),
      stagesOf(result.stages))));
    const { whole, ...stages } = answer.milliseconds;
    $("times").replaceChildren(...Object.entries(stages).map(([stage, spent]) => element("li", {}, `${stage} `, element("b", {}, time(spent)))));
    $("times").hidden = !answer.results.length;
    const within = whole === undefined ? "" : ` in ${time(whole)}`;
    const capped = answer.capped ? `; the time budget let the last stage score ${grouped(answer.depths.at(-1))}` : "";
    state(answer.results.length ? `${plural(answer.results.length, "result")}${within}${capped}` : `No document was found for “${answer.query.trim()}”${within}. Other words may help.`);
  }

  function state(text, look = "") {
    $("state").className = look;
    $("state").textContent = text;
  }

  function fault(text) {
    $("results").replaceChildren();
    $("times").hidden = true;
    state(text, "fault");
  }

  let running = null;
  async function search() {
    running?.abort();
    const query = $("query").value, k = Number($("k").value), mine = running = new AbortController();
    document.title = query.trim() ? `${query.trim().slice(0, 60)} – Search` : "Search";
    if (!query.trim()) {
      $("results").replaceChildren();
      $("times").hidden = true;
      state("");
      return;
    }
    $("results").classList.add("old");
    const slow = setTimeout(() => state("Searching", "waiting"), 150);
    try {
      const reply = await fetch("/search", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ query, k }), signal: mine.signal });
      const answer = await reply.json();
      clearTimeout(slow);
      if (reply.ok) shown(answer); else fault(answer.error);
    } catch (error) {
      clearTimeout(slow);
      if (mine.signal.aborted) return;
      fault(error instanceof TypeError ? "The service does not answer. Is it still running?" : `The answer cannot be read: ${error.message}`);
    }
    if (mine === running) $("results").classList.remove("old");
  }

  // The address says what is shown: a search can be shared, and Back leads to the one before.
  function addressed() {
    const asked = new URLSearchParams(location.search), k = asked.get("k");
    $("query").value = asked.get("q") ?? "";
    $("k").value = [...$("k").options].some((option) => option.value === k) ? k : "10";
    void search();
  }
  function asked() {
    const wanted = new URLSearchParams({ q: $("query").value });
    if ($("k").value !== "10") wanted.set("k", $("k").value);
    if (`?${wanted}` !== location.search) history.pushState(null, "", `?${wanted}`);
    void search();
  }
  $("form").addEventListener("submit", (event) => { event.preventDefault(); asked(); });
  $("k").addEventListener("change", () => { if ($("query").value.trim()) asked(); });
  addEventListener("popstate", addressed);
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    $("query").focus();
    $("query").select();
  });

  async function about() {
    try {
      const { model, documents } = await (await fetch("/health")).json();
      $("model").textContent = model;
      $("corpus").textContent = plural(documents, "document");
    } catch { /* the search itself will say so */ }
  }
  void about();
  addressed();
})();
