from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path

import pytest

from mteb_cascade.cli import main as command_line
from mteb_cascade.corpora import beir
from mteb_cascade.corpora.load import load
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
    assert task.eval_splits == ["test"]
    assert str(folder) not in json.dumps(task.metadata.model_dump(mode="json"))
    (result,) = mteb.evaluate(BM25(), task, cache=None, show_progress_bar=False).task_results
    (scores,) = result.scores["test"]
    stage = BM25()
    stage.index(collection.corpus)
    split = collection.split("test")
    own = figures(stage.retrieve(split.queries, 100), split.qrels, ("recall@1", "ndcg@10"))
    assert (scores["recall_at_1"], scores["ndcg_at_10"]) == pytest.approx(tuple(own.values()), abs=1e-5)
    assert mteb.get_task("few-wordsCascade").metadata.adapted_from == ["few-words"]


@pytest.mark.filterwarnings("ignore:.*neither title nor text")
@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("qrels/test.tsv", "q1\td2\t1\nq2\td0\t1"),
        ("queries.jsonl", '{"_id": "q1", "text": "red fox"}\n{"_id": "q2", "text": "blue whale"}'),
        ("task.toml", "relevance_level = 2"),
        ("task.toml", "ignore_identical_ids = true"),
    ],
)
def test_the_revision_follows_all_that_decides_a_figure(tasks, make, file, text):
    import mteb

    folder = make("few-words")
    add_folder(folder, tasks)
    before = mteb.get_task("few-words").metadata.dataset["revision"]
    assert mteb.get_task("few-words").metadata.dataset["revision"] == before
    (folder / file).write_text(text)
    add_folder(folder, tasks)
    assert mteb.get_task("few-words").metadata.dataset["revision"] != before


@pytest.mark.filterwarnings("ignore:.*neither title nor text")
@pytest.mark.parametrize("name", ["few-words", "few-wordsCascade"])
def test_an_edited_folder_never_gets_its_old_result(tasks, make, tmp_path, name):
    import mteb
    from mteb.cache import ResultCache

    folder = make("few-words")
    add_folder(folder, tasks)
    cache = ResultCache(tmp_path / "cache")

    def recall() -> float:
        task = mteb.get_task(name)
        (result,) = mteb.evaluate(BM25(), task, cache=cache, show_progress_bar=False).task_results
        assert result.dataset_revision == task.metadata.dataset["revision"]
        return result.scores["test"][0]["recall_at_1"]

    assert recall() == 0.5
    (path,) = cache.cache_path.glob(f"results/*/*/{name}.json")
    written = path.stat().st_mtime_ns
    assert recall() == 0.5 and path.stat().st_mtime_ns == written
    (folder / "qrels" / "test.tsv").write_text("q1\td0\t1\nq2\td1\t1")
    assert recall() == 1


@pytest.mark.filterwarnings("ignore:.*neither title nor text")
def test_its_main_split_is_the_one_that_its_entry_names(tasks, make):
    folder = make("few-words")
    (folder / "task.toml").write_text('splits = ["train"]')
    assert load(folder, allow_empty=True).default_split == "train"
    assert add_folder(folder, tasks) == "few-words"
    assert load("few-words").default_split == "train"


def test_its_cascade_task_takes_nobodys_name(tasks, make):
    ours = tasks._TASKS_REGISTRY["PythonDocsCascade"]
    assert add_folder(make("PythonDocs"), tasks) == "PythonDocsFolder"
    assert tasks._TASKS_REGISTRY["PythonDocsCascade"] is ours
    add_folder(make("fewCascade"), tasks)
    with pytest.raises(InputError, match=r"'few' is the name of .*fewCascade already"):
        add_folder(make("few"), tasks)


