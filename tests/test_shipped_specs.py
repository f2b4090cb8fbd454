"""The specs of models/ and the study that trains them: nothing refers to what is not there."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from mteb_cascade import spec as specs
from mteb_cascade.spec import Spec
from mteb_cascade.stages.load import build
from mteb_cascade.stages.model_meta import model_meta_of
from mteb_cascade.training import prepared, train

ROOT = Path(__file__).parents[1]
PATHS = {path.stem: path for path in sorted((ROOT / "models").glob("*.toml"))}
SCRIPT = (ROOT / "runs" / "msmarco.sh").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("MTEB_CASCADE_MODELS", raising=False)


def spec_of(name: str) -> Spec:
    found = specs.read(PATHS[name])
    assert found is not None
    return found


def referred(spec: Spec) -> set[str]:
    """Models that a spec names; those of the hub have an organisation before a slash."""
    table = spec.training
    mining, evaluation = table.get("mining", {}), table.get("evaluation", {})
    names = {table.get("base"), table.get("teacher"), mining.get("judge"), evaluation.get("first")}
    names |= {spec.options["model"]} if spec.kind == "funnel" else set()
    names |= {
        *mining.get("first", []),
        *(part["model"] for key in ("stage", "member") for part in spec.options.get(key, [])),
    }
    return {name for name in names - {None, "scratch"} if "/" not in name}


def needed(name: str) -> set[str]:
    """A spec and all that it stands on."""
    return {name}.union(*(needed(other) for other in referred(spec_of(name))))


@pytest.mark.parametrize("name", PATHS)
def test_it_can_be_built_and_trained(name: str) -> None:
    spec = spec_of(name)
    assert referred(spec) <= set(PATHS)
    assert model_meta_of(build(spec, fetch=False)).name == spec.name == f"local/{name}"
    if spec.training:
        (train.checked if "recipe" in spec.training else prepared.checked)(spec)


@pytest.mark.parametrize("name", [name for name in PATHS if name.startswith("msmarco-")])
def test_it_learns_from_ms_marco_without_what_chooses(name: str) -> None:
    spec = spec_of(name)
    assert spec.card["training_datasets"] == ["MSMARCO"]
    if spec.training:
        assert (spec.training["collection"], spec.training["held_out"], spec.training["seed"]) == ("MSMARCO", 5000, 0)
        assert re.search(r"MRR@10|No figure", PATHS[name].read_text(encoding="utf-8"))


def variables() -> dict[str, set[str]]:
    """The lists of specs in the script, each with those that it is made of."""
    found: dict[str, set[str]] = {}
    for name, value in re.findall(r'^([A-Z0-9]+)="(\$?[\w $-]+)"$', SCRIPT, re.MULTILINE):
        words = value.split()
        found[name] = set().union(*(found[word[1:]] if word[0] == "$" else {word} for word in words))
    return found


def test_a_step_is_done_anew_when_anything_below_it_changes() -> None:
    lists = variables()
    steps = re.findall(r'^step (?:train|mine)-([\w-]+) "\$(\w+)" (?:train|cascade mine) ([\w-]+)', SCRIPT, re.MULTILINE)
    trained = {name for name in PATHS if name.startswith("msmarco-") and spec_of(name).training}
    assert {name for name, _, _ in steps} == trained
    for named, above, model in steps:
        assert named == model
        assert lists[above] == needed(model)
    assert lists["ALL"] == {name for name in PATHS if name.startswith("msmarco-")}


def test_models_are_trained_in_an_order_that_can_be() -> None:
    order = re.findall(r"^step train-([\w-]+)", SCRIPT, re.MULTILINE)
    for place, name in enumerate(order):
        below = {one for one in needed(name) - {name} if spec_of(one).training}
        assert below <= set(order[:place])


def test_the_script_names_only_models_that_are_there() -> None:
    written = set(re.findall(r"(?<!train-)(?<!mine-)\bmsmarco-[a-z0-9]+(?:-[a-z0-9]+)*", SCRIPT))
    assert written - set(PATHS) <= {"msmarco-cascade-tuned", "msmarco-served-tuned"}
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash here")
    subprocess.run([bash, "-n", ROOT / "runs" / "msmarco.sh"], check=True)


def smoke() -> Any:
    found = importlib.util.spec_from_file_location("smoke", ROOT / "runs" / "smoke.py")
    assert found and found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def flat(table: dict[str, Any], above: str = "") -> dict[str, Any]:
    found = {}
    for key, value in table.items():
        found |= flat(value, f"{above}{key}.") if isinstance(value, dict) else {above + key: value}
    return found


@pytest.mark.parametrize("name", [name for name in PATHS if name.startswith("msmarco-")])
def test_smoke_changes_what_it_says_and_nothing_else(name: str) -> None:
    module, text = smoke(), PATHS[name].read_text(encoding="utf-8")
    before, after = flat(tomllib.loads(text)), flat(tomllib.loads(module.shrunk(text)))
    changed = {key for key in before | after if before.get(key) != after.get(key)}
    allowed = {"base", "collection", "epochs", *module.SHRUNK}
    assert changed <= {f"training.{key}" for key in allowed}
    if "training.base" in before:
        assert "/" not in before["training.base"] or after["training.base"] in module.BASES.values()
        assert after["training.max_steps"] == module.SHRUNK["max_steps"]
