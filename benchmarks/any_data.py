"""What the data must not change: passes and probabilities under shifts, scales, rare columns, sorted rows; wide data.

Run: python -m benchmarks.any_data [--samples M] [--json FILE]

Every row is a fit at the default tolerance beside the fit of the plain data; "difference" is the largest of the
probabilities of all samples.
"""

import argparse
import json
import os
import platform
import time

import numpy as np

import xlogreg
from benchmarks.bars import at_least, at_most, show

N_X = 100
BARS = [
    *(
        at_most(limit, "invariances", name, what)
        for name in ("X + 2020", "X + 1e6", "scales 1e-8 to 1e8", "scales 1e-150 to 1e150")
        for what, limit in (("more passes", 2.0), ("difference", 1e-8))
    ),
    at_most(4.0, "invariances", "rare column", "more passes"),
    at_most(1.0, "invariances", "sorted", "more passes"),
    at_most(14.0, "invariances", "3 positives", "iterations"),
    at_least(30.0, "wide gradient descent", "ratio"),
    at_most(1e-9, "wide gradient descent", "difference"),
]


def plain(m: int) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((N_X, m))
    w = rng.standard_normal(N_X)
    Z = w @ X * (2 / np.linalg.norm(w))
    return X, (rng.random(m) < 1 / (1 + np.exp(-Z))).astype(int), rng


def spoiled(m: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Shift and scale (n_x, 1) by name."""
    one, zero = np.ones((N_X, 1)), np.zeros((N_X, 1))
    return {
        "X + 2020": (zero + 2020.0, one),
        "X + 1e6": (zero + 1e6, one),
        "scales 1e-8 to 1e8": (zero, np.logspace(-8, 8, N_X)[:, None]),
        "scales 1e-150 to 1e150": (zero, np.logspace(-150, 150, N_X)[:, None]),
    }


def report(name: str, model: xlogreg.Model, passes: float, difference: float | None) -> dict:
    row = {
        "passes": model.fit_info.passes,
        "more passes": round(model.fit_info.passes - passes, 2),
        "iterations": model.fit_info.iterations,
        "difference": difference,
        "converged": model.fit_info.converged,
    }
    shown = "-" if difference is None else f"{difference:.1e}"
    print(f"{name:36}{row['passes']:8.2f}{row['more passes']:8.2f}{row['iterations']:6}{shown:>10}", flush=True)
    return row


def invariances(m: int) -> dict:
    rows = {}
    X, Y, rng = plain(m)
    base = xlogreg.fit(X, Y, l2=0.0)
    probabilities, passes = base.predict_proba(X)[1], base.fit_info.passes
    rows["plain"] = report("plain", base, passes, 0.0)
    for name, (shift, scale) in spoiled(m).items():
        Xs = X * scale + shift
        model = xlogreg.fit(Xs, Y, l2=0.0)
        # the rounded data are other data: what they are compared with is their own optimum
        other = xlogreg.fit((Xs - shift) / scale, Y, l2=0.0)
        difference = float(np.max(np.abs(model.predict_proba(Xs)[1] - other.predict_proba((Xs - shift) / scale)[1])))
        rows[name] = report(name, model, passes, difference)
    rare = np.zeros((1, m))
    rare[0, rng.choice(m, 40, replace=False)] = 1.0
    model = xlogreg.fit(np.concatenate([X, rare]), Y, l2=1 / m)
    rows["rare column"] = report("a column non-zero in 40 samples", model, passes, None)
    for name, spoil in (("twice", X[:1]), ("constant", np.full((1, m), 7.0)), ("sum", X[:1] + X[1:2])):
        model = xlogreg.fit(np.concatenate([X, spoil]), Y, l2=0.0)
        difference = float(np.max(np.abs(model.predict_proba(np.concatenate([X, spoil]))[1] - probabilities)))
        rows[name] = report(f"a column more: {name}, rank {model.fit_info.rank}", model, passes, difference)
    order = np.argsort(Y, kind="stable")
    model = xlogreg.fit(X[:, order], Y[order], l2=0.0)
    difference = float(np.max(np.abs(model.predict_proba(X)[1] - probabilities)))
    rows["sorted"] = report("rows sorted by label", model, passes, difference)
    X, Y = X[:20, :20_000], np.zeros(20_000, dtype=int)
    Y[[5, 7000, 15_000]] = 1
    model = xlogreg.fit(X, Y, l2=1 / 20_000)
    rows["3 positives"] = report("3 positives in 20,000 x 20", model, model.fit_info.passes, None)
    return rows


def wide_descent(iterations: int = 2000) -> dict:
    """The notes' loop by hand and `fit(solver="gd")`, on 209 pictures of 12288 pixels."""
    rng = np.random.default_rng(0)
    X, Y = rng.random((12288, 209)), (np.arange(209) % 2)[None, :].astype(float)
    W, b, rate = np.zeros((12288, 1)), np.zeros((1, 1)), 0.005
    start = time.perf_counter()
    for _ in range(iterations):
        Z, A = xlogreg.forward(X, W, b)
        xlogreg.cost(Z, Y)
        dW, db = xlogreg.gradients(X, A, Y)
        W, b = xlogreg.update(W, dW, rate), xlogreg.update(b, db, rate)
    by_hand = time.perf_counter() - start
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        model = xlogreg.fit(X, Y, solver="gd", learning_rate=rate, max_iter=iterations)
        seconds.append(time.perf_counter() - start)
    difference = float(np.max(np.abs(model.w - W)) / np.max(np.abs(W)))
    ratio = by_hand / min(seconds)
    print(f"gd, 12288 x 209, {iterations} iterations: by hand {by_hand:.2f} s, fit {min(seconds):.3f} s, ", end="")
    print(f"ratio {ratio:.1f}, relative difference {difference:.1e}")
    return {"by hand": by_hand, "fit": min(seconds), "ratio": ratio, "difference": difference}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=500_000)
    parser.add_argument("--json", help="write the results there")
    arguments = parser.parse_args()
    print(f"{'':36}{'passes':>8}{'more':>8}{'steps':>6}{'difference':>10}")
    results = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {platform.system()}, {len(os.sched_getaffinity(0))} cores",
        "versions": {"xlogreg": xlogreg.__version__, "numpy": np.__version__},
        "samples": arguments.samples,
        "invariances": invariances(arguments.samples),
        "wide gradient descent": wide_descent(),
    }
    show(BARS, results)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
