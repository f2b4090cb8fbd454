"""What dl20's shipped runs are known to score."""

DL20 = {
    "bm25": (0.4796, 0.5599, 0.537),
    "bm25_rm3": (0.4896, 0.6182, 0.537),
    "tasb": (0.6854, 0.7135, 0.741),
    "ada2": (0.6759, 0.7237, 0.796),
    "splade_pp_ed": (0.7197, 0.7653, 0.759),
    "repllama": (0.7195, 0.7311, 0.815),
}
"""nDCG@10, R@100 and success@1 against the official judgements, relevant: grade 2 and above."""
