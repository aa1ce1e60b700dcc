"""Data sets from files: arrays, and four large sets in the formats in which they are handed around."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

__all__ = ["LOADERS", "load"]

Data = tuple[np.ndarray, np.ndarray]


def label_first(path: Path) -> Data:
    """HIGGS and SUSY: lines of numbers with commas, the label 0 or 1 first; .gz as well."""
    table = np.loadtxt(path, delimiter=",", dtype=np.float32, ndmin=2)
    return np.ascontiguousarray(table[:, 1:]), table[:, 0].astype(np.int64)


def label_last(path: Path) -> Data:
    """covtype: lines of whole numbers with commas, the kind of forest 1 ... 7 last."""
    table = np.loadtxt(path, delimiter=",", dtype=np.float32, ndmin=2)
    return np.ascontiguousarray(table[:, :-1]), table[:, -1].astype(np.int64) - 1


def labelled_pairs(path: Path) -> Data:
    """epsilon: libsvm's text, "-1 1:0.5 2:0.25 ...", as a dense array."""
    from sklearn.datasets import load_svmlight_file

    X, y = load_svmlight_file(str(path), dtype=np.float32)
    return X.toarray(), (y > 0).astype(np.int64)


LOADERS: dict[str, Callable[[Path], Data]] = {
    "HIGGS": label_first,
    "SUSY": label_first,
    "covtype": label_last,
    "epsilon": labelled_pairs,
}


def load(first: str, second: str) -> Data:
    """X (m, n_x) and labels from two .npy files, or from a name of `LOADERS` and a file; classes become 0 ... K - 1.

    Raises
    ------
    ValueError
        Where X is no table, has another number of samples than Y, or there is one class only.
    """
    X, y = LOADERS[first](Path(second)) if first in LOADERS else (np.load(first), np.load(second))
    if X.ndim != 2 or X.shape[0] != y.size:
        raise ValueError(f"X must be (m, n_x) and Y (m,), not {X.shape} and {y.shape}")
    classes, numbers = np.unique(np.ravel(y), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"Y must hold two classes or more, not {len(classes)}")
    return X if X.dtype in (np.float32, np.float64) else X.astype(np.float64), numbers.astype(np.int64)
