"""Everything that is said of a reranking step at every depth, from one scoring: what a sweep's result holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.collection import Split
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.swept import Swept
from mteb_cascade.values import floors, judging
from mteb_cascade.values.bands import bands
from mteb_cascade.values.curves import OUTCOMES, curves, oracle_scores, outcomes
from mteb_cascade.values.measures import evaluate, mean
from mteb_cascade.values.phantoms import phantoms
from mteb_cascade.values.qrels import UNJUDGED
from mteb_cascade.values.run import Run
from mteb_cascade.values.shapes import shape
from mteb_cascade.values.slices import figures as slice_figures
from mteb_cascade.values.statistics import as_good_as_best

JUDGED = ("judged@1", "judged@10")
SLICED = ("success@1", "ndcg@10")
"""Measures that are told slice by slice."""

PHANTOMS = 50

PerQuery = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class DepthFigures:
    """A step on a split.

    Args:
        swept: What the step received, and its scores.
        split: Queries, judgements and clusters.
        measures: Names of the measures.
        blend: b of the blended line; None or 0 for none.
        resamples: B of bands and peaks.
        seed: Of the resampling.
    """

    swept: Swept
    split: Split
    measures: tuple[str, ...]
    blend: float | None = None
    resamples: int = 2_000
    seed: int = 0

    @property
    def blends(self) -> dict[str, float]:
        """The blend of each line."""
        return {"alone": 0.0, **({"blended": self.blend} if self.blend else {})}

    @cached_property
    def per_query(self) -> dict[str, PerQuery]:
        """{line: {measure: float32 [Q, depths]}}, NaN where a query has no positive."""
        return {line: self._curves(self.measures, blend) for line, blend in self.blends.items()}

    def _curves(self, measures: Sequence[str], blend: float) -> PerQuery:
        if self.swept.pointwise:
            found = curves(self.swept.received, self.swept.deepest, self.split.qrels, measures, blend)
            return {name: self.swept.aligned(values) for name, values in found.items()}

        def one(run: Run, scores: NDArray[np.float32], name: str) -> NDArray[np.float32]:
            return curves(run, scores, self.split.qrels, [name], blend)[name]

        return {name: self.swept.at_depths(partial(one, name=name)) for name in measures}

    @cached_property
    def first(self) -> PerQuery:
        """{measure: float64 [Q]} of the received ranking."""
        return evaluate(self.swept.received, self.split.qrels, self.measures)

    def as_json(self, slices: Mapping[str, NDArray[np.str_]], against: DepthFigures | None) -> dict[str, Any]:
        """The figures of a sweep's result.

        Args:
            slices: {what by: label of each query}.
            against: The same step on development queries, which choose the best depth; None where there are none.
        """
        return {
            "curves": self.means(),
            "bands": self.simultaneous_bands(),
            "outcomes": self.classes(),
            "broken_to": self.broken_to(),
            "success@1 bounds": self.bounds(),
            "judged": self.judged(),
            "shape": self.shapes(),
            "as_good_as_best": self.as_good(against) if against and self.depths_shared_with(against) else None,
            "slices": self.sliced(slices),
            "phantoms": self.phantoms(),
        }

    def means(self) -> dict[str, dict[str, Any]]:
        """{measure: {line: a mean for each depth}}, with ceiling and floors."""
        run, qrels = self.swept.received, self.split.qrels
        head = run.cut(self.swept.depth)
        # What is judged non-relevant stands before what nobody judged: judged@k has this ceiling, too.
        grades = oracle_scores(head, qrels)
        grades = np.where(qrels.of_run(head) == UNJUDGED, grades, np.maximum(grades, np.float32(0.5)))
        # A step that is not pointwise has scores for each depth, as wide as it is deep.
        known = tuple(grades[:, : scores.shape[1]] for scores in self.swept.scores)
        ceiling = Swept(run, self.swept.depths, known, self.swept.own)
        oracle = DepthFigures(ceiling, self.split, self.measures).per_query["alone"]
        shuffled = floors.random_order(run, qrels, self.measures, self.swept.depth)
        retriever = floors.random_retriever(run.query_ids, run.corpus, qrels, self.measures)
        columns = np.asarray(self.swept.depths) - 1
        found = {}
        for name in self.measures:
            lines: dict[str, Any] = {line: rounded(mean(per[name])) for line, per in self.per_query.items()}
            lines["oracle"] = rounded(mean(oracle[name]))
            lines["random order"] = rounded(mean(self.swept.aligned(shuffled[name])[:, columns]))
            lines["first stage"] = float(mean(self.first[name]))
            lines["random retriever"] = float(mean(retriever[name]))
            lines["full corpus"] = None
            found[name] = lines
        return found

    def simultaneous_bands(self) -> dict[str, dict[str, Any]]:
        """{measure: {line: (lower, upper) for each depth}}, 95 % for all depths together."""
        options = {"resamples": self.resamples, "seed": self.seed}
        return {
            name: {
                line: [rounded(side) for side in bands(zeroed(per[name]), self.split.clusters, **options)]
                for line, per in self.per_query.items()
            }
            for name in self.measures
        }

    def shapes(self) -> dict[str, dict[str, Any]]:
        """{measure: {line: shape, peak and its interval}}."""
        return {
            name: {
                line: shape(
                    zeroed(per[name]),
                    self.swept.depths,
                    self.split.clusters,
                    resamples=self.resamples,
                    seed=self.seed,
                ).as_json()
                for line, per in self.per_query.items()
            }
            for name in self.measures
        }

    def depths_shared_with(self, dev: DepthFigures) -> list[int]:
        """Depths that were looked at on both; none where a run file has lists of one of the two splits only."""
        return [depth for depth in self.swept.depths if depth in dev.swept.depths]

    def as_good(self, dev: DepthFigures) -> dict[str, dict[str, Any]]:
        """{measure: {line: the shallowest depth shown to be as good as the best, which development queries chose}}."""
        found: dict[str, dict[str, Any]] = {}
        depths = self.depths_shared_with(dev)
        for name in self.measures:
            found[name] = {}
            for line, per in self.per_query.items():
                chosen = mean(dev.per_query[line][name][:, np.isin(dev.swept.depths, depths)])
                best = depths[int(np.argmax(chosen))]
                values = per[name][:, np.isin(self.swept.depths, depths)]
                told = as_good_as_best(
                    values, depths, best, clusters=self.split.clusters, resamples=self.resamples, seed=self.seed
                )
                found[name][line] = {"depth": told.depth, "best": best, "says": str(told), "margin": told.margin}
        return found

    def classes(self) -> dict[str, dict[str, list[int]]]:
        """{line: {class of OUTCOMES: queries at each depth}}."""
        return {line: counted(self._at(outcomes, blend), OUTCOMES) for line, blend in self.blends.items()}

    def broken_to(self) -> dict[str, dict[str, list[int]]]:
        """{line: {what the first document of a broken query is: queries at each depth}}."""
        return {line: counted(self._at(judging.broken_to, blend), judging.TO) for line, blend in self.blends.items()}

    def bounds(self) -> dict[str, list[list[float]]]:
        """{line: success@1 with an unjudged first document counted as wrong, and as right, at each depth}."""

        def side(run: Any, scores: Any, qrels: Any, blend: float, which: int) -> NDArray[Any]:
            return judging.success_bounds(run, scores, qrels, blend)[which]

        return {
            line: [rounded(mean(zeroed(self._at(partial(side, which=which), blend)))) for which in (0, 1)]
            for line, blend in self.blends.items()
        }

    def judged(self) -> dict[str, dict[str, list[float]]]:
        """{line: {judged@k: share of the first k documents that is judged, at each depth}}."""
        return {
            line: {name: rounded(mean(values)) for name, values in self._curves(JUDGED, blend).items()}
            for line, blend in self.blends.items()
        }

    def sliced(self, slices: Mapping[str, NDArray[np.str_]]) -> list[dict[str, Any]]:
        """Figures of the received ranking and of each line at the deepest depth, slice by slice."""
        wanted = [name for name in SLICED if name in self.measures]
        lines = {"first stage": {name: self.first[name] for name in wanted}}
        lines |= {line: {name: per[name][:, -1] for name in wanted} for line, per in self.per_query.items()}
        return [{"by": by, **one} for by, labels in slices.items() for one in slice_figures(labels, lines)]

    def phantoms(self) -> dict[str, list[dict[str, Any]]]:
        """{line: documents that the deepest reranking lifted above the answer}, the farthest first."""
        run, scores, qrels = self.swept.received, self.swept.deepest, self.split.qrels
        return {
            line: [one.as_json() for one in phantoms(run, scores, qrels, self.split.queries, blend, PHANTOMS)]
            for line, blend in self.blends.items()
        }

    def _at(self, figure: Any, blend: float) -> NDArray[Any]:
        return self.swept.at_depths(lambda run, scores: figure(run, scores, self.split.qrels, blend=blend))


def zeroed(values: NDArray[Any]) -> NDArray[np.float64]:
    """NaN, where a query has no positive, as 0, as in the means that are reported."""
    return np.nan_to_num(np.asarray(values, np.float64))


def rounded(values: NDArray[np.floating]) -> list[float]:
    """Six digits: what a figure of some thousand queries can tell."""
    return [round(float(value), 6) for value in values]


def counted(classes: NDArray[Any], names: Sequence[str]) -> dict[str, list[int]]:
    """{class: number of queries at each depth} of [Q, D] class numbers; others, such as -1, are left out."""
    return {name: (classes == number).sum(axis=0).tolist() for number, name in enumerate(names)}


def refuse_without_positives(split: Split, what: str) -> None:
    """Raise InputError where no query of the split has a relevant document: every figure would be 0."""
    if not len(split.queries) or not (split.qrels.relevant_counts(split.queries.ids) > 0).any():
        judged = len(split.qrels.grades)
        raise InputError(
            f"{what}: its judgements name no relevant document for any of its {len(split.queries):,} queries "
            f"({judged:,} are judged, level {split.qrels.relevance_level}); expected qrels with the query ids of "
            "queries.jsonl, or another --relevance-level"
        )
