from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.corpora.near_duplicates import near_duplicates, word_set

SETS = st.lists(st.frozensets(st.sampled_from("abcdefgh"), min_size=1, max_size=8), max_size=12)


@given(SETS, SETS, st.sampled_from([0.25, 0.5, 0.7, 0.75, 0.8, 0.9, 1.0]))
def test_each_pair_of_the_slow_reference_is_found_and_no_other(
    own: list[frozenset[str]], others: list[frozenset[str]], threshold: float
) -> None:
    slow = {
        (row, other): len(one & two) / len(one | two)
        for row, one in enumerate(own)
        for other, two in enumerate(others)
        if len(one & two) >= threshold * len(one | two)
    }
    found = list(near_duplicates(enumerate(own), dict(enumerate(others)), threshold))
    assert {(row, other): similarity for row, other, similarity in found} == slow
    assert len(found) == len(slow)


def test_words_are_compared_without_case_order_and_punctuation() -> None:
    assert word_set("Is the fox RED?") == word_set("the fox: is red")
    assert word_set(" ?? ") == word_set("??") != word_set("!")
