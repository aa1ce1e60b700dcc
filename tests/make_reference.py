"""The optima that the tests compare with, in fifty digits: writes reference.json beside itself.

Run: python tests/make_reference.py

Newton's method with step halving on J(w, b) = mean log loss + (l2/2) ||w||^2, in decimal arithmetic of the standard
library, from zero. It shares nothing with the package: not its arrays, its coordinates, its formulas for the loss, or
its stopping rule. The features are the float64 numbers that the tests fit, taken exactly.
"""

import json
from decimal import Decimal, localcontext
from pathlib import Path

from reference_data import DATA

DIGITS = 50
WRITTEN = 30
STEPS = 60


def dot(a, b):
    return sum(map(Decimal.__mul__, a, b), Decimal(0))


def evaluate(theta, rows, Y, l2):
    """J, the mean log loss, and the probabilities; rows (m, n_x + 1) end in a 1, theta (n_x + 1,) in b."""
    A, losses = [], Decimal(0)
    for row, y in zip(rows, Y, strict=True):
        signed = dot(theta, row) * (1 - 2 * y)  # the score towards the wrong side
        miss = 1 / (1 + (-signed).exp())  # probability of the wrong class
        losses += signed.max(0) + (1 + (-abs(signed)).exp()).ln()
        A.append(miss if y == 0 else 1 - miss)
    loss = losses / len(Y)
    return loss + l2 / 2 * dot(theta[:-1], theta[:-1]), loss, A


def derivatives(theta, A, rows, Y, l2):
    """Gradient and Hessian of J."""
    m, p = len(Y), len(theta)
    ridge = [l2] * (p - 1) + [Decimal(0)]
    columns = list(zip(*rows, strict=True))
    residuals = [a - y for a, y in zip(A, Y, strict=True)]
    gradient = [dot(columns[i], residuals) / m + ridge[i] * theta[i] for i in range(p)]
    H = [[Decimal(0)] * p for _ in range(p)]
    for i in range(p):
        weighted = [x * a * (1 - a) for x, a in zip(columns[i], A, strict=True)]
        for j in range(i + 1):
            H[i][j] = H[j][i] = dot(weighted, columns[j]) / m
        H[i][i] += ridge[i]
    return gradient, H


def solve(H, right):
    """H^-1 right by Cholesky factors; right is a list of numbers."""
    p = len(H)
    L = [[Decimal(0)] * p for _ in range(p)]
    for i in range(p):
        for j in range(i + 1):
            rest = H[i][j] - dot(L[i][:j], L[j][:j])
            L[i][j] = rest.sqrt() if i == j else rest / L[j][j]
    x = []
    for i in range(p):
        x.append((right[i] - dot(L[i][:i], x)) / L[i][i])
    for i in reversed(range(p)):
        below = [L[j][i] for j in range(i + 1, p)]
        x[i] = (x[i] - dot(below, x[i + 1 :])) / L[i][i]
    return x


def minimize(rows, Y, l2):
    """theta, J, the mean log loss, and the Hessian, all at the minimum."""
    theta = [Decimal(0)] * len(rows[0])
    value, loss, A = evaluate(theta, rows, Y, l2)
    for _ in range(STEPS):
        gradient, H = derivatives(theta, A, rows, Y, l2)
        step = solve(H, gradient)
        decrement = dot(gradient, step)
        if decrement < Decimal(10) ** (5 - 2 * DIGITS):  # sqrt(decrement) is the relative error of the parameters
            return theta, value, loss, H
        length = Decimal(1)
        while True:
            trial = [t - length * s for t, s in zip(theta, step, strict=True)]
            there = evaluate(trial, rows, Y, l2)
            if there[0] <= value - length * decrement / 10 or decrement < Decimal(10) ** (-DIGITS // 2):
                break
            length /= 2
        theta, (value, loss, A) = trial, there
    raise ArithmeticError(f"no minimum within {STEPS} steps")


def reference(name):
    """The entry of one data set."""
    load, l2_times_m = DATA[name]
    X, Y = load()
    n_x, m = X.shape
    rows = [[*(Decimal(float(x)) for x in X[:, i]), Decimal(1)] for i in range(m)]
    labels = [Decimal(int(y)) for y in Y]
    theta, value, loss, H = minimize(rows, labels, Decimal(l2_times_m) / m)
    entry = {"l2 m": l2_times_m, "w": theta[:-1], "b": theta[-1], "cost": value, "log_likelihood": -m * loss}
    if l2_times_m == 0.0:  # a penalty would make them mean nothing
        units = [[Decimal(i == j) for i in range(n_x + 1)] for j in range(n_x + 1)]
        errors = [(solve(H, unit)[j] / m).sqrt() for j, unit in enumerate(units)]
        entry |= {"w_errors": errors[:-1], "b_error": errors[-1]}
    return entry


def written(value):
    """As text of thirty digits; rounds once."""
    if isinstance(value, list):
        return [written(item) for item in value]
    return f"{value:.{WRITTEN - 1}e}" if isinstance(value, Decimal) else value


def main():
    with localcontext(prec=DIGITS):
        table = {name: {key: written(value) for key, value in reference(name).items()} for name in DATA}
    Path(__file__).with_name("reference.json").write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
