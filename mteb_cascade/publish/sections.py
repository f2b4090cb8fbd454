"""The parts of a model card that a spec, a stage and results can say, line by line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mteb_cascade.markdown import escaped, fenced, table
from mteb_cascade.publish import depth_curve
from mteb_cascade.publish.figures import Figures, results_table, summary
from mteb_cascade.publish.publication import Publication
from mteb_cascade.publish.snippet import plain_model
from mteb_cascade.spec import Spec
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.hybrid import Hybrid
from mteb_cascade.stages.weights import is_path

CLASSES = {
    "bi-encoder": "SentenceTransformer",
    "cross-encoder": "CrossEncoder",
    "sparse": "SparseEncoder",
    "late-interaction": "MultiVectorEncoder",
}
"""{kind: class of sentence-transformers}."""

PAIRS = 'documents = ["Baleen whales filter krill from the sea.", "A fox is a small wild dog."]'

USE = {
    "bi-encoder": "The first stage of a search: documents are encoded once, queries when they are asked.",
    "sparse": "The first stage of a search: documents are encoded once into weights of words, indexed as words are.",
    "late-interaction": "Reranking, or a search that can hold a vector a token: finer than one vector a text.",
    "cross-encoder": "Reranking what a first stage found: it reads query and document together, pair by pair, so it is "
    "too slow for a whole corpus.",
    "cascade": "Search over a corpus of one's own: it retrieves and reranks.",
    "hybrid": "Search over a corpus of one's own, or the first stage of a cascade.",
}


def what_it_is(publication: Publication) -> Iterator[str]:
    """Kind, size and limits."""
    stage, meta = publication.stage, publication.meta
    yield f"A {stage.kind} of {'sentence-transformers' if plain_model(publication) else 'mteb-cascade'}."
    members = [
        f"{number}. {escaped(part.name)} ({part.kind}){role}" for number, (part, role) in enumerate(parts(stage), 1)
    ]
    yield from ["", *members] if members else []
    facts = {
        "parameters": meta.n_parameters,
        "memory, MB": meta.memory_usage_mb,
        "dimensions": meta.embed_dim,
        "tokens at most": None if meta.max_tokens is None else tokens(meta.max_tokens),
        "similarity": getattr(meta.similarity_fn_name, "value", None),
        "languages": ", ".join(meta.languages or ()),
        "licence": meta.license,
        "made from": meta.adapted_from,
        "revision": meta.revision,
    }
    yield from ["", *table(("", ""), ((name, value) for name, value in facts.items() if value not in (None, "")))]


def parts(stage: Stage) -> Iterator[tuple[Stage, str]]:
    """The stages of a cascade or the members of a hybrid, and what each does there."""
    if isinstance(stage, Cascade):
        yield stage.first, " retrieves"
        for step in stage.steps:
            blend = f", its score added to {step.blend:g} times the score before" if step.blend else ""
            yield step.stage, f" reranks the first {step.depth:,}{blend}"
    elif isinstance(stage, Hybrid):
        for member in stage.members:
            yield member.stage, f", weight {member.weight:g}"


def tokens(most: float) -> str:
    """How many, or that there is no such limit."""
    return "no limit" if math.isinf(most) else f"{int(most):,}"


def how_to_run(publication: Publication) -> Iterator[str]:
    """Under mteb, and in Python; of what only mteb-cascade loads, the spec files in full."""
    stage, meta = publication.stage, publication.meta
    name = str(meta.name)
    task = publication.results[0].task if publication.results else "SciFact"
    if plain_model(publication):
        yield from fenced(f"pip install mteb\nmteb run -m {name} -t {task}", "bash")
        call = 'print(model.rank("what do whales eat", documents))'
        if stage.kind != "cross-encoder":
            call = (
                'queries = model.encode_query(["what do whales eat"])\n'
                "print(model.similarity(queries, model.encode_document(documents)))"
            )
        load = f'model = {CLASSES[stage.kind]}("{name}", revision="{meta.revision}")'
        code = f"from sentence_transformers import {CLASSES[stage.kind]}\n\n{load}\n{PAIRS}\n{call}"
        yield from ["", *fenced(code, "python")]
        return
    specs = list(specs_of(stage, publication.spec))
    fetches = [
        f"hf download {spec.name} --revision {spec.card['commit']} --local-dir models/{spec.short_name}"
        for spec in specs
        if "commit" in spec.card and spec.weights.is_dir()
    ]
    yield "It is run by mteb-cascade. Put these files into a folder `models`, and the weights beside them:"
    for spec in specs:
        yield from ["", f"`models/{spec.short_name}.toml`", "", *fenced(without_paths(spec), "toml")]
    commands = ["pip install mteb-cascade", *fetches, f"mteb run -m {publication.spec.short_name} -t {task}"]
    yield from ["", *fenced("\n".join(commands), "bash"), ""]
    code = (
        "from mteb_cascade import load\n\n"
        f'stage = load("{publication.spec.short_name}")\n'
        "print(stage, stage.fingerprint)"
    )
    yield from fenced(code, "python")


def specs_of(stage: Stage, spec: Spec | None = None) -> Iterator[Spec]:
    """The spec of a model and of all that it is made of, each once, the model's first."""
    found: dict[Path, Spec] = {}
    for one in stage.walk():
        own = spec or one.spec if one is stage else one.spec
        if own is not None:
            found.setdefault(own.path, own)
    yield from found.values()


