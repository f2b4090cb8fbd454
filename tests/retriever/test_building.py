from __future__ import annotations

import json
import os

import numpy as np
import pytest

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.documents import documents_of
from mteb_cascade.errors import InputError
from mteb_cascade.retriever.building import build
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.stages.hybrid import Hybrid
from mteb_cascade.store.index.index import Index
from mteb_cascade.store.switch import bypassed


@pytest.mark.parametrize("segment_rows", [7, 60])
def test_a_stage_over_an_index_finds_what_evaluation_finds(make, drawn, tmp_path, segment_rows):
    stage, documents = make(), documents_of(drawn.file)
    build(stage, documents, tmp_path / "index", segment_rows=segment_rows)
    index = Index.open(tmp_path / "index")
    assert len(index.manifest.segments) == -(-60 // segment_rows)
    queries = Queries(tuple(map(str, range(12))), drawn.queries)
    corpus = Corpus.of_tables(documents.tables(60))
    with bypassed():
        found = stage.over(index).retrieved(queries, 40)
        evaluated = make()
        evaluated.index(corpus)
        expected = evaluated.retrieved(queries, 40)
    assert found.depth == expected.depth
    inside = expected.docs >= 0
    np.testing.assert_array_equal(found.docs >= 0, inside)
    np.testing.assert_allclose(found.scores[inside], expected.scores[inside], atol=1e-4, rtol=1e-5)
    if segment_rows == 60:  # Encoded in the same batches: the very same vectors.
        np.testing.assert_array_equal(found.docs, expected.docs)
    candidates = expected.cut(10)
    over = make().over(index)
    rebound = type(candidates)(candidates.query_ids, over.corpus, candidates.docs, candidates.scores)
    with bypassed():
        scores, wanted = over.score(queries, rebound), evaluated.score(queries, candidates)
    np.testing.assert_allclose(scores, wanted, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(("precision", "bytes_of_a_number"), [("float32", 4), ("float16", 2), ("int8", 1)])
def test_a_report_says_what_lies_on_the_disk(tiny_bi_encoder, drawn, tmp_path, precision, bytes_of_a_number):
    stage = Hybrid(BM25(name="local/words"), BiEncoder(model=str(tiny_bi_encoder), name="local/vectors"), pool=5)
    told = []
    report = build(
        stage,
        documents_of(drawn.file),
        tmp_path / "index",
        precision=precision,
        segment_rows=25,
        progress=lambda *step: told.append(step[:2]),
    )
    assert (report.documents, report.segments, report.reused, report.encoded) == (60, 3, 0, 60)
    on_disk = sum(file.stat().st_size for file in (tmp_path / "index").rglob("*") if file.is_file())
    apart = sum((tmp_path / "index" / name).stat().st_size for name in ("manifest.json", "lock"))
    assert report.size == on_disk - apart
    vectors = report.sizes["local/vectors: vectors"]
    scales = 60 * 4 + 3 * 128 if precision == "int8" else 0
    assert vectors == 60 * 16 * bytes_of_a_number + 3 * 128 + scales
    assert report.sizes["local/words"] > 0
    assert report.bytes_per_document == report.size / 60
    assert (60, 60) in told
    assert json.loads(json.dumps(report.as_json()))["documents"] == 60
    assert (report.flips is None) == (precision == "float32")
    if report.flips is not None:
        assert report.flips.queries == 60


class Counting(BiEncoder):
    """Counts what it encodes."""

    encoded_texts = 0

    def encode_documents(self, texts):
        type(self).encoded_texts += len(texts)
        if type(self).encoded_texts > 45:
            raise KeyboardInterrupt
        return super().encode_documents(texts)


def test_a_build_that_was_stopped_goes_on_and_the_old_index_stays_until_the_end(tiny_static, drawn, tmp_path):
    folder, documents = tmp_path / "index", documents_of(drawn.file)
    build(BM25(), documents_of(Corpus.of(["old"], ["red fox"])), folder)
    stage = Counting(model=str(tiny_static))
    Counting.encoded_texts = 0
    with pytest.raises(KeyboardInterrupt):
        build(stage, documents, folder, segment_rows=20)
    assert Index.open(folder).corpus.ids_at(np.array([0])) == ["old"]
    Counting.encoded_texts = 0
    report = build(stage, documents, folder, segment_rows=20)
    assert (report.reused, report.encoded, Counting.encoded_texts) == (2, 20, 20)
    assert report.documents_per_second is not None
    index = Index.open(folder)
    assert index.corpus.ids_at(np.arange(60)) == [row["_id"] for row in drawn.rows]
    again = build(stage, documents, folder, segment_rows=20)
    assert (again.reused, again.encoded, again.documents_per_second) == (3, 0, None)


def test_another_bm25_over_the_same_vectors_keeps_the_segments(tiny_static, drawn, tmp_path):
    folder, documents = tmp_path / "index", documents_of(drawn.file)
    first = Hybrid(BM25(), BiEncoder(model=str(tiny_static)), pool=5)
    second = Hybrid(BM25(k1=0.5), BiEncoder(model=str(tiny_static)), pool=5)
    build(first, documents, folder)
    before = Index.open(folder)
    assert build(second, documents, folder).reused == 1
    assert before.manifest.name != Index.open(folder).manifest.name
    assert Index.open(folder).whole(BM25().fingerprint) is None


def test_a_corpus_without_a_word_is_found_nothing_in(tmp_path):
    build(BM25(), documents_of(Corpus.of(["a", "b"], ["?", "!"])), tmp_path / "index")
    over = BM25().over(Index.open(tmp_path / "index"))
    assert over.retrieve(Queries(("q",), ("red",)), 5).as_dict() == {"q": {}}


def test_what_scores_every_document_is_said(tiny_cross_encoder, tmp_path):
    corpus = documents_of(Corpus.of(["a", "b"], ["red fox", "blue whale"]))
    reranker = CrossEncoder(model=str(tiny_cross_encoder), name="local/reranker", pair_limit=1)
    report = build(reranker, corpus, tmp_path / "alone")
    assert report.encoded == 0
    (note,) = report.notes
    assert note.startswith("local/reranker has no first stage before it: a search scores all 2 documents, and is ref")
    assert note.endswith("the limit is 1 pairs")
    assert build(Cascade(BM25(), Step(reranker, 1)), corpus, tmp_path / "behind").notes == ()


def test_mistakes_leave_nothing(tiny_static, drawn, tmp_path):
    twice = tmp_path / "twice.tsv"
    twice.write_text("a\tred\na\tblue\n")
    with pytest.raises(InputError, match=r"twice.tsv: line 2: id 'a' stands on line 1 already"):
        build(BM25(), documents_of(twice), tmp_path / "index")
    with pytest.raises(InputError, match="unknown precision 'int4'"):
        build(BM25(), documents_of(drawn.file), tmp_path / "index", precision="int4")
    with pytest.raises(InputError, match=r"gone: no model in .*the folder is missing or empty"):
        build(BiEncoder(model=str(tmp_path / "gone")), documents_of(drawn.file), tmp_path / "index")
    assert not (tmp_path / "index").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match=r"holds other files \('thesis.txt'\) and no index"):
        build(BM25(), documents_of(drawn.file), tmp_path / "mine")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(drawn, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(OSError, match="Permission denied"):
        build(BM25(), documents_of(drawn.file), tmp_path / "closed" / "index")


@pytest.mark.parametrize(("size", "finished"), [(600, 0), (3_000, 30)])
def test_a_disk_that_fills_ends_in_one_line_and_the_build_goes_on(tiny_static, tmp_path, size, finished, no_file_above):
    # A segment's texts take some 1,500 bytes, the inverted index of 60 documents of 30 words of their own 7,200.
    folder = tmp_path / "index"
    stage = Hybrid(BM25(), BiEncoder(model=str(tiny_static)), pool=5)
    texts = [" ".join(f"w{row}x{word}" for word in range(30)) for row in range(60)]
    many = documents_of(Corpus.of([f"d{row}" for row in range(60)], texts))
    with no_file_above(size), pytest.raises(InputError) as told:
        build(stage, many, folder, segment_rows=2)
    assert "\n" not in str(told.value)
    assert "the index could not be written (" in str(told.value)
    assert "Make room and run the same command again: it goes on from there" in str(told.value)
    assert len(list((folder / "segments").glob("[0-9a-f]*"))) == finished
    assert not list(folder.glob("*/.*"))
    with pytest.raises(InputError, match=r"was not finished|is no index"):
        Index.open(folder)
    report = build(stage, many, folder, segment_rows=2)
    assert (report.documents, report.reused) == (60, finished)
    assert len(Index.open(folder, check_all=True).corpus) == 60
