"""A checkpoint is whole or none, belongs to one version of a spec, and a run goes on from it as if nothing had been."""

import json
import shutil
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from careful_runs import furthest, network_of, some_lists, trainer, weights
from sentence_transformers.base.evaluation import BaseEvaluator
from sentence_transformers.sentence_transformer import losses
from transformers import TrainerCallback

from mteb_cascade.errors import InputError
from mteb_cascade.training.losses.list_loss import ListLoss
from mteb_cascade.training.options import Mining, Training
from mteb_cascade.training.steps import checkpoints
from mteb_cascade.training.steps.checkpoints import being_written, is_whole, prune, resume_from

IDENTITY = {
    "options": {"learning_rate": 0.1, "micro_batch": 8, "mining": {"depth": 50}},
    "training data": "d",
    "base": "b",
}


def write(folder, step, text="weights"):
    """A whole checkpoint."""
    with being_written(folder / f"checkpoint-{step}", "tiny") as beside:
        (beside / f"checkpoint-{step}").mkdir(parents=True)
        (beside / f"checkpoint-{step}" / "model").write_text(f"{text} of step {step}")
    return folder / f"checkpoint-{step}"


def begun(folder):
    """A training folder with checkpoints of steps 2 and 10."""
    assert resume_from(folder, IDENTITY, what="tiny") is None
    return write(folder, 2), write(folder, 10)


def test_the_last_whole_checkpoint_counts(tmp_path):
    folder = tmp_path / "training"
    second, tenth = begun(folder)
    assert resume_from(folder, IDENTITY, what="tiny") == tenth
    damaged = tenth / "model"
    damaged.write_text(damaged.read_text().replace("w", "W"))
    assert resume_from(folder, IDENTITY, what="tiny") == second
    assert not tenth.exists()
    (second / "whole.json").unlink()
    assert resume_from(folder, IDENTITY, what="tiny") is None
    assert not second.exists()


@pytest.mark.parametrize("when", ["before it is sealed", "before it comes to its place", "between the two renames"])
def test_what_is_killed_while_it_is_written_leaves_a_whole_one(when, tmp_path, monkeypatch):
    folder = tmp_path / "training"
    _, tenth = begun(folder)

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    again = when == "between the two renames"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        if when == "before it is sealed":
            patch.setattr(checkpoints, "seal", killed)
        elif when == "before it comes to its place":
            patch.setattr(type(folder), "rename", killed)
        else:
            rename = type(folder).rename
            patch.setattr(type(folder), "rename", lambda self, to: killed() if to == tenth else rename(self, to))
        write(folder, 10 if again else 20, text="other weights")
    kept = {"before it is sealed": 10, "before it comes to its place": 20, "between the two renames": 10}[when]
    last = resume_from(folder, IDENTITY, what="tiny")
    assert last == folder / f"checkpoint-{kept}"
    assert is_whole(last)
    other = "other " if when != "before it is sealed" else ""
    assert (last / "model").read_text() == f"{other}weights of step {kept}"
    assert not (folder / "saving").exists()


def test_old_ones_go_but_the_last_and_the_best(tmp_path):
    begun(tmp_path)
    for step in (20, 30):
        write(tmp_path, step)
    prune(tmp_path, keep=["checkpoint-10"])
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == ["checkpoint-10", "checkpoint-30"]


