"""What `compare` finds: speeds, differences with the bounds that they must keep, verdicts, and tables of them."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..display import Table, Tables, shown_as_table
from .turns import Ratio

__all__ = [
    "DIVERGED",
    "NOT_JUDGED",
    "NOT_OK",
    "OK",
    "TOLERANCE",
    "UNSTABLE",
    "Comparison",
    "ComparisonRow",
    "Differences",
    "RivalRow",
]

OK, NOT_OK, NOT_JUDGED = "OK", "NOT OK", "NOT JUDGED"
#: Why a row isn't judged.
DIVERGED, UNSTABLE = "diverged", "unstable"
#: Largest difference between NumPy and the kernels, relative to the size of what is compared. It is what the project
#: guarantees, and its tests check over 300 epochs. float64: sums are rounded in another order. float32: the same, times
#: the number of updates whose rounding errors gradient descent has not yet forgotten.
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


class Differences(NamedTuple):
    """Largest differences between two fits of so many epochs, or their bounds: of costs in nats, of W and of b."""

    epochs: int
    cost: float
    weights: float
    bias: float

    def keep(self, bounds: Differences) -> bool:
        """Whether each is within its bound; NaN is not."""
        return self.cost <= bounds.cost and self.weights <= bounds.weights and self.bias <= bounds.bias


@dataclass(frozen=True)
class ComparisonRow:
    """Result for one batch size: seconds are per epoch and medians, costs those of the trained parameters in nats.

    `diverged` and `reference_diverged` say that a fit warned of divergence, or of an end above its first cost. Costs
    are computed from scores, so they have no upper limit; they are inf or NaN where scores overflow.

    `differences` has an item for fits of 1, 3, 10, 30, ... epochs, the last one for all. `bounds` are for the last.
    `packed` says that the kernels' fit copies X; `unpacked_seconds` are then those without.
    """

    batch_size: int | None
    diverged: bool
    reference_diverged: bool
    unstable: bool
    reference_seconds: float
    fast_seconds: float
    one_thread_seconds: float
    unpacked_seconds: float | None
    speedups: Ratio
    rows_per_second: float
    gigabytes_per_second: float
    bandwidth_share: float
    bandwidth: float  # GB/s at which all threads read X without computing
    one_thread_bandwidth: float
    reference_cost: float
    fast_cost: float
    differences: list[Differences]
    bounds: Differences
    train_accuracy: float
    test_accuracy: float
    reference_costs: list[float] = field(repr=False)
    fast_costs: list[float] = field(repr=False)

    @property
    def batch_label(self) -> str:
        return "full" if self.batch_size is None else str(self.batch_size)

    @property
    def speedup(self) -> float:
        """The median of the paired ratios."""
        return self.speedups.median

    @property
    def largest_weight_difference(self) -> float:
        return self.differences[-1].weights

    @property
    def verdict(self) -> str:
        """OK if costs, W and b keep their bounds, else NOT OK; "diverged" or "unstable" where rounding errors grew."""
        if self.diverged == self.reference_diverged and self.differences[-1].keep(self.bounds):
            return OK
        if self.diverged and self.reference_diverged:
            return DIVERGED
        return UNSTABLE if self.unstable else NOT_OK


@dataclass(frozen=True)
class RivalRow:
    """Result for one batch size and one rival: an epoch, rows in order, in turn with a fit by the kernels.

    `differences` are those after one epoch from zero; `diverged` says that the kernels warned in it.
    """

    batch_size: int | None
    diverged: bool
    rival: str
    rival_version: str
    rival_seconds: float
    fast_seconds: float
    speedups: Ratio
    differences: Differences
    bounds: Differences

    @property
    def batch_label(self) -> str:
        return "full" if self.batch_size is None else str(self.batch_size)

    @property
    def verdict(self) -> str:
        if self.diverged:
            return DIVERGED
        return OK if self.differences.keep(self.bounds) else NOT_OK


@shown_as_table
@dataclass(frozen=True, repr=False)
class Comparison:
    """Result of `compare`: the setting, and a row for each batch size, and for each rival and batch size.

    It prints as tables with a verdict below, in notebooks too.
    """

    n_train: int
    n_test: int
    n_features: int
    dtype: str
    epochs: int
    learning_rate: float
    n_threads: int
    rows: list[ComparisonRow]
    rivals: list[RivalRow] = field(default_factory=list)

    @property
    def title(self) -> str:
        epochs = f"{self.epochs} epoch{'' if self.epochs == 1 else 's'}"
        return (
            f"{self.n_train:,} x {self.n_features:,} {self.dtype} ({self.n_test:,} test rows), {epochs}, "
            f"learning rate {self.learning_rate:g}, {self.n_threads} threads"
        )

    @property
    def verdict(self) -> str:
        """NOT OK if a row is, else OK if one is, else NOT JUDGED."""
        found = {row.verdict for row in self.rows} | {row.verdict for row in self.rivals}
        return next((word for word in (NOT_OK, OK) if word in found), NOT_JUDGED)

    @property
    def conclusion(self) -> str:
        """The verdict in a sentence."""
        wrong = [f"batch size {row.batch_label}" for row in self.rows if row.verdict == NOT_OK]
        wrong += [f"{row.rival} at batch size {row.batch_label}" for row in self.rivals if row.verdict == NOT_OK]
        if wrong:
            return f"{NOT_OK}: results differ by more than their bounds, see {', '.join(wrong)}."
        judged = [row for row in self.rows if row.verdict == OK]
        if not judged:
            return f"{NOT_JUDGED}: all fits diverged or are unstable; scale the features, or lower the learning rate."
        least, most = (_short(choose(row.speedup for row in judged)) for choose in (min, max))
        text = f"{OK}: NumPy and kernels agree at {len(judged)} of {len(self.rows)} batch sizes"
        text += "" if len(judged) == len(self.rows) else " (others diverged or are unstable)"
        return f"{text}; kernels are {least if least == most else f'{least} to {most}'} times as fast."

    def table(self) -> Tables:
        """Speeds, differences with their bounds, rivals if there are any, and the verdict."""
        tables = [self._speeds(), self._agreement()]
        return Tables(self.title, tables + ([self._rivals()] if self.rivals else []), self.conclusion)

    def _speeds(self) -> Table:
        rows = self.rows
        columns = {
            "batch": [row.batch_label for row in rows],
            "numpy s/epoch": [f"{row.reference_seconds:.5f}" for row in rows],
            "numba s/epoch": [f"{row.fast_seconds:.5f}" for row in rows],
            "speed-up": [str(row.speedups) for row in rows],
            "Mrows/s": [f"{row.rows_per_second / 1e6:.2f}" for row in rows],
            "GB/s": [f"{row.gigabytes_per_second:.2f}" for row in rows],
            "of bandwidth": [f"{row.bandwidth_share:.0%}" for row in rows],
        }
        rate = float(np.median([row.bandwidth for row in rows]))
        title = f"Speed: both in turn, medians and [least-most] of the rounds; X can be read at {rate:.1f} GB/s"
        return Table(title, columns)

    def _agreement(self) -> Table:
        rows, ends = self.rows, [row.differences[-1] for row in self.rows]
        columns = {
            "batch": [row.batch_label for row in rows],
            "cost": [_cost_text(row.fast_cost) for row in rows],
            "|dJ| (bound)": [_within(end.cost, row.bounds.cost) for end, row in zip(ends, rows, strict=True)],
            "|dW| (bound)": [_within(end.weights, row.bounds.weights) for end, row in zip(ends, rows, strict=True)],
            "|db| (bound)": [_within(end.bias, row.bounds.bias) for end, row in zip(ends, rows, strict=True)],
            "train acc": [f"{row.train_accuracy:.4f}" for row in rows],
            "test acc": [f"{row.test_accuracy:.4f}" for row in rows],
            "verdict": [f"{OK} ({DIVERGED})" if row.diverged and row.verdict == OK else row.verdict for row in rows],
        }
        return Table("Agreement: largest differences, and the bounds that they must keep", columns, words=["verdict"])

    def _rivals(self) -> Table:
        rows = self.rivals
        columns = {
            "batch": [row.batch_label for row in rows],
            "rival": [f"{row.rival} {row.rival_version}" for row in rows],
            "s/epoch": [f"{row.rival_seconds:.5f}" for row in rows],
            "jitlogit": [f"{row.fast_seconds:.5f}" for row in rows],
            "speed-up": [str(row.speedups) for row in rows],
            "|dW| (bound)": [_within(row.differences.weights, row.bounds.weights) for row in rows],
            "|db| (bound)": [_within(row.differences.bias, row.bounds.bias) for row in rows],
            "verdict": [row.verdict for row in rows],
        }
        return Table("Rivals: one epoch, rows in order, in turn with jitlogit", columns, words=["rival", "verdict"])

    def save(self, path: str | Path) -> None:
        """Write tables and pictures as one page if the path ends in .html, else the pictures in a file of that kind.

        The pictures are both costs over epochs, the growth of the differences, and throughput under the bandwidth. The
        page needs no network. Raises ImportError if matplotlib isn't installed.
        """
        from .comparison_plots import save_page, save_picture

        (save_page if Path(path).suffix.lower() in (".html", ".htm") else save_picture)(self, path)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields, verdicts, versions and the machine as objects that JSON can hold."""
        result = asdict(self) | {"verdict": self.verdict}
        for name in ("rows", "rivals"):
            for row, values in zip(getattr(self, name), result[name], strict=True):
                values |= {"speedup": row.speedups.median, "verdict": row.verdict}
        result["versions"] = {"python": platform.python_version(), "numpy": np.__version__, "numba": version("numba")}
        result["machine"] = platform.processor() or platform.machine()
        finite: dict[str, Any] = _for_json(result)
        return finite


def _for_json(value: Any) -> Any:
    """JSON has neither NaN (accuracy without test rows) nor inf (cost after divergence); named tuples have names."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {name: _for_json(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_for_json(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cost_text(cost: float) -> str:
    """Six decimals; of a cost of 100 and more, which may have any size, six digits."""
    return f"{cost:.6f}" if cost < 100 else f"{cost:.6g}"


def _within(difference: float, bound: float) -> str:
    return f"{difference:.1e} ({bound:.0e})"


def _short(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < 100 else f"{ratio:.0f}"
