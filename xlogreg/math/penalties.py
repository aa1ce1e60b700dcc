"""Penalties on the weights, as data: what a penalty costs, its derivatives, and its conjugate.

J = loss + h, where h is a sum over the weights that the user sees penalised, units * theta. Theta is (n_x + 1, g, k) as
everywhere in the engine, and its last row, the bias, is never penalised. A new penalty extends `Penalty`, and is a row
of `PENALTIES`.
"""

import dataclasses
import functools
from dataclasses import dataclass
from typing import ClassVar, Self

from xlogreg.arrays.place import Array, Place, array_namespace

__all__ = ["L2", "PENALTIES", "Elastic", "Penalty", "inner", "make_penalty"]


INSIDE = 1.0 - 1e-12  # of a bound: theta beyond is at the bound, but for rounding


@dataclass(frozen=True)
class Penalty:
    """The penalty of g models on theta (n_x + 1, g, k); extend it with `value`, `slope` and `curvature`.

    Attributes
    ----------
    strength : array (g,)
        l2 of each model; 0 for no penalty.
    factor : array (n_x + 1, 1, 1)
        Factor of the strength for each feature; 0 for the bias.
    units : array (n_x + 1, 1, 1), or (n_x + 1, g, 1) where each model has its own
        Theta times units are the weights that the user sees penalised.
    plain : bool
        Whether all factors are known to be one, so that nothing has to be found out about them.
    """

    strength: Array
    factor: Array
    units: Array
    plain: bool = False

    quadratic: ClassVar[bool] = False  # whether the value is half the sum of strength * profile * theta^2
    rotates: ClassVar[bool] = False  # whether it is the same in another orthonormal basis of the features
    smooth: ClassVar[bool] = True  # whether it has no kinks

    @classmethod
    def suits(cls, l2s: Array, factor: Array | None) -> bool:
        """Whether these options, those of `make_penalty`, ask for this penalty."""
        return True

    def value(self, theta: Array) -> Array:
        """Cost of the penalty (g,)."""
        raise NotImplementedError  # abstract: each penalty has its own formula

    def slope(self, theta: Array) -> Array:
        """Gradient of the smooth part, of the shape of theta."""
        raise NotImplementedError  # abstract: each penalty has its own formula

    def curvature(self, theta: Array) -> Array:
        """Diagonal (n_x + 1, g, 1 or k) that the smooth part adds to Hessians."""
        raise NotImplementedError  # abstract: each penalty has its own formula

    def conjugate(self, V: Array) -> Array:
        """Supremum (g,) of theta'V - value(theta), for V of the shape of theta: infinite where nothing is known."""
        xp = array_namespace(V)
        return xp.full_like(V[0, :, 0], xp.inf)

    def change(self, theta: Array, move: Array) -> Array:
        """Change of the value (g,) if theta moves."""
        return self.value(theta + move) - self.value(theta)

    def gap_after(self, theta: Array, step: Array) -> Array:
        """Part (g,) of the gap that the penalty leaves after a step of Newton's method, by Fenchel's inequality.

        It is value + conjugate(V) - theta'V, where V is the slope that the step expects at its end.
        """
        V = self.slope(theta) + self.curvature(theta) * step
        return self.value(theta) + self.conjugate(V) - inner(theta, V)

    def least_slope(self, theta: Array, gradient: Array) -> Array:
        """The shortest subgradient of the cost, of the shape of theta; ``gradient`` is that of its smooth part."""
        return gradient

    @functools.cached_property
    def profile(self) -> Array:
        """Factor of the strength for the square of each row of theta, in the shape of units."""
        return self.factor * (self.units * self.units)

    @functools.cached_property
    def mask(self) -> Array:
        """Rows (n_x + 1, g, 1) that are penalised."""
        return array_namespace(self.strength).reshape(self.strength, (1, -1, 1)) * self.factor > 0

    @functools.cached_property
    def loose(self) -> Array:
        """Weights (n_x, g, 1) without a penalty, in models that have one."""
        xp = array_namespace(self.strength)
        return ~self.mask[:-1, :, :] & xp.reshape(self.active, (1, -1, 1))

    @functools.cached_property
    def active(self) -> Array:
        """Models (g,) of which any row is penalised."""
        some = self.plain or array_namespace(self.factor).any(self.factor > 0)
        return (self.strength > 0) & some

    def holds(self, free: Array) -> Array:
        """Whether it penalises every weight that may move, of each model (g,).

        ``free`` (n_x + 1, 1 or g, 1) is 0 for rows that may not move.
        """
        if self.plain:
            return self.active
        xp, weights = array_namespace(free), (self.mask | (free == 0))[:-1, :, :]
        return self.active & xp.all(weights, axis=(0, 2))

    def keep(self, models: Array) -> Self:
        """Return the penalty of some models, given by number."""
        xp, units = array_namespace(models), self.units
        units = units if units.shape[1] == 1 else xp.take(units, models, axis=1)
        return dataclasses.replace(self, strength=xp.take(self.strength, models, axis=0), units=units)

    def put(self, place: Place) -> Self:
        """Return the penalty for a theta that lives on ``place``."""
        strength, factor, units = (place.put(part, place.widest) for part in (self.strength, self.factor, self.units))
        return dataclasses.replace(self, strength=strength, factor=factor, units=units)

    def in_units(self, units: Array) -> Self:
        """Return the penalty for a theta in other units (n_x, 1 or g, 1)."""
        return dataclasses.replace(self, units=_bordered(units, 1.0))

    def of_rows(self, rows: Array) -> Self:
        """Return the penalty of some rows of theta."""
        return dataclasses.replace(self, factor=self.factor[rows], units=self.units[rows])

    def of_strengths(self, l2s: Array) -> Self:
        """Return the penalty of models with the strengths ``l2s`` (g,)."""
        return dataclasses.replace(self, strength=l2s)

    def of_both(self, l1s: Array, l2s: Array) -> "Elastic":
        """Return the elastic net of models with these strengths (g,), for the same factors and units."""
        return Elastic(l2s, self.factor, self.units, self.plain, l1s)

    def plus(self, ridge: Array) -> "Penalty":
        """Return the penalty plus sum_j ridge_j theta_j^2 / 2 over the features (n_x,)."""
        return Sum(self.strength, self.factor, self.units, parts=(self, _ridge(ridge)))


