"""PythonDocs: docstrings of the running Python's standard library as a retrieval collection.

The text is read from the installed sources with `ast`; no module is imported and nothing is shipped. The first
paragraph of a docstring is a query, the rest with its signature the document that answers it.
"""

from __future__ import annotations

import ast
import hashlib
import platform
import re
import sysconfig
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import Corpus, Queries, digest_of
from mteb_cascade.corpora.near_duplicates import near_duplicates, normalised
from mteb_cascade.values.qrels import Qrels

SKIPPED = frozenset(
    [
        "test",
        "tests",
        "idlelib",
        "idle_test",
        "turtledemo",
        "site-packages",
        "dist-packages",
        "__pycache__",
        "_bundled",
        "pydoc_data",
    ]
)
"""Folders of the standard library that hold tests, demonstrations or other people's packages."""

QUERY_WORDS = range(4, 41)
"""Words that a first paragraph must have to be a query."""

DOCUMENT_WORDS = 12
"""Words that must remain after the first paragraph for a docstring to answer it."""

SPLITS = {"test": 0.5, "dev": 0.6, "train": 1.0}
"""Upper end of each split's share of the hash of a cluster's name."""


@dataclass(frozen=True)
class Docstring:
    """One docstring.

    Args:
        name: Qualified name, such as `json.decoder.JSONDecoder.decode`.
        signature: `decode(self, s)`, `class JSONDecoder`; empty for a module.
        paragraph: The first paragraph on one line.
        rest: What follows it, as it stands.
    """

    name: str
    signature: str
    paragraph: str
    rest: str

    @cached_property
    def is_query(self) -> bool:
        """Whether the first paragraph can be asked and the rest can answer."""
        return (
            len(self.paragraph.split()) in QUERY_WORDS
            and ">>>" not in self.paragraph
            and len(self.rest.split()) >= DOCUMENT_WORDS
            and not contains(normalised(self.rest), normalised(self.paragraph))
        )

    @property
    def body(self) -> str:
        """The docstring, without its first paragraph where that is a query."""
        return self.rest if self.is_query else f"{self.paragraph}\n\n{self.rest}".strip()


@lru_cache(maxsize=1)
def load() -> Collection:
    """Read the collection from the running Python's standard library; a few seconds, once a process.

    Documents are titled with their qualified name, which is their id too. Queries of the same normalised text are
    one query; near-duplicate documents are all relevant, and stand in one split.
    A document that answers nothing and states a query word for word is left out: it would be an unjudged answer.

    Returns:
        Splits "train", "dev" and "test"; `clusters` are top-level modules, `revision` a digest of the text.
    """
    docstrings = without_given_away(read_standard_library(Path(sysconfig.get_path("stdlib"))))
    cluster_of = clusters(docstrings)
    members: dict[str, list[str]] = defaultdict(list)
    asked: dict[str, Docstring] = {}
    for docstring in docstrings:
        members[cluster_of[docstring.name]].append(docstring.name)
        if docstring.is_query:
            asked.setdefault(normalised(docstring.paragraph), docstring)
    splits = {}
    for split in reversed(SPLITS):
        queries = [query for query in asked.values() if split_of(cluster_of[query.name]) == split]
        splits[split] = Split(
            Queries(tuple(query.name for query in queries), tuple(query.paragraph for query in queries)),
            Qrels({query.name: dict.fromkeys(members[cluster_of[query.name]], 1) for query in queries}),
            tuple(query.name.partition(".")[0] for query in queries),
        )
    corpus = Corpus.of(
        [docstring.name for docstring in docstrings],
        [f"{docstring.signature}\n{docstring.body}" for docstring in docstrings],
        [docstring.name for docstring in docstrings],
    )
    asked_texts = ((split.queries.digest, name) for name, split in splits.items())
    revision = digest_of([(corpus.digest, ""), *asked_texts])
    note = f"Python {platform.python_version()}"
    return Collection("PythonDocs", corpus, splits, revision, note=note, task="PythonDocsRetrieval")


