"""What stages with trained weights share: where the weights are, how they are loaded, what identifies them."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.engine import dtypes, openvino
from mteb_cascade.engine.attention import unpadded
from mteb_cascade.engine.devices import device_type, devices_of
from mteb_cascade.engine.dtypes import Choice, Format
from mteb_cascade.engine.packing import DEFAULT
from mteb_cascade.engine.texts import Result, Task, encoded
from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.spec import shown
from mteb_cascade.stages.base import SERVING, Stage, hash_of
from mteb_cascade.stages.download import Download
from mteb_cascade.stages.files import digests, model_files
from mteb_cascade.stages.found_batch_size import found_batch_size
from mteb_cascade.stages.number_format import bytes_of, ensure_possible, is_without_transformer, swap_transformer
from mteb_cascade.stages.own_code import is_ours
from mteb_cascade.stages.weights import (
    cached_snapshots,
    expect_kind,
    fetched_folder,
    is_path,
    local_folder,
    whole_folder,
)
from mteb_cascade.values.run import Run

Dtype = Literal["float32", "bfloat16", "float16", "int8", "auto"]
Network = TypeVar("Network")


@contextmanager
def without_bars() -> Iterator[None]:
    """Transformers draws no bar for each network that it loads; what it warns of is told."""
    from transformers.utils import logging as told

    drawn = told.is_progress_bar_enabled()
    told.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if drawn:
            told.enable_progress_bar()  # type: ignore[no-untyped-call]


@dataclass(kw_only=True, eq=False, repr=False)
class ModelStage(Stage):
    """A stage around a sentence-transformers model.

    Args:
        model: A folder (absolute, or starting with ./ or ~) or a hub id. A spec that gives none means the folder
            beside it.
        revision: Commit, branch or tag of a hub model.
        max_length: Tokens kept of a text (of a pair, for a cross-encoder); None takes the model's own limit.
        dtype: What the transformer computes in; "auto" takes what `engine.dtypes` measures to pay.
        backend: What computes it: "torch", "openvino" (on a CPU, in float32 or int8; everything around the transformer
            stays torch's), or "auto", which is torch for the float formats and OpenVINO for int8.
        batch_size: Texts or pairs of full length in one forward pass, more of shorter ones; of 1, one at a time. None
            takes 32 on a CPU, and on an accelerator what `engine.batch_size` finds the fastest.
        trust_remote_code: Run Python code that comes with this model. Off unless the user says so.
    """

    model: str = ""
    revision: str | None = None
    max_length: int | None = None
    dtype: Dtype = "float32"
    backend: Choice = "auto"
    batch_size: int | None = field(default=None, metadata=SERVING)
    trust_remote_code: bool = False

    @property
    def what(self) -> str:
        """What messages name: the spec's file, or the model."""
        return shown(self.spec.path) if self.spec else self.model

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"batch_size: expected at least 1, got {self.batch_size}")
        ensure_possible(self.backend, self.dtype)
        self._network: Any = None
        self._read: list[tuple[str, str]] = []
        self._probed: Format | None = None
        self._batch_size: int | None = None
        self.devices = devices_of(self.device)

    @classmethod
    def around(cls, network: Any, **options: Any) -> Self:
        """A stage around a network that is in memory already, such as one in training; nothing of it is stored.

        What the stage holds of documents is as old as itself: when the weights change, make another one.

        Args:
            network: The sentence-transformers model of this kind.
            **options: Of the stage; those that loading reads (`model`, `revision`, `dtype`, `max_length`) do nothing.
        """
        stage = cls(**options)
        stage._network = network
        return stage

    @property
    def kind_of_weights(self) -> str:
        """The kind of model that it reads; of a class of the user's own that of ours which it extends."""
        return next(str(vars(kind)["kind"]) for kind in type(self).__mro__ if is_ours(kind) and "kind" in vars(kind))

    @property
    def network(self) -> Any:
        """The loaded model; the first use loads it.

        Raises:
            InputError: The weights are missing, are pickled, or belong to another kind.
        """
        with self._lock:
            if self._network is None:
                folder = fetched_folder(self.model, self.revision, self.spec, self.what)
                expect_kind(folder, self.kind_of_weights, self.what)
                self._read = digests(self.files())
                try:
                    self._network = self._loaded(folder)
                except SafetensorError as error:
                    raise InputError(
                        f"{self.what}: damaged weights in {shown(folder)} ({error}); train or fetch again"
                    ) from None
                except InputError:
                    raise
                except (OSError, ValueError, RuntimeError) as error:
                    raise InputError(f"{self.what}: {shown(folder)} cannot be loaded: {in_one_line(error)}") from error
            return self._network

    @property
    def computes_in(self) -> Dtype:
        """The dtype; of "auto" the one that was found, or "auto" still where the model was never probed here."""
        found = self.number_format
        return found.dtype if found else "auto"

    @property
    def number_format(self) -> Format | None:
        """What it computes in, and by what; None where "auto" stands for nothing yet.

        Models of ours, those without a transformer, and small ones compute in float32 and are not probed.
        """
        if self.dtype != "auto":
            in_openvino = self.backend == "openvino" or self.dtype == "int8"
            return Format(self.dtype, "openvino" if in_openvino else "torch")
        if self._probed:
            return self._probed
        folder = local_folder(self.model, self.revision)
        files = model_files(folder) if folder else []
        if folder is None or not files:
            return None
        size = bytes_of(files)
        if size < dtypes.SMALL or is_without_transformer(folder):
            return self._otherwise
        return dtypes.kept(self._digest(folder), device_type(self.device), self._compared(size))

    @property
    def is_in_openvino(self) -> bool:
        """Whether OpenVINO computes it, as far as that is known."""
        found = self.number_format
        return found is not None and found.backend == "openvino"

    @property
    def _otherwise(self) -> Format:
        """What is computed in where nothing is found to pay."""
        return Format("float32", "openvino" if self.backend == "openvino" else "torch")

    def _compared(self, size: int) -> tuple[Format, ...]:
        return dtypes.compared(self.backend, device_type(self.device), size)

    def _loaded(self, folder: Path) -> Any:
        """The model; what "auto" stands for is settled with it, whatever is kept later."""
        found = self.number_format
        if found is None:
            return self._probe(folder)
        self._probed = found
        with without_bars():
            network = self.load(folder)
        if found.backend == "openvino":
            swap_transformer(self, network, self._digest(folder))
        else:
            unpadded(network, found.dtype)
        return network

    def _probe(self, folder: Path) -> Any:
        """The model in the format that pays, which is measured and kept."""
        if self.backend == "openvino":
            openvino.expect_installed(self.what)  # Before an answer without it is kept.
        formats = self._compared(bytes_of(model_files(folder)))
        stages = {one: replace(self, dtype=one.dtype, backend=one.backend, device=self.first_device) for one in formats}
        device = device_type(self.device)
        answer = dtypes.probed({one: stage.scores_of for one, stage in stages.items()}, device, self._otherwise)
        # Another process may have been done before: two at once compute in the same.
        found = dtypes.kept(self._digest(folder), device, formats)
        if found is None:
            found = Format(answer.dtype, answer.backend)
            dtypes.keep(self._digest(folder), device, answer, self.label, formats)
        self._probed = found
        return stages[found].network

    def samples(self, network: Any, queries: Sequence[str], documents: Sequence[str]) -> list[dict[str, Any]]:
        """What the network's tokenizer gives for queries and documents, one by one."""
        return [network.preprocess([text]) for text in (*queries, *documents)]

    def heads(self, network: Any) -> list[str]:
        """Names of the network's layers that always compute in float32."""
        return []

    @property
    def first_device(self) -> str | None:
        """The device that the network is loaded on; workers on several take it from there."""
        return self.devices[0] if self.devices else None

    @property
    def used_batch_size(self) -> int | None:
        """The batch size, where none is given the one that is found for an accelerator; None for the default."""
        if self.batch_size is None and self._batch_size is None:
            folder = local_folder(self.model, self.revision) if self._read else None
            self._batch_size = found_batch_size(self, self._digest(folder) if folder else None) or DEFAULT
        return self.batch_size or self._batch_size

    def _digest(self, folder: Path) -> str:
        return hash_of([self.kind, digests(model_files(folder))])

    def scores_of(
        self, queries: Sequence[str], documents: Sequence[str], rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Scores of queries [Q] and the documents at `rows` [Q, K], float32 [Q, K]."""
        corpus = Corpus.of([str(row) for row in range(len(documents))], documents)
        asked = Queries(tuple(str(row) for row in range(len(queries))), tuple(queries))
        return self.score(asked, Run(asked.ids, corpus, rows, np.zeros(rows.shape, np.float32)))

    def store_key(self, queries: Queries) -> str | None:
        """The fingerprint; None where the weights on the disk are no longer those that were loaded, or never were."""
        if self._network is not None and (not self._read or digests(self.files()) != self._read):
            return None
        return super().store_key(queries)

    def prepare(self) -> None:
        """Load the model."""
        _ = self.network

    def downloads(self) -> Sequence[Download]:
        """The weights; those that training makes cannot be fetched, only missed."""
        if is_path(self.model):
            return [Download(f"weights of {self.label}", self._fetch, Path(self.model).expanduser())]
        return [Download(f"weights of {self.model}", self._fetch, cached_snapshots(self.model))]

    def _fetch(self) -> None:
        expect_kind(whole_folder(self.model, self.revision, self.spec, self.what), self.kind_of_weights, self.what)

    @abstractmethod
    def load(self, folder: Path) -> Any:
        """Load the model from its folder."""

    @property
    def reads_whole(self) -> str:
        """What is said where a spec has a `max_length` for a model without positions."""
        return (
            f"{self.what}: max_length = {self.max_length}: this model is a table of token vectors, which reads texts "
            "whole; leave max_length out"
        )

    @property
    def loaded_in(self) -> str:
        """What torch holds the weights in: float32 where OpenVINO computes with them."""
        found = self.number_format
        return found.dtype if found and found.backend == "torch" else "float32"

    def loading(self) -> dict[str, Any]:
        """Keyword arguments that every sentence-transformers model takes."""
        import torch

        return {
            "device": self.first_device,
            "trust_remote_code": self.trust_remote_code,
            "local_files_only": True,
            "model_kwargs": {"use_safetensors": True, "dtype": getattr(torch, self.loaded_in)},
        }

    def files(self) -> Sequence[Path]:
        """The files of the model folder; none where it is not here yet."""
        folder = local_folder(self.model, self.revision)
        return model_files(folder) if folder else ()

    @property
    def options(self) -> dict[str, Any]:
        """As every stage's, with what "auto" stands for. Torch goes without saying, OpenVINO with its versions."""
        found = super().options | {"dtype": self.computes_in}
        del found["backend"]
        return found | ({"backend": {"name": "openvino", **openvino.versions()}} if self.is_in_openvino else {})

    def described(self) -> dict[str, Any]:
        """The options; a folder stands for its files, whatever it is called."""
        return super().described() | ({"model": None} if is_path(self.model) else {})


@dataclass(kw_only=True, eq=False, repr=False)
class EncoderStage(ModelStage):
    """A model stage that encodes queries and documents apart.

    Args:
        query_prompt: Put before a query; None takes the model's own prompt.
        document_prompt: Put before a document; None takes the model's own prompt.
    """

    block_tokens: ClassVar[int] = sys.maxsize
    """All at once: a document is encoded once, whatever query it is a candidate of, and beside the same others when a
    killed run is taken up again; a bi-encoder's vectors are stored as they come."""

    query_prompt: str | None = None
    document_prompt: str | None = None

    def limited(self, network: Network) -> Network:
        """The network, its texts cut at `max_length` where the spec has one.

        Raises:
            InputError: It is one that cannot cut them.
        """
        if self.max_length is not None:
            try:
                cast(Any, network).max_seq_length = self.max_length
            except AttributeError:
                raise InputError(self.reads_whole) from None
        return network

    def scores_of(
        self, queries: Sequence[str], documents: Sequence[str], rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """As every model's; each text is encoded anew, whatever this stage holds and the store has."""
        fresh = replace(self)
        fresh._network = self.network
        return super(EncoderStage, fresh).scores_of(queries, documents, rows)

    def encoded(
        self, texts: list[str], task: Task, take: Callable[[Any], Result], **options: Any
    ) -> Iterator[tuple[NDArray[np.intp], Result]]:
        """As `engine.texts.encoded`, with the stage's prompts; under the stage's lock: a tokenizer is one thread's."""
        prompt = self.query_prompt if task == "query" else self.document_prompt
        if prompt is not None:
            options["prompt"] = prompt
        batch_size, devices = self.used_batch_size, self.devices
        return encoded(
            self.network, texts, task, take, batch_size=batch_size, what=self.what, devices=devices, **options
        )
