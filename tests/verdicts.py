"""What is wrong with what the library answers to a case of `tests.fuzz_cases`, by `tests.judge`."""

import math
import warnings
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

import xlogreg
from tests.existence import Existence, exists
from tests.fuzz_cases import Case
from tests.judge import Minimum, Problem, minimise, pose

__all__ = ["FAULTS", "Outcome", "Truth", "arranged", "problem_of", "run", "truth_of"]

COST = 1e-6  # of the cost, by which the cost that is said may differ from the model's
WRONG = 1e-4  # of the cost, by which a model that is called converged may lie above the minimum
FLOOR = 1e-3  # of the null cost, below which a cost counts as that
PATIENT = 3000  # numbers in X, up to which a program is solved before the minimum is looked for
FAULTS = {
    "crash": "an exception",
    "runtime warning": "a RuntimeWarning",
    "nan": "parameters or probabilities that are not finite",
    "far": "predictions that are not a number where scores overflow",
    "cost": "the cost said is not that of the model",
    "wrong": "converged, but not at the minimum",
    "bias": "a bias where none was asked for",
    "gap": "the gap said is smaller than it is, or converged without one",
    "false separation": "separated by the fit, but there is a minimum",
    "missed separation": "no minimum, and nothing said",
    "silent": "not converged, or separated, without a warning",
    "warning": "a warning on a well-posed problem",
    "differs": "a model of many is not that of `fit`",
    "score": "a score of `fit_cv` is not that of the held-out fold",
    "prediction": "probabilities that the parameters do not give",
    "judge": "the judge found no minimum as low as the model",
}


class Truth(NamedTuple):
    """What the judge knows of a problem."""

    existence: Existence
    infimum: float
    minimum: Minimum | None

    @property
    def exists(self) -> bool:
        return self.existence.kind == "exists"

    @property
    def separated(self) -> bool:
        return self.existence.kind == "separated"


class Outcome(NamedTuple):
    """Faults by kind with what was found, and how many fits there were without a penalty, undecided ones among them."""

    faults: dict[str, str]
    fits: int
    asked: int
    undecided: int
    unsure: int  # problems of which the judge could not tell whether there is a minimum


def truth_of(problem: Problem) -> Truth:
    """The least cost; without a penalty, whether it is taken."""
    if problem.l2 > 0:
        minimum = minimise(problem)
        return Truth(Existence("exists", False, None, "penalty", 1.0), minimum.cost, minimum)
    minimum = None if problem.given.size <= PATIENT else minimise(problem)
    existence = exists(problem, minimum)
    if existence.kind != "separated":
        minimum = minimum or minimise(problem)
        return Truth(existence, minimum.cost, minimum)
    infimum = 0.0 if existence.complete else minimise(replace(problem, kept=existence.left)).cost
    return Truth(existence, infimum, None)


def problem_of(case: Case, Y: Any = None, weight: Any = None, l2: float | None = None) -> Problem:
    """What the case asks for, or one of its models."""
    options = case.options
    Y, weight = (case.Y if Y is None else Y), (case.weight if weight is None else weight)
    if case.soft and _in_float32(case):  # which computes with such targets
        Y = Y.astype(np.float32)
    return pose(
        case.X,
        Y,
        weight,
        options.get("l2", 0.0) if l2 is None else l2,
        options.get("bias", True),
        options.get("standardize", False),
    )


def _in_float32(case: Case) -> bool:
    """Whether the library computes in that."""
    dtype = case.X.dtype
    small = dtype.itemsize < 4 if dtype.kind in "iub" else dtype.itemsize <= 4
    return small or case.library == "jax" or case.options.get("dtype") == "float32"


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
    if case.library == "torch":
        import torch

        X = torch.from_numpy(np.array(X))
    elif case.library == "jax":
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

    def judged(caught):
        problem = problem_of(case)
        truth = truth_of(problem)
        said = [w for w in caught if issubclass(w.category, xlogreg.XlogregWarning)]
        faults = _faults(case, problem, truth, model)
        faults |= _silence(case, model.fit_info, truth, said)
        faults |= _predicted(case, model, proba)
        if far:
            faults["far"] = far
        return faults, 1, *_asked(case, truth, model.fit_info, problem.l2)

    return judged


