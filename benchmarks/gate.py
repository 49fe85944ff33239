"""Compare the speed, memory and final cost of two revisions; exit with 1 where the second is worse.

    python -m benchmarks gate BASE [HEAD]

BASE and HEAD (by default the working tree) are revisions, or folders that hold a checkout. Both are installed, and run
in turn on the same data, in four pairs of processes. The interval of a case's ratio of times covers what rounds and
processes differ by. A case is slower if all of the interval lies above 1 and the ratio beyond 1.04. It is the same only
if all of the interval lies below 1.04. Else nothing can be told. A case is also worse if it needs more memory, or ends
at a worse cost. Cases that seem worse, or of which nothing can be told, are measured again: four more pairs, and at
most twelve, which are judged together. Column "sees" holds the least slowdown that would have been seen. "Same machine
code" means that the compiled functions of a case are equal but for addresses. `planted.py` plants slowdowns in quick
cases: of 40, the gate saw 10 % in all and 5 % in 34, without a false alarm.

Exit codes: 0 no case is worse, 1 some are or fail, 2 nothing could be compared, 3 nothing can be told of most cases.

    python -m benchmarks gate --bisect GOOD BAD --case CASE

names the commit that made a case worse. Or let git walk, with the gate of another worktree:

    git bisect run python ../other/benchmarks/gate.py GOOD . --case CASE --bisect-run

    python -m benchmarks gate ANCHOR REVISION --append

keeps the ratios to an anchor commit in benchmarks/history, which is committed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import gate_runs
import halving
import history
from cases import CASES, SHORT
from gate_runs import CHECKOUT, ROUNDS, CantCompare, git, install
from verdicts import BLIND, GOOD, NOT_COMPARED, NOTHING, SKIP, Verdict, conclusion, exit_code, markdown, record, table


def bisect(options: argparse.Namespace, case: str) -> int:
    """Print the commit between the ends of --bisect that made a case worse."""
    good, bad = options.bisect
    if git("merge-base", good, bad) != history.commit_of(good):
        raise CantCompare(f"GOOD must be an ancestor of BAD, but {good} is none of {bad}")
    commits = git("rev-list", "--reverse", "--first-parent", f"{good}..{bad}").split()
    with gate_runs.prepared([case], options.rounds, options.megabytes, options.cache) as (comparison, folder):
        base = install(good, folder / "good")

        def compare(commit: str, last: Verdict | None) -> Verdict:
            def is_settled(verdict: Verdict, before: Verdict | None) -> bool:
                return halving.is_worse(verdict, last) is not None if last else gate_runs.is_settled(verdict, before)

            try:
                with tempfile.TemporaryDirectory(dir=folder) as place:
                    head = install(commit, Path(place))
                    return gate_runs.compare(comparison, base, head, [case], is_settled=is_settled)[0]
            except CantCompare as error:
                return Verdict(case, NOT_COMPARED, note=str(error))

        try:
            found = halving.find(commits, compare)
        except halving.SameEnds as error:
            print(f"No commit can be named, {error}.")
            return BLIND
    print("The first worse commit:" if len(found) == 1 else "The first worse commit is one of these:")
    for commit in found:
        print(git("show", "-s", "--format=  %h %ad %an: %s", "--date=short", commit))
    return GOOD


def compare(options: argparse.Namespace, names: Sequence[str]) -> int:
    base, head = options.base, options.head
    tries = gate_runs.TRIES
    if options.append:
        base, head = history.commit_of(base), history.commit_of(head)
        history.load(options.append, base)
        tries = 1  # a ratio is kept, not judged
    verdicts = gate_runs.run(
        base, head, names, rounds=options.rounds, megabytes=options.megabytes, cache=options.cache, tries=tries
    )
    shown = "the working tree" if head == str(CHECKOUT) else head
    if options.markdown:
        print(markdown(verdicts, base, shown))
    else:
        print(table(verdicts), conclusion(verdicts), sep="\n\n")
    if options.json:
        options.json.write_text(json.dumps(list(map(record, verdicts)), indent=1) + "\n")
    if options.append:
        new = history.record(head, verdicts)
        if not new["cases"]:
            return NOTHING
        history.append(options.append, base, new)
        print(f"{options.append}: ratios of {head[:12]} to {base[:12]} for {len(new['cases'])} cases")
        return GOOD
    return exit_code(verdicts)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", metavar="BASE", nargs="?")
    parser.add_argument("head", metavar="HEAD", nargs="?", default=str(CHECKOUT))
    parser.add_argument("--short", action="store_true", help=f"only: {'; '.join(SHORT)}")
    parser.add_argument("--cases", "--case", nargs="+", choices=list(CASES), metavar="CASE", help="; ".join(CASES))
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each pair of processes")
    parser.add_argument("--megabytes", type=float, default=16, help="size of X")
    parser.add_argument("--cache", type=Path, help="folder that keeps compiled functions for the next run")
    parser.add_argument("--json", type=Path, help="file for the verdicts")
    parser.add_argument("--markdown", action="store_true", help="print a table for a pull request")
    parser.add_argument("--bisect", nargs=2, metavar=("GOOD", "BAD"), help="name the commit that made --case worse")
    parser.add_argument("--bisect-run", action="store_true", help="exit with 125 where nothing can be told")
    parser.add_argument(
        "--append", nargs="?", const=history.DEFAULT, type=Path, metavar="FILE", help="add ratios to a history"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = (command := parser()).parse_args(arguments)
    if options.bisect and (options.base or len(options.cases or ()) != 1):
        command.error("--bisect takes GOOD and BAD and one --case, no BASE")
    if not options.bisect and not options.base:
        command.error("BASE is missing: a revision, or a folder that holds a checkout")
    names = options.cases or (SHORT if options.short else list(CASES))
    try:
        code = bisect(options, names[0]) if options.bisect else compare(options, names)
    except CantCompare as error:
        print(error, file=sys.stderr)
        code = NOTHING
    return SKIP if options.bisect_run and code in (NOTHING, BLIND) else code


if __name__ == "__main__":
    sys.exit(main())
