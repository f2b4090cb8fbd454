"""The search page in a real browser: type, Enter, results, what each stage said, and nothing of a text is run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from served import DOCUMENTS, NASTY

from mteb_cascade.retriever.retriever import Retriever


class Visit:
    """The page with all that its console said, but for answers that are no success: a browser tells those itself."""

    def __init__(self, browser: Any, address: str, path: str = "/", **options: Any) -> None:
        self.said: list[str] = []
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.page.on("console", lambda message: self.hear(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.goto(address + path)

    def hear(self, text: str) -> None:
        if not text.startswith("Failed to load resource"):
            self.said.append(text)

    def asked(self, query: str) -> Any:
        """The page after the query was typed and Enter pressed, its answer there."""
        self.page.fill("#query", query)
        with self.page.expect_response("**/search"):
            self.page.press("#query", "Enter")
        self.page.wait_for_selector("#results:not(.old)", state="attached")
        return self.page

    def column(self, selector: str) -> list[str]:
        return [text.strip() for text in self.page.locator(selector).all_text_contents()]


def test_type_enter_results(browser: Any, retriever: Retriever, opened: Callable[[Retriever], Any]) -> None:
    address = opened(retriever).address
    visit = Visit(browser, address)
    page = visit.page
    page.wait_for_selector("#model >> text=local/both")
    assert visit.column("#corpus") == ["5 documents"]
    assert page.evaluate("document.activeElement.id") == "query"
    visit.asked("a red fox")
    expected = retriever.search("a red fox", 10)
    assert len(expected) == 4 and visit.column(".id") == [one.document_id for one in expected]
    assert visit.column(".place") == ["1", "2", "3", "4"]
    assert page.inner_text("#state").startswith("4 results in ")
    assert visit.column("#times li")[0].startswith("local/words ") and len(visit.column("#times li")) == 2
    for at, result in enumerate(expected):
        rows = page.locator(f"#results > li >> nth={at}").locator("tbody tr").all()
        shown = [[cell.inner_text() for cell in row.locator("th, td").all()] for row in rows]
        for (stage, rank, moved, score), known in zip(shown, result.stages, strict=True):
            assert (stage, rank) == (known.stage, str(known.rank))
            assert score == ("–" if known.score is None else f"{known.score:.4f}")
            before = result.stages[0].rank
            change = before - known.rank if known is result.stages[1] and before and known.rank else 0
            assert moved == (f"{'▲' if change > 0 else '▼'} {abs(change)}" if change else "")
    assert "–" in visit.column("tbody tr:last-child td:last-child"), "two were not scored by the second stage"
    assert {text.lower() for text in visit.column("mark")} == {"red", "fox"}, "a common word is not marked"

    at = visit.column(".id").index("d3")
    nasty = page.locator(f"#results > li >> nth={at}").locator(".text")
    assert nasty.text_content() == NASTY and page.title() == "a red fox – Search"
    assert page.locator("#results script, #results img, #results b").count() == 0
    assert "<b>d5</b>" in visit.column(".id")

    long = page.locator(f"#results > li >> nth={visit.column('.id').index('d4')}")
    assert DOCUMENTS["d4"] not in long.locator(".text").text_content()
    assert "a fox at its end" in long.locator(".text").text_content(), "the shared word is shown, wherever it stands"
    long.locator("button").focus()
    page.keyboard.press("Enter")
    assert long.locator(".text").text_content() == DOCUMENTS["d4"]
    assert long.locator("button").get_attribute("aria-expanded") == "true"
    page.keyboard.press("Enter")
    assert DOCUMENTS["d4"] not in long.locator(".text").text_content()
    assert visit.said == []
    visit.context.close()


def test_a_search_has_an_address(browser: Any, retriever: Retriever, opened: Callable[[Retriever], Any]) -> None:
    address = opened(retriever).address
    visit = Visit(browser, address)
    page = visit.asked("old & red?")
    assert page.evaluate("new URLSearchParams(location.search).get('q')") == "old & red?"
    with page.expect_response("**/search"):
        page.select_option("#k", "5")
    visit.asked("whale")
    assert visit.column(".id") == ["d2"]
    shared = page.url
    with page.expect_response("**/search"):
        page.go_back()
    from playwright.sync_api import expect

    expect(page.locator("#query")).to_have_value("old & red?")
    other = Visit(browser, shared[: shared.index("?")], shared[shared.index("?") :])
    other.page.wait_for_selector("#results > li")
    assert other.column(".id") == ["d2"] and other.page.input_value("#query") == "whale"
    assert other.page.input_value("#k") == "5"
    other.page.locator("#k").focus()
    other.page.locator("h1").click()
    other.page.keyboard.press("/")
    assert other.page.evaluate("document.activeElement.id") == "query"
    assert visit.said == other.said == []
    visit.context.close()
    other.context.close()


def test_nothing_found_and_faults(browser: Any, retriever: Retriever, opened: Callable[[Retriever], Any]) -> None:
    service = opened(retriever)
    visit = Visit(browser, service.address)
    page = visit.asked("<i>zebra</i>")
    assert "No document was found for “<i>zebra</i>”" in page.inner_text("#state")
    assert page.locator("#results > li").count() == 0 and not page.is_visible("#times")
    visit.asked("x" * 10_001)
    assert page.inner_text("#state") == "query: expected at most 10,000 characters, got 10,001; shorten it"
    assert page.get_attribute("#state", "class") == "fault"
    visit.asked("fox")
    assert page.get_attribute("#state", "class") == "" and page.locator("#results > li").count() == 3
    service.close()
    page.fill("#query", "whale")
    page.press("#query", "Enter")
    page.wait_for_selector("#state.fault")
    assert page.inner_text("#state") == "The service does not answer. Is it still running?"
    assert page.locator("#results > li").count() == 0 and visit.said == []
    visit.context.close()


@pytest.mark.parametrize("path", ["/?q=red+fox", "/docs"])
def test_both_themes_at_both_widths(
    browser: Any, retriever: Retriever, opened: Callable[[Retriever], Any], path: str
) -> None:
    visit, seen = Visit(browser, opened(retriever).address, path), set()
    if path != "/docs":
        visit.page.wait_for_selector("#results > li")
    for width in (400, 1400):
        visit.page.set_viewport_size({"width": width, "height": 800})
        for scheme in ("light", "dark"):
            visit.page.emulate_media(color_scheme=scheme)
            assert visit.page.evaluate("document.documentElement.scrollWidth") == width
            seen.add((scheme, visit.page.evaluate("getComputedStyle(document.body).backgroundColor")))
    assert len(seen) == 2 == len({color for _, color in seen}), "a colour a theme"
    assert visit.said == []
    visit.context.close()
