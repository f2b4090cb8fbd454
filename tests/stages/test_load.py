from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from table_stage import Table

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.spec import SpecError
from mteb_cascade.stages import load as loading
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.load import load, register_kind
from mteb_cascade.stages.weights import kind_of

Write = Callable[[str, str], Path]

STAGE = '[[stage]]\nmodel = "{}"\n'


def cascade_of(*stages: tuple[str, str]) -> str:
    """A cascade's TOML from (model, other lines) of each stage."""
    return 'kind = "cascade"\n' + "".join(f'[[stage]]\nmodel = "{model}"\n{lines}\n' for model, lines in stages)


@pytest.fixture
def bm25(write_spec: Write) -> Write:
    write_spec("our-bm25", 'kind = "bm25"\n')
    return write_spec


def mistakes_of(name: str) -> list[str]:
    with pytest.raises(SpecError) as raised:
        load(name)
    return str(raised.value).splitlines()


def test_a_cascade_of_specs(bm25: Write) -> None:
    bm25("slow", 'name = "org/slow"\nkind = "bm25"\nk1 = 0.9\n')
    bm25("mixed", 'kind = "hybrid"\npool = 7\n[[member]]\nmodel = "our-bm25"\n[[member]]\nmodel = "slow"\nweight = 2\n')
    bm25("whole", cascade_of(("mixed", ""), ("org/slow", "depth = 9\nblend = 0.5"), ("our-bm25", "depth = 9")))
    cascade = load("whole")
    assert isinstance(cascade, Cascade)
    assert cascade.name == "local/whole"
    assert cascade.depths == [9, 9]
    assert [step.blend for step in cascade.steps] == [0.5, 0.0]
    assert [member.weight for member in cascade.first.members] == [1.0, 2.0]
    assert cascade.first.pool == 7
    assert cascade[1].k1 == 0.9
    assert load(cascade) is cascade


def test_the_kind_of_a_folder_is_told_from_it(
    tiny_bert: Path,
    tiny_bi_encoder: Path,
    tiny_static: Path,
    tiny_cross_encoder: Path,
    tiny_late_interaction: Path,
    tmp_path: Path,
) -> None:
    kinds = {
        tiny_bi_encoder: "bi-encoder",
        tiny_static: "bi-encoder",
        tiny_cross_encoder: "cross-encoder",
        tiny_late_interaction: "late-interaction",
        tiny_bert: "bi-encoder",
    }
    for folder, kind in kinds.items():
        stage = load(folder)
        assert (stage.kind, stage.name) == (kind, f"local/{folder.name}")
        assert load(str(folder)).fingerprint == stage.fingerprint
    stage = load(tiny_cross_encoder)
    stage.index(Corpus.of(["a"], ["red fox"]))
    assert len(stage.search(Queries(("q",), ("fox",)), top_k=1)["q"]) == 1
    (tmp_path / "empty").mkdir()
    for name in ("empty", "gone"):
        with pytest.raises(InputError, match=f"no model in .*{name}: the folder is missing or empty"):
            load(tmp_path / name)
    (tmp_path / "empty" / "notes.txt").write_text("nothing")
    with pytest.raises(InputError, match=r"expected a folder with config.json or modules.json"):
        load(tmp_path / "empty")


def test_older_spellings_of_kinds(tmp_path: Path) -> None:
    def of(**files: object) -> str | None:
        for name in ("config", "config_sentence_transformers", "modules"):
            (tmp_path / f"{name}.json").unlink(missing_ok=True)
        for name, content in files.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return kind_of(tmp_path)

    assert of() is None
    assert of(config_sentence_transformers={"model_type": "ColBERT"}) == "late-interaction"
    assert of(config_sentence_transformers={"model_type": "SparseEncoder"}) == "sparse"
    assert of(config_sentence_transformers={"prompts": {}}, modules=[{"type": "a.models.Pooling"}]) == "bi-encoder"
    assert of(modules=[{"type": "sentence_transformers.sparse_encoder.models.SpladePooling"}]) == "sparse"
    assert of(config={"architectures": ["XLMRobertaForSequenceClassification"]}) == "cross-encoder"
    assert of(config={"architectures": ["BertForMaskedLM"]}) == "bi-encoder"


