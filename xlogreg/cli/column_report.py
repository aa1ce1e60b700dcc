"""What became of the columns of a table, in sentences and for JSON."""

from typing import Any

from xlogreg.cli.preparation import Prepared, missing_in
from xlogreg.inputs.encoding import Column
from xlogreg.inputs.files import printable
from xlogreg.model.model import Model

__all__ = ["columns_as_json", "lines_of_columns", "lines_of_fit", "unseen_lines"]

MOST_LINES = 20  # about columns; --json has all
MOST_NAMES = 8  # of columns or levels in a line


def lines_of_fit(model: Model, prepared: Prepared) -> list[str]:
    """Say what a fit made of each column of its table: plain numbers in one line, others in one each."""
    assert model.encoding is not None
    plain, lines = [], []
    for column in model.encoding.columns:
        missing = missing_in(prepared.frame[column.name])
        if column.levels is None and not missing:
            plain.append(column.name)
        elif column.levels is None:
            marked = ", and marked by a feature" if column.indicator else ""
            how = f"filled with the {model.encoding.missing} {column.fill:.6g}{marked}"
            lines.append(f"{column.name}: {missing} missing value{'s' * (missing > 1)} {how}")
        else:
            count = len(column.levels) - (None in column.levels)
            also = f", and {missing} missing value{'s' * (missing > 1)} as one more" if None in column.levels else ""
            dropped = "" if column.dropped is None else f"; compared with {column.levels[column.dropped]!r}"
            lines.append(f"{column.name}: {count} categor{'ies' if count > 1 else 'y'}{also}{dropped}")
    if plain:
        lines.insert(0, f"numbers: {_some(plain)}")
    lines = _first(lines)
    if prepared.left_out:
        lines += _first([f"left out: {name}: {reason}" for name, reason in prepared.left_out.items()])
        lines.append("  (--numeric and --categorical take numbers and text all the same)")
    return list(map(printable, lines))


def lines_of_columns(model: Model) -> list[str]:
    """Say what a model does with each column of a table, for its file alone."""
    if model.encoding is None:
        return []
    plain = [column.name for column in model.encoding.columns if column.levels is None and column.fill is None]
    lines = [f"numbers: {_some(plain)}"] if plain else []
    for column in model.encoding.columns:
        if column.levels is not None:
            lines.append(
                f"{column.name}: categories {_some([str(level) for level in _known(column)])}{_extras(column)}"
            )
        elif column.fill is not None:
            marked = ", and marked by a feature" if column.indicator else ""
            lines.append(f"{column.name}: numbers; a missing value is taken as {column.fill:.6g}{marked}")
    if any(column.levels is not None for column in model.encoding.columns):
        zeros = model.encoding.unseen == "zeros"
        lines.append(f"a category that is new in a table {'has no feature' if zeros else 'is an error'}")
    return list(map(printable, lines))


def columns_as_json(model: Model, prepared: Prepared | None = None) -> dict[str, Any]:
    """Return for each column how it is used, with its levels or the value in place of missing ones."""
    said: dict[str, Any] = {}
    for column in () if model.encoding is None else model.encoding.columns:
        if column.levels is None:
            said[column.name] = {"as": "numbers", "fill": column.fill, "indicator": column.indicator}
        else:
            said[column.name] = {"as": "categories", "levels": list(column.levels), "dropped": column.dropped}
        if prepared is not None:
            said[column.name]["missing"] = missing_in(prepared.frame[column.name])
    return said


def unseen_lines(unseen: dict[str, tuple[int, list[str]]], where: str = "") -> list[str]:
    """Say which categories of a table are new to a model; ``unseen`` has rows and levels by column."""
    said = "of categories that are new to the model"
    lines = [
        f"{name}: {rows} row{'s' * (rows > 1)}{where} {said} ({_some(levels)}): they have no feature"
        for name, (rows, levels) in unseen.items()
    ]
    return list(map(printable, _first(lines)))


def _known(column: Column) -> list[Any]:
    return [level for level in column.levels or () if level is not None]


def _extras(column: Column) -> str:
    missing = "; missing values are one of their own" if None in (column.levels or ()) else ""
    dropped = "" if column.dropped is None or not column.levels else f"; compared with {column.levels[column.dropped]}"
    return missing + dropped


def _some(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _first(lines: list[str]) -> list[str]:
    more = [f"and {len(lines) - MOST_LINES} more columns, which --json shows"] if len(lines) > MOST_LINES else []
    return lines[:MOST_LINES] + more
