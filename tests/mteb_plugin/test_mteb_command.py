from __future__ import annotations

import json
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

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

COMMAND = """
import sys
from mteb.cli import main
names, sys.argv[1:] = sys.argv[1:], ["mock-run", "-m", "our-biencoder"]
main()
sys.argv[1:] = names
"""

RETRIEVAL = {"MockRetrievalTask", "MockMultilingualRetrievalTask", "MockRerankingTask", "MockInstructionRetrieval"}
COMPOSED = ("our-bm25", "our-hybrid", "our-cascade")
KINDS = ["splade", "late-interaction", "cross-encoder", "mteb-search"]
if os.environ.get("MTEB_CASCADE_TRIALS"):
    KINDS += ["tfidf", "inference-free", "t5-ranker", "hybrid-rrf"]


def is_source(path: Path) -> bool:
    """Whether a file is what somebody wrote."""
    return path.is_file() and "__pycache__" not in path.parts


def passed_every_text_check(stdout: str) -> bool:
    """Whether mteb says so of our bi-encoder."""
    return "passed all expected checks" in stdout and "✓ (28/28) | text" in stdout


def test_the_fresh_environment_holds_only_the_wheel(wheel_only, tmp_path):
    done = wheel_only("-c", WHERE, cwd=tmp_path)
    where = json.loads(done.stdout)
    assert all(path.startswith(where["prefix"]) for path in where["ours"])
    assert not where["mteb"].startswith(where["prefix"])
    assert str(ROOT) not in where["path"]


def test_the_wheel_holds_all_that_is_written(wheel_only, tmp_path):
    done = wheel_only("-c", WHERE, cwd=tmp_path)
    installed, written = (Path(json.loads(done.stdout)["ours"][0]).parent, ROOT / "mteb_cascade")
    held = [{path.relative_to(root) for path in root.rglob("*") if is_source(path)} for root in (installed, written)]
    assert held[0] == held[1]


def test_with_the_wheel_plain_mteb_mock_run_passes(wheel_only, visited, tmp_path):
    models = str(visited / "models")
    done = wheel_only("mteb", "mock-run", "-m", "our-biencoder", cwd=tmp_path, MTEB_CASCADE_MODELS=models)
    assert done.returncode == 0, done.stderr
    assert passed_every_text_check(done.stdout)


def test_with_the_editable_install_models_of_many_kinds_pass(warmed, visited, write_kinds, tmp_path):
    write_kinds(tmp_path / "models", ["bi-encoder", *KINDS])
    theirs = "mteb/baseline-bm25s"
    ours = [*COMPOSED, *(f"our-{name}" for name in KINDS)]
    done = warmed("-c", COMMAND + CHECKS, *ours, theirs, cwd=tmp_path, MTEB_CASCADE_MODELS=str(visited / "models"))
    assert done.returncode == 0, done.stderr
    assert passed_every_text_check(done.stdout)
    checks = json.loads(done.stdout.splitlines()[-1])
    # mteb's BM25 fails at conversations, through us as without us.
    assert checks.pop("our-mteb-search") == checks.pop(theirs)
    for name, found in checks.items():
        assert set(found) >= RETRIEVAL, name
        assert set(found.values()) == {"passed"}, name
