"""Cost, gradient and Hessian of the training set: the sums of a `Source` plus the penalty.

J(w, b) = (1/s) sum_i s_i L(a_i, y_i) + (l2/2) ||w||^2, s the sum of the sample weights; b is never penalised.

Inside the engine theta (n_x + 1, g, k) may be in other coordinates than the user's: for X~ = (X - c) / scale
it is (u, v) with w = u / scale and b = v - w'c, and the penalty on the user's w becomes (l2/2) sum_j penalty_j u_j^2.
Nothing above this file needs to know.
"""

import dataclasses
import functools
from dataclasses import dataclass
from typing import NamedTuple

from xlogreg.arrays.place import ROUNDING, Array, Place, array_namespace, device_of
from xlogreg.math.losses import Loss
from xlogreg.math.moves import proof_terms, recession_terms, restless_terms, tied_terms
from xlogreg.math.sums import (
    correlation_terms,
    expansion_terms,
    gradient_terms,
    hessian_terms,
    moment_terms,
    pass_terms,
    second_moment_terms,
)
from xlogreg.samples.source import Source

__all__ = ["DUST", "Evaluation", "Objective"]

DUST = 1e-13  # of the terms of a sum, what rounding leaves of nothing


class Evaluation(NamedTuple):
    """The objective at one theta, of g models."""

    value: Array  # (g,)
    loss: Array  # (g,): the value without the penalty
    gradient: Array  # (n_x + 1, g, k)
    separated: Array  # (g,) bool: every sample strictly on its own side, and no minimum to look for
    hessian: Array | None = None  # (g, (n_x + 1) k, (n_x + 1) k), rows in the order of theta[:, j, :] flattened

    def keep(self, models: Array) -> "Evaluation":
        """Of some of the models, by number; without the Hessian."""
        xp = array_namespace(models)
        value, loss, separated = (xp.take(part, models, axis=0) for part in (self.value, self.loss, self.separated))
        return Evaluation(value, loss, xp.take(self.gradient, models, axis=1), separated)

    def where(self, mask: Array, other: "Evaluation") -> "Evaluation":
        """Of the models of the mask (g,), and the other of the rest; without the Hessian."""
        xp = array_namespace(mask)
        pairs = zip(self[:4], other[:4], strict=True)
        return Evaluation(*(xp.where(xp.reshape(mask, (1, -1, 1)) if a.ndim == 3 else mask, a, b) for a, b in pairs))


