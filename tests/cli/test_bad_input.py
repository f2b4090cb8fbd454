"""Bad input through the command line: one clear line that names file and remedy, exit code 2, nothing written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from mteb_cascade.cli import main as command_line
from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.stages import load as loading
from mteb_cascade.stages.base import Stage
from mteb_cascade.values.run import Run

COMMAND = Path(sys.executable).with_name("mteb-cascade")

HEALTHY = {
    "corpus.jsonl": '{"_id": "d1", "text": "red fox"}\n{"_id": "d2", "text": "blue whale"}\n',
    "queries.jsonl": '{"_id": "q1", "text": "fox"}\n',
    "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\td1\t1\n",
}


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@pytest.fixture
def house(write_spec: Callable[[str, str], Path], tmp_path: Path) -> Path:
    """A working folder with a model and a BEIR folder in it."""
    write_spec("our-bm25", 'kind = "bm25"\n')
    for name, content in HEALTHY.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path


@pytest.fixture
def run(house: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs the command line in this process."""

    def run(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["mteb-cascade", *arguments])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        written = capsys.readouterr()
        return Answer(ended.value.code or 0, written.out, written.err)

    return run


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def evaluate(name: str, *more: str) -> list[str]:
    return ["evaluate", name, "--task", "data", "--output", "out", *more]


def assert_refused(answer: Answer, house: Path, before: list[str], *parts: str) -> None:
    lines = answer.err.strip().splitlines()
    assert answer.code == 2, answer.err
    assert len(lines) == 1, answer.err
    assert answer.out == ""
    assert "Traceback" not in answer.err
    for part in parts:
        assert part in lines[0]
    assert files(house) == before


CASCADE = 'kind = "cascade"\n[[stage]]\nmodel = "our-bm25"\n[[stage]]\nmodel = "{}"\n{}\n'

SPECS = {
    "no TOML": ("kind = bm25\n", "models/mine.toml: is not valid TOML", "line 1", "Mend the file"),
    "unknown kind": ('kind = "bm52"\n', "models/mine.toml: kind: unknown kind 'bm52'", "Did you mean 'bm25'?"),
    "unknown key": ('kind = "bm25"\nk11 = 1\n', "models/mine.toml: unknown key 'k11'", "Did you mean 'k1'?"),
    "unknown model": (
        CASCADE.format("our-bm52", "depth = 5"),
        "models/mine.toml: stage 2: unknown model 'our-bm52'",
        "Did you mean 'our-bm25'?",
    ),
    "cycle": (
        CASCADE.format("mine", "depth = 5"),
        "models/mine.toml: stage 2: ",
        "a model cannot be a stage of itself: mine -> mine",
    ),
    "depth below 1": (
        CASCADE.format("our-bm25", "depth = 0"),
        "models/mine.toml: stage 2: depth: expected at least 1, got 0",
    ),
    "depth that grows": (
        CASCADE.format("our-bm25", "depth = 5") + '[[stage]]\nmodel = "our-bm25"\ndepth = 6\n',
        "models/mine.toml: stage 3: depth: expected at most the 5 of the stage before, got 6",
    ),
    "missing weights": (
        'kind = "bi-encoder"\n',
        "models/mine.toml: no weights in models/mine",
        "train it with `mteb-cascade train mine`",
    ),
    "missing weights of a stage": (
        CASCADE.format("theirs", "depth = 5"),
        "models/theirs.toml: no weights",
        "train it with `mteb-cascade train theirs`",
    ),
    "a name that leaves its folder": (
        'kind = "bm25"\nname = "../x"\n',
        "models/mine.toml: name: expected",
        "got '../x'",
    ),
    "missing run file": ('kind = "run"\nfile = "gone.trec"\n', "mine: there is no run file models/gone.trec"),
}