def read_standard_library(folder: Path) -> list[Docstring]:
    """Docstrings of every module under `folder`, in code-point order of their names; the first of a name counts."""
    found: dict[str, Docstring] = {}
    for path in sorted(folder.rglob("*.py")):
        inside = path.relative_to(folder)
        if SKIPPED.isdisjoint(inside.parts):
            parts = inside.with_suffix("").parts
            module = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
            for docstring in read_module(path.read_bytes(), module):
                found.setdefault(docstring.name, docstring)
    return [found[name] for name in sorted(found)]


def read_module(source: bytes, module: str) -> Iterator[Docstring]:
    """Docstrings of a module, its classes and their functions; none where the source does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    yield from read_node(tree, module, "")


def read_node(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, name: str, signature: str
) -> Iterator[Docstring]:
    """The node's own docstring, then those of the classes and functions defined in it (not inside functions)."""
    text = ast.get_docstring(node)
    if text and text.strip():
        paragraph, _, rest = (part.strip() for part in re.split(r"(\n\s*\n|\Z)", text.strip(), maxsplit=1))
        yield Docstring(name, signature, " ".join(paragraph.split()), rest)
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        for inner in definitions(node.body):
            yield from read_node(inner, f"{name}.{inner.name}", signature_of(inner))


def definitions(body: Iterable[ast.stmt]) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Classes and functions among statements, also under `if`, `try` and `with`."""
    for statement in body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield statement
        elif isinstance(statement, ast.If | ast.Try | ast.With):
            for block in ("body", "handlers", "orelse", "finalbody"):
                for inner in getattr(statement, block, ()):
                    yield from definitions(inner.body if isinstance(inner, ast.ExceptHandler) else [inner])


def signature_of(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """`class Name(Base)` or `name(arguments)`, as written in the source."""
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        return f"class {node.name}({bases})" if bases else f"class {node.name}"
    return f"{node.name}({ast.unparse(node.args)})"


def without_given_away(docstrings: Sequence[Docstring]) -> list[Docstring]:
    """The docstrings without those that are no query's answer and contain a query's text word for word."""
    asked = by_first_words(normalised(docstring.paragraph) for docstring in docstrings if docstring.is_query)
    return [
        docstring for docstring in docstrings if docstring.is_query or not states_any(normalised(docstring.body), asked)
    ]


def clusters(docstrings: Sequence[Docstring]) -> dict[str, str]:
    """Join docstrings that answer the same query or have nearly the same text.

    Returns:
        {name: name of the cluster}, which is the first of its members' names in code-point order.
    """
    parent = {docstring.name: docstring.name for docstring in docstrings}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    def join(one: str, other: str) -> None:
        first, second = sorted((root(one), root(other)))
        parent[second] = first

    first_with: dict[str, str] = {}
    for docstring in docstrings:
        keys = [normalised(docstring.body)] + ([normalised(docstring.paragraph)] if docstring.is_query else [])
        for key in keys:
            join(first_with.setdefault(key, docstring.name), docstring.name)
    words = {docstring.name: frozenset(normalised(docstring.body).split()) for docstring in docstrings}
    for one, other, _ in near_duplicates(words.items(), words):
        join(one, other)
    return {name: root(name) for name in parent}


def split_of(cluster: str) -> str:
    """The split of a cluster, by a hash of its name: adding a module moves no other."""
    share = int.from_bytes(hashlib.sha256(cluster.encode()).digest()[:8], "big") / 2**64
    return next(split for split, end in SPLITS.items() if share < end)


def contains(text: str, phrase: str) -> bool:
    """Whether a normalised phrase stands in a normalised text, in whole words."""
    return f" {phrase} " in f" {text} "


def by_first_words(phrases: Iterable[str], words: int = 3) -> dict[str, list[str]]:
    """Normalised phrases under their first three words, so that a text is compared with few of them."""
    starts: dict[str, list[str]] = defaultdict(list)
    for phrase in phrases:
        starts[" ".join(phrase.split()[:words])].append(phrase)
    return starts


def states_any(text: str, starts: dict[str, list[str]], words: int = 3) -> bool:
    """Whether a normalised text contains one of the phrases word for word."""
    own = text.split()
    return any(
        contains(text, phrase)
        for start in {" ".join(own[at : at + words]) for at in range(len(own))}
        for phrase in starts.get(start, ())
    )
