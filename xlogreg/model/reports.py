"""Reports of a fit and of an evaluation: plain values that print well."""

import dataclasses
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xlogreg.inputs.files import printable

__all__ = ["FitInfo", "Report", "StandardErrors", "abridged", "as_json"]


@dataclass(frozen=True)
class FitInfo:
    """Report of a fit: the work that it did and what is proved about its result; prints as a list.

    Attributes
    ----------
    solver, backend, device, dtype : str
        The solver, backend, device and floating-point type that really computed. The device of dask collections is
        "dask, N workers".
    fallback : str or None
        Why the backend is not the one that was asked for, or why X stayed on the host.
    converged : bool
        Whether the gap was driven below tol * cost.
    reason : str
        Why the fit ended: "converged", "max_iter", "time_limit", "precision", "separated", "callback", "diverged", "one
        class"; "checkpoint" in a file that was written while the fit was under way.
    iterations : int
        Steps of the solver.
    passes : float
        How often every sample was visited; work on a subset counts as its share. NaN in a checkpoint.
    cost : float
        J of the parameters returned. Its error is at most 1e-7 of it, or of a thousandth of the cost without features.
    gradient_norm : float
        Norm of dJ/dw and dJ/db together at these parameters; for standardised X if ``standardize`` was given.
    gap : float
        Estimate or bound of J - min J at these parameters; NaN if it is not known.
    gap_known : {"bound", "decrement", "estimate", "separated", "local", ""}
        How the gap is known. "bound": a proof, by the step of Newton's method or the penalty. "decrement": half the
        squared Newton decrement. "estimate": the decrement by the curvature that the solver has gathered.
        "separated": the infimum of separated classes is 0. "local": half the squared Newton decrement, of a cost with a
        bias reduction, which may have other minima. "": the gap is not known.
    parameter_error : float
        The gap in units of statistical error, sqrt(2 gap n): about how many standard errors all parameters together
        are off. n is the number of samples; with weights it is (sum s)^2 / sum s^2 (Kish 1965).
    rank : int or None
        Number of directions of the parameters that the data determine; None if no Hessian was made.
    condition : float
        Upper estimate of the condition number of the Hessian, scaled to a unit diagonal; NaN if no Hessian was made.
    separation : {"none", "complete", "quasi-complete", "undecided", ""}
        Whether a hyperplane of the features without a penalty separates the classes; "" if it does not matter, with a
        penalty on every feature or with soft targets.
    log_likelihood : float
        -s times the mean log loss at these parameters, without the penalty (notes 2.8); NaN for the squared error.
    null_log_likelihood : float
        Log-likelihood of the model without features: it predicts the shares of the classes, or equal shares if there
        is no bias. With an offset, it is the best bias beside that, or the offset alone.
    seconds : float
        Wall time of the fit, including checks and transfers.
    n_samples : int or None
        Number of samples, those of weight zero included; None if not known, for reports of earlier versions.
    total_weight : float or None
        Sum s of the sample weights, which is ``n_samples`` without weights; None if not known.
    note : str
        What else there is to know of a fit with L1: that all weights are zero, and from which l1 on; or which features
        are collinear, so that other weights have the same cost. "" in most cases, and then not printed.
    """

    solver: str
    backend: str
    device: str
    dtype: str
    fallback: str | None
    converged: bool
    reason: str
    iterations: int
    passes: float
    cost: float
    gradient_norm: float
    gap: float
    gap_known: str
    parameter_error: float
    rank: int | None
    condition: float
    separation: str
    log_likelihood: float
    null_log_likelihood: float
    seconds: float
    n_samples: int | None = None
    total_weight: float | None = None
    note: str = ""

    @property
    def summary(self) -> str:
        """The most important values, in two lines, and the note if there is one."""
        above = "unknown how far" if np.isnan(self.gap) else f"about {self.gap:.1g}"
        return (
            f"{self.solver} on {self.backend}: {self.reason} after {self.passes:.4g} passes, {self.seconds:.2g} s\n"
            f"cost {self.cost:.6g}, {above} above the minimum" + (f"\n{self.note}" if self.note else "")
        )

    def __str__(self) -> str:
        fields = {name: value for name, value in dataclasses.asdict(self).items() if name != "note" or value}
        texts = {name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in fields.items()}
        return "\n".join(f"{name:20}{text}" for name, text in texts.items())


@dataclass(frozen=True)
class Report:
    """Quality of a model on some samples; prints as a table.

    Attributes
    ----------
    accuracy : float
        Share of the samples (by weight) whose class is predicted correctly.
    log_loss : float
        Mean of the losses -log a of the true class; for a model fitted by squared error, mean of that error.
    confusion : ndarray (K, K)
        Number of samples (by weight) of each true class (row) that are predicted as each class (column).
    classes : ndarray (K,)
    """

    accuracy: float
    log_loss: float
    confusion: np.ndarray
    classes: np.ndarray

    def __str__(self) -> str:
        names = [printable(str(name)) for name in self.classes.tolist()]
        table = [["", *names]]
        for name, row in zip(names, self.confusion.tolist(), strict=True):
            table.append([name, *(f"{value:.6g}" for value in row)])
        width = max(len(text) for row in table for text in row)
        head = f"accuracy {self.accuracy:.4f}, log loss {self.log_loss:.4f}\ntrue class (row), predicted (column):"
        return "\n".join([head, *("  ".join(text.rjust(width) for text in row) for row in table)])


class StandardErrors(NamedTuple):
    """Standard errors of the parameters."""

    w: np.ndarray  # (n_x, k)
    b: np.ndarray  # (k, 1)


def as_json(value: Any) -> dict[str, Any]:
    """Return the fields of a report for JSON; numbers that are not finite become null."""
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    fields = {name: part.tolist() if isinstance(part, np.ndarray) else part for name, part in fields.items()}
    return {name: None if isinstance(part, float) and not np.isfinite(part) else part for name, part in fields.items()}


def abridged(classes: np.ndarray) -> str:
    """Format the labels; of more than six, only the first six and the number of all."""
    shown = [repr(label) for label in classes[:6].tolist()]
    return f"[{', '.join(shown)}{f', ... {len(classes)} in all' if len(classes) > 6 else ''}]"
