"""Words, where they are only counted or compared: no model reads them."""

from __future__ import annotations

import re


def words(text: str) -> list[str]:
    r"""Its lowercased runs of letters, digits and underscores, in order.

    >>> words("Don't PANIC, 42!")
    ['don', 't', 'panic', '42']
    """
    return re.findall(r"\w+", text.lower())
