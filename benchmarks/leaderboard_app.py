"""mteb's own leaderboard app on this machine, with the results of our models: started, opened in Chromium, looked at.

The app starts without the hub where its table lies in `leaderboard/benchmark_results.parquet` of the cache and a
benchmark on its menu holds the task; both are made here. What needs the hub: `--rebuild`, which clones the public
results, and the look at the hub's own table, which fails with a warning. mteb 2.26.24 takes its column of experiments
for scores and stops, with the public results as with ours: here the column is left out. Needs an environment of its
own, as gradio 6.0.1 wants another huggingface-hub than we do, and a folder with models/ and results/:

    mteb run -m our-bm25 -t PythonDocsRetrieval --output-folder .
    python -m venv ENV
    ENV/bin/pip install 'mteb[leaderboard]==2.26.24' playwright bm25s PyStemmer ir-measures xxhash tomlkit
    ENV/bin/pip install --no-deps mteb-cascade
    HF_HUB_OFFLINE=1 ENV/bin/python benchmarks/leaderboard_app.py --task PythonDocsRetrieval --picture leaderboard.png
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

NAME = "Ours"


def with_benchmark(task_name: str) -> Any:
    """Our benchmark, known to mteb and the first that the app shows."""
    import mteb
    import mteb.benchmarks.benchmarks as known
    from mteb.benchmarks import _leaderboard_menu

    tasks = [mteb.get_task(task_name)]
    known.OURS = mteb.Benchmark(name=NAME, tasks=tasks, description="Results that lie on this machine.")
    # The name of the module is a function's, too.
    sys.modules["mteb.benchmarks.get_benchmark"]._build_registry.cache_clear()
    _leaderboard_menu.GP_BENCHMARK_ENTRIES[0].benchmarks.insert(0, known.OURS)
    return known.OURS


def started(benchmark: Any, results: Path, beside: Path, port: int) -> Any:
    """The app, serving on the loopback interface."""
    from mteb import ResultCache
    from mteb.leaderboard import app, benchmark_selector, table
    from mteb.results import BenchmarkResults

    for module in (app, benchmark_selector):
        module.DEFAULT_BENCHMARK_NAME = benchmark.name
    styled = table._apply_summary_table_styling
    table._apply_summary_table_styling = lambda frame: styled(frame.drop(columns="_experiment_id", errors="ignore"))
    cache = ResultCache(beside)
    shutil.copytree(results, beside / "results")
    frame = cache.load_results(tasks=benchmark)._to_results_df(benchmark.tasks)
    BenchmarkResults.save_leaderboard_cache({benchmark.name: frame}, cache.leaderboard_parquet_path)
    made = app.get_leaderboard_app(cache)
    made.launch(server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True)
    return made


def looked_at(address: str, picture: Path | None) -> str:
    """The text of the page, once a table is on it."""
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 1400})
        page.goto(address)
        page.wait_for_selector("table td", timeout=120_000)
        page.wait_for_timeout(3_000)
        if picture:
            page.screenshot(path=picture)
        text: str = page.inner_text("body")
        browser.close()
    return text


def main() -> None:
    """Start, look, and exit with 1 where a model of ours, or its figure, is not on the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--task", default="PythonDocsRetrieval")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--port", type=int, default=7871)
    options = parser.parse_args()

    import mteb_cascade

    mteb_cascade.register()
    benchmark = with_benchmark(options.task)
    with TemporaryDirectory() as beside:
        app = started(benchmark, options.results, Path(beside), options.port)
        text = looked_at(f"http://127.0.0.1:{options.port}", options.picture)
        rows = app_table(Path(beside), benchmark)
        app.close()
    missing = [(name, figure) for name, figure in rows if name not in text or f"{figure:.2f}" not in text]
    for name, figure in rows:
        print(f"{name:<30}{figure:>8.2f}  {'missing' if (name, figure) in missing else 'on the page'}")
    raise SystemExit(1 if missing or not rows else 0)


def app_table(cache: Path, benchmark: Any) -> list[tuple[str, float]]:
    """Short name and mean in percent of each model that the results hold."""
    from mteb import ResultCache

    table = ResultCache(cache).load_results(tasks=benchmark).get_benchmark_result()
    return [(row["Model"].split("/")[-1], 100 * row["Mean (Task)"]) for row in table.to_dict("records")]


if __name__ == "__main__":
    main()
