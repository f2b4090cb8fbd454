"""An interpreter that has imported what takes seconds, and is forked for each command that a test runs.

    python warm.py CODE    run CODE, then fork for each job on stdin (a line of JSON) and tell how it ended

To a command it is as its own process, with arguments, folder, environment and output of its own: only that torch,
sentence-transformers and what CODE imports are there already. mteb and we are imported by each command itself.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import subprocess
import sys
import tempfile
import types
from pathlib import Path

IMPORTS = "import datasets, pandas, scipy.stats, sentence_transformers, sklearn.metrics, torch, transformers"


class Warm:
    """Calls commands in forks of one interpreter: `warm(*arguments, cwd=..., env=...)`, as `subprocess.run` would.

    Args:
        code: Run once, before any command.
        env: Of the interpreter; a command gets its own.
    """

    def __init__(self, code: str = IMPORTS, env: dict[str, str] | None = None) -> None:
        command = [sys.executable, __file__, code]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def __call__(self, *arguments: str | Path, cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run `-c CODE ARGUMENT...`, or the Python script at a path with arguments."""
        with tempfile.TemporaryDirectory() as folder:
            files = [f"{folder}/{name}" for name in ("out", "err")]
            job = {"argv": list(map(str, arguments)), "cwd": str(cwd), "env": env, "files": files}
            assert self.process.stdin and self.process.stdout
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
            code = int(self.process.stdout.readline())
            out, err = (Path(file).read_text(encoding="utf-8") for file in files)
        return subprocess.CompletedProcess(job["argv"], code, out, err)

    def close(self) -> None:
        """End the interpreter."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def next_job() -> dict | None:
    """What a fork has to do; None in the parent, when there are no more."""
    # Line by line, so that nothing is read ahead that a fork would read again.
    while line := sys.stdin.readline():
        child = os.fork()
        if not child:
            return json.loads(line)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    return None


def run(job: dict) -> None:
    """Become the process of that job: its files, folder, environment and arguments."""
    for number, file in ((0, os.devnull), *zip((1, 2), job["files"], strict=True)):
        os.dup2(os.open(file, os.O_RDWR | os.O_CREAT), number)
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    sys.argv = job["argv"]
    if sys.argv[0] != "-c":
        runpy.run_path(sys.argv[0], run_name="__main__")
        return
    code, sys.path[0] = sys.argv.pop(1), ""
    sys.modules["__main__"] = module = types.ModuleType("__main__")
    exec(compile(code, "<string>", "exec"), vars(module))


def main() -> None:
    exec(sys.argv[1], {})
    # Shared pages stay shared, and a fork need not look through them.
    gc.freeze()
    if (job := next_job()) is None:
        return
    code: object = 0
    try:
        run(job)
    except SystemExit as error:
        code = error.code
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    # As at the end of any process, but for taking apart, object by object, what the fork came with.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1 if code else 0)


if __name__ == "__main__":
    main()
