// Controls.
let waiting = 0;
const soon = (action) => () => { clearTimeout(waiting); waiting = setTimeout(action, 150); };
$("sweep").addEventListener("change", () => { const [number, pipeline] = JSON.parse($("sweep").value); void open(number, pipeline); });
$("line").addEventListener("change", refresh);
$("depth").addEventListener("change", () => { setDepth(depthNow()); refresh(); });
$("slider").addEventListener("input", () => { $("depth").value = state.sweep.depths[Number($("slider").value)]; });
$("slider").addEventListener("input", soon(refresh));
$("second").addEventListener("change", () => { if (secondNow() !== null) $("second").value = secondNow(); detail(); });
$("search").addEventListener("input", soon(select));
$("where").addEventListener("change", select);

let started = null;
function start() {
  started ??= (async () => {
    if (typeof DecompressionStream === "undefined") {
      $("status").textContent = "This browser cannot unpack the queries (it has no DecompressionStream); a current Firefox, Chrome or Safari can.";
      throw new Error("no DecompressionStream");
    }
    const offered = [];
    for (const [number, script] of tasks.entries())
      for (const pipeline of JSON.parse(script.dataset.pipelines)) offered.push([number, pipeline, `${script.dataset.title}: ${pipeline}`]);
    if (!offered.length) {
      $("status").textContent = "No candidates lie beside these results: there is no query to show.";
      throw new Error("no candidates");
    }
    $("sweep").replaceChildren(...offered.map(([number, pipeline, title]) => element("option", { value: JSON.stringify([number, pipeline]) }, title)));
    await open(offered[0][0], offered[0][1]);
    $("browser").hidden = false;
  })();
  return started;
}
const quietly = (promise) => promise.catch((error) => { if (!$("status").textContent || $("status").textContent === "Unpacking…") $("status").textContent = `The queries cannot be shown: ${error.message}`; });
new IntersectionObserver((entries, observer) => {
  if (entries.some((entry) => entry.isIntersecting)) { observer.disconnect(); void quietly(start()); }
}, { rootMargin: "400px" }).observe($("queries"));
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-open]");
  if (!button) return;
  void quietly((async () => {
    await start();
    const number = Number(button.dataset.open), pipeline = button.dataset.sweep;
    $("sweep").value = JSON.stringify([number, pipeline]);
    $("line").value = button.dataset.line;
    $("depth").value = "";
    $("search").value = "";
    state.filter = "";
    await open(number, pipeline);
    $("line").value = button.dataset.line;
    state.query = state.task.queries.ids.indexOf(button.dataset.query);
    refresh();
    $("detail").scrollIntoView();
  })());
});
