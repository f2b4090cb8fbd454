"""The card of a trained model: README.md in its folder, which says how it was made and how well it did meanwhile."""

from __future__ import annotations

import math
import os
import platform
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mteb_cascade import spec as specs
from mteb_cascade.markdown import escaped, table
from mteb_cascade.spec import NAME
from mteb_cascade.stages.training_facts import SCRATCH
from mteb_cascade.stages.weights import is_path
from mteb_cascade.training.networks.build import NETWORKS, base_folder
from mteb_cascade.training.watching.evaluation import MEASURES, key, logged
from mteb_cascade.training.watching.quantities import device_name, duration

if TYPE_CHECKING:
    from mteb_cascade.training.prepared import Prepared

TAGS = {
    "bi-encoder": ("sentence-similarity", ["sentence-similarity", "feature-extraction", "dense"]),
    "cross-encoder": ("text-ranking", ["cross-encoder", "reranker"]),
    "sparse": ("feature-extraction", ["sparse-encoder", "sparse", "splade"]),
    "late-interaction": ("feature-extraction", ["multi-vector-encoder", "late-interaction", "ColBERT"]),
}
"""{kind: pipeline tag and tags}, as sentence-transformers' own cards have them."""

EMBEDDERS = re.compile(
    r"(?<![a-z0-9])((multilingual-)?e5|bge|gte|gtr|simlm|contriever|co-?condenser|retromae|colbert\w*|splade\w*|dpr|ance|"
    r"ms-?marco|cross-encoder|reranker|monot5|rankt5|embed\w*)(?![a-z])",
    re.IGNORECASE,
)
"""Names of models that were trained for retrieval, some of which are plain checkpoints."""

ROWS = 20
"""Evaluations that the table shows: the first, the best, the last, and some between."""

LEAKS = 5
"""Refused training queries that are shown."""

PACKAGES = ("mteb-cascade", "sentence-transformers", "transformers", "torch", "accelerate", "datasets", "tokenizers")

ENCODING = """\
queries = model.encode_query(["what do whales eat"])
documents = model.encode_document(["Baleen whales filter krill from the sea.", "A fox is a small wild dog."])
print(model.similarity(queries, documents))"""

RANKING = """\
documents = ["Baleen whales filter krill from the sea.", "A fox is a small wild dog."]
print(model.rank("what do whales eat", documents))"""

LOADING = {
    kind: f'from sentence_transformers import {name}\n\nmodel = {name}("{{folder}}")\n'
    + (RANKING if kind == "cross-encoder" else ENCODING)
    for kind, name in NETWORKS.items()
}


def write(prepared: Prepared, trainer: Any, folder: Path, *, seconds: float) -> None:
    """Write README.md, with front matter as the hub wants it.

    Args:
        prepared: What was trained.
        trainer: After training: its state names the best step, its output folder holds the evaluations.
        folder: Of the model.
        seconds: That training took, this time: of a run that was taken up again, since then.
    """
    text = "\n".join(lines(prepared, trainer, seconds))
    (folder / "README.md").write_text(f"---\n{front_matter(prepared)}\n---\n\n{text}\n", encoding="utf-8")


def front_matter(prepared: Prepared) -> str:
    """What the hub reads, as YAML."""
    from huggingface_hub import ModelCardData

    spec, options = prepared.spec, prepared.options
    pipeline, tags = TAGS[prepared.kind]
    given: dict[str, Any] = {
        "library_name": "sentence-transformers",
        "pipeline_tag": pipeline,
        "tags": ["sentence-transformers", "mteb-cascade", *tags, f"loss:{options.loss}"],
        "base_model": options.base if on_hub(options.base) else None,
    }
    licence = spec.card.get("license")
    if isinstance(licence, str):
        given |= {"license": "other", "license_link": licence} if "://" in licence else {"license": licence}
    languages = [str(one).partition("-")[0] for one in spec.card.get("languages") or ()]
    given["language"] = list(dict.fromkeys(languages)) or None
    return str(ModelCardData(**given).to_yaml())


