"""Integers that floats do not tell apart: as features, which are centred first, and as labels."""

import warnings

import numpy as np
import pytest

import xlogreg
from tests.conftest import cut
from xlogreg import PrecisionWarning
from xlogreg.arrays.matrix import Dense
from xlogreg.arrays.place import HOST, to_host
from xlogreg.samples.memory import InMemory
from xlogreg.samples.products import map_samples
from xlogreg.samples.source import Columns

COUNT = np.arange(120)
Y = (np.random.default_rng(0).random(120) < 1 / (1 + np.exp(-0.03 * (COUNT - 60)))).astype(int)
FAR = {
    "int64": (np.int64, 10**17),
    "the least int64": (np.int64, -(2**63)),
    "the largest int64": (np.int64, 2**63 - 120),
    "uint64": (np.uint64, 10**17),
    "the largest uint64": (np.uint64, 2**64 - 120),
    "big-endian": (">i8", 10**17),
}
LABELS = 2**53 + np.asarray([1, 3, 5])[COUNT % 3]


def far(name):
    dtype, start = FAR[name]
    return np.asarray([start + i for i in COUNT.tolist()], dtype=dtype)[None, :]


@pytest.fixture(scope="module")
def near():
    return xlogreg.fit(COUNT[None, :].astype(float), Y)


def same(model, near, X):
    np.testing.assert_allclose(to_host(model.w), near.w, rtol=1e-9)
    np.testing.assert_allclose(model.fit_info.cost, near.fit_info.cost, rtol=1e-12)
    A = near.predict_proba(COUNT[None, :].astype(float))
    found = to_host(model.predict_proba(X))
    np.testing.assert_allclose(found if model.samples == "columns" else found.T, A, rtol=1e-9)
    np.testing.assert_allclose(model.evaluate(X, Y).log_loss, near.fit_info.cost, rtol=1e-9)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("options", [{}, {"solver": "lbfgs", "tol": 1e-20}, {"standardize": True}])
@pytest.mark.parametrize("name", FAR)
def test_large_integers_are_centred_before_they_become_floats(name, options, near):
    X = far(name)
    same(xlogreg.fit(X, Y, **options), near, X)


@pytest.mark.filterwarnings("error")
def test_large_integers_are_told_apart_on_every_library(where64, near):
    X = where64.place.put(far("int64"))
    same(xlogreg.fit(X, Y), near, X)


