"""Whatever is done to an index, it equals a plain list of its documents."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

IDS = st.text(st.sampled_from("abé𝄞"), min_size=1, max_size=3)
DOCUMENTS = st.lists(
    st.tuples(IDS, st.sampled_from(["", "red fox", "blå whale"])), max_size=6, unique_by=lambda one: one[0]
)
CHANGES = st.one_of(
    st.tuples(st.just("add"), DOCUMENTS),
    st.tuples(st.just("remove"), st.lists(st.integers(0, 11), max_size=5)),
    st.tuples(st.just("compact"), st.none()),
)


@settings(max_examples=25)
@given(first=DOCUMENTS, changes=st.lists(CHANGES, max_size=5))
def test_any_sequence_of_changes_equals_a_plain_list(small_in, same, first, changes):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        small = small_in(Path(folder) / "index", rows=3)
        small.build(first)
        plain = list(first)
        before = small.open()
        for what, given_to_it in changes:
            held = list(plain)
            if what == "add":
                new = [one for one in given_to_it if one[0] not in {identity for identity, _ in plain}]
                small.add(new)
                plain += new
            elif what == "remove":
                ids = [plain[at][0] for at in given_to_it if at < len(plain)]
                small.remove(ids)
                plain = [one for one in plain if one[0] not in ids]
            else:
                segments = small.compact().segments
                assert [one.live for one in segments] == [one.rows for one in segments]
                assert len(segments) == -(-len(plain) // 3)
            # Who opened it before reads on in what was deleted since.
            assert before.corpus.ids_at(np.arange(len(held))) == [identity for identity, _ in held]
            before = small.open(check_all=True)
            same(before, plain)
            named = {Path(file.path).parent for file in before.manifest.files}
            there = {path.parent.relative_to(small.folder) for path in small.folder.glob("*/**/*") if path.is_file()}
            assert there == named
