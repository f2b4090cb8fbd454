"""Retrieve-and-rerank cascades for MTEB: what a reranker buys, at every depth."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "BM25": "stages.bm25",
    "BiEncoder": "stages.bi_encoder",
    "Cascade": "stages.cascade",
    "Collection": "corpora.collection",
    "Corpus": "corpora.corpus",
    "CrossEncoder": "stages.cross_encoder",
    "Funnel": "stages.funnel",
    "FunnelStep": "stages.funnel_step",
    "Hybrid": "stages.hybrid",
    "InputError": "errors",
    "LateInteraction": "stages.late_interaction",
    "Lucene": "stages.lucene",
    "Member": "stages.hybrid",
    "Mteb": "stages.mteb",
    "Qrels": "values.qrels",
    "Queries": "corpora.corpus",
    "Result": "retriever.result",
    "Retriever": "retriever.retriever",
    "Run": "values.run",
    "RunFile": "stages.run_file",
    "Sparse": "stages.sparse",
    "Stage": "stages.base",
    "Step": "stages.cascade",
    "TFIDF": "stages.tfidf",
    "cells": "stages.base",
    "compare": "studies.comparing.compare",
    "curves": "values.curves",
    "doctor": "studies.doctor.examine:examine",
    "encoder_ranker": "stages.encoder_ranker",
    "load": "stages.load",
    "load_collection": "corpora.load:load",
    "register": "mteb_plugin.registry",
    "register_kind": "stages.load",
    "scattered": "stages.base",
    "sweep": "experiments.sweep",
}
"""Public names and their modules; a name is imported when it is first used: `import mteb_cascade` costs nothing."""

__all__ = sorted(_HOMES)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'mteb_cascade' has no attribute '{name}'")
    module, _, attribute = _HOMES[name].partition(":")
    value = getattr(importlib.import_module(f"mteb_cascade.{module}"), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
