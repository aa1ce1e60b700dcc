"""What becomes of each column of a table on the command line: numbers, categories, or left out for a reason."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import polars as pl

from xlogreg.inputs.encoding import TEXT_LEVELS

__all__ = ["Prepared", "as_numbers", "as_text", "missing_in", "prepare", "refuse_infinite", "trained_on"]

DAYS = (  # usual forms of a date; all values of a column must have the same
    *("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y"),
    *("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y"),
)
CLOCK = r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[AaPp][Mm])?"  # a time of day
AFTER_DAY = rf"[T ]\s*{CLOCK}(Z| ?[+-]\d{{2}}:?\d{{2}})?$"  # a time of day behind a date
MOSTLY = 0.5  # share of the cells from which on a text column was rather meant to hold numbers


class Prepared(NamedTuple):
    """The features of a table.

    Attributes
    ----------
    frame : DataFrame
        Columns of numbers and of categories.
    categories : tuple of str
        Those that are taken as categories.
    left_out : dict from str to str
        The columns that are not used, each with the reason.
    """

    frame: pl.DataFrame
    categories: tuple[str, ...]
    left_out: dict[str, str]


def prepare(frame: pl.DataFrame, categorical: Sequence[str] = (), numeric: Sequence[str] = ()) -> Prepared:
    """Decide what becomes of each column of a table.

    Parameters
    ----------
    frame : DataFrame
        A table without its labels.
    categorical, numeric : sequence of str
        Columns that are taken as categories, or as numbers, whatever they hold.

    Raises
    ------
    ValueError
        If a column is asked for that holds nothing of the kind, or if no column is left.
    """
    both = [name for name in categorical if name in numeric]
    if both:
        raise ValueError(f"the column {both[0]!r} is given to both --categorical and --numeric")
    columns: list[pl.Series] = []
    categories: list[str] = []
    left_out: dict[str, str] = {}
    for column in map(as_text, frame.get_columns()):
        name, kind = column.name, column.dtype
        column = as_numbers(column) if name in numeric else column
        refuse_infinite(column)
        if name in numeric:
            columns.append(column)
            continue
        forced = name in categorical
        reason = _unusable(column) or ("" if forced else _unfit(column))
        if reason and forced:
            raise ValueError(f"the column {name!r} cannot be categories: {reason}")
        if reason:
            left_out[name] = reason
            continue
        if forced or kind == pl.String or _is_declared(kind):
            categories.append(name)
            # this dtype says that the text is meant as categories, however many of them a part of the rows has
            column = column.cast(pl.Categorical) if kind == pl.String else column
            column = column.cast(pl.Float64) if kind.is_decimal() else column
        columns.append(column)
    if not columns and not left_out:
        raise ValueError("the table has no column beside that of the classes and those that are left out")
    # by name, since polars names a column in a list otherwise if its name is ""
    named = pl.DataFrame({column.name: column for column in columns})
    return _expect_some(Prepared(named, tuple(categories), left_out))


def trained_on(prepared: Prepared, rows: Any) -> Prepared:
    """Leave out also the columns that hold no values in the rows to train on."""
    empty = [part.name for part in prepared.frame[rows] if missing_in(part) == len(part)]
    categories = tuple(name for name in prepared.categories if name not in empty)
    left_out = prepared.left_out | dict.fromkeys(empty, "no values in the rows to train on")
    return _expect_some(Prepared(prepared.frame.drop(empty), categories, left_out))


def _expect_some(prepared: Prepared) -> Prepared:
    if prepared.frame.width == 0:
        said = "; ".join(f"{name!r}: {reason}" for name, reason in list(prepared.left_out.items())[:5])
        raise ValueError(f"no column is left to learn from ({said}); --numeric and --categorical take one all the same")
    return prepared


def as_text(column: pl.Series) -> pl.Series:
    """Strip the cells of a text column; blank ones are missing. Return any other column as it is."""
    return column.str.strip_chars().replace("", None) if column.dtype == pl.String else column


def as_numbers(column: pl.Series) -> pl.Series:
    """Read a column as numbers.

    Raises
    ------
    ValueError
        If a cell is no number; the message names the first.
    """
    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        return column.cast(pl.Float64) if column.dtype == pl.Null else column
    if not (column.dtype == pl.String or _is_declared(column.dtype)):
        raise ValueError(f"the column {column.name!r} cannot be read as numbers: it holds {column.dtype}")
    text = as_text(column.cast(pl.String))
    numbers = text.cast(pl.Float64, strict=False)
    bad = numbers.is_null() & text.is_not_null()
    if bad.any():
        commas = text.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False).is_null() & text.is_not_null()
        bad = commas if 0 < commas.sum() < bad.sum() else bad  # of decimal commas, the cell that no sign explains
        row = int(bad.arg_max() or 0)
        signs = "; --thousands says which sign groups digits" if any(sign in text[row] for sign in ",.' ") else ""
        raise ValueError(
            f"the column {column.name!r} cannot be read as numbers: {text[row]!r} in row {row}, counted from 0, is "
            f"none{signs}"
        )
    return numbers


def missing_in(column: pl.Series) -> int:
    """Count the missing values of a column; NaN is one."""
    return (column if _is_finite(column) else column.fill_nan(None)).null_count()


def refuse_infinite(column: pl.Series, remedy: str = "mend or --ignore it") -> None:
    """Raise if a column holds an infinite number; the message names its row."""
    if not _is_finite(column) and (infinite := column.is_infinite().fill_null(False)).any():
        row = int(infinite.arg_max() or 0)
        raise ValueError(f"the column {column.name!r} holds {column[row]} in row {row}, counted from 0; {remedy}")


def _is_finite(column: pl.Series) -> bool:
    """Whether no number is NaN or infinite, since their sum is neither; False also where the sum is too large."""
    return not column.dtype.is_float() or math.isfinite(column.sum())


def _is_declared(kind: pl.DataType) -> bool:
    """Whether a dtype says that a column holds categories."""
    return isinstance(kind, (pl.Categorical, pl.Enum))


def _unusable(column: pl.Series) -> str:
    """Say why a column can be neither numbers nor categories; "" if it can."""
    column = column if _is_finite(column) else column.fill_nan(None)
    if column.dtype == pl.Null or column.null_count() == len(column):
        return "no values"
    if not (column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.String) or _is_declared(column.dtype)):
        return "dates or times" if column.dtype.is_temporal() else f"values of the type {column.dtype}"
    return ""


def _unfit(column: pl.Series) -> str:
    """Say why a column should not be used unless it is asked for; "" if it should."""
    m = len(column)
    if column.null_count() == 0 and m > 1 and column.n_unique() == 1:
        return "the same value in every row"
    if column.dtype.is_numeric():
        return "whole numbers in a row without a gap, as identifiers are" if _counts(column) else ""
    if column.dtype != pl.String:
        return ""
    levels = column.drop_nulls().unique()
    if _are_days(levels):
        return "dates or times"
    if len(levels) <= min(TEXT_LEVELS, m / 2):
        return ""
    numbers = column.cast(pl.Float64, strict=False)
    if numbers.is_not_null().sum() >= MOSTLY * m:
        wrong = numbers.is_null() & column.is_not_null()
        if not wrong.any():
            return "numbers that are written as text"
        row = int(wrong.arg_max() or 0)
        return f"numbers, but for cells such as {column[row]!r} in row {row}, counted from 0"
    return f"{len(levels)} different texts in {m} rows, as names have"


def _counts(column: pl.Series) -> bool:
    """Whether a column holds m whole numbers in any order, all different and without a gap."""
    if column.null_count() or not (_is_finite(column) or column.is_finite().all()):
        return False
    low, high = int(column.min()), int(column.max())  # type: ignore[arg-type]  # numbers, since no value is missing
    if high - low != len(column) - 1 or column.n_unique() != len(column):
        return False
    return column.dtype.is_integer() or bool((column == column.floor()).all())


def _are_days(levels: pl.Series) -> bool:
    """Whether all texts are dates or times of one usual form."""
    if len(levels) == 0:
        return False
    if levels.str.contains(rf"^{CLOCK}$").all():
        return True
    days = levels.str.replace(AFTER_DAY, "")
    first = days.head(1)  # most columns are refused by their first value
    forms = [form for form in DAYS if first.str.to_date(form, strict=False).null_count() == 0]
    return any(days.str.to_date(form, strict=False).null_count() == 0 for form in forms)
