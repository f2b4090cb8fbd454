"""Prompts that are missing, switched off, or given to the wrong side."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.engine.texts import Task
from mteb_cascade.spec import Spec
from mteb_cascade.stages.model_stage import EncoderStage
from mteb_cascade.stages.training_facts import base_of
from mteb_cascade.stages.weights import local_folder, read_json
from mteb_cascade.studies.doctor.finding import Finding, Verdict
from mteb_cascade.studies.doctor.prompts import NAMES, models_prompt, prompt_of
from mteb_cascade.studies.doctor.separation import separation
from mteb_cascade.studies.doctor.subject import Subject

CHECK = "prompts"

TRIED = 20
"""Queries whose probes are scored again with the prompts that were to be expected."""

ASKING = re.compile(
    r"\s*(search_query|query|question)\s*:|\s*represent this (sentence|query|question) for|\s*instruct:"
    r"|\s*given an? .*\b(query|question)\b|\s*task: .*\| *query",
    re.IGNORECASE | re.DOTALL,
)
"""What prompts of queries look like."""

ANSWERING = re.compile(
    r"\s*(search_document|passage|document)\s*:|\s*represent this (passage|document)|\s*title: *(none)? *\|",
    re.IGNORECASE,
)
"""What prompts of documents look like."""

SEARCHING = "Represent this sentence for searching relevant passages: "
INSTRUCT = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "


@dataclass(frozen=True)
class Family:
    """Models that were trained with prompts which their folders do not always say.

    Args:
        name: What their names match.
        query: Put before a query.
        document: Put before a document.
        needed: Whether their cards say that they do not work well without; those of the others, that they gain.
    """

    name: str
    query: str
    document: str = ""
    needed: bool = True


FAMILIES = (
    Family(r"e5\b.*\binstruct|qwen3-embedding", INSTRUCT, needed=False),
    Family(r"e5", "query: ", "passage: "),
    Family(r"nomic-embed-text|nomic-bert|modernbert-embed", "search_query: ", "search_document: "),
    Family(r"embeddinggemma", "task: search result | query: ", "title: none | text: "),
    Family(r"snowflake-arctic-embed-[lm]-v2", "query: "),
    Family(r"mxbai-embed-large|snowflake-arctic-embed", SEARCHING),
    Family(r"bge-(small|base|large)-en", SEARCHING, needed=False),
)
"""As their model cards say; the first that matches a name counts."""


@dataclass(frozen=True)
class Fault:
    """A prompt that should be another one.

    Args:
        side: Whose prompt it is.
        verdict: How sure that is.
        evidence: What is the case.
        remedy: What to do.
        expected: The prompt that was to be expected.
    """

    side: Task
    verdict: Verdict
    evidence: str
    remedy: str
    expected: str


def check(subject: Subject) -> Iterator[Finding]:
    """The prompts of an encoder against those of its folder and its family."""
    stage = subject.stage
    if not isinstance(stage, EncoderStage):
        return
    given = {side: prompt_of(stage, side) for side in NAMES}
    faults = [fault for side in NAMES for fault in list(faults_of(stage, side, given[side]))[:1]]
    told = ", ".join(f"{side} {prompt!r}" for side, prompt in given.items() if prompt) or "none, and none is expected"
    if not faults:
        yield Finding(CHECK, stage.label, "ok", f"prompts: {told}", figures={"prompts": given})
        return
    expected = given | {fault.side: fault.expected for fault in faults}
    above = separation(subject.probe_scores[:TRIED]).area, separation(with_prompts(subject, stage, expected)).area
    for fault in faults:
        queries = len(subject.probe_scores[:TRIED])
        tried = (
            f"answers score above {above[0]:.0%} of answers to other queries as it is, above {above[1]:.0%} with the "
            f"prompts to be expected ({queries} queries)"
        )
        figures = {"prompts": given, "expected": expected, "auc": above[0], "auc_expected": above[1]}
        yield Finding(CHECK, stage.label, fault.verdict, f"{fault.evidence}; {tried}", fault.remedy, figures)


def faults_of(stage: EncoderStage, side: Task, given: str) -> Iterator[Fault]:
    """What is wrong with one side's prompt, the surest first."""
    other: Task = "document" if side == "query" else "query"
    own, others = models_prompt(stage.network, side), models_prompt(stage.network, other)
    family, needed = family_of(stage)
    whats = {"query": ("queries", "query's"), "document": ("documents", "document's")}
    key = f"{side}_prompt"
    usual = own or (getattr(family, side) if family else "")
    alike = ASKING if other == "query" else ANSWERING
    if given and given != own and (given == others or alike.match(given)):
        right = f"{key} = {usual!r}" if usual else f"leave {key} out"
        evidence = f"{whats[side][0]} get a {whats[other][1]} prompt, {given!r}"
        yield Fault(side, "fail", evidence, f"mend {key} in the spec: {right}", usual)
    if own and not given:
        evidence = f"the spec switches off the prompt {own!r} that the model has for {whats[side][0]}"
        yield Fault(side, "fail", evidence, f"take {key} out of the spec", own)
    unread = next((name for name in NAMES[side] if stage.network.prompts.get(name)), "")
    if unread and not given and not own:
        prompt = stage.network.prompts[unread]
        evidence = f"the model names its prompt {prompt!r} '{unread}', and sentence-transformers reads '{side}' first"
        yield Fault(side, "fail", evidence, f"{key} = {prompt!r} in the spec, or rename it in the model folder", prompt)
    if family and usual and not given:
        evidence = f"no prompt for {whats[side][0]}, though models of this family have {usual!r}"
        remedy = f"{key} = {usual!r} in the spec, if the model was trained so"
        yield Fault(side, "fail" if needed else "note", evidence, remedy, usual)


def family_of(stage: EncoderStage) -> tuple[Family | None, bool]:
    """The family that a model is of by its name, and whether it cannot do without its prompts.

    One that was trained from such a model, here or elsewhere, may have learned to do without.
    """
    bases: list[str] = []
    if stage.spec and stage.spec.training:
        bases += bases_of(stage.spec)
    else:
        if family := named(stage.model.rstrip("/").rpartition("/")[2]):
            return family, family.needed
        folder = local_folder(stage.model, stage.revision) if stage.model else None
        bases += [str(read_json(folder / "config.json").get("_name_or_path", ""))] if folder else []
    return next((family for base in bases if (family := named(base))), None), False


def named(name: str) -> Family | None:
    """The first family that a model's name matches, as a word of its own."""
    matching = (one for one in FAMILIES if re.search(rf"(?<![a-z0-9])({one.name})(?![a-z0-9])", name.lower()))
    return next(matching, None)


def bases_of(spec: Spec | None) -> Iterator[str]:
    """What a model was trained from, base by base."""
    seen = set()
    while spec is not None and spec.path not in seen:
        seen.add(spec.path)
        base = base_of(spec)
        if isinstance(base, str):
            yield base
        spec = base if isinstance(base, Spec) else None


def with_prompts(subject: Subject, stage: EncoderStage, prompts: dict[Task, str]) -> NDArray[np.float32]:
    """The scores of the first probes with these prompts, float32 [at most TRIED, probes]."""
    options = {f"{side}_prompt": prompt for side, prompt in prompts.items()}
    other = type(stage).around(stage.network, device=stage.device, batch_size=stage.batch_size, **options)
    rows = range(len(subject.queries))[:TRIED]
    return other.score(subject.queries.rows(rows), subject.probes.rows(slice(TRIED)))
