"""Pictures that diagnose a model of two classes: residuals of its samples, and ROC curves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from xlogreg.arrays.place import to_host
from xlogreg.exceptions import one_of
from xlogreg.plots.display import BLUE, RED, Display, plain

__all__ = ["ResidualsDisplay", "RocDisplay"]

KINDS = {"deviance": "deviance residual", "pearson": "Pearson residual", "studentised": "studentised residual"}
NAMED = 5  # samples with the largest Cook's distances whose numbers are drawn
SMALL, LARGE = 6.0, 160.0  # areas of the points of the least and of the largest Cook's distance


@dataclass(eq=False)
class ResidualsDisplay(Display):
    """Residuals over the predicted probability; the area of a point grows with the Cook's distance of its sample.

    The residuals of the two classes lie on two curves. So the red line shows their means, over groups of samples with
    similar probabilities (Gelman & Hill 2007, section 5.6): it should stay near zero. The numbers are those of the most
    influential samples.

    Attributes
    ----------
    probability, residual, cooks_distance : ndarray (m,)
    kind : {"deviance", "pearson", "studentised"}

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> from matplotlib.figure import Figure
    >>> from xlogreg.plots import ResidualsDisplay
    >>> X, Y = np.asarray([[-2.0, -1.0, 0.5, 1.0, 2.0, 3.0]]), [0, 1, 0, 1, 0, 1]
    >>> influence = xlogreg.fit(X, Y).influence(X, Y)
    >>> ResidualsDisplay.from_influence(influence, ax=Figure().subplots()).residual.shape
    (6,)
    """

    probability: np.ndarray
    residual: np.ndarray
    cooks_distance: np.ndarray
    kind: str

    @classmethod
    def from_influence(cls, influence: Any, *, kind: str = "deviance", ax: Any = None) -> Self:
        """Draw the residuals of an `Influence`.

        Parameters
        ----------
        influence : Influence
            The result of `Model.influence`.
        kind : {"deviance", "pearson", "studentised"}
        ax : matplotlib.axes.Axes, optional
            The axes to draw into. Default: a new figure.

        Raises
        ------
        ValueError
            If ``kind`` is none of these words.
        """
        one_of("kind", kind, tuple(KINDS))
        given = influence.probability, getattr(influence, kind), influence.cooks_distance
        probability, residual, cooks = (np.ravel(to_host(array)).astype(np.float64) for array in given)
        return cls(probability, residual, cooks, kind).plot(ax)

    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean probability and mean residual of about sqrt(m) groups of samples, in the order of the probability."""
        order = np.argsort(self.probability, kind="stable")
        groups = np.array_split(order, max(1, round(len(order) ** 0.5)))
        probability, residual = (
            [float(np.mean(part[own])) for own in groups] for part in (self.probability, self.residual)
        )
        return np.asarray(probability), np.asarray(residual)

    def _draw(self, ax: Any) -> None:
        cooks = np.where(np.isfinite(self.cooks_distance), self.cooks_distance, 0.0)
        largest = float(np.max(cooks)) or 1.0
        areas = SMALL + (LARGE - SMALL) * cooks / largest
        ax.axhline(0.0, color="0.5", linestyle="--", linewidth=1.0)
        ax.scatter(self.probability, self.residual, s=areas, color=BLUE, alpha=0.4, edgecolors="none")
        ax.plot(*self.means(), color=RED, marker=".", linewidth=1.5, label="mean of a group")
        for sample in np.argsort(-cooks, kind="stable")[:NAMED].tolist():
            at = self.probability[sample], self.residual[sample]
            ax.annotate(str(sample), at, xytext=(4, 4), textcoords="offset points", fontsize=8)
        ax.set_xlabel("probability of the second class")
        ax.set_ylabel(KINDS[self.kind])
        ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), frameon=False)


@dataclass(eq=False)
class RocDisplay(Display):
    """ROC curves: the share of a class that is found, over the share of the other samples that are taken for it.

    Attributes
    ----------
    curves : dict of Roc
        Each by the name that the legend shows with its area.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> from matplotlib.figure import Figure
    >>> from xlogreg.plots import RocDisplay
    >>> X, Y = np.asarray([[-2.0, -1.0, 0.5, 1.0, 2.0, 3.0]]), [0, 1, 0, 1, 0, 1]
    >>> display = RocDisplay.from_roc(xlogreg.fit(X, Y).roc(X, Y), ax=Figure().subplots())
    >>> list(display.curves)
    ['class 1']
    """

    curves: dict[str, Any]

    @classmethod
    def from_roc(cls, roc: Any, *, ax: Any = None) -> Self:
        """Draw one curve, or several to compare.

        Parameters
        ----------
        roc : Roc, or dict of Roc by name
            Results of `Model.roc`.
        ax : matplotlib.axes.Axes, optional
            The axes to draw into. Default: a new figure.

        Raises
        ------
        ValueError
            If there are no curves.
        """
        curves = dict(roc) if isinstance(roc, Mapping) else {f"class {roc.positive}": roc}
        if not curves:
            raise ValueError("roc is empty: there must be one curve or more")
        return cls(curves).plot(ax)

    def _draw(self, ax: Any) -> None:
        ax.plot([0.0, 1.0], [0.0, 1.0], color="0.5", linestyle="--", linewidth=1.0)
        for name, roc in self.curves.items():
            label = f"{plain(name)}: AUC {roc.auc:.3f} ± {roc.standard_error:.3f}"
            ax.plot(roc.false_positive_rate, roc.true_positive_rate, linewidth=1.5, label=label)
        ax.set_aspect("equal")
        ax.set_xlim(-0.01, 1.01)
        ax.set_ylim(-0.01, 1.01)
        ax.set_xlabel("false positive rate")
        ax.set_ylabel("true positive rate")
        ax.legend(loc="lower right")
