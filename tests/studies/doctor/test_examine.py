"""All checks on all stages: one that cannot be run hides none of the others."""

from __future__ import annotations

import json

import numpy as np
import pytest
from doctored import collection_of, placed

from mteb_cascade.errors import InputError
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.studies.doctor import examine as doctor
from mteb_cascade.studies.doctor.checks import truncation
from mteb_cascade.studies.doctor.examine import Examination, examine, loaded, outcome, trained_on
from mteb_cascade.studies.doctor.finding import Finding


@pytest.fixture
def words(tmp_path):
    """A BEIR folder: 30 documents of one name and three words, 24 queries of a name and a word."""
    kinds, folder = ("red", "blue", "green", "old"), tmp_path / "words"
    (folder / "qrels").mkdir(parents=True)
    documents = [{"_id": f"d{n}", "text": f"name{n} fox {kinds[n % 4]} whale"} for n in range(30)]
    queries = [{"_id": f"q{n}", "text": f"name{n} {kinds[n % 4]}"} for n in range(24)]
    for file, rows in (("corpus", documents), ("queries", queries)):
        (folder / f"{file}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\n" + "".join(f"q{n}\td{n}\t1\n" for n in range(24))
    )
    return folder


class Broken(Stage):
    """Raises, or gives nonsense."""

    kind = "broken"
    gives: object = None

    def score(self, queries, candidates):
        if self.gives is None:
            raise RuntimeError("out of\ncoffee")
        return np.full(candidates.docs.shape, self.gives, np.float32)


def verdicts(examination, verdict):
    return [(one.check, one.stage) for one in examination.findings if one.verdict == verdict]


def test_a_healthy_model_fails_in_nothing(words):
    found = examine(BM25(), words, queries=20)
    assert (found.model, found.task, found.split, found.queries) == ("bm25", "words", "test", 20)
    assert verdicts(found, "fail") == []
    assert not found.failed
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["failed"] is False


def test_a_stage_that_raises_fails_once_and_the_others_are_examined(words):
    found = examine(Cascade(BM25(name="a/first"), Step(Broken(name="a/broken"), 5)), words)
    assert verdicts(found, "fail") == [("retrieval", "cascade")]
    found = examine(Broken(name="a/broken"), words)
    assert verdicts(found, "fail") == [("scores", "a/broken")]
    (one,) = found.findings
    assert "RuntimeError: out of coffee" in one.evidence
    assert found.failed


def test_a_score_that_is_no_number_is_named(words):
    stage = Broken(name="a/broken")
    stage.gives = np.nan
    (one,) = examine(stage, words).findings
    assert (one.check, one.verdict) == ("scores", "fail")
    assert "NaN" in one.evidence


def test_a_stage_that_refuses_to_be_loaded_fails_and_the_first_stage_is_examined(words, tiny_bert, tmp_path):
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    folder = tmp_path / "headless"
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    config = BertConfig.from_pretrained(tiny_bert, num_labels=1)
    network = BertForSequenceClassification(config)
    kept = {name: value for name, value in network.state_dict().items() if not name.startswith("classifier")}
    network.save_pretrained(folder, state_dict=kept)
    tokenizer.save_pretrained(folder)
    found = examine(Cascade(BM25(), Step(CrossEncoder(model=str(folder), name="a/headless"), 5)), words)
    assert verdicts(found, "fail") == [("loading", "a/headless")]
    assert "newly initialised (classifier.weight, classifier.bias" in found.findings[0].evidence
    assert ("constant scores", "bm25") in verdicts(found, "ok")


def test_missing_weights_and_unknown_names_are_the_users_mistakes(words, write_spec):
    write_spec("gone", 'kind = "bi-encoder"\n[training]\nrecipe = "static"\n')
    for arguments in (("gone", words), ("goen", words), (BM25(), words / "none"), (BM25(), words, "dev")):
        with pytest.raises(InputError):
            examine(*arguments[:2], split=arguments[2] if len(arguments) > 2 else None)
    with pytest.raises(InputError, match="goen"):
        examine(BM25(), words, first="goen")


def test_a_check_that_cannot_be_run_says_so():
    def check(subject):
        yield Finding("truncation", "bm25", "ok", "found before")
        raise ValueError("no such\nthing")

    check.__module__ = truncation.__name__
    first, second = outcome(check, placed(BM25(), collection_of(["fox"], ["fox"])))
    assert first.evidence == "found before"
    assert (second.check, second.verdict) == ("truncation", "skipped")
    assert second.evidence == "could not be run: ValueError: no such thing"


def test_progress_names_every_check(words):
    told = []
    examine(BM25(), words, queries=5, progress=lambda done, total, note: told.append((done, total, note)))
    notes = [note for _, _, note in told]
    assert "constant scores: bm25" in notes
    assert told[-1][:2] == (len(doctor.CHECKS), len(doctor.CHECKS))


def test_the_default_task_is_what_it_was_trained_on(write_spec):
    from mteb_cascade.stages.load import load

    write_spec("words", 'kind = "bm25"\n[training]\ncollection = "some/folder"\n')
    write_spec("whole", 'kind = "cascade"\n[[stage]]\nmodel = "other"\n[[stage]]\nmodel = "words"\ndepth = 2\n')
    write_spec("other", 'kind = "bm25"\n')
    assert trained_on(load("whole")) == "some/folder"
    assert trained_on(load("other")) == "PythonDocs"


def test_loading_looks_into_every_part():
    class Refusing(Broken):
        def prepare(self):
            raise InputError("mend me")

    bad, good = Refusing(name="a/bad"), BM25()
    findings, refused = loaded(Cascade(good, Step(bad, 3)))
    assert [one.stage for one in findings] == ["a/bad"]
    assert refused == [bad]


def test_figures_are_json_whatever_they_are():
    figures = {"nan": np.float32("nan"), "pairs": [(1, np.float64(0.5))], "count": np.int64(3), "least": float("-inf")}
    found = Examination("m", "t", "test", 1, (Finding("a", "b", "ok", "c", figures=figures),)).as_json()
    assert json.loads(json.dumps(found, allow_nan=False))["findings"][0]["figures"] == {
        "nan": None,
        "pairs": [[1, 0.5]],
        "count": 3,
        "least": None,
    }
