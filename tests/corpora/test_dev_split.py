from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.dev_split import cut, parsed, refuse_without_dev, with_dev
from mteb_cascade.corpora.load import load
from mteb_cascade.errors import InputError
from mteb_cascade.values.qrels import Qrels

CORPUS = Corpus.of(["d"], ["text"])


def split_of(count: int, clusters: tuple[str, ...] | None = None, prefix: str = "q") -> Split:
    ids = tuple(f"{prefix}{row}" for row in range(count))
    return Split(Queries(ids, tuple(f"text {one}" for one in ids)), Qrels({one: {"d": 1} for one in ids}, 2), clusters)


def collection(**splits: Split) -> Collection:
    return Collection("mine", CORPUS, splits)


def test_its_own_dev_split_serves_and_the_split_stays_whole() -> None:
    given = collection(test=split_of(5), dev=split_of(3))
    for fraction in (None, 0.5):
        assert with_dev(given, "test", fraction) == (given, "test", "dev")


def test_a_train_split_never_serves() -> None:
    given = collection(test=split_of(5), train=split_of(50))
    assert with_dev(given, "test") == (given, "test", None)
    with pytest.raises(InputError, match=r"mine has no development queries for split 'test'; give --dev-fraction \.2"):
        refuse_without_dev(given, "test", None)


def test_dev_itself_has_no_dev_split_but_can_be_cut() -> None:
    given = collection(dev=split_of(10))
    assert with_dev(given, "dev")[2] is None
    made, kept, dev = with_dev(given, "dev", 0.3, seed=7)
    assert (kept, dev) == ("dev[dev=.3,seed=7]", "dev[.3,seed=7 of dev]")
    assert len(made.split(kept).queries) == 7


def test_a_share_of_the_queries_is_taken_out_of_the_split() -> None:
    given = collection(test=split_of(50), train=split_of(4, prefix="t"))
    made, kept, dev = with_dev(given, "test", 0.2)
    assert (kept, dev) == ("test[dev=.2,seed=0]", "dev[.2,seed=0 of test]")
    assert set(made.splits) == {"train", kept, dev}
    remaining, chosen = made.split(kept), made.split(dev)
    assert (len(remaining.queries), len(chosen.queries)) == (40, 10)
    assert sorted([*remaining.queries.ids, *chosen.queries.ids]) == sorted(given.split("test").queries.ids)
    for part in (remaining, chosen):
        assert set(part.qrels.grades) == set(part.queries.ids)
        assert part.qrels.relevance_level == 2
        assert all(text == f"text {one}" for one, text in zip(part.queries.ids, part.queries.texts, strict=True))
    # What models and run files know is the whole split.
    assert made.context(kept)["hf_split"] == made.context(dev)["hf_split"] == "test"
    assert made.context("train")["hf_split"] == "train"
    assert remaining.judged().part_of == "test"


def test_the_seed_alone_decides_not_the_order_of_the_file() -> None:
    whole = split_of(40)
    shuffled = whole.take(np.random.default_rng(5).permutation(40))

    def drawn(split: Split, seed: int) -> set[str]:
        made, _, dev = cut(collection(test=split), "test", 0.25, seed)
        return set(made.split(dev).queries.ids)

    assert drawn(whole, 0) == drawn(shuffled, 0)
    assert drawn(whole, 0) != drawn(whole, 1)


def test_no_cluster_is_on_both_sides() -> None:
    clusters = tuple(f"module {row % 8}" for row in range(80))
    made, kept, dev = cut(collection(test=split_of(80, clusters)), "test", 0.3)
    remaining, chosen = made.split(kept), made.split(dev)
    assert not set(remaining.clusters or ()) & set(chosen.clusters or ())
    # 10 queries a cluster: two clusters are closer to 24 queries than three.
    assert (len(set(chosen.clusters or ())), len(chosen.queries)) == (2, 20)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2, 1.5, float("nan")])
def test_a_share_that_is_none(fraction: float) -> None:
    with pytest.raises(InputError, match="dev fraction: expected a share of the queries between 0 and 1"):
        with_dev(collection(test=split_of(10), dev=split_of(3)), "test", fraction)


