"""What is asked for wrongly ends in one line, before anything is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ready_specs import COMMIT

from mteb_cascade.errors import InputError
from mteb_cascade.publish.publish import prepared


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nobody", {}, "unknown model 'nobody'. Known here: "),
        (
            "tiny",
            {"commit": "main"},
            "'main' is no commit of 40 .* `git ls-remote https://huggingface.co/our-org/tiny HEAD`",
        ),
        ("funnel", {"commit": COMMIT}, "has no weights of its own and keeps its fingerprint"),
        ("tiny", {"tasks": ["SciFct"]}, "the leaderboard has no task 'SciFct'. Did you mean SciFact"),
        ("tiny", {"tasks": ["PythonDocsRetrieval"]}, "the leaderboard has no task 'PythonDocsRetrieval'"),
    ],
)
def test_bad_input_is_one_line(ready: Path, name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        prepared(name, Path(), **options)
    assert "\n" not in str(raised.value)
