"""What a solver found: its certificate, its statistics, its warnings, and the model that is made of it."""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.place import ROUNDING, Array
from xlogreg.exceptions import (
    ConvergenceWarning,
    DivergenceWarning,
    PrecisionWarning,
    SeparationWarning,
    XlogregWarning,
    warn,
)
from xlogreg.fitting.answer import Answer, answer_of
from xlogreg.fitting.monitors import STOPPED
from xlogreg.fitting.prior import score_shift
from xlogreg.fitting.problem import Problem
from xlogreg.fitting.proof import lacks_hessian
from xlogreg.fitting.relaxing import relaxed
from xlogreg.fitting.remarks import remark
from xlogreg.fitting.solving import solve
from xlogreg.inference.covariance import AFTER_SELECTION, covariance
from xlogreg.inputs import labels
from xlogreg.inputs.options import Options
from xlogreg.inputs.tables import listed
from xlogreg.model.model import Model
from xlogreg.model.reports import FitInfo
from xlogreg.samples.intake import Origin
from xlogreg.samples.nonfinite import refuse_nonfinite
from xlogreg.samples.source import Samples
from xlogreg.solvers.coordinates import as_host
from xlogreg.solvers.objective import Evaluation
from xlogreg.solvers.parameters import Parameters
from xlogreg.solvers.preconditioners import Conditioning, Inverse
from xlogreg.solvers.result import Monitor, Result

__all__ = [
    "Verdict",
    "asked_for",
    "concluded",
    "counted",
    "described",
    "judge",
    "model_of",
    "parameters_at",
    "warning_of",
]


COARSE = 1e-4  # of a standard deviation: larger rounding of a feature may show in its parameter
HIGHER = 1e-6  # relative amount by which a cost may rise in other coordinates without being the worse answer
NAMED = 1e-2  # a warning names a feature that has this share of the largest part in a direction
Said = tuple[str, type[XlogregWarning]]  # a warning
FAR = "the gap is {:.1e} of the cost, as far as it is known"
NOT_KNOWN = "how far the minimum is, is not known"
UNDECIDED = (
    ". Whether {hyperplane} separates the classes, so that there is no minimum without {remedy}, is undecided: {reason}"
)
TOO_DEAR = "to tell takes Hessians of {p} parameters and {m} samples, and no single feature separates them"
NOT_SHOWN = "neither a minimum nor a hyperplane was found in the steps of Newton's method that were tried"
SEPARATED = (
    "{strongest}: the {kind} has no minimum, and falls for ever as {growing}. Stopped after {steps} steps; "
    "use {instead}"
)
FIRTH = "l2 > 0, or bias_reduction='firth' for two classes; xlogreg.separation(X, Y) tells what is infinite"
REMEDY = {"remedy": "l2 > 0", "instead": FIRTH}
WORDS = {  # whether some features are penalised -> what is said of the others
    False: {"hyperplane": "a hyperplane", "kind": "unpenalised cost", "growing": "w grows"} | REMEDY,
    True: {
        "hyperplane": "a hyperplane of the features without a penalty",
        "kind": "cost",
        "growing": "their weights grow",
    }
    | dict.fromkeys(("remedy", "instead"), "a penalty_factor > 0 for these features"),
}
SENTENCES: dict[str, tuple[type[XlogregWarning], str]] = {  # what is not as it was asked for -> how that is said
    "diverged": (
        DivergenceWarning,
        "{solver} diverged within {steps} steps: the cost grows or overflows; use {smaller}",
    ),
    "complete": (
        SeparationWarning,
        "{hyperplane} separates the classes, with every sample on its own side" + SEPARATED,
    ),
    "quasi-complete": (
        SeparationWarning,
        "{hyperplane} separates the classes, with no sample on the wrong side, and some on it, as where a class lacks "
        "a category" + SEPARATED,
    ),
    "max_iter": (
        ConvergenceWarning,
        "{solver} made max_iter={steps} steps without reaching tol={tol:g}: {far}; use a larger max_iter{other}",
    ),
    "time_limit": (
        ConvergenceWarning,
        "{solver} made {steps} steps within time_limit={time_limit:g} seconds without reaching tol={tol:g}: {far}; go "
        "on with initial=model, or allow more time",
    ),
    "no curvature": (
        ConvergenceWarning,
        "{solver} stopped after {steps} steps, and how far the minimum is cannot be told: the curvature of some "
        "combination of features is less than rounding errors. They are nearly collinear, or some samples lie so far "
        "out that their loss is flat; use l2 > 0, or leave one of those features out",
    ),
    "precision": (
        ConvergenceWarning,
        "rounding errors of {where} hide any further decrease at a gap of {relative:.1e} of the cost, above "
        "tol={tol:g}; use {wider}a larger tol",
    ),
}


