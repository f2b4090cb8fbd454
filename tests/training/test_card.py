"""The card says how a model was made, in front matter that the hub reads and Markdown that data cannot break."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from tiny_training import prepared, write_specs

from mteb_cascade.spec import Spec
from mteb_cascade.training import card
from mteb_cascade.training.data.leaks import Leak
from mteb_cascade.training.fit import trainer_of
from mteb_cascade.training.prepared import Prepared
from mteb_cascade.training.train import train
from mteb_cascade.training.watching.evaluation import LOG, add_line


def test_a_trained_model_has_its_card(write_spec: Any, tmp_path: Path):
    facts = 'license = "apache-2.0"\nlanguages = ["eng-Latn", "deu-Latn"]'
    write_specs(write_spec, "bi-encoder", "contrastive", facts, "queries = 10", epochs=2)
    folder = train("tiny")
    told = ModelCard.load(folder / "README.md")
    assert (told.data.license, told.data.language) == ("apache-2.0", ["eng", "deu"])
    assert (told.data.library_name, told.data.pipeline_tag) == ("sentence-transformers", "sentence-similarity")
    assert "loss:contrastive" in told.data.tags and told.data.base_model is None
    for line in (
        "# local/tiny",
        "- **Base**: none: a static table and its tokenizer, made from this corpus alone",
        "- words: 40 training queries, 60 documents",
        "- words: 12 queries held out: dev",
        "| learning\\_rate | 0.05 |",
        "| scratch.dim | 16 |",
        "| evaluation.queries | 10 |",
        "mteb run -m tiny -t NFCorpus",
    ):
        assert line in told.text.splitlines(), line
    assert "10 held-out queries, the first 20 candidates of words" in " ".join(told.text.split())
    steps = re.findall(r"^\| (\d+)( \(best\))? \| 0\.\d{4} \| ", told.text, re.MULTILINE)
    assert [step for step, _ in steps] == ["0", "5", "10"] and sum(bool(best) for _, best in steps) == 1
    assert re.search(r"^Collapse at step \d+: healthy \(mean cosine", told.text, re.MULTILINE)
    assert str(tmp_path) not in told.content, "no folder of this machine"
    loading = re.search(r"```python\n(.*?)```", told.text, re.DOTALL)
    assert loading is not None
    exec(loading[1], {})


@pytest.mark.parametrize("kind", list(card.LOADING))
def test_how_to_load_every_kind(kind: str, request: pytest.FixtureRequest):
    model = request.getfixturevalue(f"tiny_{kind.replace('-', '_')}")
    exec(card.LOADING[kind].format(folder=model), {})


@pytest.fixture
def run(write_spec: Any) -> Prepared:
    return prepared(write_spec, "bi-encoder", "contrastive", card='license = "https://example.org/licence"')


def text_of(run: Prepared, folder: str = "trained") -> str:
    Path(folder).mkdir(exist_ok=True)
    trainer = trainer_of(run, Path(folder))
    card.write(run, trainer, Path(folder), seconds=61)
    return (Path(folder) / "README.md").read_text()


NASTY = "a|b <script>x</script>\n# head [link](http://x) `code` *bold*"


def test_data_cannot_break_the_markdown(run: Prepared):
    leak = Leak("q1", NASTY, "t1", NASTY, "test", 0.9, ())
    report = {
        "first": [{"name": NASTY}],
        "judge": {"name": "our-judge"},
        "options": {"depth": 30},
        "raw": False,
        "dropped": {"answer": 7, "judge": 1234, "skipped": 0},
        "believed": 99,
        "negatives": {"mined": 80, NASTY: 19},
    }
    data = replace(run.data, leaks=(leak, replace(leak, split="dev"), leak), notes=(NASTY,), name=NASTY)
    nasty = replace(run, data=data, mined=replace(run.mined, report=report))
    text = text_of(nasty)
    assert not re.search(r"(?<!\\)<script|^# head|(?<!\\)\[link|(?<!\\)`code|(?<!\\)\*bold", text, re.MULTILINE)
    assert "- refused as near-twins of held-out or test queries: 2 of test, 1 of dev; such as" in text
    assert "at depth 30, judged by our-judge." in text
    assert "| dropped: judge | 1,234 |" in text and "skipped" not in text and "| believed | 99 |" in text
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1, block


def test_a_licence_by_its_address(run: Prepared):
    text_of(run)
    told = ModelCard.load(Path("trained/README.md")).data
    assert (told.license, told.license_link) == ("other", "https://example.org/licence")


def test_a_long_training_shows_some_evaluations(run: Prepared):
    Path("trained/eval").mkdir(parents=True)
    assert run.evaluator is not None
    figures = run.evaluator(run.network)
    for step in range(0, 500, 10):
        add_line(Path("trained/eval") / LOG, {"step": step, **figures})
    trainer = trainer_of(run, Path("trained"))
    trainer.state.best_global_step = 340
    card.write(run, trainer, Path("trained"), seconds=1)
    rows = re.findall(r"^\| (\d+)( \(best\))? \|", Path("trained/README.md").read_text(), re.MULTILINE)
    assert len(rows) <= 20 and (rows[0][0], rows[-1][0]) == ("0", "490") and ("340", " (best)") in rows


def test_a_base_that_was_trained_for_retrieval_is_flagged(run: Prepared, tiny_bert: Path, tiny_bi_encoder: Path):
    def base(name: str) -> str:
        return card.started_from(replace(run, options=replace(run.options, base=name)))

    flag = "**starts from a model already trained for retrieval**"
    assert base(str(tiny_bert)) == "tiny-bert"
    assert base(str(tiny_bi_encoder)) == f"tiny-bi-encoder; {flag}"
    shutil.copytree(tiny_bert, "bge-small")
    assert base("bge-small") == f"bge-small; {flag}"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("intfloat/e5-base-v2", True),
        ("intfloat/multilingual-e5-small", True),
        ("BAAI/bge-base-en-v1.5", True),
        ("thenlper/gte-base", True),
        ("facebook/contriever", True),
        ("colbert-ir/colbertv2.0", True),
        ("naver/splade-v3", True),
        ("cross-encoder/ms-marco-MiniLM-L6-v2", True),
        ("nomic-ai/modernbert-embed-base", True),
        ("Luyu/co-condenser-marco", True),
        ("google-bert/bert-base-cased", False),
        ("distilbert/distilbert-base-uncased", False),
        ("google/t5gemma-b-b-prefixlm", False),
        ("google/t5-v1_1-base", False),
        ("microsoft/MiniLM-L12-H384-uncased", False),
        ("answerdotai/ModernBERT-base", False),
    ],
)
def test_names_of_embedders(name: str, told: bool):
    assert bool(card.EMBEDDERS.search(name)) == told


def test_a_hub_base_is_named_to_the_hub(run: Prepared, monkeypatch: pytest.MonkeyPatch, tiny_bert: Path):
    monkeypatch.setattr(card, "base_folder", lambda options, what: tiny_bert)
    spec = Spec(run.spec.path, "our-org/tiny", "bi-encoder")
    hub = replace(run, spec=spec, options=replace(run.options, base="google-bert/bert-base-cased", revision="main"))
    assert "base_model: google-bert/bert-base-cased" in card.front_matter(hub)
    assert card.started_from(hub) == (
        "[google-bert/bert-base-cased@main](https://huggingface.co/google-bert/bert-base-cased)"
    )
    assert "license" not in card.front_matter(hub)
    ours = replace(run, options=replace(run.options, base="tiny"))
    assert "base_model" not in card.front_matter(ours)
