from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import mteb_cascade
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.mteb_plugin.registry import register
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step

pytestmark = pytest.mark.usefixtures("clean_registry")


@pytest.fixture
def written(house):
    """Write a spec and register it: `written("name", toml)`."""

    def write(name: str, text: str) -> None:
        (house / "models" / f"{name}.toml").write_text(text)
        register()

    return write


@pytest.fixture
def mteb(house):
    import mteb

    register()
    return mteb


def test_a_model_is_there_under_its_short_name_and_under_org_and_name(mteb, clean_registry):
    assert clean_registry["our-bm25"] is clean_registry["ours/lexical"]
    assert mteb.get_model_meta("our-bm25").name == "ours/lexical"
    assert mteb.get_model("ours/lexical").spec.short_name == "our-bm25"
    assert [meta.name for meta in mteb.get_model_metas(["ours/lexical"])] == ["ours/lexical"]


def test_register_twice_is_as_once(mteb, clean_registry):
    once = dict(clean_registry)
    mteb_cascade.register()
    assert clean_registry == once


def test_register_again_finds_what_is_new(mteb, written):
    written("our-second", 'kind = "bm25"\nk1 = 0.9')
    assert mteb.get_model("our-second").k1 == 0.9


def test_what_mteb_has_is_never_replaced(mteb, written, clean_registry):
    theirs = "sentence-transformers/all-MiniLM-L6-v2"
    meta = clean_registry[theirs]
    written("our-impostor", f'name = "{theirs}"\nkind = "bm25"')
    written("bm25s", 'kind = "bm25"')
    assert clean_registry[theirs] is meta
    with pytest.warns(DeprecationWarning, match="renamed"):
        assert mteb.get_model_meta("bm25s").name == "mteb/baseline-bm25s"


def test_two_specs_of_one_name_do_not_stand_for_each_other(mteb, written):
    written("our-copy", 'name = "ours/lexical"\nkind = "bm25"\nk1 = 0.9')
    assert mteb.get_model("ours/lexical").k1 == 1.5
    with pytest.raises(
        InputError, match=r"models/our-copy.toml: name: 'ours/lexical' is the name of models/our-bm25.toml"
    ):
        mteb.get_model("our-copy")


def test_damaged_weights_are_said_when_asked_for_and_hide_nothing(mteb, house):
    (house / "models" / "our-biencoder" / "model.safetensors").write_bytes(b"torn")
    register()
    assert mteb.get_model("our-bm25").kind == "bm25"
    with pytest.raises(InputError, match=r"models/our-biencoder\.toml"):
        mteb.get_model("our-biencoder")


def test_a_file_name_that_is_no_model_name_hides_nothing(mteb, written):
    written("my model (2)", 'kind = "bm25"')
    assert mteb.get_model("our-bm25").kind == "bm25"
    with pytest.raises(InputError, match="name: expected"):
        mteb.get_model("my model (2)")


def test_missing_weights_name_the_command_that_makes_them(mteb, written):
    written("our-untrained", 'kind = "bi-encoder"')
    assert mteb.get_model_meta("our-untrained").name == "local/our-untrained"
    with pytest.raises(InputError, match="mteb-cascade train our-untrained"):
        mteb.get_model("our-untrained")


def test_a_toml_without_kind_is_left_alone(mteb, written, clean_registry):
    written("pyproject", '[project]\nname = "x"')
    assert "pyproject" not in clean_registry


def test_revision_is_the_fingerprint_and_follows_the_spec(mteb, house, written):
    first = mteb.get_model_meta("our-cascade").revision
    assert (
        first == mteb_cascade.load("our-cascade").fingerprint == mteb.get_model("our-cascade").mteb_model_meta.revision
    )
    text = (house / "models" / "our-cascade.toml").read_text()
    written("our-cascade", f"# only a comment\n{text}\n[card]\nlicense = 'mit'\n")
    assert mteb.get_model_meta("our-cascade").revision == first
    written("our-cascade", text.replace("depth = 100", "depth = 99"))
    assert mteb.get_model_meta("our-cascade").revision != first
    assert mteb.get_model_meta("our-cascade").revision == mteb_cascade.load("our-cascade").fingerprint


def test_revision_of_a_cascade_follows_the_specs_of_its_stages(mteb, written):
    first = mteb.get_model_meta("our-cascade").revision
    written("our-bm25", 'kind = "bm25"\nk1 = 0.9')
    assert mteb.get_model_meta("our-cascade").revision != first


def test_revision_is_that_of_the_weights_that_were_loaded(mteb, house):
    """Weights trained after mteb was imported: mteb hands over what its registry held."""
    config = house / "models" / "our-biencoder" / "config_sentence_transformers.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "prompts": {"query": "find: ", "document": ""}}))
    model = mteb.get_model("our-biencoder")
    assert model.mteb_model_meta.revision == model.fingerprint != mteb.get_model_meta("our-biencoder").revision


def test_as_written_there_are_no_experiment_kwargs(mteb):
    meta = mteb.get_model("our-cascade").mteb_model_meta
    assert meta.experiment_kwargs is None
    assert meta.experiment_name is None


def test_overrides_are_experiments_of_their_own(mteb):
    model = mteb.get_model("our-cascade", depths=[5], blends=[0.5])
    assert (model.depths, model.steps[0].blend) == ([5], 0.5)
    meta = model.mteb_model_meta
    assert meta.experiment_kwargs == {"depths": [5], "blends": [0.5]}
    assert meta.experiment_name != mteb.get_model("our-cascade", depths=[20]).mteb_model_meta.experiment_name
    assert meta.revision == mteb_cascade.load("our-cascade").at(5, blends=[0.5]).fingerprint


