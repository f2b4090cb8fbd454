"""One step of a funnel: by which codes documents are compared, and how many are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any, Literal, get_args, get_type_hints

from mteb_cascade.errors import InputError, suggestion

Codes = Literal["hamming", "binary", "int8", "float32"]

CODES: tuple[str, ...] = get_args(Codes)


@dataclass(frozen=True)
class FunnelStep:
    """One step of a funnel.

    | codes | a document is | a query is | 384 dimensions take |
    |---|---|---|---|
    | hamming | the signs of its dimensions | likewise | 48 bytes |
    | binary | the signs of its dimensions | 8-bit numbers | 48 bytes |
    | int8 | 8-bit numbers with one scale | likewise | 388 bytes |
    | float32 | the vector itself | the vector itself | 1,536 bytes |

    Args:
        keep: Documents that it hands on, the best by these codes.
        codes: One of the above; None where faiss searches.
        dimensions: The first so many of the vector, which a model compared by cosine normalises again; None takes all.
        faiss: In place of codes, of the first step alone: a string of faiss' `index_factory`, such as
            "IVF1024,Flat" or "HNSW32".
        parameters: What faiss searches with, such as "nprobe=16".
        gpu: Whether faiss searches on a GPU.

    Raises:
        InputError: The values are not possible together.
    """

    keep: int
    codes: Codes | None = None
    dimensions: int | None = None
    faiss: str | None = None
    parameters: str = ""
    gpu: bool = False

    def __post_init__(self) -> None:
        if self.keep < 1:
            raise InputError(f"keep: expected at least 1, got {self.keep}")
        if self.dimensions is not None and self.dimensions < 1:
            raise InputError(f"dimensions: expected at least 1, got {self.dimensions}")
        if (self.codes is None) == (self.faiss is None):
            raise InputError('a step needs either codes or faiss: codes = "hamming", say')
        if self.codes is not None and self.codes not in CODES:
            raise InputError(f"codes: unknown codes '{self.codes}'. {suggestion(str(self.codes), CODES)}")
        if self.faiss is None and (self.parameters or self.gpu):
            raise InputError("parameters and gpu are for a step with faiss; leave them out, or name a faiss index")

    def __repr__(self) -> str:
        given = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return f"FunnelStep({', '.join(f'{name}={value!r}' for name, value in given.items())})"

    @property
    def options(self) -> dict[str, Any]:
        """What decides which documents it keeps."""
        return {name: value for name, value in asdict(self).items() if name != "gpu"}

    @property
    def kept(self) -> list[Any]:
        """What decides what an index keeps of documents for it."""
        return [self.codes, self.dimensions, self.faiss]

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> FunnelStep:
        """A step from a table of a spec.

        Raises:
            InputError: A key is unknown or missing, a value is of another type, or they are not possible together.
        """
        from mteb_cascade.stages.load import problem

        known = {**get_type_hints(cls), "codes": str}
        for key, value in table.items():
            if key not in known:
                raise InputError(f"unknown key '{key}'. {suggestion(key, known)}")
            if text := problem(known[key], value):
                raise InputError(f"{key}: {text}")
        if "keep" not in table:
            raise InputError("keep: missing; say how many documents the step hands on")
        return cls(**table)


def steps_of(tables: Any) -> tuple[list[FunnelStep], list[str]]:
    """The steps of a spec's [[step]] tables, and the mistakes in them."""
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        return [], ['step: expected one or more [[step]] tables, each with codes = "..." and keep = ...']
    steps: list[FunnelStep] = []
    mistakes: list[str] = []
    for number, table in enumerate(tables, 1):
        try:
            steps.append(FunnelStep.of(table))
        except InputError as error:
            mistakes.append(f"step {number}: {error}")
    if not mistakes:
        try:
            check_steps(tuple(steps))
        except InputError as error:
            mistakes.append(str(error))
    return steps, mistakes


def check_steps(steps: tuple[FunnelStep, ...]) -> None:
    """Raise InputError where there is no step, where a later one keeps more, or where faiss is not the first."""
    if not steps:
        raise InputError('a funnel needs one or more steps, such as [[step]] with codes = "hamming" and keep = 1000')
    for number, (before, step) in enumerate(pairwise(steps), 2):
        if step.faiss is not None:
            raise InputError(f"step {number}: faiss searches the whole corpus: only the first step can")
        if step.keep > before.keep:
            raise InputError(
                f"step {number}: keep: expected at most the {before.keep} of the step before, got {step.keep}"
            )
