"""A peer's side of a benchmark: prepare once, then do the work once for every line on stdin, timing itself.

Runs in the peers' own environment, which holds nothing of ours. Answers are lines of JSON on what was stdout; whatever
libraries print goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from time import perf_counter
from typing import Any

from memory import Peak

Work = Callable[[], Any]
Tell = Callable[[Any], Any]


def serve(prepare: Callable[[dict[str, Any]], tuple[Work, Tell]]) -> None:
    """Answer turns until stdin ends.

    Args:
        prepare: Takes what the first line says; gives what is timed, and what makes JSON of its result, untimed.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        work, tell = prepare(json.loads(sys.stdin.readline()))
        print(json.dumps({"ready": True}), file=answers, flush=True)
        for _ in sys.stdin:
            memory = Peak()
            start = perf_counter()
            found = work()
            seconds = perf_counter() - start
            answer = {"seconds": seconds, "peak": memory.more, "value": tell(found)}
            print(json.dumps(answer), file=answers, flush=True)
    except BaseException:
        traceback.print_exc()
        os._exit(1)  # Java's threads would keep a process that nobody listens to
