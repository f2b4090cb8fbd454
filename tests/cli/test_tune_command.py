"""`mteb-cascade tune` through the command line: what it prints, and mistakes in one line with nothing written."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

CASCADE = 'kind = "cascade"\n[[stage]]\nmodel = "our-bm25"\n[[stage]]\nmodel = "our-tfidf"\ndepth = 2\n'
TEXTS = ("red fox", "blue whale", "red whale", "old stone tree", "green tree", "fox fox red")
QUERIES = ("fox", "whale", "tree", "red", "old tree", "blue")


@pytest.fixture
def house(write_spec: Callable[[str, str], Path], tmp_path: Path) -> Path:
    """A working folder with models and two BEIR folders, one of them without a dev split."""
    write_spec("our-bm25", 'kind = "bm25"\n')
    write_spec("our-tfidf", 'kind = "tfidf"\n')
    write_spec("our-cascade", CASCADE)
    for name, splits in (("data", ("dev", "test")), ("nodev", ("test",))):
        folder = tmp_path / name
        (folder / "qrels").mkdir(parents=True)
        corpus = [json.dumps({"_id": f"d{row}", "text": text}) for row, text in enumerate(TEXTS)]
        queries = [json.dumps({"_id": f"q{row}", "text": text}) for row, text in enumerate(QUERIES)]
        (folder / "corpus.jsonl").write_text("\n".join(corpus) + "\n")
        (folder / "queries.jsonl").write_text("\n".join(queries) + "\n")
        for split in splits:
            lines = "".join(f"q{row}\td{row}\t1\n" for row in range(6))
            (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines)
    return tmp_path


@pytest.fixture
def run(house: Path, command: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command line in this process; code, output and errors."""

    return partial(command, "tune")


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


BUDGET = ("--budget-ms", "60000")

MISTAKES = {
    "no cascade": (("our-bm25", "-t", "data", *BUDGET), "our-bm25 is no cascade (kind bm25)"),
    "unknown name": (("our-cascad", "-t", "data", *BUDGET), "unknown model 'our-cascad'"),
    "unknown metric": (("our-cascade", "-t", "data", *BUDGET, "-m", "sucess@1"), "unknown measure 'sucess@1'"),
    "no budget": (
        ("our-cascade", "-t", "data", "--budget-ms", "0"),
        "budget: expected more than 0 milliseconds, got 0",
    ),
    "negative budget": (("our-cascade", "-t", "data", "--budget-ms", "-5"), "got -5"),
    "budget that is no number": (("our-cascade", "-t", "data", "--budget-ms", "nan"), "budget: expected more than 0"),
    "nothing is fast enough": (
        ("our-cascade", "-t", "data", "--budget-ms", "1e-6", "--calls", "3"),
        "no depth keeps 1e-06 ms: the first stage alone, our-bm25, takes",
    ),
    "percentile": (("our-cascade", "-t", "data", *BUDGET, "--percentile", "90"), "percentile: expected 50, 95 or 99"),
    "keep": (("our-cascade", "-t", "data", *BUDGET, "--keep", "0"), "keep: expected at least 1 document, got 0"),
    "keep and metric": (("our-cascade", "-t", "data", *BUDGET, "--keep", "3", "-m", "mrr@10"), "judged by recall@3"),
    "calls": (("our-cascade", "-t", "data", *BUDGET, "--calls", "0"), "calls: expected at least 1, got 0"),
    "depth": (("our-cascade", "-t", "data", *BUDGET, "--depth", "7"), "depth: expected 1 to 6, the documents of data"),
    "no dev split": (
        ("our-cascade", "-t", "nodev", *BUDGET),
        "no development queries for split 'test'",
        "--dev-fraction",
    ),
    "a share that is none": (("our-cascade", "-t", "nodev", *BUDGET, "--dev-fraction", "2"), "dev fraction: expected"),
    "a share of nobody": (
        ("our-cascade", "-t", "nodev", *BUDGET, "--dev-fraction", ".01"),
        "no development query from",
    ),
    "unknown task": (("our-cascade", "-t", "./gone", *BUDGET), "./gone: there is no such folder"),
    "unknown split": (("our-cascade", "-t", "data", *BUDGET, "--split", "tset"), "data has no split 'tset'"),
    "a name that is taken": (
        ("our-cascade", "-t", "data", *BUDGET, "--write", "our-bm25"),
        "models/our-bm25.toml exists already; choose another name",
    ),
    "a name that is none": (
        ("our-cascade", "-t", "data", *BUDGET, "--write", "../x"),
        "'../x' is no file name of a spec",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_and_nothing_is_written(
    case: str, run: Callable[..., tuple[int, str, str]], house: Path
) -> None:
    arguments, *parts = MISTAKES[case]
    before = files(house)
    code, out, err = run(*arguments)
    assert code == 2, err
    # What is going on is said before a budget turns out to be too small.
    *said, last = [line for line in err.strip().splitlines() if line.strip()]
    assert len(said) <= (1 if case == "nothing is fast enough" else 0)
    assert out == ""
    assert "Traceback" not in err
    for part in parts:
        assert part in last
    assert files(house) == before


@pytest.mark.parametrize("keep", [(), ("--keep", "2")])
def test_what_is_printed_fits_80_columns_and_what_is_written_is_named(
    keep: tuple[str, ...],
    run: Callable[..., tuple[int, str, str]],
    house: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    before = files(house)
    code, out, err = run(
        "our-cascade", "-t", "data", *BUDGET, "--calls", "3", "--write", "our-fast", "-o", "out", *keep
    )
    assert code == 0, err
    assert max(map(len, out.splitlines())) <= 80
    new = sorted(set(files(house)) - set(before))
    assert new[0] == "models/our-fast.toml"
    assert new[1].startswith("out/our-cascade.")
    assert len(new) == 2
    assert all(f"wrote {name}" in out for name in new)
    result = json.loads((house / new[1]).read_text())
    metric = "recall@2" if keep else "success@1"
    assert result["metric"] == metric
    assert [line for line in out.splitlines() if "chosen" in line and metric not in line]
    assert ("recall per 1,000 tokens" in json.dumps(result)) == bool(keep)
    assert ("Handed on: 2 documents (words)" in out) == bool(keep)
