"""Errors that name the columns of a table that don't hold finite numbers, and say what helps.

Good data aren't looked at: the errors are made after a conversion has failed, or a kernel's result wasn't finite.
Tables of pandas, polars and pyarrow are known by their methods, so that none of the three is imported.
"""

from __future__ import annotations

import datetime
import reprlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from .dtypes import Array, is_bfloat16, is_sparse, widened

_BLOCK = 1 << 18  # values that are looked at in one go
_MOST_NAMED = 5  # columns of a kind that an error names; it counts the others

# What is wrong with one column, with several, and what helps; errors tell the kinds in this order.
_WORDS = {
    "text": ("holds text", "hold text", "encode {it}, say with OneHotEncoder"),
    "some text": (
        "holds text beside numbers",
        "hold text beside numbers",
        "replace the text by NaN, and fill that, say with SimpleImputer",
    ),
    "numbers as text": ("holds numbers as text", "hold numbers as text", "convert {it} with astype(float)"),
    "dates": (
        "holds dates or times",
        "hold dates or times",
        "turn {it} into numbers, say days since the earliest, or drop {it}",
    ),
    "others": (
        "holds values that aren't numbers",
        "hold values that aren't numbers",
        "encode {it} as numbers, or drop {it}",
    ),
    "missing": ("has missing values", "have missing values", "fill these, say with SimpleImputer, or drop the rows"),
    "infinite": ("has infinite values", "have infinite values", "replace these, or drop the rows"),
}
_FINITE = ("missing", "infinite")  # kinds in columns of numbers
_COUNTED = ("some text", *_FINITE)
_DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60


class NotFiniteError(ValueError):
    """NaN or inf in checked rows, whose columns have no names any more; see `columns_told`."""


class _Fault(NamedTuple):
    kind: str  # a key of _WORDS
    column: Any  # its name, or its number if it has none
    n_values: int  # with the fault
    row: int  # of the first one
    example: str  # the first one


@contextmanager
def columns_told(table: Any, name: str = "X") -> Iterator[None]:
    """Context in which the error for rows that aren't finite names the columns of `table`, which the rows come from."""
    try:
        yield
    except NotFiniteError as error:
        raise (columns_error(table, name) or error) from None


def refuse_what_misleads(table: Any, name: str) -> None:
    """Raise TypeError for data whose meaning NumPy's conversion would change.

    A masked array loses its mask, and polars's dates become counts of days or microseconds.
    """
    if isinstance(table, np.ma.MaskedArray):
        raise TypeError(f"{name} must not be a masked array: fill its gaps with values, or drop those rows")
    if not hasattr(table, "collect_schema"):
        return
    if not hasattr(table, "to_numpy"):
        raise TypeError(f"{name} must hold its values already; got {type(table).__name__}: pass {name}.collect()")
    if any(dtype.is_temporal() for dtype in table.dtypes):
        raise columns_error(table, name) or TypeError(f"{name} must hold numbers; got {table.dtypes}")


def has_one_dtype(table: Any) -> bool:
    """Whether a table is pandas's, of numbers of one NumPy dtype: its array is then one view or copy."""
    if not (hasattr(table, "iloc") and hasattr(table, "columns")):
        return False
    dtypes = set(table.dtypes.tolist())
    return len(dtypes) == 1 and all(isinstance(dtype, np.dtype) and dtype.kind in "fiu" for dtype in dtypes)


def columns_error(table: Any, name: str = "X") -> Exception | None:
    """Return an error that names the columns that don't hold finite numbers; None if there is nothing wrong with them.

    Parameters
    ----------
    table : table of pandas, polars or pyarrow, array_like or SciPy sparse array (n_samples, n_features)
    name : str
        That of the argument.

    Returns
    -------
    TypeError if there are columns that don't hold numbers, ValueError if all do, but not in all rows, or if rows differ
    in length.
    """
    columns = _named_columns(table)
    if columns is not None:
        faults = [fault for label, values in columns for fault in _faults_of_column(label, values)]
        return _error(faults, name, table.shape[0], has_names=True)
    if is_sparse(table):
        rows = table.tocsr()
        return _error(_faults_of_sparse(rows), name, rows.shape[0])
    array = _as_array(table)
    if array is None:
        return ValueError(f"{name} must be an array of numbers with rows of equal length")
    if array.ndim != 2 or array.size == 0:
        return None
    if array.dtype.kind == "f" or is_bfloat16(array):
        return _error(_faults_of_floats(array, range(array.shape[1])), name, array.shape[0])
    faults = [fault for j in range(array.shape[1]) for fault in _faults_of_column(j, array[:, j])]
    return _error(faults, name, array.shape[0])


