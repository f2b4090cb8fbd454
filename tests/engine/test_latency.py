from __future__ import annotations

import time

import numpy as np
import pytest

from mteb_cascade.engine.latency import Latency, Limit, latency, machine, times


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


@pytest.mark.parametrize("percentile", [50, 95, 99])
@pytest.mark.parametrize("calls", [1, 7, 200])
def test_a_limit_is_broken_only_when_no_call_to_come_could_save_it(percentile, calls):
    limit = Limit(percentile, 1.0)
    for slow in range(calls + 1):
        # The slow calls come first: whatever follows is as fast as can be.
        seconds = [2.0] * slow + [0.0] * (calls - slow)
        assert limit.is_broken([0.002] * slow, calls) == (np.percentile(seconds, percentile, method="lower") > 1.0)


def test_a_broken_limit_ends_the_timing_early():
    seen: list[float] = []

    def nap(seconds):
        seen.append(seconds)
        time.sleep(seconds)

    # Of 200 calls, 11 over the limit break its 95th percentile.
    found = times(nap, [0.002], calls=200, warm_up=3, limit=Limit(95, 0.5))
    assert len(found) == 11
    assert len(seen) == 14
    assert len(times(nap, [0.0], calls=30, warm_up=0, limit=Limit(95, 1e6))) == 30


def test_percentiles_by_hand():
    told = Latency.of([0.001, 0.002, 0.003], inputs=2)
    assert told.as_json() == {"p50": 2.0, "p95": 2.9, "p99": 2.98, "calls": 3, "inputs": 2}
