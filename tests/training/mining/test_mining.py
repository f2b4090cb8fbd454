"""Hard negatives: every rule against a slow reference, what is drawn, and what is refused."""

from __future__ import annotations

import math
import random
import re
from dataclasses import replace

import numpy as np
import pytest
from mining_worlds import (
    FIRST,
    JUDGE,
    PLANTED,
    VOCABULARY,
    WHAT,
    World,
    data_of,
    lists_of,
    options,
    slow_reasons,
    slow_rule,
    write_run,
)

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.training.mining import stage_scores
from mteb_cascade.training.mining.answers import Answers
from mteb_cascade.training.mining.candidates import BELIEVED, NONE, REASONS, judged, retrieved, ruled
from mteb_cascade.training.mining.mined import Mined, mined
from mteb_cascade.training.mining.near_copies import NearCopies
from mteb_cascade.training.mining.stage_scores import stage_of
from mteb_cascade.training.mining.text import lines
from mteb_cascade.training.options import Mining
from mteb_cascade.values.run import PAD


def reasons_of(made: Mined) -> dict[str, int]:
    return made.report["dropped"]


@pytest.mark.parametrize("seed", range(25))
def test_the_rules_are_those_of_a_slow_reference(seed, monkeypatch):
    monkeypatch.setattr(stage_scores, "AT_ONCE", 7)  # Many blocks.
    world, rng = World.drawn(seed), random.Random(seed)
    judge = write_run("judge.trec", world.judge) if rng.random() < 0.6 else None
    mining = Mining(
        first=[write_run("first.trec", world.first)],
        depth=rng.randint(1, 25),
        skip=rng.choice([0, 1, 3]),
        judge=judge,
        margin=rng.choice([None, 0.3]) if judge else None,
        relative_margin=rng.choice([None, 0.2]) if judge else None,
    )
    lists = world.lists
    run = retrieved(stage_of("first.trec", WHAT), lists, mining.depth, lambda *_: None)
    found = ruled(run, np.zeros(run.docs.shape, np.int8), Answers(lists), mining.skip, lambda *_: None)
    if judge:
        found = judged(found, lists, stage_of(judge, WHAT), mining, WHAT, lambda *_: None)
    names = {**dict(enumerate(REASONS)), BELIEVED: ""}
    cells = zip(*np.nonzero(found.reasons != NONE), strict=True)
    seen = {(int(row), int(run.docs[row, at])): names[int(found.reasons[row, at])] for row, at in cells}
    assert seen == slow_reasons(world, mining)


@pytest.mark.parametrize("seed", range(12))
def test_negatives_are_believed_distinct_and_as_many_as_asked(seed):
    world, rng = World.drawn(100 + seed), random.Random(seed)
    mining = Mining(
        first=[write_run("first.trec", world.first)],
        depth=20,
        random=rng.choice([0.0, 0.25, 0.5]),
        sampling=rng.choice(["top", "random"]),
    )
    count = rng.randint(1, 4)
    lists = world.lists
    try:
        made = mined(data_of(lists), options(count, mining, seed=seed), WHAT)
    except InputError as error:
        assert "the corpus of" in str(error)
        return
    believed = slow_reasons(world, mining)
    hard = count - round(mining.random * count)
    for row in range(len(lists)):
        taken = made.lists.docs[row][made.lists.real[row]]
        answers = lists.docs[row][lists.real[row]]
        assert taken[: len(answers)].tolist() == answers.tolist()
        negatives = taken[len(answers) :].tolist()
        assert len(negatives) == len(set(negatives)) == count
        assert not made.lists.relevant[row, len(answers) :].any()
        assert not made.lists.labels[row, len(answers) :].any()
        ranked = [doc for (query, doc), reason in believed.items() if query == row and not reason]
        from_first = negatives[: min(hard, len(ranked))]
        assert [doc for doc in ranked if doc in from_first] == from_first, "by rank"
        if mining.sampling == "top":
            assert from_first == ranked[:hard]
        assert {slow_rule(lists, row, doc) for doc in negatives} <= {"", "near-duplicate"}
        assert {slow_rule(lists, row, doc) for doc in from_first} <= {""}
        assert not {doc for (query, doc), reason in believed.items() if query == row and reason} & set(negatives)
    counts = made.report["negatives"]
    assert sum(counts.values()) == count * len(lists)
    assert counts["drawn"] == (count - hard) * len(lists)


def test_every_reason_is_met_by_the_worlds():
    met = {
        reason for seed in range(25) for reason in slow_reasons(World.drawn(seed), Mining(skip=1, judge="j")).values()
    }
    assert met == {*REASONS, ""}


def negatives_of(made: Mined) -> list[int]:
    return made.lists.docs[made.lists.negative].tolist()


