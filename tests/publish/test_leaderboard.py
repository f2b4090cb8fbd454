"""The public result files, old and new, and what is wrong with others."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mteb_cascade.errors import InputError
from mteb_cascade.publish.leaderboard import Leaderboard, default_folder, read


@pytest.fixture
def published(shared_data: Path) -> Leaderboard:
    """Real files of the public leaderboard."""
    return Leaderboard(shared_data / "leaderboard")


def write(path: Path, scores: dict[str, list[dict[str, Any]]], **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"task_name": path.stem, "scores": scores, **more}))
    return path


def one(**scores: Any) -> dict[str, list[dict[str, Any]]]:
    return {"test": [{"hf_subset": "default", **scores}]}


def test_every_real_file_reads_as_mteb_reads_it(published: Leaderboard) -> None:
    from mteb.results import TaskResult

    files = [path for path in published.folder.rglob("*.json") if path.name != "model_meta.json"]
    assert len(files) >= 15
    for path in files:
        ours, theirs = read(path), TaskResult.from_disk(path)
        assert {split: list(held) for split, held in ours.splits.items()} == {
            split: [scores["hf_subset"] for scores in held] for split, held in theirs.scores.items()
        }
        for split, held in theirs.scores.items():
            for measure, key in (("ndcg@10", "ndcg_at_10"), ("recall@100", "recall_at_100"), ("mrr@10", "mrr_at_10")):
                if key in held[0]:
                    expected = theirs.get_score(splits=[split], getter=lambda scores, key=key: scores[key])
                    assert ours.mean(split, measure) == pytest.approx(expected, abs=1e-12)
                else:
                    assert ours.mean(split, measure) is None


def test_measures_by_their_names_in_old_and_new_files(published: Leaderboard) -> None:
    old = published.find("mteb/baseline-bm25s", ["SciFact"])
    new = published.find("hotchpotch/bekko-embedding-v1-a25m", ["SciFact"])
    assert old is not None and new is not None
    for model, expected in ((old, 0.55333), (new, 0.60667)):
        scores = model.scores("SciFact")
        assert scores is not None
        assert scores.mean("test", "success@1") == expected
    held = old.scores("SciFact")
    assert held is not None
    assert held.mean("test", "success@10") is None
    assert held.mean("test", "recall@7") is None
    assert held.mean("dev", "ndcg@10") is None
    assert held.mean("test", "ndcg@10", ["german"]) is None
    assert (old.parameters, old.megabytes) == (None, None)
    assert (new.parameters, new.megabytes) == (123234432, 470.0)


def test_experiments_are_left_out_unless_asked_for(published: Leaderboard) -> None:
    task = "Vidore3EnergyRetrieval"
    revision = "4a58ca57710c49f51896e4bc820e202fbf64904b/experiments/vector_type_multi_vector"
    with pytest.raises(InputError) as raised:
        published.find("jinaai/jina-embeddings-v4", [task])
    assert f"name one as jinaai/jina-embeddings-v4@{revision}" in str(raised.value)
    found = published.find(f"jinaai/jina-embeddings-v4@{revision}", [task])
    assert found is not None
    scores = found.scores(task)
    assert scores is not None
    values = [subset["ndcg_at_10"] for subset in scores.subsets("test")]
    assert len(values) > 4
    assert scores.mean("test", "ndcg@10") == pytest.approx(sum(values) / len(values))
    assert scores.mean("test", "ndcg@10", ["french", "german"]) == pytest.approx(
        (scores.splits["test"]["french"]["ndcg_at_10"] + scores.splits["test"]["german"]["ndcg_at_10"]) / 2
    )


def test_the_newest_revision_that_has_the_task_and_any_by_name(tmp_path: Path) -> None:
    model = tmp_path / "results" / "org__model"
    write(model / "a" / "SciFact.json", one(ndcg_at_10=0.1), date=200.0)
    old = write(model / "b" / "SciFact.json", one(ndcg_at_10=0.2))
    os.utime(old, (100, 100))
    write(model / "c" / "Other.json", one(ndcg_at_10=0.3), date=300.0)
    board = Leaderboard(tmp_path)
    found = board.find("org/model", ["SciFact"])
    assert found is not None
    assert (found.revision, found.passed_over) == ("a", ("b",))
    os.utime(old, (300, 300))
    for name, revision in (("org/model", "b"), ("org/model@a", "a")):
        found = board.find(name, ["SciFact"])
        assert found is not None
        assert found.revision == revision
    assert board.find("org/nobody", ["SciFact"]) is None
    with pytest.raises(InputError, match=r"no revision '\.\./a'"):
        board.find("org/model@../a", ["SciFact"])
    with pytest.raises(InputError, match=r"no result of Third .* it has Other, SciFact"):
        board.find("org/model", ["Third"])


@pytest.mark.parametrize(
    "content",
    [
        *(
            "[]",
            "{}",
            '{"scores": 3}',
            '{"scores": {"test": {"ndcg@10": 1}}}',
            '{"scores": {"test": [3]}}',
            '{"scores": {',
        ),
        *('{"scores": {"test": [{"relevance_level": "x"}]}}', "[" * 100_000),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "SciFact.json"
    path.write_text(content)
    with pytest.raises(InputError) as raised:
        read(path)
    assert "SciFact.json" in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "a result of mteb" in str(raised.value) or "no result of mteb" in str(raised.value)


def test_an_empty_folder_and_a_missing_one_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="holds no results"):
        Leaderboard(tmp_path).models()
    with pytest.raises(InputError, match="is no folder"):
        Leaderboard(tmp_path / "nothing").models()
    assert Leaderboard(tmp_path / "nothing", named=False).models() == {}
    monkeypatch.setenv("MTEB_CACHE", str(tmp_path))
    assert default_folder() == tmp_path / "remote" / "results"
