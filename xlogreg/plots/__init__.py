"""Pictures of fits and predictions, with matplotlib (the extra "plots"), which is loaded once one is drawn.

Each is a display as scikit-learn has them: made by a classmethod ``from_...`` that draws it into ``ax``, or into a new
figure; ``ax_`` and ``figure_`` are where it was drawn, and ``plot(ax)`` draws the same values again.
"""

from xlogreg.plots.boundaries import DecisionBoundaryDisplay
from xlogreg.plots.fits import LearningCurvesDisplay
from xlogreg.plots.penalties import PathDisplay, ScoresDisplay
from xlogreg.plots.pictures import WeightsDisplay
from xlogreg.plots.predictions import CalibrationDisplay, ConfusionMatrixDisplay

__all__ = [
    "CalibrationDisplay",
    "ConfusionMatrixDisplay",
    "DecisionBoundaryDisplay",
    "LearningCurvesDisplay",
    "PathDisplay",
    "ScoresDisplay",
    "WeightsDisplay",
]
