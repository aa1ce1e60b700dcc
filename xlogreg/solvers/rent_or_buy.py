"""Gradients first, and a better metric where it is cheaper to buy one than to go on without.

L-BFGS starts at the model without features, in coordinates in which all features are alike. There the Hessian is that
of the classes' shares times the second moment S of the features: p (1 - p) S for two classes, and A (x) S with
A = diag(p) - p p' for a softmax. It is the first metric if it costs no more than a few gradients; else the diagonal is.
At each step the rule compares prices: that of the steps which are left at the present rate, and those of better
metrics, each with the steps that are left after it. A Hessian of all samples is for sale, Hessians of subsets for two
classes, and for a softmax the first metric with the curvature of the classes at the present theta. So no choice is much
dearer than the best one (Karlin, Manasse, Rudolph & Sleator, Competitive snoopy caching, 1988).
"""

import dataclasses
import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from xlogreg.samples.source import Samples
from xlogreg.solvers import descent
from xlogreg.solvers.certificate import EXPANSION_LIMIT
from xlogreg.solvers.coordinates import Coordinates, Spread, measure_moments
from xlogreg.solvers.kronecker import Basis, Kronecker
from xlogreg.solvers.objective import Evaluation, Objective
from xlogreg.solvers.preconditioners import Diagonal, Inverse, Preconditioner, eigen, grounded
from xlogreg.solvers.prices import HOST, prices_on
from xlogreg.solvers.quasi_newton import Pairs, QuasiNewton
from xlogreg.solvers.result import Clock, Monitor, Result
from xlogreg.solvers.spectral_lbfgs import Axes, pairs_that_fit, projected, renew, units

__all__ = ["minimize", "renting_pays"]

FEATURES = 5000  # beyond so many, the principal axes of a subset tell more than the pairs of L-BFGS do
DEAR_HESSIAN = 2.7  # gradients that a Hessian costs, from which on gradients are tried first
DEARER_HESSIAN = 4.0  # the same where subsets could stand for all samples from the start
MOST_NUMBERS = 1e7  # numbers of X, beyond which subsets tell the axes at a small share of the passes
MANY_SAMPLES = 50  # for each feature, from which on subsets stand for large data
FEW_GRADIENTS = 4.0  # gradients that the first metric may cost
FEW_OF_CLASSES = 40.0  # the same for a softmax, which takes more steps
SUBSETS = (10, 40, 160, 640)  # samples for each feature, in the subsets whose Hessians are for sale
MOST_NOISE = 0.5  # largest rate of L-BFGS after a purchase
RATE_STEPS = 3  # steps, at least, whose mean rate predicts the steps that are left
WATCHED = 0.2  # of the price of a metric that gradients have to cost before it is bought: these tell the rate
FASTEST, SLOWEST = 1e-4, 0.95  # rates that a prediction may use
MARGIN = 1.8  # a Hessian is bought if it saves this factor
DRIFT = 3.0  # times gap / cost: rate of L-BFGS with a fresh Hessian, whose curvature changes by about as much
STILL = 3e-3  # least rate of it
CHANGED = 0.8  # of the cost at which a metric was made, from which on it may be adapted to theta
MEMORY = 30  # pairs of L-BFGS for two classes
RESCALING = 0.5  # of a metric of a softmax, which is right in most directions


def renting_pays(source: Samples, k: int, subset: bool) -> bool:
    """Whether a Hessian costs so many gradients that gradients are tried first.

    ``subset`` says whether subsets could stand for the samples from the start. On a device, drawing them takes longer
    than a few gradients, so they stand aside. Elsewhere the prices are those of a host that has X in memory.
    """
    size, numbers, prices = (source.m, source.n_x, k), source.m * source.n_x, prices_on(source.place)
    if not source.is_here or source.is_read or source.n_x > FEATURES:
        return False
    if source.place.is_device:
        return k == 1 and subset and source.dense
    if not source.place.small_blocks or numbers > MOST_NUMBERS:
        return False
    if (k > 1 or (subset and source.m >= MANY_SAMPLES * source.n_x)) and numbers > HOST.cached:
        return False
    if k > 1 and prices.moment(*size) > FEW_OF_CLASSES * prices.gradient(*size):
        return False
    return prices.hessian(*size) > (DEARER_HESSIAN if subset else DEAR_HESSIAN) * prices.gradient(*size)


