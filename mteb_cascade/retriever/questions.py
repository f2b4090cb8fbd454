"""What an index is measured with: queries, and what is known of their answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mteb_cascade.corpora.collection import Collection
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.load import load
from mteb_cascade.errors import InputError
from mteb_cascade.retriever.queries import read
from mteb_cascade.spec import shown
from mteb_cascade.values.measures import Measure, evaluate, highest_recall_at_1, mean
from mteb_cascade.values.run import Run

MEASURES = ("recall@1", "success@1", "recall@10", "mrr@10", "ndcg@10")


@dataclass(frozen=True)
class Questions:
    """Queries, and the collection and split that they are of, cut to them; None where they are of a file.

    Args:
        queries: Q queries.
        title: What they are called.
        total: Queries that there were before the cut.
        collection: Where their judgements are.
        split: Of the collection.
    """

    queries: Queries
    title: str
    total: int
    collection: Collection | None = None
    split: str = ""

    @property
    def ignores_identical_ids(self) -> bool:
        """Whether a document with the query's own id is no answer."""
        return self.collection is not None and self.collection.ignore_identical_ids

    def absent_from(self, corpus: Corpus) -> int:
        """How many of the relevant documents an index does not hold.

        Raises:
            InputError: It holds none of them.
        """
        relevant = relevant_documents(self)
        absent = int((corpus.rows(relevant) < 0).sum()) if relevant else 0
        if relevant and absent == len(relevant):
            raise InputError(
                f"none of the {absent:,} relevant documents of {self.title} is in the index, such as "
                f"'{relevant[0]}'; name the task that the index was made from"
            )
        return absent

    def quality(self, run: Run, k: int) -> dict[str, Any] | None:
        """Measures of the answers; None where nothing is known of the right ones.

        Args:
            run: Of all queries, in their order; rows of the index.
            k: Documents asked for; a measure that looks at more is left out.
        """
        if self.collection is None:
            return None
        qrels = self.collection.split(self.split).qrels
        if self.ignores_identical_ids:
            run = run.without_identical_ids()
        names = [name for name in MEASURES if Measure.parse(name).cutoff <= k]
        found = evaluate(run.cut(k), qrels, names)
        return {
            "scores": {name: float(mean(values)) for name, values in found.items()},
            "highest_recall@1": highest_recall_at_1(qrels, run.query_ids),
            "relevance_level": qrels.relevance_level,
            "relevant": len(relevant_documents(self)),
            "absent": self.absent_from(run.corpus),
            "without_relevant": int((qrels.relevant_counts(run.query_ids) == 0).sum()),
        }


def questions(
    file: Path | None, task: str | Path | None, split: str | None, limit: int, relevance_level: int | None = None
) -> Questions:
    """The first queries of a file, or of a split of a task.

    Raises:
        InputError: Both are given, or neither; there is no such file, task or split; or the task brings candidates.
    """
    if (file is None) == (task is None):
        raise InputError("expected queries: either a file (--queries) or a task (--task), and not both")
    if limit < 1:
        raise InputError(f"limit: expected at least 1 query, got {limit}")
    if file is not None:
        queries = read(file)
        return Questions(queries.first(limit), shown(file), len(queries))
    collection = load(str(task), split, relevance_level=relevance_level)
    split = split or collection.default_split
    whole = collection.split(split)
    if whole.candidates is not None:
        raise InputError(f"{collection.title} is a reranking task: it brings its candidates, and searches no index")
    part = whole.take(np.arange(min(limit, len(whole.queries))))
    cut = replace(collection, splits={**collection.splits, split: part})
    return Questions(part.queries, f"{collection.title} {split}", len(whole.queries), cut, split)


def relevant_documents(asked: Questions) -> list[str]:
    """Ids of all documents that are relevant to any of the queries."""
    if asked.collection is None:
        return []
    qrels = asked.collection.split(asked.split).qrels
    grades = (qrels.of(query) for query in asked.queries.ids)
    return list(dict.fromkeys(name for of in grades for name, grade in of.items() if grade >= qrels.relevance_level))


def run_of(queries: Queries, corpus: Corpus, answers: list[list[str]]) -> Run:
    """Lists of document ids, best first, as a run whose scores fall from rank to rank."""
    docs = corpus.rows_of_lists(answers)
    ranks = np.broadcast_to(-np.arange(docs.shape[1], dtype=np.float32), docs.shape)
    return Run(queries.ids, corpus, docs, np.where(docs < 0, -np.inf, ranks).astype(np.float32))
