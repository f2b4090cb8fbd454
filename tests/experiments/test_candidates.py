from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from mteb_cascade.corpora.load import load as load_collection
from mteb_cascade.corpora.run_files import read
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.candidates import write_candidates
from mteb_cascade.experiments.evaluate import evaluate_models
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.hybrid import Hybrid
from mteb_cascade.stages.run_file import RunFile

MEASURES = ("recall@5", "mrr@5")


def drawn(folder: Path, seed: int) -> Path:
    """A BEIR folder of 120 short documents and 30 queries, some of which no document answers."""
    rng = random.Random(seed)
    words = [f"w{number}" for number in range(30)]
    documents = [{"_id": f"d{row}", "text": " ".join(rng.choices(words[:25], k=6))} for row in range(120)]
    queries = [{"_id": f"q{row}", "text": " ".join(rng.sample(words, 2))} for row in range(30)]
    judged = [f"q{row}\td{rng.randrange(120)}\t1" for row in range(30) for _ in range(2)]
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in documents))
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
    lines = ["query-id\tcorpus-id\tscore", *dict.fromkeys(judged)]
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn(tmp_path_factory.mktemp("collections") / "words", seed=0)


@pytest.fixture(scope="module")
def written(words: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("candidates") / "bm25.parquet"
    write_candidates(BM25(name="ours/bm25"), words, path, k=20)
    return path


def test_kind_run_reaches_the_figures_of_the_stage_to_the_bit(words: Path, written: Path) -> None:
    first = RunFile(file=str(written))
    pairs = [(BM25(), first), (Cascade(BM25(), Step(BM25(k1=0.2), 10)), Cascade(first, Step(BM25(k1=0.2), 10)))]
    for stage, read_back in pairs:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            theirs, ours = evaluate_models([stage, read_back], words, measures=MEASURES, k=20)
        np.testing.assert_array_equal(ours.run.docs, theirs.run.docs)
        np.testing.assert_array_equal(ours.run.scores.view(np.int32), theirs.run.scores.view(np.int32))
        assert ours.means == theirs.means


def test_the_file_says_what_it_is_and_is_the_same_twice(words: Path, written: Path, tmp_path: Path) -> None:
    again = write_candidates(BM25(name="ours/bm25"), words, tmp_path / "again.parquet", k=20)
    assert sha256(again.path.read_bytes()).digest() == sha256(written.read_bytes()).digest()
    made = read(written).made
    assert made == again.made
    collection = load_collection(words)
    assert (made.corpus_digest, made.documents) == (collection.corpus.digest, 120)
    assert (made.queries_digest, made.queries) == (collection.split("test").queries.digest, 30)
    assert (made.stage["name"], made.stage["kind"], made.stage["fingerprint"]) == (
        *("ours/bm25", "bm25"),
        BM25().fingerprint,
    )
    assert (made.task, made.split, made.depth) == ("words", "test", 20)


def test_the_pool_recall_is_that_of_an_evaluation(words: Path, tmp_path: Path) -> None:
    made = write_candidates(BM25(), words, tmp_path / "set.parquet", k=7)
    (evaluated,) = evaluate_models([BM25()], words, measures=["recall@7"])
    assert made.pool_recall == pytest.approx(evaluated.means["recall@7"])
    assert made.summary.endswith(f" candidates of 30 queries, pool recall@7 {made.pool_recall:.3f}")
    assert f"{int(made.run.lengths.sum()):,} candidates" in made.summary


def test_an_evaluation_says_the_same_in_the_runs_that_it_writes(words: Path, written: Path, tmp_path: Path) -> None:
    evaluate_models([BM25(name="ours/bm25")], words, measures=MEASURES, k=20, output=tmp_path)
    (path,) = (path for path in tmp_path.glob("*.parquet") if ".queries" not in path.name)
    assert path.read_bytes() == written.read_bytes()


def test_candidates_of_another_collection_are_refused(
    written: Path, write_spec: Callable[[str, str], Path], tmp_path: Path
) -> None:
    write_spec("theirs", f'kind = "run"\nfile = "{written}"\n')
    with pytest.raises(InputError, match=r"bm25.parquet: was made for another corpus: words with 120 documents"):
        evaluate_models(["theirs"], drawn(tmp_path / "others", seed=1), measures=MEASURES, k=20)


def test_a_hybrid_asks_no_deeper_than_its_pool(words: Path, written: Path) -> None:
    hybrid = Hybrid(RunFile(file=str(written)), BM25(k1=0.9), pool=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (evaluated,) = evaluate_models([hybrid], words, measures=MEASURES, k=10)
    assert evaluated.means["recall@5"] > 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("set.trec", r"set.trec: a candidate set is a .parquet file: .* Write -o set.parquet$"),
        ("set.json", r"set.json: a candidate set is a .parquet file"),
        ("folder.parquet", r"folder.parquet: is a folder; expected the name of a file to write"),
        ("file/set.parquet", r"set.parquet: cannot be written, for .*file is no folder that you may write to"),
    ],
)
def test_a_file_that_cannot_be_written_is_named_before_any_work(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=message):
        write_candidates("no model of this name", "no such task", tmp_path / name)


def test_a_reranking_task_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mteb
    from mteb.mocks.mock_tasks import MockRerankingTask

    monkeypatch.setattr(mteb, "get_task", lambda _: MockRerankingTask())
    with pytest.raises(InputError, match="MockRerankingTask is a reranking task: it brings the candidates"):
        write_candidates(BM25(), "MockRerankingTask", tmp_path / "set.parquet")
