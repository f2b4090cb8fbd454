"""Kind `mteb` against mteb's own run of the same model, on tiny models put into mteb's registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from registered_models import BM25S, drawn_split, task_of
from table_stage import Table

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.experiments.evaluate import evaluate_stage
from mteb_cascade.stages import exact
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.hybrid import Hybrid
from mteb_cascade.stages.mteb import Mteb, generic_task
from mteb_cascade.values.run import Run

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("mteb_registry")]


def given(task: Any) -> tuple[Any, dict[str, Any]]:
    """The data of a task, and what mteb says beside them."""
    task.load_data()
    context = {"task_metadata": task.metadata, "hf_split": "test", "hf_subset": "default", "num_proc": None}
    return task.dataset["default"]["test"], {**context, "encode_kwargs": {"batch_size": 4, "show_progress_bar": False}}


def by_mteb(name: str, task: Any, top_k: int = 1000) -> dict[str, dict[str, float]]:
    """What mteb's own wrappers find with the model."""
    import mteb
    from mteb.models import CrossEncoderProtocol, SearchCrossEncoderWrapper, SearchEncoderWrapper, SearchProtocol

    model: Any = mteb.get_model(name)
    if isinstance(model, CrossEncoderProtocol):
        model = SearchCrossEncoderWrapper(model)
    elif not isinstance(model, SearchProtocol):
        model = SearchEncoderWrapper(model)
    data, context = given(task)
    model.index(data["corpus"], **context)
    found: dict[str, dict[str, float]] = model.search(
        data["queries"], top_k=top_k, top_ranked=data["top_ranked"], **context
    )
    return found


def by_stage(stage: Any, task: Any, top_k: int = 1000) -> dict[str, dict[str, float]]:
    data, context = given(task)
    stage.index(data["corpus"], **context)
    found: dict[str, dict[str, float]] = stage.search(
        data["queries"], top_k=top_k, top_ranked=data["top_ranked"], **context
    )
    return found


def assert_equal(found: Any, expected: Any) -> None:
    assert found.keys() == expected.keys()
    for query, documents in expected.items():
        assert found[query] == pytest.approx(documents, abs=1e-5)
        assert documents


RETRIEVING = ("tiny/encoder", "tiny/static", "tiny/sparse", "tiny/late", BM25S)


@pytest.mark.parametrize("name", [*RETRIEVING, "tiny/apart"])
def test_it_finds_what_mteb_finds(name: str) -> None:
    task = task_of(instructed=True)
    assert_equal(by_stage(Mteb(model=name), task), by_mteb(name, task))


# Not the sparse one: mteb's own reranking cannot pick rows of a sparse tensor.
@pytest.mark.parametrize(
    "name", ["tiny/encoder", "tiny/static", "tiny/late", BM25S, "tiny/apart", "tiny/cross-encoder"]
)
def test_it_reranks_as_mteb_does(name: str) -> None:
    task = task_of(instructed=True, candidates=True)
    assert_equal(by_stage(Mteb(model=name), task), by_mteb(name, task))


@pytest.mark.parametrize(
    ("name", "candidates"),
    [("tiny/encoder", False), ("tiny/encoder", True), (BM25S, False), (BM25S, True), ("tiny/cross-encoder", True)],
)
def test_mteb_our_evaluation_and_its_own_run_agree_on_every_figure(name: str, candidates: bool) -> None:
    import mteb

    from mteb_cascade.corpora.mteb_task import collection_of

    task = task_of(candidates=candidates)
    measures = {"recall@1": "recall_at_1", "recall@10": "recall_at_10", "ndcg@10": "ndcg_at_10", "mrr@10": "mrr_at_10"}
    stage = Mteb(model=name, name="tiny/stage")
    theirs, ours = (
        mteb.evaluate(model, task, cache=None, show_progress_bar=False).task_results[0].scores["test"][0]
        for model in (mteb.get_model(name), stage)
    )
    for measure in measures.values():
        assert ours[measure] == pytest.approx(theirs[measure], abs=1e-5)
    means = evaluate_stage(stage, collection_of(task, "test"), "test", tuple(measures)).means
    assert means == pytest.approx({name: theirs[key] for name, key in measures.items()}, abs=1e-5)


