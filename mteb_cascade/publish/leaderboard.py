"""The result files of the public leaderboard, old and new, read without mteb."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from mteb_cascade.corpora.query_figures import BESIDE
from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.json_file import parsed
from mteb_cascade.spec import shown
from mteb_cascade.values.measures import Measure

META = "model_meta.json"
EXPERIMENTS = "experiments"

KEYS = {
    "ndcg": ("ndcg_at_{k}",),
    "recall": ("recall_at_{k}",),
    "mrr": ("mrr_at_{k}",),
    "success": ("hit_rate_at_{k}",),
}
"""Our measures as mteb spells them."""

FIRST_RANK = ("precision_at_1", "mrr_at_1")
"""What success@1 is called in files older than hit_rate: the same figure; mteb's own MRR breaks ties in its own way."""


def default_folder() -> Path:
    """Where mteb keeps its clone of the public results."""
    return Path(os.environ.get("MTEB_CACHE") or "~/.cache/mteb").expanduser() / "remote" / "results"


@dataclass(frozen=True)
class Scores:
    """One task's file.

    Args:
        path: The file.
        splits: {split: {subset: what mteb measured}}.
        date: When it was made, in seconds since 1970; of files that do not say, when they were written.
    """

    path: Path
    splits: Mapping[str, Mapping[str, Mapping[str, Any]]]
    date: float

    def subsets(self, split: str, subsets: Sequence[str] = ()) -> list[Mapping[str, Any]]:
        """What was measured on these subsets, or on all; none where the split or one of them is missing."""
        held = self.splits.get(split, {})
        return [held[subset] for subset in subsets or held] if set(subsets) <= set(held) else []

    def level(self, split: str) -> int:
        """From which grade on a document counted: 1, but in a result of ours that says otherwise."""
        return max((scores.get("relevance_level", 1) for scores in self.subsets(split)), default=1)

    def mean(self, split: str, measure: str, subsets: Sequence[str] = ()) -> float | None:
        """A measure over these subsets, or all, each counting the same, as in mteb; None where one lacks it."""
        found = [value_of(scores, Measure.parse(measure)) for scores in self.subsets(split, subsets)]
        there = [value for value in found if value is not None]
        return sum(there) / len(there) if there and len(there) == len(found) else None


def value_of(scores: Mapping[str, Any], measure: Measure) -> float | None:
    """A measure among those of a file; None where it is not there: nothing is made up from others.

    >>> value_of({"precision_at_1": 0.5, "ndcg_at_10": 0.7}, Measure("success", 1))
    0.5
    """
    keys = [key.format(k=measure.cutoff) for key in KEYS.get(measure.kind, ())]
    keys += FIRST_RANK if (measure.kind, measure.cutoff) == ("success", 1) else ()
    values = [scores[key] for key in keys if isinstance(scores.get(key), int | float) and isfinite(scores[key])]
    return float(values[0]) if values else None