def without_paths(spec: Spec) -> str:
    """The file as it is, but for folders of the machine that it was written on: of those the last name stays."""
    text = spec.path.read_text(encoding="utf-8")
    for value in sorted(strings([spec.options, spec.training, spec.card]), key=len, reverse=True):
        if is_path(value) and not value.startswith("./"):
            text = text.replace(value, Path(value).name)
    return text


def strings(value: Any) -> Iterator[str]:
    """Every string in nested tables and lists."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


def training(publication: Publication, *, recipe: bool) -> Iterator[str]:
    """The data that it was trained on, and, where they are wanted, the recipes that specs have."""
    datasets = publication.meta.training_datasets
    if datasets is None:
        yield "What it was trained on is not stated."
    elif not datasets:
        yield "On no task of mteb's."
    else:
        yield "Trained on, by the names of mteb's tasks:"
        yield ""
        yield from (f"- {escaped(name)}" for name in sorted(datasets))
    for spec in specs_of(publication.stage, publication.spec) if recipe else ():
        if spec.training:
            rows = ((key, shown_option(value)) for key, value in spec.training.items())
            yield from ["", f"Recipe of {escaped(spec.name)}:", "", *table(("option", "value"), rows)]


def shown_option(value: Any) -> str:
    """A value of a `[training]` table; a folder by its last name.

    >>> shown_option({"first": ["our-bm25", "/somewhere/else"], "depth": 50})
    'first = our-bm25, else; depth = 50'
    """
    if isinstance(value, dict):
        return "; ".join(f"{key} = {shown_option(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(shown_option, value))
    return Path(value).name if isinstance(value, str) and is_path(value) else str(value)


def results(publication: Publication, told: list[Figures]) -> Iterator[str]:
    """Figures task by task, and the command behind each."""
    if not told:
        yield "None yet."
        return
    yield from results_table(told)
    yield from ["", summary(publication, told)]
    yield from made_by(publication)


def made_by(publication: Publication) -> Iterator[str]:
    """The commands that made the results, where and with what."""
    records = [(found.task, found.provenance) for found in publication.results if found.provenance]
    if not records:
        return
    commands = dict.fromkeys(str(record["command"]) for _, record in records if record.get("command"))
    yield from ["", "Made by", "", *fenced("\n".join(commands), "bash"), ""]
    rows = []
    for task, record in records:
        machine = record.get("hardware") or {}
        commit = (record.get("git") or {}).get("commit") or ""
        on = machine.get("gpu") or machine.get("processor") or ""
        rows.append([task, record.get("date", ""), on, record.get("dataset_revision") or "", commit])
    yield from table(("task", "date", "on", "dataset revision", "commit of the specs"), rows)
    versions = records[-1][1].get("versions") or {}
    if versions:
        yield from ["", "With " + ", ".join(f"{escaped(name)} {escaped(str(one))}" for name, one in versions.items())]


def intended_use(publication: Publication) -> Iterator[str]:
    """What it is for."""
    yield USE.get(publication.stage.kind, "Search over a corpus of one's own.")


def limits(publication: Publication, told: list[Figures], curves: list[depth_curve.Curve]) -> Iterator[str]:
    """Where it was not looked at, and where it is known to hurt."""
    meta = publication.meta
    languages = ", ".join(meta.languages or ()) or "not stated"
    yield f"- Languages: {escaped(languages)}. Nothing is known of others."
    if meta.max_tokens is not None and not math.isinf(meta.max_tokens):
        what = "Query and document together are" if publication.stage.kind == "cross-encoder" else "A text is"
        yield f"- {what} cut after {tokens(meta.max_tokens)} tokens; what follows is not read."
    tested = sorted({one.task for one in told})
    yield f"- Tested on {', '.join(map(escaped, tested)) or 'nothing yet'}, and on no other collection."
    seen = sorted(set(tested) & (meta.get_training_datasets() or set()))
    if seen:
        yield f"- Trained on data of {', '.join(map(escaped, seen))}: those figures are not zero-shot."
    elif meta.training_datasets is None and tested:
        yield "- Whether those figures are zero-shot cannot be told: its training data is not stated."
    yield from (f"- {depth_curve.hurts(curve)}" for curve in curves)
    if publication.experiments:
        count = len(publication.experiments)
        what = (
            "1 result with other depths or blends is an experiment"
            if count == 1
            else (f"{count} results with other depths or blends are experiments")
        )
        yield f"- {what}, not shown above."
