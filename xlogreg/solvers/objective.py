"""Cost, gradient and Hessian of the training set: the sums of a `Source` plus the penalty.

J(w, b) = (1/s) sum_i s_i L(a_i, y_i) + h(w), where s is the sum of the sample weights; b is never penalised.

Inside the engine theta (n_x + 1, g, k) may be in other coordinates than the user's: for X~ = (X - c) / scale
it is (u, v) with w = u / scale and b = v - w'c, and the penalty knows the units of u. Code that only evaluates an
objective does not need to know this.
"""

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from xlogreg.arrays.place import ROUNDING, Array, Place, array_namespace, device_of, to_host
from xlogreg.math.losses import Loss
from xlogreg.math.moves import proof_terms, recession_terms, restless_terms, tied_terms
from xlogreg.math.penalties import Penalty
from xlogreg.math.sums import (
    correlation_terms,
    curvature_terms,
    expansion_terms,
    gradient_terms,
    hessian_terms,
    hessian_times_terms,
    moment_terms,
    pass_terms,
    second_moment_terms,
)
from xlogreg.samples.source import Source

__all__ = ["DUST", "Evaluation", "Objective"]

DUST = 1e-13  # a sum below this share of its terms is a rounding error: its true value is zero


class Evaluation(NamedTuple):
    """Value, gradient and Hessian of the objective at one theta, for g models."""

    value: Array  # (g,)
    loss: Array  # (g,): the value without the penalty
    gradient: Array  # (n_x + 1, g, k)
    separated: Array  # (g,) bool: every sample is strictly on its own side, so there is no minimum
    hessian: Array | None = None  # (g, (n_x + 1) k, (n_x + 1) k), rows in the order of theta[:, j, :] flattened

    def keep(self, models: Array) -> "Evaluation":
        """Return the evaluation of some models, given by number, without the Hessian."""
        xp = array_namespace(models)
        value, loss, separated = (xp.take(part, models, axis=0) for part in (self.value, self.loss, self.separated))
        return Evaluation(value, loss, xp.take(self.gradient, models, axis=1), separated)

    def where(self, mask: Array, other: "Evaluation") -> "Evaluation":
        """Take this evaluation for the models in the mask (g,) and ``other`` for the rest, without the Hessian."""
        xp = array_namespace(mask)
        pairs = zip(self[:4], other[:4], strict=True)
        return Evaluation(*(xp.where(xp.reshape(mask, (1, -1, 1)) if a.ndim == 3 else mask, a, b) for a, b in pairs))