@dataclass(frozen=True)
class Published:
    """One revision of a published model.

    Args:
        name: `org/name`.
        revision: As its folder is called; of an experiment with `experiments/...` behind it.
        folder: Where its files are.
        passed_over: Other revisions that have results for what was asked, all of them older.
    """

    name: str
    revision: str
    folder: Path
    passed_over: tuple[str, ...] = ()

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks that it has results of."""
        return sorted(path.stem for path in result_files(self.folder))

    def scores(self, task: str) -> Scores | None:
        """Its result of a task; None where there is none.

        Raises:
            InputError: The file is no result of mteb, or is cut off.
        """
        path = self.folder / f"{task}.json"
        return read(path) if path.is_file() else None

    @property
    def meta(self) -> Mapping[str, Any]:
        """What its model_meta.json says; {} where it has none.

        Raises:
            InputError: The file is cut off.
        """
        path = self.folder / META
        found = parsed(path, "mteb's description of a model; fetch or make it again") if path.is_file() else {}
        return found if isinstance(found, dict) else {}

    @property
    def parameters(self) -> int | None:
        """How many it has, where it says."""
        value = self.meta.get("n_parameters")
        return int(value) if isinstance(value, int | float) and value > 0 else None

    @property
    def megabytes(self) -> float | None:
        """Memory of its weights, where it says."""
        value = self.meta.get("memory_usage_mb")
        return float(value) if isinstance(value, int | float) and value > 0 else None


@dataclass(frozen=True)
class Leaderboard:
    """A folder of results: `<org__name>/<revision>/<Task>.json`, in it or in its `results`.

    Args:
        folder: The folder.
        named: Whether somebody named it: then it has to hold something.
    """

    folder: Path
    named: bool = True

    def models(self) -> dict[str, Path]:
        """{org/name: its folder}.

        Raises:
            InputError: A folder that was named does not exist, or holds no results.
        """
        found = {
            name: path
            for place in (self.folder / "results", self.folder)
            for path in (sorted(place.iterdir()) if place.is_dir() else ())
            if "__" in path.name and any(revisions(path))
            for name in [path.name.replace("__", "/", 1)]
        }
        if self.named and not found:
            what = "holds no results" if self.folder.is_dir() else "is no folder"
            raise InputError(
                f"{shown(self.folder)}: {what}; expected <org__name>/<revision>/<Task>.json as in the public results "
                "repository, which `mteb.ResultCache().download_from_remote()` fetches"
            )
        return found

    def find(self, name: str, tasks: Collection[str]) -> Published | None:
        """A published model: the newest of its revisions that have one of these tasks.

        Args:
            name: `org/name`, or `org/name@revision`; an experiment is `org/name@revision/experiments/...`.
            tasks: Names of published tasks.

        Returns:
            The revision; None where there is no such model.

        Raises:
            InputError: There is the model, but not the revision, or none of the tasks.
        """
        name, _, wanted = name.partition("@")
        held = self.models()
        if name not in held:
            return None
        known = dict(revisions(held[name])) | dict(experiments(held[name]))
        if wanted and wanted not in known:
            raise InputError(f"{name} has no revision '{wanted}' in {shown(self.folder)}. {suggestion(wanted, known)}")
        plain = {wanted: known[wanted]} if wanted else {one: known[one] for one in known if EXPERIMENTS not in one}
        dates = {
            revision: max(read(folder / f"{task}.json").date for task in there)
            for revision, folder in plain.items()
            if (there := [task for task in tasks if (folder / f"{task}.json").is_file()])
        }
        if not dates:
            raise InputError(self.lacking(name, wanted, known, tasks))
        newest, *older = sorted(dates, key=lambda revision: (dates[revision], revision), reverse=True)
        return Published(name, newest, known[newest], tuple(older))

    def lacking(self, name: str, wanted: str, known: Mapping[str, Path], tasks: Collection[str]) -> str:
        """What to say where a model has none of the tasks."""
        looked_at = [known[wanted]] if wanted else list(known.values())
        has = sorted({path.stem for folder in looked_at for path in result_files(folder)})
        only = [one for one in known if EXPERIMENTS in one and any((known[one] / f"{t}.json").is_file() for t in tasks)]
        hint = f". Experiments have it: name one as {name}@{only[0]}" if only and not wanted else ""
        at = f"{name}@{wanted}" if wanted else name
        return f"{at} has no result of {', '.join(tasks)} in {shown(self.folder)}; it has {', '.join(has)}{hint}"


def revisions(model: Path) -> Iterator[tuple[str, Path]]:
    """Revision and folder of a model's results; a revision may have nothing but experiments."""
    for folder in sorted(model.iterdir()) if model.is_dir() else ():
        if folder.is_dir() and (any(result_files(folder)) or (folder / EXPERIMENTS).is_dir()):
            yield folder.name, folder


def experiments(model: Path) -> Iterator[tuple[str, Path]]:
    """As `revisions`, of results that were made with other than the model's own options."""
    for revision, folder in revisions(model):
        for path in sorted((folder / EXPERIMENTS).rglob("*")):
            if path.is_dir() and path.name != BESIDE and any(result_files(path)):
                yield f"{revision}/{path.relative_to(folder).as_posix()}", path


def result_files(folder: Path) -> Iterator[Path]:
    """The files of a folder that are named as results."""
    return (path for path in folder.glob("*.json") if path.name != META)


def read(path: Path) -> Scores:
    """One result.

    Raises:
        InputError: The file is no result of mteb, or is cut off.
    """
    found = parsed(path, "a result of mteb; fetch or make it again")
    try:
        splits = {
            str(split): {str(one.get("hf_subset", "default")): dict(one) for one in scores}
            for split, scores in found["scores"].items()
        }
        if not all(isinstance(one.get("relevance_level", 1), int) for held in splits.values() for one in held.values()):
            raise TypeError
        date = found.get("date")
        return Scores(path, splits, float(date) if isinstance(date, int | float) else path.stat().st_mtime)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise InputError(
            f"{shown(path)}: is no result of mteb: expected scores by split, each a list of subsets"
        ) from None
