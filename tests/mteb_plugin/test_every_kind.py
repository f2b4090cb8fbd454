"""Every kind of model through plain `mteb run`: the JSON that mteb writes says what our own evaluation says."""

from __future__ import annotations

import importlib.util
import json
import random
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from every_kind import RERANKERS, SPECS

import mteb_cascade as mc
from mteb_cascade.corpora.collection import Collection
from mteb_cascade.corpora.load import load as load_collection
from mteb_cascade.experiments.candidates import write_candidates
from mteb_cascade.experiments.evaluate import Evaluation, evaluate_stage
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.load import KINDS
from mteb_cascade.stages.tfidf import TFIDF

TASK = "few-words"
WORDS = ("red", "fox", "blue", "whale", "green", "tree", "old", "stone", "the", "of")
MEASURES = {"recall@1": "recall_at_1", "recall@100": "recall_at_100", "ndcg@10": "ndcg_at_10", "mrr@10": "mrr_at_10"}
STAGE_MEASURES = ("recall@1", "recall@100", "ndcg@10", "mrr@10", "success@1")

RUN = """
import json, sys
from mteb.cli import main

failures = {}
for name in sys.argv[1:]:
    tasks = [TASK, TASK + "Cascade"] if "cascade" in name or "predictions" in name else [TASK]
    sys.argv = ["mteb", "run", "-m", name, "-t", *tasks, "--output-folder", "results"]
    try:
        main()
    except BaseException as error:
        failures[name] = f"{type(error).__name__}: {error}"
print(json.dumps(failures))
""".replace("TASK", repr(TASK))
"""`mteb run` for one model after another; one process, for the import of mteb takes seconds."""

with_pyserini = pytest.mark.skipif(
    importlib.util.find_spec("pyserini") is None, reason="pyserini is not installed: pip install 'mteb-cascade[lucene]'"
)
each_model = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=with_pyserini if name == "lucene" else ()) for name in SPECS]
)


@dataclass(frozen=True)
class Ran:
    """The working folder after the runs, and why a model failed, where one did."""

    house: Path
    failures: dict[str, str]

    @property
    def collection(self) -> Collection:
        """What they ran on."""
        return load_collection(self.house / "datasets" / TASK)

    def own(self, name: str) -> Evaluation:
        """Our own evaluation of the same spec."""
        return evaluate_stage(mc.load(f"our-{name}"), self.collection, "test", tuple(MEASURES), 1000)

    def scores(self, name: str, task: str) -> tuple[str, dict[str, Any]]:
        """Revision and scores in the JSON that mteb wrote, read through mteb."""
        from mteb.results import TaskResult

        assert self.failures.get(f"our-{name}") is None
        (path,) = (self.house / "results").rglob(f"local__our-{name}/*/{task}.json")
        result = TaskResult.from_disk(path)
        (scores,) = result.scores["test"]
        assert result.task_name == task
        assert result.get_score() == pytest.approx(scores["main_score"])
        return path.parent.name, scores


def written_collection(folder: Path) -> Path:
    """150 documents of few words, so that many tie, and 8 queries with 20 relevant documents each."""
    rng = random.Random(7)
    (folder / "qrels").mkdir(parents=True)
    corpus = [
        {"_id": f"d{row}", "title": rng.choice([*WORDS, ""]), "text": " ".join(rng.choices(WORDS, k=rng.randint(2, 9)))}
        for row in range(150)
    ]
    queries = [{"_id": f"q{row}", "text": " ".join(rng.sample(WORDS, 3))} for row in range(8)]
    grades = [f"q{row}\td{doc}\t{rng.randint(1, 2)}" for row in range(8) for doc in rng.sample(range(150), 20)]
    for file, rows in (("corpus.jsonl", map(json.dumps, corpus)), ("queries.jsonl", map(json.dumps, queries))):
        (folder / file).write_text("\n".join(rows))
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *grades]))
    return folder


