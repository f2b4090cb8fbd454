// One query: its rankings side by side.
function number(value) {
  if (value === -Infinity) return "none";
  const size = Math.abs(value);
  return size >= 1e5 || (size > 0 && size < 1e-3) ? value.toExponential(2) : value.toFixed(size >= 100 ? 1 : 3);
}
function grade(sweep, cell) {
  const given = sweep.grade[cell];
  return given === UNJUDGED ? "unjudged" : `grade ${given}`;
}
function card(sweep, one, line, depth) {
  const { task } = state, { cell, rank } = one, answer = sweep.grade[cell] >= sweep.level, document_ = sweep.document[cell];
  const text = task.documents.texts && task.documents.texts[document_];
  const below = line !== "" && sweep.rank[cell] >= depth, facts = [];
  if (line !== "") facts.push(below ? "below the depth" : rank === sweep.rank[cell] ? "same rank" : `was ${sweep.rank[cell] + 1}`);
  facts.push(line === "" ? `score ${number(sweep.before[cell])}` : line === "alone" ? `score ${number(sweep.score[cell])}` : `score ${number(total(sweep, cell, sweep.blends[line]))} = ${number(sweep.score[cell])} + ${sweep.blends[line]} × ${number(sweep.before[cell])}`);
  facts.push(grade(sweep, cell));
  const made = element("li", { class: `card${answer ? " answer" : ""}${below ? " below" : ""}`, "data-document": document_, tabindex: "0" },
    element("header", {}, element("b", {}, rank + 1), element("span", { class: "doc" }, task.documents.ids[document_]), answer ? element("span", { class: "mark" }, "answer") : null),
    element("small", {}, facts.join(" · ")), text ? element("p", {}, text) : null);
  made.addEventListener("click", () => pick(made));
  made.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick(made); } });
  return made;
}
function pick(made) {
  made.classList.toggle("open");
  for (const other of $("detail").querySelectorAll(".card")) other.classList.toggle("same", made.classList.contains("open") && other.dataset.document === made.dataset.document);
}
function column(title, sweep, query, line, depth) {
  const found = ranking(sweep, query, line, depth), ol = element("ol");
  let shown = 0;
  const more = element("button", { type: "button", class: "link" }, "");
  const show = (count) => {
    ol.append(...found.slice(shown, shown + count).map((one) => card(sweep, one, line, depth)));
    shown = Math.min(found.length, shown + count);
    more.textContent = `${Math.min(40, found.length - shown)} more of ${found.length}`;
    more.hidden = shown >= found.length;
  };
  more.addEventListener("click", () => show(40));
  show(CARDS);
  return element("section", { "aria-label": title }, element("h4", {}, title), ol, more);
}
function rankOf(sweep, query, line, depth, cell) {
  return ranking(sweep, query, line, depth).find((one) => one.cell === cell).rank + 1;
}
function answersOf(sweep, query, lines, depths) {
  const { task } = state, listed = [], inPool = new Set();
  for (let cell = sweep.starts[query]; cell < sweep.starts[query + 1]; cell++) {
    if (sweep.grade[cell] < sweep.level) continue;
    inPool.add(sweep.document[cell]);
    const ranks = lines.flatMap((line) => depths.map((depth) => `${line}${depths.length > 1 ? ` at ${depth}` : ""} ${rankOf(sweep, query, line, depth, cell)}`));
    listed.push(element("li", {}, element("span", { class: "doc" }, task.documents.ids[sweep.document[cell]]), `: ${sweep.received} ${sweep.rank[cell] + 1} → ${ranks.join(", ")}`));
  }
  const outside = [];
  for (let at = task.answers.starts[query]; at < task.answers.starts[query + 1]; at++)
    if (!inPool.has(task.answers.document[at])) outside.push(task.answers.document[at]);
  for (const one of outside.slice(0, 10)) {
    const text = task.documents.texts && task.documents.texts[one];
    listed.push(element("li", { class: "outside" }, element("span", { class: "doc" }, task.documents.ids[one]), ": not among the candidates", text ? element("details", {}, element("summary", {}, "text"), text) : task.documents.texts ? " (judged, but not in the corpus)" : ""));
  }
  if (outside.length > 10) listed.push(element("li", {}, `and ${outside.length - 10} more that are not among the candidates`));
  return element("ul", {}, ...(listed.length ? listed : [element("li", {}, "no relevant document is known")]));
}
// Rank of the best-placed answer at every depth, on a logarithmic axis.
function rankFigure(sweep, query) {
  if (sweep.trimmed || sweep.depths.length < 3) return null;
  const start = sweep.starts[query], end = sweep.starts[query + 1], answers = [];
  for (let cell = start; cell < end; cell++) if (sweep.grade[cell] >= sweep.level) answers.push(cell);
  if (!answers.length) return null;
  const width = 440, height = 120, left = 34, bottom = 22, svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const add = (name, attributes, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    svg.append(made);
  };
  const x = (depth) => left + ((depth - 1) / Math.max(1, sweep.depth - 1)) * (width - left - 70);
  const y = (rank) => 8 + (Math.log(rank) / Math.log(Math.max(2, end - start))) * (height - bottom - 8);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "Rank of the best-placed answer at every depth");
  for (const rank of [1, 10, 100, 1000].filter((one) => one <= end - start)) {
    add("path", { class: "grid", d: `M${left},${y(rank).toFixed(1)}H${width - 70}` });
    add("text", { class: "tick", x: left - 5, y: y(rank).toFixed(1), dy: ".32em", "text-anchor": "end" }, rank);
  }
  for (const depth of [1, sweep.depth]) add("text", { class: "tick", x: x(depth), y: height - 5, "text-anchor": "middle" }, depth === 1 ? "depth 1" : depth);
  const labels = [];
  for (const [line, blend] of Object.entries(sweep.blends)) {
    const totals = [];
    for (let cell = start; cell < end; cell++) totals.push(total(sweep, cell, blend));
    const above = answers.map(() => 0), points = [];
    for (let depth = 1; depth <= Math.min(sweep.depth, end - start); depth++) {
      const seen = start + depth - 1;
      answers.forEach((cell, at) => {
        if (cell < seen) above[at] += comesBefore(sweep, seen, cell, totals[depth - 1], totals[cell - start]) ? 1 : 0;
        else if (cell === seen) for (let other = start; other < seen; other++) above[at] += comesBefore(sweep, other, cell, totals[other - start], totals[cell - start]) ? 1 : 0;
      });
      const best = Math.min(...answers.map((cell, at) => (cell <= seen ? above[at] : cell - start) + 1));
      points.push([depth, best]);
    }
    add("path", { class: "line", style: `--c:var(--${line})`, d: "M" + points.map(([depth, rank]) => `${x(depth).toFixed(1)},${y(rank).toFixed(1)}`).join("L") });
    labels.push([y(points[points.length - 1][1]), `${line} ${points[points.length - 1][1]}`, line]);
  }
  labels.sort((a, b) => a[0] - b[0]);
  if (labels.length > 1 && labels[1][0] - labels[0][0] < 13) labels[1][0] = labels[0][0] + 13;
  for (const [place, text, line] of labels) add("text", { class: "label", style: `--c:var(--${line})`, x: width - 64, y: place.toFixed(1), dy: ".32em" }, text);
  return element("figure", { class: "ranks" }, element("figcaption", {}, "Rank of the best-placed answer at every depth"), svg);
}
function detail() {
  const { sweep, query } = state;
  if (query < 0) { $("detail").replaceChildren(); return; }
  const second = secondNow(), depths = [depthNow(), ...(second && second !== depthNow() ? [second] : [])], lines = Object.keys(sweep.blends);
  const columns = [column(`${sweep.received}`, sweep, query, "", 0)];
  for (const depth of depths) for (const line of lines) columns.push(column(`${line}, depth ${depth}`, sweep, query, line, depth));
  $("detail").replaceChildren(
    element("h3", {}, queryText(query)),
    element("p", { class: "facts" }, `query ${state.task.queries.ids[query]} · ${$("line").value}, depth ${depths[0]}: ${state.judged[query].name}`),
    answersOf(sweep, query, lines, depths), rankFigure(sweep, query) ?? "",
    sweep.trimmed ? element("p", { class: "facts" }, `The first ${sweep.top} candidates before and after reranking, and the answers; ranks are those among all ${sweep.depth}.`) : "",
    element("div", { class: "columns", tabindex: "0", role: "region", "aria-label": "Rankings side by side" }, ...columns));
}
