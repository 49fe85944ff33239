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

from jitlogit.compiler import cache
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


@pytest.mark.parametrize("part", [0.0, 0.001, 0.3, 0.6, 0.95])
def test_a_flipped_byte_is_compiled_anew(part, tmp_path):
    expected = run_python(FIT, NUMBA_CACHE_DIR=str(tmp_path))
    (path,) = tmp_path.rglob("*.kernel")
    content = bytearray(path.read_bytes())
    content[int(part * len(content))] ^= 0x10
    path.write_bytes(content)
    found = run_python(COMPILED, NUMBA_CACHE_DIR=str(tmp_path)).split()
    assert found[:-1] == expected.split()
    assert found[-1] == "1"
    assert run_python(COMPILED, NUMBA_CACHE_DIR=str(tmp_path)).split()[-1] == "0"


def test_an_edit_in_each_room_is_seen(tmp_path):
    shutil.copytree(SOURCE, tmp_path / "jitlogit", ignore=shutil.ignore_patterns("__pycache__"))
    code = "from jitlogit.compiler.cache import sources_stamp; print(sources_stamp())"

    def stamp():
        return run_python(code, cwd=tmp_path, PYTHONPATH=str(tmp_path))

    seen = {stamp()}
    rooms = ["compiler", *(f"kernels/{room}" for room in ("epochs", "passes", "simd", "steps", "storage"))]
    for room in rooms:
        file = min((tmp_path / "jitlogit" / room).glob("[a-z]*.py"))
        file.write_text(file.read_text() + "# edited\n")
        seen.add(stamp())
    assert len(seen) == 1 + len(rooms)


@pytest.mark.parametrize("folder", ["", "here", "./x/y"])
def test_a_relative_cache_home_is_ignored(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(cache.os, "access", lambda *_: False)  # the package's own can't be written
    monkeypatch.setenv("XDG_CACHE_HOME", folder)
    assert all(path.is_absolute() for path in cache.cache_directories())
    assert cache.cache_directories()[1] == Path.home() / ".cache" / "jitlogit"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_directories()[1] == tmp_path / "jitlogit"
    monkeypatch.setenv("XDG_CACHE_HOME", folder)
    monkeypatch.setenv("HOME", "")
    assert all(path.is_absolute() for path in cache.cache_directories())


def test_the_users_folder_is_left_alone_where_the_packages_own_can_be_written(monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    assert cache.cache_directories() == [SOURCE / "__pycache__"]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs Unix owners")
def test_files_of_other_owners_are_not_read(monkeypatch, tmp_path):
    path = tmp_path / "a.kernel"
    cache._write_whole(path, b"code")
    assert cache._content(path) == b"code"
    path.chmod(0o666)
    assert cache._content(path) is None
    path.chmod(0o600)
    owner = path.stat().st_uid
    monkeypatch.setattr(cache.os, "geteuid", lambda: owner + 1)
    monkeypatch.setattr(cache.os, "fstat", lambda file: os.stat_result((0o100600, 0, 0, 1, owner + 2, 0, 4, 0, 0, 0)))
    assert cache._content(path) is None


def test_temporary_files_that_were_left_over_are_cleared(tmp_path):
    old, fresh = tmp_path / "a.kernel.1", tmp_path / "b.kernel.2"
    for path in (old, fresh, tmp_path / "c.kernel"):
        path.touch()
    os.utime(old, (0, 0))
    cache._clear_temporaries(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.kernel.2", "c.kernel"]


def test_another_python_has_kernels_of_its_own(monkeypatch):
    cache.sources_stamp.cache_clear()
    here = cache.sources_stamp()
    cache.sources_stamp.cache_clear()
    monkeypatch.setattr(cache, "PYTHON", "another")
    assert cache.sources_stamp() != here
    cache.sources_stamp.cache_clear()


def test_flush_empties_the_cache_of_one_kernel(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    kept = epoch.serial._cache
    folder = Path(kept.cache_path)
    folder.mkdir()
    (folder / "epoch-1.kernel").touch()
    (folder / "gradient-1.kernel").touch()
    kept.flush()
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
