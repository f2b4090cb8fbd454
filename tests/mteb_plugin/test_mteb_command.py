from __future__ import annotations

import json
from pathlib import Path

import pytest

WHERE = """
import importlib.util, json, sys, mteb_cascade, _mteb_cascade_autoload
print(json.dumps({"prefix": sys.prefix, "path": sys.path, "mteb": importlib.util.find_spec("mteb").origin,
                  "ours": [mteb_cascade.__file__, _mteb_cascade_autoload.__file__]}))
"""

CHECKS = """
import json, sys
import mteb
checks = {}
for name in sys.argv[1:]:
    results = mteb.mock_run(mteb.get_model(name)).task_results
    checks[name] = {task: getattr(one, "exception", "passed") for task, one in results.items() if one is not None}
print(json.dumps(checks))
"""

RETRIEVAL = {"MockRetrievalTask", "MockMultilingualRetrievalTask", "MockRerankingTask", "MockInstructionRetrieval"}


@pytest.fixture(scope="module", params=["wheel", "editable"])
def install(request: pytest.FixtureRequest):
    """Two ways to have us: an environment with our wheel, and the one that runs the tests."""
    return request.getfixturevalue("wheel_only" if request.param == "wheel" else "running")


def test_the_fresh_environment_holds_only_the_wheel(wheel_only, tmp_path):
    done = wheel_only("-c", WHERE, cwd=tmp_path)
    where = json.loads(done.stdout)
    assert all(path.startswith(where["prefix"]) for path in where["ours"])
    assert not where["mteb"].startswith(where["prefix"])
    assert str(Path(__file__).resolve().parents[2]) not in where["path"]


def test_plain_mteb_mock_run_passes_every_text_check_of_a_bi_encoder(install, visited, tmp_path):
    done = install("mteb", "mock-run", "-m", "our-biencoder", cwd=tmp_path, MTEB_CASCADE_MODELS=str(visited / "models"))
    assert done.returncode == 0, done.stderr
    assert "passed all expected checks" in done.stdout
    assert "✓ (28/28) | text" in done.stdout


def test_retrieving_models_pass_the_retrieval_checks(install, visited):
    names = ("our-bm25", "our-hybrid", "our-cascade")
    done = install("-c", CHECKS, *names, cwd=visited)
    assert done.returncode == 0, done.stderr
    checks = json.loads(done.stdout.splitlines()[-1])
    for name in names:
        assert set(checks[name]) >= RETRIEVAL
        assert set(checks[name].values()) == {"passed"}
