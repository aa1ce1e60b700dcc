"""Rao's score test of many features that a model does not have, without fitting a model with any of them.

For a candidate g, with residuals y - a and curvatures a (1 - a) of the null model:

- the score is U = sum s (y - a) g;
- its variance, the efficient information, is V = V_gg - V_gx V_xx^-1 V_xg, since the null model has fitted the weights
  of x: V_gg = sum s a (1 - a) g^2, and V_gx = sum s a (1 - a) g x';
- U'V^-1 U is chi-squared with one degree of freedom, K - 1 for K classes, if g has no effect (Rao 1948; Cox & Hinkley,
  Theoretical Statistics, 1974, section 9.3).

So the sums of all candidates are one product, of the candidates with a few columns of numbers for each sample.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.matrix import Dense, Matrix
from xlogreg.arrays.place import HOST, Place, is_array, place_of, to_host
from xlogreg.arrays.stored import Stored
from xlogreg.math.information import candidate_sums, null_columns, null_weights
from xlogreg.math.losses import Loss
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import host_center
from xlogreg.samples.threads import map_blocks

__all__ = ["Null", "Scores", "score_candidates"]

COLUMNS_BYTES = 32 * 2**20  # columns of the null model that are held at once
SUMS_NUMBERS = 2**23  # sums of all candidates that are held at once
READ_BYTES = 32 * 2**20  # candidates that are read at once
TILE = 64, 1024  # candidates and samples that are multiplied at once on the host: in float64 they stay in the cache
DEVICE_NUMBERS = 2**25  # numbers of candidates that are multiplied at once on a device
SPARSE_NUMBERS = 2**21  # the same on the host where X is sparse, so that its products have no tiles
HANDED = 512  # candidates that a thread is handed at once
CONSTANT = 1e-13  # share of the second moment, below which the variance of a candidate is a rounding error
COLLINEAR = 1e-9  # share of its variance that must be left when the features of X have explained it
ROUNDED = 1e-28  # the same, of the square of a mean that was subtracted
FAR = 1e-5  # share of the second moment, below which a variance is computed once more, about the mean
FAR_OF_BYTES = 1e-7  # the same for numbers of one byte, which are constant or vary by more than that


class Null(NamedTuple):
    """The null model: its samples, and what its own parameters leave of the information.

    Attributes
    ----------
    source : InMemory
        In the widest float.
    theta : ndarray (n_x + 1, 1, k)
        Parameters for the source's X.
    loss : Loss
    basis : ndarray (k, c)
        Orthonormal basis of the classes.
    center : ndarray (n_x, 1)
        The centre that the inverse belongs to.
    inverse : ndarray (q, q)
        Inverse of the information V_xx about the centre; rows that do not move are zero.
    slopes : ndarray (q,)
        Scores of the null model's own parameters, which are zero but for what the fit left.
    curvature : ndarray (c, c), or None
        Sum of the curvatures; None without a bias.
    """

    source: InMemory
    theta: np.ndarray
    loss: Loss
    basis: np.ndarray
    center: np.ndarray
    inverse: np.ndarray
    slopes: np.ndarray
    curvature: np.ndarray | None

    @property
    def pairs(self) -> int:
        c = self.basis.shape[1]
        return c * (c + 1) // 2

    @property
    def width(self) -> int:
        """Number of sums of each candidate."""
        return self.basis.shape[1] + self.pairs * (self.source.n_x + 2)


class Scores(NamedTuple):
    """Statistics of candidates (G,), NaN where there is no test, and which candidates are not finite."""

    statistics: np.ndarray
    flawed: np.ndarray  # (G,) bool: values are missing or infinite


def score_candidates(null: Null, candidates: Matrix) -> Scores:
    """Compute the statistic of each candidate; G candidates are the features of a matrix of the same samples."""
    G = candidates.n_x
    statistics, flawed = np.full(G, np.nan), np.zeros(G, dtype=bool)
    group = max(HANDED, SUMS_NUMBERS // null.width)
    for start in range(0, G, group):
        part = slice(start, min(start + group, G))
        S = _sums(null, candidates, part, None)
        flawed[part] = ~np.isfinite(S).all(axis=1)
        S = np.where(flawed[part, None], 0.0, S)
        moments = _Moments.of(null, S, np.zeros((len(S), 1)))
        far = moments.is_far(np.dtype(getattr(candidates.dtype, "name", "float64")).itemsize)
        if far.any() and candidates.dense:  # another pass, about their means, for those whose variance drowns
            mean = np.where(far[:, None], moments.mean, 0.0)
            S = np.where(flawed[part, None], 0.0, _sums(null, candidates, part, mean))
            moments = _Moments.of(null, S, mean)
        statistics[part] = moments.statistics(null)
    return Scores(statistics, flawed)


def _sums(null: Null, candidates: Matrix, part: slice, center: np.ndarray | None) -> np.ndarray:
    """Sums (n, width) of some of the candidates, from which a centre (n, 1) is subtracted."""
    source, place = null.source, null.source.place
    total = np.zeros((part.stop - part.start, null.width))
    step = max(1, COLUMNS_BYTES // (8 * null.width))
    with place.computing():
        theta, basis = place.put(null.theta, source.dtype), place.put(null.basis, source.dtype)
        for start in range(0, source.m, step):
            stop = min(start + step, source.m)
            block = source.block(start, stop)
            D, C = null_weights(block, theta, null.loss, basis)
            X = block.X
            columns = null_columns(X, D, C)
            for piece in _pieces(candidates, part, start, stop, place):
                at = slice(piece.part.start - part.start, piece.part.stop - part.start)
                rows = slice(piece.start - start, piece.stop - start)
                some = None if center is None else center[at]
                inside = X if source.dense else source.computed(piece.start, piece.stop)
                found = _multiplied(piece, some, columns[rows, :], C[:, rows], inside, place, source.dtype)
                total[at] = total[at] + found
    return total


class _Piece(NamedTuple):
    """Some candidates of some samples."""

    X: Any  # Matrix of these alone
    part: slice  # of the candidates
    start: int  # of the samples
    stop: int


def _pieces(candidates: Matrix, part: slice, start: int, stop: int, place: Place) -> Iterator[_Piece]:
    """Yield pieces of some candidates and samples that can be held at once, in the order in which they are stored."""
    n, m = part.stop - part.start, stop - start
    if isinstance(candidates, Dense):
        array = candidates.array
        cut = array[start:stop, part] if candidates.rows else array[part, start:stop]
        yield _Piece(Dense(cut, candidates.rows), part, start, stop)
        return
    if isinstance(candidates, Stored):
        size = candidates.dtype.itemsize
        if candidates.rows:
            step = max(1, READ_BYTES // (size * n))
            spans = [(part, a, min(a + step, stop)) for a in range(start, stop, step)]
        else:
            step = max(1, READ_BYTES // (size * m))
            spans = [(slice(a, min(a + step, part.stop)), start, stop) for a in range(part.start, part.stop, step)]
        for some, a, b in spans:
            yield _Piece(Dense(candidates.read(a, b, some), candidates.rows), some, a, b)
        return
    step = max(1, READ_BYTES // (8 * candidates.n_x))
    for a in range(start, stop, step):
        b = min(a + step, stop)
        yield _Piece(candidates.between(a, b), part, a, b)


def _multiplied(piece: _Piece, center: Any, columns: Any, C: Any, X: Any, place: Place, dtype: str) -> np.ndarray:
    """Sums (n, width) of a piece, in tiles that stay in the cache of a core."""
    n, m = piece.part.stop - piece.part.start, piece.stop - piece.start
    if not piece.X.dense:
        block = piece.X.converted(piece.X.cut(0, m, place), place, dtype, None, False)
        found = to_host(candidate_sums(block, columns, C, X))
        return found[piece.part]
    few, many = max(1, (SPARSE_NUMBERS if place.small_blocks else DEVICE_NUMBERS) // m), m
    few, many = TILE if place.small_blocks and is_array(X) else (few, many)
    array, rows, here = piece.X.array, piece.X.rows, place_of(piece.X.array) == place

    def tile(candidates: slice, samples: slice) -> Any:
        cut = array[samples, candidates] if rows else array[candidates, samples]
        cut = cut if here else place.put(cut)
        own = None
        if center is not None:
            own = place.put(center[candidates].T if rows else center[candidates], dtype)
        found = place.convert(cut, dtype, own)
        return found.T if rows else found

    def handed(first: int) -> np.ndarray:
        last = min(first + max(HANDED, few), n)
        found = np.zeros((last - first, columns.shape[1] + C.shape[0] * (1 if is_array(X) else 1 + X.shape[0])))
        with place.computing():
            for a in range(0, m, many):
                samples = slice(a, min(a + many, m))
                for b in range(first, last, few):
                    some = slice(b, min(b + few, last))
                    part = candidate_sums(tile(some, samples), columns[samples, :], C[:, samples], X)
                    at = slice(b - first, some.stop - first)
                    found[at] = found[at] + to_host(part)
        return found

    starts = range(0, n, max(HANDED, few))
    parts = map_blocks(handed, starts, len(starts)) if place == HOST else map(handed, starts)
    return np.concatenate(list(parts))


class _Moments(NamedTuple):
    """Sums of candidates, in the coordinates of the basis of the classes."""

    U: np.ndarray  # (G, c) scores
    own: np.ndarray  # (G, c, c) V_gg
    ones: np.ndarray  # (G, c, c) V_gx for the bias
    crossed: np.ndarray  # (G, c, q) V_gx, features first, about the centre of the null model
    varied: np.ndarray  # (G, c, c) V_gg that the bias does not explain
    mean: np.ndarray  # (G, 1) weighted by the curvature; of the numbers as they came

    @classmethod
    def of(cls, null: Null, S: np.ndarray, center: np.ndarray) -> "_Moments":
        c, p, n_x = null.basis.shape[1], null.pairs, null.source.n_x
        number = np.zeros((c, c), dtype=np.intp)
        upper = np.triu_indices(c)
        number[upper] = number.T[upper] = np.arange(p)
        flat = S[:, c : c + p]
        shift = (null.center - host_center(null.source))[:, 0]
        features = S[:, c + p : c + p + p * n_x].reshape(-1, p, n_x) - flat[:, :, None] * shift
        rows = np.concatenate([features, flat[:, :, None]], axis=2)  # (G, p, n_x + 1)
        crossed = rows[:, number, :].transpose(0, 1, 3, 2).reshape(len(S), c, -1)
        own, ones = S[:, -p:][:, number], flat[:, number]
        varied, mean = own, center
        if null.curvature is not None:
            varied = own - ones @ np.linalg.solve(null.curvature, ones)
            total = np.trace(null.curvature)
            mean = center + np.trace(ones, axis1=1, axis2=2)[:, None] / total
        return cls(S[:, :c], own, ones, crossed, varied, mean)

    def is_far(self, itemsize: int) -> np.ndarray:
        """Whether the variance of a candidate (G,) drowns in the square of its mean."""
        own, varied = (np.trace(part, axis1=1, axis2=2) for part in (self.own, self.varied))
        if itemsize == 1:
            return (varied < FAR_OF_BYTES * own) & (varied > CONSTANT * own)
        return varied < FAR * own

    def statistics(self, null: Null) -> np.ndarray:
        """Compute U'V^-1 U (G,); NaN for candidates that are constant, or combinations of features of X."""
        found = np.full(len(self.U), np.nan)
        explained = self.crossed @ null.inverse
        V = self.own - explained @ self.crossed.transpose(0, 2, 1)
        U = self.U - explained @ null.slopes
        spread, own = (np.diagonal(part, axis1=1, axis2=2) for part in (self.varied, self.own))
        least = CONSTANT * own
        if null.curvature is not None:
            least = least + ROUNDED * self.mean**2 * null.curvature.diagonal()
        varies = np.all(spread > least, axis=1)
        scale = np.sqrt(np.where(varies[:, None], spread, 1.0))
        V, U = V / scale[:, :, None] / scale[:, None, :], U / scale
        left = V[:, 0, 0] if V.shape[1] == 1 else np.linalg.eigvalsh(np.where(varies[:, None, None], V, 0.0))[:, 0]
        known = varies & (left > COLLINEAR)
        solved = np.linalg.solve(V[known], U[known][:, :, None])[:, :, 0]
        found[known] = np.sum(U[known] * solved, axis=1)
        return found
