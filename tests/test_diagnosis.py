"""Influence, ROC curves and calibration, against statsmodels, scikit-learn, pandas and their definitions."""

import dataclasses
import math

import numpy as np
import pytest
import reference_data
from conftest import QUICK, cut

import xlogreg
from xlogreg.arrays.place import to_host
from xlogreg.inference.calibration import calibration_of
from xlogreg.inference.roc import roc_of
from xlogreg.math.residuals import influences

FIELDS = ("leverage", "pearson", "deviance", "studentised", "cooks_distance", "probability")


@pytest.fixture(scope="module")
def data():
    """X (3, 300), Y (300,) of two classes, Y of three, whole weights (300,) from 0 to 2."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((3, 300)) + np.asarray([[0.0], [4.0], [-1.0]])
    Z = X[0] - 0.5 * X[1] + 2.0
    Y = (Z + rng.logistic(size=300) > 0).astype(int)
    return X, Y, np.argmax(np.stack([0 * Z, Z, X[2]]) + rng.gumbel(size=(3, 300)), axis=0), np.arange(300) % 3


@pytest.fixture(scope="module")
def model(data):
    return xlogreg.fit(data[0], data[1], tol=1e-14)


def binomial(endog, X, **options):
    """Result of statsmodels' GLM."""
    models = pytest.importorskip("statsmodels.genmod.generalized_linear_model", reason="statsmodels is not installed")
    from statsmodels.genmod.families import Binomial

    return models.GLM(endog, np.column_stack([np.ones(X.shape[1]), X.T]), family=Binomial(), **options).fit(tol=1e-15)


def assert_influence(found, result):
    theirs = result.get_influence()
    expected = {
        "leverage": theirs.hat_matrix_diag,
        "pearson": result.resid_pearson,
        "deviance": result.resid_deviance,
        "studentised": theirs.resid_studentized,
        "cooks_distance": theirs.cooks_distance[0],
        "probability": result.fittedvalues,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(found, name)[0], values, rtol=1e-8, atol=1e-10)


def test_influence_is_that_of_statsmodels(data):
    for X, Y in (data[:2], reference_data.spector(), reference_data.o_rings()):
        assert_influence(xlogreg.fit(X, Y, tol=1e-14).influence(X, Y), binomial(Y, X))


def test_groups_of_trials_have_the_influence_that_statsmodels_finds(data):
    X, Y = data[:2]
    rng = np.random.default_rng(0)
    trials = rng.integers(1, 9, 300)
    successes = rng.binomial(trials, np.where(Y, 0.7, 0.4))
    shares = successes / trials
    model = xlogreg.fit(X, shares, sample_weight=trials, targets="probabilities", tol=1e-14)
    found = model.influence(X, shares, trials, targets="probabilities")
    assert_influence(found, binomial(np.column_stack([successes, trials - successes]), X))
    assert_influence(found, binomial(shares, X, var_weights=trials))


def test_leverages_add_up_to_the_parameters_and_residuals_to_the_deviance(data, model):
    X, Y, _, weight = data
    found = model.influence(X, Y)
    assert np.sum(found.leverage) == pytest.approx(4.0, rel=1e-10)
    assert np.sum(found.deviance**2) == pytest.approx(model.deviance, rel=1e-10)
    weighted = xlogreg.fit(X, Y, sample_weight=weight, tol=1e-14)
    found = weighted.influence(X, Y, weight)
    assert np.sum(found.leverage) == pytest.approx(4.0, rel=1e-10)
    assert np.sum(found.deviance**2) == pytest.approx(weighted.deviance, rel=1e-10)
    assert not np.any(found.cooks_distance[0, weight == 0])


def test_under_a_penalty_leverages_add_up_to_the_effective_parameters(data):
    X, Y = data[:2]
    model = xlogreg.fit(X, Y, l2=0.05, tol=1e-14)
    covariance = model.covariance_of(X, Y, kind="posterior")
    for found in (model.influence(X, Y), model.influence(X, Y, covariance=covariance)):
        assert np.sum(found.leverage) == pytest.approx(covariance.effective_parameters, rel=1e-10)
    assert covariance.effective_parameters < 3.9