class Bought(NamedTuple):
    """A metric, the evaluation at its theta, if that was a by-product, and the passes that both took.

    ``adapted`` says whether what L-BFGS has learnt holds on.
    """

    metric: Preconditioner
    here: Evaluation | None
    passes: float
    adapted: bool = False


class Good(NamedTuple):
    """A metric for sale.

    Attributes
    ----------
    price : float
        Seconds.
    noise : float
        Least rate of L-BFGS with it at the start, since it comes from a subset.
    buy : callable
        Makes it at theta (n_x + 1, 1, k).
    adapts : bool
        Whether it is the present metric, adapted to theta. This is taken to halve the number of steps that are left.
    """

    price: float
    noise: float
    buy: Callable[[np.ndarray], Bought]
    adapts: bool = False


class Rent:
    """A judge that ends a run where a metric is cheaper than the steps that are left; ``chosen`` is that metric.

    ``step`` is the price of a gradient, and ``null`` the cost of the model without features. Where the cost is less,
    fewer samples make up the Hessian, and a subset tells less of it. ``clock`` tells for which there is no time.
    """

    def __init__(self, goods: list[Good], step: float, null: float, tol: float, clock: Clock | None = None) -> None:
        self.goods, self.step, self.null, self.tol, self.clock = goods, step, null, tol, clock
        self.gaps, self.first = list[float](), math.inf
        self.chosen: Good | None = None

    def sees(self, gap: float, value: float) -> str:
        self.first = self.first if self.gaps else value
        self.gaps.append(gap if gap > 0.0 else math.inf)  # rounding may have left nothing to tell a rate by
        goal = max(self.tol, 1e-15) * abs(value)
        if not 0.0 < goal < gap < math.inf:
            return ""
        losses = [self._loss(good, math.log(gap / goal), value) for good in self.goods]
        least = min(losses, default=0.0)
        if least >= 0.0:
            return ""
        self.chosen = self.goods[losses.index(least)]
        late = self.clock is not None and not self.clock.allows(self.chosen.price / self.step)
        return "" if late else "slow"

    def _loss(self, good: Good, far: float, value: float) -> float:
        """Seconds that are lost by buying the metric, if the gap has to be divided by exp(far)."""
        steps, seen = max(RATE_STEPS, int(WATCHED * good.price / self.step)), len(self.gaps) - 1
        if seen < steps - 1:
            return math.inf
        steps = min(steps, seen)
        rate = (self.gaps[-1] / self.gaps[-1 - steps]) ** (1.0 / steps)
        stay = far / -math.log(min(max(rate, FASTEST), SLOWEST)) * self.step
        if good.adapts:
            return good.price - 0.5 * stay if value <= CHANGED * self.first else math.inf
        after = max(DRIFT * self.gaps[-1] / abs(value), good.noise * self.null / abs(value), STILL)
        total = good.price + max(1.0, far / -math.log(after)) * self.step if after <= MOST_NOISE else math.inf
        return MARGIN * total - stay


def minimize(
    objective: Objective,
    source: Samples,
    start: np.ndarray,
    *,
    spread: Spread,
    coordinates: Coordinates,
    rng: np.random.Generator,
    tol: float,
    max_iter: int,
    monitor: Monitor | None = None,
    clock: Clock | None = None,
) -> Result:
    """Minimise the cost of one model; theta is on the host.

    Parameters are those of `sampled_newton.minimize`, for a start (n_x + 1, 1, k).
    """
    k = start.shape[2]
    step = prices_on(source.place).gradient(source.m, source.n_x, k)
    if k == 1:
        bought, goods = _of_two_classes(objective, source, start, spread, coordinates, rng)
        kind: dict[str, Any] = {"memory": MEMORY}
    else:
        bought, goods = _of_classes(objective, source, spread)
        kind = {"memory": pairs_that_fit(source, start.size), "rescaling": RESCALING}
    found: Result | None = None
    theta, passes, pairs, sure = start, bought.passes, Pairs(), False
    while True:
        method = QuasiNewton(bought.metric, pairs, patience=1 if sure else 2, **kind)
        judge, here = Rent(goods, step, spread.null, tol, clock), bought.here
        steps = max_iter - (0 if found is None else found.iterations)
        run: dict[str, Any] = {"tol": tol, "max_iter": steps, "monitor": monitor}
        last = descent.minimize(objective, theta, method=method, rent=judge, here=here, **run)
        found, theta = last if found is None else found.followed_by(last), last.theta
        if found.reason != "slow" or found.iterations >= max_iter:
            break
        assert judge.chosen is not None
        bought = judge.chosen.buy(theta)
        if judge.chosen.noise > 0.0:  # what a subset does not hold, no other subset of its size may hold
            goods = [good for good in goods if good.noise < judge.chosen.noise]
        bought = bought if bought.here is not None else bought._replace(here=last.last)
        passes += bought.passes
        pairs = last.method.pairs if bought.adapted else ()
        if not bought.adapted:
            goods, sure = [good for good in goods if not good.adapts], True
    reason = "max_iter" if found.reason == "slow" else found.reason
    return dataclasses.replace(found, passes=found.passes + passes, reason=reason)


