"""Three ways to time the same fit must show the same rate. Takes two minutes, on a quiet machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_three_ways_to_time_agree():
    script = Path(__file__).with_name("agreement.py")
    done = subprocess.run([sys.executable, script, "--rounds", "2"], capture_output=True, text=True, check=False)
    assert done.stdout.count("highest / lowest") == 4, done.stderr
    assert done.returncode == 0, done.stdout
