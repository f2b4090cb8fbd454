"""How lines and classes look in every figure, on paper and on the page: one colour-blind safe palette."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """One line's look.

    Args:
        light: Colour on white.
        dark: Colour on near black.
        dash: Lengths of dashes and gaps; none for a solid line.
        width: In points.
    """

    light: str
    dark: str
    dash: tuple[float, ...] = ()
    width: float = 1.8


LINES: Mapping[str, Style] = {
    "oracle": Style("#6e6e6e", "#a8a8a8", (1.5, 2.2), 1.4),
    "alone": Style("#c1440e", "#ff9a66"),
    "blended": Style("#1f6f8b", "#6fc3e0"),
    "first stage": Style("#3d3d3d", "#d2d2d2", (6, 4), 1.3),
    "random order": Style("#7d5a9e", "#c3a3e0", (5, 2.5, 1.5, 2.5), 1.2),
    "random retriever": Style("#6e6e6e", "#a8a8a8", (1.5, 5), 1.2),
    "full corpus": Style("#0a7c58", "#4fd0a4"),
}
"""Lines in the order in which they are drawn and named."""

RERANKERS = (
    Style("#c1440e", "#ff9a66"),
    Style("#1f6f8b", "#6fc3e0", (7, 2)),
    Style("#0a7c58", "#4fd0a4", (3, 1.5)),
    Style("#7d5a9e", "#c3a3e0", (8, 2, 2, 2)),
    Style("#8a6a00", "#e2bd4d", (2, 1)),
    Style("#a2386b", "#f091bd", (10, 3)),
)
"""Several rerankers in one panel, in their order; told apart in black and white by their dashes."""

CLASSES: Mapping[str, Style] = {
    "kept": Style("#3f8f72", "#3f8f72"),
    "recovered": Style("#4d9cc0", "#3d86a8"),
    "broken": Style("#d4622c", "#cf6a38"),
    "missed": Style("#e3cf98", "#7d6f48"),
    "unreachable": Style("#cfcfcf", "#4c4f54"),
}
"""What became of rank 1, in the order in which the areas are stacked, from below."""


def name_of(line: str) -> str:
    """How a line is called in CSS.

    >>> name_of("random order")
    'random-order'
    """
    return line.replace(" ", "-")


def colours() -> dict[str, tuple[str, str]]:
    """{name of a CSS variable: (colour in the light theme, in the dark one)}."""
    found = {name_of(line): (style.light, style.dark) for line, style in (*LINES.items(), *CLASSES.items())}
    return found | {f"reranker-{number}": (style.light, style.dark) for number, style in enumerate(RERANKERS)}
