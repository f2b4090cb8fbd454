"""Exit codes, and what lands on stdout."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def run(write_spec, tmp_path, tiny_bi_encoder, command):
    """Runs the command line in a folder with BM25, an encoder that cuts at 4 tokens, and a collection."""
    write_spec("our-bm25", 'kind = "bm25"\n')
    write_spec("cut", f'kind = "bi-encoder"\nmodel = "{tiny_bi_encoder}"\nmax_length = 4\n')
    (tmp_path / "data" / "qrels").mkdir(parents=True)
    documents = [f'{{"_id": "d{n}", "text": "name{n} red fox {"whale " * (n % 5)}"}}' for n in range(22)]
    queries = [f'{{"_id": "q{n}", "text": "name{n} fox"}}' for n in range(22)]
    (tmp_path / "data" / "corpus.jsonl").write_text("\n".join(documents))
    (tmp_path / "data" / "queries.jsonl").write_text("\n".join(queries))
    judged = "".join(f"q{n}\td{n}\t1\n" for n in range(22))
    (tmp_path / "data" / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")

    return command


def test_a_failing_check_is_exit_code_1_and_json_stands_alone(run):
    code, out, _ = run("doctor", "cut", "-t", "data", "--json")
    found = json.loads(out)
    assert (code, found["failed"], found["model"], found["queries"]) == (1, True, "cut", 22)
    failed = {one["check"] for one in found["findings"] if one["verdict"] == "fail"}
    assert "truncation" in failed
    assert all(one["remedy"] for one in found["findings"] if one["verdict"] == "fail")


def test_a_healthy_model_is_exit_code_0(run):
    code, out, _ = run("doctor", "our-bm25", "-t", "data", "--queries", "21", "--all")
    assert code == 0
    assert out.splitlines()[0].rstrip() == "our-bm25 on data, test: 21 queries"
    assert out.splitlines()[-1].startswith("no checks fail")
    assert "constant scores, our-bm25" in out


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["our-bm52", "-t", "data"], "Did you mean 'our-bm25'?"),
        (["our-bm25", "-t", "./nowhere"], "there is no such folder"),
        (["our-bm25", "-t", "data", "--split", "dev"], "has no split 'dev'"),
        (["our-bm25", "-t", "data", "--first", "our-bm52"], "Did you mean 'our-bm25'?"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, arguments, part):
    code, out, err = run("doctor", *arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert part in err
