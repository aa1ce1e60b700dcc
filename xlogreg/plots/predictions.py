"""Pictures that compare predictions with the truth: the confusion matrix and the calibration curve."""

import numbers
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from xlogreg.arrays.place import to_host
from xlogreg.inputs.labels import encode_known
from xlogreg.plots.display import RED, Display, plain, width_of

__all__ = ["CalibrationDisplay", "ConfusionMatrixDisplay"]

POINTS = 200  # of a curve
SMALLEST = 4.0  # font size in points; nobody can read smaller numbers


@dataclass(eq=False)
class ConfusionMatrixDisplay(Display):
    """The confusion matrix: each cell shows its number of samples, and its colour shows their share.

    A share is relative to the true class, so that rare classes show as well as frequent ones.

    Attributes
    ----------
    confusion : ndarray (K, K)
        The number of samples (by weight) that belong to the class of the row and are predicted as that of the column.
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
        """Draw the confusion matrix of a model on samples; `Model.evaluate` explains X, Y and sample_weight."""
        return cls.from_report(model.evaluate(X, Y, sample_weight), ax=ax)

    @classmethod
    def from_report(cls, report: Any, *, ax: Any = None) -> Self:
        """Draw the confusion matrix of a `Report`, into ``ax`` or a new figure."""
        return cls(report.confusion, report.classes).plot(ax)

    def _draw(self, ax: Any) -> None:
        K, names = len(self.classes), [plain(name) for name in self.classes.tolist()]
        totals = np.sum(self.confusion, axis=1, keepdims=True)
        shares = self.confusion / np.where(totals > 0, totals, 1.0)
        image = ax.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
        ax.figure.colorbar(image, ax=ax, label="share of the true class")
        texts = [[f"{value:.6g}" for value in row] for row in self.confusion.tolist()]
        cell = width_of(ax) / K
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


@dataclass(eq=False)
class CalibrationDisplay(Display):
    """The observed share of a class over its predicted probability, and the number of samples in each bin.

    With two classes, the probability is that of the second class; with more classes, it is that of the predicted class.
    The probabilities are sorted into bins of equal width. The points of a calibrated model leave the diagonal only by
    chance. Bars show how far that goes (Bröcker & Smith 2007): two standard errors of a share of as many samples.

    Attributes
    ----------
    predicted, observed : ndarray (B,)
        Mean probability, and share of the samples that have the class, in each bin that holds samples.
    counts : ndarray (bins,)
        Samples in each bin, empty ones included.
    name : str
        The class whose probability it is, as the labels of the axes name it.
    edges : ndarray (bins + 1,), or None
        Where the bins begin and end; None for bins of equal width.
    line : Line, or None
        Slope and intercept of the log-odds, drawn as a curve.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> from matplotlib.figure import Figure
    >>> from xlogreg.plots import CalibrationDisplay
    >>> X, Y = np.asarray([[-2.0, -1.0, 1.0, 2.0]]), ["no", "yes", "no", "yes"]
    >>> CalibrationDisplay.from_model(xlogreg.fit(X, Y), X, Y, bins=2, ax=Figure().subplots()).observed
    array([0.5, 0.5])
    """

    predicted: np.ndarray
    observed: np.ndarray
    counts: np.ndarray
    name: str
    edges: np.ndarray | None = None
    line: Any = None

    @classmethod
    def from_model(cls, model: Any, X: Any, Y: Any, *, bins: int = 10, ax: Any = None) -> Self:
        """Draw the calibration of a model on samples.

        Parameters
        ----------
        model : Model
        X, Y
            Samples and their labels, as `Model.evaluate` takes them.
        bins : int
            The number of bins of equal width between 0 and 1.
        ax : matplotlib.axes.Axes, optional
            The axes to draw into. Default: a new figure.

        Raises
        ------
        ValueError
            If ``bins`` is less than one, or if the model does not accept X or Y.
        """
        if isinstance(bins, bool) or not isinstance(bins, numbers.Integral) or bins < 1:
            raise ValueError(f"bins must be a whole number of one or more, not {bins!r}")
        A = to_host(model.predict_proba(X)).astype(np.float64)
        A = A.T if model.samples == "rows" else A
        truth = to_host(encode_known(Y, A.shape[1], model.samples, model.classes))[0]
        likeliest = np.argmax(A, axis=0)
        two = len(model.classes) == 2
        probability, right = (A[1], truth == 1) if two else (np.max(A, axis=0), truth == likeliest)
        bin_of = np.searchsorted(np.linspace(0.0, 1.0, bins + 1)[1:-1], probability)
        counts = np.bincount(bin_of, minlength=bins)
        sums = (np.bincount(bin_of, weights=values, minlength=bins) for values in (probability, right))
        predicted, observed = (part[counts > 0] / counts[counts > 0] for part in sums)
        return cls(
            predicted, observed, counts, f"class {plain(model.classes[1])}" if two else "the predicted class"
        ).plot(ax)

    @classmethod
    def from_calibration(cls, calibration: Any, *, ax: Any = None) -> Self:
        """Draw the groups of a `Calibration`, and its slope and intercept as a curve.

        Parameters
        ----------
        calibration : Calibration
            The result of `Model.calibration`. Its groups hold about the same number of samples.
        ax : matplotlib.axes.Axes, optional
            The axes to draw into. Default: a new figure.
        """
        table = calibration.table
        between = 0.5 * (table["upper"][:-1] + table["lower"][1:])
        edges = np.concatenate([table["lower"][:1], between, table["upper"][-1:]])
        shown = table["probability"], table["share"], table["samples"]
        return cls(*shown, name="the second class", edges=edges, line=calibration.line).plot(ax)

    def _draw_line(self, ax: Any) -> None:
        """Draw the share that slope and intercept say, over the probability."""
        if self.line is None or not np.isfinite([self.line.slope, self.line.intercept]).all():
            return
        probability = np.linspace(0.0, 1.0, POINTS + 2)[1:-1]
        z = self.line.intercept + self.line.slope * np.log(probability / (1.0 - probability))
        label = f"slope {self.line.slope:.3g}, intercept {self.line.intercept:.3g}"
        ax.plot(probability, 0.5 * (1.0 + np.tanh(0.5 * z)), color=RED, linewidth=1.2, label=label)

    def _draw(self, ax: Any) -> None:
        edges = np.linspace(0.0, 1.0, len(self.counts) + 1) if self.edges is None else self.edges
        beside = ax.twinx()
        beside.bar(edges[:-1], self.counts, width=np.diff(edges), align="edge", color="0.85", edgecolor="white")
        beside.set_ylim(0.0, 4.0 * np.max(self.counts))  # the bars fill the lowest quarter of the picture
        beside.set_yticks([0, int(np.max(self.counts))])
        beside.set_ylabel("samples in each bin", loc="bottom")
        ax.set_zorder(beside.get_zorder() + 1)
        ax.patch.set_visible(False)
        ax.plot([0.0, 1.0], [0.0, 1.0], color="0.5", linestyle="--", linewidth=1.0)
        error = 2.0 * np.sqrt(self.predicted * (1.0 - self.predicted) / self.counts[self.counts > 0])
        reach = np.minimum(error, [self.predicted, 1.0 - self.predicted])  # a share is between 0 and 1
        bars = {"fmt": "none", "ecolor": "0.5", "capsize": 3, "label": "calibrated, ± 2 standard errors"}
        ax.errorbar(self.predicted, self.predicted, reach, **bars)
        ax.plot(self.predicted, self.observed, color="C0", marker="o", markersize=4, label="model")
        self._draw_line(ax)
        ax.set_xlabel(f"probability of {self.name}")
        ax.set_ylabel(f"share of the samples in {self.name}")
        ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2, frameon=False)
