"""Retrieved runs and vectors through the store, and what it takes to look them up."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from slow_stage import CORPUS, QUERIES, Slow, candidates, shards_of

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.stages.hybrid import Hybrid
from mteb_cascade.stages.run_file import RunFile
from mteb_cascade.store.switch import bypassed
from mteb_cascade.values.run import Run


class Searching(Slow):
    """Retrieves by score, and keeps count of it in the file of calls."""

    def retrieve(self, queries: Queries, k: int) -> Run:
        return super().retrieve(queries, k)


def test_a_retrieved_run_is_stored_and_serves_every_shallower_wish(cache, calls):
    stage = Searching()
    stage.index(CORPUS)
    deep = stage.retrieved(QUERIES, 9)
    assert calls()
    for k in (9, 5, 1):
        found = stage.retrieved(QUERIES, k)
        np.testing.assert_array_equal(found.docs, deep.docs[:, :k])
        np.testing.assert_array_equal(found.scores, deep.scores[:, :k])
        assert found.query_ids == QUERIES.ids
    assert not calls()
    assert len(shards_of(cache, "runs")) == 1
    stage.retrieved(QUERIES, 10)
    stage.retrieved(QUERIES.rows([1, 0]), 3)
    stage.index(Corpus.of(CORPUS.ids.to_pylist()[:20], CORPUS.texts.to_pylist()[:20]))
    stage.retrieved(QUERIES, 30)  # all there is
    assert len(calls()) == 3
    stage.retrieved(QUERIES, 40)
    assert not calls()
    with bypassed():
        stage.retrieved(QUERIES, 40)
    stage.retrieve(QUERIES, 40)
    assert len(calls()) == 2


def test_a_damaged_run_is_named_and_retrieved_again(cache, calls):
    stage = Searching()
    stage.index(CORPUS)
    expected = stage.retrieved(QUERIES, 9)
    (path,) = shards_of(cache, "runs")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(UserWarning, match=f"{path.name}: is damaged; .* and its queries are searched again"):
        np.testing.assert_array_equal(stage.retrieved(QUERIES, 9).scores, expected.scores)
    assert len(calls()) == 2
    assert shards_of(cache, "runs") == [path]


def test_a_cascade_and_a_hybrid_are_served_by_their_parts(cache, calls):
    first = Searching(seed=1)
    cascade = Cascade(Hybrid(first, BM25(), pool=8), Step(Slow(), 5, 0.5))
    cascade.index(CORPUS)
    expected = cascade.retrieved(QUERIES, 7)
    assert calls()
    np.testing.assert_array_equal(cascade.retrieved(QUERIES, 7).scores, expected.scores)
    assert not calls()
    np.testing.assert_array_equal(cascade.retrieve(QUERIES, 7).scores, expected.scores)
    assert calls()
    cascade.score(QUERIES, candidates())
    assert calls()
    assert cascade.search(QUERIES, top_k=7) == expected.as_dict()
    assert not calls()


def test_a_run_file_is_not_stored_nor_is_what_is_made_of_it(cache, tmp_path):
    (tmp_path / "list.trec").write_text("".join(f"q{row} Q0 d{row} 1 1 x\n" for row in range(12)))
    file = RunFile(file=str(tmp_path / "list.trec"))
    hybrid = Hybrid(file, BM25())
    hybrid.index(CORPUS)
    hybrid.retrieved(QUERIES, 3)
    file.retrieved(QUERIES, 3)
    assert (file.store_key(QUERIES), hybrid.store_key(QUERIES)) == (None, None)
    assert {path.parent.name for path in shards_of(cache, "runs")} == {BM25().fingerprint}


def test_a_model_that_was_trained_since_it_was_loaded_is_not_stored(cache, tiny_cross_encoder, tmp_path):
    folder = shutil.copytree(tiny_cross_encoder, tmp_path / "model")
    stage = CrossEncoder(model=str(folder))
    stage.scored(QUERIES, candidates())
    key = stage.store_key(QUERIES)
    assert key == stage.fingerprint
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    assert stage.store_key(QUERIES) is None
    assert CrossEncoder(model=str(folder)).store_key(QUERIES) not in (None, key)


def test_a_bi_encoder_keeps_its_vectors_and_a_second_one_reads_them(cache, tiny_static, monkeypatch):
    first = BiEncoder(model=str(tiny_static))
    first.index(CORPUS)
    expected = first.retrieve(QUERIES, 5)
    assert len(list(cache.glob("vectors/*/*/000000.*.npy"))) == 1
    second = BiEncoder(model=str(tiny_static))
    monkeypatch.setattr(second, "encode_documents", None)
    second.index(CORPUS)
    found = second.retrieve(QUERIES, 5)
    np.testing.assert_array_equal(found.docs, expected.docs)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_what_is_stored_needs_no_model(cache, tiny_cross_encoder, tiny_bi_encoder, tmp_path):
    """The second time nothing is loaded: neither torch nor the weights."""
    cascade = Cascade(BiEncoder(model=str(tiny_bi_encoder)), Step(CrossEncoder(model=str(tiny_cross_encoder)), 4))
    cascade.index(CORPUS)
    first = cascade.retrieved(QUERIES, 6)
    script = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from slow_stage import CORPUS, QUERIES\n"
        "from mteb_cascade.stages.bi_encoder import BiEncoder\n"
        "from mteb_cascade.stages.cascade import Cascade, Step\n"
        "from mteb_cascade.stages.cross_encoder import CrossEncoder\n"
        f"cascade = Cascade(BiEncoder(model={str(tiny_bi_encoder)!r}), "
        f"Step(CrossEncoder(model={str(tiny_cross_encoder)!r}), 4))\n"
        "cascade.index(CORPUS)\n"
        "print(cascade.retrieved(QUERIES, 6).scores.tobytes().hex(), 'torch' in sys.modules)\n"
    )
    second = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert second == [first.scores.tobytes().hex(), "False"]
