"""The samples that a command is given: a table, read whole; or an array or a folder of parts, read in blocks."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

import xlogreg
from xlogreg.datasets import read_table, without
from xlogreg.tables import column_values

__all__ = ["Samples", "open_features", "open_samples"]


class Samples(NamedTuple):
    """X, a table or what `fit` reads in blocks, whose rows are samples; and their labels (m,)."""

    X: Any
    Y: np.ndarray

    def chosen(self, numbers: np.ndarray) -> dict[str, Any]:
        """Some of the samples, as `fit` and `Model.evaluate` take them: cut out of a table, else told by weights."""
        X, Y = self
        if len(numbers) == len(Y):
            return {"X": X, "Y": Y}
        if isinstance(X, pl.DataFrame):
            return {"X": X[numbers], "Y": Y[numbers]}
        weight = np.zeros(len(Y), dtype=np.uint8)
        weight[numbers] = 1
        return {"X": X, "Y": Y, "sample_weight": weight}


def open_samples(path: Path, target: str, ignored: list[str]) -> Samples:
    """The samples of a table, an array or a folder of parts.

    Parameters
    ----------
    path : Path
    target : str
        A column; or for an array, or a folder, the path of a .npy file (m,), or of a folder of such parts.
    ignored : list of str
        Columns of a table that are left out.
    """
    labels, apart = Path(target), target.lower().endswith(".npy") or Path(target).is_dir()
    if not path.is_dir() and not (apart and _is_array(path)):
        return _of_table(path, target, ignored)
    if ignored:
        raise ValueError(f"{path}: --ignore is for tables; all that an array or a folder of parts holds are features")
    if not apart:
        return Samples(*xlogreg.open_parts(path, target=target))
    X, Y = _opened(path), xlogreg.open_parts(labels) if labels.is_dir() else _load(labels, None)
    if tuple(Y.shape) != (X.shape[0],):
        raise ValueError(f"{target} has the shape {Y.shape}; {path} holds {X.shape[0]} samples, with one label each")
    return Samples(X, Y)


def open_features(path: Path, ignored: list[str], named: bool) -> Any:
    """The features of a table, an array or a folder of parts.

    Parameters
    ----------
    path : Path
    ignored : list of str
        Columns that are left out.
    named : bool
        Whether they are matched by name, so that the columns of an array are called by their numbers.
    """
    if path.is_dir() and ignored:
        if len(ignored) > 1:
            raise ValueError(f"{path}: --ignore leaves out one of the columns of parts, not {len(ignored)}")
        return xlogreg.open_parts(path, target=ignored[0])[0]
    if path.is_dir() or (_is_array(path) and not named and not ignored):
        return _opened(path)
    return without(read_table(path), ignored, path)


def _is_array(path: Path) -> bool:
    return path.suffix.lower() == ".npy"


def _opened(path: Path) -> Any:
    if path.is_dir():
        return xlogreg.open_parts(path)
    X = _load(path, "r")
    return X[:, None] if X.ndim == 1 else X


def _load(path: Path, mode: Any) -> np.ndarray:
    try:
        return np.load(path, mmap_mode=mode, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} holds no array: {error}") from None


def _of_table(path: Path, target: str, ignored: list[str]) -> Samples:
    frame = read_table(path)
    features = without(frame, [target, *ignored], path)
    labels = frame[target]
    if labels.dtype == pl.String:
        labels = labels.str.strip_chars().replace("", None)  # a blank cell in quotes
    try:
        return Samples(features, np.asarray(column_values(labels, f"the column {target!r}")))
    except ValueError as error:
        row = labels.is_null().arg_max()
        raise ValueError(f"{error}: the first is in row {row}, counted from 0") from None
