"""The command line: reads files, runs `compare` or `warmup`, prints tables and writes pictures and pages."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..data.validation import bfloat16, check_count
from . import plots
from .comparing.compare import compare, generate_data, prepared
from .comparing.comparison import NOT_JUDGED, NOT_OK, OK
from .comparing.derivation import compare_steps
from .comparing.rivals import RIVALS
from .warmup import warmup


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status.

    0; 1 for missing kernels, a verdict or a step that is NOT OK; 2 for an error, which is printed, and for a comparison
    of which nothing could be judged.
    """
    arguments = _parser().parse_args(argv)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = lambda message, *_: print(f"jitlogit: warning: {message}", file=sys.stderr)
        try:
            return int(arguments.run(arguments))
        except (ValueError, TypeError, ImportError, OSError) as error:
            print(f"jitlogit: error: {error}", file=sys.stderr)
            return 2


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Help that shows defaults, but not those that say nothing: None, False and no names."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return super()._get_help_string(action) if action.default else action.help


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="jitlogit", description="Logistic regression by gradient descent.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "compare",
        help="train the NumPy reference and the Numba kernels on the same data and compare them",
        formatter_class=_Help,
    )
    command.set_defaults(run=_compare)
    add = command.add_argument
    add("--data", type=Path, metavar="FILE", help=".npz with X and y, .npy (with --labels) or .csv; default: generated")
    add("--labels", type=Path, metavar="FILE", help=".npy file of the labels of a .npy file")
    add("--target", metavar="COLUMN", help="label column of a .csv file, by name or position from 0; default: the last")
    add("--test-size", type=float, default=0.2, metavar="FRACTION", help="rows kept for the test accuracy")
    add("--batch-sizes", type=_batch_sizes, default="1,32,256,4096,full", metavar="LIST", help="comma-separated")
    add("--epochs", type=int, default=3, metavar="N", help="passes over the training rows for each batch size")
    add("--learning-rate", type=float, default=0.01, metavar="RATE", help="step of an update")
    add("--dtype", choices=("float32", "float64"), help="precision to train in; default: the data's")
    add("--threads", type=int, metavar="N", help="threads of the Numba kernels; default: all")
    add("--standardize", action="store_true", help="shift and scale the features to mean 0 and variance 1")
    add("--rivals", nargs="+", default=(), choices=RIVALS, metavar="NAME", help=f"run too: {', '.join(RIVALS)}")
    add("--plot", type=Path, metavar="FILE", help="write a picture: cost, growth of differences, throughput")
    add("--html", type=Path, metavar="FILE", help="write tables and picture as one page that needs no network")
    add("--json", type=Path, metavar="FILE", help="write the results")
    add(
        "--steps",
        type=int,
        nargs="?",
        const=sys.maxsize,
        metavar="ROWS",
        help="instead, judge each quantity of the derivation for one batch, the first ROWS rows or all, of two or more "
        "classes; exit status 1 if one is NOT OK",
    )
    command = commands.add_parser(
        "warmup", help="compile ahead what fits on such data need, and keep it on disk", formatter_class=_Help
    )
    command.set_defaults(run=_warmup)
    command.add_argument("--dtypes", default="float32,float64", metavar="LIST", help="comma-separated dtypes of X")
    command.add_argument(
        "--orders", metavar="LIST", help="memory layouts of X: C, F or C,F; default: C, with --all C,F"
    )
    command.add_argument(
        "--all", action="store_true", help="also for the estimators, classes, weights, sparse X, threads"
    )
    command.add_argument(
        "--check", action="store_true", help="compile nothing; say what is missing, with exit status 1"
    )
    return parser


def _warmup(arguments: argparse.Namespace) -> int:
    words = [word.strip() for word in arguments.dtypes.split(",")]
    dtypes = [bfloat16 if word == "bfloat16" else word for word in words]
    orders = arguments.orders and [word.strip() for word in arguments.orders.split(",")]
    done = warmup(dtypes, orders, everything=arguments.all, check=arguments.check)
    print(done)
    if arguments.all and not done.estimators:
        print("without the estimators, which need scikit-learn: pip install 'jitlogit[sklearn]'")
    return 1 if done.missing else 0


