"""Pairs joined from the tokens of their texts, so that a text is tokenised once for all pairs that it is in.

A fast tokenizer cuts two texts ("longest_first") and puts special tokens before, between and after them. What it puts
there is learned from one pair; that it does so always is looked at on a few pairs that the network tokenises itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.engine.held import Held
from mteb_cascade.engine.long_texts import shortened
from mteb_cascade.engine.text_pairs import TextPairs
from mteb_cascade.engine.tokens import Tokenised, default_prompt, fillers_of, padded, plain_transformer

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

Ids = NDArray[np.int32]

HELD_BYTES = 2**26
"""Tokens of documents that are kept for the next pairs, with their texts: those of some 50,000 passages."""

PROBES = [
    ("red fox", "A fox is a small animal, and red."),
    ("", "what"),
    ("what", ""),
    ("a " * 40, "It did: 42 of them, naïve or not."),
    ("what is it", "b c\n" * 40),
    ("one two three " * 20, "four, five " * 20),
    ("four, five " * 20, "one two three " * 30),
]
"""Pairs that the network tokenises too, uncut and cut at odd and even lengths."""

CUTS = (11, 12)
"""Tokens at which the probes are cut."""


def bytes_of(text: str, ids: Ids) -> int:
    """What a text and its tokens take."""
    return len(text) + ids.nbytes


@dataclass(frozen=True, eq=False)
class PairTemplate:
    """What a tokenizer makes of the tokens of two texts.

    Args:
        tokenizer: Of transformers, a fast one.
        specials: Ids before the first text, between the two and after the second.
        types: Token type ids: of those, and of the two texts, in the order of the tokens.
        names: What the model gets for each token.
        others: What it gets beside that.
        limit: Tokens of a pair, special ones included; None cuts nothing.
        prompt: What stands before each query.
    """

    tokenizer: Any
    specials: tuple[Ids, Ids, Ids]
    types: tuple[Ids, int, Ids, int, Ids]
    names: tuple[str, ...]
    others: dict[str, Any]
    limit: int | None
    prompt: str
    held: Held[Ids] = field(default_factory=lambda: Held(HELD_BYTES, bytes_of))

    @property
    def special(self) -> int:
        """Special tokens of a pair."""
        return sum(map(len, self.specials))

    def tokenised(self, pairs: TextPairs, rows: NDArray[np.integer]) -> JoinedPairs:
        """These of the pairs, each distinct text tokenised once; documents are kept for the next time."""
        queries, query, documents, document = pairs.sides(rows)
        first = self.ids([self.prompt + text for text in queries])
        longest = max(map(len, first))
        if self.limit is not None and longest > self.limit:
            # Where both sides are cut, it counts which one has more tokens: of a long document more is looked at than
            # is kept for queries that are not cut.
            second = self.ids(documents, longest)
        else:
            second = self.held.of(documents, lambda texts: self.ids(texts, self.limit))
        return JoinedPairs(self, first, query, second, document)

    def ids(self, texts: Sequence[str], wanted: int | None = None) -> list[Ids]:
        """The tokens of each text, no special ones; of a long text at least those `wanted`, where it can be cut."""
        backend = self.tokenizer.backend_tokenizer
        backend.no_truncation()
        backend.no_padding()
        if wanted is not None and self.tokenizer.truncation_side == "right":
            texts = shortened(backend, texts, wanted)
        encoded = backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(one.ids, np.int32) for one in encoded]

    def agrees(self, network: CrossEncoder) -> bool:
        """Whether the network tokenises the probes to the same, uncut and cut."""
        rows = np.arange(len(PROBES))
        for limit in (self.limit, *CUTS):
            if limit is None:
                cut: dict[str, Any] = {}
            else:
                if limit < self.special + 2:
                    return False
                cut = {"max_length": limit}
            prompt = self.prompt or None
            expected = network.preprocess(PROBES, prompt=prompt, processing_kwargs={"text": cut})
            template = replace(self, limit=limit, held=Held(0, bytes_of))
            found = template.tokenised(TextPairs.of(PROBES), rows).padded(rows)
            if not same(found, expected):
                return False
        return True


@dataclass(frozen=True, eq=False)
class JoinedPairs:
    """Pairs as a cross-encoder reads them.

    Args:
        template: Joins them.
        first: Tokens of the distinct queries.
        query: int [n], which of them each pair has.
        second: Tokens of the distinct documents.
        document: int [n], which of them each pair has.
    """

    template: PairTemplate
    first: Sequence[Ids]
    query: NDArray[np.intp]
    second: Sequence[Ids]
    document: NDArray[np.intp]

    @cached_property
    def kept(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """int64 [n] twice, tokens kept of each pair's query and document."""
        first, second = sizes_of(self.first)[self.query], sizes_of(self.second)[self.document]
        limit = self.template.limit
        return (first, second) if limit is None else longest_first(first, second, limit - self.template.special)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """int64 [n], tokens of each pair."""
        return self.kept[0] + self.kept[1] + self.template.special

    def padded(self, rows: NDArray[np.integer]) -> dict[str, Any]:
        """What the model gets for these pairs: int64 tensors [len(rows), longest]."""
        template, tokenizer = self.template, self.template.tokenizer
        columns = {name: [self._column(name, row) for row in rows.tolist()] for name in template.names}
        return {**padded(columns, fillers_of(tokenizer), left=tokenizer.padding_side == "left"), **template.others}

    def _column(self, name: str, row: int) -> Ids:
        if name == "attention_mask":
            return np.ones(int(self.lengths[row]), np.int32)
        template = self.template
        counts = int(self.kept[0][row]), int(self.kept[1][row])
        if name == "token_type_ids":
            before, first, between, second, after = template.types
            sides = [np.full(count, one, np.int32) for count, one in zip(counts, (first, second), strict=True)]
            return np.concatenate([before, sides[0], between, sides[1], after])
        before, between, after = template.specials
        keep = tail if template.tokenizer.truncation_side == "left" else head
        query, document = self.first[self.query[row]], self.second[self.document[row]]
        return np.concatenate([before, keep(query, counts[0]), between, keep(document, counts[1]), after])


