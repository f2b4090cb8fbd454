"""Every command and block of the README runs, in a folder with the demo's specs trained briefly."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from warm import IMPORTS, Warm

from mteb_cascade.report.tables import figure

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    return [line for block in blocks("console") for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """The demo's specs, with the same recipes at a fraction of their epochs, and a small BEIR folder."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "models").mkdir()
    for path in (ROOT / "models").glob("*.toml"):
        shutil.copy(path, folder / "models")
    edit(folder / "models/our-biencoder.toml", {"epochs = 3": "epochs = 1", "dim = 512": "dim = 64"})
    edit(folder / "models/our-reranker.toml", {"seed = 0": "seed = 0\nfolds = 2\ntable_epochs = 1\nepochs = 2"})
    shutil.copytree(shared_data / "scifact", folder / "my-collection")
    return folder


def edit(path: Path, changes: dict[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    """An interpreter that has read PythonDocs, which takes every command on it seconds."""
    process = Warm(f"{IMPORTS}; from mteb_cascade.corpora.pythondocs import load; load()")
    yield process
    process.close()


def test_the_commands_run(workplace: Path, warm: Warm) -> None:
    ran = []
    for command in commands():
        words = shlex.split(command)
        settings = dict(word.split("=") for word in words if word.startswith("MTEB_CASCADE_"))
        program, *arguments = words[len(settings) :]
        if program == "make":
            assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
            continue
        done = warm(BIN / program, *arguments, cwd=workplace, env=os.environ | {"COLUMNS": "80"} | settings)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        ran.append(command)
    assert len(ran) >= 6
    assert (workplace / "models/our-reranker/model.safetensors").is_file()
    (result,) = (workplace / "results").rglob("local__*/*/PythonDocsRetrieval.json")
    assert "our-cascade" in str(result)


def test_the_python_blocks_run(workplace: Path, warm: Warm) -> None:
    code = "\n".join(blocks("python"))
    check = "\nassert run.docs.shape == (1088, 10) or run.depth == 10\nassert model.encode(['x']).shape[1] == 64\n"
    check += "docs = load_collection('PythonDocs').split('dev').queries.rows(range(3))\n"
    check += (
        "cascade.index(load_collection('PythonDocs').corpus)\nassert cascade.retrieve(docs, 5).lengths.min() == 5\n"
    )
    done = warm("-c", code + check, cwd=workplace, env=dict(os.environ))
    assert done.returncode == 0, done.stderr


def between(name: str) -> str:
    """What stands between two comments of the README."""
    (found,) = re.findall(rf"<!-- {name} -->\n(.*?)<!-- end of {name} -->", README, re.DOTALL)
    return found


def test_the_toml_is_the_demo_s_cascade() -> None:
    """What the demo chose where the README's figures were made; elsewhere it may choose otherwise."""
    chosen = json.loads((ROOT / "results/reference/demo.json").read_text(encoding="utf-8"))["chosen_on_dev"]
    (block,) = (block for block in blocks("toml") if "[[stage]]" in block)
    first, step = tomllib.loads(block)["stage"]
    assert first == {"model": "our-hybrid"}
    assert step == {"model": "our-reranker", "depth": chosen["depth"], "blend": chosen["blend"]}
    (line,) = re.findall(r"Cascade\(\"our-hybrid\", .*\)", README)
    assert line == f'Cascade("our-hybrid", Step("our-reranker", depth={step["depth"]}, blend={step["blend"]}))'


def test_the_table_is_the_demo_s() -> None:
    result = json.loads((ROOT / "results/reference/demo.json").read_text(encoding="utf-8"))
    table = between("demo table")
    for name, scores in result["scores"].items():
        (row,) = re.findall(rf"^\| {name} \|(.*)\|$", table, re.MULTILINE)
        shown = [cell.strip().strip("*") for cell in row.split("|")]
        assert shown == [figure(scores[m]) for m in ("success@1", "recall@1", "recall@10", "recall@100", "ndcg@10")]
    assert result["note"] in README
    assert f"{result['queries']:,} test queries" in README


def test_the_table_of_kinds_is_what_was_measured() -> None:
    result = json.loads((ROOT / "results/reference/kinds.json").read_text(encoding="utf-8"))
    tables = between("kinds table").strip().split("\n\n")
    for table, measured in zip(tables, (result["scores"], result["twenty_queries"]), strict=True):
        rows = re.findall(r"^\| `([\w-]+)`: .*? \|((?: \S+ \|){5})$", table, re.MULTILINE)
        shown = {name: [cell.strip() for cell in cells.strip(" |").split("|")] for name, cells in rows}
        assert shown == {name: [figure(value) for value in found.values()] for name, found in measured.items()}


def test_every_kind_has_a_row() -> None:
    from mteb_cascade.stages.load import KINDS

    table = README.split("| kind | what it is")[1].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE)) == set(KINDS)
