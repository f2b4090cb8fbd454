"""Looking at queries: an inspection written for the terminal, and turned page by page where there is one."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import lru_cache
from io import TextIOWrapper

from rich.console import Console
from rich.text import Text

from mteb_cascade.errors import InputError
from mteb_cascade.experiments.inspecting.inspected import Inspected
from mteb_cascade.experiments.inspecting.inspection import Inspection
from mteb_cascade.experiments.inspecting.token_alignment import Alignment, aligned
from mteb_cascade.report.inspected import Look, alignments, candidates, heading, printed
from mteb_cascade.report.paging import browse
from mteb_cascade.stages.late_interaction import LateInteraction


def look(
    inspection: Inspection,
    rows: Sequence[int],
    *,
    query: str | None = None,
    top: int = 10,
    document: str | None = None,
    limit: int | None = None,
) -> None:
    """Page through queries on a terminal; elsewhere, or with a limit, print them.

    Args:
        inspection: Of a model on a split.
        rows: The queries that passed the filters, at least one.
        query: The one to begin with: an id, or `#17`.
        top: Candidates shown of the last ranking.
        document: Id of a document that is shown, too.
        limit: Queries to print; None pages on a terminal, and prints one elsewhere.

    Raises:
        InputError: There is no such query or document, or the query did not pass the filters.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        # Texts hold characters that a terminal of another encoding has not.
        sys.stdout.reconfigure(errors="replace")
    console = Console()
    if document is not None:
        inspection.document(document)

    @lru_cache(maxsize=8)
    def view_of(page: int) -> Inspected:
        return inspection.of(rows[page], top, document)

    @lru_cache(maxsize=8)
    def tokens_of(page: int) -> list[tuple[str, list[Alignment]]]:
        return tokens(inspection, view_of(page), document)

    def page_of(asked: str) -> int:
        row = inspection.row_of(asked)
        if row not in rows:
            became = inspection.of(row, 1).stages[-1].outcome
            raise InputError(
                f"query '{inspection.queries.ids[row]}' is not among the {len(rows):,} that the filters leave"
                + (f": it is {became}" if became else "")
            )
        return rows.index(row)

    def turn(page: int, other: bool) -> tuple[list[Text], list[Text]]:
        how, view = Look.of(console), view_of(page)
        place = f"query {view.number:,} of {len(inspection.queries):,}"
        if len(rows) < len(inspection.queries):
            place += f" ({page + 1:,} of {len(rows):,} selected)"
        head = [*heading(view, f"{inspection.label}, {inspection.title}, {place}", how), Text("")]
        if other:
            return head, [line for label, found in tokens_of(page) for line in alignments(label, found, how)]
        columns, lines = candidates(view, how)
        return [*head, *columns], lines

    start = 0 if query is None else page_of(query)
    late = any(isinstance(stage, LateInteraction) for stage in inspection.stages)
    if limit is None and console.is_terminal and sys.stdin.isatty() and os.name == "posix":
        browse(console, turn, len(rows), start, page_of, "tokens" if late else None)
        return
    for page in range(start, min(start + (limit or 1), len(rows))):
        head, body = turn(page, False)
        blank = [Text("")] if page > start else []
        printed(console, [*blank, *head, *body])
        if late:
            printed(console, [Text(""), *turn(page, True)[1]])


def tokens(inspection: Inspection, view: Inspected, document: str | None = None) -> list[tuple[str, list[Alignment]]]:
    """MaxSim of each late-interaction stage, token by token.

    Args:
        inspection: Holds the stages.
        view: The query.
        document: The document; by default the first of the last ranking, and the best-placed answer in a list.

    Returns:
        Label of the stage, and the alignment of each document.
    """
    texts = {candidate.document: candidate.text for candidate in view.candidates}
    best = next((answer.document for answer in view.answers if answer.document in texts), None)
    first = view.candidates[0].document if view.candidates else None
    asked = [document] if document is not None else [one for one in dict.fromkeys((first, best)) if one is not None]
    return [
        (stage.label, aligned(stage, view.text, [(one, texts[one]) for one in asked]))
        for stage in inspection.stages
        if isinstance(stage, LateInteraction)
    ]
