from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.values.fusion import rerank
from mteb_cascade.values.order import order_keys


@given(data=st.data())
def test_the_first_d_sorted_by_key_are_the_reranked_head(any_case: st.SearchStrategy[Any], data: st.DataObject) -> None:
    case = data.draw(any_case)
    columns = data.draw(st.integers(0, case.run.depth))
    keys = order_keys(case.run, case.scores[:, :columns], case.blend)
    assert keys.shape == (len(case.run.query_ids), columns)
    for depth in range(columns + 1):
        order = np.argsort(-keys[:, :depth], axis=1)
        wanted = rerank(case.run, case.scores[:, :columns], depth, case.blend).docs[:, :depth]
        assert np.take_along_axis(case.run.docs[:, :depth], order, axis=1).tolist() == wanted.tolist()


@given(data=st.data())
def test_no_key_stands_twice_in_a_row(any_case: st.SearchStrategy[Any], data: st.DataObject) -> None:
    case = data.draw(any_case)
    for row in order_keys(case.run, case.scores, case.blend):
        assert len({*row.tolist()}) == len(row)
