"""Our evaluation against mteb's own run: reranking tasks, subsets, instructions, known relevance levels."""

from __future__ import annotations

import json
import random
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from mteb_cascade.corpora import pythondocs
from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.load import load, load_subsets
from mteb_cascade.corpora.mteb_task import collection_of
from mteb_cascade.corpora.relevance_level import relevance_level
from mteb_cascade.corpora.run_files import read
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.evaluate import evaluate_models, evaluate_stage
from mteb_cascade.report.tables import evaluations
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.hybrid import Hybrid, Member
from mteb_cascade.stages.run_file import RunFile
from mteb_cascade.values.qrels import Qrels

WORDS = ("red", "fox", "blue", "whale", "green", "tree", "old", "stone")
MEASURES = {"recall@1": "recall_at_1", "recall@10": "recall_at_10", "ndcg@10": "ndcg_at_10", "mrr@10": "mrr_at_10"}

MOCKS = (
    "MockRerankingTask",
    "MockMultilingualRerankingTask",
    "MockInstructionReranking",
    "MockMultilingualInstructionReranking",
    "MockRetrievalTask",
    "MockRetrievalDialogTask",
    "MockMultilingualRetrievalTask",
    "MockInstructionRetrieval",
    "MockMultilingualInstructionRetrieval",
)


def drawn(seed: int, candidates: bool) -> Any:
    """40 titled documents and 15 queries; three queries are not judged, one only with grade 0."""
    from datasets import Dataset
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData

    rng = random.Random(seed)
    documents = [{"title": rng.choice(WORDS), "text": " ".join(rng.choices(WORDS, k=6))} for _ in range(40)]
    queries = [{"id": f"q{row}", "text": " ".join(rng.sample(WORDS, 3))} for row in range(15)]
    judged = {f"q{row}": {f"d{doc}": rng.randint(1, 2) for doc in rng.sample(range(40), 4)} for row in range(11)}
    return RetrievalSplitData(
        queries=Dataset.from_list(queries),
        corpus=Dataset.from_list([{"id": f"d{row}", **document} for row, document in enumerate(documents)]),
        relevant_docs={**judged, "q11": {"d0": 0}, "q12": {}},
        top_ranked={query["id"]: [f"d{row}" for row in rng.sample(range(40), 12)] for query in queries}
        if candidates
        else None,
    )


def drawn_task(candidates: bool) -> type[Any]:
    """A task of two languages."""
    from mteb.abstasks import AbsTaskRetrieval
    from mteb.mocks import MockMultilingualRetrievalTask

    facts = {"name": "DrawnTask", "eval_splits": ["val"]}

    class DrawnTask(AbsTaskRetrieval):
        metadata = MockMultilingualRetrievalTask.metadata.model_copy(update=facts)

        def load_data(self, **_: Any) -> None:
            self.dataset = {subset: {"val": drawn(seed, candidates)} for seed, subset in enumerate(("eng", "fra"))}
            self.data_loaded = True

    return DrawnTask


@pytest.fixture(scope="module")
def stage_of(tiny_static: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Stage]:
    file = tmp_path_factory.mktemp("runs") / "theirs.trec"
    rng = random.Random(5)
    lines = [f"q{q} Q0 d{d} 0 {rng.random()} x" for q in range(15) for d in rng.sample(range(40), 25)]
    file.write_text("\n".join(lines) + "\n")

    def dense() -> Stage:
        return BiEncoder(model=str(tiny_static))

    makers: dict[str, Callable[[], Stage]] = {
        "bm25": BM25,
        "hybrid": lambda: Hybrid(Member(BM25(), 2.0), dense(), pool=20),
        "cascade": lambda: Cascade(BM25(), Step(dense(), depth=5, blend=0.5)),
        "run": lambda: RunFile(file=str(file)),
    }
    return lambda name: makers[name]()


def by_mteb(stage: Stage, task: Any, split: str) -> dict[str, dict[str, float]]:
    """mteb's figures of every subset."""
    import mteb

    (result,) = mteb.evaluate(stage, task, cache=None, show_progress_bar=False).task_results
    return {
        scores["hf_subset"]: {ours: scores[theirs] for ours, theirs in MEASURES.items()}
        for scores in result.scores[split]
    }


def by_us(stage: Stage, task: Any, split: str) -> dict[str, dict[str, float]]:
    """Ours."""
    collections = [collection_of(task, split, subset=subset) for subset in task.metadata.hf_subsets]
    return {one.subset: evaluate_stage(stage, one, split, tuple(MEASURES)).means for one in collections}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["bm25", "hybrid", "cascade", "run"])
@pytest.mark.parametrize("candidates", [False, True])
def test_we_and_mteb_agree_on_every_subset(kind: str, candidates: bool, stage_of: Callable[[str], Stage]) -> None:
    theirs = by_mteb(stage_of(kind), drawn_task(candidates)(), "val")
    ours = by_us(stage_of(kind), drawn_task(candidates)(), "val")
    assert ours.keys() == theirs.keys() == {"eng", "fra"}
    assert ours["eng"] != ours["fra"]
    for subset, figures in theirs.items():
        assert ours[subset] == pytest.approx(figures, abs=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["bm25", "hybrid", "cascade", "run"])
