"""PyTerrier with pyterrier-caching: an experiment of one pipeline a depth, every score in its ScorerCache before."""

from __future__ import annotations

import warnings
from typing import Any

from worker import Tell, Work, serve


def prepare(given: dict[str, Any]) -> tuple[Work, Tell]:
    import ir_measures
    import pandas as pd
    import pyterrier as pt

    warnings.simplefilter("ignore")  # it recommends plan="tree", which is tried, too
    from pyterrier_caching import Hdf5ScorerCache, ScorerCache

    topics = pd.DataFrame(given["topics"], columns=["qid", "query"])
    qrels = pd.DataFrame(given["qrels"], columns=["qid", "docno", "label"])
    found = pd.DataFrame(given["run"], columns=["qid", "docno", "score", "rank"])
    found = found.merge(topics, on="qid")
    scores = {(query, document): score for query, document, score in given["scores"]}
    first = pt.Transformer.from_df(found, uniform=True)
    scorer = pt.apply.doc_score(lambda row: scores[row["qid"], row["docno"]])
    if given["cache"] == "dense":
        cache = Hdf5ScorerCache(given["folder"], scorer)
        cache.build({"docno": document} for document in given["documents"])
    else:
        cache = ScorerCache(given["folder"], scorer)
    (first >> cache)(topics)  # everything is stored from here on
    cache.scorer = None
    pipelines = [first % depth >> cache for depth in given["depths"]]
    measures = [ir_measures.parse_measure(name) for name in given["measures"]]

    def work() -> Any:
        return pt.Experiment(pipelines, topics, qrels, measures, plan=given["plan"], verbose=False)

    def tell(table: Any) -> dict[str, list[float]]:
        return {name: [float(value) for value in table[name]] for name in given["measures"]}

    return work, tell


if __name__ == "__main__":
    serve(prepare)
