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
    """Shows a live bar, where tqdm has a terminal; else prints a line for each epoch that has one."""

    def __init__(self, n_epochs: int) -> None:
        self._bar = _live_bar(n_epochs)

    def update(self, number: int, fields: str | None, line: str | None) -> None:
        """Call after each epoch, numbered from 0, with what stands beside the bar and what is printed without one."""
        if self._bar is not None:
            if fields is not None:
                self._bar.set_postfix_str(fields, refresh=False)
            self._bar.update(number + 1 - self._bar.n)  # negative after a return to an earlier epoch
        elif line is not None:
            print(line, flush=True)  # a log may be read while training goes on

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
