"""A latency budget as a number of pairs: measured once, so that what is served never depends on the clock.

The spec of a cascade says `budget_ms`. `calibrating` finds how many candidates the last step may score within it; this
number, the cap, is kept in the index, and every search takes it. The candidates beyond keep their order.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from mteb_cascade.engine.latency import machine
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.cascade import Cascade

FACT = "calibration"
"""Where a manifest has it."""

GROWN = 0.1
"""Share of its documents by which an index may change before its calibration is called old."""

MACHINE = ("processor", "cores", "threads", "gpu")
"""What another machine differs in."""

AGAIN = "Calibrate here with `mteb-cascade bench DIR --calibrate`"


def has_budget(stage: Stage) -> bool:
    """Whether it is a cascade with a last step and a budget for it; that of a cascade within another means nothing."""
    return isinstance(stage, Cascade) and bool(stage.steps) and stage.budget_ms is not None


def depths_within(stage: Stage, calibration: Mapping[str, Any] | None) -> tuple[int, ...]:
    """Depths of a cascade's steps when an index is served; () of any other stage.

    Warns once where there is a budget that this calibration does not answer for. One of another machine, or of fewer
    documents, is taken all the same, for an index gives the same answers everywhere, and only `--calibrate` changes
    them; one of another model or budget is not.

    Args:
        stage: The model of an index.
        calibration: What `calibrating.calibration_of` found, as the index keeps it; None where it keeps none.
    """
    if not isinstance(stage, Cascade):
        return ()
    if not has_budget(stage):
        return tuple(stage.depths)
    fault, counts = objection(stage, calibration)
    if fault:
        warnings.warn(f"{stage.label}: {fault}. {AGAIN}", stacklevel=2)
    if calibration is None or not counts:
        return tuple(stage.depths)
    return (*stage.depths[:-1], min(stage.depths[-1], int(calibration["cap"])))


def objection(cascade: Cascade, calibration: Mapping[str, Any] | None) -> tuple[str, bool]:
    """What is wrong with a calibration, '' where nothing is, and whether its cap counts all the same."""
    budget = f"budget_ms = {cascade.budget_ms:g}"
    if calibration is None:
        return f"{budget} was never calibrated for this index, so every candidate is scored", False
    if calibration.get("budget_ms") != cascade.budget_ms:
        was = calibration.get("budget_ms")
        return f"{budget}, but the index was calibrated for {was:g} ms, so every candidate is scored", False
    if calibration.get("fingerprint") != cascade.fingerprint:
        return f"{budget} was calibrated for another version of the model, so every candidate is scored", False
    here, there = machine(), calibration.get("machine", {})
    for key in MACHINE:
        if key in here and key in there and here[key] != there[key]:
            return f"{budget} was calibrated on another machine ({key} {there[key]}, here {here[key]})", True
    documents, now = calibration.get("documents"), len(cascade.corpus)
    if documents is not None and abs(now - documents) > GROWN * documents:
        return f"{budget} was calibrated when the index held {documents:,} documents; now it holds {now:,}", True
    return "", True
