"""Whether an unpenalised logistic regression has a minimum: linear programming, with a proof in whole numbers.

Shares no code with the library. The cost falls for ever along W where no sample moves to its wrong side, that is where
for each sample i of class c, d_ic >= d_ij for all classes j, d = W'x, and not always with equality (Albert & Anderson,
Biometrika 1984). With one row (e_c - e_j) x' of A for each such pair: A W >= 0, A W != 0. By Stiemke's theorem there is
either such a W, or beta > 0 with A'beta = 0, and then a minimum exists. A sample with targets above zero for several
classes forces equality among them (rows of A whose beta may have any sign).

A linear program finds W or beta, within its tolerance; the one or the other is then made exact on the numbers given,
and checked in whole numbers. Large problems are settled by bounds of rounding errors instead where those suffice.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import qr
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, eye_array, hstack

from tests.judge import Minimum, Problem

__all__ = ["Existence", "Pairs", "Whole", "exists", "is_balance", "is_ray", "pairs_of"]

EXACT = 3_000_000  # numbers in A, up to which whole numbers are affordable
BITS = 40  # of what is rounded before it is made exact


class Existence(NamedTuple):
    """Of a minimum: "exists", "separated" or "unsure"; ``left`` (K, m): classes that no ray parts from the target's."""

    kind: str
    complete: bool
    left: np.ndarray | None
    proof: str
    margin: float  # of a ray: largest move over the sizes that it is made of; of a balance: smallest beta over largest


class Pairs(NamedTuple):
    rows: np.ndarray  # (r, q) floats, every row of size one
    sample: np.ndarray  # (r,)
    own: np.ndarray  # (r,) class c
    other: np.ndarray  # (r,) class j
    forced: np.ndarray  # (r,) whether equality is
    center: np.ndarray  # (n_x,) floats
    exponent: np.ndarray  # (n_x,) whole: features are (x - center) / 2^exponent
    columns: np.ndarray  # of features, those that are independent
    size: np.ndarray  # (r,)


def exists(problem: Problem, minimum: Minimum | None = None) -> Existence:
    """Whether the problem, taken without a penalty, has a minimum."""
    pairs = pairs_of(problem)
    if pairs.rows.shape[1] == 0 or np.all(pairs.forced):
        return Existence("exists", False, None, "trivial", 1.0)
    if minimum is not None:
        beta = _residuals(problem, pairs, minimum)
        if _balances_by_far(pairs, beta):
            return Existence("exists", False, None, "float", _spread(beta[~pairs.forced]))
    whole = None
    for orthogonal, tolerance, bound in ((False, 1e-9, None), (True, 1e-9, None), (True, 1e-10, 1e4)):
        W, t, beta = _program(pairs, orthogonal, tolerance, bound)
        if W is None:
            continue
        balanced = np.max(t, initial=0.0) < 0.5
        if balanced and _balances_by_far(pairs, beta):
            return Existence("exists", False, None, "float", _spread(beta[~pairs.forced]))
        if pairs.rows.size <= EXACT:
            whole = whole or Whole.of(problem, pairs)
            moved = (t > 0.5) & ~pairs.forced
            if balanced and is_balance(whole, beta):
                return Existence("exists", False, None, "exact", _spread(beta[~pairs.forced]))
            if not balanced and is_ray(whole, W, moved):
                return _separated(problem, pairs, moved, W)
    return Existence("unsure", False, None, "", 0.0)


