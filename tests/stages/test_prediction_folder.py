"""A folder that mteb itself wrote, read back as a stage: mteb's own figures for it are those of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mteb_cascade.errors import InputError
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.run_file import RunFile


def figures(stage: Any, task: Any, **options: Any) -> dict[str, list[dict[str, Any]]]:
    import mteb

    result = mteb.evaluate(stage, task, cache=None, show_progress_bar=False, **options)
    return result.task_results[0].scores


@pytest.fixture(params=["MockRetrievalTask", "MockMultilingualRetrievalTask", "MockRerankingTask"])
def task(request: pytest.FixtureRequest) -> Any:
    from mteb.mocks import mock_tasks

    return getattr(mock_tasks, request.param)


def test_every_subset_and_split_scores_as_the_model_that_was_saved(task: Any, tmp_path: Path) -> None:
    from mteb.mocks.mock_tasks import MockInstructionRetrieval

    saved = figures(BM25(), task(), prediction_folder=tmp_path)
    figures(BM25(k1=0.1), MockInstructionRetrieval(), prediction_folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    again = figures(RunFile(file=str(tmp_path)), task())
    assert again == saved
    assert sum(len(subsets) for subsets in saved.values()) == len(task().hf_subsets) * len(task().eval_splits)


def test_a_task_that_the_folder_lacks_is_named(tmp_path: Path) -> None:
    from mteb.mocks.mock_tasks import MockMultilingualRetrievalTask, MockRetrievalTask

    figures(BM25(), MockRetrievalTask(), prediction_folder=tmp_path)
    with pytest.raises(InputError, match=r"no predictions of task 'MockMultilingualRetrievalTask'. It has: MockRetr"):
        figures(RunFile(file=str(tmp_path)), MockMultilingualRetrievalTask())


def test_our_evaluation_takes_the_file_of_its_task(tmp_path: Path) -> None:
    from mteb_cascade.experiments.evaluate import evaluate_models
    from mteb_cascade.mteb_plugin.folder_tasks import folder_task

    data = tmp_path / "words"
    (data / "qrels").mkdir(parents=True)
    texts = ["red fox", "red red fox", "blue whale", "red whale", "whale", "old stone"]
    (data / "corpus.jsonl").write_text(
        "".join(f'{{"_id": "d{n}", "text": "{text}"}}\n' for n, text in enumerate(texts))
    )
    (data / "queries.jsonl").write_text('{"_id": "q1", "text": "fox"}\n{"_id": "q2", "text": "red whale"}\n')
    (data / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td4\t1\n")
    theirs = figures(BM25(), folder_task(data)(), prediction_folder=tmp_path / "predictions")["test"][0]
    (tmp_path / "predictions" / "Other_predictions.json").write_text('{"mteb_model_meta": {}}')
    read_back, ours = evaluate_models([RunFile(file=str(tmp_path / "predictions")), BM25()], data, k=100)
    assert read_back.run.as_dict() == ours.run.as_dict()
    assert read_back.means == ours.means
    assert read_back.means["mrr@10"] == pytest.approx(theirs["mrr_at_10"], abs=1e-5)
