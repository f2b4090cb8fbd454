"""Where a Lucene index lies: built from a corpus and kept in the cache, or fetched by pyserini under its name."""

from __future__ import annotations

import contextlib
import difflib
import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.errors import InputError
from mteb_cascade.installed import version
from mteb_cascade.spec import shown
from mteb_cascade.stages.base import hash_of
from mteb_cascade.stages.lucene_index import LANGUAGES
from mteb_cascade.stages.lucene_jvm import java_class, java_text, reason, start, visiting
from mteb_cascade.stages.weights import offline
from mteb_cascade.store.folder import cache_folder

BATCH = 1_000
"""Documents handed to Java at once."""

BUFFER = 256
"""Megabytes of words that the writer holds before it writes; its own 4,096 are more than a small Java has."""


def built(corpus: Corpus, language: str) -> Path:
    """The folder of a corpus's index; built unless it is there already.

    Raises:
        InputError: The cache cannot be written, or Lucene did not take every document.
    """
    start()
    name = hash_of([corpus.digest, language, version("pyserini")])[:32]
    folder = cache_folder() / "lucene" / name
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=folder.parent))
    except OSError as error:
        raise InputError(
            f"the Lucene index cannot be written to {shown(folder.parent)}: {error.strerror}. The environment variable "
            "MTEB_CASCADE_CACHE names another folder"
        ) from None
    try:
        with visiting():
            write(beside, corpus, language)
        try:
            beside.rename(folder)
        except OSError:
            # Somebody else who built this index in the meantime built the same; anything else is an error.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def write(folder: Path, corpus: Corpus, language: str) -> None:
    """Index a corpus into a folder; documents without a word are left out, as no query finds them.

    Raises:
        InputError: Lucene did not take every document.
    """
    import jnius

    arguments = [
        "-index",
        java_text(str(folder)),
        "-input",
        "",
        "-collection",
        "JsonCollection",
        "-language",
        LANGUAGES[language],
    ]
    document = java_class("io.anserini.collection.JsonCollection$Document")
    taken = full = 0
    try:
        indexer = java_class("io.anserini.index.SimpleIndexer")(
            [*arguments, "-threads", str(os.cpu_count() or 1), "-memoryBuffer", str(BUFFER)]
        )
        for first in range(0, len(corpus), BATCH):
            rows = zip(
                corpus.ids[first : first + BATCH].to_pylist(),
                corpus.texts[first : first + BATCH].to_pylist(),
                strict=True,
            )
            batch = [document.fromFields(java_text(name), java_text(text)) for name, text in rows if has_text(text)]
            full += len(batch)
            taken += int(indexer.addJsonDocuments(batch)) if batch else 0
        indexer.close()
    except jnius.JavaException as error:
        raise InputError(f"Lucene could not index the corpus: {reason(error)}") from None
    if taken != full:
        raise InputError(f"Lucene took {taken:,} of {full:,} documents; is the disk of {shown(folder.parent)} full?")


def has_text(text: str) -> bool:
    """Whether Anserini takes a document: it leaves out what Java's `trim` leaves nothing of."""
    return any(character > " " for character in text)


def prebuilt(name: str) -> Path:
    """The folder of one of pyserini's prebuilt indexes, fetched unless it is here already.

    Raises:
        InputError: pyserini has none of that name, or it cannot be fetched.
    """
    known = prebuilt_indexes(name)
    from pyserini import util

    if offline() and not util.check_downloaded(name):
        raise InputError(
            f"the prebuilt Lucene index '{name}' is not on this disk, and HF_HUB_OFFLINE is set, so it is not fetched. "
            "Fetch it once on a machine with network (mteb-cascade prefetch)"
        )
    try:
        # pyserini reports to stdout, which belongs to data.
        with contextlib.redirect_stdout(sys.stderr):
            return Path(util.download_prebuilt_index(name, verbose=False))
    except (OSError, ValueError, AssertionError, tarfile.TarError) as error:
        size = known[name].get("size compressed (bytes)")
        of = f" ({size / 1e9:,.1f} GB)" if size else ""
        text = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InputError(f"the prebuilt Lucene index '{name}'{of} could not be fetched: {text}") from None


def prebuilt_indexes(name: str) -> dict[str, Any]:
    """Pyserini's prebuilt BM25 indexes, `name` among them.

    Raises:
        InputError: It is not among them.
    """
    start()
    with visiting():
        from pyserini.prebuilt_index_info import TF_INDEX_INFO

    known: dict[str, Any] = TF_INDEX_INFO
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3)
        meant = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise InputError(
            f"from_index: pyserini has no prebuilt BM25 index '{name}' among its {len(known)}.{meant} A folder is "
            "given as an absolute path or starting with ./ or ~"
        )
    return known
