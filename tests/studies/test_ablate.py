"""Ablations on a collection of a few words, with models that train in a fraction of a second."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from mteb_cascade import spec as specs
from mteb_cascade.corpora.load import load as load_collection
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.evaluate import evaluate_stage
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.load import load
from mteb_cascade.studies.ablate import ablate
from mteb_cascade.studies.ablation_plan import read
from mteb_cascade.studies.ablation_table import markdown, tabled, tables
from mteb_cascade.values.statistics import paired_bootstrap

ANIMALS = ["fox", "whale", "tiger", "zebra", "otter", "heron", "gecko", "moose", "raven", "shark"]
COLOURS = ["red", "blue", "green", "white", "black", "brown"]
MEASURES = ("success@1", "recall@10")
BI_ENCODER = """
kind = "bi-encoder"
[training]
base = "scratch"
collection = "animals"
loss = "contrastive"
batch_size = 8
learning_rate = 0.1
max_steps = 3
negatives = 1
[training.scratch]
vocabulary = 80
dim = 8
[training.evaluation]
first = "bm25"
"""
RERANKER = """
kind = "cross-encoder"
[training]
base = "tiny"
collection = "animals"
loss = "softmax"
batch_size = 8
max_steps = 2
negatives = 2
[training.evaluation]
first = "bm25"
"""
LOSSES = """
spec = "little"
task = "animals"
measures = ["success@1", "recall@10"]
depth = 20
seeds = [0, 1]
[grid]
loss = ["contrastive", "triplet"]
"""


@pytest.fixture
def place(write_spec: Callable[[str, str], Path], tmp_path: Path) -> Path:
    """A folder with specs and a collection: which animal has which colour."""
    write_spec("bm25", 'kind = "bm25"')
    write_spec("little", BI_ENCODER)
    folder = tmp_path / "animals"
    (folder / "qrels").mkdir(parents=True)
    pairs = [(colour, animal) for colour in COLOURS for animal in ANIMALS]
    documents = [{"_id": f"d{n}", "text": f"the {c} {a} lives by the {a} stone"} for n, (c, a) in enumerate(pairs)]
    questions = [{"_id": f"q{n}", "text": f"where is a {c} {a}"} for n, (c, a) in enumerate(pairs)]
    for name, rows in (("corpus", documents), ("queries", questions)):
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    for split, kept in (("train", range(0, 60, 2)), ("test", range(1, 60, 4))):
        lines = "".join(f"q{n}\td{n}\t1\n" for n in kept)
        (folder / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{lines}")
    return tmp_path


def write(place: Path, content: str, name: str = "losses") -> Path:
    path = place / f"{name}.toml"
    path.write_text(content)
    return path


def results(place: Path) -> dict[str, Any]:
    return {
        f"{path.parent.parent.name} {path.parent.name[-1]}": json.loads(path.read_text())
        for path in sorted((place / "out/losses").glob("*/*/result.json"))
    }


def test_cells_are_trained_once_and_compared(place: Path) -> None:
    file, said = write(place, LOSSES.replace("seeds = [0, 1]", "seeds = [4]")), []
    table = ablate(file, output=place / "out", say=said.append)
    assert table is not None
    found = results(place)
    assert list(found) == ["contrastive 4", "triplet 4"]
    assert not any(path.name in ("model", ".model.training") for path in (place / "out").rglob("*"))
    test = load_collection("animals", "test").split("test")
    values = {
        cell: np.array([found[f"{cell} 4"]["queries"][query]["success@1"] for query in test.queries.ids])
        for cell in ("contrastive", "triplet")
    }
    other = "triplet" if table.compared_with == "contrastive" else "contrastive"
    assert values[other].mean() <= values[table.compared_with].mean()
    rows = {row.cell: row for row in table.rows}
    assert rows[other].compared == paired_bootstrap(values[other], values[table.compared_with])
    assert rows[other].means["success@1"] == pytest.approx(values[other].mean())
    assert "effective rank" in rows[other].collapse[0]

    written = {path: path.stat().st_mtime_ns for path in (place / "out/losses").rglob("result.json")}
    (place / "out/losses/triplet/seed-4/result.json").unlink()
    before = found["triplet 4"]["queries"]
    again = ablate(file, output=place / "out", say=said.append)
    assert again == table
    assert said[-2:] == ["losses: 2 trainings of little, 1 done", "2 of 2: triplet, seed 4"]
    assert results(place)["triplet 4"]["queries"] == before
    kept = {path for path, when in written.items() if path.stat().st_mtime_ns == when}
    assert len(kept) == 1

    path = place / "models/little.toml"
    path.write_text(path.read_text().replace("max_steps = 3", "max_steps = 4"))
    assert ablate(file, output=place / "out", say=said.append, dry_run=True) is None
    assert said[-3:] == [
        "losses: 2 trainings of little, 0 done",
        "contrastive, seed 4: to do",
        "triplet, seed 4: to do",
    ]


def test_a_stopped_ablation_goes_on_and_a_failing_cell_does_not_stop_it(place: Path) -> None:
    variants = '\n[[variant]]\nname = "too fast"\nset = { temperature = 1e-40 }\n'
    file = write(place, LOSSES.replace("seeds = [0, 1]", "seeds = [0]") + variants)

    def stop(text: str) -> None:
        if text.startswith("2 of 3"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ablate(file, output=place / "out", say=stop)
    assert list(results(place)) == ["contrastive 0"]
    table = ablate(file, output=place / "out")
    assert table is not None
    failed = table.rows[-1]
    assert (failed.cell, failed.seeds, list(failed.failed)) == ("too-fast", (), [0])
    assert "\n" not in failed.failed[0]
    assert "NaN" in failed.failed[0] or "nan" in failed.failed[0]
    assert table.rows[0].seeds == table.rows[1].seeds == (0,)
    console = Console(width=80, record=True)
    tables(table, console)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "too-fast, seed 0: failed" in text
    assert "| too-fast | 0 | failed |" in markdown(table)


def test_a_reranker_ranks_what_the_first_stage_found(
    place: Path, write_spec: Callable[[str, str], Path], tiny_bert: Path
) -> None:
    (place / "tiny").symlink_to(tiny_bert)
    write_spec("judge", RERANKER)
    text = LOSSES.replace('"little"', '"judge"\nfirst = "bm25"').replace('["contrastive", "triplet"]', '["softmax"]')
    file = write(place, text.replace("seeds = [0, 1]", "seeds = [3]").replace("depth = 20", "depth = 5"))
    table = ablate(file, output=place / "out", keep_models=True)
    assert table is not None
    collection = load_collection("animals", "test")
    stage = Cascade("bm25", Step(load(place / "out/losses/softmax/seed-3/model"), 5))
    expected = evaluate_stage(stage, collection, "test", MEASURES, k=10)
    assert table.rows[0].means == pytest.approx(expected.means)
    assert table.rows[0].compared is None
    assert "logits" in table.rows[0].collapse[0]


def test_the_table_by_hand(place: Path) -> None:
    """Four queries; a: 1 1 0 0 with one seed and 1 1 1 0 with the other, b: 0 0 0 0 with both, c failed once."""
    (place / "animals/qrels/test.tsv").write_text(
        "query-id\tcorpus-id\tscore\n" + "".join(f"q{n}\td{n}\t1\n" for n in range(4))
    )
    text = LOSSES.replace('["contrastive", "triplet"]', '["contrastive", "triplet", "cosine"]')
    ablation = read(write(place, text + '\n[[variant]]\nname = "b"\nset = { negatives = 3 }'))

    def result(cell: str, seed: int, hits: str) -> dict[str, Any]:
        queries = {f"q{n}": {name: float(hit) for name in MEASURES} for n, hit in enumerate(hits)}
        return {"cell": cell, "seed": seed, "queries": queries, "collapse": {"verdict": "healthy"}}

    table = tabled(
        ablation,
        [
            result("contrastive", 0, "1100"),
            result("contrastive", 1, "1110"),
            result("triplet", 0, "1100"),
            {"cell": "triplet", "seed": 1, "failed": "the loss is NaN"},
            result("cosine", 0, "1110"),
            result("cosine", 1, "1100"),
            result("b", 0, "0000"),
            result("b", 1, "0000"),
        ],
    )
    rows = {row.cell: row for row in table.rows}
    assert (table.compared_with, table.chosen) == ("contrastive", True)
    assert rows["contrastive"].means["success@1"] == pytest.approx(0.625)
    assert rows["contrastive"].spreads["success@1"] == pytest.approx(np.std([0.5, 0.75], ddof=1))
    assert rows["triplet"].seeds == (0,)
    assert rows["triplet"].compared is not None
    assert rows["triplet"].compared.difference == pytest.approx(-0.125)
    assert rows["cosine"].compared is not None
    assert rows["cosine"].compared.p_value == 1
    assert rows["b"].compared is not None
    assert rows["b"].p_holm == pytest.approx(3 * rows["b"].compared.p_value)
    assert any("flattered" in note for note in table.notes)


def test_every_mistake_is_told_before_anything_is_trained(place: Path) -> None:
    file = write(
        place,
        """
