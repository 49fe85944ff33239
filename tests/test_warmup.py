"""What is said before a kernel is compiled, and warm-up: what it takes, does, and finds missing."""

from __future__ import annotations

import logging
import math
import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from conftest import SOURCE, compiled

import jitlogit
from jitlogit.compiler import news, threads
from jitlogit.compiler.jit import kernel
from jitlogit.tools import warmup as warm
from jitlogit.tools.first_fits import Step

_FIT = """
import numpy as np, jitlogit
X = np.linspace(-1, 1, 12).reshape(6, 2)
jitlogit.train_logistic_regression(X, [0, 0, 1, 0, 1, 1], 0.5, 5)
jitlogit.train_logistic_regression(X[:5], [0, 0, 1, 0, 1], 0.5, 5)
"""


def _run(arguments, cache, **environment):
    given = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(SOURCE.parent)} | environment
    return subprocess.run([sys.executable, *arguments], env=given, capture_output=True, text=True, check=False)


@compiled
def test_a_line_before_a_kernel_is_compiled_once(tmp_path):
    first = _run(["-c", _FIT], tmp_path)
    line = "jitlogit: compiling serial_epoch for float64 (this variant once per machine, some seconds)\n"
    assert (first.returncode, first.stdout, first.stderr) == (0, "", line)
    second = _run(["-c", _FIT], tmp_path)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


def test_nothing_is_said_without_the_jit(tmp_path):
    done = _run(["-c", _FIT], tmp_path, NUMBA_DISABLE_JIT="1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture
def log(monkeypatch):
    """Our logger as in a script that hasn't set up logging; pytest has, for all other loggers."""
    monkeypatch.setattr(news, "_LOG", logging.Logger("jitlogit"))
    return news._LOG


@pytest.mark.parametrize(("level", "shown"), [("NOTSET", True), ("INFO", True), ("WARNING", False), ("ERROR", False)])
def test_a_level_silences_a_script(level, shown, log, capsys):
    log.setLevel(level)
    news._say("compiling")
    assert capsys.readouterr() == ("", "jitlogit: compiling\n" if shown else "")


@pytest.mark.parametrize(("level", "shown"), [("INFO", True), ("WARNING", False)])
def test_users_of_logging_get_a_record_by_their_levels(level, shown, log, capsys, tmp_path):
    handler = logging.FileHandler(tmp_path / "log")
    log.addHandler(handler)
    log.setLevel(level)
    news._say("compiling")
    handler.close()
    assert (tmp_path / "log").read_text() == ("compiling\n" if shown else "")
    assert capsys.readouterr() == ("", "")


def test_the_live_line_of_a_progress_bar_is_cleared(log, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    news._say("compiling")
    assert capsys.readouterr().err == "\r\033[Kjitlogit: compiling\n"


def _twice(values, members):
    for i in range(values.size):
        values[i] *= 2


@compiled
def test_a_kernel_that_is_forbidden_to_compile(tmp_path, monkeypatch, log, capsys):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(news, "_KERNELS", [])
    twice, values = kernel(_twice), np.ones(3, np.float32)
    with news.forbidden(), pytest.raises(news.NotCompiled, match=r"^_twice for float32$"):
        twice(values, 1)
    assert capsys.readouterr().err == ""
    twice(values, 1)
    twice(values, 1)
    with news.forbidden():
        twice(values, 1)
        with pytest.raises(news.NotCompiled, match="float64"):
            twice(values.astype(float), 1)
    assert values.tolist() == [8, 8, 8]
    assert capsys.readouterr().err.count("compiling _twice for float32") == 1


@compiled
def test_a_check_names_what_is_missing_and_compiles_nothing(tmp_path):
    check = ["-m", "jitlogit", "warmup", "--check", "--dtypes", "float32"]
    nothing = _run(check, tmp_path)
    assert nothing.returncode == 1, nothing.stderr
    assert "serial_epoch for float32, for train_logistic_regression, float32, C order" in nothing.stdout
    assert nothing.stderr == ""
    assert list(tmp_path.rglob("*.kernel")) == []


def test_everything_includes_the_estimators_only_with_scikit_learn(monkeypatch):
    names = {}
    for there in (True, False):
        monkeypatch.setattr(warm, "find_spec", lambda name, there=there: name if there else None)
        monkeypatch.setattr(warm, "JIT_DISABLED", False)
        monkeypatch.setattr(
            warm, "_run", lambda steps, there=there: names.update({there: {s.name for s in steps}}) or {}
        )
        assert jitlogit.warmup("float32", everything=True).estimators is there
    assert names[False] < names[True]
    for model in ("LogisticRegression", "MiniBatchLogisticRegression", "partial_fit"):
        for n_classes in (2, 3):
            for weights in ("", ", weights"):
                for storage in ("C order", "F order", "sparse"):
                    for members in ("one thread", "several threads"):
                        name = f"{model}, {n_classes} classes{weights}, float32, {storage}, {members}"
                        assert name in names[True]
                        assert name not in names[False]


def test_a_missing_kernel_is_named_with_what_needs_it(monkeypatch):
    def lacks():
        raise news.NotCompiled("epoch for int8")

    steps = [Step("one", lacks), Step("whole", lambda: None), Step("other", lacks)]
    monkeypatch.setattr(warm, "JIT_DISABLED", False)
    monkeypatch.setattr(warm, "_steps", lambda *_: iter(steps))
    found = jitlogit.warmup("int8", check=True)
    assert found.missing == {"epoch for int8": ["one", "other"]}
    assert "epoch for int8, for one" in str(found)
    assert warm._missing(steps[1:2]) == {}
    monkeypatch.setattr(warm, "_steps", lambda *_: iter(steps[1:2]))
    assert str(jitlogit.warmup("int8", check=True)).startswith("no kernel is missing")


@compiled
def test_few_bytes_may_pass_for_many(monkeypatch):
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 2)
    monkeypatch.setattr(threads, "_layer", lambda: None)
    assert threads.members_for(None, 8, 10) == 1
    with threads.pretended(math.inf):
        assert threads.members_for(None, 8, 10) == 2
    with threads.pretended(0):
        assert threads.members_for(None, 8, 1e9) == 1
    assert threads.members_for(None, 8, 1e9) == 2
