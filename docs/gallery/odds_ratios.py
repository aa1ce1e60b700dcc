"""
Odds ratios with their intervals
================================

A dot right of the line multiplies the odds that a tumour is malignant, by that much for each standard deviation of the
feature. An interval that crosses the line says that the data do not tell in which direction the feature works.
"""

from sklearn.datasets import load_breast_cancer

import xlogreg
from xlogreg.plots import ForestDisplay

cancer = load_breast_cancer(as_frame=True)
features = cancer.data[["mean radius", "mean texture", "mean smoothness", "mean symmetry"]]
features = (features - features.mean()) / features.std()

model = xlogreg.fit(features, cancer.target == 0, samples="rows")
ForestDisplay.from_summary(model.summary())
