"""mteb's own SciFact, its name, revision and splits included, over a few documents of ours: no hub is asked."""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from mteb.tasks import SciFact

DOCUMENTS = ["red fox", "blue whale", "green tree", "old stone", "the old tree", "the red stone of the fox", "whale"]
QUERIES = {"1": "fox of the stone", "2": "old green tree", "3": "the whale"}
RELEVANT = {"1": {"d5": 1}, "2": {"d2": 1, "d4": 1}, "3": {"d6": 1}}


class SmallSciFact(SciFact):
    """Evaluated by mteb as SciFact is."""

    def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
        self.dataset = {
            "default": {
                "test": {
                    "corpus": Dataset.from_dict({"id": [f"d{row}" for row in range(7)], "text": DOCUMENTS}),
                    "queries": Dataset.from_dict({"id": list(QUERIES), "text": list(QUERIES.values())}),
                    "relevant_docs": RELEVANT,
                    "top_ranked": None,
                }
            }
        }
        self.data_loaded = True