def labels_error(labels: Any, name: str) -> Exception | None:
    """Return an error for labels that aren't numbers, or are missing; None if they are neither."""
    values = _as_array(labels)
    values = np.asarray([] if values is None else values).reshape(-1)
    for fault in sorted(_faults_of_column(name, values), key=lambda fault: fault.kind in _FINITE):
        if fault.kind == "numbers as text":
            return TypeError(
                f"{name} must hold numbers; it holds them as text, e.g. {fault.example}: convert it with astype(int)"
            )
        if fault.kind not in _FINITE:
            return TypeError(
                f"{name} must hold numbers; it {_WORDS[fault.kind][0]}, e.g. {fault.example}: encode it, say with "
                "LabelEncoder, or use jitlogit.LogisticRegression, which takes labels of any kind"
            )
        if fault.kind == "missing":
            return missing_error(fault.n_values, values.size, name)
    return None


def missing_error(count: int, size: int, name: str) -> ValueError:
    """The error for labels of which some are missing; its first words are scikit-learn's."""
    return ValueError(f"Input {name} contains NaN: {count} of {size} labels are missing; drop these rows")


def count_missing(labels: Any) -> int:
    """How many labels are NaN, None, NaT or pandas.NA."""
    return sum(_kind_of(label)[0] == "missing" for label in np.asarray(labels, object).reshape(-1))


def _named_columns(table: Any) -> list[tuple[Any, Any]] | None:
    """Names and values of the columns of a table of pandas, polars or pyarrow; None for anything else."""
    if len(getattr(table, "shape", ())) != 2:
        return None
    if hasattr(table, "column_names"):  # pyarrow
        return [(name, table.column(j)) for j, name in enumerate(table.column_names)]
    if hasattr(table, "iloc"):  # pandas
        return [(name, table.iloc[:, j]) for j, name in enumerate(table.columns)]
    if hasattr(table, "to_series"):  # polars
        return [(name, table.to_series(j)) for j, name in enumerate(table.columns)]
    return None


def _as_array(values: Any) -> Array | None:
    """An array of the values, each of its own kind; None where rows differ in length."""
    try:
        array = np.asarray(values)
        is_text_by_conversion = array.dtype.kind in "US" and not isinstance(values, np.ndarray)
        return np.array(values, object) if is_text_by_conversion else array
    except (TypeError, ValueError):
        return None


def _faults_of_column(label: Any, column: Any) -> list[_Fault]:
    values = np.asarray(column)
    if values.ndim > 1:  # a column of structures or of arrays of one length
        return [_Fault("others", label, len(values), 0, _short.repr(values[0].tolist()))]
    if values.size == 0 or values.dtype.kind in "biucV":
        return []
    if values.dtype.kind in "mM":
        return [_Fault("dates", label, values.size, 0, str(values[0]))]
    if values.dtype.kind == "f":
        return _faults_of_floats(values[:, np.newaxis], [label])
    try:
        floats = values.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        return [_fault_of_objects(label, values.tolist())]
    faults = _faults_of_floats(floats[:, np.newaxis], [label])
    text = next((value for value in values.tolist() if isinstance(value, str | bytes)), None)
    return faults if faults or text is None else [_Fault("numbers as text", label, values.size, 0, _short.repr(text))]


def _fault_of_objects(label: Any, values: list[Any]) -> _Fault:
    """What is worst of a column that couldn't be converted."""
    counts: dict[str, int] = {}
    first: dict[str, tuple[int, str]] = {}
    for row, value in enumerate(values):
        kind, example = _kind_of(value)
        counts[kind] = counts.get(kind, 0) + 1
        first.setdefault(kind, (row, example))
    kind = next(kind for kind in ("text", "dates", "others", "missing") if kind in counts)
    mixed = kind == "text" and ("number" in counts or "numbers as text" in counts)
    return _Fault("some text" if mixed else kind, label, counts[kind], *first[kind])


