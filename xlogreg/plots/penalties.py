"""Pictures of what was fitted, with matplotlib (the extra "plots")."""

from typing import Any

import numpy as np

from xlogreg.backends import Array, to_host

__all__ = ["plot_path", "plot_scores"]


def plot_path(l2: np.ndarray, w: Array, ax: Any = None) -> Any:
    """The weights w (P, n_x, k) over the penalties l2 (P,)."""
    ax = _axes(ax)
    order = np.argsort(l2)
    ax.plot(l2[order], to_host(w).reshape(l2.shape[0], -1)[order], linewidth=1)
    ax.axhline(0.0, color="0.7", linewidth=0.5)
    return _over_penalties(ax, l2, "w")


def plot_scores(
    l2: np.ndarray, scores: np.ndarray, mean: np.ndarray, error: np.ndarray, chosen: float, name: str, ax: Any = None
) -> Any:
    """The scores (folds, P) over the penalties l2 (P,), their mean (P,) with its standard error, and the chosen l2."""
    ax = _axes(ax)
    order = np.argsort(l2)
    ax.plot(l2[order], scores.T[order], color="0.8", linewidth=0.8)
    ax.errorbar(l2[order], mean[order], error[order], marker="o", markersize=3, capsize=2)
    ax.axvline(chosen, linestyle="--", linewidth=0.8)
    return _over_penalties(ax, l2, name)


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ModuleNotFoundError as error:
        raise ImportError("pictures need matplotlib: pip install 'xlogreg[plots]'") from error
    return pyplot.subplots()[1]


def _over_penalties(ax: Any, l2: np.ndarray, name: str) -> Any:
    ax.set_xscale("symlog", linthresh=l2[l2 > 0].min()) if np.any(l2 == 0) and np.any(l2 > 0) else ax.set_xscale("log")
    ax.set_xlabel("l2")
    ax.set_ylabel(name)
    return ax
