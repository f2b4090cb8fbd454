"""Memory that runs out: with the errors of the allocators themselves, at a size that the test sets."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from slow_packs import slow_packs

from mteb_cascade.engine.memory import is_out_of_memory, packed
from mteb_cascade.errors import InputError


def full() -> None:
    torch.empty(2**50, dtype=torch.uint8)


def cuda_full() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1.00 GiB free.")


def older_cuda_full() -> None:
    raise RuntimeError("CUDA error: out of memory")


def cublas_full() -> None:
    raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


def python_full() -> None:
    bytearray(2**60)


FAILURES = [full, cuda_full, older_cuda_full, cublas_full, python_full]


class Machine:
    """Holds a number of padded tokens; remembers what it was asked for and what it did."""

    def __init__(self, lengths: list[int], holds: int, fail: Callable[[], None]) -> None:
        self.lengths, self.holds, self.fail = np.array(lengths), holds, fail
        self.asked: list[int] = []

    def run(self, pack: NDArray[np.intp]) -> list[int]:
        self.asked.append(int(self.lengths[pack].max()) * len(pack))
        if self.asked[-1] > self.holds:
            self.fail()
        return pack.tolist()


@pytest.mark.parametrize("fail", FAILURES)
def test_a_batch_that_does_not_fit_is_halved_and_so_are_all_after_it(fail: Callable[[], None]) -> None:
    machine = Machine([4] * 40, 21, fail)
    found = list(packed(machine.run, machine.lengths, 80, "mine"))
    assert [row for pack, _ in found for row in pack] == list(range(40))
    assert all(pack.tolist() == result for pack, result in found)
    # 20 texts and 10 are too many; 5 fit, and no more are tried again.
    assert machine.asked == [80, 40, *[20] * 8]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(9, 60), st.integers(1, 200))
def test_every_text_is_run_once_whatever_fits(lengths: list[int], holds: int, budget: int) -> None:
    machine = Machine(lengths, holds, older_cuda_full)
    found = list(packed(machine.run, machine.lengths, budget, "mine"))
    assert sorted(row for pack, _ in found for row in pack) == list(range(len(lengths)))
    assert all(result == pack.tolist() for pack, result in found)
    if holds >= budget:
        assert [pack.tolist() for pack, _ in found] == slow_packs(lengths, budget)


def test_a_single_text_that_does_not_fit_is_said() -> None:
    machine = Machine([3, 7_000], 100, full)
    with pytest.raises(InputError, match=r"^mine: memory does not hold a single text of 7,000 tokens\. Set max_length"):
        list(packed(machine.run, machine.lengths, 16_000, "mine"))


@pytest.mark.parametrize(
    "error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("x"), KeyError]
)
def test_other_errors_pass(error: Exception) -> None:
    def fail(pack: NDArray[np.intp]) -> None:
        raise error

    with pytest.raises(Exception) as raised:
        list(packed(fail, np.array([3, 4]), 10, "mine"))
    assert not isinstance(raised.value, InputError)
    assert not is_out_of_memory(raised.value)


def test_what_failed_is_let_go_before_the_next_try() -> None:
    """The frames of an error hold the tensors of the failed pass: with them alive a smaller one fails as well."""
    import weakref

    class Tensors:
        pass

    held: list[weakref.ref[Tensors]] = []

    def run(pack: NDArray[np.intp]) -> None:
        assert not any(one() for one in held)
        tensors = Tensors()
        held.append(weakref.ref(tensors))
        if len(pack) > 2:
            older_cuda_full()

    assert len(list(packed(run, np.array([1] * 8), 8, "mine"))) == 4
