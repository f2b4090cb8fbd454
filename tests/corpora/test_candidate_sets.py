from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mteb_cascade.corpora.candidate_sets import KEY, Provenance
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.run_files import read, write
from mteb_cascade.errors import InputError
from mteb_cascade.values.run import Run

CORPUS = Corpus.of(["a", "b", "c"], ["red fox", "blue whale", "red whale"])
QUERIES = Queries(("q", "p", "empty"), ("red fox", "whale", "zebra"))
RUN = Run.ranked(
    QUERIES.ids,
    CORPUS,
    np.array([[0, 2], [1, 2], [-1, -1]], np.int32),
    np.array([[0.1, 3e-45], [1 / 3, 1 / 3], [0, 0]], np.float32),
)


@pytest.fixture
def made() -> Provenance:
    stage = {"name": "org/model", "fingerprint": "f" * 64, "kind": "bm25", "k1": 0.9}
    known = {"stage": stage, "depth": 2, "task": "Toy", "split": "test", "versions": {"numpy": "2"}}
    return Provenance.of(CORPUS, QUERIES, **known)


@pytest.fixture
def path(made: Provenance, tmp_path: Path) -> Path:
    write(RUN, tmp_path / "set.parquet", made=made)
    return tmp_path / "set.parquet"


def test_it_comes_back_bit_for_bit_and_says_where_it_is_from(path: Path, made: Provenance) -> None:
    again = read(path)
    assert again.made == made
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # these queries are the maker's: the one that found nothing is no surprise
        run = again.run(QUERIES, CORPUS)
    np.testing.assert_array_equal(run.docs, RUN.docs)
    np.testing.assert_array_equal(run.scores.view(np.int32), RUN.scores.view(np.int32))


def test_the_metadata_is_json_that_any_parquet_reader_finds(path: Path) -> None:
    said = json.loads(pq.read_schema(path).metadata[KEY])
    assert said["stage"]["k1"] == 0.9
    assert (said["corpus_digest"], said["documents"]) == (CORPUS.digest, 3)
    assert (said["queries_digest"], said["queries"]) == (QUERIES.digest, 3)
    assert pq.read_schema(path).names == ["query_id", "document_id", "score"]


def test_the_same_run_is_the_same_bytes(path: Path, made: Provenance, tmp_path: Path) -> None:
    write(RUN, tmp_path / "again.parquet", made=replace(made, stage=dict(reversed(made.stage.items()))))
    assert (tmp_path / "again.parquet").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "other",
    [
        Corpus.of(["a", "b", "c"], ["red fox", "blue whale", "red whales"]),
        Corpus.of(["b", "a", "c"], ["blue whale", "red fox", "red whale"]),
        Corpus.of(["a", "b"], ["red fox", "blue whale"]),
    ],
)
def test_another_corpus_is_refused(path: Path, other: Corpus) -> None:
    message = (
        f"set.parquet: was made for another corpus: Toy with 3 documents, digest {CORPUS.digest[:12]}; this one has "
        f"{len(other)}, digest {other.digest[:12]}. Use it on that corpus, or make candidates of this one: "
        "`mteb-cascade candidates org/model -t TASK -k 2 -o FILE.parquet`"
    )
    with pytest.raises(InputError) as refused:
        read(path).run(QUERIES, other)
    assert str(refused.value).endswith(message)
    assert "\n" not in str(refused.value)


def test_queries_beyond_the_set_are_counted_and_fewer_are_fine(path: Path) -> None:
    with pytest.warns(UserWarning, match=r"1 of 2 queries are not in it, such as 'new'; it was made for the 3 queries"):
        run = read(path).run(Queries(("q", "new"), ("red fox", "x")), CORPUS)
    assert run.lengths.tolist() == [2, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(path).run(QUERIES.rows([1]), CORPUS).ids(0) == RUN.ids(1)


def test_the_same_ids_with_other_texts_are_warned_of(made: Provenance, tmp_path: Path) -> None:
    two = QUERIES.rows([0, 1])
    write(RUN.rows(slice(2)), tmp_path / "set.parquet", made=replace(made, queries_digest=two.digest, queries=2))
    with pytest.warns(UserWarning, match=r"was made for other texts of them .* the 2 queries of Toy, test \(digest"):
        read(tmp_path / "set.parquet").run(Queries(two.ids, ("red fox", "another whale")), CORPUS)


@pytest.mark.parametrize("text", ["{", "[]", '{"stage": {}}', "3", '{"depth": "deep"}'])
def test_metadata_that_cannot_be_read_is_refused(path: Path, text: str) -> None:
    pq.write_table(pq.read_table(path).replace_schema_metadata({KEY: text.encode()}), path)
    with pytest.raises(InputError, match=r"set.parquet: its 'mteb_cascade.candidates' metadata cannot be read \("):
        read(path)


def test_what_a_later_version_adds_is_no_hindrance(path: Path, made: Provenance) -> None:
    said = {**json.loads(pq.read_schema(path).metadata[KEY]), "more": 1}
    pq.write_table(pq.read_table(path).replace_schema_metadata({KEY: json.dumps(said).encode()}), path)
    assert read(path).made == made
