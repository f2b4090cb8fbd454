"""The card says all of a model, in front matter that the hub reads and Markdown that data cannot break."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from own_publication import COMMIT, publication, result

from mteb_cascade.publish import card
from mteb_cascade.publish.publication import Publication

SCORES = {"ndcg_at_10": 0.61254, "mrr_at_10": 0.5, "hit_rate_at_1": 0.25, "recall_at_100": 1.0}

FACTS = {
    "name": "our-org/tiny",
    "revision": COMMIT,
    "license": "mit",
    "languages": ["eng-Latn", "deu-Latn", "eng-Latn"],
    "training_datasets": {"NFCorpus", "PythonDocsRetrieval"},
    "adapted_from": "google-bert/bert-base-uncased",
    "max_tokens": 512,
}

MADE = {
    "command": "mteb run -m tiny -t SciFact -t NFCorpus ``` # fence",
    "hardware": {"processor": "A <b>fast</b> | one", "gpu": None},
    "dataset_revision": "d1",
    "git": {"commit": "c" * 40, "dirty": False},
    "versions": {"mteb": "2.26.24"},
    "date": "2026-11-21T20:00:00Z",
}

TRAINED = """---
tags:
- loss:contrastive
- mteb
---

# local/tiny

A bi-encoder trained by mteb-cascade.

## How to load it

```python
SentenceTransformer("models/tiny")
```

## Data

words, digest `abc`

## Options

| option | value |
| --- | --- |
| seed | 7 |
"""


def told(published: Publication, folder: Path) -> ModelCard:
    """The card, written and read again by the hub's own reader."""
    return ModelCard.load(card.write(published, folder))


@pytest.fixture
def dense(write_spec: Any, tiny_bi_encoder: Path) -> Publication:
    """A bi-encoder with results on two tasks, one of which it was trained on."""
    training = '[training]\nbase = "scratch"\ncollection = "/somewhere/on/this/disk/words"\nseed = 3\n'
    write_spec("tiny", f'kind = "bi-encoder"\nmodel = "{tiny_bi_encoder}"\n{training}')
    found = publication("tiny", **FACTS)
    results = [result(found.stage, task, SCORES, **MADE) for task in ("SciFact", "NFCorpus")]
    return replace(found, results=tuple(results))


def test_the_front_matter_of_a_model_of_sentence_transformers(dense: Publication, tmp_path: Path):
    data = told(dense, tmp_path).data
    assert (data.library_name, data.pipeline_tag) == ("sentence-transformers", "sentence-similarity")
    assert {"sentence-transformers", "feature-extraction", "mteb-cascade", "mteb"} <= set(data.tags)
    assert len(data.tags) == len(set(data.tags))
    assert (data.license, data.language, data.datasets) == ("mit", ["eng", "deu"], ["mteb/nfcorpus"])
    assert (data.base_model, data.model_name) == (["google-bert/bert-base-uncased"], "our-org/tiny")
    found = {(one.dataset_name, one.metric_type): one.metric_value for one in data.eval_results}
    assert found["SciFact (default)", "ndcg_at_10"] == 0.61254 and found["NFCorpus (default)", "hit_rate_at_1"] == 0.25
    assert len(found) == 2 * len(SCORES) and data.eval_results[0].dataset_type == "mteb/nfcorpus"


def test_what_the_text_says(dense: Publication, tmp_path: Path):
    text = told(dense, tmp_path).text
    for line in (
        "# our-org/tiny",
        "mteb run -m our-org/tiny -t SciFact",
        f'model = SentenceTransformer("our-org/tiny", revision="{COMMIT}")',
        "- NFCorpus",
        "| collection | words |",
        "| SciFact | test | 0.6125 | 0.5000 | 0.2500 | 1.0000 |",
        "Mean of the main scores: 0.6125. Zero-shot, as mteb counts it: 50 %.",
        "````bash",
        MADE["command"],
        f"| SciFact | 2026-11-21T20:00:00Z | A \\<b\\>fast\\</b\\> \\| one | d1 | {'c' * 40} |",
        "- Languages: eng-Latn, deu-Latn, eng-Latn. Nothing is known of others.",
        "- A text is cut after 512 tokens; what follows is not read.",
        "- Tested on NFCorpus, SciFact, and on no other collection.",
        "- Trained on data of NFCorpus: those figures are not zero-shot.",
    ):
        assert line in text.splitlines(), line
    assert text.count(MADE["command"]) == 1, "one command made both results"
    assert "somewhere" not in text and str(tmp_path) not in text and "Depth curve" not in text
    unknown = replace(dense, meta=dense.meta.model_copy(update={"training_datasets": None}))
    text = told(unknown, tmp_path).text
    assert "its training data is not stated." in text and "as mteb counts it: cannot be told." in text


def test_what_training_wrote_stays_and_a_second_card_is_the_first(dense: Publication, tmp_path: Path):
    folder = dense.spec.weights
    folder.mkdir()
    (folder / "README.md").write_text(TRAINED)
    first = told(dense, tmp_path)
    assert "loss:contrastive" in first.data.tags and first.data.tags.count("mteb") == 1
    assert "words, digest `abc`" in first.text and "| seed | 7 |" in first.text
    assert "models/tiny" not in first.text and "| seed | 3 |" not in first.text, "the options that were used are there"
    headings = re.findall(r"^## (.*)$", first.text, re.MULTILINE)
    assert headings[:5] == ["What it is", "How to run it", "Training data and recipe", "Data", "Options"]
    (folder / "README.md").write_text(first.content)
    assert told(dense, tmp_path).content == first.content
    (folder / "README.md").write_text(
        '# SentenceTransformer\n\nSentenceTransformer("sentence_transformers_model_id")\n'
    )
    assert "model_id" not in told(dense, tmp_path).text


