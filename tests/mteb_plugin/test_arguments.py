from __future__ import annotations

import sys

import pytest

from mteb_cascade.errors import InputError
from mteb_cascade.mteb_plugin.arguments import understood
from mteb_cascade.mteb_plugin.registry import TASKS, register

pytestmark = pytest.mark.usefixtures("clean_registry", "clean_tasks", "house")


def test_what_mteb_understands_is_left_as_it_is():
    register()
    given = ["run", "-m", "our-bm25", "-t", "SciFact", "PersianTextTone", "--output-folder", "out", "-v", "0"]
    assert understood(given) == given
    assert understood(["run", "--model", "who/knows", "--tasks", "PythonDocs"])[-3:] == [
        "who/knows",
        "--tasks",
        "PythonDocsRetrieval",
    ]


def test_a_folder_is_a_task_only_where_a_task_is_expected(house):
    register()
    folder = house / "few-words"
    (folder / "qrels").mkdir(parents=True)
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        (folder / name).touch()
    read = understood(["run", "-t", "few-words", "SciFact", "--output-folder", "./few-words"])
    assert read == ["run", "-t", "few-words", "SciFact", "--output-folder", "./few-words"]
    assert understood(["run", "-t", "./few-words"]) == ["run", "-t", "few-words"]
    assert sys.modules[TASKS]._TASKS_REGISTRY["few-words"].entry.folder == folder


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["-m", "our-bm52"], "unknown model 'our-bm52'. Known here: .* Did you mean 'our-bm25'"),
        (["-t", "SciFatc"], "unknown task 'SciFatc': expected a task of mteb or the path .* Did you mean 'SciFact"),
        (["-t", "qqqqqq"], "unknown task 'qqqqqq'.* `mteb available-tasks` lists mteb's"),
        (["-t", "SciFact", "./models"], "./models: there is no such BEIR folder; expected corpus.jsonl"),
    ],
)
def test_a_name_that_nobody_knows_is_one_line(given, said):
    register()
    with pytest.raises(InputError, match=said) as error:
        understood(["run", *given])
    assert "\n" not in str(error.value)
