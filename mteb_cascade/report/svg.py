"""Figures of the page as SVG that follows its theme: colours are CSS variables, text is the page's own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from mteb_cascade.report.styles import CLASSES, LINES, RERANKERS, Style, name_of
from mteb_cascade.report.tables import figure

WIDTH, HEIGHT = 442, 290
LEFT, RIGHT, TOP, BOTTOM = 38, 158, 24, 38
LABEL = 13.5
"""Least distance of two labels."""

LOGARITHMIC = 200
"""Deeper sweeps have a logarithmic axis of depths."""


@dataclass(frozen=True)
class Curve:
    """One line, or its points where a stage is run depth by depth.

    Args:
        name: How it is labelled.
        depths: Ascending.
        values: One a depth.
        style: Its look.
        colour: Name of its colour in CSS.
        band: Lower and upper ends, one a depth each.
        peak: Depth of the peak with the ends of its interval.
        points: Whether nothing is known between the depths.
    """

    name: str
    depths: Sequence[int]
    values: Sequence[float]
    style: Style
    colour: str
    band: tuple[Sequence[float], Sequence[float]] | None = None
    peak: tuple[int, int, int] | None = None
    points: bool = False

    @classmethod
    def known(cls, line: str, depths: Sequence[int], values: Sequence[float], **more: object) -> Curve:
        """One of the lines that every sweep has."""
        return cls(line, depths, values, LINES[line], name_of(line), **more)  # type: ignore[arg-type]

    @classmethod
    def reranker(cls, number: int, name: str, depths: Sequence[int], values: Sequence[float], points: bool) -> Curve:
        """One of several rerankers."""
        number %= len(RERANKERS)
        return cls(name, depths, values, RERANKERS[number], f"reranker-{number}", points=points)


@dataclass
class Plot:
    """A plane of depths and values that is drawn on.

    Args:
        deepest: Right end of the axis of depths.
        low: Lower end of the axis of values.
        high: Its upper end.
    """

    deepest: int
    low: float
    high: float
    parts: list[Markup] = field(default_factory=list)
    labels: list[tuple[float, str, str]] = field(default_factory=list)

    def x(self, depth: float) -> float:
        """Where a depth is."""
        if self.deepest > LOGARITHMIC:
            place = math.log(depth) / math.log(self.deepest)
        else:
            place = (depth - 1) / max(1, self.deepest - 1)
        return LEFT + place * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Where a value is."""
        place = (value - self.low) / ((self.high - self.low) or 1)
        return HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM)

    def add(self, markup: str, **values: object) -> None:
        """One element; what is put into it is escaped."""
        self.parts.append(Markup(markup).format(**values))  # noqa: S704 - the markup is this module's own

    def points(self, depths: Iterable[int], values: Iterable[float]) -> list[str]:
        """All points, but those that nobody could tell from their neighbours."""
        found: list[tuple[float, float]] = []
        places = [(self.x(depth), self.y(value)) for depth, value in zip(depths, values, strict=True)]
        for number, (x, y) in enumerate(places):
            last = number == len(places) - 1
            if not found or last or x - found[-1][0] > 0.5 or abs(y - found[-1][1]) > 0.3:
                found.append((x, y))
        return [f"{x:.1f},{y:.1f}" for x, y in found]

    def between(self, depths: Sequence[int], low: Sequence[float], high: Sequence[float]) -> str:
        """The path around what lies between two lines."""
        return "M" + "L".join([*self.points(depths, low), *reversed(self.points(depths, high))]) + "Z"

    def axes(self, ylabel: str, ticks: Sequence[tuple[float, str]]) -> None:
        """Both axes with their ticks."""
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        for value, text in ticks:
            y = f"{self.y(value):.1f}"
            self.add('<path class="grid" d="M{x},{y}H{right}"/>', x=LEFT, y=y, right=right)
            self.add(
                '<text class="tick" x="{x}" y="{y}" dy=".32em" text-anchor="end">{t}</text>', x=LEFT - 5, y=y, t=text
            )
        self.add('<path class="axis" d="M{x},{y}H{right}"/>', x=LEFT, y=bottom, right=right)
        for depth in depth_ticks(self.deepest):
            x = f"{self.x(depth):.1f}"
            self.add('<path class="axis" d="M{x},{y}v4"/>', x=x, y=bottom)
            self.add('<text class="tick" x="{x}" y="{y}" text-anchor="middle">{t}</text>', x=x, y=bottom + 16, t=depth)
        middle = (LEFT + right) / 2
        self.add('<text class="tick" x="{x}" y="{y}" text-anchor="middle">depth</text>', x=middle, y=HEIGHT - 6)
        self.add('<text class="tick" x="4" y="11">{t}</text>', t=ylabel)

    def curve(self, one: Curve) -> None:
        """A line with its band, peak and label."""
        colour = f"--c:var(--{one.colour})"
        dash = " ".join(map(str, one.style.dash)) or "none"
        if one.band and one.points:
            for depth, low, high in zip(one.depths, *one.band, strict=True):
                self.add(
                    '<path class="whisker" style="{c}" d="M{x:.1f},{low:.1f}V{high:.1f}"/>',
                    c=colour, x=self.x(depth), low=self.y(low), high=self.y(high),
                )  # fmt: skip
        elif one.band:
            self.add('<path class="band" style="{c}" d="{d}"/>', c=colour, d=self.between(one.depths, *one.band))
        if one.points:
            for depth, value in zip(one.depths, one.values, strict=True):
                self.dot(depth, value, colour, f"{one.name}, depth {depth}: {figure(value)}")
        else:
            self.add(
                '<path class="line" style="{c};stroke-width:{w};stroke-dasharray:{dash}" d="{d}"/>',
                c=colour, w=one.style.width, dash=dash, d="M" + "L".join(self.points(one.depths, one.values)),
            )  # fmt: skip
        if one.peak and not one.points:
            peak, low_end, high_end = one.peak
            value = one.values[list(one.depths).index(peak)]
            self.add(
                '<path class="whisker" style="{c}" d="M{a:.1f},{y:.1f}m0,-3v6m0,-3H{b:.1f}m0,-3v6"/>',
                c=colour, a=self.x(low_end), b=self.x(high_end), y=self.y(value),
            )  # fmt: skip
            title = f"{one.name}: best {figure(value)} at depth {peak}, 95 % interval {low_end} to {high_end}"
            self.dot(peak, value, colour, title)
        self.labels.append((self.y(one.values[-1]), f"{one.name} {figure(one.values[-1])}", colour))

    def dot(self, depth: float, value: float, colour: str, title: str) -> None:
        """A point that says what it is."""
        self.add(
            '<circle class="dot" style="{c}" cx="{x:.1f}" cy="{y:.1f}" r="3.6"><title>{t}</title></circle>',
            c=colour, x=self.x(depth), y=self.y(value), t=title,
        )  # fmt: skip

    def mark(self, depth: int, text: str) -> None:
        """A depth that is worth a word."""
        x = self.x(depth)
        self.add('<path class="mark" d="M{x:.1f},{t}V{b}"/>', x=x, t=TOP - 2, b=HEIGHT - BOTTOM)
        # Beside the name of the values, which stands to the left.
        at = max(x, LEFT + 50.0)
        self.add('<text class="tick" x="{x:.1f}" y="11">{t}</text>', x=min(at, WIDTH - RIGHT - 50.0), t=text)

    def svg(self, title: str) -> Markup:
        """The whole figure, its labels moved apart."""
        low, high = TOP + 4.0, float(HEIGHT - BOTTOM)
        for y, (_, text, colour) in zip(
            apart([y for y, _, _ in self.labels], LABEL, low, high), self.labels, strict=True
        ):
            x = WIDTH - RIGHT + 6
            self.add(
                '<text class="label" style="{c}" x="{x}" y="{y:.1f}" dy=".32em">{t}</text>', c=colour, x=x, y=y, t=text
            )
        head = Markup('<svg viewBox="0 0 {w} {h}" role="img" aria-label="{t}">').format(w=WIDTH, h=HEIGHT, t=title)
        return head + Markup("").join(self.parts) + Markup("</svg>")