def test_the_pipeline_of_an_override_is_the_one_that_ran(mteb):
    meta = mteb.get_model("our-cascade", depths=[5]).mteb_model_meta
    assert meta.loader_kwargs["pipeline"]["stage"][1]["depth"] == 5


@pytest.mark.parametrize(("name", "given"), [("our-cascade", {"depth": 5}), ("our-bm25", {"depths": [5]})])
def test_other_overrides_are_refused_by_name(mteb, name, given):
    with pytest.raises(InputError, match=rf"{name}.*takes no {next(iter(given))}"):
        mteb.get_model(name, **given)


def test_the_meta_is_made_on_demand_and_can_be_set():
    cascade = Cascade(BM25(), Step(BM25(k1=0.9), depth=5))
    meta = cascade.mteb_model_meta
    assert (meta.name.split("/")[0], meta.revision) == ("local", cascade.fingerprint)
    cascade.mteb_model_meta = meta.model_copy(update={"name": "ours/other"})
    assert cascade.mteb_model_meta.name == "ours/other"


def test_the_card_says_what_mteb_is_told(mteb, written):
    written(
        "our-card",
        'kind = "bm25"\n[card]\nlicense = "mit"\nlanguages = ["deu-Latn"]\nrelease_date = "2026-11-20"\n'
        'open_weights = true\ntraining_datasets = ["MSMARCO"]\nreference = "https://example.org"\n',
    )
    meta = mteb.get_model_meta("our-card")
    assert (meta.license, meta.languages, meta.release_date) == ("mit", ["deu-Latn"], "2026-11-20")
    assert (meta.open_weights, meta.training_datasets) == (True, {"MSMARCO"})
    assert str(meta.reference) == "https://example.org/"


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        ('licence = "mit"', "unknown key 'licence'.*Did you mean 'license'"),
        ('loader_kwargs = "x"', "unknown key 'loader_kwargs'"),
        ('revision = "x"', "unknown key 'revision'"),
        ('name = "x/y"', "unknown key 'name'"),
        ("experiment_kwargs = { depth = 5 }", "unknown key 'experiment_kwargs'"),
        ('languages = ["klingon"]', "languages"),
        ("training_datasets = 5", "training_datasets"),
        ('open_weights = "perhaps"', "open_weights"),
    ],
)
def test_a_wrong_card_is_said_when_the_model_is_asked_for(mteb, written, card, reason):
    written("our-card", f'kind = "bm25"\n[card]\n{card}')
    with pytest.raises(InputError, match=rf"models/our-card.toml: \[card\] .*{reason}"):
        mteb.get_model("our-card")


def test_n_parameters_is_read_from_the_weights(mteb):
    model = mteb.get_model("our-biencoder")
    assert mteb.get_model_meta("our-biencoder").n_parameters == sum(p.numel() for p in model.network.parameters())
    assert mteb.get_model_meta("our-bm25").n_parameters is None


def test_the_meta_survives_json(mteb):
    from mteb.models import ModelMeta

    meta = mteb.get_model("our-cascade").mteb_model_meta
    again = ModelMeta.model_validate_json_resolved(json.dumps(meta.to_dict()))
    assert (again.name, again.revision, again.model_type) == (meta.name, meta.revision, ["hybrid"])
    assert again.loader_kwargs["pipeline"] == json.loads(json.dumps(meta.loader_kwargs["pipeline"]))
    assert [one["stage"]["kind"] for one in again.loader_kwargs["pipeline"]["stage"]] == ["bm25", "bi-encoder"]


@pytest.mark.parametrize("program", ["/bin/mteb", "/lib/mteb/__main__.py"])
def test_under_mtebs_command_a_mistake_is_one_line_and_exit_code_2(mteb, written, monkeypatch, capsys, program):
    written("our-broken", 'kind = "bm52"')
    monkeypatch.setattr(sys, "argv", [program])
    with pytest.raises(SystemExit) as ended:
        mteb.get_model("our-broken")
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("models/our-broken.toml: kind: unknown kind 'bm52'")


def test_under_mtebs_command_a_mistake_found_while_searching_is_one_line_too(mteb, written, monkeypatch, capsys):
    Path("models/torn.trec").write_text("q1 Q0 d1\n")
    written("our-run", 'kind = "run"\nfile = "torn.trec"\n')
    model = mteb.get_model("our-run")
    model.index(Corpus.of(["d1"], ["text"]))
    queries = Queries(("q1",), ("text",))
    with pytest.raises(InputError, match=r"torn.trec: line 1: expected"):
        model.search(queries, top_k=10)
    monkeypatch.setattr(sys, "argv", ["/bin/mteb"])
    with pytest.raises(SystemExit) as ended:
        model.search(queries, top_k=10)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "torn.trec: line 1: expected" in said and said.count("\n") == 1


def test_every_stage_is_a_search_model_and_no_cross_encoder(mteb):
    from mteb.models import CrossEncoderProtocol, EncoderProtocol, SearchProtocol

    for name in ("our-bm25", "our-biencoder", "our-hybrid", "our-cascade"):
        model = mteb.get_model(name)
        assert isinstance(model, Stage)
        assert isinstance(model, SearchProtocol)
        assert not isinstance(model, CrossEncoderProtocol)
        assert isinstance(model, EncoderProtocol) == (name == "our-biencoder")
