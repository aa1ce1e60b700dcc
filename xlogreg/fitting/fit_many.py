"""`fit_many`: models that share X, fitted together."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xlogreg.arrays.choice import Where
from xlogreg.arrays.place import HOST
from xlogreg.exceptions import ConvergenceWarning, one_of, shown, warn
from xlogreg.fitting.bias_reduction import conclusion_of
from xlogreg.fitting.monitors import Following, begin
from xlogreg.fitting.moving import move_models
from xlogreg.fitting.outcome import Verdict, counted, model_of
from xlogreg.fitting.plans import Plan, naming_errors, reduce_plan, solve_plan
from xlogreg.fitting.problem import Problem
from xlogreg.fitting.progress import ManyState
from xlogreg.inputs import labels
from xlogreg.inputs.columns import TableOptions
from xlogreg.inputs.offsets import as_offset, expect_outputs
from xlogreg.inputs.options import TARGETS, options_of_models
from xlogreg.inputs.tables import column_values, is_collection, split_table
from xlogreg.model.model import Model
from xlogreg.samples.cluster.from_dask import bring, share_out
from xlogreg.samples.intake import (
    Arrival,
    expect_shared_features,
    open_features,
    settle,
    settle_parts,
    within_memory,
)
from xlogreg.samples.threads import holds_threads
from xlogreg.solvers.parameters import Parameters

__all__ = ["build_models", "fit_many"]


def fit_many(
    X: Any,
    Ys: Any,
    *,
    l1s: float | Sequence[float] | np.ndarray = 0.0,
    l2s: float | Sequence[float] | np.ndarray = 0.0,
    penalty_factor: Any = None,
    lower: Any = None,
    upper: Any = None,
    multinomial: str = "ungrouped",
    penalty: Any = "each",
    relax: float | None = None,
    sample_weights: Any = None,
    offset: Any = None,
    initials: Any = None,
    samples: str = "columns",
    backend: str | None = None,
    device: Any = None,
    dtype: Any = None,
    fallback: bool = True,
    bias: bool = True,
    bias_reduction: str | None = None,
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
) -> list[Model]:
    """Fit g logistic regressions to the same X, as `fit` would one by one, but with one pass over X for all.

    Each model may have its own targets, penalty, weights and start. The models are minimised together, and a model
    leaves when it has converged. Softmax models that differ only in their penalty are a path, see `fit_path`. A model
    that needs more than that is fitted alone: for example if classes are separated without a penalty, or if the models
    are so small that this is faster.

    Parameters
    ----------
    X : array (n_x, m), or (m, n_x) for samples="rows"
        As for `fit`.
    Ys : array (g, m), or (m, g) for samples="rows"; a table of g columns; or a list of g targets as `fit` takes them
        If there is one target only, all models share it. None if X is a factory: the columns of its Y are the targets.
    l1s, l2s : float, or (g,)
        Penalties, as l1 and l2 of `fit`. Models with L1 are fitted in turn; those that differ only in their penalties
        from the strong ones to the weak, each from where the last one ended.
    relax : float, optional
        As for `fit`, for each model that has L1.
    sample_weights : array (m,) or (g, m), or a list of g of them, optional
        One row for each model, also for samples="rows". Zeros leave samples out, as folds do; whole numbers repeat
        samples.
    offset : array, optional
        As for `fit`; that of all models, which then have as many classes.
    initials : Model or (w, b), or a list of g of them or None, optional
        Where to start.
    penalty_factor, lower, upper, multinomial, penalty
        As for `fit`; those of all models.
    samples, backend, device, dtype, fallback, bias, bias_reduction, prior, targets, standardize, max_iter, tol, rng
        As for `fit`; with a bias reduction, one reading of X serves all targets, too.
    categorical_features, drop, reference, unseen, missing
        As for `fit`; drop="auto" drops a level if no model has a penalty. Missing numbers are filled in
        without weights.
    callback : callable, optional
        Called with a `ManyState` before each step of the models that are left; return True to stop.
    verbose : int
        1 shows a progress line: how many models are done, and the passes so far.
    time_limit : float, optional
        Seconds after which the call ends. Models that are under way are returned as good as they are, with the reason
        "time_limit", and models that never began with parameters of NaN; one warning counts both.

    Returns
    -------
    list of Model
        g models. The gap of models that were minimised together is the solver's own estimate. Their ``passes`` count
        the passes that the model took part in, and those that prepared all models. A model whose weights leave a class
        without a sample has parameters of NaN and the reason "one class".

    Raises
    ------
    ValueError, TypeError
        As `fit` does; also if the lengths of Ys, l2s, sample_weights and initials do not agree.

    Warns
    -----
    As `fit` does, each warning once for each model.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X = np.asarray([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
    >>> weak, strong = xlogreg.fit_many(X, [[0, 0, 1, 0, 1, 1]], l2s=[0.01, 1.0])
    >>> weak.w.round(3), strong.w.round(3)
    (array([[1.159]]), array([[0.344]]))
    """
    began = time.perf_counter()
    where = Where(backend, device, dtype, fallback)
    own = {"lower": lower, "upper": upper, "multinomial": multinomial, "penalty": penalty}
    own |= {"bias_reduction": bias_reduction, "prior": prior}
    own |= {"callback": callback, "verbose": verbose, "time_limit": time_limit}
    options = options_of_models(l2s, penalty_factor, bias, standardize, max_iter, tol, rng, l1s, relax, **own)
    table = TableOptions.of(
        options,
        categorical_features=categorical_features,
        drop=drop,
        reference=reference,
        unseen=unseen,
        missing=missing,
    )
    shared = is_collection(X)
    if shared:
        expect_shared_features(options[0], X, samples)
        X = share_out(X, None, samples=samples, targets="none", where=where, table=table, offset=offset)
        Ys, sample_weights = bring(Ys), bring(sample_weights)
    else:
        factory = callable(X)
        features, Ys, sample_weights = open_features(X, Ys, sample_weights, samples, table)
        X = features.X
        Ys = [Ys] if factory and Ys.shape[0] == 1 else Ys
    options[0].expect_features(X.n_x)
    one_of("targets", targets, TARGETS)
    encoded = [
        naming_errors(f"Ys[{number}]", labels.encode_targets, Y, X.shape, samples, targets)
        for number, Y in enumerate(_rows(Ys, samples))
    ]
    m = encoded[0].Y.shape[1]
    weights = [None] if sample_weights is None else _weights(column_values(sample_weights, "sample_weights"), m)
    given = _initials(initials)
    lengths = {
        "Ys": len(encoded),
        ("l2s" if np.ndim(l1s) == 0 else "l1s"): len(options),
        "sample_weights": len(weights),
        "initials": len(given),
    }
    g = max(lengths.values())
    for name, length in lengths.items():
        if length not in (1, g):
            raise ValueError(f"{name} holds {length} entries; {', '.join(lengths)} must hold 1 or g={g}")
    offset = None if shared else as_offset(offset, m, samples)
    outputs = X.offset if shared else 0 if offset is None else offset.shape[0]
    for target in encoded if outputs else ():
        expect_outputs(outputs, len(target.classes), m, samples)
    arrival = settle_parts(X) if shared else settle(features, where).offsetting(offset)
    options = arrival.origin.settled(options)
    target_of, weight_of = (_for_each(range(len(entries)), g) for entries in (encoded, weights))
    plan = Plan(arrival, encoded, weights, target_of, weight_of, _for_each(options, g), _for_each(given, g))

    def fitted(arrival: Arrival) -> list[Model]:
        own = plan._replace(arrival=arrival, options=followed)
        begin(followed, g)
        return build_models(own, began)

    with Following("fit_many", arrival, plan.options, began) as followed:
        return within_memory(arrival, fitted)


@holds_threads
def build_models(plan: Plan, began: float) -> list[Model]:
    """Fit the models of a plan, whose X lies where it is computed with, and judge them."""
    models, given, asked = [], plan.options, plan.arrival.origin
    plan, in_full = reduce_plan(plan)
    origin = plan.arrival.origin._replace(home=HOST)  # the parameters of all models leave it together
    course = plan.course
    for number, (problem, result, erased) in enumerate(solve_plan(plan)):
        target = plan.target(number)
        if erased is not None:
            label = target.classes.tolist()[erased]
            warn(f"{plan.lack(number)} of class {label!r}: no such model", ConvergenceWarning)
            costs, verdict = np.zeros(0), _unknown(problem, "one class", "a class has no samples")
        elif result is None:
            costs, verdict = np.zeros(0), _unknown(problem, plan.stopped, "the fit did not begin")
        else:
            own = plan.options[number]
            if course is not None:
                course.number = number
            conclude = conclusion_of(own)
            problem, result, verdict = conclude(origin, problem, own, result=result, hard=target.hard)
            costs = result.costs
        seconds = time.perf_counter() - began
        models.append(model_of(origin, target, given[number], problem, costs, verdict, seconds))
        if course is not None:
            course.judged(models[-1].fit_info)
    if course is not None:
        course.leave(len(models))
    return move_models(in_full(models), asked.home, asked.dtype_home)


def _for_each(entries: Sequence[Any], g: int) -> list[Any]:
    """Return an entry for each of g models, from g entries or a single one."""
    return list(entries) * (g // len(entries))


def _initials(initials: Any) -> list[Any]:
    """Return the start of each model; a Model or a pair (w, b) is the start of all."""
    try:
        given = [initials] if initials is None or isinstance(initials, (Model, tuple)) else list(initials)
    except TypeError:
        given = []
    pairs = [start for start in given if not (start is None or isinstance(start, Model))]
    if not given or not all(isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in pairs):
        raise TypeError(f"initials must be a Model, a pair (w, b), or a list of them or None, not {shown(initials)}")
    return given


def _rows(Ys: Any, samples: str) -> list[Any]:
    """Split Ys into the target of each model."""
    if isinstance(Ys, (list, tuple)):
        if not Ys:
            raise ValueError("Ys is empty; it must hold the targets of at least one model")
        return list(Ys)
    columns = split_table(Ys)
    if columns is not None:
        return columns
    if getattr(Ys, "ndim", 0) != 2:
        raise ValueError("Ys must be a list of targets, a table of them, or an array (g, m), (m, g) for samples='rows'")
    return (
        [Ys[:, number] for number in range(Ys.shape[1])]
        if samples == "rows"
        else [Ys[number, :] for number in range(Ys.shape[0])]
    )


def _weights(sample_weights: Any, m: int) -> list[Any]:
    """Split the weights into those of each model (1, m), or None."""
    if isinstance(sample_weights, (list, tuple)) and sample_weights and not np.isscalar(sample_weights[0]):
        given = list(sample_weights)
    elif getattr(sample_weights, "ndim", 1) == 2:
        given = [sample_weights[number, :] for number in range(sample_weights.shape[0])]
    else:
        given = [sample_weights]
    return [
        naming_errors(f"sample_weights[{number}]", labels.as_weight, weight, m) for number, weight in enumerate(given)
    ]


def _unknown(problem: Problem, reason: str, why: str) -> Verdict:
    """Make the verdict on a model of which nothing is known, for this reason; ``why`` there is no covariance."""
    unknown = dict.fromkeys(
        ("cost", "gradient_norm", "gap", "parameter_error", "condition", "log_likelihood", "null_log_likelihood"),
        math.nan,
    )
    outcome: dict[str, Any] = {"converged": False, "reason": reason, "iterations": 0, "passes": 0.0}
    outcome |= {"rank": None, "gap_known": "", "separation": ""} | unknown | counted(problem.given)
    k = problem.start.shape[2]
    w, b = (np.full((rows, k), math.nan) for rows in (problem.inner.scale.shape[0], 1))
    return Verdict(Parameters(w, b.T, None, None), outcome, why)
