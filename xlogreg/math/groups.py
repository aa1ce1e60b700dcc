"""The group lasso: weights that are zero together (Yuan & Lin 2006; Meier, van de Geer & Buehlmann 2008).

The norm of a group takes the place of the absolute value. With v = sizes * theta, the penalty is
``l1 sum_g ||v_g|| + (l2/2) sum_j f_j w_j^2``, where sizes hold the factors, the units and sqrt(p_g).
"""

import dataclasses
import functools
from dataclasses import dataclass
from typing import Self

from xlogreg.arrays.place import Array, Place, array_namespace
from xlogreg.math.penalties import L2, Elastic

__all__ = ["Grouped"]


@dataclass(frozen=True)
class Grouped(Elastic):
    """The elastic net with l1 on the norms of groups of weights; without bounds.

    Attributes
    ----------
    group : array (n_x + 1,)
        The number of the group of each row of theta; a row without a penalty is a group of its own.
    root : array (n_x + 1, 1, 1)
        Roots of the sizes p_g of the groups.
    largest : int
        Size of the largest group.
    joint : bool
        Whether a group holds the weights of all classes; if not, each class has groups of its own.
    """

    group: Array = None
    root: Array = None
    largest: int = 1
    joint: bool = False

    @functools.cached_property
    def sizes(self) -> Array:
        return self.root * self.factor * array_namespace(self.units).abs(self.units)

    @functools.cached_property
    def _sorted(self) -> tuple[Array, Array, Array]:
        """Order of the rows by group (n_x + 1,), the groups in it, and where the group of each row begins in it."""
        xp = array_namespace(self.group)
        order = xp.argsort(self.group)
        ordered = xp.take(self.group, order, axis=0)
        return order, ordered, xp.searchsorted(ordered, self.group)

    @functools.cached_property
    def _heads(self) -> Array:
        """Rows (n_x + 1, 1, 1) that are the first of their group."""
        order, _, first = self._sorted
        return (array_namespace(order).argsort(order) == first)[:, None, None]

    def _sums(self, rows: Array) -> Array:
        """Sum rows (n_x + 1, g, k) over each group, for each of its rows, by doubling the distance of what is added."""
        xp, (order, ordered, first), step = array_namespace(rows), self._sorted, 1
        sums = rows if self.largest == 1 else xp.take(rows, order, axis=0)
        while step < self.largest and step < rows.shape[0]:
            same = (ordered[step:] == ordered[:-step])[:, None, None]
            further = xp.where(same, sums[step:, :, :], xp.zeros_like(sums[step:, :, :]))
            sums = xp.concat([sums[:-step, :, :] + further, sums[-step:, :, :]], axis=0)
            step = 2 * step
        return rows if self.largest == 1 else xp.take(sums, first, axis=0)

    def _norms(self, V: Array) -> Array:
        """Norm of the group of each entry, (n_x + 1, g, k or 1)."""
        xp, squares = array_namespace(V), V * V
        return xp.sqrt(self._sums(xp.sum(squares, axis=2, keepdims=True) if self.joint else squares))

    def _dual(self, gradient: Array) -> Array:
        """The gradient with respect to v = sizes * theta; zero where there is no penalty."""
        xp, held = array_namespace(gradient), self.sizes > 0
        return xp.where(held, gradient / xp.where(held, self.sizes, 1.0), 0.0)

    def value(self, theta: Array) -> Array:
        return L2.value(self, theta) + self.bent(array_namespace(theta).zeros_like(theta), theta)

    def bent(self, theta: Array, move: Array) -> Array:
        xp = array_namespace(theta)
        longer = self._norms(self.sizes * (theta + move)) - self._norms(self.sizes * theta)
        return self.l1 * xp.sum(xp.where(self._heads, longer, 0.0), axis=(0, 2))

    def shrunk(self, V: Array) -> Array:
        xp, l1 = array_namespace(V), array_namespace(V).reshape(self.l1, (1, -1, 1))
        norms = self._norms(self._dual(V))
        beyond = norms > l1
        kept = xp.where(beyond, 1.0 - l1 / xp.where(beyond, norms, 1.0), 0.0)
        return xp.where(self.sizes > 0, kept * V, V)

    def strongest(self, gradient: Array) -> Array:
        return array_namespace(gradient).max(self._norms(self._dual(gradient)), axis=(0, 2))

    def least_slope(self, theta: Array, gradient: Array) -> Array:
        xp, v = array_namespace(theta), self.sizes * theta
        norms = self._norms(v)
        outward = self.kinks * (v / xp.where(norms > 0, norms, 1.0))
        return xp.where((norms > 0) | (self.sizes == 0), gradient + outward, self.shrunk(gradient))

    def whole(self, rows: Array) -> Array:
        count = array_namespace(rows).astype(rows, self.root.dtype)[:, None, None]
        return self._sums(count)[:, 0, 0] > 0

    def put(self, place: Place) -> Self:
        return dataclasses.replace(
            super().put(place), group=place.put(self.group), root=place.put(self.root, place.widest)
        )

    def of_rows(self, rows: Array) -> Self:
        return dataclasses.replace(super().of_rows(rows), group=self.group[rows], root=self.root[rows])
