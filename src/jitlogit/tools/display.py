"""Results as tables: of plain text where Python prints, of HTML where a notebook shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple, Protocol, TypeVar

__all__ = ["Table", "Tables", "page", "shown_as_table"]

_GAP = "  "  # between two columns of text


class Table(NamedTuple):
    """A title, and columns of cells that are already text.

    Columns are aligned to the right, so that numbers of as many decimals line up; those named in `words` to the left.
    A column without a filled cell is left out.
    """

    title: str
    columns: Mapping[str, Sequence[str]]
    words: Sequence[str] = ()

    def text(self) -> str:
        """Lines of plain text: the title, an empty line, the names, a rule, and a line for each row."""
        lines = [self.title, ""]
        columns = self._filled()
        widths = {name: max(len(cell) for cell in (name, *cells)) for name, cells in columns.items()}
        rules = ["-" * width for width in widths.values()]
        for row in (list(columns), rules, *zip(*columns.values(), strict=True)):
            padded = (
                cell.ljust(widths[name]) if name in self.words else cell.rjust(widths[name])
                for name, cell in zip(columns, row, strict=True)
            )
            lines.append(_GAP.join(padded).rstrip())
        return "\n".join(lines)

    def html(self) -> str:
        """A plain table of HTML, all text escaped; without colours, so that it suits light and dark pages."""
        columns = self._filled()
        sides = {name: "left" if name in self.words else "right" for name in columns}
        head = "".join(f'<th scope="col" style="text-align: {sides[name]}">{escape(name)}</th>' for name in columns)
        rows = "\n".join(
            "<tr>"
            + "".join(
                f'<td data-name="{escape(name)}" style="text-align: {sides[name]}">{escape(cell)}</td>'
                for name, cell in zip(columns, row, strict=True)
            )
            + "</tr>"
            for row in zip(*columns.values(), strict=True)
        )
        style = "caption-side: top; text-align: left; white-space: nowrap"
        caption = f'<caption style="{style}">{escape(self.title)}</caption>'
        return f"<table>\n{caption}\n<thead>\n<tr>{head}</tr>\n</thead>\n<tbody>\n{rows}\n</tbody>\n</table>"

    def _filled(self) -> dict[str, Sequence[str]]:
        return {name: cells for name, cells in self.columns.items() if any(cells) or not len(cells)}


class Tables(NamedTuple):
    """A title, several tables, and a last line that says what follows from them."""

    title: str
    tables: Sequence[Table]
    last: str

    def text(self) -> str:
        return "\n\n".join([self.title, *(table.text() for table in self.tables), self.last])

    def html(self) -> str:
        tables = "\n".join(table.html() for table in self.tables)
        return f"<p>{escape(self.title)}</p>\n{tables}\n<p><strong>{escape(self.last)}</strong></p>"


class _HasTable(Protocol):
    def table(self) -> Table | Tables: ...


Result = TypeVar("Result", bound=_HasTable)


def shown_as_table(result: type[Result]) -> type[Result]:
    """Decorate a class so that its objects print, and show in notebooks, as the `Table` that their `table()` returns.

    A decorator serves named tuples and dataclasses alike, a base class wouldn't: a named tuple takes none.
    """
    shown: Any = result
    shown.__repr__ = _text_of
    shown._repr_html_ = _html_of
    return result


def _text_of(self: _HasTable) -> str:
    return self.table().text()


def _html_of(self: _HasTable) -> str:
    return self.table().html()


# On narrow screens, each row of a table becomes a block, with a line for each cell that begins with its column's name.
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 1.5rem auto; max-width: 75rem; padding: 0 1rem; color: #1c2733; }
table { border-collapse: collapse; margin: 1.5rem 0; }
caption { font-weight: bold; padding-bottom: 0.3rem; white-space: normal !important; }
th, td { padding: 0.3rem 0.7rem; border-bottom: 1px solid #d5dbe1; font-variant-numeric: tabular-nums; }
.pictures { display: flex; flex-wrap: wrap; gap: 1.5rem; }
figure { flex: 1 1 22rem; margin: 0; min-width: 0; max-width: 36rem; }
svg { width: 100%; height: auto; }
footer { color: #5b6773; margin-top: 1.5rem; }
@media (max-width: 700px) {
  table, caption, tbody, tr, td { display: block; }
  thead { display: none; }
  tr { border-bottom: 2px solid #1c2733; padding: 0.4rem 0; }
  td { border: 0; padding: 0.1rem 0; text-align: right !important; }
  td::before { content: attr(data-name); float: left; color: #5b6773; }
}
"""


def page(heading: str, tables: Tables, pictures: Iterable[str], foot: str) -> str:
    """A page of HTML that needs no other file: tables, then pictures (SVG), and a line at the foot."""
    figures = "\n".join(f"<figure>{picture}</figure>" for picture in pictures)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(heading)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(heading)}</h1>
{tables.html()}
<div class="pictures">
{figures}
</div>
<footer>{escape(foot)}</footer>
</body>
</html>
"""
