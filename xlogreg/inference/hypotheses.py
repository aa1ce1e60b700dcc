"""Linear hypotheses about coefficients, such as "age = 0, dose = sex", and Wald's test of them."""

import itertools
import re
from typing import Any

import numpy as np

from xlogreg.exceptions import shown
from xlogreg.inference.significance import Test
from xlogreg.solvers.preconditioners import eigen

__all__ = ["equations_of", "parse", "wald"]

NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
SIGNS = "+-*/()=,"
SINGULAR = 1e-10  # share of the largest singular value, up to which an equation follows from the others
AMBIGUOUS = "has the name {!r}, which stands for several coefficients; use a matrix of factors"
FLAT = 1e-14  # eigenvalue of a correlation matrix, up to which it is a rounding error

# a row for each equation: factors of the coefficients, and last a constant
Rows = np.ndarray


def wald(L: np.ndarray, values: np.ndarray, beta: np.ndarray, V: np.ndarray, hypothesis: str) -> Test:
    """Test L beta = values by W = (L beta - values)' (L V L')^-1 (L beta - values) (Wald 1943).

    Parameters
    ----------
    L : ndarray (q, n)
    values : ndarray (q,)
    beta : ndarray (n,)
    V : ndarray (n, n)
        Covariance of beta.
    hypothesis : str
        Its text.

    Raises
    ------
    ValueError
        If the equations contradict each other, or fix nothing.
    """
    with np.errstate(all="ignore"):
        size = np.max(np.abs(L), axis=1, keepdims=True)
        L, values = L / size, values / size[:, 0]
    if not (np.all(np.isfinite(L)) and np.all(np.isfinite(values))):
        raise ValueError(f"hypothesis {hypothesis!r} has an equation without a coefficient or too large a number")
    # which equations follow from others is a matter of L alone; the directions of the others tell the same hypothesis
    left, sizes, right = np.linalg.svd(L, full_matrices=False)
    kept = sizes > SINGULAR * sizes[0]
    turned = left.T @ values
    if _contradicts(values, left[:, kept]):
        raise ValueError(f"hypothesis {hypothesis!r} contradicts itself: no coefficients satisfy all its equations")
    A = right[kept]
    residual, S = A @ beta - turned[kept] / sizes[kept], A @ V @ A.T
    scale = np.sqrt(np.maximum(S.diagonal(), 0.0))
    with np.errstate(all="ignore"):
        curved, Q = eigen(np.nan_to_num(S / scale / scale[:, None]))
    if not (np.all(scale > 0.0) and curved[0] > FLAT):
        raise ValueError(
            f"hypothesis {hypothesis!r} cannot be tested: the covariance of its coefficients is singular, as with "
            "fewer clusters than equations, or features that are collinear but for rounding errors"
        )
    return Test("Wald test", hypothesis, float(np.sum((Q.T @ (residual / scale)) ** 2 / curved)), len(A))


def _contradicts(values: np.ndarray, basis: np.ndarray) -> bool:
    """Whether the values (q,) are not in the space that the basis (q, r) spans."""
    rest = values - basis @ (basis.T @ values)
    return bool(np.max(np.abs(rest), initial=0.0) > SINGULAR * np.max(np.abs(values), initial=1.0))


def equations_of(
    hypothesis: Any, value: Any, symbols: dict[str, np.ndarray], n: int
) -> tuple[np.ndarray, np.ndarray, str]:
    """Turn a hypothesis into L (q, n), values (q,) and its text.

    Parameters
    ----------
    hypothesis : str, list of str, or array (q, n)
        Equations as text, names of what is equal to ``value``, or factors of the coefficients.
    value : float or array (q,)
        The right side; it must be 0 if the hypothesis is text.
    symbols : dict
        For each name its rows (r, n): the coefficients that it stands for; no rows if the name is ambiguous.
    n : int
        Number of coefficients.

    Raises
    ------
    ValueError, TypeError
        If the hypothesis is none; the message says why.
    """
    if isinstance(hypothesis, str):
        if np.any(np.asarray(value) != 0):
            raise ValueError(
                f"value must be 0 beside a hypothesis of text, whose equations have a right side; got {shown(value)}"
            )
        found = parse(hypothesis, symbols, n)
        return found[:, :-1], -found[:, -1], hypothesis
    listed = list(hypothesis) if isinstance(hypothesis, (list, tuple)) else []
    if listed and all(isinstance(name, str) for name in listed):
        missing = [name for name in listed if name not in symbols]
        if missing:
            raise ValueError(f"hypothesis names no coefficient: {missing[0]!r}; known are {_known(symbols)}")
        ambiguous = [name for name in listed if not len(symbols[name])]
        if ambiguous:
            raise ValueError(f"hypothesis {AMBIGUOUS.format(ambiguous[0])}")
        L, text = np.concatenate([symbols[name] for name in listed]), ", ".join(listed)
    else:
        try:
            L = np.atleast_2d(_numbers(hypothesis))
        except (TypeError, ValueError):
            raise TypeError(
                f"hypothesis must be text, names, or a matrix of numbers; got {shown(hypothesis)}"
            ) from None
        if L.ndim != 2 or L.shape[1] != n or not np.all(np.isfinite(L)):
            raise ValueError(
                f"hypothesis must be a matrix (q, {n}) of finite numbers, one column a coefficient; got {L.shape}"
            )
        text = f"{len(L)} equations" if len(L) > 1 else "one equation"
    try:
        values = _numbers(value)
    except (TypeError, ValueError):
        raise TypeError(f"value must be a number, or one for each of {len(L)} equations; got {shown(value)}") from None
    if values.shape not in ((), (len(L),)) or not np.all(np.isfinite(values)):
        raise ValueError(f"value must be a finite number, or one for each of {len(L)} equations; got {shown(value)}")
    return L, np.broadcast_to(values, (len(L),)), text


