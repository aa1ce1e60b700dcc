"""Predictions beside what is true: confusion."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from xlogreg.plots.display import Display

__all__ = ["ConfusionMatrixDisplay"]

SMALLEST = 4.0  # points, below which nobody reads a number


@dataclass(eq=False)
class ConfusionMatrixDisplay(Display):
    """The confusion matrix: the samples of each pair of classes are written down, and coloured by their share.

    Shares are of the true class, so that rare classes show as well as frequent ones.

    Attributes
    ----------
    confusion : ndarray (K, K)
        Samples (by weight) of the true class in the row, predicted as the class of the column.
    classes : ndarray (K,)

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> from matplotlib.figure import Figure
    >>> from xlogreg.plots import ConfusionMatrixDisplay
    >>> X, Y = np.asarray([[-2.0, -1.0, 1.0, 2.0]]), ["no", "yes", "no", "yes"]
    >>> ConfusionMatrixDisplay.from_model(xlogreg.fit(X, Y), X, Y, ax=Figure().subplots()).confusion
    array([[1., 1.],
           [1., 1.]])
    """

    confusion: np.ndarray
    classes: np.ndarray

    @classmethod
    def from_model(cls, model: Any, X: Any, Y: Any, *, sample_weight: Any = None, ax: Any = None) -> Self:
        """Draw how a model does on samples: X, Y and sample_weight are those of `Model.evaluate`."""
        return cls.from_report(model.evaluate(X, Y, sample_weight), ax=ax)

    @classmethod
    def from_report(cls, report: Any, *, ax: Any = None) -> Self:
        """Draw the confusion matrix of a `Report`, into ``ax`` or a new figure."""
        return cls(report.confusion, report.classes).plot(ax)

    def _draw(self, ax: Any) -> None:
        K, names = len(self.classes), [str(name) for name in self.classes.tolist()]
        totals = np.sum(self.confusion, axis=1, keepdims=True)
        shares = self.confusion / np.where(totals > 0, totals, 1.0)
        image = ax.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
        ax.figure.colorbar(image, ax=ax, label="share of the true class")
        texts = [[f"{value:.6g}" for value in row] for row in self.confusion.tolist()]
        cell = 72.0 * ax.figure.get_figwidth() * ax.get_position().width / K  # points, nearly
        size = min(11.0, 1.2 * cell / max(len(text) for row in texts for text in row))
        for i, j in np.ndindex(K, K) if size >= SMALLEST else ():
            colour = "white" if shares[i, j] > 0.5 else "black"
            ax.text(j, i, texts[i][j], ha="center", va="center", color=colour, fontsize=size)
        small = {"fontsize": min(10.0, 0.9 * cell)}
        wide = max(map(len, names)) * 6.0 > cell
        ax.set_xticks(range(K), names, rotation=45 if wide else 0, ha="right" if wide else "center", **small)
        ax.set_yticks(range(K), names, **small)
        ax.set_xlabel("predicted class")
        ax.set_ylabel("true class")
