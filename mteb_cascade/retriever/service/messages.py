"""What goes over the wire: a question, its answer, the state of the service, a fault."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from mteb_cascade.retriever.result import Results

LONGEST_QUERY = 10_000
"""Characters of a query."""

MOST_RESULTS = 1_000
"""Results of one search."""

Text = Annotated[
    str, Field(min_length=1, max_length=LONGEST_QUERY, description="What is searched for, in plain words.")
]
Count = Annotated[int, Field(ge=1, le=MOST_RESULTS, description="Results wanted; fewer where the index has fewer.")]


class Question(BaseModel):
    """A search."""

    model_config = ConfigDict(extra="forbid", strict=True)

    query: Text
    k: Count = 10


class AddressedQuestion(Question):
    """A search whose parts stand in the address, where a number is text."""

    model_config = ConfigDict(extra="forbid", strict=False)


class StageFigures(BaseModel):
    """What one stage says of a document."""

    stage: str = Field(description="Name of the stage.")
    rank: int | None = Field(description="The document's rank after the stage, from 1; null where it had none.")
    score: float | None = Field(description="The stage's score; null where it did not score the document.")


class Hit(BaseModel):
    """One result."""

    document_id: str
    document_text: str
    score: float
    stages: list[StageFigures] = Field(description="First to last.")


class Answer(BaseModel):
    """The results of a search, best first."""

    query: str
    k: int
    results: list[Hit]
    milliseconds: dict[str, float] = Field(description="Time of each stage, and of the whole.")
    capped: bool = Field(description="Whether a time budget kept the last stage from its full depth.")
    depths: list[int] = Field(description="Documents that each reranking stage scored at most.")

    @classmethod
    def of(cls, question: Question, found: Results) -> Answer:
        """The answer that a search gave."""
        return cls(**question.model_dump(), **found.as_json())


class Health(BaseModel):
    """The state of the service."""

    status: Literal["ok", "stale"] = Field(
        description="stale: the index on disk has changed and cannot be read; searches go on with what was read before."
    )
    model: str
    fingerprint: str = Field(description="SHA-256 of what determines the model's scores.")
    documents: int
    generation: str = Field(description="Digest of what the index holds: another one after every change.")


class Fault(BaseModel):
    """Why a request was refused."""

    error: str = Field(description="One line: what was given, what was expected.")
