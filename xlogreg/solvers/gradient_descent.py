"""Gradient descent exactly as in the notes (1.4, 2.4): theta -= alpha dTheta, a fixed rate, from a given start."""

from collections.abc import Callable

from xlogreg.arrays.place import HOST, Array, array_namespace, to_host
from xlogreg.math.logistic import update
from xlogreg.solvers.objective import Objective
from xlogreg.solvers.result import Monitor, Result

__all__ = ["minimize"]

LOOK = 50  # iterations between two looks at the costs: each look waits for the device


def minimize(
    objective: Objective,
    start: Array,
    *,
    learning_rate: float,
    max_iter: int,
    enough: Callable[[Array], bool] | None = None,
    monitor: Monitor | None = None,
) -> Result:
    """Make ``max_iter`` updates; fewer if the run diverges, ``monitor`` stops it, or ``enough`` says so.

    Parameters
    ----------
    objective : Objective
        It lives where ``start`` lives. If that is the device of the samples, nothing waits for the device between two
        looks.
    start : array (n_x + 1, g, k)
    learning_rate : float
    max_iter : int
    enough : callable, optional
        Asked at each look whether theta is good enough.
    monitor : callable, optional

    Returns
    -------
    Result
        It has no gap. The reason is "max_iter", "converged", "diverged", or the one that the monitor gives;
        ``costs[i]`` is J before update i, on the host.
    """
    xp = array_namespace(start)
    theta, at, reason, said = start, start, "max_iter", ""
    costs: list[Array] = []
    seen = HOST.xp.empty((0, start.shape[1]))  # the costs that have come to the host
    for iteration in range(max_iter):
        here, at = objective.evaluate(theta), theta
        if monitor is not None and (said := monitor(iteration, theta, here, None)):
            reason = said
            break
        costs.append(here.value)
        theta = update(theta, here.gradient, learning_rate)
        if len(costs) in (1, max_iter) or len(costs) % LOOK == 0:  # the first look finds X that is not finite
            seen = HOST.xp.concat([seen, to_host(xp.stack(costs[len(seen) :]))])
            if _runs_away(seen[-LOOK:], seen[0], last=len(costs) == max_iter):
                reason = "diverged"
                break
            if enough is not None and enough(theta):
                reason = "converged"
                break
    passes = len(costs) + (said != "")
    return Result(
        theta=theta,
        reason=reason,
        iterations=len(costs),
        passes=passes,
        costs=seen if len(seen) == len(costs) else HOST.xp.concat([seen, to_host(xp.stack(costs[len(seen) :]))]),
        last=here,
        at=at,
        gap=None,
    )


def _runs_away(window: Array, first: Array, last: bool) -> bool:
    """Whether the costs (looks, g) of some model diverge.

    They diverge if they are not finite, or if their later half is above the first cost, and is also above their earlier
    half unless this is the last look. A rate that is merely large makes the cost swing; a divergent rate lifts even its
    lowest points.
    """
    xp = array_namespace(window)
    if not bool(xp.all(xp.isfinite(window))):
        return True
    half = window.shape[0] // 2
    if half < 1:
        return False
    low, high = xp.min(window[half:, :], axis=0), xp.max(window[:half, :], axis=0)
    return bool(xp.any((low > first) & ((low > high) | last)))
