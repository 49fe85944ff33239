"""Compiled kernels on disk."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import stat
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core.caching import CompileResultCacheImpl, _Cache
from numba.core.serialize import dumps
from numba.misc.appdirs import AppDirs

# Part of a kernel's key, since the C interface through which it is called depends on the Python that compiled it.
PYTHON = f"{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}"

# Age from which a temporary file is deleted. Writing takes milliseconds; an hour allows for a stopped process and for
# wrong clocks of network drives.
_STALE_SECONDS = 3600


@functools.cache
def sources_stamp() -> str:
    """Hash of the sources of all kernels and of the versions that compile and run them."""
    package = Path(__file__).parents[1]
    versions = (numba.__version__, llvmlite.__version__, PYTHON)
    digest = hashlib.sha256(repr(versions).encode())
    for room in ("compiler", "kernels"):
        for path in sorted((package / room).rglob("*.py")):
            digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def cache_directories() -> list[Path]:
    """Folders that may hold compiled kernels. The first that can be written to is written to.

    If ``NUMBA_CACHE_DIR`` is set, it is the only one. A relative one is below the current folder, as in Numba, because
    the user asked for it. Otherwise it is the package's own folder, then the user's if that can't be written to.
    """
    if numba.config.CACHE_DIR:
        return [Path(numba.config.CACHE_DIR) / "jitlogit"]
    own = _beside_the_package()
    user = None if _can_be_written(own) else _user_directory()
    return [own] if user is None else [own, user]


def _beside_the_package() -> Path:
    return Path(__file__).parents[1] / "__pycache__"


def _user_directory() -> Path | None:
    """The user's cache folder; None if it has no absolute path.

    The XDG specification calls a relative ``XDG_CACHE_HOME`` invalid, and an empty one unset. A relative path would
    lead below the current folder, where others may have put files.
    """
    for folder in (AppDirs("jitlogit", appauthor=False).user_cache_dir, os.path.expanduser("~/.cache/jitlogit")):
        if os.path.isabs(folder):
            return Path(folder)
    return None


def _can_be_written(directory: Path) -> bool:
    """Try to write, because permissions alone don't decide on Windows and on some network drives."""
    try:
        directory.mkdir(mode=0o775, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return True
    except OSError:
        return False


def _check_owner(path: Path, status: os.stat_result) -> None:
    """Raise PermissionError if another user may have written a file or folder.

    A kernel is a pickle and machine code, so reading it runs it. Root may write below ``NUMBA_CACHE_DIR``, since root
    fills it when container images are built. Files beside the package aren't checked, because a user with access to
    them can change the sources too. Nothing is checked on Windows, which keeps others out of a user's folders.
    """
    if not hasattr(os, "geteuid") or _beside_the_package() in (path, path.parent):
        return
    trusted = {os.geteuid(), 0} if numba.config.CACHE_DIR else {os.geteuid()}
    if status.st_uid not in trusted or status.st_mode & stat.S_IWOTH:
        raise PermissionError(f"{path} may have been written by another user")


def _read(path: Path) -> bytes:
    """The content of a file, if no other user may have written it or put a link in its folder."""
    _check_owner(path.parent, path.parent.stat())
    with path.open("rb") as file:
        _check_owner(path, os.fstat(file.fileno()))  # the open file can't be replaced any more
        return file.read()


def _sealed(payload: bytes) -> bytes:
    """A payload behind its SHA-256. Without it, a wrong byte in the machine code could end the process."""
    return hashlib.sha256(payload).digest() + payload


def _unsealed(content: bytes) -> bytes:
    """The payload of `_sealed`; ValueError if it was damaged."""
    size = hashlib.sha256().digest_size
    if _sealed(content[size:]) != content:
        raise ValueError("the file is damaged")
    return content[size:]


class KernelCache(_Cache):  # type: ignore[misc]
    """One file per compiled variant, named by a hash of everything that its code depends on.

    Numba's own cache doesn't notice edits of the files that a function's file calls into (numba#1833) and ignores jit
    options (numba#6845). Concurrent processes can damage its index. It raises if no folder is writable (numba#4908).
    Here the hash covers all kernel sources, versions, the processor, the variant and the argument types. A file appears
    whole, by renaming. A folder is skipped if it can't be read or written, or if another user may write to it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._enabled = True

    @property
    def cache_path(self) -> str:
        return str(cache_directories()[-1])  # the others can't be written to

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
            # If a file is missing, unreadable or damaged, the kernel is compiled.
            with contextlib.suppress(Exception):
                name = self._file_name(sig, target_context.codegen())
                payload = pickle.loads(_unsealed(_read(directory / name)))
                return CompileResultCacheImpl.rebuild(None, target_context, payload)
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        if not self._enabled or data.library.has_dynamic_globals:
            return
        content = _sealed(dumps(CompileResultCacheImpl.reduce(None, data)))
        for directory in cache_directories():
            with contextlib.suppress(OSError):  # not writable; or the sources are in a zip file and can't be hashed
                name = self._file_name(sig, data.codegen)
                directory.mkdir(mode=0o775, parents=True, exist_ok=True)
                _check_owner(directory, directory.stat())  # else the kernel could not be read again
                _write_whole(directory / name, content)
                _clear(directory)
                return


def _write_whole(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.touch(mode=0o664, exist_ok=False)  # other users' right to write would keep it from being read
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _clear(directory: Path) -> None:
    """Delete old temporary files, which `_write_whole` leaves behind if its process is killed."""
    for path in directory.glob("*.kernel." + 32 * "[0-9a-f]"):
        with contextlib.suppress(OSError):  # another process deleted it first
            if path.stat().st_mtime < time.time() - _STALE_SECONDS:
                path.unlink()
