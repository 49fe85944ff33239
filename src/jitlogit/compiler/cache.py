"""Compiled kernels on disk."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import CompileResultCacheImpl, _Cache
from numba.core.serialize import dumps
from numba.misc.appdirs import AppDirs

__all__ = ["KernelCache"]

# A compiled kernel is called through the C interface of the Python that compiled it.
PYTHON = f"{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}"
_PACKAGE = Path(__file__).parents[1]
_CHECKSUM_BYTES = hashlib.sha256().digest_size
# Seconds after which a temporary file was left over by a process that ended early.
_OLD = 3600


@functools.cache
def sources_stamp() -> str:
    """Hash of the sources of all kernels and of the versions that compile and run them."""
    versions = (numba.__version__, llvmlite.__version__, PYTHON)
    digest = hashlib.sha256(repr(versions).encode())
    for room in ("compiler", "kernels"):
        for path in sorted((_PACKAGE / room).rglob("*.py")):
            digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def cache_directories() -> list[Path]:
    """Folders that may hold compiled kernels: below ``NUMBA_CACHE_DIR``, or else the package's own.

    The user's is added where the package's own can't be written.
    """
    if numba.config.CACHE_DIR:
        return [Path(numba.config.CACHE_DIR).absolute() / "jitlogit"]
    own = _PACKAGE / "__pycache__"
    place = own if own.exists() else _PACKAGE
    user = None if place.is_dir() and os.access(place, os.W_OK) else _user_directory()
    return [own] if user is None else [own, user]


def _user_directory() -> Path | None:
    """The user's cache folder; None where it isn't known as an absolute path.

    A relative XDG_CACHE_HOME is ignored, as the XDG Base Directory Specification says.
    """
    given = os.environ.get("XDG_CACHE_HOME")
    if given is not None and not os.path.isabs(given):
        folder = Path.home() / ".cache" / "jitlogit"
    else:
        folder = Path(AppDirs(appname="jitlogit", appauthor=False).user_cache_dir)
    return folder if folder.is_absolute() else None


class KernelCache(_Cache):  # type: ignore[misc]
    """One file per compiled variant, named by a hash of everything that its code depends on.

    Numba's own cache notices edits of the file that defines a function but not of the files that it calls into
    (numba#1833), is blind to jit options (numba#6845), keeps an index that concurrent processes can mix up, and raises
    where no folder is writable (numba#4908). Here the name stands for all kernel sources, versions, processor, variant
    and argument types; a file appears whole, by renaming; a folder that can't be read or written is passed over.

    A file is code that runs. So it begins with a checksum, and is read only if its owner is trusted, see `_content`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._enabled = True

    @property
    def cache_path(self) -> str:
        return str(cache_directories()[0])

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        for directory in cache_directories():
            for path in directory.glob(f"{self._name}-*.kernel"):
                with contextlib.suppress(OSError):
                    path.unlink()

    def _file_name(self, signature: Any, codegen: Any) -> str:
        key = repr((sources_stamp(), str(signature), codegen.magic_tuple()))
        return f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:32]}.kernel"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        if not self._enabled:
            return None
        target_context.refresh()
        for directory in cache_directories():
            # Whatever is wrong with a file (missing, unreadable, damaged), the remedy is to compile.
            with contextlib.suppress(Exception):
                name = self._file_name(sig, target_context.codegen())
                content = _content(directory / name)
                if content is not None:
                    return CompileResultCacheImpl.rebuild(None, target_context, pickle.loads(content))
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        if not self._enabled or data.library.has_dynamic_globals:
            return
        content = dumps(CompileResultCacheImpl.reduce(None, data))
        for directory in cache_directories():
            with contextlib.suppress(OSError):  # not writable; or no sources to hash, in a zip file
                name = self._file_name(sig, data.codegen)
                directory.mkdir(parents=True, exist_ok=True)
                _write_whole(directory / name, content)
                _clear_temporaries(directory)
                return


def _content(path: Path) -> bytes | None:
    """What a file holds behind its checksum; None if it differs from that, or if someone else may have written it.

    Trusted are this user and whoever owns the package, whose code runs anyway.
    """
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        if hasattr(os, "geteuid"):
            trusted = {os.geteuid(), Path(__file__).stat().st_uid}
            if found.st_uid not in trusted or found.st_mode & 0o002:
                return None
        whole = file.read()
    checksum, content = whole[:_CHECKSUM_BYTES], whole[_CHECKSUM_BYTES:]
    return content if hashlib.sha256(content).digest() == checksum else None


def _write_whole(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(hashlib.sha256(content).digest() + content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _clear_temporaries(directory: Path) -> None:
    """Remove what processes have left over that ended while they wrote."""
    for path in directory.glob("*.kernel.*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - _OLD:
                path.unlink()
