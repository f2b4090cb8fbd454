"""One query on its way through a cascade, as values: what stood where after each stage, and where its answers were."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where a document stood after a stage.

    Args:
        rank: From 1.
        score: What it was ranked by, blended where the stage blends; None where the stage did not score it: it kept
            its old order there, below those that were scored.
        own: What the stage itself said of it; None where it said nothing.
    """

    rank: int
    score: float | None
    own: float | None


@dataclass(frozen=True)
class Candidate:
    """A document that is shown of a query.

    Args:
        document: Its id.
        text: Title and text.
        grade: None where nobody judged it.
        is_answer: Whether its grade is relevant.
        is_phantom: Whether the last step lifted it above every answer, from below the best-placed one.
        places: One a stage; None where it is not in the stage's list.
    """

    document: str
    text: str
    grade: int | None
    is_answer: bool
    is_phantom: bool
    places: tuple[Place | None, ...]


@dataclass(frozen=True)
class Answer:
    """A relevant document, found or not.

    Args:
        document: Its id.
        grade: At least the relevance level.
        in_corpus: Whether it could be found at all.
        ranks: Its rank after each stage, from 1; None where it is not in the list.
    """

    document: str
    grade: int
    in_corpus: bool
    ranks: tuple[int | None, ...]


@dataclass(frozen=True)
class Passed:
    """A stage that the query passed.

    Args:
        label: What the stage is called.
        depth: Candidates that it reranked; None of the first stage, which found them.
        blend: b in score + b * score before.
        outcome: What became of rank 1 in this step, one of `values.curves.OUTCOMES`; None of the first stage.
        length: Documents in the list that it handed on.
    """

    label: str
    depth: int | None
    blend: float
    outcome: str | None
    length: int


@dataclass(frozen=True)
class Inspected:
    """A query and what became of it.

    Args:
        query: Its id.
        text: Its text.
        number: Its place in the split, from 1.
        stages: In their order.
        outcome: What became of rank 1 from the first stage to the last; a ranking that nothing reranks keeps or misses.
        candidates: By their rank after the last stage.
        answers: The best-placed first, by the last stage, then by those before.
    """

    query: str
    text: str
    number: int
    stages: tuple[Passed, ...]
    outcome: str
    candidates: tuple[Candidate, ...]
    answers: tuple[Answer, ...]

    @property
    def phantoms(self) -> int:
        """Phantoms among the candidates that are shown."""
        return sum(candidate.is_phantom for candidate in self.candidates)
