from __future__ import annotations

import time

import pytest

from mteb_cascade.engine.latency import latency, machine


def test_percentiles_are_of_single_calls_in_milliseconds():
    naps = [0.0] * 9 + [0.02]
    measured = latency(time.sleep, naps, calls=100)
    # One call in ten takes 20 ms: the median does not see it, the 95th and the 99th percentile are it.
    assert measured.p50 < 10 < 20 <= measured.p95 <= measured.p99
    assert (measured.calls, measured.inputs) == (100, 10)


def test_inputs_start_over_and_warm_up_is_not_timed():
    seen: list[str] = []
    measured = latency(seen.append, ["a", "b", "c"], calls=4, warm_up=2)
    assert seen == ["a", "b", "a", "b", "c", "a"]
    assert (measured.calls, measured.inputs) == (4, 3)


@pytest.mark.parametrize(("inputs", "calls"), [([], 1), (["a"], 0)])
def test_nothing_to_time(inputs, calls):
    with pytest.raises(ValueError, match="expected one or more inputs and calls"):
        latency(len, inputs, calls=calls)


def test_the_machine_is_named():
    found = machine()
    assert found["processor"] and found["cores"] >= 1