class Whole(NamedTuple):
    """A in whole numbers, exactly, but for a factor of each row, which is the same for all rows of a sample."""

    features: np.ndarray  # (m, p) of whole numbers
    factor: np.ndarray  # (r,) what the rows in floats were multiplied by
    pairs: Pairs

    @classmethod
    def of(cls, problem: Problem, pairs: Pairs) -> "Whole":
        X, n = problem.given, problem.given.shape[0]
        center = pairs.center if problem.bias else problem.center[:, 0]
        whole, shifts = [], []
        for i in range(X.shape[1]):
            ratios = [_ratio(X[j, i], center[j], int(pairs.exponent[j])) for j in range(n)]
            shift = max([e for _, e in ratios], default=0)
            row = [value << (shift - e) for value, e in ratios] + ([1 << shift] if problem.bias else [])
            whole.append(row)
            shifts.append(shift)
        features = np.array(whole, dtype=object).reshape(X.shape[1], -1)[:, pairs.columns]
        return cls(features, np.ldexp(pairs.size, np.array(shifts)[pairs.sample]), pairs)

    @property
    def _shape(self) -> tuple[int, int]:
        p = self.features.shape[1]
        return self.pairs.rows.shape[1] // max(1, p), p

    def rows(self, chosen: np.ndarray) -> np.ndarray:
        """Some of the rows (number, q)."""
        k, p = self._shape
        found = np.zeros((len(chosen), k + 1, p), dtype=object)
        for number, row in enumerate(chosen):
            x = self.features[self.pairs.sample[row]]
            found[number, self.pairs.own[row]] += x
            found[number, self.pairs.other[row]] -= x
        return found[:, 1:].reshape(len(chosen), k * p)

    def times(self, W: np.ndarray) -> np.ndarray:
        """A W (r,)."""
        scores = self.features @ W.reshape(self._shape).T
        scores = np.hstack([np.zeros((len(scores), 1), dtype=object), scores])
        sample, own, other = self.pairs.sample, self.pairs.own, self.pairs.other
        return scores[sample, own] - scores[sample, other]

    def turned(self, beta: np.ndarray) -> np.ndarray:
        """A'beta (q,)."""
        k, _ = self._shape
        B = np.zeros((k + 1, len(self.features)), dtype=object)
        np.add.at(B, (self.pairs.own, self.pairs.sample), beta)
        np.add.at(B, (self.pairs.other, self.pairs.sample), -beta)
        return (B[1:] @ self.features).reshape(-1)


def is_ray(whole: Whole, W: np.ndarray, moved: np.ndarray) -> bool:
    """Whether a W near the one given is a ray: A W is exactly zero, but above zero where moved."""
    W, still = _whole(W), np.flatnonzero(~moved)
    chosen = still[_independent(whole.pairs.rows[still].T)]
    if len(chosen):
        columns = _independent(whole.pairs.rows[chosen])
        free, rows = np.setdiff1d(np.arange(len(W)), columns), whole.rows(chosen)
        solved = _solve(rows[:, columns], -(rows[:, free] @ W[free]))
        if solved is None:
            return False
        W = W * abs(solved[1])
        W[columns] = solved[0] * (1 if solved[1] > 0 else -1)
    moves = whole.times(W)
    return bool(np.all(moves[~moved] == 0) and np.all(moves[moved] > 0) and np.any(moved))


def is_balance(whole: Whole, beta: np.ndarray) -> bool:
    """Whether A'beta = 0 exactly for a beta near the one given, above zero where not forced."""
    forced = whole.pairs.forced
    weight = np.maximum(np.abs(beta), 1e-8 * np.max(np.abs(beta)))  # large ones make up for the rounding of the others
    chosen = qr((whole.pairs.rows * weight[:, None]).T, mode="r", pivoting=True)[1][: len(whole.pairs.rows[0])]
    beta = _whole(beta / whole.factor)
    others = beta.copy()
    others[chosen] = 0
    solved = _solve(whole.rows(chosen).T, -whole.turned(others))
    if solved is None:
        return False
    beta = beta * abs(solved[1])
    beta[chosen] = solved[0] * (1 if solved[1] > 0 else -1)
    return bool(np.all(whole.turned(beta) == 0) and np.all(beta[~forced] > 0))