def _asked(case: Case, truth: Truth, info: Any, l2: float) -> tuple[int, int, int]:
    asked = l2 == 0 and not case.soft and case.options.get("solver") != "gd" and "max_iter" not in case.options
    return int(asked), int(asked and info.separation == "undecided"), int(truth.existence.kind == "unsure")


def _faults(case: Case, problem: Problem, truth: Truth, model: Any) -> dict[str, str]:
    info, faults = model.fit_info, {}
    parts = [None if part is None else np.asarray(part) for part in (model.w, model.b, model.center, model.centered_b)]
    if not all(part is None or np.all(np.isfinite(part)) for part in parts):
        return {"nan": f"w {np.ravel(parts[0])[:4]}, b {np.ravel(parts[1])[:4]}, {info.reason}"}
    J = problem.model_cost(*parts)
    floor = FLOOR * problem.null_cost
    scale, best = max(J, floor), truth.infimum
    about = f"cost said {info.cost:.9g}, the model's {J:.9g}, {'infimum' if truth.separated else 'least'} {best:.9g}"
    about += f"; {info.reason}, converged {info.converged}, separation {info.separation!r}, gap {info.gap:.3g}"
    about += f" {info.gap_known!r}; truth: {truth.existence.kind}"
    if problem.l2 == 0:
        about += f" ({'complete' if truth.existence.complete else 'not complete'}, margin {truth.existence.margin:.1g})"
    if not abs(info.cost - J) <= COST * scale:
        faults["cost"] = about
    if not problem.bias and _lifted(problem, *parts):
        faults["bias"] = about
    # without a bias a mean that float32 rounds is one, if a small one
    elif best > J + (COST if problem.bias or problem.standardize is not True else 1e-4) * scale:
        faults["judge"] = about
    tolerance = max(WRONG, 2 * (case.options.get("tol") or 0.0))
    if info.converged and J - best > tolerance * scale:
        faults["wrong"] = about
    slack = (1e-7 if _in_float32(case) else 1e-9) * scale
    times = {"bound": 1.001, "separated": 1.001, "decrement": 10.0}.get(info.gap_known, math.inf)
    known = math.isfinite(times) and not math.isnan(info.gap)
    if (J - best > times * info.gap + slack) if known else (info.converged and math.isnan(info.gap)):
        faults["gap"] = about
    if info.separation in ("complete", "quasi-complete") and truth.exists:
        faults["false separation"] = about
    if truth.separated and (info.separation == "none" or info.converged or not isinstance(model.covariance, str)):
        faults["missed separation"] = about
    return faults


def _lifted(problem: Problem, w: np.ndarray, b: np.ndarray, center: Any, centered_b: Any) -> bool:
    """Whether the score is not zero at the center of the problem: the origin, or the mean of standardised features."""
    small = w.dtype.itemsize <= 4
    w, b = w.astype(np.longdouble), b.astype(np.longdouble)
    size = np.abs(w).T @ np.abs(problem.X).max(axis=1, keepdims=True)
    if center is not None:
        b = np.asarray(centered_b, np.longdouble) - w.T @ np.asarray(center, np.longdouble)
    rounding = 1e-5 if small else 1e-9
    return bool(np.any(np.abs(b + w.T @ problem.center) > rounding * size))