def test_as_a_step_and_as_a_member_it_knows_the_task_and_reads_titles_apart() -> None:
    task = task_of(instructed=True)
    alone = by_stage(Mteb(model="tiny/apart"), task)
    cascade = by_stage(Cascade(BM25(), Step(Mteb(model="tiny/apart"), depth=5)), task)
    hybrid = by_stage(Hybrid(Mteb(model="tiny/apart"), Mteb(model="tiny/apart"), pool=100), task)
    for query, documents in cascade.items():
        head = dict(list(documents.items())[:5])
        assert head == {document: alone[query][document] for document in head}
        assert hybrid[query] == {document: 2 * score for document, score in alone[query].items()}


def test_a_document_is_encoded_once_and_as_a_step_only_where_it_is_a_candidate() -> None:
    task = task_of()
    first = Table(scores={})
    step = Mteb(model="tiny/apart")
    data, context = given(task)
    cascade = Cascade(first, Step(step, depth=60))
    lists = {query: ["d3", "d1"] for query in data["queries"]["id"]}
    cascade.index(data["corpus"], **context)
    cascade.search(data["queries"], top_k=10, top_ranked=lists, **context)
    assert step.network.encoded == ["d1", "d3"]
    assert [heard["task_metadata"] is task.metadata for heard in step.network.heard] == [True, True]
    assert {(heard["hf_split"], heard["hf_subset"]) for heard in step.network.heard} == {("test", "default")}
    step.index(data["corpus"], **context)
    for _ in range(2):
        step.search(data["queries"], top_k=10, **context)
    assert sorted(step.network.encoded) == sorted(data["corpus"]["id"])


@pytest.mark.parametrize("name", RETRIEVING)
def test_a_longer_list_starts_with_the_shorter_one_and_scores_are_those_of_score(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact, "DOCUMENT_BLOCK", 7)
    monkeypatch.setattr(exact, "QUERY_BLOCK", 5)
    data = drawn_split()
    stage = Mteb(model=name)
    corpus = Corpus.of(data["corpus"]["id"][:], data["corpus"]["text"][:], data["corpus"]["title"][:])
    stage.index(corpus)
    queries = Queries(tuple(data["queries"]["id"]), tuple(data["queries"]["text"]))
    whole = stage.retrieve(queries, 60)
    for k in (1, 3, 10, 59):
        cut = stage.retrieve(queries, k)
        np.testing.assert_array_equal(cut.docs, whole.docs[:, :k])
        np.testing.assert_allclose(cut.scores, whole.scores[:, :k], atol=1e-6)
    candidates = Run(queries.ids, corpus, whole.docs[:, ::-7].copy(), np.zeros_like(whole.scores[:, ::-7]))
    scores = stage.score(queries, candidates)
    np.testing.assert_allclose(scores, whole.scores[:, ::-7], atol=1e-6)
    if stage.role == "encoder":
        np.testing.assert_array_equal(scores, whole.scores[:, ::-7])


def test_prompts_follow_the_task(mteb_registry: dict[str, Any], tiny_static: Path) -> None:
    from mteb.models import SentenceTransformerEncoderWrapper
    from mteb.models.model_meta import ModelMeta

    prompts = {"SciFact-query": "whale whale whale ", "query": "fox fox fox "}
    mteb_registry["tiny/prompted"] = ModelMeta.create_empty(
        {
            "name": "tiny/prompted",
            "revision": "r1",
            "loader": lambda name, **_: SentenceTransformerEncoderWrapper(
                str(tiny_static), device="cpu", model_prompts=prompts
            ),
        }
    )
    corpus, asked = Corpus.of(["a", "b"], ["red fox", "blue whale"]), Queries(("q",), ("stone",))

    def found(stage: Any, queries: Queries) -> list[float]:
        stage.index(corpus)
        scores: list[float] = stage.retrieve(queries, 2).as_dict()["q"].values()
        return sorted(scores)

    prompted, plain = Mteb(model="tiny/prompted"), Mteb(model="tiny/static")
    by_type = found(plain, Queries(("q",), ("fox fox fox stone",)))
    by_task = found(plain, Queries(("q",), ("whale whale whale stone",)))
    assert found(prompted, asked) == pytest.approx(by_type)
    assert found(prompted, asked.within(task="SciFact")) == pytest.approx(by_task)
    assert found(prompted, asked.within(task_metadata=generic_task("SciFact"))) == pytest.approx(by_task)
    assert by_type != pytest.approx(by_task)


