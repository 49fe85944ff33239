"""Three ways to time the same fit must show the same rate. Takes two minutes, on a quiet machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_three_ways_to_time_agree():
    command = [sys.executable, Path(__file__).parent, "agreement", "--rounds", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.count("highest / lowest") == 4, done.stderr
    assert done.returncode == 0, done.stdout
