"""
Odds ratios with their intervals
================================

A dot says by how much the odds that a tumour is malignant are multiplied if a feature is one standard deviation larger.
Where an interval crosses the line, the data do not tell in which direction that feature works.
"""

from sklearn.datasets import load_breast_cancer

import xlogreg
from xlogreg.plots import ForestDisplay

cancer = load_breast_cancer(as_frame=True)
features = cancer.data[["mean radius", "mean texture", "mean smoothness", "mean symmetry"]]
features = (features - features.mean()) / features.std()

model = xlogreg.fit(features, cancer.target == 0, samples="rows")
ForestDisplay.from_summary(model.summary())
