"""The page in a real browser, from a file: no error, nothing but text from a dataset, and our own rankings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from nasty import NASTY

from mteb_cascade.corpora.load import load
from mteb_cascade.report import html
from mteb_cascade.report.packed import TOP, TaskQueries
from mteb_cascade.report.results import Result
from mteb_cascade.report.texts import texts_of
from mteb_cascade.values.curves import OUTCOMES
from mteb_cascade.values.fusion import rerank
from mteb_cascade.values.phantoms import phantoms
from mteb_cascade.values.run import PAD, Run


class Opened:
    """A page with all that its console said."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.said: list[str] = []
        self.context = browser.new_context(offline=True, **options)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.goto(path.as_uri())

    def browse(self) -> Any:
        """The page, its queries unpacked."""
        self.page.locator("#queries").scroll_into_view_if_needed()
        self.page.wait_for_selector("#browser:not([hidden])")
        return self.page

    def set(self, depth: int, line: str) -> None:
        self.page.select_option("#line", line)
        self.page.fill("#depth", str(depth))
        self.page.dispatch_event("#depth", "change")

    def counts(self) -> dict[str, int]:
        chips = self.page.locator("#classes button").all()
        return {chip.get_attribute("data-filter"): int(chip.locator("small").inner_text()) for chip in chips}

    def column(self, title: str) -> list[str]:
        return self.page.locator(f"#detail section[aria-label='{title}'] .doc").all_inner_texts()


@pytest.fixture
def report(results: list[Result], tmp_path: Path) -> Path:
    html.write(results, tmp_path / "report.html")
    return tmp_path / "report.html"


def received(result: Result) -> tuple[Run, np.ndarray]:
    """The received ranking and the scores, rebuilt from the Parquet file."""
    corpus, table = texts_of(result).corpus, pq.read_table(result.candidates)
    ids = list(texts_of(result).queries)
    rows = np.array([ids.index(query) for query in table["query"].to_pylist()])
    columns = table["rank"].to_numpy() - 1
    shape = (len(ids), result["depth"])
    docs, before = np.full(shape, PAD, np.int32), np.full(shape, -np.inf, np.float32)
    scores = np.full(shape, -np.inf, np.float32)
    docs[rows, columns] = corpus.rows(table["document"].to_pylist())
    before[rows, columns] = table["before"].to_numpy()
    scores[rows, columns] = table["score"].fill_null(-np.inf).to_numpy()
    return Run(tuple(ids), corpus, docs, before), scores


def test_classes_and_rankings_are_our_own_at_every_depth(browser: Any, report: Path, results: list[Result]) -> None:
    opened = Opened(browser, report)
    page = opened.browse()
    for number, result in enumerate(results):
        page.locator("#sweep").select_option(index=number)
        run, scores = received(result)
        for line, blend in result.lines.items():
            for depth in (1, 7, 25, 40):
                opened.set(depth, line)
                counts = opened.counts()
                assert {name: counts[name] for name in OUTCOMES} == {
                    name: result["outcomes"][line][name][depth - 1] for name in OUTCOMES
                }
                assert counts[""] == result["queries"] == 29  # the one that nobody judged is not asked
                expected = rerank(run, scores, depth, blend).ids(0)[:10]
                assert opened.column(f"{line}, depth {depth}") == expected
        assert opened.column("first stage") == run.ids(0)[:10]
        split = load(result["source"], "test").split("test").judged()
        for line, blend in result.lines.items():
            opened.set(40, line)
            expected = {one.query for one in phantoms(run, scores, split.qrels, split.queries, blend, 10**6)}
            assert opened.counts()["phantom"] == len(expected) > 0
    assert opened.said == []
    opened.context.close()


