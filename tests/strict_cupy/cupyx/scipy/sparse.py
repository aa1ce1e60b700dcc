"""Compressed sparse matrices of a device, as far as xlogreg needs them; SciPy computes."""

import numpy as np
import scipy.sparse
from cupy._core.core import ndarray, wrap
from cupy._core.kernels import kernel
from cupy._core.ufuncs import refuse
from cupy._counts import counts

__all__ = ["csc_matrix", "csr_matrix", "issparse"]

DTYPES = "?fdFD"


class _Compressed:
    """A matrix of three arrays: values, their places along the other axis, and where each row or column starts."""

    __hash__ = None
    __array_priority__ = 101

    def __init__(self, arg1, shape=None, dtype=None, copy=False):
        if isinstance(arg1, tuple):
            parts, self.shape = arg1, tuple(shape)
            for part in parts:
                if not isinstance(part, ndarray):
                    refuse(part)
        elif isinstance(arg1, ndarray):
            dense = arg1 if arg1.ndim == 2 else arg1[None, :]
            counts.add("syncs", f"{self.format}_matrix")
            found = kernel("dense to sparse", lambda: _parts(self._scipy(dense._a)), [dense])
            parts, self.shape = wrap(found), dense.shape
        else:
            raise NotImplementedError(f"a sparse matrix of {type(arg1).__name__}")  # which xlogreg never makes
        self.data, self.indices, self.indptr = parts
        if self.data.dtype.char not in DTYPES:
            raise ValueError("Only bool, float32, float64, complex64 and complex128 are supported")
        if not len(self.data) == len(self.indices):
            raise ValueError("indices and data should have the same size")

    dtype = property(lambda self: self.data.dtype)
    nnz = property(lambda self: self.data.size)
    ndim = 2

    def __bool__(self):
        raise ValueError("The truth value of a sparse matrix is ambiguous")

    @property
    def _arrays(self):
        return [self.data, self.indices, self.indptr]

    @property
    def _host(self):
        return self._scipy(tuple(part._a for part in self._arrays), shape=self.shape)

    @property
    def has_canonical_format(self):
        counts.add("syncs", "has_canonical_format")
        return bool(kernel("has_canonical_format", lambda: np.asarray(self._host.has_canonical_format), self._arrays))

    def sum_duplicates(self):
        if not self.has_canonical_format:
            counts.add("syncs", "sum_duplicates")
            self.data, self.indices, self.indptr = wrap(kernel("sum_duplicates", self._summed, self._arrays))

    def _summed(self):
        host = self._host.copy()
        host.sum_duplicates()
        return _parts(host)

    def copy(self):
        return type(self)(tuple(part.copy() for part in self._arrays), self.shape)

    @property
    def T(self):
        kind = csc_matrix if self.format == "csr" else csr_matrix
        return kind(tuple(self._arrays), self.shape[::-1])

    def tocsr(self, copy=False):
        if self.format == "csr":
            return self
        return csr_matrix(wrap(kernel("tocsr", lambda: _parts(self._host.tocsr()), self._arrays)), self.shape)

    def toarray(self, order=None, out=None):
        self.copy().sum_duplicates()
        return wrap(kernel("toarray", lambda: self._host.toarray(order), self._arrays), kept=True)

    def multiply(self, other):
        if not isinstance(other, ndarray):
            refuse(other)
        self.sum_duplicates()
        counts.add("syncs", "multiply")
        found = kernel("multiply", lambda: _parts(self._host.multiply(other._a).tocsr()), [*self._arrays, other])
        return csr_matrix(wrap(found), self.shape)

    def __matmul__(self, other):
        if isinstance(other, _Compressed):
            counts.add("syncs", "spgemm")
            reads = [*self._arrays, *other._arrays]
            made = kernel("spgemm", lambda: _parts((self._host @ other._host).tocsr()), reads)
            return csr_matrix(wrap(made), (self.shape[0], other.shape[1]))
        if not isinstance(other, ndarray):
            refuse(other)
        dtype = np.promote_types(self.dtype, other.dtype)
        other = other.astype(dtype, copy=False)
        data = self.data.astype(dtype, copy=False)
        product = kernel("spmm", lambda: np.asarray(self._host @ other._a, dtype), [data, *self._arrays[1:], other])
        return wrap(product)


class csr_matrix(_Compressed):  # noqa: N801 - the name in CuPy
    """Compressed rows."""

    format, _scipy = "csr", scipy.sparse.csr_matrix


class csc_matrix(_Compressed):  # noqa: N801 - the name in CuPy
    """Compressed columns."""

    format, _scipy = "csc", scipy.sparse.csc_matrix


def _parts(host):
    return host.data, host.indices, host.indptr


def issparse(x):
    return isinstance(x, _Compressed)