def test_a_planted_answer_is_a_raw_negative_and_no_judged_one():
    first, judge = write_run("first.trec", FIRST), write_run("judge.trec", JUDGE)
    raw = mined(data_of(PLANTED), options(3, Mining(first=[first], sampling="top")), WHAT)
    assert negatives_of(raw) == [3, 4, 5]
    assert reasons_of(raw) == {
        "answer": 1,
        "group": 1,
        "copy": 1,
        "no text": 0,
        "near-duplicate": 1,
        "skipped": 0,
        "judge": 0,
    }
    assert raw.report["raw"]
    assert any(line.startswith("Raw negatives") for line in lines(raw.report))
    careful = Mining(first=[first], judge=judge, margin=1.0, sampling="top")
    made = mined(data_of(PLANTED), options(2, careful), WHAT)
    assert negatives_of(made) == [4, 5]
    assert reasons_of(made)["judge"] == 1
    skipping = mined(data_of(PLANTED), options(2, Mining(first=[first], skip=1, sampling="top")), WHAT)
    assert negatives_of(skipping) == [4, 5]
    assert not made.report["raw"]
    assert not skipping.report["raw"]


def test_a_margin_without_a_judge_asks_the_first_stage_itself():
    first = write_run("first.trec", {**FIRST, (0, 0): 6.5, (0, 3): 6.0})
    made = mined(data_of(PLANTED), options(2, Mining(first=[first], margin=1.0, sampling="top")), WHAT)
    assert negatives_of(made) == [4, 5]
    assert made.report["judge"]["name"] == "first"


def test_the_relative_margin_of_a_negative_score_is_below_it():
    first = write_run("first.trec", FIRST)
    judge = write_run("judge.trec", {(0, 0): -2.0, (0, 3): -2.15, (0, 4): -2.25, (0, 5): -1.0})
    options_of = Mining(first=[first], judge=judge, relative_margin=0.1, sampling="top")
    assert reasons_of(mined(data_of(PLANTED), options(1, options_of), WHAT))["judge"] == 2
    assert negatives_of(mined(data_of(PLANTED), options(1, options_of), WHAT)) == [4]


def test_several_first_stages_give_their_candidates_in_turn():
    lists = lists_of(["red", "fox"], [f"text number{doc} {doc}" for doc in range(8)], [[7], [7]])
    one = write_run("one.trec", {(0, 1): 9.0, (0, 2): 8.0, (0, 3): 7.0, (1, 6): 1.0})
    two = write_run("two.trec", {(0, 2): 3.0, (0, 4): 2.0, (1, 5): 2.0, (1, 6): 1.0, (1, 1): 0.5})
    made = mined(data_of(lists), options(4, Mining(first=[one, two], depth=3, sampling="top")), WHAT)
    assert made.lists.docs[0].tolist() == [7, 1, 2, 4, 3]
    # The second query's list is short by one, which is drawn.
    assert made.lists.docs[1, :4].tolist() == [7, 6, 5, 1]
    assert made.report["negatives"] == {"mined": 7, "given": 0, "drawn": 0, "filled up": 1}
    assert made.report["queries_filled_up"] == 1
    assert [sum(one["believed"]) for one in made.report["histograms"]] == [3, 4]


def test_the_same_seed_draws_the_same_and_another_another():
    world = World.drawn(3)
    first = write_run("first.trec", world.first)
    mining = Mining(first=[first], depth=30, queries=2, random=0.5)
    made = [mined(data_of(world.lists, digest), options(2, mining), WHAT) for digest in ("one", "two")]
    assert made[0].folder != made[1].folder
    assert made[0].lists.queries.ids == made[1].lists.queries.ids
    assert len(made[0].lists) == 2
    assert made[0].lists.docs.tolist() == made[1].lists.docs.tolist()
    others = [mined(data_of(world.lists), options(2, mining, seed=seed), WHAT) for seed in range(1, 6)]
    drawn = {(one.lists.queries.ids, tuple(one.lists.docs.ravel().tolist())) for one in [made[0], *others]}
    assert len(drawn) > 2


def test_random_negatives_are_spread_over_the_corpus():
    lists = lists_of(["red"] * 300, [f"text {doc}" for doc in range(20)], [[doc % 20] for doc in range(300)])
    apart = replace(lists, queries=Queries(lists.queries.ids, tuple(f"ask {row}" for row in range(300))))
    made = mined(data_of(apart), options(4), WHAT)
    counts = np.bincount(made.lists.docs[:, 1:].ravel(), minlength=20)
    assert made.folder is None
    assert counts.sum() == 1200
    # 60 each are expected; six deviations to either side.
    assert counts.min() > 60 - 6 * math.sqrt(60)
    assert counts.max() < 60 + 6 * math.sqrt(60)
    assert not (made.lists.docs[:, 1:] == made.lists.docs[:, :1]).any()
    assert all(len(set(row)) == 5 for row in made.lists.docs.tolist())


