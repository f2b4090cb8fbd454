"""Texts that say nearly the same, by the words that they share."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import TypeVar

NEAR_DUPLICATE = 0.8
"""Jaccard similarity of two documents' sets of words from which on they count as the same text."""

One = TypeVar("One", bound=Hashable)
Other = TypeVar("Other", bound=Hashable)


def normalised(text: str) -> str:
    """Lower-case letters and digits, everything else one space.

    >>> normalised("Return `obj`,  pretty-printed.")
    'return obj pretty printed'
    """
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def word_set(text: str) -> frozenset[str]:
    """The words of a text; the text itself where it has none, so that equal texts have equal sets.

    >>> sorted(word_set("To be, or not to be?")), word_set(" ?! ")
    (['be', 'not', 'or', 'to'], frozenset({'?!'}))
    """
    return frozenset(normalised(text).split() or [text.strip()])


def near_duplicates(
    words: Iterable[tuple[One, frozenset[str]]],
    others: Mapping[Other, frozenset[str]],
    threshold: float = NEAR_DUPLICATE,
) -> Iterator[tuple[One, Other, float]]:
    """Pairs whose sets of words have a Jaccard similarity of at least `threshold`, each found exactly.

    Two such sets share one of their rarest words: only pairs that do are compared (Bayardo et al., "Scaling up all
    pairs similarity search", WWW 2007). `words` is read once and may be long; `others` is what is kept at hand.

    Args:
        words: Names and sets of words.
        others: What they are compared with; an empty set is nobody's duplicate.
        threshold: In (0, 1].

    Yields:
        The two names and the similarity, in the order of `words`.
    """
    frequency = Counter(word for several in others.values() for word in several)

    def rarest(own: frozenset[str]) -> list[str]:
        kept = len(own) - int(threshold * len(own) - 1e-9)
        return sorted(own, key=lambda word: (frequency.get(word, 0), word))[:kept]

    with_word: dict[str, list[Other]] = defaultdict(list)
    for other, own in others.items():
        for word in rarest(own):
            with_word[word].append(other)
    for name, own in words:
        for other in dict.fromkeys(found for word in rarest(own) for found in with_word.get(word, ())):
            shared = len(own & others[other])
            together = len(own) + len(others[other]) - shared
            if shared >= threshold * together:
                yield name, other, shared / together