@pytest.mark.filterwarnings("error")
def test_integers_that_float32_rounds_are_centred_first(near):
    """A time stamp in seconds, where float32 is asked for."""
    X = (1_700_000_000 + COUNT[None, :]).astype(np.int32)
    model = xlogreg.fit(X, Y, dtype="float32")
    np.testing.assert_allclose(model.w, near.w, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_no_difference_of_two_integers_wraps_around(dtype):
    """Of a value that stands for none, at the end of the range, and all others far from it."""
    kind = np.iinfo(dtype)
    X = np.asarray([[kind.min, kind.max, 2**60, 2**60 + 1]], dtype=dtype)
    source = InMemory(Dense(X), Columns(np.zeros((1, 4))), HOST, "float64", 4.0).centered(np.full((1, 1), 2.0**60))
    assert source.exact
    expected = [[kind.min - 2.0**60, kind.max - 2.0**60, 0.0, 1.0]]
    np.testing.assert_allclose(map_samples(source, lambda X: X + 0.0), expected, rtol=1e-15)


@pytest.mark.filterwarnings("error")
def test_large_integers_are_told_apart_wherever_they_come_from(tmp_path, near):
    pandas = pytest.importorskip("pandas")
    X = far("int64").T
    np.save(tmp_path / "0.npy", X)
    columns = pandas.DataFrame({"id": X[:, 0]})
    kinds = [np.load(tmp_path / "0.npy", mmap_mode="r"), xlogreg.open_parts(tmp_path), columns, columns.astype("Int64")]
    for kind in kinds:
        same(xlogreg.fit(kind, Y, samples="rows"), near, kind)
    parts = [slice(0, 50), slice(50, 120)]
    model = xlogreg.fit(lambda: ((X[part], Y[part]) for part in parts), samples="rows")
    same(model, near, X)
    for kind in (X, columns):
        estimator = xlogreg.LogisticRegression(C=np.inf, tol=1e-10).fit(kind, Y)
        np.testing.assert_allclose(estimator.coef_, near.w, rtol=1e-6)
        A = estimator.predict_proba(kind)
        np.testing.assert_allclose(A, near.predict_proba(COUNT[None, :].astype(float)).T, rtol=1e-6)


@pytest.mark.filterwarnings("error")
def test_many_models_of_large_integers_are_those_of_their_differences(near):
    X, plain = far("int64"), COUNT[None, :].astype(float)
    for model, other in zip(
        xlogreg.fit_many(X, [Y, 1 - Y], l2s=0.1), xlogreg.fit_many(plain, [Y, 1 - Y], l2s=0.1), strict=True
    ):
        np.testing.assert_allclose(model.w, other.w, rtol=1e-8)
    chosen, other = (xlogreg.fit_cv(x, Y, l2s=[0.1, 10.0]) for x in (X, plain))
    np.testing.assert_allclose(chosen.scores["log_loss"], other.scores["log_loss"], rtol=1e-8)
    wide = np.random.default_rng(1).integers(-9, 9, (300, 60))
    model, other = (xlogreg.fit(x, Y[:60], l2=0.1) for x in (10**17 + wide, wide.astype(float)))
    np.testing.assert_allclose(model.w, other.w, rtol=1e-7, atol=1e-9)


@pytest.mark.filterwarnings("error")
def test_workers_tell_large_integers_apart(client, near):
    X = far("int64")
    model = xlogreg.fit(cut(X, 50), cut(Y, 50))
    np.testing.assert_allclose(model.w, near.w, rtol=1e-9)
    np.testing.assert_allclose(model.evaluate(cut(X, 50), cut(Y, 50)).log_loss, near.fit_info.cost, rtol=1e-9)


def test_features_that_were_rounded_before_are_named():
    pandas = pytest.importorskip("pandas")
    X = far("int64")
    table = pandas.DataFrame({"id": X[0], "share": np.sqrt(COUNT)})  # whose columns have one dtype in common
    with pytest.warns(PrecisionWarning, match="features 'id': subtract a number"):
        xlogreg.fit(table, Y, samples="rows")
    with pytest.warns(PrecisionWarning, match="features 0: subtract a number"):
        xlogreg.fit(X.astype(float), Y)
    with pytest.warns(PrecisionWarning, match="features 1"):
        xlogreg.fit(np.concatenate([COUNT[None, :], X]), Y, bias=False, l2=1.0)


@pytest.mark.parametrize("scale", [1.0, 1e9, 1e-9, 1e100])
def test_floats_and_integers_that_differ_enough_are_fitted_without_a_word(scale):
    rng = np.random.default_rng(2)
    stamps = 1_700_000_000_000_000_000 + rng.integers(0, 10**15, 120)  # nanoseconds, of eleven days
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for x in (stamps.astype(float), stamps, scale * (COUNT + 2020.0), scale * rng.standard_normal(120)):
            xlogreg.fit(x[None, :], Y, l2=1e-3)


NULLABLE = ["Int64", "UInt64", "int64[pyarrow]", "uint64[pyarrow]"]


@pytest.mark.parametrize("dtype", NULLABLE)
@pytest.mark.parametrize("framed", [False, True])
def test_labels_that_could_be_missing_never_become_floats(dtype, framed):
    pandas = pytest.importorskip("pandas")
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    X = np.random.default_rng(3).standard_normal((120, 2))
    y = pandas.Series(LABELS, dtype=dtype)
    given = y.to_frame() if framed else y
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of a column where one axis is right
        estimators = (xlogreg.LogisticRegression(), xlogreg.LogisticRegressionCV(Cs=[0.1, 1.0]))
        fitted = [estimator.fit(X, given) for estimator in estimators]
    for estimator in fitted:
        assert estimator.classes_.tolist() == sorted(set(LABELS.tolist()))
        assert estimator.classes_.dtype.kind in "iu"
        assert set(estimator.predict(X).tolist()) <= set(LABELS.tolist())
    assert fitted[0].score(X, y) == np.mean(fitted[0].predict(X) == LABELS)
    model = xlogreg.fit(X, given, samples="rows")
    assert model.classes.tolist() == sorted(set(LABELS.tolist()))
    assert model.evaluate(X, y).accuracy == np.mean(model.predict(X) == LABELS)


@pytest.mark.parametrize("dtype", ["boolean", "bool[pyarrow]"])
def test_bools_that_could_be_missing_stay_bools(dtype):
    pandas = pytest.importorskip("pandas")
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    X = np.random.default_rng(3).standard_normal((120, 2))
    y = pandas.Series(Y > 0, dtype=dtype)
    estimator = xlogreg.LogisticRegression().fit(X, y)
    assert estimator.classes_.dtype == bool
    assert estimator.predict(X).dtype == bool
    with pytest.raises(ValueError, match="y lacks 1 value"):
        xlogreg.LogisticRegression().fit(X, y.mask(COUNT == 5))


def test_strings_that_are_objects_stay_objects_as_in_scikit_learn():
    sklearn = pytest.importorskip("sklearn.linear_model")
    X = np.random.default_rng(3).standard_normal((120, 2))
    words = np.asarray(["ant", "bee", "horse"])[COUNT % 3]
    for y in (words, words.astype(object)):
        theirs = sklearn.LogisticRegression().fit(X, y)
        ours = xlogreg.LogisticRegression(tol=1e-8).fit(X, y)
        for one, other in ((ours.classes_, theirs.classes_), (ours.predict(X), theirs.predict(X))):
            assert one.dtype == other.dtype
            assert one.tolist() == other.tolist()
        assert ours.score(X, y) == theirs.score(X, y)
        assert ours.to_sklearn().predict(X).dtype == theirs.predict(X).dtype
        weighted = xlogreg.LogisticRegression(class_weight={"ant": 2.0}).fit(X, y)
        assert weighted.classes_.dtype == theirs.classes_.dtype
        cv = xlogreg.LogisticRegressionCV(Cs=[0.1, 1.0]).fit(X, y)
        assert cv.classes_.dtype == cv.predict(X).dtype == theirs.classes_.dtype
