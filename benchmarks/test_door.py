"""Tests of the one command: it lists and starts every script, and options of a shared name are the shared ones."""

from __future__ import annotations

import ast
import inspect
import os
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

import door
import options
import pytest

FOLDER = Path(__file__).parent
SCRIPTS = door.scripts()
SHARING = [name for name in SCRIPTS if name not in door._OWN_PARSERS]
#: Scripts whose shortest run takes minutes.
WITHOUT_QUICK_FORM = {"agreement", "gate", "planted"}


def parses(text):
    """Whether a source makes a parser, or adds options to one."""
    return bool(re.search(r"\bArgumentParser\(|\bdef add_options\b", text))


def test_every_script_is_listed(capsys):
    found = {path.stem for path in FOLDER.glob("*.py") if parses(path.read_text())}
    assert found - {"door", "options", "test_door"} == set(SCRIPTS)
    assert door.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, line in SCRIPTS.items():
        assert len(line) > 20
        assert any(shown.split() == [name, *line.split()] for shown in lines)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_has_help(name, capsys):
    with pytest.raises(SystemExit) as ended:
        door.main([name, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert SCRIPTS[name] in text
    assert f"python -m benchmarks {name}" in text


def own(text):
    """Names of options that a source defines itself."""
    calls = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    named = (node for node in calls if ast.unparse(node.func).endswith(".add_argument"))
    return {word.value for call in named for word in call.args if isinstance(word, ast.Constant)}


SHARED = own((FOLDER / "options.py").read_text())


def test_a_script_defines_no_option_of_a_shared_name():
    assert {"--size", "--rounds", "--threads", "--json", "--readme", "--data", "--sets", "base", "parts"} <= SHARED
    for name in SHARING:
        assert own((FOLDER / f"{name}.py").read_text()).isdisjoint(SHARED), name
    assert own('def f(p):\n    p.add_argument("-r", "--rounds", type=int)\n') & SHARED == {"--rounds"}


def test_each_shared_option_is_taken_by_a_script():
    texts = [(FOLDER / f"{name}.py").read_text() for name in SHARING]
    for name, _ in inspect.getmembers(options.Parser, inspect.isfunction):
        if name in vars(options.Parser):
            assert any(f"parser.{name}(" in text for text in texts), name


def test_quick_forms_are_of_options_that_there_are():
    for name in SCRIPTS:
        forms = door.quick_forms(name)
        assert bool(forms) == (name not in WITHOUT_QUICK_FORM), name
        if name in SHARING:
            parser = door.parser_of(name, __import__(name))
            for form in forms:
                parser.parse_args(shlex.split(form))


def toys(monkeypatch, **runs):
    """Scripts of these names that only call a function."""
    for name, run in runs.items():
        toy = types.ModuleType(name)
        toy.__doc__ = f"A toy, {name}."
        toy.QUICK, toy.run = ("--size 0.5 --json {folder}/it.json",), run
        toy.add_options = lambda parser: (parser.add_size("1"), parser.add_json())
        monkeypatch.setitem(sys.modules, name, toy)
    monkeypatch.setattr(door, "scripts", lambda: dict.fromkeys(runs, ""))


def test_quick_stops_at_the_first_failure(monkeypatch, capsys):
    ran = []

    def fine(given):
        options.write_json(given.json, given.size)
        ran.append(given.json.read_text())
        print("of the first")

    def worse(given):
        print("of the second")
        return 3

    toys(monkeypatch, first=fine, second=worse, third=fine)
    assert door.main(["--quick"]) == 1
    assert ran == ["0.5\n"]
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"first --size 0.5 --json {folder}/it.json: [\d.]+ s", lines[0])
    assert lines[1].startswith("second --size 0.5")
    assert lines[2] == "of the second"
    assert lines[3].startswith("FAILED with 3, ")
    assert len(lines) == 4
    assert door.main(["--quick", "third"]) == 0
    assert len(ran) == 2


def test_quick_names_what_it_cannot_try(capsys):
    assert door.main(["--quick", "gate"]) == 0
    assert capsys.readouterr().out == "gate: has no quick form\n"


def test_quick_shows_what_was_printed_before_an_exception(monkeypatch, capsys):
    def broken(given):
        print("so far")
        raise OSError("gone")

    toys(monkeypatch, first=broken)
    with pytest.raises(OSError, match="gone"):
        door.main(["--quick"])
    assert re.search(r"so far\n.*FAILED with an exception", capsys.readouterr().out)


def test_an_unknown_name_is_an_error(capsys):
    assert door.main(["grdi"]) == 2
    assert door.main(["--quick", "grid", "grdi"]) == 2
    assert capsys.readouterr().err.startswith("no such benchmark: grdi; there are ablation, ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["regimes", "--size", "0"], "--size: a part of the full size is a number above 0, as 0.02 is; got '0'"),
        (["regimes", "--size", "nan"], "got 'nan'"),
        (["regimes", "--size", "4MB"], "got '4MB'"),
        (["regimes", "--rounds", "0"], "--rounds: expected a whole number of at least 1, got '0'"),
        (["regimes", "threds"], "no such part: 'threds'; there are compact; "),
        (["grid", "--round", "3"], "unrecognized arguments: --round 3"),
    ],
)
def test_errors_say_what_was_expected(words, message, capsys):
    with pytest.raises(SystemExit) as ended:
        door.main(words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_threads_beyond_those_of_numba_are_an_error():
    with pytest.raises(SystemExit, match=r"--threads: Numba has \d+ here, got 100000"):
        door.main(["roofline", "--threads", "100000"])


def test_tables_are_replaced_between_their_markers(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("a\n<!-- t -->\nold\n<!-- t: end -->\nb\n")
    options.replace_table(path, "t", "t: end", "new")
    assert path.read_text() == "a\n<!-- t -->\nnew\n<!-- t: end -->\nb\n"
    with pytest.raises(SystemExit, match="has no markers"):
        options.replace_table(path, "other", "other: end", "new")


@pytest.mark.parametrize("command", [["-m", "benchmarks"], [str(FOLDER)]])
def test_as_a_command(command):
    """As a package from the checkout, and as a folder, in which way scripts start each other."""
    done = subprocess.run(
        [sys.executable, *command, "roofline", "--size", "0.01", "--threads", "1"],
        cwd=FOLDER.parent,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.fullmatch(r"1 threads: [\d.]+ GB/s\n", done.stdout), done.stderr
