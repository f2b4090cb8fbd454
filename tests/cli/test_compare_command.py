from __future__ import annotations

import json
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
) -> Callable[..., tuple[int, str, str]]:
    """Runs `compare` in a folder with two models and a collection: exit code, stdout, stderr."""
    write_spec("our-bm25", 'kind = "bm25"')
    write_spec("our-tfidf", 'kind = "tfidf"')
    (tmp_path / "data" / "qrels").mkdir(parents=True)
    for name, texts in (("corpus", ["red fox", "blue whale"]), ("queries", ["fox", "whale"])):
        rows = [json.dumps({"_id": f"{name[0]}{n}", "text": text}) for n, text in enumerate(texts)]
        (tmp_path / "data" / f"{name}.jsonl").write_text("\n".join(rows))
    (tmp_path / "data" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq0\tc0\t1\nq1\tc1\t1\n")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mteb-cascade", "compare", *arguments])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    return run


def test_every_format_goes_to_stdout_or_a_file(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    asked = ["our-bm25", "our-tfidf", "-t", "data", "-m", "ndcg@10", "mrr@10"]
    for name, part in (
        ("table", "our-bm25     1.000   1.000"),
        ("markdown", "| our-bm25 | **1.000** | **1.000** |"),
        ("latex", r"our-bm25 & \textbf{1.000} & \textbf{1.000} \\"),
        ("csv", "data,test,default,2,1,mrr@10,1.0"),
        ("json", '"mrr@10": 1.0'),
    ):
        code, out, _ = run(*asked, "--format", name)
        assert code == 0
        assert part in out
        assert run(*asked, "--format", name, "-o", f"out/{name}")[:2] == (0, "")
        assert (tmp_path / "out" / name).read_text() == out
    found = json.loads((tmp_path / "out" / "json").read_text())
    assert [(one["model"], one["p_value"]) for one in found["tests"]] == [("our-tfidf", 1.0)]


def test_a_mistake_is_one_line_and_writes_nothing(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    (tmp_path / "half.json").write_text('{"model": "x", "fing')
    for arguments, part in (
        (["our-bm25", "-t", "data"], "expected two or more models"),
        (["our-bm25", "half.json", "-t", "data"], "half.json: cannot be read"),
        (["our-bm25", "our-tfidf"], "expected one or more tasks"),
        (["our-bm25", "our-tfidf", "-t", "./nowhere"], "there is no such folder"),
        (["our-bm25", "our-tfidf", "-t", "data", "-o", "data"], "data: cannot be used (Is a directory)"),
        (["our-bm25", "our-tfidf", "-t", "data", "-o", "half.json/x"], "half.json: cannot be used (Not a directory)"),
    ):
        code, out, err = run(*arguments, *([] if "-o" in arguments else ["-o", "out.md"]))
        assert (code, out, len(err.splitlines())) == (2, "", 1)
        assert part in err
        assert not (tmp_path / "out.md").exists()
