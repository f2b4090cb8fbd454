"""Faults of scores, planted in a reranker that is sound without them: one fault, one failure."""

from __future__ import annotations

import numpy as np
import pytest
from planted import COLLECTION, COUNT, FAULTY, Chance, Constant, Coverage, Negated, Swapped, in_place, one

from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.hybrid import Hybrid, Member
from mteb_cascade.studies.doctor.checks import constant, head, sign, swapped
from mteb_cascade.studies.doctor.subject import OTHERS, sampled, subjects
from mteb_cascade.values.run import PAD, Run

CHECKS = (constant, swapped, sign, head)


def found(stage):
    subject = in_place(stage)
    return [finding for check in CHECKS for finding in check.check(subject)]


def test_a_sound_reranker_passes():
    assert [finding.verdict for finding in found(Coverage())] == ["ok"] * 4


@pytest.mark.parametrize("kind", FAULTY)
def test_one_fault_is_one_failure(kind):
    findings = found(kind())
    (failure,) = [finding for finding in findings if finding.verdict == "fail"]
    assert failure.check == FAULTY[kind]
    assert failure.remedy
    assert {finding.verdict for finding in findings} <= {"fail", "ok", "skipped"}


def test_what_the_evidence_says():
    evidence = {kind: next(f for f in found(kind()) if f.verdict == "fail") for kind in FAULTY}
    assert evidence[Negated].evidence == (
        f"answers score above 0% of answers to other queries ({COUNT} queries, chance 50%, p < .001)"
    )
    assert evidence[Swapped].figures["given"] == pytest.approx(1 / 3)  # two near misses of three stand above the answer
    assert evidence[Swapped].figures["swapped"] == 1
    assert "24 of 24 queries give all their candidates the same score, 1" in evidence[Constant].evidence
    assert "sigmoid" in evidence[Constant].remedy


def test_probes_are_an_answer_and_answers_to_others():
    subject = in_place(Coverage())
    docs = subject.probes.docs
    assert docs.shape == (COUNT, 1 + OTHERS)
    np.testing.assert_array_equal(docs[:, 0], range(COUNT))
    assert docs.max() < COUNT
    assert all(len(set(row)) == 1 + OTHERS for row in docs.tolist())


def test_probes_of_a_single_query_are_filled_up_with_any_document():
    part = sampled(COLLECTION, "test", 1)
    (subject,) = subjects(BM25(), COLLECTION, "test", part)
    docs = subject.probes.docs[0].tolist()
    assert len(set(docs)) == 1 + OTHERS
    assert PAD not in docs


