"""`mteb-cascade publish` from its command line: what it prints, its exit codes, and that it leaves nothing behind."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from ready_specs import CARD, COMMIT
from small_hub import DAY, SmallHub, ask_there, served


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@pytest.fixture
def run(ready: Path, command: Callable[..., tuple[int, str, str]]) -> Callable[..., Answer]:
    """Runs `mteb-cascade publish` in this process; nobody sits at a terminal."""

    return lambda *arguments: Answer(*command("publish", *arguments))


def test_check_says_all_and_writes_nothing(run: Callable[..., Answer]) -> None:
    answer = run("tiny", "-r", ".", "--check")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == f"our-org/tiny: nothing to send back (1 result at revision {COMMIT})\n"
    path = Path("models/tiny.toml")
    path.write_text(path.read_text().partition("[card]")[0])
    answer = run("tiny", "--check")
    assert (answer.code, answer.out) == (1, "")
    keys = ("commit", "license", "languages", "open_weights", "training_datasets", "release_date")
    lines = answer.err.splitlines()
    assert [line.partition("[card] ")[2].partition(":")[0] for line in lines] == list(keys)
    assert run("tiny").err == answer.err
    assert not Path("published").exists()


def test_publishing_ends_with_the_command_that_submits(run: Callable[..., Answer]) -> None:
    answer = run("funnel", "-t", "SciFact", "-o", "there")
    assert answer.code == 0, answer.err
    assert "ModelMeta(" in answer.out
    assert answer.out.splitlines()[-1] == "mteb submit-results -m our-org/funnel --output-folder there/funnel"
    assert Path("there/funnel/README.md").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tiny", "--commit", "main"], "'main' is no commit of 40 hexadecimal digits"),
        (["tiny", "-t", "PythonDocsRetrieval"], "the leaderboard has no task 'PythonDocsRetrieval'"),
        (["tiny", "-o", "models/tiny.toml"], "-o: models/tiny.toml is a file"),
        (["our-org/tiny", "-o", "models"], "-o: models/tiny is there already and was not published before"),
        (["nobody"], "unknown model 'nobody'"),
        (["tiny", "--check", "--push"], "--check writes and sends nothing"),
        (["funnel", "--push"], "--push: funnel has no weights of its own"),
        (["tiny", "--push"], "--push asks before it uploads, and nobody can answer here: add --yes"),
    ],
)
def test_bad_input_ends_in_one_line(run: Callable[..., Answer], arguments: list[str], said: str) -> None:
    answer = run(*arguments)
    assert (answer.code, answer.out, len(answer.err.splitlines())) == (2, "", 1), answer.err
    assert said in answer.err
    assert not Path("published").exists()
    assert Path("models/tiny/model.safetensors").is_file()


def test_push_follows_no_link_out_of_the_models_folder(run: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}")
    Path("models/tiny/notes.json").symlink_to(tmp_path / "secret.json")
    answer = run("tiny", "--push", "--yes")
    assert (answer.code, answer.out) == (2, "")
    assert "--push: models/tiny/notes.json is a link to a file outside the model's folder" in answer.err


def test_no_is_no(run: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", type("Terminal", (io.StringIO,), {"isatty": lambda self: True})("n\n"))
    answer = run("tiny", "--push")
    assert (answer.code, answer.err) == (1, "nothing was uploaded\n")
    assert not Path("published").exists()


def test_push_uploads_the_model_and_its_card_and_names_the_commit(
    run: Callable[..., Answer], ready: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path("models/tiny.toml")
    path.write_text(path.read_text().replace(f'commit = "{COMMIT}"\n', "").replace('release_date = "2026-01-31"\n', ""))
    hub = SmallHub({}, "ab" * 20)
    with served(hub) as address:
        ask_there(address, monkeypatch)
        answer = run("tiny", "--push", "--yes")
        assert answer.code == 0, answer.err
    model = {one.relative_to("models/tiny").as_posix(): one.read_bytes() for one in Path("models/tiny").rglob("*")}
    assert hub.created == ["tiny"]
    assert set(hub.files) == {*model, "README.md"} - {"1_Pooling"}
    assert all(hub.files[name] == content for name, content in model.items() if name != "README.md")
    assert path.read_text().endswith(f'training_datasets = []\ncommit = "{hub.commit}"\n')
    assert "# ours" in path.read_text()
    assert (Path("published/tiny/results/our-org__tiny") / hub.commit / "SciFact.json").is_file()
    assert f'"release_date": "{DAY}"' in next(Path("published").rglob("model_meta.json")).read_text()


def test_push_uploads_nothing_while_there_are_other_faults(run: Callable[..., Answer]) -> None:
    path = Path("models/tiny.toml")
    path.write_text(path.read_text().replace(CARD, "[card]\n"))
    answer = run("tiny", "--push", "--yes")
    assert (answer.code, answer.out) == (1, "")
    assert "license: missing" in answer.err


@pytest.mark.parametrize("name", ["modeling.py", "pytorch_model.bin"])
def test_push_uploads_neither_code_nor_pickles(run: Callable[..., Answer], name: str) -> None:
    Path("models/tiny", name).write_text("")
    answer = run("tiny", "--push", "--yes")
    assert (answer.code, len(answer.err.splitlines())) == (2, 1)
    assert f"--push: models/tiny/{name} would be uploaded" in answer.err
