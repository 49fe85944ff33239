"""Compiled kernels on disk: found again, never stale, and never in the way."""

from __future__ import annotations

import os
import pickle
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import numba
import pytest
from conftest import SOURCE, compiled, run_python

from jitlogit.compiler import cache
from jitlogit.compiler.jit import kernel
from jitlogit.kernels.epochs.epoch import epoch

pytestmark = compiled
unix = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs Unix permissions")

FIT = """
import numpy as np, jitlogit
X = np.linspace(-1, 1, 12).reshape(6, 2)
W, b, _ = jitlogit.train_logistic_regression(X, [0, 0, 1, 0, 1, 1], 0.5, 5)
print(W.tobytes().hex(), b.hex())
"""
COMPILED = (
    FIT
    + """
from jitlogit.kernels.epochs.epoch import epoch
print(epoch.compilations)
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


@unix
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


def test_flipped_bytes_are_never_run(tmp_path):
    """In the checksum, in the pickle's head and end, and in machine code."""
    code = """
import sys
import time
from pathlib import Path
from jitlogit.compiler.jit import kernel
def double(x):
    return 2 * x
assert kernel(double)(21) == 42
(path,) = Path(sys.argv[1]).rglob("*.kernel")
whole = path.read_bytes()
places = [0, 31, 32, 33, *range(64, len(whole), len(whole) // 20), len(whole) - 1]
for place in places:
    changed = bytearray(whole)
    changed[place] ^= 0x10
    path.write_bytes(changed)
    for misses in (1, 0):  # compiled anew, and kept
        again = kernel(double)
        assert again(21) == 42
        assert sum(again.stats.cache_misses.values()) == misses, (place, misses)
print(len(places))
"""
    assert int(run_python(f"import sys; sys.argv[1:] = [{str(tmp_path)!r}]" + code, NUMBA_CACHE_DIR=str(tmp_path))) > 20


def test_what_was_written_without_a_checksum_is_refused():
    assert cache._unsealed(cache._sealed(b"payload")) == b"payload"
    for content in (b"", b"short", b"payload" * 20, cache._sealed(b"payload")[:-1]):
        with pytest.raises(ValueError, match="damaged"):
            cache._unsealed(content)


def test_another_python_has_kernels_of_its_own(monkeypatch):
    cache.sources_stamp.cache_clear()
    here = cache.sources_stamp()
    cache.sources_stamp.cache_clear()
    monkeypatch.setattr(cache, "PYTHON", "another")
    assert cache.sources_stamp() != here
    cache.sources_stamp.cache_clear()


def test_the_stamp_covers_every_room_of_kernels(tmp_path, monkeypatch):
    copy = shutil.copytree(SOURCE, tmp_path / "jitlogit", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(cache, "__file__", str(copy / "compiler" / "cache.py"))
    stamp = cache.sources_stamp.__wrapped__
    seen = {stamp()}
    rooms = ["compiler", *(f"kernels/{room}" for room in ("epochs", "passes", "simd", "steps", "storage"))]
    for room in rooms:
        edited = min((copy / room).glob("[a-z]*.py"))
        edited.write_text(edited.read_text() + "# edited")
        seen.add(stamp())
    assert len(seen) == 1 + len(rooms)


def test_flush_empties_the_cache_of_one_kernel(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    kept = epoch.serial._cache
    folder = Path(kept.cache_path)
    folder.mkdir()
    (folder / "serial_epoch-1.kernel").touch()
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


SMALL = """
from jitlogit.compiler.jit import kernel
def double(x):
    return 2 * x
double = kernel(double)
assert double(21) == 42
print(sum(double.stats.cache_misses.values()))
"""


class Planted:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def plant(path, marker):
    path.write_bytes(cache._sealed(pickle.dumps(Planted(marker))))


@pytest.fixture
def unwritable(tmp_path):
    """An environment with a package whose own cache folder can't be made."""
    copy = shutil.copytree(SOURCE, tmp_path / "package" / "jitlogit", ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "__pycache__").touch()
    return {"PYTHONPATH": str(copy.parent), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(tmp_path / "home")}


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="about XDG_CACHE_HOME, which isn't used there")
def test_nothing_relative_is_read_unasked(tmp_path, unwritable):
    assert run_python(SMALL, **unwritable, XDG_CACHE_HOME=str(tmp_path / "xdg")).split() == ["1"]
    (made,) = tmp_path.rglob("*.kernel")
    assert made.parent == tmp_path / "xdg" / "jitlogit"
    here, marker = tmp_path / "here", tmp_path / "marker"
    for below in ("", "relative", "relative/.cache"):
        folder = here / below / "jitlogit"
        folder.mkdir(parents=True)
        plant(folder / made.name, marker)
    for value in ("", "relative", "./relative"):
        run_python(SMALL, cwd=here, **unwritable, XDG_CACHE_HOME=value)
        assert not marker.exists()
    assert files(tmp_path / "home" / ".cache" / "jitlogit") == [made.name]  # the default, as if it weren't set
    for home in ("relative", "./relative"):
        run_python(SMALL, cwd=here, **unwritable | {"HOME": home}, XDG_CACHE_HOME="")
        assert not marker.exists()
    run_python(SMALL, cwd=here, **unwritable, NUMBA_CACHE_DIR="relative")  # asked for, and a planted pickle is found
    assert marker.exists()


def test_the_users_cache_is_for_packages_that_cant_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    user = cache._user_directory()
    assert user.is_absolute()
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "compiler" / "cache.py"))
    assert cache.cache_directories() == [tmp_path / "__pycache__"]
    (tmp_path / "file").touch()
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "file" / "compiler" / "cache.py"))
    assert cache.cache_directories() == [tmp_path / "file" / "__pycache__", user]
    monkeypatch.setattr(cache, "_user_directory", lambda: None)
    assert cache.cache_directories() == [tmp_path / "file" / "__pycache__"]


