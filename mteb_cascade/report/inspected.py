"""One query's way through a cascade as lines for the terminal, none wider than it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from mteb_cascade.report.plain_text import plain, snippet
from mteb_cascade.values.slices import ASKING, SENTENCE
from mteb_cascade.values.words import words

if TYPE_CHECKING:
    from mteb_cascade.experiments.inspecting.inspected import Answer, Candidate, Inspected
    from mteb_cascade.experiments.inspecting.token_alignment import Alignment, Token

ROOM = 24
"""Cells that a document's id gets beside the numbers, at least, before numbers are left out."""

QUERY_LINES = 3
ANSWERS = 3
TOKEN = 18
"""Cells of a token of the query."""

FUNCTION_WORDS = ASKING | SENTENCE | {*words("at by for from in into of on to with")}

OUTCOME_STYLE = {"kept": "green", "recovered": "bold green", "missed": "yellow", "broken": "bold red"}


@dataclass(frozen=True)
class Look:
    """How it is written.

    Args:
        width: Cells of a line.
        styled: Whether bold can be told from plain; else matching words stand between asterisks.
    """

    width: int
    styled: bool

    @classmethod
    def of(cls, console: Console) -> Look:
        """That of a console, one cell narrower: some terminals draw a character wider than it is said to be."""
        return cls(max(console.width - 1, 8), console.is_terminal and console.color_system is not None)


def heading(view: Inspected, title: str, look: Look) -> list[Text]:
    """What was asked, what became of it, and where the answers are."""
    first = Text(f"{plain(title)}, ")
    alone = {"kept": "an answer is first", "missed": "no answer is first"} if len(view.stages) == 1 else {}
    first.append(alone.get(view.outcome, view.outcome), OUTCOME_STYLE.get(view.outcome, ""))
    lines = [first, *asked(view, look)]
    if len(view.stages) > 2:
        steps = "; ".join(f"{plain(stage.label)}: {stage.outcome}" for stage in view.stages[1:])
        lines.append(Text(f"step by step: {steps}"))
    lines += [
        Text.assemble(("answer ", "green"), found(answer, view), " ", plain(answer.document))
        for answer in view.answers[:ANSWERS]
    ]
    hidden = view.answers[ANSWERS:]
    if hidden:
        first_stage = sum(answer.ranks[0] is not None for answer in hidden)
        lines.append(Text(f"and {len(hidden):,} more answers, {first_stage:,} of them in the list"))
    if not view.answers:
        lines.append(Text("no answer is known: nothing can be found", "yellow"))
    return [fitted(line, look) for line in lines]


def asked(view: Inspected, look: Look) -> list[Text]:
    """Id and text of the query, on a few lines."""
    start = f"{plain(view.query, look.width // 2)}: "
    text = Text(start + plain(view.text, QUERY_LINES * look.width) if view.text.strip() else start + "(no text)")
    text.stylize("bold", len(start))
    wrapped = list(text.wrap(Console(width=look.width), look.width))
    if len(wrapped) > QUERY_LINES:
        wrapped[QUERY_LINES - 1].append("…")
    return wrapped[:QUERY_LINES]


def found(answer: Answer, view: Inspected) -> str:
    """Where an answer stood, stage by stage, or why no stage can find it."""
    if not answer.in_corpus:
        return "unreachable, not in the corpus:"
    first = answer.ranks[0]
    if first is None:
        length, label = view.stages[0].length, plain(view.stages[0].label)
        return (
            f"unreachable, not among the {length:,} of {label}:" if length else f"unreachable, {label} finds nothing:"
        )
    ranks = " > ".join("–" if rank is None else f"{rank:,}" for rank in answer.ranks)
    for stage, before in zip(view.stages[1:], answer.ranks, strict=False):
        if stage.depth is not None and before is not None and before > stage.depth:
            return f"{ranks}, below the {stage.depth:,} that {plain(stage.label)} reranks:"
    return f"{ranks}:"


def candidates(view: Inspected, look: Look) -> tuple[list[Text], list[Text]]:
    """Headings of the stages; then two lines a candidate: numbers and id, and the text around shared words."""
    if not view.candidates:
        return [], [Text("no candidate to show")]
    lines = table(view, look)
    known = telling(view.text)
    texts = [snippet(one.text, known, look.width - 4, look.styled) for one in view.candidates]
    rows = zip(lines[2:], texts, strict=True)
    made = [line for head, text in rows for line in (head, Text("    ") + text)]
    below = [part for line in legend(view) for part in line.wrap(Console(width=look.width), look.width)]
    return [fitted(line, look) for line in lines[:2]], [fitted(line, look) for line in [*made, *below]]


def telling(query: str) -> frozenset[str]:
    """The words of a query that say something, or all where none does.

    >>> sorted(telling("How is the fox?")), sorted(telling("to be or not to be"))
    (['fox'], ['be', 'not', 'or', 'to'])
    """
    found = frozenset(words(query))
    return found - FUNCTION_WORDS or found


