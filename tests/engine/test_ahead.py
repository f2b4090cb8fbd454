"""Work done ahead: one item at most, its errors where the item is asked for, and no thread left over."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from mteb_cascade.engine.ahead import ahead


def left_over() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_the_same_items_made_one_ahead_in_another_thread() -> None:
    made: list[tuple[int, str]] = []

    def items() -> Iterator[int]:
        for item in range(5):
            made.append((item, threading.current_thread().name))
            yield item

    for item in ahead(items()):
        assert len(made) <= item + 2
    assert [item for item, _ in made] == list(range(5))
    assert all(name.startswith("ahead") for _, name in made)
    assert not left_over()
    assert list(ahead(iter([]))) == []


def test_an_error_comes_where_the_item_is_asked_for() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the second one")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="the second one"):
        next(found)
    assert not left_over()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_who_stops_in_the_middle_leaves_no_thread(error: type[BaseException]) -> None:
    def work() -> None:
        with closing(ahead(iter(range(100)))) as items:
            for _ in items:
                raise error

    with pytest.raises(error):
        work()
    assert not left_over()
