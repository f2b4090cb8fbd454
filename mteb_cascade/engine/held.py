"""What was made of a text, kept for the next time up to a limit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Held(Generic[Value]):
    """Values by text, up to a limit; those not used for longest go first.

    Args:
        limit: Bytes.
        size: Bytes that a text and its value take.
    """

    def __init__(self, limit: int, size: Callable[[str, Value], int]) -> None:
        self.limit = limit
        self.size = 0
        self._size = size
        self._held: dict[str, Value] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Held[Value]], tuple[int, Callable[[str, Value], int]]]:
        """A copy, or another process' one, holds nothing yet."""
        return Held, (self.limit, self._size)

    def of(self, texts: Sequence[str], make: Callable[[list[str]], Sequence[Value]]) -> list[Value]:
        """The value of each text; those not held are made by `make(texts)`, equal texts once."""
        distinct = list(dict.fromkeys(texts))
        with self._lock:
            found = {text: self._held[text] for text in distinct if text in self._held}
        # Not under the lock: who needs other texts does not wait for these.
        missing = [text for text in distinct if text not in found]
        if missing:
            found |= zip(missing, make(missing), strict=True)
        with self._lock:
            for text in distinct:
                self._drop(text)
                self._held[text] = found[text]
                self.size += self._size(text, found[text])
            while self.size > self.limit:
                self._drop(next(iter(self._held)))
        return [found[text] for text in texts]

    def clear(self) -> None:
        """Forget everything: what values were made with has changed."""
        with self._lock:
            self._held.clear()
            self.size = 0

    def _drop(self, text: str) -> None:
        if text in self._held:
            self.size -= self._size(text, self._held.pop(text))