@pytest.mark.parametrize(
    ("split", "fraction", "part"),
    [
        (split_of(3), 0.1, r"\.1 leaves no development query from split 'test' of mine, which has 3 queries"),
        (split_of(3), 0.9, r"\.9 leaves nothing of split 'test' of mine"),
        (split_of(9, ("one",) * 9), 0.4, "which has 1 clusters"),
    ],
)
def test_an_empty_side(split: Split, fraction: float, part: str) -> None:
    with pytest.raises(InputError, match=part):
        with_dev(collection(test=split), "test", fraction)


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(InputError, match="no split 'tset'"):
        with_dev(collection(test=split_of(3)), "tset", 0.5)


def test_a_number_of_queries_is_taken_out_of_the_split() -> None:
    whole = split_of(40)
    shuffled = whole.take(np.random.default_rng(5).permutation(40))
    drawn = []
    for part in (whole, shuffled):
        made, kept, dev = cut(collection(train=part), "train", 7, seed=3)
        assert (kept, dev) == ("train[dev=7,seed=3]", "dev[7,seed=3 of train]")
        assert (len(made.split(kept).queries), len(made.split(dev).queries)) == (33, 7)
        drawn.append(set(made.split(dev).queries.ids))
    assert drawn[0] == drawn[1]
    for name in ("train[dev=7,seed=3]", "dev[7,seed=3 of train]"):
        read = parsed(name)
        assert read == ("train", 7, 3)
        assert isinstance(read[1], int)


@pytest.mark.parametrize("count", [0, 40, 41, 100])
def test_a_number_that_empties_a_side(count: int) -> None:
    with pytest.raises(InputError, match=rf"dev size {count} leaves .*'train' of mine, which has 40 queries; choose"):
        cut(collection(train=split_of(40)), "train", count)


@pytest.mark.parametrize(("split", "fraction", "seed"), [("test", 0.2, 0), ("dev", 0.125, 12), ("a b", 1e-05, 3)])
def test_names_say_how_to_cut_again(split: str, fraction: float, seed: int) -> None:
    share = repr(fraction).removeprefix("0")
    for name in (f"{split}[dev={share},seed={seed}]", f"dev[{share},seed={seed} of {split}]"):
        assert parsed(name) == (split, fraction, seed)
    for name in ("test", "test[0]", "dev", "test[dev=x,seed=0]"):
        assert parsed(name) is None


def test_a_part_is_loaded_by_its_name(tmp_path: Path) -> None:
    lines = [json.dumps({"_id": f"q{row}", "text": f"question {row}"}) for row in range(10)]
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d1", "text": "red fox"}\n')
    (tmp_path / "queries.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "qrels").mkdir()
    rows = "".join(f"q{row}\td1\t1\n" for row in range(10))
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + rows)
    made, kept, dev = with_dev(load(tmp_path), "test", 0.2)
    for name in (kept, dev):
        loaded = load(tmp_path, name).split(name)
        assert loaded.queries.ids == made.split(name).queries.ids
    nested, last, first = with_dev(made, dev, 0.5, seed=1)
    assert (last, first) == ("dev[.2,seed=0 of test][dev=.5,seed=1]", "dev[.5,seed=1 of dev[.2,seed=0 of test]]")
    for name in (last, first):
        part = load(tmp_path, name).split(name)
        assert part.queries.ids == nested.split(name).queries.ids
        assert part.part_of == "test"
    with pytest.raises(InputError, match="has no split"):
        load(tmp_path, "tset[dev=.2,seed=0]")


def test_of_queries_held_out_of_train_a_share_chooses_though_there_is_a_dev_split() -> None:
    made, _, held_out = cut(collection(train=split_of(40), dev=split_of(8)), "train", 10)
    assert with_dev(made, held_out, 0.5)[1:] == (f"{held_out}[dev=.5,seed=0]", f"dev[.5,seed=0 of {held_out}]")
    assert with_dev(made, held_out)[2] == "dev"
