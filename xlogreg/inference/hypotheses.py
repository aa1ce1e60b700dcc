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
SINGULAR = 1e-10  # share of the largest eigenvalue, up to which an equation follows from the others

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
    independent = np.linalg.matrix_rank(L)
    if np.linalg.matrix_rank(np.column_stack([L, values])) > independent:
        raise ValueError(f"hypothesis {hypothesis!r} contradicts itself: no coefficients satisfy all its equations")
    residual, S = L @ beta - values, L @ V @ L.T
    scale = np.sqrt(S.diagonal())
    if not np.all(scale > 0.0):
        raise ValueError(f"hypothesis {hypothesis!r} has an equation that holds or fails for any coefficients")
    scaled, Q = eigen(S / scale / scale[:, None])
    kept = scaled > SINGULAR * scaled[-1]
    return Test(
        "Wald test", hypothesis, float(np.sum((Q[:, kept].T @ (residual / scale)) ** 2 / scaled[kept])), int(kept.sum())
    )


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
        For each name its rows (r, n): the coefficients that it stands for.
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
        L, text = np.concatenate([symbols[name] for name in listed]), ", ".join(listed)
    else:
        try:
            L = np.atleast_2d(np.asarray(hypothesis, dtype=np.float64))
        except (TypeError, ValueError):
            raise TypeError(
                f"hypothesis must be text, names, or a matrix of numbers; got {shown(hypothesis)}"
            ) from None
        if L.ndim != 2 or L.shape[1] != n or not np.all(np.isfinite(L)):
            raise ValueError(
                f"hypothesis must be a matrix (q, {n}) of finite numbers, one column a coefficient; got {L.shape}"
            )
        text = f"{len(L)} equations" if len(L) > 1 else "one equation"
    values = np.asarray(value, dtype=np.float64)
    if values.shape not in ((), (len(L),)) or not np.all(np.isfinite(values)):
        raise ValueError(f"value must be a finite number, or one for each of {len(L)} equations; got {shown(value)}")
    return L, np.broadcast_to(values, (len(L),)), text


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
            name = next((name for name in longest if self._begins(rest, name)), None)
            number = NUMBER.match(rest)
            if rest[0] == "`" and "`" in rest[1:]:  # a name between backticks
                name = rest[1 : rest.index("`", 1)]
                if name not in self.symbols:
                    raise self._error(f"names no coefficient: {name!r}; known are {_known(self.symbols)}")
                at += 2
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
            return np.append(np.zeros(self.n), float(found[1]))[None, :]
        if found := self._take("name"):
            rows = self.symbols[found[1]]
            return np.column_stack([rows, np.zeros(len(rows))])
        raise self._error(
            "ends where a coefficient or a number was expected"
            if self.tokens[self.at][0] == "end"
            else f"has {self.tokens[self.at][1]!r} where a coefficient or a number was expected"
        )
