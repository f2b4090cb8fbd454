"""Every item of mteb's checklists is ticked by evidence, open with what to do, or the author's to say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from own_publication import COMMIT, publication, result

from mteb_cascade.publish.checklist import checklist, of_the_model, of_the_results
from mteb_cascade.publish.publication import Fault, Publication

SCORES = {"ndcg_at_10": 0.5}


def items(published: Publication) -> dict[str, tuple[str, str]]:
    """{the item's first words: its mark, its evidence}; all of it is readable at 80 columns."""
    lines = [line for text in checklist(published) for line in text.splitlines()]
    assert max(map(len, lines)) <= 80
    every = [*of_the_model(published), *of_the_results(published)]
    assert [line[:3] for line in lines[1:] if line.startswith("[")] == [item.mark for item in every]
    return {" ".join(item.text.split()[:4]): (item.mark, item.because) for item in every}


@pytest.fixture
def dense(write_spec: Any, tiny_bi_encoder: Path) -> Publication:
    write_spec("tiny", f'name = "our-org/tiny"\nkind = "bi-encoder"\nmodel = "{tiny_bi_encoder}"\n')
    pipeline = {"pipeline": {"kind": "bi-encoder", "repository": "our-org/tiny", "commit": COMMIT}}
    found = publication("tiny", revision=COMMIT, training_datasets={"MSMARCO"}, loader_kwargs=pipeline)
    return replace(found, results=(result(found.stage, "SciFact", SCORES),))


def test_a_single_model(dense: Publication):
    found = items(dense)
    assert [item.mark for item in of_the_model(dense)] == ["[x]", "[ ]", "[x]", "[x]"]
    assert [item.mark for item in of_the_results(dense)] == ["[x]", "[ ]", "[ ]", "[x]", "[?]"]
    assert found["The model can be"][1].endswith(f'mteb.get_model("our-org/tiny", "{COMMIT}")\'')
    assert found["The model is public:"][1].endswith(f"our-org/tiny at {COMMIT}")
    assert found["The implementation was tested"] == ("[x]", "results on SciFact")
    assert "MTEB_CASCADE_AUTOLOAD=0 mteb run -m our-org/tiny -t SciFact" in found["The results were obtained"][1]
    assert (
        "release_date" in found["The ModelMeta is filled"][1] and "contacts" not in found["The ModelMeta is filled"][1]
    )
    assert found["I solemnly swear that"][1] == "training_datasets says MSMARCO, none of which is evaluated here"


def test_faults_are_what_is_to_do(dense: Publication):
    faults = (
        Fault("models/tiny.toml [card] license", "missing", "Say which"),
        Fault("models/tiny.toml [card] commit", "no commit of the hub is named", "Name it"),
    )
    found = items(replace(dense, faults=faults))
    assert found["The model is public:"] == (
        "[ ]",
        "models/tiny.toml [card] commit: no commit of the hub is named. Name it",
    )
    assert found["The ModelMeta is filled"][0] == "[ ]" and "license: missing" in found["The ModelMeta is filled"][1]
    closed = replace(dense, meta=dense.meta.model_copy(update={"open_weights": False}))
    assert items(closed)["The model is public:"][0] == "[?]", "the card says that they cannot be downloaded"
    nothing = items(replace(dense, results=()))
    assert nothing["The implementation was tested"][1] == "mteb run -m tiny -t SciFact --output-folder ."
    assert nothing["The results were obtained"][0] == "[ ]"


@pytest.mark.parametrize(
    ("datasets", "says"),
    [
        ({"SciFact"}, "disclosed in training_datasets, as the data of SciFact"),
        ({"SciFact-PL"}, "disclosed in training_datasets, as the data of SciFact"),
        (set(), "training_datasets is empty: it learned from no task of mteb's"),
        (None, "training_datasets is not stated: list what it was trained on under [card]"),
    ],
)
def test_what_is_known_of_the_oath(dense: Publication, datasets: set[str] | None, says: str):
    meta = dense.meta.model_copy(update={"training_datasets": datasets})
    assert items(replace(dense, meta=meta))["I solemnly swear that"] == ("[?]", says)


def test_a_cascade_of_ours(write_spec: Any, tiny_static: Path):
    write_spec("lexical", 'kind = "bm25"\n')
    write_spec("table", f'kind = "bi-encoder"\nmodel = "{tiny_static}"\n')
    stages = '[[stage]]\nmodel = "lexical"\n[[stage]]\nmodel = "table"\ndepth = 2\n'
    write_spec("two", f'name = "our-org/two"\nkind = "cascade"\n{stages}')
    cascade = publication("two")
    done = replace(cascade, results=(result(cascade.stage, "SciFact", SCORES, versions={"mteb-cascade": "0.1.0"}),))
    assert items(done)["The results were obtained"] == ("[x]", "both are mteb-cascade 0.1.0, of this fingerprint")
    assert items(cascade)["The model is public:"][0] == "[ ]", "its table is on no hub"
    assert items(publication("lexical"))["The model is public:"] == ("[x]", "it has no weights: it is its spec file")


def test_it_asks_what_mteb_asks():
    from mteb.cache.result_cache import _prepare_pr_body

    asked = [line for line in _prepare_pr_body([], {}).splitlines() if line.strip().startswith("- [ ]")]
    words = ["model sheet", "reference implementation", "existing PR", "obtained using", "available", "solemnly swear"]
    assert [word in line for word, line in zip(words, asked, strict=True)] == [True] * 6
