"""Every refusal is one line of JSON: what was given, what was expected."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mteb_cascade.errors import InputError, in_one_line

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

MOST = 3
"""Mistakes of one request that are told."""

SHOWN = 80
"""Characters of a value that a message repeats."""


def answer_faults(app: FastAPI) -> None:
    """Have every refusal of the app answered with `{"error": one line}`."""
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException

    def refused(status: int, line: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
        return JSONResponse({"error": line}, status, headers=dict(headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        mistakes = error.errors()
        bad_json = mistakes[0]["type"] == "json_invalid"
        return refused(400 if bad_json else 422, told(mistakes, error.body))

    @app.exception_handler(InputError)
    async def mistaken(_: Request, error: InputError) -> Response:
        return refused(422, in_one_line(error))

    @app.exception_handler(HTTPException)
    async def stopped(request: Request, error: HTTPException) -> Response:
        path = in_one_line(request.url.path[:SHOWN])
        line = {
            400: "the body is not JSON; expected {query, k} as application/json",
            404: f"{path}: nothing here; searches go to /search, /docs tells more",
            405: f"{path}: not for {in_one_line(request.method[:SHOWN])}; /docs tells what is",
        }.get(error.status_code, in_one_line(error.detail))
        return refused(error.status_code, line, error.headers)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        return refused(500, f"the search failed ({type(error).__name__}); the service's own output tells more")


def told(mistakes: Sequence[Mapping[str, Any]], body: Any) -> str:
    r"""Mistakes of a request in one line.

    >>> told([{"type": "missing", "loc": ("body", "query"), "msg": "Field required", "input": {}}], {})
    'query: missing'
    >>> told([{"type": "json_invalid", "loc": ("body", 9), "msg": "", "ctx": {"error": "No value"}}], '{"k": 1,\n}')
    'the body is not JSON: No value at line 2, column 1'
    """
    lines = [mistake(one, body) for one in mistakes[:MOST]]
    if len(mistakes) > MOST:
        lines.append(f"and {len(mistakes) - MOST} more")
    return in_one_line("; ".join(lines))


def mistake(error: Mapping[str, Any], body: Any) -> str:
    """One mistake, named with its field."""
    field = ".".join(str(part) for part in error["loc"][1:])[:SHOWN] or "the body"
    kind, given, limits = error["type"], error.get("input"), error.get("ctx", {})
    if kind == "json_invalid":
        before = str(body)[: error["loc"][1]]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return f"the body is not JSON: {limits['error']} at line {line}, column {column}"
    if kind == "missing":
        return "no JSON body; expected {query, k} as application/json" if field == "the body" else f"{field}: missing"
    if kind == "extra_forbidden":
        return f"{field}: unknown; known are query and k"
    if kind == "string_too_long":
        return f"{field}: expected at most {limits['max_length']:,} characters, got {len(str(given)):,}; shorten it"
    if kind == "string_too_short":
        return f"{field}: empty; say what to search for"
    if kind in ("model_attributes_type", "model_type", "dict_type"):
        return "the body is no JSON object; expected {query, k} as application/json"
    return f"{field}: {error['msg'][:1].lower()}{error['msg'][1:]}, got {json.dumps(given, default=str)[:SHOWN]}"
