"""`fit_path`: one model at many penalties."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from xlogreg.arrays.choice import Where
from xlogreg.arrays.place import Array, place_of, to_host
from xlogreg.fitting.fit_many import build_models
from xlogreg.fitting.monitors import Following, begin
from xlogreg.fitting.plans import Plan
from xlogreg.fitting.progress import ManyState
from xlogreg.fitting.strengths import COUNT, Strengths
from xlogreg.inputs.columns import TableOptions
from xlogreg.model.model import Model
from xlogreg.samples.intake import Received, receive

__all__ = ["Path", "fit_path"]


@dataclass(frozen=True, eq=False, repr=False)
class Path(Sequence[Model]):
    """Models of the same data at many penalties: a sequence of them, in the order of the penalties.

    Attributes
    ----------
    models : tuple of Model
    l1, l2 : ndarray (P,)
    """

    models: tuple[Model, ...]

    @property
    def l1(self) -> np.ndarray:
        return np.asarray([model.l1 for model in self.models])

    @property
    def l2(self) -> np.ndarray:
        return np.asarray([model.l2 for model in self.models])

    @property
    def penalties(self) -> np.ndarray:
        """l1 + l2 of each model (P,)."""
        return self.l1 + self.l2

    @property
    def selected(self) -> np.ndarray:
        """Number of features (P,) with a weight that is not zero, for any class; 0 if a model never began."""
        return np.asarray([int(np.any(np.abs(to_host(model.w)) > 0, axis=1).sum()) for model in self.models])

    @property
    def deviance_explained(self) -> np.ndarray:
        """Share of the deviance of the model without features (P,) that each model explains, from 0 to 1."""
        infos = [model.fit_info for model in self.models]
        return np.asarray([1.0 - info.log_likelihood / info.null_log_likelihood for info in infos])

    @property
    def w(self) -> Array:
        """Weights (P, n_x, k), where X lives."""
        return _stacked([model.w for model in self.models])

    @property
    def b(self) -> Array:
        """Biases (P, k, 1), where X lives."""
        return _stacked([model.b for model in self.models])

    @property
    def costs(self) -> np.ndarray:
        """J of each model (P,), its penalty included."""
        return np.asarray([model.fit_info.cost for model in self.models])

    def plot(self, ax: Any = None) -> Any:
        """Draw the weights over l1 + l2 with matplotlib, a line for each; return an `xlogreg.plots.PathDisplay`.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; without it, a new figure.
        """
        from xlogreg.plots import PathDisplay  # needs matplotlib, an extra

        return PathDisplay.from_path(self, ax=ax)

    def __len__(self) -> int:
        return len(self.models)

    @overload
    def __getitem__(self, index: int) -> Model: ...
    @overload
    def __getitem__(self, index: slice) -> "Path": ...
    def __getitem__(self, index: int | slice) -> "Model | Path":
        return Path(self.models[index]) if isinstance(index, slice) else self.models[index]

    def __iter__(self) -> Iterator[Model]:
        return iter(self.models)

    def __repr__(self) -> str:
        if not self.models:
            return "Path(0 models)"
        converged = sum(model.fit_info.converged for model in self.models)
        values = {"l1": self.l1, "l2": self.l2}
        asked = [f"{name} from {v.max():.3g} to {v.min():.3g}" for name, v in values.items() if name == "l2" or v.any()]
        asked = asked[:1] if self.l1.any() and not self.l2.any() else asked
        known = self.costs[np.isfinite(self.costs)]
        costs = f", cost from {known.max():.6g} to {known.min():.6g}" if len(known) else ""
        return f"Path({len(self)} models, {', '.join(asked)}, {converged} converged{costs})"


def _stacked(parts: list[Array]) -> Array:
    place = place_of(parts[0])
    with place.computing():
        return place.xp.stack(parts)


def fit_path(
    X: Any,
    Y: Any,
    l2s: Sequence[float] | np.ndarray | None = None,
    *,
    penalties: Sequence[float] | np.ndarray | str | None = None,
    l1_ratio: float | None = None,
    penalty_factor: Any = None,
    lower: Any = None,
    upper: Any = None,
    multinomial: str = "ungrouped",
    penalty: Any = "each",
    relax: float | None = None,
    sample_weight: Any = None,
    offset: Any = None,
    samples: str = "columns",
    backend: str | None = None,
    device: Any = None,
    dtype: Any = None,
    fallback: bool = True,
    bias: bool = True,
    prior: Any = None,
    targets: str = "labels",
    standardize: bool | float = False,
    categorical_features: Any = None,
    drop: str | None = "auto",
    reference: dict[str, Any] | None = None,
    unseen: str = "error",
    missing: str = "error",
    max_iter: int | None = None,
    tol: float | None = None,
    rng: int | np.random.Generator = 0,
    callback: Callable[[ManyState], Any] | None = None,
    verbose: int = 0,
    time_limit: float | None = None,
) -> Path:
    """Fit one model at many penalties: a regularisation path.

    Models of two classes are fitted all at once, and one pass serves all. Softmax models, and models of more than 1000
    features, are fitted from the strong penalties to the weak. A few solutions then point to the next one, and what the
    solver learnt about the curvature is carried along: see docs/linear_probes.md.

    Parameters
    ----------
    X, Y
        As for `fit`; collections of dask, too.
    l2s : sequence of float (P,)
        In any order, on the scale of the mean loss: scikit-learn's C is 1 / (l2 s). Or:
    penalties : sequence of float (P,), or "auto"
        Strengths of an elastic net, in any order: l1 is penalty * l1_ratio, l2 is penalty * (1 - l1_ratio), as glmnet
        has them. "auto": 100 values, from the smallest with which all weights are zero to 1e-4 of it (1e-2 if there are
        more features than samples). They end early where the models explain 99.9% of the deviance, or no more than the
        one before (Friedman, Hastie & Tibshirani, J. Stat. Soft. 2010).
    l1_ratio : float, optional
        From 0 to 1; 1, which is the default, is the lasso. For ``penalties``.
    penalty_factor, lower, upper, multinomial, penalty, sample_weight, offset, samples, backend, device, dtype
        As for `fit`.
    fallback, bias, prior, targets, standardize
        As for `fit`.
    relax : float, optional
        As for `fit`, for each model that has L1.
    categorical_features, drop, reference, unseen, missing
        As for `fit`; drop="auto" drops a level if no model has a penalty.
    max_iter, tol, rng
        As for `fit`.
    callback, verbose, time_limit
        As for `fit_many`. Where the models are fitted from the strong penalties to the weak, those with weak penalties
        have not begun when the time is up; a path of "auto" then ends early.

    Returns
    -------
    Path
        Each model is the same as if it had been fitted alone.

    Raises
    ------
    ValueError, TypeError
        As `fit` does.

    Warns
    -----
    As `fit` does, each warning once for each model.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X = np.asarray([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
    >>> path = xlogreg.fit_path(X, [0, 0, 1, 0, 1, 1], l2s=[1.0, 0.1, 0.01])
    >>> path
    Path(3 models, l2 from 1 to 0.01, 3 converged, cost from 0.593764 to 0.420026)
    >>> path.w[:, 0, 0].round(3)
    array([0.344, 0.878, 1.159])
    """
    began = time.perf_counter()
    strengths = Strengths.of(l2s, penalties, l1_ratio)
    same: dict[str, Any] = {"bias": bias, "standardize": standardize, "max_iter": max_iter, "tol": tol, "rng": rng}
    same |= {"lower": lower, "upper": upper, "multinomial": multinomial, "penalty": penalty, "relax": relax}
    same |= {"prior": prior, "callback": callback, "verbose": verbose, "time_limit": time_limit}
    options = strengths.provisional(penalty_factor=penalty_factor, **same)
    where = Where(backend, device, dtype, fallback)
    table = TableOptions.of(
        options,
        categorical_features=categorical_features,
        drop=drop,
        reference=reference,
        unseen=unseen,
        missing=missing,
    )
    received = receive(X, Y, sample_weight, samples, targets, where, options[0], table, apart=True, offset=offset)
    options = received.arrival.origin.settled(options)

    def fitted(here: Received) -> list[Model]:
        begin(options, COUNT if strengths.auto else len(options))
        plan = Plan.of_one(here, strengths.settled(here, options))
        return build_models(plan._replace(ends=strengths.auto), began)

    with Following("fit_path", received.arrival, options, began) as options:
        return Path(tuple(received.within_memory(fitted)))
