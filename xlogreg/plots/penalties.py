"""Curves of weights and of scores over the penalty l2."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from xlogreg.arrays.place import to_host
from xlogreg.plots.display import Display, class_colours, label_of, plain

__all__ = ["PathDisplay", "ScoresDisplay"]

NAMED = 10  # features or classes that a legend can hold


@dataclass(eq=False)
class PathDisplay(Display):
    """Weights over penalties, with one line for each weight.

    With two classes, the legend names the features with the largest weights, and all other lines are grey. With more
    classes, each class has a colour.

    Attributes
    ----------
    l2 : ndarray (P,)
        The penalties, ascending.
    w : ndarray (P, n_x, k)
    classes : ndarray (K,)
    feature_names : tuple of str, or None

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> from matplotlib.figure import Figure
    >>> path = xlogreg.fit_path(np.asarray([[-2.0, -1.0, 1.0, 2.0]]), [0, 1, 0, 1], [1.0, 0.1])
    >>> path.plot(ax=Figure().subplots()).l2
    array([0.1, 1. ])
    """

    l2: np.ndarray
    w: np.ndarray
    classes: np.ndarray
    feature_names: tuple[str, ...] | None

    @classmethod
    def from_path(cls, path: Any, *, ax: Any = None) -> Self:
        """Draw a `Path`, into ``ax`` or a new figure."""
        order = np.argsort(path.l2)
        model = path[0]
        return cls(path.l2[order], to_host(path.w)[order], model.classes, model.feature_names).plot(ax)

    def _draw(self, ax: Any) -> None:
        _, n_x, k = self.w.shape
        _prepare(ax, self.l2, "weight")
        if k > 1:
            for number, colour in enumerate(class_colours(k)):
                lines = ax.plot(self.l2, self.w[:, :, number], color=colour, linewidth=1.0)
                lines[0].set_label(plain(self.classes[number]))
        else:
            ranked = np.argsort(-np.max(np.abs(self.w[:, :, 0]), axis=0))
            for feature in ranked[NAMED:].tolist():
                ax.plot(self.l2, self.w[:, feature, 0], color="0.75", linewidth=0.8)
            for rank, feature in enumerate(ranked[:NAMED].tolist()):
                label = label_of(feature, self.feature_names)
                ax.plot(self.l2, self.w[:, feature, 0], color=f"C{rank}", linewidth=1.2, label=label)
        ax.axhline(0.0, color="0.7", linewidth=0.5, zorder=0)
        if k <= NAMED:
            title = "class" if k > 1 else "feature" if n_x <= NAMED else "largest weights"
            ax.legend(title=title, fontsize="small", labelspacing=0.2)


@dataclass(eq=False)
class ScoresDisplay(Display):
    """Scores of cross-validation over penalties: each fold, their mean with its standard error, and the chosen penalty.

    Attributes
    ----------
    l2 : ndarray (P,)
        The penalties, ascending.
    scores : ndarray (F, P)
    mean, error : ndarray (P,)
    chosen : float
        The chosen penalty.
    scoring : str

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> from matplotlib.figure import Figure
    >>> X = np.random.default_rng(0).standard_normal((2, 60))
    >>> found = xlogreg.fit_cv(X, X[0] + X[1] ** 2 > 1, [1.0, 0.1], folds=3)
    >>> found.plot(ax=Figure().subplots()).scores.shape
    (3, 2)
    """

    l2: np.ndarray
    scores: np.ndarray
    mean: np.ndarray
    error: np.ndarray
    chosen: float
    scoring: str

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
        order = np.argsort(selection.l2)
        l2, scores, chosen = selection.l2[order], selection.scores[scoring][:, order], selection.l2[selection.chosen]
        return cls(l2, scores, mean[order], error[order], float(chosen), scoring).plot(ax)

    def _draw(self, ax: Any) -> None:
        _prepare(ax, self.l2, f"{self.scoring.replace('_', ' ')} of the samples held out")
        for number, fold in enumerate(self.scores):
            ax.plot(self.l2, fold, color="0.75", linewidth=0.8, label="" if number else "one fold")
        label = "mean ± standard error"
        ax.errorbar(self.l2, self.mean, self.error, color="C0", marker="o", markersize=3, capsize=2, label=label)
        ax.axvline(self.chosen, color="C1", linestyle="--", linewidth=1.2, label=f"chosen: l2 = {self.chosen:.3g}")
        ax.legend(fontsize="small")


def _prepare(ax: Any, l2: np.ndarray, name: str) -> None:
    """Set up axes over penalties before anything is drawn: limits found on a linear scale would stay."""
    ax.set_xscale("symlog", linthresh=l2[l2 > 0].min()) if np.any(l2 == 0) and np.any(l2 > 0) else ax.set_xscale("log")
    ax.set_xlabel("penalty l2")
    ax.set_ylabel(name)
