"""Measures by name, and the figures we report, from ir-measures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import PAD

if TYPE_CHECKING:
    from mteb_cascade.values.run import Run

KINDS = {"success": "Success", "recall": "R", "mrr": "RR", "ndcg": "nDCG", "judged": "Judged"}
"""Our names and ir-measures'."""

DEFAULT = ("success@1", "recall@10", "mrr@10", "ndcg@10")

REPORTED = ("success@1", "recall@1", "recall@10", "recall@100", "mrr@10", "ndcg@10")
"""What is told of an evaluation unless other measures are asked for."""

BLOCK = 500
"""Queries handed to ir-measures at a time: a thousand candidates each are some 60 MB of dictionaries."""


@dataclass(frozen=True)
class Measure:
    """A measure with its cut-off, such as `ndcg@10`.

    Args:
        kind: `success`, `recall` and `mrr` count documents of at least the qrels' relevance level; `ndcg` takes the
            grades as gains, linear, discounted by log2(rank + 1), as trec_eval does; `judged` is the judged share of
            the first `cutoff` documents.
        cutoff: Ranks looked at, >= 1.
    """

    kind: str
    cutoff: int

    @classmethod
    def parse(cls, name: str) -> Measure:
        """The measure of this name.

        Raises:
            InputError: It is not a known kind, `@` and a cut-off.

        >>> Measure.parse("recall@100")
        Measure(kind='recall', cutoff=100)
        """
        match = re.fullmatch(r"([a-z]+)@([1-9][0-9]*)", name)
        if not match or match[1] not in KINDS:
            known = suggestion(name.split("@")[0].lower(), KINDS)
            raise InputError(f"unknown measure '{name}'; expected a measure and its cut-off, such as ndcg@10. {known}")
        return cls(match[1], int(match[2]))

    def __str__(self) -> str:
        return f"{self.kind}@{self.cutoff}"


def evaluate(run: Run, qrels: Qrels, measures: Sequence[str] = DEFAULT) -> dict[str, NDArray[np.float64]]:
    """Figures of every query, computed by ir-measures.

    Its providers break ties in different ways; they are given K - rank as scores, so each sees the run's own order.

    Args:
        run: Q queries.
        qrels: Judgements; documents outside the corpus stay in denominators and ideal gains.
        measures: Names, see `Measure`.

    Returns:
        {name: float64 [Q]}, in the run's order. NaN where a query has no positive: nothing relevant, or, for nDCG, no
        grade above 0. 0 where nothing was found; `judged` is 0 also where nothing was judged.

    Raises:
        InputError: A measure is unknown.
    """
    import ir_measures

    wanted = {_of_ir_measures(Measure.parse(name), qrels.relevance_level): name for name in measures}
    values = {name: np.zeros(len(run.query_ids)) for name in measures}
    top = run.cut(max((Measure.parse(name).cutoff for name in measures), default=1))
    for start in range(0, len(run.query_ids), BLOCK):
        part = top.rows(slice(start, start + BLOCK))
        row = {query: start + offset for offset, query in enumerate(part.query_ids)}
        found = _by_rank(part)
        grades = {query: dict(qrels.of(query)) for query in found if qrels.of(query)}
        if grades:
            for metric in ir_measures.iter_calc(list(wanted), grades, found):
                values[wanted[metric.measure]][row[metric.query_id]] = metric.value
    for name in measures:
        values[name][np.isnan(denominators(Measure.parse(name), qrels, run))] = np.nan
    return values


def denominators(measure: Measure, qrels: Qrels, run: Run) -> NDArray[np.float64]:
    """What a measure divides by.

    Returns:
        float64 [Q]: relevant documents (recall), the ideal ranking's gain (nDCG), documents looked at (judged), else 1;
        NaN where a query has no positive.
    """
    if measure.kind == "judged":
        return np.clip(run.lengths, 1, measure.cutoff).astype(np.float64)
    if measure.kind == "ndcg":
        positives = ideal_gains(qrels, run.query_ids, measure.cutoff)
    else:
        positives = qrels.relevant_counts(run.query_ids).astype(np.float64)
    divisor = np.minimum(positives, 1.0) if measure.kind in ("success", "mrr") else positives
    return np.where(positives > 0, divisor, np.nan)


def ideal_gains(qrels: Qrels, query_ids: Sequence[str], cutoff: int) -> NDArray[np.float64]:
    """Discounted gain of the best ranking there could be, over all judged documents, in the corpus or not.

    Returns:
        float64 [Q], the sum of grade / log2(rank + 1) over the `cutoff` highest grades above 0 (Jaervelin and
        Kekaelaeinen 2002, in trec_eval's form).

    >>> ideal_gains(Qrels({"q": {"a": 1, "b": 3, "c": -1}}), ["q", "unjudged"], 10).round(3).tolist()
    [3.631, 0.0]
    """
    discount = 1.0 / np.log2(np.arange(2, cutoff + 2))
    ideal = np.zeros(len(query_ids))
    for row, query in enumerate(query_ids):
        best = sorted((grade for grade in qrels.of(query).values() if grade > 0), reverse=True)[:cutoff]
        ideal[row] = np.dot(best, discount[: len(best)])
    return ideal


def highest_recall_at_1(qrels: Qrels, query_ids: Sequence[str]) -> float:
    """What the mean of recall@1 would be with a relevant document first for every query that has one.

    >>> highest_recall_at_1(Qrels({"a": {"x": 1, "y": 1}, "b": {"x": 1}, "c": {}}), ["a", "b", "c"])
    0.5
    """
    counts = qrels.relevant_counts(query_ids)
    return float(np.where(counts > 0, 1 / np.maximum(counts, 1), 0).mean())


def mean(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean over queries as trec_eval takes it: a query without positives is 0, and counted.

    Args:
        values: [Q] or [Q, D], NaN where a query has no positive.

    Returns:
        float64, a number or [D].

    >>> float(mean(np.array([1.0, np.nan])))
    0.5
    """
    total: NDArray[np.float64] = np.nansum(values, axis=0, dtype=np.float64)
    return total / max(len(values), 1)


def _of_ir_measures(measure: Measure, relevance_level: int) -> Any:
    import ir_measures

    base = getattr(ir_measures, KINDS[measure.kind])
    if measure.kind in ("success", "recall", "mrr"):
        base = base(rel=relevance_level)
    return base @ measure.cutoff


def _by_rank(run: Run) -> dict[str, dict[str, int]]:
    """{query: {document: K - rank}} of the queries that found something."""
    there = run.docs != PAD
    ids = iter(run.corpus.ids.take(run.docs[there]).to_pylist())
    ranks = range(run.depth, 0, -1)
    lists = zip(run.query_ids, there.sum(axis=1), strict=True)
    return {query: {next(ids): rank for rank in ranks[:length]} for query, length in lists if length}
