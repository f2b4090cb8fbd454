"""Retriever as an application uses it: what a result says, what is refused, and when an index fits a model."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mteb_cascade
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.retriever.result import StageScore
from mteb_cascade.retriever.retriever import Retriever
from mteb_cascade.retriever.searching import searched
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.values.run import PAD, Run

CORPUS = Corpus.of(["a", "b", "c", "d"], ["red fox", "red fox fox", "red whale whale whale whale", "stone"])


class Lengths(Stage):
    """The length of a text in words, and nothing of a text with a whale."""

    kind = "lengths"

    def score(self, queries: Queries, candidates: Run) -> np.ndarray:
        scores = np.full(candidates.docs.shape, -np.inf, np.float32)
        for (row, column), doc in np.ndenumerate(candidates.docs):
            if doc != PAD and "whale" not in (text := candidates.corpus.texts_at([doc])[0]):
                scores[row, column] = len(text.split())
        return scores


def made(stage: Stage, folder: Path, corpus: Corpus = CORPUS) -> Retriever:
    retriever = Retriever(stage, folder)
    retriever.embed_and_store_corpus(corpus)
    return retriever


def test_a_result_says_what_every_stage_made_of_it(tmp_path: Path) -> None:
    retriever = made(Cascade(BM25(), Step(Lengths(), 3), Step(Lengths(), 1)), tmp_path / "index")
    found = retriever.search("red fox", 10)
    assert [(one.document_id, one.document_text) for one in found] == [
        ("b", "red fox fox"),
        ("a", "red fox"),
        ("c", "red whale whale whale whale"),
    ]
    first, second, third = (one.stages for one in found)
    assert [stage.stage for stage in first] == ["bm25", "lengths", "lengths (2)"]
    assert [stage.rank for stage in first] == [1, 1, 1]
    assert first[1:] == (StageScore("lengths", 1, 3.0), StageScore("lengths (2)", 1, 3.0))
    # Beyond the second step's depth; and a text of which the first step says nothing.
    assert second[1:] == (StageScore("lengths", 2, 2.0), StageScore("lengths (2)", 2, None))
    assert third[1:] == (StageScore("lengths", 3, None), StageScore("lengths (2)", 3, None))
    assert all(one.stages[0].score is not None for one in found)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert found.depths == (3, 1)
    assert not found.capped
    assert list(found.milliseconds) == ["bm25", "lengths", "lengths (2)", "whole"]


def test_one_stage_alone_and_k(tmp_path: Path) -> None:
    retriever = made(BM25(), tmp_path / "index")
    assert retriever.documents == 4
    assert [one.document_id for one in retriever.search("fox", 1)] == ["b"]
    found = retriever.search("red stone", 1_000)
    assert {one.document_id for one in found} == {"a", "b", "c", "d"}
    assert all(one.stages == (StageScore("bm25", rank, one.score),) for rank, one in enumerate(found, 1))
    assert retriever.search("unheard of", 5) == []
    assert retriever.search_many([], 5) == []
    assert retriever.search_many(["fox", "stone"], 5) == [retriever.search("fox", 5), retriever.search("stone", 5)]


@pytest.mark.parametrize(
    ("query", "k", "said"),
    [
        ("", 3, "query: expected a text, got an empty one"),
        (" \n", 3, "query: expected a text, got an empty one"),
        (7, 3, "query: expected a text, got int"),
        ("caf\udce9", 3, "query: holds bytes that are no UTF-8, or half of a surrogate pair; expected Unicode text"),
        ("fox", 0, "k: expected at least 1 document, got 0"),
        ("fox", 2.5, "k: expected a whole number of documents, got 2.5"),
    ],
)
def test_bad_questions(query: Any, k: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^{said}$"):
        made(BM25(), tmp_path / "index").search(query, k)


def test_before_there_is_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    retriever = Retriever(BM25(name="local/mine"))
    assert retriever.folder == tmp_path / "indexes" / "mine"
    with pytest.raises(InputError, match=r"^indexes/mine: no index of local/mine .* embed_and_store_corpus"):
        retriever.search("fox")
    with pytest.raises(InputError, match="no such folder"):
        Retriever.open(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is no index"):
        Retriever(BM25(), tmp_path).search("fox")
    with pytest.raises(InputError, match="expected a list of texts"):
        retriever.search_many("fox")


def test_refresh_takes_up_another_generation(tmp_path: Path) -> None:
    retriever = made(BM25(), tmp_path / "index")
    assert not retriever.refresh()
    made(BM25(), tmp_path / "index", Corpus.of(["x"], ["fox hole"]))
    assert [one.document_id for one in retriever.search("fox", 5)] == ["b", "a"]
    assert retriever.refresh()
    assert [one.document_id for one in retriever.search("fox", 5)] == ["x"]


def test_an_index_of_other_options_is_refused(tmp_path: Path) -> None:
    made(Cascade(BM25(k1=0.9), Step(Lengths(), 3)), tmp_path / "index")
    with pytest.raises(InputError, match=r"bm25: k1: the index has 0\.9, here 1\.5\. Index again with"):
        Retriever.open(tmp_path / "index", BM25())


def test_an_index_of_another_kind_is_refused(tmp_path: Path, tiny_static: Path) -> None:
    from mteb_cascade.stages.bi_encoder import BiEncoder

    made(BM25(), tmp_path / "index")
    with pytest.raises(InputError, match="the index holds nothing of kind bi-encoder; it was made for bm25"):
        Retriever.open(tmp_path / "index", BiEncoder(model=str(tiny_static)))


def test_weights_that_were_trained_again_are_refused_and_embedded_again(
    tmp_path: Path, tiny_static: Path, write_spec: Callable[[str, str], Path]
) -> None:
    import shutil

    from safetensors.numpy import load_file, save_file

    write_spec("mine", 'kind = "bi-encoder"')
    folder = tmp_path / "models" / "mine"
    shutil.copytree(tiny_static, folder)
    retriever = Retriever("mine", tmp_path / "index")
    retriever.embed_and_store_corpus(CORPUS)
    before = list(retriever.search("red fox", 4))
    (weights,) = folder.rglob("*.safetensors")
    save_file({name: -value[::-1].copy() for name, value in load_file(weights).items()}, weights)
    # What runs goes on with what it loaded; what is opened now is told.
    assert list(retriever.search("red fox", 4)) == before
    with pytest.raises(InputError, match=r"mine: files differ .* Index again with `mteb-cascade index mine"):
        Retriever.open(tmp_path / "index")
    retriever.embed_and_store_corpus(CORPUS)
    assert list(retriever.search("red fox", 4)) != before
    assert list(retriever.search("red fox", 4)) == list(Retriever.open(tmp_path / "index").search("red fox", 4))


def test_a_changed_reranker_is_a_warning(tmp_path: Path, write_spec: Callable[[str, str], Path]) -> None:
    write_spec("first", 'kind = "bm25"')
    spec = write_spec("mine", 'kind = "cascade"\n[[stage]]\nmodel = "first"\n[[stage]]\nmodel = "first"\ndepth = 3')
    Retriever("mine", tmp_path / "index").embed_and_store_corpus(CORPUS)
    spec.write_text(spec.read_text().replace("depth = 3", "depth = 2"))
    with pytest.warns(UserWarning, match=r"index: mine has changed since the index was made \(weights, depths"):
        retriever = Retriever.open(tmp_path / "index")
    assert retriever.search("fox", 2).depths == (2,)


def test_a_part_of_the_model_may_search_alone(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    made(Cascade(BM25(), Step(Lengths(), 3)), tmp_path / "index")
    assert [one.document_id for one in Retriever.open(tmp_path / "index", BM25()).search("fox", 5)] == ["b", "a"]
    assert not recwarn


def test_loading_draws_no_bars(tiny_cross_encoder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = CrossEncoder(model=str(tiny_cross_encoder))
    Retriever(model, tmp_path / "index").embed_and_store_corpus(CORPUS)
    Retriever.open(tmp_path / "index", model).search("fox", 1)
    assert capfd.readouterr().err == ""


def test_a_funnel_that_keeps_more_searches_the_same_index(tmp_path: Path, tiny_static: Path) -> None:
    from mteb_cascade.stages.funnel import Funnel, FunnelStep

    def funnel(**step: Any) -> Funnel:
        return Funnel(str(tiny_static), FunnelStep(**step))

    made(funnel(codes="int8", keep=1), tmp_path / "index")
    with pytest.warns(UserWarning, match="changed since the index was made"):
        assert len(Retriever.open(tmp_path / "index", funnel(codes="int8", keep=3)).search("fox", 4)) == 3
    with pytest.raises(InputError, match=r"funnel: step 1: codes: the index has .int8., here .hamming.\. Index again"):
        Retriever.open(tmp_path / "index", funnel(codes="hamming", keep=1))


def test_a_model_that_is_not_here(tmp_path: Path, write_spec: Callable[[str, str], Path]) -> None:
    spec = write_spec("mine", 'kind = "bm25"')
    Retriever("mine", tmp_path / "index").embed_and_store_corpus(CORPUS)
    spec.unlink()
    with pytest.raises(InputError, match=r"^index: the model that .* unknown model 'mine'.*--model"):
        Retriever.open("index")


def test_public_names() -> None:
    assert mteb_cascade.Retriever is Retriever
    assert mteb_cascade.Result.__name__ == "Result"


def test_a_search_loads_neither_mteb_nor_torch(tmp_path: Path) -> None:
    made(BM25(), tmp_path / "index")
    code = (
        "import sys; from mteb_cascade import Retriever; from mteb_cascade.stages.bm25 import BM25; "
        f"found = Retriever.open({str(tmp_path / 'index')!r}, BM25()).search('fox', 3); "
        "print([one.document_id for one in found], {'torch', 'mteb', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['b', 'a'] set()"


def test_a_cap_shortens_the_last_step_and_says_so(tmp_path: Path) -> None:
    snapshot = made(Cascade(BM25(), Step(Lengths(), 3)), tmp_path / "index").snapshot
    (found,) = searched(replace(snapshot, depths=(1,), capped=True), ["red fox"], 4)
    assert found.capped
    assert found.depths == (1,)
    assert [one.stages[1].score is None for one in found] == [False, True, True]
