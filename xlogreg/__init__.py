"""xlogreg: logistic regression, written once, on any array library."""

from xlogreg.backends import BackendStatus, available_backends
from xlogreg.exceptions import (
    BackendFallbackWarning,
    BackendUnavailableError,
    ConvergenceWarning,
    DivergenceWarning,
    ModelFileError,
    PrecisionWarning,
    SeparationWarning,
    XlogregWarning,
)
from xlogreg.fitting import fit
from xlogreg.logistic import cost, curvature, forward, gradients, update
from xlogreg.losses import cross_entropy, log_loss, sigmoid, softmax, squared_error
from xlogreg.many import fit_many
from xlogreg.model import Model, load
from xlogreg.paths import Path, fit_path
from xlogreg.reports import FitInfo, Report, StandardErrors
from xlogreg.resampling import Bootstrap, bootstrap
from xlogreg.selection import Selection, fit_cv
from xlogreg.version import __version__ as __version__

__all__ = [
    "BackendFallbackWarning",
    "BackendStatus",
    "BackendUnavailableError",
    "Bootstrap",
    "ConvergenceWarning",
    "DivergenceWarning",
    "FitInfo",
    "Model",
    "ModelFileError",
    "Path",
    "PrecisionWarning",
    "Report",
    "Selection",
    "SeparationWarning",
    "StandardErrors",
    "XlogregWarning",
    "available_backends",
    "bootstrap",
    "cost",
    "cross_entropy",
    "curvature",
    "fit",
    "fit_cv",
    "fit_many",
    "fit_path",
    "forward",
    "gradients",
    "load",
    "log_loss",
    "sigmoid",
    "softmax",
    "squared_error",
    "update",
]
