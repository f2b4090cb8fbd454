"""rerankers: one call of `rank` a query."""

from __future__ import annotations

from typing import Any

from worker import Tell, Work, serve


def prepare(given: dict[str, Any]) -> tuple[Work, Tell]:
    import torch
    from rerankers import Reranker

    torch.set_num_threads(given["threads"])
    ranker = Reranker(
        given["model"],
        model_type="cross-encoder",
        dtype="float32",
        batch_size=32,
        verbose=0,
        device=given.get("device"),
    )

    ranker.rank(query=given["lists"][0][0], docs=given["lists"][0][1][:20])  # warm

    def work() -> list[Any]:
        return [ranker.rank(query=query, docs=docs, doc_ids=list(range(len(docs)))) for query, docs in given["lists"]]

    def tell(found: list[Any]) -> list[float]:
        return [ranked.get_score_by_docid(row) for ranked in found for row in range(len(ranked.results))]

    return work, tell


if __name__ == "__main__":
    serve(prepare)
