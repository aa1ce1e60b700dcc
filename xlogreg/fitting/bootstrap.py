"""`bootstrap`: how much the parameters would change with other samples of the same kind."""

import dataclasses
import numbers
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.choice import Where
from xlogreg.arrays.place import Array, place_of
from xlogreg.exceptions import ConvergenceWarning, shown, warn
from xlogreg.fitting.answer import answer_of
from xlogreg.fitting.fit_many import build_models
from xlogreg.fitting.monitors import Course, Following, begin
from xlogreg.fitting.moving import move_models
from xlogreg.fitting.plans import Plan, Solved, solve_plan
from xlogreg.fitting.progress import ManyState
from xlogreg.inputs.columns import TableOptions
from xlogreg.inputs.options import Options
from xlogreg.model.model import Model
from xlogreg.samples.intake import Received, receive
from xlogreg.samples.threads import holds_threads

__all__ = ["Bootstrap", "Interval", "bootstrap"]

LOOSEST = 1e-8  # largest relative gap of a replicate, even if tol is larger: more would add noise to the intervals
COUNTS_BYTES = 2**28  # memory for the counts of draws, replicate by sample, that are held at a time


class Interval(NamedTuple):
    """Lower and upper ends of the intervals of the parameters."""

    w: tuple[np.ndarray, np.ndarray]  # (n_x, k) each
    b: tuple[np.ndarray, np.ndarray]  # (k, 1) each


@dataclass(frozen=True, eq=False, repr=False)
class Bootstrap:
    """Parameters of models fitted to samples drawn with replacement.

    Attributes
    ----------
    w : ndarray (replicates, n_x, k)
    b : ndarray (replicates, k, 1)
        NaN where a replicate has no minimum: it drew no sample of a class, or separated classes.
    model : Model
        The model of the samples themselves.
    """

    w: np.ndarray
    b: np.ndarray
    model: Model

    @property
    def valid(self) -> np.ndarray:
        """Whether each replicate has a minimum: a mask (replicates,)."""
        return np.isfinite(self.b[:, 0, 0])

    def interval(self, level: float = 0.95) -> Interval:
        """Percentile intervals of the parameters, over the replicates that have a minimum.

        Efron & Tibshirani, An Introduction to the Bootstrap (1993), section 13.3. The parameters of a replicate without
        a minimum are infinite: if many replicates have none, the interval is too short.

        Parameters
        ----------
        level : float
            Between 0 and 1.

        Returns
        -------
        Interval
            Lower and upper ends of ``w`` and of ``b``.

        Raises
        ------
        ValueError
            If no replicate has a minimum.
        """
        if not isinstance(level, numbers.Real) or not 0.0 < level < 1.0:
            raise ValueError(f"level must lie between 0 and 1, not {shown(level)}")
        if not self.valid.any():
            raise ValueError(f"there is no interval: none of the {len(self.w)} replicates has a minimum")
        ends = (0.5 - level / 2, 0.5 + level / 2)
        low_w, high_w = np.quantile(self.w[self.valid], ends, axis=0)
        low_b, high_b = np.quantile(self.b[self.valid], ends, axis=0)
        return Interval((low_w, high_w), (low_b, high_b))

    def __repr__(self) -> str:
        return f"Bootstrap({len(self.w)} replicates, {np.sum(self.valid)} with a minimum, of {self.model!r})"


