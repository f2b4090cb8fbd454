from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from slow_bm25 import slow_bm25

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.stages import lucene_folder, lucene_jvm
from mteb_cascade.stages.load import load
from mteb_cascade.stages.lucene import Lucene
from mteb_cascade.values.run import PAD, Run

with_pyserini = pytest.mark.skipif(
    importlib.util.find_spec("pyserini") is None, reason="pyserini is not installed: pip install 'mteb-cascade[lucene]'"
)

CORPUS = Corpus.of(["a", "b", "c"], ["red foxes", "blue whale whale", "red whale swims slowly"])


def indexed(corpus: Corpus, **options) -> Lucene:
    stage = Lucene(**options)
    stage.index(corpus)
    return stage


def everything(queries: Queries, corpus: Corpus) -> Run:
    docs = np.tile(np.arange(len(corpus), dtype=np.int32), (len(queries), 1))
    return Run(queries.ids, corpus, docs, np.zeros(docs.shape, np.float32))


@with_pyserini
@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.5, 0.75), (0.0, 0.0), (1.2, 1.0)])
def test_scores_are_bm25_over_porters_stems(k1: float, b: float) -> None:
    stemmed = [["red", "fox"], ["blue", "whale", "whale"], ["red", "whale", "swim", "slowli"]]
    queries = Queries(("q", "p"), ("The Foxes and whales", "whale whale slowly"))
    found = indexed(CORPUS, k1=k1, b=b).search(queries, top_k=3)
    for query, words in (("q", ["fox", "whale"]), ("p", ["whale", "whale", "slowli"])):
        expected = {
            name: slow_bm25(words, document, stemmed, k1, b) for name, document in zip("abc", stemmed, strict=True)
        }
        assert found[query] == pytest.approx({name: score for name, score in expected.items() if score}, rel=1e-6)


@with_pyserini
def test_documents_that_share_no_word_are_not_returned_but_score_0() -> None:
    corpus = Corpus.of(["a", "b", "c", "d"], ["red foxes", "", "red whale", "\x01"])
    stage = indexed(corpus)
    queries = Queries(("q", "p", "r"), ("fox", "zebra of the", ""))
    assert {query: list(docs) for query, docs in stage.search(queries, top_k=9).items()} == {
        "q": ["a"],
        "p": [],
        "r": [],
    }
    docs = np.array([[1, PAD, 0, 3], [PAD, 2, 1, 0], [PAD, PAD, PAD, PAD]], np.int32)
    scores = stage.score(queries, Run(queries.ids, corpus, docs, np.zeros(docs.shape, np.float32)))
    assert scores[0, [0, 1, 3]].tolist() == [0, -np.inf, 0]
    assert scores[0, 2] > 0
    assert scores[1].tolist() == [-np.inf, 0, 0, 0]
    assert (scores[2] == -np.inf).all()


@with_pyserini
@pytest.mark.parametrize("texts", [[], ["", "the"], ["?!"]])
def test_a_corpus_without_words_finds_nothing(texts: list[str]) -> None:
    corpus = Corpus.of([f"d{row}" for row in range(len(texts))], texts)
    stage = indexed(corpus)
    queries = Queries(("q",), ("the red fox",))
    assert stage.search(queries, top_k=3) == {"q": {}}
    assert stage.score(queries, everything(queries, corpus)).tolist() == [[0.0] * len(texts)]


@with_pyserini
def test_equal_scores_are_cut_by_id_and_not_by_the_order_of_indexing() -> None:
    ids = ["d2", "d10", "é", "𝒶", "ﬁ", "\ufffd", "a b", "d1"]
    stage = indexed(Corpus.of(ids, ["red fox"] * len(ids)))
    queries = Queries(("q",), ("fox",))
    best_first = sorted(ids, key=lambda name: name.encode(), reverse=True)
    for k in range(len(ids) + 2):
        assert stage.retrieve(queries, k).ids(0) == best_first[:k]


@with_pyserini
def test_characters_beyond_two_bytes_and_lone_surrogates_are_words_like_others() -> None:
    corpus = Corpus.of(["a", "b", "c"], ["𠮷野家 house", "𠮸 house", "fox"])
    found = indexed(corpus).search(Queries(("q", "p"), ("𠮷", "fox \ud800")), top_k=3)
    assert {query: list(docs) for query, docs in found.items()} == {"q": ["a"], "p": ["c"]}


@with_pyserini
def test_the_language_is_the_specs_and_long_queries_are_searched() -> None:
    corpus = Corpus.of(["a", "b"], ["die Katzen schlafen", "the cat running"])
    query = Queries(("q",), ("die schlafende Katze " + " ".join(f"w{n}" for n in range(3000)),))
    assert list(indexed(corpus, language="german").search(query, top_k=2)["q"]) == ["a"]
    assert list(indexed(corpus, language="english").search(Queries(("q",), ("runs",)), top_k=2)["q"]) == ["b"]
    assert indexed(corpus, language="german").search(Queries(("q",), ("runs",)), top_k=2) == {"q": {}}


@with_pyserini
def test_an_index_is_built_once_and_again_for_another_corpus_or_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(tmp_path))

    def folders() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in (tmp_path / "lucene").iterdir()}

    query = Queries(("q",), ("fox",))
    assert list(indexed(CORPUS).search(query, top_k=3)["q"]) == ["a"]
    first = folders()
    assert len(first) == 1
    assert list(indexed(CORPUS, k1=2.0).search(query, top_k=3)["q"]) == ["a"]
    assert folders() == first
    stage = indexed(CORPUS)
    stage.index(Corpus.of(["x"], ["a fox"]))
    assert list(stage.search(query, top_k=3)["q"]) == ["x"]
    assert list(indexed(CORPUS, language="german").search(Queries(("q",), ("slowing",)), top_k=3)["q"]) == []
    assert len(folders()) == 3


