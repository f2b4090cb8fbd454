"""A comparison as CSV, with all its digits."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from mteb_cascade.report.plain_text import plain

if TYPE_CHECKING:
    from mteb_cascade.studies.comparing.comparison import Comparison


def as_csv(found: Comparison) -> str:
    """One row a model, task and measure, every number in full; the test beside the measure that was tested."""
    written = io.StringIO()
    rows = csv.writer(written, lineterminator="\n")
    rows.writerow(
        [
            *("model", "source", "revision", "task", "split", "subsets", "queries", "relevance_level", "measure"),
            *("value", "parameters", "megabytes", "p50_ms", "p95_ms"),
            *("against", "difference", "low", "high", "p", "p_holm"),
        ]
    )
    for model in found.models:
        for task in found.tasks:
            standing = model.standings.get(task.name)
            latency = (standing.latency if standing else None) or {}
            for measure in found.measures:
                test = found.test(model.label, task.name) if measure == found.measures[0] else None
                one = test.difference if test else None
                rows.writerow(
                    [
                        *map(harmless, (model.label, model.source, model.revision, task.name, task.split)),
                        harmless(" ".join(task.subsets)),
                        *(task.queries or None, task.relevance_level, measure, model.score(task.name, measure)),
                        *(model.parameters, model.megabytes, latency.get("p50"), latency.get("p95")),
                        *(
                            (harmless(found.against), one.difference, one.low, one.high, one.p_value)
                            if one
                            else [""] * 5
                        ),
                        test.p_holm if test else None,
                    ]
                )
    return written.getvalue()


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    text = plain(text)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
