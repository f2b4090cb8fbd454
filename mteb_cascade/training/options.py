"""The `[training]` table of a model that sentence-transformers' trainers train, and its sub-tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import Field, NonNegativeInt, PositiveInt

from mteb_cascade.errors import suggestion
from mteb_cascade.spec import Spec, SpecError
from mteb_cascade.stages.load import problem

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


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

    vocabulary: PositiveInt = 8000
    dim: PositiveInt = 512
    layers: NonNegativeInt = 0
    heads: PositiveInt = 4
    feed_forward: PositiveInt = 1024
    positions: PositiveInt = 512


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
    depth: PositiveInt = 100
    skip: NonNegativeInt = 0
    judge: str | None = None
    margin: NonNegative | None = None
    relative_margin: NonNegative | None = None
    random: Annotated[float, Field(ge=0, le=1)] = 0.0
    sampling: Literal["top", "random"] = "random"
    queries: PositiveInt | None = None


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
    depths: list[PositiveInt] = field(default_factory=lambda: [10, 50, 100])
    queries: PositiveInt = 200
    every: PositiveInt | None = None
    patience: PositiveInt | None = None


@dataclass(frozen=True)
class Training:
    """How a model is trained.

    Args:
        base: Hub id, folder, or the name of a spec whose weights to start from; "scratch" builds the model that
            `[training.scratch]` describes.
        revision: Commit, branch or tag of a hub base.
        collection: PythonDocs, a BEIR folder, or a task of mteb with a train split.
        subset: The hf_subset of a task that has several.
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
    subset: str | None = None
    data: str | None = None
    split: str = "train"
    held_out: NonNegativeInt = 0
    loss_options: dict[str, Any] = field(default_factory=dict)
    temperature: Positive | None = None
    matryoshka: list[PositiveInt] = field(default_factory=list)
    separate: bool = False
    pooling: Literal["mean", "cls", "max"] = "mean"
    positives: PositiveInt = 1
    negatives: NonNegativeInt = 0
    in_batch: bool = True
    teacher: str | None = None
    optimizer: str = "adamw_torch"
    learning_rate: NonNegative = 2e-5
    schedule: str = "linear"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    weight_decay: NonNegative = 0.0
    max_gradient: NonNegative = 1.0
    epochs: NonNegative = 1
    max_steps: PositiveInt | None = None
    batch_size: PositiveInt = 64
    micro_batch: PositiveInt = 32
    query_length: PositiveInt | None = None
    max_length: PositiveInt | None = None
    precision: Literal["auto", "bf16", "float32"] = "auto"
    gradient_checkpointing: bool = False
    attention: Literal["flash_attention_2", "sdpa", "eager"] | None = None
    query_prompt: str | None = None
    document_prompt: str | None = None
    query_regularizer: NonNegative = 5e-5
    document_regularizer: NonNegative = 3e-5
    seed: NonNegativeInt = 0
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
    hints = get_type_hints(cls, include_extras=True)
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
