"""`mteb-cascade train` through the command line: mistakes are one line, told before anything is read or mined."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tiny_training import write_specs

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(write_spec: Callable[[str, str], Path], command: Run) -> Run:
    """Runs `train` in this process, where there are the spec `tiny` and its data; code, output and errors."""
    write_specs(write_spec, "bi-encoder", "contrastive")
    write_spec(
        "never", 'kind = "bi-encoder"\n[training]\nbase = "scratch"\nloss = "contrastive"\ncollection = "words"\n'
    )

    return partial(command, "train", "tiny")


BEFORE_DATA = {
    "optimizer=adamww": "[training] optimizer: unknown optimizer 'adamww'. Known: adafactor, ",
    "optimizer=galore_adamw": "[training] optimizer: 'galore_adamw' cannot be used here: You need to ",
    "schedule=lineer": "Did you mean 'linear'?",
    "schedule=cosine_with_min_lr": "[training] schedule: 'cosine_with_min_lr' needs more than its name",
    'report_to=["nonsense"]': "[training] report_to: unknown place 'nonsense'. Known: ",
    'report_to=["clearml"]': "[training] report_to: clearml is not installed here: pip install clearml",
    "attention=nonsense": "[training] attention: expected 'flash_attention_2', 'sdpa' or 'eager', got 'nonsense'",
    "attention=flash_attention_2": "[training] attention: flash_attention_2 needs a package",
    "evaluation.metric=mrr": "[training.evaluation] metric: unknown measure 'mrr'",
    "evaluation.depths=[]": "[training.evaluation] depths: expected one or more depths",
    "evaluation.depths=[0]": "[training.evaluation] depths: expected greater than 0",
    "evaluation.every=0": "[training.evaluation] every: expected greater than 0",
    "evaluation.patience=0": "[training.evaluation] patience: expected greater than 0",
    "mining.depth=0": "[training.mining] depth: expected greater than 0",
    "scratch.heads=0": "[training.scratch] heads: expected greater than 0",
    "seed=-1": "[training] seed: expected greater than or equal to 0",
    "batch_size=0": "[training] batch_size: expected greater than 0",
    "batch_size=1": "[training] batch_size: loss 'contrastive' without negatives needs at least 2",
    "micro_batch=0": "[training] micro_batch: expected greater than 0",
    "positives=0": "[training] positives: expected greater than 0",
    "epochs=-1": "[training] epochs: expected greater than or equal to 0",
    "max_steps=0": "[training] max_steps: expected greater than 0",
    "max_length=0": "[training] max_length: expected greater than 0",
    "learning_rate=-1": "[training] learning_rate: expected greater than or equal to 0",
    "learning_rate=inf": "[training] learning_rate: expected a finite number",
    "warmup=2.0": "[training] warmup: expected less than 1",
    "weight_decay=-1.0": "[training] weight_decay: expected greater than or equal to 0",
    "base=./nothere": "[training] base: no model in nothere",
    "base=words": "[training] base: words holds no model",
    "base=never": "models/never.toml: no weights in models/never; train it with",
}
BEFORE_MINING = {
    "matryoshka=[80, 4]": "cannot exceed the model's embedding dimension of 16",
    "evaluation.first=nothere": "[training.evaluation] first: unknown model 'nothere'",
    "teacher=nothere loss=kl": "[training] teacher: unknown model 'nothere'",
    "loss=kl": "loss 'kl' learns from a teacher's scores",
    "scratch.layers=1 scratch.dim=15": "[training.scratch] dim 15 cannot be split among 2 heads",
    "scratch.layers=1 max_length=2": "[training] max_length 2 leaves no room for text beside the 2 tokens",
}


def settings(changes: str) -> list[str]:
    """`--set` for each."""
    pairs = changes.split(" ") if "[" not in changes else [changes]
    return [argument for pair in pairs for argument in ("--set", pair)]


@pytest.mark.parametrize(("changes", "message"), BEFORE_DATA.items())
def test_a_mistake_is_told_before_data_are_read(run, changes, message):
    # A folder without data: had anything been read, that would be the complaint, or a second one.
    (Path("words") / "corpus.jsonl").unlink()
    code, out, err = run(*settings(changes))
    assert (code, out) == (2, ""), err
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert sorted(path.name for path in Path("models").iterdir()) == ["never.toml", "tiny.toml", "words.toml"]


@pytest.mark.parametrize(("changes", "message"), BEFORE_MINING.items())
def test_a_mistake_is_told_before_mining(run, monkeypatch, changes, message):
    monkeypatch.setattr("mteb_cascade.training.prepared.mined", lambda *_, **__: pytest.fail("mined"))
    code, out, err = run("--set", "negatives=2", *settings(changes))
    assert (code, out) == (2, ""), err
    assert message in err.strip().splitlines()[-1]
    assert "Traceback" not in err


def test_bases_that_are_no_use(run, tiny_masked_lm):
    for name in ("wordless", "damaged"):
        shutil.copytree(tiny_masked_lm, name)
    for file in Path("wordless").glob("tokenizer*"):
        file.unlink()
    weights = Path("damaged/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:1000])
    for name, message in (
        ("wordless", "[training] base: its tokenizer knows no word"),
        ("damaged", "no bi-encoder can be made of damaged: "),
    ):
        code, _, err = run("--set", f"base=./{name}")
        assert code == 2
        assert message in err
        assert "Traceback" not in err


def test_how_it_ended_is_told_and_nothing_is_left_behind(run):
    code, out, err = run("--set", "batch_size=1000")
    assert code == 0, err
    assert "batch_size 1,000 is more than the 40 examples" in err
    assert "best of 1 step: step " in err
    assert "first stage " in err
    assert "results/training/tiny" in err
    assert out.strip().endswith("models/tiny")
    assert not [path.name for path in Path("models").iterdir() if path.name.startswith(".")]
    best = [json.loads(line) for line in Path("results/training/tiny/depth_sweep.jsonl").read_text().splitlines()]
    assert f"mrr@10 {max(line['mrr@10_depth20'] for line in best):.3f}" in err


def test_two_at_once_are_refused(run):
    folder = Path("models/.tiny.training")
    folder.mkdir()
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, err = run()
        assert code == 2
        assert err.startswith("models/tiny.toml: another process trains this model in models/.tiny.training; ")
    assert run()[0] == 0


def test_another_process_than_the_first_says_who_it_is(run, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    code, _, err = run("--set", "batch_size=7")
    assert code == 2
    assert err.startswith("process 1: models/")
    monkeypatch.setenv("RANK", "0")
    code, _, err = run("--set", "batch_size=7")
    assert code == 2
    assert "[training] batch_size: 7 cannot be split evenly among 2 processes" in err


def test_one_of_three_ways(run):
    code, _, err = run("--dry-run", "--overfit", "1")
    assert code == 2
    assert err.startswith("expected one of --dry-run, --overfit and --restart")
