"""Results of every kind, run again: the same, or what differs is named."""

from __future__ import annotations

import json
import random
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import mteb_cascade.experiments.sweep as sweeps
from mteb_cascade.corpora import pythondocs
from mteb_cascade.experiments.evaluate import evaluate_models
from mteb_cascade.stages.load import load
from mteb_cascade.studies import demo
from mteb_cascade.studies.reproducing.changes import changed_figures
from mteb_cascade.studies.reproducing.reproduce import reproduce

WORDS = ["red", "fox", "blue", "whale", "green", "tree", "old", "stone", "the", "of"]
SPECS = {
    "our-bm25": 'kind = "bm25"\n',
    "our-biencoder": 'kind = "bi-encoder"\n',
    "our-hybrid": (
        'kind = "hybrid"\n[[member]]\nmodel = "our-bm25"\nweight = 0.1\n[[member]]\nmodel = "our-biencoder"\n'
    ),
    "our-reranker": 'kind = "late-interaction"\n',
    "our-cascade": (
        'kind = "cascade"\n[[stage]]\nmodel = "our-hybrid"\n[[stage]]\nmodel = "our-reranker"\ndepth = 9\nblend = 0.5\n'
    ),
}

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def house(write_spec: Callable[[str, str], Path], tiny_static: Path, tiny_late_interaction: Path) -> Path:
    """The demo's models with random weights, and a collection."""
    models = next(write_spec(name, text) for name, text in SPECS.items()).parent
    for name, text in SPECS.items():
        write_spec(name, text)
    shutil.copytree(tiny_static, models / "our-biencoder")
    shutil.copytree(tiny_late_interaction, models / "our-reranker")
    data, rng = models.parent / "data", random.Random(0)
    (data / "qrels").mkdir(parents=True)
    texts = [" ".join(rng.choices(WORDS, k=6)) for _ in range(30)]
    (data / "corpus.jsonl").write_text(
        "\n".join(json.dumps({"_id": f"d{row}", "text": text}) for row, text in enumerate(texts))
    )
    asked = {f"q{row}": " ".join(rng.sample(WORDS, 2)) for row in range(12)}
    (data / "queries.jsonl").write_text("\n".join(json.dumps({"_id": q, "text": text}) for q, text in asked.items()))
    rows = [f"{query}\td{doc}\t1" for query in asked for doc in rng.sample(range(30), 2)]
    (data / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]))
    return models.parent


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `mteb-cascade reproduce` with these arguments: exit code, output, complaints."""
    from mteb_cascade.cli.main import main

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setenv("COLUMNS", "80")
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["mteb-cascade", "reproduce", *arguments])
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def one_weight_changed(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    name = next(iter(weights))
    weights[name] = weights[name].copy()
    weights[name].flat[0] += np.float32(1)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def changed(path: Path, edit: Callable[[Any], Any]) -> Path:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def evaluation(house: Path) -> Path:
    evaluate_models(["our-cascade"], "data", output=house / "results")
    (path,) = (house / "results").glob("*.json")
    return path


def test_an_evaluation_is_the_same(evaluation: Path, command: Command) -> None:
    code, out, err = command(str(evaluation))
    assert code == 0, out + err
    (line,) = out.splitlines()
    assert line == f"the same: results/{evaluation.name}, our-cascade: 6 figures, largest difference 0"


def test_one_weight_changed_names_the_stage_and_the_file_and_runs_nothing(
    evaluation: Path, house: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: load(name).fingerprint[:12] for name in SPECS}
    one_weight_changed(house / "models" / "our-biencoder")
    after = {name: load(name).fingerprint[:12] for name in SPECS}
    monkeypatch.setattr("mteb_cascade.studies.reproducing.rerun.evaluate_stage", lambda *_: pytest.fail("it was run"))
    code, out, _ = command(str(evaluation))
    assert code == 1
    lines = [line.strip() for line in out.splitlines()]
    for name in ("our-biencoder", "our-hybrid", "our-cascade"):
        assert f"{name}: fingerprint {before[name]} then, {after[name]} now" in lines
    assert lines[2].startswith("model.safetensors changed: SHA-256 ")
    assert lines[1].startswith("our-biencoder")
    assert "our-reranker" not in out and "our-bm25" not in out
    assert lines[-1] == "Nothing was run; --anyway runs it all the same."
    assert max(map(len, out.splitlines())) <= 80


def test_anyway_it_is_run_and_the_figures_that_differ_are_a_table(
    evaluation: Path, house: Path, command: Command
) -> None:
    text = (house / "models" / "our-cascade.toml").read_text()
    (house / "models" / "our-cascade.toml").write_text(text.replace("depth = 9", "depth = 1"))
    code, out, _ = command(str(evaluation), "--anyway")
    assert code == 1
    assert "stage.2.depth: 9 then, 1 now" in out
    assert "of 6 figures differ" in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_figure_that_was_tampered_with(evaluation: Path, command: Command) -> None:
    changed(evaluation, lambda content: content["scores"].update({"ndcg@10": content["scores"]["ndcg@10"] + 2e-6}))
    code, out, _ = command(str(evaluation))
    assert code == 1
    assert "1 of 6 figures differ" in out and "ndcg@10" in out and "2e-06" in out


def test_scores_are_computed_anew(evaluation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mteb_cascade.stages import stored

    monkeypatch.setattr(stored, "store_of", lambda *_: pytest.fail("the store was asked"))
    monkeypatch.setattr(stored, "RetrievedRuns", lambda *_: pytest.fail("the store was asked"))
    monkeypatch.setattr(stored, "StoredVectors", lambda *_: pytest.fail("the store was asked"))
    assert reproduce(evaluation).same


@pytest.mark.parametrize(
    ("file", "what"), [("corpus.jsonl", "corpus"), ("queries.jsonl", "queries"), ("qrels/test.tsv", "qrels")]
)
def test_changed_data_are_named_and_nothing_is_run(
    evaluation: Path, house: Path, file: str, what: str, command: Command
) -> None:
    path = house / "data" / file
    text = path.read_text()
    path.write_text(text.removesuffix("1") + "2" if what == "qrels" else text.replace("whale", "stone", 1))
    code, out, _ = command(str(evaluation))
    assert code == 1
    assert f"{what} digest of test" in out and out.count("digest of") == 1
    assert "Nothing was run" in out


def test_a_collection_that_moved_is_named(evaluation: Path, house: Path, command: Command) -> None:
    (house / "data").rename(house / "moved")
    code, out, err = command(str(evaluation))
    assert (code, out) == (2, "") and "--task" in err and len(err.splitlines()) == 1
    code, _, err = command(str(evaluation), "--task", "moved")
    assert code == 0, err


def test_what_is_only_information_is_told_and_no_fault(evaluation: Path, command: Command) -> None:
    def edit(content: Any) -> None:
        content["provenance"]["versions"]["numpy"] = "1.0"
        content["provenance"]["hardware"]["processor"] = "an abacus"

    code, out, err = command(str(changed(evaluation, edit)))
    assert code == 0 and len(out.splitlines()) == 1
    assert "numpy: 1.0 then, " in err and "processor: an abacus then, " in err


@pytest.mark.parametrize(
    ("first", "blend", "options"),
    [((), None, {"dev_fraction": 0.5}), (("our-bm25",), None, {"dev_fraction": 0.5}), (("our-bm25",), 0.25, {})],
)
def test_a_sweep_is_the_same(
    first: tuple[str, ...], blend: float | None, options: dict[str, Any], house: Path, command: Command
) -> None:
    pair = {"first": first, "rerank": ["our-reranker"]} if first else {"cascades": ["our-cascade"]}
    in_full = blend is None  # the placeholder of a curve that was not asked for is no figure
    (made,) = sweeps.sweep(**pair, tasks=["data"], depth=12, blend=blend, full_corpus=in_full, seed=3, **options)
    assert made.path is not None
    assert made.result["provenance"]["seed"] == 3
    code, out, err = command(str(made.path))
    assert code == 0, out + err
    assert int(out.split(" figures")[0].split()[-1].replace(",", "")) > 200
    changed(made.path, lambda content: content["curves"]["recall@10"]["alone"].__setitem__(4, 0.123))
    code, out, _ = command(str(made.path))
    assert code == 1 and "curves.recall@10.alone.5" in out


@pytest.mark.usefixtures("clean_tasks_here")
def test_a_result_of_mteb_with_its_provenance_and_without(house: Path, command: Command, tmp_path: Path) -> None:
    import mteb
    from mteb.cache import ResultCache

    from mteb_cascade.mteb_plugin.registry import TASKS, add_folder, register

    register()
    name = add_folder(house / "data", sys.modules[TASKS])
    for model in (mteb.get_model("our-hybrid"), mteb.get_model("our-cascade", depths=[3])):
        mteb.evaluate(model, mteb.get_task(name), cache=ResultCache(house), show_progress_bar=False)
    plain, experiment = sorted(house.glob("results/**/data.json"), key=lambda path: len(path.parts))[:2]
    for path in (plain, next(house.glob("results/*/*/experiments/*/data.json"))):
        code, out, err = command(str(path), "--task", "data")
        assert code == 0, out + err
        assert out.startswith("the same: ")
    assert experiment
    shutil.rmtree(plain.parent / "provenance")
    assert command(str(plain))[0] == 0
    one_weight_changed(house / "models" / "our-biencoder")
    code, out, _ = command(str(plain))
    assert code == 1 and f"local/our-hybrid: fingerprint {plain.parent.name[:12]} then" in out
    other = house / "results" / "intfloat__e5" / "abc"
    shutil.copytree(plain.parent, other)
    (other / "model_meta.json").unlink()
    code, _, err = command(str(other / "data.json"))
    assert code == 2 and "its model 'intfloat/e5' is not here" in err


@pytest.fixture
def clean_tasks_here() -> Iterator[None]:
    """mteb's registries as they were, once the test is over."""
    import mteb.get_tasks  # noqa: F401
    from mteb.models.model_implementations import MODEL_REGISTRY

    tasks = sys.modules["mteb.get_tasks"]._TASKS_REGISTRY
    before = dict(tasks), dict(MODEL_REGISTRY)
    yield
    for registry, old in zip((tasks, MODEL_REGISTRY), before, strict=True):
        registry.clear()
        registry.update(old)


