from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.documents import documents_of
from mteb_cascade.retriever.building import build
from mteb_cascade.retriever.parity import Flips, answer, flips, in_float32, is_reduced
from mteb_cascade.retriever.retriever import Retriever
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.funnel import Funnel, FunnelStep
from mteb_cascade.stages.hybrid import Hybrid, Member
from mteb_cascade.store.index.index import Index


@dataclass(kw_only=True, eq=False, repr=False)
class Compass(BiEncoder):
    """Vectors that the text spells out: "0.6 0.8" is [0.6, 0.8]. In bfloat16 it computes with two digits less."""

    dtype: Any = "float32"

    def prepare(self) -> None:
        pass

    @property
    def network(self) -> Any:
        class Dot:
            similarity_fn_name = "dot"

        return Dot()

    def files(self):
        return ()

    def _encoded(self, texts: list[str], task: Any) -> np.ndarray:
        values = np.array([[float(number) for number in text.split()] for text in texts], np.float32)
        return values if self.dtype == "float32" else values.round(1)


CORPUS = Corpus.of(["a", "b", "c"], ["1.0 0.0", "0.0 1.0", "0.71 0.72"])
"""c is the best document of whatever points between the axes."""


def over(stage, corpus: Corpus, folder: Path, precision: str = "float32"):
    build(stage, documents_of(corpus), folder, precision=precision)
    return stage.over(Index.open(folder))


def test_a_query_that_int8_flips_by_hand(tmp_path: Path) -> None:
    # In int8 the .71 of c is round(.71 / .72 * 127) / 127 * .72 = 125 / 127 * .72 = .70866; d, whose largest number is
    # its only one, is kept as it is: along the first axis it is the best in int8, and the second best exactly.
    corpus = Corpus.of(["c", "d"], ["0.71 0.72", "0.7095 0.0"])
    queries = Queries(("q1", "q2"), ("1.0 0.0", "0.0 1.0"))
    served = over(Compass(model="/nowhere"), corpus, tmp_path, "int8")
    assert [answer(served, queries.rows([row]), (), 2).ids(0)[0] for row in (0, 1)] == ["d", "c"]
    assert flips(served, queries) == Flips(queries=2, flips=1, among=2)
    assert flips(over(Compass(model="/nowhere"), corpus, tmp_path / "exact"), queries).flips == 0


def test_a_model_in_fewer_bits_flips_too(tmp_path: Path) -> None:
    # Rounded to one digit c is .7 .7, and 0.5 * .7 + 0.2 * .7 = .49 < .5; a query of .5 .3 is .56 in both.
    served = over(Compass(model="/nowhere", dtype="bfloat16"), CORPUS, tmp_path)
    queries = Queries(("q1", "q2"), ("0.5 0.2", "0.54 0.19"))
    # .54 .19 is .5 .2 in few bits, whose best is a by either; exactly a: .54, c: .5202.
    assert flips(served, queries).flips == 0
    # .46 .24 is .5 .2 in few bits: a. Exactly a: .46, c: .4994.
    assert flips(served, Queries(("q",), ("0.46 0.24",))).flips == 1


def test_of_a_large_corpus_only_what_was_served_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = over(Compass(model="/nowhere", dtype="bfloat16"), CORPUS, tmp_path)
    queries = Queries(("q",), ("0.46 0.24",))
    asked: list[int] = []
    encode = Compass._encoded

    def counted(self, texts, task):
        if task == "document":
            asked.append(len(texts))
        return encode(self, texts, task)

    monkeypatch.setattr(Compass, "_encoded", counted)
    monkeypatch.setattr("mteb_cascade.retriever.parity.SERVED", 2)
    found = flips(served, queries, k=1, encoded=2)
    assert found == Flips(queries=1, flips=1, among=3, restricted_to=2)
    # Half of a small block is encoded whole: of these three, two are more than half.
    assert asked == [3]
    assert "among the served top 2" in str(found)


def test_compositions_are_compared_as_wholes_at_the_depths_that_are_served(tmp_path: Path) -> None:
    words = Corpus.of(["a", "b", "c"], ["1.0 0.0", "0.0 1.0", "0.71 0.72"])
    rough, fine = (Compass(model="/nowhere", dtype=dtype) for dtype in ("bfloat16", "float32"))
    cascade = Cascade(Hybrid(Member(fine), Member(BM25(), 1e-6)), Step(rough, 3))
    served = over(cascade, words, tmp_path)
    queries = Queries(("q",), ("0.46 0.24",))
    assert flips(served, queries).flips == 1
    # Where the step scores nothing, the first stage has the word, which computes in float32 anyway.
    assert flips(served, queries, depths=(0,)).flips == 0


