import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("benchmarks")


def test_the_loop_reranks_the_head_and_keeps_the_tail_below():
    from depths import evenly, reranked

    names = np.array([[f"d{rank}" for rank in range(12)]], dtype=object)
    scores = np.arange(12, dtype=np.float32)[None]  # the last is the best
    depths = evenly(12)
    assert depths == [1, 2, 3, 4, 5, 7, 8, 9, 10, 12]
    lists = [list(found["q0"]) for found in reranked(names, scores, 4)]
    assert lists[0] == ["d0", "d1", "d2", "d3"]
    assert lists[2] == ["d2", "d1", "d0", "d3"]
    assert lists[-1] == ["d11", "d10", "d9", "d8"]


def test_the_loop_s_scores_fall_with_the_rank():
    from depths import reranked

    names = np.array([["a", "b", "c"]], dtype=object)
    first = next(reranked(names, np.zeros((1, 3), np.float32), 3))
    assert list(first["q0"].values()) == [3, 2, 1]