def test_checkpoints_of_another_version_of_the_spec_are_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "models" / ".tiny.training"
    begun(folder)
    other = {**IDENTITY, "options": {"learning_rate": 0.2, "micro_batch": 4, "mining": {"depth": 100}}, "base": "c"}
    with pytest.raises(InputError) as told:
        resume_from(folder, other, what="models/tiny.toml")
    assert str(told.value) == (
        "models/tiny.toml: models/.tiny.training/checkpoint-10 is the checkpoint of another version of this spec: "
        "learning_rate was 0.1, is 0.2; mining.depth was 50, is 100; the base is not the same. "
        "Put it back to go on from there, or start anew with --restart"
    )
    # How much is in memory at once decides nothing.
    smaller = {**IDENTITY, "options": {**IDENTITY["options"], "micro_batch": 4}}
    assert resume_from(folder, smaller, what="tiny").name == "checkpoint-10"
    assert resume_from(folder, other, restart=True, what="tiny") is None
    assert list(folder.glob("checkpoint-*")) == []
    write(folder, 4)
    assert resume_from(folder, other, what="tiny").name == "checkpoint-4"
    (folder / "state.json").write_text("{")
    with pytest.raises(InputError, match=r"its state\.json is not there or damaged"):
        resume_from(folder, other, what="tiny")


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "training").write_text("a file")
    with pytest.raises(InputError, match=r"tiny: .*training cannot be written to: "):
        resume_from(tmp_path / "training", IDENTITY, what="tiny")


def test_the_identity_follows_options_data_and_base():
    lists = some_lists()
    network = torch.nn.Linear(2, 2)
    prepared = SimpleNamespace(
        options=Training("base", "kl", collection="words"),
        lists=lists,
        network=network,
        data=SimpleNamespace(digest="d"),
    )
    base = checkpoints.identity(prepared)
    assert checkpoints.identity(prepared) == base
    assert json.loads(json.dumps(base)) == base

    def changed(**changes):
        other = checkpoints.identity(SimpleNamespace(**{**vars(prepared), **changes}))
        return [key for key in base if base[key] != other[key]]

    assert changed(options=replace(prepared.options, seed=1)) == ["options"]
    assert changed(options=replace(prepared.options, mining=Mining())) == ["options"]
    assert changed(data=SimpleNamespace(digest="e")) == ["training data"]
    assert changed(lists=replace(lists, docs=lists.docs[:, ::-1].copy())) == ["training data"]
    assert changed(lists=replace(lists, labels=lists.labels + 1)) == ["training data"]
    with torch.no_grad():
        network.weight += 1
    assert checkpoints.identity(prepared)["base"] != base["base"]