def test_filters_search_and_markup(browser: Any, report: Path, results: list[Result]) -> None:
    opened = Opened(browser, report)
    page = opened.browse()
    opened.set(40, "alone")
    for name in (*OUTCOMES, "phantom"):
        page.click(f'[data-filter="{name}"]')
        shown = page.locator("#list button").all_inner_texts()
        assert len(shown) == opened.counts()[name]
        if name != "phantom":
            assert all(text.endswith(name) for text in shown)
    page.click('[data-filter=""]')

    def found(words: str, where: str) -> int:
        page.select_option("#where", where)
        page.fill("#search", words)
        page.wait_for_timeout(250)
        return int(page.locator("#list button").count())

    assert found("number 7?", "both") == found("NUMBER 7?", "queries") == 1
    assert found("number 7?", "documents") == 0
    assert found("q17", "queries") == 1
    table = pq.read_table(results[0].candidates)
    having = {
        q for q, d in zip(table["query"].to_pylist(), table["document"].to_pylist(), strict=True) if d == "d\U0001f98a"
    }
    assert found("d\U0001f98a", "documents") == len(having) > 0
    assert found("nobody says this", "both") == 0 and page.locator("#detail .card").count() == 0
    assert found("what is number 0?", "queries") == 1
    assert NASTY in page.inner_text("#detail h3")
    assert NASTY in "\n".join(page.locator("#detail .card p").all_text_contents())
    assert page.locator("#detail script, #detail img, #list img, #list script").count() == 0
    page.fill("#second", "5")
    page.dispatch_event("#second", "change")
    assert opened.column("alone, depth 5") and opened.column("blended, depth 40")
    page.locator("#task-0 details").first.evaluate("one => { one.open = true; }")
    link = page.locator("button[data-open][data-line=blended]").first
    link.click()
    page.wait_for_function("document.querySelector('#search').value === ''")
    assert link.inner_text() in page.inner_text("#detail .facts")
    assert page.input_value("#line") == "blended" and opened.said == []
    opened.context.close()


def test_measures_and_themes_and_a_narrow_window(browser: Any, report: Path) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        opened = Opened(browser, report, color_scheme=scheme, viewport={"width": 360, "height": 740})
        page = opened.browse()

        def paper(page: Any = page) -> str:
            return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

        seen[scheme] = paper()
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        for theme in ("dark", "light"):
            page.select_option("#theme", theme)
            seen[f"{scheme} switched to {theme}"] = paper()
        visible = page.locator("figure[data-measure]:visible")
        assert {one.get_attribute("data-measure") for one in visible.all()} == {"success@1"}
        page.select_option("#measure", "ndcg@10")
        page.select_option("#scope", "close up")
        assert {(one.get_attribute("data-measure"), one.get_attribute("data-scope")) for one in visible.all()} == {
            ("ndcg@10", "close up")
        }
        assert opened.said == []
        opened.context.close()
    assert seen["light"] == seen["dark switched to light"] == seen["light switched to light"]
    assert seen["dark"] == seen["light switched to dark"] == seen["dark switched to dark"]
    assert seen["light"] != seen["dark"]


def test_a_trimmed_page_tells_the_same_where_it_can(browser: Any, results: list[Result], tmp_path: Path) -> None:
    whole = len(TaskQueries.of(results).packed())
    html.write(results, tmp_path / "report.html", limit=whole - 1)
    opened = Opened(browser, tmp_path / "report.html")
    page = opened.browse()
    assert f"the first {TOP} before" in page.inner_text(".notice")
    run, scores = received(results[0])
    for depth in (TOP - 1, 40):
        opened.set(depth, "blended")
        counts = opened.counts()
        assert {name: counts[name] for name in OUTCOMES} == {
            name: results[0]["outcomes"]["blended"][name][depth - 1] for name in OUTCOMES
        }
        assert opened.column(f"blended, depth {depth}") == rerank(run, scores, depth, 0.7).ids(0)[:10]
    opened.set(30, "blended")
    assert page.input_value("#depth") in (str(TOP), "40"), "30 cannot be told any more"
    assert opened.said == []
    opened.context.close()
