"""`fit_path`: one model at many penalties."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from xlogreg.arrays.choice import Where
from xlogreg.arrays.place import Array, place_of
from xlogreg.fitting.fit_many import build_models
from xlogreg.fitting.plans import Plan
from xlogreg.inputs.columns import TableOptions
from xlogreg.inputs.options import options_of_models
from xlogreg.model.model import Model
from xlogreg.samples.intake import receive

__all__ = ["Path", "fit_path"]


@dataclass(frozen=True, eq=False, repr=False)
class Path(Sequence[Model]):
    """Models of the same data at many penalties: a sequence of them, in the order of ``l2``.

    Attributes
    ----------
    models : tuple of Model
    l2 : ndarray (P,)
    """

    models: tuple[Model, ...]
    l2: np.ndarray

    @property
    def w(self) -> Array:
        """Weights (P, n_x, k), where X lives."""
        return place_of(self.models[0].w).xp.stack([model.w for model in self.models])

    @property
    def b(self) -> Array:
        """Biases (P, k, 1), where X lives."""
        return place_of(self.models[0].b).xp.stack([model.b for model in self.models])

    @property
    def costs(self) -> np.ndarray:
        """J of each model (P,), its penalty included."""
        return np.asarray([model.fit_info.cost for model in self.models])

    def plot(self, ax: Any = None) -> Any:
        """Draw the weights over l2 with matplotlib, a line for each; return an `xlogreg.plots.PathDisplay`.

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
        return Path(self.models[index], self.l2[index]) if isinstance(index, slice) else self.models[index]

    def __iter__(self) -> Iterator[Model]:
        return iter(self.models)

    def __repr__(self) -> str:
        converged = sum(model.fit_info.converged for model in self.models)
        return (
            f"Path({len(self)} models, l2 from {self.l2.max():.3g} to {self.l2.min():.3g}, {converged} converged, "
            f"cost from {self.costs.max():.6g} to {self.costs.min():.6g})"
        )


def fit_path(
    X: Any,
    Y: Any,
    l2s: Sequence[float] | np.ndarray,
    *,
    penalty_factor: Any = None,
    sample_weight: Any = None,
    samples: str = "columns",
    backend: str | None = None,
    device: Any = None,
    dtype: Any = None,
    fallback: bool = True,
    bias: bool = True,
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
        In any order, on the scale of the mean loss: scikit-learn's C is 1 / (l2 s).
    penalty_factor, sample_weight, samples, backend, device, dtype, fallback, bias, targets, standardize
        As for `fit`.
    categorical_features, drop, reference, unseen, missing
        As for `fit`; drop="auto" drops a level if no model has a penalty.
    max_iter, tol, rng
        As for `fit`.

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
    options = options_of_models(l2s, penalty_factor, bias, standardize, max_iter, tol, rng)
    where = Where(backend, device, dtype, fallback)
    table = TableOptions.of(
        options,
        categorical_features=categorical_features,
        drop=drop,
        reference=reference,
        unseen=unseen,
        missing=missing,
    )
    received = receive(X, Y, sample_weight, samples, targets, where, options[0], table, apart=True)
    models = build_models(Plan.of_one(received, options), began)
    return Path(tuple(models), np.asarray([option.l2 for option in options]))