@with_pyserini
def test_a_build_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(tmp_path))
    whole = lucene_folder.write

    def interrupted(*arguments) -> None:
        whole(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(lucene_folder, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        indexed(CORPUS).retrieve(Queries(("q",), ("fox",)), 1)
    assert list((tmp_path / "lucene").iterdir()) == []


@pytest.fixture(scope="module")
def foreign_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of somebody else's over a larger corpus."""
    folder = tmp_path_factory.mktemp("foreign") / "index"
    ids = [f"x{row}" for row in range(40)] + ["a", "b", "c"]
    texts = ["whale whale whale"] * 40 + CORPUS.texts.to_pylist()
    lucene_jvm.start()
    with lucene_jvm.visiting():
        lucene_folder.write(folder, Corpus.of(ids, texts), "english")
    return folder


@with_pyserini
def test_documents_of_a_given_index_that_the_corpus_lacks_are_left_out(foreign_folder: Path) -> None:
    stage = indexed(CORPUS, from_index=str(foreign_folder))
    queries = Queries(("q", "p"), ("whale", "fox"))
    for k in (1, 2, 5):
        with pytest.warns(UserWarning, match=r"lucene: 40 documents that the index .* not in the corpus"):
            run = stage.retrieve(queries, k)
        assert run.ids(0) == ["b", "c"][:k]
        assert run.ids(1) == ["a"]
    np.testing.assert_array_equal(stage.score(queries, run)[run.docs != PAD], run.scores[run.docs != PAD])


@with_pyserini
def test_a_candidate_that_a_given_index_lacks_cannot_be_scored(foreign_folder: Path) -> None:
    corpus = Corpus.of(["a", "new", "b"], ["red foxes", "fox", "blue whale whale"])
    stage = indexed(corpus, from_index=str(foreign_folder))
    queries = Queries(("q",), ("fox",))
    scores = stage.score(queries, everything(queries, corpus))
    assert scores[0, 0] > 0
    assert scores[0, 1:].tolist() == [-np.inf, 0]


@with_pyserini
def test_a_given_index_of_another_corpus_is_refused(foreign_folder: Path) -> None:
    stage = indexed(Corpus.of(["1", "2"], ["fox", "whale"]), from_index=str(foreign_folder))
    with pytest.raises(
        InputError, match=r"made from another corpus: it has none of 2 document ids looked up, such as '1'"
    ):
        stage.retrieve(Queries(("q",), ("fox",)), 1)


@with_pyserini
def test_a_folder_is_told_by_its_content_and_not_by_its_place(foreign_folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "index"
    elsewhere.symlink_to(foreign_folder)
    assert Lucene(from_index=str(elsewhere)).fingerprint == Lucene(from_index=str(foreign_folder)).fingerprint
    assert Lucene(from_index=str(foreign_folder)).fingerprint != Lucene().fingerprint != Lucene(k1=1.0).fingerprint


@with_pyserini
def test_folders_that_are_no_index_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no Lucene index: it has no file 'segments_\.\.\.'"):
        Lucene(from_index=str(tmp_path)).prepare()
    (tmp_path / "segments_1").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="cannot be read as a Lucene index: "):
        Lucene(from_index=str(tmp_path)).prepare()


@with_pyserini
def test_a_prebuilt_index_is_passed_through_to_pyserini(
    foreign_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYSERINI_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    stage = indexed(CORPUS, from_index="beir-v1.0.0-scifact.flat")
    (download,) = stage.downloads()
    assert download.what == "Lucene index beir-v1.0.0-scifact.flat"
    with pytest.raises(
        InputError, match=r"'beir-v1\.0\.0-scifact\.flat' is not on this disk, and HF_HUB_OFFLINE is set"
    ):
        download.fetch()
    from pyserini.prebuilt_index_info import TF_INDEX_INFO

    entry = TF_INDEX_INFO["beir-v1.0.0-scifact.flat"]
    name = entry["urls"][0].rpartition("/")[2].removesuffix(".tar.gz")
    (tmp_path / "indexes").mkdir()
    (tmp_path / "indexes" / f"{name}.{entry['md5']}").symlink_to(foreign_folder)
    download.fetch()
    assert list(stage.search(Queries(("q",), ("fox",)), top_k=2)["q"]) == ["a"]


@with_pyserini
def test_a_prebuilt_index_that_there_is_not_is_named_with_those_nearby(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        InputError, match=r"no prebuilt BM25 index 'msmarco-v1-pasage'.*Did you mean 'msmarco-v1-passage'"
    ):
        Lucene(from_index="msmarco-v1-pasage").prepare()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"language": "englsh"}, "'englsh' has no analyzer.*Did you mean 'english'"),
        ({"k1": -1.0}, "k1 = -1"),
        ({"k1": float("nan")}, "k1 = nan"),
        ({"b": 1.5}, "b = 1.5"),
    ],
)
def test_options_out_of_range_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Lucene(**options)


def test_without_pyserini_the_install_line_is_named(write_spec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyserini", None)
    write_spec("mine", 'kind = "lucene"\nk1 = 1.2\n')
    stage = load("mine")
    assert len(stage.fingerprint) == 64
    with pytest.raises(
        InputError, match=r"needs pyserini, which is not installed: pip install 'mteb-cascade\[lucene\]'"
    ):
        stage.prepare()
