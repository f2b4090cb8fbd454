"""What is published: a model as mteb describes it, its results, and what still stands in the way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mteb_cascade.errors import in_one_line

if TYPE_CHECKING:
    from mteb.models.model_meta import ModelMeta

    from mteb_cascade.spec import Spec
    from mteb_cascade.stages.base import Stage


@dataclass(frozen=True)
class Fault:
    """Something that a reviewer would send back.

    Args:
        where: A file, and the table and key in it: "models/our-reranker.toml [card] license".
        what: What is wrong there.
        remedy: What to do.
    """

    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return in_one_line(f"{self.where}: {self.what}. {self.remedy[:1].upper()}{self.remedy[1:]}")


@dataclass(frozen=True)
class Found:
    """A result file of mteb's.

    Args:
        path: The file.
        task: The task that the file is called after.
        folder: The model's folder, `org__name`.
        revision: The folder below it; of a model of ours the fingerprint that it had.
        provenance: What the evaluation wrote beside it; None where it wrote nothing.
        experiment: The folder below experiments/ of a result with overrides; None of a plain one.
    """

    path: Path
    task: str
    folder: str
    revision: str
    provenance: dict[str, Any] | None = None
    experiment: str | None = None


@dataclass(frozen=True)
class Publication:
    """A model, described for the leaderboard, and its results.

    Args:
        spec: What the model was built from.
        stage: The model.
        meta: What mteb is told of it. Its revision is the hub's commit for a single model with weights, the
            fingerprint for a cascade, a hybrid or a lexical model.
        results: Of the plain model, at this fingerprint, on tasks that the leaderboard has.
        experiments: Of overrides, on the same tasks.
        faults: Everything that a reviewer would send back.
        notes: What was left out, and why.
    """

    spec: Spec
    stage: Stage
    meta: ModelMeta
    results: tuple[Found, ...]
    experiments: tuple[Found, ...] = ()
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
