"""Arithmetic of fifty digits, of the standard library alone: linear equations, and the normal distribution."""

import math
from collections.abc import Callable, Iterable
from decimal import Decimal, getcontext, localcontext
from typing import Any

DIGITS = 50
WRITTEN = 30
GUARD = 10  # digits above those that a cancelling difference loses

Vector = list[Decimal]
Matrix = list[Vector]


def dot(a: Iterable[Decimal], b: Iterable[Decimal]) -> Decimal:
    return sum(map(Decimal.__mul__, a, b), Decimal(0))


def cholesky(H: Matrix) -> Matrix:
    """L with H = L L'; below the diagonal and on it."""
    p = len(H)
    L = [[Decimal(0)] * p for _ in range(p)]
    for i in range(p):
        for j in range(i + 1):
            rest = H[i][j] - dot(L[i][:j], L[j][:j])
            L[i][j] = rest.sqrt() if i == j else rest / L[j][j]
    return L


def substitute(L: Matrix, right: Vector) -> Vector:
    """(L L')^-1 right."""
    p = len(L)
    x: Vector = []
    for i in range(p):
        x.append((right[i] - dot(L[i][:i], x)) / L[i][i])
    for i in reversed(range(p)):
        below = [L[j][i] for j in range(i + 1, p)]
        x[i] = (x[i] - dot(below, x[i + 1 :])) / L[i][i]
    return x


def solve(H: Matrix, right: Vector) -> Vector:
    """H^-1 right for a positive definite H."""
    return substitute(cholesky(H), right)


def inverse(H: Matrix) -> Matrix:
    """H^-1 of a positive definite H."""
    L, p = cholesky(H), len(H)
    return [substitute(L, [Decimal(i == j) for i in range(p)]) for j in range(p)]


def eliminate(J: Matrix, right: Vector) -> Vector:
    """J^-1 right for any J that has an inverse; by Gauss, with the largest pivot of each column."""
    p = len(J)
    rows = [[*row, value] for row, value in zip(J, right, strict=True)]
    for i in range(p):
        best = max(range(i, p), key=lambda j: abs(rows[j][i]))
        rows[i], rows[best] = rows[best], rows[i]
        for j in range(i + 1, p):
            share = rows[j][i] / rows[i][i]
            rows[j] = [a - share * b for a, b in zip(rows[j], rows[i], strict=True)]
    x = [Decimal(0)] * p
    for i in reversed(range(p)):
        x[i] = (rows[i][p] - dot(rows[i][i + 1 : p], x[i + 1 :])) / rows[i][i]
    return x


def root(function: Callable[[Vector], Vector], start: Vector) -> Vector:
    """A zero of the function near the start: Newton's method, its slopes from differences at a distance of 1e-20."""
    x, step = start, Decimal(10) ** -(2 * DIGITS // 5)
    for _ in range(15):
        columns = []
        for i in range(len(x)):
            up, down = ([v + sign * step * (i == j) for j, v in enumerate(x)] for sign in (1, -1))
            columns.append([(a - b) / (2 * step) for a, b in zip(function(up), function(down), strict=True)])
        move = eliminate([list(row) for row in zip(*columns, strict=True)], function(x))
        x = [v - d for v, d in zip(x, move, strict=True)]
        if max(map(abs, move)) < Decimal(10) ** (8 - DIGITS):
            return x
    raise ArithmeticError("no zero within 15 steps")


def erf(x: Decimal) -> Decimal:
    """The error function: 2 exp(-x^2) / sqrt(pi) sum 2^n x^(2n + 1) / (2n + 1)!!, all of one sign (DLMF 7.6.2)."""
    term = total = x
    n, small = 0, Decimal(10) ** -(getcontext().prec + GUARD)
    while abs(term) > abs(total) * small:
        n += 1
        term = term * 2 * x * x / (2 * n + 1)
        total += term
    return 2 * total * (-x * x).exp() / pi().sqrt()


def pi() -> Decimal:
    """By Machin's formula, 16 arctan(1/5) - 4 arctan(1/239)."""

    def arctan_of_inverse(n: int) -> Decimal:
        power = total = Decimal(1) / n
        k, small = 1, Decimal(10) ** -(getcontext().prec + GUARD)
        while abs(power) > small:
            power /= -n * n
            k += 2
            total += power / k
        return total

    return 16 * arctan_of_inverse(5) - 4 * arctan_of_inverse(239)


def log_p(z: Decimal) -> Decimal:
    """log of the two-sided p-value of z, log erfc(|z| / sqrt 2)."""
    lost = math.ceil(float(z) ** 2 / (2 * math.log(10)))  # digits of the difference from 1
    with localcontext(prec=DIGITS + GUARD + lost):
        return (1 - erf(abs(z) / Decimal(2).sqrt())).ln()


def quantile(probability: Decimal) -> Decimal:
    """z with P(Z <= z) = probability for a standard normal Z; by Newton's method from zero."""
    z = Decimal(0)
    for _ in range(100):
        excess = (1 + erf(z / Decimal(2).sqrt())) / 2 - probability
        step = excess * (2 * pi()).sqrt() * (z * z / 2).exp()
        z -= step
        if abs(step) < Decimal(10) ** (5 - DIGITS):
            return z
    raise ArithmeticError("no quantile within 100 steps")


def written(value: Any, digits: int = WRITTEN) -> Any:
    """Numbers as texts of so many digits, within lists and tables of them; rounds once."""
    if isinstance(value, dict):
        return {key: written(item, digits) for key, item in value.items()}
    if isinstance(value, list):
        return [written(item, digits) for item in value]
    return f"{value:.{digits - 1}e}" if isinstance(value, Decimal) else value
