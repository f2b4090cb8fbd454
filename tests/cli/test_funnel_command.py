"""`mteb-cascade funnel` through the command line: what it prints and writes, and mistakes in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

WORDS = ["red", "fox", "blue", "whale", "green", "tree", "old", "stone"]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    write_spec: Callable[[str, str], Path],
    tmp_path: Path,
    tiny_bi_encoder: Path,
    command: Run,
) -> Run:
    """Runs the command line in a folder with models and 56 documents; code, output and errors."""
    write_spec("our-biencoder", f'kind = "bi-encoder"\nmodel = "{tiny_bi_encoder}"\n')
    write_spec("our-bm25", 'kind = "bm25"\n')
    (tmp_path / "data" / "qrels").mkdir(parents=True)
    texts = [f"{one} {two}" for one in WORDS for two in WORDS if one != two]
    corpus = [json.dumps({"_id": f"d{row}", "text": text}) for row, text in enumerate(texts)]
    queries = [json.dumps({"_id": f"q{row}", "text": text}) for row, text in enumerate(WORDS)]
    (tmp_path / "data" / "corpus.jsonl").write_text("\n".join(corpus) + "\n")
    (tmp_path / "data" / "queries.jsonl").write_text("\n".join(queries) + "\n")
    lines = "".join(f"q{row}\td{row}\t1\n" for row in range(len(WORDS)))
    (tmp_path / "data" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines)

    return partial(command, "funnel")


def test_table_spec_json_and_figure(run: Run, tmp_path: Path) -> None:
    options = ("--depth", "5", "--share", ".6", "--calls", "1", "--dev-fraction", ".5", "-o", "out")
    code, out, err = run("our-biencoder", "-t", "data", *options)
    assert code == 0, err
    assert "our-biencoder, 56 documents" in out
    assert 'kind = "funnel"\nmodel = "our-biencoder"\n\n[[step]]\n' in out
    figure, result = sorted((tmp_path / "out").iterdir(), key=lambda path: path.suffix, reverse=True)
    assert (figure.suffix, result.suffix) == (".png", ".json")
    assert f"wrote out/{result.name}" in out and f"wrote out/{figure.name}" in out
    assert json.loads(result.read_text())["split"] == "test[dev=.5,seed=0]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("our-bm25", "-t", "data"), "our-bm25 is a bm25: only a bi-encoder's vectors go through a funnel"),
        (("our-biencoder", "-t", "data"), "no development queries for split 'test'; give --dev-fraction .2"),
        (("our-biencoder", "-t", "data", "--dev-fraction", ".5"), "fewer than the 56 documents of data, got 100"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = run(*arguments, "-o", "out")
    assert (code, out) == (2, "")
    assert message in err and len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
