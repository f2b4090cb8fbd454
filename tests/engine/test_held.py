from __future__ import annotations

import copy
import pickle

from mteb_cascade.engine.held import Held


def size(text: str, value: bytes) -> int:
    return len(text) + len(value)


def test_what_was_not_used_for_longest_goes_first() -> None:
    made: list[str] = []

    def make(texts: list[str]) -> list[bytes]:
        made.extend(texts)
        return [b"x" * 4 for _ in texts]

    held = Held(15, size)
    # A letter and four bytes each: three fit.
    assert held.of(["a", "b", "a"], make) == [b"xxxx"] * 3
    held.of(["c", "a"], make)
    assert made == ["a", "b", "c"] and held.size == 15
    held.of(["d"], make)
    assert held.size == 15
    held.of(["a", "c", "d"], make)
    assert made == ["a", "b", "c", "d"]
    held.of(["b"], make)
    assert made[4:] == ["b"]
    held.clear()
    held.of(["b"], make)
    assert made[5:] == ["b"] and held.size == 5


def test_what_is_larger_than_the_limit_is_made_and_not_kept() -> None:
    held: Held[bytes] = Held(3, size)
    assert held.of(["a"], lambda texts: [b"xxxx"]) == [b"xxxx"]
    assert held.size == 0


def test_a_copy_holds_nothing_yet() -> None:
    held: Held[bytes] = Held(9, size)
    held.of(["a"], lambda texts: [b"x"])
    for other in (copy.deepcopy(held), pickle.loads(pickle.dumps(held))):
        assert (other.limit, other.size) == (9, 0)
        assert other.of(["a"], lambda texts: [b"yy"]) == [b"yy"]
    assert held.size == 2
