"""The relaxed lasso: the features that L1 has selected, fitted again without L1 (Meinshausen 2007, with phi = 0).

The second fit needs no copy of X. The other weights may not move from zero, and the proximal method sums Hessians of
features that may move only. It starts at the answer of the first, with all that was learnt of the curvature there.
"""

import dataclasses
from typing import Any

import numpy as np

from xlogreg.fitting.problem import Problem
from xlogreg.inputs.options import Options
from xlogreg.math.penalties import Elastic
from xlogreg.solvers.proximal import Proximal
from xlogreg.solvers.result import Result

__all__ = ["relaxed"]


def relaxed(problem: Problem, result: Result, w: np.ndarray, options: Options, hard: bool) -> tuple[Problem, Options]:
    """Pose the second fit, and return it with its options.

    Parameters
    ----------
    problem : Problem
        That of the first fit.
    result : Result
    w : ndarray (n_x, k)
        The weights that it found.
    options : Options
    hard : bool
        Whether the targets are labels, so that the selected features may separate the classes.
    """
    again = dataclasses.replace(options, l1=0.0, l2=float(options.relax or 0.0), relax=None)
    objective, penalty, strength = problem.objective, problem.objective.penalty, np.asarray([again.strength])
    bounded = isinstance(penalty, Elastic) and penalty.lower is not None
    penalty = penalty.of_both(np.zeros(1), strength) if bounded else penalty.of_strengths(strength)
    free = objective.free * np.append(np.any(w != 0, axis=1), True)[:, None, None]
    separable = hard and not penalty.holds(free)[0]
    objective = dataclasses.replace(objective, penalty=penalty, free=free, separable=separable)
    changed: dict[str, Any] = {"objective": objective, "full": objective, "start": result.at * free, "warm": True}
    known = result.method.learnt(result) if isinstance(result.method, Proximal) else None
    return problem._replace(**changed, known=known), again
