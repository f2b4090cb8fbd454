"""PythonDocs: what is read, what is left out, and that no split knows another."""

import subprocess
import sys

import pytest

from mteb_cascade.corpora import pythondocs
from mteb_cascade.corpora.near_duplicates import near_duplicates, normalised
from mteb_cascade.corpora.pythondocs import Docstring, clusters, load, read_module

LONG = "one two three four five six seven eight nine ten eleven twelve"

SOURCE = b'''
"""A module."""
if True:
    class Box(Base):
        """A box that holds things."""
        async def open(self, lid=None, *, force: bool = False):
            """Open the box
            quite carefully.

            Raises if stuck.
            """
            def inner():
                """Not read."""
def bare(): pass
'''


@pytest.fixture(scope="module")
def collection():
    return load()


def relevant(collection, split):
    judged = collection.splits[split].qrels.grades
    return {document for grades in judged.values() for document in grades}


def test_a_module_is_read_without_its_inner_functions():
    found = list(read_module(SOURCE, "m"))
    assert [(one.name, one.signature) for one in found] == [
        ("m", ""),
        ("m.Box", "class Box(Base)"),
        ("m.Box.open", "open(self, lid=None, *, force: bool=False)"),
    ]
    assert found[2].paragraph == "Open the box quite carefully."
    assert found[2].rest == "Raises if stuck."


def test_source_that_does_not_parse_has_no_docstrings():
    assert list(read_module(b"def (", "m")) == []


@pytest.mark.parametrize(
    ("paragraph", "rest", "asks"),
    [
        ("Close the open file.", LONG, True),
        ("Close it now.", LONG, False),
        ("word " * 41, LONG, False),
        (">>> close the file", LONG, False),
        ("Close the open file.", "one two three", False),
        ("Close the open file.", f"{LONG} close the open FILE", False),
    ],
)
def test_what_is_a_query(paragraph, rest, asks):
    assert Docstring("m.f", "f()", paragraph.strip(), rest).is_query is asks


def test_same_query_and_nearly_the_same_text_are_one_cluster():
    docstrings = [
        Docstring("a", "", "Ask the first thing.", LONG),
        Docstring("b", "", "Ask another thing here.", LONG.replace("twelve", "twelve thirteen")),
        Docstring("c", "", "Ask another thing here!", "wholly different words stand in this text, " * 3),
        Docstring(
            "d", "", "Ask for nothing alike.", "other words than those above, none of them said before, here at last"
        ),
    ]
    assert clusters(docstrings) == {"a": "a", "b": "a", "c": "a", "d": "d"}


def test_near_duplicates_are_those_of_the_slow_reference(collection):
    rows = range(0, len(collection.corpus), 13)
    words = {str(row): frozenset(normalised(collection.corpus.texts_at([row])[0]).split()) for row in rows}
    names = list(words)
    slow = {
        frozenset((one, other))
        for at, one in enumerate(names)
        for other in names[:at]
        if len(words[one] & words[other]) >= 0.8 * len(words[one] | words[other])
    }
    assert slow
    found = near_duplicates(words.items(), words)
    assert {frozenset((one, other)) for one, other, _ in found if one != other} == slow


def test_no_two_splits_share_a_query_or_an_answer(collection):
    for one, other in [("train", "dev"), ("train", "test"), ("dev", "test")]:
        assert not relevant(collection, one) & relevant(collection, other)
        texts = [{normalised(text) for text in collection.splits[split].queries.texts} for split in (one, other)]
        assert not texts[0] & texts[1]


def test_every_query_has_an_answer_that_does_not_repeat_it(collection):
    for split in collection.splits.values():
        assert (split.qrels.relevant_counts(split.queries.ids) > 0).all()
        for query, text in zip(split.queries.ids, split.queries.texts, strict=True):
            (answer,) = collection.corpus.texts_at(collection.corpus.rows([query]))
            body = answer.partition("\n")[2]
            assert not pythondocs.contains(normalised(body), normalised(text))


def test_clusters_are_top_level_modules(collection):
    test = collection.split("test")
    assert test.clusters is not None
    assert all(query.split(".")[0] == module for query, module in zip(test.queries.ids, test.clusters, strict=True))


def test_half_of_the_queries_are_test_and_a_tenth_dev(collection):
    counts = {name: len(split.queries) for name, split in collection.splits.items()}
    total = sum(counts.values())
    assert 0.45 < counts["test"] / total < 0.55
    assert 0.07 < counts["dev"] / total < 0.13


def test_another_process_reads_the_same_collection(collection):
    code = "from mteb_cascade.corpora.pythondocs import load; print(load().revision)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == collection.revision