@pytest.mark.parametrize(
    ("composed", "fusion"),
    [
        *(("alone", fusion) for fusion in ("linear", "min-max", "z-score", "dbsf", "rrf")),
        ("before a step", "rrf"),
        ("within another", "min-max"),
    ],
)
def test_a_hybrid_in_float32_flips_nothing_where_only_what_was_served_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, composed: str, fusion: str
) -> None:
    """Its points hang on the members' whole lists, which are longer than what is compared."""
    texts = [" ".join(f"{number:.2f}" for number in row) for row in np.random.default_rng(5).random((60, 2))]
    corpus = Corpus.of([f"d{row}" for row in range(60)], texts)
    queries = Queries(tuple(f"q{row}" for row in range(8)), tuple(texts[:8]))

    @dataclass(kw_only=True, eq=False, repr=False)
    class Turned(Compass):
        def _encoded(self, texts: list[str], task: Any) -> np.ndarray:
            return super()._encoded(texts, task) * np.float32([[3.0, -0.5]])

    stage: Any = Hybrid(Compass(model="/nowhere"), Turned(model="/nowhere2"), pool=40, fusion=fusion)
    if composed == "before a step":
        stage = Cascade(stage, Step(Compass(model="/nowhere"), 0))
    elif composed == "within another":
        stage = Hybrid(Cascade(stage, Step(Compass(model="/nowhere"), 0)), Compass(model="/nowhere"), pool=50)
    served = over(stage, corpus, tmp_path)
    monkeypatch.setattr("mteb_cascade.retriever.parity.SERVED", 5)
    assert flips(served, queries, k=1, encoded=2) == Flips(8, 0, 60, restricted_to=5)


def test_a_funnel_is_compared_with_its_model(tmp_path: Path) -> None:
    funnel = Funnel(Compass(model="/nowhere"), FunnelStep(codes="hamming", keep=1))
    corpus = Corpus.of(["a", "b"], ["0.9 0.1", "0.8 0.9"])
    served = over(funnel, corpus, tmp_path)
    # All signs are alike: the one document that is kept is a tie's, broken by id: b. Exactly it is a.
    queries = Queries(("q",), ("1.0 0.01",))
    assert answer(served, queries, (), 1).ids(0) == ["b"]
    assert flips(served, queries).flips == 1
    assert isinstance(in_float32(served, corpus), BiEncoder)


def test_what_is_served_in_fewer_bits(tmp_path: Path) -> None:
    fine, rough = Compass(model="/nowhere"), Compass(model="/nowhere", dtype="float16")
    assert not is_reduced(fine, "float32") and not is_reduced(BM25(), "int8")
    assert is_reduced(fine, "float16") and is_reduced(rough, "float32")
    assert is_reduced(Cascade(BM25(), Step(rough, 3)), "float32") and not is_reduced(
        Cascade(BM25(), Step(fine, 3)), "float32"
    )
    assert is_reduced(Funnel(fine, FunnelStep(codes="binary", keep=3)), "float32")


def test_of_a_retriever(tmp_path: Path, tiny_bi_encoder: Path) -> None:
    corpus = Corpus.of(
        [f"d{row}" for row in range(40)], [f"{'red ' * (row % 7)}fox {'blue ' * (row % 5)}" for row in range(40)]
    )
    stage = BiEncoder(model=str(tiny_bi_encoder), dtype="bfloat16")
    retriever = Retriever(stage, tmp_path / "index")
    retriever.embed_and_store_corpus(corpus, precision="int8")
    found = flips(retriever.snapshot.stage, Queries(("q1", "q2"), ("red fox", "blue fox")))
    assert (found.queries, found.among, found.restricted_to) == (2, 40, None)
    assert 0 <= found.flips <= 2
    assert found.as_json()["share"] == found.flips / 2


def test_in_words() -> None:
    assert (
        Flips(200, 3, 8_117).as_json()["line"]
        == "Best document other than by exact search in float32: 3 of 200 queries (1.5 %)."
    )
    assert Flips(0, 0, 5).share == 0