@pytest.mark.filterwarnings("ignore:.*neither title nor text")
def test_its_level_holds_wherever_it_is_asked_for_by_name(tasks, make):
    folder = make("TRECDL2019")
    (folder / "task.toml").write_text("relevance_level = 3\nignore_identical_ids = true")
    assert add_folder(folder, tasks) == "TRECDL2019Folder"
    for name in ("TRECDL2019Folder", "TRECDL2019FolderCascade", str(folder)):
        collection = load(name, allow_empty=True)
        assert (collection.split("test").qrels.relevance_level, collection.ignore_identical_ids) == (3, True)


def test_documents_without_text_are_counted(tasks, make):
    import mteb

    add_folder(make("with-an-empty-one"), tasks)
    with pytest.warns(UserWarning, match="with-an-empty-one: 1 documents have neither title nor text"):
        mteb.get_task("with-an-empty-one")


def test_a_name_that_mteb_has_is_never_replaced(tasks, make):
    before = tasks._TASKS_REGISTRY["SciFact"]
    assert add_folder(make("SciFact"), tasks) == "SciFactFolder"
    assert tasks._TASKS_REGISTRY["SciFact"] is before
    assert tasks._TASKS_REGISTRY["SciFactFolderCascade"].metadata.dataset["path"] == "SciFact"


def test_who_trained_on_mtebs_task_is_not_zero_shot_on_a_folder_of_its_name(tasks, make, monkeypatch):
    from mteb.models.model_meta import ModelMeta

    for table in (tasks._TASKS_REGISTRY, tasks._SIMILAR_TASKS):
        for name in [name for name in table if name.endswith("Cascade")]:
            del table[name]
    tasks._SIMILAR_TASKS["SciFact"] = []
    monkeypatch.setenv("MTEB_CASCADE_DATASETS", str(make("SciFact")))
    add_to(tasks)
    meta = ModelMeta.create_empty({"name": "some/model"}).model_copy(update={"training_datasets": {"SciFact"}})
    assert not any(meta.is_zero_shot_on([name]) for name in ("SciFactFolder", "SciFactFolderCascade"))
    assert meta.is_zero_shot_on(["NFCorpusCascade"])


def test_two_folders_of_one_name(tasks, make, tmp_path):
    first = make("words")
    second = first.rename(tmp_path / "words")
    make("words")
    add_folder(first, tasks)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert add_folder(first, tasks) == add_folder(link / "datasets" / "words", tasks) == "words"
    with pytest.raises(InputError, match=r"'words' is the name of .*datasets/words already; give one of them another"):
        add_folder(second, tasks)


def test_one_bad_folder_hides_no_other(tasks, make, tmp_path, monkeypatch):
    good, bad = make("good"), make("bad")
    (bad / "task.toml").write_text("nam = 'x'")
    monkeypatch.setenv(
        "MTEB_CASCADE_DATASETS",
        os.pathsep.join(["~nobody-of-that-name/x", str(tmp_path / "missing"), "", str(good.parent)]),
    )
    with pytest.warns(UserWarning) as said:
        add_to(tasks)
    assert {"good", "goodCascade", "PythonDocsCascade"} <= set(tasks._TASKS_REGISTRY)
    lines = [str(one.message) for one in said]
    assert any("MTEB_CASCADE_DATASETS" in line and "missing is no folder" in line for line in lines)
    assert any("bad/task.toml: unknown key 'nam'" in line for line in lines)


@pytest.mark.usefixtures("tasks", "clean_registry")
def test_a_path_on_our_command_line(house, make, monkeypatch):
    # By name and MTEB_CASCADE_DATASETS, with plain `mteb run`: test_every_kind.
    folder = make("tiny-words")
    folder.parent.rename(house / "datasets")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")  # as mteb's command sets it, for good
    monkeypatch.setattr("warnings.showwarning", warnings.showwarning)
    arguments = ["mteb", "run", "-t", "datasets/tiny-words", "-m", "our-bm25", "--output-folder", "."]
    monkeypatch.setattr(sys, "argv", ["mteb-cascade", *arguments])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert not ended.value.code
    (path,) = house.glob("results/*/*/tiny-words.json")
    (scores,) = json.loads(path.read_text())["scores"]["test"]
    assert scores["recall_at_10"] == 1
