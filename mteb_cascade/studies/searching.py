"""Searching an index from the command line: one query, the lines of a pipe, or a prompt."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path

from rich.console import Console
from rich.text import Text

from mteb_cascade.atomic import replaced
from mteb_cascade.errors import InputError, printable
from mteb_cascade.report.found import results, times
from mteb_cascade.report.inspected import Look, fitted, printed
from mteb_cascade.retriever.result import Results
from mteb_cascade.retriever.retriever import Retriever, checked
from mteb_cascade.store.folder import cache_folder

PROMPT = "search> "
HISTORY = 1_000
"""Lines that are remembered."""

HELP = "Type a query. :k 20 shows 20 documents, :q leaves (so do Ctrl-D and Ctrl-C), the arrow keys recall queries."


def lines_of_input() -> Iterator[str] | None:
    """The lines of a pipe or file; None where a person types them and reads the answers.

    Raises:
        InputError: There is nothing to read from.
    """
    if sys.stdin is None:  # closed by who started this
        raise InputError("query: none is given, and there is no input to read any from; give one behind DIR")
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    if sys.stdin.isatty() and sys.stdout.isatty():
        return None
    return (line.rstrip("\r\n") for line in sys.stdin)


def answer(folder: Path, queries: Iterable[str], *, k: int, as_json: bool = False, model: str | None = None) -> None:
    """Print what is found for each query; of several, empty ones are passed over.

    Args:
        folder: The index.
        queries: Read one by one, each answered before the next is read.
        k: Documents wanted.
        as_json: Print a JSON object a query, on a line of its own.
        model: What to search with; None takes what the index was made from.

    Raises:
        InputError: There is no such index, it does not fit, or the only query is empty.
    """
    alone = isinstance(queries, list)
    if alone:
        queries = [checked(query) for query in queries]
    console = console_of_output()
    retriever = Retriever.open(folder, model)
    for number, query in enumerate(query for query in queries if query.strip()):
        found = retriever.search(query, k)
        if not as_json and not alone:
            printed(console, [Text("")] * bool(number) + [fitted(Text(printable(query), "bold"), Look.of(console))])
        show(console, retriever, query, found, as_json)


def conversation(folder: Path, *, k: int, as_json: bool = False, model: str | None = None) -> None:
    """Ask for queries at a prompt and answer them, until `:q`, Ctrl-D or Ctrl-C. For arguments see `answer`."""
    console = console_of_output()
    with console.status(f"opening {printable(folder)}"):
        retriever = Retriever.open(folder, model)
    say(console, f"{retriever.label}, {retriever.documents:,} documents; :help tells the commands", "dim")
    with history():
        try:
            while (line := input(PROMPT).strip()) != ":q":
                if line.startswith(":"):
                    k = told(console, line, k)
                elif line:
                    refreshed(console, retriever)
                    show(console, retriever, line, retriever.search(line, k), as_json)
        except (KeyboardInterrupt, EOFError):
            console.print()


def told(console: Console, line: str, k: int) -> int:
    """What a command of the prompt makes of k."""
    name, _, number = line.partition(" ")
    if name == ":k" and number.strip().isdecimal() and int(number) >= 1:
        return int(number)
    say(console, HELP, "dim")
    return k


def refreshed(console: Console, retriever: Retriever) -> None:
    """Take up what was committed to the index meanwhile; where it cannot be, say so and search what was opened."""
    try:
        if retriever.refresh():
            say(console, f"the index has changed: {retriever.documents:,} documents", "dim")
    except InputError as error:
        say(console, str(error), "red")


def show(console: Console, retriever: Retriever, query: str, found: Results, as_json: bool) -> None:
    """Print what was found for a query."""
    if as_json:
        sys.stdout.write(json.dumps({"query": query, **found.as_json()}) + "\n")
        sys.stdout.flush()
        return
    look = Look.of(console)
    printed(console, results(query, found, look))
    limited = f"; the budget let {found.depths[-1]:,} candidates be reranked" if found.capped else ""
    line = Text(times(found.milliseconds, retriever.documents, limited), "dim")
    printed(console, list(line.wrap(Console(width=look.width), look.width)))


def say(console: Console, text: str, style: str) -> None:
    """Print a text of ours, wrapped."""
    look = Look.of(console)
    printed(console, list(Text(printable(text), style).wrap(Console(width=look.width), look.width)))


def console_of_output() -> Console:
    """The terminal or pipe; a character that its encoding lacks is replaced."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    return Console()


@contextmanager
def history() -> Iterator[None]:
    """The arrow keys recall what was typed, in earlier sessions too, where the system has readline."""
    try:
        import readline
    except ImportError:
        yield
        return
    path = cache_folder() / "search_history"
    readline.set_history_length(HISTORY)
    with suppress(OSError):
        readline.read_history_file(path)
    try:
        yield
    finally:
        with suppress(OSError), replaced(path) as beside:
            readline.write_history_file(beside)
