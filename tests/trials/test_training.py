"""Training that is killed, and training in two processes; each against an undisturbed run of one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

TRAINER = Path(__file__).with_name("trainer.py")


@pytest.fixture(scope="module")
def runs(
    tiny_bi_encoder: Path, tiny_cross_encoder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, list[str]]]:
    """The folder of all runs' weights, and what was told of each."""
    folder = tmp_path_factory.mktemp("trainings")
    done = subprocess.run(
        [sys.executable, str(TRAINER), str(tiny_bi_encoder), str(tiny_cross_encoder), str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    print(done.stderr[-2000:])
    return folder, {name: told for name, *told in (line.split("\t") for line in done.stdout.splitlines())}


def furthest(folder: Path, one: str, other: str) -> float:
    """The largest difference of two runs' weights."""
    weights = [load_file(folder / f"{name}.safetensors") for name in (one, other)]
    assert weights[0].keys() == weights[1].keys()
    return max(float(np.abs(weights[0][key] - weights[1][key]).max()) for key in weights[0])


@pytest.mark.parametrize("kind", ["bi-encoder", "cross-encoder"])
def test_killed_while_it_saves_it_goes_on_to_the_same_weights(
    kind: str, runs: tuple[Path, dict[str, list[str]]]
) -> None:
    folder, told = runs
    # Killed, undisturbed, run again. The third checkpoint was amid being written, so the second counts.
    assert told[kind] == ["-9", "0", "0", "checkpoint-4", "saving"]
    assert furthest(folder, kind, f"{kind}-whole") == 0


@pytest.mark.parametrize("name", ["contrastive", "softmax", "separate"])
def test_two_ranks_learn_what_one_does_with_the_double_batch(
    name: str, runs: tuple[Path, dict[str, list[str]]], tiny_bi_encoder: Path, tiny_cross_encoder: Path
) -> None:
    folder, told = runs
    assert told[name] == ["0", "0", "0"]
    apart = furthest(folder, f"{name}-1", f"{name}-2")
    start = load_file((tiny_cross_encoder if name == "softmax" else tiny_bi_encoder) / "model.safetensors")
    learned = load_file(folder / f"{name}-1.safetensors")
    # Whatever a network calls a parameter, the end of its name is that of the checkpoint's.
    moved = max(
        float(np.abs(value - start[key]).max())
        for key in start
        for name, value in learned.items()
        if name.endswith(key)
    )
    assert moved > 1e-3
    assert apart < 1e-4 * moved