def lines(prepared: Prepared, trainer: Any, seconds: float) -> Iterator[str]:
    """The card's text, line by line."""
    spec, options, lists = prepared.spec, prepared.options, prepared.lists
    yield f"# {escaped(spec.name)}"
    yield ""
    yield f"A {prepared.kind} trained by mteb-cascade."
    yield ""
    yield f"- **Class**: `{NETWORKS[prepared.kind]}` of sentence-transformers"
    yield f"- **Base**: {started_from(prepared)}"
    yield f"- **Loss**: {escaped(options.loss)}" + (
        f", taught by {escaped(options.teacher)}" if options.teacher else ""
    )
    if options.matryoshka:
        yield f"- **Widths** (Matryoshka): {', '.join(map(str, options.matryoshka))}"
    yield f"- **Licence**: {escaped(str(spec.card.get('license') or 'not stated'))}"
    yield from ["", "## How to load it", "", "```python"]
    yield LOADING[prepared.kind].format(folder=f"models/{spec.short_name}")
    yield from ["```", "", "```bash", f"mteb run -m {spec.short_name} -t NFCorpus", "```", "", "## Data", ""]
    yield f"{escaped(prepared.data.name)}, digest `{prepared.data.digest}`:"
    yield ""
    yield from (f"- {escaped(note)}" for note in prepared.data.notes)
    yield f"- learned from: {len(lists):,} queries in {len(prepared.dataset):,} examples of the form '{prepared.form}'"
    yield from leaks(prepared)
    yield from mining(prepared.mined.report)
    yield from ["", "## Options", "", *table(("option", "value"), options_of(prepared))]
    yield from evaluations(prepared, trainer)
    yield from ["", "## Made with", ""]
    device = device_name(trainer.model.device, bfloat16=bool(trainer.args.bf16))
    yield f"- {trainer.state.global_step:,} steps in {duration(seconds)}, seed {options.seed}"
    yield f"- {trainer.args.world_size} x {device}; {os.cpu_count()} processors, {platform.system()}"
    yield f"- Python {platform.python_version()}, {', '.join(f'{name} {number}' for name, number in versions())}"


def started_from(prepared: Prepared) -> str:
    """The base in words; one that was trained for retrieval before is flagged."""
    base = prepared.options.base
    if base == SCRATCH:
        kind = "a static table" if prepared.options.scratch.layers == 0 else "a small BERT"
        return f"none: {kind} and its tokenizer, made from this corpus alone"
    named = f"{base}@{prepared.options.revision}" if prepared.options.revision else base
    if on_hub(base):
        shown = f"[{escaped(named)}](https://huggingface.co/{base})"
    else:
        shown = escaped(Path(named).name if is_path(named) else named)
    flag = "; **starts from a model already trained for retrieval**" if trained_for_retrieval(prepared) else ""
    return shown + flag


def trained_for_retrieval(prepared: Prepared) -> bool:
    """Whether the base compares texts already: sentence-transformers saved it, or its name says so."""
    folder = base_folder(prepared.options, prepared.what)
    saved = any((folder / name).is_file() for name in ("modules.json", "config_sentence_transformers.json"))
    return saved or bool(EMBEDDERS.search(prepared.options.base))


def on_hub(base: str) -> bool:
    """Whether a base is a hub id: neither a folder nor a spec of ours."""
    is_ours = base == SCRATCH or is_path(base) or Path(base).is_dir()
    return not is_ours and "/" in base and bool(NAME.fullmatch(base)) and specs.find(base) is None


def leaks(prepared: Prepared) -> Iterator[str]:
    """What the leak guard refused."""
    found = prepared.data.leaks
    if not found:
        return
    by_split = Counter(leak.split for leak in found)
    counts = ", ".join(f"{count:,} of {escaped(split)}" for split, count in by_split.items())
    yield f"- refused as near-twins of held-out or test queries: {counts}; such as"
    for leak in found[:LEAKS]:
        yield f"  - {escaped(leak.query)} ({escaped(leak.split)}: {escaped(leak.other)})"


