"""The values that the tests compare with, in fifty digits: writes reference.json beside itself.

Run: python tests/make_reference.py [NAME ...], for half an hour; with names, the other entries stay as they are

Newton's method with step halving on J(w, b) = mean log loss + (l2/2) ||w||^2, in decimal arithmetic of the standard
library, from zero. It shares nothing with the package: not its arrays, its coordinates, its formulas for the loss, or
its stopping rule. The features are the float64 numbers that the tests fit, taken exactly. The parameters of K classes
are those of classes 1 to K - 1 against class 0, class by class, with the bias last in each.

Beside the optimum it computes what a table of coefficients prints. With H the inverse of the information and s the
slope of a sample's log-likelihood, "HC0" has the errors of H (sum s s') H, and "cluster" those of H (sum g g') H times
G / (G - 1) (n - 1) / (n - p), with g the sum of s over one of G clusters, n samples, and p parameters (Cameron & Miller
2015, section 2; statsmodels' cov_type="HC0" and "cluster"). Where samples are counts, n counts them once, as
statsmodels' binomial family does; "HC0_of_single_samples" takes each count apart, and so has frequency weights.
"""

import json
import math
import sys
from decimal import Decimal, localcontext
from functools import partial
from pathlib import Path

import numpy as np
from exact import DIGITS, WRITTEN, dot, inverse, log_p, quantile, solve, written
from exact_firth import firth
from published_data import SEPARATED, clusters_of, endometrial, separated, sex2
from reference_data import DATA, TABLES

STEPS = 60
FIRTH = {"firth endometrial": endometrial, "firth sex2": sex2}
FIRTH |= {f"firth separated {seed}": partial(separated, seed) for seed in SEPARATED}
FEWER = 15  # digits of the separated sets, which are many
PATH = Path(__file__).with_name("reference.json")


def probabilities(theta, row):
    """Of all classes, and their logarithms."""
    p = len(row)
    scores = [Decimal(0), *(dot(theta[k : k + p], row) for k in range(0, len(theta), p))]
    top = max(scores)
    powers = [(score - top).exp() for score in scores]
    total = sum(powers)
    shift = total.ln() + top
    return [power / total for power in powers], [score - shift for score in scores]


def evaluate(theta, rows, counts, l2):
    """J, the mean log loss, and the probabilities; rows (m, n_x + 1) end in a 1, counts (m, K)."""
    A, losses = [], Decimal(0)
    for row, count in zip(rows, counts, strict=True):
        a, logs = probabilities(theta, row)
        losses -= dot(count, logs)
        A.append(a)
    loss = losses / sum(map(sum, counts))
    return loss + l2 / 2 * dot(theta[:-1], theta[:-1]), loss, A  # a penalty is for two classes only


def residuals(A, counts):
    """n a - counts of classes 1 to K - 1, sample by sample."""
    return [
        [sum(count) * share - n for share, n in zip(a[1:], count[1:], strict=True)]
        for a, count in zip(A, counts, strict=True)
    ]


def derivatives(theta, A, rows, counts, l2):
    """Gradient and Hessian of J."""
    p, outputs, total = len(rows[0]), len(A[0]) - 1, sum(map(sum, counts))
    ridge = [l2] * (p - 1) + [Decimal(0)]
    columns = list(zip(*rows, strict=True))
    misses = list(zip(*residuals(A, counts), strict=True))
    gradient = [dot(column, miss) / total for miss in misses for column in columns]
    H = [[Decimal(0)] * len(theta) for _ in theta]
    products = {(i, j): [*map(Decimal.__mul__, columns[i], columns[j])] for i in range(p) for j in range(i + 1)}
    sizes = [sum(count) for count in counts]
    for k in range(outputs):
        for other in range(k + 1):
            weights = [n * a[k + 1] * ((k == other) - a[other + 1]) for n, a in zip(sizes, A, strict=True)]
            for (i, j), product in products.items():
                value = dot(weights, product) / total
                for row, column in ((k * p + i, other * p + j), (k * p + j, other * p + i)):
                    H[row][column] = H[column][row] = value
    for i in range(p * outputs):
        gradient[i] += ridge[i % p] * theta[i]
        H[i][i] += ridge[i % p]
    return gradient, H


