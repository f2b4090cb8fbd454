"""A LangChain retriever over an index of mteb-cascade: the very cascade that was evaluated, in a chain.

pip install mteb-cascade langchain-core
mteb-cascade index our-cascade PythonDocs -o indexes/our-cascade
python examples/langchain_retriever.py indexes/our-cascade "how to open a file for writing"
"""

from __future__ import annotations

import argparse
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field

from mteb_cascade import Result, Retriever


class MtebCascadeRetriever(BaseRetriever):
    """Finds documents by a stage or cascade; a search may run in any thread.

    >>> MtebCascadeRetriever(retriever=Retriever.open("indexes/our-cascade"), k=5).invoke("how to open a file")
    ... # doctest: +SKIP

    Args:
        retriever: An open index.
        k: Documents wanted; `invoke(query, k=3)` wants others.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    retriever: Retriever
    k: int = Field(default=10, ge=1)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        return [document(result) for result in self.retriever.search(query, self.k if k is None else k)]


def document(result: Result) -> Document:
    """A result as LangChain has it: id, score, and what each stage said of it stand in the metadata."""
    stages: list[dict[str, Any]] = result.as_json()["stages"]
    metadata = {"id": result.document_id, "score": result.score, "stages": stages}
    return Document(id=result.document_id, page_content=result.document_text, metadata=metadata)


def main() -> None:
    """Search an index through LangChain."""
    parser = argparse.ArgumentParser()
    parser.add_argument("index", help="folder that `mteb-cascade index` made")
    parser.add_argument("query")
    parser.add_argument("-k", type=int, default=5)
    given = parser.parse_args()
    retriever = MtebCascadeRetriever(retriever=Retriever.open(given.index), k=given.k)
    for found in retriever.invoke(given.query):
        print(f"{found.metadata['score']:8.4f}  {found.metadata['id']}")  # noqa: T201 - a command prints


if __name__ == "__main__":
    main()
