"""A JSON file that a user named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.spec import shown


def parsed(path: Path, expected: str) -> Any:
    """Its content.

    Args:
        path: The file.
        expected: What it should be, and how one gets it: the end of the message where it cannot be read.

    Raises:
        InputError: There is no such file, it is a folder, or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{shown(path)}: there is no such file; expected {expected}") from None
    except IsADirectoryError:
        raise InputError(f"{shown(path)}: is a folder; expected {expected}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{shown(path)}: cannot be read ({in_one_line(error)}); expected {expected}") from None
