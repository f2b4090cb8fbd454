"""What is refused before anything reads it: foreign host names and large bodies."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mteb_cascade.errors import in_one_line

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SHOWN = 80
"""Characters of a name that a message repeats."""


class Guard:
    """Answers 400 to a request for another host, and 413 to a body that is too large, however it is sent.

    Args:
        app: What answers all else.
        hosts: Names that the Host header may give, without ports; `*` stands for all. With loopback names only, a page
            from elsewhere whose name was made to point here (DNS rebinding) gets no answer.
        largest: Bytes that a body may have.
    """

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str], largest: int) -> None:
        self.app = app
        self.hosts = frozenset(hosts)
        self.largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or have the app do it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        host = without_port(headers.get(b"host", b"").decode("latin-1"))
        if "*" not in self.hosts and host not in self.hosts:
            known = ", ".join(sorted(self.hosts))
            await refuse(send, 400, f"host '{in_one_line(host[:SHOWN])}': not served here; expected one of {known}")
            return
        body = b""
        if int(headers.get(b"content-length", b"0")) <= self.largest:
            more = True
            while more and len(body) <= self.largest:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                body += message.get("body", b"")
                more = message.get("more_body", False)
            if not more and len(body) <= self.largest:
                await self.app(scope, replayed(body, receive), send)
                return
        await refuse(send, 413, f"the body has more than {self.largest:,} bytes; send less")


def without_port(host: str) -> str:
    """The name in a Host header.

    >>> without_port("LocalHost:8000"), without_port("[::1]:8000"), without_port("[::1]")
    ('localhost', '[::1]', '[::1]')
    """
    return re.sub(r":\d*$", "", host.lower())


def replayed(body: bytes, receive: Receive) -> Receive:
    """Gives the whole body, then whatever follows."""
    waiting = [body]

    async def again() -> Message:
        return {"type": "http.request", "body": waiting.pop(), "more_body": False} if waiting else await receive()

    return again


async def refuse(send: Send, status: int, line: str) -> None:
    """An answer of one line; the connection ends, as nobody reads what may still come."""
    body = json.dumps({"error": line}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
