"""scikit-learn's own callbacks (from 1.9 on): told of a fit, and of each epoch as a task of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing to support."""

    def with_callbacks(method: Any) -> Any:
        return method


__all__ = ["CallbackSupportMixin", "FitTasks", "check_callbacks", "with_callbacks"]


def check_callbacks(callbacks: Any) -> list[Callable[..., Any]]:
    """Return None, a callable, or several as a list of callables."""
    several = list(callbacks) if isinstance(callbacks, list | tuple) else [] if callbacks is None else [callbacks]
    for callback in several:
        if not callable(callback):
            raise TypeError(f"callbacks must be None, a callable or a list of callables; got {callback!r}")
    return several


class FitTasks:
    """A fit of `estimator`, which scikit-learn's callbacks are told of."""

    def __init__(self, estimator: Any, X: Any, y: Any, n_epochs: int) -> None:
        self._told = {"estimator": estimator, "X": X, "y": y}
        self._n_epochs = n_epochs
        self._done = 0
        self._fit: Any = None
        self._epoch: Any = None
        if hasattr(estimator, "_init_callback_context"):
            self._fit = estimator._init_callback_context(max_subtasks=n_epochs)
            self._fit.call_on_fit_task_begin(**self._told)
            self.begin_epoch()

    def begin_epoch(self) -> None:
        """Before an epoch, if there is one left."""
        if self._fit is None or self._epoch is not None or self._done == self._n_epochs:
            return
        self._epoch = self._fit.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._told)

    def end_epoch(self, number: int, attributes: Callable[[], dict[str, Any]]) -> bool:
        """After an epoch, with what makes an estimator of the parameters then; return whether to stop.

        Epochs that are done again, after training diverged, are not told of.
        """
        if self._fit is None or number < self._done:
            return False
        self._done = number + 1
        ended, self._epoch = self._epoch, None
        return bool(ended.call_on_fit_task_end(**self._told, reconstruction_attributes=attributes))

    def end(self, attributes: Callable[[], dict[str, Any]]) -> None:
        """After the last epoch, which may have been one that was done again."""
        if self._fit is not None:
            if self._epoch is not None:
                self._epoch.call_on_fit_task_end(**self._told, reconstruction_attributes=attributes)
            self._fit.call_on_fit_task_end(**self._told, reconstruction_attributes=attributes)
