"""Options that the scripts share: each has one name and one meaning, and is defined here alone."""

from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[1]


class Parser(ArgumentParser):
    """A parser with a method for each option that scripts share."""

    def add_size(self, full: str) -> None:
        """A part of the full size, which is measured unless another part is given."""
        self.add_argument(
            "--size", type=_part, default=1.0, metavar="PART", help=f"part of the full size, which is {full}; 0.02, say"
        )

    def add_rounds(self, default: int) -> None:
        self.add_argument(
            "--rounds", type=_count, default=default, metavar="N", help=f"runs of each contestant, in turn; {default}"
        )

    def add_threads(self) -> None:
        self.add_argument(
            "--threads", type=_count, metavar="N", help="most threads of jitlogit; as many as Numba has unless given"
        )

    def add_parts(self, names: Iterable[str], what: str = "part") -> None:
        """Some of the parts that a script has; all unless given."""
        names = list(names)

        def known(text: str) -> str:  # argparse checks `choices` even if none is given
            if text not in names:
                raise ArgumentTypeError(f"no such {what}: {text!r}; there are {'; '.join(names)}")
            return text

        self.add_argument("parts", nargs="*", type=known, metavar=what.upper(), help=f"any of: {_listed(names)}")

    def add_only(self) -> None:
        self.add_argument("--only", default="", metavar="TEXT", help="only what has this text in its name")

    def add_every(self) -> None:
        self.add_argument("--every", type=_count, default=1, metavar="N", help="only each N-th")

    def add_revisions(self) -> None:
        self.add_argument("base", metavar="BASE", help="revision, or folder of a checkout")
        self.add_argument("head", metavar="HEAD", nargs="?", default=str(CHECKOUT), help="the same; the working tree")

    def add_sets(self, names: Iterable[str]) -> None:
        names = list(names)
        self.add_argument("--sets", nargs="+", choices=names, metavar="SET", help=f"any of: {_listed(names)}")

    def add_data(self) -> None:
        self.add_argument(
            "--data", type=Path, metavar="FOLDER", help="folder of real sets; generated ones unless given"
        )

    def add_features(self, default: Iterable[int]) -> None:
        default = list(default)
        self.add_argument(
            "--features", nargs="+", type=_count, default=default, metavar="N", help=" ".join(map(str, default))
        )

    def add_dtypes(self, default: Iterable[str]) -> None:
        self.add_argument(
            "--dtypes",
            nargs="+",
            choices=("float32", "float64"),
            default=list(default),
            help=f"of X; {' '.join(default)}",
        )

    def add_alone(self) -> None:
        self.add_argument("--alone", action="store_true", help="without rivals")

    def add_earlier(self) -> None:
        self.add_argument(
            "--earlier", type=Path, nargs="+", metavar="FILE", help="JSON files to show instead of measuring"
        )

    def add_json(self, default: Path | None = None) -> None:
        self.add_argument(
            "--json", type=Path, default=default, metavar="FILE", help="write all that was measured there"
        )

    def add_readme(self) -> None:
        self.add_argument("--readme", type=Path, metavar="FILE", help="Markdown file whose tables are replaced")


def write_json(path: Path | None, result: Any) -> None:
    """What `--json` asks for; nothing for None."""
    if path:
        path.write_text(json.dumps(result, indent=1) + "\n")


def replace_table(path: Path | None, begin: str, end: str, text: str) -> None:
    """What `--readme` asks for: replace what stands between two markers, comments of the Markdown; nothing for None."""
    if path is None:
        return
    begin, end = f"<!-- {begin} -->", f"<!-- {end} -->"
    before, _, rest = path.read_text().partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"{path} has no markers {begin} and {end}")
    path.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def _listed(names: list[str]) -> str:
    """For a help text, in which argparse formats by "%"."""
    return "; ".join(names).replace("%", "%%")


def _part(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ArgumentTypeError(f"a part of the full size is a number above 0, as 0.02 is; got {text!r}")
    return value


def _count(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise ArgumentTypeError(f"expected a whole number of at least 1, got {text!r}")
    return value