def test_swapped_scores_are_those_of_the_texts_in_each_others_place():
    subject, plain = in_place(Coverage()), Coverage()
    texts = COLLECTION.corpus.texts_at(subject.close.docs.ravel())
    expected = [plain.of(text, subject.queries.texts[at // (1 + OTHERS)]) for at, text in enumerate(texts)]
    np.testing.assert_allclose(subject.swapped_scores.ravel(), expected, rtol=1e-6)
    assert not subject.symmetric


def test_close_scores_are_not_computed_again():
    stage = Coverage()
    subject = in_place(stage)
    _ = subject.scores, subject.probe_scores
    stage.pair_calls.clear()
    np.testing.assert_array_equal(subject.close_scores, stage.score(subject.queries, subject.close))
    assert len(stage.pair_calls) == 1


def test_a_symmetric_stage_is_told_by_a_few_pairs(tiny_static, monkeypatch):
    stage = BiEncoder(model=str(tiny_static))
    subject = in_place(stage)
    _ = subject.close_scores
    encoded = []
    encode = BiEncoder.encode_queries
    monkeypatch.setattr(BiEncoder, "encode_queries", lambda self, texts: encoded.extend(texts) or encode(self, texts))
    assert one(swapped.check(subject)).evidence == "symmetric: a pair scores the same both ways"
    assert len(encoded) <= 2 * (1 + OTHERS)
    # With prompts of its own for each side it is not.
    assert not in_place(BiEncoder(model=str(tiny_static), query_prompt="red fox ")).symmetric


def test_scores_that_seem_turned_around_are_told_so():
    subject = in_place(Chance())
    below, above = np.float32([0, 1, 1, 1]), np.float32([1, 0, 0, 0])
    # 18 of 24 the wrong way round: p = .023, which shows nothing among so many checks.
    object.__setattr__(subject, "probe_scores", np.array([below] * 18 + [above] * 6))
    told = one(head.check(subject))
    assert (told.verdict, one(sign.check(subject)).verdict) == ("fail", "skipped")
    assert told.remedy.startswith("its scores may have the wrong sign")


def test_few_queries_prove_nothing():
    part = sampled(COLLECTION, "test", 6)
    (subject,) = subjects(Negated(), COLLECTION, "test", part)
    assert one(sign.check(subject)).verdict == "skipped"
    told = one(head.check(subject))
    assert (told.verdict, told.evidence[:23]) == ("skipped", "too few queries to tell")


def members(*stages):
    return [Member(stage, weight) for stage, weight in stages]


def test_a_hybrid_is_blamed_for_its_weights_alone():
    part = sampled(COLLECTION, "test", COUNT)

    def verdicts(*stages):
        seen = subjects(Hybrid(*members(*stages)), COLLECTION, "test", part)
        return [(f.stage, f.verdict, f.remedy) for subject in seen for f in sign.check(subject)]

    *inside, (stage, verdict, remedy) = verdicts((Coverage(), 0.01), (BM25(), -1.0))
    assert [verdict for _, verdict, _ in inside] == ["ok", "ok"]
    assert (stage, verdict) == ("hybrid", "fail")
    assert "weights" in remedy
    # Where a member is at fault, the hybrid is not reported beside it.
    assert [(stage, verdict) for stage, verdict, _ in verdicts((Negated(), 1.0), (BM25(), 0.001))] == [
        ("coverage", "fail"),
        ("bm25", "ok"),
    ]


def test_a_cascade_is_told_by_its_stages():
    part = sampled(COLLECTION, "test", COUNT)
    seen = subjects(Cascade(BM25(), Step(Negated(), 5)), COLLECTION, "test", part)
    assert [subject.stage.kind for subject in seen] == ["bm25", "coverage", "cascade"]
    assert [subject.stage.kind for subject in seen[-1].parts] == ["bm25", "coverage"]
    assert seen[1].received.depth == 5
    failures = [f.stage for check in CHECKS for subject in seen for f in check.check(subject) if f.verdict == "fail"]
    assert failures == ["coverage"]


def test_a_stage_that_is_refused_takes_what_follows_with_it():
    part = sampled(COLLECTION, "test", 5)
    bad = Coverage()
    cascade = Cascade(Hybrid(BM25(), Coverage()), Step(Coverage(), 5), Step(bad, 3), Step(Coverage(), 2))
    seen = subjects(cascade, COLLECTION, "test", part, refused=[bad])
    assert [subject.stage.kind for subject in seen] == ["bm25", "coverage", "hybrid", "coverage"]
    member = cascade.first.members[1].stage
    assert [s.stage.kind for s in subjects(cascade, COLLECTION, "test", part, refused=[member])] == ["bm25"]


def test_scores_of_another_shape_or_without_a_number_are_refused():
    class Short(Coverage):
        def score(self, queries: Queries, candidates: Run) -> np.ndarray:
            return super().score(queries, candidates)[:, 1:]

    class Nothing(Coverage):
        def given(self, scores, texts):
            return scores * np.nan

    with pytest.raises(ValueError, match=r"coverage: score gives an array of shape \(24, 5\) for candidates of shape"):
        _ = in_place(Short()).scores
    with pytest.raises(ValueError, match="144 of 144 scores are NaN or infinite"):
        _ = in_place(Nothing()).scores


def test_what_no_score_says_is_skipped():
    """A run file, say, that knows other documents."""

    class Blank(Coverage):
        def given(self, scores, texts):
            return np.full_like(scores, -np.inf)

    subject = in_place(Blank())
    assert [one(check.check(subject)).verdict for check in (constant, sign, head)] == ["skipped"] * 3
