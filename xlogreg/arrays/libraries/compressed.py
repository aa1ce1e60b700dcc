"""Sparse matrices of SciPy, and of CuPy, which has the same interface."""

import importlib
from typing import Any

import numpy as np

from xlogreg.arrays.traits import FILLED, SparseProducts, array_namespace, bordered_grams

__all__ = ["compressed"]

NARROW = 2**31  # so many numbers can be counted in 32 bits, which take less time


def compressed(module: str, base: str) -> SparseProducts:
    """Describe the sparse matrices of a module, ``base`` or below it."""

    def made(values: Any, features: Any, starts: Any, shape: tuple[int, int]) -> Any:
        library = importlib.import_module(module)
        if isinstance(features, np.ndarray):
            return _filled(library.csr_array, (values, features, starts), shape)
        return library.csr_matrix((values, features, array_namespace(features).asarray(starts)), shape=shape)

    return SparseProducts(
        owns=lambda X: type(X).__module__.startswith(base) and hasattr(X, "tocsr"),
        taken=_taken,
        made=made,
        parts=lambda A: (A.data, A.indices),
        starts=lambda A: _on_host(A.indptr),
        with_values=lambda A, values: made(values, A.indices, A.indptr, A.shape),
        times=lambda A, W: A @ W,
        back=_back,
        gram=_gram,
    )


def _filled(kind: Any, parts: tuple[Any, Any, Any], shape: tuple[int, int]) -> Any:
    """Make a matrix of SciPy from its parts, which its constructor would copy if they are slices of larger arrays."""
    A, (values, indices, starts) = kind(shape, dtype=parts[0].dtype), parts
    if indices.dtype != starts.dtype:  # of joined parts
        dtype = indices.dtype if starts[-1] < NARROW else starts.dtype
        indices, starts = indices.astype(dtype, copy=False), starts.astype(dtype, copy=False)
    A.data, A.indices, A.indptr = values, indices, starts
    return A


def _back(A: Any, V: Any) -> Any:
    if not isinstance(A.data, np.ndarray):
        return A.T @ V
    csc_array = importlib.import_module("scipy.sparse").csc_array
    return _filled(csc_array, (A.data, A.indices, A.indptr), A.shape[::-1]) @ V


def _taken(X: Any, by_rows: bool) -> tuple[Any, Any, np.ndarray]:
    A = X if by_rows else X.T
    rows = A.tocsr()
    if hasattr(rows, "check_format"):
        rows.check_format(full_check=True)
    if not rows.has_canonical_format:
        rows = rows.copy() if rows is A or A.format == "csc" else rows  # never change what the user holds
        rows.sum_duplicates()
    starts, narrow = _on_host(rows.indptr), max(rows.nnz, *rows.shape) < NARROW
    dtype = np.int32 if narrow else np.int64
    return rows.data, rows.indices.astype(dtype, copy=False), starts.astype(dtype, copy=False)


def _on_host(array: Any) -> np.ndarray:
    return array if isinstance(array, np.ndarray) else array.get()


def _gram(A: Any, C: Any) -> Any:
    (m, n_x), k, xp = A.shape, C.shape[0], array_namespace(C)
    if A.nnz > FILLED * m * n_x:
        return bordered_grams(xp.astype(A.toarray().T, C.dtype, copy=False), C)
    H = xp.empty((n_x + 1, k, n_x + 1, k), dtype=C.dtype)
    for i in range(k):
        for j in range(i, k):  # H is symmetric
            c = C[i, j, :]
            part = xp.empty((n_x + 1, n_x + 1), dtype=C.dtype)
            part[:-1, :-1] = (A.T @ A.multiply(c[:, None]).tocsr()).toarray()
            part[:-1, -1] = part[-1, :-1] = A.T @ c
            part[-1, -1] = c.sum()
            H[:, i, :, j] = H[:, j, :, i] = part
    return H.reshape((n_x + 1) * k, (n_x + 1) * k)
