"""Flips of the best candidate: by hand, and of a real model in both formats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted import in_place, one

from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.studies.doctor.checks import precision


def test_flips_by_hand():
    gone = -np.inf
    exact = np.float32([[3, 2, 1], [1, 2, 3], [5, 4, gone], [1, 1, 0]])
    rounded = np.float32([[2, 2, 1], [1, 3, 2], [4, 5, gone], [1, 1, 0]])
    # The first best candidate still stands at the top, shared or not, in rows 0 and 3.
    assert precision.flipped(exact, rounded).tolist() == [False, True, True, False]


@pytest.mark.parametrize("serves", ["float32", "bfloat16"])
def test_a_model_against_itself_in_the_other_format(serves, tiny_cross_encoder):
    stage = CrossEncoder(model=str(tiny_cross_encoder), dtype=serves, max_length=40)
    subject = in_place(stage)
    found = one(precision.check(subject))
    exact, rounded = (
        replace(stage, dtype=dtype).score(subject.queries, subject.candidates) for dtype in ("float32", "bfloat16")
    )
    first, second = (exact, rounded) if serves == "float32" else (rounded, exact)
    flips = int((np.take_along_axis(second, first.argmax(1)[:, None], 1)[:, 0] < second.max(1))[: precision.FEW].sum())
    assert found.figures == {"queries": precision.FEW, "flips": flips, "serves": serves}
    assert found.verdict != "fail"


def test_what_serves_by_openvino_is_named(tiny_cross_encoder):
    pytest.importorskip("nncf", reason="OpenVINO is missing: pip install -e '.[openvino]'")
    found = one(precision.check(in_place(CrossEncoder(model=str(tiny_cross_encoder), dtype="int8", max_length=40))))
    assert found.figures["serves"] == "int8"
    assert found.evidence.startswith("openvino int8 and float32 disagree on the best candidate of ")


@pytest.mark.parametrize(("turned", "verdict"), [(0, "ok"), (1, "note"), (2, "note"), (3, "fail")])
def test_a_stage_that_serves_in_bfloat16_fails_by_its_flips(turned, verdict, tiny_cross_encoder):
    """As if rounding had turned the scores of so many queries around; three of 16 are more than 5 % (p .04)."""
    subject = in_place(CrossEncoder(model=str(tiny_cross_encoder), dtype="bfloat16", max_length=40))
    exact = replace(subject.stage, dtype="float32").score(subject.queries, subject.candidates)
    vars(subject)["scores"] = np.where(np.arange(len(exact))[:, None] < turned, -exact, exact)
    found = one(precision.check(subject))
    assert (found.verdict, found.figures["flips"]) == (verdict, turned)


def test_stages_without_a_format_are_left_out():
    assert list(precision.check(in_place(BM25()))) == []
