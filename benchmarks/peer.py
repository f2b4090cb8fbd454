"""Our side of a peer that lives in an environment of its own: started once, told "go" by turns over a pipe."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from turns import Told

HERE = Path(__file__).resolve().parent
PYTHON = HERE.parent / ".venv" / "peers" / "bin" / "python"


class Peer:
    """A worker in the peers' environment; leave the `with` to end it.

    Imports, loading and what `given` says are prepared before the first turn, and outside of every time.

    Args:
        script: A file of benchmarks/peers/.
        given: What it is to prepare, as JSON.
    """

    def __init__(self, script: str, **given: Any) -> None:
        self.script = script
        paths = [str(HERE), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            [PYTHON, HERE / "peers" / script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "HF_HUB_OFFLINE": "1"},
        )
        self._asked(json.dumps(given))

    @staticmethod
    def is_there() -> bool:
        """Whether the environment is made, to its end."""
        return (PYTHON.parents[1] / ".installed").exists()

    def __call__(self) -> Told:
        """Do the work once."""
        return Told(**self._asked("go"))

    def _asked(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        print(line, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.script}: the peer ended, with {self._process.wait()}; what it says is above")
        found: dict[str, Any] = json.loads(answer)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def missing(what: str) -> None:
    """Say that a row is left out."""
    print(f"{what}: left out, since {PYTHON.parents[1].relative_to(HERE.parent)} is missing; `make bench` makes it")
