"""Another kind of X, made here: it goes through every fit by the four products and a line in the table of kinds."""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
from conftest import QUICK

import xlogreg
from xlogreg.arrays import products
from xlogreg.arrays.kinds import KINDS
from xlogreg.arrays.matrix import Flaw
from xlogreg.arrays.place import array_namespace, device_of, dtype_name, place_of, to_host

M, LEVELS = 400, 37


class Columns(NamedTuple):
    """A block of samples that are columns of ``values`` (n_x, levels), by number; a tuple, so that JAX compiles it."""

    values: Any
    numbers: Any

    @property
    def shape(self):
        return self.values.shape[0], self.numbers.shape[0]

    @property
    def dtype(self):
        return self.values.dtype

    def __abs__(self):
        return Columns(abs(self.values), self.numbers)

    def _by_level(self, V):
        """Sum V (..., m) over the samples of each level."""
        xp = array_namespace(V)
        levels = xp.arange(self.values.shape[1], dtype=self.numbers.dtype, device=device_of(V))
        return V @ xp.astype(xp.expand_dims(self.numbers, axis=1) == levels, V.dtype)

    def scores(self, W, b):
        xp = array_namespace(W)
        return xp.take(products.scores(self.values, W, b), self.numbers, axis=1)

    def combine(self, V):
        return products.combine(self.values, self._by_level(V.T).T)

    def squares(self, V, scale=None, twice=False):
        return products.squares(self.values, self._by_level(V.T).T, scale, twice)

    def gram(self, C):
        return products.gram(self.values, self._by_level(C))


@dataclass(frozen=True)
class Repeated:
    """X whose samples are columns of ``values`` (n_x, levels), by number: `Matrix` in memory, and no array."""

    values: Any
    numbers: Any
    rows: bool = False
    dense = False
    shifts = False
    ties = ()
    is_read = False
    sequential = False
    concurrent = True
    drawable = None
    names = None

    @property
    def n_x(self):
        return self.values.shape[0]

    @property
    def m(self):
        return self.numbers.shape[0]

    @property
    def shape(self):
        return (self.m, self.n_x) if self.rows else (self.n_x, self.m)

    @property
    def dtype(self):
        return self.values.dtype

    @property
    def home(self):
        return place_of(self.values)

    @property
    def nbytes(self):
        return 8 * self.n_x * self.values.shape[1] + 8 * self.m

    def width(self, place, gram):
        return self.n_x

    def pick(self, numbers):
        return Repeated(self.values[numbers, :], self.numbers, self.rows)

    def is_ready(self, place, dtype):
        return dtype_name(self.values) == dtype

    def put(self, place):
        return Repeated(place.put(self.values), place.put(self.numbers), self.rows)

    def cut(self, start, stop, place):
        return Columns(self.values, self.numbers[start:stop])

    def converted(self, block, place, dtype, center, exact):
        assert center is None, "no centre is ever subtracted from blocks that are no arrays"
        return block._replace(values=place.xp.astype(block.values, place.dtype(dtype), copy=False))

    def fetched(self, ranges, arrived, in_threads, whole):
        return ((range, None) for range in ranges), 0

    def between(self, start, stop):
        return Repeated(self.values, self.numbers[start:stop], self.rows)

    def take(self, index, place):
        return Repeated(self.values, place.xp.take(self.numbers, index, axis=0), self.rows)

    def host(self):
        return self.host_rows(np.arange(self.m)) if self.rows else self.host_rows(np.arange(self.m)).T

    def host_rows(self, index):
        return to_host(self.values).T[to_host(self.numbers)[index]]

    def flaw(self, block, place, dtype):
        bad = ~np.isfinite(to_host(block.values)[:, to_host(block.numbers)])
        if not bad.any():
            return None
        feature, sample = np.unravel_index(np.argmax(bad), bad.shape)
        return Flaw(int(bad.sum()), int(feature), int(sample), float("nan"))

    def name(self, sample):
        return ""


@pytest.fixture(autouse=True)
def _known():
    """A line in the table by which the door knows the kind."""
    KINDS.append(lambda X, rows: X if isinstance(X, Repeated) else None)
    yield
    KINDS.pop()


def drawn(classes=2, shift=0.0):
    rng = np.random.default_rng(0)
    values = rng.standard_normal((4, LEVELS)) * np.asarray([[1.0], [3.0], [0.1], [1.0]]) + shift
    numbers = rng.integers(LEVELS, size=M)
    X = values[:, numbers]
    W = rng.standard_normal((4, classes))
    return values, numbers, X, np.argmax(W.T @ (X - shift) + rng.gumbel(size=(classes, M)), axis=0)


def pair(where, classes=2, shift=0.0):
    """The samples as the other kind, as an array, and their labels."""
    values, numbers, X, Y = drawn(classes, shift)
    return Repeated(where.asarray(values), where.place.put(numbers)), where.asarray(X), Y


def alike(found, expected, where, tolerance=1e-6):
    tolerance = tolerance if where.dtype == "float64" else 2e-3
    for name in ("w", "b"):
        np.testing.assert_allclose(
            to_host(getattr(found, name)), to_host(getattr(expected, name)), rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"solver": "lbfgs"},
        {"solver": "gd", "max_iter": 50, "learning_rate": 0.1},
        {"l2": 1e-2, "standardize": True},
        {"bias": False, "l2": 1e-3},
    ],
    ids=str,
)
def test_it_is_fitted_like_an_array(where, classes, options):
    other, X, Y = pair(where, classes)
    found, expected = (xlogreg.fit(given, Y, **options) for given in (other, X))
    alike(found, expected, where)
    assert found.fit_info.converged == expected.fit_info.converged
    assert dtype_name(found.w) == where.dtype
    assert place_of(found.w) == where.place
    np.testing.assert_allclose(to_host(found.predict_proba(other)), to_host(found.predict_proba(X)), rtol=1e-4)
    assert (to_host(found.predict(other)) == to_host(found.predict(X))).all()
    assert found.evaluate(other, Y).accuracy == found.evaluate(X, Y).accuracy


