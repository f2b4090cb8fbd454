"""The figure of a funnel's settings: what they keep against time and against bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mteb_cascade.atomic import replaced
from mteb_cascade.report.plain_text import plain
from mteb_cascade.report.styles import RERANKERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST = 0.0003
"""Loss that is drawn as none: the axis is logarithmic."""

TICKS = (0.5, 0.7, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
MARKERS = "osD^vPX*<>"
GIGABYTE = 10**9


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Write a figure of two panels: a point a setting, a look a family of settings, the front as a line.

    Args:
        result: What the study says.
        path: The file; its ending says the format.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    times = [one["latency"]["p50"] for one in result["points"]]
    sizes = [sum(one["bytes"].values()) / GIGABYTE for one in result["points"]]
    exact = result["exact"]
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "mteb-cascade"}):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 4.6), layout="constrained", sharey=True)
        draw_panel(left, result, times, exact["latency"]["p50"], "ms a query (p50, single queries)")
        draw_panel(right, result, sizes, sum(exact["bytes"].values()) / GIGABYTE, "GB a million documents, texts apart")
        left.set_ylabel(f"kept of the exact top {result['depth']}")
        left.set_xscale("log")
        right.set_xlim(0, 1.06 * max(*sizes, sum(exact["bytes"].values()) / GIGABYTE))
        handles = dict(zip(*reversed(left.get_legend_handles_labels()), strict=True))
        figure.legend(handles.values(), handles, frameon=False, fontsize=8, ncols=4, loc="outside lower center")
        title = f"{result['title']}: funnels over {result['model']}, measured on {result['dev']}"
        figure.suptitle(plain(title).replace("$", r"\$"), fontsize=10)
        with replaced(path) as beside:
            figure.savefig(beside, format=path.suffix.lstrip("."), dpi=160)
        plt.close(figure)


def draw_panel(axis: Axes, result: Mapping[str, Any], across: Sequence[float], exact: float, name: str) -> None:
    """Draw every setting, exact search, the goal and the proposed one."""
    points = result["points"]
    families = list(dict.fromkeys(one["family"] for one in points))
    for number, family in enumerate(families):
        rows = [row for row, one in enumerate(points) if one["family"] == family]
        axis.plot(
            [across[row] for row in rows],
            [loss(points[row]["kept"]["top"]) for row in rows],
            linestyle="none",
            marker=MARKERS[number % len(MARKERS)],
            markersize=5,
            color=RERANKERS[number % len(RERANKERS)].light,
            label=plain(family).replace("$", r"\$"),
        )
    axis.plot([exact], [LEAST], linestyle="none", marker="|", markersize=12, color="#3d3d3d", label="exact search")
    axis.axhline(loss(result["goal"]), color="#bbbbbb", linewidth=0.9, zorder=0)
    chosen = next((row for row, one in enumerate(points) if one == result["chosen"]), None)
    if chosen is not None:
        at = (across[chosen], loss(points[chosen]["kept"]["top"]))
        axis.plot(*at, marker="o", markersize=12, fillstyle="none", color="#3d3d3d", linestyle="none", label="proposed")
    axis.set_yscale("log")
    worst = max(loss(one["kept"]["top"]) for one in points)
    axis.set_ylim(min(1.0, 1.4 * max(worst, loss(result["goal"]))), LEAST / 1.4)
    ticks = [one for one in TICKS if loss(one) <= 1.4 * worst]
    axis.set_yticks([loss(one) for one in ticks] + [LEAST], [f"{one:g}" for one in ticks] + ["all"])
    axis.minorticks_off()
    axis.set_xlabel(name)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="#eeeeee", linewidth=0.7)


def loss(kept: float) -> float:
    """What is lost, as it is drawn.

    >>> loss(0.99) > loss(0.999) > loss(1.0) == LEAST
    True
    """
    return max(1 - kept, LEAST)
