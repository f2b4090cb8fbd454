"""A small index whose arrays tell their documents, changed as a builder would."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.store.index.index import Index
from mteb_cascade.store.index.manifest import Manifest, Part, read
from mteb_cascade.store.index.writer import Writer

ROWS, ENTRIES, WHOLE = "a1" * 32, "b2" * 32, "c3" * 32
"""Fingerprints of a stage with a vector a document, of one with entries of a document, of one with a file for all."""

Document = tuple[str, str]


def vector(document: Document) -> list[float]:
    """Tells the document's letters."""
    return [float(sum(map(ord, "".join(document)))), float(len(document[1]))]


def entries(document: Document) -> list[list[int]]:
    """One a letter of the id but the first, so that some documents have none."""
    return [[ord(letter) % 128, at] for at, letter in enumerate(document[0][1:])]


def kept(documents: Sequence[Document]) -> dict[str, dict[str, np.ndarray]]:
    """What an index keeps of them."""
    tokens = [entries(document) for document in documents]
    return {
        ROWS: {"vectors": np.array([vector(one) for one in documents], np.float32)},
        ENTRIES: {
            "tokens": np.array([entry for one in tokens for entry in one], np.int8).reshape(-1, 2),
            "tokens.scales": np.array([entry[1] for one in tokens for entry in one], np.float16),
            "tokens.lengths": np.array([len(one) for one in tokens], np.int32),
        },
    }


def table(documents: Sequence[Document]) -> pa.Table:
    return pa.table({"id": [one[0] for one in documents], "text": [one[1] for one in documents]})


def write_ids(corpus: Corpus, folder: Path) -> None:
    """What the third stage keeps of all documents together."""
    ids = corpus.ids_at(np.argsort(corpus.tie))
    (folder / "ids.txt").write_text("\n".join(ids), encoding="utf-8")


class Small:
    """An index in a folder.

    Args:
        folder: Where.
        rows: Documents of a segment.
    """

    def __init__(self, folder: Path, rows: int = 4) -> None:
        self.folder, self.rows = folder, rows
        self.encoded: list[str] = []

    def writer(self, folder: Path | None = None) -> Writer:
        parts = [Part("small", ROWS, ROWS, {"kind": "made-up"})]
        return Writer(
            folder or self.folder,
            model="small",
            fingerprint="f0" * 32,
            parts=parts,
            keepers=[ROWS, ENTRIES],
            precision="float32",
        )

    def encode(self, documents: Sequence[Document]) -> Callable[[], Iterator[Mapping[str, Any]]]:
        """Two documents at a time; `encoded` tells of which documents that was asked."""

        def blocks() -> Iterator[Mapping[str, Any]]:
            for start in range(0, len(documents), 2):
                self.encoded += [identity for identity, _ in documents[start : start + 2]]
                yield kept(documents[start : start + 2])

        return blocks

    def written(self, writer: Writer, documents: Sequence[Document]) -> list[Any]:
        """Segments of these documents."""
        slices = [documents[start : start + self.rows] for start in range(0, len(documents), self.rows)]
        return [writer.segment(table(one), self.encode(one))[0] for one in slices]

    def commit(self, writer: Writer, segments: Sequence[Any]) -> Manifest:
        return writer.commit(segments, facts={"source": "made up"}, build={WHOLE: write_ids})

    def build(self, documents: Sequence[Document]) -> Manifest:
        with self.writer() as writer:
            return self.commit(writer, self.written(writer, documents))

    def add(self, documents: Sequence[Document]) -> Manifest:
        with Writer.of(self.folder) as writer:
            return self.commit(writer, [*read(self.folder).segments, *self.written(writer, documents)])

    def remove(self, ids: Sequence[str]) -> Manifest:
        with Writer.of(self.folder) as writer:
            index = Index.open(self.folder)
            segments = list(index.manifest.segments)
            for number, gone in index.removed_with(index.corpus.rows(ids)).items():
                segments[number] = writer.removed(segments[number], gone)
            return self.commit(writer, segments)

    def compact(self) -> Manifest:
        with Writer.of(self.folder) as writer:
            index = Index.open(self.folder)
            segments = []
            for first in range(0, len(index.corpus), self.rows):
                last = min(first + self.rows, len(index.corpus))
                copied = index.taken(first, last, rows=3)
                segments.append(writer.segment(index.corpus.documents(first, last), lambda copied=copied: copied)[0])
            return self.commit(writer, segments)

    def open(self, **options: Any) -> Index:
        return Index.open(self.folder, **options)


def same_as_a_plain_list(index: Index, documents: Sequence[Document]) -> None:
    """Compare all that an index answers with a list of its documents."""
    corpus, plain = index.corpus, Corpus.of([one[0] for one in documents], [one[1] for one in documents])
    everything = np.arange(len(documents))
    assert len(corpus) == len(documents) == index.manifest.documents
    assert corpus.ids.equals(plain.ids)
    assert corpus.texts.equals(plain.texts)
    np.testing.assert_array_equal(corpus.tie, plain.tie)
    backwards = everything[::-1]
    assert corpus.ids_at(backwards) == [one[0] for one in documents[::-1]]
    assert corpus.texts_at(backwards) == [one[1] for one in documents[::-1]]
    assert [corpus.id_of(int(row)) for row in everything] == [one[0] for one in documents]
    assert corpus.lengths_at(everything).tolist() == [len(one[1].encode()) for one in documents]
    assert [corpus.row_of(one[0].encode()) for one in documents] == everything.tolist()
    assert corpus.rows(["no such id"]).tolist() == [-1]
    whole = index.whole(WHOLE)
    assert whole is not None
    assert (whole / "ids.txt").read_text(encoding="utf-8") == "\n".join(sorted(one[0] for one in documents))
    if not documents:
        return
    expected = kept(documents)
    rows, tokens = index.arrays(ROWS), index.arrays(ENTRIES)
    assert rows is not None
    assert tokens is not None
    np.testing.assert_array_equal(rows.at("vectors", backwards), expected[ROWS]["vectors"][::-1])
    found = tokens.entries_at("tokens", backwards)
    assert [one.tolist() for one in found] == [entries(one) for one in documents[::-1]]
    for arrays, of in ((rows, expected[ROWS]), (tokens, expected[ENTRIES])):
        blocks = list(arrays.blocks(*arrays.names, rows=3))
        assert [block.first for block in blocks] == np.cumsum([0, *(block.rows for block in blocks)])[:-1].tolist()
        for name in arrays.names:
            np.testing.assert_array_equal(np.concatenate([block.arrays[name] for block in blocks]), of[name])


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    """An index that is not there yet; nothing waits for the disk."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    return Small(tmp_path / "index")


@pytest.fixture
def documents() -> list[Document]:
    """Ten documents, ids not in their order, texts of more than one byte a letter among them."""
    return [(f"{(7 * row) % 10}{'x' * (row % 3)}", f"text {row}" + "é" * row) for row in range(10)]


@pytest.fixture(scope="session")
def small_in() -> type[Small]:
    """Makes such an index in a folder."""
    return Small


@pytest.fixture(scope="session")
def same() -> Callable[[Index, Sequence[Document]], None]:
    """Compares an index with a list of documents."""
    return same_as_a_plain_list
