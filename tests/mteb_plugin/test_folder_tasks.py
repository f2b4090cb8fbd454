from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from mteb_cascade.corpora import beir
from mteb_cascade.errors import InputError
from mteb_cascade.mteb_plugin.registry import TASKS, add_folder, add_to
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.values.stage_figures import figures

TEXTS = {"d0": "the red fox runs", "d1": "a blue whale", "d2": "green tree and red fox", "d3": ""}


@pytest.fixture
def make(tmp_path):
    """Writes a small BEIR folder of this name."""

    def written(name: str) -> Path:
        folder = tmp_path / "datasets" / name
        (folder / "qrels").mkdir(parents=True)
        rows = [json.dumps({"_id": row, "title": "", "text": text}) for row, text in TEXTS.items()]
        (folder / "corpus.jsonl").write_text("\n".join(rows))
        (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "red fox"}\n{"_id": "q2", "text": "whale"}')
        (folder / "qrels" / "test.tsv").write_text("q1\td2\t1\nq2\td1\t1")
        (folder / "qrels" / "train.tsv").write_text("q1\td0\t1")
        return folder

    return written


@pytest.fixture
def tasks(clean_tasks):
    import mteb.get_tasks  # noqa: F401

    return sys.modules[TASKS]


@pytest.mark.filterwarnings("ignore:.*neither title nor text")
def test_a_folder_is_a_task(tasks, make):
    import mteb

    folder = make("few-words")
    assert add_folder(folder, tasks) == "few-words"
    task = mteb.get_task("few-words")
    collection = beir.load(folder, allow_empty=True)
    assert (task.eval_splits, task.metadata.dataset["revision"]) == (["test"], collection.revision)
    assert str(folder) not in json.dumps(task.metadata.model_dump(mode="json"))
    (result,) = mteb.evaluate(BM25(), task, cache=None, show_progress_bar=False).task_results
    (scores,) = result.scores["test"]
    stage = BM25()
    stage.index(collection.corpus)
    split = collection.split("test")
    own = figures(stage.retrieve(split.queries, 100), split.qrels, ("recall@1", "ndcg@10"))
    assert (scores["recall_at_1"], scores["ndcg_at_10"]) == pytest.approx(tuple(own.values()), abs=1e-5)
    assert mteb.get_task("few-wordsCascade").metadata.adapted_from == ["few-words"]


def test_documents_without_text_are_counted(tasks, make):
    import mteb

    add_folder(make("with-an-empty-one"), tasks)
    with pytest.warns(UserWarning, match="with-an-empty-one: 1 documents have neither title nor text"):
        mteb.get_task("with-an-empty-one")


def test_a_name_that_mteb_has_is_never_replaced(tasks, make):
    before = tasks._TASKS_REGISTRY["SciFact"]
    assert add_folder(make("SciFact"), tasks) == "SciFactFolder"
    assert tasks._TASKS_REGISTRY["SciFact"] is before
    assert tasks._TASKS_REGISTRY["SciFactCascade"].metadata.dataset["path"] == "SciFact"


def test_two_folders_of_one_name(tasks, make, tmp_path):
    first = make("words")
    second = first.rename(tmp_path / "words")
    make("words")
    add_folder(first, tasks)
    assert add_folder(first, tasks) == "words"
    with pytest.raises(InputError, match=r"'words' is the name of .*datasets/words already; give one of them another"):
        add_folder(second, tasks)


def test_one_bad_folder_hides_no_other(tasks, make, tmp_path, monkeypatch):
    good, bad = make("good"), make("bad")
    (bad / "task.toml").write_text("nam = 'x'")
    monkeypatch.setenv("MTEB_CASCADE_DATASETS", os.pathsep.join([str(tmp_path / "missing"), str(good.parent)]))
    with pytest.warns(UserWarning) as said:
        add_to(tasks)
    assert {"good", "goodCascade", "PythonDocsCascade"} <= set(tasks._TASKS_REGISTRY)
    lines = [str(one.message) for one in said]
    assert any("MTEB_CASCADE_DATASETS" in line and "missing is no folder" in line for line in lines)
    assert any("bad/task.toml: unknown key 'nam'" in line for line in lines)


@pytest.mark.parametrize(
    "arguments",
    [["-m", "mteb", "run", "-t", "tiny-words"], ["mteb-cascade", "mteb", "run", "-t", "datasets/tiny-words"]],
)
def test_from_the_command_line(running, house, make, arguments):
    folder = make("tiny-words")
    folder.parent.rename(house / "datasets")
    named = {"MTEB_CASCADE_DATASETS": "datasets"} if arguments[0] == "-m" else {}
    done = running(*arguments, "-m", "our-bm25", "--output-folder", ".", cwd=house, **named)
    assert done.returncode == 0, done.stderr
    (path,) = house.rglob("tiny-words.json")
    (scores,) = json.loads(path.read_text())["scores"]["test"]
    assert scores["recall_at_10"] == 1