def _batch_sizes(text: str) -> list[int | None]:
    try:
        return [None if word == "full" else int(word) for word in text.replace(" ", "").split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected integers or 'full', separated by commas; got {text!r}") from None


def _compare(arguments: argparse.Namespace) -> int:
    if arguments.plot:
        plots.check_picture(arguments.plot)
    if arguments.html:
        plots.require_matplotlib()
        if arguments.html.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"--html must name a file that ends in .html; got {arguments.html}")
    if arguments.labels and not arguments.data:
        raise ValueError("--labels goes with --data FILE.npy")
    if arguments.target is not None and (not arguments.data or not _is_text(arguments.data)):
        raise ValueError("--target goes with --data FILE.csv")
    if arguments.steps is not None:
        return _compare_steps(arguments)
    for path in (arguments.plot, arguments.json, arguments.html):
        if path and not path.absolute().parent.is_dir():
            raise ValueError(f"the folder of {path} doesn't exist")
    X = Y = None
    if arguments.data:
        X, raw = _load(arguments.data, arguments.labels, "-1" if arguments.target is None else arguments.target)
        Y = _two_classes(raw)
    progress = _Progress()
    comparison = compare(
        X,
        Y,
        batch_sizes=arguments.batch_sizes,
        epochs=arguments.epochs,
        learning_rate=arguments.learning_rate,
        test_size=arguments.test_size,
        standardize=arguments.standardize,
        dtype=arguments.dtype,
        n_threads=arguments.threads,
        rivals=arguments.rivals,
        on_progress=progress,
    )
    progress.clear()
    if arguments.json:
        arguments.json.write_text(json.dumps(comparison.to_dict(), indent=1, allow_nan=False) + "\n")
    for path in filter(None, (arguments.plot, arguments.html)):
        comparison.save(path)
    print(comparison)
    return {OK: 0, NOT_OK: 1, NOT_JUDGED: 2}[comparison.verdict]


def _compare_steps(arguments: argparse.Namespace) -> int:
    usual = vars(_parser().parse_args(["compare"]))
    fitting = "data", "labels", "target", "dtype", "standardize", "steps"
    others = [name for name, value in vars(arguments).items() if name not in fitting and value != usual[name]]
    if others:
        names = ", ".join("--" + name.replace("_", "-") for name in others)
        raise ValueError(f"--steps goes with {', '.join('--' + name for name in fitting[:-1])}; leave out {names}")
    n_rows = check_count(arguments.steps, "--steps")
    if arguments.data:
        X, raw = _load(arguments.data, arguments.labels, "-1" if arguments.target is None else arguments.target)
    else:
        X, raw = generate_data(np.random.default_rng(0))
    (X,) = prepared([X], arguments.dtype, arguments.standardize)
    steps = compare_steps(X[:n_rows], _classes(np.ravel(raw)[:n_rows]))
    print(steps)
    return 0 if steps.ok else 1


