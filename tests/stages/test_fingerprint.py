"""A result is filed under its stage's fingerprint: it changes with all that decides scores and with nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from table_stage import Table

from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.hybrid import Hybrid, Member
from mteb_cascade.stages.load import load
from mteb_cascade.stages.run_file import RunFile


def cascade(depth: int = 10, blend: float = 0.0, k1: float = 1.5, first_k1: float = 1.2, **base: str) -> Cascade:
    return Cascade(BM25(k1=first_k1), Step(BM25(k1=k1), depth, blend), **base)


def hybrid(weight: float = 1.0, pool: int = 100, k1: float = 0.9, **base: str) -> Hybrid:
    return Hybrid(BM25(), Member(BM25(k1=k1), weight), pool=pool, **base)


@pytest.mark.parametrize(
    ("make", "others"),
    [
        (BM25, [{"k1": 0.9}, {"b": 0.4}, {"language": "german"}, {"stop_words": "none"}, {"stop_words": ["the"]}]),
        (cascade, [{"depth": 11}, {"blend": 0.5}, {"k1": 0.9}, {"first_k1": 0.9}]),
        (hybrid, [{"weight": 0.5}, {"pool": 99}, {"k1": 1.0}]),
        (
            lambda **options: BiEncoder(model="org/name", **options),
            [
                {"max_length": 16},
                {"dtype": "bfloat16"},
                {"query_prompt": "q: "},
                {"document_prompt": "d: "},
                {"revision": "main"},
            ],
        ),
    ],
    ids=["bm25", "cascade", "hybrid", "bi-encoder"],
)
def test_what_decides_scores_is_in_it(make: Callable[..., Stage], others: list[dict]) -> None:
    prints = [make(**options).fingerprint for options in [{}, *others]]
    assert len(set(prints)) == len(prints)
    assert make().fingerprint == prints[0]


def test_order_of_stages_is_in_it() -> None:
    one, two = BM25(k1=0.9), BM25()
    assert Cascade(one, Step(two, 5)).fingerprint != Cascade(two, Step(one, 5)).fingerprint


def test_how_fast_it_is_and_what_it_is_called_is_not(tiny_bi_encoder: Path) -> None:
    plain = BiEncoder(model=str(tiny_bi_encoder)).fingerprint
    other = BiEncoder(model=str(tiny_bi_encoder), name="a/b", device="cpu", batch_size=1, pair_limit=3)
    assert other.fingerprint == plain
    assert BM25(name="a/b", device="cpu").fingerprint == BM25().fingerprint
    assert cascade(name="a/b", device="cpu").fingerprint == cascade().fingerprint
    assert hybrid(name="a/b", device="cpu").fingerprint == hybrid().fingerprint


def test_every_file_that_loading_reads_is_in_it_and_the_card_is_not(tiny_bi_encoder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(tiny_bi_encoder, folder)
    stage = BiEncoder(model=str(folder))
    assert stage.fingerprint == BiEncoder(model=str(tiny_bi_encoder)).fingerprint
    composed = Cascade(BM25(), Step(stage, 5)), Hybrid(BM25(), stage)
    before = [stage.fingerprint, *(one.fingerprint for one in composed)]
    (folder / "README.md").write_text("another card")
    (folder / ".lock").write_text("")
    assert [stage.fingerprint, *(one.fingerprint for one in composed)] == before
    for name in ("model.safetensors", "tokenizer.json", "1_Pooling/config.json", "config.json"):
        (folder / name).write_bytes((folder / name).read_bytes() + b" ")
        after = [stage.fingerprint, *(one.fingerprint for one in composed)]
        assert not set(after) & set(before), name
        before = after


def test_equal_size_other_bytes_is_another_model(tmp_path: Path) -> None:
    path = tmp_path / "run.trec"
    path.write_text("q Q0 a 1 1.0 x\n")
    before = RunFile(file=str(path)).fingerprint
    path.write_text("q Q0 a 1 2.0 x\n")
    assert RunFile(file=str(path)).fingerprint != before
    path.rename(tmp_path / "same.trec")
    assert RunFile(file=str(tmp_path / "same.trec"), pointwise=True).fingerprint != before


def test_no_model_is_loaded_for_it(tiny_bi_encoder: Path) -> None:
    stage = BiEncoder(model=str(tiny_bi_encoder))
    assert len(stage.fingerprint) == 64
    assert "network" not in vars(stage)


def test_a_spec_and_python_agree_and_comments_do_not_count(write_spec) -> None:
    write_spec("one", 'kind = "bm25"\nk1 = 0.9\n')
    write_spec("two", '# slower\nname = "a/b"\nkind = "bm25"\nk1 = 0.9\nb = 0.75\n[card]\nlicense = "mit"\n')
    assert load("one").fingerprint == load("two").fingerprint == BM25(k1=0.9).fingerprint


def test_code_of_a_kind_of_ones_own_is_in_it() -> None:
    class Other(Table):
        pass

    assert Table(scores={}).fingerprint != Other(scores={}).fingerprint
    assert Table(scores={}).fingerprint == Table(scores={}).fingerprint


class Weighted(Table):
    """A kind with an `__init__` of its own, and an option that JSON does not have."""

    def __init__(self, *, alpha: object = 1.0, **base: str) -> None:
        super().__init__(scores={}, **base)
        self.alpha = alpha


def test_options_of_an_own_init_count_whatever_they_are() -> None:
    many = np.arange(5_000.0)
    changed = many.copy()
    changed[2_500] = -1
    inner = [Weighted(alpha=BM25(k1=k1)) for k1 in (0.9, 2.0)]
    stages = [Weighted(alpha=1.0), Weighted(alpha=2.0), Weighted(alpha=many), Weighted(alpha=changed), *inner]
    assert len({stage.fingerprint for stage in stages}) == len(stages)
    with pytest.raises(TypeError, match="object has no fingerprint"):
        _ = Weighted(alpha=object()).fingerprint


def test_one_number_written_in_two_ways_is_one_fingerprint() -> None:
    assert cascade(np.int64(5), 4).fingerprint == cascade(5, 4.0).fingerprint  # type: ignore[arg-type]


def test_a_folder_whose_name_starts_with_a_dot_counts(tmp_path: Path) -> None:
    for name, content in ((".one", b"1"), (".two", b"2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(content)
    one, two = (BiEncoder(model=str(tmp_path / name)).fingerprint for name in (".one", ".two"))
    assert one != two
