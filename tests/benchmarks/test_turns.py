from __future__ import annotations

import json
import sys

import pytest

pytestmark = pytest.mark.usefixtures("benchmarks")


def test_a_ratio_is_of_rounds_not_of_medians():
    from turns import Ratio

    # Medians are 10 and 4: 2.5; round by round it is 1, 5 and 2.
    assert Ratio.of([4.0, 10.0, 20.0], [4.0, 2.0, 10.0]) == Ratio(2.0, 1.0, 5.0)


@pytest.mark.parametrize(("power", "wanted"), [(1, 1.0), (2, 2.0), (0, 0.0), (0.5, 0.5)])
def test_the_exponent_of_a_power_is_found(power, wanted):
    from turns import exponent

    sizes = [10, 20, 50, 400]
    assert exponent(sizes, [7 * size**power for size in sizes]) == pytest.approx(wanted)


def test_ways_take_turns_and_the_order_turns_round():
    from turns import alternate

    order = []
    ways = {name: lambda name=name: order.append(name) for name in "ab"}
    taken = alternate(ways, rounds=3, warm=1)
    assert "".join(order) == "ab" + "abbaab"
    assert {name: len(seconds) for name, seconds in taken.seconds.items()} == {"a": 3, "b": 3}


def test_what_a_worker_says_is_taken_for_its_time():
    from turns import Told, alternate

    told = iter([Told(8.0, 5.0, "first"), Told(6.0, 9.0, "second")])
    taken = alternate({"peer": lambda: next(told)}, rounds=2, warm=0)
    assert (taken.seconds, taken.peak, taken.values) == ({"peer": [8.0, 6.0]}, {"peer": 9.0}, {"peer": "second"})


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets its high-water mark")
def test_peak_memory_is_that_of_the_work_alone():
    from memory import Peak

    def filled(megabytes):
        return len(bytes(b"x" * (megabytes * 2**20)))

    first = Peak()
    filled(200)
    large = first.more
    second = Peak()
    filled(40)
    assert large > 190
    assert 35 < second.more < 150


def test_rows_come_back_as_they_were_written(tmp_path, capsys):
    import argparse

    from turns import Ratio, Row, read, write

    rows = [
        Row("sweep", "mteb", Ratio(6.5, 6.0, 7.0), 6.0),
        Row("encode", "mteb", Ratio(2.9, 2.0, 3.5), 3.0, note="int8"),
        Row("real tokens", "all", Ratio(0.99, 0.99, 0.99), 0.95, "%"),
        Row("rerank", "rerankers", Ratio(120.0, 99.0, 150.0)),
    ]
    file = tmp_path / "some.json"
    write("some", argparse.Namespace(size="small", output=file), rows, more=1)
    assert read(file) == rows
    assert json.loads(file.read_text())["more"] == 1
    told = capsys.readouterr().out.splitlines()
    assert max(map(len, told)) <= 80
    assert [line.strip() if line.startswith("    ") else line.split() for line in told[2:]] == [
        ["sweep"],
        ["mteb", "6.00x", "6.50x", "6.00x", "-", "7.00x", "yes"],
        ["encode"],
        ["mteb", "3.00x", "2.90x", "2.00x", "-", "3.50x", "NO"],
        "int8",
        ["real", "tokens"],
        ["all", "95.0%", "99.0%", "99.0%", "-", "99.0%", "yes"],
        ["rerank"],
        ["rerankers", "-", "120x", "99.0x", "-", "150x", "-"],
    ]


def test_what_a_worker_s_processor_took_is_unknown_not_nan():
    from turns import Told, alternate

    taken = alternate({"peer": lambda: Told(1.0, 0.0, None)}, rounds=1, warm=0)
    assert taken.as_json()["cpu"] == {"peer": [None]}
