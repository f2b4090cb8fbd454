"""The funnel against a slow one, in evaluation and over an index, and as a spec."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_stage import TEXTS

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.documents import documents_of
from mteb_cascade.errors import InputError
from mteb_cascade.retriever.building import build
from mteb_cascade.retriever.changing import add, compact, remove
from mteb_cascade.spec import SpecError
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.funnel import Funnel
from mteb_cascade.stages.funnel_step import FunnelStep
from mteb_cascade.stages.load import load
from mteb_cascade.stages.model_meta import model_meta_of
from mteb_cascade.store.index.index import Index
from mteb_cascade.values.run import Run

WriteSpec = Callable[[str, str], Path]

STEPS = (FunnelStep(14, codes="hamming"), FunnelStep(9, codes="int8", dimensions=8), FunnelStep(5, codes="float32"))
IDS = ["d2", "d10", "d1", "D3", "é", "z", "a", "ß", "~", "0", "ÿ", *(f"x{row}" for row in range(29))]
CORPUS = Corpus.of(IDS, [TEXTS[row % 7] + " tree" * (row % 3) for row in range(40)])
QUERIES = Queries(("q", "p", "r"), ("red fox tree", "old whale", "green stone tree tree"))


@pytest.fixture(params=["cosine", "dot"])
def encoder(request: pytest.FixtureRequest, tiny_bi_encoder: Path, tiny_static: Path) -> BiEncoder:
    return BiEncoder(model=str(tiny_bi_encoder if request.param == "cosine" else tiny_static))


def same(left: Run, right: Run) -> None:
    assert left.docs.tolist() == right.docs.tolist()
    np.testing.assert_array_equal(left.scores, right.scores)


def int8(vector: np.ndarray) -> tuple[np.ndarray, np.float32]:
    scale = np.abs(vector).max() / np.float32(127)
    return np.rint(vector / scale).astype(int), scale


def slow_score(step: FunnelStep, query: np.ndarray, document: np.ndarray, cosine: bool) -> float:
    if step.dimensions:
        query, document = query[: step.dimensions], document[: step.dimensions]
        if cosine:
            query, document = (np.float32(one / np.linalg.norm(one.astype(float))) for one in (query, document))
    if step.codes == "hamming":
        return -float(((query > 0) != (document > 0)).sum())
    if step.codes == "binary":
        sizes = np.rint(np.abs(query) / np.abs(query).max() * 255)
        return float(sizes[(query > 0) == (document > 0)].sum())
    if step.codes == "int8":
        codes, scale = int8(document)
        return float(np.float32(codes @ int8(query)[0]) * scale)
    return float(np.float32(query.astype(float) @ document.astype(float)))


def slow(encoder: BiEncoder, steps: tuple[FunnelStep, ...], corpus: Corpus) -> list[list[str]]:
    """Ranking by ranking, step by step, every document on its own."""
    documents = encoder.encode_documents(corpus.texts.to_pylist())
    cosine = encoder.network.similarity_fn_name == "cosine"
    ids = corpus.ids.to_pylist()
    found = []
    for query in encoder.encode_queries(list(QUERIES.texts)):
        ranking = list(range(len(ids)))
        depth = len(ids)
        for step in (*steps, FunnelStep(1, codes="float32")):
            score = {doc: slow_score(step, query, documents[doc], cosine) for doc in ranking[:depth]}
            head = sorted(score, key=lambda doc: (score[doc], ids[doc]), reverse=True)
            ranking = head + ranking[depth:]
            depth = step.keep
            if step is steps[0]:
                ranking = ranking[:depth]
        found.append([ids[doc] for doc in ranking])
    return found


@pytest.mark.parametrize(
    "steps",
    [
        STEPS,
        (FunnelStep(12, codes="binary", dimensions=11), FunnelStep(3, codes="hamming")),
        (FunnelStep(30, codes="int8"), FunnelStep(7, codes="binary")),
        (FunnelStep(10, codes="float32", dimensions=3),),
    ],
)
def test_every_step_ranks_what_the_last_one_kept(encoder: BiEncoder, steps: tuple[FunnelStep, ...]) -> None:
    funnel = Funnel(encoder, *steps)
    funnel.index(CORPUS)
    run = funnel.retrieve(QUERIES, 40)
    assert [run.ids(row) for row in range(3)] == slow(encoder, steps, CORPUS)
    assert (np.diff(run.scores, axis=1) <= 0).all()
    assert (np.diff(run.scores[:, steps[-1].keep :], axis=1) < 0).all()
    for k in range(1, 41):
        same(funnel.retrieve(QUERIES, k), run.cut(k))


@pytest.mark.parametrize("codes", ["hamming", "binary", "int8", "float32"])
def test_a_funnel_that_keeps_everything_is_the_bi_encoder(encoder: BiEncoder, codes: Any) -> None:
    funnel = Funnel(encoder, FunnelStep(1_000, codes=codes))
    for stage in (funnel, encoder):
        stage.index(CORPUS)
    same(funnel.retrieve(QUERIES, 40), encoder.retrieve(QUERIES, 40))
    candidates = encoder.retrieve(QUERIES, 7)
    np.testing.assert_array_equal(funnel.score(QUERIES, candidates), candidates.scores)


def test_a_query_finds_alone_what_it_finds_among_others(encoder: BiEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    funnel = Funnel(encoder, *STEPS)
    funnel.index(CORPUS)
    together = funnel.retrieve(QUERIES, 12)
    monkeypatch.setattr("mteb_cascade.stages.funnel.QUERY_BLOCK", 2)
    same(funnel.retrieve(QUERIES, 12), together)
    for row in range(3):
        assert funnel.retrieve(QUERIES.rows([row]), 12).ids(0) == together.ids(row)


def test_another_corpus_is_searched_anew(encoder: BiEncoder) -> None:
    funnel = Funnel(encoder, *STEPS)
    funnel.index(CORPUS)
    funnel.retrieve(QUERIES, 3)
    other = Corpus.of(["one", "two"], ["red fox", "blue whale"])
    funnel.index(other)
    assert sorted(funnel.retrieve(QUERIES, 3).ids(0)) == ["one", "two"]
    funnel.index(Corpus.of([], []))
    assert funnel.retrieve(QUERIES, 3).depth == 0


@settings(max_examples=4)
@given(data=st.data())
def test_an_index_that_changed_is_like_a_new_one(
    tiny_static: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    encoder = BiEncoder(model=str(tiny_static))
    funnel = Funnel(encoder, FunnelStep(6, codes="hamming"), FunnelStep(4, codes="int8", dimensions=9))
    folder = tmp_path_factory.mktemp("index")
    first = data.draw(st.integers(1, 39))
    precision = data.draw(st.sampled_from(["float32", "float16", "int8"]))
    ids, texts = CORPUS.ids.to_pylist(), CORPUS.texts.to_pylist()
    build(funnel, documents_of(Corpus.of(ids[:first], texts[:first])), folder, precision=precision, segment_rows=8)
    gone = data.draw(st.sets(st.sampled_from(ids[:first]), max_size=first - 1))
    if gone:
        remove(folder, sorted(gone))
    add(folder, documents_of(Corpus.of(ids[first:], texts[first:])), funnel)
    if data.draw(st.booleans()):
        compact(folder)
    left = [row for row, name in enumerate(ids) if name not in gone]
    corpus = Corpus.of([ids[row] for row in left], [texts[row] for row in left])
    new = tmp_path_factory.mktemp("new")
    build(funnel, documents_of(corpus), new, precision=precision)
    changed, fresh = (funnel.over(Index.open(one)) for one in (folder, new))
    assert changed.corpus.ids.to_pylist() == corpus.ids.to_pylist()
    same(changed.retrieve(QUERIES, 9), fresh.retrieve(QUERIES, 9))
    candidates = changed.retrieve(QUERIES, 4)
    np.testing.assert_array_equal(changed.score(QUERIES, candidates), candidates.scores)
    if precision == "float32":
        funnel.index(corpus)
        same(changed.retrieve(QUERIES, 9), funnel.retrieve(QUERIES, 9))


def test_an_index_keeps_vectors_once(encoder: BiEncoder) -> None:
    funnel = Funnel(encoder, FunnelStep(9, codes="hamming", dimensions=8), FunnelStep(5, codes="int8"))
    names = {precision: sorted(funnel.kept(["red fox"], precision)) for precision in ("float16", "int8")}
    assert names == {
        "float16": ["bits", "int8", "int8.scales", "vectors"],
        "int8": ["bits", "vectors", "vectors.scales"],
    }
    assert funnel.keepers() == [funnel]


def test_more_dimensions_than_the_model_has(encoder: BiEncoder) -> None:
    funnel = Funnel(encoder, FunnelStep(9, codes="hamming"), FunnelStep(5, codes="int8", dimensions=17), name="a/b")
    funnel.index(CORPUS)
    with pytest.raises(InputError, match=r"a/b: step 2: dimensions: expected at most the 16 of .* got 17"):
        funnel.retrieve(QUERIES, 3)


def test_only_cosine_and_dot(tiny_bi_encoder: Path) -> None:
    encoder = BiEncoder(model=str(tiny_bi_encoder))
    encoder.network.similarity_fn_name = "euclidean"
    funnel = Funnel(encoder, *STEPS)
    funnel.index(CORPUS)
    with pytest.raises(InputError, match=r"compared by cosine or dot; .* is compared by euclidean"):
        funnel.retrieve(QUERIES, 3)
    with pytest.raises(InputError, match="a funnel needs a bi-encoder, got bm25, which is of kind 'bm25'"):
        Funnel(BM25(), *STEPS)


def test_a_spec(write_spec: WriteSpec, tiny_bi_encoder: Path) -> None:
    write_spec("mine", f'kind = "bi-encoder"\nmodel = "{tiny_bi_encoder}"\n')
    content = (
        'kind = "funnel"\nmodel = "mine"\n[[step]]\ncodes = "hamming"\nkeep = 9\n[[step]]\ncodes = "int8"\nkeep = {}\n'
    )
    write_spec("narrow", content.format(5))
    write_spec("wider", content.format(6))
    funnel = load("narrow")
    assert isinstance(funnel, Funnel)
    assert funnel.steps == (FunnelStep(9, codes="hamming"), FunnelStep(5, codes="int8"))
    assert eval(repr(Funnel(funnel.model, *funnel.steps)).replace("load('mine')", "funnel.model")).steps == funnel.steps
    assert funnel.fingerprint == load("narrow").fingerprint != load("wider").fingerprint
    meta = model_meta_of(funnel)
    assert (meta.name, meta.model_type, meta.embed_dim) == ("local/narrow", ["dense"], 16)
    assert meta.revision == funnel.fingerprint
    assert funnel.described()["step"][1] == {**FunnelStep(5, codes="int8").options}


def test_every_mistake_of_a_spec_is_named(write_spec: WriteSpec, tiny_bi_encoder: Path) -> None:
    write_spec("mine", f'kind = "bi-encoder"\nmodel = "{tiny_bi_encoder}"\n')
    write_spec(
        "wrong",
        'kind = "funnel"\nmodel = "nine"\nkeeep = 1\n[[step]]\ncodes = "haming"\nkeep = 9\n[[step]]\nfaiss = "Flat"\n'
        '[[step]]\nkeep = 0\ncodes = "int8"\n[[step]]\nkeep = "5"\n',
    )
    with pytest.raises(SpecError) as error:
        load("wrong")
    said = str(error.value)
    for part in (
        "model: unknown model 'nine'. Known here: mine, wrong. Did you mean 'mine'?",
        "unknown key 'keeep' of kind 'funnel'",
        "step 1: codes: unknown codes 'haming'",
        "step 2: keep: missing",
        "step 3: keep: expected at least 1, got 0",
        "step 4: keep: expected a valid integer, got '5'",
    ):
        assert part in said


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ("", r"step: expected one or more \[\[step\]\] tables"),
        (
            '[[step]]\ncodes = "hamming"\nkeep = 5\n[[step]]\ncodes = "int8"\nkeep = 6\n',
            "step 2: keep: expected at most the 5 of the step before, got 6",
        ),
        ('[[step]]\ncodes = "int8"\nfaiss = "Flat"\nkeep = 5\n', "a step needs either codes or faiss"),
        ('[[step]]\ncodes = "int8"\ngpu = true\nkeep = 5\n', "parameters and gpu are for a step with faiss"),
        (
            '[[step]]\ncodes = "int8"\nkeep = 5\n[[step]]\nfaiss = "Flat"\nkeep = 5\n',
            "step 2: faiss searches the whole corpus: only the first step can",
        ),
    ],
)
def test_steps_that_do_not_fit(write_spec: WriteSpec, tiny_bi_encoder: Path, tables: str, said: str) -> None:
    write_spec("wrong", f'kind = "funnel"\nmodel = "{tiny_bi_encoder}"\n{tables}')
    with pytest.raises(SpecError, match=said):
        load("wrong")
