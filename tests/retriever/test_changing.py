from __future__ import annotations

import os

import numpy as np
import pytest

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.documents import documents_of
from mteb_cascade.errors import InputError
from mteb_cascade.retriever.building import build
from mteb_cascade.retriever.changing import add, compact, regrouped, remove, to_rewrite, verify
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.stages.hybrid import Hybrid
from mteb_cascade.store.index.index import Index
from mteb_cascade.store.index.manifest import Segment, StoredFile
from mteb_cascade.store.switch import bypassed


def part(drawn, first, last):
    rows = drawn.rows[first:last]
    return Corpus.of([row["_id"] for row in rows], [row["text"] for row in rows], [row["title"] for row in rows])


def answers(stage, folder, drawn, k=20):
    over = stage.over(Index.open(folder))
    with bypassed():
        run = over.retrieved(Queries(tuple(map(str, range(12))), drawn.queries), k)
    return run.as_dict()


def live(folder):
    corpus = Index.open(folder).corpus
    return corpus.ids_at(np.arange(len(corpus)))


@pytest.mark.parametrize("make", ["bm25", "tfidf", "static", "sparse", "late-interaction", "cascade"], indirect=True)
def test_an_index_that_was_changed_answers_as_one_that_was_made_of_what_is_left(make, drawn, tmp_path):
    stage, folder = make(), tmp_path / "index"
    build(stage, documents_of(part(drawn, 0, 25)), folder, segment_rows=10)
    changed = add(folder, documents_of(part(drawn, 20, 45)), stage, segment_rows=8)
    assert (changed.documents, changed.added, changed.already_there) == (45, 20, 5)
    changed = remove(folder, ["d3", "d30", "d3", "d44"], stage)
    assert (changed.documents, changed.removed) == (42, 3)
    left = [row for row in drawn.rows[:45] if row["_id"] not in ("d3", "d30", "d44")]
    assert live(folder) == [row["_id"] for row in left]
    fresh = tmp_path / "fresh"
    ids, texts, titles = ([row[key] for row in left] for key in ("_id", "text", "title"))
    build(stage, documents_of(Corpus.of(ids, texts, titles)), fresh, segment_rows=10)
    expected = answers(stage, fresh, drawn)

    def same():
        found = answers(stage, folder, drawn)
        for query, scores in expected.items():
            assert found[query] == pytest.approx(scores, abs=1e-4, rel=1e-5)

    same()
    before = changed.segments
    changed = compact(folder, stage, segment_rows=10)
    assert (changed.documents, changed.segments, before) == (42, 5, 6)
    assert not any(segment.removed_rows for segment in Index.open(folder).manifest.segments)
    assert live(folder) == ids
    same()
    assert compact(folder, stage, segment_rows=10) == changed
    assert verify(folder).documents == 42


class NeverEncodes(BiEncoder):
    kind = "bi-encoder"

    def encode_documents(self, texts):
        raise AssertionError(texts)


def test_documents_that_are_there_are_not_encoded_again(tiny_static, drawn, tmp_path):
    folder = tmp_path / "index"
    build(BiEncoder(model=str(tiny_static)), documents_of(part(drawn, 0, 20)), folder)
    before = (folder / "manifest.json").read_bytes()
    assert add(folder, documents_of(part(drawn, 5, 15)), BiEncoder(model=str(tiny_static))).already_there == 10
    assert (folder / "manifest.json").read_bytes() == before


def test_compacting_encodes_nothing(tiny_static, drawn, tmp_path, monkeypatch):
    folder, stage = tmp_path / "index", BiEncoder(model=str(tiny_static))
    build(stage, documents_of(part(drawn, 0, 20)), folder, precision="int8", segment_rows=6)
    remove(folder, ["d0", "d7"])
    held = Index.open(folder).arrays(stage.fingerprint)
    expected = {name: held.at(name, np.arange(18)) for name in held.names}
    monkeypatch.setattr(BiEncoder, "encode_documents", NeverEncodes.encode_documents)
    assert compact(folder, segment_rows=10).segments == 2
    arrays = Index.open(folder).arrays(stage.fingerprint)
    for name, values in expected.items():
        np.testing.assert_array_equal(arrays.at(name, np.arange(18)), values)


def test_the_same_id_with_another_text_is_refused_before_anything_is_encoded(tiny_static, drawn, tmp_path):
    folder, stage = tmp_path / "index", BiEncoder(model=str(tiny_static))
    build(stage, documents_of(part(drawn, 0, 20)), folder)
    other = Corpus.of(["new", "d3"], ["red fox", "another text"])
    with pytest.raises(InputError, match="document 'd3' is in the index with another text; remove that one first"):
        add(folder, documents_of(other), stage)
    assert live(folder) == [row["_id"] for row in drawn.rows[:20]]
    remove(folder, ["d3"], stage)
    assert add(folder, documents_of(other), stage).added == 2
    assert live(folder)[-2:] == ["new", "d3"]