def test_what_mteb_is_told_to_encode_with_tells_stored_scores_apart() -> None:
    stage, asked = Mteb(model="tiny/static"), Queries(("q",), ("stone",))
    told: tuple[dict[str, Any], ...] = (
        {},
        {"batch_size": 4},
        {"output_dimension": 8},
        {"output_dimension": 4},
        {"device": object()},
    )
    plain, batched, *others, unknown = (stage.store_key(asked.within(encode_kwargs=one)) for one in told)
    assert plain == batched == stage.store_key(asked)
    assert len({plain, *others}) == 3
    assert unknown is None


def test_embeddings_made_as_mteb_was_told_before_are_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    stage, asked = Mteb(model="tiny/static"), Queries(("q",), ("red fox",))
    corpus = Corpus.of(["a", "b"], ["red fox", "blue whale"])
    stage.index(corpus)
    asked_for = []
    encode = stage.network.encode

    def counted(inputs: Any, *arguments: Any, normalize: bool = False, **options: Any) -> Any:
        asked_for.append((options["prompt_type"].value, normalize))
        return encode(inputs, *arguments, **options)

    monkeypatch.setattr(stage.network, "encode", counted)
    for told in ({}, {"batch_size": 1}, {"normalize": True}):
        stage.retrieve(asked.within(encode_kwargs=told), 2)
    assert [told for side, told in asked_for if side == "document"] == [False, True]


def test_a_task_without_a_class_has_the_prompt_of_all_retrieval_tasks() -> None:
    from mteb.abstasks import AbsTaskRetrieval
    from mteb.models.abs_encoder import AbsEncoder
    from mteb.types import PromptType

    class Instructed(AbsEncoder):
        def __init__(self) -> None:
            self.prompts_dict = None

        def encode(self, *_: Any, **__: Any) -> Any: ...

    metadata = generic_task("a-folder-of-that-name")
    assert Instructed().get_instruction(metadata, PromptType.query) == AbsTaskRetrieval.abstask_prompt != ""


def test_a_sparse_model_and_one_vector_a_token_keep_their_own_similarity() -> None:
    import torch

    from mteb_cascade.stages.mteb_embeddings import DocumentEmbeddings, joined, on_cpu

    table = torch.tensor([[0.0, 2.0], [1.0, 0.0], [0.0, 3.0]])
    documents = DocumentEmbeddings(3, lambda rows: on_cpu(table[rows].to_sparse()))
    assert documents.at(np.array([2])).to_dense().tolist() == [[0, 3]]
    assert documents.at(np.array([1, 2, 0, 1])).to_dense().tolist() == [[1, 0], [0, 3], [0, 2], [1, 0]]
    ragged = [on_cpu([torch.ones(1, 2), torch.ones(2, 2)]), on_cpu([torch.ones(3, 2)])]
    assert joined(ragged).sum(dim=(1, 2)).tolist() == [2, 4, 6]
    assert on_cpu(torch.ones(1, dtype=torch.bfloat16)).dtype == torch.float32


def test_pointwise_is_told_from_the_model() -> None:
    assert [Mteb(model=name).pointwise for name in ("tiny/encoder", "tiny/cross-encoder", BM25S, "tiny/late")] == [
        True,
        True,
        False,
        False,
    ]


def test_the_fingerprint_names_the_registrys_revision_and_loads_nothing(mteb_registry: dict[str, Any]) -> None:
    stage = Mteb(model="tiny/encoder")
    described = stage.described()
    assert (described["model"], described["revision"]) == ("tiny/encoder", "r1")
    before = stage.fingerprint
    assert Mteb(model="tiny/encoder", revision="r1", batch_size=2, trust_remote_code=True).fingerprint == before
    assert Mteb(model="tiny/static").fingerprint != before
    mteb_registry["tiny/encoder"] = mteb_registry["tiny/encoder"].model_copy(update={"revision": "r2"})
    try:
        assert stage.fingerprint != before
    finally:
        mteb_registry["tiny/encoder"] = mteb_registry["tiny/encoder"].model_copy(update={"revision": "r1"})
    assert stage._network is None
