"""What Linux is asked for while threads compute together, and that it is as before afterwards."""

from __future__ import annotations

import os
import re
import sys
import threading

import pytest
from conftest import compiled, make_data

import jitlogit
from jitlogit.compiler import scheduling as _scheduling
from jitlogit.compiler import team as _team

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no such settings")


def timer_slack():
    return _scheduling._library().prctl(_scheduling._GET_TIMER_SLACK, 0, 0, 0, 0)


def slice_of_thread():
    found = _scheduling._attributes()
    return None if found is None else found.runtime


def has_slices():
    """Whether the system lets threads choose; a sandbox may say no."""
    if not sys.platform.startswith("linux"):
        return False
    release = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
    return release >= (6, 12) and _scheduling._attributes() is not None


@pytest.fixture
def unusual():
    """Settings that no one else has chosen, for this thread."""
    slack, length = _scheduling.set_timer_slack(12_345), _scheduling.set_slice(1_234_567)
    yield timer_slack(), slice_of_thread()
    _scheduling.set_timer_slack(slack)
    _scheduling.set_slice(length)


@pytest.mark.skipif(not has_slices(), reason="an older Linux, or a sandbox")
def test_slices_are_what_they_are_set_to(unusual):
    assert unusual == (12_345, 1_234_567)
    with _scheduling.short_slices():
        assert slice_of_thread() == _scheduling._SLICE
    assert slice_of_thread() == 1_234_567
    assert _scheduling.set_slice(0) == 1_234_567
    assert slice_of_thread() == _scheduling._default_slice() != 0
    assert _scheduling.set_slice(1_000_000) == 0  # the default, which is left to the system again
    assert _scheduling.set_slice(0) == 1_000_000


@compiled
def test_threads_are_as_before_once_a_fit_is_over(monkeypatch, unusual):
    X, Y = make_data(2001, 20)
    monkeypatch.setattr(_team, "_LEAST_BYTES", 0)
    during = []

    def fail(control, members, helping):
        if not helping:
            raise ZeroDivisionError

    with _team.Team(lambda *arguments: during.append((timer_slack(), slice_of_thread())), 2) as run:
        run()
        assert (timer_slack(), slice_of_thread()) == unusual  # as callbacks see it
    with pytest.raises(ZeroDivisionError), _team.Team(fail, 2) as run:
        run()
    jitlogit.train_logistic_regression(X, Y, 0.1, 2, n_threads=2)
    assert (timer_slack(), slice_of_thread()) == unusual
    assert set(during) == {(_scheduling._TIMER_SLACK, _scheduling._SLICE if has_slices() else slice_of_thread())}


def test_slices_of_other_scheduling_stay_as_they_are():
    seen = []

    def work():  # in a thread that ends, since there is no way back for everyone
        os.sched_setscheduler(threading.get_native_id(), os.SCHED_BATCH, os.sched_param(0))
        with _scheduling.short_slices():
            seen.append((_scheduling.set_slice(1_000_000), os.sched_getscheduler(threading.get_native_id())))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(0, os.SCHED_BATCH)]


def test_an_unknown_processor_has_no_slices(monkeypatch):
    monkeypatch.setattr(_scheduling.platform, "machine", lambda: "abacus")
    assert _scheduling.set_slice(100_000) == 0