@dataclass(frozen=True)
class L2(Penalty):
    """Half the sum of the squares of the weights, (strength / 2) sum_j factor_j w_j^2."""

    quadratic: ClassVar[bool] = True
    rotates: ClassVar[bool] = True

    @functools.cached_property
    def ridge(self) -> Array:
        """Twice the penalty on the square of each row of theta (n_x + 1, g, 1)."""
        return array_namespace(self.strength).reshape(self.strength, (1, -1, 1)) * self.profile

    def value(self, theta: Array) -> Array:
        return 0.5 * inner(theta, self.ridge * theta)

    def slope(self, theta: Array) -> Array:
        return self.ridge * theta

    def curvature(self, theta: Array) -> Array:
        return self.ridge

    def conjugate(self, V: Array) -> Array:
        xp, held = array_namespace(V), self.ridge > 0
        terms = xp.where(V == 0, V, xp.inf)
        return xp.sum(xp.where(held, V * V / (2.0 * xp.where(held, self.ridge, 1.0)), terms), axis=(0, 2))

    def change(self, theta: Array, move: Array) -> Array:
        return inner(self.ridge * move, theta + 0.5 * move)

    def gap_after(self, theta: Array, step: Array) -> Array:
        return 0.5 * inner(self.ridge * step, step)

    def plus(self, ridge: Array) -> Penalty:
        more = _ridge(ridge)
        return dataclasses.replace(more, factor=self.ridge + more.factor)


