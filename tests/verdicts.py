"""What is wrong with a model that the library returns, by `tests.judge`."""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from tests.existence import Existence, exists
from tests.fuzz_cases import Case
from tests.judge import Minimum, Problem, minimise, pose

__all__ = [
    "COST",
    "FAULTS",
    "FLOOR",
    "WRONG",
    "Truth",
    "faults_of",
    "in_float32",
    "predicted_of",
    "problem_of",
    "silence_of",
    "truth_of",
]

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
    "bounds": "weights outside of their bounds",
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
    if case.soft and case.namespace == "jax":  # which has no float64 to keep them in
        Y = Y.astype(np.float32)
    return pose(
        case.X,
        Y,
        weight,
        options.get("l2", 0.0) if l2 is None else l2,
        options.get("bias", True),
        options.get("standardize", False),
    )


def in_float32(case: Case) -> bool:
    """Whether the library computes in that."""
    dtype = case.X.dtype
    small = dtype.itemsize < 4 if dtype.kind in "iub" else dtype.itemsize <= 4
    return small or case.namespace == "jax" or case.options.get("dtype") == "float32"


def _mean_matters(case: Case, problem: Problem) -> float:
    """Share of the cost that a rounded mean may be, which is a small bias where there is none: of float32."""
    if problem.bias or problem.standardize is not True or not in_float32(case):
        return 0.0
    return 1e-4 if case.namespace == "jax" else 1e-6  # which has no float64 to keep the mean in


def faults_of(case: Case, problem: Problem, truth: Truth, model: Any) -> dict[str, str]:
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
    if not problem.bias and _lifted(problem, 1e-5 if in_float32(case) else 1e-9, *parts):
        faults["bias"] = about
    elif best > J + max(COST, _mean_matters(case, problem)) * scale:
        faults["judge"] = about
    tolerance = max(WRONG, 2 * (case.options.get("tol") or 0.0))
    if info.converged and J - best > tolerance * scale:
        faults["wrong"] = about
    slack = max(1e-7 if in_float32(case) else 1e-9, _mean_matters(case, problem)) * scale
    times = {"bound": 1.001, "separated": 1.001, "decrement": 10.0}.get(info.gap_known, math.inf)
    known = math.isfinite(times) and not math.isnan(info.gap)
    if (J - best > times * info.gap + slack) if known else (info.converged and math.isnan(info.gap)):
        faults["gap"] = about
    if info.separation in ("complete", "quasi-complete") and truth.exists:
        faults["false separation"] = about
    if truth.separated and (info.separation == "none" or info.converged or not isinstance(model.covariance, str)):
        faults["missed separation"] = about
    return faults


def _lifted(problem: Problem, rounding: float, w: Any, b: Any, center: Any, centered_b: Any) -> bool:
    """Whether the score is not zero at the center of the problem: the origin, or the mean of standardised features."""
    w, b = w.astype(np.longdouble), b.astype(np.longdouble)
    size = np.abs(w).T @ np.abs(problem.X).max(axis=1, keepdims=True)
    if center is not None:
        b = np.asarray(centered_b, np.longdouble) - w.T @ np.asarray(center, np.longdouble)
    return bool(np.any(np.abs(b + w.T @ problem.center) > rounding * size))


def silence_of(case: Case, info: Any, truth: Truth, said: list[Any]) -> dict[str, str]:
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


def predicted_of(case: Case, model: Any, proba: np.ndarray) -> dict[str, str]:
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
