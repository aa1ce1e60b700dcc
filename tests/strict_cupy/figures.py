"""Print what some fits would do on a GPU, as JSON; with -v also the lines that cause most of it.

PYTHONPATH=tests/strict_cupy:. python tests/strict_cupy/figures.py [-v] [part of a name ...]
"""

import json
import sys
import warnings

import cupy
import numpy as np
from cupy._counts import counts

import xlogreg
from xlogreg.math import sums
from xlogreg.math.losses import LOSSES

L2S = np.logspace(0, -5, 15)


def problem(m, n_x, classes=2, seed=0):
    """X (n_x, m) in float32 and noisy labels (m,), no two classes of which are separated."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_x, m)).astype(np.float32)
    scores = rng.standard_normal((classes, n_x)) @ X * (2 / np.sqrt(n_x))
    return X, np.argmax(scores + rng.gumbel(size=(classes, m)), axis=0)


def fits(X, y):
    """Return fits of two classes by name; each is a function of no arguments."""
    there = cupy.asarray(X)
    model = xlogreg.fit(there, y, l2=1e-4)
    return {
        "fit": lambda: xlogreg.fit(there, y, l2=1e-4),
        "fit without penalty": lambda: xlogreg.fit(there, y),
        "fit from the host": lambda: xlogreg.fit(X, y, l2=1e-4, backend="cupy"),
        "200 steps of gd": lambda: xlogreg.fit(there, y, solver="gd", max_iter=200),
        "predict_proba": lambda: model.predict_proba(there),
        "fit_many, 20 targets": lambda: xlogreg.fit_many(there, X[:20] > 0, l2s=1e-3),
        "fit_path, 15 penalties": lambda: xlogreg.fit_path(there, y, l2s=L2S),
        "fit_cv, 6 penalties, 5 folds": lambda: xlogreg.fit_cv(there, y, l2s=np.logspace(0, -5, 6), folds=5),
        "bootstrap, 20 samples": lambda: xlogreg.bootstrap(there, y, 20),
    }


def softmax_fits(X, y):
    there = cupy.asarray(X)
    return {
        "softmax, 5 classes": lambda: xlogreg.fit(there, y, l2=1e-3),
        "softmax, fit_cv, 4 penalties, 3 folds": lambda: xlogreg.fit_cv(there, y, l2s=np.logspace(0, -3, 4), folds=3),
    }


def wide_fits(X, y):
    there = cupy.asarray(X)
    return {"wide, 3000 features of 500 samples": lambda: xlogreg.fit(there, y, l2=1e-2)}


def passes(X, y):
    """Single passes over one block."""
    block = sums.Block(cupy.asarray(X), cupy.asarray(y[None, :].astype(np.float32)), None, 0)
    theta, loss = cupy.asarray(np.full((len(X) + 1, 1, 1), 0.01)), LOSSES["log_loss"]
    return {
        "pass: gradient": lambda: sums.gradient_terms(block, theta, loss),
        "pass: gradient and separation": lambda: sums.pass_terms(block, theta, loss),
        "pass: Hessian": lambda: sums.hessian_terms(block, theta, loss),
        "pass: Hessian and separation": lambda: sums.expansion_terms(block, theta, loss),
        "pass: spread": lambda: sums.spread_terms(block, theta[:-1, 0, :]),
    }


PROBLEMS = {fits: (50_000, 28), softmax_fits: (5_000, 64, 5), wide_fits: (500, 3_000), passes: (50_000, 128)}


def measured(work, nbytes):
    """Return the counts of some work; traffic and peak memory as multiples of X, without what lay there before."""
    counts.reset()
    before = counts.live
    result = work()  # noqa: F841 - its memory is part of the peak
    figures = counts.summary()
    figures["traffic"] = round(figures["traffic"] / nbytes, 2)
    figures["peak"] = round((figures["peak"] - before) / nbytes, 2)
    del figures["live"]
    return figures


def main(wanted, verbose):
    warnings.simplefilter("ignore")
    found = {}
    for make, size in PROBLEMS.items():
        X, y = problem(*size)
        for name, work in make(X, y).items():
            if any(part in name for part in wanted):
                found[name] = measured(work, X.nbytes)
                for figure in ("syncs", "uploads", "lonely", "kernels") if verbose else ():
                    print(name, figure, *counts.worst(figure), sep="\n    ", file=sys.stderr)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main([part for part in sys.argv[1:] if part != "-v"] or [""], "-v" in sys.argv)
