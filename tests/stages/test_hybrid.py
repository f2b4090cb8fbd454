from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from table_stage import Table

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.hybrid import Hybrid, Member
from mteb_cascade.stages.load import load
from mteb_cascade.values.list_fusion import FUSIONS
from mteb_cascade.values.run import Run

CORPUS = Corpus.of(["a", "b", "c", "d"], ["red fox", "blue whale", "red whale", "green tree"])
QUERY = Queries(("q",), ("red fox",))


def table(**scores: float) -> Table:
    texts = dict(zip(CORPUS.ids.to_pylist(), CORPUS.texts.to_pylist(), strict=True))
    return Table(scores={"red fox": {texts[doc]: score for doc, score in scores.items()}})


def found(*members: Stage | Member, pool: int, k: int = 4) -> dict[str, float]:
    hybrid = Hybrid(*members, pool=pool)
    hybrid.index(CORPUS)
    return hybrid.search(QUERY, top_k=k)["q"]


def test_a_full_list_gives_its_lowest_score_to_what_it_lacks() -> None:
    # Pools of 2: {a 4, b 3} and {c 10, a 9}; b is worth 9 to the second, c is worth 3 to the first.
    scores = found(table(a=4.0, b=3.0, c=2.0, d=1.0), table(a=9.0, b=1.0, c=10.0, d=0.0), pool=2)
    assert scores == {"a": 13.0, "c": 13.0, "b": 12.0}
    assert list(scores) == ["c", "a", "b"]


def test_a_list_that_ended_early_gives_0() -> None:
    # The first list has one document of two asked for: what it lacks is worth 0 to it, not 4.
    assert found(table(a=4.0), table(b=1.0, c=2.0, d=-3.0), pool=2) == {"a": 5.0, "c": 2.0, "b": 1.0}


def test_weights_multiply_raw_scores() -> None:
    scores = found(Member(table(a=4.0, b=2.0), 0.5), Member(table(a=1.0, b=3.0), -2.0), pool=2)
    assert scores == {"a": 0.0, "b": -5.0}
    # An empty list says nothing; a weight of 0 neither, but its documents are in the pool.
    assert found(Member(table(), 3.0), table(a=1.0), pool=2) == {"a": 1.0}
    assert found(Member(table(b=7.0), 0.0), table(a=1.0), pool=1) == {"a": 1.0, "b": 1.0}


def test_the_missing_score_does_not_depend_on_k() -> None:
    members = table(a=4.0, b=3.0, c=2.0, d=1.0), table(a=9.0, b=1.0, c=10.0, d=0.0)
    assert list(found(*members, pool=2, k=1)) == ["c"]
    assert list(found(*members, pool=2, k=2)) == ["c", "a"]


def test_score_asks_every_member_for_every_candidate() -> None:
    hybrid = Hybrid(Member(table(a=4.0, b=2.0), 0.5), Member(table(a=1.0, b=3.0, c=1.0), -2.0), pool=1)
    docs = np.array([[1, 2, -1, 0]], np.int32)
    scores = hybrid.score(QUERY, Run(("q",), CORPUS, docs, np.zeros((1, 4), np.float32)))
    assert scores.tolist() == [[-5.0, -np.inf, -np.inf, 0.0]]


@pytest.mark.parametrize("weight", [-1.0, 0.0])
def test_what_a_member_cannot_score_is_never_plus_infinity(weight: float) -> None:
    hybrid = Hybrid(Member(table(a=1.0), weight), table(a=1.0, b=2.0))
    scores = hybrid.score(QUERY, Run(("q",), CORPUS, np.array([[1]], np.int32), np.zeros((1, 1), np.float32)))
    assert scores.tolist() == [[-np.inf if weight else 2.0]]


def test_a_list_wise_fusion_ranks_the_candidates_it_is_given() -> None:
    # c is not in the second member's table: 0 of it; nobody has d.
    hybrid = Hybrid(table(a=4.0, b=2.0, c=1.0), Member(table(a=1.0, b=3.0), 2.0), fusion="rrf", rrf_k=0)
    docs = np.array([[3, 2, -1, 0, 1]], np.int32)
    scores = hybrid.score(QUERY, Run(("q",), CORPUS, docs, np.zeros(docs.shape, np.float32)))
    assert scores[0].tolist() == pytest.approx([-np.inf, 1 / 3, -np.inf, 1 + 2 / 2, 1 / 2 + 2])
    # Without b, a is first with both: scores depend on the other candidates.
    scores = hybrid.score(QUERY, Run(("q",), CORPUS, docs[:, :4], np.zeros((1, 4), np.float32)))
    assert scores[0].tolist() == pytest.approx([-np.inf, 1 / 2, -np.inf, 3])


def test_a_member_of_weight_0_cannot_vouch_for_a_candidate() -> None:
    hybrid = Hybrid(Member(table(a=1.0), 1.0), Member(table(a=1.0, b=2.0), 0.0), fusion="min-max")
    scores = hybrid.score(QUERY, Run(("q",), CORPUS, np.array([[0, 1]], np.int32), np.zeros((1, 2), np.float32)))
    assert scores.tolist() == [[0.5, -np.inf]]


