from __future__ import annotations

import os

import numpy as np
import pytest

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.stages import document_vectors
from mteb_cascade.stages.document_vectors import DocumentVectors
from mteb_cascade.store.vectors import StoredVectors

CORPUS = Corpus.of([str(row) for row in range(10)], [f"text {row}" for row in range(10)])


class Encoder:
    """Vectors that tell their text, and which texts were asked for."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def __call__(self, texts: list[str]) -> np.ndarray:
        rows = [int(text.split()[1]) for text in texts]
        self.asked.append(rows)
        return np.array([[row, row / 3] for row in rows], np.float32)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(document_vectors, "ROWS", 4)


def at(vectors: DocumentVectors, rows: list[int], encode: Encoder) -> None:
    np.testing.assert_array_equal(vectors.at(np.array(rows), encode), Encoder()([f"text {row}" for row in rows]))


@pytest.mark.parametrize("stored", [False, True])
def test_each_document_is_encoded_once_whole_blocks_alone(tmp_path, stored):
    encode = Encoder()
    vectors = DocumentVectors(CORPUS, StoredVectors(tmp_path) if stored else None)
    at(vectors, [9, 5, 0, 1, 5], encode)  # half of the first block, all but one of the last, one of the second
    assert encode.asked == [[0, 1, 2, 3], [8, 9], [5]]
    at(vectors, [*range(10)], encode)
    assert encode.asked[3:] == [[4, 6, 7]]
    at(vectors, [7, 3, 8, 4], encode)
    assert len(encode.asked) == 4


def test_whole_blocks_come_back_to_the_bit_and_a_killed_encoding_goes_on(tmp_path):
    first, second = Encoder(), Encoder()
    at(DocumentVectors(CORPUS, StoredVectors(tmp_path)), [0, 1, 2, 3, 4, 5, 6, 7], first)
    vectors = DocumentVectors(CORPUS, StoredVectors(tmp_path))
    at(vectors, [*range(10)], second)
    assert second.asked == [[8, 9]]
    assert not vectors._values(0).flags.owndata
    assert len(list(tmp_path.iterdir())) == 3


def test_a_damaged_block_is_named_and_encoded_again(tmp_path):
    at(DocumentVectors(CORPUS, StoredVectors(tmp_path)), [*range(10)], Encoder())
    path = next(path for path in tmp_path.iterdir() if path.name.startswith("000001"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    again = Encoder()
    with pytest.warns(UserWarning, match=f"{path.name}: is damaged; .* and its documents are encoded again"):
        at(DocumentVectors(CORPUS, StoredVectors(tmp_path)), [*range(10)], again)
    assert again.asked == [[4, 5, 6, 7]]
    assert path.exists()


def test_a_block_of_another_length_is_not_used(tmp_path):
    StoredVectors(tmp_path).write(0, np.zeros((3, 2), np.float32))
    with pytest.warns(UserWarning, match=r"is no block of vectors \(expected float32 \[4, d\], got float32 \[3, 2\]\)"):
        at(DocumentVectors(CORPUS, StoredVectors(tmp_path)), [0, 1, 2, 3], Encoder())


def test_where_nothing_can_be_written_they_stay_in_memory(tmp_path):
    (tmp_path / "file").write_text("")
    encode = Encoder()
    vectors = DocumentVectors(CORPUS, StoredVectors(tmp_path / "file" / "folder"))
    with pytest.warns(UserWarning, match="vectors cannot be stored"):
        at(vectors, [*range(10)], encode)
    at(vectors, [*range(10)], encode)
    assert encode.asked == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_more_blocks_than_a_process_may_have_files_open(tmp_path):
    import resource

    corpus = Corpus.of([str(row) for row in range(400)], [f"text {row}" for row in range(400)])
    expected = DocumentVectors(corpus, StoredVectors(tmp_path)).at(np.arange(400), Encoder())
    _, most = limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 30, most))
    try:
        again = Encoder()
        found = DocumentVectors(corpus, StoredVectors(tmp_path)).at(np.arange(400), again)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert not again.asked
    np.testing.assert_array_equal(found, expected)
