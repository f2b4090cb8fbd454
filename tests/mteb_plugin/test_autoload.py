from __future__ import annotations

import json
import re
import sys

import pytest

HEAVY = ("torch", "mteb", "polars", "scipy.stats", "transformers", "pandas", "sklearn")

FACTS = """
import contextlib, io, json, sys
import mteb
from mteb.cli import main
from mteb.models.model_implementations import MODEL_REGISTRY
from mteb.models import ModelMeta

def outcome(call, *arguments):
    try:
        return str(call(*arguments))
    except BaseException as error:
        return f"{type(error).__name__}: {error}"

def ran(*arguments):
    sys.argv = ["mteb", *arguments]
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        ended = outcome(main)
    return [ended, out.getvalue()]

print(json.dumps({
    "models": sorted(MODEL_REGISTRY),
    "tasks": sorted(task.metadata.name for task in mteb.get_tasks()),
    "benchmarks": sorted(benchmark.name for benchmark in mteb.get_benchmarks()),
    "meta": outcome(lambda: mteb.get_model_meta("sentence-transformers/all-MiniLM-L6-v2").to_dict()),
    "nobody": outcome(mteb.get_model, "nobody/nothing"),
    "nobody's meta": outcome(mteb.get_model_meta, "nobody/nothing"),
    "theirs": type(mteb.get_model("mteb/baseline-random-encoder")).__name__,
    "run": ran("run", "-m", "nobody/nothing", "-t", "NFCorpus", "-v", "0")[0],
    "available-tasks": ran("available-tasks", "-t", "NFCorpus"),
    "finders": sum(type(finder).__name__ == "RegistryFinder" for finder in sys.meta_path),
}))
"""


@pytest.fixture(scope="module")
def facts(visited, running, warmed):
    """What mteb says with and without us, in a folder with two broken specs."""

    def told(interpreter, **environment: str):
        done = interpreter("-c", FACTS, cwd=visited, **environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1]), done.stderr

    return told(warmed), told(running, MTEB_CASCADE_AUTOLOAD="0")


def test_start_imports_the_hook_and_nothing_else_of_ours(running, tmp_path):
    done = running("-X", "importtime", "-c", "pass", cwd=tmp_path)
    modules = re.findall(r"\|\s*([\w.]+)$", done.stderr, re.MULTILINE)
    assert [name for name in modules if "mteb" in name] == ["_mteb_cascade_autoload"]


def test_the_hook_asks_for_no_module_that_start_has_not_loaded(running, tmp_path):
    code = "import sys; before = set(sys.modules); import _mteb_cascade_autoload; print(set(sys.modules) - before)"
    done = running("-S", "-c", f"import os, site; {code}", cwd=tmp_path, PYTHONPATH=site_of_the_hook())
    assert done.stdout.strip() == "{'_mteb_cascade_autoload'}", done.stderr


def site_of_the_hook() -> str:
    import _mteb_cascade_autoload

    return str(_mteb_cascade_autoload.__file__).rpartition("/")[0]


@pytest.mark.parametrize("code", ["import mteb_cascade", "import mteb_cascade.cli.main"])
def test_our_import_is_light(running, tmp_path, code):
    done = running("-c", f"{code}, sys; print([name for name in {HEAVY} if name in sys.modules])", cwd=tmp_path)
    assert done.stdout.strip() == "[]", done.stderr


def test_install_twice_is_one_finder(monkeypatch):
    import _mteb_cascade_autoload as hook

    monkeypatch.setattr(sys, "meta_path", [one for one in sys.meta_path if type(one).__name__ != "RegistryFinder"])
    hook.install()
    hook.install()
    assert [type(one).__name__ for one in sys.meta_path].count("RegistryFinder") == 1


def test_models_are_there_and_zero_turns_them_off(facts):
    (ours, _), (without, _) = facts
    added = set(ours["models"]) - set(without["models"])
    assert added == {
        *("our-bm25", "ours/lexical", "our-biencoder", "local/our-biencoder", "our-hybrid", "local/our-hybrid"),
        *("our-cascade", "local/our-cascade", "our-broken", "local/our-broken", "our-torn", "local/our-torn"),
    }
    assert set(without["models"]) <= set(ours["models"])
    assert (ours["finders"], without["finders"]) == (1, 0)


@pytest.mark.parametrize(
    "what", ["tasks", "benchmarks", "meta", "nobody", "nobody's meta", "theirs", "run", "available-tasks"]
)
def test_what_is_not_ours_is_as_without_us_even_beside_broken_specs(facts, what):
    (ours, _), (without, _) = facts
    assert ours[what] == without[what]


def test_nothing_of_ours_is_said_when_nothing_of_ours_is_asked_for(facts):
    (_, said), _ = facts
    assert "mteb-cascade" not in said
    assert "our-" not in said


def test_a_broken_spec_that_is_asked_for_is_one_line_and_exit_code_2(visited, running):
    done = running("mteb", "run", "-m", "our-torn", "-t", "NFCorpus", "-v", "0", cwd=visited)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("models/our-torn.toml: is not valid TOML")
    assert done.stdout == ""


def test_a_failure_of_ours_is_a_warning_and_mteb_goes_on(warmed, tmp_path):
    code = """
import sys, types, warnings
sys.modules["mteb_cascade.mteb_plugin.registry"] = types.SimpleNamespace(add_to=lambda module: 1 / 0)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import mteb
print(mteb.get_model_meta("mteb/baseline-bm25s").name, sum("ZeroDivisionError" in str(w.message) for w in caught))
"""
    done = warmed("-c", code, cwd=tmp_path)
    assert done.stdout.split() == ["mteb/baseline-bm25s", "2"], done.stderr


@pytest.mark.parametrize("first", ["mteb_plugin.tasks", "mteb_plugin.loader"])
def test_whatever_is_imported_first_all_is_registered(warmed, visited, first):
    code = (
        f"import mteb_cascade.{first}, mteb, sys; "
        "print(mteb.get_model('our-bm25').kind, 'PythonDocsRetrieval' in sys.modules['mteb.get_tasks']._TASKS_REGISTRY)"
    )
    done = warmed("-c", code, cwd=visited)
    assert done.stdout.split() == ["bm25", "True"], done.stderr
    assert "could not add" not in done.stderr
