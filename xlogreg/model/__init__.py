"""A fitted model: its predictions, its reports and its file."""

import sys

from xlogreg.model import reports
from xlogreg.model.model import Model, load

__all__ = ["Model", "load"]

sys.modules["xlogreg.reports"] = reports  # pickles from before there were folders look for `FitInfo` there