def test_another_kind_is_refused_by_name(write_spec: Write, tiny_bi_encoder: Path, tiny_cross_encoder: Path) -> None:
    write_spec("wrong", f'kind = "cross-encoder"\nmodel = "{tiny_bi_encoder}"\n')
    with pytest.raises(
        InputError, match=r'^models/wrong.toml: .*holds a bi-encoder, not a cross-encoder. Write kind = "bi-encoder"'
    ):
        load("wrong").prepare()
    write_spec("other", f'kind = "bi-encoder"\nmodel = "{tiny_cross_encoder}"\n')
    with pytest.raises(InputError, match=r'^models/other.toml: .*Write kind = "cross-encoder"'):
        load("other").prepare()


def test_a_newly_initialised_head_is_refused(write_spec: Write, tiny_cross_encoder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "headless"
    shutil.copytree(tiny_cross_encoder, folder)
    body = {name: value for name, value in load_file(folder / "model.safetensors").items() if "classifier" not in name}
    save_file(body, folder / "model.safetensors", metadata={"format": "pt"})
    write_spec("headless", f'kind = "cross-encoder"\nmodel = "{folder}"\n')
    with pytest.raises(
        InputError,
        match=r"^models/headless.toml: the head .* is newly initialised .*classifier.weight.*Train it, or name",
    ):
        load("headless").prepare()


def test_several_labels_are_refused(tiny_bert: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    config = BertConfig.from_pretrained(tiny_bert, num_labels=3)
    BertForSequenceClassification(config).save_pretrained(tmp_path / "three")
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(tmp_path / "three")
    with pytest.raises(InputError, match="has 3 labels; a reranker needs one"):
        load(tmp_path / "three").prepare()


def test_missing_weights_say_how_to_train_them(bm25: Write) -> None:
    bm25("ours", 'kind = "bi-encoder"\n')
    bm25("whole", cascade_of(("our-bm25", ""), ("ours", "depth = 5")))
    for name in ("ours", "whole"):
        with pytest.raises(InputError) as raised:
            load(name).prepare()
        assert (
            str(raised.value) == "models/ours.toml: no weights in models/ours; train it with `mteb-cascade train ours`"
        )


def test_trained_weights_lie_beside_the_spec(write_spec: Write, tiny_static: Path) -> None:
    write_spec("ours", 'kind = "bi-encoder"\n')
    shutil.copytree(tiny_static, "models/ours")
    stage = load("ours")
    stage.prepare()
    assert stage.name == "local/ours"


def test_pickled_weights_are_refused(tiny_cross_encoder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(tiny_cross_encoder, folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(
        InputError, match=r"has no .safetensors file; pickled weights are not loaded.*Save the model again"
    ):
        load(folder).prepare()


def test_a_module_that_is_not_ours_is_refused(write_spec: Write, tmp_path: Path) -> None:
    folder = tmp_path / "module"
    folder.mkdir()
    (folder / "config.json").write_text('{"mteb_cascade_module": "os.system"}')
    with pytest.raises(InputError, match=r"unknown module 'os.system'. Known: "):
        load(folder)
    write_spec("mine", f'kind = "cross-encoder"\nmodel = "{folder}"\n')
    with pytest.raises(InputError, match=r"unknown module 'os.system'"):
        load("mine").prepare()


def test_a_model_that_is_nowhere(write_spec: Write) -> None:
    with pytest.raises(InputError, match=r"^unknown model 'ours'. Known here: none.$"):
        load("ours")
    with pytest.raises(InputError, match=r"'org/name' is no model known here .* Fetch it once"):
        load("org/name")
    write_spec("mine", 'kind = "bi-encoder"\nmodel = "../x"\n')
    with pytest.raises(
        InputError, match=r"^models/mine.toml: '../x' is no hub id, and a folder is given as an absolute"
    ):
        load("mine").prepare()


@pytest.mark.parametrize(
    ("content", "mistake"),
    [
        ('kind = "bm52"', "kind: unknown kind 'bm52'. Known: .*Did you mean 'bm25'?"),
        ('kind = "bm25"\nk11 = 1', "unknown key 'k11' of kind 'bm25'. Known: .*Did you mean 'k1'?"),
        ('kind = "bm25"\nk1 = "a"', "k1: expected a valid number, got 'a'"),
        ('kind = "bm25"\nk1 = nan', "expected a finite k1 >= 0 and 0 <= b <= 1, got k1 = nan"),
        ('kind = "bm25"\nname = "a/b"\nspec = "x"', "unknown key 'spec'"),
        (
            'kind = "bi-encoder"\ndtype = "int3"',
            "dtype: expected 'float32', 'bfloat16', 'float16', 'int8' or 'auto', got 'int3'",
        ),
        ('kind = "run"', "file: missing; kind 'run' needs it"),
        ('kind = "cascade"', 'stage: expected one or more \\[\\[stage\\]\\] tables, each with model = "..."'),
        ('kind = "cascade"\nstage = ["our-bm25"]', "stage: expected one or more"),
        ('kind = "hybrid"\n[[member]]\nmodel = "our-bm25"', "a hybrid needs two or more members, got 1"),
        ('kind = "cascade"\n[[stage]]\n', "stage 1: model: missing; name a model"),
        (cascade_of(("our-bm25", "depth = 3")), "stage 1: unknown key 'depth'. Known: model."),
        (cascade_of(("our-bm25", ""), ("our-bm25", "")), "stage 2: depth: missing; say how many"),
        (cascade_of(("our-bm25", ""), ("our-bm25", "depth = 0")), "stage 2: depth: expected at least 1, got 0"),
        (
            cascade_of(("our-bm25", ""), ("our-bm25", "depth = true")),
            "stage 2: depth: expected a valid integer, got True",
        ),
        (
            cascade_of(("our-bm25", ""), ("our-bm25", "depth = 2.5")),
            "stage 2: depth: expected a valid integer, got 2.5",
        ),
        (
            cascade_of(("our-bm25", ""), ("our-bm25", "depth = 5"), ("our-bm25", "depth = 6")),
            "stage 3: depth: expected at most the 5 of the stage before, got 6",
        ),
        (
            cascade_of(
                ("our-bm25", ""), ("our-bm25", "depth = 9"), ("our-bm25", "depth = 5"), ("our-bm25", "depth = 6")
            ),
            "stage 4: depth: expected at most the 5 of the stage before, got 6",
        ),
        (
            cascade_of(("our-bm25", ""), ("our-bm25", "depth = 5\nblend = inf")),
            "stage 2: blend: expected a finite number",
        ),
        (cascade_of(("our-bm52", "")), "stage 1: unknown model 'our-bm52'. Known here: .*Did you mean 'our-bm25'?"),
        (cascade_of(("../x", "")), "stage 1: '../x' is no model name"),
    ],
)
def test_a_mistake_is_one_line_that_names_file_and_place(bm25: Write, content: str, mistake: str) -> None:
    bm25("mine", content)
    lines = mistakes_of("mine")
    assert len(lines) == 1
    with pytest.raises(SpecError, match=f"^models/mine.toml: {mistake}"):
        load("mine")


def test_all_mistakes_of_a_file_are_told_together(bm25: Write) -> None:
    stages = cascade_of(("gone", ""), ("our-bm25", "depth = 5\ndept = 4"), ("our-bm25", "depth = 6"), ("our-bm25", ""))
    bm25("mine", "k1 = 1\n" + stages)
    lines = mistakes_of("mine")
    assert all(line.startswith("models/mine.toml: ") for line in lines)
    places = [line.removeprefix("models/mine.toml: ").split(". ")[0] for line in lines]
    assert places == [
        "stage 1: unknown model 'gone'",
        "stage 2: unknown key 'dept'",
        "stage 3: depth: expected at most the 5 of the stage before, got 6",
        "stage 4: depth: missing; say how many candidates this stage scores",
        "unknown key 'k1' of kind 'cascade'",
    ]


def test_a_circle_is_named(bm25: Write) -> None:
    bm25("one", cascade_of(("our-bm25", ""), ("two", "depth = 3")))
    bm25("two", 'kind = "hybrid"\n[[member]]\nmodel = "our-bm25"\n[[member]]\nmodel = "one"\n')
    bm25("self", cascade_of(("self", "")))
    (line,) = mistakes_of("one")
    assert line.startswith("models/one.toml: stage 2: ")
    assert line.endswith("a model cannot be a stage of itself: one -> two -> one")
    assert mistakes_of("self")[0].endswith("a model cannot be a stage of itself: self -> self")
    assert load("our-bm25").kind == "bm25"


def test_a_broken_part_is_told_by_the_whole(bm25: Write) -> None:
    bm25("part", 'kind = "bm25"\nk2 = 1\n')
    bm25("whole", cascade_of(("our-bm25", ""), ("part", "depth = 3")))
    (line,) = mistakes_of("whole")
    assert line.startswith("models/whole.toml: stage 2: models/part.toml: unknown key 'k2' of kind 'bm25'")


def test_models_of_a_further_folder(write_spec: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "ours.toml").write_text('kind = "bm25"\nk1 = 0.5\n')
    monkeypatch.setenv("MTEB_CASCADE_MODELS", str(tmp_path / "far"))
    assert load("ours").k1 == 0.5
    assert load("local/ours").k1 == 0.5


def test_a_kind_of_ones_own_from_a_spec(write_spec: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "KINDS", dict(loading.KINDS))
    register_kind("table", Table)
    register_kind("table", Table)
    with pytest.raises(InputError, match="kind 'bm25' exists already"):
        register_kind("bm25", Table)
    write_spec("mine", 'kind = "table"\npair_limit = 9\n[scores."red fox"]\n"blue whale" = 2.0\n"fox" = 3\n')
    stage = load("mine")
    assert isinstance(stage, Table)
    stage.index(Corpus.of(["a", "b", "c"], ["blue whale", "fox", "tree"]))
    assert stage.search(Queries(("q",), ("red fox",)), top_k=5) == {"q": {"b": 3.0, "a": 2.0}}
    write_spec("typo", 'kind = "table"\nscore = 3\n')
    assert [line.split(". ")[0] for line in mistakes_of("typo")] == [
        "models/typo.toml: unknown key 'score' of kind 'table'",
        "models/typo.toml: scores: missing; kind 'table' needs it",
    ]


def test_a_run_file_lies_beside_its_spec(write_spec: Write) -> None:
    path = write_spec("theirs", 'kind = "run"\nfile = "theirs.trec"\n')
    with pytest.raises(InputError, match=r"there is no run file models/theirs.trec"):
        load("theirs").prepare()
    path.with_suffix(".trec").write_text("q Q0 a 1 1 x\n")
    stage = load("theirs")
    stage.index(Corpus.of(["a"], ["x"]))
    assert stage.search(Queries(("q",), ("fox",)), top_k=1) == {"q": {"a": 1.0}}


def test_a_run_file_by_its_path_is_a_stage(write_spec: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = "q Q0 a 1 1 x\n"
    (tmp_path / "here" / "runs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    paths = ("../far.trec", "./runs/dot.trec", "runs/below.tsv", "bare.trec", "./runs/input.odd", "./none")
    for path in paths:
        Path(path).write_text(line)
    for given in (*paths, tmp_path / "far.trec", str(tmp_path / "far.trec")):
        stage = load(given)
        assert (stage.kind, stage.name) == ("run", f"local/{Path(given).stem}")
        assert stage.label == Path(given).stem
        monkeypatch.chdir(tmp_path)  # what it was found by is forgotten
        stage.index(Corpus.of(["a"], ["x"]))
        assert stage.search(Queries(("q",), ("fox",)), top_k=1) == {"q": {"a": 1.0}}
        monkeypatch.chdir(tmp_path / "here")
    assert Cascade("../far.trec").first.label == "far"


def test_a_folder_of_predictions_by_its_path_is_a_stage(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "Toy_predictions.json").write_text('{"mteb_model_meta": {}, "x": {"y": {"q": {"a": 1}}}}')
    stage = load(tmp_path / "theirs")
    assert (stage.kind, stage.name, stage.label) == ("run", "local/theirs", "theirs")
    stage.index(Corpus.of(["a"], ["x"]))
    assert stage.search(Queries(("q",), ("fox",)), top_k=1) == {"q": {"a": 1.0}}


def test_a_spec_wins_over_a_run_file_of_its_name(bm25: Write) -> None:
    bm25("our.trec", 'kind = "bm25"\n')
    Path("our.trec").write_text("q Q0 a 1 1 x\n")
    assert load("our.trec").kind == "bm25"
    assert load("./our.trec").kind == "run"
    with pytest.raises(InputError, match=r"no model in models/our\.trec\.toml"):
        load("./models/our.trec.toml")


@pytest.mark.parametrize("given", ["gone.trec", "runs/gone.parquet", "./gone.txt", "../gone.tsv", "~/gone.json"])
def test_a_run_file_that_is_not_there_is_named(write_spec: Write, given: str) -> None:
    with pytest.raises(InputError, match=rf"^gone: there is no run file .*{Path(given).name}$"):
        load(given)


def test_no_code_runs_when_a_spec_is_loaded(write_spec: Write, tiny_static: Path, tmp_path: Path) -> None:
    folder = tmp_path / "coded"
    shutil.copytree(tiny_static, folder)
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    modules = [{"idx": 0, "name": "0", "path": "", "type": "evil.Module"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    stage = load(folder)
    assert stage.fingerprint
    with pytest.raises((InputError, ValueError)):
        stage.prepare()
    assert not (tmp_path / "ran").exists()


def test_stage_objects_go_wherever_a_name_does(bm25: Write) -> None:
    stage = BM25(k1=0.7)
    assert load(stage) is stage
    assert Cascade("our-bm25").first.k1 == 1.5
