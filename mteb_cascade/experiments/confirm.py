"""What a choice is worth on queries that did not choose it, beside the first stage and the spec as it is."""

from __future__ import annotations

from typing import Any

from mteb_cascade.corpora.collection import Collection
from mteb_cascade.experiments.depth_figures import zeroed
from mteb_cascade.experiments.handed_on import tokens_of
from mteb_cascade.experiments.within_budget import Choice
from mteb_cascade.progress import Progress
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.values.measures import Measure, evaluate
from mteb_cascade.values.statistics import interval, paired_bootstrap


def confirmation(
    cascade: Cascade,
    chosen: Choice,
    collection: Collection,
    split: str,
    metric: str,
    *,
    keep: int | None = None,
    seed: int = 0,
    progress: Progress,
) -> dict[str, Any]:
    """A metric of the first stage, of the spec and of the choice, with intervals and paired differences.

    Args:
        cascade: The spec as it is.
        chosen: Other depths and blends.
        collection: Corpus and splits; the query's own document is taken out where it says so.
        split: Queries that chose nothing.
        metric: What is told.
        keep: Documents handed on, whose tokens are counted; None counts none.
        seed: Of resampling.
        progress: Told of the pairs scored.

    Returns:
        `queries`; "first stage", "spec" and "chosen", each {mean, low, high, and tokens where asked}; "chosen - first
        stage" and "chosen - spec", each {difference, low, high, p}. Intervals are of 95 %.
    """
    part, context = collection.split(split), collection.context(split)
    queries = part.queries.within(**context)
    cascade.index(collection.corpus, **context)
    at = cascade.at(*chosen.depths, blends=chosen.blends)
    pool = max([Measure.parse(metric).cutoff + 1, keep or 0, *cascade.depths, *at.depths])
    first = cascade.first.retrieved(queries, pool)
    runs = {
        "first stage": first,
        "spec": cascade.reranked(queries, first, cascade.depths, progress)[-1],
        "chosen": at.reranked(queries, first, at.depths, progress)[-1],
    }
    if collection.ignore_identical_ids:
        runs = {name: run.without_identical_ids() for name, run in runs.items()}
    values = {name: zeroed(evaluate(run, part.qrels, [metric])[metric]) for name, run in runs.items()}
    found: dict[str, Any] = {"queries": len(queries)}
    for name, per_query in values.items():
        low, high = interval(per_query, part.clusters, seed=seed)
        found[name] = {"mean": float(per_query.mean()), "low": float(low), "high": float(high)}
        if keep is not None:
            found[name]["tokens"] = float(tokens_of(runs[name].cut(keep), cascade.steps[-1].stage).mean())
    for other in ("first stage", "spec"):
        compared = paired_bootstrap(values["chosen"], values[other], part.clusters, seed=seed)
        found[f"chosen - {other}"] = {
            "difference": compared.difference,
            "low": compared.low,
            "high": compared.high,
            "p": compared.p_value,
        }
    return found
