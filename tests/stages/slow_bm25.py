"""BM25 written out, for tests to compare with."""

from __future__ import annotations

from math import log


def slow_bm25(words: list[str], document: list[str], documents: list[list[str]], k1: float, b: float) -> float:
    """Lucene's formula, which leaves out the constant factor k1 + 1."""
    average = sum(map(len, documents)) / len(documents)
    total = 0.0
    for word in words:
        df = sum(word in other for other in documents)
        tf = document.count(word)
        if not tf:
            continue
        idf = log(1 + (len(documents) - df + 0.5) / (df + 0.5))
        total += idf * tf / (tf + k1 * (1 - b + b * len(document) / average))
    return total
