"""One validation for the public leaderboard's files and ours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from ready_specs import COMMIT

from mteb_cascade.errors import InputError
from mteb_cascade.publish.leaderboard import Leaderboard
from mteb_cascade.publish.publish import prepared
from mteb_cascade.publish.validation import mistakes
from mteb_cascade.publish.written import write


def test_the_public_files_pass_and_damaged_ones_do_not(shared_data: Path, tmp_path: Path) -> None:
    assert mistakes(shared_data / "leaderboard") == []
    folder = tmp_path / "board"
    shutil.copytree(shared_data / "leaderboard", folder)
    bm25 = folder / "mteb__baseline-bm25s" / "0_1_10"
    whole = (bm25 / "SciFact.json").read_text()
    (bm25 / "SciFact.json").write_text(whole[: len(whole) // 2])
    (bm25 / "NFCorpus.json").rename(bm25 / "NFCorpusses.json")
    marco = next(folder.glob("hotchpotch*/*/MSMARCO.json"))
    marco.write_text(marco.read_text().replace('"MSMARCO"', '"MSMARKO"'))
    jina = next(folder.glob("jinaai*/*/experiments/*"))
    jina.rename(jina.with_name("vector_type_single"))
    querit = next(folder.glob("Querit*/*"))
    meta = json.loads((querit / "model_meta.json").read_text())
    (querit / "model_meta.json").write_text(json.dumps({**meta, "name": "some/other", "revision": "1"}))
    said = [text.partition(": ")[2][:40] for text in mistakes(folder)]
    assert said == [
        "is of some/other, in a folder of Querit_",
        f"is of revision 1, in a folder of {querit.name}"[:40],
        "the leaderboard has no task 'MSMARKO'",
        "is of task 'MSMARKO', in a file of MSMAR",
        "is of experiment vector_type_multi_vecto",
        "is of task 'NFCorpus', in a file of NFCo",
        said[-1],
    ]
    assert said[-1].startswith("mteb cannot read it (")


def test_ours_stand_among_the_public_ones(ready: Path, shared_data: Path) -> None:
    board = ready / "board"
    shutil.copytree(shared_data / "leaderboard", board)
    publications = [prepared(name, Path()) for name in ("tiny", "lexical", "funnel")]
    for publication in publications:
        shutil.copytree(write(publication, Path("published")) / "results", board, dirs_exist_ok=True)
    assert mistakes(board) == []
    assert len(Leaderboard(board).models()) == len(Leaderboard(shared_data / "leaderboard").models()) + 3
    for publication in publications:
        found = Leaderboard(board).find(publication.spec.name, ["SciFact"])
        assert found is not None
        assert (found.revision, found.passed_over) == (publication.meta.revision, ())
        scores = found.scores("SciFact")
        kept = json.loads(publication.results[0].path.read_text())["scores"]["test"][0]
        assert scores is not None
        assert scores.mean("test", "ndcg@10") == pytest.approx(kept["main_score"])
    (board / "our-org__tiny" / COMMIT / "SciFact.json").rename(board / "our-org__tiny" / COMMIT / "SciFct.json")
    (said,) = mistakes(board)
    assert said.endswith("is of task 'SciFact', in a file of SciFct")


def test_provenance_of_another_model_is_a_fault(ready: Path) -> None:
    (found,) = prepared("lexical", Path()).results
    beside = found.path.parent / "provenance" / found.path.name
    beside.write_text(json.dumps({**json.loads(beside.read_text()), "fingerprint": "0" * 64}))
    (fault,) = prepared("lexical", Path()).faults
    assert fault.where == str(found.path)
    assert "its provenance is of another model, 000000000000" in fault.what


def test_what_would_not_be_taken_is_not_written(ready: Path) -> None:
    """Whatever the review missed: here a file that is exchanged after it."""
    publication = prepared("lexical", Path())
    path = publication.results[0].path
    path.write_text(path.read_text().replace('"SciFact"', '"NFCorpus"'))
    with pytest.raises(InputError, match="is of task 'NFCorpus', in a file of SciFact"):
        write(publication, Path("published"))
    assert list(Path("published").iterdir()) == []
