"""Late interaction on the screen: the tokens behind the scores that stand above them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.experiments.inspecting.inspection import inspect
from mteb_cascade.stages.late_interaction import LateInteraction
from mteb_cascade.studies.inspecting import look
from mteb_cascade.values.qrels import Qrels


def test_tokens_of_the_first_and_of_the_best_answer(
    tiny_late_interaction: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(tmp_path / "cache"))
    corpus = Corpus.of(["a", "b", "c"], ["red fox", "red stone tree", "the red whale"])
    part = Split(Queries(("q",), ("red whale",)), Qrels({"q": {"a": 1, "b": 1}}))
    stage = LateInteraction(model=str(tiny_late_interaction), name="local/tokens")
    inspection = inspect(stage, Collection("Tiny", corpus, {"test": part}))
    assert [one.label for one in inspection.of(0).stages] == ["bm25", "local/tokens"]
    view = inspection.of(0)
    first, best = view.candidates[0].document, view.answers[0].document

    look(inspection, [0])
    shown = dict(re.findall(r"^sum (\S+) (\w+)$", capsys.readouterr().out, re.MULTILINE))
    scores = {one.document: one.places[1].score for one in view.candidates if one.places[1]}
    wanted = dict.fromkeys((first, best))
    assert [*shown.values()] == [*wanted] and first == "c"
    assert {name: float(total) for total, name in shown.items()} == pytest.approx(
        {name: scores[name] for name in wanted}, abs=1e-3
    )
    look(inspection, [0], document="b")
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines() if line.startswith("sum ")] == ["b"]
