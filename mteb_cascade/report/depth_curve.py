"""The figure of a depth sweep: one measure a panel, one line a way of ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mteb_cascade.atomic import replaced

STYLES = {
    "oracle": {"color": "#8a8a8a", "linestyle": (0, (1, 1.5)), "linewidth": 1.4},
    "reranker alone": {"color": "#c1440e", "linewidth": 1.8},
    "blended": {"color": "#1f6f8b", "linewidth": 1.8},
    "first stage": {"color": "#444444", "linestyle": (0, (5, 3)), "linewidth": 1.2},
}
"""Lines in the order in which they are drawn and named."""


def draw(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    path: Path,
    *,
    title: str,
    bands: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]] | None = None,
    chosen: int | None = None,
) -> None:
    """Write a PNG, SVG or PDF.

    Args:
        panels: {measure: {line: a mean for every depth 1..K}}.
        path: The file; its ending says the format.
        title: Collection, split and models.
        bands: {measure: {line: (lower, upper) for every depth}}, drawn as shades.
        chosen: The depth chosen on development queries.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(panels), figsize=(4.6 * len(panels), 3.7), layout="constrained", squeeze=False)
    for axis, (measure, lines) in zip(axes[0], panels.items(), strict=True):
        for name, style in STYLES.items():
            if name not in lines:
                continue
            depths = range(1, len(lines[name]) + 1)
            axis.plot(depths, lines[name], label=name, **style)
            if bands and name in bands.get(measure, {}):
                axis.fill_between(depths, *bands[measure][name], color=style["color"], alpha=0.13, linewidth=0)
        if chosen is not None:
            axis.axvline(chosen, color="#bbbbbb", linewidth=0.9, zorder=0)
            axis.annotate(
                f"depth {chosen},\nchosen on dev",
                (chosen, 0.03),
                xycoords=("data", "axes fraction"),
                xytext=(-4, 0) if chosen > 40 else (4, 0),
                textcoords="offset points",
                ha="right" if chosen > 40 else "left",
                fontsize=7.5,
                color="#777777",
            )
        axis.set_xlabel("candidates reranked (depth)")
        axis.set_ylabel(measure)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color="#e6e6e6", linewidth=0.7)
        axis.set_xlim(1, max(map(len, lines.values())))
        low, high = axis.get_ylim()
        axis.set_ylim(low - 0.15 * (high - low), high)
    axes[0][0].legend(frameon=False, fontsize=8.5, loc="center right", bbox_to_anchor=(1.0, 0.66))
    figure.suptitle(title, fontsize=10)
    with replaced(path) as beside:
        figure.savefig(beside, format=path.suffix.lstrip("."), dpi=160)
    plt.close(figure)
