"""The one command of all benchmarks: `python -m benchmarks`.

A script is a file of this folder with the functions `add_options(parser)` and `run(given)`, and mostly `QUICK`, command
lines that try it out in seconds. `run` returns the exit code; None is 0.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import shlex
import sys
import tempfile
import time
import warnings
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType

from options import Parser

_FOLDER = Path(__file__).parent
# Scripts whose `main()` parses `sys.argv` itself, and their quick forms.
_OWN_PARSERS: dict[str, tuple[str, ...]] = {
    "gate": (),
    "planted": (),
    "report": ("--grid {folder}/grid.json --out {folder}/report",),
}
_USAGE = """\
python -m benchmarks NAME [options]      run one; NAME --help shows its options
python -m benchmarks --quick [NAME ...]  try out all, or some, in one process; stop at the first failure
"""


def scripts() -> dict[str, str]:
    """Name to first line of the docstring of each script. None is imported, which takes seconds."""
    found = {}
    for path in sorted(_FOLDER.glob("*.py")):
        tree = ast.parse(path.read_text())
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        if path.stem in _OWN_PARSERS or {"add_options", "run"} <= functions:
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def parser_of(name: str, script: ModuleType) -> Parser:
    parser = Parser(
        prog=f"python -m benchmarks {name}",
        description=script.__doc__,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    script.add_options(parser)
    return parser


def start(name: str, arguments: Sequence[str]) -> int:
    """Run a script; return its exit code."""
    script = importlib.import_module(name)
    with warnings.catch_warnings():
        if name in _OWN_PARSERS:
            sys.argv = [f"python -m benchmarks {name}", *arguments]
            return int(script.main() or 0)
        given = parser_of(name, script).parse_args(arguments)
        if getattr(given, "threads", None):
            _limit_threads(given.threads)
        return int(script.run(given) or 0)


def _limit_threads(count: int) -> None:
    import numba

    most = numba.config.NUMBA_NUM_THREADS
    if count > most:
        raise SystemExit(f"--threads: Numba has {most} here, got {count}; NUMBA_NUM_THREADS sets how many it starts")
    numba.set_num_threads(count)


def quick_forms(name: str) -> tuple[str, ...]:
    """Command lines that try a script out, without its name; `{folder}` is a folder for what they write."""
    forms = _OWN_PARSERS[name] if name in _OWN_PARSERS else getattr(importlib.import_module(name), "QUICK", ())
    return tuple(forms)


def quick(names: Iterable[str]) -> int:
    """Run the quick forms of scripts, with a line for each; after a failure, print what it printed and return 1."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            forms = quick_forms(name)
            if not forms:
                print(f"{name}: has no quick form", flush=True)
            for form in forms:
                began, printed = time.perf_counter(), io.StringIO()
                code: object = "an exception"
                print(f"{name} {form}", end=": ", flush=True)
                try:
                    with contextlib.redirect_stdout(printed):
                        code = start(name, shlex.split(form.format(folder=folder)))
                except SystemExit as error:
                    code = error.code or 0
                finally:
                    if code:
                        print(f"\n{printed.getvalue()}FAILED with {code}", end=", ")
                    print(f"{time.perf_counter() - began:.1f} s", flush=True)
                if code:
                    return 1
    return 0


def main(arguments: Sequence[str]) -> int:
    known = scripts()
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE)
        for name, line in known.items():
            print(f"{name:12s} {line}")
        return 0
    first, *rest = arguments
    wanted = rest if first == "--quick" else [first]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    return quick(wanted or known) if first == "--quick" else start(first, rest)
