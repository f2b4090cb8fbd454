"""Evaluation while training: a small depth sweep on held-out queries, with the candidates as the first stage has them.

Nothing is put into the candidates: what the first stage does not find, no reranker can, and the figures say so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from sentence_transformers.base.evaluation import BaseEvaluator

from mteb_cascade.corpora.collection import Split
from mteb_cascade.errors import InputError
from mteb_cascade.progress import Progress, silent
from mteb_cascade.stages.load import load, stage_class
from mteb_cascade.training.data.training_data import TrainingData
from mteb_cascade.training.options import Evaluation
from mteb_cascade.training.watching.collapse import Collapse, Spread, of_stage, spread
from mteb_cascade.values.curves import curves
from mteb_cascade.values.measures import Measure, mean
from mteb_cascade.values.run import PAD, Run

MEASURES = ("mrr@10", "ndcg@5", "success@1")
"""What is logged at every depth, beside the measure that chooses the checkpoint."""

SAMPLE = 256
"""Documents whose vectors are looked at for collapse."""

LOG = "depth_sweep.jsonl"
"""File of an evaluation a line: step, epoch, seconds, every figure, and the collapse reading in words."""


class DepthSweep(BaseEvaluator):
    """How well a model reranks a first stage's candidates at several depths, by one scoring of the deepest.

    The trainer calls it; what it returns is named `mrr@10_depth100` (measure, depth), `first_mrr@10` for the first
    stage's own ranking, and `mean_cosine`, `effective_rank` or `spread_within` for collapse. Names are made so that
    they survive transformers' `eval_` prefix, TensorBoard (which turns @ into _) and W&B. The figures are those of a
    cascade of the first stage and the model, unblended.

    Under several processes sentence-transformers' trainer calls the evaluator in the first one, where encoders share
    their texts with the others.

    Args:
        kind: Of the model.
        split: Q judged queries.
        candidates: [Q, K], what the first stage retrieved for them; K >= every measure's cut-off.
        depths: Rerank depths; one beyond what was retrieved counts as the deepest there is.
        metric: The measure that chooses, at the deepest of the depths: `primary_metric`.
        sample: Documents for the collapse reading of encoders.
        batch_size: Texts or pairs of full length in one forward pass.
        bfloat16: Whether forward passes run in bfloat16, as the training's own do.
        what: What messages call the model.
    """

    def __init__(
        self,
        kind: str,
        split: Split,
        candidates: Run,
        *,
        depths: Sequence[int] = (10, 50, 100),
        metric: str = "mrr@10",
        sample: Sequence[str] = (),
        batch_size: int = 32,
        bfloat16: bool = False,
        what: str = "",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kind, self.split, self.candidates = kind, split, candidates
        self.depths = sorted(set(depths))
        self.measures = tuple(dict.fromkeys((*MEASURES, metric)))
        self.sample, self.batch_size, self.bfloat16, self.what = sample, batch_size, bfloat16, what
        self.greater_is_better = True
        self.primary_metric = key(metric, self.depths[-1])
        self.reading: Collapse | Spread | None = None

    @classmethod
    def of(
        cls,
        kind: str,
        data: TrainingData,
        asked: Evaluation,
        seed: int,
        what: str,
        progress: Progress = silent,
        *,
        bfloat16: bool = False,
    ) -> DepthSweep | None:
        """The sweep that a spec asks for, its candidates retrieved through the run store.

        Args:
            kind: Of the model.
            data: Its held-out queries are asked, judged ones only, and search its corpus.
            asked: The `[training.evaluation]` table.
            seed: Draws the queries, and the documents for the collapse reading.
            what: What messages call the model.
            progress: Told before and after the first stage retrieves.
            bfloat16: Whether forward passes run in bfloat16.

        Returns:
            None where no queries are held out.

        Raises:
            InputError: A depth or the metric is wrong; the first stage cannot be loaded, or finds nothing.
        """
        if wrong := mistakes(asked):
            raise InputError("\n".join(f"{what}: {mistake}" for mistake in wrong))
        where = f"{what}: [training.evaluation]"
        measures = [Measure.parse(name) for name in (*MEASURES, asked.metric)]
        judged = data.held_out.judged() if data.held_out is not None else None
        if judged is None or not len(judged.queries):
            return None
        draw = np.random.default_rng(seed)
        rows = draw.choice(len(judged.queries), min(asked.queries, len(judged.queries)), replace=False)
        split = judged.take(np.sort(rows))
        progress(0, 1, f"candidates of {asked.first} for {len(split.queries):,} held-out queries")
        try:
            first = load(asked.first)
            first.index(data.corpus)
            candidates = first.retrieved(split.queries, max(*asked.depths, *(one.cutoff for one in measures)))
        except InputError as error:
            raise InputError(f"{where} first: {error}") from None
        if not (candidates.docs != PAD).any():
            raise InputError(
                f"{where} first: {first.label} finds nothing for any of the {len(split.queries):,} held-out queries of "
                f"{data.name}; name a first stage that was made for this collection"
            )
        progress(1, 1, "")
        sampled = np.sort(draw.choice(len(data.corpus), min(SAMPLE, len(data.corpus)), replace=False))
        return cls(
            kind,
            split,
            candidates,
            depths=asked.depths,
            metric=asked.metric,
            sample=data.corpus.texts_at(sampled),
            bfloat16=bfloat16,
            what=what,
        )

    @property
    def work(self) -> int:
        """What an evaluation costs: pairs to score for a cross-encoder, texts to encode for the others."""
        docs = self.candidates.docs[:, : self.depths[-1]]
        docs = docs[docs != PAD]
        return len(docs) if self.kind == "cross-encoder" else len(np.unique(docs)) + len(self.split.queries)

    def first(self, queries: int) -> DepthSweep:
        """The same for its first queries alone, without the collapse reading of encoders: to see how long it takes."""
        rows = np.arange(min(queries, len(self.split.queries)))
        part = copy(self)
        part.split, part.candidates, part.sample = self.split.take(rows), self.candidates.rows(rows), ()
        return part

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: float = -1, steps: int = -1
    ) -> dict[str, float]:
        """Evaluate the model as it is now; its mode and the random state stay as they are.

        Args:
            model: The network, of the evaluator's kind.
            output_path: Folder of the log, to which a line is added; None writes nothing.
            epoch: Epochs done.
            steps: Optimiser steps done.

        Raises:
            InputError: A score is NaN; the pair is named.
        """
        begun = perf_counter()
        run = self.candidates
        with at_rest(model, self.bfloat16):
            stage: Any = stage_class(self.kind)
            stage = stage.around(model, name=self.what, batch_size=self.batch_size)
            scores = stage.scored(self.split.queries, run.cut(self.depths[-1]))
            if self.kind == "cross-encoder":
                self.reading = spread(scores)
            elif self.sample:
                self.reading = of_stage(stage, self.sample)
        found = curves(run, scores, self.split.qrels, self.measures)
        figures = {
            key(measure, depth): float(mean(values[:, min(depth, values.shape[1]) - 1]))
            for measure, values in found.items()
            for depth in self.depths
        }
        # Reranking one candidate changes nothing: the first column is the first stage's own ranking.
        figures |= {f"first_{measure}": float(mean(values[:, 0])) for measure, values in found.items()}
        figures |= self.reading.figures if self.reading else {}
        if output_path is not None:
            line: dict[str, Any] = {
                "step": steps,
                "epoch": epoch,
                "seconds": round(perf_counter() - begun, 3),
                **figures,
            }
            line |= {"verdict": self.reading.verdict} if self.reading else {}
            add_line(Path(output_path) / LOG, line)
        return figures


def mistakes(asked: Evaluation) -> list[str]:
    """A line on each wrong value of a `[training.evaluation]` table, as far as can be told without data."""
    where, found = "[training.evaluation]", []
    if not asked.depths or min(asked.depths) < 1:
        found.append(f"{where} depths: expected one or more depths of at least 1, got {asked.depths}")
    if asked.queries < 1:
        found.append(f"{where} queries: expected at least 1, got {asked.queries}")
    try:
        Measure.parse(asked.metric)
    except InputError as error:
        found.append(f"{where} metric: {error}")
    return found


def key(measure: str, depth: int) -> str:
    """What a figure is called.

    >>> key("mrr@10", 100)
    'mrr@10_depth100'
    """
    return f"{measure}_depth{depth}"


@contextmanager
def at_rest(network: Any, bfloat16: bool = False) -> Iterator[None]:
    """The network in evaluation mode, in float32 or bfloat16; afterwards each module in the mode it was in."""
    import torch

    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.autocast(network.device.type, torch.bfloat16, enabled=bfloat16):
            yield
    finally:
        for module, training in modes:
            module.training = training


def add_line(file: Path, line: dict[str, Any]) -> None:
    """Add an object to a JSONL file; NaN, which JSON does not have, becomes null."""
    told = {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in line.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as log:
        log.write(json.dumps(told) + "\n")


def logged(folder: Path) -> list[dict[str, Any]]:
    """The evaluations in a folder's log by step; of one that a resumed run did again, the last.

    A line that a killed run left unfinished is passed over.
    """
    file = folder / LOG
    lines: dict[int, dict[str, Any]] = {}
    for text in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        try:
            line = json.loads(text)
            lines[line["step"]] = line
        except (ValueError, KeyError, TypeError):
            continue
    return [lines[step] for step in sorted(lines)]
