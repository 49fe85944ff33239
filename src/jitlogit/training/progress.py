"""How far training is, on standard output."""

from __future__ import annotations

import sys
from typing import Any


def _live_bar(n_epochs: int) -> Any:
    """A bar of tqdm, or None without tqdm or a terminal."""
    if not sys.stdout.isatty():
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=n_epochs, unit="epoch", file=sys.stdout)


class Progress:
    """Shows a live bar with the cost, where tqdm has a terminal; else prints a line for each recorded cost."""

    def __init__(self, n_epochs: int) -> None:
        self._bar = _live_bar(n_epochs)

    def update(self, iteration: int, cost: float | None) -> None:
        """Call after each epoch, with its cost if it was recorded."""
        if self._bar is not None:
            if cost is not None:
                self._bar.set_postfix_str(f"cost {cost:.6f}", refresh=False)
            self._bar.update(iteration + 1 - self._bar.n)  # negative after a return to an earlier epoch
        elif cost is not None:
            print(f"Cost at iteration {iteration}: {cost:.6f}")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
