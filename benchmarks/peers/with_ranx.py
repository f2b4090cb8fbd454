"""ranx: a run of dictionaries and an evaluation for each of ten depths; its functions are compiled before."""

from __future__ import annotations

from typing import Any

import numpy as np
from depths import MEASURES, Lists, means, reranked
from worker import Tell, Work, serve


def prepare(given: dict[str, Any]) -> tuple[Work, Tell]:
    import ranx

    with np.load(given["file"], allow_pickle=False) as file:
        names, scores = file["names"].astype(object), file["scores"]

    def evaluate(lists: Lists) -> dict[str, float]:
        # Dictionaries are the quickest of what its documentation shows: Run.from_dict and Run.from_df take longer.
        found: dict[str, float] = ranx.evaluate(given["qrels"], lists, list(MEASURES))
        return found

    return lambda: means(evaluate, reranked(names, scores, given["ranks"])), list


if __name__ == "__main__":
    serve(prepare)
