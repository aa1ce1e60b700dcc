"""Scores that are infinite, or whose products overflow: limits, and the same class whoever is asked."""

import dataclasses
import warnings
from fractions import Fraction

import numpy as np
import pytest

import xlogreg
from tests.conftest import cut
from xlogreg.arrays.place import to_host
from xlogreg.cli import main
from xlogreg.math.logistic import cost
from xlogreg.math.losses import cross_entropy, log_loss, sigmoid, softmax

INF = np.inf
NODATA = {"float32": -3.4e38, "float64": -1.7976931348623157e308}


def of_many(where, center=None):
    """Samples with such values among others, and models of them of two classes and of three."""
    n = NODATA[where.dtype]
    X = [[n, 0.5, 1.0], [n, n, 0.0], [-n, n, 1.0], [-n, -n, -n], [n, n, n], [1.0, 2.0, n], [0.1, 0.2, 0.3]]
    weights = np.asarray([[2.0, 3.0, -1.5], [1.0, 2.5, 1.0], [-3.0, 0.5, 0.25]]).T
    seen = np.random.default_rng(0).standard_normal((3, 30))
    models = []
    for k in (1, 3):
        plain = xlogreg.fit(where.asarray(seen), np.arange(30) % max(k, 2), l2=0.1)
        w, b = (where.asarray(part) for part in (weights[:, :k], [[0.5], [0.0], [-0.5]][:k]))
        kept = None if center is None else {"center": where.asarray(np.full((3, 1), center)), "centered_b": b}
        models.append(dataclasses.replace(plain, w=w, b=b, **(kept or {})))
    return where.asarray(np.asarray(X).T), models


def exact(model, X):
    """The scores (m, K), both of two classes, as fractions."""
    W, b, X = (to_host(part).tolist() for part in (model.w.T, model.b, X.T))
    center = [0.0] * len(W[0]) if model.center is None else to_host(model.center)[:, 0].tolist()
    W, b, X, (center,) = ([[Fraction(value) for value in row] for row in rows] for rows in (W, b, X, [center]))

    def score(w, bias, x):
        return bias[0] + sum(weight * (value - origin) for weight, value, origin in zip(w, x, center, strict=True))

    rows = [[score(w, bias, x) for w, bias in zip(W, b, strict=True)] for x in X]
    return [[Fraction(0), *row] if len(row) == 1 else row for row in rows]


@pytest.mark.filterwarnings("error")
def test_infinite_scores_have_their_limits(where):
    Z = where.asarray([[INF, INF, INF, -INF, -INF, -INF, 0.0]])
    Y = where.asarray([[1.0, 0.0, 0.3, 1.0, 0.0, 0.3, 1.0]])
    where.check(sigmoid(Z), [[1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.5]])
    where.check(log_loss(Z, Y), [[0.0, INF, INF, INF, 0.0, INF, np.log(2.0)]])
    Z = where.asarray([[INF, INF, -INF, 0.0, INF], [0.0, INF, -INF, 0.0, -INF], [0.0, 0.0, -INF, -INF, -INF]])
    A = [[1.0, 1 / 2, 1 / 3, 1 / 2, 1.0], [0.0, 1 / 2, 1 / 3, 1 / 2, 0.0], [0.0, 0.0, 1 / 3, 0.0, 0.0]]
    where.check(softmax(Z), A)
    for k, likely in enumerate(np.asarray(A)):
        Y = where.asarray(np.repeat(np.eye(3)[:, [k]], 5, axis=1))
        with np.errstate(divide="ignore"):
            where.check(cross_entropy(Z, Y), -np.log(likely)[None, :])
    even = where.asarray(np.full((3, 5), 1 / 3))
    where.check(cross_entropy(Z, even), [[INF, INF, np.log(3.0), INF, INF]])
    assert float(cost(Z, even, "cross_entropy")) == INF
    assert np.all(np.isnan(to_host(softmax(where.asarray([[np.nan], [0.0]])))))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("center", [None, 3e38])
def test_predictions_have_the_limits_of_scores_that_overflow(where, center):
    """Also where the terms of a score are infinite with both signs, and the sum would be NaN."""
    X, models = of_many(where, center)
    most = float(np.finfo(where.dtype).max)
    for model in models:
        methods = (model.predict, model.predict_proba, model.predict_log_proba, model.decision_function)
        (classes,), A, logs, scores = (to_host(method(X)) for method in methods)
        assert np.array_equal(classes, np.argmax(A, axis=0))
        for i, Z in enumerate(exact(model, X)):
            if max(map(abs, Z)) < 1e6:
                continue
            top = max(Z)
            assert Z.count(top) == 1
            assert A[:, i].tolist() == [float(score == top) for score in Z]
            pairs = [*zip(logs[:, i], [score - top for score in Z], strict=True)]
            for said, expected in (*pairs, *zip(scores[:, i], Z[-len(scores) :], strict=True)):
                if abs(expected) < 0.49 * most:
                    np.testing.assert_allclose(said, float(expected), rtol=1e-5)
                else:
                    assert said * (1 if expected > 0 else -1) >= 0.49 * most
                    assert np.isinf(said) or abs(expected) < 1.01 * most