def test_unknown_ids_remove_nothing(drawn, tmp_path):
    folder = tmp_path / "index"
    build(BM25(), documents_of(part(drawn, 0, 20)), folder)
    with pytest.raises(InputError, match=r"holds no document 'x \[31m', 'y', 'z', 'u', 'v' and 1 more; nothing is"):
        remove(folder, ["d1", "x\x1b[31m", "y", "z", "u", "v", "w"], BM25())
    with pytest.raises(InputError, match="no document to remove"):
        remove(folder, [], BM25())
    assert len(live(folder)) == 20


def test_all_documents_can_go_and_others_come(drawn, tmp_path):
    folder = tmp_path / "index"
    build(BM25(), documents_of(part(drawn, 0, 5)), folder)
    assert remove(folder, [f"d{row}" for row in range(5)], BM25()).documents == 0
    assert not any(answers(BM25(), folder, drawn).values())
    assert add(folder, documents_of(part(drawn, 0, 5)), BM25()).documents == 5


def test_another_model_is_refused(tiny_static, tiny_bi_encoder, drawn, tmp_path):
    folder = tmp_path / "index"
    build(Hybrid(BM25(), BiEncoder(model=str(tiny_static)), pool=5), documents_of(part(drawn, 0, 5)), folder)
    more = documents_of(part(drawn, 5, 9))
    with pytest.raises(InputError, match="was not made for"):
        add(folder, more, Hybrid(BM25(), BiEncoder(model=str(tiny_bi_encoder)), pool=5))
    with pytest.raises(InputError, match="was not made for"):
        remove(folder, ["d1"], Hybrid(BM25(k1=0.3), BiEncoder(model=str(tiny_static)), pool=5))
    with pytest.raises(InputError, match=r"the model that it was made from cannot be loaded here.*--model"):
        add(folder, more)
    assert len(live(folder)) == 5


def test_a_part_of_the_model_may_not_change_the_index(tiny_static, tiny_cross_encoder, drawn, tmp_path):
    """It would leave out what the rest of the model keeps."""
    folder, dense = tmp_path / "index", BiEncoder(model=str(tiny_static))
    model = Hybrid(BM25(), dense, pool=5)
    build(model, documents_of(part(drawn, 0, 5)), folder)
    add(folder, documents_of(part(drawn, 5, 9)), model)
    reranker = CrossEncoder(model=str(tiny_cross_encoder))
    for other, lacking in ((BM25(), "bi-encoder"), (dense, "bm25"), (reranker, "bm25, bi-encoder")):
        with pytest.raises(InputError, match=rf"makes nothing for {lacking}, which the index keeps; change it with"):
            add(folder, documents_of(part(drawn, 5, 12)), other)
    for other in (dense, reranker):
        with pytest.raises(InputError, match="makes nothing for bm25"):
            remove(folder, ["d1"], other)
        with pytest.raises(InputError, match="makes nothing for bm25"):
            compact(folder, other)
    assert len(live(folder)) == 9
    assert any(answers(model, folder, drawn).values())


def test_damage_is_not_copied(drawn, tmp_path):
    """It would look whole from then on, having a checksum of its own."""
    folder = tmp_path / "index"
    build(BM25(), documents_of(part(drawn, 0, 5)), folder)
    add(folder, documents_of(part(drawn, 5, 9)), BM25())
    path = next(folder.glob("segments/*/documents.arrow"))
    before, data = path.stat(), path.read_bytes()
    path.write_bytes(data.replace(b"red", b"rot"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(InputError, match=r"segments/\w+/documents.arrow: is damaged, its checksum is another"):
        compact(folder, BM25())
    assert len(Index.open(folder).manifest.segments) == 2


def test_tables_are_cut_anew():
    import pyarrow as pa

    tables = [pa.table({"id": [f"{row}" for row in rows]}) for rows in (range(1), range(1, 8), range(8, 10))]
    found = [table["id"].to_pylist() for table in regrouped(iter(tables), 4)]
    assert found == [["0", "1", "2", "3"], ["4", "5", "6", "7"], ["8", "9"]]
    assert list(regrouped(iter([]), 4)) == []


def segment(number, rows, removed=0):
    gone = StoredFile("removed/x.npy", 1, "0" * 32, 0) if removed else None
    return Segment(f"{number:032x}", rows, (), gone, removed)


def test_what_is_rewritten():
    full, small, holey, tail = segment(1, 10), segment(2, 4), segment(3, 10, 2), segment(4, 3)
    groups = list(to_rewrite([full, small, holey, segment(5, 10), tail], 10))
    assert [([int(one.name, 16) for one in group], new) for group, new in groups] == [
        ([1], False),
        ([2, 3], True),
        ([5], False),
        ([4], False),
    ]