@pytest.mark.parametrize("name", MOCKS)
def test_we_and_mteb_agree_on_mtebs_mock_tasks(name: str, kind: str, stage_of: Callable[[str], Stage]) -> None:
    import mteb.mocks

    task = getattr(mteb.mocks, name)
    theirs, ours = by_mteb(stage_of(kind), task(), "test"), by_us(stage_of(kind), task(), "test")
    assert ours.keys() == theirs.keys() == set(task.metadata.hf_subsets)
    for subset, figures in theirs.items():
        assert ours[subset] == pytest.approx(figures, abs=1e-5)


def test_a_cascade_ranks_the_candidates_and_nothing_else(stage_of: Callable[[str], Stage]) -> None:
    corpus = Corpus.of(["a", "b", "c", "d"], ["red fox", "blue whale", "red whale", "red red red"])
    queries = Queries(("q", "p"), ("red", "whale"))
    split = Split(queries, Qrels({"q": {"d": 1}, "p": {"c": 1}}), candidates={"q": ["a", "b", "c"], "p": ["c"]})
    result = evaluate_stage(stage_of("cascade"), Collection("tiny", corpus, {"test": split}), "test", ("recall@10",))
    assert [sorted(result.run.ids(row)) for row in range(2)] == [["a", "b", "c"], ["c"]]
    assert result.per_query["recall@10"].tolist() == [0, 1]
    assert split.take(np.array([1])).candidates == split.candidates


class Heard(BM25):
    """Keeps what it is told of the queries and the corpus."""

    def index(self, corpus: Any, **context: Any) -> None:
        self.indexed_for = context
        super().index(corpus, **context)

    def retrieve(self, queries: Queries, k: int) -> Any:
        self.asked_for, self.task = queries.context, queries.task
        return super().retrieve(queries, k)


def test_stages_are_told_task_split_and_subset() -> None:
    stage, task = Heard(), drawn_task(candidates=False)()
    evaluate_stage(stage, collection_of(task, "val", subset="fra"), "val", ("recall@1",))
    assert stage.asked_for == stage.indexed_for
    assert (stage.asked_for["hf_split"], stage.asked_for["hf_subset"]) == ("val", "fra")
    assert stage.asked_for["task_metadata"] is task.metadata
    assert stage.task == "DrawnTask"


@pytest.fixture
def part_of_pythondocs(monkeypatch: pytest.MonkeyPatch) -> None:
    """PythonDocs as read from one package of the standard library, for the whole takes seconds; it is not kept."""
    package = Path(sysconfig.get_path("stdlib")) / "logging"
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(package))
    monkeypatch.setattr("mteb_cascade.corpora.pythondocs.load", pythondocs.load.__wrapped__)


@pytest.mark.usefixtures("part_of_pythondocs")
def test_pythondocs_goes_by_its_tasks_name() -> None:
    collection = load("PythonDocs", "dev")
    assert collection.context("dev") == {"task": "PythonDocsRetrieval", "hf_split": "dev", "hf_subset": "default"}


@pytest.fixture
def registered() -> Iterator[dict[str, Any]]:
    """mteb's task registry with the drawn tasks in it."""
    import mteb.get_tasks  # noqa: F401

    tasks: dict[str, Any] = sys.modules["mteb.get_tasks"]._TASKS_REGISTRY
    before = dict(tasks)
    tasks["DrawnTask"] = drawn_task(candidates=True)
    yield tasks
    tasks.clear()
    tasks.update(before)


@pytest.mark.usefixtures("registered")
def test_every_subset_has_a_table_and_files_and_the_last_table_is_their_mean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = evaluate_models([BM25(), BM25(k1=9.0, b=1.0)], "DrawnTask", measures=("ndcg@10",), output=tmp_path)
    assert [(one.collection.subset, one.split) for one in results] == [("eng", "val")] * 2 + [("fra", "val")] * 2
    assert len({path.name for path in tmp_path.iterdir()}) == 16
    evaluations(results)
    out = capsys.readouterr().out
    titles = (
        "DrawnTask (eng), val, 12 queries",
        "DrawnTask (fra), val, 12 queries",
        "DrawnTask, val, mean over 2 subsets",
    )
    words = " ".join(out.split())
    assert [words.count(title) for title in titles] == [1, 1, 1]
    assert sorted(titles, key=words.index) == list(titles)
    means = [(results[row].means["ndcg@10"] + results[row + 2].means["ndcg@10"]) / 2 for row in range(2)]
    shown = [line.split()[-1] for line in out.splitlines() if line.split()[:1] == ["bm25"]][-2:]
    assert shown == [f"{value:.3f}".lstrip("0") for value in means]
    (one,) = evaluate_models([BM25()], "DrawnTask", subsets=["fra"], measures=("ndcg@10",))
    assert one.means == results[2].means
    assert one.as_json()["subset"] == "fra"


