"""`mteb-cascade index`, `add`, `remove`, `compact` and `verify`: an index made, changed and checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mteb_cascade.cli.options import AllowEmpty
from mteb_cascade.errors import InputError

if TYPE_CHECKING:
    from mteb_cascade.retriever.report import Changed, IndexReport
    from mteb_cascade.stages.base import Stage

CorpusPath = Annotated[
    str,
    typer.Argument(
        metavar="CORPUS",
        help="PythonDocs, a BEIR folder, a .jsonl, .tsv (each perhaps .gz) or .parquet file, or a task of mteb.",
    ),
]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the index.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave lines out that hold no document, and count them.")]
Model = Annotated[str | None, typer.Option(help="The model, where the index's own name does not lead to it.")]


def index(
    name: Annotated[str, typer.Argument(help="The model: name of a spec, folder or hub id.")],
    corpus: CorpusPath,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Folder of the index; indexes/NAME by default.")
    ] = None,
    precision: Annotated[str, typer.Option(help="What vectors are kept in: float32, float16 or int8.")] = "float32",
    skip_bad: SkipBad = False,
    allow_empty: AllowEmpty = False,
    queries: Annotated[
        Path | None,
        typer.Option(help="File of queries to calibrate budget_ms and to compare with float32 by; else made of texts."),
    ] = None,
) -> None:
    """Encode a corpus once, so that `search`, `serve` and `bench` answer at once. A build that was stopped goes on."""
    from mteb_cascade.corpora.documents import documents_of
    from mteb_cascade.progress import bar
    from mteb_cascade.retriever.building import build
    from mteb_cascade.retriever.opening import folder_of
    from mteb_cascade.stages.load import load

    stage = load(name)
    folder = folder_of(stage) if output is None else output
    documents = documents_of(corpus, skip_bad=skip_bad, allow_empty=allow_empty)
    with going_on(), bar(f"indexing {documents.name}") as progress:
        report = build(stage, documents, folder, precision=precision, queries=queries, progress=progress)
    told_of_skipped(report.skipped, report.examples)
    tell(report)


def add(
    folder: Folder, corpus: CorpusPath, skip_bad: SkipBad = False, allow_empty: AllowEmpty = False, model: Model = None
) -> None:
    """Add documents to an index, while it is searched; those that it holds already are left as they are."""
    from mteb_cascade.corpora.documents import documents_of
    from mteb_cascade.progress import bar
    from mteb_cascade.retriever import changing

    documents = documents_of(corpus, skip_bad=skip_bad, allow_empty=allow_empty)
    with going_on(), bar(f"adding {documents.name}") as progress:
        changed = changing.add(folder, documents, loaded(model), progress=progress)
    told_of_skipped(changed.skipped, changed.examples)
    typer.echo(in_a_line(changed))


def remove(
    folder: Folder,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Documents to remove.")] = None,
    file: Annotated[Path | None, typer.Option("--ids", help="File of more ids, one a line.")] = None,
    model: Model = None,
) -> None:
    """Take documents out of an index; `compact` gives their room on the disk back."""
    from mteb_cascade.retriever import changing

    given = [*(ids or ()), *(ids_in(file) if file else ())]
    if not given:
        raise InputError("nothing to remove: give ids, or a file of them with --ids")
    with going_on():
        changed = changing.remove(folder, given, loaded(model))
    typer.echo(in_a_line(changed))


def compact(folder: Folder, model: Model = None) -> None:
    """Join small segments and drop what was removed; nothing is encoded, and searches go on meanwhile."""
    from mteb_cascade.progress import bar
    from mteb_cascade.retriever import changing

    with going_on(), bar("compacting") as progress:
        changed = changing.compact(folder, loaded(model), progress=progress)
    typer.echo(in_a_line(changed))


def verify(folder: Folder) -> None:
    """Read every file of an index and compare it with its checksum."""
    from mteb_cascade.progress import bar
    from mteb_cascade.retriever import changing
    from mteb_cascade.spec import shown
    from mteb_cascade.store.folder import in_units

    with bar("verifying") as progress:
        manifest = changing.verify(folder, progress)
    typer.echo(
        f"{shown(folder)}: whole: {len(manifest.files):,} files, {in_units(manifest.bytes)}, "
        f"{manifest.documents:,} documents"
    )


@contextmanager
def going_on() -> Iterator[None]:
    """Ctrl-C stops cleanly, and says that nothing finished is lost."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("finished segments are kept: run the same command again, it goes on from there", err=True)
        raise


def loaded(model: str | None) -> Stage | None:
    """The model that was named, if any."""
    from mteb_cascade.stages.load import load

    return None if model is None else load(model)


def ids_in(file: Path) -> Iterator[str]:
    """Ids of a file, one a line."""
    from mteb_cascade.corpora.beir import numbered_lines

    return (line.strip() for _, line in numbered_lines(file))


def told_of_skipped(count: int, examples: Sequence[str]) -> None:
    """Say which lines were left out."""
    if count:
        more = f"\n... and {count - len(examples):,} more" if count > len(examples) else ""
        listed = "\n".join(examples)
        typer.echo(f"{count:,} bad lines were skipped:\n{listed}{more}", err=True)


def tell(report: IndexReport) -> None:
    """What an index holds, part by part, and what making it took."""
    from rich.console import Console
    from rich.text import Text

    from mteb_cascade.report.tables import table
    from mteb_cascade.spec import shown
    from mteb_cascade.store.folder import in_units

    rows = [
        (part, in_units(size), f"{size / max(report.documents, 1):,.0f}")
        for part, size in (*report.sizes.items(), ("in all", report.size))
    ]
    title = f"{report.model} over {report.name}: {report.documents:,} documents in {shown(report.folder)}"
    console = Console()
    console.print(table(title, ("part", "size", "bytes a document"), rows))
    console.print(Text("\n".join(lines_of(report))))


def lines_of(report: IndexReport) -> Iterator[str]:
    """What the table does not say."""
    reused = f", {report.reused:,} of them made before" if report.reused else ""
    vectors = f"; vectors in {report.precision}" if any(": " in part for part in report.sizes) else ""
    yield f"{report.segments:,} segment{'s' if report.segments != 1 else ''}{reused}{vectors}."
    rate = report.documents_per_second
    encoded = f"{report.encoded:,} documents encoded, {rate:,.0f} a second; " if rate else ""
    yield f"{encoded}{report.seconds:,.1f} s in all."
    yield from report.notes
    if report.flips is not None:
        yield str(report.flips)


def in_a_line(changed: Changed) -> str:
    """What an index holds after a change."""
    from mteb_cascade.spec import shown
    from mteb_cascade.store.folder import in_units

    there = f" ({changed.already_there:,} were there already)" if changed.already_there else ""
    return (
        f"{shown(changed.folder)}: {changed.documents:,} documents now; {changed.added:,} added{there}, "
        f"{changed.removed:,} removed; {in_units(changed.size)} in {changed.segments:,} "
        f"segment{'s' if changed.segments != 1 else ''}"
    )
