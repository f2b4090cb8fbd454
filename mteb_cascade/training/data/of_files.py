"""Training data from a file: triplets (TSV, JSONL), scored lists (JSONL), or the score store's export (Parquet)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mteb_cascade.corpora.collection import Split
from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.corpora.dev_split import drawn
from mteb_cascade.errors import InputError
from mteb_cascade.training.data.score_files import read_scores
from mteb_cascade.training.data.source import Source
from mteb_cascade.training.data.triplet_files import read_json_lines, read_tabbed
from mteb_cascade.training.lists import Lists
from mteb_cascade.training.options import Training
from mteb_cascade.values.qrels import Qrels

READERS: dict[str, Callable[[Path], Lists]] = {
    ".tsv": read_tabbed,
    ".jsonl": read_json_lines,
    ".parquet": read_scores,
}
"""By ending; the first two also packed, with .gz behind."""


def from_file(path: Path, options: Training) -> Source:
    """The lists of a file; its documents are one corpus, equal texts one document.

    Raises:
        InputError: The file is missing, empty, of another kind, or has a mistake, which is named with its line; or too
            few queries for so many held out.
    """
    path = path.expanduser()
    ending = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if ending not in READERS or (ending == ".parquet" and path.suffix == ".gz"):
        raise InputError(
            f"{path}: its ending tells how it is read; expected .tsv (query, positive, negative), .jsonl (query, pos, "
            "neg, perhaps pos_scores and neg_scores) or .parquet (an export of scores)"
        )
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; [training] data is a path from the working folder")
    lists, held_out = READERS[ending](path), None
    name = f"dev[{options.held_out},seed=0]"
    if options.held_out:
        # The same ones whatever the seed, as of a collection.
        lists, held_out = taken_out(lists, options.held_out, 0, path)
    notes = [f"{path.name}: names no test queries: repeats of those are not found"]
    others = {} if held_out is None else {name: held_out}
    return Source(lists, lists.corpus, held_out, name, others, path.name, notes)


def taken_out(lists: Lists, count: int, seed: int, path: Path) -> tuple[Lists, Split]:
    """Training queries, and as many held-out ones, drawn by the seed in whatever order the file has them.

    Raises:
        InputError: The file does not say what is relevant, or has no more queries than that.
    """
    if not lists.relevant.any():
        raise InputError(
            f"{path}: does not say which documents are relevant, so no query can be held out; held_out = 0"
        )
    if count >= len(lists):
        raise InputError(f"held_out: {count:,} of the {len(lists):,} queries of {path} leave none to train on")
    texts = lists.queries.texts
    chosen = drawn(Split(Queries(texts, texts), Qrels({})), count, seed)
    part = lists.rows(np.flatnonzero(chosen))
    answers = part.relevant & part.real
    ids = iter(part.corpus.ids_at(part.docs[answers]))
    counts = answers.sum(1).tolist()
    grades = {
        query: {next(ids): 1 for _ in range(answered)} for query, answered in zip(part.queries.ids, counts, strict=True)
    }
    return lists.rows(np.flatnonzero(~chosen)), Split(part.queries, Qrels(grades))
