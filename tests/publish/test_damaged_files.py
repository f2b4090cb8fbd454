"""Results folders that somebody edited or a full disk cut off: each file is one fault, and one printable line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mteb_cascade.publish.publish import prepared


def a_result(name: str = "tiny") -> Path:
    return next(Path(f"results/our-org__{name}").glob("*/SciFact.json"))


@pytest.mark.parametrize("content", ["{", "[]", '{"model": "tiny", "fingerprint": "x", "stages": 3}', "[" * 100_000])
def test_a_damaged_record_is_a_fault(ready: Path, content: str) -> None:
    path = a_result()
    beside = path.parent / "provenance" / path.name
    beside.write_text(content)
    (fault,) = map(str, prepared("tiny", Path("results")).faults)
    what = "is no record of how the result came about, or a damaged one"
    assert fault == f"{beside}: {what}. Run `mteb run -m tiny -t SciFact` again"


def test_a_description_of_anybodys_is_one_printable_line(ready: Path) -> None:
    meta = a_result().parent / "model_meta.json"
    told = json.loads(meta.read_text())
    for content, said in (
        ({**told, "name": "a\n\x1b[31mb"}, "is of a [31mb, in a folder of our-org__tiny"),
        ({**told, "experiment_kwargs": [1]}, "its experiment_kwargs are no table"),
    ):
        meta.write_text(json.dumps(content))
        (fault,) = map(str, prepared("tiny", Path("results")).faults)
        assert said in fault
        assert fault.isprintable()


def test_a_folder_that_mixes_models_is_told(ready: Path) -> None:
    place = a_result("lexical").parent
    shutil.copy(a_result().parent / "model_meta.json", place)
    first, second = map(str, prepared("lexical", Path("results")).faults)
    assert first.startswith(f"{place}/model_meta.json: is of our-org/tiny, in a folder of our-org__lexical")
    assert "is of revision" in second
