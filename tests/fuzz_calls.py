"""The calls of the library that `tests.fuzz_cases` draws, made and judged."""

import math
import warnings
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

import xlogreg
from tests.fuzz_cases import Case
from tests.fuzz_kinks import kinked_faults
from tests.judge import Problem, minimise, pose
from tests.verdicts import (
    COST,
    FLOOR,
    WRONG,
    Truth,
    faults_of,
    in_float32,
    predicted_of,
    problem_of,
    silence_of,
    truth_of,
)

__all__ = ["Outcome", "arranged", "run", "targets_of"]

AS_LOW = 10.0  # times the gap that is asked for: costs that differ by less are the same


class Outcome(NamedTuple):
    """Faults by kind with what was found, and how many fits there were without a penalty, undecided ones among them."""

    faults: dict[str, str]
    fits: int
    asked: int
    undecided: int
    unsure: int  # problems of which the judge could not tell whether there is a minimum


def arranged(case: Case) -> tuple[Any, dict[str, Any]]:
    """X as it is handed in, and the options that go with it."""
    X, options = case.X, dict(case.options)
    if case.layout == "rows":
        X, options["samples"] = np.ascontiguousarray(X.T), "rows"
    elif case.layout == "F":
        X = np.asfortranarray(X)
    elif case.layout == "strided":
        X = np.repeat(X, 2, axis=1)[:, ::2]
    else:
        X = np.array(X, order="C")
        X.flags.writeable = case.layout != "readonly"
    if case.namespace == "torch":
        import torch

        X = torch.from_numpy(np.array(X))
    elif case.namespace == "jax":
        import jax.numpy

        X = jax.numpy.asarray(X)
    return X, options


def targets_of(case: Case, Y: np.ndarray) -> np.ndarray:
    return Y.T if Y.ndim == 2 and case.layout == "rows" else Y


def run(case: Case) -> Outcome:
    """The faults of a case."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            answer = CALLS[case.call](case)
        except Exception as error:  # whatever it is, it is a fault
            return Outcome({"crash": f"{type(error).__name__}: {str(error)[:300]}"}, 1, 0, 0, 0)
    faults, fits, asked, undecided, unsure = answer(caught)
    for warning in caught:
        if issubclass(warning.category, RuntimeWarning):
            faults.setdefault("runtime warning", f"{warning.message} ({warning.filename}:{warning.lineno})")
    return Outcome(faults, fits, asked, undecided, unsure)


def _fit(case: Case):
    X, options = arranged(case)
    weighted = {} if case.weight is None else {"sample_weight": case.weight}
    model = xlogreg.fit(X, targets_of(case, case.Y), **weighted, **options)
    proba = np.asarray(model.predict_proba(X))
    far = _far_out(case, model)

    def judged_kinks(caught):
        said = [w for w in caught if issubclass(w.category, xlogreg.XlogregWarning)]
        faults, unsure = kinked_faults(case, model, said)
        return faults | predicted_of(case, model, proba) | ({"far": far} if far else {}), 1, 0, 0, unsure

    def judged(caught):
        problem = problem_of(case)
        truth = truth_of(problem)
        said = [w for w in caught if issubclass(w.category, xlogreg.XlogregWarning)]
        faults = faults_of(case, problem, truth, model)
        faults |= silence_of(case, model.fit_info, truth, said)
        faults |= predicted_of(case, model, proba)
        if far:
            faults["far"] = far
        return faults, 1, *_asked(case, truth, model.fit_info, problem.l2)

    return judged_kinks if "l1" in options else judged


def _asked(case: Case, truth: Truth, info: Any, l2: float) -> tuple[int, int, int]:
    asked = l2 == 0 and not case.soft and case.options.get("solver") != "gd" and "max_iter" not in case.options
    return int(asked), int(asked and info.separation == "undecided"), int(truth.existence.kind == "unsure")


def _far_out(case: Case, model: Any) -> str:
    """What is not a number of the predictions on samples so far out that scores overflow."""
    n, dtype = case.X.shape[0], "float32" if in_float32(case) else "float64"
    X = np.zeros((n, 4), dtype)
    X[0, :2], X[-1, 2:] = (np.finfo(dtype).max * np.array([0.99, -0.99]),) * 2
    X, _ = arranged(replace(case, X=X))
    for name in ("predict_proba", "predict_log_proba"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = np.asarray(getattr(model, name)(X))
        if np.any(np.isnan(found)) or np.any(found > 1.0):
            return f"{name} on a feature of +-{np.finfo(dtype).max:.2g}: {found.reshape(-1)[:6].tolist()}"
    return ""


def _several(case: Case):
    X, options = arranged(case)
    extra = case.extra
    if case.call == "fit_path":
        g = len(extra["l2s"])
        weighted = {} if case.weight is None else {"sample_weight": case.weight}
        models = xlogreg.fit_path(X, targets_of(case, case.Y), extra["l2s"], **weighted, **options)
    else:
        Ys = [targets_of(case, Y) for Y in extra.get("Ys") or [case.Y]]
        weights = extra.get("sample_weights") or case.weight
        g = max(len(Ys), len(extra["l2s"]), len(weights) if isinstance(weights, list) else 1)
        models = xlogreg.fit_many(X, Ys, l2s=extra["l2s"], sample_weights=weights, **options)

    def judged(caught):
        faults, counts = {}, np.zeros(3, int)
        for number in range(g):
            one = _one_of(case, number, g)
            problem = problem_of(one)
            truth = truth_of(problem)
            found = faults_of(one, problem, truth, models[number])
            if models[number].fit_info.converged and truth.exists:
                found |= _compared(one, problem, models[number])
            counts += _asked(one, truth, models[number].fit_info, problem.l2)
            for kind, text in found.items():
                faults.setdefault(kind, f"model {number}: {text}")
        return faults, g, *counts.tolist()

    return judged


def _one_of(case: Case, number: int, g: int) -> Case:
    """The call of `fit` for one of the models."""
    extra = case.extra

    def pick(entries):
        return entries[number % len(entries)]

    return replace(
        case,
        call="fit",
        Y=pick(extra.get("Ys") or [case.Y]),
        weight=pick(extra.get("sample_weights") or [case.weight]),
        options=case.options | {"l2": pick(extra["l2s"])},
        extra={},
    )


def _compared(one: Case, problem: Problem, model: Any) -> dict[str, str]:
    """With that of `fit` alone."""
    X, options = arranged(one)
    weighted = {} if one.weight is None else {"sample_weight": one.weight}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = xlogreg.fit(X, targets_of(one, one.Y), **weighted, **options)
    if not alone.fit_info.converged:
        return {}
    costs = alone.fit_info.cost, model.fit_info.cost
    allowed = 2 * COST + 2 * (options.get("tol") or 0.0)
    if abs(costs[0] - costs[1]) > allowed * max(*costs, FLOOR * problem.null_cost):
        return {"differs": f"cost {costs[1]:.9g}, of fit {costs[0]:.9g}"}
    both = [np.asarray(found.predict_proba(X)) for found in (model, alone)]
    far = np.abs(both[0] - both[1]).max(axis=1 if one.layout == "rows" else 0)
    far = np.max(far if one.weight is None else far[one.weight > 0])
    if problem.l2 > 1e-5 and "tol" not in options and far > (1e-4 if model.fit_info.dtype == "float64" else 1e-2):
        return {"differs": f"probabilities by up to {far:.3g} from those of fit"}
    return {}


def _cv(case: Case):
    X, options = arranged(case)
    l2s, folds = case.extra["l2s"], case.extra["folds"]
    weighted = {} if case.weight is None else {"sample_weight": case.weight}
    found = xlogreg.fit_cv(X, targets_of(case, case.Y), l2s, folds=folds, **weighted, **options)

    def judged(caught):
        problem = problem_of(case, l2=l2s[found.chosen])
        faults = faults_of(case, problem, truth_of(problem), found.model)
        weight = np.ones(case.X.shape[1]) if case.weight is None else case.weight
        whole = pose(case.X, case.Y)
        tol = options.get("tol") or (1e-9 if in_float32(case) else 1e-12)  # by default
        allowed = (2e-2 if in_float32(case) else 2e-3) + 20.0 * math.sqrt(options.get("tol") or 0.0)
        for row, fold in enumerate(np.unique(folds)):
            held = (folds == fold) & (weight > 0)
            for column, l2 in enumerate(l2s if np.any(held) else []):
                problem = problem_of(case, weight=np.where(held, 0.0, weight), l2=l2)
                right, open_by = _held_out_cost(problem, whole, held, weight, AS_LOW * tol)
                said = float(found.scores["log_loss"][row, column])
                if abs(said - right) > 1e-4 + allowed * abs(right) + 2.0 * open_by:
                    faults.setdefault("score", f"fold {fold}, l2={l2}: log loss {said:.6g}, right {right:.6g}")
        return faults, 1 + len(l2s) * len(np.unique(folds)), 0, 0, 0

    return judged


def _held_out_cost(
    problem: Problem, whole: Problem, held: np.ndarray, weight: np.ndarray, low: float
) -> tuple[float, float]:
    """The mean loss on samples that are held out, of the model of the others; how far another is whose cost is as low.

    Where next to no penalty is all that keeps the classes from being separated, no tolerance of the cost tells it.
    """
    weight = weight[held].astype(np.longdouble)
    parts = {"given": whole.given[:, held], "Y": whole.Y[:, held], "kept": whole.kept[:, held]}
    left_out = replace(whole, weight=weight / weight.sum(), l2=0.0, **parts)
    minimum = minimise(problem)
    if minimum.cost < FLOOR * problem.null_cost:  # next to nothing, which leaves the scores open
        return math.nan, 0.0
    right = left_out.model_cost(*problem.parameters(minimum.theta))
    steps, open_by = minimum.steps - 1, 0.0
    while steps >= 0 and (other := minimise(problem, steps)).cost - minimum.cost <= low * minimum.cost:
        open_by = abs(left_out.model_cost(*problem.parameters(other.theta)) - right)
        steps -= 1
    return right, open_by


def _bootstrap(case: Case):
    X, options = arranged(case)
    weighted = {} if case.weight is None else {"sample_weight": case.weight}
    replicates, seed = case.extra["replicates"], case.extra["rng"]
    found = xlogreg.bootstrap(X, targets_of(case, case.Y), replicates, rng=seed, **weighted, **options)

    def judged(caught):
        problem = problem_of(case)
        faults = faults_of(case, problem, truth_of(problem), found.model)
        rng, m = np.random.default_rng(seed), case.X.shape[1]
        given = np.ones(m) if case.weight is None else case.weight
        names = np.unique(case.Y) if not case.soft else None
        for number in range(replicates):
            weight = given * np.bincount(rng.integers(m, size=m), minlength=m)
            finite = bool(np.all(np.isfinite(found.w[number])) and np.all(np.isfinite(found.b[number])))
            if names is None or len(np.unique(case.Y[weight > 0])) < len(names):
                if names is not None and finite:
                    faults.setdefault("missed separation", f"replicate {number} lacks a class")
                continue
            problem = problem_of(case, weight=weight)
            truth = truth_of(problem)
            if not finite and truth.exists:
                faults.setdefault("false separation", f"replicate {number} is NaN, margin {truth.existence.margin:.1g}")
            elif finite and truth.separated:
                faults.setdefault("missed separation", f"replicate {number} is finite")
            elif finite:
                J = problem.model_cost(found.w[number], found.b[number])
                if J - truth.infimum > WRONG * max(J, FLOOR * problem.null_cost):
                    faults.setdefault("wrong", f"replicate {number}: {J:.9g}, least {truth.infimum:.9g}")
        return faults, 1 + replicates, 0, 0, 0

    return judged


def _estimator(case: Case):
    X, options = arranged(case)
    weight = np.ones(case.X.shape[1]) if case.weight is None else case.weight
    l2 = options.get("l2", 0.0)
    C = 1.0 / (l2 * float(weight.sum())) if l2 > 0 else math.inf
    classifier = xlogreg.LogisticRegression(C=C, fit_intercept=options.get("bias", True))
    classifier.fit(X, case.Y, None if case.weight is None else case.weight)

    def judged(caught):
        problem = problem_of(case)
        truth = truth_of(problem)
        w, b = np.asarray(classifier.coef_).T, np.asarray(classifier.intercept_)[:, None]
        said = {warning.category.__name__ for warning in caught}
        J, faults = problem.model_cost(w, b), {}
        about = f"the model's cost {J:.9g}, least {truth.infimum:.9g}; warnings {sorted(said)}; truth: "
        about += f"{truth.existence.kind}, margin {truth.existence.margin:.1g}"
        if "SeparationWarning" in said and truth.exists:
            faults["false separation"] = about
        if truth.separated and not said:
            faults["missed separation"] = about
        rounded = in_float32(case)  # without the center that a model keeps
        if not rounded and not said and J - truth.infimum > WRONG * max(J, FLOOR * problem.null_cost):
            faults["wrong"] = about
        return faults, 1, 0, 0, int(truth.existence.kind == "unsure")

    return judged


CALLS = {
    "fit": _fit,
    "estimator": _estimator,
    "fit_many": _several,
    "fit_path": _several,
    "fit_cv": _cv,
    "bootstrap": _bootstrap,
}