@pytest.mark.parametrize("shift", [0.0, 3.0, 2020.0])
def test_a_shift_changes_its_bias_alone(shift):
    values, numbers, X, Y = drawn(shift=shift)
    found = xlogreg.fit(Repeated(values, numbers), Y, l2=1e-3)
    expected = xlogreg.fit(X - shift, Y, l2=1e-3)
    np.testing.assert_allclose(found.w, expected.w, rtol=1e-6)
    np.testing.assert_allclose(
        found.predict_proba(Repeated(values, numbers)), expected.predict_proba(X - shift), rtol=1e-6
    )
    assert found.fit_info.converged


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_it_is_fitted_many_times_at_once(where, classes):
    other, X, Y = pair(where, classes)
    rng = np.random.default_rng(1)
    folds = rng.permutation(np.arange(M) % 4)
    many = {
        "path": lambda X: xlogreg.fit_path(X, Y, [1.0, 0.1, 0.01]),
        "many": lambda X: xlogreg.fit_many(X, [Y, Y == 0], l2s=[0.1, 0.01]) if classes == 2 else [xlogreg.fit(X, Y)],
        "cv": lambda X: [xlogreg.fit_cv(X, Y, [0.1, 0.01], folds=folds).model],
    }
    for fitted in many.values():
        for found, expected in zip(fitted(other), fitted(X), strict=True):
            alike(found, expected, where, 1e-4)


def test_a_cross_validation_scores_it_like_an_array():
    values, numbers, X, Y = drawn()
    for folds in (np.arange(M) * 3 // M, np.arange(M) % 3):
        found, expected = (
            xlogreg.fit_cv(given, Y, [1.0, 0.01], folds=folds, scoring=scoring)
            for given in (Repeated(values, numbers), X)
            for scoring in ("roc_auc",)
        )
        for name in ("log_loss", "accuracy", "roc_auc"):
            np.testing.assert_allclose(found.scores[name], expected.scores[name], rtol=1e-6)


def test_intervals_and_standard_errors_are_those_of_the_array():
    values, numbers, X, Y = drawn()
    other = Repeated(values, numbers)
    errors = [xlogreg.fit(given, Y).standard_errors() for given in (other, X)]
    np.testing.assert_allclose(errors[0].w, errors[1].w, rtol=1e-6)
    np.testing.assert_allclose(errors[0].b, errors[1].b, rtol=1e-6)
    found, expected = (xlogreg.bootstrap(given, Y, 20, l2=1e-2).w for given in (other, X))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("m", [4000, 60_000])
@pytest.mark.slow
def test_subsets_and_threads_take_it(m):
    rng = np.random.default_rng(2)
    values = rng.standard_normal((30, 500)) + np.arange(30)[:, None]
    numbers = rng.integers(500, size=m)
    X = values[:, numbers]
    Y = rng.random(m) < 1 / (1 + np.exp(-(X[0] - 0.5 * (X[1] - 1))))
    found, expected = (xlogreg.fit(given, Y) for given in (Repeated(values, numbers), X))
    assert found.fit_info.converged
    np.testing.assert_allclose(found.w, expected.w, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", [(300, 60), (1500, 900)])
@pytest.mark.slow
def test_many_features_take_it(shape):
    n_x, m = shape
    rng = np.random.default_rng(3)
    values, numbers = rng.standard_normal((n_x, m // 2)) + 1.0, rng.integers(m // 2, size=m)
    X = values[:, numbers]
    Y = X[0] + rng.logistic(size=m) > 1.0
    found, expected = (xlogreg.fit(given, Y, l2=0.01) for given in (Repeated(values, numbers), X))
    assert found.fit_info.converged
    np.testing.assert_allclose(found.w, expected.w, rtol=1e-3, atol=1e-5)


def test_separated_classes_are_found():
    values, numbers, X, _ = drawn()
    Y = X[0] > 0.1
    with pytest.warns(xlogreg.SeparationWarning, match="features 0"):
        model = xlogreg.fit(Repeated(values, numbers), Y)
    assert model.fit_info.separation == "complete"


def test_values_that_are_not_finite_are_named():
    values, numbers, _, Y = drawn()
    values[2, numbers[17]] = np.nan
    first = int(np.argmax(numbers == numbers[17]))
    with pytest.raises(ValueError, match=rf"row 2, column {first}; remove or impute"):
        xlogreg.fit(Repeated(values, numbers), Y)


def test_estimators_take_it_as_rows():
    values, numbers, X, Y = drawn()
    rows = Repeated(values, numbers, rows=True)
    for make in (xlogreg.LogisticRegression, functools.partial(xlogreg.LogisticRegressionCV, Cs=3, cv=3)):
        options = {} if make is xlogreg.LogisticRegression else {"l1_ratios": (0.0,), "use_legacy_attributes": False}
        found, expected = (make(**options).fit(given, Y) for given in (rows, X.T))
        np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-5)
        np.testing.assert_allclose(found.predict_proba(rows), expected.predict_proba(X.T), rtol=1e-5)


def test_the_orientation_is_checked():
    values, numbers, _, Y = drawn()
    with pytest.raises(ValueError, match="X holds samples as columns"):
        xlogreg.fit(Repeated(values, numbers), Y, samples="rows")
