"""
Whether probabilities can be believed
=====================================

Of the cases that a model calls 80 % likely, eight in ten should happen: such points lie on the diagonal. Without a
penalty, a model of many features is too sure of itself on new samples, and a penalty chosen by cross-validation mends
that.
"""

import matplotlib.pyplot as plt
import numpy as np

import xlogreg
from xlogreg.plots import CalibrationDisplay

rng = np.random.default_rng(0)
X = rng.standard_normal((100, 20_600))
Y = 0.15 * X.sum(axis=0) > rng.logistic(size=X.shape[1])
train, new = slice(0, 600), slice(600, None)

free = xlogreg.fit(X[:, train], Y[train])
penalised = xlogreg.fit_cv(X[:, train], Y[train], l2s=np.logspace(1, -4, 11)).model

figure, axes = plt.subplots(1, 2, figsize=(9, 4.5), layout="constrained")
for ax, model, title in zip(axes, (free, penalised), ("no penalty", "with a penalty"), strict=True):
    CalibrationDisplay.from_model(model, X[:, new], Y[new], ax=ax)
    ax.set_title(title, pad=25)