@pytest.fixture
def part_of_pythondocs(monkeypatch: pytest.MonkeyPatch) -> None:
    """PythonDocs as read from one package of the standard library, once, for the whole takes seconds."""
    package = Path(sysconfig.get_path("stdlib")) / "logging"
    with monkeypatch.context() as patch:
        patch.setattr("sysconfig.get_path", lambda name: str(package))
        found = pythondocs.load.__wrapped__()
    monkeypatch.setattr("mteb_cascade.corpora.pythondocs.load", lambda: found)
    monkeypatch.setattr(demo, "RESAMPLES", 100)
    monkeypatch.setattr(demo, "BAND_RESAMPLES", 50)
    monkeypatch.setattr(demo, "DEPTH", 20)


@pytest.mark.usefixtures("part_of_pythondocs", "clean_tasks_here")
def test_the_demos_result(house: Path, command: Command, tmp_path: Path) -> None:
    import time

    from rich.console import Console

    collection = pythondocs.load()
    steps = demo.Steps(Console(quiet=True), time.monotonic())
    made = demo.measured(collection, house / "results", steps)
    told = {"task": demo.TASK, "revision": collection.revision, "chosen_on_dev": {}, **made}
    path = house / "demo.json"
    path.write_text(json.dumps(told))
    code, out, err = command(str(path))
    assert code == 0, out + err
    assert out.startswith("the same: demo.json, our-bm25, our-biencoder, our-hybrid, our-cascade: ")
    one_weight_changed(house / "models" / "our-reranker")
    code, out, _ = command(str(path))
    assert code == 1
    lines = out.splitlines()
    assert lines[1].startswith("  our-reranker: fingerprint ") and "model.safetensors changed" in lines[2]
    assert [line.split(":")[0].strip() for line in lines[3:4]] == ["our-cascade"]
    assert not any(name in out for name in ("our-bm25", "our-hybrid", "our-biencoder"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "there is no such file"),
        ('{"model": "our-cas', "cannot be read ("),
        ('{"a": 1}', "is no result; expected a result of mteb"),
        ("[1]", "is no result"),
        ('{"kind": "sweep"}', "a result of sweep without label"),
        ('{"task_name": "x", "scores": {}}', "a result of mteb without dataset_revision"),
    ],
)
def test_what_is_no_result_is_one_line(content: str | None, expected: str, house: Path, command: Command) -> None:
    if content is not None:
        (house / "x.json").write_text(content)
    code, out, err = command("x.json")
    assert (code, out) == (2, "")
    assert expected in err and len(err.splitlines()) == 1
    code, _, err = command("models")
    assert code == 2 and "models: is a folder; expected a result of mteb" in err


