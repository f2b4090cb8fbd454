"""A collection of a few random words, and training runs on it that take a fraction of a second."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from mteb_cascade import spec as specs
from mteb_cascade.training.prepared import Prepared, checked, prepare

WORDS = [f"w{number}" for number in range(40)]


def write_collection(folder: Path) -> None:
    """60 documents of 8 words; queries are 3 words of one of them: 40 to learn from and 12 held out."""
    draw = random.Random(0)
    documents = [draw.sample(WORDS, 8) for _ in range(60)]
    answers = [draw.randrange(60) for _ in range(52)]
    (folder / "qrels").mkdir(parents=True)
    corpus = [{"_id": f"d{row}", "title": "", "text": " ".join(words)} for row, words in enumerate(documents)]
    queries = [
        {"_id": f"q{row}", "text": " ".join(draw.sample(documents[answer], 3))} for row, answer in enumerate(answers)
    ]
    for name, lines in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for split, rows in (("train", range(40)), ("dev", range(40, 52))):
        judged = "".join(f"q{row}\td{answers[row]}\t1\n" for row in rows)
        (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)


def write_specs(write_spec: Any, kind: str, loss: str, card: str = "", evaluation: str = "", **table: Any) -> None:
    """The spec `tiny` and its first stage `words`, beside the collection; the working folder is the test's."""
    write_collection(Path("words"))
    given = {"base": "scratch", "collection": "words", "loss": loss, "learning_rate": 0.05, "batch_size": 8} | table
    layers = 0 if kind == "bi-encoder" else 1
    write_spec("words", 'kind = "bm25"')
    write_spec(
        "tiny",
        f'kind = "{kind}"\n[card]\n{card}\n[training]\n'
        + "".join(f"{key} = {json.dumps(value)}\n" for key, value in given.items())
        + f"[training.scratch]\nvocabulary = 120\ndim = 16\nlayers = {layers}\nheads = 2\nfeed_forward = 16\n"
        + f'positions = 32\n[training.evaluation]\nfirst = "words"\ndepths = [5, 20]\n{evaluation}\n',
    )


def prepared(write_spec: Any, kind: str, loss: str, **table: Any) -> Prepared:
    """What a training run of `tiny` starts from."""
    write_specs(write_spec, kind, loss, **table)
    spec = specs.required("tiny")
    return prepare(spec, checked(spec), Path("models/.tiny.training"))
