"""What is published is what mteb reads, relabelled only where the hub has the very files; faults are told in one go."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import mteb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mteb.results import TaskResult
from ready_specs import COMMIT
from safetensors.numpy import load_file, save_file

import mteb_cascade
from mteb_cascade.errors import InputError
from mteb_cascade.publish.meta import reviewed
from mteb_cascade.publish.publication import Publication
from mteb_cascade.publish.publish import prepared, submit
from mteb_cascade.publish.validation import mistakes
from mteb_cascade.publish.written import place_of, write
from mteb_cascade.spec import required

HERE = Path()


def edit(name: str, *changes: tuple[str, str]) -> None:
    """Change a spec's text."""
    path = Path("models") / f"{name}.toml"
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def faults(name: str, **options: Any) -> list[str]:
    return [str(fault) for fault in prepared(name, HERE, **options).faults]


def published(name: str) -> tuple[Publication, Path]:
    publication = prepared(name, HERE)
    return publication, write(publication, Path("published"))


def result_of(name: str) -> Path:
    return Path("results") / f"our-org__{name}" / mteb_cascade.load(name).fingerprint / "SciFact.json"


def test_a_model_is_relabelled_to_its_commit_and_read_by_mteb(ready: Path) -> None:
    publication, folder = published("tiny")
    (model,) = mteb.ResultCache(folder).load_results().model_results
    assert (model.model_name, model.model_revision) == ("our-org/tiny", COMMIT)
    (result,) = model.task_results
    assert result.get_score() == TaskResult.from_disk(result_of("tiny")).get_score() > 0
    path = folder / "results" / "our-org__tiny" / COMMIT / "SciFact.json"
    assert path.read_bytes() == result_of("tiny").read_bytes()
    meta = publication.meta
    assert (meta.n_parameters, meta.embed_dim, meta.reference) == (
        meta.n_embedding_parameters,
        16,
        "https://huggingface.co/our-org/tiny",
    )
    assert meta.similarity_fn_name is not None
    assert meta.similarity_fn_name.value == "dot"
    assert meta.loader_kwargs["pipeline"]["fingerprint"] == mteb_cascade.load("tiny").fingerprint
    assert {path.name for path in folder.iterdir()} == {"results", "README.md", "model_meta.py"}
    assert mistakes(folder) == []


def test_a_cascade_keeps_its_fingerprint_and_its_stages_have_commits(ready: Path) -> None:
    publication, folder = published("funnel")
    fingerprint = mteb_cascade.load("funnel").fingerprint
    first, second = publication.meta.loader_kwargs["pipeline"]["stage"]
    assert publication.meta.revision == fingerprint
    assert "commit" not in first["stage"]
    assert (second["stage"]["repository"], second["stage"]["commit"], second["depth"]) == ("our-org/tiny", COMMIT, 3)
    cache = mteb.ResultCache(folder)
    (plain,) = cache.load_results().model_results
    assert plain.experiment_name is None
    every = cache.load_results(load_experiments="match_name").model_results
    assert {model.experiment_name for model in every} == {None, "depths_[2]"}
    assert {model.model_revision for model in every} == {fingerprint}
    told = json.loads(
        (folder / "results/our-org__funnel" / fingerprint / "experiments/depths_[2]/model_meta.json").read_text()
    )
    assert told["loader_kwargs"]["pipeline"]["stage"][1]["depth"] == 2
    assert told["loader_kwargs"]["pipeline"]["stage"][1]["stage"]["commit"] == COMMIT
    assert mistakes(folder) == []


def test_publishing_again_replaces_what_was_there(ready: Path) -> None:
    _, folder = published("lexical")
    (folder / "old").write_text("")
    assert published("lexical")[1] == folder
    assert not (folder / "old").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["lexical"]


@given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from([0.0, 0.5, 2.0]), st.booleans()), min_size=2, max_size=2))
def test_two_depths_never_share_a_path(pair: list[tuple[int, float, bool]]) -> None:
    """A depth of a spec, or of an override over the spec's 9."""
    places = set()
    for depth, blend, is_override in pair:
        written = 9 if is_override else depth
        stage = mteb_cascade.Cascade(
            mteb_cascade.BM25(),
            mteb_cascade.Step(mteb_cascade.BM25(k1=0.9), written, 0.0 if is_override else blend),
            name="o/n",
        )
        overrides = {"depths": [depth], "blends": [blend]} if is_override else None
        places.add(place_of(stage.mteb_model_meta.model_copy(update={"experiment_kwargs": overrides})))
    assert len(places) == len(set(pair))


