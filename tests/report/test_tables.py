"""What tables and results say of a model beside its figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mteb_cascade.experiments.evaluate import evaluate_models
from mteb_cascade.report import tables


@pytest.fixture
def task(tmp_path: Path) -> Path:
    (tmp_path / "data" / "qrels").mkdir(parents=True)
    (tmp_path / "data" / "corpus.jsonl").write_text(
        '{"_id": "d1", "text": "red fox"}\n{"_id": "d2", "text": "a whale"}\n'
    )
    (tmp_path / "data" / "queries.jsonl").write_text('{"_id": "q1", "text": "fox"}\n')
    (tmp_path / "data" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    return tmp_path / "data"


def test_an_untrained_baseline_is_said_to_be_one(
    write_spec: Callable[[str, str], Path],
    tiny_bert: Path,
    tiny_bi_encoder: Path,
    tiny_cross_encoder: Path,
    task: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_spec("base", f'kind = "bi-encoder"\nmodel = "{tiny_bert}"\n')
    write_spec("tuned", f'kind = "bi-encoder"\nmodel = "{tiny_bi_encoder}"\n')
    write_spec("reranker", f'kind = "cross-encoder"\nmodel = "{tiny_cross_encoder}"\n')
    write_spec("none", 'kind = "bi-encoder"\n[training]\nrecipe = "static"\nepochs = 0\n')
    write_spec("some", 'kind = "bi-encoder"\n[training]\nrecipe = "static"\nepochs = 1\n')
    untrained = {"base": True, "tuned": False, "reranker": False}
    results = evaluate_models(list(untrained), task, measures=["recall@10"], output=tmp_path / "out")
    tables.evaluations(results)
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert {row for row in rows if row.endswith(" 1.000")} == {
        "base (untrained) 1.000",
        "tuned 1.000",
        "reranker 1.000",
    }
    found = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("*.json")]
    assert {result["model"]: result["untrained"] for result in found} == untrained

    write_spec("broken", 'kind = "bm25"\nk11 = 1\n')
    tables.catalogue()
    listed, wrong = capsys.readouterr()
    assert wrong.startswith("models/broken.toml: unknown key 'k11'") and wrong.count("\n") == 1
    assert [name for name in (*untrained, "none", "some") if f" {name} (untrained) " in listed] == ["base", "none"]


def test_only_what_is_shown_is_explained(
    write_spec: Callable[[str, str], Path], task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_spec("words", 'kind = "bm25"\n')
    for measures, said in (
        (["recall@1"], "Highest possible recall@1: .000. 1 queries have no relevant document and count as 0."),
        (["mrr@10"], "1 queries have no relevant document and count as 0."),
        (["ndcg@10"], ""),
    ):
        (result,) = evaluate_models(["words"], task, measures=measures, relevance_level=2)
        assert result.caption == said
