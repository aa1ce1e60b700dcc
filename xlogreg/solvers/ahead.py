"""Passes over all features that several models of a path share, where few features work.

Features that may work for the next penalties are known from the slopes at the last one (the sequential strong rules of
Tibshirani et al., JRSS B 2012). On a copy of these features the next models are solved one after the other. One pass
over all features then gives the gradients of all of them, which tell whether other features should work, too.
"""

import dataclasses

import numpy as np

from xlogreg.math.penalties import Elastic
from xlogreg.solvers import descent
from xlogreg.solvers.objective import Objective
from xlogreg.solvers.proximal import INNER_STEPS, Known, Proximal

__all__ = ["AHEAD", "look_ahead"]

AHEAD = 8  # models


def look_ahead(known: Known, objectives: list[Objective], tols: list[float]) -> list[tuple[Known, float]]:
    """Solve objectives whose penalties grow weaker, and evaluate them in one pass.

    Parameters
    ----------
    known : Known
        Of the same samples, at a stronger penalty.
    objectives : list of Objective
        They differ in their penalty.
    tols : list of float
        Relative gap on the copy.

    Returns
    -------
    list of (Known, float)
        What is known at each answer, and the passes that it took; none if more than a few features may work.
    """
    penalties = [objective.penalty for objective in objectives if isinstance(objective.penalty, Elastic)]
    first, last = penalties[0], penalties[-1]
    if not known.curvature.has_parts(np.flatnonzero(np.any(known.theta != 0, axis=(1, 2)))):
        return []
    stronger = float(first.strongest(known.gradient * objectives[0].free)[0])
    rule = dataclasses.replace(last, l1=np.maximum(2.0 * last.l1 - max(stronger, float(first.l1[0])), 0.0))
    slopes = rule.least_slope(known.theta, known.gradient + last.slope(known.theta)) * objectives[0].free
    some = np.append(np.any((known.theta != 0) | (slopes != 0), axis=(1, 2))[:-1], True)
    free = objectives[0].free[:, 0, 0] > 0
    found = known.curvature.of_part(objectives[0], np.flatnonzero(np.asarray(last.whole(some)) & (free | some)))
    if found is None:
        return []
    rows, _, curvature = found
    thetas, passes, share = [], [], (len(rows) - 1) / (len(known.theta) - 1)
    inner = known._replace(curvature=curvature, pairs=(), theta=known.theta[rows], gradient=known.gradient[rows])
    for objective, tol in zip(objectives, tols, strict=True):
        part = dataclasses.replace(objective.of_features(curvature.source, rows), separable=False)
        method = Proximal(part, inner.curvature.of(part), tol, inner.pairs, parts=False)
        start, here = inner.theta, inner.at(part, inner.theta)
        run = descent.minimize(part, start, method=method, tol=tol, max_iter=INNER_STEPS, here=here)
        inner = method.learnt(run)
        theta = np.zeros_like(known.theta)
        theta[rows] = run.theta
        thetas.append(theta)
        passes.append((run.passes + inner.curvature.spent) * share)
    l1s, l2s = (np.concatenate(part) for part in zip(*((own.l1, own.strength) for own in penalties), strict=True))
    together = dataclasses.replace(objectives[0], penalty=first.of_both(l1s, l2s))
    there = together.evaluate(np.concatenate(thetas, axis=1))
    answers = []
    for number, (objective, theta, took) in enumerate(zip(objectives, thetas, passes, strict=True)):
        gradient = there.gradient[:, [number]] - objective.confined(objective.penalty.slope(theta))
        own = known._replace(pairs=(), theta=theta, loss=there.loss[[number]], gradient=gradient)
        answers.append((own, took + 1.0 / len(objectives)))
    return answers