@dataclass(frozen=True)
class Objective:
    """The function that a solver minimises, for g models that share their samples.

    Attributes
    ----------
    source : Source
        The samples.
    loss : Loss
    penalty : Penalty
    inverse_scale : array (n_x, 1, 1)
        1 / scale: the (centred) X of the source times this factor is in the coordinates of theta.
    free : array (n_x + 1, 1, 1), or (n_x + 1, g, 1) where each model has its own
        1 for the rows of theta that may move, 0 for the others (for example, the bias of a model without a bias). These
        stay at the values that they have in theta.
    center : array (n_x, 1, 1), or None
        The centre, if rounding allows to subtract it in the parameters instead of from X: [X - center; 1] = T [X; 1].
        Sums are then taken over X as it is stored, and no number of X has to be changed.
    folded : bool
        Whether rounding allows this for Hessians and second moments, too, which become T H T'.
    unscaled, unpenalized : bool
        Whether all of inverse_scale are known to be one, and all strengths of the penalty zero; it saves calls.
    separable : bool
        Whether the cost may have no minimum: if the features without a penalty separate the classes. Hard labels are
        needed.

    Notes
    -----
    penalty, inverse_scale and free live where theta lives, and so do the results. The samples may live
    elsewhere: only arrays of theta's size are copied.
    """

    source: Source
    loss: Loss
    penalty: Penalty
    inverse_scale: Array
    free: Array
    separable: bool
    center: Array | None = None
    folded: bool = False
    unscaled: bool = False
    unpenalized: bool = False

    @functools.cached_property
    def factors(self) -> Array:
        """Factors (n_x + 1, 1, 1) that turn theta into parameters for the X of the source."""
        xp = array_namespace(self.free)
        return xp.concat([self.inverse_scale, xp.ones_like(self.inverse_scale[:1, :, :])], axis=0)

    @functools.cached_property
    def rows(self) -> Array:
        """The same factors for moves of theta, in the shape of `free`: 0 for the rows that may not move."""
        return self.free * self.factors

    @functools.cached_property
    def _endless(self) -> Array:
        """The same factors for moves that no penalty stops: 0 for the rows that are penalised, too."""
        xp = array_namespace(self.free)
        return xp.where(self.penalty.mask, xp.zeros_like(self.rows), self.rows)

    @functools.cached_property
    def total(self) -> float | Array:
        """Sum of the sample weights; an array (1, g, 1) if each model has its own weights."""
        total = self.source.total_weight
        return total if isinstance(total, float) else array_namespace(self.free).reshape(total, (1, -1, 1))

    @functools.cached_property
    def means(self) -> Array:
        """Factors that turn sums over the samples into means, for the rows of theta."""
        return self.rows / self.total

    @property
    def models(self) -> int:
        """Number g of models."""
        return self.penalty.strength.shape[0]

    @functools.cached_property
    def _shifts(self) -> dict[int, Array]:
        return {}

    @functools.cached_property
    def _sides(self) -> dict[int, tuple[Array, Array]]:
        return {}

    @property
    def noise(self) -> float:
        """Relative rounding error of values and gradients, which is that of the computing dtype."""
        return ROUNDING[self.source.dtype]

    @property
    def precision(self) -> float:
        """Relative rounding error of Hessians, which is that of the widest dtype of the place that computes."""
        return ROUNDING[self.source.place.widest]

    def on(self, place: Place) -> "Objective":
        """Return this objective for a theta that lives on ``place``."""
        moved: dict[str, Any] = {
            name: place.put(getattr(self, name), place.widest)
            for name in ("inverse_scale", "free", "center")
            if getattr(self, name) is not None
        }
        moved["unscaled"] = bool((to_host(self.inverse_scale) == 1.0).all())
        moved["unpenalized"] = self.penalty.quadratic and not bool(to_host(self.penalty.strength).any())
        return dataclasses.replace(self, penalty=self.penalty.put(place), **moved)

    def widened(self) -> "Objective":
        """Return this objective, computed in the widest float of the place."""
        narrow = self.source.dtype != self.source.place.widest
        return dataclasses.replace(self, source=self.source.widened()) if narrow else self

    def keep(self, models: Array) -> "Objective":
        """Return the objective of some models, given by number: models that have converged leave the batch."""
        free = self.free if self.free.shape[1] == 1 else array_namespace(self.free).take(self.free, models, axis=1)
        return dataclasses.replace(self, source=self.source.keep(models), penalty=self.penalty.keep(models), free=free)

    def evaluate(self, theta: Array) -> Evaluation:
        """Compute value and gradient in one pass. A theta (n_x + 1, 1, k) stands for all models."""
        source, parameters = self.in_blocks(theta if self.unscaled else theta * self.factors)
        terms = pass_terms if self.separable else gradient_terms
        losses, dTheta, *unsettled = source.sum(terms, parameters, self.loss)
        return self._finish(theta, losses, dTheta if self.center is None else self._shifted(dTheta), None, *unsettled)

    def over(self, source: Source) -> "Objective":
        """Return this objective over other samples of X, whose blocks are centred if they can be."""
        return dataclasses.replace(self, source=source, center=None if source.shifts else self.center)

    def of_features(self, source: Source, rows: Array) -> "Objective":
        """Return this objective over ``source``, which holds some of the features: those of these rows of theta."""
        penalty = self.penalty.of_rows(rows)
        kept = {"inverse_scale": self.inverse_scale[rows[:-1]], "free": self.free[rows], "penalty": penalty}
        inside = None if self.center is None or source.shifts else self.center[rows[:-1]]
        return dataclasses.replace(self, source=source, center=inside, folded=inside is not None, **kept)

    def in_blocks(self, parameters: Array) -> tuple[Source, Array]:
        """Return a source and the parameters for its blocks: of X itself, if the centre may be in the parameters.

        ``parameters`` (n_x + 1, g, k) are those for centred blocks: theta times `factors`, or a move times `rows`.
        """
        if self.center is None:
            return self.source, parameters
        xp = array_namespace(parameters)
        W, b = parameters[:-1, :, :], parameters[-1:, :, :]
        parameters = xp.concat([W, b - xp.sum(W * self.center, axis=0, keepdims=True)], axis=0)
        return self.source.uncentered(), parameters

    def expand(self, theta: Array) -> Evaluation:
        """Compute value, gradient and Hessian in one pass."""
        folded = self.folded and self.center is not None
        source, parameters = self.in_blocks(theta * self.factors) if folded else (self.source, theta * self.factors)
        terms = expansion_terms if self.separable else hessian_terms
        losses, dTheta, *unsettled, H = source.sum(terms, parameters, self.loss)
        if folded:
            dTheta, H = self._shifted(dTheta), self._shifted_twice(H, theta.shape[2])
        left, right = self._scales(theta.shape[2])
        H = H * left * right + self.shift(theta)
        return self._finish(theta, losses, dTheta, H, *unsettled)

    def _scales(self, k: int) -> tuple[Array, Array]:
        """Factors of the summed Hessians (g, p, p), from the left (g, p, 1) and from the right (g, 1, p)."""
        if k not in self._sides:
            scale = (self.rows[:, :, 0] if k == 1 else _repeat(self.rows, k)).T[:, :, None]
            total = self.total if isinstance(self.total, float) else self.total[0, :, :, None]
            self._sides[k] = scale / total, array_namespace(scale).matrix_transpose(scale)
        return self._sides[k]

    def _shifted(self, dTheta: Array) -> Array:
        """Turn sums over [X; 1] (n_x + 1, g, k) into sums over [X - center; 1]."""
        xp, db = array_namespace(dTheta), dTheta[-1:, :, :]
        return xp.concat([dTheta[:-1, :, :] - self.center * db, db], axis=0)

    def _shifted_twice(self, H: Array, k: int) -> Array:
        """Turn sums over [X; 1] [X; 1]' (x) C (g, (n_x + 1) k, (n_x + 1) k) into sums over [X - center; 1]."""
        xp, (g, p, _) = array_namespace(H), H.shape
        for _ in range(2):  # H is symmetric: shift its rows, then those of its transpose
            rows = xp.reshape(xp.permute_dims(H, (1, 0, 2)), (p // k, g, k * p))
            H = xp.permute_dims(xp.reshape(self._shifted(rows), (p, g, p)), (1, 2, 0))
        return H

    @functools.cached_property
    def _fixes(self) -> bool:
        return bool(array_namespace(self.free).any(self.free == 0))

    def confined(self, move: Array) -> Array:
        """Return a move (n_x + 1, g, k) without its parts in rows that may not move."""
        return move * self.free if self._fixes else move

    def endless(self, move: Array) -> Array:
        """Return a move (n_x + 1, 1, k) without its parts in rows that may not move, or that a penalty stops."""
        return move * array_namespace(move).astype(self._endless != 0, move.dtype)

    def centered(self, theta: Array) -> Array:
        """Centre theta (n_x + 1, g, k) over the classes of a softmax: the shortest of all theta with the same scores.

        A penalty that is not quadratic may be larger there, so the rows that have one stay.
        """
        if theta.shape[2] == 1:
            return theta
        xp = array_namespace(theta)
        mean = xp.mean(theta, axis=2, keepdims=True)
        return theta - (mean if self.penalty.quadratic else xp.where(self.penalty.mask, 0.0, mean))

    @functools.cached_property
    def held(self) -> Array:
        """Models (g,) whose penalty holds every weight that may move, so that they have one minimum."""
        return self.penalty.holds(self.free)

    def shift(self, theta: Array) -> Array:
        """Matrices (g, p, p) that the penalty adds to Hessians at theta.

        A row that may not move gets a 1; its gradient is 0.
        """
        k = theta.shape[2]
        if k in self._shifts:
            return self._shifts[k]
        xp = array_namespace(theta)
        diagonal = _repeat(self.penalty.curvature(theta) * self.free + (1.0 - self.free), k)
        identity = xp.eye(diagonal.shape[0], dtype=diagonal.dtype, device=device_of(diagonal))
        shift = identity[None, :, :] * diagonal.T[:, :, None]
        if self.penalty.quadratic:
            self._shifts[k] = shift
        return shift

    def correlations(self, terms: Callable[..., tuple[Array, ...]] = correlation_terms) -> tuple[Array, Array]:
        """Means of the features x (n_x, 1, 1), and of x y' (n_x, 1, k), in the coordinates of theta: one pass.

        ``terms`` may have another value of the samples in place of the target y.
        """
        xp = array_namespace(self.rows)
        source = self.source if self.center is None else self.source.uncentered()
        sums = (xp.expand_dims(part, axis=1) for part in source.sum(terms, self.rows))
        x, xy = ((part if self.center is None else self._shifted(part)) * self.means for part in sums)
        return x[:-1, :, :], xy[:-1, :, :]

    def second_moment(self) -> Array:
        """Weighted second moment (n_x + 1, n_x + 1) of the features in theta's coordinates and a one: one pass."""
        folded = self.folded and self.center is not None
        source = self.source.uncentered() if folded else self.source
        (S,) = source.sum(second_moment_terms, self.rows)
        S = self._shifted_twice(S[None, :, :], 1)[0, :, :] if folded else S
        scale = self.rows[:, :, 0]
        return S / self.total * scale * scale.T

    def curvatures(self, theta: Array) -> Array:
        """Mean curvature (n_x + 1, g, k) of the losses along each feature and the bias, at theta: one pass."""
        source, parameters = self.in_blocks(theta * self.factors)
        squares, sums, total = source.sum(curvature_terms, parameters, self.loss)
        if self.center is not None:
            squares = squares - self.center * (2.0 * sums - self.center * total)
        return array_namespace(theta).concat([squares, total], axis=0) * self.factors**2 / self.total

    def proof(self, theta: Array, step: Array) -> tuple[Array, Array]:
        """Mean divergence of alpha from a (g,), and number of samples whose alpha is not inside (g,): one pass.

        The models are at theta (n_x + 1, g, k), with a step for each. `xlogreg.math.moves.proof_terms` explains both
        results.
        """
        source, points = self._stacked(theta * self.factors, step * self.rows)
        divergence, outside = source.sum(proof_terms, points, self.loss)
        return divergence / self.source.total_weight, outside

    def recession(self, step: Array) -> tuple[int, int, int]:
        """Count the samples that the step (n_x + 1, 1, k) moves wrongly, moves at all, and leaves tied: one pass.

        `recession_terms` defines the three counts. Only the part of the step counts that no penalty stops. If no sample
        moves wrongly and some sample moves, the cost falls along it for ever (Albert & Anderson, Biometrika 1984). If
        no sample is left tied to another class, the separation is complete.
        """
        xp = array_namespace(step)
        source, parameters = self.in_blocks(step * self._endless)
        if self.center is not None:  # the bias is a sum, too: if its terms cancel, the rest is a rounding error
            W, b, terms = parameters[:-1, :, :], parameters[-1:, :, :], xp.abs(step * self._endless)
            terms = terms[-1:, :, :] + xp.sum(terms[:-1, :, :] * xp.abs(self.center), axis=0, keepdims=True)
            parameters = xp.concat([W, xp.where(xp.abs(b) > DUST * terms, b, xp.zeros_like(b))], axis=0)
        points = xp.concat([parameters, xp.abs(parameters)], axis=0)
        wrong, moved, tied = (int(part[0]) for part in source.sum(recession_terms, points))
        return wrong, moved, tied

    def restless(self, step: Array) -> Array:
        """Number of samples (g,) of each model whose scores the step (n_x + 1, g, k) still moves: one pass."""
        source, parameters = self.in_blocks(step * self.rows)
        return source.sum(restless_terms, parameters)[0]

    def tied(self, step: Array, direction: Array) -> tuple[Array, Array]:
        """Hessian (1, p, p) of the squared moves of tied samples, and its product with a direction (n_x + 1, 1, k).

        A direction of recession must not move the tied samples; the step tells which they are: see `tied_terms`. One
        pass.
        """
        source, points = self._stacked(step * self._endless, direction * self._endless)
        H, pull = source.sum(tied_terms, points)
        k = step.shape[2]
        if source is not self.source:  # its X is not centred
            H, pull = self._shifted_twice(H, k), self._shifted(pull)
        scale = _repeat(self._endless, k)
        return H * scale * scale.T, pull * self._endless

    def _stacked(self, *points: Array) -> tuple[Source, Array]:
        """Return a source and the parameters of several points for its X, one below the other."""
        found = [self.in_blocks(point) for point in points]
        return found[0][0], array_namespace(points[0]).concat([parameters for _, parameters in found], axis=0)

    def second_moment_times(self, theta: Array) -> Array:
        """Multiply [X~; 1] [X~; 1]' / s by theta (n_x + 1, 1, 1), for X~ in the coordinates of theta: one pass."""
        source, parameters = self.in_blocks(theta * self.rows)
        (product,) = source.sum(moment_terms, parameters[:, :, 0])
        product = array_namespace(theta).expand_dims(product, axis=-1)
        return (product if self.center is None else self._shifted(product)) * self.means

    def hessian_times(self, theta: Array, move: Array) -> Array:
        """Multiply the Hessian at theta by a move (n_x + 1, g, k): one pass."""
        source, points = self._stacked(theta * self.factors, move * self.rows)
        (product,) = source.sum(hessian_times_terms, points, self.loss)
        product = (product if self.center is None else self._shifted(product)) * self.means
        return product + self.confined(self.penalty.curvature(theta) * move)

    def _finish(
        self, theta: Array, losses: Array, dTheta: Array, hessian: Array | None, unsettled: Array | None = None
    ) -> Evaluation:
        xp = array_namespace(theta)
        loss, gradient = losses / self.source.total_weight, dTheta * self.means
        separated, value = self._never, loss
        if not self.unpenalized:
            penalty = self.penalty.value(theta)
            # models that differ only in their penalty have one loss in common at one theta
            loss = loss if loss.shape == penalty.shape else loss + xp.zeros_like(penalty)
            value, gradient = loss + penalty, gradient + self.confined(self.penalty.slope(theta))
        if self.separable and unsettled is not None:
            separated = (unsettled == 0) & ~self.penalty.active & xp.isfinite(loss)
        return Evaluation(value, loss, gradient, separated, hessian)

    @functools.cached_property
    def _never(self) -> Array:
        xp = array_namespace(self.free)
        return xp.zeros((self.models,), dtype=xp.bool, device=device_of(self.free))


def _repeat(rows: Array, k: int) -> Array:
    """Repeat every row k times, (n, g, 1 or k) -> (n k, g), in the order of theta[:, j, :] flattened."""
    xp = array_namespace(rows)
    n, g, _ = rows.shape
    return xp.reshape(xp.broadcast_to(xp.permute_dims(rows, (0, 2, 1)), (n, k, g)), (n * k, g))