@pytest.mark.parametrize(
    ("key", "value"),
    [("split", 3), ("subset", None), ("scores", {}), ("k", "x"), ("relevance_level", []), ("split", [])],
)
def test_a_value_of_another_type_is_one_line(evaluation: Path, command: Command, key: str, value: object) -> None:
    evaluation.write_text(json.dumps({**json.loads(evaluation.read_text()), key: value}))
    code, out, err = command(str(evaluation))
    assert (code, out, len(err.splitlines())) == (2, "", 1), err
    assert key in err


def test_a_model_that_is_not_here_needs_its_spec(evaluation: Path, house: Path, command: Command) -> None:
    (house / "models" / "our-cascade.toml").unlink()
    code, out, err = command(str(evaluation))
    assert (code, out) == (2, "")
    assert "its model 'our-cascade' is not here: its spec is needed" in err and len(err.splitlines()) == 1


def test_figures_are_compared_by_hand() -> None:
    then = {"a": [1.0, 2.0], "b": float("nan"), "c": 3, "gone": 1, "timings": 9, "text": "x", "flag": True}
    now = {"a": [1.0, 2.5], "b": float("nan"), "c": 3 + 5e-7, "new": 2, "timings": 1, "text": "y", "flag": False}
    count, largest, found = changed_figures(then, now)
    assert (count, largest) == (5, 0.5)
    assert {one.what for one in found} == {"a.2", "gone", "new"}
    assert found[-1].what == "a.2"
    assert [one.what for one in changed_figures({"x": float("nan")}, {"x": 1.0})[2]] == ["x"]
