"""The `[training]` table of a model that sentence-transformers' trainers train, and its sub-tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_type_hints

from mteb_cascade.errors import suggestion
from mteb_cascade.spec import Spec, SpecError
from mteb_cascade.stages.load import problem


@dataclass(frozen=True)
class Scratch:
    """A model from nothing: a tokenizer trained on the corpus, under a static table or a small BERT.

    Args:
        vocabulary: Entries of the tokenizer.
        dim: Width of a vector.
        layers: Of the BERT; 0 is the static table.
        heads: Attention heads of a layer.
        feed_forward: Width of a layer's inner part.
        positions: Tokens of the longest text.
    """

    vocabulary: int = 8000
    dim: int = 512
    layers: int = 0
    heads: int = 4
    feed_forward: int = 1024
    positions: int = 512


@dataclass(frozen=True)
class Mining:
    """Where hard negatives come from, and which of them are believed.

    Args:
        first: Names of the stages whose candidates are mined: the first stage that the model will serve behind, and
            perhaps the model of the round before.
        depth: Candidates that each of them gives, the depth that will be served.
        skip: First candidates that are passed over: on sparse labels they are often unjudged answers.
        judge: A reranker that scores positives and candidates; none by default.
        margin: With a judge, a candidate is kept where its score is at most the best positive's minus this.
        relative_margin: With a judge, as share of the size of the best positive's score (NV-Retriever's 0.05).
        random: Share of a list's negatives that are drawn from the whole corpus, in [0, 1].
        sampling: "top" takes the best believed candidates, "random" draws among them.
        queries: Training queries that are mined, drawn by the seed; None takes all.
    """

    first: list[str] = field(default_factory=lambda: ["our-bm25"])
    depth: int = 100
    skip: int = 0
    judge: str | None = None
    margin: float | None = None
    relative_margin: float | None = None
    random: float = 0.0
    sampling: Literal["top", "random"] = "random"
    queries: int | None = None


@dataclass(frozen=True)
class Evaluation:
    """How a model is watched while it learns: a small depth sweep on the held-out queries.

    Args:
        first: The stage whose candidates are reranked; nothing is put into them.
        metric: What chooses the checkpoint, such as mrr@10, at the deepest of the depths.
        depths: Rerank depths that are logged.
        queries: Held-out queries that are asked, the same each time.
        every: Steps between two evaluations, and two checkpoints; None is once an epoch.
        patience: Evaluations without a better one before training stops; None never stops early.
    """

    first: str = "our-bm25"
    metric: str = "mrr@10"
    depths: list[int] = field(default_factory=lambda: [10, 50, 100])
    queries: int = 200
    every: int | None = None
    patience: int | None = None


@dataclass(frozen=True)
class Training:
    """How a model is trained.

    Args:
        base: Hub id, folder, or the name of a spec whose weights to start from; "scratch" builds the model that
            `[training.scratch]` describes.
        revision: Commit, branch or tag of a hub base.
        collection: PythonDocs, a BEIR folder, or a task of mteb with a train split.
        data: Instead of `collection`, a file of triplets or scored lists (TSV, JSONL, Parquet).
        split: The split that is learned from.
        held_out: Queries of it that are taken out for choosing; 0 takes the collection's own dev split.
        loss: One word; `training.losses` lists those of each kind.
        loss_options: Keyword arguments of the loss.
        temperature: What similarities are divided by in contrastive losses and KL; None is .05 for cosines, and 1 for
            what is not bounded by 1.
        matryoshka: Widths at which a bi-encoder's loss is computed as well, the full one first.
        separate: Whether queries and documents get an encoder each.
        pooling: How token vectors become one: "mean", "cls" or "max".
        positives: Relevant documents of a list; a query that has more gets several lists.
        negatives: Negatives of a list.
        in_batch: Whether other queries' documents are negatives too (contrastive losses).
        teacher: Name of the model whose scores are the labels of distillation losses.
        optimizer: One of transformers' names, such as adamw_torch, adafactor, sgd.
        learning_rate: Its highest.
        schedule: One of transformers' names of learning rate schedules.
        warmup: Share of the steps over which the learning rate rises.
        weight_decay: The optimizer's.
        max_gradient: Norm to which a larger gradient is cut; 0 cuts none.
        epochs: Passes over the training queries.
        max_steps: Steps instead of epochs.
        batch_size: Queries (or pairs) of a step, on all devices together.
        micro_batch: Texts or pairs that are in memory at once; halved where memory runs out.
        query_length: Tokens kept of a query (late interaction).
        max_length: Tokens kept of a document, or of a pair.
        precision: "bf16" computes in bfloat16 where the weights stay float32; "auto" does where the device can.
        gradient_checkpointing: Whether activations are computed again instead of kept.
        attention: "flash_attention_2", "sdpa" or "eager"; None takes flash attention where it is installed.
        query_prompt: Put before queries, and kept in the model.
        document_prompt: Put before documents, and kept in the model.
        query_regularizer: Weight of SPLADE's FLOPS term on queries.
        document_regularizer: Weight of SPLADE's FLOPS term on documents.
        seed: Of initial weights, order and sampling.
        report_to: Where the curves go beside the terminal: tensorboard, wandb.
    """

    base: str
    loss: str
    revision: str | None = None
    collection: str | None = None
    data: str | None = None
    split: str = "train"
    held_out: int = 0
    loss_options: dict[str, Any] = field(default_factory=dict)
    temperature: float | None = None
    matryoshka: list[int] = field(default_factory=list)
    separate: bool = False
    pooling: Literal["mean", "cls", "max"] = "mean"
    positives: int = 1
    negatives: int = 0
    in_batch: bool = True
    teacher: str | None = None
    optimizer: str = "adamw_torch"
    learning_rate: float = 2e-5
    schedule: str = "linear"
    warmup: float = 0.1
    weight_decay: float = 0.0
    max_gradient: float = 1.0
    epochs: float = 1
    max_steps: int | None = None
    batch_size: int = 64
    micro_batch: int = 32
    query_length: int | None = None
    max_length: int | None = None
    precision: Literal["auto", "bf16", "float32"] = "auto"
    gradient_checkpointing: bool = False
    attention: str | None = None
    query_prompt: str | None = None
    document_prompt: str | None = None
    query_regularizer: float = 5e-5
    document_regularizer: float = 3e-5
    seed: int = 0
    report_to: list[str] = field(default_factory=list)
    scratch: Scratch = Scratch()
    mining: Mining | None = None
    evaluation: Evaluation = Evaluation()

    @classmethod
    def of(cls, spec: Spec) -> Training:
        """The `[training]` table of a spec.

        Raises:
            SpecError: With every mistake in the table and its sub-tables.
        """
        mistakes: list[str] = []
        found: Training | None = read(cls, spec.training, "training", mistakes)
        if found is not None and (found.collection is None) == (found.data is None):
            mistakes.append("[training] expected one of collection (a collection's name) and data (a file)")
        if mistakes or found is None:
            raise SpecError(spec.path, mistakes)
        return found


TABLES: dict[str, type] = {"scratch": Scratch, "mining": Mining, "evaluation": Evaluation}


def read(cls: Any, table: Mapping[str, Any], where: str, mistakes: list[str]) -> Any:
    """A table as one of these classes; what is wrong with it is added to the mistakes."""
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    before = len(mistakes)
    for key, value in table.items():
        if key not in hints:
            mistakes.append(f"[{where}] unknown key '{key}'. {suggestion(key, hints)}")
        elif key in TABLES and cls is Training:
            if isinstance(value, Mapping):
                values[key] = read(TABLES[key], value, f"{where}.{key}", mistakes)
            else:
                mistakes.append(f"[{where}] {key}: expected a table [{where}.{key}], got {value!r}")
        elif text := problem(hints[key], value):
            mistakes.append(f"[{where}] {key}: {text}")
        else:
            values[key] = value
    missing = [f.name for f in fields(cls) if f.name not in table and f.name in ("base", "loss")]
    mistakes += [f"[{where}] {name}: missing" for name in missing]
    return cls(**values) if len(mistakes) == before else None
