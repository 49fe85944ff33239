"""The history of an estimator's training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..data.parameters import check_count, check_not_negative
from ..data.prediction import SomeRows, mean_loss_and_accuracy
from ..data.scaling import raw_parameters
from ..data.tables import columns_told
from ..data.validation import Array, raise_if_not_finite
from ..training.problem import Epoch
from ..training.progress import Progress
from .callbacks import StepTasks, check_callbacks
from .weights import held_out, places_of, without

HISTORY = ("loss", "undone", "val_loss", "val_accuracy", "learning_rate", "gradient_norm", "seconds", "rows_per_second")
_SHOWN = {"loss": "loss", "val_loss": "val_loss", "val_accuracy": "val_acc"}  # as progress names them


def validation_set(model: Any, eval_set: Any) -> SomeRows:
    """Rows and labels of `eval_set`, checked against what `model` is fitted to."""
    try:
        X, y = eval_set
    except (TypeError, ValueError):
        raise ValueError("eval_set must be a pair of features and labels, (X_val, y_val)") from None
    try:
        rows, y, _ = model._checked(X, y, reset=False)
        with columns_told(X):
            raise_if_not_finite(rows)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"eval_set: {error}") from error
    return SomeRows(rows, places_of(y, model.classes_, "eval_set"))


def validation_and_weights(
    model: Any, eval_set: Any, X: Any, labels: Array, weights: Array | None, rng: np.random.Generator
) -> tuple[SomeRows | None, Array | None]:
    """Return the validation set, `eval_set` or rows that `early_stopping` holds out, and the weights of rows of X."""
    if eval_set is not None:
        return validation_set(model, eval_set), weights
    if not model.early_stopping:
        return None, weights
    held = held_out(labels, model.classes_, model.validation_fraction, rng)
    return SomeRows(X, labels[held], held), without(weights, held, X.shape[0])


class Record:
    """Writes the history, shows progress, calls callbacks, and decides when to stop.

    It begins with the `history` of earlier calls. `dtype` is that of the parameters that callbacks see.
    """

    def __init__(
        self,
        model: Any,
        m: int,
        validation: SomeRows | None,
        scaling: tuple[Array, Array],
        history: dict[str, list[float]],
        steps: StepTasks | None,
        n_epochs: int,
        dtype: np.dtype[Any],
    ) -> None:
        tol = None if model.tol in (None, "auto") else check_not_negative(model.tol, "tol")
        self._tol = 0.0 if tol is None and model.early_stopping else tol
        self._patience = check_count(model.n_iter_no_change, "n_iter_no_change")
        self._callbacks = check_callbacks(model.callbacks)
        self._steps = steps
        self._n_threads = model._threads()
        self._dtype = dtype
        self._m = m
        self._validation = validation
        self._scaling = scaling
        self._best_losses: list[tuple[float, int]] = []  # after each epoch: least loss, and epochs since it last fell
        self._before = len(history.get("loss", []))
        self.history = {name: list(history.get(name, [])) for name in HISTORY}
        if validation is None:
            del self.history["val_loss"], self.history["val_accuracy"]
        self._averages = bool(model.average)
        self._n_epochs = self._before + n_epochs
        self._progress = Progress(self._n_epochs) if model.verbose else None

    def add(self, epoch: Epoch, interrupted: bool = False) -> tuple[bool, float]:
        """Add an epoch; return whether training should stop, and the epoch's score, by which the best is kept.

        The score is the validation loss, if that decides, else the cost with its penalty. It is NaN for a mean of
        parameters, which is no epoch's own.
        """
        number = self._before + epoch.number
        known = {
            "loss": epoch.cost,
            "undone": epoch.undone,
            "learning_rate": epoch.learning_rate,
            "gradient_norm": epoch.gradient_norm,
            "seconds": epoch.seconds,
            "rows_per_second": self._m / max(epoch.seconds, 1e-9),
        }
        watched = epoch.cost

        def parameters() -> tuple[Array, Array]:
            scaled = epoch.parameters()
            return raw_parameters(scaled[:, :-1], scaled[:, -1], *self._scaling)

        def fitted() -> dict[str, Array]:
            coef, intercept = parameters()
            return {"coef_": coef.astype(self._dtype), "intercept_": intercept.astype(self._dtype)}

        if self._validation is not None:
            watched, right = mean_loss_and_accuracy(self._validation, *parameters(), self._n_threads)
            known |= {"val_loss": watched, "val_accuracy": right}
        for name, value in known.items():
            del self.history[name][number:]  # training that diverged repeats epochs at a lower rate
            self.history[name].append(value)
        if self._progress is not None:
            fields = " ".join(f"{word} {known[name]:.4g}" for name, word in _SHOWN.items() if name in known)
            self._progress.update(number, fields, f"epoch {number + 1}/{self._n_epochs} {fields}")
        asked = [bool(callback({"epoch": number, **known})) for callback in self._callbacks]
        if self._steps is not None:
            asked.append(self._steps.end(epoch.number, fitted))
        stop = interrupted or any(asked)
        if self._tol is not None:
            del self._best_losses[epoch.number :]
            best, failed = self._best_losses[-1] if self._best_losses else (math.inf, 0)
            failed = 0 if watched < best - self._tol else failed + 1
            self._best_losses.append((min(best, watched), failed))
            stop = stop or failed >= self._patience
        if self._steps is not None and not stop:
            self._steps.begin(fitted)
        if self._validation is not None and self._tol is not None:
            return stop, watched
        return stop, math.nan if self._averages else epoch.objective

    def close(self) -> None:
        """To be called after the last epoch."""
        if self._progress is not None:
            self._progress.close()
        if self._steps is not None:
            self._steps.close()