spec = "little"
task = "animals"
measures = ["succes@1"]
depth = 0
seeds = [0, 0]
baseline = "tripel"
[grid]
loss = ["contrastive", "softmax"]
"mining.skipp" = [1]
epochs = []
[[variant]]
name = "x"
set = { seed = 1 }
[[variant]]
name = "y"
""",
    )
    with pytest.raises(InputError) as raised:
        ablate(file, output=place / "out")
    told = str(raised.value).splitlines()
    assert all(line.startswith("losses.toml: ") for line in told)
    for part in ("succes@1", "depth: expected at least 1", "seeds: 0 stands twice", "'tripel'", "epochs: expected one",
                 "seed: a cell has no seed", "[[variant]] 2"):  # fmt: skip
        assert sum(part in line for line in told) == 1, part
    assert not (place / "out").exists()
    for text, part in (
        (LOSSES.replace('loss = ["contrastive", "triplet"]', '"mining.skipp" = [1]\nlos = ["kl"]'), "skipp"),
        (LOSSES.replace('"triplet"', '"softmax"'), "cross-encoder only"),
        (LOSSES.replace('"little"', '"litle"'), "Did you mean 'little'?"),
        (LOSSES.replace('"animals"', '"./planets"'), "no such folder"),
        (LOSSES.split("[grid]")[0], "nothing varies"),
        (LOSSES.replace("depth = 20", 'depht = 20\nfirst = "bm25"'), "Did you mean 'depth'?"),
        (LOSSES.replace("depth = 20", 'first = "bm25"'), "retrieves by itself"),
        (LOSSES.replace('["contrastive", "triplet"]', '["triplet", "triplet"]'), "stands twice"),
        ("spec = ", "not valid TOML"),
    ):
        with pytest.raises(InputError, match=r"losses\.toml: ") as raised:
            ablate(write(place, text), output=place / "out")
        assert part in str(raised.value)
    with pytest.raises(InputError, match="cannot be read"):
        read(place / "none.toml")
    assert specs.find("little") is not None
