"""What a run needs, told without a network and fetched from a hub that this file serves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mteb_cascade.errors import InputError
from mteb_cascade.experiments.evaluate import evaluate_models
from mteb_cascade.experiments.prefetch import Fetched, prefetch, wanted
from mteb_cascade.stages.load import load, resolved
from mteb_cascade.stages.unfetched import Unfetched

COMMIT = "0" * 39 + "1"
BEIR = {
    "corpus.jsonl": '{"_id": "d1", "text": "red fox"}\n{"_id": "d2", "text": "blue fox"}\n',
    "queries.jsonl": '{"_id": "q1", "text": "fox"}\n',
    "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\td1\t1\n",
}

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def house(write_spec: Callable[[str, str], Path], tmp_path: Path) -> Path:
    """A working folder: BM25 and a hub model as a cascade, a hybrid, a model that is not trained, a collection."""
    write_spec("our-bm25", 'kind = "bm25"\n')
    write_spec("untrained", 'kind = "bi-encoder"\n')
    write_spec(
        "our-cascade", 'kind = "cascade"\n[[stage]]\nmodel = "our-bm25"\n[[stage]]\nmodel = "org/m"\ndepth = 5\n'
    )
    parts = "".join(f'[[member]]\nmodel = "{name}"\n' for name in ("untrained", "org/m", "our-cascade"))
    write_spec("our-hybrid", f'kind = "hybrid"\n{parts}')
    for name, content in BEIR.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path


def served(files: dict[str, bytes], asked: list[str]) -> type[BaseHTTPRequestHandler]:
    """A hub with one model, org/m, that has these files; all else is not found. Keeps what it is `asked`."""

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            path, _, file = self.path.partition("?")[0].partition(f"/resolve/{COMMIT}/")
            body = files.get(file) if path == "/org/m" else None
            if path.startswith("/api/models/org/m/tree/"):
                tree = [
                    {"type": "file", "path": n, "size": len(c), "oid": sha1(c).hexdigest()} for n, c in files.items()
                ]
                body = json.dumps(tree).encode()
            elif path.startswith("/api/models/org/m/"):
                listed = [{"rfilename": name} for name in files]
                body = json.dumps({"id": "org/m", "sha": COMMIT, "siblings": listed}).encode()
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{sha1(body or b"").hexdigest()}"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

        do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Hub


@pytest.fixture
def command(house: Path, tiny_cross_encoder: Path) -> Iterator[Command]:
    """Runs `mteb-cascade` in the house with a hub cache of its own: `command(*arguments, offline=False)`.

    What is told to be offline asks the hub nothing.
    """
    asked: list[str] = []
    files = {path.name: path.read_bytes() for path in tiny_cross_encoder.iterdir()}
    server = ThreadingHTTPServer(("127.0.0.1", 0), served(files, asked))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    program = Path(sys.executable).with_name("mteb-cascade")

    def run(*arguments: str, offline: bool) -> subprocess.CompletedProcess[str]:
        hub = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_HOME": str(house / "hub")}
        environment = {**os.environ, **hub, "HF_HUB_OFFLINE": str(int(offline)), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        environment |= {"no_proxy": "127.0.0.1", "COLUMNS": "100"}
        asked.clear()
        done = subprocess.run([program, *arguments], cwd=house, env=environment, capture_output=True, text=True)
        assert bool(asked) is not offline
        return done

    yield run
    server.shutdown()
    server.server_close()


def test_what_was_prefetched_runs_without_a_network(
    command: Command, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = command("prefetch", "our-cascade", offline=True)
    assert (before.returncode, before.stdout) == (2, "weights of org/m: missing\n")
    first, *others = before.stderr.splitlines()
    assert first.startswith("HF_HUB_OFFLINE is set: nothing can be fetched")
    assert len(others) == 1
    assert "'org/m' is no model known here" in others[0]
    fetched = command("prefetch", "our-cascade", "-t", "data", "-t", "PythonDocs", offline=False)
    assert fetched.returncode == 0, fetched.stderr
    weights, *data = fetched.stdout.splitlines()
    assert weights.startswith("weights of org/m: fetched, ")
    assert data == ["data of data: here already, 0.0 MB", "data of PythonDocs: here already"]
    again = command("prefetch", "our-cascade", offline=True)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("weights of org/m: here already, ")
    # In this process, which is offline too and has the libraries of models imported.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(house / "hub" / "hub"))
    (evaluated,) = evaluate_models(["our-cascade"], "data", measures=("recall@10",))
    assert evaluated.means["recall@10"] == 1


def test_an_interrupted_download_is_missing_until_the_rest_is_fetched(command: Command, house: Path) -> None:
    assert command("prefetch", "org/m", offline=False).returncode == 0
    (weights,) = house.glob("hub/hub/models--org--m/snapshots/*/model.safetensors")
    weights.resolve().unlink()
    weights.unlink()
    lacking = command("prefetch", "org/m", offline=True)
    assert (lacking.returncode, lacking.stdout) == (2, "weights of org/m: missing\n")
    assert "org/m: only a part of 'org/m' is in the hub's cache" in lacking.stderr
    assert command("prefetch", "org/m", offline=False).stdout.startswith("weights of org/m: fetched, ")
    assert weights.is_file()


def test_every_failure_is_told_and_none_keeps_the_next_from_being_tried(command: Command) -> None:
    done = command("prefetch", "org/gone", "our-hybrid", "-t", "data", offline=False)
    assert done.returncode == 2
    states = dict(line.split(": ") for line in done.stdout.splitlines())
    assert {what: state.split(",")[0] for what, state in states.items()} == {
        "weights of org/gone": "missing",
        "weights of untrained": "missing",
        "weights of org/m": "fetched",
        "data of data": "here already",
    }
    told = [line for line in done.stderr.splitlines() if line.startswith(("org/gone: ", "models/"))]
    assert [line.split(": ")[0] for line in told] == ["org/gone", "models/untrained.toml"]
    assert "train it with `mteb-cascade train untrained`" in told[1]
    assert "Traceback" not in done.stderr


def test_the_data_of_a_task_that_cannot_be_had_are_a_line_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path)
    data, ours = prefetch([], ["SciFact", "PythonDocs"])
    assert (data.what, data.state, ours.state) == ("data of SciFact", "missing", "here already")
    assert data.problem.startswith("data of SciFact: ")
    assert data.problem.endswith("; HF_HUB_OFFLINE is set, fetch it on a machine with network")
    assert "\n" not in data.problem


@pytest.mark.usefixtures("house")
def test_mistakes_are_named_together_before_anything_is_fetched() -> None:
    with pytest.raises(InputError) as refused:
        next(prefetch(["our-bm52", "our-cascade"], ["SciFcat", "./gone"]))
    model, task, folder = str(refused.value).splitlines()
    assert model.endswith("Did you mean 'our-bm25'?")
    assert task.startswith("unknown task: ")
    assert "SciFact" in task
    assert folder == "./gone: there is no such folder; expected a BEIR folder or the name of a task"


@pytest.mark.usefixtures("house")
def test_a_thing_that_two_models_need_is_fetched_once() -> None:
    names = [download.what for download in wanted(["our-hybrid", "our-cascade", "org/m", "our-bm25"], ["data", "data"])]
    assert names == ["weights of untrained", "weights of org/m", "data of data"]


def test_a_folder_of_weights_and_a_run_file_are_here_or_missed(
    tiny_cross_encoder: Path, tiny_bi_encoder: Path, write_spec: Callable[[str, str], Path], tmp_path: Path
) -> None:
    write_spec("mine", f'kind = "cross-encoder"\nmodel = "{tiny_cross_encoder}"\n')
    write_spec("wrong", f'kind = "cross-encoder"\nmodel = "{tiny_bi_encoder}"\n')
    write_spec("theirs", 'kind = "run"\nfile = "theirs.trec"\n')
    mine, wrong, theirs = prefetch(["mine", "wrong", "theirs"])
    size = sum(path.stat().st_size for path in tiny_cross_encoder.iterdir())
    assert mine == Fetched("weights of mine", size, size)
    assert (wrong.state, theirs.state) == ("missing", "missing")
    assert "holds a bi-encoder, not a cross-encoder" in wrong.problem
    assert theirs.problem == "theirs: there is no run file models/theirs.trec"
    (tmp_path / "models" / "theirs.trec").write_text("q Q0 d 1 1 x\n")
    assert [one.state for one in prefetch(["theirs"])] == ["here already, 0.0 MB"]


@pytest.mark.usefixtures("house")
def test_a_cascade_is_known_before_its_hub_models_are_here_but_never_scores_then() -> None:
    cascade = resolved("our-cascade", device=None, fetch=False, above=())
    assert [type(stage).__name__ for stage in cascade] == ["BM25", "Unfetched"]
    with pytest.raises(InputError, match="'org/m' is not on this disk"):
        Unfetched(model="org/m").score(None, None)
    with pytest.raises(InputError, match="'org/m' is no model known here"):
        load("our-cascade")
