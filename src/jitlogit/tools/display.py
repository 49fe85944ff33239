"""Results as tables: of plain text where Python prints, of HTML where a notebook shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple, Protocol, TypeVar

__all__ = ["Table", "shown_as_table"]

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
                f'<td style="text-align: {sides[name]}">{escape(cell)}</td>'
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


class _HasTable(Protocol):
    def table(self) -> Table: ...


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
