"""Tables of statistics: structured arrays of NumPy that print as text, as HTML, and become frames."""

import html
import importlib
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from xlogreg.exceptions import one_of
from xlogreg.inputs.files import printable

__all__ = ["Shown", "Tabular", "as_html", "as_text", "bounds", "p_text", "structured", "to_frame"]

LEAST_P = 1e-4  # a smaller p-value is printed with its power of ten


def structured(**columns: Any) -> np.ndarray:
    """Make a structured array of columns, each an array (n,) or a list of n texts."""
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    table = np.empty(len(next(iter(arrays.values()))), [(name, array.dtype) for name, array in arrays.items()])
    for name, array in arrays.items():
        table[name] = array
    return table


def p_text(p: float) -> str:
    """Format a p-value: four decimals, or its power of ten if it is small."""
    if math.isnan(p):
        return ""
    return f"{p:.4f}" if p >= LEAST_P else f"{p:.1e}" if p > 0 else "<1e-300"


def _number(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.5g}"
    return printable(str(value))


def _cells(table: np.ndarray, titles: dict[str, str]) -> list[list[str]]:
    """Format the columns that have a title; the first row holds the titles."""
    forms: dict[str, Callable[[Any], str]] = {"p": p_text}
    rows = ([forms.get(name, _number)(row[name].item()) for name in titles] for row in table)
    return [list(titles.values()), *rows]


def as_text(table: np.ndarray, titles: dict[str, str]) -> str:
    """Lay the columns out for a terminal: texts to the left, numbers to the right."""
    cells = _cells(table, titles)
    texts = [table.dtype[name].kind == "U" for name in titles]
    widths = [max(len(row[column]) for row in cells) for column in range(len(texts))]
    lines = []
    for row in cells:
        parts = zip(row, widths, texts, strict=True)
        lines.append("  ".join(cell.ljust(width) if text else cell.rjust(width) for cell, width, text in parts))
    return "\n".join(line.rstrip() for line in lines)


def as_html(table: np.ndarray, titles: dict[str, str], below: str = "") -> str:
    """Make an HTML table; ``below`` is text that stands under it."""
    head, *rows = _cells(table, titles)
    texts = [table.dtype[name].kind == "U" for name in titles]

    def row_of(cells: list[str], tag: str) -> str:
        sides = ("left" if text else "right" for text in texts)
        pairs = zip(cells, sides, strict=True)
        return "".join(f'<{tag} style="text-align: {side}">{html.escape(cell)}</{tag}>' for cell, side in pairs)

    body = "".join(f"<tr>{row_of(row, 'td')}</tr>" for row in rows)
    note = f"<pre>{html.escape(below)}</pre>" if below else ""
    return f"<table><thead><tr>{row_of(head, 'th')}</tr></thead><tbody>{body}</tbody></table>{note}"


def to_frame(table: np.ndarray, library: str | None = None) -> Any:
    """Make a frame of pandas or polars; None takes the first that is installed.

    Raises
    ------
    ImportError
        If the library is not installed, or neither is.
    """
    if library is not None:
        one_of("library", library, ("pandas", "polars"))
    for name in ("pandas", "polars") if library is None else (library,):
        try:
            frames: Any = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        columns = {column: table[column].tolist() for column in table.dtype.names or ()}
        return frames.DataFrame(columns)
    raise ImportError(f"to_frame needs {library or 'pandas or polars'}, which is not installed")


def bounds(level: float) -> dict[str, str]:
    """Titles of the bounds of intervals, by their tails: "[0.025" and "0.975]" for the level 0.95."""
    tail = 0.5 * (1.0 - level)
    return {"lower": f"[{tail:.4g}", "upper": f"{1.0 - tail:.4g}]"}


class Shown(NamedTuple):
    """What is printed of a result: a table with the titles of its columns, between two texts."""

    above: str
    table: np.ndarray
    titles: dict[str, str]
    below: str = ""


class Tabular:
    """A result with a structured ``table``: it prints as text, and as HTML in notebooks, and becomes a frame."""

    table: Any

    def _shown(self) -> Shown:
        raise NotImplementedError  # abstract: each result has its own columns

    def __str__(self) -> str:
        above, table, titles, below = self._shown()
        text = "\n".join(part for part in (above, as_text(table, titles) if len(table) else "") if part)
        return "\n\n".join(part for part in (text, below) if part)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        above, table, titles, below = self._shown()
        return as_html(table, titles, "\n".join(part for part in (above.strip(), below) if part))

    def to_frame(self, library: str | None = None) -> Any:
        """Return the table as a frame of pandas or polars; None takes the first that is installed.

        Raises
        ------
        ImportError
            If the library is not installed.
        """
        return to_frame(self.table, library)