def _numbers(values: Any) -> np.ndarray:
    """Return the values as float64; complex numbers are a TypeError."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError
    return array.astype(np.float64)


def parse(text: str, symbols: dict[str, np.ndarray], n: int) -> Rows:
    """Turn equations, separated by commas, into rows (q, n + 1) that are zero if they hold: factors and a constant.

    Raises
    ------
    ValueError
        If the text is no list of linear equations.
    """
    return _Reader(text, symbols, n).read()


def _known(symbols: dict[str, np.ndarray]) -> str:
    names = [repr(name) for name in symbols]
    return ", ".join(names[:8]) + (f", ... {len(names)} in all" if len(names) > 8 else "")


class _Reader:
    """Recursive descent over the tokens of a text: sums of products, joined by = and commas."""

    def __init__(self, text: str, symbols: dict[str, np.ndarray], n: int) -> None:
        self.text, self.symbols, self.n = text, symbols, n
        self.tokens, self.at = [*self._tokens(), ("end", "")], 0

    def _tokens(self) -> list[tuple[str, str]]:
        longest, found, at = sorted(self.symbols, key=len, reverse=True), [], 0
        while at < len(self.text):
            rest = self.text[at:]
            if rest[0].isspace():
                at += 1
                continue
            number = NUMBER.match(rest)
            # a text that is a number is one, also where a feature has that name, which then stands between backticks
            least = 0 if number is None else len(number[0])
            name = next((name for name in longest if len(name) > least and self._begins(rest, name)), None)
            if rest[0] == "`" and "`" in rest[1:]:  # a name between backticks
                name = rest[1 : rest.index("`", 1)]
                if name not in self.symbols:
                    raise self._error(f"names no coefficient: {name!r}; known are {_known(self.symbols)}")
                at += 2
            if name is not None and not len(self.symbols[name]):
                raise self._error(AMBIGUOUS.format(name))
            if name is not None:
                found.append(("name", name))
            elif number is not None:
                found.append(("number", number[0]))
            elif rest[0] in SIGNS:
                found.append((rest[0], rest[0]))
            else:
                word = re.match(r"\w+|.", rest)
                raise self._error(
                    f"names no coefficient: {word[0] if word else rest!r}; known are {_known(self.symbols)}"
                )
            at += len(found[-1][1])
        return found

    @staticmethod
    def _begins(rest: str, name: str) -> bool:
        """Whether the text begins with the name, and not with a longer word."""
        if not name or not rest.startswith(name):
            return False
        after = rest[len(name) : len(name) + 1]
        return not (re.match(r"\w", name[-1]) and re.match(r"\w", after))

    def _error(self, why: str) -> ValueError:
        return ValueError(f"hypothesis {self.text!r} {why}")

    def _take(self, *kinds: str) -> tuple[str, str] | None:
        if self.tokens[self.at][0] in kinds:
            self.at += 1
            return self.tokens[self.at - 1]
        return None

    def read(self) -> Rows:
        rows = [self._equation()]
        while self._take(","):
            rows.append(self._equation())
        if self.tokens[self.at][0] != "end":
            raise self._error(f"has {self.tokens[self.at][1]!r} where an operator was expected")
        return np.concatenate(rows)

    def _equation(self) -> Rows:
        sides = [self._sum()]
        while self._take("="):
            sides.append(self._sum())
        sides = sides if len(sides) > 1 else [*sides, np.zeros((1, self.n + 1))]
        rows = np.concatenate([self._added(a, -b) for a, b in itertools.pairwise(sides)])
        if not np.all(rows[:, :-1].any(axis=1)):
            raise self._error("has an equation without a coefficient")
        return rows

    def _sum(self) -> Rows:
        total = self._product()
        while sign := self._take("+", "-"):
            term = self._product()
            total = self._added(total, term if sign[0] == "+" else -term)
        return total

    def _added(self, a: Rows, b: Rows) -> Rows:
        if len(a) != len(b) and 1 not in (len(a), len(b)):
            raise self._error(f"joins {len(a)} coefficients with {len(b)}, row by row")
        return a + b

    def _product(self) -> Rows:
        total = self._factor()
        while sign := self._take("*", "/"):
            other = self._factor()
            scalars = [bool(not side[:, :-1].any() and len(side) == 1) for side in (total, other)]
            if sign[0] == "*" and any(scalars):
                total = total * other[0, -1] if scalars[1] else other * total[0, -1]
            elif sign[0] == "/" and scalars[1] and other[0, -1] != 0.0:
                total = total / other[0, -1]
            else:
                raise self._error("is not linear in the coefficients")
        return total

    def _factor(self) -> Rows:
        if sign := self._take("+", "-"):
            return self._factor() * (1.0 if sign[0] == "+" else -1.0)
        if self._take("("):
            inner = self._sum()
            if not self._take(")"):
                raise self._error("has a parenthesis that is not closed")
            return inner
        if found := self._take("number"):
            if np.isinf(float(found[1])):
                raise self._error(f"has too large a number, {found[1]}")
            return np.append(np.zeros(self.n), float(found[1]))[None, :]
        if found := self._take("name"):
            rows = self.symbols[found[1]]
            return np.column_stack([rows, np.zeros(len(rows))])
        raise self._error(
            "ends where a coefficient or a number was expected"
            if self.tokens[self.at][0] == "end"
            else f"has {self.tokens[self.at][1]!r} where a coefficient or a number was expected"
        )
