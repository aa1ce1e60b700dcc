"""The default solver beside scikit-learn: passes, gap and seconds of the cases that the engine was built for.

Run: python -m benchmarks.engine [--case TEXT ...] [--json FILE]

One process, the two run alternately, best of several, each after a pause in which the other's threads come to rest.
Ours at its default tolerance, the rival at one that reaches a gap of 1e-8 where it can. X is Gaussian with the given
condition number, or with the singular values 1/i; labels are drawn from the model, whose scores have the standard
deviation 2. "Gap after" is J after so many passes, work on subsets and the statistics of the features included, above
the lowest J known. "Share" is how fast a pass reads X, against the memory bandwidth measured here: one reading a pass
is 1. Where the rival stops far from the minimum, "at its gap" is the ratio of the times to that gap.
"""

import argparse
import functools
import json
import os
import platform
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import sklearn
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.linear_model import LogisticRegression

import xlogreg
from benchmarks.bars import EVERY, at_least, at_most
from benchmarks.bars import show as show_bars

GAPS = (1e-4, 1e-8, 1e-12)
PAUSE = 0.1  # seconds before each fit: the threads of the other one's BLAS spin for a while


class Rival(NamedTuple):
    solver: str
    tol: float
    repeats: int = 3


NEWTON = (Rival("newton-cholesky", 1e-8),)


class Case(NamedTuple):
    """X (n_x, m) columns for us, its transpose's copy for the rivals; l2 on the mean loss."""

    X: np.ndarray
    Y: np.ndarray
    l2: float
    rivals: tuple[Rival, ...]


