"""The snippet runs as it is, says what the publication says, and plain mteb scores with it as our stage does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_publication import COMMIT, publication

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.publish.publication import Publication
from mteb_cascade.publish.snippet import activation, implemented, snippet
from mteb_cascade.values.run import Run

QUERIES = ["red fox", "the small dog", "whales eat krill", "a"]
DOCUMENTS = [
    "a fox is a small wild dog",
    "whales filter krill from the sea and more of it than that",
    "red",
    "the moon",
]

OPTIONS = {
    "bi-encoder": ["", "max_length = 6", 'query_prompt = "ask: "', 'document_prompt = "told: "\ndtype = "bfloat16"'],
    "cross-encoder": ["", "max_length = 8", 'dtype = "float32"'],
    "sparse": ["", "max_active_dims = 3"],
    "late-interaction": ["", "max_length = 6"],
}


def made(code: str) -> Any:
    """The one ModelMeta that the code makes, in a namespace of its own."""
    from mteb.models.model_meta import ModelMeta

    names: dict[str, Any] = {}
    exec(compile(code, "snippet", "exec"), names)
    (meta,) = [value for value in names.values() if isinstance(value, ModelMeta)]
    return meta


def scores_of(meta: Any, folder: Path) -> np.ndarray:
    """Scores of every pair, as mteb loads the model and computes them."""
    import mteb
    from datasets import Dataset
    from mteb.types import PromptType
    from torch.utils.data import DataLoader

    def batches(texts: list[str]) -> Any:
        return DataLoader(Dataset.from_dict({"text": texts}), batch_size=len(texts))

    model = meta.model_copy(update={"name": str(folder), "revision": None}).load_model(device="cpu")
    context = {"task_metadata": mteb.get_task("SciFact").metadata, "hf_split": "test", "hf_subset": "default"}
    context["show_progress_bar"] = False
    if hasattr(model, "predict"):
        pairs = [(query, document) for query in QUERIES for document in DOCUMENTS]
        left, right = map(list, zip(*pairs, strict=True))
        return model.predict(batches(left), batches(right), **context).reshape(len(QUERIES), -1)
    if not hasattr(model, "encode"):
        rows = [{"id": str(row), "text": text} for row, text in enumerate(DOCUMENTS)]
        asked = [{"id": str(row), "text": text} for row, text in enumerate(QUERIES)]
        context = {key: value for key, value in context.items() if key != "show_progress_bar"}
        context |= {"encode_kwargs": {"show_progress_bar": False}, "num_proc": None}
        model.index(Dataset.from_list(rows), **context)
        found = model.search(Dataset.from_list(asked), top_k=len(DOCUMENTS), **context)
        return np.array([[found[query["id"]][row["id"]] for row in rows] for query in asked])
    queries = model.encode(batches(QUERIES), prompt_type=PromptType.query, **context)
    documents = model.encode(batches(DOCUMENTS), prompt_type=PromptType.document, **context)
    return np.asarray(model.similarity(queries, documents))


def own_scores(published: Publication) -> np.ndarray:
    """Scores of every pair, as our stage computes them."""
    corpus = Corpus.of(list("abcd"), DOCUMENTS)
    queries = Queries(tuple("wxyz"), tuple(QUERIES))
    rows = np.repeat(np.arange(4, dtype=np.int32)[None], 4, axis=0)
    return published.stage.score(queries, Run(queries.ids, corpus, rows, np.zeros((4, 4), np.float32)))


@pytest.mark.parametrize(("kind", "options"), [(kind, text) for kind, texts in OPTIONS.items() for text in texts])
def test_plain_mteb_loads_it_and_scores_as_our_stage(
    kind: str, options: str, write_spec: Any, request: pytest.FixtureRequest
):
    folder = request.getfixturevalue(f"tiny_{kind.replace('-', '_')}")
    write_spec("tiny", f'name = "our-org/tiny.1"\nkind = "{kind}"\nmodel = "{folder}"\n{options}\n')
    published = publication("tiny", revision=COMMIT, max_tokens=512, license="mit", training_datasets={"MSMARCO", "NQ"})
    code = snippet(published)
    meta = made(code)
    assert meta == implemented(published) and (meta.name, meta.revision) == ("our-org/tiny.1", COMMIT)
    assert "\ntiny_1 = ModelMeta(\n" in code and "pipeline" not in code
    assert meta.loader_kwargs.get("model_kwargs") == ({"dtype": "bfloat16"} if "bfloat16" in options else None)
    theirs, ours = scores_of(meta, folder), own_scores(published)
    if kind == "cross-encoder":
        assert "the wrapper puts Sigmoid on them" in code
        theirs = np.log(theirs / (1 - theirs))
    np.testing.assert_allclose(theirs, ours, atol=2e-2 if "bfloat16" in options else 1e-4)


def test_what_openvino_computes_is_loaded_by_us(write_spec: Any, tiny_cross_encoder: Path):
    pytest.importorskip("nncf", reason="OpenVINO is missing: pip install -e '.[openvino]'")
    write_spec(
        "tiny", f'name = "our-org/tiny"\nkind = "cross-encoder"\nmodel = "{tiny_cross_encoder}"\ndtype = "int8"\n'
    )
    published = publication("tiny", revision=COMMIT, max_tokens=512, license="mit", training_datasets={"MSMARCO"})
    code = snippet(published)
    assert "# A cross-encoder of mteb-cascade: pip install 'mteb-cascade[openvino]==" in code
    assert "loader=loaded" in code and "'name': 'openvino'" in code


def test_a_cross_encoder_that_gives_logits_needs_no_word_on_them(tiny_cross_encoder: Path, tmp_path: Path):
    import torch
    from sentence_transformers import CrossEncoder

    CrossEncoder(str(tiny_cross_encoder), activation_fn=torch.nn.Identity(), device="cpu").save_pretrained(
        str(tmp_path / "logits")
    )
    assert (activation(tmp_path / "logits"), activation(tiny_cross_encoder)) == ("Identity", "Sigmoid")


def test_a_cascade_is_loaded_by_us_and_says_so(write_spec: Any, tiny_static: Path):
    write_spec("lexical", 'kind = "bm25"\n')
    write_spec("dense", f'kind = "bi-encoder"\nmodel = "{tiny_static}"\n')
    stages = '[[stage]]\nmodel = "lexical"\n[[stage]]\nmodel = "dense"\ndepth = 7\nblend = 0.5\n'
    write_spec("two", f'name = "our-org/2-steps"\nkind = "cascade"\n{stages}')
    published = publication("two", max_tokens=float("inf"))
    code = snippet(published)
    meta = made(code)
    assert meta.model_copy(update={"loader": None}) == implemented(published)
    assert meta.loader_kwargs["pipeline"]["stage"][1]["depth"] == 7 and meta.max_tokens == float("inf")
    assert "\n# A cascade of mteb-cascade: pip install 'mteb-cascade==" in code and "\n_2_steps = ModelMeta(" in code
    assert max(map(len, code.splitlines())) < 140, "the pipeline is not on one line"
    model = meta.load_model()
    assert (model.fingerprint, model.depths) == (published.stage.fingerprint, [7])


def test_a_module_of_ours_is_none_that_mteb_loads(write_spec: Any, tmp_path: Path):
    folder = tmp_path / "models" / "own"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"mteb_cascade_module": "interaction"}')
    write_spec("own", 'kind = "cross-encoder"\n')
    assert "loader=loaded," in snippet(publication("own"))