def written_runs(models: Path, collection: Path) -> None:
    """A run file of each form beside the specs, each from another system."""
    import mteb

    from mteb_cascade.mteb_plugin.cascade_tasks import cascade_of
    from mteb_cascade.mteb_plugin.folder_tasks import folder_task

    rng = random.Random(8)
    lines = [f"q{query} Q0 d{doc} 0 {rng.random()} x" for query in range(8) for doc in rng.sample(range(150), 110)]
    (models / "theirs.trec").write_text("\n".join(lines) + "\n")
    write_candidates(TFIDF(), collection, models / "candidates.parquet", k=1000)
    base = folder_task(collection)
    tasks = [base(), cascade_of(base, f"{TASK}Cascade")()]
    saved = {"prediction_folder": models / "predictions", "show_progress_bar": False}
    mteb.evaluate(BM25(k1=9.0, b=1.0), tasks, cache=None, **saved)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, warmed: Any, write_kinds: Any) -> Ran:
    """The folder in which plain `mteb run` ran every model on the collection, and some on its cascade task."""
    house = tmp_path_factory.mktemp("every-kind")
    names = [name for name in SPECS if name != "lucene" or importlib.util.find_spec("pyserini")]
    write_kinds(house / "models", [*RERANKERS, *names])
    written_runs(house / "models", written_collection(house / "datasets" / TASK))
    ours = [f"our-{name}" for name in names]
    done = warmed("-c", RUN, *ours, cwd=house, MTEB_CASCADE_DATASETS="datasets")
    assert done.returncode == 0, done.stderr
    return Ran(house, json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(autouse=True)
def inside(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test stands in that folder."""
    monkeypatch.chdir(ran.house)
    monkeypatch.delenv("MTEB_CASCADE_MODELS", raising=False)


@each_model
def test_mteb_run_says_what_our_own_evaluation_says(ran: Ran, name: str) -> None:
    own = ran.own(name)
    revision, scores = ran.scores(name, TASK)
    assert revision == own.fingerprint
    assert {ours: scores[theirs] for ours, theirs in MEASURES.items()} == pytest.approx(own.means, abs=1e-5)


@pytest.mark.parametrize("name", ["cascade", "t5-cascade", "predictions"])
def test_a_cascade_task_says_so_of_every_stage(ran: Ran, name: str) -> None:
    own = ran.own(name)
    revision, scores = ran.scores(name, f"{TASK}Cascade")
    assert revision == own.fingerprint
    assert {ours: scores[theirs] for ours, theirs in MEASURES.items()} == pytest.approx(own.means, abs=1e-5)
    assert scores["main_score"] == scores["recall_at_1"]
    model = mc.load(f"our-{name}")
    parts = [model]
    if isinstance(model, mc.Cascade):
        parts = [model.first, *(mc.Cascade(model.first, *model.steps[: end + 1]) for end in range(len(model.steps)))]
        assert [stage["kind"] for stage in scores["stages"]] == [stage.kind for stage in model]
        assert [stage.get("depth") for stage in scores["stages"]] == [None, *model.depths]
    for part, found in zip(parts, scores["stages"], strict=True):
        means = evaluate_stage(part, ran.collection, "test", STAGE_MEASURES, 1000).means
        assert {one: found[one.replace("@", "_at_")] for one in STAGE_MEASURES} == pytest.approx(means, abs=1e-6)


def test_the_collection_tells_models_apart(ran: Ran) -> None:
    found = {}
    for name in SPECS.keys() - {"lucene"}:
        _, scores = ran.scores(name, TASK)
        found[name] = tuple(scores[theirs] for theirs in MEASURES.values())
    # A candidate set of tfidf scores as tfidf does.
    assert found["candidates"] == found.pop("tfidf")
    # The random weights are of this session, and two models may agree by chance.
    assert len(set(found.values())) >= len(found) - 2


def test_no_kind_is_left_out() -> None:
    ours = {kind for kind, stage in KINDS.items() if isinstance(stage, str)}
    assert {tomllib.loads(text)["kind"] for text in (RERANKERS | SPECS).values()} == ours