@pytest.fixture
def cascade(write_spec: Any, tiny_static: Path, tiny_bi_encoder: Path) -> Publication:
    """BM25 and a static table, reranked, in a folder with a small collection."""
    write_spec("lexical", 'kind = "bm25"\n')
    write_spec("table", f'name = "our-org/table"\nkind = "bi-encoder"\nmodel = "{tiny_static}"\n')
    stages = '[[stage]]\nmodel = "lexical"\n[[stage]]\nmodel = "table"\ndepth = 2\nblend = 0.5\n'
    write_spec("two", f'name = "our-org/two"\nkind = "cascade"\n{stages}')
    write_spec("other", f'kind = "bi-encoder"\nmodel = "{tiny_bi_encoder}"\n')
    folder = Path("words")
    (folder / "qrels").mkdir(parents=True)
    texts = {"d1": "red fox", "d2": "red red moon", "d3": "whales eat krill", "d4": "fox moon krill"}
    asked = {"q1": "red fox moon", "q2": "krill whales moon"}
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"_id": k, "text": v}) + "\n" for k, v in texts.items()))
    (folder / "queries.jsonl").write_text("".join(json.dumps({"_id": k, "text": v}) + "\n" for k, v in asked.items()))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td3\t1\n")
    found = publication("two", license="mit", languages=["eng-Latn"], training_datasets=set())
    return replace(found, results=(result(found.stage, "SciFact", SCORES),))


def test_a_cascade_shows_its_files_and_its_depth_curve(cascade: Publication, tiny_static: Path, tmp_path: Path):
    from mteb_cascade.experiments.sweep import sweep

    (swept,) = sweep(["two"], tasks=["./words"], depth=3, dev=False)
    sweep(first=["lexical"], rerank=["other"], tasks=["./words"], depth=3, dev=False, blend=0.5)
    Path("results/sweeps/torn.json").write_text('{"kind": "sweep", "steps": [')
    found = told(cascade, tmp_path)
    assert found.data.library_name == "mteb-cascade" and found.data.pipeline_tag == "text-ranking"
    lines = found.text.splitlines()
    for line in (
        "1. local/lexical (bm25) retrieves",
        "2. our-org/table (bi-encoder) reranks the first 2, its score added to 0.5 times the score before",
        "`models/two.toml`",
        "`models/lexical.toml`",
        f'model = "{tiny_static.name}"',
        "On no task of mteb's.",
        "words, test: 2 queries, lexical \\> table, b = 0.5.",
    ):
        assert line in lines, line
    assert str(tiny_static) not in found.text and found.text.count("lexical \\> ") == 1, (
        "the other model's sweep is not its"
    )
    curves = swept.result["curves"]
    for depth in (1, 2, 3):
        cells = [curves[name][line][depth - 1] for name in ("success@1", "ndcg@10") for line in ("alone", "blended")]
        counts = [swept.result["outcomes"]["blended"][name][depth - 1] for name in ("recovered", "broken")]
        assert f"| {depth} | {' | '.join(f'{cell:.4f}' for cell in cells)} | {counts[0]} | {counts[1]} |" in lines
    broken = swept.result["outcomes"]["blended"]["broken"][1]
    (hurt,) = [line for line in lines if line.startswith("- At depth 2 on words, test it puts")]
    assert f" for {broken} of 2 queries" in hurt
    kinds = {kind: counts[1] for kind, counts in swept.result["broken_to"]["blended"].items() if counts[1]}
    assert sum(kinds.values()) == broken
    assert all(f"{count} {kind}" in hurt for kind, count in kinds.items()), "nobody judged some: none is called wrong"
    assert "wrong" not in hurt


def test_the_files_of_a_cascade_run_it(cascade: Publication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from mteb_cascade import load

    files = re.findall(r"`models/([^`]*\.toml)`\n\n```toml\n(.*?)```", told(cascade, tmp_path).text, re.DOTALL)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "models").mkdir(parents=True)
    for name, text in files:
        model = cascade.stage[1].model if name == "table.toml" else ""
        (elsewhere / "models" / name).write_text(
            re.sub(r'^model = "tiny-static"', f'model = "{model}"', text, flags=re.M)
        )
    monkeypatch.chdir(elsewhere)
    assert [name for name, _ in files] == ["two.toml", "lexical.toml", "table.toml"]
    assert load("two").fingerprint == cascade.stage.fingerprint


def test_a_model_without_results_has_a_card(write_spec: Any, tmp_path: Path):
    write_spec("lexical", 'name = "our-org/lexical"\nkind = "bm25"\nk1 = 0.9\n')
    found = told(publication("lexical", license="https://example.org/licence", training_datasets=None), tmp_path)
    assert (found.data.license, found.data.license_link) == ("other", "https://example.org/licence")
    assert "k1 = 0.9" in found.text.splitlines() and "None yet." in found.text
    assert "What it was trained on is not stated." in found.text