class _Progress:
    """Prints progress to standard error: on a terminal in one live line, else in a line each."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()

    def __call__(self, text: str) -> None:
        print(
            f"\r\033[K{text} ..." if self._live else text, end="" if self._live else "\n", file=sys.stderr, flush=True
        )

    def clear(self) -> None:
        if self._live:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _load(path: Path, labels: Path | None, target: str) -> tuple[Any, Any]:
    """Return features (m, n) and raw labels of a file."""
    kind = path.suffix.lower()
    if (labels is not None) != (kind == ".npy"):
        raise ValueError("a .npy file of features goes with --labels FILE, other files hold their labels")
    if kind == ".npz":
        file = _load_numpy(path, np.lib.npyio.NpzFile)
        with file:
            missing = [name for name in ("X", "y") if name not in file]
            if missing:
                raise ValueError(f"{path} must hold arrays X and y; {' and '.join(missing)} not among {file.files}")
            return file["X"], file["y"]
    if kind == ".npy":
        return _load_numpy(path, np.ndarray, mmap_mode="r"), _load_numpy(labels, np.ndarray)
    if _is_text(path):
        return _load_csv(path, target)
    raise ValueError(f"{path} is of a kind that can't be read: expected .npz, .npy or .csv")


def _load_numpy(path: Any, kind: type, **options: Any) -> Any:
    """`numpy.load`, but a damaged file, or one that holds another kind, raises a ValueError with its path."""
    try:
        loaded = np.load(path, **options)
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{path} is not a readable {path.suffix} file: {error}") from None
    if not isinstance(loaded, kind):
        raise ValueError(f"{path} is not what its name says: it holds a {type(loaded).__name__}")
    return loaded


def _is_text(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".txt", ".data")


def _load_csv(path: Path, target: str) -> tuple[Any, Any]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        try:
            table = [row for row in csv.reader(file, skipinitialspace=True) if row]
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not a readable CSV file: {error}") from None
    if not table:
        raise ValueError(f"{path} is empty")
    names = table.pop(0) if _has_header(table) else None
    width = len(table[0])
    column = _column(target, names, width)
    for number, row in enumerate(table, start=1):
        if len(row) != width:
            raise ValueError(f"{path}: row {number} has {len(row)} columns, the first {width}")
    raw = np.array([row.pop(column) for row in table])
    try:
        X = np.array(table, dtype=np.float64)
    except ValueError:
        for number, row in enumerate(table, start=1):
            for j, word in enumerate(row):
                if not _is_number(word):
                    j += j >= column
                    name = repr(names[j]) if names else str(j)
                    raise ValueError(
                        f"{path}: column {name} holds {word!r} in row {number}, which is not a number: drop the column "
                        "or encode its categories as numbers (0/1 columns, say) first"
                    ) from None
        raise
    return X, raw


def _has_header(table: list[list[str]]) -> bool:
    """Whether the first row holds no number and the second one does."""
    return len(table) > 1 and not any(map(_is_number, table[0])) and any(map(_is_number, table[1]))


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _column(target: str, names: list[str] | None, width: int) -> int:
    if names and target in names:
        return names.index(target)
    try:
        return range(width)[int(target)]
    except ValueError:
        known = f"the columns are {', '.join(names)}" if names else "the file has no header, so give a position"
        raise ValueError(f"--target {target!r} is not a column: {known}") from None
    except IndexError:
        raise ValueError(f"--target {target} is not a column: the file has {width}, counted from 0") from None


def _two_classes(raw: Any) -> Any:
    """Map the two classes of raw labels, in sorted order, to 0 and 1; prints the map if it changes anything."""
    raw = _labels(raw)
    classes = np.unique(raw)
    if classes.size != 2:
        shown = ", ".join(str(label) for label in classes[:6].tolist()) + (", ..." if classes.size > 6 else "")
        raise ValueError(f"the labels must be of two classes; found {classes.size}: {shown}")
    return _classes(raw)


def _classes(raw: Any) -> Any:
    """Map classes, in sorted order, to 0, 1, ...; prints the map if it changes anything."""
    classes, numbers = np.unique(_labels(raw), return_inverse=True)
    if classes.tolist() != list(range(classes.size)):
        shown = [f"{k} is {label!s}" for k, label in enumerate(classes[:10])] + ["..."] * (classes.size > 10)
        print(f"labels: {', '.join(shown)}", file=sys.stderr)
    return numbers if classes.size > 2 else numbers.astype(np.uint8)


def _labels(raw: Any) -> Any:
    """Raw labels as a row, words that are all numbers as numbers."""
    raw = np.ravel(raw)
    if raw.dtype.kind in "US" and all(_is_number(word) for word in np.unique(raw).tolist()):
        return raw.astype(np.float64)
    return raw
