"""What a candidate set says of itself: who retrieved it, how deep, and from which corpus and queries."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError

KEY = b"mteb_cascade.candidates"
"""Key of the JSON in a Parquet file's schema metadata."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where candidates come from; two files with the same provenance and libraries are the same bytes.

    Args:
        stage: Name, fingerprint and pipeline of the stage that retrieved them.
        depth: Candidates asked for a query.
        task: Name of the task or collection.
        split: Split of the queries.
        subset: Subset of the task, where it has several.
        corpus_digest: xxh3-128 of the corpus's ids and texts.
        documents: Size of the corpus.
        queries_digest: xxh3-128 of the queries' ids and texts.
        queries: Number of queries.
        versions: Versions of what decides scores.
    """

    stage: Mapping[str, Any]
    depth: int
    task: str
    split: str
    subset: str = "default"
    corpus_digest: str
    documents: int
    queries_digest: str
    queries: int
    versions: Mapping[str, str]

    @classmethod
    def of(cls, corpus: Corpus, queries: Queries, **known: Any) -> Provenance:
        """The provenance of candidates from this corpus for these queries; `known` are the other fields."""
        return cls(
            corpus_digest=corpus.digest,
            documents=len(corpus),
            queries_digest=queries.digest,
            queries=len(queries),
            **known,
        )

    def as_metadata(self) -> dict[bytes, bytes]:
        """As Parquet schema metadata."""
        return {KEY: json.dumps(asdict(self), sort_keys=True, default=str).encode()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[bytes, bytes] | None, path: Path) -> Provenance | None:
        """What a Parquet file says of itself; None where it says nothing.

        Raises:
            InputError: It says something that cannot be read.
        """
        if not metadata or KEY not in metadata:
            return None
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(cls).validate_json(metadata[KEY], strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            reason = ": ".join([*map(str, first["loc"]), first["msg"]])
            raise InputError(
                f"{path}: its '{KEY.decode()}' metadata cannot be read ({reason}); write it anew with "
                "`mteb-cascade candidates`"
            ) from None

    @property
    def asked(self) -> str:
        """Which queries, in words."""
        subset = f", {self.subset}" if self.subset != "default" else ""
        return f"the {self.queries:,} queries of {self.task}{subset}, {self.split}"

    def refuse_other(self, corpus: Corpus, path: Path) -> None:
        """Raise InputError where this is not the corpus that the candidates came from."""
        if corpus.digest != self.corpus_digest:
            raise InputError(
                f"{path}: was made for another corpus: {self.task} with {self.documents:,} documents, digest "
                f"{self.corpus_digest[:12]}; this one has {len(corpus):,}, digest {corpus.digest[:12]}. Use it on that "
                f"corpus, or make candidates of this one: `mteb-cascade candidates {self.stage.get('name') or 'NAME'} "
                f"-t TASK -k {self.depth} -o FILE.parquet`"
            )

    def warn_if_deeper(self, depth: int, path: Path) -> None:
        """Say so where more candidates are asked for than the file can hold."""
        if self.depth < min(depth, self.documents):
            warnings.warn(
                f"{path}: holds the first {self.depth:,} candidates of a query; {depth:,} were asked for, and what "
                "lies deeper is not in it",
                stacklevel=3,
            )
