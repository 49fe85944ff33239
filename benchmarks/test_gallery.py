"""Each script of the gallery runs without a warning, and draws one picture, which is whole and not blank."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

mpl.use("agg")
SCRIPTS = sorted((Path(__file__).parent / "gallery").glob("*.py"))
MOST_LINES = 39


def complaint(text):
    """What a script lacks: few lines, words on what one sees and learns, nothing of jitlogit but its public names."""
    words = ast.get_docstring(ast.parse(text)) or ""
    imported = [
        line.strip() for line in text.splitlines() if line.strip().startswith(("from jitlogit", "import jitlogit"))
    ]
    if len(text.splitlines()) > MOST_LINES:
        return "too long"
    if "One sees" not in words or "One learns" not in words:
        return "says too little"
    return "" if imported == ["import jitlogit"] and "jitlogit._" not in text else "uses the inside"


def fault(path):
    """What is wrong with a picture: an area of which nothing is drawn, or something that its edge cuts off."""
    dark = mpl.image.imread(path)[..., :3].min(axis=-1) < 0.98
    for rows in np.array_split(dark, 2):
        for part in np.array_split(rows, 2, axis=1):
            if not 0.01 < part.mean() < 0.9:
                return "blank"
    edge = np.concatenate([dark[0], dark[-1], dark[:, 0], dark[:, -1]])
    return "cut off" if edge.any() else ""


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.stem for script in SCRIPTS])
def test_the_script_draws_a_picture(script, tmp_path):
    command = [sys.executable, "-W", "error", script, tmp_path]
    subprocess.run(command, env={**os.environ, "MPLBACKEND": "agg"}, check=True, timeout=300)
    assert [path.name for path in tmp_path.iterdir()] == [f"{script.stem}.png"]
    assert fault(tmp_path / f"{script.stem}.png") == ""
    assert complaint(script.read_text()) == ""


def test_there_are_six():
    assert len(SCRIPTS) == 6


def test_short_scripts_of_public_names_pass():
    good = '"""One sees a line. One learns nothing."""\nimport jitlogit\n'
    assert complaint(good) == ""
    assert complaint(good + "\n" * MOST_LINES) == "too long"
    assert complaint("import jitlogit") == "says too little"
    assert complaint(good + "from jitlogit.tools import plots\n") == "uses the inside"


def test_blank_pictures_and_cut_ones_are_seen(tmp_path):
    figure = Figure()
    figure.savefig(tmp_path / "blank.png")
    assert fault(tmp_path / "blank.png") == "blank"
    ax = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    ax.plot(np.sin(np.arange(500)))
    figure.savefig(tmp_path / "whole.png")
    assert fault(tmp_path / "whole.png") == ""
    ax.set_xlabel("too far\n" * 9)
    figure.savefig(tmp_path / "cut.png")
    assert fault(tmp_path / "cut.png") == "cut off"
