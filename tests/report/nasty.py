"""A small collection whose texts and ids are as nasty as markup can be, and stages whose scores tie."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import xxhash

from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.stages.base import Stage, cells, scattered
from mteb_cascade.values.run import Run

NASTY = "<script>alert(1)</script><img src=x onerror=alert(2)> \"'`&amp; </script><!-- {{ 7 * 7 }} ${x}"
# Beyond the BMP, a string of JavaScript sorts before U+FFFD; by code points it sorts behind.
ODD_IDS = ['d"<b>1</b>', "d'2&", "d</script>3", "d \\ 4", "d\U0001f600", "d�", "d\U0001f98a", "dé"]


@dataclass(kw_only=True, eq=False)
class Coarse(Stage):
    """One of three levels by the hash of both texts, and nothing at all for some: ties and gaps abound."""

    kind: ClassVar[str] = "coarse"

    seed: int
    gaps: bool = False

    @property
    def label(self) -> str:
        return f"coarse{self.seed}"

    def score(self, queries: Queries, candidates: Run) -> np.ndarray:
        rows, columns = cells(candidates)
        texts = candidates.corpus.texts_at(candidates.docs[rows, columns])
        found = []
        for row, text in zip(rows, texts, strict=True):
            drawn = xxhash.xxh3_64_intdigest(f"{queries.texts[row]}|{text}".encode(), self.seed)
            found.append(-np.inf if self.gaps and drawn % 11 == 0 else drawn % 3 + 0.1)
        return scattered(candidates, found)


def collection(folder: Path, documents: int = 60, queries: int = 30) -> Path:
    """A BEIR folder; each query has up to three answers, one of which the corpus does not have."""
    rng = np.random.default_rng(0)
    (folder / "qrels").mkdir(parents=True)
    ids = [*ODD_IDS, *(f"d{row:03}" for row in range(documents - len(ODD_IDS)))]
    asked = ['q"<i>', "q'&", *(f"q{row}" for row in range(queries - 2))]
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as file:
        for row, one in enumerate(ids):
            text = f"document number {row} {NASTY if row < 12 else 'about foxes'}"
            file.write(json.dumps({"_id": one, "title": f"title {row}", "text": text}) + "\n")
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as file:
        for row, one in enumerate(asked):
            file.write(json.dumps({"_id": one, "text": f"what is number {row}? {NASTY if row < 3 else ''}"}) + "\n")
    lines = ["query-id\tcorpus-id\tscore"]
    for one in asked[:-1]:
        lines += [f"{one}\t{ids[doc]}\t{grade}" for grade, doc in enumerate(rng.choice(documents, 3, replace=False))]
        lines.append(f"{one}\toutside\t1")
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
