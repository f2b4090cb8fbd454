"""Whether a few texts that no corpus should have slow down the scoring of the others.

Short texts, the odd ones (a text of 10,000 words, empty texts, emoji, lines of 200 KB with and without spaces) and both
together take turns. What the short ones take in the mix is the mix less the odd ones alone; it should be at most 10 %
more than what they take by themselves.

    python benchmarks/adversarial.py [--size bench]
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from minilm import forget, random_head
from turns import Ratio, Row, alternate, parser, write

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.engine.probe_texts import passages
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.values.run import Run

SIZES = {"small": (100, 1), "bench": (1_000, 3), "full": (5_000, 3), "gpu": (5_000, 5)}
"""Short texts, and rounds."""

AT_MOST = 1.1

ODD = [
    "glacier ice moves " * 3_334,
    *[""] * 20,
    *["🐝🐋🧊" * 20] * 5,
    "the pump starts when the float rises. " * 5_300,
    "x" * 200_000,
    "語" * 66_000,
]


def lists(texts: list[str]) -> tuple[Queries, Run]:
    """All texts as the candidates of one query."""
    corpus = Corpus.of([str(row) for row in range(len(texts))], texts)
    docs = np.arange(len(texts), dtype=np.int32)[None, :]
    return Queries(("q",), ("why does ice move",)), Run(("q",), corpus, docs, np.zeros(docs.shape, np.float32))


def main() -> None:
    import torch

    options = parser(__doc__)
    given = options.parse_args()
    count, rounds = SIZES[given.size]
    short = [" ".join(text.split()[:12]) + f" {row}" for row in range(count) for text in [passages()[row % 24][0]]]
    with tempfile.TemporaryDirectory() as place:
        stage = CrossEncoder(model=str(random_head(Path(place) / "minilm-cross-encoder")), dtype="float32")
        stage.prepare()
        work = {"short": lists(short), "odd": lists(ODD), "mix": lists([*short, *ODD])}

        def cold(name: str) -> np.ndarray:
            """Scores, with nothing held of texts that were tokenised before."""
            forget(stage)
            return stage.score(*work[name])

        taken = alternate({name: lambda name=name: cold(name) for name in work}, given.rounds or rounds)
    taken.show(f"{count:,} short texts, {len(ODD)} odd ones", "short")
    alone = np.concatenate([taken.values["short"][0], taken.values["odd"][0]])
    moved = float(np.abs(alone - taken.values["mix"][0]).max())
    print(f"largest difference of a score in the mix: {moved:.1e}")
    # Others' work on the machine does not count where one thread is all that there is to count.
    alone_there = torch.get_num_threads() == 1 and stage.network.device.type == "cpu"
    seconds = taken.cpu if alone_there else taken.seconds
    rest = [mix - odd for mix, odd in zip(seconds["mix"], seconds["odd"], strict=True)]
    slower = Ratio.of(seconds["short"], rest)
    median = 1 / slower.median
    note = f"the others take {median:.2f} times as long in the mix, at most {AT_MOST} wanted"
    row = Row("short texts in the mix", "short texts by themselves", slower, 1 / AT_MOST, "%", note)
    write("adversarial", given, [row], difference=moved, **taken.as_json())


if __name__ == "__main__":
    main()
