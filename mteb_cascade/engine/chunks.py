"""Texts in pieces that are tokenised together: what is held grows with a piece, not with all texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.engine.ahead import ahead
from mteb_cascade.engine.memory import packed
from mteb_cascade.engine.packing import LEAST, longest_first

Result = TypeVar("Result")

NOT_AHEAD = ("cpu",)
"""Devices beside which tokenising is not worth a thread: on a CPU it takes 1 % of the time, and the model's cores."""

AT_ONCE = 4_096
"""Texts or pairs that are tokenised together: enough that little is padded where a piece ends."""

AT_ONCE_AHEAD = 1_024
"""The same where the next piece is tokenised while the model works on this one."""


class Tokens(Protocol):
    """Texts as token ids."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 [n], tokens of each text."""

    def padded(self, rows: NDArray[np.integer]) -> dict[str, Any]:
        """What the model gets for these texts."""


def in_chunks(
    estimates: NDArray[np.int64],
    tokenise: Callable[[NDArray[np.intp]], Tokens | None],
    run: Callable[[Tokens, NDArray[np.intp]], Result],
    plainly: Callable[[NDArray[np.intp]], Result],
    budget: int,
    what: str,
    *,
    device: str,
) -> Iterator[tuple[NDArray[np.intp], Result]]:
    """Run micro-batches of texts, each text tokenised once.

    Texts are sorted by about how long they are, and cut into pieces; a piece is tokenised and packed by its tokens.

    Args:
        estimates: About as many tokens as each text has.
        tokenise: Tokens of the texts at these positions; None where they have to be run `plainly`.
        run: Called with tokens and positions among them.
        plainly: Called with positions of texts.
        budget: Padded tokens of a micro-batch, >= 1.
        what: What messages name.
        device: Type of the device that runs them. Beside another one than a CPU a piece is tokenised in a thread of its
            own while the one before it is run.

    Yields:
        Positions of texts and what was given for them, about the longest first.

    Raises:
        InputError: Memory does not hold a single text.
    """
    background = device not in NOT_AHEAD
    order, size = longest_first(estimates), AT_ONCE_AHEAD if background else AT_ONCE
    pieces = (order[start : start + size] for start in range(0, len(order), size))
    tokenised = ((piece, tokenise(piece)) for piece in pieces)
    with closing(ahead(tokenised) if background else tokenised) as chunks:
        for piece, tokens in chunks:

            def one(pack: NDArray[np.intp], tokens: Tokens | None = tokens, piece: Any = piece) -> Result:
                return plainly(piece[pack]) if tokens is None else run(tokens, pack)

            lengths = estimates[piece] if tokens is None else tokens.lengths
            budget = yield from packed(one, lengths, budget, what, piece, LEAST.get(device))
