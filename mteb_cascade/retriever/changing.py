"""An index that changes: documents come and go, small segments become large ones; who reads is not disturbed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.corpora.documents import Documents
from mteb_cascade.errors import InputError, in_one_line, printable
from mteb_cascade.progress import Progress, silent
from mteb_cascade.retriever.building import Encoding
from mteb_cascade.retriever.opening import loading_its_model, refuse_unfit
from mteb_cascade.retriever.report import Changed
from mteb_cascade.spec import shown
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.load import load
from mteb_cascade.store.index.checking import damaged, faults
from mteb_cascade.store.index.index import Index
from mteb_cascade.store.index.manifest import Manifest, Segment
from mteb_cascade.store.index.whole import Build
from mteb_cascade.store.index.writer import SEGMENT_ROWS, Writer

NAMED = 5
"""Ids that one message names."""


def add(
    folder: str | Path,
    documents: Documents,
    stage: Stage | None = None,
    *,
    segment_rows: int = SEGMENT_ROWS,
    progress: Progress = silent,
) -> Changed:
    """Add documents behind those that are there. What an add that was killed had finished is not encoded again.

    Args:
        folder: Of the index.
        documents: Those that the index holds with the same text already are counted and left as they are.
        stage: The model; by default the one that the index was made from.
        segment_rows: Most documents of a new segment.
        progress: Told the documents done and those in all.

    Raises:
        InputError: The documents have mistakes, an id is there with another text, the model is not that of the index,
            or something cannot be written: the index holds what it held.
    """
    folder = Path(folder).expanduser()
    checked = documents.checked()
    with Writer.of(folder) as writer:
        index = Index.open(folder)
        stage = model_for(index, stage)
        stage.prepare()
        refuse_unfit(stage, index)
        refuse_another(stage, index)
        new = sum(int(absent.sum()) for _, absent in compared(index.corpus, documents))
        encoding = Encoding(stage, writer.precision, progress, new)
        segments = list(index.manifest.segments)
        for table in regrouped(absent_from(index.corpus, documents), segment_rows):
            segment, _ = writer.segment(table, partial(encoding.arrays, table))
            encoding.finished(segment.rows)
            segments.append(segment)
        manifest = index.manifest
        if new:
            manifest = writer.commit(segments, facts=changed_facts(manifest), build=encoding.build())
    return changed(
        folder,
        manifest,
        added=new,
        already_there=checked.documents - new,
        skipped=checked.skipped,
        examples=checked.examples,
    )


def remove(folder: str | Path, ids: Sequence[str], stage: Stage | None = None) -> Changed:
    """Take documents out. What they take on the disk is given back when `compact` is called.

    Args:
        folder: Of the index.
        ids: Of documents that it holds; each may stand there several times.
        stage: As for `add`.

    Raises:
        InputError: An id is not there, or something cannot be written: the index holds what it held.
    """
    folder = Path(folder).expanduser()
    ids = list(dict.fromkeys(ids))
    if not ids:
        raise InputError(f"{shown(folder)}: no document to remove; give ids")
    with Writer.of(folder) as writer:
        index = Index.open(folder)
        rows = index.corpus.rows(ids)
        unknown = [ids[at] for at in np.flatnonzero(rows < 0)[:NAMED]]
        if unknown:
            more = f" and {int((rows < 0).sum()) - len(unknown):,} more" if (rows < 0).sum() > len(unknown) else ""
            raise InputError(
                f"{shown(folder)}: holds no document {', '.join(f'{in_one_line(one)!r}' for one in unknown)}{more}; "
                "nothing is removed"
            )
        build = builders(index, stage)
        segments = list(index.manifest.segments)
        for number, gone in index.removed_with(rows).items():
            segments[number] = writer.removed(segments[number], gone)
        manifest = writer.commit(segments, facts=changed_facts(index.manifest), build=build)
    return changed(folder, manifest, removed=len(ids))


def compact(
    folder: str | Path,
    stage: Stage | None = None,
    *,
    segment_rows: int = SEGMENT_ROWS,
    progress: Progress = silent,
) -> Changed:
    """Make full segments of neighbouring small ones and of those that lost documents; nothing is encoded.

    Args:
        folder: Of the index.
        stage: As for `add`.
        segment_rows: Documents of a full segment.
        progress: Told the documents copied and those to copy.

    Raises:
        InputError: There is no index, or something cannot be written: the index holds what it held.
    """
    folder = Path(folder).expanduser()
    with Writer.of(folder) as writer:
        index = Index.open(folder)
        before = index.manifest
        stretches = list(to_rewrite(before.segments, segment_rows))
        total, done, first = sum(sum(one.live for one in group) for group, new in stretches if new), 0, 0
        build = builders(index, stage) if total else {}
        # What is copied gets a checksum of its own: damage would look whole from then on.
        copied = [file for group, new in stretches if new for segment in group for file in segment.files]
        if copied and (found := faults(folder, copied, check_all=True, progress=progress)):
            raise damaged(folder, found)
        segments: list[Segment] = []
        for group, rewritten in stretches:
            last = first + sum(one.live for one in group)
            if not rewritten:
                segments += group
            for start in range(first, last, segment_rows) if rewritten else ():
                end = min(start + segment_rows, last)
                segments.append(writer.segment(index.corpus.documents(start, end), partial(index.taken, start, end))[0])
                done += end - start
                progress(done, total, "copied")
            first = last
        manifest = writer.commit(segments, facts=changed_facts(before), build=build) if total else before
    return changed(folder, manifest)


def verify(folder: str | Path, progress: Progress = silent) -> Manifest:
    """Read every file of an index and compare it with its checksum.

    Raises:
        InputError: There is no index, or it is damaged: every fault is named.
    """
    return Index.open(Path(folder).expanduser(), check_all=True, progress=progress).manifest


def model_for(index: Index, stage: Stage | None) -> Stage:
    """The stage, or the model that the index was made from.

    Raises:
        InputError: That cannot be found here.
    """
    if stage is not None:
        return stage
    with loading_its_model(index.folder):
        return load(index.manifest.model)


def builders(index: Index, stage: Stage | None) -> Mapping[str, Build]:
    """What makes the parts that are of all documents together; no model is loaded where the index has none of them."""
    held = {part.kept_as for part in index.manifest.parts if index.whole(part.kept_as)}
    if not held:
        return {}
    stage = model_for(index, stage)
    build = Encoding(stage, index.manifest.precision).build()
    if not held <= set(build):
        stage.prepare()  # Loading may settle what a fingerprint depends on.
        refuse_unfit(stage, index)
        refuse_another(stage, index)
        build = Encoding(stage, index.manifest.precision).build()
    return {key: build[key] for key in build if key in held}


def refuse_another(stage: Stage, index: Index) -> None:
    """Raise InputError where a model does not make all that an index keeps: a part of it can search, not change it."""
    made = {keeper.kept_as for keeper in stage.keepers()}
    kept = [
        part for part in index.manifest.parts if part.kept_as in index.manifest.keepers or index.whole(part.kept_as)
    ]
    lacking = [printable(part.label) for part in kept if part.kept_as not in made]
    if lacking:
        raise InputError(
            f"{shown(index.folder)}: {stage.label} makes nothing for {', '.join(dict.fromkeys(lacking))}, which the "
            f"index keeps; change it with the model that it was made from ({printable(index.manifest.model)})"
        )


def compared(corpus: Corpus, documents: Documents) -> Iterator[tuple[pa.Table, NDArray[np.bool_]]]:
    """Tables of documents, and which of them a corpus does not hold.

    Raises:
        InputError: It holds one with another text.
    """
    for table in documents.tables(SEGMENT_ROWS):
        rows = corpus.rows(table["id"].to_pylist())
        there = np.flatnonzero(rows >= 0)
        texts = corpus.texts_at(rows[there]) if len(there) else []
        for position, text in zip(there.tolist(), texts, strict=True):
            if table["text"][position].as_py() != text:
                name = in_one_line(table["id"][position].as_py())
                raise InputError(
                    f"{documents.name}: document '{name}' is in the index with another text; remove that one first "
                    f"(`mteb-cascade remove`), or leave this one out"
                )
        yield table, rows < 0


def absent_from(corpus: Corpus, documents: Documents) -> Iterator[pa.Table]:
    """Tables of the documents that a corpus does not hold."""
    for table, absent in compared(corpus, documents):
        if absent.any():
            yield table.filter(pa.array(absent))


def regrouped(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in tables of this many, but for the last.

    >>> two = pa.table({"id": ["a", "b"]})
    >>> [table["id"].to_pylist() for table in regrouped(iter([two, two]), 3)]
    [['a', 'b', 'a'], ['b']]
    """
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(len(one) for one in held) >= rows:
            joined = pa.concat_tables(held)
            whole = len(joined) // rows * rows
            yield from (joined.slice(start, rows) for start in range(0, whole, rows))
            held = [joined.slice(whole)] if whole < len(joined) else []
    if held:
        yield pa.concat_tables(held)


def to_rewrite(segments: Sequence[Segment], rows: int) -> Iterator[tuple[list[Segment], bool]]:
    """Neighbouring segments together where they are small or have lost documents, and whether they are to be rewritten.

    Args:
        segments: In their order.
        rows: Documents of a full one.
    """
    group: list[Segment] = []
    for segment in segments:
        if segment.removed_rows or segment.rows < rows:
            group.append(segment)
            continue
        if group:
            yield group, is_worth_it(group)
        yield [segment], False
        group = []
    if group:
        yield group, is_worth_it(group)


def is_worth_it(group: Sequence[Segment]) -> bool:
    """Whether several segments become fewer, or one without what is gone."""
    return len(group) > 1 or group[0].removed_rows > 0


def changed_facts(manifest: Manifest) -> dict[str, Any]:
    """The facts of an index that is changed now."""
    return {**manifest.facts, "changed": datetime.now(UTC).isoformat(timespec="seconds")}


def changed(folder: Path, manifest: Manifest, **counts: Any) -> Changed:
    """What the index holds now."""
    return Changed(folder, manifest.documents, manifest.bytes, len(manifest.segments), **counts)
