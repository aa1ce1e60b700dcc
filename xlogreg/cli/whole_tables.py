"""Tables that are read whole: the samples of a fit, and those that a model predicts or is judged on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from xlogreg.cli.column_names import find_columns, lacks
from xlogreg.cli.preparation import Prepared, as_numbers, as_text, prepare, refuse_infinite
from xlogreg.inputs.columns import Level
from xlogreg.inputs.encoding import Column
from xlogreg.inputs.formula_encoding import FormulaEncoding
from xlogreg.inputs.tables import column_values
from xlogreg.model.model import Model

__all__ = ["Wishes", "columns_of", "known_in", "labels_in", "prepared_in", "text_of", "text_to_fit", "unseen_in"]

MOST_CLASSES = 20  # so many values of a target are never too many
REMEDY = "it must hold classes: make some of a measurement, such as whether it is above a limit"


class Wishes(NamedTuple):
    """What the options of a command ask of the columns of a table."""

    ignore: Sequence[str] = ()
    categorical: Sequence[str] = ()
    numeric: Sequence[str] = ()
    offset: Sequence[str] = ()
    keep: Sequence[str] = ()
    thousands: str | None = None

    @classmethod
    def of(cls, arguments: Any) -> "Wishes":
        return cls(**{name: getattr(arguments, name) for name in cls._fields if getattr(arguments, name, None)})

    def named(self, *options: str) -> dict[str, Sequence[str]]:
        """The words behind those of the options that were given."""
        return {f"--{name}": words for name in options if (words := getattr(self, name))}


def prepared_in(path: Path, frame: pl.DataFrame, target: str, wishes: Wishes, apart: list[str]) -> Prepared:
    """Prepare the features of a table to fit; ``apart`` are columns of the offset."""
    given: Mapping[str, Any] = wishes.named("ignore", "categorical", "numeric") | {"--offset": apart}
    found = find_columns(path, frame.columns, {"--target": target} | dict(given))
    if target in apart:
        raise ValueError(f"--offset {target}: that column holds the classes")
    ignored = {target, *found.get("--ignore", ()), *apart}
    asked = {name: found.get(f"--{name}", []) for name in ("categorical", "numeric")}
    for option, names in asked.items():
        wrong = [name for name in names if name in ignored]
        if wrong:
            raise ValueError(f"--{option} {wrong[0]}: that column is no feature, since another option takes it")
    return prepare(frame.drop(ignored), **asked)


def text_to_fit(target: str, wishes: Wishes) -> set[str]:
    """Name the columns of a table to fit that are to be read as they are written, so that codes keep their zeros."""
    return {target, *(name for word in wishes.categorical for name in (word, *_pieces(word)))}


def labels_in(frame: pl.DataFrame, target: str, classes: np.ndarray | None = None) -> np.ndarray:
    """Take the labels (m,) from a column; without ``classes`` of a model, refuse what cannot be classes.

    Raises
    ------
    ValueError
        If labels are missing, or if they are rather names or measurements than classes.
    """
    labels = as_text(frame[target])
    labels = labels.fill_nan(None) if labels.dtype.is_float() else labels
    if classes is not None and classes.dtype.kind in "US":
        labels = _written(labels)
    try:
        values = np.asarray(column_values(labels, f"the column {target!r}"))
    except ValueError as error:
        raise ValueError(f"{error}: the first is in row {labels.is_null().arg_max()}, counted from 0") from None
    if classes is None:
        _expect_classes(labels, target)
    elif classes.dtype.kind != "S":
        _expect_known(labels, target, classes)
    return values


def _expect_known(labels: pl.Series, target: str, classes: np.ndarray) -> None:
    known = set(classes.tolist())
    for row, label in enumerate(labels.to_list() if set(labels.unique().to_list()) - known else ()):
        if label not in known:
            some = ", ".join(map(repr, classes.tolist()[:MOST_CLASSES])) + (
                ", ..." if len(classes) > MOST_CLASSES else ""
            )
            raise ValueError(
                f"the column {target!r} holds {label!r} in row {row}, counted from 0, which is no class of the model: "
                f"these are {some}"
            )


def _expect_classes(labels: pl.Series, target: str) -> None:
    if labels.dtype.is_temporal() or labels.dtype.is_nested():
        said = "classes are text, whole numbers, or true and false"
        raise ValueError(f"the target {target!r} holds {labels.dtype}; {said}")
    counts = labels.rename("label").value_counts(name="count")["count"]
    many = len(counts) > MOST_CLASSES
    if len(counts) == 1:
        raise ValueError(f"the target {target!r} holds one class only ({labels[0]!r}); there must be two or more")
    if labels.dtype.is_float():
        broken = (labels != labels.floor()).arg_max()
        if broken is not None and labels[broken] != np.floor(labels[broken]):
            said = f"such as {labels[broken]!r} in row {broken}, counted from 0"
            raise ValueError(f"the target {target!r} holds numbers that are not whole, {said}; {REMEDY}")
    if labels.dtype.is_numeric() and many and counts.min() == 1:
        raise ValueError(f"the target {target!r} holds {len(counts)} different numbers, some in one row only; {REMEDY}")
    if many and len(counts) > len(labels) / 2:
        said = f"{len(counts)} different texts in {len(labels)} rows"
        raise ValueError(f"the target {target!r} holds {said}, as names have; it must hold classes")


def text_of(model: Model, target: str | None, wishes: Wishes) -> set[str]:
    """Name the columns that are to be read as they are written: codes are text to a model that knows them as text."""
    columns = columns_of(model)
    text = {column.name for column in columns if _is_text(column.levels)}
    text |= {target} if target is not None and model.classes.dtype.kind in "US" else set()
    kept = {name for word in wishes.keep for name in (word, *_pieces(word))}
    numbers = {column.name for column in columns if not _is_text(column.levels)} | set(wishes.offset)
    return text | (kept - numbers)


def _pieces(word: str) -> list[str]:
    return [piece.strip() for piece in word.split(",")]


def columns_of(model: Model) -> tuple[Column, ...]:
    """The columns of the table that a model was fitted on, as far as it knows them by name."""
    if model.encoding is not None:
        return model.encoding.columns
    return tuple(map(Column, model.feature_names or ()))


def known_in(path: Path, frame: pl.DataFrame, model: Model, apart: set[str]) -> pl.DataFrame:
    """Take the columns that a model knows from a table, in the types in which it knows them.

    A model that knows no names takes all columns that are not set ``apart``, and a formula finds its own.
    """
    columns = columns_of(model)
    if not columns or isinstance(model.encoding, FormulaEncoding):
        return frame.drop(apart)
    here = set(frame.columns)
    gone = [column.name for column in columns if column.name not in here or column.name in apart]
    if gone:
        taken = [name for name in gone if name in here]
        if taken:
            raise ValueError(f"the model needs the column {taken[0]!r}: it cannot be left out or be something else")
        raise lacks(path, frame.columns, [(name, "needed by the model") for name in gone])
    return pl.DataFrame({column.name: _as_known(frame[column.name], column) for column in columns})


def _as_known(column: pl.Series, known: Column) -> pl.Series:
    if _is_text(known.levels):
        return as_text(_written(column))
    numbers = as_numbers(column)
    refuse_infinite(numbers, "mend it, since the model needs that column")
    return numbers.cast(pl.Float64) if numbers.dtype.is_decimal() else numbers


def _is_text(levels: tuple[Level, ...] | None) -> bool:
    return any(isinstance(level, str) for level in levels or ())


def _written(column: pl.Series) -> pl.Series:
    """Return the values of a column as text; whole numbers without a fraction."""
    if column.dtype.is_nested() or column.dtype in (pl.Binary, pl.Object):
        raise ValueError(f"the column {column.name!r} cannot be read as text: it holds {column.dtype}")
    if column.dtype.is_float():
        column = column.fill_nan(None)
        whole = column.cast(pl.Int64, strict=False)  # null where a number is infinite or too large
        if (whole.is_null() == column.is_null()).all() and (whole == column).all():
            return whole.cast(pl.String)
    return column.cast(pl.String)


def unseen_in(model: Model, frame: pl.DataFrame) -> dict[str, tuple[int, list[str]]]:
    """Find, for each category of a model, how many rows of a table have levels that are new to it, and which levels."""
    if model.encoding is None or isinstance(model.encoding, FormulaEncoding) or model.encoding.unseen == "error":
        return {}
    found = {}
    for column in model.encoding.columns:
        if column.levels is None:
            continue
        values = frame[column.name]
        values = values.cast(pl.String) if isinstance(values.dtype, (pl.Categorical, pl.Enum)) else values
        known = pl.Series([level for level in column.levels if level is not None])
        numbers = values
        if values.dtype.is_numeric() or values.dtype != known.dtype == pl.Boolean or known.dtype.is_numeric():
            numbers, known = values.cast(pl.Float64).fill_nan(None), known.cast(pl.Float64)
        new = numbers.is_not_null() & ~numbers.is_in(known.implode())
        new = new if None in column.levels else new | numbers.is_null()
        if new.any():
            gone = numbers.is_null()
            levels = sorted(map(repr, values.filter(new & ~gone).unique())) + ["none"] * (new & gone).any()
            found[column.name] = int(new.sum()), levels
    return found
