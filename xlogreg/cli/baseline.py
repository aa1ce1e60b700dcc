"""What a prediction without features would reach on the same samples: the yardstick of accuracy and log loss."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from xlogreg.model.reports import Report

__all__ = ["Baseline", "baseline"]


@dataclass(frozen=True)
class Baseline:
    """Accuracy and log loss that samples allow without features; prints as a sentence.

    Attributes
    ----------
    label : object
        The most frequent class.
    accuracy : float
        Share of the samples (by weight) that are of that class.
    log_loss : float
        Log loss of the shares of the classes. Other probabilities that are the same for all have a higher one.
    worse_in : tuple of str
        In what the model is no better: "accuracy", "log loss", both, or neither. Samples of one class cannot tell.
    """

    label: Any
    accuracy: float
    log_loss: float
    worse_in: tuple[str, ...]

    def __str__(self) -> str:
        if self.accuracy == 1.0:
            return f"all samples are of the class {self.label!r}: no model can do better than to say always that"
        said = f"without features: always {self.label!r} gives accuracy {self.accuracy:.4f}, "
        said += f"the shares of the classes log loss {self.log_loss:.4f}"
        return said + (f"\nthe model is no better than that in {' and '.join(self.worse_in)}" if self.worse_in else "")


def baseline(report: Report) -> Baseline:
    """Return what the samples of a report allow without features: the report's own table says how often each class is.

    Examples
    --------
    >>> report = Report(0.9, 0.3, np.asarray([[5, 1], [0, 4]]), np.asarray(["no", "yes"]))
    >>> print(baseline(report))
    without features: always 'no' gives accuracy 0.6000, the shares of the classes log loss 0.6730
    """
    counts = np.sum(np.asarray(report.confusion, np.float64), axis=1)
    shares = counts / np.sum(counts)
    present = shares[shares > 0]
    accuracy, log_loss = float(np.max(shares)), float(np.sum(present * np.log(1.0 / present)))
    compared = {"accuracy": report.accuracy <= accuracy, "log loss": not report.log_loss < log_loss}
    compared = compared if len(present) > 1 else {}
    label = report.classes.tolist()[int(np.argmax(shares))]
    return Baseline(label, accuracy, log_loss, tuple(name for name, worse in compared.items() if worse))