class Verdict(NamedTuple):
    """The parameters of a result, and what is known of them."""

    parameters: Parameters
    outcome: dict[str, Any]  # as part of `FitInfo`
    covariance: np.ndarray | str  # of the parameters, or why there is none
    again: Problem | None = None  # one that is to be solved instead, in coordinates that rounding errors spoil less
    said: Said | None = None  # of what is not as it was asked for
    shift: float = 0.0  # of the scores, after the minimum


def judge(
    problem: Problem, result: Result, options: Options, dtype: str, names: tuple[str, ...] | None, final: bool
) -> Verdict:
    """Judge a result for parameters of that dtype, and find what there is to warn of.

    ``names``: the names of the features, if they have any. ``final``: whether to try no other coordinates.

    Raises
    ------
    ValueError
        If the cost is not finite because X is not: names where.
    """
    if result.reason == "diverged":
        refuse_nonfinite(problem.source)
    tol = problem.goal(options)
    answer = answer_of(problem, result, tol, dtype)
    cost, gap, separation = float(answer.here.value[0]), answer.gap, answer.separation
    # an estimate is one of patience; the bound by the penalty is a loose one, and does not contradict the solver
    small = gap <= tol * cost and not (result.reason == "time_limit" and answer.known == "estimate")
    small = small or (result.reason == "converged" and answer.known == "bound" and answer.inverse is None)
    converged = bool(small and separation in ("none", ""))
    reason = _reason(result.reason, answer, converged)
    ended = result.reason in ("converged", "precision", "separated", "diverged")
    ended = ended or (result.reason == "max_iter" and problem.is_reduced)
    again = answer.again if ended and not final else None
    conditioning = _conditioning(result, answer.inverse)
    note, more = remark(problem, result, answer, options, names)
    outcome = described(problem, answer.here, answer.gradient_norm, gap, answer.known) | {
        "converged": converged,
        "reason": reason,
        "iterations": result.iterations,
        "passes": round(problem.passes + result.passes + answer.passes + more, 2),
        "rank": None if conditioning is None else conditioning.rank,
        "condition": math.nan if conditioning is None else conditioning.condition,
        "separation": separation,
        "note": note,
    }
    verdict = Verdict(
        answer.parameters,
        outcome,
        covariance(problem.objective, problem.coordinates, answer.inverse, problem.start.shape[2], converged),
        again,
    )
    return verdict._replace(
        said=warning_of(problem, result, options, verdict, _strongest(problem, answer.direction, names))
    )


def _reason(reason: str, answer: Answer, converged: bool) -> str:
    """Say why the fit ended; what was proved afterwards overrules the reason of the solver."""
    separated = answer.separation in ("complete", "quasi-complete")
    if separated and reason in ("converged", "precision"):
        return "separated"
    if reason in ("converged", "precision", "separated") and not separated:
        return "converged" if converged else "precision"
    return reason


def described(problem: Problem, here: Evaluation, norm: float, gap: float, known: str) -> dict[str, Any]:
    """Make the part of `FitInfo` that follows from an evaluation, the norm of its gradient and its gap."""
    source, likelihood = problem.source, problem.objective.loss.curvature is not None
    return {
        "cost": float(as_host(here.value)[0]),
        "gradient_norm": norm,
        "gap": gap,
        "gap_known": known if math.isfinite(gap) else "",
        "parameter_error": math.sqrt(2.0 * max(gap, 0.0) * source.effective_samples),
        "log_likelihood": -source.total_weight * float(as_host(here.loss)[0]) if likelihood else math.nan,
        "null_log_likelihood": source.total_weight * problem.null,
    } | counted(source)


