"""Figures of depth sweeps for paper: panels of lines over depth, as PNG, SVG or PDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mteb_cascade.atomic import replaced
from mteb_cascade.report.styles import LINES, Style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOGARITHMIC = 200
"""Deeper sweeps have a logarithmic axis of depths."""


@dataclass(frozen=True)
class Line:
    """One line, or its points where nothing is known between the depths.

    Args:
        name: How the legend calls it.
        depths: Ascending.
        values: One a depth.
        style: Its look.
        band: Lower and upper ends, one a depth each.
        points: Draw points, not a line.
    """

    name: str
    depths: Sequence[int]
    values: Sequence[float]
    style: Style
    band: tuple[Sequence[float], Sequence[float]] | None = None
    points: bool = False


@dataclass(frozen=True)
class Panel:
    """One plane of a figure.

    Args:
        measure: What the values are.
        lines: The last one is drawn on top.
        title: Written above; nothing where empty.
        marked: A depth worth a word, and the word.
    """

    measure: str
    lines: Sequence[Line]
    title: str = ""
    marked: tuple[int, str] | None = None


def draw(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    path: Path,
    *,
    title: str,
    bands: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]] | None = None,
    chosen: int | None = None,
) -> None:
    """Write the figure of one pipeline.

    Args:
        panels: {measure: {line: a mean for every depth 1..K}}.
        path: The file; its ending says the format.
        title: Collection, split and models.
        bands: {measure: {line: (lower, upper) for every depth}}, drawn as shades.
        chosen: The depth chosen on development queries.
    """
    drawn = []
    for measure, lines in panels.items():
        shades = (bands or {}).get(measure, {})
        named = [
            Line(
                "reranker alone" if name == "alone" else name, range(1, len(values) + 1), values, style, shades.get(key)
            )
            for name, style in LINES.items()
            for key, values in lines.items()
            if key in (name, f"reranker {name}")
        ]
        drawn.append(
            Panel(measure, named, marked=None if chosen is None else (chosen, f"depth {chosen},\nchosen on dev"))
        )
    draw_panels(drawn, [path], title=title)


def draw_panels(panels: Sequence[Panel], paths: Sequence[Path], *, title: str = "", shared: bool = False) -> None:
    """Write panels in a row, with one legend.

    Args:
        panels: At least one.
        paths: The same figure in several files; their endings say the formats.
        title: Written above all.
        shared: One axis of values for all.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    # Text stays text, and no file says when it was made.
    with mpl.rc_context({"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "mteb-cascade"}):
        width = 4.6 if len(panels) < 3 else 3.4
        figure, axes = plt.subplots(
            1, len(panels), figsize=(width * len(panels), 3.9), layout="constrained", squeeze=False, sharey=shared
        )
        for axis, panel in zip(axes[0], panels, strict=True):
            draw_panel(axis, panel)
            room_for(axis, panels if shared else [panel])
            if shared and axis is not axes[0][0]:
                axis.set_ylabel("")
        handles = {
            label: handle for axis in axes[0] for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
        }
        # As many as fit side by side, at some .075 inches a character and the line before it.
        widest = 0.075 * max(map(len, handles)) + 0.7
        columns = max(1, min(len(handles), 3 * len(panels), int(width * len(panels) / widest)))
        figure.legend(handles.values(), handles, frameon=False, fontsize=8.5, ncols=columns, loc="outside lower center")
        if title:
            figure.suptitle(title, fontsize=10)
        for path in paths:
            kind = path.suffix.lstrip(".")
            undated: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind, {})
            with replaced(path) as beside:
                figure.savefig(beside, format=kind, dpi=160, metadata=undated)
        plt.close(figure)


def draw_panel(axis: Axes, panel: Panel) -> None:
    """Draw one panel's lines and name its axes."""
    deepest = max(max(line.depths) for line in panel.lines)
    for line in panel.lines:
        look: dict[str, Any] = {"color": line.style.light, "label": line.name}
        if line.points:
            errors = None
            if line.band:
                low, high = line.band
                errors = [
                    [max(0.0, value - end) for value, end in zip(line.values, low, strict=True)],
                    [max(0.0, end - value) for value, end in zip(line.values, high, strict=True)],
                ]
            axis.errorbar(
                line.depths, line.values, yerr=errors, fmt="o", markersize=4, elinewidth=1, clip_on=False, **look
            )
            continue
        dashes: Any = (0, tuple(part / line.style.width for part in line.style.dash)) if line.style.dash else "solid"
        axis.plot(line.depths, line.values, linewidth=line.style.width, linestyle=dashes, **look)
        if line.band:
            axis.fill_between(line.depths, *line.band, color=line.style.light, alpha=0.13, linewidth=0)
    if panel.marked:
        depth, text = panel.marked
        right = depth > 0.4 * deepest
        axis.axvline(depth, color="#bbbbbb", linewidth=0.9, zorder=0)
        axis.annotate(
            text,
            (depth, 0.03),
            xycoords=("data", "axes fraction"),
            xytext=(-4, 0) if right else (4, 0),
            textcoords="offset points",
            ha="right" if right else "left",
            fontsize=7.5,
            color="#666666",
        )
    axis.set_xlabel("candidates reranked (depth)")
    axis.set_ylabel(panel.measure)
    axis.set_title(panel.title, fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="#e6e6e6", linewidth=0.7)
    if deepest > LOGARITHMIC:
        axis.set_xscale("log")
    axis.set_xlim(1, max(2, deepest))


def room_for(axis: Axes, panels: Sequence[Panel]) -> None:
    """Set the ends of the axis of values to what its panels hold, with room for words at the foot."""
    values = [value for panel in panels for line in panel.lines for value in line.values]
    values += [value for panel in panels for line in panel.lines for side in line.band or () for value in side]
    low, high = min(values), max(values)
    size = (high - low) or 0.01
    axis.set_ylim(low - size * (0.2 if any(panel.marked for panel in panels) else 0.04), high + 0.04 * size)