def test_mteb_submits_what_is_published(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str, cwd: Path = ready) -> str:
        done = subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True)
        return done.stdout

    public, mine = ready / "public.git", ready / "first"
    (ready / "gitconfig").write_text(
        f'[url "{public}"]\ninsteadOf = https://github.com/embeddings-benchmark/results\n'
        "[user]\nname = me\nemail = me@example.org\n[init]\ndefaultBranch = main\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(ready / "gitconfig"))
    git("init", "--bare", str(public))
    git("clone", str(public), str(mine))
    git("commit", "--allow-empty", "-m", "first", cwd=mine)
    git("push", "origin", "HEAD:main", cwd=mine)
    publication, folder = published("funnel")
    assert submit(publication, folder).startswith("ready_for_submission: 1 results, committed in ")
    place = f"results/our-org__funnel/{publication.meta.revision}"
    names = git("show", "--name-only", "--format=", cwd=folder / "remote").split()
    assert sorted(names) == [f"{place}/{name}" for name in ("SciFact.json", "model_meta.json", "run_settings.jsonl")]
    submitted = git("show", f"HEAD:{place}/SciFact.json", cwd=folder / "remote")
    assert submitted == result_of("funnel").read_text()


def test_every_planted_fault_is_named_in_one_go(ready: Path) -> None:
    edit(
        "tiny",
        ('name = "our-org/tiny"  # ours', ""),
        ('license = "apache-2.0"\n', 'license = "mine"\n'),
        ('languages = ["eng-Latn"]\n', 'languages = ["english"]\n'),
        ("open_weights = true\n", "embed_dim = 8\nmax_tokens = 99\nn_parameters = 1_000\n"),
        ('"2026-01-31"', '"2999-01-31"'),
        ("training_datasets = []", 'training_datasets = ["SciFct"]\nsimilarity_fn_name = "cosine"\nlicence = "mit"'),
    )
    shutil.copytree("results/our-org__tiny", "results/local__tiny")
    path = Path("results/local__tiny") / mteb_cascade.load("tiny").fingerprint / "SciFact.json"
    path.write_text(path.read_text().replace("d56462d0e63a25450459c4f213e49ffdb866f7f9", "other"))
    meta = path.with_name("model_meta.json")
    meta.write_text(meta.read_text().replace("our-org/tiny", "local/tiny"))
    found = prepared("tiny", HERE).faults
    card = "models/tiny.toml [card] "
    places = [fault.where.removeprefix(card) for fault in found]
    assert places == [
        "models/tiny.toml name",
        "commit",
        "licence",
        "languages",
        "license",
        "open_weights",
        "release_date",
        "n_parameters",
        "embed_dim",
        "similarity_fn_name",
        "training_datasets",
        str(path),
    ]
    assert all("\n" not in str(fault) for fault in found)
    said = dict(zip(places, map(str, found), strict=True))
    assert "Did you mean 'license'?" in said["licence"]
    assert "8 on the card, 16 in the weights" in said["embed_dim"]
    assert "Did you mean SciFact" in said["training_datasets"]
    assert "was made on revision other of the data" in said[str(path)]
    with pytest.raises(InputError, match="no organisation"):
        write(prepared("tiny", HERE), Path("published"))
    assert not Path("published").exists()


def test_gaps_and_what_training_says_against_the_card(ready: Path) -> None:
    old = Path("models/tiny.toml").read_text().partition("[card]")[0]
    base = (
        'kind = "bi-encoder"\n[training]\nbase = "google-bert/bert-base-uncased"\ncollection = "NFCorpus"\nloss = "a"\n'
    )
    Path("models/base.toml").write_text(base)
    training = '[training]\nbase = "base"\ncollection = "SciFact"\nloss = "a"\n'
    Path("models/tiny.toml").write_text(old + training + f'[card]\ncommit = "{COMMIT}"\nadapted_from = "a/b"\n')
    said = faults("tiny")
    assert [text.split(": ")[0].removeprefix("models/tiny.toml [card] ") for text in said] == [
        "license",
        "languages",
        "open_weights",
        "release_date",
        "adapted_from",
    ]
    assert prepared("tiny", HERE).meta.training_datasets == {"SciFact", "NFCorpus"}
    with Path("models/tiny.toml").open("a") as file:
        file.write('training_datasets = ["NFCorpus"]\n')
    assert [text for text in faults("tiny") if "'SciFact' is not among them, and tiny was trained on it" in text]
    edit("funnel", ("training_datasets = []", 'training_datasets = ["MSMARCO"]'))
    (fault,) = faults("funnel")
    assert "'NFCorpus' is not among them, and tiny was trained on it" in fault


def test_results_are_relabelled_only_to_a_commit_of_the_same_files(ready: Path) -> None:
    weights = Path("hub/models--our-org--tiny/snapshots") / COMMIT / "model.safetensors"
    before = weights.read_bytes()
    tensors = load_file(weights)
    tensors["embedding.weight"][0, 0] += 1
    save_file(tensors, weights)
    (weights.parent / "extra.json").write_text("{}")
    for name in ("tiny", "funnel"):
        (fault,) = faults(name)
        assert fault.startswith(
            f"models/tiny.toml [card] commit: our-org/tiny at {COMMIT} is not the model of these res"
        )
        assert "model.safetensors is another file there; extra.json is there too, and loading would read it" in fault
        assert "Upload the folder with --push" in fault
    weights.write_bytes(before)
    (weights.parent / "extra.json").unlink()
    assert faults("tiny") == []
    (fault,) = faults("tiny", commit="ab" * 20)
    assert "HF_HUB_OFFLINE is set" in fault
    edit("tiny", (f'"{COMMIT}"', '"main"'))
    (fault,) = faults("tiny")
    assert "'main' is no commit of 40 hexadecimal digits. For our-org/tiny get it with `git ls-remote" in fault


def test_the_commit_of_a_hub_model_is_that_of_its_snapshot(ready: Path) -> None:
    refs = Path("hub/models--our-org--tiny/refs")
    refs.mkdir()
    (refs / "main").write_text(COMMIT)
    Path("models/fetched.toml").write_text('name = "our-org/fetched"\nkind = "bi-encoder"\nmodel = "our-org/tiny"\n')
    spec = required("fetched")
    about = reviewed(spec, mteb_cascade.load("fetched"), None, {})
    assert about.meta.revision == COMMIT
    assert about.meta.reference == "https://huggingface.co/our-org/tiny"
    assert not [fault for fault in about.faults if "commit" in fault.where]
    other = reviewed(spec, mteb_cascade.load("fetched"), "ab" * 20, {})
    assert [fault.what for fault in other.faults if "commit" in fault.where] == [
        f"our-org/tiny at {'ab' * 20} is not in the hub's cache and HF_HUB_OFFLINE is set"
    ]


def test_the_files_that_a_result_names_count(ready: Path) -> None:
    """Not only those that lie here now."""
    path = result_of("tiny")
    beside = path.parent / "provenance" / path.name
    record = json.loads(beside.read_text())
    record["stages"][0]["files"]["tokenizer.json"] = "0" * 64
    beside.write_text(json.dumps(record))
    (fault,) = faults("tiny")
    assert "tokenizer.json is another file there" in fault


def test_a_record_that_was_edited_does_not_lend_other_weights_a_commit(ready: Path) -> None:
    """Its fingerprint is that of the files that lie here, so these count whatever the record says of them."""
    weights = Path("hub/models--our-org--tiny/snapshots") / COMMIT / "model.safetensors"
    tensors = load_file(weights)
    tensors["embedding.weight"][0, 0] += 1
    save_file(tensors, weights)
    for name in ("tiny", "funnel"):
        path = result_of(name)
        beside = path.parent / "provenance" / path.name
        record = json.loads(beside.read_text())
        record["stages"][-1]["files"]["model.safetensors"] = hashlib.sha256(weights.read_bytes()).hexdigest()
        beside.write_text(json.dumps(record))
        (fault,) = faults(name)
        assert "model.safetensors is another file there" in fault


def test_faults_of_results(ready: Path) -> None:
    path = result_of("lexical")
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    (fault,) = faults("lexical")
    assert fault.startswith(f"{path}: mteb cannot read it (")
    result = json.loads(whole)
    for change, expected in (
        ({"scores": {"train": result["scores"]["test"]}}, "split 'test' is missing"),
        ({"scores": {"test": [{**result["scores"]["test"][0], "main_score": float("nan")}]}}, "has no main_score"),
        (
            {"scores": {"test": [{**result["scores"]["test"][0], "main_score": 64.5}]}},
            "main_score of split 'test', subset 'default' is 64.5, ndcg_at_10 ",
        ),
        ({"task_name": "NFCorpus"}, "is of task 'NFCorpus'"),
    ):
        path.write_text(json.dumps({**result, **change}))
        (fault,) = faults("lexical")
        assert expected in fault


def test_what_the_leaderboard_does_not_have_is_left_out(ready: Path) -> None:
    path = result_of("lexical")
    content = json.loads(path.read_text())
    for name in ("SciFactCascade", "PythonDocsRetrieval"):
        path.with_name(f"{name}.json").write_text(json.dumps({**content, "task_name": name}))
    publication, folder = published("lexical")
    assert [note.split(":")[0] for note in publication.notes] == [
        "left out PythonDocsRetrieval",
        "left out SciFactCascade",
    ]
    assert [path.stem for path in folder.glob("results/*/*/*.json")].count("SciFactCascade") == 0
    path.unlink()
    (fault,) = faults("lexical")
    assert "only PythonDocsRetrieval, SciFactCascade. Run a plain one: `mteb run -m lexical -t SciFact " in fault


def test_stale_results_are_told_and_left(ready: Path) -> None:
    edit("funnel", ("depth = 3", "depth = 4"))
    (fault,) = faults("funnel")
    assert "no result of our-org/funnel as it is now, only of what it was before" in fault
    publication = prepared("funnel", HERE)
    # The override's depth is as it was, and so is what it scored.
    assert (len(publication.results), len(publication.experiments)) == (0, 1)
    edit("funnel", ("blend = 0.5", "blend = 0.6"))
    assert prepared("funnel", HERE).experiments == ()
    edit("funnel", ("blend = 0.6", "blend = 0.5"))
    edit("funnel", ("depth = 4", "depth = 3"))
    old = result_of("funnel").parent
    shutil.copytree(old, old.with_name("f" * 64))
    (note,) = prepared("funnel", HERE).notes
    assert note.startswith("left out revision ffffffffffff (SciFact")


def test_the_same_task_under_both_names_has_to_agree(ready: Path) -> None:
    shutil.copytree("results/our-org__lexical", "results/local__lexical")
    assert faults("lexical") == []
    path = Path("results/local__lexical") / mteb_cascade.load("lexical").fingerprint / "SciFact.json"
    content = json.loads(path.read_text())
    content["scores"]["test"][0]["main_score"] = 0.0
    path.write_text(json.dumps(content))
    (fault,) = faults("lexical")
    assert fault.startswith(f"{path}: says otherwise than {result_of('lexical')}")


def test_an_untrained_model_and_one_that_mteb_has_are_no_publications(ready: Path, tiny_bert: Path) -> None:
    results = Path("results/our-org__lexical")
    for name, text, said in (
        ("raw", f'kind = "bi-encoder"\nmodel = "{tiny_bert}"', "were never trained"),
        ("theirs", 'kind = "mteb"\nmodel = "mteb/baseline-bm25s"', "is a model of mteb's own registry"),
        ("listed", 'kind = "run"\nfile = "some.trec"', "a stage of kind 'run' exists on this disk only"),
        ("absent", 'kind = "bi-encoder"', "its weights are not here. Train it with `mteb-cascade train absent`"),
    ):
        Path(f"models/{name}.toml").write_text(f'name = "our-org/{name}"\n{text}\n')
        shutil.copytree(results, Path(f"results/our-org__{name}"))
        assert any(said in fault for fault in faults(name)), name


@pytest.mark.parametrize(
    ("name", "results", "said"),
    [
        ("tiny", "nowhere", "nowhere: there is no such folder"),
        ("tiny", "models", "models: no result of mteb's in it. Run `mteb run -m tiny -t TASK --output-folder .`"),
        ("other", "results", "no result of our-org/other, only of our-org/funnel, our-org/lexical, our-org/tiny"),
    ],
)
def test_where_there_is_no_result_that_is_one_of_the_faults(ready: Path, name: str, results: str, said: str) -> None:
    path = Path(f"models/{name}.toml")
    text = path.read_text() if path.exists() else f'name = "our-org/{name}"\nkind = "bm25"\n[card]\n'
    path.write_text(text.replace('license = "apache-2.0"\n', "").replace("[card]\n", '[card]\nlicense = "my own"\n'))
    found = [str(fault) for fault in prepared(name, Path(results)).faults]
    assert any(said in fault for fault in found), found
    assert any("license" in fault for fault in found), found