def head(ids: Ids, count: int) -> Ids:
    """The first tokens."""
    return ids[:count]


def tail(ids: Ids, count: int) -> Ids:
    """The last tokens."""
    return ids[len(ids) - count :]


def sizes_of(texts: Sequence[Ids]) -> NDArray[np.int64]:
    """int64 [n], tokens of each text."""
    return np.fromiter(map(len, texts), np.int64, len(texts))


def longest_first(
    first: NDArray[np.int64], second: NDArray[np.int64], room: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many tokens of two texts are kept where `room` is all there is, as the library tokenizers has it.

    The longer one is cut until it is as long as the other; then both are, and of an odd room the longer one has the
    larger half, the second where they are equally long.

    >>> [kept.tolist() for kept in longest_first(np.array([2, 9, 9, 5]), np.array([9, 2, 7, 5]), 7)]
    [[2, 5, 4, 3], [5, 2, 3, 4]]
    """
    shorter, longer = np.minimum(first, second), np.maximum(first, second)
    kept_longer = np.where(shorter > room, shorter, np.maximum(shorter, room - shorter))
    both = shorter + kept_longer > room
    kept_longer = np.where(both, room // 2 + room % 2, kept_longer)
    kept_shorter = np.where(both, room // 2, shorter)
    whole = first + second <= room
    kept_shorter, kept_longer = np.where(whole, shorter, kept_shorter), np.where(whole, longer, kept_longer)
    swapped = first > second
    return np.where(swapped, kept_longer, kept_shorter), np.where(swapped, kept_shorter, kept_longer)


def same(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether two batches hold the same."""
    import torch

    if set(found) != set(expected):
        return False
    return all(
        torch.equal(value, expected[name]) if isinstance(value, torch.Tensor) else value == expected[name]
        for name, value in found.items()
    )


_known: WeakKeyDictionary[Any, tuple[tuple[Any, ...], PairTemplate | None]] = WeakKeyDictionary()


def template_of(network: CrossEncoder) -> PairTemplate | None:
    """How the network's tokenizer joins pairs; None where that cannot be known, and pairs are tokenised whole.

    It is looked at again when the tokenizer's padding, cutting or the network's prompt is another.
    """
    if not plain_transformer(network):
        return None
    tokenizer = network.tokenizer
    prompt = default_prompt(network) or ""
    now = (
        tokenizer.pad_token_id,
        tokenizer.padding_side,
        tokenizer.truncation_side,
        tokenizer.model_max_length,
        prompt,
        id(tokenizer),
    )
    known = _known.get(network)
    if known is None or known[0] != now:
        known = _known[network] = (now, learned(network, prompt))
    return known[1]


def learned(network: CrossEncoder, prompt: str) -> PairTemplate | None:
    """The template of a network's tokenizer, proved on the probes; None where it has none that holds."""
    from transformers import PreTrainedTokenizerFast

    tokenizer: Any = network.tokenizer
    if not isinstance(tokenizer, PreTrainedTokenizerFast) or network[0].processing_kwargs:
        return None
    batch = Tokenised.of(network, PROBES[:1], prompt=prompt or None)
    if batch is None:
        return None
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    one = backend.encode(*PROBES[0])
    parts = segments(one.sequence_ids)
    if parts is None:
        return None
    before, _, between, _, after = ([one.ids[at] for at in part] for part in parts)
    kinds = [np.array([one.type_ids[at] for at in part], np.int32) for part in parts]
    if any(len(set(kinds[side].tolist())) != 1 for side in (1, 3)):
        return None
    limit = tokenizer.model_max_length
    template = PairTemplate(
        tokenizer,
        tuple(np.array(ids, np.int32) for ids in (before, between, after)),  # type: ignore[arg-type]
        (kinds[0], int(kinds[1][0]), kinds[2], int(kinds[3][0]), kinds[4]),
        tuple(batch.columns),
        batch.others,
        limit if limit < 10**9 else None,
        prompt,
    )
    return template if template.agrees(network) else None


def segments(sides: Sequence[int | None]) -> list[list[int]] | None:
    """Places of the tokens before, in, between, in and after two texts; None where they stand in another order.

    >>> segments([None, 0, 0, None, 1, None])
    [[0], [1, 2], [3], [4], [5]]
    """
    firsts = [at for at, side in enumerate(sides) if side == 0]
    seconds = [at for at, side in enumerate(sides) if side == 1]
    if not firsts or not seconds or firsts[-1] > seconds[0]:
        return None
    cuts = [0, firsts[0], firsts[-1] + 1, seconds[0], seconds[-1] + 1, len(sides)]
    parts = [list(range(start, stop)) for start, stop in pairwise(cuts)]
    if parts[1] != firsts or parts[3] != seconds:
        return None
    return parts
