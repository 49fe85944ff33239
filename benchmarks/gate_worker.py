"""The gate's worker: a process that runs cases on request, with one revision of the package.

`gate.py` starts it with the folder in which the revision is installed and the folder that holds the data. Requests and
answers are lines of JSON on standard input and output.
"""

from __future__ import annotations

import ctypes
import gc
import hashlib
import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import cases

# Sections of an object file that hold constants of the code, such as coefficients. Others hold messages with the
# names of files and the numbers of lines.
_CONSTANTS = ".rodata.cst"


def peak_of(run: Callable[[], Any]) -> int | None:
    """Bytes by which resident memory rose at most during a call, None where the system doesn't say."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        run()
        return max(0, _status("VmHWM") - before)
    except (OSError, AttributeError, StopIteration):
        return None


def _status(word: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{word}:"))


def machine_code(run: Callable[[], Any]) -> str | None:
    """Hash of the machine code of all Numba functions that a call enters; None if it can't be known.

    All compiled variants are forgotten first, so that the call loads its own from Numba's cache. Object files hold
    zeros where addresses will be written. So the hash depends on no address, nor on the folder of the sources.
    """
    try:
        from llvmlite.binding.object_file import ObjectFileRef
        from numba.core.codegen import Codegen
        from numba.core.dispatcher import Dispatcher
    except ImportError:
        return None
    objects = []

    def load(codegen: Any, serialized: Any) -> Any:
        objects.append(serialized)
        return plain_load(codegen, serialized)

    try:
        dispatchers = [found for found in gc.get_objects() if issubclass(type(found), Dispatcher)]
        for dispatcher in dispatchers:
            dispatcher._reset_overloads()
            dispatcher.overloads.clear()
        plain_load = Codegen.unserialize_library
        with mock.patch.object(Codegen, "unserialize_library", load):
            run()
        variants = sum(len(dispatcher.overloads) for dispatcher in dispatchers)
        digests = [_digest(ObjectFileRef.from_data(data[0])) for _, kind, data in objects if kind == "object"]
    except Exception:  # these are Numba's private parts, and no verdict depends on them
        return None
    if not variants or variants != len(digests):  # some were compiled, not loaded
        return None
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def _digest(compiled: Any) -> str:
    digest = hashlib.sha256()
    for section in compiled.sections():
        if section.is_text() or _CONSTANTS in str(section.name()):  # bytes, text or None, by the version
            digest.update(section.data())
    return digest.hexdigest()


class Runs:
    """Prepared cases of one revision."""

    def __init__(self, package: Any, folder: Path) -> None:
        self._package = package
        self._folder = folder
        self._runs: dict[str, Callable[[], Any]] = {}

    def prepare(self, name: str) -> dict[str, Any]:
        self._runs[name] = cases.prepare(self._package, cases.CASES[name], self._folder)
        return {}

    def measure(self, name: str) -> dict[str, Any]:
        case, run = cases.CASES[name], self._runs[name]
        return {
            "peak": peak_of(run),
            "input": cases.input_bytes(case, self._folder),
            "cost": cases.cost_of(case, self._folder, run),
        }

    def time(self, name: str) -> dict[str, Any]:
        run, calls = self._runs[name], cases.CASES[name].calls
        start = time.perf_counter()
        for _ in range(calls):
            run()
        return {"seconds": time.perf_counter() - start}

    def code(self, name: str) -> dict[str, Any]:
        return {"code": machine_code(self._runs[name])}

    def answer(self, do: str, name: str) -> dict[str, Any]:
        try:
            return {"prepare": self.prepare, "measure": self.measure, "time": self.time, "code": self.code}[do](name)
        except Exception as error:  # a revision's error is its result
            return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    installed, folder = sys.argv[1], Path(sys.argv[2])
    sys.path.insert(0, installed)
    package = importlib.import_module(cases.PACKAGE)
    if not Path(str(package.__file__)).is_relative_to(installed):
        raise SystemExit(f"{cases.PACKAGE} came from {package.__file__}, not from {installed}")
    runs = Runs(package, folder)
    for line in sys.stdin:
        print(json.dumps(runs.answer(*json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
