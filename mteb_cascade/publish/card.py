"""The model card: what a model is, how it is run, how it was made, what it scores, and where it fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mteb_cascade.markdown import escaped
from mteb_cascade.publish import depth_curve, sections
from mteb_cascade.publish.figures import Figures, all_figures, evaluations
from mteb_cascade.publish.publication import Publication
from mteb_cascade.publish.snippet import plain_model
from mteb_cascade.spec import NAME

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData

HEADINGS = (
    "What it is",
    "How to run it",
    "Training data and recipe",
    "Results",
    "Depth curve",
    "Intended use",
    "Limits",
    "How to load it",
)
"""Sections that are written here; those of a card that is there already give way to them."""

TEMPLATE = "sentence_transformers_model_id"
"""Stands in the cards that sentence-transformers writes where nobody has said what the model is."""


def write(publication: Publication, folder: Path) -> Path:
    """Write README.md, with front matter as the hub wants it.

    What training wrote into the model's own README.md stays: its data, options and evaluations.

    Args:
        publication: What is published.
        folder: There already.

    Returns:
        The file.
    """
    from mteb import ResultCache

    told = all_figures(publication)
    text = "\n".join(lines(publication, told))
    path = folder / "README.md"
    with TemporaryDirectory() as beside:
        draft = Path(beside) / "README.md"
        draft.write_text(f"---\n{front_matter(publication, told).to_yaml()}\n---\n\n{text}\n", encoding="utf-8")
        # mteb's writer, which marks the card as one of its models.
        publication.meta.push_model_card_to_hub(
            existing_model_card_id_or_path=draft, results_cache=ResultCache(beside), output_path=path
        )
    return path


def front_matter(publication: Publication, told: list[Figures]) -> ModelCardData:
    """What the hub reads: words for the kind from sentence-transformers' own cards, the figures as a model-index."""
    import sentence_transformers
    from huggingface_hub import ModelCardData

    stage, meta = publication.stage, publication.meta
    written = getattr(sentence_transformers, f"{sections.CLASSES.get(stage.kind)}ModelCardData", None)
    if written is None or plain_model(publication) is None:
        library, pipeline, tags = "mteb-cascade", "text-ranking", [stage.kind]
    else:
        data = written(local_files_only=True)
        library, pipeline, tags = data.library_name, data.pipeline_tag, data.tags
    given: dict[str, Any] = {
        "library_name": library,
        "pipeline_tag": pipeline,
        "tags": list(dict.fromkeys([*tags, "mteb-cascade", *trained_tags(publication)])),
        "base_model": bases(publication) or None,
        "datasets": datasets(publication) or None,
        "language": list(dict.fromkeys(code.partition("-")[0] for code in meta.languages or ())) or None,
        "model_name": meta.name,
        "eval_results": evaluations(told) or None,
    }
    if meta.license:
        is_link = "://" in meta.license
        given |= {"license": "other", "license_link": meta.license} if is_link else {"license": meta.license}
    return ModelCardData(**given)


def bases(publication: Publication) -> list[str]:
    """Hub ids of what it was made from: the model it was trained from, or the stages that have a commit."""
    parts = [spec for spec in sections.specs_of(publication.stage) if spec.path != publication.spec.path]
    own = [publication.meta.adapted_from] if publication.meta.adapted_from else []
    return [name for name in [*own, *(spec.name for spec in parts if "commit" in spec.card)] if NAME.fullmatch(name)]


def datasets(publication: Publication) -> list[str]:
    """Hub ids of the training data, of those tasks that mteb has."""
    import mteb

    found = []
    for name in sorted(publication.meta.training_datasets or ()):
        try:
            metadata = mteb.get_tasks(tasks=[name])[0].metadata
        except (KeyError, IndexError):
            continue
        path = str(metadata.dataset.get("path", ""))
        if "/" in path and NAME.fullmatch(path):
            found.append(path)
    return list(dict.fromkeys(found))


def lines(publication: Publication, told: list[Figures]) -> Iterator[str]:
    """The card's text."""
    head, kept = own_card(publication)
    curves = depth_curve.curves(publication)
    yield from [f"# {escaped(str(publication.meta.name))}", *(["", head] if head else [])]
    yield from ["", "## What it is", "", *sections.what_it_is(publication)]
    yield from ["", "## How to run it", "", *sections.how_to_run(publication)]
    told_there = any(heading == "Options" for heading, _ in kept)
    yield from ["", "## Training data and recipe", "", *sections.training(publication, recipe=not told_there)]
    for heading, text in kept:
        yield from ["", f"## {heading}", "", text]
    yield from ["", "## Results", "", *sections.results(publication, told)]
    if curves:
        yield from ["", "## Depth curve"]
        for curve in curves:
            yield from ["", *depth_curve.shown(curve)]
    yield from ["", "## Intended use", "", *sections.intended_use(publication)]
    yield from ["", "## Limits", "", *sections.limits(publication, told, curves)]


def own_card(publication: Publication) -> tuple[str, list[tuple[str, str]]]:
    """What stands in the model's own README.md: the text under its title, and heading and text of what stays."""
    from huggingface_hub import ModelCard

    text = readme(publication)
    if not text or TEMPLATE in text:
        return "", []
    body = re.sub(r"\A# .*\n", "", ModelCard(text, ignore_metadata_errors=True).text.lstrip())
    head, *rest = re.split(r"^## ", body, flags=re.MULTILINE)
    parted = [section.partition("\n") for section in rest]
    return head.strip(), [(title.strip(), part.strip()) for title, _, part in parted if title.strip() not in HEADINGS]


def readme(publication: Publication) -> str:
    """The README.md beside the weights; "" where there is none."""
    path = publication.spec.weights / "README.md"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def trained_tags(publication: Publication) -> list[str]:
    """Tags of the model's own card, such as the loss."""
    from huggingface_hub import ModelCard

    text = readme(publication)
    tags: Any = getattr(ModelCard(text, ignore_metadata_errors=True).data, "tags", None) if text else None
    return [tag for tag in tags or () if tag != "mteb"]
