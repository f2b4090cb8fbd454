"""What a spec's table means to the trainer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_training import prepared

from mteb_cascade.training.fit import trainer_of
from mteb_cascade.training.prepared import prepare


@pytest.mark.parametrize(
    ("schedule", "warmup", "rates"),
    [
        ("constant", 0.5, [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]),
        ("constant", 0.0, [1.0] * 6),
        ("linear", 0.5, [0.0, 0.25, 0.5, 0.75, 1.0, 0.75]),
    ],
)
def test_the_rate_rises_over_its_share_of_the_steps(
    schedule: str, warmup: float, rates: list[float], write_spec: Any, tmp_path: Path
) -> None:
    ready = prepared(write_spec, "bi-encoder", "contrastive", schedule=schedule, warmup=warmup)
    trainer = trainer_of(ready, tmp_path / "run", eval_strategy="no", save_strategy="no", load_best_model_at_end=False)
    trainer.create_optimizer_and_scheduler(8)
    assert [trainer.lr_scheduler.lr_lambdas[0](step) for step in range(6)] == rates


def test_two_encoders_of_a_base_are_kept(write_spec: Any, tmp_path: Path) -> None:
    two = prepared(write_spec, "bi-encoder", "contrastive", separate=True)
    two.network.save_pretrained(str(tmp_path / "two"))
    options = replace(two.options, base=str(tmp_path / "two"), separate=False)
    ready = prepare(two.spec, options, tmp_path / "training")
    trainer = trainer_of(replace(ready, evaluator=None), tmp_path / "run", save_strategy="no", max_steps=2)
    before = [route[0].embedding.weight.detach().clone() for route in ready.network[0].sub_modules.values()]
    trainer.train()
    after = [route[0].embedding.weight for route in ready.network[0].sub_modules.values()]
    assert [not one.equal(other) for one, other in zip(before, after, strict=True)] == [True, True]
    assert not after[0].equal(after[1])