@dataclass(frozen=True)
class Elastic(L2):
    """The elastic net, sum_j factor_j (l1 |w_j| + strength w_j^2 / 2) (Zou & Hastie 2005).

    Attributes
    ----------
    l1 : array (g,)
    lower, upper : array (n_x + 1, 1, 1), or None
        Bounds of theta. They cost nothing, and steps have to keep them.
    """

    l1: Array = None
    lower: Array | None = None
    upper: Array | None = None

    quadratic: ClassVar[bool] = False
    rotates: ClassVar[bool] = False
    smooth: ClassVar[bool] = False

    @functools.cached_property
    def sizes(self) -> Array:
        """Kinks for an l1 of one, in the shape of units."""
        return self.factor * array_namespace(self.units).abs(self.units)

    @functools.cached_property
    def kinks(self) -> Array:
        """Slope (n_x + 1, g, 1) of the penalty beside the zero of each row of theta."""
        return array_namespace(self.l1).reshape(self.l1, (1, -1, 1)) * self.sizes

    @functools.cached_property
    def mask(self) -> Array:
        held = (self.kinks > 0) | (self.ridge > 0)
        if self.lower is None or self.upper is None:
            return held
        xp = array_namespace(self.l1)
        return held | (xp.isfinite(self.lower) & xp.isfinite(self.upper))

    @functools.cached_property
    def active(self) -> Array:
        some = self.plain or array_namespace(self.factor).any(self.factor > 0)
        return ((self.strength > 0) | (self.l1 > 0) | (self.lower is not None)) & some

    def holds(self, free: Array) -> Array:
        if self.plain and (self.lower is not None or self.upper is not None):  # bounds hold some of them
            return dataclasses.replace(self, plain=False).holds(free)
        return super().holds(free)

    def value(self, theta: Array) -> Array:
        xp = array_namespace(theta)
        return super().value(theta) + xp.sum(self.kinks * xp.abs(theta), axis=(0, 2))

    def conjugate(self, V: Array) -> Array:
        return super().conjugate(self.shrunk(V))  # of the rest that the kinks leave; their own conjugate is zero

    def change(self, theta: Array, move: Array) -> Array:
        return super().change(theta, move) + self.bent(theta, move)

    def bent(self, theta: Array, move: Array) -> Array:
        """Change (g,) of the part with kinks if theta moves."""
        xp = array_namespace(theta)
        return xp.sum(self.kinks * (xp.abs(theta + move) - xp.abs(theta)), axis=(0, 2))

    def shrunk(self, V: Array) -> Array:
        """Pull slopes V at theta = 0 towards zero, as far as the kinks hold them."""
        xp = array_namespace(V)
        return xp.maximum(xp.abs(V) - self.kinks, xp.zeros_like(V)) * xp.sign(V)

    def strongest(self, gradient: Array) -> Array:
        """Smallest l1 (g,) with which theta stays at zero, where the gradient of the rest is this.

        See Friedman, Hastie & Tibshirani (2010).
        """
        xp, held = array_namespace(gradient), self.sizes > 0
        if self.lower is not None and self.upper is not None:  # weights that may grow or fall
            able = xp.where(gradient < 0, self.upper > 0, self.lower < 0)
            gradient = xp.where(able, gradient, xp.zeros_like(gradient))
        return xp.max(xp.where(held, xp.abs(gradient) / xp.where(held, self.sizes, 1.0), 0.0), axis=(0, 2))

    def whole(self, rows: Array) -> Array:
        """Rows (n_x + 1,) of theta, a mask, and all others that are zero only together with them."""
        return rows

    def gap_after(self, theta: Array, step: Array) -> Array:
        return Penalty.gap_after(self, theta, step)

    def least_slope(self, theta: Array, gradient: Array) -> Array:
        xp = array_namespace(theta)
        slope = xp.where(theta == 0, self.shrunk(gradient), gradient + self.kinks * xp.sign(theta))
        if self.lower is None or self.upper is None:
            return slope
        inward = ((slope > 0) & (theta > INSIDE * self.lower)) | ((slope < 0) & (theta < INSIDE * self.upper))
        return xp.where(inward, slope, xp.zeros_like(slope))

    def keep(self, models: Array) -> Self:
        return dataclasses.replace(super().keep(models), l1=array_namespace(models).take(self.l1, models, axis=0))

    def put(self, place: Place) -> Self:
        bounds = (None if part is None else place.put(part, place.widest) for part in (self.lower, self.upper))
        lower, upper = bounds
        return dataclasses.replace(super().put(place), l1=place.put(self.l1, place.widest), lower=lower, upper=upper)

    def of_rows(self, rows: Array) -> Self:
        lower, upper = (None if part is None else part[rows] for part in (self.lower, self.upper))
        return dataclasses.replace(super().of_rows(rows), lower=lower, upper=upper)

    def of_both(self, l1s: Array, l2s: Array) -> "Elastic":
        return dataclasses.replace(self, l1=l1s, strength=l2s)

    def of_strengths(self, l2s: Array) -> L2:  # type: ignore[override]  # it has no kinks any more
        """Return the penalty of models with the strengths ``l2s`` (g,), without kinks."""
        return L2(l2s, self.factor, self.units, self.plain)

    def plus(self, ridge: Array) -> Penalty:
        return Penalty.plus(self, ridge)


