"""Headers of every answer: a browser runs, frames and guesses nothing that is not ours."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

NOTHING = "default-src 'none'; frame-ancestors 'none'"
"""The policy of an answer that is no page."""


def policy(style: str, script: str = "") -> str:
    """The policy of a page: its own style and script, known by their digests, and requests to where it came from."""
    allowed = [
        "default-src 'none'",
        f"style-src '{digest(style)}'",
        *([f"script-src '{digest(script)}'", "connect-src 'self'"] if script else []),
        "img-src data:",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
    return "; ".join(allowed)


def digest(source: str) -> str:
    """How a policy names the source between two tags."""
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


class SafeHeaders:
    """Adds the headers to every answer; an answer that has one of them keeps its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does."""
        from starlette.datastructures import MutableHeaders

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in {**ALWAYS, "content-security-policy": NOTHING}.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers)
