"""An encoder each for queries and documents."""

from pathlib import Path

import numpy as np

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.training.networks.build import build
from mteb_cascade.training.options import Training


def test_both_start_as_the_base_and_compare_as_it_does(tiny_static: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    texts = ["a river runs to the sea", "tea is a drink"]
    options = Training(base=str(tiny_static), loss="contrastive", collection="none", separate=True)
    network = build("bi-encoder", options, Corpus.of(["d"], ["text"]), tmp_path, "spec")
    base = SentenceTransformer(str(tiny_static), device="cpu")
    assert base.similarity_fn_name == network.similarity_fn_name == "dot"
    for encode in (network.encode_query, network.encode_document):
        np.testing.assert_allclose(encode(texts), base.encode(texts), rtol=1e-6)
    encoders = [list(route.parameters()) for route in network[0].sub_modules.values()]
    assert all(one.data_ptr() != other.data_ptr() for one, other in zip(*encoders, strict=True))