@pytest.mark.filterwarnings("error")
def test_evaluate_says_what_predictions_say(where):
    X, models = of_many(where)
    for model in models:
        A, classes = to_host(model.predict_proba(X)), to_host(model.predict(X))[0]
        m, worst = len(classes), np.argmin(A, axis=0)
        report = model.evaluate(X, classes)
        assert report.accuracy == 1.0
        np.testing.assert_allclose(report.log_loss, -np.mean(np.log(A[classes, np.arange(m)])), atol=1e-6)
        report = model.evaluate(X, worst)
        assert (report.accuracy, report.log_loss, report.confusion.sum()) == (0.0, INF, m)
        weight = np.zeros(m)
        weight[-1] = 1.0  # of a loss that is infinite nothing is left by a weight of zero
        labels = np.append(worst[:-1], classes[-1])
        np.testing.assert_allclose(model.evaluate(X, labels, weight).log_loss, -np.log(A[classes[-1], -1]), rtol=1e-5)


def test_predict_and_probabilities_name_one_class_however_large_the_scores():
    rng = np.random.default_rng(1)
    seen = rng.standard_normal((3, 30))
    for k in (1, 4):
        model = xlogreg.fit(seen.astype("float32"), np.arange(30) % max(k, 2), l2=0.1)
        X = np.sign(rng.standard_normal((3, 2000))) * 10.0 ** rng.uniform(30, 38.5, (3, 2000))
        X = X.astype("float32")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            A, logs = model.predict_proba(X), model.predict_log_proba(X)
            assert np.array_equal(model.predict(X)[0], np.argmax(A, axis=0))
            assert np.array_equal(model.predict(X)[0], np.argmax(logs, axis=0))
        np.testing.assert_allclose(A.sum(axis=0), 1.0, rtol=1e-6)


def test_values_that_are_not_finite_are_still_refused(where):
    X, models = of_many(where)
    xp = where.xp
    X = xp.where(X[0, 5] == X, xp.nan, X)
    for model in models:
        with pytest.raises(ValueError, match="not finite"):
            model.predict_proba(X)


@pytest.mark.parametrize("options", [{}, {"l1": 0.05}])
def test_an_x_whose_sum_overflows_is_one_error_without_a_warning(options):
    X = np.asarray([[-1.0] + [1.0] * 9]) * 1e308
    with pytest.raises(ValueError, match="X is too large to compute with"):
        xlogreg.fit(X, np.arange(10) % 2, **options)


def test_the_command_line_and_estimators_have_the_limits(tmp_path, capsys):
    pytest.importorskip("polars", reason="polars is not installed")
    n = -3.4e38
    X = np.asarray([[n, n], [n, -n], [0.1, 0.2], [-n, 1.0]], dtype="float32")
    Y, seen = np.arange(60) % 3, np.random.default_rng(2).standard_normal((60, 2)).astype("float32")
    for classes in (2, 3):
        estimator = xlogreg.LogisticRegression(C=10.0).fit(seen, Y % classes)
        estimator.coef_ = np.asarray([[2.0, 3.0], [1.0, 2.5], [-3.0, 0.5]], "float32")[: len(estimator.coef_)]
        A, logs = estimator.predict_proba(X), estimator.predict_log_proba(X)
        assert not np.any(np.isnan(A) | np.isnan(logs))
        assert np.array_equal(estimator.predict(X), np.argmax(A, axis=1))
        assert estimator.score(X, np.argmax(A, axis=1)) == 1.0
        model = dataclasses.replace(xlogreg.fit(seen, Y % classes, samples="rows", l2=0.1), w=estimator.coef_.T)
        model.save(tmp_path / "model.npz")
        np.save(tmp_path / "X.npy", X)
        assert main(["predict", str(tmp_path / "model.npz"), str(tmp_path / "X.npy")]) in (0, None)
        rows = [line.split(",") for line in capsys.readouterr().out.strip().splitlines()[1:]]
        found = np.asarray([[float(value) for value in row[1:]] for row in rows])
        assert np.array_equal(np.argmax(found, axis=1), [int(float(row[0])) for row in rows])


def test_workers_evaluate_scores_that_overflow(client):
    class Where:
        dtype, asarray = "float32", staticmethod(lambda values: np.asarray(values, dtype="float32"))

    X, models = of_many(Where)
    for model in models:
        labels = model.predict(X)[0]
        report, here = model.evaluate(cut(X, 3), cut(labels, 3)), model.evaluate(X, labels)
        assert report.accuracy == here.accuracy == 1.0
        np.testing.assert_allclose(report.log_loss, here.log_loss, rtol=1e-6)
