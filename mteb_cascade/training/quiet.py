"""A terminal that shows our own progress alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """What the libraries below tell of loading and saving stays off the terminal; their errors do not."""
    from transformers.utils import logging as told

    sentences = logging.getLogger("sentence_transformers")
    before, level, bars = told.get_verbosity(), sentences.level, told.is_progress_bar_enabled()
    told.set_verbosity(logging.ERROR)
    told.disable_progress_bar()  # type: ignore[no-untyped-call]
    sentences.setLevel(logging.ERROR)
    try:
        yield
    finally:
        told.set_verbosity(before)
        sentences.setLevel(level)
        if bars:
            told.enable_progress_bar()  # type: ignore[no-untyped-call]
