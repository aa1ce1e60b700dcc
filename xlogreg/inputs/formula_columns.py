"""The columns of a table that a formula names: its labels, and the values that its expressions are computed from."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from xlogreg.inputs.columns import read
from xlogreg.inputs.evaluation import Coded, Scope, Spread, evaluate
from xlogreg.inputs.expressions import parse
from xlogreg.inputs.factors import split_category
from xlogreg.inputs.formulas import Formula
from xlogreg.inputs.tables import Frame, lacking, listed

__all__ = [
    "Values",
    "expect_columns",
    "gone_from",
    "is_text",
    "labels_of",
    "names_in",
    "of_columns",
    "read_columns",
    "refuse_gone",
]


class Values(NamedTuple):
    """Columns of a table by name: numbers (m,) in their own dtype, and categories."""

    m: int
    values: dict[str, np.ndarray | Coded]

    def of_rows(self, kept: np.ndarray) -> "Values":
        """Copy the rows where ``kept`` (m,) is true."""
        values = {
            name: own._replace(codes=own.codes[kept]) if isinstance(own, Coded) else own[kept]
            for name, own in self.values.items()
        }
        return Values(int(np.sum(kept)), values)


def expect_columns(names: Sequence[str], frame: Frame) -> None:
    """Raise if a table lacks some of the columns that a formula names; the message names them."""
    missing = [repr(name) for name in dict.fromkeys(names) if name not in frame.numbers]
    if missing:
        raise ValueError(f"X lacks these columns, which the formula names: {listed(missing)}")


def names_in(formula: Formula, context: Mapping[str, Any]) -> list[str]:
    """Find the columns that a formula names.

    Raises
    ------
    ValueError
        If one of its expressions holds what no expression can hold.
    """
    named: dict[str, None] = {}
    for text in (formula.left, *formula.factors.values()):
        category = split_category(text, text)
        expression = parse(text if category is None else category[0])
        expression.expect_known(context)
        named |= dict.fromkeys(sorted(expression.names - context.keys()))
    return list(named)


def of_columns(frame: Frame, names: Sequence[str]) -> Frame:
    """Return a table of some of the columns."""
    return frame._replace(numbers={name: frame.numbers[name] for name in names})


def is_text(frame: Frame, name: str) -> bool:
    """Whether a column can only be read as categories."""
    return frame.kind(name) not in ("number", "bool")


def read_columns(frame: Frame, categorical: Mapping[str, bool]) -> Values:
    """Read columns of a table as numbers or as categories, by name."""
    values: dict[str, np.ndarray | Coded] = {}
    for name, yes in categorical.items():
        if yes:
            codes, levels, ordered = read(of_columns(frame, [name]), [True]).levels[name]
            # pandas keeps an order of all its categories, and users choose the level that is left out by it
            values[name] = Coded(codes, levels, ordered or frame.kind(name) == "category")
        elif is_text(frame, name):
            raise TypeError(f"the column {name!r} of X must hold numbers for the formula, not {frame.kind(name)}")
        else:
            values[name] = frame.numbers_of(name)
    return Values(frame.m, values)


def gone_from(columns: Values) -> dict[str, np.ndarray]:
    """Find the rows (m,) in which columns lack values, by name."""
    found = {}
    for name, own in columns.values.items():
        if isinstance(own, Coded):
            found[name] = own.codes < 0
        else:
            found |= lacking((name,), own[:, None])
    return {name: rows for name, rows in found.items() if np.any(rows)}


def refuse_gone(gone: Mapping[str, np.ndarray], also: str = "") -> None:
    """Raise if columns lack values, in the rows (m,) given by name; the message names the columns."""
    if gone:
        said = [f"{name!r} ({np.sum(rows)}, the first at row {np.argmax(rows)})" for name, rows in gone.items()]
        raise ValueError(f"X lacks values in these columns: {listed(said)}; remove those rows{also}")


def labels_of(text: str, frame: Frame, context: Mapping[str, Any]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the labels (m,) that the left side of a formula gives, and the rows in which its columns lack values.

    Raises
    ------
    TypeError, ValueError
        If a column is missing, or the left side is no label for each sample.
    """
    expression = parse(text)
    expression.expect_known(context)
    names = sorted(expression.names - context.keys())
    expect_columns(names, frame)
    columns = read_columns(frame, {name: is_text(frame, name) for name in names})
    value = evaluate(expression, Scope(columns.values, context, {}))
    if expression.column in columns.values and frame.kind(str(expression.column)) == "bool":
        value = np.asarray(value, dtype=bool)  # some types of bools are read as floats, which may be missing
    if isinstance(value, Coded):
        value = np.asarray(value.levels or [""])[value.codes]
    if isinstance(value, Spread) or np.shape(value) != (frame.m,):
        raise ValueError(f"the left side of the formula must give one label for each sample, which {text!r} does not")
    return value, gone_from(columns)
