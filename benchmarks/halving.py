"""Find the commit that made a case worse, by comparisons with the good end of a range."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from verdicts import NOT_COMPARED, SLOWER, Verdict


class SameEnds(Exception):
    """The ends of a range don't differ, so that no commit can be found."""


def is_worse(verdict: Verdict, last: Verdict) -> bool | None:
    """Whether a commit shares what makes the bad end worse; None if it can't be told.

    A commit is as slow as the bad end if all of its interval is above half the slowdown, in logs, and as fast as the
    good one if all is below.
    """
    if verdict.word == NOT_COMPARED or (verdict.bad and verdict.word == "fails" != last.word):
        return None
    if SLOWER not in last.word:
        return any(word in verdict.word for word in last.word.split(", "))
    half = math.sqrt(last.ratio)
    return True if verdict.low > half else False if verdict.high < half else None


def first_worse(
    commits: Sequence[str], is_bad: Callable[[str], bool | None], say: Callable[[str], None] = print
) -> list[str]:
    """The first bad one of commits whose last is bad; several, in order, if nothing can be told of some."""
    good, bad, unknown = -1, len(commits) - 1, set()
    while tries := [k for k in range(good + 1, bad) if k not in unknown]:
        middle = min(tries, key=lambda k: abs(2 * k - good - bad))
        found = is_bad(commits[middle])
        say(f"{commits[middle][:12]}: {'nothing can be told' if found is None else 'bad' if found else 'good'}")
        if found is None:
            unknown.add(middle)
        elif found:
            bad = middle
        else:
            good = middle
    return list(commits[good + 1 : bad + 1])


def find(
    commits: Sequence[str], compare: Callable[[str, Verdict | None], Verdict], say: Callable[[str], None] = print
) -> list[str]:
    """The commits that may have made a case worse.

    `compare` judges a commit beside the good end; it takes the verdict on the bad end, None while that isn't known.
    `SameEnds` is raised if the ends don't differ.
    """
    if not commits:
        raise SameEnds("there is no commit between the ends")
    last = compare(commits[-1], None)
    if not last.bad:
        raise SameEnds(f"the ends don't differ: {last.case} is judged {last.word!r}, at a ratio of {last.ratio:.3f}")
    say(f"{commits[-1][:12]}: {last.word}, at a ratio of {last.ratio:.3f}")
    return first_worse(commits, lambda commit: is_worse(compare(commit, last), last), say)