def pairs_of(problem: Problem) -> Pairs:
    X, Y = problem.X, problem.Y
    n, m = X.shape
    middle = np.median(X, axis=1).astype(float) if problem.bias else np.zeros(n)
    center = middle if problem.bias else problem.center[:, 0]
    D = X - center[:, None]
    exponent = np.zeros(n, int)
    for j in range(n):
        away = np.abs(D[j][D[j] != 0])
        if len(away):
            exponent[j] = int(np.clip(np.round(np.log2(float(np.median(away)))), -900, 900))
    features = (D / np.exp2(exponent.astype(np.longdouble))[:, None]).T
    if problem.bias:
        features = np.hstack([features, np.ones((m, 1))])
    sized = (features / np.maximum(np.max(np.abs(features), axis=1, keepdims=True), 1e-300)).astype(float)
    columns = np.sort(_independent(sized / np.maximum(np.linalg.norm(sized, axis=0), 1e-300)))
    features = features[:, columns]
    own = np.argmax(Y, axis=0)
    sample, other = np.nonzero((np.arange(Y.shape[0])[:, None] != own).T)
    p = len(columns)
    rows = np.zeros((len(sample), Y.shape[0] - 1, p))
    size = np.maximum(np.max(np.abs(features), axis=1), 1e-300) if p else np.ones(m)
    features = (features / size[:, None]).astype(float)
    some = own[sample] > 0
    rows[some, own[sample][some] - 1] += features[sample[some]]
    some = other > 0
    rows[some, other[some] - 1] -= features[sample[some]]
    return Pairs(
        rows.reshape(len(sample), (Y.shape[0] - 1) * p),
        sample,
        own[sample],
        other,
        Y[other, sample] > 0,
        middle,
        exponent,
        columns,
        size[sample],
    )


def _program(pairs: Pairs, orthogonal: bool, tolerance: float, bound: float | None):
    """W (q,), moves t (r,) up to one, and beta (r,); None where the program was not solved.

    Maximises the sum of t <= A W: where it is possible, every move that some ray makes is one. In orthogonal
    coordinates columns that nearly are collinear are told apart.
    """
    rows, size = pairs.rows, np.ones(len(pairs.rows))
    if orthogonal:
        R = np.linalg.qr(rows, mode="r")
        rows = np.linalg.solve(R.T, rows.T).T if len(R) == rows.shape[1] else rows
        size = np.maximum(np.max(np.abs(rows), axis=1), 1e-300)
        rows = rows / size[:, None]
    r, q = rows.shape
    free = np.flatnonzero(~pairs.forced)
    left = hstack([csr_matrix(-rows[free]), eye_array(len(free))], format="csr")
    equal = None
    if np.any(pairs.forced):
        equal = hstack([csr_matrix(rows[pairs.forced]), csr_matrix((r - len(free), len(free)))], format="csr")
    found = linprog(
        np.append(np.zeros(q), -np.ones(len(free))),
        A_ub=left,
        b_ub=np.zeros(len(free)),
        A_eq=equal,
        b_eq=None if equal is None else np.zeros(equal.shape[0]),
        bounds=np.array(
            [(-np.inf if bound is None else -bound, np.inf if bound is None else bound)] * q + [(0.0, 1.0)] * len(free)
        ),
        method="highs",
        options={"primal_feasibility_tolerance": tolerance, "dual_feasibility_tolerance": tolerance},
    )
    if found.status != 0:
        return None, None, None
    t, beta = np.zeros(r), np.zeros(r)
    t[free], beta[free] = found.x[q:], -found.ineqlin.marginals
    if equal is not None:
        beta[pairs.forced] = found.eqlin.marginals
    W = np.linalg.solve(R, found.x[:q]) if orthogonal and len(R) == q else found.x[:q]
    return W, t, beta / size


def _residuals(problem: Problem, pairs: Pairs, minimum: Minimum) -> np.ndarray:
    """beta of the rows (r,), of the probabilities at the minimum: there the gradient vanishes, and that is balance."""
    A = problem.probabilities(minimum.theta)
    return (A - problem.Y)[pairs.other, pairs.sample] * problem.weight[pairs.sample] * pairs.size