def test_given_negatives_stay_and_are_filled_up():
    lists = lists_of(["red", "blue"], [f"text {doc}" for doc in range(6)], [[0, 1, 2], [3, 4]])
    relevant = np.array([[True, False, False], [True, False, False]])
    lists = replace(lists, relevant=relevant, labels=relevant.astype(np.float32))
    kept = mined(data_of(lists), options(1), WHAT)
    assert kept.lists is lists
    made = mined(data_of(lists), options(2), WHAT)
    assert made.lists.docs[0].tolist() == [0, 1, 2]
    assert made.lists.docs[1, :2].tolist() == [3, 4]
    assert made.lists.docs[1, 2] not in (3, 4, PAD)
    assert made.report["negatives"] == {"mined": 0, "given": 3, "drawn": 1, "filled up": 0}
    assert mined(data_of(lists), options(0), WHAT).lists is lists
    scored = replace(lists, scored=True)
    assert mined(data_of(scored), options(5), WHAT).lists is scored
    first = write_run("first.trec", {(0, 5): 1.0, (1, 5): 1.0})
    mixed = mined(data_of(lists), options(3, Mining(first=[first])), WHAT)
    assert mixed.lists.docs[0].tolist() == [0, 5, 1, 2]
    assert mixed.lists.docs[1, :3].tolist() == [3, 5, 4]
    assert mixed.report["negatives"] == {"mined": 2, "given": 3, "drawn": 0, "filled up": 1}


def test_near_copies_are_those_of_all_pairs():
    rng = random.Random(0)
    texts = [" ".join(rng.choices(VOCABULARY, k=rng.randint(0, 12))) for _ in range(40)]
    texts += [f"{text} {text[:9]} {rng.choice(VOCABULARY)}" for text in texts[:20]] + ["Élan vital", "élan, vital"]
    near = NearCopies(Corpus.of(map(str, range(62)), texts))
    left, right = (one.ravel() for one in np.meshgrid(np.arange(62), np.arange(62)))
    sets = [set(re.findall(r"\w+", text.lower())) for text in texts]
    slow = [
        bool(sets[a] | sets[b]) and len(sets[a] & sets[b]) / len(sets[a] | sets[b]) >= 0.8
        for a, b in zip(left, right, strict=True)
    ]
    assert near(left, right).tolist() == slow
    assert sum(slow) > 80


MISTAKES: dict[str, tuple[dict, dict, str]] = {
    "no stage": ({}, {"first": []}, r"\[training.mining\] first: expected at least one stage"),
    "unknown": ({}, {"first": ["nobody"]}, r"\[training.mining\] first: unknown model 'nobody'"),
    "unknown judge": ({}, {"judge": "nobody"}, r"\[training.mining\] judge: unknown model 'nobody'"),
    "no file": ({}, {"first": ["runs/x.trec"]}, r"first: x: there is no run file runs/x.trec"),
    "depth": ({}, {"depth": 0}, r"depth: expected at least 1, got 0"),
    "skip": ({}, {"skip": -1}, r"skip: expected at least 0, got -1"),
    "all skipped": ({}, {"skip": 100}, r"skip: expected less than the 100 candidates"),
    "share": ({}, {"random": 1.5}, r"random: expected a share from 0 to 1, got 1.5"),
    "no number": ({}, {"random": math.nan}, r"random: expected a share from 0 to 1, got nan"),
    "margin": ({}, {"judge": "j.trec", "margin": -1.0}, r"margin: expected at least 0, got -1"),
    "queries": ({}, {"queries": 0}, r"queries: expected at least 1, got 0"),
    "none wanted": ({"negatives": 0}, {}, r"\[training\] negatives: expected at least 1 with \[training.mining\]"),
    "too many": (
        {"negatives": 9},
        {},
        r"negatives: expected at most 3, got 9; the corpus of 7 documents has no more that may",
    ),
    "other ids": ({}, {"first": ["other.trec"]}, r"first: other found nothing for any of the 1 training queries"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line(case):
    changes, mining, message = MISTAKES[case]
    write_run("first.trec", FIRST)
    write_run("j.trec", JUDGE)
    write_run("other.trec", {(9, 0): 1.0})
    given = options(**{"negatives": 1, **changes}, mining=Mining(**{"first": ["first.trec"], **mining}))
    with pytest.raises(InputError, match=message) as error:
        mined(data_of(PLANTED), given, WHAT)
    assert str(error.value).startswith(f"{WHAT}: ")
    assert "\n" not in str(error.value)


def test_scored_lists_are_not_mined_without_a_teacher():
    write_run("first.trec", FIRST)
    scored = data_of(replace(PLANTED, scored=True))
    with pytest.raises(InputError, match="the data's lists have scores, and mined negatives would have none"):
        mined(scored, options(1, Mining(first=["first.trec"])), WHAT)
    made = mined(scored, options(1, Mining(first=["first.trec"]), teacher="t"), WHAT)
    assert not made.lists.scored
