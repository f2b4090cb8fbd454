"""`mteb-cascade mine` through the command line: the table of rules, the report, and mistakes in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

TRAINED = """kind = "cross-encoder"
[training]
base = "nothing"
loss = "bce"
collection = "data"
negatives = 2
"""
MINED = TRAINED + '[training.mining]\nfirst = ["our-tfidf"]\nskip = 1\nsampling = "top"\n'
SPECS = {
    "our-tfidf": 'kind = "tfidf"\n',
    "reranker": MINED,
    "random": TRAINED,
    "recipe": 'kind = "sparse"\n[training]\nrecipe = "idf"\n',
    "nobody": MINED.replace("our-tfidf", "our-tfidff"),
    "deep": MINED + "dept = 3\n",
}
TEXTS = ("red fox", "Red, red fox!", "red whale", "old stone tree", "green tree", "fox and hound and fish", "red")
QUERIES = {"q0": ("red fox", 0), "q1": ("old tree", 3)}


@pytest.fixture
def run(
    write_spec: Callable[[str, str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Callable[..., tuple[int, str, str]],
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command line in this process, where there are specs and a BEIR folder; code, output and errors."""
    for name, content in SPECS.items():
        write_spec(name, content)
    folder = tmp_path / "data"
    (folder / "qrels").mkdir(parents=True)
    corpus = [json.dumps({"_id": f"d{row}", "text": text}) for row, text in enumerate(TEXTS)]
    asked = [json.dumps({"_id": name, "text": text}) for name, (text, _) in QUERIES.items()]
    asked.append(json.dumps({"_id": "held", "text": "a fish"}))
    (folder / "corpus.jsonl").write_text("\n".join(corpus) + "\n")
    (folder / "queries.jsonl").write_text("\n".join(asked) + "\n")
    judged = "".join(f"{name}\td{row}\t1\n" for name, (_, row) in QUERIES.items())
    (folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nheld\td5\t1\n")
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(tmp_path / "cache"))

    return partial(command, "mine")


def test_the_table_says_what_each_rule_dropped(run):
    code, out, err = run("reranker")
    assert code == 0, err
    figures = dict(line.rsplit(maxsplit=2)[:2] if "%" in line else line.rsplit(maxsplit=1) for line in out.splitlines())
    told = {" ".join(name.split()): count for name, count in figures.items()}
    # q0: d0 answers, d1 has its words, d6 is skipped, d2 and d5 are left; q1: d3 answers, d4 is skipped.
    assert told["candidates"] == "7"
    assert told["answer relevant itself"] == "2"
    assert told["near-duplicate nearly the words of a relevant one"] == "1"
    assert told["skipped among the first, which are passed over"] == "2"
    assert told["believed"] == "2"
    assert told["mined"] == "2"
    assert told["filled up"] == "2"
    assert told["queries with too few believed candidates"] == "1"
    assert max(map(len, out.splitlines())) <= 80
    assert out.splitlines()[-1] == "wrote results/mining/reranker.md"
    report = json.loads(Path("results/mining/reranker.json").read_text())
    (sample,) = [one for one in report["samples"] if one["query"] == "q0"]
    assert {one["id"] for one in sample["negatives"]} == {"d2", "d5"}


def test_another_seed_and_folder_and_no_mining_table(run):
    assert run("random", "-o", "here")[0] == 0
    first = json.loads(Path("here/random.json").read_text())
    assert first["negatives"] == {"mined": 0, "given": 0, "drawn": 4, "filled up": 0}
    drawn = set()
    for seed in range(4):
        assert run("random", "--seed", str(seed), "-o", "here")[0] == 0
        samples = json.loads(Path("here/random.json").read_text())["samples"]
        drawn.add(json.dumps([one["negatives"] for one in samples]))
    assert len(drawn) > 1


@pytest.mark.parametrize(
    ("name", "message"),
    {
        "our-tfidf": "models/our-tfidf.toml: has no [training] table",
        "recipe": "models/recipe.toml: [training] recipe 'idf' takes no mined negatives",
        "rerankr": "unknown model 'rerankr'. Known here: ",
        "deep": "models/deep.toml: [training.mining] unknown key 'dept'",
        "nobody": "models/nobody.toml: [training.mining] first: unknown model 'our-tfidff'",
    }.items(),
)
def test_a_mistake_is_one_line_and_nothing_is_written(run, name, message):
    code, out, err = run(name)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not out
    assert not Path("results").exists()
