"""The service runs: an address is taken, an index opened, searches answered until somebody says stop."""

from __future__ import annotations

import ipaddress
import signal
import socket
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from mteb_cascade.errors import InputError, in_one_line

INSTALL = "pip install 'mteb-cascade[serve]'"

PATIENCE = 30
"""Seconds that running searches have to end after somebody said stop."""

WAITING = 128
"""Connections that wait to be accepted."""

MOST_CONNECTIONS = 1_000
"""Connections at once; what comes beyond is answered 503."""


def serve(
    folder: Path,
    *,
    model: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    log: bool = False,
    say: Callable[[str], object],
    warn: Callable[[str], object],
) -> None:
    """Answer searches over HTTP until SIGINT or SIGTERM; running searches end first.

    Args:
        folder: An index.
        model: Name of its model; by default the one it was built with.
        host: Name or address to listen at; other than loopback, everyone who reaches it can search.
        port: 0 takes a free one.
        log: Have every request written to stderr.
        say: Told in one line where the service listens and that it has stopped.
        warn: Told in one line of dangers.

    Raises:
        InputError: FastAPI is not installed, the address is taken, or the index cannot be opened.
    """
    try:
        import fastapi  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise InputError(f"serving an index needs FastAPI and uvicorn ({in_one_line(error)}): {INSTALL}") from None

    from mteb_cascade.retriever.retriever import Retriever
    from mteb_cascade.retriever.service.app import LOOPBACK_NAMES, application
    from mteb_cascade.retriever.service.refreshing import Refreshing

    taken = listening(host, port)
    with taken:
        retriever = Retriever.open(folder, model)
        alone = ipaddress.ip_address(taken.getsockname()[0].partition("%")[0]).is_loopback
        if not alone:
            warn(f"{host}: there is no authentication; everyone who reaches this address can search")
        app = application(retriever, Refreshing(retriever, warn), hosts=LOOPBACK_NAMES if alone else ("*",))
        begun = f"{retriever.label}, {retriever.documents:,} documents: {address(taken)} (Ctrl-C stops)"

        class Announced(uvicorn.Server):
            """Says when it listens."""

            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                say(begun)

        settings = uvicorn.Config(
            app,
            log_config=logging(),
            access_log=log,
            server_header=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=PATIENCE,
        )
        for one in (signal.SIGINT, signal.SIGTERM):
            # The server raises the signal that ended it once more, when all is done.
            signal.signal(one, ignored)
        Announced(settings).run(sockets=[taken])
    say("stopped")


def logging() -> dict[str, Any]:
    """What uvicorn writes, all of it to stderr: requests where they are wanted, and failures."""
    from uvicorn.config import LOGGING_CONFIG

    settings = deepcopy(LOGGING_CONFIG)
    settings["handlers"]["access"]["stream"] = "ext://sys.stderr"
    for name in ("uvicorn", "uvicorn.error"):
        settings["loggers"][name]["level"] = "ERROR"
    return settings


def ignored(number: int, frame: Any) -> None:
    """Let a signal pass: it has done its work."""


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; from now on the address is ours.

    Raises:
        InputError: The address is unknown, taken, or not for us.
    """
    where = f"{host}:{port}"
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        made = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, UnicodeError, OverflowError) as error:
        raise InputError(f"{where}: no address to listen at ({in_one_line(error)}); give another --host") from None
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place)
        made.listen(WAITING)
    except OSError as error:
        made.close()
        raise InputError(f"{where}: cannot listen here ({error.strerror}); give another --port or --host") from None
    return made


def address(taken: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = taken.getsockname()[:2]
    return f"http://[{host}]:{port}" if taken.family == socket.AF_INET6 else f"http://{host}:{port}"
