"""Arrays on another device than the current one, and labels on another than X: every public function takes them."""

import numpy as np
import pytest
from conftest import place_or_skip

import xlogreg
from xlogreg.arrays.place import HOST, is_array, place_of, to_host
from xlogreg.arrays.stored import Slices

M, FEATURES = 240, 4
RNG = np.random.default_rng(3)
X = RNG.standard_normal((FEATURES, M))
Y = (X[0] + RNG.logistic(size=M) > 0).astype(np.int64)
THREE = np.arange(M) % 3
WEIGHT = RNG.uniform(0.5, 1.5, M)
OFFSET = 0.1 * RNG.standard_normal(M)
# the devices of array-api-strict are strict in another way: arrays of two of them must not meet
PAIRS = {"cupy": ("cuda:1", "cuda:0"), "array-api-strict": ("device1", "CPU_DEVICE")}


class Given:
    """The samples: X on one device, and what belongs to it on another device, on the same one, or on the host."""

    def __init__(self, there, beside):
        self.there, self.beside = there, beside
        self.X, self.rows = there.put(X), there.put(np.ascontiguousarray(X.T))
        self.Y, self.three, self.weight, self.offset = (self.put(part) for part in (Y, THREE, WEIGHT, OFFSET))

    def put(self, values):
        return values if self.beside is None else self.beside.put(values)

    def model(self, **options):
        return xlogreg.fit(self.there.put(X), Y, **options)


@pytest.fixture(params=[(name, beside) for name in PAIRS for beside in ("other", "same", "host")], ids="-".join)
def given(request):
    name, beside = request.param
    there, other = (place_or_skip(name, device) for device in PAIRS[name])
    return Given(there, {"other": other, "same": there, "host": None}[beside])


FITS = {
    "fit": lambda g: xlogreg.fit(g.X, g.Y),
    "weights": lambda g: xlogreg.fit(g.X, g.Y, l2=0.01, sample_weight=g.weight, offset=g.offset),
    "bools": lambda g: xlogreg.fit(g.X, g.put(Y > 0), sample_weight=g.put(WEIGHT > 0.6)),
    "three classes": lambda g: xlogreg.fit(g.X, g.three, l2=0.01),
    "one-hot": lambda g: xlogreg.fit(g.X, g.put(np.eye(3)[THREE].T), l2=0.01),
    "probabilities": lambda g: xlogreg.fit(g.X, g.put(0.8 * Y + 0.1), targets="probabilities"),
    "integers": lambda g: xlogreg.fit(g.there.put((100 * X).astype(np.int32)), g.Y),
    "rows": lambda g: xlogreg.fit(g.rows, g.Y, samples="rows"),
    "gd": lambda g: xlogreg.fit(g.X, g.Y, solver="gd", standardize=True, max_iter=5),
    "newton": lambda g: xlogreg.fit(g.X, g.Y, solver="newton"),
    "lbfgs": lambda g: xlogreg.fit(g.X, g.Y, solver="lbfgs"),
    "l1": lambda g: xlogreg.fit(g.X, g.Y, l1=0.01),
    "firth": lambda g: xlogreg.fit(g.X, g.Y, bias_reduction="flic"),
    "read": lambda g: xlogreg.fit(Slices(X, 1), g.Y, backend=g.there.name, device=g.there.device_name),
    "from the host": lambda g: xlogreg.fit(X, g.Y, backend=g.there.name, device=g.there.device_name),
    "to the host": lambda g: xlogreg.fit(g.X, g.Y, backend="numpy"),
    "path": lambda g: xlogreg.fit_path(g.X, g.Y, l2s=[0.1, 0.01], sample_weight=g.weight)[1],
    "cv": lambda g: xlogreg.fit_cv(g.X, g.Y, l2s=[0.1, 0.01], folds=3, sample_weight=g.weight).model,
    "many": lambda g: xlogreg.fit_many(g.X, g.put(np.stack([1 - Y, Y])), l2s=0.01)[1],
    "bootstrap": lambda g: xlogreg.bootstrap(g.X, g.Y, 3, sample_weight=g.weight, offset=g.offset).model,
}


