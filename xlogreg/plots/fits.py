"""Curves of the cost of fits, over iterations or passes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from xlogreg.plots.display import Display

__all__ = ["LearningCurvesDisplay"]

ROUNDING = 1e-15  # share of the cost; a smaller distance from the lowest cost is rounding error
FAR = 10  # the axis is logarithmic if the longest curve is more than this many times as long as the shortest

# The position of costs[i] on the axis. Each cost took one pass. All other work of a fit (looking at the features, work
# on subsets, line searches, the proof of the answer) counts as if it came first, so that no cost is drawn too early.
POSITIONS = {
    "iterations": lambda model: np.arange(1.0, len(model.costs) + 1),
    "passes": lambda model: model.fit_info.passes - np.arange(len(model.costs))[::-1],
}


@dataclass(eq=False)
class LearningCurvesDisplay(Display):
    """The cost J of fits at each of their iterations, to compare learning rates, or solvers.

    Attributes
    ----------
    positions : dict of ndarray (iterations,)
        For each name, the iterations, counted from 1, or the most passes over the samples that were made by then.
    costs : dict of ndarray (iterations,)
        For each name, the cost of each iteration.
    best : float
        The lowest cost of all fits.
    over : {"passes", "iterations"}
    above_best : bool

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> from matplotlib.figure import Figure
    >>> from xlogreg.plots import LearningCurvesDisplay
    >>> X, Y = np.asarray([[-2.0, -1.0, 1.0, 2.0]]), [0, 1, 0, 1]
    >>> models = {f"rate {a}": xlogreg.fit(X, Y, solver="gd", learning_rate=a, max_iter=50) for a in (0.1, 1.0)}
    >>> display = LearningCurvesDisplay.from_models(models, ax=Figure().subplots())
    >>> bool(np.all(display.costs["rate 0.1"] == models["rate 0.1"].costs))
    True
    """

    positions: dict[str, np.ndarray]
    costs: dict[str, np.ndarray]
    best: float
    over: str
    above_best: bool

    @classmethod
    def from_models(
        cls,
        models: Mapping[str, Any] | Iterable[Any],
        *,
        over: str = "passes",
        above_best: bool = False,
        ax: Any = None,
    ) -> Self:
        """Draw the costs of models that minimised the same cost, with the same samples, loss and penalty.

        Parameters
        ----------
        models : dict of Model by name, or list of Model
            In a list, the name of a model is its number and its solver.
        over : {"passes", "iterations"}
            "passes" compares solvers fairly: an iteration of gradient descent is one pass over the samples, those of
            other solvers may take more. Each cost is drawn at the latest pass at which it can have become known.
        above_best : bool
            Draw how far each cost is above the lowest cost of all, on a logarithmic scale. At least one fit should have
            converged: the curve with the lowest cost falls steeply at its end, even if that is not the minimum.
        ax : matplotlib.axes.Axes, optional
            The axes to draw into. Default: a new figure.

        Raises
        ------
        ValueError
            If there are no models, if a model has no costs, or if ``over`` is not one of these words.
        """
        if over not in POSITIONS:
            raise ValueError(f"over must be 'passes' or 'iterations', not {over!r}")
        if not isinstance(models, Mapping):
            models = {f"{number}: {model.fit_info.solver}": model for number, model in enumerate(models, 1)}
        if not models:
            raise ValueError("models is empty: there must be one or more")
        for name, model in models.items():
            if len(model.costs) == 0:
                raise ValueError(f"the model {name!r} has no costs: its fit made no iterations, or they were not kept")
        positions = {name: POSITIONS[over](model) for name, model in models.items()}
        costs = {name: np.asarray(model.costs) for name, model in models.items()}
        reached = [np.append(model.costs, model.fit_info.cost) for model in models.values()]
        return cls(positions, costs, float(np.nanmin(np.concatenate(reached))), over, above_best).plot(ax)

    def _draw(self, ax: Any) -> None:
        for name, costs in self.costs.items():
            heights = costs - self.best if self.above_best else costs
            shown = np.isfinite(heights) & ((heights > ROUNDING * abs(self.best)) | (not self.above_best))
            marker = "." if len(costs) < 30 else None
            ax.plot(self.positions[name][shown], heights[shown], marker=marker, linewidth=1.5, label=name)
        ends = [positions[-1] for positions in self.positions.values()]
        if max(ends) > FAR * min(ends):
            ax.set_xscale("log")
        if self.above_best:
            ax.set_yscale("log")
        ax.set_xlabel({"passes": "passes over the samples", "iterations": "iteration"}[self.over])
        ax.set_ylabel("cost J above the lowest found" if self.above_best else "cost J")
        ax.grid(alpha=0.3)
        ax.legend()
