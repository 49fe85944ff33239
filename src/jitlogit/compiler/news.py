"""Announces compilations, and counts kernels that were compiled or read from disk.

Numba tells of each compilation by an event, after the cache didn't have the kernel and before the work starts. So both
ways of keeping kernels, ours and Numba's own, are served by the same few lines.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

_LOG = logging.getLogger("jitlogit")
_KERNELS: list[tuple[str, Any]] = []  # names and dispatchers
_FORBIDDEN: ContextVar[bool] = ContextVar("forbidden", default=False)
# Kernels see the bits of these dtypes, see `data.validation.as_rows`.
_NAMES = {"uint16": "float16", "int16": "bfloat16"}


class NotCompiled(RuntimeError):
    """Raised within `forbidden` in place of compiling a kernel, which the message names."""


@contextlib.contextmanager
def forbidden() -> Iterator[None]:
    """Context in which a kernel that would be compiled raises NotCompiled."""
    before = _FORBIDDEN.set(True)
    try:
        yield
    finally:
        _FORBIDDEN.reset(before)


def add(dispatcher: Any, name: str) -> None:
    """Have a kernel announced and counted."""
    _KERNELS.append((name, dispatcher))


def counts() -> tuple[int, int]:
    """Number of kernels that this process has compiled, and that it has read from disk."""
    each = [one.stats for _, one in _KERNELS]
    return sum(sum(one.cache_misses.values()) for one in each), sum(sum(one.cache_hits.values()) for one in each)


def folder() -> str | None:
    """Where kernels are kept; None if they aren't."""
    paths = [one.stats.cache_path for _, one in _KERNELS]
    return str(paths[0]) if paths and paths[0] else None


def _say(text: str) -> None:
    """Log at level INFO. Where nobody has set up logging, print to standard error instead, unless the level is higher.

    Python itself would print warnings only, and this message is not a warning. The live line of a progress bar on the
    same terminal is cleared first.
    """
    if _LOG.hasHandlers():
        _LOG.info(text)
    elif _LOG.level <= logging.INFO and sys.stderr:
        start = "\r\033[K" if sys.stderr.isatty() else ""
        print(f"{start}jitlogit: {text}", file=sys.stderr, flush=True)


def _rows(of_rows: Any) -> str:
    """Dtype and storage of rows, from Numba's type: that of an array, or of a named tuple of arrays."""
    array = getattr(of_rows, "types", (of_rows,))[0]
    name = str(getattr(array, "dtype", array))
    storage = ", sparse" if array is not of_rows else ", F order" if getattr(array, "layout", "C") == "F" else ""
    return _NAMES.get(name, name) + storage


def _listen() -> None:
    """Register with Numba; a Numba without these events compiles in silence."""
    try:
        from numba.core import event
    except ImportError:
        return

    class Listener(event.Listener):  # type: ignore[misc]
        def on_start(self, news: Any) -> None:
            name = next((name for name, one in _KERNELS if one is news.data["dispatcher"]), None)
            if name is None:  # a helper, or a function of others
                return
            kernel = " for ".join([name, *map(_rows, news.data["args"][:1])])
            if _FORBIDDEN.get():
                raise NotCompiled(kernel)
            _say(f"compiling {kernel} (this variant once per machine, some seconds)")

        def on_end(self, news: Any) -> None:
            pass

    event.register("numba:compile", Listener())


_listen()
