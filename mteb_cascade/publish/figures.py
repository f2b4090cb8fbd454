"""The figures of a publication: as a table, as the hub's model-index, and in one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from mteb_cascade.markdown import table
from mteb_cascade.publish.publication import Found, Publication

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

MEASURES = {
    "ndcg_at_10": "nDCG@10",
    "mrr_at_10": "MRR@10",
    "hit_rate_at_1": "success@1",
    "recall_at_10": "recall@10",
    "recall_at_100": "recall@100",
}
"""{mteb's name: ours} of what is shown beside a task's main score."""


@dataclass(frozen=True)
class Figures:
    """What one model scores on one split of one subset.

    Args:
        task: Of mteb.
        dataset: Its path on the hub.
        revision: Of the dataset, as the result has it.
        main: Name of the task's main score.
        scores: {mteb's name: value}.
    """

    task: str
    dataset: str
    revision: str
    type: str
    main: str
    split: str
    subset: str
    scores: Mapping[str, float]

    @property
    def title(self) -> str:
        """Task and, of a task with several, subset."""
        return self.task if self.subset == "default" else f"{self.task} ({self.subset})"


def figures(found: Found) -> Iterator[Figures]:
    """What a result file says, split by split and subset by subset."""
    import mteb
    from mteb.results import TaskResult

    result = TaskResult.from_disk(found.path)
    metadata = mteb.get_task(result.task_name).metadata
    about = (result.task_name, str(metadata.dataset["path"]), result.dataset_revision, metadata.type)
    for split, subsets in result.scores.items():
        for one in subsets:
            scores = {name: one[name] for name in (*MEASURES, "main_score") if isinstance(one.get(name), float | int)}
            yield Figures(*about, metadata.main_score, split, str(one["hf_subset"]), scores)


def all_figures(publication: Publication) -> list[Figures]:
    """What every plain result says, task by task."""
    return [one for found in sorted(publication.results, key=lambda one: one.task) for one in figures(found)]


def results_table(told: list[Figures]) -> Iterator[str]:
    """One row a split and subset, one column a measure that any of them has, the main score marked."""
    names = [name for name in MEASURES if any(name in one.scores for one in told)]
    others = sorted({one.main for one in told} - set(names))
    heads = ["task", "split", *(MEASURES[name] for name in names), *(["main score"] if others else [])]
    rows = []
    for one in told:
        cells = [f"{one.scores[name]:.4f}" if name in one.scores else "" for name in names]
        rest = [f"{one.scores['main_score']:.4f} ({one.main})"] if others else []
        rows.append([one.title, one.split, *cells, *rest])
    yield from table(heads, rows)


def evaluations(told: list[Figures]) -> list[EvalResult]:
    """The hub's model-index: the main score, and what is shown beside it."""
    from huggingface_hub import EvalResult

    found = []
    for one in told:
        values = {one.main: one.scores["main_score"], **one.scores}
        found += [
            EvalResult(
                task_type="text-ranking" if "Reranking" in one.type else "text-retrieval",
                task_name=one.type,
                dataset_type=one.dataset,
                dataset_name=f"{one.task} ({one.subset})",
                dataset_config=one.subset,
                dataset_split=one.split,
                dataset_revision=one.revision,
                metric_type=name,
                metric_name=MEASURES.get(name, name),
                metric_value=value,
                source_name="MTEB",
                source_url="https://github.com/embeddings-benchmark/mteb/",
            )
            for name, value in values.items()
            if name != "main_score"
        ]
    return found


def summary(publication: Publication, told: list[Figures]) -> str:
    """What mteb's leaderboard makes of them: the mean over tasks, and the share of tasks that were not trained on.

    For this model alone: mteb's own table goes through the training data of all its models, which takes seconds.
    """
    by_task: dict[str, list[float]] = {}
    for one in told:
        by_task.setdefault(one.task, []).append(one.scores["main_score"])
    mean = fmean(fmean(values) for values in by_task.values())
    zero_shot = publication.meta.zero_shot_percentage(sorted(by_task))
    share = "cannot be told" if zero_shot is None else f"{zero_shot} %"
    return f"Mean of the main scores: {mean:.4f}. Zero-shot, as mteb counts it: {share}."