@pytest.mark.parametrize("case", SPECS)
def test_a_bad_spec(case: str, run: Callable[..., Answer], house: Path) -> None:
    content, *parts = SPECS[case]
    (house / "models" / "theirs.toml").write_text('kind = "cross-encoder"\n')
    (house / "models" / "mine.toml").write_text(content)
    before = files(house)
    assert_refused(run(*evaluate("mine")), house, before, *parts)


DATA = {
    "missing corpus": ("corpus.jsonl", None, "data/corpus.jsonl: is missing; a BEIR folder holds"),
    "missing queries": ("queries.jsonl", None, "data/queries.jsonl: is missing"),
    "missing qrels": ("qrels/test.tsv", None, "data/qrels: holds no <split>.tsv"),
    "duplicate ids": (
        "corpus.jsonl",
        '{"_id": "d1", "text": "x"}\n' * 2,
        "data/corpus.jsonl: line 2: id 'd1' stands on line 1",
    ),
    "bad JSON": (
        "corpus.jsonl",
        HEALTHY["corpus.jsonl"] + "{\n",
        "data/corpus.jsonl: line 3: is not valid JSON",
        "mend or remove",
    ),
    "empty corpus": ("corpus.jsonl", "", "data/corpus.jsonl: the corpus is empty"),
    "empty text": (
        "corpus.jsonl",
        '{"_id": "d1", "text": " "}\n',
        "line 1: 'd1' has neither title nor text",
        "--allow-empty",
    ),
    "bad judgement": (
        "qrels/test.tsv",
        "q1\td1\t1\nq1\td2\n",
        "data/qrels/test.tsv: line 2: expected query-id, corpus-id",
    ),
}


@pytest.mark.parametrize("case", DATA)
def test_a_bad_folder(case: str, run: Callable[..., Answer], house: Path) -> None:
    name, content, *parts = DATA[case]
    path = house / "data" / name
    path.unlink() if content is None else path.write_text(content)
    before = files(house)
    assert_refused(run(*evaluate("our-bm25")), house, before, *parts)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (evaluate("our-bm52"), "unknown model 'our-bm52'. Known here: our-bm25. Did you mean 'our-bm25'?"),
        (evaluate("../x"), "'../x' is no model name: expected NAME or ORGANISATION/NAME"),
        (evaluate("our-bm25", "--split", "tset"), "data has no split 'tset'. Known: test. Did you mean 'test'?"),
        (evaluate("our-bm25", "-m", "ndgc@10"), "unknown measure 'ndgc@10'"),
        (["evaluate", "our-bm25", "-t", "./gone"], "./gone: there is no such folder"),
    ],
)
def test_bad_arguments(arguments: list[str], part: str, run: Callable[..., Answer], house: Path) -> None:
    assert_refused(run(*arguments), house, files(house), part)


@pytest.fixture
def headless(tiny_cross_encoder: Path, house: Path) -> None:
    shutil.copytree(tiny_cross_encoder, house / "models" / "mine")
    path = house / "models" / "mine" / "model.safetensors"
    body = {name: value for name, value in load_file(path).items() if "classifier" not in name}
    save_file(body, path, metadata={"format": "pt"})


@pytest.mark.usefixtures("headless")
def test_a_reranker_with_a_newly_initialised_head(run: Callable[..., Answer], house: Path) -> None:
    (house / "models" / "mine.toml").write_text('kind = "cross-encoder"\n')
    before = files(house)
    answer = run(*evaluate("mine"))
    # transformers reports missing weights in its own words above ours.
    last = answer.err.strip().splitlines()[-1]
    assert answer.code == 2
    assert last.startswith("models/mine.toml: the head of models/mine is newly initialised")
    assert "Train it, or name a model that was trained as a reranker" in last
    assert files(house) == before


def test_a_bi_encoder_named_as_cross_encoder(run: Callable[..., Answer], house: Path, tiny_bi_encoder: Path) -> None:
    (house / "models" / "mine.toml").write_text(f'kind = "cross-encoder"\nmodel = "{tiny_bi_encoder}"\n')
    before = files(house)
    part = 'holds a bi-encoder, not a cross-encoder. Write kind = "bi-encoder"'
    assert_refused(run(*evaluate("mine")), house, before, "models/mine.toml: ", part)


