"""
Weights as pictures
===================

Ink on a red pixel speaks for the digit, and ink on a blue one speaks against it. Such a picture shows what a model
looks at, and whether that is what it should look at.
"""

from sklearn.datasets import load_digits

import xlogreg
from xlogreg.plots import WeightsDisplay

digits = load_digits()
pixels, digit = digits.data / 16, digits.target
model = xlogreg.fit(pixels, digit, samples="rows", l2=1e-3)
WeightsDisplay.from_model(model, shape=(8, 8))
