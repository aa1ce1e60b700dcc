"""
Where a model changes its mind
==============================

Each colour is the class that the model predicts for a flower with these petals; where it is pale, the model is less
sure. On the black lines two classes are equally likely: near them, ask for a second opinion.
"""

from sklearn.datasets import load_iris

import xlogreg
from xlogreg.plots import DecisionBoundaryDisplay

iris = load_iris(as_frame=True)
petals = iris.data[["petal length (cm)", "petal width (cm)"]]
species = iris.target_names[iris.target]

model = xlogreg.fit(petals, species, samples="rows", l2=1e-3)
DecisionBoundaryDisplay.from_model(model, petals, species)
