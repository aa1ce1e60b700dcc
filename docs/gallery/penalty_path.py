"""
Which features a penalty keeps
==============================

From right to left the penalty gets weaker, and one feature after another gets a weight that is not zero. The features
that come first say most about a tumour; a short list of them is easier to measure and to explain.
"""

import numpy as np
from sklearn.datasets import load_breast_cancer

import xlogreg

cancer = load_breast_cancer(as_frame=True)
features = (cancer.data - cancer.data.mean()) / cancer.data.std()
malignant = cancer.target == 0

penalties = np.geomspace(0.4, 0.005, 40)
path = xlogreg.fit_path(features, malignant, penalties=penalties, l1_ratio=1.0, samples="rows")
path.plot()
