"""What stages with trained weights share: where the weights are, how they are loaded, what identifies them."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from safetensors import SafetensorError

from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.spec import shown
from mteb_cascade.stages.base import SERVING, Stage
from mteb_cascade.stages.download import Download
from mteb_cascade.stages.files import model_files
from mteb_cascade.stages.weights import (
    cached_snapshots,
    expect_kind,
    fetched_folder,
    is_path,
    local_folder,
    whole_folder,
)

LONG_WORK = 2_000
"""Texts or pairs from which on a person who is watching gets a progress bar."""


def is_watched(count: int) -> bool:
    """Whether work on this many texts is long and somebody sits before a terminal."""
    return count >= LONG_WORK and sys.stderr.isatty()


@dataclass(kw_only=True, eq=False, repr=False)
class ModelStage(Stage):
    """A stage around a sentence-transformers model.

    Args:
        model: A folder (absolute, or starting with ./ or ~) or a hub id. A spec that gives none means the folder
            beside it.
        revision: Commit, branch or tag of a hub model.
        max_length: Tokens kept of a text (of a pair, for a cross-encoder); None takes the model's own limit.
        dtype: What the weights are loaded as.
        batch_size: Texts or pairs in one forward pass.
        trust_remote_code: Run Python code that comes with this model. Off unless the user says so.
    """

    model: str = ""
    revision: str | None = None
    max_length: int | None = None
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_size: int = field(default=32, metadata=SERVING)
    trust_remote_code: bool = False

    @property
    def what(self) -> str:
        """What messages name: the spec's file, or the model."""
        return shown(self.spec.path) if self.spec else self.model

    def __post_init__(self) -> None:
        super().__post_init__()
        self._network: Any = None

    @property
    def network(self) -> Any:
        """The loaded model; the first use loads it.

        Raises:
            InputError: The weights are missing, are pickled, or belong to another kind.
        """
        with self._lock:
            if self._network is None:
                folder = fetched_folder(self.model, self.revision, self.spec, self.what)
                expect_kind(folder, self.kind, self.what)
                try:
                    self._network = self.load(folder)
                except SafetensorError as error:
                    raise InputError(
                        f"{self.what}: damaged weights in {shown(folder)} ({error}); train or fetch again"
                    ) from None
                except InputError:
                    raise
                except (OSError, ValueError, RuntimeError) as error:
                    raise InputError(f"{self.what}: {shown(folder)} cannot be loaded: {in_one_line(error)}") from error
            return self._network

    def prepare(self) -> None:
        """Load the model."""
        _ = self.network

    def downloads(self) -> Sequence[Download]:
        """The weights; those that training makes cannot be fetched, only missed."""
        if is_path(self.model):
            return [Download(f"weights of {self.label}", self._fetch, Path(self.model).expanduser())]
        return [Download(f"weights of {self.model}", self._fetch, cached_snapshots(self.model))]

    def _fetch(self) -> None:
        expect_kind(whole_folder(self.model, self.revision, self.spec, self.what), self.kind, self.what)

    @abstractmethod
    def load(self, folder: Path) -> Any:
        """Load the model from its folder."""

    def loading(self) -> dict[str, Any]:
        """Keyword arguments that every sentence-transformers model takes."""
        import torch

        return {
            "device": self.device,
            "trust_remote_code": self.trust_remote_code,
            "local_files_only": True,
            "model_kwargs": {"use_safetensors": True, "dtype": getattr(torch, self.dtype)},
        }

    def files(self) -> Sequence[Path]:
        """The files of the model folder; none where it is not here yet."""
        folder = local_folder(self.model, self.revision)
        return model_files(folder) if folder else ()

    def described(self) -> dict[str, Any]:
        """The options; a folder stands for its files, whatever it is called."""
        options = super().described()
        if is_path(self.model):
            options["model"] = None
        return options


@dataclass(kw_only=True, eq=False, repr=False)
class EncoderStage(ModelStage):
    """A model stage that encodes queries and documents apart.

    Args:
        query_prompt: Put before a query; None takes the model's own prompt.
        document_prompt: Put before a document; None takes the model's own prompt.
    """

    query_prompt: str | None = None
    document_prompt: str | None = None

    def encoding(self, texts: Sequence[str], prompt: str | None) -> dict[str, Any]:
        """Keyword arguments of encode_query and encode_document."""
        options: dict[str, Any] = {"batch_size": self.batch_size, "show_progress_bar": is_watched(len(texts))}
        return options if prompt is None else {**options, "prompt": prompt}
