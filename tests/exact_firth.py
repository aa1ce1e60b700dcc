"""Firth's bias reduction in fifty digits: estimates, errors, ends of profiles and tests of two classes.

The penalised log-likelihood is l*(theta) = l(theta) + log det I(theta) / 2, with the Fisher information I. Its slope is
sum_i (y_i - a_i + h_i (1/2 - a_i)) x_i, with the leverages h_i = a_i (1 - a_i) x_i' I^-1 x_i (Firth 1993; Heinze &
Schemper 2002). A test of theta_j = 0 keeps the penalty of all features, as logistf and firthmodels do.
"""

import contextlib
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from exact import Matrix, Vector, cholesky, dot, eliminate, inverse, log_p, quantile, root, substitute

ROUGH = Decimal(10) ** -6  # decrement at which a plain iteration hands over to Newton's method
MOST = 500  # plain steps
HALVINGS, NEAR = 14, Decimal(1) / 64  # of a bracket, until it is so many errors wide


class At(NamedTuple):
    """What a theta has: l*, its slope, I, and I with the weights (1 + h) a (1 - a)."""

    value: Decimal
    slope: Vector
    information: Matrix
    augmented: Matrix


class Firth:
    """Samples of two classes, equal ones counted; rows end in a 1."""

    def __init__(self, rows: Iterable[Vector], Y: Iterable[int]) -> None:
        self.samples = Counter(zip(map(tuple, rows), Y, strict=True))

    def at(self, theta: Vector) -> At:
        p, value = len(theta), Decimal(0)
        parts = []
        for (row, y), count in self.samples.items():
            score = dot(theta, row)
            a = 1 / (1 + (-score).exp())
            value -= count * (1 + (score if y == 0 else -score).exp()).ln()
            parts.append((row, y, count, a))
        information = self._information(p, [(row, count * a * (1 - a)) for row, _, count, a in parts])
        L = cholesky(information)
        slope, weights = [Decimal(0)] * p, []
        for row, y, count, a in parts:
            leverage = a * (1 - a) * dot(row, substitute(L, list(row)))
            residual = count * (y - a + leverage * (Decimal("0.5") - a))
            slope = [s + residual * x for s, x in zip(slope, row, strict=True)]
            weights.append((row, count * (1 + leverage) * a * (1 - a)))
        log_determinant = 2 * sum((L[i][i].ln() for i in range(p)), Decimal(0))
        return At(value + log_determinant / 2, slope, information, self._information(p, weights))

    @staticmethod
    def _information(p: int, weights: list[tuple[Any, Decimal]]) -> Matrix:
        columns = [[row[i] for row, _ in weights] for i in range(p)]
        scaled = [[x * weight for x, (_, weight) in zip(column, weights, strict=True)] for column in columns]
        return [[dot(scaled[i], columns[j]) for j in range(p)] for i in range(p)]

    def maximum(self, start: Vector, fixed: int | None = None) -> Vector:
        """theta that maximises l*, with one coordinate held or none; roughly, by damped steps."""
        free, theta, here = [i for i in range(len(start)) if i != fixed], start, self.at(start)
        for _ in range(MOST):
            slope = [here.slope[i] for i in free]
            step = eliminate([[here.augmented[i][j] for j in free] for i in free], slope)
            if dot(slope, step) < ROUGH:
                return theta
            length = Decimal(1)
            while True:
                moved = list(theta)
                for i, s in zip(free, step, strict=True):
                    moved[i] += length * s
                there = self.at(moved)
                if there.value > here.value:
                    break
                length /= 2
            theta, here = moved, there
        raise ArithmeticError(f"no maximum within {MOST} steps")

    def refined(self, theta: Vector, fixed: int) -> Vector:
        """The maximum with one coordinate held, to all digits."""
        free = [i for i in range(len(theta)) if i != fixed]
        held = root(lambda part: [self.at(placed(part, fixed, theta[fixed])).slope[i] for i in free], of(theta, free))
        return placed(held, fixed, theta[fixed])

    def end(self, best: Vector, top: Decimal, error: Decimal, j: int, sign: int) -> Decimal:
        """theta_j at which the profile of l* lies below its top by half the 95 % quantile of chi-square."""
        goal = top - quantile(Decimal("0.975")) ** 2 / 2
        inner, reach, theta = best[j], error, best
        while True:  # until an outer point is found
            theta = self.maximum(placed(of(theta, others(theta, j)), j, best[j] + sign * reach), j)
            if self.at(theta).value < goal:
                break
            inner, reach = theta[j], 2 * reach
        outer = theta[j]

        def equations(point: Vector) -> Vector:
            there = self.at(point)
            return [there.value - goal if i == j else s for i, s in enumerate(there.slope)]

        for _ in range(HALVINGS):
            theta = self.maximum(placed(of(theta, others(theta, j)), j, (inner + outer) / 2), j)
            inner, outer = (theta[j], outer) if self.at(theta).value > goal else (inner, theta[j])
            if abs(outer - inner) > NEAR * error:
                continue
            with contextlib.suppress(ArithmeticError):  # too far for Newton's method
                found = root(equations, theta)[j]
                if min(inner, outer) <= found <= max(inner, outer):
                    return found
        raise ArithmeticError("no end within its bracket")


def others(theta: Vector, j: int) -> list[int]:
    return [i for i in range(len(theta)) if i != j]


def of(theta: Vector, chosen: list[int]) -> Vector:
    return [theta[i] for i in chosen]


def placed(part: Vector, j: int, value: Decimal) -> Vector:
    return [*part[:j], value, *part[j:]]


def firth(rows: list[Vector], Y: Iterable[int]) -> dict[str, Any]:
    """The entry of a data set: everything coefficient by coefficient, the bias last."""
    problem, p = Firth(rows, Y), len(rows[0])
    best = root(lambda theta: problem.at(theta).slope, problem.maximum([Decimal(0)] * p))
    there = problem.at(best)
    fisher, augmented = inverse(there.information), inverse(there.augmented)
    errors = [fisher[j][j].sqrt() for j in range(p)]
    chi_squares = []
    for j in range(p):
        start = problem.maximum(placed(of(best, others(best, j)), j, Decimal(0)), j)
        chi_squares.append(2 * (there.value - problem.at(problem.refined(start, j)).value))
    return {
        "coefficients": best,
        "penalised_log_likelihood": there.value,
        "errors": errors,
        "augmented_errors": [augmented[j][j].sqrt() for j in range(p)],
        "profile_lower": [problem.end(best, there.value, errors[j], j, -1) for j in range(p)],
        "profile_upper": [problem.end(best, there.value, errors[j], j, 1) for j in range(p)],
        "chi_squares": chi_squares,
        "log_p": [log_p(chi_square.sqrt()) for chi_square in chi_squares],
    }