def test_a_fit_without_a_hessian_gets_one(data, model):
    X, Y = data[:2]
    other = dataclasses.replace(model, covariance="it was not computed")
    np.testing.assert_allclose(other.influence(X, Y).cooks_distance, model.influence(X, Y).cooks_distance, rtol=1e-9)


def exact_influences(z, v, y, s, p):
    """The formulas of Pregibon, in extended precision."""
    z, v, y, s = (np.asarray(part, np.longdouble) for part in (z, v, y, s))
    one = np.longdouble(1)
    a, other = one / (one + np.exp(-z)), one / (one + np.exp(z))  # a and 1 - a
    residual = y * other - (one - y) * a  # y - a
    pearson = residual * np.sqrt(s / (a * other))
    # y log(y / a) + (1 - y) log((1 - y) / (1 - a)), where -log a = log(1 + exp(-z))
    terms = y * (np.log(np.where(y > 0, y, one)) + np.log1p(np.exp(-z)))
    terms = terms + (one - y) * (np.log(np.where(y < 1, one - y, one)) + np.log1p(np.exp(z)))
    leverage = s * a * other * v
    studentised = pearson / np.sqrt(one - leverage)
    cooks = studentised**2 * leverage / (one - leverage) / p
    return np.stack([leverage, pearson, np.sign(residual) * np.sqrt(2 * s * terms), studentised, cooks])


