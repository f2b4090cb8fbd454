"""Texts of which a model reads only the beginning, cut before they are tokenised, where that changes no token.

A text is cut only before a single space between two of A-Z, a-z and 0-9, and only for tokenizers that split there
whatever stands behind: the tokens of the part before the cut are then the first tokens of the whole. Everything else is
tokenised whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

CHARACTERS = 8
"""Characters a token that are looked at first: English has 4 to 5."""

LONG = 4
"""Times as many characters a text has, at least, to be worth cutting."""

SEARCHED = 2_000
"""Characters before a limit in which a place to cut is looked for."""

PLACE = re.compile(r"[A-Za-z0-9](?= [A-Za-z0-9])")

LOCAL = {
    *("BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Precompiled", "Strip", "StripAccents"),
}
"""Normalizers that change a character by itself and what is composed with it, never across a space between letters."""

SPLITTING = {"BertPreTokenizer", "ByteLevel", "Metaspace", "Whitespace", "WhitespaceSplit"}
"""Pre-tokenizers that split at every space between letters; two of them only as they are set by default."""

AFTER = {*SPLITTING, "Digits", "Punctuation"}
"""What may split further."""


def shortened(backend: Any, texts: Sequence[str], wanted: int) -> list[str]:
    """The texts; of a long one a beginning that has at least `wanted` tokens, the first of the whole text's.

    Args:
        backend: Of the library tokenizers, neither cutting nor padding.
        texts: n texts.
        wanted: Tokens that are read at most.
    """
    found = list(texts)
    size = max(1, wanted) * CHARACTERS
    long = [place for place, text in enumerate(texts) if len(text) > LONG * size]
    if not long or not splits_at_spaces(backend):
        return found
    while long:
        cut = {place: beginning(texts[place], size) for place in long}
        counts = backend.encode_batch_fast(list(cut.values()), add_special_tokens=False)
        long = []
        for (place, text), encoded in zip(cut.items(), counts, strict=True):
            if len(encoded.ids) >= wanted:
                found[place] = text
            elif len(texts[place]) > LONG * size:
                long.append(place)
        size *= LONG
    return found


def beginning(text: str, size: int) -> str:
    """The text up to the last place to cut before `size`; the empty text where there is none near.

    >>> beginning("a red fox, old", 9), beginning("a red fox, old", 13), beginning("languages", 3)
    ('a red', 'a red', '')
    """
    start = max(0, size - SEARCHED)
    ends = [match.end() for match in PLACE.finditer(text[start:size])]
    return text[: start + ends[-1]] if ends else ""


def splits_at_spaces(backend: Any) -> bool:
    """Whether no token reaches over a space between two letters or digits, nor depends on what stands behind it."""
    splits = flattened(backend.pre_tokenizer, "pretokenizers")
    changes = flattened(backend.normalizer, "normalizers")
    if not splits or not is_splitting(splits[0]) or any(one["type"] not in AFTER for one in splits):
        return False
    if not all(one["type"] in LOCAL or is_of_spaces(one) for one in changes):
        return False
    return not any(" " in token.content for token in backend.get_added_tokens_decoder().values())


def flattened(part: Any, inner: str) -> list[dict[str, Any]]:
    """What a normalizer or pre-tokenizer consists of, in its order."""
    if part is None:
        return []
    state = json.loads(part.__getstate__())
    waiting, found = [state], []
    while waiting:
        one = waiting.pop(0)
        if one["type"] == "Sequence":
            waiting = [*one[inner], *waiting]
        else:
            found.append(one)
    return found


def is_splitting(part: dict[str, Any]) -> bool:
    """Whether a pre-tokenizer splits at every space between letters."""
    return part["type"] in SPLITTING and part.get("use_regex", True) and part.get("split", True)


def is_of_spaces(part: dict[str, Any]) -> bool:
    """Whether a normalizer replaces runs of two and more spaces, and nothing else."""
    return part["type"] == "Replace" and part.get("pattern") == {"Regex": " {2,}"}
