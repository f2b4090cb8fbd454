"""The two pages of the service, each of one piece: nothing is fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mteb_cascade.retriever.service.headers import policy

TEMPLATES = Path(__file__).parent / "templates"

COUNTS = (5, 10, 20, 50, 100)
"""Numbers of results that the page offers."""


@dataclass(frozen=True)
class Page:
    """A page and what it may do.

    Args:
        text: HTML.
        policy: Its Content-Security-Policy.
    """

    text: str
    policy: str


def search() -> Page:
    """The search page."""
    return rendered("page.html", script=source("page.js"), counts=COUNTS)


def reference(schema: Mapping[str, Any], address: str) -> Page:
    """A description of the service.

    Args:
        schema: Its OpenAPI document.
        address: Its URL.
    """
    return rendered("reference.html", schema=schema, address=address, type_of=type_of)


def rendered(template: str, *, script: str = "", **values: Any) -> Page:
    """A template with the style of the service, and a script where it has one."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = source("page.css")
    text = environment.get_template(template).render(
        **values,
        style=Markup(style),  # noqa: S704 - a file of this package
        script=Markup(script),  # noqa: S704 - a file of this package
    )
    return Page(text, policy(style, script))


def source(name: str) -> str:
    """A file beside the templates."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def type_of(schema: Mapping[str, Any]) -> str:
    """How a field's type is told.

    >>> type_of({"type": "array", "items": {"$ref": "#/components/schemas/Hit"}})
    'list of Hit'
    >>> type_of({"anyOf": [{"type": "integer"}, {"type": "null"}]})
    'integer or null'
    """
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(type_of(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f'"{value}"' for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {type_of(schema['items'])}"
    if schema.get("type") == "object" and "additionalProperties" in schema:
        return f"object of {type_of(schema['additionalProperties'])}"
    limits = [
        f"{word} {schema[key]:,}"
        for key, word in (("minimum", "from"), ("maximum", "to"), ("maxLength", "of at most"))
        if key in schema
    ]
    unit = ["characters"] if "maxLength" in schema else []
    return " ".join([str(schema.get("type", "any")), *limits, *unit])


def version() -> str:
    """Ours."""
    from importlib.metadata import version

    return version("mteb-cascade")
