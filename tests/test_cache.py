"""Compiled kernels on disk: found again, never stale, and never in the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from conftest import SOURCE, compiled, run_python

from jitlogit.compiler import jit as _jit
from jitlogit.compiler.jit import kernel
from jitlogit.kernels.epochs.epoch import epoch

pytestmark = compiled

FIT = """
import numpy as np, jitlogit
X = np.linspace(-1, 1, 12).reshape(6, 2)
W, b, _ = jitlogit.train_logistic_regression(X, [0, 0, 1, 0, 1, 1], 0.5, 5)
print(W.tobytes().hex(), b.hex())
"""
COMPILED = (
    FIT
    + """
from jitlogit.kernels.epochs.epoch import epoch, small_epoch, turned_epoch
print(epoch.compilations + sum(sum(kernel.stats.cache_misses.values()) for kernel in (small_epoch, turned_epoch)))
"""
)


def files(folder):
    return sorted(path.name for path in folder.rglob("*.kernel"))


def test_a_second_process_compiles_nothing(tmp_path):
    first = run_python(COMPILED, NUMBA_CACHE_DIR=str(tmp_path)).split()
    assert first[-1] == "1"
    kept = files(tmp_path)
    assert len(kept) == 1
    second = run_python(COMPILED, NUMBA_CACHE_DIR=str(tmp_path)).split()
    assert second[-1] == "0"
    assert second[:-1] == first[:-1]
    assert files(tmp_path) == kept


def test_an_edit_of_any_kernel_file_is_seen(tmp_path):
    """The edited file is one that the entry point calls into, where Numba's own cache would not look."""
    shutil.copytree(SOURCE, tmp_path / "jitlogit", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {"PYTHONPATH": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    before = run_python(FIT, cwd=tmp_path, **environment)
    update = tmp_path / "jitlogit" / "kernels" / "steps" / "update.py"
    text = update.read_text()
    assert "- rate *" in text
    stat = update.stat()
    update.write_text(text.replace("- rate *", "+ rate *"))
    os.utime(update, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # same size, same time
    after = run_python(FIT, cwd=tmp_path, **environment)
    assert after != before
    assert len(files(tmp_path)) == 2


def test_no_writable_folder(tmp_path):
    """A cache folder that can't exist, below a file."""
    (tmp_path / "file").touch()
    out = run_python(FIT, NUMBA_CACHE_DIR=str(tmp_path / "file" / "cache"))
    assert out == run_python(FIT)


def test_neither_package_nor_home_writable(tmp_path):
    shutil.copytree(SOURCE, tmp_path / "jitlogit", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "jitlogit" / "__pycache__").touch()  # a file in the folder's place
    (tmp_path / "home").touch()
    out = run_python(
        FIT,
        cwd=tmp_path,
        PYTHONPATH=str(tmp_path),
        PYTHONDONTWRITEBYTECODE="1",
        HOME=str(tmp_path / "home"),
        XDG_CACHE_HOME=str(tmp_path / "home"),
    )
    assert out == run_python(FIT)
    assert files(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs Unix permissions")
def test_a_read_only_cache_is_read(tmp_path):
    run_python(FIT, NUMBA_CACHE_DIR=str(tmp_path))
    (folder,) = tmp_path.iterdir()
    folder.chmod(0o555)
    try:
        assert run_python(COMPILED, NUMBA_CACHE_DIR=str(tmp_path)).split()[-1] == "0"
    finally:
        folder.chmod(0o755)


def test_a_damaged_file_is_compiled_anew(tmp_path):
    expected = run_python(FIT, NUMBA_CACHE_DIR=str(tmp_path))
    (path,) = tmp_path.rglob("*.kernel")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert run_python(FIT, NUMBA_CACHE_DIR=str(tmp_path)) == expected
    assert len(path.read_bytes()) > len(whole) // 2


def test_another_python_has_kernels_of_its_own(monkeypatch):
    _jit.sources_stamp.cache_clear()
    here = _jit.sources_stamp()
    _jit.sources_stamp.cache_clear()
    monkeypatch.setattr(_jit, "PYTHON", "another")
    assert _jit.sources_stamp() != here
    _jit.sources_stamp.cache_clear()


def test_flush_empties_the_cache_of_one_kernel(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    cache = epoch.serial._cache
    folder = Path(cache.cache_path)
    folder.mkdir()
    (folder / "epoch-1.kernel").touch()
    (folder / "gradient-1.kernel").touch()
    cache.flush()
    assert files(tmp_path) == ["gradient-1.kernel"]


def test_a_disabled_cache_neither_reads_nor_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    double = kernel(_double)
    double._cache.disable()
    assert double(2) == 4
    assert files(tmp_path) == []
    double._cache.enable()
    assert double(2.0) == 4
    assert len(files(tmp_path)) == 1


def _double(x):
    return 2 * x


def test_many_processes_at_once(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    children = [
        subprocess.Popen([sys.executable, "-c", FIT], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    outputs = {child.communicate(timeout=240)[0] for child in children}
    assert [child.returncode for child in children] == [0] * 4
    assert len(outputs) == 1
    assert len(files(tmp_path)) == 1
    assert not list(tmp_path.rglob("*.kernel.*"))  # nothing half-written is left


def test_importing_compiles_nothing():
    code = """
import numba.core.event as event
with event.install_recorder("numba:compile") as recorder:
    import jitlogit
print(len(recorder.buffer))
"""
    assert run_python(code).split() == ["0"]
