"""What came of building or changing an index."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mteb_cascade.retriever.parity import Flips
    from mteb_cascade.store.index.manifest import Manifest

TEXTS = "ids and texts"


@dataclass(frozen=True)
class IndexReport:
    """What an index holds, and what building it took.

    Args:
        name: What was indexed.
        model: What it was indexed with.
        folder: Where.
        precision: What vectors are kept in.
        documents: How many it holds.
        segments: In how many segments.
        sizes: {part: bytes} of its files.
        seconds: What this run took, from the first document to the commit.
        encoded: Documents that this run encoded; the others' segments were there already.
        encoding_seconds: What that took.
        reused: Segments that were there already.
        skipped: Lines that hold no document.
        examples: The first of them, with what is wrong.
        notes: What else there is to know before the first search, a line each.
        flips: How often the best document differs from what float32 finds; None where everything is float32.
        capped_at: Candidates that the last step scores at most, where the model has a budget.
    """

    name: str
    model: str
    folder: Path
    precision: str
    documents: int
    segments: int
    sizes: Mapping[str, int]
    seconds: float
    encoded: int
    encoding_seconds: float
    reused: int = 0
    skipped: int = 0
    examples: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    flips: Flips | None = None
    capped_at: int | None = None

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(self.sizes.values())

    @property
    def bytes_per_document(self) -> float:
        """On average."""
        return self.size / max(self.documents, 1)

    @property
    def documents_per_second(self) -> float | None:
        """Documents encoded in a second; None where none had to be."""
        return self.encoded / self.encoding_seconds if self.encoded and self.encoding_seconds else None

    def as_json(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {
            **asdict(self),
            "folder": str(self.folder),
            "size": self.size,
            "bytes_per_document": self.bytes_per_document,
            "documents_per_second": self.documents_per_second,
        }


@dataclass(frozen=True)
class Changed:
    """What an index holds after a change.

    Args:
        folder: Where.
        documents: How many it holds now.
        size: Its bytes now.
        segments: How many it consists of now.
        added: Documents that are new.
        already_there: Documents that it held before, with the same text.
        removed: Documents that are gone.
        skipped: Lines that hold no document.
        examples: The first of them, with what is wrong.
    """

    folder: Path
    documents: int
    size: int
    segments: int
    added: int = 0
    already_there: int = 0
    removed: int = 0
    skipped: int = 0
    examples: tuple[str, ...] = ()


def sizes_of(manifest: Manifest) -> dict[str, int]:
    """{part: bytes} of an index's files, the texts first, then by model as they stand in the manifest."""
    labels = {part.kept_as[:16]: part.label for part in manifest.parts}
    sizes: dict[str, int] = defaultdict(int)
    for file in manifest.files:
        sizes[part_of(file.path, labels)] += file.size
    return dict(sizes)


def part_of(path: str, labels: Mapping[str, str]) -> str:
    """What a file of an index is called in reports.

    Args:
        path: Relative to the index.
        labels: {first 16 letters of a fingerprint: label of the model}.

    >>> part_of("segments/ab/0123456789abcdef.vectors.scales.npy", {"0123456789abcdef": "our-biencoder"})
    'our-biencoder: vectors'
    >>> part_of("whole/ab/0123456789abcdef/vocab.index.json", {"0123456789abcdef": "our-bm25"})
    'our-bm25'
    """
    file = PurePosixPath(path)
    owner, _, name = file.name.partition(".")
    if owner in labels:
        return f"{labels[owner]}: {name.partition('.')[0]}"
    if file.parent.name in labels:
        return labels[file.parent.name]
    return "order of ids" if file.name in ("order.npy", "tie.npy") else TEXTS
