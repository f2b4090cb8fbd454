"""From documents to an index: segment by segment, each encoded once and for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import pyarrow as pa
from numpy.typing import NDArray

from mteb_cascade.atomic import check_writable
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.documents import Documents
from mteb_cascade.engine.latency import machine
from mteb_cascade.progress import Progress, listening, silent
from mteb_cascade.retriever.budget import FACT, depths_within, has_budget
from mteb_cascade.retriever.calibrating import calibration_of, told
from mteb_cascade.retriever.opening import model_of, parts_of
from mteb_cascade.retriever.parity import Flips, flips, is_reduced
from mteb_cascade.retriever.queries import described, first_of, read
from mteb_cascade.retriever.report import IndexReport, sizes_of
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.full_corpus import searches_by_itself
from mteb_cascade.stages.hybrid import Hybrid
from mteb_cascade.stages.provenance import versions
from mteb_cascade.store.index.index import Index
from mteb_cascade.store.index.writer import SEGMENT_ROWS, Writer
from mteb_cascade.store.precision import check_precision

COMPARED = 100
"""Queries that what is served is compared with float32 by."""

ROWS = 4_096
"""Documents that are encoded together: as many as evaluation takes, so that an index holds the same vectors."""


class Encoding:
    """Encodes what an index keeps of documents, and tells how far it is.

    Args:
        stage: The model.
        precision: What vectors are kept in.
        progress: Told the documents done, those in all, and how many are encoded a second.
        total: Documents in all.
    """

    def __init__(self, stage: Stage, precision: str, progress: Progress = silent, total: int = 0) -> None:
        keepers = stage.keepers()
        self.keepers = {keeper.kept_as: keeper for keeper in keepers if keeper.keeps}
        self.builders = {keeper.kept_as: keeper for keeper in keepers if keeper.builds}
        self.precision, self.progress, self.total = precision, progress, total
        self.done = self.encoded = 0
        self.seconds = 0.0

    def writer(self, stage: Stage, folder: Path) -> Writer:
        """The writer of an index of the stage."""
        return Writer(
            folder,
            model=model_of(stage),
            fingerprint=stage.fingerprint,
            parts=parts_of(stage),
            keepers=list(self.keepers),
            precision=self.precision,
        )

    def arrays(self, table: pa.Table) -> Iterator[Mapping[str, Mapping[str, NDArray[Any]]]]:
        """What is kept of a table's documents, block by block: {fingerprint: {name: array}}."""
        for start in range(0, table.num_rows, ROWS):
            texts = table["text"].slice(start, ROWS).to_pylist()
            begun, heard = perf_counter(), 0

            def hear(more: int, begun: float = begun, start: int = start) -> None:
                nonlocal heard
                heard += more
                self._tell(start + heard // len(self.keepers), heard / len(self.keepers), perf_counter() - begun)

            with listening(hear):
                kept = {key: keeper.kept(texts, self.precision) for key, keeper in self.keepers.items()}
            self.seconds += perf_counter() - begun
            self.encoded += len(texts)
            self._tell(start + len(texts))
            yield kept

    def finished(self, rows: int) -> None:
        """Note a whole segment of so many documents."""
        self.done += rows
        self._tell(0)

    def _tell(self, more: int, encoded: float = 0, seconds: float = 0) -> None:
        seconds += self.seconds
        rate = f"{(self.encoded + encoded) / seconds:,.0f} documents/s" if self.keepers and seconds else ""
        self.progress(self.done + more, self.total, rate)

    def build(self) -> Mapping[str, Callable[[Corpus, Path], None]]:
        """What writes the parts that are of the corpus as a whole."""
        return {key: builder.build_whole for key, builder in self.builders.items()}


def build(
    stage: Stage,
    documents: Documents,
    folder: str | Path,
    *,
    precision: str = "float32",
    queries: Path | None = None,
    compare: bool = True,
    segment_rows: int = SEGMENT_ROWS,
    progress: Progress = silent,
) -> IndexReport:
    """Index documents. What a killed build had finished is not encoded again; an older index stays until the end.

    Args:
        stage: The model that is to search them.
        documents: At least one.
        folder: Of the index; it is made, or holds an index.
        precision: What vectors are kept in: float32, float16 or int8.
        queries: A file of queries to calibrate the model's budget with, where it has one, and to compare what is served
            with float32, where that is something else; by default the first words of documents.
        compare: Count how often float32 finds another best document, where something else is served; of large models
            that takes a while.
        segment_rows: Documents of a segment.
        progress: Told the documents done and those in all.

    Raises:
        InputError: The documents have mistakes, weights are missing, another process writes to the folder, or the disk
            is full: what is finished is kept then.
    """
    folder = Path(folder).expanduser()
    check_precision(precision)
    asked = None if queries is None else read(queries)
    stage.prepare()
    encoding = Encoding(stage, precision, progress)
    writer = encoding.writer(stage, folder)
    writer.refuse_other_folder()
    check_writable(folder / "manifest.json")
    checked = documents.checked()
    encoding.total = checked.documents
    started = perf_counter()
    with writer:
        segments, reused = [], 0
        for table in documents.tables(segment_rows):
            segment, there = writer.segment(table, partial(encoding.arrays, table))
            encoding.finished(segment.rows)
            segments.append(segment)
            reused += there
        if encoding.builders:
            progress(encoding.done, encoding.total, "what is of all documents together")
        manifest = writer.commit(segments, facts=facts_of(documents, stage), build=encoding.build())
        seconds = perf_counter() - started
        over = stage.over(Index.open(folder))
        calibration = None
        if has_budget(over):
            some = first_of(asked, over.corpus)
            calibration = calibration_of(over, some, described(queries), progress=progress)
            writer.note({FACT: calibration})
    notes = [*notes_of(stage, manifest.documents), *([told(calibration)] if calibration else [])]
    return IndexReport(
        name=documents.name,
        model=stage.label,
        folder=folder,
        precision=precision,
        documents=manifest.documents,
        segments=len(manifest.segments),
        sizes=sizes_of(manifest),
        seconds=seconds,
        encoded=encoding.encoded if encoding.keepers else 0,
        encoding_seconds=encoding.seconds,
        reused=reused,
        skipped=checked.skipped,
        examples=checked.examples,
        notes=tuple(notes),
        flips=flipped(over, precision, asked, calibration, progress) if compare else None,
        capped_at=calibration["cap"] if calibration else None,
    )


def flipped(
    over: Stage, precision: str, asked: Queries | None, calibration: dict[str, Any] | None, progress: Progress
) -> Flips | None:
    """How often float32 finds another best document; None where everything is served in float32."""
    if not is_reduced(over, precision):
        return None
    progress(0, 1, "compared with float32")
    found = flips(over, first_of(asked, over.corpus, COMPARED), depths_within(over, calibration))
    progress(1, 1, "compared with float32")
    return found


def facts_of(documents: Documents, stage: Stage) -> dict[str, Any]:
    """What a manifest says of how the index came about."""
    return {
        "source": documents.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(stage),
        "machine": machine(),
        "kind": stage.kind,
    }


def notes_of(stage: Stage, documents: int) -> Iterator[str]:
    """What to know before searching: stages that score every document of every query."""
    for one in searching(stage):
        if not searches_by_itself(one):
            yield (
                f"{one.label} has no first stage before it: a search scores all {documents:,} documents"
                + (f", and is refused: the limit is {one.pair_limit:,} pairs" if documents > one.pair_limit else "")
            )


def searching(stage: Stage) -> Sequence[Stage]:
    """The stages that find documents: a cascade's first, a hybrid's members, any other itself."""
    if isinstance(stage, Cascade):
        return searching(stage.first)
    if isinstance(stage, Hybrid):
        return [one for member in stage.members for one in searching(member.stage)]
    return [stage]
