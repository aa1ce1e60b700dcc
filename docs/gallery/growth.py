"""
What more samples cost
======================

The passes over the data do not grow with the number of samples, so the seconds grow no faster than the data
do. They were measured while this page was built; a table of a thousand rows takes milliseconds.
"""

from timeit import repeat

import matplotlib.pyplot as plt
import numpy as np

import xlogreg

rng = np.random.default_rng(0)
w = rng.standard_normal((20, 1)) / 4
sizes = [1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000]
seconds, passes = [], []
for m in sizes:
    X = rng.standard_normal((20, m))
    Y = (w.T @ X)[0] > rng.logistic(size=m)
    seconds.append(min(repeat(lambda: xlogreg.fit(X, Y, l2=1e-4), number=1, repeat=3)))
    passes.append(xlogreg.fit(X, Y, l2=1e-4).fit_info.passes)

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
axes[0].loglog(sizes, seconds, "o-")
axes[0].set(xlabel="samples, 20 features", ylabel="seconds of a fit")
axes[1].semilogx(sizes, passes, "o-")
axes[1].set(xlabel="samples, 20 features", ylabel="passes over all samples", ylim=(0, None))
