"""A working folder with four models, and two interpreters: the running one, and one that holds only our wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from every_kind import RERANKERS
from every_kind import SPECS as SPECS_OF_KINDS
from warm import Warm

ROOT = Path(__file__).resolve().parents[2]

SPECS = {
    "our-bm25": 'name = "ours/lexical"\nkind = "bm25"\n[card]\nlicense = "apache-2.0"\nlanguages = ["eng-Latn"]\n',
    "our-biencoder": 'kind = "bi-encoder"\n',
    "our-hybrid": """
        kind = "hybrid"
        [[member]]
        model = "our-bm25"
        weight = 0.1
        [[member]]
        model = "our-biencoder"
        """,
    "our-cascade": """
        kind = "cascade"
        [[stage]]
        model = "our-bm25"
        [[stage]]
        model = "our-biencoder"
        depth = 100
        """,
}

Interpreter = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def biencoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a SentenceTransformer: random vectors of the words of our licence."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    # Not trained: of pairs that are equally frequent a trainer takes another one in every process.
    words = sorted(set((ROOT / "LICENSE").read_text().split()))
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    table = torch.randn(tokenizer.get_vocab_size(), 16, generator=torch.Generator().manual_seed(0))
    folder = tmp_path_factory.mktemp("biencoder") / "our-biencoder"
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=table)], device="cpu").save(str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny_t5_ranker(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The encoder of a T5 with random weights as a CrossEncoder."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    from mteb_cascade import encoder_ranker

    folder = tmp_path_factory.mktemp("rankers")
    special = {"pad_token_id": tiny_tokenizer.pad_token_id, "eos_token_id": tiny_tokenizer.sep_token_id}
    shape = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
    torch.manual_seed(0)
    T5ForConditionalGeneration(T5Config(vocab_size=len(tiny_tokenizer), **shape, **special)).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    encoder_ranker(folder, device="cpu").save_pretrained(str(folder / "ranker"))
    return folder / "ranker"


@pytest.fixture(scope="session")
def write_kinds(
    tiny_bi_encoder: Path,
    tiny_sparse: Path,
    tiny_inference_free: Path,
    tiny_late_interaction: Path,
    tiny_cross_encoder: Path,
    tiny_t5_ranker: Path,
) -> Callable[[Path, Iterable[str]], None]:
    """Writes these specs of `every_kind` into a folder, as our-NAME.toml."""
    weights = dict(locals())

    def write(folder: Path, names: Iterable[str]) -> None:
        folder.mkdir()
        for name in names:
            text = (RERANKERS | SPECS_OF_KINDS)[name].format_map(weights)
            (folder / f"our-{name}.toml").write_text(text + "\n")

    return write


@pytest.fixture
def house(tmp_path: Path, biencoder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, and the test stands in it."""
    folder = furnished(tmp_path / "house", biencoder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MTEB_CASCADE_MODELS", raising=False)
    return folder


def furnished(folder: Path, biencoder: Path) -> Path:
    """Put the specs and the weights into a folder's models/."""
    models = folder / "models"
    shutil.copytree(biencoder, models / "our-biencoder")
    for name, text in SPECS.items():
        (models / f"{name}.toml").write_text(text)
    return folder


@pytest.fixture(scope="session")
def visited(tmp_path_factory: pytest.TempPathFactory, biencoder: Path) -> Path:
    """As `house`, for tests that share one and change nothing in it; one of its specs is broken."""
    folder = furnished(tmp_path_factory.mktemp("visited"), biencoder)
    (folder / "models" / "our-broken.toml").write_text('kind = "bm52"\n')
    (folder / "models" / "our-torn.toml").write_text('kind = "cascade\n')
    return folder


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Interpreter:
    """Call the interpreter that runs the tests: `running(*arguments, cwd=..., NAME=value)`."""
    return interpreter(Path(sys.executable), tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def warmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interpreter]:
    """As `running`, but forked from an interpreter that has imported sentence-transformers, though not mteb or us.

    What is asked when an interpreter starts, such as MTEB_CASCADE_AUTOLOAD, is for `running`.
    """
    cache = tmp_path_factory.mktemp("cache")
    warm = Warm(env=environment_of(cache))
    yield interpreter(Path(sys.executable), cache, warm)
    warm.close()


@pytest.fixture(scope="session")
def wheel_only(tmp_path_factory: pytest.TempPathFactory) -> Interpreter:
    """Call the interpreter of a fresh environment that holds our wheel and sees the libraries of the running one.

    The libraries come by a path in a `.pth` file: Python does not read the `.pth` files of a folder that is put on the
    path so, hence neither the editable install nor its start-up hook is active there.
    """
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, capture_output=True)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    (site / "deps.pth").write_text(sysconfig.get_path("purelib") + "\n")
    command = Path(sys.executable).with_name("mteb").read_text().splitlines(keepends=True)
    (python.parent / "mteb").write_text("".join([f"#!{python}\n", *command[1:]]))
    (python.parent / "mteb").chmod(0o755)
    return interpreter(python, folder / "cache")


def environment_of(cache: Path) -> dict[str, str]:
    """What a command finds in its environment."""
    ours = {
        "HF_HUB_OFFLINE": "1",
        "MTEB_CASCADE_CACHE": str(cache),
        "MTEB_CACHE": str(cache),
        "COLUMNS": "200",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",  # threads of two processes on few cores wait for each other, busily
    }
    return {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MTEB_CASCADE_MODELS")
    } | ours


def interpreter(python: Path, cache: Path, warm: Warm | None = None) -> Interpreter:
    """A function that runs this interpreter, or a command installed beside it, outside the repository."""

    def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [*arguments] if arguments[0].startswith("-") else [python.with_name(arguments[0]), *arguments[1:]]
        env = environment_of(cache) | environment
        if warm is not None:
            return warm(*command, cwd=cwd, env=env)
        command = [python, *command] if arguments[0].startswith("-") else command
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)

    return run


@pytest.fixture
def clean_registry() -> Iterator[dict[str, object]]:
    """mteb's model registry, put back as it was after the test."""
    from mteb.models.model_implementations import MODEL_REGISTRY

    before = dict(MODEL_REGISTRY)
    yield MODEL_REGISTRY
    MODEL_REGISTRY.clear()
    MODEL_REGISTRY.update(before)


@pytest.fixture
def clean_tasks() -> Iterator[None]:
    """mteb's task registry and its table of similar tasks, put back as they were after the test."""
    import mteb.get_tasks  # noqa: F401

    module = sys.modules["mteb.get_tasks"]
    tasks = dict(module._TASKS_REGISTRY)
    similar = {base: list(names) for base, names in module._SIMILAR_TASKS.items()}
    yield
    for table, before in ((module._TASKS_REGISTRY, tasks), (module._SIMILAR_TASKS, similar)):
        table.clear()
        table.update(before)
