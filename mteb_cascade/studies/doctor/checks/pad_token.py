"""The pad token of a model's files: there is one, the model has a row for it, tokenizer and configuration agree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mteb_cascade.errors import in_one_line
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.model_stage import ModelStage
from mteb_cascade.stages.modules import is_module
from mteb_cascade.stages.padding import PAIRS, TOLERANCE, logits
from mteb_cascade.studies.doctor.finding import Finding
from mteb_cascade.studies.doctor.subject import Subject
from mteb_cascade.training.quiet import quiet

CHECK = "pad token"

REMEDY = (
    "give the tokenizer a pad token that ends no text (tokenizer.pad_token = tokenizer.eos_token where texts do not "
    "end in it), set config.pad_token_id to its id, and save both with the weights"
)


def check(subject: Subject) -> Iterator[Finding]:
    """Whether texts can be padded as the model's files have it, proved by scoring a batch with them alone."""
    stage, label = subject.stage, subject.stage.label
    folder = folder_of(stage)
    if folder is None or not isinstance(stage, ModelStage):
        return
    faults = faults_of(stage, folder)
    if not faults:
        yield Finding(CHECK, label, "ok", "one pad token in tokenizer and configuration, with a row of its own")
        return
    said = ", ".join(faults)
    proof = proved(stage, folder)
    own = stage.network.tokenizer
    here = f"; padded with '{own.pad_token}' here" if own.pad_token is not None else ""
    figures = {"faults": faults, "proof": proof}
    if proof:
        yield Finding(CHECK, label, "fail", f"{said}: {proof}{here}", REMEDY, figures)
    else:
        yield Finding(CHECK, label, "note", f"{said}; no score moves by it{here}", REMEDY, figures)


def shown(subject: Subject) -> bool:
    """Whether the files' pad token is at fault, and batches show it."""
    stage = subject.stage
    folder = folder_of(stage)
    if folder is None or not isinstance(stage, ModelStage):
        return False
    return bool(faults_of(stage, folder)) and bool(proved(stage, folder))


def folder_of(stage: Stage) -> Path | None:
    """Where the body of a model with a tokenizer lies; None of stages that have none on this disk."""
    if not isinstance(stage, ModelStage) or not stage.files() or is_module(stage.network):
        return None
    body = stage.network.transformers_model
    folder = None if body is None else Path(body.name_or_path)
    return folder if folder is not None and folder.is_dir() else None


def faults_of(stage: ModelStage, folder: Path) -> list[str]:
    """What is wrong with the pad token in the files; loading may have mended it in memory."""
    from transformers import AutoConfig, AutoTokenizer

    try:
        with quiet():
            tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            config: Any = AutoConfig.from_pretrained(folder, local_files_only=True).get_text_config()
    except (OSError, ValueError):
        return []
    body = stage.network.transformers_model
    rows = body.get_input_embeddings().num_embeddings
    pad, stated = tokenizer.pad_token_id, config.pad_token_id
    found = []
    if pad is None:
        found.append("the tokenizer has no pad token")
    elif pad >= rows:
        found.append(f"the pad token '{tokenizer.pad_token}' has id {pad}, and the model {rows} rows")
    if pad is not None and stated is not None and stated != pad:
        found.append(f"the tokenizer pads with id {pad}, config.pad_token_id is {stated}")
    if stated is None and type(body).__name__.endswith("ForSequenceClassification"):
        found.append("config.pad_token_id is not set")
    if pad is not None and pad == tokenizer.eos_token_id and tokenizer(PAIRS[0][0])["input_ids"][-1] == pad:
        found.append(f"texts end in the token that pads, '{tokenizer.pad_token}'")
    return found


def proved(stage: ModelStage, folder: Path) -> str:
    """What sentence-transformers alone makes of a padded batch of this folder; '' where no score moves."""
    network_class = type(stage.network)
    texts = [document for _, document in PAIRS]
    try:
        with quiet():
            network = network_class(str(folder), device="cpu", local_files_only=True)
        if stage.kind == "cross-encoder":
            alone, together = (logits(network, size) for size in (1, len(PAIRS)))
        elif stage.kind == "bi-encoder":
            alone, together = (
                network.encode(texts, batch_size=size, show_progress_bar=False) for size in (1, len(texts))
            )
        else:
            return ""
    except (OSError, ValueError, RuntimeError, IndexError) as error:
        return f"sentence-transformers refuses a batch ({in_one_line(error)[:120]})"
    moved = float(np.abs(together - alone).max())
    if moved <= TOLERANCE["float32"] * max(1.0, float(np.abs(alone).max())):
        return ""
    return f"a score moves by {moved:.2g} in a padded batch"
