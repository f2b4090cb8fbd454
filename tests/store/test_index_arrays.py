"""Arrays over segments and holes, by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from mteb_cascade.store.index import arrays as arrays_module
from mteb_cascade.store.index.manifest import read

ROWS, ENTRIES = "a1" * 32, "b2" * 32


@pytest.fixture
def index(small):
    """Documents 0 to 9 in segments of four, without 1, 4 and 9; each has as many entries as its number is odd."""
    small.build([(f"{row}" + "x" * (row % 2), "t" * row) for row in range(10)])
    small.remove(["1x", "4", "9x"])
    return small.open()


def test_rows_are_those_of_live_documents(index):
    assert index.corpus.ids_at(np.arange(7)) == ["0", "2", "3x", "5x", "6", "7x", "8"]
    lengths = index.arrays(ROWS).at("vectors", np.array([6, 0, 3]))[:, 1]
    assert lengths.tolist() == [8, 0, 5]


def test_rows_of_any_shape(index):
    found = index.arrays(ROWS).at("vectors", np.array([[0, 1], [5, 5]]))
    assert found.shape == (2, 2, 2)
    assert found[..., 1].tolist() == [[0, 2], [7, 7]]


def test_entries_follow_their_lengths_and_views_are_not_copied(index):
    tokens = index.arrays(ENTRIES)
    found = tokens.entries_at("tokens", np.array([3, 0, 5]))
    assert [one.tolist() for one in found] == [[[ord("x"), 0]], [], [[ord("x"), 0]]]
    assert not any(one.flags.owndata for one in found)
    assert [one.tolist() for one in tokens.entries_at("tokens.scales", np.array([3, 0]))] == [[0.0], []]
    assert tokens.at("tokens.lengths", np.arange(7)).tolist() == [0, 0, 1, 1, 0, 1, 0]


def test_a_row_that_is_not_there_and_an_unknown_array(index):
    vectors = index.arrays(ROWS)
    for row in (-1, 7):
        with pytest.raises(IndexError, match="of an index of 7 documents"):
            vectors.at("vectors", np.array([row]))
    with pytest.raises(KeyError, match="keeps no 'codes'"):
        vectors.at("codes", np.array([0]))
    with pytest.raises(KeyError, match="has a row a document, not entries"):
        vectors.entries_at("vectors", np.array([0]))
    assert index.arrays("d4" * 32) is None
    assert index.whole("d4" * 32) is None


def test_blocks_are_of_live_documents_only(index):
    blocks = list(index.arrays(ROWS).blocks("vectors"))
    assert [(block.first, block.arrays["vectors"][:, 1].tolist()) for block in blocks] == [
        (0, [0, 2, 3]),
        (3, [5, 6, 7]),
        (6, [8]),
    ]
    some = list(index.arrays(ROWS).blocks("vectors", rows=2, first=2, last=6))
    assert [(block.first, block.arrays["vectors"][:, 1].tolist()) for block in some] == [
        (2, [3]),
        (3, [5, 6]),
        (5, [7]),
    ]


def test_few_holes_are_stepped_over_without_a_copy(index, monkeypatch):
    monkeypatch.setattr(arrays_module, "STRETCH", 1)
    blocks = list(index.arrays(ENTRIES).blocks("tokens", "tokens.lengths"))
    assert [(block.first, block.rows, len(block.arrays["tokens"])) for block in blocks] == [
        (0, 1, 0),
        (1, 2, 1),
        (3, 3, 2),
        (6, 1, 0),
    ]
    assert not any(block.arrays["tokens"].flags.owndata for block in blocks)


def test_documents_without_any_entry(small):
    small.build([("a", "text"), ("b", "text")])
    tokens = small.open().arrays(ENTRIES)
    assert [one.shape for one in tokens.entries_at("tokens", np.array([0, 1]))] == [(0, 2), (0, 2)]
    assert next(tokens.blocks("tokens")).arrays["tokens"].shape == (0, 2)


def test_what_was_removed_before_stays_removed(index):
    gone = index.removed_with(np.array([0, 6]))
    assert {number: offsets.tolist() for number, offsets in gone.items()} == {0: [0, 1], 2: [0, 1]}


def test_a_segment_that_keeps_other_arrays_is_refused(small):
    small.build([("a", "text")])
    with small.writer() as writer:
        kept = {ROWS: {"vectors": np.zeros((1, 3), np.float32)}}
        other = writer.segment(pa.table({"id": ["b"], "text": ["text"]}), lambda: iter([kept]))[0]
        with pytest.raises(ValueError, match="keeps other arrays than the segments before it"):
            small.commit(writer, [*read(small.folder).segments, other])
    assert small.open().corpus.ids.to_pylist() == ["a"]