def apart(places: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Places moved as little as needs be for neighbours to keep their distance, between two ends where there is room.

    >>> apart([10, 12, 50], 10, 0, 60)
    [6.0, 16.0, 50.0]
    """
    order = sorted(range(len(places)), key=lambda number: places[number])
    # Groups of touching labels: their members, and where the first one of them stands.
    groups: list[tuple[list[int], float]] = []
    for number in order:
        members = [number]
        start = min(max(float(places[number]), low), high)
        while groups and start < groups[-1][1] + least * len(groups[-1][0]):
            members = groups.pop()[0] + members
            wanted = [places[one] - least * at for at, one in enumerate(members)]
            start = sum(wanted) / len(wanted)
            start = max(low, min(start, high - least * (len(members) - 1)))
        groups.append((members, start))
    found = [0.0] * len(places)
    for members, start in groups:
        for at, number in enumerate(members):
            found[number] = start + least * at
    return found


def depth_ticks(deepest: int) -> list[int]:
    """Depths that are named on the axis.

    >>> depth_ticks(100), depth_ticks(1000), depth_ticks(1)
    ([1, 25, 50, 75, 100], [1, 10, 100, 1000], [1])
    """
    if deepest > LOGARITHMIC:
        tens = [10**power for power in range(int(math.log10(deepest)) + 1)]
        return [*(ten for ten in tens if ten < deepest / 1.8), deepest]
    step = next((step for step in (1, 2, 5, 10, 25, 50) if deepest / step <= 5), 50)
    return sorted({1, *(depth for depth in range(step, deepest + 1, step) if depth > step / 2), deepest})


def value_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Round values between two ends.

    >>> value_ticks(0.23, 0.36)
    [(0.25, '.25'), (0.3, '.30'), (0.35, '.35')]
    """
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 1.0) if (high - low) / step <= 6 or step == 1.0)
    found = [
        round(number * step, 2) for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]
    return [(value, f"{value:.2f}".replace("0.", ".", 1) if 0 < value < 1 else f"{value:g}") for value in found]


