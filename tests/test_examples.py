"""What lies in examples/ works as it says."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mteb_cascade import InputError, Retriever
from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.cross_encoder import CrossEncoder

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
DOCUMENTS = {"d1": "a red fox", "d2": "blue whale", "d3": "old red stone", "d4": "red tree"}


def example(name: str) -> ModuleType:
    """The module of an example, of which nothing is installed."""
    made = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert made is not None and made.loader is not None
    module = importlib.util.module_from_spec(made)
    sys.modules[name] = module
    made.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def retriever(tiny_cross_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Retriever:
    first = BM25(language="none", stop_words="none", name="local/words")
    stage = Cascade(first, Step(CrossEncoder(model=str(tiny_cross_encoder), name="local/pairs"), depth=2))
    made = Retriever(stage, tmp_path_factory.mktemp("example") / "index")
    made.embed_and_store_corpus(Corpus.of(DOCUMENTS, DOCUMENTS.values()))
    return made


@pytest.fixture
def module() -> Any:
    pytest.importorskip("langchain_core", reason="langchain-core is missing: pip install -e '.[dev]'")
    return example("langchain_retriever")


def test_langchain_gets_what_the_retriever_finds(module: Any, retriever: Retriever) -> None:
    chained = module.MtebCascadeRetriever(retriever=retriever, k=2)
    found, expected = chained.invoke("red fox"), retriever.search("red fox", 2)
    assert [one.id for one in found] == [one.document_id for one in expected] and len(found) == 2
    for document, result in zip(found, expected, strict=True):
        assert document.page_content == result.document_text == DOCUMENTS[result.document_id]
        assert document.metadata == {
            "id": result.document_id,
            "score": result.score,
            "stages": [{"stage": one.stage, "rank": one.rank, "score": one.score} for one in result.stages],
        }
        assert [one["stage"] for one in document.metadata["stages"]] == ["local/words", "local/pairs"]
    assert chained.invoke("red", k=3) == module.MtebCascadeRetriever(retriever=retriever, k=3).invoke("red")
    assert asyncio.run(chained.ainvoke("red fox")) == found
    assert chained.batch(["red fox", "whale"]) == [found, chained.invoke("whale")]
    assert chained.invoke("zebra") == []


def test_langchain_passes_mistakes_on(module: Any, retriever: Retriever) -> None:
    with pytest.raises(InputError, match="empty"):
        module.MtebCascadeRetriever(retriever=retriever).invoke(" ")
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        module.MtebCascadeRetriever(retriever=retriever, k=0)


def test_the_example_runs_as_a_command(
    module: Any, monkeypatch: pytest.MonkeyPatch, retriever: Retriever, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module.Retriever, "open", lambda folder: retriever)
    monkeypatch.setattr(sys, "argv", ["langchain_retriever.py", "indexes/our-cascade", "whale", "-k", "1"])
    module.main()
    assert capsys.readouterr().out.split()[1:] == ["d2"]