def labelled(X: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Labels drawn from a model of k outputs."""
    W = rng.standard_normal((X.shape[0], k))
    Z = W.T @ X
    Z *= 2 / np.std(Z, axis=1, keepdims=True)
    return (
        (rng.random(X.shape[1]) < 1 / (1 + np.exp(-Z[0]))).astype(int)
        if k == 1
        else np.argmax(Z + rng.gumbel(size=Z.shape), axis=0)
    )


def gaussian(m: int, spectrum: np.ndarray, dtype: str, l2: float, rivals: tuple[Rival, ...], k: int = 1) -> Case:
    """X = Q diag(spectrum) N(0, 1), Q a random rotation; l2 in units of 1/m."""
    rng = np.random.default_rng(1)
    n_x = len(spectrum)
    if n_x <= 1000:
        Q, _ = np.linalg.qr(rng.standard_normal((n_x, n_x)))
        X = ((Q * spectrum) @ rng.standard_normal((n_x, m))).astype(dtype)
    else:  # a product of a few reflections, which needs no n_x^2 numbers
        X = spectrum[:, None].astype(dtype) * rng.standard_normal((n_x, m), dtype=dtype)
        for _ in range(3):
            v = rng.standard_normal((n_x, 1)).astype(dtype)
            v /= np.linalg.norm(v)
            X -= 2 * v @ (v.T @ X)
            X = X[rng.permutation(n_x)]
    return Case(X, labelled(X, k, rng), l2 / m, rivals)


def conditioned(m: int, n_x: int, condition: float, rivals: tuple[Rival, ...] = NEWTON, **options) -> Case:
    options = {"dtype": "float64", "l2": 1.0} | options
    return gaussian(m, np.logspace(0, -np.log10(condition), n_x), rivals=rivals, **options)


def decaying(m: int, n_x: int, rivals: tuple[Rival, ...], **options) -> Case:
    return gaussian(m, 1 / np.arange(1, n_x + 1), rivals=rivals, **options)


def loaded(load: Callable, rivals: tuple[Rival, ...]) -> Case:
    X, Y = load(return_X_y=True)
    return Case(np.ascontiguousarray(X.T), Y, 1 / len(Y), rivals)


def pictures() -> Case:
    """209 smooth random pictures of 64 x 64 x 3, of two kinds, pixels in [0, 1]."""
    rng = np.random.default_rng(0)
    wave = np.fft.fftfreq(64) * 64
    falloff = 1 / (1 + np.hypot(wave[:, None], wave[None, :])) ** 1.5
    fields = np.fft.ifft2(np.fft.fft2(rng.standard_normal((209, 3, 64, 64))) * falloff).real
    Y = np.arange(209) % 2
    fields += 0.3 * fields.std() * Y[:, None, None, None]
    pixels = np.round(255 * (fields - fields.min()) / np.ptp(fields)) / 255
    return Case(np.ascontiguousarray(pixels.reshape(209, -1).T), Y, 1 / 209, WIDE)


LBFGS = (Rival("lbfgs", 1e-8, 1),)
WIDE = (Rival("newton-cg", 1e-8), Rival("lbfgs", 1e-8, 1))  # newton-cholesky takes minutes
SMALL = (Rival("newton-cholesky", 1e-8), Rival("newton-cg", 1e-8), Rival("lbfgs", 1e-8))
# classes, l2 in units of 1/m, and the passes to a gap of 1e-8 that are aimed at
SOFTMAX = {(10, 1.0): 18, (10, 1e-3): 28, (20, 1.0): 22, (20, 1e-3): 50, (100, 1.0): 38, (100, 1e-3): 220}
CASES: dict[str, Callable[[], Case]] = {
    "500k x 100 f64, condition 1": lambda: conditioned(500_000, 100, 1),
    "500k x 100 f64, condition 100": lambda: conditioned(500_000, 100, 100, (*NEWTON, Rival("lbfgs", 1e-6, 1))),
    "100k x 500 f64, condition 10": lambda: conditioned(100_000, 500, 10),
    "100k x 100 f64, condition 1e4, l2 1e-4/m": lambda: conditioned(100_000, 100, 1e4, l2=1e-4),
    "1M x 28 f64, condition 100": lambda: conditioned(1_000_000, 28, 100),
    "1M x 28 f32, condition 100": lambda: conditioned(1_000_000, 28, 100, dtype="float32"),
    "20k x 8000 f32, 1/i": lambda: decaying(
        20_000,
        8_000,
        (Rival("lbfgs", 1e-6, 1), Rival("newton-cg", 1e-6, 1)),
        dtype="float32",
        l2=1.0,
    ),
    "softmax 50k x 768 f32, K = 10": lambda: decaying(
        50_000, 768, (Rival("lbfgs", 1e-7, 1),), dtype="float32", l2=1.0, k=10
    ),
    "softmax 50k x 768 f32, K = 100": lambda: decaying(
        50_000, 768, (Rival("lbfgs", 1e-7, 1),), dtype="float32", l2=1.0, k=100
    ),
    **{
        f"softmax 20k x 384 f64, K = {k}, l2 {l2:g}/m": lambda k=k, l2=l2: decaying(
            20_000, 384, (), dtype="float64", l2=l2, k=k
        )
        for k, l2 in SOFTMAX
    },
    "12288 x 209 pictures": pictures,
    "breast cancer": lambda: loaded(load_breast_cancer, SMALL),
    "digits": lambda: loaded(load_digits, (Rival("lbfgs", 1e-5, 1), Rival("newton-cg", 1e-8, 1))),
    "iris": lambda: loaded(load_iris, SMALL),
}
AT_ITS_GAP = ("ratio at its gap", "ratio")
PASSES = "passes to 1e-4, 1e-8, 1e-12"
BARS = [
    *(
        at_most(limit, "cases", f"500k x 100 f64, condition {condition}", PASSES, number)
        for condition in (1, 100)
        for number, limit in enumerate((2.5, 4.5, 6.5))
    ),
    at_most(7.0, "cases", "100k x 100 f64, condition 1e4, l2 1e-4/m", "passes"),
    *(
        at_most(limit, "cases", f"softmax 20k x 384 f64, K = {k}, l2 {l2:g}/m", PASSES, 1)
        for (k, l2), limit in SOFTMAX.items()
    ),
    *(
        at_least(limit, "cases", name, "rivals", rival, AT_ITS_GAP)
        for name, rival, limit in (
            ("500k x 100 f64, condition 100", "newton-cholesky", 10.0),
            ("500k x 100 f64, condition 100", "lbfgs", 200.0),
            ("100k x 500 f64, condition 10", "newton-cholesky", 4.0),
            ("100k x 100 f64, condition 1e4, l2 1e-4/m", "newton-cholesky", 3.0),
            ("1M x 28 f64, condition 100", "newton-cholesky", 8.0),
            ("1M x 28 f32, condition 100", "newton-cholesky", 8.0),
            ("20k x 8000 f32, 1/i", EVERY, 5.0),
            ("softmax 50k x 768 f32, K = 10", "lbfgs", 40.0),
            ("softmax 50k x 768 f32, K = 100", "lbfgs", 40.0),
            ("12288 x 209 pictures", EVERY, 5.0),
            ("breast cancer", EVERY, 2.0),
            ("digits", EVERY, 2.0),
            ("iris", EVERY, 2.0),
        )
    ),
]


def judged(case: Case, w: np.ndarray, b: np.ndarray) -> float:
    """J in float64 of anybody's parameters, w (n_x, k)."""
    w = w.astype(np.float64)
    Z = np.concatenate([w.T @ case.X[:, i : i + 10_000] for i in range(0, case.X.shape[1], 10_000)], axis=1)
    Z = Z + b.astype(np.float64).reshape(-1, 1)
    Y = case.Y[None, :] if len(Z) == 1 else (np.arange(len(Z))[:, None] == case.Y).astype(float)
    loss = float(xlogreg.cost(Z, Y, "log_loss" if len(Z) == 1 else "cross_entropy"))
    return loss + 0.5 * case.l2 * float(np.sum(w**2))


def bandwidth() -> float:
    """Bytes that a matrix-vector product reads in a second, of 400 MB: what a pass is measured against."""
    X, w = np.ones((100, 500_000)), np.ones(100)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        w @ X
        times.append(time.perf_counter() - start)
    return X.nbytes / min(times)


def timed(function: Callable) -> tuple[float, object]:
    time.sleep(PAUSE)
    start = time.perf_counter()
    answer = function()
    return time.perf_counter() - start, answer


def duel(case: Case, peak: float) -> dict:
    """Ours and each rival, alternately; seconds are the best."""
    m = case.X.shape[1]
    rows = np.ascontiguousarray(case.X.T)
    rivals = {
        rival: LogisticRegression(C=1 / (case.l2 * m), solver=rival.solver, tol=rival.tol, max_iter=10_000)
        for rival in case.rivals
    }
    ours: list[float] = []
    theirs: dict[Rival, list[float]] = {rival: [] for rival in rivals}
    repeats = 3 if case.X.nbytes > 2**24 else 20
    for repeat in range(repeats):
        seconds, model = timed(lambda: xlogreg.fit(case.X, case.Y, l2=case.l2))
        ours.append(seconds)
        for rival, estimator in rivals.items():
            if repeat < (rival.repeats if rival.repeats == 1 else repeats):
                theirs[rival].append(timed(lambda estimator=estimator: estimator.fit(rows, case.Y))[0])
    costs = {rival: judged(case, e.coef_.T, e.intercept_) for rival, e in rivals.items()}
    cost = judged(case, model.w, model.b)
    best = xlogreg.fit(case.X, case.Y, l2=case.l2, dtype="float64", tol=1e-15, initial=model)
    lowest = min(cost, judged(case, best.w, best.b), *costs.values())
    at_theirs = {rival: at_gap(case, costs[rival] - lowest, lowest, repeats) for rival in rivals}
    info = model.fit_info
    above = np.append(model.costs[1:], cost) - lowest  # costs[i + 1] is what pass i + 1 was followed by
    spent = info.passes - len(model.costs) + 1 + np.arange(len(above))
    return {
        "solver": info.solver,
        "passes": info.passes,
        PASSES: [round(float(spent[np.argmax(above <= gap)]), 2) if np.any(above <= gap) else None for gap in GAPS],
        "gap": cost - lowest,
        "seconds": min(ours),
        "share of bandwidth": info.passes * case.X.nbytes / min(ours) / peak,
        "rivals": [
            {
                "solver": rival.solver,
                "tol": rival.tol,
                "gap": costs[rival] - lowest,
                "seconds": min(seconds),
                "ratio": min(seconds) / min(ours),
                "ratio at its gap": None if at_theirs[rival] is None else min(seconds) / at_theirs[rival],
            }
            for rival, seconds in theirs.items()
        ],
    }


def at_gap(case: Case, gap: float, lowest: float, repeats: int) -> float | None:
    """Seconds that we take to a gap that the rival stopped at, where that is far from the minimum."""
    if gap < 1e-8:
        return None
    tol = gap / lowest
    while True:
        fit = functools.partial(xlogreg.fit, case.X, case.Y, l2=case.l2, tol=tol)
        fits = [timed(fit) for _ in range(repeats)]
        if judged(case, fits[0][1].w, fits[0][1].b) - lowest <= gap:
            return min(seconds for seconds, _ in fits)
        tol /= 3.0


def show(name: str, row: dict) -> None:
    steps = "/".join("-" if at is None else f"{at:g}" for at in row[PASSES])
    print(
        f"{name:42}{row['passes']:8.2f}{steps:>22}{row['gap']:9.0e}{row['seconds']:9.4f}"
        f"{row['share of bandwidth']:7.2f}"
    )
    for rival in row["rivals"]:
        text = f"{rival['solver']} at tol {rival['tol']:g}"
        same = "" if rival["ratio at its gap"] is None else f", at its gap {rival['ratio at its gap']:.1f}"
        print(f"{text:>42}{rival['gap']:39.0e}{rival['seconds']:9.4f}   ratio {rival['ratio']:.1f}{same}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--case", nargs="*", default=[""], metavar="TEXT", help="cases whose names contain it")
    parser.add_argument("--json", help="write the results there")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # rivals that stop early are judged by their gap
    peak = bandwidth()
    results = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {platform.system()}, {len(os.sched_getaffinity(0))} cores",
        "versions": {"xlogreg": xlogreg.__version__, "numpy": np.__version__, "scikit-learn": sklearn.__version__},
        "memory bandwidth GB/s": peak / 1e9,
        "cases": {},
    }
    print(f"memory bandwidth {peak / 1e9:.1f} GB/s")
    print(f"{'case':42}{'passes':>8}{'to 1e-4/1e-8/1e-12':>22}{'gap':>9}{'s':>9}{'share':>7}")
    for name in CASES:
        if any(text in name for text in arguments.case):
            results["cases"][name] = duel(CASES[name](), peak)
            show(name, results["cases"][name])
    show_bars(BARS, results)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
