"""What a fit and an evaluation report: plain values that print well."""

import dataclasses
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xlogreg.inputs.files import printable

__all__ = ["FitInfo", "Report", "StandardErrors", "abridged", "as_json"]


@dataclass(frozen=True)
class FitInfo:
    """What a fit did and what is proved of its result; prints as a list.

    Attributes
    ----------
    solver, backend, device, dtype : str
        What really computed, and in which floating-point type. The device of dask collections is "dask, N workers".
    fallback : str or None
        Why it is not the backend that was asked for; or why X stayed on the host.
    converged : bool
        Whether the gap was driven below tol * cost.
    reason : str
        Why it ended: "converged", "max_iter", "time_limit", "precision", "separated", "callback", "diverged", "one
        class"; "checkpoint" in a file that was written while the fit was under way.
    iterations : int
        Steps of the solver.
    passes : float
        How often every sample was visited; work on a subset counts as its share. NaN in a checkpoint.
    cost : float
        J of the parameters returned, up to 1e-7 of it, or of a thousandth of the cost without features.
    gradient_norm : float
        Of dJ/dw and dJ/db together, there; for standardised X if ``standardize`` was given.
    gap : float
        Estimate or bound of J - min J there; NaN where it is not known.
    gap_known : {"bound", "decrement", "estimate", "separated", ""}
        How the gap is known: a proof, by the step of Newton's method or the penalty; half the squared Newton decrement;
        the decrement by the curvature that the solver has gathered; the infimum 0 of separated classes; not at all.
    parameter_error : float
        The gap in units of statistical error, sqrt(2 gap n): about how many standard errors the parameters are off,
        all of them together. n is the number of samples, with weights (sum s)^2 / sum s^2 (Kish 1965).
    rank : int or None
        Directions that the data determine, of the parameters; None where no Hessian was made.
    condition : float
        Of the Hessian scaled to a unit diagonal: an upper estimate. NaN where none was made.
    separation : {"none", "complete", "quasi-complete", "undecided", ""}
        Whether a hyperplane separates the classes; "" where it does not matter, with a penalty or soft targets.
    log_likelihood : float
        -s times the mean log loss there, without the penalty (notes 2.8); NaN for the squared error.
    null_log_likelihood : float
        That of the model without features: of the classes' shares, or of equal ones without a bias.
    seconds : float
        Wall time of the fit, checks and transfers included.
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

    @property
    def summary(self) -> str:
        """What matters of it, in two lines."""
        above = "unknown how far" if np.isnan(self.gap) else f"about {self.gap:.1g}"
        return (
            f"{self.solver} on {self.backend}: {self.reason} after {self.passes:.4g} passes, {self.seconds:.2g} s\n"
            f"cost {self.cost:.6g}, {above} above the minimum"
        )

    def __str__(self) -> str:
        fields = dataclasses.asdict(self)
        texts = {name: f"{value:.6g}" if isinstance(value, float) else str(value) for name, value in fields.items()}
        return "\n".join(f"{name:20}{text}" for name, text in texts.items())


@dataclass(frozen=True)
class Report:
    """How a model does on some samples; prints as a table.

    Attributes
    ----------
    accuracy : float
        Share of the samples (by weight) whose class is predicted.
    log_loss : float
        Mean of the losses -log a of the true class (of a model fitted by squared error: of that).
    confusion : ndarray (K, K)
        Samples (by weight) of the true class in the row, predicted as the class of the column.
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
    """The fields of a report as JSON has them: numbers that are not finite are null."""
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    fields = {name: part.tolist() if isinstance(part, np.ndarray) else part for name, part in fields.items()}
    return {name: None if isinstance(part, float) and not np.isfinite(part) else part for name, part in fields.items()}


def abridged(classes: np.ndarray) -> str:
    """The labels, of many the first and how many they are."""
    shown = [repr(label) for label in classes[:6].tolist()]
    return f"[{', '.join(shown)}{f', ... {len(classes)} in all' if len(classes) > 6 else ''}]"