def minimize(rows, counts, l2):
    """theta, J, the mean log loss, the probabilities and the Hessian, all at the minimum."""
    theta = [Decimal(0)] * len(rows[0]) * (len(counts[0]) - 1)
    value, loss, A = evaluate(theta, rows, counts, l2)
    for _ in range(STEPS):
        gradient, H = derivatives(theta, A, rows, counts, l2)
        step = solve(H, gradient)
        decrement = dot(gradient, step)
        if decrement < Decimal(10) ** (5 - 2 * DIGITS):  # sqrt(decrement) is the relative error of the parameters
            return theta, value, loss, A, H
        length = Decimal(1)
        while True:
            trial = [t - length * s for t, s in zip(theta, step, strict=True)]
            there = evaluate(trial, rows, counts, l2)
            if there[0] <= value - length * decrement / 10 or decrement < Decimal(10) ** (-DIGITS // 2):
                break
            length /= 2
        theta, (value, loss, A) = trial, there
    raise ArithmeticError(f"no minimum within {STEPS} steps")


def slopes_of(residual, row):
    return [miss * x for miss in residual for x in row]


def sandwich(covariance, vectors, scale=Decimal(1)):
    """Errors from covariance (sum v v') covariance, times the scale."""
    moved = [[dot(line, vector) for line in covariance] for vector in vectors]
    return [(scale * dot(column, column)).sqrt() for column in zip(*moved, strict=True)]


def single_samples(A, rows, counts):
    """Slopes of the samples that were counted, each times the root of its count."""
    for a, row, count in zip(A, rows, counts, strict=True):
        for label, n in enumerate(count):
            residual = [share - (k == label) for k, share in enumerate(a[1:], start=1)]
            yield [n.sqrt() * s for s in slopes_of(residual, row)]


def table(theta, loss, A, H, rows, counts, clusters):
    """What a table of coefficients prints, and the errors of other covariances."""
    total, n, p = sum(map(sum, counts)), len(rows), len(theta)
    covariance = [[value / total for value in line] for line in inverse(H)]
    errors = [covariance[i][i].sqrt() for i in range(p)]
    z, wide = [t / e for t, e in zip(theta, errors, strict=True)], quantile(Decimal("0.975"))
    slopes = [slopes_of(miss, row) for miss, row in zip(residuals(A, counts), rows, strict=True)]
    groups = {}
    for cluster, slope in zip(clusters, slopes, strict=True):
        groups[cluster] = [a + b for a, b in zip(groups.get(cluster, [Decimal(0)] * p), slope, strict=True)]
    G = len(groups)
    scale = Decimal(G) / (G - 1) * (n - 1) / (n - p)
    of_classes = [sum(column) for column in zip(*counts, strict=True)]
    found = {
        "coefficients": theta,
        "errors": errors,
        "z": z,
        "log_p": [log_p(value) for value in z],
        "lower": [t - wide * e for t, e in zip(theta, errors, strict=True)],
        "upper": [t + wide * e for t, e in zip(theta, errors, strict=True)],
        "HC0": sandwich(covariance, slopes),
        "clusters": G,
        "cluster": sandwich(covariance, list(groups.values()), scale),
        "log_likelihood": -total * loss,
        "null_log_likelihood": sum((n * (n / total).ln() for n in of_classes), Decimal(0)),
    }
    if n < total:
        ways = [math.comb(int(sum(count)), int(count[0])) for count in counts]
        found["HC0_of_single_samples"] = sandwich(covariance, list(single_samples(A, rows, counts)))
        found["binomial_constant"] = sum((Decimal(number).ln() for number in ways), Decimal(0))
    return found


def exactly(X):
    """Rows of the numbers in X (n_x, m), ending in a 1."""
    return [[*(Decimal(float(x)) for x in X[:, i]), Decimal(1)] for i in range(X.shape[1])]


def counts_of(Y):
    """Rows of counts from Y, labels (m,) from 0 on or counts (K, m)."""
    Y = Y if Y.ndim == 2 else np.arange(Y.max() + 1)[:, None] == Y
    return [[Decimal(int(count)) for count in Y[:, i]] for i in range(Y.shape[1])]


def reference(name):
    """The entry of one data set."""
    if name in FIRTH:
        X, Y = FIRTH[name]()
        return firth(exactly(X), [int(y) for y in Y])
    load, l2_times_m = DATA[name] if name in DATA else (TABLES[name], 0.0)
    X, Y = load()
    rows, counts = exactly(X), counts_of(Y)
    m = sum(map(sum, counts))
    theta, value, loss, A, H = minimize(rows, counts, Decimal(l2_times_m) / m)
    entry = {}
    if name in DATA:
        entry = {"l2 m": l2_times_m, "w": theta[:-1], "b": theta[-1], "cost": value, "log_likelihood": -m * loss}
    if name in DATA and l2_times_m == 0.0:  # a penalty would make them mean nothing
        errors = [(line[j] / m).sqrt() for j, line in enumerate(inverse(H))]
        entry |= {"w_errors": errors[:-1], "b_error": errors[-1]}
    if name in TABLES:
        entry["table"] = table(theta, loss, A, H, rows, counts, clusters_of(name, X))
    return entry


def lines(entries):
    """As JSON, one list or number on a line."""

    def inner(value, indent):
        if not isinstance(value, dict):
            return json.dumps(value)
        parts = [f"{' ' * indent}{json.dumps(key)}: {inner(item, indent + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(parts) + "\n" + " " * (indent - 1) + "}"

    return inner(entries, 1) + "\n"


def main(names):
    entries = json.loads(PATH.read_text()) if names else {}
    with localcontext(prec=DIGITS):
        for name in names or [*dict.fromkeys([*DATA, *TABLES, *FIRTH])]:
            digits = FEWER if name.startswith("firth separated") else WRITTEN
            entries[name] = written(reference(name), digits)
    PATH.write_text(lines(entries))


if __name__ == "__main__":
    main(sys.argv[1:])