@dataclass(frozen=True)
class Sum(Penalty):
    """The sum of several penalties."""

    parts: tuple[Penalty, ...] = ()

    def value(self, theta: Array) -> Array:
        return sum(part.value(theta) for part in self.parts)

    def slope(self, theta: Array) -> Array:
        return sum(part.slope(theta) for part in self.parts)

    def curvature(self, theta: Array) -> Array:
        return sum(part.curvature(theta) for part in self.parts)


# A row that was added later comes first: the last one that suits the options is the penalty of a fit.
PENALTIES: dict[str, type[Penalty]] = {"l2": L2}


def make_penalty(
    l2s: Array,
    factor: Array | None,
    units: Array,
    l1s: Array | None = None,
    bounds: tuple[Array, Array] | None = None,
) -> Penalty:
    """Make the penalty of g models, a row of `PENALTIES`, from their options.

    Parameters
    ----------
    l2s : array (g,)
    factor : array (n_x,), or None for ones
    units : array (n_x, 1, 1), or (n_x, g, 1)
    l1s : array (g,), or None for a penalty without L1
    bounds : pair of arrays (n_x, 1, 1), or None
        Least and largest theta.
    """
    smooth = next(kind for kind in reversed(PENALTIES.values()) if kind.suits(l2s, factor))
    xp = array_namespace(units)
    factors = xp.ones_like(units[:, :1, :]) if factor is None else factor[:, None, None]
    kind, own = smooth, dict[str, Array]()
    if l1s is not None or bounds is not None:
        kind, own = Elastic, {"l1": 0.0 * l2s if l1s is None else l1s}
    if bounds is not None:
        own = own | {"lower": _bordered(bounds[0], -xp.inf), "upper": _bordered(bounds[1], xp.inf)}
    return kind(l2s, _bordered(factors, 0.0), _bordered(units, 1.0), plain=factor is None, **own)


def _ridge(ridge: Array) -> L2:
    xp, factor = array_namespace(ridge), _bordered(ridge[:, None, None], 0.0)
    return L2(xp.ones_like(ridge[:1]), factor, xp.ones_like(factor))


def inner(a: Array, b: Array) -> Array:
    """Compute the inner product (g,) of two arrays (n_x + 1, g, k) for each model."""
    xp = array_namespace(a)
    if a.shape[1] == 1 and a.shape == b.shape:  # this is several times faster than a sum along two axes
        return (xp.reshape(a, (-1,)) @ xp.reshape(b, (-1,)))[None]
    return xp.sum(a * b, axis=(0, 2))


def _bordered(rows: Array, last: float) -> Array:
    """Append a row for the bias to rows (n_x, g, 1)."""
    xp = array_namespace(rows)
    return xp.concat([rows, xp.full_like(rows[:1, :, :], last)], axis=0)
