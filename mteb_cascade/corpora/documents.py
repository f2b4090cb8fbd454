"""Documents on their way into an index: read table by table, as often as asked, never whole in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from mteb_cascade.corpora import beir
from mteb_cascade.corpora.corpus import Corpus, as_read
from mteb_cascade.corpora.document_files import FORMATS, Numbered, format_of
from mteb_cascade.errors import InputError, in_one_line


@dataclass(frozen=True)
class Checked:
    """What a pass over all documents found.

    Args:
        documents: How many there are.
        skipped: Lines that hold no document and were left out.
        examples: The first of those, each with file, line and what is wrong with it.
    """

    documents: int
    skipped: int = 0
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Documents(ABC):
    """A source of documents.

    Args:
        name: What reports call it.
    """

    name: str

    @abstractmethod
    def tables(self, rows: int) -> Iterator[pa.Table]:
        """Columns `id` and `text` (large strings; title + " " + text, stripped), `rows` of them but in the last table.

        Raises:
            InputError: A document is none, and is not to be skipped.
        """

    @abstractmethod
    def checked(self) -> Checked:
        """Read everything once, so that a mistake on the last line costs no hour of encoding.

        Raises:
            InputError: There is no document, or with its mistakes: file, line number, what is wrong. An id that stands
                twice is one.
        """


@dataclass(frozen=True)
class CorpusDocuments(Documents):
    """Those of a corpus that is in memory.

    Args:
        corpus: N documents; its ids are known to be unique.
    """

    corpus: Corpus

    def tables(self, rows: int) -> Iterator[pa.Table]:
        """Its rows in their order."""
        for start in range(0, len(self.corpus), rows):
            taken = np.arange(start, min(start + rows, len(self.corpus)))
            columns = self.corpus.ids_at(taken), self.corpus.texts_at(taken)
            yield pa.table([pa.array(column, pa.large_string()) for column in columns], ["id", "text"])

    def checked(self) -> Checked:
        """Only whether there are any."""
        if not len(self.corpus):
            raise InputError(f"{self.name}: the corpus is empty; expected at least one document")
        return Checked(len(self.corpus))


@dataclass(frozen=True)
class FileDocuments(Documents):
    """Those of a file; about 8 bytes of memory a document, whatever its size.

    Args:
        path: The file.
        read: Gives (line number, document or what is wrong with the line) for each line of it.
        skip_bad: Leave lines that hold no document out, and count them.
    """

    path: Path
    read: Callable[[], Iterator[Numbered]]
    skip_bad: bool = False

    def tables(self, rows: int) -> Iterator[pa.Table]:
        """Its documents in the order of their lines."""
        documents = self._documents()
        while block := list(islice(documents, rows)):
            columns = [pa.array(column, pa.large_string()) for column in zip(*block, strict=True)]
            yield as_read(pa.table(columns, ["id", "text", "title"]))

    def _documents(self) -> Iterator[tuple[str, str, str]]:
        for number, row in self.read():
            if not isinstance(row, str):
                yield row
            elif not self.skip_bad:
                raise InputError(beir.at_line(self.path, number, row))

    def checked(self) -> Checked:
        """As for any source; ids are compared by 64-bit hashes, and those that agree by themselves."""
        hashes = array("Q")
        bad: list[tuple[int, str]] = []
        count = 0
        for number, row in self.read():
            if isinstance(row, str):
                count += 1
                bad += [(number, row)] if len(bad) < beir.SHOWN else []
                continue
            hashes.append(hash_of(row[0]))
        found, repeats = self._repeated(np.frombuffer(hashes, np.uint64))
        mistakes = found if self.skip_bad else sorted([*bad, *found])
        if mistakes:
            told = [beir.at_line(self.path, number, fault) for number, fault in mistakes]
            raise beir.all_of(self.path, told, max(len(told), repeats + (0 if self.skip_bad else count)))
        if not len(hashes):
            none = f", and {count:,} bad lines were skipped" if count else ""
            raise InputError(f"{self.path}: the corpus is empty{none}; expected at least one document")
        examples = tuple(beir.at_line(self.path, number, fault) for number, fault in bad)
        return Checked(len(hashes), count, examples)

    def _repeated(self, hashes: NDArray[np.uint64]) -> tuple[list[tuple[int, str]], int]:
        """The first ids that stand twice, with their lines, and how many do."""
        if not len(hashes) or not np.any(np.diff(np.sort(hashes)) == 0):
            return [], 0
        order = np.argsort(hashes, kind="stable")
        again = np.sort(order[1:][np.diff(hashes[order]) == 0])
        wanted = frozenset(hashes[again[: beir.SHOWN]].tolist())
        lines: dict[str, int] = {}
        found = []
        for number, row in self.read():
            if isinstance(row, str) or hash_of(row[0]) not in wanted:
                continue
            if row[0] in lines:
                found.append((number, beir.repeated(in_one_line(row[0]), lines[row[0]])))
            lines.setdefault(row[0], number)
        return found[: beir.SHOWN], len(again)


def hash_of(identity: str) -> int:
    """64 bits of an id."""
    return xxhash.xxh3_64_intdigest(identity.encode())


def documents_of(
    corpus: str | Path | Corpus | Documents, *, skip_bad: bool = False, allow_empty: bool = False
) -> Documents:
    """The documents of a BEIR folder, a file, PythonDocs, a task of mteb, or a corpus.

    Args:
        corpus: A folder with corpus.jsonl; a file of `document_files.FORMATS`, each but Parquet perhaps packed as .gz;
            a name; a corpus.
        skip_bad: Leave lines out that hold no document.
        allow_empty: Accept documents without text.

    Raises:
        InputError: There is no such thing.
    """
    if isinstance(corpus, Documents):
        return corpus
    if isinstance(corpus, Corpus):
        return CorpusDocuments("corpus", corpus)
    path = Path(corpus).expanduser()
    if path.is_dir():
        file = beir.one_file(path, "corpus.jsonl")
        return FileDocuments(named(path), file, partial(beir.numbered_documents, file, allow_empty), skip_bad)
    if path.is_file():
        return FileDocuments(
            path.name.partition(".")[0] or path.name, path, partial(format_of(path), path, allow_empty), skip_bad
        )
    if isinstance(corpus, Path) or "/" in corpus or path.suffix in (*FORMATS, ".gz"):
        raise InputError(
            f"{path}: there is no such file or folder; expected a BEIR folder, a file of {', '.join(FORMATS)}, "
            "PythonDocs, or a task of mteb"
        )
    from mteb_cascade.corpora.load import load

    collection = load(corpus)
    return CorpusDocuments(collection.title, collection.corpus)


def named(folder: Path) -> str:
    """The name of a BEIR folder: its entry's, or its own."""
    from mteb_cascade.corpora.task_entry import FILE, TaskEntry

    return TaskEntry.of(folder).name if (folder / FILE).is_file() else folder.absolute().name
