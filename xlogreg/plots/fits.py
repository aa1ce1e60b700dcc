"""How fits went: the cost over iterations or passes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from xlogreg.plots.display import Display

__all__ = ["LearningCurvesDisplay"]

ROUNDING = 1e-15  # of the cost: what is nearer to the best is rounding error
FAR = 10  # times as long as another, from where on lengths are compared on a logarithmic axis

# where costs[i] is drawn. Each cost took a pass of its own, and what else a fit does (looking at the features, work on
# subsets, line searches, the proof of the answer) is counted as if it came first: no cost is drawn too early
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
        By name: iterations, from 1 on, or passes over the samples that had been made at most.
    costs : dict of ndarray (iterations,)
        By name.
    best : float
        The lowest cost of all.
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
        """Draw the costs of models that minimised the same: the same samples, loss and penalty.

        Parameters
        ----------
        models : dict of Model by name, or list of Model
            Without names the solvers are the names.
        over : {"passes", "iterations"}
            "passes" is what compares solvers: an iteration of gradient descent is one pass over the samples, others may
            take more. Each cost is drawn where it was known at the latest.
        above_best : bool
            Draw how far each cost is above the lowest of all, on a logarithmic scale. Have a fit among them that has
            converged: the curve of the lowest dives at its end, wherever that is.
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure without.

        Raises
        ------
        ValueError
            Without models, for a model without costs, or another ``over``.
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