def _silence(case: Case, info: Any, truth: Truth, said: list[Any]) -> dict[str, str]:
    """Warnings that are missing, and those that are too many."""
    faults = {}
    names = {warning.category.__name__ for warning in said}
    gap = info.gap / info.cost if info.cost > 0 else info.gap
    if info.separation in ("complete", "quasi-complete") and "SeparationWarning" not in names:
        faults["silent"] = f"separation {info.separation!r} without a SeparationWarning"
    elif not info.converged and not names and case.options.get("solver") != "gd" and not gap <= 1e-6:
        faults["silent"] = f"not converged ({info.reason}, gap {info.gap:.3g} {info.gap_known!r}) without a warning"
    if "SeparationWarning" in names and truth.exists:
        faults["false separation"] = str(said[0].message)
    if case.well and said and truth.exists:
        faults["warning"] = f"{said[0].category.__name__}: {said[0].message}"
    return faults


def _predicted(case: Case, model: Any, proba: np.ndarray) -> dict[str, str]:
    """Whether the probabilities are finite, and those of the parameters."""
    if not np.all(np.isfinite(proba)):
        return {"nan": f"{np.sum(~np.isfinite(proba))} probabilities are not finite"}
    proba = proba.T if case.layout == "rows" else proba
    X, w = case.X.astype(np.longdouble), np.asarray(model.w).astype(np.longdouble)
    if not np.all(np.isfinite(w)):
        return {}
    b = model.b
    if model.center is not None:
        X, b = X - np.asarray(model.center).astype(np.longdouble), model.centered_b
    b = np.asarray(b).astype(np.longdouble)
    Z = w.T @ X + b
    Z = np.vstack([0 * Z, Z]) if len(Z) == 1 else Z
    A = np.exp(Z - Z.max(axis=0))
    rounding = np.finfo(proba.dtype).eps * (8 + len(w)) * (np.abs(w).T @ np.abs(X) + np.abs(b)).max(axis=0)
    far = np.max(np.abs(A / A.sum(axis=0) - proba).max(axis=0) - rounding)
    return {"prediction": f"by up to {float(far):.3g}"} if far > 1e-6 else {}


def _far_out(case: Case, model: Any) -> str:
    """What is not a number of the predictions on samples so far out that scores overflow."""
    n, dtype = case.X.shape[0], "float32" if _in_float32(case) else "float64"
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
            found = _faults(one, problem, truth, models[number])
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
    pick = lambda entries: entries[number % len(entries)]  # noqa: E731
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
        faults = _faults(case, problem, truth_of(problem), found.model)
        weight = np.ones(case.X.shape[1]) if case.weight is None else case.weight
        whole = pose(case.X, case.Y, np.ones_like(weight)).Y
        for row, fold in enumerate(np.unique(folds)):
            held = (folds == fold) & (weight > 0)
            for column, l2 in enumerate(l2s if np.any(held) else []):
                problem = problem_of(case, weight=np.where(held, 0.0, weight), l2=l2)
                A = np.maximum(problem.predict(minimise(problem).theta, case.X[:, held]), 1e-4000)
                right = float(-np.sum(whole[:, held] * np.log(A), axis=0) @ weight[held] / np.sum(weight[held]))
                said = float(found.scores["log_loss"][row, column])
                if not abs(said - right) <= 1e-4 + 2e-3 * abs(right):
                    faults.setdefault("score", f"fold {fold}, l2={l2}: log loss {said:.6g}, right {right:.6g}")
        return faults, 1 + len(l2s) * len(np.unique(folds)), 0, 0, 0

    return judged


def _bootstrap(case: Case):
    X, options = arranged(case)
    weighted = {} if case.weight is None else {"sample_weight": case.weight}
    replicates, seed = case.extra["replicates"], case.extra["rng"]
    found = xlogreg.bootstrap(X, targets_of(case, case.Y), replicates, rng=seed, **weighted, **options)

    def judged(caught):
        problem = problem_of(case)
        faults = _faults(case, problem, truth_of(problem), found.model)
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


CALLS = {"fit": _fit, "fit_many": _several, "fit_path": _several, "fit_cv": _cv, "bootstrap": _bootstrap}
