"""What a search gives back: documents with their texts, and what each stage said of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

WHOLE = "whole"
"""The key of a whole search among the milliseconds of its stages."""


@dataclass(frozen=True)
class StageScore:
    """What one stage made of a document.

    Args:
        stage: Its name.
        rank: The document's place in the ranking after this stage, from 1; None where it is not in it.
        score: What that ranking sorts by, blend included; None where the stage did not score the document, because it
            stood beyond the depth or the budget, or the stage could not. A first stage that is a cascade or a funnel
            itself gives all it found a score: below what it scored, one that keeps the order and says no more.
    """

    stage: str
    rank: int | None
    score: float | None


@dataclass(frozen=True)
class Result:
    """A document that was found.

    Args:
        document_id: Its id.
        document_text: Its title and text, as models read them.
        score: What the last ranking sorts by: the same number as mteb gets.
        stages: What every stage said, in their order.
    """

    document_id: str
    document_text: str
    score: float
    stages: tuple[StageScore, ...] = field(default=(), repr=False)

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {**vars(self), "stages": [dict(vars(one)) for one in self.stages]}


class Results(list[Result]):
    """The documents of one query, best first.

    Args:
        results: k documents, or all that were found.
        milliseconds: What each stage took, by name, and the search as a whole as "whole"; of several queries that were
            searched together each one's share.
        depths: How many candidates each step scored, at most.
        capped: Whether the budget kept the last step from scoring as many as its depth.
    """

    def __init__(
        self,
        results: Iterable[Result] = (),
        *,
        milliseconds: Mapping[str, float] | None = None,
        depths: tuple[int, ...] = (),
        capped: bool = False,
    ) -> None:
        super().__init__(results)
        self.milliseconds = dict(milliseconds or {})
        self.depths = depths
        self.capped = capped

    def as_json(self) -> dict[str, Any]:
        """The results and what is known of them, as JSON values."""
        return {
            "results": [one.as_json() for one in self],
            "milliseconds": {name: round(value, 3) for name, value in self.milliseconds.items()},
            "depths": list(self.depths),
            "capped": self.capped,
        }
