from __future__ import annotations

from pathlib import Path

import numpy as np

from mteb_cascade.corpora.collection import Split
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.training.data.leaks import Leak, guarded, write
from mteb_cascade.training.data.listed import listed, only
from mteb_cascade.training.lists import Lists
from mteb_cascade.values.qrels import Qrels

CORPUS = Corpus.of(["a", "b", "c"], ["red fox", "blue whale", "green tree"])
QUERIES = Queries(
    ("t0", "t1", "t2"),
    ("insulin increases risk of severe kidney failure", "do whales sing", "where do foxes sleep in the cold winter"),
)
NEGATED = "insulin decreases risk of severe kidney failure"


def lists_of(answers: list[int]) -> Lists:
    rows = np.arange(len(answers))
    return listed(QUERIES, CORPUS, rows, np.array(answers), np.ones(len(rows)), np.ones(len(rows), bool))


def split_of(**asked: tuple[str, str]) -> Split:
    queries = Queries(tuple(asked), tuple(text for text, _ in asked.values()))
    return Split(queries, Qrels({query: {answer: 1} for query, (_, answer) in asked.items()}))


def test_twins_are_refused_and_listed_with_where_they_stand() -> None:
    splits = {"dev": split_of(q0=("Do whales sing?", "c")), "test": split_of(q1=(NEGATED, "a"), q2=("why", "a"))}
    kept, leaks = guarded(lists_of([0, 1, 2]), splits)
    assert kept.queries.ids == ("t2",)
    assert kept.docs.tolist() == [[2]]
    assert leaks == (
        Leak("t1", "do whales sing", "q0", "Do whales sing?", "dev", 1.0, ()),
        Leak("t0", QUERIES.texts[0], "q1", NEGATED, "test", 0.75, ("a",)),
    )


def test_a_negative_is_no_shared_answer() -> None:
    lists = listed(QUERIES, CORPUS, np.arange(3), np.zeros(3, int), np.zeros(3), np.zeros(3, bool))
    kept, leaks = guarded(lists, {"test": split_of(q1=(NEGATED, "a"))})
    assert kept is lists
    assert leaks == ()


def test_the_list_is_a_table(tmp_path: Path) -> None:
    path = tmp_path / "new" / "leaks.tsv"
    write(path, [Leak("t", "tabs\tand\nlines", "q", "text", "test", 2 / 3, ("a", "b"))])
    header, *lines = path.read_text().splitlines()
    assert header.split("\t") == ["query_id", "query", "other_id", "other", "split", "similarity", "shared"]
    assert lines[-1].endswith("q\ttext\ttest\t0.667\ta b")


def test_lists_are_in_the_order_of_relevance_label_and_file() -> None:
    made = listed(
        Queries(("p", "q", "r"), ("x", "y", "z")),
        CORPUS,
        np.array([1, 1, 0, 1, 1, 1]),
        np.array([2, 0, 1, 1, 2, 1]),
        np.array([5, 1, 4, 2, 7, 3]),
        np.array([False, True, False, False, False, True]),
    )
    # c is named twice for q: its first label counts. b is named as a negative and as an answer: it is an answer.
    assert made.docs.tolist() == [[1, -1, -1], [1, 0, 2], [-1, -1, -1]]
    assert made.labels.tolist() == [[4, 0, 0], [3, 1, 5], [0, 0, 0]]
    assert made.relevant.tolist() == [[False] * 3, [True, True, False], [False] * 3]
    left = only(made, made.labels >= 3)
    assert left.docs.tolist() == [[1, -1], [1, 2], [-1, -1]]
    assert left.queries is made.queries
