"""The development queries that belong to a split: the collection's own, or a seeded share or number of its queries."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.errors import InputError

DEV = "dev"
TRAIN = "train"

CUT = re.compile(r"(?P<split>.+)\[dev=(?P<share>[^,\[\]]+),seed=(?P<seed>\d+)\]")
PART = re.compile(r"dev\[(?P<share>[^,\[\]]+),seed=(?P<seed>\d+) of (?P<split>.+)\]")


def with_dev(
    collection: Collection, split: str, dev_fraction: float | None = None, seed: int = 0
) -> tuple[Collection, str, str | None]:
    """The development split that belongs to a split.

    That is the collection's own `dev`, and then no queries are taken from `split`; else, with `dev_fraction`, a seeded
    share of `split`. A train split never stands in for it: models may have been trained on it. Nor does the own `dev`
    choose for what was held out of a train split, where the report is about choosing.

    Args:
        collection: It has `split`.
        split: The split that is reported.
        dev_fraction: Share of the queries of `split` that become development queries, in (0, 1).
        seed: Same seed, same queries, in whatever order the file has them.

    Returns:
        The collection, with its parts as splits where `split` was cut; the name of the split to report; the name of
        the development split, None where there is none.

    Raises:
        InputError: The collection has no such split, the fraction is outside (0, 1), or it leaves one side empty.
    """
    collection.split(split)
    check_fraction(dev_fraction)
    held_out = collection.split(split).part_of == TRAIN
    if split != DEV and DEV in collection.splits and not (held_out and dev_fraction):
        return collection, split, DEV
    if dev_fraction is None:
        return collection, split, None
    return cut(collection, split, dev_fraction, seed)


def refuse_without_dev(collection: Collection, split: str, dev: str | None) -> str:
    """The name of the development split.

    Raises:
        InputError: There is none.
    """
    if dev is None:
        raise InputError(f"{collection.title} has no development queries for split '{split}'; give --dev-fraction .2")
    return dev


def cut(collection: Collection, split: str, dev_size: float | int, seed: int = 0) -> tuple[Collection, str, str]:
    """Cut a split in two by a random choice of its queries; of its clusters where it names them, none on both sides.

    >>> from mteb_cascade.corpora.corpus import Corpus, Queries
    >>> from mteb_cascade.values.qrels import Qrels
    >>> queries = Queries(tuple("abcde"), ("text",) * 5)
    >>> collection = Collection("five", Corpus.of(["d"], ["text"]), {"test": Split(queries, Qrels({}))})
    >>> cut(collection, "test", 0.2)
    (Collection(five: 1 documents; test[dev=.2,seed=0]: 4 queries, dev[.2,seed=0 of test]: 1 queries), \
'test[dev=.2,seed=0]', 'dev[.2,seed=0 of test]')
    >>> cut(collection, "test", 2)[1:]
    ('test[dev=2,seed=0]', 'dev[2,seed=0 of test]')

    Args:
        collection: It has `split`.
        split: The split that is cut.
        dev_size: Of the dev part: a share of the queries in (0, 1), or (an int) their number.
        seed: Same seed, same queries, in whatever order the file has them.

    Returns:
        The collection with the two parts instead of the split, the name of what remains, the name of the dev part.

    Raises:
        InputError: The size is neither, or one side would be empty.
    """
    counted = isinstance(dev_size, int)
    if not counted:
        check_fraction(dev_size)
    whole = collection.split(split)
    chosen = drawn(whole, dev_size, seed)
    share = str(dev_size) if counted else repr(float(dev_size)).removeprefix("0")
    if chosen.all() or not chosen.any():
        units = f"{len(set(whole.clusters))} clusters" if whole.clusters else f"{len(whole.queries)} queries"
        side = "nothing of" if chosen.all() else "no development query from"
        raise InputError(
            f"dev {'size' if counted else 'fraction'} {share} leaves {side} split '{split}' of {collection.title}, "
            f"which has {units}; choose another {'number' if counted else 'fraction'}"
        )
    kept, dev = f"{split}[dev={share},seed={seed}]", f"dev[{share},seed={seed} of {split}]"
    parts = {
        name: replace(whole.take(np.flatnonzero(rows)), part_of=whole.part_of or split)
        for name, rows in ((kept, ~chosen), (dev, chosen))
    }
    others = {name: part for name, part in collection.splits.items() if name != split}
    return replace(collection, splits={**others, **parts}), kept, dev


def drawn(split: Split, size: float | int, seed: int) -> NDArray[np.bool_]:
    """Which queries are drawn, bool [Q]: whole clusters in random order until their queries come closest to the size.

    Nothing depends on the order of the queries.
    """
    names, unit, sizes = np.unique(
        np.array(split.clusters or split.queries.ids, object), return_inverse=True, return_counts=True
    )
    order = np.random.default_rng(seed).permutation(len(names))
    reached = np.concatenate([[0], np.cumsum(sizes[order])])
    wanted = size if isinstance(size, int) else size * len(split.queries)
    taken = order[: int(np.argmin(np.abs(reached - wanted)))]
    return np.isin(unit, taken)


def check_fraction(fraction: float | None) -> None:
    """Raise InputError where a share of the queries is none."""
    if fraction is not None and not 0 < fraction < 1:
        raise InputError(f"dev fraction: expected a share of the queries between 0 and 1, such as .2, got {fraction:g}")


def parsed(name: str) -> tuple[str, float | int, int] | None:
    """Split, size and seed that the name of a part says; None for any other name.

    Parts have parts: what stands last was cut last.

    >>> parsed("test[dev=.2,seed=0]"), parsed("dev[5000,seed=3 of train]"), parsed("test")
    (('test', 0.2, 0), ('train', 5000, 3), None)
    >>> parsed("dev[9,seed=0 of train][dev=.5,seed=1]"), parsed("dev[.5,seed=1 of dev[9,seed=0 of train]]")
    (('dev[9,seed=0 of train]', 0.5, 1), ('dev[9,seed=0 of train]', 0.5, 1))
    """
    found = CUT.fullmatch(name) or PART.fullmatch(name)
    if found is None:
        return None
    try:
        size = found["share"]
        return found["split"], int(size) if size.isdecimal() else float(size), int(found["seed"])
    except ValueError:
        return None
