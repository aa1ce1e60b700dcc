"""Turn columns of text into numbers or labels, and only where nothing is lost or guessed."""

import re
from collections.abc import Callable
from typing import Any

import polars as pl

__all__ = ["MISSING", "THOUSANDS", "as_labels", "as_numbers", "misplaced", "stripped"]

# missing values, like empty cells; "?" in many published tables, "<NA>" of pandas
MISSING = ["NA", "N/A", "n/a", "#N/A", "<NA>", "nan", "NaN", "null", "NULL", "None", "?"]
THOUSANDS = {",": ",", ".": r"\.", " ": "[ \u00a0\u202f]", "'": "['\u2019]"}  # signs between groups, as patterns
DECIMALS = {",": [r"\."], ".": [","]}  # the decimal sign beside a sign between groups; beside others, it may be either
BOOLEANS = ({"true", "false"}, {"True", "False"})


def as_labels(column: pl.Series) -> pl.Series:
    """Turn a column of text into the plainest type that loses nothing: every cell is the text of its value.

    Parameters
    ----------
    column : Series (m,)
        A column of another type is returned as it is.

    Returns
    -------
    labels : Series (m,)
        Integers, booleans, floats, or else text without blanks around it; blank cells are missing.

    Examples
    --------
    >>> as_labels(pl.Series(["0", "1", "-3"])).to_list()
    [0, 1, -3]
    >>> as_labels(pl.Series(["01", "1"])).to_list()
    ['01', '1']
    """
    if column.dtype != pl.String:
        return column
    column = column.str.strip_chars().replace("", None)
    cells = column.drop_nulls().unique().to_list()
    plainest: list[tuple[Callable[[str], Any], Any]] = [(int, pl.Int64), (float, pl.Float64)]
    for read, dtype in plainest:
        if cells and all(_is_text_of(cell, read) for cell in cells):
            turned = column.cast(dtype, strict=False)
            if turned.null_count() == column.null_count():  # an integer can be too large
                return turned
    return column.str.to_lowercase() == "true" if cells and any(set(cells) <= pair for pair in BOOLEANS) else column


def _is_text_of(cell: str, read: Callable[[str], Any]) -> bool:
    try:
        return str(read(cell)) == cell and cell[-1].isdigit()  # not "inf", which is no number to write
    except ValueError:
        return False


def stripped(column: pl.Series) -> pl.Series:
    """Strip the blanks around the cells of a column of text; cells that hold nothing else are missing.

    The column itself is returned if there are none.
    """
    cells = column.str
    if not (cells.starts_with(" ") | cells.ends_with(" ") | (column == "")).any():  # two quotes are an empty cell, too
        return column
    return cells.strip_chars(" ").replace(["", *MISSING], None)


def as_numbers(column: pl.Series, thousands: str | None, comma: bool) -> pl.Series | None:
    """Turn a column of text into numbers or booleans; return None if one of its cells is neither.

    Parameters
    ----------
    column : Series (m,)
    thousands : {",", ".", " ", "'"}, optional
        The sign between groups of three digits. A cell with such a sign anywhere else is no number.
    comma : bool
        Whether decimals follow a comma, where the sign of the thousands does not say it.
    """
    cells = column.str
    if column.null_count() == len(column):
        return None
    first = column.drop_nulls()[0]  # most columns of text are known by their first cell
    for decimal, pattern in _numbers(thousands, comma).items():
        if re.match(pattern, first) and cells.contains(pattern).all():
            digits = column if thousands is None else cells.replace_all(THOUSANDS[thousands], "")
            digits = digits.str.replace(decimal, ".")
            integers = digits.cast(pl.Int64, strict=False)
            return integers if integers.null_count() == column.null_count() else digits.cast(pl.Float64)
    truth = "^(?i:true|false)$"
    return cells.to_lowercase() == "true" if re.match(truth, first) and cells.contains(truth).all() else None


def misplaced(column: pl.Series, thousands: str, comma: bool) -> str | None:
    """Return a cell that keeps a column from being numbers, if the column seems to be meant as numbers."""
    cells = column.str
    meant = cells.contains(f"^{_grouped(thousands)}").any() or (
        cells.contains(THOUSANDS[thousands]).any() and cells.contains("^[+-]?[0-9.,'\u2019 \u00a0\u202f]+$").all()
    )
    numbers = list(_numbers(thousands, comma).values())
    wrong = column.filter(~pl.select(pl.any_horizontal(cells.contains(number) for number in numbers)).to_series())
    return wrong[0] if meant and len(wrong) else None


def _numbers(thousands: str | None, comma: bool) -> dict[str, str]:
    """Write the patterns of numbers, by the decimal sign; a column keeps to one of them."""
    usual = [","] if comma else [r"\."]
    patterns = {}
    for decimal in usual if thousands is None else DECIMALS.get(thousands, [r"\.", ","]):
        plain = rf"[+-]?(?:[0-9]+{decimal}?[0-9]*|{decimal}[0-9]+)(?:[eE][+-]?[0-9]+)?"
        grouped = "" if thousands is None else rf"|{_grouped(thousands)}(?:{decimal}[0-9]*)?"
        patterns[decimal] = f"^(?:{plain}{grouped})$"
    return patterns


def _grouped(thousands: str) -> str:
    """Write the pattern of an integer of several groups. It begins with no zero, since 0,001 may be a thousandth."""
    return rf"[+-]?[1-9][0-9]{{0,2}}(?:{THOUSANDS[thousands]}[0-9]{{3}})+"