def _balances_by_far(pairs: Pairs, beta: np.ndarray) -> bool:
    """Whether beta proves a minimum though it balances the rows up to rounding only.

    With r = A'beta, and A W >= 0 for a W of length one: min beta |A W| <= beta'A W = r'W <= |r|; but |A W| is no less
    than the smallest singular value of A.
    """
    if not (np.all(np.isfinite(beta)) and np.any(beta) and np.all(beta[~pairs.forced] > 0)):
        return False
    beta = beta.astype(np.longdouble) / np.max(np.abs(beta))
    rest = beta @ pairs.rows
    rounding = 1e-15 * np.sum(np.abs(beta) @ np.abs(pairs.rows))
    values = np.linalg.eigvalsh(pairs.rows.T @ pairs.rows)
    lowest = np.sqrt(max(values[0] - 1e-13 * values[-1] * len(values), 0.0))
    smallest = np.min(beta[~pairs.forced], initial=np.inf)
    if not np.isfinite(smallest):
        smallest = np.longdouble(1.0)
    return bool(min(smallest, 1.0) * lowest > 10.0 * (np.linalg.norm(rest.astype(float)) + float(rounding)))


def _separated(problem: Problem, pairs: Pairs, moved: np.ndarray, W: np.ndarray) -> Existence:
    left = np.ones(problem.Y.shape, bool)
    left[pairs.other[moved], pairs.sample[moved]] = False
    parts = np.abs(pairs.rows) @ np.abs(W)
    margin = float(np.max((pairs.rows @ W)[moved] / np.maximum(parts[moved], 1e-300)))
    return Existence("separated", bool(np.all(moved)), left, "exact", margin)


def _spread(beta: np.ndarray) -> float:
    return float(np.min(beta) / np.max(beta)) if len(beta) else 1.0


def _independent(M: np.ndarray) -> np.ndarray:
    """Numbers of independent columns of M, as far as rounding tells."""
    if M.shape[0] == 0 or M.shape[1] == 0 or not np.any(M):
        return np.zeros(0, int)
    if M.shape[0] > 4 * M.shape[1]:
        M = np.linalg.qr(M, mode="r")
    R, order = qr(M, mode="r", pivoting=True)
    diagonal = np.abs(np.diagonal(R))
    return order[: int(np.sum(diagonal > 1e-12 * diagonal[0]))]


def _ratio(x, center, exponent: int) -> tuple[int, int]:
    """(x - center) / 2^exponent as a whole number over a power of two."""
    a, b = (int(x), 1) if isinstance(x, (np.integer, np.bool_)) else x.as_integer_ratio()
    c, d = center.as_integer_ratio()
    bits = max(b.bit_length(), d.bit_length()) - 1
    value = (a << (bits - b.bit_length() + 1)) - (c << (bits - d.bit_length() + 1))
    e = bits + exponent
    return (value, e) if e >= 0 else (value << -e, 0)


def _whole(values: np.ndarray) -> np.ndarray:
    """In whole numbers, but for a factor: the smallest that is not zero keeps BITS bits."""
    values = np.asarray(values, dtype=float)
    some = np.abs(values[values != 0])
    shift = BITS - int(np.floor(np.log2(np.min(some)))) if len(some) else 0
    return np.array([_shifted(v, shift) for v in values.tolist()], dtype=object)


def _shifted(value: float, shift: int) -> int:
    a, b = value.as_integer_ratio()
    return (a << shift) // b if shift >= 0 else a // (b << -shift)


def _solve(M: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, int] | None:
    """M^-1 right as numerators and one denominator, by elimination without fractions (Bareiss 1968)."""
    n = len(M)
    if M.shape != (n, n):
        return None
    T = np.hstack([M, np.reshape(right, (-1, 1))]).astype(object)
    last = 1
    for c in range(n):
        pivots = np.flatnonzero(T[c:, c] != 0)
        if not len(pivots):
            return None
        if pivots[0]:
            T[[c, c + pivots[0]]] = T[[c + pivots[0], c]]
        rows = np.arange(n) != c
        T[rows] = (T[rows] * T[c, c] - np.outer(T[rows, c], T[c])) // last
        last = T[c, c]
    return T[:, n], last