def mining(report: Mapping[str, Any]) -> Iterator[str]:
    """What became of the candidates that hard negatives were chosen from."""
    if not report.get("first"):
        return
    names = " and ".join(escaped(stage["name"]) for stage in report["first"])
    judge = f", judged by {escaped(report['judge']['name'])}" if report["judge"] else ""
    yield from ["", "## Hard negatives", ""]
    yield f"Candidates of {names} at depth {report['options']['depth']}{judge}."
    if report["raw"]:
        yield "No rule judged them: unmarked answers are among the negatives."
    yield ""
    counts = {f"dropped: {name}": count for name, count in report["dropped"].items() if count}
    yield from table(("candidates", "count"), {**counts, "believed": report["believed"]}.items())
    yield from ["", *table(("negatives", "count"), report["negatives"].items())]


def options_of(prepared: Prepared) -> list[tuple[str, Any]]:
    """The `[training]` table as it was used, defaults included; sub-tables that decided nothing are left out."""
    values = asdict(prepared.options)
    # Folders of the machine that it was trained on are nobody's concern.
    for name in ("base", "collection", "data", "teacher"):
        if isinstance(values[name], str) and is_path(values[name]):
            values[name] = Path(values[name]).name
    if prepared.options.base != SCRATCH:
        values.pop("scratch")
    if prepared.evaluator is None:
        values.pop("evaluation")
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        inner = value.items() if isinstance(value, dict) and name != "loss_options" else [("", value)]
        found += [(f"{name}.{one}" if one else name, shown) for one, shown in inner if shown not in (None, [], {})]
    return found


def evaluations(prepared: Prepared, trainer: Any) -> Iterator[str]:
    """The depth sweeps on held-out queries, step by step."""
    sweep = prepared.evaluator
    found = logged(Path(trainer.args.output_dir) / "eval")
    if sweep is None or not found:
        return
    best = trainer.state.best_global_step
    metric = prepared.options.evaluation.metric
    names = [key(metric, depth) for depth in sweep.depths]
    names += [key(measure, sweep.depths[-1]) for measure in MEASURES if measure != metric]
    chosen = next((line for line in found if line["step"] == best), found[-1])
    yield from ["", "## While training", ""]
    yield f"{len(sweep.split.queries):,} held-out queries, the first {sweep.depths[-1]} candidates of"
    yield f"{escaped(prepared.options.evaluation.first)} reranked; nothing was put into the candidates."
    yield ""
    heads = ("step", *(name.replace("_depth", " at ") for name in names))
    rows = [
        (f"{line['step']:,}{' (best)' if line is chosen else ''}", *figures(line, names)) for line in few(found, chosen)
    ]
    bare = [f"first_{name.partition('_depth')[0]}" for name in names]
    yield from table(heads, [("first stage alone", *figures(chosen, bare)), *rows])
    primary = str(sweep.primary_metric)
    before = found[0].get(primary)
    if found[0]["step"] == 0 and before is not None and before > chosen.get(primary, math.inf):
        yield from ["", "No checkpoint is as good on these queries as what training started from."]
    if "verdict" in chosen:
        yield from ["", f"Collapse at step {chosen['step']:,}: {escaped(chosen['verdict'])}."]


def few(found: Sequence[Mapping[str, Any]], best: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """At most `ROWS` evaluations, evenly spread, the first, the last and the best one among them."""
    if len(found) <= ROWS:
        return list(found)
    rows = {round(at * (len(found) - 1) / (ROWS - 2)) for at in range(ROWS - 1)}
    return [line for row, line in enumerate(found) if row in rows or line is best]


def figures(line: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Figures of a logged line with four digits."""
    return ["" if line.get(name) is None else f"{line[name]:.4f}" for name in names]


def versions() -> Iterator[tuple[str, str]]:
    """The packages that decide weights, and their versions."""
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue
