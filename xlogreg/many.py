"""`fit_many`: models that share X, fitted together."""

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from xlogreg import labels
from xlogreg.assembly import Setting, erased_class, gather, model_of, settle, weigh
from xlogreg.batches import minimize_together, pose_batch, sharing_pays
from xlogreg.data import InMemory
from xlogreg.exceptions import ConvergenceWarning, warn
from xlogreg.judging import Verdict, judge
from xlogreg.model import Model
from xlogreg.options import Options
from xlogreg.problem import Problem, pose
from xlogreg.solving import solve
from xlogreg.tables import open_table

__all__ = ["fit_many"]


def fit_many(
    X: Any,
    Ys: Any,
    *,
    l2s: float | Sequence[float] | np.ndarray = 0.0,
    sample_weights: Any = None,
    samples: str = "columns",
    backend: str | None = None,
    device: Any = None,
    dtype: Any = None,
    fallback: bool = True,
    bias: bool = True,
    targets: str = "labels",
    standardize: bool | float = False,
    max_iter: int | None = None,
    tol: float | None = None,
    rng: int | np.random.Generator = 0,
) -> list[Model]:
    """Fit g logistic regressions to the same X: as `fit` would one by one, but one pass over X serves all.

    What they do not share they have of their own: targets, penalty, weights. Models of two classes are minimised
    together, and those that have converged leave; a model that needs more than that (separated classes, say), and
    models of three or more classes, are fitted alone.

    Parameters
    ----------
    X : array (n_x, m), or (m, n_x) for samples="rows"
        As for `fit`.
    Ys : array (g, m), or (m, g) for samples="rows"; or a list of g targets as `fit` takes them
        With one target only, all models share it.
    l2s : float, or (g,)
    sample_weights : array (m,) or (g, m), or a list of g of them, optional
        For samples="rows", too, a row for each model. Zeros leave samples out: folds; whole numbers repeat them.
    samples, backend, device, dtype, fallback, bias, targets, standardize, max_iter, tol, rng
        As for `fit`.

    Returns
    -------
    list of Model
        g of them. The gap of those that were minimised together is the solver's own estimate; their ``passes`` are
        those that each took part in, and what prepared them all. A model whose weights leave a class without a sample
        has parameters of NaN and the reason "one class".

    Raises
    ------
    ValueError, TypeError
        As `fit` does, and where the lengths of Ys, l2s and sample_weights do not agree.

    Warns
    -----
    As `fit` does, each warning once a model.

    Examples
    --------
    >>> import numpy as np, xlogreg
    >>> X = np.asarray([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]])
    >>> weak, strong = xlogreg.fit_many(X, [[0, 0, 1, 0, 1, 1]], l2s=[0.01, 1.0])
    >>> weak.w.round(3), strong.w.round(3)
    (array([[1.159]]), array([[0.344]]))
    """
    began = time.perf_counter()
    X, names = open_table(X, samples)
    X = labels.as_matrix(X, samples)
    encoded = [
        _named(f"Ys[{number}]", labels.encode_targets, Y, X.shape, samples, targets)
        for number, Y in enumerate(_rows(Ys, samples))
    ]
    m = encoded[0].Y.shape[1]
    weights = [None] if sample_weights is None else _weights(sample_weights, m)
    try:
        penalties = np.ravel(np.asarray(l2s, dtype=np.float64)).tolist()
    except (TypeError, ValueError):
        raise TypeError(f"l2s must hold numbers, not {l2s!r}") from None
    g = max(len(encoded), len(weights), len(penalties))
    for name, given in (("Ys", encoded), ("l2s", penalties), ("sample_weights", weights)):
        if len(given) not in (1, g):
            raise ValueError(f"{name} holds {len(given)} entries; Ys, l2s and sample_weights must hold 1 or g={g}")
    options = [
        Options("auto", "log_loss", l2, bias, standardize, "auto", max_iter, tol, rng, None, 0)
        for l2 in (penalties if len(penalties) == g else penalties * g)
    ]
    setting = settle(X, names, samples, backend, device, dtype, fallback)
    two = [number for number in range(g) if len(encoded[number % len(encoded)].classes) == 2]
    models = _fit_together(setting, encoded, weights, options, two, began) if len(two) > 1 else {}
    for number in range(g):
        if number not in models:
            target, option = encoded[number % len(encoded)], options[number]
            source = gather(setting, target, weights[number % len(weights)])
            erased = erased_class(source, target)
            problem = pose(source if erased is None else _unweighted(source), target, None, option)
            if erased is None:
                result = solve(problem, option)
                costs, verdict = result.costs, judge(problem, result, option)
            else:
                costs, verdict = np.zeros(0), _without_a_class(problem, target.classes.tolist()[erased], number)
            models[number] = model_of(setting, target, problem, costs, verdict, time.perf_counter() - began)
    return [models[number] for number in range(g)]


def _rows(Ys: Any, samples: str) -> list[Any]:
    """The target of each model."""
    if isinstance(Ys, (list, tuple)):
        if not Ys:
            raise ValueError("Ys is empty; it must hold the targets of at least one model")
        return list(Ys)
    if getattr(Ys, "ndim", 0) != 2:
        raise ValueError("Ys must be a list of targets, or an array (g, m), (m, g) for samples='rows'")
    return (
        [Ys[:, number] for number in range(Ys.shape[1])]
        if samples == "rows"
        else [Ys[number, :] for number in range(Ys.shape[0])]
    )


def _weights(sample_weights: Any, m: int) -> list[Any]:
    """The weights of each model (1, m), or None."""
    if isinstance(sample_weights, (list, tuple)) and sample_weights and not np.isscalar(sample_weights[0]):
        given = list(sample_weights)
    elif getattr(sample_weights, "ndim", 1) == 2:
        given = [sample_weights[number, :] for number in range(sample_weights.shape[0])]
    else:
        given = [sample_weights]
    return [_named(f"sample_weights[{number}]", labels.as_weight, weight, m) for number, weight in enumerate(given)]


def _named(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """function(*arguments), whose errors say which of many arguments they are about."""
    try:
        return function(*arguments)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from None


def _fit_together(
    setting: Setting,
    encoded: list[labels.Targets],
    weights: list[Any],
    options: list[Options],
    two: list[int],
    began: float,
) -> dict[int, Model]:
    """Those of the models of two classes, by number, that can be minimised together."""
    m, place = encoded[0].Y.shape[1], setting.place
    middle = sorted(two, key=lambda number: options[number].l2)[len(two) // 2]
    target = encoded[middle % len(encoded)]
    problem = pose(gather(setting, target, None), target, None, options[middle])
    if not sharing_pays(problem):
        return {}
    Y = weight = None
    with place.computing():
        if len(encoded) > 1:
            kind = "int8" if all(encoded[number].hard for number in two) else setting.dtype
            Y = place.xp.stack([place.put(encoded[number].Y, kind) for number in two])
        if any(w is not None for w in weights):
            even = place.xp.ones((1, m), dtype=place.dtype(setting.dtype), device=place.device)
            put = [even if w is None else weigh(setting, w) for w in weights]
            for number, w in enumerate(put):
                _named(f"sample_weights[{number}]", labels.total_of, w, m)
            weight = place.xp.stack(put)
    batch = pose_batch(
        problem,
        Y,
        weight,
        (np.arange(len(two)), np.asarray(two) % len(weights)),
        np.asarray([options[number].l2 for number in two]),
        np.asarray([encoded[number % len(encoded)].hard for number in two]),
    )
    results = minimize_together(batch, options[middle])
    seconds = time.perf_counter() - began
    models = {}
    for position, (number, result) in enumerate(zip(two, results, strict=True)):
        if result is not None:
            single, target = batch.single(position), encoded[number % len(encoded)]
            result = dataclasses.replace(result, costs=np.asarray(result.costs)[:, 0])
            models[number] = model_of(
                setting, target, single, result.costs, judge(single, result, options[number]), seconds
            )
    return models


def _unweighted(source: InMemory) -> InMemory:
    return dataclasses.replace(source, weight=None, total_weight=float(source.m))


def _without_a_class(problem: Problem, label: Any, number: int) -> Verdict:
    """That of a model whose weights leave a class without a sample, and so without a minimum."""
    warn(f"sample_weights[{number}] is zero for every sample of class {label!r}: no such model", ConvergenceWarning)
    unknown = dict.fromkeys(
        ("cost", "gradient_norm", "gap", "parameter_error", "condition", "log_likelihood", "null_log_likelihood"),
        math.nan,
    )
    outcome: dict[str, Any] = {"converged": False, "reason": "one class", "iterations": 0, "passes": 0.0}
    outcome |= {"rank": None, "gap_known": "", "separation": ""} | unknown
    return Verdict(np.full_like(problem.start, math.nan), outcome, "a class has no samples")