def test_influence_is_exact_far_from_the_boundary(where64):
    z = np.asarray([0.0, 0.3, -2.0, 40.0, 40.0, -40.0, -40.0, 300.0, 300.0, -600.0, -600.0, 1.5])
    y = np.asarray([1.0, 0.25, 0.9, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    s, v = np.linspace(0.5, 3.0, len(z)), np.linspace(0.01, 0.2, len(z))
    with where64.place.computing():
        rows = [where64.asarray(part[None, :]) for part in (z, v, y, s)]
        found = influences(*rows, 3.0)
    where64.check(found, exact_influences(z, v, y, s, 3.0).astype(float), rtol=1e-12, atol=0.0)


def test_a_share_that_the_model_meets_has_no_residual(where64):
    a = np.asarray([[0.5, 0.5, 0.75]])
    with where64.place.computing():
        y = a + np.asarray([[0.0, 1e-9, -1e-9]])
        z = where64.asarray(np.log(a / (1 - a)))
        ones = where64.asarray(np.ones((1, 3)))
        found = to_host(influences(z, 0.1 * ones, where64.asarray(y), ones, 2.0))
    np.testing.assert_allclose(found[1], [0.0, 2e-9, -1e-9 / math.sqrt(0.1875)], rtol=1e-6, atol=1e-15)
    np.testing.assert_allclose(found[2], found[1], rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_diagnoses_are_the_same_in_any_library(data, where):
    X, Y, three, weight = data
    for samples in ("columns", "rows"):
        values = X if samples == "columns" else X.T
        there = where.asarray(values)
        here = xlogreg.fit(values, Y, samples=samples)
        model = xlogreg.fit(there, Y, samples=samples)
        near = 1e-6 if where.dtype == "float64" else 2e-2
        found, expected = model.influence(there, Y), here.influence(values, Y)
        for name in FIELDS:
            where.check(
                getattr(found, name), getattr(expected, name), dtype=where.place.widest, rtol=near, atol=near / 10
            )
        assert model.roc(there, Y, weight).auc == pytest.approx(here.roc(values, Y, weight).auc, abs=near / 100)
        calibration, other = model.calibration(there, Y), here.calibration(values, Y)
        assert calibration.line.slope == pytest.approx(other.line.slope, rel=near)
        assert not calibration.new_data
        np.testing.assert_allclose(calibration.table["expected"], other.table["expected"], rtol=near)
        softmax = xlogreg.fit(there, three, samples=samples)
        expected = xlogreg.fit(values, three, samples=samples).roc(values, three, positive=2)
        assert softmax.roc(there, three, positive=2).auc == pytest.approx(expected.auc, abs=near / 100)


def test_diagnoses_are_the_same_from_any_source(client, data):
    sparse = pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    X, Y, _, weight = data
    rows = X.T

    def factory():
        for start in range(0, 300, 70):
            part = slice(start, start + 70)
            yield rows[part], Y[part], weight[part]

    model = xlogreg.fit(rows, Y, sample_weight=weight, samples="rows", tol=1e-14)
    expected = [getattr(model, name)(rows, Y, sample_weight=weight) for name in ("influence", "roc", "calibration")]
    sources = {
        "sparse": (sparse.csr_array(rows), Y, weight),
        "dask": (cut(rows, 70, 0), cut(Y, 70), cut(weight, 70)),
        "factory": (factory, None, None),
    }
    for source, labels, own in sources.values():
        influence = model.influence(source, labels, own)
        for name in FIELDS:
            np.testing.assert_allclose(getattr(influence, name), getattr(expected[0], name), rtol=1e-9, atol=1e-12)
        assert model.roc(source, labels, own).auc == pytest.approx(expected[1].auc, rel=1e-12)
        calibration = model.calibration(source, labels, sample_weight=own)
        np.testing.assert_allclose(calibration.table["observed"], expected[2].table["observed"], rtol=1e-12)
        assert calibration.test.statistic == pytest.approx(expected[2].test.statistic, abs=1e-9)


def test_categories_have_influence(table_kind, data):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X, Y, three, _ = data
    frame = pandas.DataFrame({"ward": np.asarray(["a", "b", "c"])[three], "age": X[0]})
    hot = np.stack([three == 1, three == 2, X[0]]).astype(float)
    model = xlogreg.fit(frame, Y, samples="rows", categorical_features=["ward"], tol=1e-14)
    expected = xlogreg.fit(hot, Y, tol=1e-14).influence(hot, Y)
    found = model.influence(frame, Y)
    np.testing.assert_allclose(found.cooks_distance, expected.cooks_distance[0], rtol=1e-8)
    assert model.roc(frame, Y).auc == pytest.approx(roc_of_scores(model, frame, Y), rel=1e-12)


def roc_of_scores(model, X, Y, weight=None):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    return metrics.roc_auc_score(Y, np.ravel(model.decision_function(X)), sample_weight=weight)


def test_an_offset_is_part_of_every_score(client, data):
    X, Y, three, _ = data
    offset = np.random.default_rng(3).standard_normal(300)
    model = xlogreg.fit(X, Y, offset=offset, tol=1e-14)
    found = model.influence(X, Y, offset=offset)
    assert_influence(found, binomial(Y, X, offset=offset))
    there = model.influence(cut(X, 70), cut(Y, 70), offset=offset)
    np.testing.assert_allclose(there.cooks_distance, found.cooks_distance, rtol=1e-9, atol=1e-14)
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    scores = model.decision_function(X, offset)[0]
    assert model.roc(X, Y, offset=offset).auc == pytest.approx(metrics.roc_auc_score(Y, scores), rel=1e-12)
    calibration = model.calibration(X, Y, offset=offset)
    assert not calibration.new_data
    np.testing.assert_allclose(
        [calibration.line.intercept, calibration.line.slope], binomial(Y, scores[None, :]).params, rtol=1e-8
    )
    assert calibration.in_the_large.intercept == pytest.approx(0.0, abs=1e-9)
    both = np.stack([0 * offset, offset, -offset])
    softmax = xlogreg.fit(X, three, offset=both)
    found = softmax.roc(X, three, positive=1, offset=both)
    expected = metrics.roc_auc_score(three == 1, softmax.predict_proba(X, both)[1])
    assert found.auc == pytest.approx(expected, rel=1e-12)
    for call in (model.influence, model.roc, model.calibration):
        with pytest.raises(ValueError, match="the model was fitted with an offset"):
            call(X, Y)


@pytest.mark.parametrize("options", [{"bias_reduction": "firth"}, {"bias_reduction": "flic"}, {"prior": 0.1}])
def test_shifted_scores_are_calibrated_and_the_fit_before_is_diagnosed(data, options):
    X, Y = data[:2]
    model = xlogreg.fit(X, Y, tol=1e-14, **options)
    found = model.influence(X, Y)
    assert np.sum(found.leverage) == pytest.approx(4.0, rel=1e-8)
    assert np.sum(found.deviance**2) == pytest.approx(model.deviance, rel=1e-9)
    calibration = model.calibration(X, Y)
    assert not calibration.new_data
    line = binomial(Y, model.decision_function(X))
    assert calibration.line.intercept == pytest.approx(line.params[0], rel=1e-8)
    if options == {"bias_reduction": "flic"}:
        assert calibration.in_the_large.intercept == pytest.approx(0.0, abs=1e-7)
    if "prior" in options:
        expected = math.log(Y.mean() / (1 - Y.mean())) - math.log(0.1 / 0.9)
        assert calibration.in_the_large.intercept == pytest.approx(expected, rel=1e-6)


def test_a_formula_finds_the_labels_in_the_table(data):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    pytest.importorskip("formulaic", reason="formulaic is not installed")
    X, Y = data[:2]
    frame = pandas.DataFrame({"died": Y, "age": X[0], "dose": X[1]})
    model = xlogreg.fit_formula("died ~ age + dose", frame)
    plain = xlogreg.fit(X[:2], Y)
    assert model.roc(frame).auc == pytest.approx(plain.roc(X[:2], Y).auc, rel=1e-12)
    assert model.calibration(frame).table["observed"].tolist() == plain.calibration(X[:2], Y).table["observed"].tolist()
    found, expected = model.influence(frame).leverage, plain.influence(X[:2], Y).leverage
    np.testing.assert_allclose(np.ravel(found), expected[0], rtol=1e-8)


def test_the_most_influential_samples_are_printed(data, model):
    found = model.influence(data[0], data[1])
    lines = str(found).splitlines()
    order = np.argsort(-found.cooks_distance[0])[:5]
    assert [int(line.split()[0]) for line in lines[2:]] == order.tolist()
    assert lines[0] == "most influential of 300 samples:"


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_curve_is_that_of_scikit_learn(data, model, weighted, ties):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    X, Y = data[:2]
    X = np.round(X) if ties else X
    weight = np.random.default_rng(0).random(300) if weighted else None
    found, scores = model.roc(X, Y, weight), model.decision_function(X)[0]
    false, true, thresholds = metrics.roc_curve(Y, scores, sample_weight=weight, drop_intermediate=False)
    np.testing.assert_allclose(found.false_positive_rate, false, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found.true_positive_rate, true, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(found.thresholds, thresholds)
    assert found.auc == pytest.approx(roc_of_scores(model, X, Y, weight), rel=1e-12)
    assert (len(thresholds) < 150) == ties


def delong(scores, own):
    """Area and standard error by their definition, over all pairs."""
    X, Y = scores[own], scores[~own]
    psi = (X[:, None] > Y[None, :]) + 0.5 * (X[:, None] == Y[None, :])
    S10, S01 = np.var(psi.mean(axis=1), ddof=1), np.var(psi.mean(axis=0), ddof=1)
    return psi.mean(), math.sqrt(S10 / len(X) + S01 / len(Y))


def test_the_error_of_the_area_is_that_of_all_pairs(data):
    _, Y, _, weight = data
    scores = np.round(np.random.default_rng(2).standard_normal(300) + Y, 1)
    found = roc_of(scores, Y == 1, np.ones(300), 1)
    auc, error = delong(scores, Y == 1)
    assert found.auc == pytest.approx(auc, rel=1e-12)
    assert found.standard_error == pytest.approx(error, rel=1e-12)
    repeated = delong(np.repeat(scores, weight), np.repeat(Y, weight) == 1)
    found = roc_of(scores, Y == 1, weight.astype(float), 1)
    np.testing.assert_allclose([found.auc, found.standard_error], repeated, rtol=1e-12)
    lower, upper = found.interval(0.9)
    assert lower < found.auc < upper
    logits = [math.log(p / (1 - p)) for p in (lower, found.auc, upper)]
    assert logits[2] - logits[1] == pytest.approx(logits[1] - logits[0])
    gradient = 1 / (found.auc * (1 - found.auc))
    assert logits[2] - logits[1] == pytest.approx(1.6448536269514722 * found.standard_error * gradient)


def test_a_perfect_score_has_the_area_one_without_error():
    found = roc_of(np.arange(6.0), np.arange(6) > 2, np.ones(6), "yes")
    assert (found.auc, found.standard_error, found.interval()) == (1.0, 0.0, (1.0, 1.0))
    lone = roc_of(np.arange(3.0), np.arange(3) > 1, np.ones(3), "yes")
    assert lone.auc == 1.0
    assert math.isnan(lone.standard_error)
    assert all(math.isnan(end) for end in lone.interval())


def test_each_of_many_classes_is_compared_with_the_rest(data):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    X, _, three, weight = data
    names = np.asarray(["ant", "bee", "cow"])
    model = xlogreg.fit(X, names[three])
    P = model.predict_proba(X)
    for number, name in enumerate(names.tolist()):
        found = model.roc(X, names[three], weight, positive=name)
        expected = metrics.roc_auc_score(three == number, P[number], sample_weight=weight)
        assert found.auc == pytest.approx(expected, rel=1e-12)
        assert found.positive == name
    with pytest.raises(ValueError, match=r"positive must say which of the classes \['ant', 'bee', 'cow'\]"):
        model.roc(X, names[three])
    with pytest.raises(ValueError, match=r"positive must be one of the classes .*; got 'dog'"):
        model.roc(X, names[three], positive="dog")


def test_the_curve_of_the_first_class_is_that_of_the_second_turned(data, model):
    X, Y = data[:2]
    one, zero = model.roc(X, Y), model.roc(X, Y, positive=0)
    assert zero.auc == pytest.approx(one.auc, rel=1e-12)
    assert zero.standard_error == pytest.approx(one.standard_error, rel=1e-10)
    np.testing.assert_allclose(zero.true_positive_rate, 1 - one.false_positive_rate[::-1], atol=1e-15)


def hosmer_lemeshow(proba, Y, groups):
    """Statistic of groups cut by pandas at quantiles."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame({"a": proba, "y": Y, "n": 1})
    sums = frame.groupby(pandas.qcut(frame["a"], groups, duplicates="drop"), observed=True).sum()
    return sums, float(np.sum((sums["y"] - sums["a"]) ** 2 / (sums["a"] * (1 - sums["a"] / sums["n"]))))


@pytest.mark.parametrize("groups", [4, 7, 10])
@pytest.mark.parametrize("ties", [False, True])
def test_groups_are_cut_at_quantiles(data, model, groups, ties):
    chi2 = pytest.importorskip("scipy.stats", reason="SciPy is not installed").chi2
    X, Y = data[:2]
    X = np.round(X) if ties else X
    found = model.calibration(X, Y, groups)
    sums, statistic = hosmer_lemeshow(model.predict_proba(X)[1], Y, groups)
    np.testing.assert_array_equal(found.table["samples"], sums["n"])
    np.testing.assert_array_equal(found.table["observed"], sums["y"])
    np.testing.assert_allclose(found.table["expected"], sums["a"], rtol=1e-12)
    np.testing.assert_allclose(found.table["share"], sums["y"] / sums["n"], rtol=1e-12)
    test = found.hosmer_lemeshow
    assert test.statistic == pytest.approx(statistic, rel=1e-10)
    assert found.new_data == ties
    assert test.df == (len(sums) if ties else groups - 2)
    assert test.p == pytest.approx(chi2.sf(statistic, test.df), rel=1e-10)


def test_slope_and_intercept_are_those_of_a_regression_on_the_score(data, model):
    rng = np.random.default_rng(9)
    X = rng.standard_normal((3, 200)) + np.asarray([[0.0], [4.0], [-1.0]])
    Y = (0.6 * model.decision_function(X)[0] - 0.4 + rng.logistic(size=200) > 0).astype(int)
    found, z = model.calibration(X, Y), model.decision_function(X)
    line, level = binomial(Y, z), binomial(Y, z[:0], offset=z[0])
    np.testing.assert_allclose([found.line.intercept, found.line.slope], line.params, rtol=1e-9)
    np.testing.assert_allclose([found.line.intercept_error, found.line.slope_error], line.bse, rtol=1e-8)
    assert found.line.log_likelihood == pytest.approx(line.llf, rel=1e-12)
    assert found.in_the_large.intercept == pytest.approx(level.params[0], rel=1e-9)
    assert found.in_the_large.intercept_error == pytest.approx(level.bse[0], rel=1e-8)
    held = -np.sum(np.log1p(np.exp(-(2 * Y - 1) * z[0])))
    assert found.test.statistic == pytest.approx(2 * (line.llf - held), rel=1e-9)
    assert found.test.df == 2
    assert found.new_data


def test_on_its_own_samples_an_unpenalised_fit_is_calibrated(data, model):
    found = model.calibration(data[0], data[1])
    assert found.line.slope == pytest.approx(1.0, abs=1e-7)
    assert found.line.intercept == pytest.approx(0.0, abs=1e-7)
    assert found.in_the_large.intercept == pytest.approx(0.0, abs=1e-7)
    assert found.test.statistic == pytest.approx(0.0, abs=1e-9)
    assert not found.new_data
    assert found.hosmer_lemeshow.df == 8
    assert model.calibration(data[0], data[1], new_data=True).hosmer_lemeshow.df == 10
    assert "the samples are those of the fit" in str(found)
    penalised = xlogreg.fit(data[0], data[1], l2=0.5).calibration(data[0], data[1])
    assert penalised.line.slope > 1.2
    assert not penalised.new_data


def test_a_weight_counts_as_so_many_samples(data, model):
    X, Y, _, weight = data
    found = model.calibration(X, Y, sample_weight=weight)
    expected = model.calibration(np.repeat(X, weight, axis=1), np.repeat(Y, weight))
    for name in found.table.dtype.names:
        np.testing.assert_allclose(found.table[name], expected.table[name], rtol=1e-10)
    np.testing.assert_allclose(found.line, expected.line, rtol=1e-9)
    assert found.hosmer_lemeshow.p == pytest.approx(expected.hosmer_lemeshow.p, rel=1e-9)


def test_separated_scores_have_an_infinite_slope():
    z, ones = np.asarray([-2.0, -1.0, 0.5, 3.0]), np.ones(4)
    for y, slope in (([0, 0, 1, 1], math.inf), ([1, 1, 0, 0], -math.inf)):
        found = calibration_of(z, np.asarray(y, float), ones, 2, True)
        assert found.line.slope == slope
        assert found.line.log_likelihood == 0.0
    tied = calibration_of(np.asarray([-1.0, 0.0, 0.0, 0.0, 2.0]), np.asarray([0.0, 0, 1, 1, 1]), np.ones(5), 2, True)
    assert tied.line.slope == math.inf
    assert tied.line.log_likelihood == pytest.approx(math.log(1 / 3) + 2 * math.log(2 / 3))
    same = calibration_of(np.full(4, 0.3), np.asarray([0.0, 1, 1, 1]), ones, 3, True)
    assert math.isnan(same.line.slope)
    assert same.in_the_large.intercept == pytest.approx(math.log(3) - 0.3)
    assert len(same.table) == 1


def test_steep_scores_are_judged_too():
    rng = np.random.default_rng(0)
    z = 50.0 * rng.standard_normal(500) + 1000.0
    y = (rng.logistic(size=500) + (z - 1000.0) / 50.0 > 0).astype(float)
    found = calibration_of(z, y, np.ones(500), 5, True)
    line = binomial(y, (z[None, :] - 1000.0) / 50.0)
    assert found.line.slope == pytest.approx(line.params[1] / 50.0, rel=1e-8)
    assert found.line.intercept == pytest.approx(line.params[0] - 20.0 * line.params[1], rel=1e-8)
    assert found.line.slope_error == pytest.approx(line.bse[1] / 50.0, rel=1e-6)


def test_too_few_groups_have_no_test():
    X = np.asarray([[0.0, 1.0] * 20])
    Y = np.asarray([0, 1, 1, 1] * 10)
    model = xlogreg.fit(X, Y % 2 ^ (np.arange(40) % 5 == 0))
    found = model.calibration(X, Y % 2 ^ (np.arange(40) % 5 == 0))
    assert len(found.table) == 2
    assert math.isnan(found.hosmer_lemeshow.p)
    assert "too few groups for a Hosmer-Lemeshow test" in str(found)


def test_calibration_becomes_frames_and_html(data, model):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    found = model.calibration(data[0], data[1])
    pandas.testing.assert_frame_equal(found.to_frame("pandas"), pandas.DataFrame(found.table))
    assert "Hosmer-Lemeshow" in found._repr_html_()


def test_loaded_models_are_diagnosed(data, model, tmp_path):
    X, Y = data[:2]
    model.save(tmp_path / "model")
    again = xlogreg.load(tmp_path / "model")
    np.testing.assert_array_equal(again.influence(X, Y).leverage, model.influence(X, Y).leverage)
    assert again.roc(X, Y).auc == model.roc(X, Y).auc
    assert str(again.calibration(X, Y)) == str(model.calibration(X, Y))


def test_what_has_no_diagnosis_is_refused(data, model):
    X, Y, three, _ = data
    softmax = xlogreg.fit(X, three)
    for call in (softmax.influence, softmax.calibration):
        with pytest.raises(ValueError, match="is for two classes; the model has 3"):
            call(X, three)
    with pytest.raises(ValueError, match="X holds 299 samples, but the model was fitted to 300"):
        model.influence(X[:, 1:], Y[1:])
    with pytest.raises(ValueError, match="the log-likelihood of X and Y is"):
        model.influence(X, 1 - Y)
    with pytest.raises(ValueError, match="no covariance: the features were selected by an L1 penalty"):
        xlogreg.fit(X, Y, l1=1e-3).influence(X, Y)
    robust = model.covariance_of(X, Y, kind="HC0")
    with pytest.raises(ValueError, match="covariance must be of the kind 'fisher' or 'posterior', not 'HC0'"):
        model.influence(X, Y, covariance=robust)
    for groups in (1, 2.5, True, "ten"):
        with pytest.raises(ValueError, match="groups must be a whole number of two or more"):
            model.calibration(X, Y, groups)
    for call in (model.roc, model.calibration):
        with pytest.raises(ValueError, match="Y holds"):
            call(X, np.ones(300, int))
    bad = X.copy()
    bad[1, 4] = np.nan
    for call in (model.influence, model.roc, model.calibration):
        with pytest.raises(ValueError, match="row 1, column 4"):
            call(bad, Y)


def test_shares_with_numbers_of_trials_are_judged_as_their_samples():
    rng = np.random.default_rng(9)
    X, n = rng.standard_normal((2, 60)), rng.integers(1, 9, 60)
    k = rng.binomial(n, 1 / (1 + np.exp(-X[0])))
    again = np.repeat(np.arange(60), n)
    Y = np.concatenate([np.arange(count) < wins for count, wins in zip(n, k, strict=True)]).astype(int)
    given = {"sample_weight": n, "targets": "probabilities"}
    shares, single = xlogreg.fit(X, k / n, **given), xlogreg.fit(X[:, again], Y)
    found, expected = shares.roc(X, k / n, **given), single.roc(X[:, again], Y)
    assert found.auc == pytest.approx(expected.auc, rel=1e-10)
    assert found.standard_error == pytest.approx(expected.standard_error, rel=1e-8)
    judged, judge = shares.calibration(X, k / n, **given), single.calibration(X[:, again], Y)
    assert judged.line.slope == pytest.approx(judge.line.slope, rel=1e-6)
    assert judged.line.slope_error == pytest.approx(judge.line.slope_error, rel=1e-6)
    np.testing.assert_allclose(judged.table["observed"].sum(), judge.table["observed"].sum())
