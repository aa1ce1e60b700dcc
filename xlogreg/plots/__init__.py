"""Pictures of fits and predictions, drawn by matplotlib (the extra "plots"), which is imported at the first picture.

Each picture is a display, like scikit-learn's: a classmethod ``from_...`` makes it and draws it into ``ax``, or into a
new figure. ``ax_`` and ``figure_`` say where it was drawn last. ``plot(ax)`` draws the same values again.
"""

from xlogreg.plots.boundaries import DecisionBoundaryDisplay
from xlogreg.plots.diagnosis import ResidualsDisplay, RocDisplay
from xlogreg.plots.fits import LearningCurvesDisplay
from xlogreg.plots.inference import ForestDisplay, ProfileDisplay
from xlogreg.plots.penalties import PathDisplay, ScoresDisplay
from xlogreg.plots.pictures import WeightsDisplay
from xlogreg.plots.predictions import CalibrationDisplay, ConfusionMatrixDisplay

__all__ = [
    "CalibrationDisplay",
    "ConfusionMatrixDisplay",
    "DecisionBoundaryDisplay",
    "ForestDisplay",
    "LearningCurvesDisplay",
    "PathDisplay",
    "ProfileDisplay",
    "ResidualsDisplay",
    "RocDisplay",
    "ScoresDisplay",
    "WeightsDisplay",
]
