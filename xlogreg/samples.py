"""The samples that a command is given: a table, read whole; or an array or a folder of parts, read in blocks."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import polars as pl

import xlogreg
from xlogreg.datasets import read_table, without
from xlogreg.model import Model
from xlogreg.reports import Report
from xlogreg.tables import column_values

__all__ = ["Features", "Samples", "open_features", "open_samples"]

BLOCK_BYTES = 64 * 2**20  # of X that are held at a time to predict and to judge

Answer = TypeVar("Answer")


class Features(NamedTuple):
    """The features of samples; what is no table is only ever read in blocks.

    Attributes
    ----------
    X : polars.DataFrame, or what has a shape (m, n_x) and slices
    ignored : list of str
        Columns of the blocks that are no features.
    path : Path
        Where they come from.
    """

    X: Any
    ignored: list[str]
    path: Path

    def map(self, function: Callable[[int, Any], Answer]) -> Iterator[Answer]:
        """function(number of the first sample, block) of every block: a table, or an array of nameless features."""
        for start, block in self._blocks():
            try:
                yield function(start, block)
            except ValueError as error:
                raise ValueError(f"block of samples from {start} on: {error}" if start else str(error)) from None

    def _blocks(self) -> Iterator[tuple[int, Any]]:
        if isinstance(self.X, pl.DataFrame):
            yield 0, self.X
            return
        m, n_x = self.X.shape
        names = getattr(self.X, "feature_names", None)
        step = max(1, BLOCK_BYTES // (n_x * self.X.dtype.itemsize))
        for start in range(0, m, step):
            block = np.asarray(self.X[start : start + step])
            if names is not None:
                yield start, without(pl.DataFrame(block, schema=list(names)), self.ignored, self.path)
            else:
                yield start, block

    def predict(self, model: Model) -> tuple[np.ndarray, np.ndarray]:
        """The most probable label of each sample (m,), and the probability of each class (m, K)."""
        parts = list(self.map(lambda _, block: (model.predict(block), model.predict_proba(block))))
        labels, probabilities = (np.concatenate(part) for part in zip(*parts, strict=True))
        return labels, probabilities


class Samples(NamedTuple):
    """Features and the labels (m,) of the same samples."""

    features: Features
    Y: np.ndarray

    def chosen(self, numbers: np.ndarray) -> dict[str, Any]:
        """What `fit` takes of some of the samples: a copy of a table, and of all else everything, with weights."""
        X, Y = self.features.X, self.Y
        if len(numbers) == len(Y):
            return {"X": X, "Y": Y}
        if isinstance(X, pl.DataFrame):
            return {"X": X[numbers], "Y": Y[numbers]}
        weight = np.zeros(len(Y), dtype=np.uint8)
        weight[numbers] = 1
        return {"X": X, "Y": Y, "sample_weight": weight}

    def judge(self, model: Model, numbers: np.ndarray) -> Report:
        """The report on some of the samples, whose numbers are in order."""

        def report_on(start: int, block: Any) -> tuple[Report, int] | None:
            first, last = np.searchsorted(numbers, (start, start + len(block)))
            own = numbers[first:last]
            part = block if len(own) == len(block) else block[own - start]
            return (model.evaluate(part, self.Y[own]), len(own)) if len(own) else None

        reports, counts = zip(*filter(None, self.features.map(report_on)), strict=True)
        confusion = np.sum([report.confusion for report in reports], axis=0)
        log_loss = float(np.average([report.log_loss for report in reports], weights=counts))
        return Report(float(np.trace(confusion)) / len(numbers), log_loss, confusion, model.classes)


def open_samples(path: Path, target: str, ignored: list[str]) -> Samples:
    """The samples of a table, an array or a folder of parts.

    Parameters
    ----------
    path : Path
    target : str
        A column; or of an array, or of a folder, the path of a .npy file (m,).
    ignored : list of str
        Columns of a table that are left out.
    """
    labelled = target.lower().endswith(".npy")
    if not path.is_dir() and not (labelled and _is_array(path)):
        return _of_table(path, target, ignored)
    if ignored:
        raise ValueError(f"{path}: --ignore is for tables; all that an array or a folder of parts holds are features")
    if not labelled:
        X, Y = xlogreg.open_parts(path, target=target)
        return Samples(Features(X, [], path), np.asarray(Y))
    X, Y = _opened(path), _load(Path(target), None)
    if Y.ndim != 1 or len(Y) != X.shape[0]:
        raise ValueError(f"{target} has the shape {Y.shape}; {path} holds {X.shape[0]} samples, with one label each")
    return Samples(Features(X, [], path), Y)


def open_features(path: Path, ignored: list[str], named: bool) -> Features:
    """The features of a table, an array or a folder of parts.

    ``named``: whether they are matched by name, so that the columns of an array are called by their numbers.
    """
    if path.is_dir() or (_is_array(path) and not named and not ignored):
        X = _opened(path)
        if ignored and getattr(X, "feature_names", None) is None:
            raise ValueError(f"{path} holds features without names, of which --ignore can leave out none")
        return Features(X, ignored, path)
    return Features(without(read_table(path), ignored, path), [], path)


def _is_array(path: Path) -> bool:
    return path.suffix.lower() == ".npy"


def _opened(path: Path) -> Any:
    if path.is_dir():
        return xlogreg.open_parts(path)
    X = _load(path, "r")
    return X[:, None] if X.ndim == 1 else X


def _load(path: Path, mode: Any) -> np.ndarray:
    try:
        with path.open("rb") as file:
            return np.load(file if mode is None else path, mmap_mode=mode, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} holds no array: {error}") from None


def _of_table(path: Path, target: str, ignored: list[str]) -> Samples:
    frame = read_table(path)
    features = without(frame, [target, *ignored], path)
    labels = frame[target]
    if labels.dtype == pl.String:
        labels = labels.str.strip_chars().replace("", None)  # a blank cell in quotes
    try:
        return Samples(Features(features, [], path), np.asarray(column_values(labels, f"the column {target!r}")))
    except ValueError as error:
        row = labels.is_null().arg_max()
        raise ValueError(f"{error}: the first is in row {row}, counted from 0") from None
