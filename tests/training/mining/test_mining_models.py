"""Mining with models: the margins of sentence-transformers, nothing computed twice, what a kill leaves."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from mining_worlds import ANSWERED, DISTINCT, QUERIES, WHAT, data_of, options

from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.store.folder import cache_folder
from mteb_cascade.training.mining import candidates as candidates_module
from mteb_cascade.training.mining.answers import Answers
from mteb_cascade.training.mining.candidates import judged, retrieved, ruled
from mteb_cascade.training.mining.mined import mined
from mteb_cascade.training.mining.stage_scores import stage_of
from mteb_cascade.training.options import Mining
from mteb_cascade.values.run import PAD, Run


@pytest.mark.parametrize(
    "rule", [{}, {"margin": 0.0}, {"margin": 0.7}, {"relative_margin": 0.05}, {"margin": 0.2, "relative_margin": 0.1}]
)
def test_margins_keep_what_sentence_transformers_keeps(rule, models):
    from datasets import Dataset
    from sentence_transformers import CrossEncoder as Judge
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.util import mine_hard_negatives
    from torch.nn import Identity

    positives = [DISTINCT[row] for row in ANSWERED.docs[:, 0]]
    theirs = mine_hard_negatives(
        Dataset.from_dict({"query": QUERIES, "positive": positives}),
        SentenceTransformer(models[0], device="cpu"),
        corpus=DISTINCT,
        cross_encoder=Judge(models[1], device="cpu", activation_fn=Identity()) if rule else None,
        range_min=0 if rule else 3,
        range_max=len(DISTINCT),
        num_negatives=len(DISTINCT) - (0 if rule else 3),
        absolute_margin=rule.get("margin"),
        relative_margin=rule.get("relative_margin"),
        output_format="triplet",
        verbose=False,
    )
    expected = {(row["query"], row["negative"]) for row in theirs}
    mining = Mining(first=[models[0]], depth=len(DISTINCT), skip=0 if rule else 3, **rule)
    if rule:
        mining = replace(mining, judge=models[1])
    run = retrieved(stage_of(models[0], WHAT), ANSWERED, mining.depth, lambda *_: None)
    found = ruled(run, np.zeros(run.docs.shape, np.int8), Answers(ANSWERED), mining.skip, lambda *_: None)
    if rule:
        found = judged(found, ANSWERED, stage_of(models[1], WHAT), mining, WHAT, lambda *_: None)
    ours = {(QUERIES[row], DISTINCT[run.docs[row, at]]) for row, at in zip(*np.nonzero(found.believed), strict=True)}
    assert ours == expected
    assert 0 < len(ours) < len(QUERIES) * (len(DISTINCT) - 1)


def test_a_second_call_loads_no_model_and_a_damaged_file_is_mined_anew(models, monkeypatch):
    mining = Mining(first=[models[0]], judge=models[1], margin=0.1, depth=6)
    made = mined(data_of(ANSWERED), options(2, mining), WHAT)
    with monkeypatch.context() as patch:
        for kind in (BiEncoder, CrossEncoder):
            patch.setattr(kind, "prepare", lambda *_: pytest.fail("a model was loaded"))
        again = mined(data_of(ANSWERED), options(2, mining), WHAT)
        # Another number of negatives: mined anew, from stored runs and scores.
        other = mined(data_of(ANSWERED), options(1, mining), WHAT)
    for name in ("docs", "labels", "relevant"):
        assert getattr(again.lists, name).tolist() == getattr(made.lists, name).tolist()
        assert getattr(again.lists, name).dtype == getattr(made.lists, name).dtype
    assert again.report == json.loads(json.dumps(made.report))
    assert again.folder == made.folder != other.folder
    (file,) = made.folder.glob("*.parquet")
    file.write_bytes(file.read_bytes()[:-9] + b"123456789")
    with pytest.warns(UserWarning, match="is damaged; set aside as .* mined anew"):
        anew = mined(data_of(ANSWERED), options(2, mining), WHAT)
    assert anew.lists.docs.tolist() == made.lists.docs.tolist()
    assert [path.name for path in made.folder.glob("*.parquet")] == [file.name]
    (made.folder / "report.json").write_text("{")
    with pytest.warns(UserWarning, match="no mined list of these queries"):
        assert mined(data_of(ANSWERED), options(2, mining), WHAT).report == anew.report


def test_a_killed_run_goes_on_with_the_pairs_that_are_missing(models, monkeypatch):
    monkeypatch.setattr(CrossEncoder, "block_tokens", 20)
    monkeypatch.setattr(candidates_module, "QUERIES", 3)
    mining = Mining(first=[models[0]], judge=models[1], depth=6)
    score, retrieve, scored, asked = CrossEncoder.score, BiEncoder.retrieve, [], []

    def killed(stage: CrossEncoder, queries: Queries, run: Run) -> np.ndarray:
        if sum(scored) > 12:
            raise KeyboardInterrupt
        scored.append(int((run.docs != PAD).sum()))
        return score(stage, queries, run)

    def counted(stage: BiEncoder, queries: Queries, k: int) -> Run:
        asked.append(len(queries))
        return retrieve(stage, queries, k)

    monkeypatch.setattr(BiEncoder, "retrieve", counted)
    monkeypatch.setattr(CrossEncoder, "score", killed)
    with pytest.raises(KeyboardInterrupt):
        mined(data_of(ANSWERED), options(2, mining), WHAT)
    assert asked == [3, 1]
    assert not list((cache_folder() / "mined").glob("*/*.parquet"))
    before = sum(scored)
    monkeypatch.setattr(
        CrossEncoder, "score", lambda *given: scored.append(int((given[2].docs != PAD).sum())) or score(*given)
    )
    made = mined(data_of(ANSWERED), options(2, mining), WHAT)
    assert asked == [3, 1]
    pairs = made.report["believed"] + made.report["dropped"]["judge"] + made.report["answers"]
    assert 12 < before < pairs
    assert sum(scored) == pairs
