"""A candidate set: what a stage retrieves for every query of a split, as a file that says what it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mteb_cascade.corpora import run_files
from mteb_cascade.corpora.candidate_sets import Provenance
from mteb_cascade.corpora.load import load as load_collection
from mteb_cascade.errors import InputError
from mteb_cascade.spec import shown
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.load import load
from mteb_cascade.stages.provenance import versions
from mteb_cascade.values.measures import evaluate, mean
from mteb_cascade.values.run import Run


@dataclass(frozen=True)
class CandidateSet:
    """What was written.

    Args:
        path: The file.
        run: Q queries, at most k candidates each, as the stage retrieved them.
        made: What the file says of itself.
        pool_recall: Mean share of a query's relevant documents among its candidates.
    """

    path: Path
    run: Run
    made: Provenance
    pool_recall: float

    @property
    def summary(self) -> str:
        """One line on what was written."""
        rows = int(self.run.lengths.sum())
        return (
            f"{shown(self.path)}: {rows:,} candidates of {len(self.run.query_ids):,} queries, pool recall@"
            f"{self.made.depth} {self.pool_recall:.3f}"
        )


def write_candidates(
    name: str | Stage,
    task: str | Path,
    output: Path,
    *,
    k: int = 1000,
    split: str | None = None,
    subset: str | None = None,
    relevance_level: int | None = None,
    allow_empty: bool = False,
    say: Callable[[str], object] = lambda text: None,
) -> CandidateSet:
    """Retrieve k candidates for every query of a split and write them with where they come from.

    The file is the same, byte for byte, whenever the same stage retrieves from the same corpus with the same libraries.

    Args:
        name: A model by name, folder or hub id, or a stage.
        task: PythonDocs, a BEIR folder, or a task of mteb.
        output: The `.parquet` file.
        k: Candidates of each query.
        split: Split of the queries; the collection's default split where none is named.
        subset: Subset of a task that has several.
        relevance_level: A grade of at least this is relevant, for the pool recall.
        allow_empty: Accept documents without text.
        say: Told what is going on.

    Raises:
        InputError: Before any work is done: the file cannot be written or is no `.parquet`, the task or the split is
            unknown, or the stage's weights are missing.
    """
    refuse_unwritable(output)
    stage = load(name)
    stage.fetch_missing()
    collection = load_collection(task, split, subset=subset, relevance_level=relevance_level, allow_empty=allow_empty)
    split = split or collection.default_split
    part, context = collection.split(split), collection.context(split)
    if part.candidates is not None:
        raise InputError(f"{collection.title} is a reranking task: it brings the candidates of its queries itself")
    say(f"{stage.label}: {k:,} of {len(collection.corpus):,} documents for each of {len(part.queries):,} queries")
    stage.index(collection.corpus, **context)
    run = stage.retrieved(part.queries.within(**context), k)
    made = Provenance.of(
        collection.corpus,
        part.queries,
        stage=stage.identified(),
        depth=k,
        task=context["task"],
        split=split,
        subset=collection.subset,
        versions=versions(stage),
    )
    run_files.write(run, output, made=made)
    measure = f"recall@{k}"
    judged = run.without_identical_ids() if collection.ignore_identical_ids else run
    return CandidateSet(output, run, made, float(mean(evaluate(judged, part.qrels, [measure])[measure])))


def refuse_unwritable(output: Path) -> None:
    """Raise InputError where a candidate set could not be written, before an hour of retrieval finds out."""
    if output.suffix != ".parquet":
        raise InputError(
            f"{output}: a candidate set is a .parquet file: no other form keeps the digests of what it was made of. "
            f"Write -o {output.with_suffix('.parquet').name}"
        )
    if output.is_dir():
        raise InputError(f"{output}: is a folder; expected the name of a file to write")
    above = next(folder for folder in output.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise InputError(f"{output}: cannot be written, for {shown(above)} is no folder that you may write to")
