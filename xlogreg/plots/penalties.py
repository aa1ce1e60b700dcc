"""Curves of weights and of scores over penalties."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from xlogreg.arrays.place import to_host
from xlogreg.plots.display import Display, class_colours, label_of, plain

__all__ = ["PathDisplay", "ScoresDisplay"]

NAMED = 10  # features or classes that a legend can hold


@dataclass(eq=False)
class PathDisplay(Display):
    """Weights over penalties, with one line for each weight that is not always zero.

    With two classes, the legend names the features with the largest weights, and all other lines are grey. With more
    classes, each class has a colour.

    Attributes
    ----------
    penalties : ndarray (P,)
        l1 + l2, ascending.
    w : ndarray (P, n_x, k)
    classes : ndarray (K,)
    feature_names : tuple of str, or None
    name : str
        "l2", "l1", or "l1 + l2": what is not always zero.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> from matplotlib.figure import Figure
    >>> path = xlogreg.fit_path(np.asarray([[-2.0, -1.0, 1.0, 2.0]]), [0, 1, 0, 1], [1.0, 0.1])
    >>> path.plot(ax=Figure().subplots()).penalties
    array([0.1, 1. ])
    """

    penalties: np.ndarray
    w: np.ndarray
    classes: np.ndarray
    feature_names: tuple[str, ...] | None
    name: str = "l2"

    @classmethod
    def from_path(cls, path: Any, *, ax: Any = None) -> Self:
        """Draw a `Path`, into ``ax`` or a new figure."""
        order, name = np.argsort(path.penalties), _name(path.l1, path.l2)
        model = path[0]
        return cls(path.penalties[order], to_host(path.w)[order], model.classes, model.feature_names, name).plot(ax)

    def _draw(self, ax: Any) -> None:
        k = self.w.shape[2]
        _prepare(ax, self.penalties, self.name, "weight")
        drawn = np.flatnonzero(np.any(self.w != 0, axis=(0, 2)))
        if k > 1:
            for number, colour in enumerate(class_colours(k)):
                lines = ax.plot(self.penalties, self.w[:, drawn, number], color=colour, linewidth=1.0)
                for line in lines[:1]:
                    line.set_label(plain(self.classes[number]))
        else:
            ranked = drawn[np.argsort(-np.max(np.abs(self.w[:, drawn, 0]), axis=0))]
            for feature in ranked[NAMED:].tolist():
                ax.plot(self.penalties, self.w[:, feature, 0], color="0.75", linewidth=0.8)
            for rank, feature in enumerate(ranked[:NAMED].tolist()):
                label = label_of(feature, self.feature_names)
                ax.plot(self.penalties, self.w[:, feature, 0], color=f"C{rank}", linewidth=1.2, label=label)
        ax.axhline(0.0, color="0.7", linewidth=0.5, zorder=0)
        if k <= NAMED and len(drawn):
            title = "class" if k > 1 else "feature" if len(drawn) <= NAMED else "largest weights"
            ax.legend(title=title, fontsize="small", labelspacing=0.2)


@dataclass(eq=False)
class ScoresDisplay(Display):
    """Scores of cross-validation over penalties: each fold, their mean with its standard error, and the chosen penalty.

    Of several l1_ratio it shows the one that was chosen.

    Attributes
    ----------
    penalties : ndarray (P,)
        l1 + l2, ascending.
    scores : ndarray (F, P)
    mean, error : ndarray (P,)
    chosen : float
        The chosen penalty.
    scoring : str
    name : str
        "l2", "l1", or "l1 + l2": what is not always zero.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> from matplotlib.figure import Figure
    >>> X = np.random.default_rng(0).standard_normal((2, 60))
    >>> found = xlogreg.fit_cv(X, X[0] + X[1] ** 2 > 1, [1.0, 0.1], folds=3)
    >>> found.plot(ax=Figure().subplots()).scores.shape
    (3, 2)
    """

    penalties: np.ndarray
    scores: np.ndarray
    mean: np.ndarray
    error: np.ndarray
    chosen: float
    scoring: str
    name: str = "l2"

    @classmethod
    def from_selection(cls, selection: Any, *, scoring: str | None = None, ax: Any = None) -> Self:
        """Draw a `Selection`.

        Parameters
        ----------
        selection : Selection
        scoring : str, optional
            One of ``selection.scores``. Default: the score that chose the penalty.
        ax : matplotlib.axes.Axes, optional
            The axes to draw into. Default: a new figure.

        Raises
        ------
        ValueError
            If the selection does not have these scores.
        """
        scoring = selection.scoring if scoring is None else scoring
        mean, error = selection.summary(scoring)
        penalties, name = selection.penalties, _name(selection.l1, selection.l2)
        shares = selection.l1 / np.where(penalties > 0, penalties, 1.0)
        same = np.flatnonzero(np.isclose(shares, shares[selection.chosen], rtol=1e-9, atol=0.0) | (penalties == 0))
        order = same[np.argsort(penalties[same])]
        scores, chosen = selection.scores[scoring][:, order], float(penalties[selection.chosen])
        return cls(penalties[order], scores, mean[order], error[order], chosen, scoring, name).plot(ax)

    def _draw(self, ax: Any) -> None:
        _prepare(ax, self.penalties, self.name, f"{self.scoring.replace('_', ' ')} of the samples held out")
        for number, fold in enumerate(self.scores):
            ax.plot(self.penalties, fold, color="0.75", linewidth=0.8, label="" if number else "one fold")
        label = "mean ± standard error"
        ax.errorbar(self.penalties, self.mean, self.error, color="C0", marker="o", markersize=3, capsize=2, label=label)
        ax.axvline(
            self.chosen, color="C1", linestyle="--", linewidth=1.2, label=f"chosen: {self.name} = {self.chosen:.3g}"
        )
        ax.legend(fontsize="small")


def _name(l1: np.ndarray, l2: np.ndarray) -> str:
    return " + ".join(name for name, values in {"l1": l1, "l2": l2}.items() if values.any()) or "l2"


def _prepare(ax: Any, penalties: np.ndarray, called: str, name: str) -> None:
    """Set up axes over penalties before anything is drawn: limits found on a linear scale would stay."""
    above = penalties[penalties > 0]
    mixed = 0 < len(above) < len(penalties)
    ax.set_xscale("symlog", linthresh=above.min()) if mixed else ax.set_xscale("log")
    ax.set_xlabel(f"penalty {called}")
    ax.set_ylabel(name)
