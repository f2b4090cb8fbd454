"""What a check found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Verdict = Literal["ok", "note", "fail", "skipped"]
"""`note`: worth knowing, and no fault. `skipped`: does not apply, or cannot be told here; the evidence says why."""


@dataclass(frozen=True)
class Finding:
    """One check's verdict on one stage.

    Args:
        check: Short name, such as "score sign".
        stage: Label of the stage that it is about.
        verdict: What it comes to.
        evidence: One line with the figures that say so.
        remedy: What to do; of a failure always there.
        figures: The same figures, for programs.
    """

    check: str
    stage: str
    verdict: Verdict
    evidence: str
    remedy: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)