@dataclass(frozen=True)
class Objective:
    """The function that a solver minimises, of g models that share their samples.

    Attributes
    ----------
    source : Source
        The samples.
    loss : Loss
    l2 : array (1, g, 1)
    inverse_scale : array (n_x, 1, 1)
        1 / scale: what the (centred) X of the source is multiplied by to get the coordinates of theta.
    penalty : array (n_x, 1, 1), or (n_x, g, 1) where each model has its own
        What the penalty on the square of each row of u is multiplied by.
    free : array (n_x + 1, 1, 1), or (n_x + 1, g, 1) where each model has its own
        1 for the rows of theta that may move, 0 for the others (the bias, when there is none).
    center : array (n_x, 1, 1), or None
        What the source is centred by, where rounding allows to have it in the parameters instead of in X: the
        sums of a gradient are then taken over the X that lies there, without touching every number of it.
    folded : bool
        Whether that goes for Hessians and second moments, too.
    separable : bool
        Whether separated classes mean that there is no minimum where there is no penalty: hard labels.

    Notes
    -----
    l2, inverse_scale, penalty and free live where theta lives, and so do the results; the samples may
    live elsewhere: only arrays of theta's size travel.
    """

    source: Source
    loss: Loss
    l2: Array
    inverse_scale: Array
    penalty: Array
    free: Array
    separable: bool
    center: Array | None = None
    folded: bool = False

    @functools.cached_property
    def rows(self) -> Array:
        """What theta is multiplied by to get parameters for the X of the source, of the shape of `free`."""
        xp = array_namespace(self.free)
        return self.free * xp.concat([self.inverse_scale, xp.ones_like(self.inverse_scale[:1, :, :])], axis=0)

    @functools.cached_property
    def ridge(self) -> Array:
        """The penalty on the square of each row of theta, twice (n_x + 1, g, 1): none on the bias."""
        xp = array_namespace(self.free)
        return self.l2 * self.free * xp.concat([self.penalty, xp.zeros_like(self.penalty[:1, :, :])], axis=0)

    @functools.cached_property
    def total(self) -> float | Array:
        """Sum of the weights; (1, g, 1) where each model has its own."""
        total = self.source.total_weight
        return total if isinstance(total, float) else array_namespace(self.l2).reshape(total, (1, -1, 1))

    @functools.cached_property
    def _shifts(self) -> dict[int, Array]:
        return {}

    @functools.cached_property
    def _sides(self) -> dict[int, tuple[Array, Array]]:
        return {}

    @property
    def noise(self) -> float:
        """Relative rounding error of values and gradients: the computing dtype's."""
        return ROUNDING[self.source.dtype]

    @property
    def precision(self) -> float:
        """Relative rounding error of Hessians: the widest dtype's of the place that computes."""
        return ROUNDING[self.source.place.widest]

    def on(self, place: Place) -> "Objective":
        """The same objective for a theta that lives on ``place``."""
        moved = {
            name: place.put(getattr(self, name), place.widest)
            for name in ("l2", "inverse_scale", "penalty", "free", "center")
            if getattr(self, name) is not None
        }
        return dataclasses.replace(self, **moved)

    def widened(self) -> "Objective":
        """The same objective, computed with in the widest float of the place."""
        narrow = self.source.dtype != self.source.place.widest
        return dataclasses.replace(self, source=self.source.widened()) if narrow else self

    def keep(self, models: Array) -> "Objective":
        """The same for some of the models only, by number: those that have converged leave the batch."""
        xp = array_namespace(self.l2)
        own = {
            name: xp.take(part, models, axis=1)
            for name in ("l2", "penalty", "free")
            if (part := getattr(self, name)).shape[1] > 1
        }
        return dataclasses.replace(self, source=self.source.keep(models), **own)

    def evaluate(self, theta: Array) -> Evaluation:
        """Value and gradient: one pass. A theta (n_x + 1, 1, k) stands for all models."""
        source, parameters = self._uncentered(theta)
        terms = pass_terms if self.separable else gradient_terms
        losses, dTheta, *unsettled = source.sum(terms, parameters, self.loss)
        dTheta = dTheta if self.center is None else self._shifted(dTheta)
        return self._finish(theta, losses, dTheta, *unsettled)

    def _uncentered(self, theta: Array) -> tuple[Source, Array]:
        """A source, and the parameters for its X: the X that lies there, where the centre may be in the parameters."""
        parameters = theta * self.rows
        if self.center is None:
            return self.source, parameters
        xp = array_namespace(theta)
        W, b = parameters[:-1, :, :], parameters[-1:, :, :]
        parameters = xp.concat([W, b - xp.sum(W * self.center, axis=0, keepdims=True)], axis=0)
        return self.source.uncentered(), parameters

    def expand(self, theta: Array) -> Evaluation:
        """Value, gradient and Hessian: one pass."""
        folded = self.folded and self.center is not None
        source, parameters = self._uncentered(theta) if folded else (self.source, theta * self.rows)
        terms = expansion_terms if self.separable else hessian_terms
        losses, dTheta, *unsettled, H = source.sum(terms, parameters, self.loss)
        if folded:
            dTheta, H = self._shifted(dTheta), self._shifted_twice(H, theta.shape[2])
        left, right = self._scales(theta.shape[2])
        H = H * left * right + self.shift(theta.shape[2])
        return self._finish(theta, losses, dTheta, *unsettled)._replace(hessian=H)

    def _scales(self, k: int) -> tuple[Array, Array]:
        """What Hessians (g, p, p) of sums are multiplied by from the left (g, p, 1) and from the right (g, 1, p)."""
        if k not in self._sides:
            scale = (self.rows[:, :, 0] if k == 1 else _repeat(self.rows, k)).T[:, :, None]
            total = self.total if isinstance(self.total, float) else self.total[0, :, :, None]
            self._sides[k] = scale / total, array_namespace(scale).matrix_transpose(scale)
        return self._sides[k]

    def _shifted(self, dTheta: Array) -> Array:
        """Sums over [X; 1] (n_x + 1, g, k) as those over [X - center; 1]."""
        xp, db = array_namespace(dTheta), dTheta[-1:, :, :]
        return xp.concat([dTheta[:-1, :, :] - self.center * db, db], axis=0)

    def _shifted_twice(self, H: Array, k: int) -> Array:
        """Sums over [X; 1] [X; 1]' (x) C (g, (n_x + 1) k, (n_x + 1) k) as those over [X - center; 1]."""
        xp, (g, p, _) = array_namespace(H), H.shape
        for _ in range(2):  # H is symmetric: shift its rows, then those of its transpose
            rows = xp.reshape(xp.permute_dims(H, (1, 0, 2)), (p // k, g, k * p))
            H = xp.permute_dims(xp.reshape(self._shifted(rows), (p, g, p)), (1, 2, 0))
        return H

    def shift(self, k: int) -> Array:
        """What the penalty adds to Hessians (g, p, p); a row that may not move gets a 1, and gradient 0."""
        if k not in self._shifts:
            xp = array_namespace(self.ridge)
            diagonal = _repeat(self.ridge + (1.0 - self.free), k)
            identity = xp.eye(diagonal.shape[0], dtype=diagonal.dtype, device=device_of(diagonal))
            self._shifts[k] = xp.stack([identity * diagonal[:, j : j + 1] for j in range(diagonal.shape[1])])
        return self._shifts[k]

    def correlations(self) -> tuple[Array, Array]:
        """Means of the features x (n_x, 1, 1), and of x y' (n_x, 1, k), in the coordinates of theta: one pass."""
        xp = array_namespace(self.rows)
        x, xy = self.source.sum(correlation_terms, self.rows)
        scale = self.rows[:-1, :, :] / self.total
        return xp.expand_dims(x, axis=1) * scale, xp.expand_dims(xy, axis=1) * scale

    def second_moment(self) -> Array:
        """Of the features in the coordinates of theta and a one (n_x + 1, n_x + 1), by weight: one pass."""
        folded = self.folded and self.center is not None
        source = self.source.uncentered() if folded else self.source
        (S,) = source.sum(second_moment_terms, self.rows)
        S = self._shifted_twice(S[None, :, :], 1)[0, :, :] if folded else S
        scale = self.rows[:, :, 0]
        return S / self.total * scale * scale.T

    def proof(self, theta: Array, step: Array) -> tuple[Array, Array]:
        """Mean divergence of alpha from a, and the number of samples whose alpha is not inside (g,): one pass.

        Of both see `xlogreg.math.moves.proof_terms`; of models at theta (n_x + 1, g, k), with a step for each.
        """
        source, points = self._stacked(theta, step)
        divergence, outside = source.sum(proof_terms, points, self.loss)
        return divergence / self.source.total_weight, outside

    def recession(self, step: Array) -> tuple[int, int, int]:
        """How many samples the step (n_x + 1, 1, k) moves wrongly, at all, and not beyond every class: one pass.

        See `recession_terms`. Where none moves wrongly and any at all, the cost falls along the step for
        ever (Albert & Anderson, Biometrika 1984). If none is left tied to another class, separation is complete.
        """
        xp = array_namespace(step)
        source, parameters = self._uncentered(step)
        if self.center is not None:  # the bias is a sum, too: where its terms cancel, what rounding left of it is none
            W, b, terms = parameters[:-1, :, :], parameters[-1:, :, :], xp.abs(step * self.rows)
            terms = terms[-1:, :, :] + xp.sum(terms[:-1, :, :] * xp.abs(self.center), axis=0, keepdims=True)
            parameters = xp.concat([W, xp.where(xp.abs(b) > DUST * terms, b, xp.zeros_like(b))], axis=0)
        points = xp.concat([parameters, xp.abs(parameters)], axis=0)
        wrong, moved, tied = (int(part[0]) for part in source.sum(recession_terms, points))
        return wrong, moved, tied

    def restless(self, step: Array) -> Array:
        """Number of samples (g,) of each model whose scores the step (n_x + 1, g, k) still moves: one pass."""
        source, parameters = self._uncentered(step)
        return source.sum(restless_terms, parameters)[0]

    def tied(self, step: Array, direction: Array) -> tuple[Array, Array]:
        """Of the samples that a recession must not move, given by a step: see `tied_terms`. One pass.

        The Hessian of their squared moves (1, p, p), and its product with a direction (n_x + 1, 1, k).
        """
        source, points = self._stacked(step, direction)
        H, pull = source.sum(tied_terms, points)
        k = step.shape[2]
        if source is not self.source:  # the X that lies there
            H, pull = self._shifted_twice(H, k), self._shifted(pull)
        scale = _repeat(self.rows, k)
        return H * scale * scale.T, pull * self.rows

    def _stacked(self, *points: Array) -> tuple[Source, Array]:
        """A source, and the parameters of several points for its X, one below the other."""
        found = [self._uncentered(point) for point in points]
        return found[0][0], array_namespace(points[0]).concat([parameters for _, parameters in found], axis=0)

    def second_moment_times(self, theta: Array) -> Array:
        """[X~; 1] [X~; 1]' / s times theta (n_x + 1, 1, 1), X~ in the coordinates of theta: one pass."""
        (product,) = self.source.sum(moment_terms, (theta * self.rows)[:, :, 0])
        return array_namespace(theta).expand_dims(product, axis=-1) * (self.rows / self.total)

    def _finish(self, theta: Array, losses: Array, dTheta: Array, unsettled: Array | None = None) -> Evaluation:
        xp = array_namespace(theta)
        pull = self.ridge * theta
        penalty = 0.5 * xp.sum(theta * pull, axis=(0, 2))
        # of one theta, for models that differ in nothing but their penalty, there is one loss only
        loss = losses / self.source.total_weight
        loss = loss if loss.shape == penalty.shape else loss + xp.zeros_like(penalty)
        gradient = dTheta * (self.rows / self.total) + pull
        separated = xp.zeros(penalty.shape, dtype=xp.bool, device=device_of(theta))
        if self.separable and unsettled is not None:
            separated = (unsettled == 0) & (self.l2[0, :, 0] == 0) & xp.isfinite(loss)
        return Evaluation(loss + penalty, loss, gradient, separated)


def _repeat(rows: Array, k: int) -> Array:
    """(n, g, 1) -> (n k, g): every row k times, the order of theta[:, j, :] flattened."""
    xp = array_namespace(rows)
    n, g, _ = rows.shape
    return xp.reshape(xp.broadcast_to(xp.reshape(rows, (n, 1, g)), (n, k, g)), (n * k, g))
