"""Comparisons of lexical models on a few queries of the real SciFact, beside the public leaderboard's files."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mteb_cascade.corpora import query_figures
from mteb_cascade.corpora.load import load as load_collection
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.evaluate import evaluate_models
from mteb_cascade.stages.load import load
from mteb_cascade.stages.provenance import record_of
from mteb_cascade.studies.comparing.compare import compare
from mteb_cascade.studies.comparing.comparison import Comparison
from mteb_cascade.values.statistics import holm

MODELS = {
    "our-bm25": 'kind = "bm25"\nk1 = 1.5\nb = 0.75\n',
    "our-low": 'kind = "bm25"\nk1 = 0.9\nb = 0.4\n',
    "our-tfidf": 'kind = "tfidf"\n',
}
BM25S, MINILM = "mteb/baseline-bm25s", "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture
def house(write_spec: Callable[[str, str], Path], tmp_path: Path) -> Path:
    """Three models and a collection of a few words, whose task.toml names a published task."""
    for name, content in MODELS.items():
        write_spec(name, content)
    beir(tmp_path / "data", 'published = "SciFact"\n')
    return tmp_path


def beir(folder: Path, entry: str = "", *, grade: int = 1) -> Path:
    draw = random.Random(0)
    words = ["fox", "whale", "tiger", "zebra", "otter", "heron", "gecko", "moose"]
    texts = [" ".join(draw.choices(words, k=draw.randint(2, 12))) for _ in range(20)]
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": f"d{n}", "text": text} for n, text in enumerate(texts)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    queries = [{"_id": f"q{n}", "text": " ".join(draw.sample(words, 3))} for n in range(8)]
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
    judged = "".join(f"q{n}\td{draw.randrange(20)}\t{grade}\n" for n in range(8))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    (folder / "task.toml").write_text(entry)
    return folder


def published(folder: Path, **scores: float) -> Path:
    """A leaderboard of one model with a result of SciFact."""
    path = folder / "org__theirs" / "rev" / "SciFact.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"scores": {"test": [{"hf_subset": "default", **scores}]}}))
    return folder


def test_three_local_models_among_two_published_ones(
    write_spec: Callable[[str, str], Path], tmp_path: Path, shared_data: Path
) -> None:
    for name, content in MODELS.items():
        write_spec(name, content)
    shutil.copytree(shared_data / "scifact", tmp_path / "scifact")
    (tmp_path / "scifact" / "task.toml").write_text('published = "SciFact"\n')
    names = [*MODELS, BM25S, MINILM]
    found = compare(
        names, ["scifact"], measures=["ndcg@10", "success@1"], k=100, leaderboard=shared_data / "leaderboard"
    )
    assert [model.label for model in found.models] == names
    assert [model.source for model in found.models] == ["evaluated"] * 3 + ["published"] * 2
    assert [round(model.score("scifact", "ndcg@10") or 0, 5) for model in found.models] == [
        *(0.6863, 0.67619, 0.57797),
        *(0.68736, 0.64508),
    ]
    assert [model.score("scifact", "success@1") for model in found.models[3:]] == [0.55333, 0.50333]
    assert [(model.parameters, model.megabytes) for model in found.models[3:]] == [(None, None), (22_700_000, 87.0)]
    values = {}
    for model in found.models[:3]:
        per_query = model.standings["scifact"].per_query
        assert per_query is not None
        values[model.label] = per_query["ndcg@10"]
        assert len(values[model.label]) == 300
        assert model.score("scifact", "ndcg@10") == pytest.approx(sum(values[model.label]) / 300)
    scipys = [stats.ttest_rel(values[name], values["our-bm25"]) for name in ("our-low", "our-tfidf")]
    assert [(one.model, one.task) for one in found.tests] == [("our-low", "scifact"), ("our-tfidf", "scifact")]
    assert [one.difference.p_value for one in found.tests] == pytest.approx([one.pvalue for one in scipys])
    assert [one.p_holm for one in found.tests] == pytest.approx(holm([one.pvalue for one in scipys]).tolist())
    for one, scipys_own in zip(found.tests, scipys, strict=True):
        interval = scipys_own.confidence_interval()
        assert (one.difference.low, one.difference.high) == pytest.approx((interval.low, interval.high))
    assert BM25S in found.notes[0]


def test_the_files_of_an_evaluation_stand_for_the_model(house: Path) -> None:
    measures = ("ndcg@10", "recall@10", "success@1")
    evaluate_models(["our-bm25", "our-low"], "data", measures=measures, output=house / "out")
    (bm25,), (low,) = ((house / "out").glob(f"{name}.*.test.json") for name in ("our-bm25", "our-low"))
    direct = compare(["our-bm25", "our-low"], ["data"], measures=measures)
    of_files = compare([str(bm25), str(low)], [], measures=measures)  # they say themselves what they are of
    assert [model.source for model in of_files.models] == ["file", "file"]
    assert same_figures(direct, of_files)
    assert direct.tests == of_files.tests

    queries = next((house / "out").glob("our-low.*.queries.parquet"))
    import polars as pl

    changed = pl.read_parquet(queries).with_columns(pl.lit(1.0).alias("ndcg@10")).sample(fraction=1, shuffle=True)
    changed.write_parquet(queries)
    again = compare(["our-bm25", "our-low"], ["data"], measures=measures, results=[house / "out"])
    assert again.models[1].score("data", "ndcg@10") == 1
    assert again.models[1].score("data", "recall@10") == pytest.approx(direct.models[1].score("data", "recall@10"))
    for model, before in zip(again.models, direct.models, strict=True):
        held, expected = (one.standings["data"].per_query or {} for one in (model, before))
        assert held["recall@10"].tolist() == expected["recall@10"].tolist()
    wider = compare(["our-bm25", "our-low"], ["data"], measures=["ndcg@10", "mrr@10"], results=[house / "out"])
    assert same_figures(wider, compare(["our-bm25", "our-low"], ["data"], measures=["ndcg@10", "mrr@10"]))

    queries.unlink()
    without = compare(["our-bm25", str(low)], ["data"], measures=measures)
    assert without.models[1].score("data", "ndcg@10") == pytest.approx(direct.models[1].score("data", "ndcg@10"))
    assert without.tests == ()
    assert without.notes[0].startswith("Nothing is tested")
    both = compare(["our-low", str(low)], ["data"], measures=measures)
    assert both.models[1].label == f"our-low ({low.stem})"
    beir(house / "moved", grade=1)
    corpus = house / "moved" / "corpus.jsonl"
    corpus.write_text(corpus.read_text().replace("fox", "wolf"))
    with pytest.raises(InputError, match=r"was evaluated on data, test.* no task here has these texts"):
        compare(["our-bm25", str(low)], ["moved"])
    low.write_text(low.read_text()[:200])
    with pytest.raises(InputError, match=r"our-low.*cannot be read"):
        compare(["our-bm25", str(low)], ["data"])


def test_what_lies_beside_a_result_of_mteb_is_read_where_it_is_of_this_very_model_and_text(house: Path) -> None:
    folder = house / "results" / "local__our-low" / "abc" / "provenance"
    folder.mkdir(parents=True)
    (folder.parent / "SciFact.json").write_text("not looked at")
    stage, collection = load("our-low"), load_collection("data")
    ids = collection.split("test").queries.ids
    record = record_of(stage, collection, "test")
    (folder / "data.json").write_text(json.dumps(record))
    query_figures.write(folder / "data.test.queries.parquet", ids[::-1], {"ndcg@10": np.arange(8.0)})
    found = compare(["our-bm25", "our-low"], ["data"], measures=["ndcg@10"], results=[house / "results"])
    held = found.models[1].standings["data"].per_query
    assert held is not None
    assert held["ndcg@10"].tolist() == list(range(7, -1, -1))
    evaluated = compare(["our-bm25", "our-low"], ["data"], measures=["ndcg@10"])
    for changed in ({"fingerprint": "x"}, {"qrels_digest": "x"}, {"relevance_level": 2}, {"split": "dev"}):
        (folder / "data.json").write_text(json.dumps(record | changed))
        other = compare(["our-bm25", "our-low"], ["data"], measures=["ndcg@10"], results=[house / "results"])
        assert same_figures(other, evaluated)


def same_figures(one: Comparison, other: Comparison) -> bool:
    return [model.standings["data"].means for model in one.models] == [
        pytest.approx(dict(model.standings["data"].means)) for model in other.models
    ]


def test_a_mean_over_tasks_is_of_models_that_have_them_all(house: Path) -> None:
    beir(house / "more")
    board = published(house / "board", ndcg_at_10=0.5, recall_at_10=0.25)
    found = compare(
        ["our-bm25", "our-tfidf", "org/theirs"], ["data", "more"], measures=["ndcg@10", "mrr@10"], leaderboard=board
    )
    ours, _, theirs = found.models
    scores = [ours.score(task, "ndcg@10") for task in ("data", "more")]
    assert found.mean(ours, "ndcg@10") == pytest.approx(np.mean([one or 0 for one in scores]))
    assert theirs.score("data", "ndcg@10") == 0.5
    assert (theirs.score("more", "ndcg@10"), theirs.score("data", "mrr@10"), found.mean(theirs, "ndcg@10")) == (
        None,
    ) * 3
    assert [(one.model, one.task) for one in found.tests] == [("our-tfidf", "data"), ("our-tfidf", "more")]
    p_values = [one.difference.p_value for one in found.tests]
    assert [one.p_holm for one in found.tests] == pytest.approx(holm(p_values).tolist())
    notes = " ".join(found.notes)
    assert 'more: add published = "NAME" to its task.toml' in notes
    assert "the results of org/theirs do not have the figure" in notes


def test_published_figures_of_another_relevance_level_are_left_blank(house: Path) -> None:
    beir(house / "graded", 'published = "SciFact"\nrelevance_level = 2\n', grade=2)
    board = published(house / "board", ndcg_at_10=0.5, recall_at_10=0.25, hit_rate_at_1=0.75)
    asked = ("ndcg@10", "recall@10", "success@1")
    found = compare(["our-bm25", "org/theirs"], ["graded"], measures=asked, leaderboard=board)
    assert dict(found.models[1].standings["graded"].means) == {"ndcg@10": 0.5}
    assert any("published recall@10, success@1 count grades from 1 on, those here from 2 on" in n for n in found.notes)
    at_one = compare(["our-bm25", "org/theirs"], ["graded"], measures=asked, relevance_level=1, leaderboard=board)
    assert dict(at_one.models[1].standings["graded"].means) == {"ndcg@10": 0.5, "recall@10": 0.25, "success@1": 0.75}


def test_clusters_are_the_observations_and_a_local_model_hides_a_published_one(
    house: Path, write_spec: Callable[[str, str], Path]
) -> None:
    write_spec("theirs", 'kind = "tfidf"\nname = "org/theirs"\n')
    board = published(house / "board", ndcg_at_10=0.5)
    found = compare(["org/theirs", "our-bm25"], ["data"], leaderboard=board)
    assert found.models[0].source == "evaluated"
    assert any("the local model, not the published one" in note for note in found.notes)
    named = compare(["org/theirs@rev", "our-bm25"], ["data"], leaderboard=board)
    assert named.models[0].source == "published"

    from dataclasses import replace

    from mteb_cascade.studies.comparing.compare import paired_tests
    from mteb_cascade.studies.comparing.tasks import loaded, source_of

    compared = loaded(source_of("data"), None, (), None, False)
    clusters = tuple("aabbbccd")
    part = compared.parts[0]
    clustered = replace(part, splits={"test": replace(part.splits["test"], clusters=clusters)})
    compared = replace(compared, parts=(clustered,), task=replace(compared.task, clusters=True))
    (test,) = paired_tests(found.models, [compared], "ndcg@10", "our-bm25")
    theirs, ours = ((one.standings["data"].per_query or {})["ndcg@10"] for one in found.models)
    sums = [sum(theirs[n] - ours[n] for n in range(8) if clusters[n] == name) for name in "abcd"]
    assert test.difference.p_value == pytest.approx(stats.ttest_1samp(sums, 0).pvalue)
    assert test.difference.difference == pytest.approx(sum(sums) / 8)


def test_subsets_of_a_task_count_the_same(house: Path) -> None:
    from dataclasses import replace

    from mteb_cascade.studies.comparing.comparison import Task
    from mteb_cascade.studies.comparing.standings import of_stage
    from mteb_cascade.studies.comparing.tasks import AskedTask, Compared

    whole = load_collection("data")
    split = whole.split("test")
    parts = tuple(
        replace(whole, subset=name, splits={"test": split.take(np.array(rows))})
        for name, rows in (("small", [0, 1]), ("large", [2, 3, 4, 5, 6, 7]))
    )
    task = Task("data", "test", ("small", "large"), 8, 1, None, False, "")
    compared = Compared(task, AskedTask("data", "", "data", "test"), parts)
    assert compared.weights == pytest.approx([2.0] * 2 + [2 / 3] * 6)
    standing = of_stage(load("our-tfidf"), compared, ["ndcg@10"], 10, 0, [])
    assert standing.per_query is not None
    values = standing.per_query["ndcg@10"]
    assert standing.means["ndcg@10"] == pytest.approx((np.mean(values[:2]) + np.mean(values[2:])) / 2)


def test_latency_is_of_local_models_and_sizes_are_of_headers(house: Path, tiny_bi_encoder: Path) -> None:
    board = published(house / "board", ndcg_at_10=0.5)
    names = ["our-bm25", str(tiny_bi_encoder), "org/theirs"]
    found = compare(names, ["data"], measures=["ndcg@10"], latency=200, leaderboard=board)
    latency = [model.standings["data"].latency for model in found.models]
    assert latency[2] is None
    for one in latency[:2]:
        assert one is not None
        assert 0 < one["p50"] <= one["p95"]
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(tiny_bi_encoder), device="cpu")
    parameters = sum(one.numel() for one in model.parameters())
    assert [model.parameters for model in found.models] == [None, parameters, None]
    assert found.models[1].megabytes == pytest.approx(parameters * 4 / 2**20)
    assert any("k = 10, 200 calls" in note and "processor" in note for note in found.notes)


def test_a_mark_is_explained_only_where_there_is_one(house: Path) -> None:
    found = compare(["our-bm25", "our-low"], ["data"])
    assert not any(one.is_shown for one in found.tests)
    assert found.notes[0].startswith("No difference from our-bm25 in ndcg@10 is shown: paired t-test over queries")


def test_a_folder_of_any_name_is_a_task(house: Path) -> None:
    beir(house / "my data", "")
    (house / "my data" / "task.toml").unlink()
    spaced, plain = (compare(["our-bm25", "our-low"], [name]) for name in ("my data", "data"))
    for one, other in zip(spaced.models, plain.models, strict=True):
        assert one.standings["my data"].means == pytest.approx(dict(other.standings["data"].means))


def test_bad_input_is_told_before_any_work(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTEB_CACHE", str(house / "no-cache"))
    board = published(house / "board", ndcg_at_10=0.5)
    beir(house / "plain")
    (board / "README.md").write_text("a mixed folder")
    (board / "org__half" / "rev").mkdir(parents=True)
    (board / "org__half" / "rev" / "SciFact.json").write_text('{"scores": {"test": [{"hf')
    (board / "org__odd" / "rev").mkdir(parents=True)
    (board / "org__odd" / "rev" / "SciFact.json").write_text('{"kind": "sweep"}')
    (house / "empty").mkdir()
    (house / "sweep.json").write_text('{"kind": "sweep"}')
    monkeypatch.setattr("mteb_cascade.studies.comparing.standings.evaluate_stage", None)
    for names, tasks, more, part in (
        (["our-bm25"], ["data"], {}, "expected two or more models, got 1"),
        (["our-bm25", "our-low"], [], {}, "expected one or more tasks"),
        (["our-bm25", "our-lwo"], ["data"], {}, "Did you mean 'our-low'?"),
        (["our-bm25", "our-bm25"], ["data"], {}, "'our-bm25' is named 2 times"),
        (["our-bm25", "our-low"], ["data"], {"against": "our-lwo"}, "is not compared here"),
        (["our-bm25", "our-low"], ["data"], {"measures": ["ndgc@10"]}, "unknown measure 'ndgc@10'"),
        (["our-bm25", "our-low"], ["data"], {"latency": 20}, "expected 200 calls or more"),
        (["our-bm25", "our-low"], ["data"], {"results": [house / "empty"]}, "holds no figures of each query"),
        (["our-bm25", "org/theirs"], ["data"], {"leaderboard": house / "empty"}, "holds no results"),
        (["our-bm25", "org/theirs"], ["data"], {}, "Nor is it published"),
        (["our-bm25", "org/nobody"], ["data"], {"leaderboard": board}, "There: org/half, org/odd, org/theirs"),
        (["our-bm25", "org/theirs@x"], ["data"], {"leaderboard": board}, "no revision 'x'"),
        (["our-bm25", "org/theirs"], ["plain"], {"leaderboard": board}, 'plain: add published = "NAME"'),
        (["our-bm25", "org/half"], ["data"], {"leaderboard": board}, "org__half/rev/SciFact.json: cannot be read"),
        (["our-bm25", "org/odd"], ["data"], {"leaderboard": board}, "is no result of mteb"),
        (["our-bm25", "sweep.json"], ["data"], {}, "sweep.json: holds no evaluation"),
        (["our-bm25", "./none.json"], ["data"], {}, "none.json: there is no such file"),
    ):
        with pytest.raises(InputError) as raised:
            compare(names, tasks, **{"leaderboard": None, **more})  # type: ignore[arg-type]
        assert part in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_task_that_nobody_has(house: Path) -> None:
    board = published(house / "board", ndcg_at_10=0.5)
    with pytest.raises(InputError, match=r"org/theirs has no result of data \(dev\)"):
        (house / "data" / "qrels" / "dev.tsv").write_text((house / "data" / "qrels" / "test.tsv").read_text())
        compare(["our-bm25", "org/theirs"], ["data"], split="dev", leaderboard=board)
    copy = board / "org__copy" / "rev"
    shutil.copytree(board / "org__theirs" / "rev", copy)
    beir(house / "other", 'published = "NFCorpus"\n')
    with pytest.raises(InputError, match=r"no model has a result of other, test"):
        compare(["org/copy", "org/theirs"], ["data", "other"], leaderboard=board)
