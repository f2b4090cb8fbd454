"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Task = Annotated[str, typer.Option("--task", "-t", help="PythonDocs, the path of a BEIR folder, or a task of mteb.")]
