"""Pictures of fits and predictions, with matplotlib (the extra "plots"), which is loaded once one is drawn.

Each is a display as scikit-learn has them: made by a classmethod ``from_...`` that draws it into ``ax``, or into a new
figure; ``ax_`` and ``figure_`` are where it was drawn, and ``plot(ax)`` draws the same values again.
"""

from xlogreg.plots.pictures import WeightsDisplay
from xlogreg.plots.predictions import ConfusionMatrixDisplay

__all__ = ["ConfusionMatrixDisplay", "WeightsDisplay"]