def _of_two_classes(
    objective: Objective,
    source: Samples,
    theta: np.ndarray,
    spread: Spread,
    coordinates: Coordinates,
    rng: np.random.Generator,
) -> tuple[Bought, list[Good]]:
    """Make the first metric of a model of one output, the Hessian at theta or its diagonal; return it and the goods."""
    m, n_x, shares, prices = source.m, source.n_x, spread.shares, prices_on(source.place)
    subset = partial(_of_subset, objective, source, spread, coordinates, rng)
    least = n_x / float(np.min(shares))  # so that the rarest class has a sample for each feature
    counts = [factor * n_x for factor in SUBSETS if least <= factor * n_x < m / 2]
    goods = [Good(prices.subset(count, n_x), n_x / count, partial(subset, count)) for count in counts]
    goods.append(Good(prices.hessian(m, n_x), 0.0, partial(_of_all, objective)))
    if prices.moment(m, n_x) <= FEW_GRADIENTS * prices.gradient(m, n_x):
        return _of_all(objective, theta), goods
    diagonal = np.asarray(objective.penalty.curvature(theta)) + max(float(spread.curvature[0, 0]), 1e-3)
    return Bought(Diagonal(np.where(objective.free > 0, diagonal, 1.0)), None, 0.0), goods


def _of_classes(objective: Objective, source: Samples, spread: Spread) -> tuple[Bought, list[Good]]:
    """Make the first metric of a softmax, A (x) S plus the penalty; return it and the goods."""
    size, prices = (source.m, source.n_x, len(spread.shares)), prices_on(source.place)
    l2 = float(objective.penalty.strength[0])
    T = units(objective, l2)
    values, U = eigen(objective.second_moment() / T / T.T)
    a, Q = eigen(spread.curvature)
    basis, diagonal = Basis(T, U, values), values[:, None] * np.maximum(a, 0.0)
    first = Kronecker.from_factors(basis, a, Q, diagonal, l2, objective.precision)

    @cache
    def axes() -> Axes:
        whole = source.gathered()
        left = objective.over(whole).in_blocks((U / T)[:, None, :] * objective.rows)[1][:, 0, :]
        return Axes(basis, whole, projected(whole, left[:-1], left[-1:]), 1.0)

    def adapted(theta: np.ndarray) -> Bought:
        return Bought(renew(objective, axes(), theta), None, 1.0, adapted=True)

    goods = [Good(3.0 * prices.gradient(*size), 0.0, adapted, adapts=True)]
    if U.shape[0] * size[2] <= EXPANSION_LIMIT:
        goods.append(Good(prices.hessian(*size), 0.0, partial(_of_all, objective)))
    return Bought(first, None, 1.0), goods


def _of_all(objective: Objective, theta: np.ndarray) -> Bought:
    """Invert the Hessian of all samples at theta."""
    here, k = objective.expand(theta), theta.shape[2]
    assert here.hessian is not None
    H = here.hessian if k == 1 else grounded(here.hessian, k, objective.precision)
    metric = Inverse.from_hessians(H, objective.precision, objective.shift(theta))
    return Bought(metric, here, 1.0)


def _of_subset(
    objective: Objective,
    source: Samples,
    spread: Spread,
    coordinates: Coordinates,
    rng: np.random.Generator,
    count: int,
    theta: np.ndarray,
) -> Bought:
    """Invert the Hessian of a random subset of ``count`` samples at theta."""
    (subset,) = source.samples((count,), spread.shares, rng)
    here = objective.over(subset).expand(theta)
    assert here.hessian is not None
    H = here.hessian[0]
    H = measure_moments(subset, spread, coordinates).raised(H, curvature=H[-1, -1])[None, :, :]
    metric = Inverse.from_hessians(H, objective.precision, objective.shift(theta))
    return Bought(metric, None, subset.m / source.m)
