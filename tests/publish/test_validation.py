"""One validation for the public leaderboard's files and ours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from mteb_cascade.publish.validation import mistakes


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
