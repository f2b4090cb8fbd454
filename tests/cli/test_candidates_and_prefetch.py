"""What the two commands print: results on stdout, mistakes on stderr, one line each."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mteb_cascade.cli import main as command_line


@pytest.fixture
def run(
    write_spec: Callable[[str, str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, list[str], list[str]]]:
    """Runs the command line in a folder with BM25, its candidate set as a model, and two collections."""
    write_spec("our-bm25", 'kind = "bm25"\n')
    write_spec("candidates", 'kind = "run"\nfile = "../set.parquet"\n')
    for name, text in (("data", "red fox"), ("other", "red foxes")):
        (tmp_path / name / "qrels").mkdir(parents=True)
        (tmp_path / name / "corpus.jsonl").write_text(f'{{"_id": "d1", "text": "{text}"}}\n')
        (tmp_path / name / "queries.jsonl").write_text('{"_id": "q1", "text": "fox"}\n')
        (tmp_path / name / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")

    def run(*arguments: str) -> tuple[int, list[str], list[str]]:
        monkeypatch.setattr(sys, "argv", ["mteb-cascade", *arguments])
        monkeypatch.setattr("warnings.showwarning", None)
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out.splitlines(), err.splitlines()

    return run


def test_candidates_are_made_read_and_refused_for_another_corpus(run: Callable[..., tuple[int, list, list]]) -> None:
    assert run("candidates", "our-bm25", "-t", "data", "-k", "10", "-o", "set.parquet") == (
        0,
        ["set.parquet: 1 candidates of 1 queries, pool recall@10 1.000"],
        ["our-bm25: 10 of 1 documents for each of 1 queries"],
    )
    code, out, err = run("evaluate", "candidates", "-t", "data", "-m", "success@1")
    assert (code, err) == (0, [])
    assert any("1.000" in line for line in out)
    code, out, err = run("evaluate", "candidates", "-t", "other")
    assert (code, out, len(err)) == (2, [], 1)
    assert "set.parquet: was made for another corpus: data with 1 documents, digest " in err[0]
    assert "`mteb-cascade candidates local/our-bm25 -t TASK -k 10 -o FILE.parquet`" in err[0]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["candidates", "our-bm25", "-t", "data", "-o", "set.trec"], "set.trec: a candidate set is a .parquet file"),
        (["candidates", "our-bm52", "-t", "data", "-o", "set.parquet"], "Did you mean 'our-bm25'?"),
        (["candidates", "our-bm25", "-t", "data", "-o", "set.parquet", "--split", "tset"], "Did you mean 'test'?"),
        (["prefetch"], "nothing to fetch: name models, or tasks with --task"),
        (["prefetch", "our-bm52"], "Did you mean 'our-bm25'?"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], part: str, run: Callable[..., tuple[int, list, list]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    code, out, err = run(*arguments)
    assert (code, out, len(err)) == (2, [], 1)
    assert part in err[0]
    assert not Path("set.parquet").exists()