def test_fusions_by_hand() -> None:
    members = Member(table(a=4.0, b=3.0, c=2.0, d=1.0), 0.5), Member(table(a=9.0, b=1.0, c=10.0, d=0.0), 2.0)

    def fused(**options: Any) -> dict[str, float]:
        hybrid = Hybrid(*members, pool=3, **options)
        hybrid.index(CORPUS)
        return hybrid.search(QUERY, top_k=4)["q"]

    # Pools {a 4, b 3, c 2} and {c 10, a 9, b 1}.
    assert fused(fusion="min-max") == pytest.approx({"c": 2.0, "a": 0.5 + 2 * 8 / 9, "b": 0.25})
    assert fused(fusion="rrf") == pytest.approx(
        {"c": 0.5 / 63 + 2 / 61, "a": 0.5 / 61 + 2 / 62, "b": 0.5 / 62 + 2 / 63}
    )
    assert fused(fusion="rrf", rrf_k=1) == pytest.approx({"c": 0.5 / 4 + 1, "a": 0.25 + 2 / 3, "b": 0.5 / 3 + 0.5})
    spread, mean = (146 / 9) ** 0.5, 20 / 3
    z = {"c": 2 * (10 - mean) / spread - 0.5 * 1.5**0.5, "a": 2 * (9 - mean) / spread + 0.5 * 1.5**0.5}
    z["b"] = 2 * (1 - mean) / spread
    assert fused(fusion="z-score") == pytest.approx(z)
    # None of them is clipped, so dbsf is the same in other units: (3 + z) / 6.
    assert fused(fusion="dbsf") == pytest.approx({doc: (3 * 2.5 + value) / 6 for doc, value in z.items()})


@dataclass(kw_only=True, eq=False)
class Listwise(Table):
    """A stage whose scores depend on the whole list."""

    pointwise: ClassVar[bool] = False


def test_only_a_linear_hybrid_of_pointwise_members_is_pointwise() -> None:
    assert Hybrid(table(), table()).pointwise
    assert Hybrid(Hybrid(table(), table()), table()).pointwise
    assert not Hybrid(table(), Listwise(scores={})).pointwise
    assert not any(Hybrid(table(), table(), fusion=fusion).pointwise for fusion in FUSIONS if fusion != "linear")
    assert not Hybrid(Hybrid(table(), table(), fusion="rrf"), table()).pointwise


def test_the_fusion_decides_the_fingerprint_and_stands_in_results() -> None:
    made = [Hybrid(BM25(), BM25(k1=0.9), fusion=fusion) for fusion in FUSIONS]
    made.append(Hybrid(BM25(), BM25(k1=0.9), fusion="rrf", rrf_k=10))
    assert len({stage.fingerprint for stage in made}) == len(made)
    assert Hybrid(BM25(), BM25(k1=0.9), fusion="rrf", rrf_k=60).fingerprint == made[-2].fingerprint
    assert made[0].fingerprint == Hybrid(BM25(), BM25(k1=0.9)).fingerprint
    assert made[0].described()["fusion"] == "linear"
    assert "rrf_k" not in made[0].described()
    assert [made[row].described()["rrf_k"] for row in (-2, -1)] == [60, 10]
    assert repr(made[-1]).endswith("pool=1000, fusion='rrf', rrf_k=10)")


@pytest.mark.parametrize(
    ("members", "pool", "message"),
    [
        ([table()], 5, "two or more members, got 1"),
        ([table(), table()], 0, "pool: expected at least 1, got 0"),
        ([Member(table(), 0.0), Member(table(), 0.0)], 5, "weight: expected numbers that are not all 0, got "),
        ([table(), Member(table(), float("nan"))], 5, "weight: expected finite numbers"),
    ],
)
def test_wrong_wiring_is_refused_when_built(members: list, pool: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Hybrid(*members, pool=pool)


@pytest.mark.parametrize(
    ("keys", "weight", "message"),
    [
        (
            'fusion = "rff"',
            1,
            "fusion: unknown fusion 'rff'. Known: dbsf, linear, min-max, rrf, z-score. Did you mean 'rrf'?",
        ),
        ("fusion = 3", 1, "fusion: expected a valid string, got 3"),
        ('fusion = "rrf"\nrrf_k = -1', 1, "rrf_k: expected 0 or more, got -1"),
        ('fusion = "rrf"\nrrf_k = 0.5', 1, "rrf_k: expected a valid integer, got 0.5"),
        ("rrf_k = 60", 1, "rrf_k: fusion 'linear' has none; leave it out, or set fusion = \"rrf\""),
        ('fusion = "min-max"', 0, "weight: expected numbers that are not all 0, got [0.0, 0.0]: every document would"),
        ('fusion = "rrf"', "inf", "weight: expected finite numbers, got [inf, inf]"),
    ],
)
def test_a_mistake_in_a_spec_is_one_line(write_spec: Any, keys: str, weight: object, message: str) -> None:
    write_spec("lexical", 'kind = "bm25"\n')
    member = f'[[member]]\nmodel = "lexical"\nweight = {weight}\n'
    write_spec("mixed", f'kind = "hybrid"\n{keys}\n{member}{member}')
    with pytest.raises(InputError) as refused:
        load("mixed")
    assert str(refused.value).startswith("models/mixed.toml: " + message)
    assert "\n" not in str(refused.value)


def test_a_spec_sets_the_fusion(write_spec: Any) -> None:
    write_spec("lexical", 'kind = "bm25"\n')
    member = '[[member]]\nmodel = "lexical"\n'
    write_spec("mixed", f'kind = "hybrid"\nfusion = "rrf"\nrrf_k = 10\npool = 7\n{member}{member}')
    assert load("mixed").fingerprint == Hybrid(BM25(), BM25(), pool=7, fusion="rrf", rrf_k=10).fingerprint