def table(view: Inspected, look: Look) -> list[Text]:
    """Two lines of headings and one a candidate, with as many numbers as leave room for the ids."""
    for detail in (2, 1, 0):
        columns = [numbers(view, at, detail) for at in range(len(view.stages))]
        widths = [[max(map(len, column)) for column in zip(*one, strict=True)] for one in columns]
        total = 3 + sum(sum(one) + len(one) + 1 for one in widths)
        if look.width - total >= min(ROOM, look.width // 2) or not detail:
            break
    heads, names = Text("   "), Text("   ")
    for stage, one, width in zip(view.stages, columns, widths, strict=True):
        room = sum(width) + len(width)
        label = Text(plain(stage.label, room + 1))
        label.truncate(room, overflow="ellipsis", pad=True)
        names.append_text(label).append(" ")
        heads.append(written(one[0], width), "dim")
    lines = [names, heads.append("document", "dim")]
    for number, candidate in enumerate(view.candidates):
        line = Text.assemble(mark(candidate), " ")
        for one, width in zip(columns, widths, strict=True):
            line.append(written(one[number + 1], width))
        lines.append(line.append(plain(candidate.document, look.width), "bold"))
    return lines


def numbers(view: Inspected, at: int, detail: int) -> list[list[str]]:
    """A heading and a row a candidate of one stage: its rank, with more detail its score, then the stage's own."""
    blends = detail > 1 and bool(view.stages[at].blend)
    rows = [["rank", "score", "own"][: 1 + (detail > 0) + blends]]
    for candidate in view.candidates:
        place = candidate.places[at]
        cells = [
            "–" if place is None else f"{place.rank:,}",
            figure(place.score if place else None),
            figure(place.own if place else None),
        ]
        rows.append(cells[: len(rows[0])])
    return rows


def written(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Numbers to the right of their columns."""
    return "".join(f"{cell:>{width}} " for cell, width in zip(cells, widths, strict=True)) + " "


def figure(score: float | None) -> str:
    """A score in at most ten characters; "–" where there is none.

    >>> figure(12.3456789), figure(-0.5), figure(1e-9), figure(None)
    ('12.346', '-0.500', '1.00e-09', '–')
    """
    if score is None:
        return "–"
    return f"{score:.3f}" if 1e-3 <= abs(score) < 1e5 or not score else f"{score:.2e}"


def mark(candidate: Candidate) -> tuple[str, str]:
    """Two letters and their colour: what is known of a candidate."""
    if candidate.is_answer:
        return f"A{candidate.grade}" if candidate.grade is not None and 1 < candidate.grade < 10 else "A ", "bold green"
    if candidate.is_phantom:
        return "P ", "bold red"
    return ("o ", "yellow") if candidate.grade is not None else ("  ", "")


def legend(view: Inspected) -> list[Text]:
    """What the marks that occur mean, and what blended scores are made of."""
    meanings = {"A": "A an answer", "P": "P phantom: lifted over every answer", "o": "o judged, no answer"}
    used = {mark(candidate)[0][0] for candidate in view.candidates}
    lines = [", ".join(meaning for letter, meaning in meanings.items() if letter in used)]
    for before, stage in zip(view.stages, view.stages[1:], strict=False):
        blend = f"; score = own + {stage.blend:g} x score before" if stage.blend else ""
        lines.append(f"{plain(stage.label)}: first {stage.depth:,} of {plain(before.label)}{blend}")
    return [Text(line, "dim") for line in lines if line]


def alignments(label: str, found: Sequence[Alignment], look: Look) -> list[Text]:
    """A table a document: each token of the query, the most similar token of the document, and how similar it is."""
    lines = [Text(f"{plain(label)}, MaxSim: similarity, query token, nearest document token")]
    for one in found:
        how = "mean" if one.mean else "sum"
        lines += [Text(""), Text.assemble((f"{how} {one.score:.4f} ", "bold"), plain(one.document, look.width))]
        for match in one.matches:
            token = Text(shown(match.token, TOKEN))
            token.truncate(TOKEN, overflow="ellipsis", pad=True)
            matched = shown(match.matched, look.width) if match.matched else "(no token)"
            line = Text.assemble(f"{match.similarity:7.3f}  ", token, "  ", matched)
            if match.token.role:
                line.stylize("dim")
            lines.append(line)
    return [fitted(line, look) for line in lines]


def shown(token: Token, most: int) -> str:
    """A token, and what it is where it does not belong to the text."""
    return plain(token.text, most) + (f" ({token.role})" if token.role else "")


def fitted(line: Text, look: Look) -> Text:
    """The line on one line of the terminal."""
    line.truncate(look.width, overflow="ellipsis")
    line.no_wrap = True
    return line


def printed(console: Console, lines: Sequence[Text], end: str = "\n") -> None:
    """Print lines as they are."""
    for line in lines:
        console.print(line, no_wrap=True, crop=True, overflow="ignore", highlight=False, end=end)
