from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.values.fusion import rerank
from mteb_cascade.values.kept import recall_per_token
from mteb_cascade.values.measures import evaluate, mean
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import Run

CORPUS = Corpus.of("abcd", ["text"] * 4)
TOKENS = [100, 200, 50, 1000]


def ranked() -> Run:
    return Run.ranked(["q"], CORPUS, np.array([[0, 1, 2, 3]]), np.array([[4.0, 3, 2, 1]]))


def test_by_hand() -> None:
    got = recall_per_token(ranked(), [[1.0, 2.0, 4.0, 3.0]], Qrels({"q": {"c": 1, "outside": 1}}), TOKENS, 2)
    assert got.tokens.tolist() == [300, 300, 250, 1050]
    assert got.recall.tolist() == [0, 0, 0.5, 0.5]
    assert got.per_1000_tokens.tolist() == pytest.approx([0, 0, 2, 0.5 / 1.05])
    assert got.as_json()["recall@2"] == [0, 0, 0.5, 0.5] and got.as_json()["keep"] == 2


@given(data=st.data())
def test_equals_reranking_to_every_depth(any_case: st.SearchStrategy[Any], data: st.DataObject) -> None:
    case = data.draw(any_case)
    columns, keep = data.draw(st.integers(0, case.run.depth)), data.draw(st.integers(1, 10))
    counts = np.array([2**row for row in range(len(case.run.corpus))])
    got = recall_per_token(case.run, case.scores[:, :columns], case.qrels, counts, keep, case.blend)
    assert got.tokens.shape == got.recall.shape == (columns,)
    for depth in range(1, columns + 1):
        first = rerank(case.run, case.scores[:, :columns], depth, case.blend).cut(keep)
        tokens = [counts[docs[docs >= 0]].sum() for docs in first.docs]
        assert got.tokens[depth - 1] == pytest.approx(np.mean(tokens))
        name = f"recall@{keep}"
        assert got.recall[depth - 1] == pytest.approx(mean(evaluate(first, case.qrels, [name])[name]), abs=1e-6)


def test_nothing_handed_on_and_wrong_counts() -> None:
    got = recall_per_token(ranked(), [[1.0] * 4], Qrels({"q": {"a": 1}}), [0] * 4, 1)
    assert got.per_1000_tokens.tolist() == [0] * 4
    for counts, keep in (([1] * 3, 1), ([1] * 4, 0)):
        with pytest.raises(ValueError, match="at least 1 document and 4 token counts"):
            recall_per_token(ranked(), [[1.0] * 4], Qrels({}), counts, keep)
