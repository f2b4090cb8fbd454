from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mteb_cascade.corpora.load import load
from mteb_cascade.errors import InputError
from mteb_cascade.stages.mteb import generic_task
from mteb_cascade.training.data import pair_lists
from mteb_cascade.training.data.training_data import TrainingData, load_training
from mteb_cascade.training.options import Training
from mteb_cascade.training.recipes.pairs import Pair

QUERIES = {
    "t0": "insulin increases risk of severe kidney failure",
    "t1": "do whales sing",
    "t2": "where foxes sleep",
    "t3": "  ",
    "t4": "who asks this",
    "t5": "how tall is a tree",
    "v0": "which fox is red",
    "s0": "insulin decreases risk of severe kidney failure",
}
"""Training, development and test queries; t0 is the twin of s0, t3 is blank."""

JUDGED = {
    "train": {
        "t0": {"d0": 1},
        "t1": {"d1": 1, "d2": 2, "d0": 0},
        "t2": {"d2": 1, "elsewhere": 1},
        "t3": {"d1": 1},
        "t4": {"elsewhere": 1},
        "t5": {"d3": 1, "blank": 1},
    },
    "dev": {"v0": {"d1": 1}},
    "test": {"s0": {"d0": 1}},
}
CORPUS = {"d0": "kidneys", "d1": "a whale", "d2": "whale song", "d3": "trees", "blank": " "}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "qrels").mkdir()
    for name, texts in (("corpus", CORPUS), ("queries", QUERIES)):
        lines = [json.dumps({"_id": one, "text": text}) for one, text in texts.items()]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    for split, judged in JUDGED.items():
        write_qrels(tmp_path, split, judged)
    return tmp_path


def write_qrels(folder: Path, split: str, judged: dict[str, dict[str, int]]) -> None:
    rows = [f"{query}\t{doc}\t{grade}\n" for query, docs in judged.items() for doc, grade in docs.items()]
    (folder / "qrels" / f"{split}.tsv").write_text("".join(rows))


def data_of(collection: object, **options: Any) -> TrainingData:
    made = Training(base="b", loss="contrastive", collection=str(collection), **options)
    return load_training(made, "models/mine.toml")


pytestmark = pytest.mark.filterwarnings("ignore:.*that the folder does not hold")


def test_a_folder_gives_its_answers_without_what_must_not_be_learned(folder: Path) -> None:
    data = data_of(folder)
    lists = data.lists
    assert lists.queries.ids == ("t1", "t2", "t5")
    # The best grade first; judged but not relevant documents, and those that are blank or not there, are none.
    assert lists.docs.tolist() == [[2, 1], [2, -1], [3, -1]]
    assert lists.labels.tolist() == [[2, 1], [1, 0], [1, 0]]
    assert lists.relevant.tolist() == lists.real.tolist()
    assert lists.corpus is data.corpus
    assert data.held_out is not None
    assert data.held_out.queries.ids == ("v0",)
    assert [(leak.query_id, leak.other_id, leak.split, leak.shared) for leak in data.leaks] == [
        ("t0", "s0", "test", ("d0",))
    ]
    assert [note.removeprefix(f"{folder.name}: ") for note in data.notes] == [
        "3 training queries, 5 documents",
        "1 queries held out: dev",
        "1 training queries refused that nearly repeat queries of test",
        "1 training queries without text are left out",
        "1 training queries without a document that answers them are left out",
        "1 documents without text are left out of their lists",
    ]


def test_queries_held_out_of_train_are_those_that_a_sweep_calls_by_name(folder: Path) -> None:
    data = data_of(folder, held_out=2, seed=4)
    swept = load(folder, "dev[2,seed=0 of train]", allow_empty=True).split("dev[2,seed=0 of train]")
    assert data.held_out is not None
    held = set(data.held_out.queries.ids)
    assert held <= set(swept.queries.ids)
    assert len(swept.queries) == 2
    assert held.isdisjoint(data.lists.queries.ids)
    assert set(data.lists.queries.ids) == {"t1", "t2", "t5"} - set(swept.queries.ids)


def test_a_collection_without_dev_holds_nothing_out(folder: Path) -> None:
    (folder / "qrels" / "dev.tsv").unlink()
    assert data_of(folder).held_out is None


def test_the_digest_is_of_everything_that_decides(folder: Path) -> None:
    digests = {data_of(folder).digest}
    assert data_of(folder).digest in digests
    digests |= {data_of(folder, held_out=count).digest for count in (1, 2)}
    write_qrels(folder, "dev", {"v0": {"d2": 1}})
    digests.add(data_of(folder).digest)
    write_qrels(folder, "train", JUDGED["train"] | {"t2": {"d1": 1}})
    digests.add(data_of(folder).digest)
    (folder / "task.toml").write_text("relevance_level = 2")
    digests.add(data_of(folder).digest)
    assert len(digests) == 6


