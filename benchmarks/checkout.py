"""Which code is measured: that of this checkout or another, at which revision, and with which changes."""

from __future__ import annotations

import datetime
import subprocess
from pathlib import Path
from typing import Any

import jitlogit

CHECKOUT = Path(__file__).resolve().parents[1]


def imported_from() -> Path:
    """Folder of the package that `import jitlogit` finds."""
    return Path(jitlogit.__file__).resolve().parent


def is_imported() -> bool:
    return imported_from() == CHECKOUT / "src" / "jitlogit"


def why_another_is_measured() -> str | None:
    """Error for what would measure another jitlogit than the one that is edited here; None if this one is imported."""
    if is_imported():
        return None
    return (
        f"jitlogit is imported from {imported_from()}, not from {CHECKOUT / 'src'}: your changes would not be "
        "measured. Install the checkout itself: python -m pip install -e '.[track]'"
    )


def git(*arguments: str) -> str | None:
    """What git prints; None without git or without a repository."""
    try:
        found = subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout


def provenance() -> dict[str, Any]:
    """What a reader must know about figures: the revision of the code, whether it was changed since, and the date.

    The revision is None where another jitlogit than the checkout's is imported, since git says nothing about that one.
    """
    revision = git("rev-parse", "HEAD") if is_imported() else None
    return {
        "revision": revision and revision.strip(),
        "dirty": bool(revision and git("status", "--porcelain")),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