@holds_threads
def bootstrap(
    X: Any,
    Y: Any,
    replicates: int = 200,
    *,
    l2: float = 0.0,
    penalty_factor: Any = None,
    sample_weight: Any = None,
    offset: Any = None,
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
    callback: Callable[[ManyState], Any] | None = None,
    verbose: int = 0,
    time_limit: float | None = None,
) -> Bootstrap:
    """Fit models to samples drawn with replacement, for standard errors and intervals without a formula.

    A replicate is a row of weights: whole numbers that count how often each sample was drawn. The replicates are fitted
    together, starting from the model of the samples themselves.

    Parameters
    ----------
    X, Y
        As for `fit`.
    replicates : int
    l2 : float
    penalty_factor : array (n_x,), optional
        As for `fit`.
    sample_weight : array (m,), optional
        Multiplied by the number of times that a sample was drawn.
    offset : array, optional
        As for `fit`; a sample that is drawn brings its own.
    samples, backend, device, dtype, fallback, bias, targets, standardize, max_iter, tol, rng
        As for `fit`; ``rng`` also draws the samples.
    categorical_features, drop, reference, unseen, missing
        As for `fit`. Missing numbers are filled in once, not anew for each replicate.
    callback, verbose, time_limit
        As for `fit_many`; the models are that of the samples themselves and the replicates. The parameters of
        replicates that are not done when the call is stopped are NaN.

    Returns
    -------
    Bootstrap

    Raises
    ------
    ValueError, TypeError
        As `fit` does.

    Warns
    -----
    ConvergenceWarning
        Once, if replicates have no minimum; and as `fit` does, for the model of the samples themselves.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((2, 500))
    >>> found = xlogreg.bootstrap(X, X[0] + rng.logistic(size=500) > 0, 100)
    >>> found.w.shape, int(found.valid.sum())
    ((100, 2, 1), 100)
    >>> low, high = found.interval(0.9).w
    >>> bool(low[0, 0] > 0), bool(low[1, 0] < 0 < high[1, 0])
    (True, True)
    """
    began = time.perf_counter()
    if isinstance(replicates, bool) or not isinstance(replicates, (int, np.integer)) or replicates < 1:
        raise ValueError(f"replicates must be a whole number, 1 or more, not {shown(replicates)}")
    asked: dict[str, Any] = {
        "callback": callback,
        "verbose": verbose,
        "time_limit": time_limit,
        "max_iter": max_iter,
        "tol": tol,
    }
    option = Options(l2=l2, penalty_factor=penalty_factor, bias=bias, standardize=standardize, rng=rng, **asked)
    where = Where(backend, device, dtype, fallback)
    table = TableOptions.of(
        [option],
        categorical_features=categorical_features,
        drop=drop,
        reference=reference,
        unseen=unseen,
        missing=missing,
    )
    received = receive(X, Y, sample_weight, samples, targets, where, option, table, offset=offset)
    state = rng.bit_generator.state if isinstance(rng, np.random.Generator) else {}

    def fitted(here: Received) -> Bootstrap:
        if isinstance(rng, np.random.Generator):
            rng.bit_generator.state = state  # a second attempt draws the same
        plan = Plan.of_one(here.on_host(), [option])
        begin([option], int(replicates) + 1)
        (model,) = build_models(plan, began)
        draws, m = np.random.default_rng(rng), received.targets.Y.shape[1]
        portion = max(1, COUNTS_BYTES // (m * (1 if received.weight is None else 8)))
        parameters, course = [], option.course
        for first in range(0, int(replicates), portion):
            if course is not None and course.stopped:  # to prepare a portion may take long
                break
            solved = _solve_replicates(here, model, option, min(portion, int(replicates) - first), draws)
            parameters += [_parameters(one, option) for one in solved]
            if course is not None:
                _tell(course, solved)
        left = int(replicates) - len(parameters)
        if course is not None and left:
            course.counts(course.stopped, left, unbegun=True)
            parameters += [_none(*model.w.shape)] * left
        w, b = (np.stack(part) for part in zip(*parameters, strict=True))
        origin = here.arrival.origin
        return Bootstrap(w, b, *move_models([model], origin.home, origin.dtype_home))

    with Following("bootstrap", received.arrival, [option], began) as (option,):
        found = received.within_memory(fitted)
    lost = int(np.sum(~found.valid))
    if lost and not (option.course is not None and option.course.stopped):
        warn(
            f"no minimum was found for {lost} of {replicates} replicates, whose parameters are NaN: they drew no "
            "sample of a class, or classes that a hyperplane separates (use l2 > 0), or max_iter is too small",
            ConvergenceWarning,
        )
    return found


def _solve_replicates(
    received: Received, model: Model, option: Options, count: int, rng: np.random.Generator
) -> list[Solved]:
    """Draw replicates, and minimise them; ``model`` is that of the samples themselves."""
    arrival, targets, weight = received
    m = targets.Y.shape[1]
    drawn = (np.bincount(rng.integers(m, size=m), minlength=m)[None, :] for _ in range(count))
    weights: list[Array | None]
    if weight is None:
        weights = [counts.astype(np.uint8) for counts in drawn]  # about Poisson variables of mean 1, which 8 bits hold
    else:
        place = place_of(weight)
        with place.computing():
            weights = [weight * place.put(counts, place.widest) for counts in drawn]
    numbers = list(range(count))
    option = dataclasses.replace(option, tol=None if option.tol is None else min(option.tol, LOOSEST))
    near = model if model.fit_info.converged else None
    return solve_plan(Plan(arrival, [targets], weights, [0] * count, numbers, [option] * count, reference=near))


def _parameters(solved: Solved, option: Options) -> tuple[np.ndarray, np.ndarray]:
    """Return w (n_x, k) and b (k, 1), NaN if there is no minimum, or none was found."""
    problem, result, _ = solved
    if result is not None and result.reason in ("converged", "precision", "separated"):
        answer = answer_of(problem, result, problem.goal(option), "float64")
        if answer.separation in ("none", ""):
            w, b = answer.parameters.w, answer.parameters.b
            return w, b
    return _none(problem.inner.scale.shape[0], problem.start.shape[2])


def _none(n_x: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Parameters w (n_x, k) and b (k, 1) of NaN."""
    return np.full((n_x, k), np.nan), np.full((k, 1), np.nan)


def _tell(course: Course, solved: list[Solved]) -> None:
    """Tell the course of a call how the replicates of a portion ended."""
    for _, result, erased in solved:
        begun = result is not None or erased is not None
        course.counts("one class" if erased is not None else result.reason if result else course.stopped, 1, not begun)
    course.leave(len(solved))
