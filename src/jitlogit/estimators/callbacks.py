"""Callbacks: plain callables, and those of scikit-learn 1.9 and later, which see the steps of a fit as its tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        pass

    def with_callbacks(method: Any) -> Any:
        return method


__all__ = ["Attributes", "CallbackSupportMixin", "StepTasks", "Task", "check_callbacks", "with_callbacks"]

Attributes = Callable[[], dict[str, Any]]  # makes the fitted attributes, if a callback asks for them


def check_callbacks(callbacks: Any) -> list[Callable[..., Any]]:
    """Return a list of the callables; raise TypeError for anything else."""
    several = list(callbacks) if isinstance(callbacks, list | tuple) else [] if callbacks is None else [callbacks]
    for callback in several:
        if not callable(callback):
            raise TypeError(f"callbacks must be None, a callable or a list of callables; got {callback!r}")
    return several


class Task:
    """A task of a fit, as scikit-learn's callbacks see it; does nothing where scikit-learn has none.

    `arguments` are what the callbacks are given: the estimator, X, y and metadata. `attributes` are those with which
    the task begins, if there are any yet.
    """

    def __init__(self, context: Any, arguments: dict[str, Any], attributes: Attributes | None = None) -> None:
        self._context, self._arguments = context, arguments
        if context is not None:
            context.call_on_fit_task_begin(**arguments, reconstruction_attributes=attributes)

    @classmethod
    def of_fit(cls, estimator: Any, X: Any, y: Any, sample_weight: Any, most: int) -> Task:
        """The task that is the whole fit, of at most `most` tasks inside it."""
        context = None
        if hasattr(estimator, "_init_callback_context"):
            context = estimator._init_callback_context(max_subtasks=most)
        return cls(context, {"estimator": estimator, "X": X, "y": y, "metadata": _metadata(sample_weight)})

    def begin(
        self,
        name: str,
        most: int = 0,
        sample_weight: Callable[[], Any] | None = None,
        attributes: Attributes | None = None,
    ) -> Task:
        """The next task inside this one; `sample_weight` makes its weights of rows, if they are others."""
        arguments = dict(self._arguments)
        if sample_weight is not None:
            arguments["metadata"] = lambda: _metadata(sample_weight())
        if self._context is None:
            return Task(None, arguments)
        return Task(self._context.subcontext(task_name=name, max_subtasks=most), arguments, attributes)

    def end(self, attributes: Attributes | None = None) -> bool:
        """Return whether a callback asks to stop; a task without attributes has done nothing."""
        if self._context is None:
            return False
        return bool(self._context.call_on_fit_task_end(**self._arguments, reconstruction_attributes=attributes))


def _metadata(sample_weight: Any) -> dict[str, Any] | None:
    return None if sample_weight is None else {"sample_weight": sample_weight}


class StepTasks:
    """The steps of a task, one after another, at most `most`: epochs or iterations.

    The first begins at once, each other one when the one before it has ended. One that never ran ends without
    attributes.
    """

    def __init__(self, task: Task, name: str, most: int) -> None:
        self._task, self._name, self._most = task, name, most
        self._done = 0
        self._step: Task | None = None
        self.begin()

    def begin(self, attributes: Attributes | None = None) -> None:
        """To be called before a step; does nothing if one is open, or all are done."""
        if self._step is None and self._done < self._most:
            self._step = self._task.begin(self._name, attributes=attributes)

    def end(self, number: int, attributes: Attributes) -> bool:
        """To be called after a step; return whether a callback asks to stop.

        A step that is repeated, after training diverged, is not announced again.
        """
        if self._step is None or number < self._done:
            return False
        self._done = number + 1
        ended, self._step = self._step, None
        return ended.end(attributes)

    def close(self) -> None:
        """To be called after the last step."""
        if self._step is not None:
            self._step.end()