class StopAt(TrainerCallback):
    """Ends a run after a step, as a kill would between two."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **_):
        if state.global_step == self.step:
            raise KeyboardInterrupt


class Scores(BaseEvaluator):
    """Made-up scores, one after the other by step; looks at nothing."""

    primary_metric = "mrr"

    def __init__(self, scores):
        super().__init__()
        self.scores = scores

    def __call__(self, model, output_path=None, epoch=-1, steps=-1):
        return {"mrr": self.scores[steps]}


LOSSES = {
    "bi-encoder": ("tuples", lambda n: losses.CachedMultipleNegativesRankingLoss(n, mini_batch_size=4)),
    "cross-encoder": ("lists", lambda n: ListLoss(n, "softmax", mini_batch_size=8)),
}


@pytest.mark.parametrize("kind", LOSSES)
def test_a_stopped_run_goes_on_to_the_same_weights_bit_for_bit(kind, request, tmp_path):
    model = request.getfixturevalue(f"tiny_{kind.replace('-', '_')}")
    form, loss = LOSSES[kind]
    # Eight steps of three to an epoch, dropout, Adam, warm-up: saved after 2, 4, 6 (the end of an epoch) and 8.
    given = {"form": form, "optim": "adamw_torch", "warmup_steps": 2, "max_steps": 8}
    undisturbed = network_of(kind, model)
    trainer(kind, undisturbed, loss, tmp_path / "whole", **given).train()
    given |= {"save_strategy": "steps", "save_steps": 2}
    last = None
    for stop, saved in ((5, 4), (7, 6), (None, 8), (None, 8)):
        # As a process of its own, it knows nothing of what was drawn before.
        torch.manual_seed(99)
        network = network_of(kind, model)
        run = trainer(kind, network, loss, tmp_path, **given)
        if stop:
            run.add_callback(StopAt(stop))
        with pytest.raises(KeyboardInterrupt) if stop else nullcontext():
            run.train(last)
        assert [path.name for path in tmp_path.glob("checkpoint-*")] == [f"checkpoint-{saved}"]
        last = str(tmp_path / f"checkpoint-{saved}")
    # Resumed where it had ended, it stays as it is.
    assert run.state.global_step == 8
    assert furthest(weights(network), weights(undisturbed)) == 0
    assert {path.name for path in (tmp_path / "checkpoint-8").iterdir()} == {
        "model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", "whole.json"
    }  # fmt: skip


def test_the_best_is_kept_and_loaded_and_patience_outlasts_a_stop(tiny_bi_encoder, tmp_path):
    scores = {0: 0.1, 1: 0.2, 2: 0.5, 3: 0.3, 4: 0.4, 5: 0.3, 6: 0.9, 7: 0.9, 8: 0.9, 9: 0.9}
    given = {
        "form": "triplets",
        "save_strategy": "steps",
        "save_steps": 3,
        "eval_strategy": "steps",
        "eval_steps": 1,
        "eval_on_start": True,
        "metric_for_best_model": "eval_mrr",
        "greater_is_better": True,
        "careful": {"patience": 3, "evaluator": Scores(scores)},
    }
    undisturbed = trainer(
        "bi-encoder", network_of("bi-encoder", tiny_bi_encoder), losses.TripletLoss, tmp_path / "a", **given
    )
    undisturbed.args.load_best_model_at_end = True
    undisturbed.train()
    # Better at step 2; three worse ones end it at step 5, though step 6 would have been better.
    assert undisturbed.state.global_step == 5
    assert sorted(path.name for path in (tmp_path / "a").glob("checkpoint-*")) == ["checkpoint-2", "checkpoint-3"]

    folder = tmp_path / "b"
    run = trainer("bi-encoder", network_of("bi-encoder", tiny_bi_encoder), losses.TripletLoss, folder, **given)
    run.add_callback(StopAt(4))
    with pytest.raises(KeyboardInterrupt):
        run.train()
    assert sorted(path.name for path in folder.glob("checkpoint-*")) == ["checkpoint-2", "checkpoint-3"]
    # The project has been moved since.
    moved = tmp_path / "c"
    shutil.move(folder, moved)
    network = network_of("bi-encoder", tiny_bi_encoder)
    again = trainer("bi-encoder", network, losses.TripletLoss, moved, **given)
    again.args.load_best_model_at_end = True
    again.train(str(moved / "checkpoint-3"))
    assert again.state.global_step == 5
    assert again.state.best_global_step == 2
    assert furthest(weights(network), weights(undisturbed.model)) == 0

    (moved / "checkpoint-2" / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"checkpoint-2, the best checkpoint, is damaged"):
        again._load_best_model()


@pytest.mark.parametrize("room", [100, 30_000])
def test_a_disk_that_fills_while_saving_ends_in_one_line_and_leaves_the_last_one_whole(
    room, tiny_bi_encoder, tmp_path, no_file_above
):
    # The weights take 22 kB, Adam's state the double: room for neither, and for the weights alone.
    given = {"form": "triplets", "save_strategy": "steps", "save_steps": 2, "optim": "adamw_torch"}
    network = network_of("bi-encoder", tiny_bi_encoder)
    run = trainer("bi-encoder", network, losses.TripletLoss, tmp_path, **given)

    class Fills(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            if state.global_step == 4:
                full.__enter__()

    full = no_file_above(room)
    run.add_callback(Fills())
    with pytest.raises(InputError) as told:
        try:
            run.train()
        finally:
            full.__exit__(None, None, None)
    text = str(told.value)
    assert text.startswith("models/tiny.toml: the checkpoint of step 4 could not be written: ")
    assert text.endswith("That of step 2 is whole. Make room and run again: it goes on from there")
    assert "\n" not in text
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-2"]
    assert is_whole(tmp_path / "checkpoint-2")