@pytest.mark.usefixtures("registered")
def test_figures_of_every_query_run_and_provenance_lie_beside_each_other(tmp_path: Path) -> None:
    (made,) = evaluate_models([BM25()], "DrawnTask", subsets=["eng"], output=tmp_path)
    stem = next(tmp_path.glob("*.json")).stem
    files = {path.name.removeprefix(stem): path for path in tmp_path.iterdir()}
    assert set(files) == {".json", ".parquet", ".trec.gz", ".queries.parquet"}
    result = json.loads(files[".json"].read_text())
    table = pq.read_table(files[".queries.parquet"])
    assert table["query_id"].to_pylist() == list(made.run.query_ids)
    assert np.isnan(table["recall@10"].to_numpy()).sum() == 1  # q11 has grade 0 only
    for name, figure in result["scores"].items():
        assert np.nansum(table[name].to_numpy()) / len(table) == pytest.approx(figure, abs=1e-12)
    again = read(files[".trec.gz"]).run(Queries(made.run.query_ids, ("",) * len(table)), made.collection.corpus)
    assert (again.docs == made.run.docs[:, : again.depth]).all()
    assert again.scores.tobytes() == np.ascontiguousarray(made.run.scores[:, : again.depth]).tobytes()
    record = result["provenance"]
    assert (record["task"], record["split"], record["subset"]) == ("DrawnTask", "val", "eng")
    assert record["fingerprint"] == result["fingerprint"] == made.fingerprint
    assert (record["corpus_digest"], record["queries_digest"]) == (result["corpus_digest"], result["queries_digest"])
    assert (result["k"], result["source"]) == (1000, "DrawnTask")


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"subsets": ["fr"]}, "DrawnTask has no subset 'fr'. Known: eng, fra. Did you mean 'fra'?"),
        ({"split": "vla"}, "DrawnTask has no split 'vla'. Known: val. Did you mean 'val'?"),
        ({"relevance_level": 0}, "relevance level: expected at least 1, got 0"),
    ],
)
def test_what_a_task_does_not_have_is_one_line(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError) as refused:
        load_subsets("DrawnTask", **given)
    assert expected in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("registered", "part_of_pythondocs")
def test_of_several_subsets_one_is_named() -> None:
    with pytest.raises(InputError, match="DrawnTask has several subsets: eng, fra; name one"):
        load("DrawnTask")
    assert load("DrawnTask", subset="eng").title == "DrawnTask (eng)"
    with pytest.raises(InputError, match=r"PythonDocs has no subset 'eng'\. Known: default"):
        load("PythonDocs", subset="eng")


def test_a_task_of_other_things_than_text_is_refused(registered: dict[str, Any]) -> None:
    from mteb.mocks import MockAny2AnyRetrievalI2TTask

    registered["MockAny2AnyRetrievalI2TTask"] = MockAny2AnyRetrievalI2TTask
    with pytest.raises(InputError, match="expected a task of texts alone"):
        load("MockAny2AnyRetrievalI2TTask")


def test_relevance_levels_are_known_by_dataset_and_split(registered: dict[str, Any]) -> None:
    levels = {
        ("MSMARCO", "dev"): 1,
        ("MSMARCO", "test"): 2,
        ("MSMARCOCascade", "test"): 2,
        ("TRECDL2019", "test"): 2,
        ("TRECDL2020Cascade", "test"): 2,
        ("MSMARCOv2", "dev2"): 1,
        ("SciFact", "test"): 1,
    }
    assert {key: relevance_level(*key) for key in levels} == levels
    import mteb

    from mteb_cascade.corpora.relevance_level import LEVELS

    for task, split in LEVELS:
        assert mteb.get_task(task).metadata.name == task, split
    registered["TRECDL2019"] = type("DL19", (registered["DrawnTask"],), {})
    registered["TRECDL2019"].metadata = registered["DrawnTask"].metadata.model_copy(update={"name": "TRECDL2019"})
    registered["TRECDL2019"].load_data = lambda self, **_: vars(self).update(
        dataset={subset: {"test": drawn(0, False)} for subset in ("eng", "fra")}, data_loaded=True
    )
    assert load("TRECDL2019", "test", subset="eng").split("test").qrels.relevance_level == 2
    assert load("TRECDL2019", "test", subset="eng", relevance_level=1).split("test").qrels.relevance_level == 1


def test_a_folder_says_its_level_name_and_identical_ids(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text('{"_id": "d1", "text": "red fox"}\n')
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "fox"}\n')
    (folder / "qrels" / "dev.tsv").write_text("q1\td1\t2\n")
    plain = load(folder)
    assert (plain.name, plain.default_split, plain.split("dev").qrels.relevance_level) == ("mine", "dev", 1)
    (folder / "task.toml").write_text('name = "Theirs"\nrelevance_level = 2\nignore_identical_ids = true\n')
    entry = load(folder)
    assert (entry.name, entry.ignore_identical_ids) == ("Theirs", True)
    assert entry.split("dev").qrels.relevance_level == 2
    assert load(folder, relevance_level=1).split("dev").qrels.relevance_level == 1
