"""One setting of a funnel, measured: what it keeps, how long it takes, what it weighs."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.engine.latency import Latency, latency
from mteb_cascade.experiments.funnel_settings import Setting, scanned
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.funnel import Funnel
from mteb_cascade.stages.latency import singles_of
from mteb_cascade.values.kept_share import kept_share
from mteb_cascade.values.run import Run
from mteb_cascade.values.statistics import interval

MILLION = 1_000_000


@dataclass(frozen=True)
class Point:
    """A setting and its figures on development queries.

    Args:
        setting: The steps.
        kept: What `kept_of` says.
        latency: Of single queries, end to end.
        size: Bytes that an index keeps of a million documents: {"vectors": ..., "codes": ...}.
    """

    setting: Setting
    kept: dict[str, float]
    latency: Latency
    size: dict[str, int]

    def as_json(self, documents: int, width: int) -> dict[str, Any]:
        """As a result file holds it."""
        last = self.setting.steps[-1].keep
        return {
            "label": self.setting.label(),
            "family": self.setting.family(),
            "origin": self.setting.origin,
            "steps": self.setting.tables(),
            "rescored": last,
            "rescored_share": round(last / documents, 6),
            "scanned": scanned(self.setting.steps[0], width),
            "kept": self.kept,
            "latency": self.latency.as_json(),
            "bytes": self.size,
        }


def kept_of(
    found: Run, exact: Run, depth: int, clusters: Sequence[str] | None = None, *, seed: int | None = None
) -> dict[str, float]:
    """Mean kept share of the exact top and of its first document; with a seed the ends of a 95 % interval, too."""
    shares = kept_share(found, exact, depth)
    first = kept_share(found, exact, 1)
    kept = {"top": float(np.nanmean(shares)), "first": float(np.nanmean(first)), "least": float(np.nanmin(shares))}
    if seed is None:
        return kept
    low, high = interval(shares, clusters, seed=seed)
    return {**kept, "low": float(low), "high": float(high)}


def time_of(stage: Stage, queries: Queries, k: int, calls: int) -> Latency:
    """Percentiles of single queries, the stage warm."""
    return latency(lambda query: stage.retrieve(query, k), singles_of(queries, calls), calls=calls)


def bytes_of(funnel: Funnel, corpus: Corpus, precision: str) -> dict[str, int]:
    """Bytes that an index would keep of a million documents, texts apart: full vectors, and what the steps scan."""
    size = {"vectors": 0, "codes": 0}
    text = corpus.texts_at([0])
    for name, array in funnel.kept(text, precision).items():
        size["vectors" if name.split(".")[0] == "vectors" else "codes"] += array.nbytes * MILLION
    if funnel.builds:
        with tempfile.TemporaryDirectory() as folder:
            funnel.build_whole(corpus, Path(folder))
            built = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        size["codes"] += built * MILLION // len(corpus)
    return size


def exact_bytes(encoder: BiEncoder, precision: str) -> dict[str, int]:
    """The same for exact search."""
    return {"vectors": sum(array.nbytes for array in encoder.kept([""], precision).values()) * MILLION}


def proposed(points: Sequence[Point], goal: float) -> int | None:
    """The fastest setting that keeps the goal; of equally fast ones the smaller, then the one that keeps more."""
    able = [row for row, one in enumerate(points) if one.kept["top"] >= goal]
    if not able:
        return None
    return min(
        able, key=lambda row: (points[row].latency.p50, sum(points[row].size.values()), -points[row].kept["top"])
    )
