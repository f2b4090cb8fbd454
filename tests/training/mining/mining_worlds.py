"""Small collections for mining: planted answers, random worlds, and what a slow reference says of them."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.training.data.training_data import TrainingData
from mteb_cascade.training.lists import Lists
from mteb_cascade.training.options import Mining, Training
from mteb_cascade.values.run import PAD

VOCABULARY = ["red", "fox", "blue", "whale", "green", "tree", "old", "stone", "the", "of"]
WHAT = "models/mine.toml"


def lists_of(queries: list[str], texts: list[str], relevant: list[list[int]], groups: list[int] | None = None) -> Lists:
    width = max(map(len, relevant))
    docs = np.array([row + [PAD] * (width - len(row)) for row in relevant], np.int32)
    return Lists(
        Queries(tuple(f"q{row}" for row in range(len(queries))), tuple(queries)),
        Corpus.of([f"d{row}" for row in range(len(texts))], texts),
        docs,
        (docs != PAD).astype(np.float32),
        docs != PAD,
        None if groups is None else np.array(groups, np.int32),
    )


def data_of(lists: Lists, digest: str = "one") -> TrainingData:
    return TrainingData(lists, lists.corpus, None, "tiny", digest)


def options(negatives: int = 2, mining: Mining | None = None, **changes: object) -> Training:
    return Training(base="b", loss="contrastive", collection="tiny", negatives=negatives, mining=mining, **changes)


def write_run(path: str, scores: dict[tuple[int, int], float]) -> str:
    """A TREC run of {(query, document): score}."""
    rows = [f"q{query} Q0 d{doc} 0 {score!r} t\n" for (query, doc), score in scores.items()]
    Path(path).write_text("".join(rows))
    return path


@dataclass
class World:
    """A few short texts in which copies and near-copies are common, and what two systems say of them."""

    lists: Lists
    first: dict[tuple[int, int], float]
    judge: dict[tuple[int, int], float]

    @classmethod
    def drawn(cls, seed: int) -> World:
        rng = random.Random(seed)
        size, queries = rng.randint(8, 30), rng.randint(2, 6)
        texts = [" ".join(rng.choices(VOCABULARY, k=max(0, rng.randint(-1, 9)))) for _ in range(size)]
        for row in range(size):
            if rng.random() < 0.3:
                texts[row] = rng.choice([str.upper, str.lower])(rng.choice(texts))
        asked = [rng.choice(["red", "the fox", "old tree"]) for _ in range(queries)]
        relevant = [rng.sample(range(size), rng.randint(1, 3)) for _ in range(queries)]
        groups = [rng.randrange(size) for _ in range(size)] if rng.random() < 0.7 else None
        pairs = [(query, doc) for query in range(queries) for doc in range(size) if rng.random() < 0.8]
        everything = [(query, doc) for query in range(queries) for doc in range(size)]
        return cls(
            lists_of(asked, texts, relevant, groups),
            {pair: rng.uniform(-2, 2) for pair in pairs} or {(0, 0): 1.0},
            {pair: rng.uniform(-2, 2) for pair in everything},
        )


def slow_rule(lists: Lists, query: int, doc: int) -> str:
    """The first rule that speaks against a document, pair by pair."""
    texts = lists.corpus.texts.to_pylist()
    asked = lists.queries.texts
    same = [row for row in range(len(lists)) if asked[row] == asked[query]]
    answers = {int(one) for row in same for one in lists.docs[row][lists.relevant[row]]}
    if doc in answers:
        return "answer"
    if lists.groups is not None and lists.groups[doc] in {lists.groups[one] for one in answers}:
        return "group"
    if texts[doc] in {texts[one] for one in answers}:
        return "copy"
    if not texts[doc]:
        return "no text"
    own = set(re.findall(r"\w+", texts[doc].lower()))
    for one in answers:
        other = set(re.findall(r"\w+", texts[one].lower()))
        if len(own & other) >= 0.8 * len(own | other) > 0:
            return "near-duplicate"
    return ""


def slow_reasons(world: World, mining: Mining) -> dict[tuple[int, int], str]:
    """{(query, document): reason}, "" where it is believed."""
    found = {}
    for query in range(len(world.lists)):
        ranked = sorted(
            (doc for row, doc in world.first if row == query),
            key=lambda doc: (-world.first[query, doc], [-ord(letter) for letter in f"d{doc}"], doc),
        )[: mining.depth]
        passed = 0
        best = max(world.judge[query, int(one)] for one in world.lists.docs[query][world.lists.relevant[query]])
        limit = best - max(mining.margin or 0, (mining.relative_margin or 0) * abs(best))
        for doc in ranked:
            reason = slow_rule(world.lists, query, doc)
            if not reason and passed < mining.skip:
                passed, reason = passed + 1, "skipped"
            elif not reason and mining.judge and world.judge[query, doc] > limit:
                reason = "judge"
            found[query, doc] = reason
    return found


TEXTS = [
    "the red fox of the old stone tree",  # 0: the answer
    "the red fox of the old stone tree",  # 1: its copy
    "The red fox -- of the old, old stone tree!",  # 2: nearly its words
    "red foxes live under stones",  # 3: a planted answer, which nobody marked
    "a blue whale",  # 4
    "green stone",  # 5
    "old tree",  # 6: of the answer's group
]
PLANTED = lists_of(["where does the red fox live"], TEXTS, [[0]], [0, 1, 2, 3, 4, 5, 0])
FIRST = {(0, doc): 7.0 - doc for doc in (3, 0, 1, 2, 6, 5, 4)}
JUDGE = {(0, 3): 5.5, (0, 0): 6.0, (0, 4): -3.0, (0, 5): 1.0}


DISTINCT = [" ".join(VOCABULARY[at : at + 3]) for at in range(8)] + ["fox tree the", "stone red", "whale of green"]
QUERIES = ["red fox", "blue", "old tree", "the of"]
ANSWERED = lists_of(QUERIES, DISTINCT, [[0], [3], [5], [10]])
