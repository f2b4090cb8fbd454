"""Which of mteb's cached results still hold for a task of ours.

Where no split is missing, mteb takes a cached result by the task's name alone. Our tasks read text from this disk,
which changes under the same name; and a result without latencies does not answer who asks for them.
"""

from __future__ import annotations

from functools import wraps
from typing import Any, Protocol

from mteb.cache import ResultCache
from mteb.results import TaskResult


class Judge(Protocol):
    """A task that knows which results are its own."""

    metadata: Any

    def holds(self, result: TaskResult) -> bool:
        """Whether the result is what an evaluation would give now."""
        ...


judges: dict[str, Judge] = {}
"""{task name: its last instance of this process}."""


def judged_by(task: Judge) -> None:
    """From now on a cached result of this task is taken only where the task says that it holds."""
    if not judges:
        watch(ResultCache)
    judges[task.metadata.name] = task


def watch(cache: type[ResultCache]) -> None:
    """Have mteb's cache ask the judges; results of other tasks are what they were."""
    load = cache.load_task_result

    @wraps(load)
    def load_if_it_holds(self: ResultCache, task_name: str, *given: Any, **named: Any) -> TaskResult | None:
        result = load(self, task_name, *given, **named)
        judge = judges.get(task_name)
        return result if result is None or judge is None or judge.holds(result) else None

    cache.load_task_result = load_if_it_holds  # type: ignore[method-assign]