def test_a_full_corpus_scoring_over_the_limit(
    run: Callable[..., Answer], house: Path, tiny_cross_encoder: Path
) -> None:
    spec = house / "models" / "mine.toml"
    spec.write_text(f'kind = "cross-encoder"\nmodel = "{tiny_cross_encoder}"\npair_limit = 1\n')
    before = files(house)
    answer = run(*evaluate("mine"))
    last = answer.err.strip().splitlines()[-1]
    assert answer.code == 2
    assert last.startswith(
        "mine would have to score the whole corpus: 1 queries x 2 documents = 2 pairs, over the limit of 1"
    )
    assert last.endswith("or allow it with pair_limit = 2")
    assert files(house) == before


@dataclass(kw_only=True, eq=False)
class NotANumber(Stage):
    kind: ClassVar[str] = "not-a-number"

    def score(self, queries: Queries, candidates: Run) -> np.ndarray:
        return np.full(candidates.docs.shape, np.nan, np.float32)


def test_a_stage_that_returns_nan(run: Callable[..., Answer], house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "KINDS", {**loading.KINDS, "not-a-number": NotANumber})
    (house / "models" / "broken.toml").write_text('kind = "not-a-number"\n')
    (house / "models" / "mine.toml").write_text(CASCADE.format("broken", "depth = 5"))
    before = files(house)
    assert_refused(run(*evaluate("mine")), house, before, "broken: the score of query 'q1' and document 'd1' is NaN")


def test_several_mistakes_are_told_together(run: Callable[..., Answer], house: Path) -> None:
    (house / "models" / "mine.toml").write_text(CASCADE.format("gone", "depth = 0\nblend = 'x'"))
    answer = run(*evaluate("mine"))
    assert answer.code == 2
    assert [line.split(": ")[2] for line in answer.err.strip().splitlines()] == ["blend", "depth"]


def test_unknown_ids_in_qrels_are_a_warning_not_an_error(run: Callable[..., Answer], house: Path) -> None:
    (house / "data" / "qrels" / "test.tsv").write_text(HEALTHY["qrels/test.tsv"] + "q1\tlost\t1\nq9\td1\t1\n")
    answer = run(*evaluate("our-bm25", "-m", "recall@10"))
    assert answer.code == 0
    assert [line for line in answer.err.splitlines() if line.startswith("warning: data/qrels/test.tsv: names 1 ")] == (
        answer.err.strip().splitlines()
    )
    name = f"our-bm25.{loading.load('our-bm25').fingerprint[:12]}.data.test"
    assert files(house / "out") == [f"{name}.{end}" for end in ("json", "parquet", "queries.parquet", "trec.gz")]
    result = json.loads((house / "out" / f"{name}.json").read_text())
    # Of d1 and the lost document one can be found: the lost one stays in the denominator.
    assert result["scores"] == {"recall@10": 0.5}
    assert result["pipeline"]["k1"] == 1.5


def test_a_broken_neighbour_is_no_concern_of_a_healthy_model(run: Callable[..., Answer], house: Path) -> None:
    (house / "models" / "neighbour.toml").write_text("kind =")
    assert run(*evaluate("our-bm25")).code == 0
    answer = run("models")
    assert answer.code == 0
    assert "our-bm25" in answer.out
    assert "models/neighbour.toml: is not valid TOML" in answer.err


@pytest.mark.parametrize("case", ["cycle", "missing weights"])
def test_the_installed_command(case: str, house: Path) -> None:
    content, *parts = SPECS[case]
    (house / "models" / "mine.toml").write_text(content)
    before = files(house)
    done = subprocess.run([COMMAND, *evaluate("mine")], capture_output=True, text=True, check=False, cwd=house)
    assert_refused(Answer(done.returncode, done.stdout, done.stderr), house, before, *parts)
