"""Callbacks: plain callables, and those of scikit-learn 1.9 and later, which see an epoch as a task of the fit."""

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


__all__ = ["CallbackSupportMixin", "FitTasks", "check_callbacks", "with_callbacks"]


def check_callbacks(callbacks: Any) -> list[Callable[..., Any]]:
    """Return a list of the callables; raise TypeError for anything else."""
    several = list(callbacks) if isinstance(callbacks, list | tuple) else [] if callbacks is None else [callbacks]
    for callback in several:
        if not callable(callback):
            raise TypeError(f"callbacks must be None, a callable or a list of callables; got {callback!r}")
    return several


class FitTasks:
    """Calls the scikit-learn callbacks of a fit of `estimator`; does nothing where scikit-learn has none."""

    def __init__(self, estimator: Any, X: Any, y: Any, n_epochs: int) -> None:
        self._arguments = {"estimator": estimator, "X": X, "y": y}
        self._n_epochs = n_epochs
        self._done = 0
        self._fit: Any = None
        self._epoch: Any = None
        if hasattr(estimator, "_init_callback_context"):
            self._fit = estimator._init_callback_context(max_subtasks=n_epochs)
            self._fit.call_on_fit_task_begin(**self._arguments)
            self.begin_epoch()

    def begin_epoch(self) -> None:
        """To be called before an epoch; does nothing if one is open, or all are done."""
        if self._fit is None or self._epoch is not None or self._done == self._n_epochs:
            return
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._arguments)

    def end_epoch(self, number: int, attributes: Callable[[], dict[str, Any]]) -> bool:
        """To be called after an epoch; return whether a callback asks to stop.

        `attributes` returns `coef_` and `intercept_` as they are then. An epoch that is repeated, after training
        diverged, is not announced again.
        """
        if self._fit is None or number < self._done:
            return False
        self._done = number + 1
        ended, self._epoch = self._epoch, None
        return bool(ended.call_on_fit_task_end(**self._arguments, reconstruction_attributes=attributes))

    def end(self, attributes: Callable[[], dict[str, Any]]) -> None:
        """To be called after the last epoch; ends an epoch that is still open too."""
        for task in (self._epoch, self._fit):
            if task is not None:
                task.call_on_fit_task_end(**self._arguments, reconstruction_attributes=attributes)
