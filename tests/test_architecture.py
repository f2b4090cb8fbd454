"""DESIGN's rules of the house, read from the source: who imports whom, how long files are, what text is committed."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "mteb_cascade"

FLOORS = {
    1: ("values", "corpora", "spec", "spec_edit", "errors", "atomic", "progress", "markdown", "json_file", "installed"),
    2: ("engine", "store"),
    3: ("stages",),
    4: ("training", "experiments", "retriever", "mteb_plugin", "report", "publish"),
    5: ("studies",),
    6: ("cli", "__main__"),
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}

IMPORTS_MTEB = (
    "mteb_plugin",
    "publish",
    "studies",
    "stages.model_meta",
    "stages.mteb",
    "stages.mteb_registry",
    "corpora.mteb_task",
    "cli.main",
)

MACHINE = re.compile(r"(?<![\w.])/(work|root)/|file://|files\.pythonhosted|index-url|find-links|/opt/(pypi|wheels)")


def modules() -> dict[str, Path]:
    """{name below the package: file}."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(name: str, *, module_level: bool = False) -> set[str]:
    """Dotted names that a module imports, those for type checkers left out."""
    return set(imported(ast.parse(MODULES[name].read_text()).body, module_level))


def imported(body: list[ast.stmt], module_level: bool) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            yield from imported(node.orelse, module_level)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import: {ast.unparse(node)}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not (module_level and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
            inner = [child for child in ast.walk(node) if isinstance(child, ast.Call)] if not module_level else []
            for call in inner:
                if ast.unparse(call.func).endswith("import_module") and isinstance(call.args[0], ast.Constant):
                    yield str(call.args[0].value)
            for field in ("body", "orelse", "finalbody", "handlers", "cases"):
                for child in getattr(node, field, []):
                    yield from imported([child], module_level)


def ours(names: set[str]) -> set[str]:
    """Our modules among imported names."""
    found = set()
    for name in names:
        if name.split(".")[0] == PACKAGE:
            inner = name.removeprefix(PACKAGE).lstrip(".")
            while inner not in MODULES:
                inner = inner.rpartition(".")[0]
            found.add(inner)
    return found


def room(name: str) -> str:
    return name.split(".")[0]


def mteb_names(name: str) -> set[str]:
    return {one for one in imports(name) if one.split(".")[0] == "mteb"}


def test_every_module_has_a_floor():
    assert {room(name) for name in MODULES if name} <= set(FLOOR)


@pytest.mark.parametrize("name", [name for name in MODULES if name])
def test_imports_go_down_only(name):
    for other in ours(imports(name)):
        assert other, f"{name} imports the package itself, which stands above all"
        here, there = FLOOR[room(name)], FLOOR[room(other)]
        assert there <= here, f"{name} (floor {here}) imports {other} (floor {there})"
        strangers = here == there == 4 and room(name) != room(other)
        assert not strangers, f"{name} imports {other}: rooms of floor 4 do not know each other"


def test_no_import_circles():
    edges = {name: ours(imports(name, module_level=True)) - {name} for name in MODULES}
    free = set()
    while True:
        ready = {name for name, needed in edges.items() if name not in free and needed <= free}
        if not ready:
            break
        free |= ready
    assert set(edges) - free == set()


def test_mteb_is_imported_only_where_it_is_the_subject():
    guilty = [name for name in MODULES if mteb_names(name)]
    assert [name for name in guilty if not any(f"{name}.".startswith(f"{one}.") for one in IMPORTS_MTEB)] == []


def test_the_registries_of_mteb_are_touched_by_the_plugin_only():
    touched = re.compile(r"MODEL_REGISTRY|_TASKS_REGISTRY")
    reads_only = "stages.mteb_registry"
    touching = {name for name, path in MODULES.items() if touched.search(path.read_text())} - {reads_only}
    assert {room(name) for name in touching} == {"mteb_plugin"}


def test_values_stand_on_numpy_alone():
    heavy = {"torch", "mteb", "polars", "transformers", "sentence_transformers", "pandas", "datasets"}
    for name in MODULES:
        if room(name) in ("values", "spec", "errors", "atomic"):
            assert not heavy & {one.split(".")[0] for one in imports(name)}, name


def committed() -> list[Path]:
    """Files that git has or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """{path: text} of every committed text file."""
    found = {}
    for path in committed():
        try:
            found[path.relative_to(ROOT).as_posix()] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return found


def test_no_python_file_is_longer_than_400_lines(texts):
    assert {
        name: lines for name, text in texts.items() if name.endswith(".py") and (lines := text.count("\n")) > 400
    } == {}


def test_no_committed_text_names_this_machine(texts):
    here = Path(__file__).relative_to(ROOT).as_posix()
    assert {name: found[0] for name, text in texts.items() if name != here and (found := MACHINE.search(text))} == {}


def test_the_pins_meet_the_ranges():
    import tomllib

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = dict(line.split("==") for line in lines)
    assert lines == sorted(lines, key=lambda line: line.partition("==")[0].lower())
    versions = {canonicalize_name(name): version for name, version in pins.items()}
    extras = project["optional-dependencies"]
    tested = [text for extra in ("dev", "lucene", "browser", "faiss", "serve") for text in extras[extra]]
    for needed in map(Requirement, project["dependencies"] + tested):
        assert needed.name == project["name"] or needed.specifier.contains(versions[canonicalize_name(needed.name)]), (
            needed
        )


def test_the_pins_are_what_is_needed_and_no_more():
    from importlib.metadata import distribution
    from importlib.util import find_spec

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {canonicalize_name(line.split("==")[0]) for line in lines if not line.startswith("#")}
    reached: set[tuple[str, str]] = set()
    extras = ["", "dev", *(["lucene"] if find_spec("pyserini") else [])]
    extras += ["browser"] if find_spec("playwright") else []
    waiting = [("mteb-cascade", extra) for extra in extras]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) not in reached:
            reached.add((name, extra))
            for text in distribution(name).requires or ():
                needed = Requirement(text)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    waiting += [(canonicalize_name(needed.name), one) for one in ("", *needed.extras)]
    assert {name for name, _ in reached} - {"mteb-cascade"} <= pinned
