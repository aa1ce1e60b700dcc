"""xlogreg: logistic regression, written once, on any array library."""

import importlib
import sys
from typing import TYPE_CHECKING, Any

from xlogreg.arrays.place import BackendStatus, available_backends
from xlogreg.exceptions import (
    BackendFallbackWarning,
    BackendUnavailableError,
    BlockError,
    CheckpointWarning,
    ConvergenceWarning,
    DivergenceWarning,
    MissingClassWarning,
    ModelFileError,
    PrecisionWarning,
    SeparationWarning,
    UnseenLevelWarning,
    WorkersLostError,
    XlogregWarning,
)
from xlogreg.fitting.bootstrap import Bootstrap, bootstrap
from xlogreg.fitting.fit import fit
from xlogreg.fitting.fit_cv import Selection, fit_cv
from xlogreg.fitting.fit_formula import fit_formula
from xlogreg.fitting.fit_many import fit_many
from xlogreg.fitting.fit_path import Path, fit_path
from xlogreg.fitting.progress import ManyState, State
from xlogreg.fitting.separation import separation
from xlogreg.graph.slopes import GradientCheck, check_gradients, slope
from xlogreg.inference.calibration import Calibration
from xlogreg.inference.estimates import Estimates
from xlogreg.inference.influence import Influence
from xlogreg.inference.roc import Roc
from xlogreg.inference.sandwich import Covariance
from xlogreg.inference.separated import Separation
from xlogreg.inference.significance import Test, Tests
from xlogreg.inference.summary import Summary
from xlogreg.math.logistic import cost, curvature, forward, gradients, update
from xlogreg.math.losses import cross_entropy, log_loss, sigmoid, softmax, squared_error
from xlogreg.model.model import Model, load
from xlogreg.model.nested import likelihood_ratio_test
from xlogreg.model.reports import FitInfo, Report, StandardErrors
from xlogreg.samples.files.folder import open_parts
from xlogreg.version import __version__ as __version__

if TYPE_CHECKING:
    from xlogreg import graph as graph
    from xlogreg import images as images
    from xlogreg import plots as plots
    from xlogreg.sklearn.logistic import LogisticRegression as LogisticRegression
    from xlogreg.sklearn.logistic_cv import LogisticRegressionCV as LogisticRegressionCV
    from xlogreg.sklearn.onnx import register_onnx as register_onnx
    from xlogreg.sklearn.onnx import to_onnx as to_onnx

__all__ = [
    "BackendFallbackWarning",
    "BackendStatus",
    "BackendUnavailableError",
    "BlockError",
    "Bootstrap",
    "Calibration",
    "CheckpointWarning",
    "ConvergenceWarning",
    "Covariance",
    "DivergenceWarning",
    "Estimates",
    "FitInfo",
    "GradientCheck",
    "Influence",
    "ManyState",
    "MissingClassWarning",
    "Model",
    "ModelFileError",
    "Path",
    "PrecisionWarning",
    "Report",
    "Roc",
    "Selection",
    "Separation",
    "SeparationWarning",
    "StandardErrors",
    "State",
    "Summary",
    "Test",
    "Tests",
    "UnseenLevelWarning",
    "WorkersLostError",
    "XlogregWarning",
    "available_backends",
    "bootstrap",
    "check_gradients",
    "cost",
    "cross_entropy",
    "curvature",
    "fit",
    "fit_cv",
    "fit_formula",
    "fit_many",
    "fit_path",
    "forward",
    "gradients",
    "likelihood_ratio_test",
    "load",
    "log_loss",
    "open_parts",
    "separation",
    "sigmoid",
    "slope",
    "softmax",
    "squared_error",
    "update",
]

# not in __all__, so that `from xlogreg import *` works without scikit-learn
_ESTIMATORS = {
    "LogisticRegression": "xlogreg.sklearn.logistic",
    "LogisticRegressionCV": "xlogreg.sklearn.logistic_cv",
    "register_onnx": "xlogreg.sklearn.onnx",
    "to_onnx": "xlogreg.sklearn.onnx",
}
_SUBMODULES = ("graph", "images", "plots")

# modules where pickles from before there were folders look for models and results
_FORMER = {
    "backends": "arrays.place",
    "paths": "fitting.fit_path",
    "reports": "model.reports",
    "resampling": "fitting.bootstrap",
    "selection": "fitting.fit_cv",
}
for _then, _now in _FORMER.items():
    sys.modules[f"xlogreg.{_then}"] = sys.modules[f"xlogreg.{_now}"]


def __getattr__(name: str) -> Any:
    """Import estimators and some submodules when they are first used: importing xlogreg imports no scikit-learn."""
    if name in _SUBMODULES:
        return importlib.import_module(f"xlogreg.{name}")
    if name not in _ESTIMATORS:
        raise AttributeError(f"module 'xlogreg' has no attribute {name!r}")
    try:
        found = getattr(importlib.import_module(_ESTIMATORS[name]), name)
    except ImportError as error:
        raise ImportError(f'xlogreg.{name} needs scikit-learn, 1.6 or later: pip install "xlogreg[sklearn]"') from error
    globals()[name] = found
    return found