@pytest.mark.parametrize("fit", FITS.values(), ids=FITS)
def test_fits_are_those_of_the_host(given, fit):
    model, expected = fit(given), fit(Given(HOST, None))
    for name in ("w", "b"):
        np.testing.assert_allclose(to_host(getattr(model, name)), to_host(getattr(expected, name)), rtol=0, atol=1e-7)


PREDICTIONS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


def test_predictions_are_where_x_is(given):
    for options in ({}, {"prior": 0.3}, {"bias_reduction": "flic"}):
        model, host = given.model(**options), xlogreg.fit(X, Y, **options)
        for name in PREDICTIONS:
            found = getattr(model, name)(given.X, offset=given.offset)
            assert place_of(found) == given.there
            np.testing.assert_allclose(to_host(found), getattr(host, name)(X, offset=OFFSET), rtol=0, atol=1e-7)


JUDGED = {
    "evaluate": lambda g, m: m.evaluate(g.X, g.Y, sample_weight=g.weight).confusion,
    "covariance": lambda g, m: m.covariance_of(g.X, g.Y, kind="HC1").matrix,
    "cluster": lambda g, m: m.covariance_of(g.X, g.Y, kind="cluster", groups=g.put(np.arange(M) % 20)).matrix,
    "score test": lambda g, m: m.score_test(g.X, g.Y, candidates=g.put(X[:2] ** 2)).table["statistic"],
    "drop one": lambda g, m: m.drop_one(g.X, g.Y).table["statistic"],
    "profile": lambda g, m: m.profile_interval(g.X, g.Y, 0).table["lower"],
    "effects": lambda g, m: m.marginal_effects(g.X, sample_weight=g.put(np.ones(M))).table["effect"],
    "interval": lambda g, m: m.predict_interval(g.X)[0],
    "influence": lambda g, m: m.influence(g.X, g.Y).leverage,
    "roc": lambda g, m: m.roc(g.X, g.Y, sample_weight=g.weight).auc,
    "calibration": lambda g, m: m.calibration(g.X, g.Y, sample_weight=g.weight).hosmer_lemeshow.statistic,
    "path": lambda g, m: xlogreg.fit_path(g.X, g.Y, l2s=[0.1, 0.01]).w,
}


@pytest.mark.parametrize("judge", JUDGED.values(), ids=JUDGED)
def test_what_is_said_of_a_model_is_that_of_the_host(given, judge):
    host = Given(HOST, None)
    found, expected = (judge(samples, samples.model()) for samples in (given, host))
    np.testing.assert_allclose(to_host(found) if is_array(found) else found, expected, rtol=1e-6, atol=1e-7)


def test_a_model_is_moved_and_saved(given, tmp_path):
    model = given.model()
    for place in (HOST, given.there):
        assert place_of(model.to(place.name, place.device_name).w) == place
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(xlogreg.load(tmp_path / "model").w, to_host(model.w))


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1.0, 1: 2.0}], ids=str)
def test_estimators_take_them(given, class_weight):
    logistic = pytest.importorskip("xlogreg.sklearn.logistic")
    host = logistic.LogisticRegression(class_weight=class_weight).fit(X.T, Y, sample_weight=WEIGHT)
    found = logistic.LogisticRegression(class_weight=class_weight).fit(given.rows, given.Y, sample_weight=given.weight)
    for name in PREDICTIONS:
        np.testing.assert_allclose(to_host(getattr(found, name)(given.rows)), getattr(host, name)(X.T), atol=1e-7)
    assert found.score(given.rows, given.Y) == host.score(X.T, Y)
    searching = pytest.importorskip("xlogreg.sklearn.logistic_cv")
    search = searching.LogisticRegressionCV(Cs=2, cv=3, class_weight=class_weight, scoring="roc_auc")
    assert place_of(search.fit(given.rows, given.Y).coef_) == given.there


@pytest.mark.parametrize("where", ["given", "wide", "huge"])
def test_values_that_overflow_or_are_not_finite_are_found(given, where):
    model = given.model()
    far = X.copy()
    far[0, 2] = {"given": np.nan, "wide": np.inf, "huge": 1.7e308}[where]
    far = given.there.put(far)
    if where == "huge":
        assert np.all(np.isfinite(to_host(model.predict_proba(far))))
        return
    for call in (model.predict, lambda X: xlogreg.fit(X, given.Y)):
        with pytest.raises(ValueError, match="row 0, column 2"):
            call(far)
