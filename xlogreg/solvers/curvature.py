"""Hessians of the features that work, as the proximal Newton method needs them: some rows and columns, and products.

They come from a subset of the samples or from all. Those of many features and classes would be too large: the second
moment of the features times the mean curvature of the classes takes their place.
"""

import copy
import dataclasses
import functools
import math
from typing import Any

import numpy as np

from xlogreg.samples.memory import InMemory
from xlogreg.samples.products import may_pick, pick_features
from xlogreg.samples.source import Samples
from xlogreg.solvers.block_lbfgs import FEATURES, Frequent, frequent
from xlogreg.solvers.certificate import EXPANSION_LIMIT
from xlogreg.solvers.coordinates import Coordinates, Spread
from xlogreg.solvers.matrices import TINY, Model, Mostly, Product, Whole, numbers_of
from xlogreg.solvers.objective import Objective
from xlogreg.solvers.prices import HOST
from xlogreg.solvers.spectral_lbfgs import class_axes

__all__ = ["RENT", "START", "Curvature", "Pairs"]

START = 30  # samples of a subset, for each parameter
RENT = 1.5  # passes that a Hessian of a subset may cost
MOST, HESSIANS = 3000, 8  # parameters at most, and Hessians, of a fit by Hessians of sparse X
SOLVES = 3  # linear systems of all weights that are not zero, that a quadratic model takes, about
DENSE = 1500  # parameters of several classes, up to which a Hessian is made
SMALL, WIDER = 8, 3  # times fewer features are copied than there are; times more are kept than are needed
DEAR = 2.5e6  # numbers of X, from which on a pass takes longer than what surrounds it
UNSEEN = 0.05  # of a feature's curvature in all samples, that it has at least

Pairs = tuple[tuple[np.ndarray, np.ndarray], ...]  # moves of theta and changes of the gradient without the penalty


