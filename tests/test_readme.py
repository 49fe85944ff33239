"""The README: its code runs and prints what it says, its commands, links and error texts are real, and it is short."""

from __future__ import annotations

import contextlib
import io
import re
import tomllib
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import slow_without_jit

import jitlogit
from jitlogit.tools import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.M | re.S)
#: Commands that nothing here runs; CI runs them, or they are about other machines.
INSTALLS = re.compile(r"python -m pip install (?P<what>\S+)|python -m pytest .*")


def test_it_is_short():
    assert len(README.encode()) <= 12_000
    assert max(map(len, re.sub(r"^\|.*$|^```.*?^```", "", README, flags=re.M | re.S).splitlines())) <= 120


def run_blocks(blocks):
    """Run blocks of Python one after the other; return the printed lines, and those that comments expect."""
    names, printed, expected = {}, io.StringIO(), []
    for block in blocks:
        expected += re.findall(r"^print\(.*\)  # (.*)$", block, re.M)
        with contextlib.redirect_stdout(printed):
            exec(compile(block, "README", "exec"), names)
    return printed.getvalue().splitlines(), expected


@slow_without_jit
def test_python_prints_what_comments_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    printed, expected = run_blocks([block for language, block in BLOCKS if language == "python"])
    assert printed == expected
    assert len(printed) >= 3
    assert {path.name for path in tmp_path.iterdir()} >= {"costs.png", "coefficients.png", "model.npz"}
    wrong, right = run_blocks(["print(1 + 1)  # 3\n"])
    assert wrong != right


def without_numbers(text):
    """Lines without digits, and without what grows with them."""
    return [re.sub(r"[\d.,]+", "0", re.sub(r"[ -]+", " ", line)).strip() for line in text.splitlines() if line.strip()]


@slow_without_jit
def test_the_first_command_prints_what_is_shown(capsys):
    (shown,) = [block for language, block in BLOCKS if language == "text"]
    assert cli.main(["compare", "--epochs", "2", "--batch-sizes", "32,full"]) == 0
    printed = without_numbers(capsys.readouterr().out)
    known = [line for line in without_numbers(shown) if line.strip("0 ")]  # the row of dots
    kinds = [line for line in known if not re.match(r"^(0|full) ", line)]
    missing = [line for line in kinds if line not in printed]
    assert missing == []
    assert len(kinds) >= 3


def commands():
    lines = [line for language, block in BLOCKS if not language for line in block.splitlines()]
    return [part.strip() for line in lines for part in line.split("&&")]


def test_commands_are_those_that_exist():
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert len(commands()) >= 6
    for command in commands():
        if command != "jitlogit compare" and not command.startswith("python -m benchmarks"):
            assert INSTALLS.fullmatch(command) or command.startswith("python -m pip install -e"), command
    for named in re.findall(r"python -m benchmarks ([a-z]\w+)", README):
        assert named in scripts
    for named in re.findall(r"pip install (?:-e )?'\.\[(.*?)\]'", README):
        assert set(named.split(",")) <= set(extras)


def test_links_lead_somewhere():
    anchors = {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)$", README, re.M)
    }
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(links) > 20
    for link in links:
        assert link[1:] in anchors if link.startswith("#") else (ROOT / link).exists(), link


def message_of(call):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            call()
        except (TypeError, ValueError) as error:
            return str(error)
    return str(told[0].message)


def raw_rows():
    rng = np.random.default_rng(0)
    return 1e4 * rng.standard_normal((100, 5)), rng.integers(0, 2, 100)


QUOTED = {
    "scaling": lambda: jitlogit.train_logistic_regression(*raw_rows(), 0.1, 10),
    "text": lambda: jitlogit.LogisticRegression().fit(
        pd.DataFrame({"age": [30.0, 40.0], "job": ["management", "services"]}), [0, 1]
    ),
    "threads": lambda: jitlogit.train_logistic_regression(*raw_rows(), 1e-9, 1, n_threads=10**6),
}


@pytest.mark.parametrize("name", QUOTED)
def test_error_texts_are_real(name):
    """Numbers differ: those of threads with the machine, those of rates with the data."""
    quotes = re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", README)
    assert any_number(message_of(QUOTED[name])) in [any_number(" ".join(quote.split())) for quote in quotes]


def any_number(text):
    return re.sub(r"[\d.]+(e-\d+)?", "0", text)
