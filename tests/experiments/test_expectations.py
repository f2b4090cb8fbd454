"""Verdicts on a result worked by hand: five queries, three depths."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from mteb_cascade.errors import InputError
from mteb_cascade.experiments.expectations import Expectation, Verdict


def line_of(shape: str, peak: int, first: float, best: float, last: float) -> dict[str, Any]:
    return {"shape": shape, "peak": peak, "peak_low": 1, "peak_high": 3, "first": first, "best": best, "last": last}


# Alone: .2 .4 .3; blended: .2 .3 .6. One query is broken at depth 3 alone, none blended.
RESULT: dict[str, Any] = {
    "depths": [1, 2, 3],
    "curves": {"success@1": {"alone": [0.2, 0.4, 0.3], "blended": [0.2, 0.3, 0.6], "first stage": 0.2}},
    "shape": {
        "success@1": {
            "alone": line_of("rises then falls", 2, 0.2, 0.4, 0.3),
            "blended": line_of("rises and stays", 3, 0.2, 0.6, 0.6),
        }
    },
    "outcomes": {
        "alone": {"broken": [0, 0, 1], "recovered": [0, 1, 2]},
        "blended": {"broken": [0, 0, 0], "recovered": [0, 1, 2]},
    },
    "as_good_as_best": {
        "success@1": {
            "alone": {"depth": 2, "best": 3, "says": "depth 2"},
            "blended": {"depth": None, "best": 3, "says": "undecided, too few queries"},
        }
    },
}


@pytest.mark.parametrize(
    ("text", "holds", "found"),
    [
        ("peak(success@1) < 50", True, 2),
        ("peak(success@1, blended) == 3", True, 3),
        ("peak(success@1,alone)>=3", False, 2),
        ("best(success@1) > .4", False, 0.4),
        ("best(success@1) >= .4", True, 0.4),
        ("first(success@1, blended) == 2e-1", True, 0.2),
        ("last(success@1) <= 0.3", True, 0.3),
        ("at(success@1, 2, blended) == .3", True, 0.3),
        ("at(success@1, 3) != .3", False, 0.3),
        ("gain(success@1) == .2", True, 0.2),
        ("gain(success@1, blended) > .4", False, 0.4),
        ("drop(success@1) >= .1", True, 0.1),
        ("drop(success@1, blended) == 0", True, 0.0),
        ("drop(success@1) > -1", True, 0.1),
        ('shape(success@1) == "rises then falls"', True, "rises then falls"),
        ("shape(success@1, blended) != 'falls'", True, "rises and stays"),
        ("shape(success@1) == flat", False, "rises then falls"),
        ("broken(3) > 0", True, 1),
        ("broken(3, blended) > 0", False, 0),
        ("recovered(2) == 1", True, 1),
        ("as_good(success@1) < 3", True, 2),
    ],
)
def test_a_verdict(text: str, holds: bool, found: float | str) -> None:
    assert Expectation.parse(text).verdict(RESULT) == Verdict(text, holds, found)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("as_good(success@1, blended) < 3", "undecided, too few queries"),
        ("broken(4) < 3", "depth 4 was not looked at"),
        ("at(success@1, 100) < 3", "depth 100 was not looked at"),
        ("best(mrr@10) < 3", "mrr@10 was not measured"),
    ],
)
def test_what_a_result_does_not_say_is_no_verdict(text: str, reason: str) -> None:
    verdict = Expectation.parse(text).verdict(RESULT)
    assert verdict == Verdict(text, None, reason)
    assert str(verdict) == f"cannot be told, {reason}"


def test_without_a_blend_there_is_no_blended_line() -> None:
    result = copy.deepcopy(RESULT)
    for part in (*result["curves"].values(), *result["shape"].values(), result["outcomes"]):
        del part["blended"]
    verdict = Expectation.parse("peak(success@1, blended) < 3").verdict(result)
    assert (verdict.holds, verdict.found) == (None, "there is no blended line")


def test_a_fixed_reordering_has_one_depth_and_gains_over_what_it_received() -> None:
    line = line_of("flat", 100, 0.5, 0.5, 0.5)
    result = {
        "depths": [100],
        "curves": {"mrr@10": {"alone": [0.5], "first stage": 0.2}},
        "shape": {"mrr@10": {"alone": line}},
        "outcomes": {"alone": {}},
    }
    assert Expectation.parse("gain(mrr@10) > .25").verdict(result) == Verdict("gain(mrr@10) > .25", True, 0.3)
    assert Expectation.parse("first(mrr@10) < .5").verdict(result).found == 0.2


def test_without_development_queries_nothing_is_as_good_as_the_best() -> None:
    result = {**RESULT, "as_good_as_best": None, "as_good_why_not": "data has no dev split"}
    verdict = Expectation.parse("as_good(success@1) < 3").verdict(result)
    assert (verdict.holds, verdict.found) == (None, "no depth was compared with the best: data has no dev split")


def test_a_verdict_says_what_was_found() -> None:
    assert str(Verdict("x", True, 2)) == "held, found 2"
    assert str(Verdict("x", False, "flat")) == "did not hold, found flat"
    assert Verdict("x", None, "why").as_json() == {"text": "x", "holds": None, "found": "why"}


def test_rounding_leaves_no_minus_zero() -> None:
    result = copy.deepcopy(RESULT)
    result["curves"]["success@1"]["first stage"] = 0.4 + 1e-9
    assert str(Expectation.parse("gain(success@1) >= 0").verdict(result)) == "held, found 0.0"


def test_what_has_to_be_measured_is_known_before() -> None:
    assert Expectation.parse("peak(ndcg@10) < 50").measure == "ndcg@10"
    assert Expectation.parse("at(ndcg@10, 30) < 50").depth == 30
    assert Expectation.parse("broken(30) < 50").measure is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected FUNCTION"),
        ("peak(success@1)", "expected FUNCTION"),
        ("peak(success@1) < ", "expected FUNCTION"),
        ("peak(success@1) = 5", "expected FUNCTION"),
        ("success@1 < 50", "expected FUNCTION"),
        ("peak(best(success@1)) < 50", "expected FUNCTION"),
        ("paek(success@1) < 50", "unknown function 'paek'.*Did you mean 'peak'?"),
        ("__import__(os) < 50", "unknown function '__import__'"),
        ("peak(sucess@1) < 50", "unknown measure 'sucess@1'.*Did you mean 'success'?"),
        ("peak(success) < 50", "unknown measure 'success'; expected a measure and its cut-off"),
        ("peak() < 50", r"expected peak\(measure\) or peak\(measure, blended\), got peak\(\)"),
        ("peak(success@1, alone, 3) < 50", r"expected peak\(measure\)"),
        ("at(success@1) < 50", r"expected at\(measure, depth\) or at\(measure, depth, blended\)"),
        ("at(success@1, ten) < 50", r"expected a depth of at least 1 in at\(...\), got 'ten'"),
        ("at(success@1, 0) < 50", "expected a depth of at least 1"),
        ("broken(success@1) < 50", "expected a depth of at least 1"),
        ("peak(success@1, blend) < 50", "unknown line 'blend'. Known: alone, blended. Did you mean 'blended'?"),
        ("peak(success@1) < fifty", "expected a number such as 50 or .31 at the end, got 'fifty'"),
        ("peak(success@1) < nan", "expected a number"),
        ("peak(success@1) < 5 0", "expected a number"),
        ("peak(success@1) < 1_0", "expected a number"),
        ("shape(success@1) == 5", "unknown shape '5'. Known: falls, flat, rises and stays, rises then falls"),
        ("shape(success@1) == rise and stays", "Did you mean 'rises and stays'?"),
        ("shape(success@1) < falls", "a shape is compared with == or !=, got <"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        Expectation.parse(text)
    assert str(raised.value).startswith(f"expectation {text!r}: ")
    assert "\n" not in str(raised.value)
