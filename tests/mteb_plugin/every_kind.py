"""A spec of every kind; braces name a folder of tiny random weights."""

from __future__ import annotations

from mteb_cascade.values.list_fusion import FUSIONS

RERANKERS = {
    "cross-encoder": 'kind = "cross-encoder"\nmodel = "{tiny_cross_encoder}"',
    "t5-ranker": 'kind = "cross-encoder"\nmodel = "{tiny_t5_ranker}"',
}
"""What models/our-NAME.toml says of models that only score candidates."""

SPECS = {
    "bm25": 'kind = "bm25"',
    "tfidf": 'kind = "tfidf"',
    "lucene": 'kind = "lucene"',
    "bi-encoder": 'kind = "bi-encoder"\nmodel = "{tiny_bi_encoder}"',
    "splade": 'kind = "sparse"\nmodel = "{tiny_sparse}"',
    "inference-free": 'kind = "sparse"\nmodel = "{tiny_inference_free}"',
    "late-interaction": 'kind = "late-interaction"\nmodel = "{tiny_late_interaction}"',
    "mteb-search": 'kind = "mteb"\nmodel = "mteb/baseline-bm25s"',
    "mteb-encoder": 'kind = "mteb"\nmodel = "mteb/baseline-random-encoder"',
    "trec": 'kind = "run"\nfile = "theirs.trec"',
    "candidates": 'kind = "run"\nfile = "candidates.parquet"',
    "predictions": 'kind = "run"\nfile = "predictions"',
    **{
        f"hybrid-{fusion}": f'kind = "hybrid"\nfusion = "{fusion}"\npool = 40\n'
        '[[member]]\nmodel = "our-bm25"\nweight = 0.3\n[[member]]\nmodel = "our-bi-encoder"'
        for fusion in FUSIONS
    },
    "funnel": 'kind = "funnel"\nmodel = "our-bi-encoder"\n'
    '[[step]]\ncodes = "int8"\nkeep = 200\n[[step]]\ncodes = "float32"\ndimensions = 8\nkeep = 40',
    "cascade": 'kind = "cascade"\n[[stage]]\nmodel = "our-bm25"\n'
    '[[stage]]\nmodel = "our-late-interaction"\ndepth = 50\nblend = 0.3\n'
    '[[stage]]\nmodel = "our-cross-encoder"\ndepth = 20',
    "t5-cascade": 'kind = "cascade"\n[[stage]]\nmodel = "our-hybrid-rrf"\n'
    '[[stage]]\nmodel = "our-t5-ranker"\ndepth = 20',
}
"""What it says of models that retrieve, of which each is run."""