@unix
@pytest.mark.parametrize("others", ["nobody", "own the file", "own the folder", "write the file", "write the folder"])
def test_a_file_of_another_user_is_not_run(others, tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert kernel(_double)(2) == 4
    (path,) = tmp_path.rglob("*.kernel")
    marker = tmp_path / "marker"
    plant(path, marker)
    target = path.parent if "folder" in others else path
    if "write" in others:
        target.chmod(target.stat().st_mode | stat.S_IWOTH)
    if "own" in others:
        check = cache._check_owner

        def with_another_owner(path, status):
            fields = list(status)
            fields[stat.ST_UID] = os.geteuid() + 1 if path == target else fields[stat.ST_UID]
            check(path, os.stat_result(fields))

        monkeypatch.setattr(cache, "_check_owner", with_another_owner)
    assert kernel(_double)(2) == 4
    assert marker.exists() == (others == "nobody")


@unix
def test_files_beside_the_package_may_be_the_administrators(tmp_path, monkeypatch):
    """Whoever writes there can change the sources; so a package that is warmed up for all users is read."""
    monkeypatch.setattr(cache, "__file__", str(tmp_path / "compiler" / "cache.py"))
    folder = tmp_path / "__pycache__"
    folder.mkdir()
    (folder / "x.kernel").write_bytes(b"content")
    monkeypatch.setattr(os, "geteuid", lambda: (tmp_path.stat().st_uid or 1) + 1)
    assert cache._read(folder / "x.kernel") == b"content"


@unix
def test_kernels_are_kept_whatever_the_umask(tmp_path):
    code = "import os; os.umask(0)\n" + SMALL
    folder = tmp_path / "cache"
    assert run_python(code, NUMBA_CACHE_DIR=str(folder)).split() == ["1"]
    assert run_python(code, NUMBA_CACHE_DIR=str(folder)).split() == ["0"]
    assert not any(path.stat().st_mode & stat.S_IWOTH for path in folder.rglob("*"))


def test_what_a_killed_process_left_is_deleted_after_an_hour(tmp_path, monkeypatch):
    """A fresh one stays, because another process may be writing it; so does what the cache didn't write."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    folder = tmp_path / "jitlogit"
    killed = _written_in_part(folder / "epoch-1.kernel", monkeypatch)
    fresh = _written_in_part(folder / "epoch-2.kernel", monkeypatch)
    others = [folder / "epoch-3.kernel", folder / "epoch-4.kernel.backup", folder / "notes"]
    for path in others:
        path.touch()
    now = time.time()
    for path in (killed, *others):
        os.utime(path, (now - 3700, now - 3700))
    os.utime(fresh, (now - 3500, now - 3500))
    assert kernel(_double)(2) == 4
    assert not killed.exists()
    assert fresh.exists()
    assert all(path.exists() for path in others)


def _written_in_part(path, monkeypatch):
    """The temporary file that a write leaves behind if the process is killed before its end."""
    path.parent.mkdir(exist_ok=True)
    before = set(path.parent.iterdir())
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", lambda *paths: None)
        patched.setattr(Path, "unlink", lambda *arguments, **options: None)
        cache._write_whole(path, b"content")
    (left,) = set(path.parent.iterdir()) - before
    return left