def counted(source: Samples) -> dict[str, Any]:
    """Make the part of `FitInfo` that says how many samples there are, and what they weigh."""
    return {"n_samples": source.m, "total_weight": float(source.total_weight)}


def asked_for(options: Options) -> dict[str, Any]:
    """Make the fields of a `Model` that say what its fit was asked for."""
    scale = options.standardize
    scale = scale if isinstance(scale, bool) else float(scale)
    return {
        "l1": float(options.l1),
        "l2": float(options.l2),
        "penalty_factor": options.penalty_factor,
        "standardize": scale,
        "relax": None if options.relax is None else float(options.relax),
        "multinomial": options.multinomial,
        "penalty": options.penalty,
        "bias": bool(options.bias),
        "bias_reduction": options.bias_reduction,
    }


def _conditioning(result: Result, inverse: Inverse | None) -> Conditioning | None:
    """Take the conditioning from the Hessian of all samples, or else from the Hessian that the solver used."""
    if inverse is not None:
        return inverse.conditioning[0]
    conditioning = getattr(getattr(result.method, "preconditioner", None), "conditioning", None)
    return conditioning[0] if conditioning else None


def warning_of(problem: Problem, result: Result, options: Options, verdict: Verdict, strongest: str) -> Said | None:
    """Say what is not as it was asked for, if anything."""
    outcome, descends = verdict.outcome, problem.solver == "gd"
    cost, gap, undecided = outcome["cost"], outcome["gap"], outcome["separation"] == "undecided"
    relative = gap / cost if cost > 0 else gap
    many = options.course is not None and options.course.many  # one warning then tells of all that the time ended
    case = _case(outcome, relative, asked=options.tol is not None, descends=descends, many=many)
    if not case:
        return None
    stored, words = verdict.parameters.w.dtype.name, WORDS[bool(problem.objective.penalty.active[0])]
    category, sentence = SENTENCES[case]
    text = sentence.format(
        **words,
        solver=problem.solver,
        steps=result.iterations,
        tol=problem.goal(options),
        relative=relative,
        time_limit=options.time_limit,
        strongest=strongest,
        far=FAR.format(relative) if math.isfinite(relative) else NOT_KNOWN,
        smaller="a smaller learning_rate, or 'auto'" if descends else "standardize=True, or no initial",
        other=", or solver='auto'" if descends and problem.objective.loss.curvature else "",
        where=problem.source.dtype if problem.source.dtype == stored else f"{stored} parameters",
        wider=_wider(problem, stored),
    )
    if not undecided or case == "diverged":
        return text, category
    why = TOO_DEAR if lacks_hessian(problem, result) else NOT_SHOWN
    return text + UNDECIDED.format(**words, reason=why.format(p=result.theta.size, m=problem.source.m)), category


def _case(outcome: dict[str, Any], relative: float, asked: bool, descends: bool, many: bool) -> str:
    """Choose what there is to say, a key of `SENTENCES`, or "".

    ``asked``, ``descends``, ``many``: whether the user gave a tol, to gradient descent, for one of many models.
    """
    reason, separation = outcome["reason"], outcome["separation"]
    if reason == "diverged":
        return reason
    if separation in ("complete", "quasi-complete"):
        return separation
    if outcome["converged"]:
        return ""
    if reason == "precision" and not math.isfinite(relative):
        return "no curvature"
    small = relative <= 1e-6 and separation != "undecided"
    silent = {"max_iter": descends and not asked, "time_limit": many, "precision": small and not asked}
    return "" if silent.get(reason, True) else reason


def _strongest(problem: Problem, direction: np.ndarray | None, names: tuple[str, ...] | None) -> str:
    """Name the features that separate the classes the most."""
    if direction is None or problem.is_reduced:
        return ""
    sizes = np.max(np.abs(direction[:-1, 0, :]), axis=1)  # of features of one variance
    strongest = [number for number in np.argsort(-sizes)[:3].tolist() if sizes[number] > NAMED * sizes.max()]
    called = [str(number) if names is None else repr(names[number]) for number in strongest]
    return f" (strongest in the features {', '.join(called)})"


def _wider(problem: Problem, stored: str) -> str:
    """Name a wider dtype as a remedy for rounding, as part of a sentence."""
    if stored == "float32":
        return "X of float64, or "
    return "dtype='float64', or " if problem.source.dtype == "float32" else ""