def curves(
    lines: Sequence[Curve], ends: tuple[float, float], title: str, ylabel: str, good: int | None = None
) -> Markup:
    """Lines over depth.

    Args:
        lines: What is drawn, the last on top.
        ends: Lower and upper end of the values.
        title: Said to those who do not see it.
        ylabel: The measure.
        good: The shallowest depth shown as good as the best.
    """
    plot = Plot(max(max(line.depths) for line in lines), *ends)
    plot.axes(ylabel, value_ticks(*ends))
    if good is not None:
        plot.mark(good, f"↓ {good}: as good as best")
    for line in lines:
        plot.curve(line)
    return plot.svg(title)


def classes(counts: Mapping[str, Sequence[int]], depths: Sequence[int], title: str, points: bool) -> Markup:
    """What became of rank 1: queries of each class, stacked."""
    total = sum(values[0] for values in counts.values())
    plot = Plot(max(depths), 0.0, float(total))
    plot.axes("queries", [(total * part / 4, f"{total * part / 4:,.0f}") for part in range(5)])
    below = [0] * len(depths)
    for name in CLASSES:
        above = [low + count for low, count in zip(below, counts[name], strict=True)]
        colour = f"--c:var(--{name_of(name)})"
        if points or len(depths) == 1:
            for depth, low, high in zip(depths, below, above, strict=True):
                plot.add(
                    '<path class="bar" style="{c}" d="M{x:.1f},{a:.1f}V{b:.1f}"/>',
                    c=colour, x=plot.x(depth), a=plot.y(low), b=plot.y(high),
                )  # fmt: skip
        else:
            plot.add('<path class="area" style="{c}" d="{d}"/>', c=colour, d=plot.between(depths, below, above))
        plot.labels.append((plot.y((below[-1] + above[-1]) / 2), f"{name} {counts[name][-1]:,}", "--c:var(--ink)"))
        below = above
    return plot.svg(title)


def spark(lines: Sequence[Curve], ends: tuple[float, float], title: str) -> Markup:
    """Lines alone, as small as a word."""
    width, height, deepest = 96, 28, max(max(line.depths) for line in lines)
    plot = Plot(deepest, *ends)
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    parts = Markup("")
    for line in lines:
        places = [
            ((plot.x(depth) - LEFT) / wide * (width - 6) + 3, (plot.y(value) - TOP) / tall * (height - 6) + 3)
            for depth, value in zip(line.depths, line.values, strict=True)
        ]
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        dash = " ".join(map(str, line.style.dash)) or "none"
        parts += Markup('<polyline class="line" style="--c:var(--{c});stroke-dasharray:{dash}" points="{p}"/>').format(
            c=line.colour, dash=dash, p=points
        )
    head = Markup('<svg class="spark" viewBox="0 0 {w} {h}" role="img" aria-label="{t}">')
    return head.format(w=width, h=height, t=escape(title)) + parts + Markup("</svg>")
