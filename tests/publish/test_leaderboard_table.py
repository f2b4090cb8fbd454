"""What `mteb run` writes for models of ours is in the table that mteb's leaderboard builds, with our own figures."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven"]


@pytest.fixture
def registries() -> Iterator[None]:
    """mteb's registries and what it derived from them, as they were before."""
    import mteb  # noqa: F401 - it fills both
    from mteb.benchmarks import _create_table
    from mteb.models.model_implementations import MODEL_REGISTRY

    tasks = sys.modules["mteb.get_tasks"]._TASKS_REGISTRY
    before = [(table, dict(table)) for table in (MODEL_REGISTRY, tasks)]
    cached = [one for one in vars(_create_table).values() if hasattr(one, "cache_clear")]
    for one in cached:
        one.cache_clear()
    yield
    for table, held in before:
        table.clear()
        table.update(held)
    for one in cached:
        one.cache_clear()


@pytest.fixture
def world(write_spec: Any, tiny_bi_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three models, and a collection that asks for documents by their words."""
    write_spec("lexical", 'name = "our-org/lexical"\nkind = "bm25"\n')
    card = '[card]\ntraining_datasets = ["Numbers"]\n'
    write_spec("dense", f'name = "our-org/dense"\nkind = "bi-encoder"\nmodel = "{tiny_bi_encoder}"\n{card}')
    stages = '[[stage]]\nmodel = "lexical"\n[[stage]]\nmodel = "dense"\ndepth = 4\nblend = 0.1\n'
    write_spec("two", f'name = "our-org/two"\nkind = "cascade"\n{stages}')
    folder = Path("Numbers").absolute()
    (folder / "qrels").mkdir(parents=True)
    documents = [{"_id": f"d{n}", "text": " ".join(NUMBERS[n:] + NUMBERS[:n][::-1][:3])} for n in range(8)]
    queries = [{"_id": f"q{n}", "text": f"{NUMBERS[n]} {NUMBERS[(3 * n) % 8]}"} for n in range(8)]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, documents)))
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    rows = "".join(f"q{n}\td{n}\t1\n" for n in range(8))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")
    monkeypatch.setenv("MTEB_CASCADE_DATASETS", str(folder))
    return folder


def test_our_models_stand_in_the_table(world: Path, registries: None):
    import mteb
    from mteb import Benchmark, ResultCache
    from mteb.models.model_implementations import MODEL_REGISTRY

    import mteb_cascade
    from mteb_cascade.experiments.evaluate import evaluate_models

    MODEL_REGISTRY.clear()  # the table asks each of mteb's thousand models for its training data, which takes seconds
    mteb_cascade.register()
    task = mteb.get_task("Numbers")
    cache = ResultCache(world.parent)
    for name in ("lexical", "dense", "two"):
        mteb.evaluate(mteb.get_model(name), task, cache=cache, encode_kwargs={"show_progress_bar": False})
    loaded = cache.load_results(tasks=Benchmark(name="Ours", tasks=[task]))
    rows = loaded.get_benchmark_result().set_index("Model")
    own = {one.model: one.means["ndcg@10"] for one in evaluate_models(["lexical", "dense", "two"], str(world))}
    assert set(rows.index) == {"our-org/lexical", "our-org/dense", "our-org/two"}
    for name, figure in own.items():
        assert rows.loc[f"our-org/{name}", "Mean (Task)"] == pytest.approx(figure, abs=1e-5)
        assert rows.loc[f"our-org/{name}", "Retrieval"] == rows.loc[f"our-org/{name}", "Mean (Task)"]
    assert len({round(figure, 5) for figure in own.values()}) == 3, "three models that one can tell apart"
    order = sorted(own, key=lambda name: -own[name])
    assert rows["Rank (Borda)"].sort_values().index.tolist() == [f"our-org/{name}" for name in order]
    assert rows.loc["our-org/dense", "Zero-shot"] == 0, "it says that it was trained on this very task"
    assert rows.loc["our-org/dense", "Total Parameters (B)"] == 0.0