class Curvature:
    """Hessians of the features that work, of a subset or of all samples, bought when they are needed.

    Attributes
    ----------
    spent : float
        Passes over all samples that they have taken.
    """

    def __init__(
        self,
        objective: Objective,
        source: Samples,
        spread: Spread,
        coordinates: Coordinates,
        rng: np.random.Generator,
        k: int,
    ) -> None:
        self.objective, self.source, self.spread, self.rng = objective, source, spread, rng
        self.coordinates, self.moment = coordinates, spread.moment(coordinates)
        self.rows, self.k = np.arange(0), k
        self.H: Whole | Product = Whole(np.zeros((0, 0)))
        self.subset: Any = None
        self.frequent: Frequent | None = None
        self.part: tuple[np.ndarray, InMemory, Curvature] | None = None
        self.spent, self.bought, self.samples, self.rent = 0.0, 0, 0, RENT
        self.working = 0  # features that have weights

    def knows(self, rows: np.ndarray) -> bool:
        return bool(np.isin(rows, self.rows).all())

    def price(self, rows: np.ndarray, m: float) -> float:
        """Price of a Hessian, in passes."""
        pass_of_all = HOST.gradient(self.source.m, self.source.n_x, self.k)
        if self.is_large(rows):
            return HOST.moment(int(m), len(rows)) / pass_of_all
        return HOST.subset(int(m), len(rows), self.k) / pass_of_all

    def relative_price(self, rows: np.ndarray, m: float) -> float:
        """Price of a Hessian, in steps with a pass: the quadratic model of many weights takes longer than that."""
        pass_of_all = HOST.gradient(self.source.m, self.source.n_x, self.k)
        solved = 0.0 if self.is_large(rows) else SOLVES * HOST.moment(0, self.working * self.k)
        return self.price(rows, m) / (1.0 + solved / pass_of_all)

    @functools.cached_property
    def is_broad(self) -> bool:
        """Whether X is sparse, and has so many features that its Hessians cost far more than passes."""
        return not self.source.dense and self.source.n_x > FEATURES and self.source.n_x * self.k > EXPANSION_LIMIT

    @property
    def patience(self) -> float:
        """Passes over sparse X that cost as much as a fit by Hessians of the features that work; infinite for many."""
        count, m = self.working + 1, self.source.m
        width = int(getattr(self.source, "widths", (self.source.n_x,))[0]) + 1
        if count * self.k > MOST:
            return math.inf
        hessian = HOST.subset(m, min(count, width), self.k) + HOST.moment(0, count * self.k)
        return HESSIANS * hessian / HOST.gradient(m, width, self.k)

    def narrow(self) -> None:
        """Take Hessians of the features that work from now on."""
        self.__dict__["is_broad"] = False
        self.rows, self.H = np.arange(0), Whole(np.zeros((0, 0)))

    def has_parts(self, rows: np.ndarray) -> bool:
        """Whether these rows are so few that passes over a copy of their features cost next to nothing."""
        count, (m, n_x) = len(rows) - 1, (self.source.m, self.source.n_x)
        return not self.is_broad and 0 < SMALL * count <= n_x and m * n_x >= DEAR and may_pick(self.source, count)

    def of_part(self, objective: Objective, rows: np.ndarray) -> tuple[np.ndarray, Objective, "Curvature"] | None:
        """Copy the features of these rows, and perhaps some more that are there already, where they are a small part.

        Return the rows, the objective of these features, and what is known of their curvature; None for a larger part.
        """
        source = self.source
        if not (self.has_parts(rows) and may_pick(source, len(rows) - 1)):
            return None
        known = self.part
        if known is None or len(known[0]) > WIDER * len(rows) or not np.isin(rows, known[0]).all():
            some, numbers = pick_features(source, rows[:-1]), rows[:-1]
            spread = self.spread._replace(mean=self.spread.mean[numbers], variance=self.spread.variance[numbers])
            coordinates = Coordinates(self.coordinates.center[numbers], self.coordinates.scale[numbers])
            inner = Curvature(objective.of_features(some, rows), some, spread, coordinates, self.rng, self.k)
            known = rows, some, inner
        rows, some, inner = known
        part = dataclasses.replace(objective.of_features(some, rows), separable=False)
        self.part = rows, some, inner.of(part)
        return rows, part, self.part[2]

    def knowing(self, rows: np.ndarray) -> tuple["Curvature", np.ndarray]:
        """Return what knows the Hessian of these rows, this or that of a copy of few features, and their numbers."""
        if self.part is not None and not self.knows(rows) and np.isin(rows, self.part[0]).all():
            return self.part[2], np.searchsorted(self.part[0], rows)
        return self, rows

    def is_large(self, rows: np.ndarray) -> bool:
        """Whether these rows have too many parameters for a Hessian."""
        return self.is_broad or (self.k > 1 and len(rows) * self.k > DENSE)

    def size(self, rows: np.ndarray) -> int:
        """Number of samples of which a Hessian costs about as much as a pass or two."""
        m, least = self.source.m, 2 * START * len(rows) * (1 if self.is_large(rows) else self.k)
        size = m
        while size > least and self.price(rows, size) > self.rent:
            size //= 2
        return m if size > m / 2 else size

    def buy(self, theta: np.ndarray, rows: np.ndarray, size: int) -> None:
        """Sum a Hessian at theta over so many samples."""
        if self.is_broad:
            self._buy_mostly(theta)
            return
        whole = size >= self.source.m
        if whole:
            subset: Any = self.source
        elif self.subset is not None and self.subset.m >= size:
            subset = self.subset
        else:
            (subset,) = self.source.samples((size,), self.spread.shares, self.rng)
            self.subset = subset
        objective = self.objective if whole else self.objective.over(subset)
        make = self._product if self.is_large(rows) else self._hessian
        self.H = make(objective, subset, theta, rows)
        self.rows, self.samples = rows, subset.m
        self.__dict__.pop("usual", None)
        self.spent += subset.m / self.source.m
        self.bought += 1

    def _buy_mostly(self, theta: np.ndarray) -> None:
        """Measure the second moments of the most frequent features, and the mean curvature of the classes."""
        if self.frequent is None:
            self.frequent = frequent(self.objective, self.source, self.spread, self.coordinates, self.rng)
            self.spent += self.frequent.passes
        inside, S, moment, self.subset, *_ = self.frequent
        rest = moment[:, 0].copy()
        rest[inside] = 0.0
        (values,), (Q,) = class_axes(self.objective, self.subset, theta)
        self.H = Product(Mostly(inside, S, rest), (Q * values) @ Q.T, np.zeros(theta.size))
        self.rows, self.samples, self.bought = np.arange(len(theta)), self.subset.m, self.bought + 1
        self.__dict__.pop("usual", None)

    def _hessian(self, objective: Objective, subset: Any, theta: np.ndarray, rows: np.ndarray) -> "Whole":
        numbers = rows[:-1]
        if len(rows) < len(theta) and may_pick(subset, len(numbers)):
            here = objective.of_features(pick_features(subset, numbers), rows).expand(theta[rows])
            H = np.asarray(here.hessian)[0]
        else:
            index = numbers_of(rows, self.k)
            H = np.asarray(objective.expand(theta).hessian)[0][np.ix_(index, index)]
        H = H - np.diag(self._ridge(rows))
        return Whole(H if subset.m >= self.source.m else self._raised(H, rows))

    def _product(self, objective: Objective, subset: Any, theta: np.ndarray, rows: np.ndarray) -> Product:
        subset = subset.gathered()
        if len(rows) < len(theta) and may_pick(subset, len(rows) - 1):
            objective, subset = objective.of_features(pick_features(subset, rows[:-1]), rows), objective.source
            S, at = objective.second_moment(), theta[rows]
            subset = objective.source
        else:
            S, at = objective.second_moment()[np.ix_(rows, rows)], theta
        (values,), (Q,) = class_axes(objective, subset, at)
        A = (Q * values) @ Q.T
        root = np.sqrt(np.maximum(S.diagonal(), UNSEEN * np.append(self.moment[rows[:-1], 0], 0.0)) - S.diagonal())
        return Product(S + np.diag(root * root), A, np.zeros(len(rows) * self.k))

    def _raised(self, H: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Raise the curvature along features of which a subset happens to see too little."""
        k, diagonal = self.k, H.diagonal()
        least = UNSEEN * np.append(self.moment[rows[:-1], 0], 0.0)[:, None] * diagonal[-k:]
        return H + np.diag(np.maximum(least.ravel() - diagonal, 0.0))

    def _ridge(self, rows: np.ndarray) -> np.ndarray:
        """What the penalty adds to the diagonal, and a one for rows that may not move."""
        free = self.objective.free[rows, 0, 0]
        ridge = np.asarray(self.objective.penalty.curvature(np.zeros((len(self.objective.free), 1, 1))))[rows, 0, 0]
        return np.repeat(ridge * free + (1.0 - free), self.k)

    def model(self, rows: np.ndarray, pairs: Pairs) -> "Model":
        """Make the Hessian of rows that are known, with what the pairs taught since."""
        ridge, others, own = self._ridge(rows), np.ones(len(self.objective.free), dtype=bool), []
        others[rows] = False
        for s, y in pairs:
            if not np.any(s[others]):  # others moved features that do not work now
                own.append((s[rows].ravel(), y[rows].ravel()))
        S, Y = np.reshape(own, (-1, 2, len(ridge))).transpose(1, 0, 2)
        return Model(self.H.model(np.searchsorted(self.rows, rows), ridge, self.k), S, Y + ridge * S)

    @functools.cached_property
    def usual(self) -> float:
        """Curvature (a mean) of a feature of second moment one."""
        moment = np.append(self.moment[:, 0], 1.0)[self.rows]
        free = self.objective.free[self.rows, 0, 0] > 0
        found = self.H.diagonal().reshape(-1, self.k).mean(axis=1)[free] / np.maximum(moment[free], TINY)
        return max(float(np.median(found)), TINY) if free.any() else 1.0

    def of(self, objective: Objective) -> "Curvature":
        """Return what is known, for an objective that differs in its penalty only."""
        other = copy.copy(self)
        other.objective, other.spent = objective, 0.0
        return other