@pytest.mark.parametrize(
    ("judged", "options", "message"),
    [
        (None, {}, r"has no split 'train'\. Known: dev, test\."),
        ({"t3": {"d1": 1}, "t4": {"elsewhere": 1}}, {}, "nothing can be learned from its 2 training queries: 1 tra"),
        ({"t0": {"d0": 1}}, {}, "every training query repeats a held-out or test query"),
        (JUDGED["train"], {"held_out": 6}, "dev size 6 leaves nothing of split 'train'"),
        (JUDGED["train"], {"split": "trian"}, "has no split 'trian'.*Did you mean 'train'"),
    ],
)
def test_nothing_to_train_on_is_an_error(folder: Path, judged: Any, options: Any, message: str) -> None:
    if judged is None:
        (folder / "qrels" / "train.tsv").unlink()
    else:
        write_qrels(folder, "train", judged)
    with pytest.raises(InputError, match=message) as caught:
        data_of(folder, **options)
    assert str(caught.value).startswith("models/mine.toml: [training] ")


def test_an_unknown_collection_is_named() -> None:
    with pytest.raises(InputError, match=r"^models/mine\.toml: \[training\] no/where: there is no such folder"):
        data_of("no/where")


def test_pairs_of_one_text_are_one_query_and_texts_of_one_document_one_group(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [
        Pair("ask", "whole", 1, "query"),
        Pair("ask", "other", 3, "query"),
        Pair("name", "whole", 1, "name"),
        Pair("said", "rest", 1, "sentence"),
        Pair("said", "other", 3, "sentence"),
        Pair("also", "remains", 1, "sentence"),
    ]
    monkeypatch.setattr(pair_lists, "training_pairs", lambda _: pairs)
    lists = pair_lists.pair_lists(load(folder, allow_empty=True))
    assert lists.queries.ids == ("query", "name", "sentence", "sentence#1")
    assert lists.queries.texts == ("ask", "name", "said", "also")
    assert lists.corpus.ids.to_pylist() == ["d1", "d3", "d1#1", "d1#2"]
    assert lists.corpus.texts.to_pylist() == ["whole", "other", "rest", "remains"]
    assert lists.groups is not None
    assert lists.groups.tolist() == [1, 3, 1, 1]
    assert lists.docs.tolist() == [[0, 1], [0, -1], [2, 1], [3, -1]]


def test_pythondocs_trains_on_its_pairs_and_holds_out_its_own_dev_queries() -> None:
    from mteb_cascade.corpora import pythondocs

    data, whole = data_of("PythonDocs"), pythondocs.load()
    assert data.corpus is whole.corpus
    assert data.held_out is not None
    assert data.held_out.queries.ids == whole.split("dev").queries.ids
    assert len(set(data.lists.queries.texts)) == len(data.lists) > 10_000
    groups = data.lists.groups
    assert groups is not None
    held = whole.split("test").qrels
    answers = {document for query in held.grades for document in held.of(query)}
    assert answers.isdisjoint(whole.corpus.ids_at(np.unique(groups)))


def test_a_task_of_mteb_is_compared_with_its_other_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    import mteb  # noqa: F401
    from datasets import Dataset
    from mteb.abstasks import AbsTaskRetrieval

    class Small(AbsTaskRetrieval):
        metadata = generic_task("Small").model_copy(update={"eval_splits": ["test", "gone"]})

        def load_data(self, **_: Any) -> None:
            (split,) = self.eval_splits
            if split not in JUDGED:
                raise ValueError(f"Couldn't find cache\nfor {split}")
            self.dataset = {
                "default": {
                    split: {
                        "corpus": Dataset.from_list([{"id": one, "text": text} for one, text in CORPUS.items()]),
                        "queries": Dataset.from_list([{"id": one, "text": QUERIES[one]} for one in JUDGED[split]]),
                        "relevant_docs": JUDGED[split],
                        "top_ranked": None,
                    }
                }
            }
            self.data_loaded = True

    monkeypatch.setitem(sys.modules["mteb.get_tasks"]._TASKS_REGISTRY, "Small", Small)
    data = data_of("Small")
    assert data.lists.queries.ids == ("t1", "t2", "t5")
    assert data.held_out is not None
    assert data.held_out.queries.ids == ("v0",)
    assert [leak.split for leak in data.leaks] == ["test"]
    assert data.notes[-1] == "no training query was compared with split 'gone': Couldn't find cache for gone"
    # The training split of a task is fetched to tell twins.
    with pytest.raises(InputError, match="every query of split 'test' has a near-twin in 'train'"):
        load("Small", "test[untwinned]")
