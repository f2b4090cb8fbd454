"""mteb's own HybridSearch over the same stages says what ours says: the same documents with the same scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.hybrid import Hybrid, Member

CONTEXT: dict[str, Any] = {"task_metadata": None, "hf_split": "test", "hf_subset": "default", "encode_kwargs": {}}
THEIRS = {"rrf": "rrf", "min-max": "rsf", "dbsf": "dbsf"}
"""{our name: mteb's}."""

same_fusion = pytest.mark.parametrize("fusion", THEIRS)
weight = st.sampled_from([0.25, 0.3, 1.0, 2.0, -0.5])

StageOf = Callable[[str], Stage]


def both(
    members: list[Member], fusion: str, rrf_k: int, corpus: Corpus, queries: Queries, pool: int, **options: Any
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Our results and mteb's; the weights of mteb's models are its default, 1/n, where all of ours are 1/n."""
    from mteb.models.hybrid_wrappers import HybridSearch

    ours = Hybrid(*members, pool=pool, fusion=fusion, rrf_k=rrf_k if fusion == "rrf" else None)
    weights = None if set(ours.weights) == {1 / len(members)} else ours.weights
    stages = [member.stage for member in members]
    theirs = HybridSearch(stages, weights, sub_model_top_k=pool, fusion_strategy=THEIRS[fusion], rrf_k=rrf_k)
    rows = Dataset.from_dict({"id": corpus.ids.to_pylist(), "text": corpus.texts.to_pylist()})
    asked = Dataset.from_dict({"id": list(queries.ids), "text": list(queries.texts)})
    ours.index(rows, **CONTEXT)
    theirs.index(rows, **CONTEXT)
    return tuple(one.search(asked, top_k=pool, **CONTEXT, **options) for one in (ours, theirs))


def assert_same(ours: dict[str, dict[str, float]], theirs: dict[str, dict[str, float]]) -> None:
    """Equal as float32, which is what trec_eval compares; mteb orders, and cuts, by float64."""
    assert list(ours) == list(theirs)
    for query, found in theirs.items():
        rounded = {doc: float(np.float32(score)) for doc, score in found.items()}
        assert list(ours[query].values()) == pytest.approx(sorted(rounded.values(), reverse=True), rel=1e-6, abs=1e-7)
        if rounded:
            cut = min(rounded.values())
            above = [doc for doc in rounded if rounded[doc] > cut + 1e-6]
            in_order = sorted(above, key=lambda doc: (rounded[doc], doc), reverse=True)
            assert [doc for doc in ours[query] if ours[query][doc] > cut + 1e-6] == in_order


@same_fusion
def test_two_and_three_members(fusion: str, stage_of: StageOf, any_world: Any) -> None:
    stages = [stage_of(name) for name in ("bm25", "static", "table")]

    @given(any_world, st.lists(weight, min_size=2, max_size=3), st.integers(1, 16), st.sampled_from([0, 1, 60]))
    def check(world: Any, weights: list[float], pool: int, rrf_k: int) -> None:
        members = [Member(stage, w) for stage, w in zip(stages, weights, strict=False)]
        assert_same(*both(members, fusion, rrf_k, world.corpus, world.queries, pool))

    check()


@same_fusion
def test_ties_and_mtebs_own_weights(fusion: str, stage_of: StageOf) -> None:
    # Copies of two texts: every score is shared, and every cut goes through a tie.
    ids = ["d2", "d10", "é", "𝒶", "a", "~", "Z", "0"]
    corpus = Corpus.of(ids, ["red fox", "blue whale"] * 4)
    queries = Queries(("q", "nothing"), ("red fox", "unheard of"))
    members = [Member(stage_of("bm25"), 0.5), Member(stage_of("table"), 0.5)]
    ours, theirs = both(members, fusion, 60, corpus, queries, 8)
    assert_same(ours, theirs)
    assert list(ours["q"]) == list(theirs["q"])
    assert len(ours["q"]) >= 4


@same_fusion
def test_candidates_of_a_reranking_task(fusion: str, stage_of: StageOf, any_world: Any) -> None:
    stages = [stage_of(name) for name in ("bm25", "static")]

    @settings(max_examples=25)
    @given(any_world, st.data())
    def check(world: Any, data: st.DataObject) -> None:
        lists = st.lists(st.sampled_from(world.corpus.ids.to_pylist()), unique=True)
        ranked = {query: data.draw(lists) for query in world.queries.ids}
        members = [Member(stage, data.draw(weight)) for stage in stages]
        assert_same(*both(members, fusion, 60, world.corpus, world.queries, 20, top_ranked=ranked))

    check()
