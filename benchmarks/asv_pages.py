"""Make asv's published pages self-contained: the libraries that they load from the web are put beside them.

The libraries come from the npm registry, in the versions that the pages name.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

_TAG = re.compile(r'<(?P<element>script|link)\b[^>]*?(?:src|href)="(?P<url>https?://[^"]+)"[^>]*>')
# Part of a library's address in the pages, to its npm package and file.
_LIBRARIES = {
    "/jquery-": ("jquery", "dist/jquery.min.js"),
    "/jquery.flot.min.js": ("flot", "jquery.flot.js"),
    "/jquery.flot.time.min.js": ("flot", "jquery.flot.time.js"),
    "/jquery.flot.selection.min.js": ("flot", "jquery.flot.selection.js"),
    "/jquery.flot.categories.min.js": ("flot", "jquery.flot.categories.js"),
    "/jquery.flot.orderBars.js": ("flot-orderbars", "js/jquery.flot.orderBars.js"),
    "/stupidtable.min.js": ("stupid-table-plugin", "stupidtable.min.js"),
    "/md5.min.js": ("blueimp-md5", "js/md5.min.js"),
    "/bootstrap.min.js": ("bootstrap", "dist/js/bootstrap.min.js"),
    "/bootstrap.min.css": ("bootstrap", "dist/css/bootstrap.min.css"),
}
# Versions for packages that npm doesn't have in the version that the pages name.
_OTHER_VERSIONS = {"stupid-table-plugin": "1.1.3"}
_VERSION = re.compile(r"\d+\.\d+\.\d+")


class Incomplete(ValueError):
    """asv's pages can't be made self-contained. The message is one line, and says what to do."""


def can_fetch() -> bool:
    return shutil.which("npm") is not None


def make_self_contained(folder: Path) -> None:
    """Put what `index.html` in a folder loads from elsewhere into `vendor/`, and let it load that.

    Raises
    ------
    Incomplete
        If it loads a library that isn't known here, since asv has changed, or if npm fails.
    """
    page = folder / "index.html"
    vendor = folder / "vendor"
    vendor.mkdir(exist_ok=True)

    def local(match: re.Match[str]) -> str:
        url = match["url"]
        package, file = next((found for part, found in _LIBRARIES.items() if part in url), (None, None))
        version = _VERSION.search(url)
        if package is None or file is None or version is None:
            raise Incomplete(f"asv's pages load {url}, which asv_pages.py doesn't know: add its npm package there")
        target = vendor / Path(file).name
        if not target.exists():
            target.write_bytes(_from_npm(package, _OTHER_VERSIONS.get(package, version.group()), file))
        if match["element"] == "script":
            return f'<script src="vendor/{target.name}">'
        return f'<link rel="stylesheet" href="vendor/{target.name}">'

    page.write_text(_TAG.sub(local, page.read_text()))


def _from_npm(package: str, version: str, file: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", f"{package}@{version}", "--pack-destination", folder]
        run = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        if run.returncode:
            said = (run.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise Incomplete(
                f"npm doesn't bring {package}@{version}, which asv's pages need: {said}; to leave these pages out, "
                "let --asv name a folder that isn't there"
            )
        archive = next(Path(folder).glob("*.tgz")).read_bytes()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.extractfile(f"package/{file}")
        if member is None:
            raise Incomplete(f"{package}@{version} holds no file {file}")
        return member.read()
