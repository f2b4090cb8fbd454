"""Three models that are ready to be published: a table with weights, BM25, and a cascade of both."""

COMMIT = "0123456789abcdef0123456789abcdef01234567"

CARD = """
[card]
license = "apache-2.0"
languages = ["eng-Latn"]
open_weights = true
release_date = "2026-01-31"
training_datasets = []
"""

SPECS = {
    "tiny": f'name = "our-org/tiny"  # ours\nkind = "bi-encoder"\n{CARD}commit = "{COMMIT}"\n',
    "lexical": f'name = "our-org/lexical"\nkind = "bm25"\n{CARD}',
    "funnel": 'name = "our-org/funnel"\nkind = "cascade"\n[[stage]]\nmodel = "lexical"\n[[stage]]\nmodel = "tiny"\n'
    f"depth = 3\nblend = 0.5\n{CARD}",
}
