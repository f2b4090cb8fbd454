"""What a search found as lines for the terminal, none wider than it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from rich.text import Text

from mteb_cascade.report.inspected import ROOM, Look, figure, fitted, telling
from mteb_cascade.report.plain_text import plain, snippet

LABEL = 16
"""Cells of a stage's name."""

NARROW = 6
"""Cells of it where the terminal has no room for more."""


class Stage(Protocol):
    """What one stage made of a document."""

    @property
    def stage(self) -> str:
        """Its name."""

    @property
    def rank(self) -> int | None:
        """The document's rank after it."""

    @property
    def score(self) -> float | None:
        """The document's score there; None where the stage did not score it."""


class Found(Protocol):
    """A document that was found."""

    @property
    def document_id(self) -> str:
        """Its id."""

    @property
    def document_text(self) -> str:
        """Its text."""

    @property
    def score(self) -> float:
        """Its score in the end."""

    @property
    def stages(self) -> Sequence[Stage]:
        """What every stage said."""


def results(query: str, found: Sequence[Found], look: Look) -> list[Text]:
    """Headings, then two lines a document: its numbers and id, and the text around the words of the query.

    A stage's column has the rank after it, and "–" where the stage did not score the document. A single stage has none.
    """
    if not found:
        return [Text("nothing found", "yellow")]
    stages = [one.stage for one in found[0].stages] if len(found[0].stages) > 1 else []
    names, widths = headings(stages, len(f"{len(found):,}"), look)
    lines = [
        Text(" ".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True)) + "  document", "dim")
    ]
    known = telling(query)
    for number, one in enumerate(found, 1):
        ranks = ["–" if stage.score is None or stage.rank is None else f"{stage.rank:,}" for stage in one.stages]
        cells = [f"{number:,}", figure(one.score), *(ranks if stages else [])]
        line = Text(" ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)) + "  ")
        lines.append(line.append(plain(one.document_id, look.width) or "(no id)", "bold"))
        lines.append(Text("    ") + snippet(one.document_text, known, look.width - 4, look.styled))
    return [fitted(line, look) for line in lines]


def headings(stages: Sequence[str], number: int, look: Look) -> tuple[list[str], list[int]]:
    """Names and widths of the columns of numbers; names are cut where ids would have no room, then left out."""
    for most in (LABEL, NARROW):
        names = ["", "score", *(plain(stage) for stage in stages)]
        names = [name if len(name) <= most else name[: most - 1] + "…" for name in names]
        widths = [max(number, 2), 10, *(max(len(name), 5) for name in names[2:])]
        if look.width - sum(widths) - len(widths) >= min(ROOM, look.width // 2):
            break
    return names, widths


def times(milliseconds: Mapping[str, float], documents: int, limited: str = "") -> str:
    """What a search took, on one line.

    >>> times({"our-hybrid": 26.51, "whole": 54.125}, 7780)
    'our-hybrid 26.5 ms, whole 54.1 ms; 7,780 documents'
    """
    took = ", ".join(f"{plain(name)} {value:,.1f} ms" for name, value in milliseconds.items())
    return f"{took}; {documents:,} documents{limited}"