def concluded(
    origin: Origin,
    problem: Problem,
    options: Options,
    checkpoint: Monitor | None = None,
    result: Result | None = None,
    hard: bool = True,
) -> tuple[Problem, Result, Verdict]:
    """Solve a problem and judge the result. Try other coordinates if rounding errors spoil the first.

    ``hard``: whether the targets are labels.
    """
    result = solve(problem, options, checkpoint) if result is None else result
    verdict = judge(problem, result, options, origin.dtype_home, origin.names, final=False)
    for final in (False, False, True):
        if verdict.again is None:
            break
        before, known = (problem, result), verdict
        problem = verdict.again
        result = solve(problem, options, checkpoint)
        if problem.solver == "gd":  # which began anew
            result = dataclasses.replace(result, passes=before[1].passes + result.passes)
        else:
            result = before[1].followed_by(result)
        verdict = judge(problem, result, options, origin.dtype_home, origin.names, final=final)
        cost = verdict.outcome["cost"]
        if not cost <= known.outcome["cost"] * (1.0 + HIGHER) and problem.solver != "gd":  # the first were better
            (problem, result), verdict = before, known
            break
    if verdict.said is not None:
        warn(*verdict.said)
    elif options.relax is not None and verdict.outcome["reason"] not in STOPPED and verdict.parameters.w.any():
        problem = problem._replace(passes=verdict.outcome["passes"] - result.passes)  # those of all but the solver
        problem, again = relaxed(problem, result, verdict.parameters.w, options, hard)
        result = result.followed_by(solve(problem, again, checkpoint))
        note = verdict.outcome["note"]
        problem, result, verdict = concluded(origin, problem, again, checkpoint, result)
        verdict = verdict._replace(covariance=AFTER_SELECTION, outcome=verdict.outcome | {"note": note})
    return problem, result, verdict


def model_of(
    origin: Origin,
    encoded: labels.Targets,
    options: Options,
    problem: Problem,
    costs: np.ndarray,
    verdict: Verdict,
    seconds: float,
) -> Model:
    """Make a model whose parameters live where X came from; ``options`` are those that the user gave."""
    _warn_of_rounding(origin, problem)
    info = FitInfo(
        solver=problem.solver,
        backend=origin.backend,
        device=origin.device,
        dtype=origin.dtype,
        fallback=origin.fallback,
        seconds=seconds,
        **verdict.outcome,
    )
    return Model(
        classes=encoded.classes,
        samples=origin.samples,
        loss=problem.objective.loss.name,
        costs=costs,
        fit_info=info,
        covariance=verdict.covariance,
        score_shift=score_shift(verdict.shift, options.prior, problem.source),
        feature_names=origin.names,
        encoding=origin.encoding,
        offset=problem.given.has_offset,
        **asked_for(options),
        **parameters_at(origin, verdict.parameters),
    )


def _warn_of_rounding(origin: Origin, problem: Problem) -> None:
    """Warn of features that floats hold too coarsely: large integers that became floats before they were centred."""
    spread = problem.spread
    coarser = max((origin.dtype_home, origin.dtype), key=ROUNDING.__getitem__)
    if spread is None:
        return
    step = np.abs(spread.mean[:, 0]) * ROUNDING[coarser]
    if step.max() < 1.0:
        return
    if "int" in origin.dtype_given and np.any(problem.coordinates.center != 0.0):
        return
    deviation = np.sqrt(spread.variance[:, 0])
    lost = np.flatnonzero((step >= 1.0) & (step > COARSE * deviation) & (deviation > 0.0)).tolist()
    if lost:
        names = [repr(origin.names[j]) if origin.names else str(j) for j in lost]
        warn(
            f"{coarser} rounds large values of X by up to {float(np.max(step[lost] / deviation[lost])):.1g} standard "
            f"deviations in the features {listed(names)}: subtract a number from these before they become floats, or "
            "hand in an X of integers alone, with a bias",
            PrecisionWarning,
        )


def parameters_at(origin: Origin, parameters: Parameters) -> dict[str, Array]:
    """Put the parameters of a model where X came from."""
    there = {name: value for name, value in parameters._asdict().items() if value is not None}
    return {name: origin.home.put(value, origin.dtype_home) for name, value in there.items()}
