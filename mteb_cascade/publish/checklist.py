"""The checklists of mteb's pull requests: what is done and by what evidence, to do, or yours to say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

from mteb_cascade.publish.publication import Fault, Publication
from mteb_cascade.publish.snippet import plain_model
from mteb_cascade.stages.model_meta import leaves
from mteb_cascade.stages.model_stage import ModelStage

DONE, OPEN, YOURS = "[x]", "[ ]", "[?]"

LEGEND = "[x] done   [ ] to do   [?] yours to say"

WIDTH = 80

OPTIONAL = (
    "n_active_parameters_override",
    "superseded_by",
    "citation",
    "contacts",
    "experiment_kwargs",
    "output_dtypes",
    "extra_requirements_groups",
    "loader",
)
"""Fields of a ModelMeta that most models of mteb leave empty."""


@dataclass(frozen=True)
class Item:
    """One line of a checklist.

    Args:
        mark: Done, open, or the author's to say.
        text: What the pull request's template asks.
        because: The evidence, or what to do.
    """

    mark: str
    text: str
    because: str

    def __str__(self) -> str:
        options: dict[str, Any] = {"width": WIDTH, "break_long_words": False, "break_on_hyphens": False}
        asked = fill(f"{self.mark} {self.text}", subsequent_indent="    ", **options)
        told = fill(self.because, initial_indent="    ", subsequent_indent="    ", **options)
        return f"{asked}\n{told}"


def checklist(publication: Publication) -> list[str]:
    """The items of both pull requests, the model's to mteb first, then the results'; each of at most 80 columns.

    Returns:
        A legend, two headings, and the items, each with its evidence in an indented line or more.
    """
    return [
        LEGEND,
        "Pull request to mteb: the model",
        *map(str, of_the_model(publication)),
        "Pull request to the results: the figures",
        *map(str, of_the_results(publication)),
    ]


def of_the_model(publication: Publication) -> Iterator[Item]:
    """What mteb asks of a new model."""
    meta = publication.meta
    call = f'mteb.get_model("{meta.name}", "{meta.revision}")'
    yield filled(publication)
    loading = (
        "put model_meta.py into mteb/models/model_implementations of your clone of mteb, and run there: "
        f"python -c 'import mteb; {call}'"
    )
    yield Item(OPEN, "The model can be loaded using mteb.get_model and mteb.get_model_meta", loading)
    tasks = sorted({found.task for found in publication.results})
    yield (
        Item(DONE, "The implementation was tested on a representative set of tasks", f"results on {', '.join(tasks)}")
        if tasks
        else Item(OPEN, "The implementation was tested on a representative set of tasks", f"{command(publication)}")
    )
    yield public(publication)


def of_the_results(publication: Publication) -> Iterator[Item]:
    """What mteb's submit-results writes into its pull request."""
    yield Item(DONE, "The model has a model sheet, report, or similar", "README.md, which goes onto the model's page")
    yield Item(
        OPEN,
        "The model has a reference implementation in mteb/models/model_implementations, or a pull request of one",
        "open the pull request to mteb first, with model_meta.py, and put its number here",
    )
    yield by_the_implementation(publication)
    yield public(publication)
    yield untrained_on(publication)


def filled(publication: Publication) -> Item:
    """Whether the ModelMeta says all that it can."""
    text = "The ModelMeta is filled out to the extent possible"
    mistakes = [fault for fault in publication.faults if "[card]" in fault.where]
    if mistakes:
        return Item(OPEN, text, told(mistakes))
    values = {name: value for name, value in publication.meta if name not in OPTIONAL}
    empty = [name for name, value in values.items() if value is None]
    rest = f"; empty: {', '.join(empty)}. Fill in what applies under [card]" if empty else ""
    return Item(DONE, text, f"{len(values) - len(empty)} of {len(values)} fields{rest}")


def public(publication: Publication) -> Item:
    """Whether anybody can have the weights."""
    text = "The model is public: an API, or weights that anybody can download"
    missing = [fault for fault in publication.faults if "commit" in f"{fault.where} {fault.what}"]
    if missing:
        return Item(OPEN, text, told(missing))
    if not any(isinstance(leaf, ModelStage) for leaf in leaves(publication.stage)):
        return Item(DONE, text, "it has no weights: it is its spec file")
    if publication.meta.open_weights is False:
        return Item(YOURS, text, "open_weights = false on the card: say how others reach it, or write true")
    on_hub = dict.fromkeys(commits(publication.meta.loader_kwargs))
    if not on_hub:
        return Item(OPEN, text, "upload the weights, and name their commit under [card] commit")
    return Item(DONE, text, f"the hub's files are those that were evaluated: {', '.join(on_hub)}")


def commits(value: Any) -> Iterator[str]:
    """Repository and commit of every stage of a pipeline that has them."""
    if isinstance(value, dict) and {"repository", "commit"} <= set(value):
        yield f"{value['repository']} at {value['commit']}"
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from commits(inner)


def by_the_implementation(publication: Publication) -> Item:
    """Whether the results come from the code that the pull request adds."""
    text = "The results were obtained using the reference implementation"
    if not publication.results:
        return Item(OPEN, text, f"there are none yet: {command(publication)}")
    if plain_model(publication):
        task = min(found.task for found in publication.results)
        return Item(
            OPEN,
            text,
            "they were computed by mteb-cascade from the same weights, mteb's wrapper loads them itself: run one task "
            f"with it, such as MTEB_CASCADE_AUTOLOAD=0 mteb run -m {publication.meta.name} -t {task}, and compare",
        )
    versions = {
        str(((found.provenance or {}).get("versions") or {}).get("mteb-cascade", "")) for found in publication.results
    }
    known = ", ".join(sorted(filter(None, versions)))
    return Item(DONE, text, f"both are mteb-cascade{f' {known}' if known else ''}, of this fingerprint")


def untrained_on(publication: Publication) -> Item:
    """What the author has to swear, and what is known of it."""
    text = "I solemnly swear that I have not trained on the evaluation datasets, training splits included, or said so"
    meta = publication.meta
    tasks = {found.task for found in publication.results}
    datasets = meta.get_training_datasets()
    if datasets is None:
        return Item(YOURS, text, "training_datasets is not stated: list what it was trained on under [card]")
    seen = sorted(tasks & datasets)
    if seen:
        return Item(YOURS, text, f"disclosed in training_datasets, as the data of {', '.join(seen)}")
    stated = ", ".join(sorted(meta.training_datasets or ()))
    said = (
        f"says {stated}, none of which is evaluated here" if stated else "is empty: it learned from no task of mteb's"
    )
    return Item(YOURS, text, f"training_datasets {said}")


def command(publication: Publication) -> str:
    """What makes a result."""
    return f"mteb run -m {publication.spec.short_name} -t SciFact --output-folder ."


def told(faults: Sequence[Fault]) -> str:
    """Several faults in a row."""
    return "; ".join(f"{fault.where}: {fault.what}. {fault.remedy}" for fault in faults)
