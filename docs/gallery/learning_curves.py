"""
Learning curves beside scikit-learn
===================================

Each dot is a fit with more iterations than the last: the seconds that it took here, while this page was built, and how
far above the minimum it ended. The steeper a curve falls, the less time an exact answer costs.
"""

import warnings
from functools import partial
from timeit import repeat

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

import xlogreg

rng = np.random.default_rng(0)
X = rng.standard_normal((50_000, 50)) @ (rng.standard_normal((50, 50)) + 3 * np.eye(50))
Y = X @ rng.standard_normal(50) / 10 > rng.logistic(size=len(X))
warnings.simplefilter("ignore")  # fits that end early are the point here


def timed(model):
    seconds = min(repeat(lambda: model.fit(X, Y), number=1, repeat=3))
    cost = xlogreg.cost(model.decision_function(X)[None], Y[None])
    return seconds, cost + np.sum(model.coef_**2) / (2 * len(X))  # C is 1 for all of them


ours, theirs = xlogreg.LogisticRegression, partial(LogisticRegression, tol=1e-14)
newton, lbfgs = range(1, 8), [2, 4, 8, 16, 32, 64, 128]
curves = {
    "xlogreg": [timed(ours(max_iter=n)) for n in range(1, 6)],
    "scikit-learn, lbfgs": [timed(theirs(max_iter=n)) for n in lbfgs],
    "scikit-learn, newton-cholesky": [timed(theirs(solver="newton-cholesky", max_iter=n)) for n in newton],
}
lowest = min(cost for curve in curves.values() for _, cost in curve)
for name, curve in curves.items():
    seconds, costs = np.asarray(curve).T
    plt.semilogy(seconds, np.maximum(costs - lowest, 1e-15), "o-", label=name)
plt.xlabel("seconds")
plt.ylabel("cost above the minimum")
plt.legend()