def _kind_of(value: Any) -> tuple[str, str]:
    """The kind of a single value, a key of _WORDS or "number", and its text in an error."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return "missing", "nan"
    if isinstance(value, _DATES) or type(value).__name__ == "Period":
        return "dates", str(value)
    is_text = isinstance(value, str | bytes)
    try:
        if isinstance(value, np.ndarray):
            raise TypeError("an array isn't a number")
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        return ("text", _short.repr(value)) if is_text else ("others", f"{_short.repr(value)} ({error})")
    if is_text:
        return "numbers as text", _short.repr(value)
    return ("missing", "nan") if np.isnan(number) else ("number", str(number))


def _faults_of_floats(array: Array, labels: Any) -> list[_Fault]:
    """Faults of the columns of an array (m, n) of floats."""
    found: dict[tuple[int, str], _Fault] = {}
    step = max(1, _BLOCK // array.shape[1])
    for start in range(0, array.shape[0], step):
        part = array[start : start + step]
        block = widened(part) if is_bfloat16(part) else part
        for kind, bad in (("missing", np.isnan(block)), ("infinite", np.isinf(block))):
            counts = bad.sum(axis=0)
            for j in np.flatnonzero(counts).tolist():
                row = int(np.argmax(bad[:, j]))
                before = found.get((j, kind), _Fault(kind, labels[j], 0, start + row, str(block[row, j])))
                found[j, kind] = before._replace(n_values=before.n_values + int(counts[j]))
    return [found[key] for key in sorted(found)]


def _faults_of_sparse(rows: Any) -> list[_Fault]:
    """Faults of the columns of rows in CSR."""
    if rows.dtype.kind != "f":
        return []
    faults = []
    for kind, bad in (("missing", np.isnan(rows.data)), ("infinite", np.isinf(rows.data))):
        places = np.flatnonzero(bad)
        columns, first, counts = np.unique(rows.indices[places], return_index=True, return_counts=True)
        for column, place, count in zip(columns.tolist(), places[first].tolist(), counts.tolist(), strict=True):
            row = int(np.searchsorted(rows.indptr, place, "right")) - 1
            faults.append(_Fault(kind, column, count, row, str(rows.data[place])))
    return faults


def _error(faults: list[_Fault], name: str, n_rows: int, has_names: bool = False) -> Exception | None:
    """The error that tells all faults, kind by kind; of numbers as text only if all else is right."""
    faults = [fault for fault in faults if fault.kind != "numbers as text"] or faults
    if not faults:
        return None
    told = [_sentence([fault for fault in faults if fault.kind == kind], n_rows) for kind in _WORDS]
    sentences = "; ".join(filter(None, told))
    if any(fault.kind not in _FINITE for fault in faults):
        return TypeError(f"{name} must hold numbers: {sentences}")
    first = min(faults, key=lambda fault: fault.row)
    place = "" if has_names else f"; {name}[{first.row}, {first.column}] is {first.example}"
    return ValueError(f"{name} must be finite, without NaN and inf{place}: {sentences}")


def _sentence(faults: list[_Fault], n_rows: int) -> str:
    """What is wrong with columns that have faults of one kind, and what helps."""
    if not faults:
        return ""
    kind = faults[0].kind
    one, several, cure = _WORDS[kind]
    labels = []
    for number, fault in enumerate(faults[:_MOST_NAMED]):
        counted = f" ({fault.n_values}{f' of {n_rows} rows' * (number == 0)})" * (kind in _COUNTED)
        labels.append(f"{fault.column!r}{counted}")
    others = len(faults) - len(labels)
    last = f"{others} more" if others else labels.pop() if len(labels) > 1 else ""
    named = ", ".join(labels) + (f" and {last}" if last else "")
    example = "" if kind in _FINITE else f", e.g. {faults[0].example}"
    is_one = len(faults) == 1
    return f"column{'' if is_one else 's'} {named} {one if is_one else several}{example}: " + cure.format(
        it="it" if is_one else "them"
    )
