"""Cost, gradient and Hessian of the training set: the sums of a `Source` plus the penalty.

J(w, b) = (1/s) sum_i s_i L(a_i, y_i) + (l2/2) ||w||^2, s the sum of the sample weights; b is never penalised.

Inside the engine theta (n_x + 1, g, k) may be in other coordinates than the user's: for X~ = (X - c) / scale
it is (u, v) with w = u / scale and b = v - w'c, and the penalty on the user's w becomes (l2/2) sum_j penalty_j u_j^2.
Nothing above this file needs to know.
"""

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

from xlogreg.backends import Array, Place, array_namespace, device_of
from xlogreg.data import Source
from xlogreg.logistic import Loss
from xlogreg.terms import bias_terms, expansion_terms, kronecker_terms, moment_terms, pass_terms, recession_terms

__all__ = ["Evaluation", "Objective"]


RECESSION = 1e-4  # moves to the wrong side, against the mean move, that are held to be vanishing
ROUNDING = {"float32": 2.0**-23, "float64": 2.0**-52}


class Evaluation(NamedTuple):
    """The objective at one theta, of g models."""

    value: Array  # (g,)
    loss: Array  # (g,): the value without the penalty
    gradient: Array  # (n_x + 1, g, k)
    separated: Array  # (g,) bool: every sample strictly on its own side, and no minimum to look for
    hessian: Array | None = None  # (g, (n_x + 1) k, (n_x + 1) k), rows in the order of theta[:, j, :] flattened


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
    penalty : array (n_x, 1, 1)
        What the penalty on the square of each row of u is multiplied by.
    free : array (n_x + 1, 1, 1)
        1 for the rows of theta that may move, 0 for the others (the bias, when there is none).
    center : array (n_x, 1, 1), or None
        What the source is centred by, where rounding allows to have it in the parameters instead of in X: the
        sums of a gradient are then taken over the X that lies there, without touching every number of it.
    separable : bool
        Whether separated classes mean that there is no minimum: hard labels, and no penalty.

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

    def evaluate(self, theta: Array) -> Evaluation:
        """Value and gradient: one pass."""
        source, parameters, center = self.source, self._for_samples(theta), self.center
        if center is None:
            return self._finish(theta, *source.sum(pass_terms, parameters, self.loss))
        xp = array_namespace(theta)
        W, b = parameters[:-1, :, :], parameters[-1:, :, :]
        parameters = xp.concat([W, b - xp.sum(W * center, axis=0, keepdims=True)], axis=0)
        losses, dTheta, unsettled = source.uncentered().sum(pass_terms, parameters, self.loss)
        dW, db = dTheta[:-1, :, :], dTheta[-1:, :, :]
        return self._finish(theta, losses, xp.concat([dW - center * db, db], axis=0), unsettled)

    def expand(self, theta: Array) -> Evaluation:
        """Value, gradient and Hessian: one pass."""
        xp = array_namespace(theta)
        *terms, H = self.source.sum(expansion_terms, self._for_samples(theta), self.loss)
        k = theta.shape[2]
        free = _repeat(self.free, k)
        scale = free * _repeat(xp.concat([self.inverse_scale, xp.ones_like(self.free[:1, :, :])], axis=0), k)
        ridge = self.l2[0, :, :] * _repeat(xp.concat([self.penalty, 0.0 * self.free[:1, :, :]], axis=0), k)
        identity = xp.eye(free.shape[1], dtype=theta.dtype, device=device_of(theta))
        diagonal = ridge * free + (1.0 - free)  # (g, p); a row that may not move gets a 1, and gradient 0
        H = H / self.source.total_weight * xp.expand_dims(scale, axis=-1) * xp.expand_dims(scale, axis=-2)
        H = H + identity * xp.expand_dims(diagonal, axis=-1)
        return self._finish(theta, *terms)._replace(hessian=H)

    def expand_bias(self, theta: Array) -> Evaluation:
        """Value, gradient, and the Hessian (g, k, k) of the biases alone: one pass."""
        *terms, C = self.source.sum(bias_terms, self._for_samples(theta), self.loss)
        return self._finish(theta, *terms)._replace(hessian=C / self.source.total_weight)

    def kronecker(self, theta: Array) -> tuple[Array, Array]:
        """A (k, k) and S (n_x + 1, n_x + 1) with A (x) S about the Hessian of the losses: one pass."""
        xp = array_namespace(theta)
        A, S, v = self.source.sum(kronecker_terms, self._for_samples(theta), self.loss)
        scale = xp.concat([self.inverse_scale, xp.ones_like(self.free[:1, :, :])], axis=0)[:, :, 0] * self.free[:, :, 0]
        return A / self.source.total_weight, S / v * scale * xp.matrix_transpose(scale)

    def recedes(self, step: Array) -> bool:
        """Whether the step (n_x + 1, 1, k) moves, as good as, no sample to the wrong side of the hyperplane: one pass.

        Along it the cost falls for ever (Albert & Anderson, Biometrika 1984: quasi-complete separation).
        """
        worse, all_moves = self.source.sum(recession_terms, self._for_samples(step))
        return float(worse[0]) <= RECESSION**2 * float(all_moves[0]) / self.source.m

    def second_moment_times(self, theta: Array) -> Array:
        """[X~; 1] [X~; 1]' / s times theta (n_x + 1, 1, 1), X~ in the coordinates of theta: one pass."""
        xp = array_namespace(theta)
        (product,) = self.source.sum(moment_terms, self._for_samples(theta)[:, :, 0])
        return self._from_samples(xp.expand_dims(product, axis=-1))

    def _for_samples(self, theta: Array) -> Array:
        """Parameters for the X of the source."""
        xp = array_namespace(theta)
        theta = theta * self.free
        return xp.concat([theta[:-1, :, :] * self.inverse_scale, theta[-1:, :, :]], axis=0)

    def _from_samples(self, dTheta: Array) -> Array:
        """Mean gradient in the coordinates of theta, from its sum for the X of the source."""
        xp = array_namespace(dTheta)
        dTheta = dTheta / self.source.total_weight * self.free
        return xp.concat([dTheta[:-1, :, :] * self.inverse_scale, dTheta[-1:, :, :]], axis=0)

    def _finish(self, theta: Array, losses: Array, dTheta: Array, unsettled: Array) -> Evaluation:
        xp = array_namespace(theta)
        U = theta[:-1, :, :]
        pull = self.l2 * self.penalty * U
        loss = losses / self.source.total_weight
        value = loss + 0.5 * xp.sum(U * pull, axis=(0, 2))
        gradient = self._from_samples(dTheta) + xp.concat([pull, xp.zeros_like(theta[-1:, :, :])], axis=0)
        separated = (unsettled == 0) if self.separable else (unsettled < 0)
        return Evaluation(value, loss, gradient, separated)


def _repeat(rows: Array, k: int) -> Array:
    """(n, 1, 1) -> (1, n k): every row k times, the order of theta[:, j, :] flattened."""
    xp = array_namespace(rows)
    return xp.reshape(xp.broadcast_to(rows[:, :, 0], (rows.shape[0], k)), (1, -1))
