"""The table of a fit, and Wald's tests: values against statsmodels and SciPy, printing, names, and bad input."""

import math

import numpy as np
import pytest
import scipy.stats

import xlogreg
from xlogreg.inference.distributions import chi_squared_tail, log_two_sided, quantile, two_sided
from xlogreg.inference.summary import Summary


@pytest.fixture(scope="module")
def data():
    """X (3, 200), Y of two and of three classes."""
    rng = np.random.default_rng(11)
    X = rng.standard_normal((3, 200)) * np.asarray([[1.0], [3.0], [0.5]])
    Y = (rng.random(200) < 1 / (1 + np.exp(-0.8 * X[0] + 0.2 * X[1]))).astype(int)
    return X, Y, rng.integers(0, 3, 200)


@pytest.fixture(scope="module")
def frame():
    """A pandas frame with a category of three cities, and labels."""
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    rng = np.random.default_rng(3)
    table = pandas.DataFrame({"age": rng.normal(50, 10, 120), "city": rng.choice(["Oslo", "Paris", "Rome"], 120)})
    return table, np.where(rng.random(120) < 0.5, "no", "yes")


def test_tails_are_those_of_scipy():
    for df in (1, 2, 3, 8, 51):
        for x in (1e-8, 0.4, 3.0, 50.0, 900.0):
            assert chi_squared_tail(x, df) == pytest.approx(scipy.stats.chi2.sf(x, df), rel=1e-12)
    z = np.asarray([0.0, 0.3, -2.0, 8.0, 24.9, 25.1, 37.0])
    np.testing.assert_allclose(two_sided(z), 2 * scipy.stats.norm.sf(np.abs(z)), rtol=1e-12)
    far = np.append(z, [60.0, 1e6])
    np.testing.assert_allclose(log_two_sided(far), math.log(2) + scipy.stats.norm.logsf(np.abs(far)), rtol=1e-12)
    assert quantile(0.95) == pytest.approx(scipy.stats.norm.isf(0.025), rel=1e-14)
    assert chi_squared_tail(0.0, 3) == 1.0
    assert chi_squared_tail(math.inf, 3) == 0.0
    assert math.isnan(chi_squared_tail(math.nan, 3))
    assert math.isnan(two_sided(np.asarray([math.nan]))[0])
    assert log_two_sided(np.asarray([math.inf]))[0] == -math.inf


def test_the_table_is_that_of_statsmodels(data):
    statsmodels = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    X, Y, _ = data
    expected = statsmodels.Logit(Y, statsmodels.add_constant(X.T, prepend=False)).fit(disp=0, tol=1e-9)
    summary = xlogreg.fit(X, Y).summary(level=0.9)
    table = summary.table
    np.testing.assert_allclose(table["coefficient"], expected.params, rtol=1e-7)
    np.testing.assert_allclose(table["standard_error"], expected.bse, rtol=1e-7)
    np.testing.assert_allclose(table["z"], expected.tvalues, rtol=1e-7)
    np.testing.assert_allclose(table["p"], expected.pvalues, rtol=1e-6)
    np.testing.assert_allclose(np.exp(table["log_p"]), table["p"], rtol=1e-12)
    np.testing.assert_allclose(summary.confint, expected.conf_int(alpha=0.1), rtol=1e-6)
    np.testing.assert_allclose(table["odds_ratio"], np.exp(expected.params), rtol=1e-6)
    facts = summary.facts
    assert facts["log-likelihood"] == pytest.approx(expected.llf, rel=1e-11)
    assert facts["log-likelihood of the null model"] == pytest.approx(expected.llnull, rel=1e-9)
    assert facts["McFadden R2"] == pytest.approx(expected.prsquared, rel=1e-8)
    assert facts["AIC"] == pytest.approx(expected.aic, rel=1e-11)
    assert facts["BIC"] == pytest.approx(expected.bic, rel=1e-11)
    assert f"chi2 {expected.llr:.6g}, df 3" in facts["likelihood-ratio test"]
    cox_snell = 1 - math.exp(2 / 200 * (expected.llnull - expected.llf))
    assert facts["Nagelkerke R2"] == pytest.approx(cox_snell / (1 - math.exp(2 / 200 * expected.llnull)), rel=1e-8)


def test_contrasts_of_a_softmax_are_those_of_statsmodels_and_their_baseline_can_be_chosen(data):
    statsmodels = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    X, _, Y = data
    model = xlogreg.fit(X, Y)
    for baseline in (0, 1, 2):
        other = np.where(baseline == Y, -1, Y)  # statsmodels takes the smallest label as baseline
        judge = statsmodels.MNLogit(other, statsmodels.add_constant(X.T, prepend=False)).fit(disp=0, tol=1e-9)
        summary = model.summary(baseline=baseline)
        np.testing.assert_allclose(summary.table["coefficient"], np.ravel(judge.params.T), rtol=1e-6)
        np.testing.assert_allclose(summary.table["standard_error"], np.ravel(judge.bse.T), rtol=1e-6)
        assert summary.baseline == str(baseline)
        assert f"relative to {baseline}" in str(summary)
    assert np.array_equal(model.summary().table, model.summary(baseline=0).table)
    centred = model.summary(baseline="centred").table
    assert centred["class"].tolist() == ["0"] * 4 + ["1"] * 4 + ["2"] * 4
    errors = model.standard_errors()
    np.testing.assert_allclose(centred["standard_error"][:3], errors.w[:, 0], rtol=1e-12)


def test_errors_of_centred_parameters_are_those_of_the_mean_of_contrasts(data):
    X, _, Y = data
    model = xlogreg.fit(X, Y)
    V = model.covariance.reshape(4, 3, 4, 3)
    np.testing.assert_allclose(V.sum(axis=1), 0.0, atol=1e-14)
    # w_0 minus the mean is minus a third of the sum of the contrasts to class 0
    contrast = np.asarray([[-1, 1, 0], [-1, 0, 1]]).T
    D = np.tensordot(np.tensordot(V, contrast, axes=(1, 0)), contrast, axes=(2, 0)).transpose(0, 2, 1, 3)
    np.testing.assert_allclose(D.sum(axis=(1, 3)) / 9, V[:, 0, :, 0], rtol=1e-10)


def test_names_of_features_categories_and_classes_are_in_the_table(frame):
    table, Y = frame
    model = xlogreg.fit(table, Y, samples="rows", categorical_features=["city"])
    summary = model.summary()
    assert summary.table["name"].tolist() == ["age", "city=Paris", "city=Rome", "bias"]
    assert summary.facts["coefficients"] == "yes against no"
    terms = model.wald_test_terms()
    assert terms.table["name"].tolist() == ["age", "city"]
    assert terms.table["df"].tolist() == [1, 2]
    V = model.covariance[1:3, 1:3]
    assert terms.table["statistic"][1] == pytest.approx(model.w[1:, 0] @ np.linalg.solve(V, model.w[1:, 0]))
    whole = model.wald_test("city = 0")
    assert (whole.statistic, whole.df) == (pytest.approx(terms.table["statistic"][1]), 2)
    one = model.wald_test("city=Paris = city=Rome")
    difference = np.asarray([1.0, -1.0])
    assert one.statistic == pytest.approx((difference @ model.w[1:, 0]) ** 2 / (difference @ V @ difference))
    assert model.wald_test("`city=Paris`").statistic == pytest.approx(model.w[1, 0] ** 2 / V[0, 0])


def test_a_summary_prints_as_text_and_html_and_becomes_a_frame(data, frame):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    polars = pytest.importorskip("polars", reason="polars is not installed")
    X, Y, three = data
    summary = xlogreg.fit(X, Y).summary()
    lines = str(summary).splitlines()
    assert lines[0].split() == ["coef", "std", "err", "z", "p", "[0.025", "0.975]", "odds", "ratio"]
    assert [line.split()[0] for line in lines[1:5]] == ["x0", "x1", "x2", "bias"]
    assert repr(summary) == str(summary)
    assert "covariance" in str(summary)
    html = summary._repr_html_()
    assert html.startswith("<table>")
    assert html.count("<tr>") == 5
    assert "<pre>" in html
    rows = xlogreg.fit(X, three).summary().to_frame("pandas")
    assert isinstance(rows, pandas.DataFrame)
    assert list(rows.columns)[:3] == ["class", "name", "coefficient"]
    assert len(rows) == 8
    assert isinstance(summary.to_frame("polars"), polars.DataFrame)
    assert summary.to_frame().equals(summary.to_frame("pandas"))
    with pytest.raises(ValueError, match="library must be"):
        summary.to_frame("arrow")


def test_markup_in_names_is_escaped():
    table = np.asarray([("<b>x", 1.0)], dtype=[("name", "U9"), ("coefficient", "f8")])
    full = dict.fromkeys(("standard_error", "z", "p", "lower", "upper", "odds_ratio"), 0.0)
    dtype = [("name", "U9"), ("coefficient", "f8"), *((name, "f8") for name in full)]
    row = np.asarray([(table["name"][0], 1.0, *full.values())], dtype=dtype)
    html = Summary(row, 0.95, {"samples": 3, "note": "<script>"})._repr_html_()
    assert "&lt;b&gt;x" in html
    assert "<script>" not in html


def test_without_a_covariance_the_table_says_why(data):
    X, Y, _ = data
    summary = xlogreg.fit(X, Y, l2=0.1).summary()
    assert np.all(np.isnan(summary.table["standard_error"]))
    assert np.all(np.isnan(summary.table["p"]))
    assert "none: the fit is penalised" in summary.facts["covariance"]
    assert not {"AIC", "BIC", "likelihood-ratio test"} & summary.facts.keys()
    assert "nan" not in str(summary)


def test_under_a_penalty_effective_parameters_are_counted(data):
    X, Y, _ = data
    model = xlogreg.fit(X, Y, l2=0.1)
    covariance = model.covariance_of(X, Y, kind="posterior")
    a = model.predict_proba(X)[1]
    rows = np.concatenate([X, np.ones((1, 200))])
    F = (rows * a * (1 - a)) @ rows.T
    effective = np.trace(np.linalg.solve(F + 20.0 * np.diag([1, 1, 1, 0]), F))
    facts = model.summary(covariance=covariance).facts
    assert facts["effective parameters"] == pytest.approx(effective, rel=1e-7)
    assert facts["AIC"] == pytest.approx(2 * effective - 2 * model.log_likelihood)
    assert "likelihood-ratio test" not in facts


def test_a_model_without_a_bias_has_no_line_for_it(data, tmp_path):
    X, Y, three = data
    for labels in (Y, three):
        model = xlogreg.fit(X, labels, bias=False)
        model.save(tmp_path / "model.npz")
        for each in (model, xlogreg.load(tmp_path / "model.npz")):
            summary = each.summary()
            assert "bias" not in summary.table["name"].tolist()
            assert np.all(summary.table["standard_error"] > 0)
            assert not each.bias
    assert f"df {3}" in xlogreg.fit(X, Y, bias=False).summary().facts["likelihood-ratio test"]


def test_summaries_are_the_same_for_a_loaded_model_and_on_every_namespace(where, data, tmp_path):
    X, Y, three = data
    for labels in (Y, three):
        model = xlogreg.fit(where.asarray(X), labels)
        model.save(tmp_path / "model.npz")
        expected = xlogreg.fit(X, labels).summary()
        rtol = 1e-6 if where.dtype == "float64" else 5e-3
        for each in (model, xlogreg.load(tmp_path / "model.npz")):
            table = each.summary().table
            np.testing.assert_allclose(table["standard_error"], expected.table["standard_error"], rtol=rtol)
            np.testing.assert_allclose(table["z"], expected.table["z"], rtol=rtol, atol=rtol)


@pytest.mark.parametrize("level", [0.0, 1.0, 95, -0.5, "0.95", None])
def test_a_level_that_is_no_share_is_refused(data, level):
    X, Y, _ = data
    with pytest.raises(ValueError, match=r"level must be between 0 and 1, such as 0.95; got"):
        xlogreg.fit(X, Y).summary(level=level)


def test_bad_baselines_and_covariances_are_refused(data):
    X, Y, three = data
    two, model = xlogreg.fit(X, Y), xlogreg.fit(X, three)
    with pytest.raises(ValueError, match=r"baseline must be one of the classes \[0, 1, 2\], or 'centred'; got 7"):
        model.summary(baseline=7)
    with pytest.raises(ValueError, match=r"baseline must be one of the classes \[0, 1, 2\]"):
        model.summary(baseline=np.asarray([1, 2]))
    with pytest.raises(ValueError, match="baseline is for three classes or more"):
        two.summary(baseline=1)
    with pytest.raises(TypeError, match="covariance must be a result of covariance_of"):
        two.summary(covariance=np.eye(4))
    with pytest.raises(ValueError, match="covariance is of 4 parameters; the model has 12"):
        model.summary(covariance=two.covariance_of(X, Y))
    with pytest.raises(ValueError, match=r"no covariance of the parameters: the fit is penalised.*covariance_of"):
        xlogreg.fit(X, Y, l2=0.1).wald_test("x0")


def test_wald_tests_agree_with_statsmodels(data):
    statsmodels = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    X, Y, _ = data
    model = xlogreg.fit(X, Y)
    judge = statsmodels.Logit(Y, statsmodels.add_constant(X.T, prepend=False)).fit(disp=0, tol=1e-9)
    forms = [
        ("x0 = 0, x1 = x2", [[1, 0, 0, 0], [0, 1, -1, 0]], [0, 0]),
        ("2 * (x0 - x1) / 4 = 1", [[0.5, -0.5, 0, 0]], [1]),
        ("x0 = x1 = x2", [[1, -1, 0, 0], [0, 1, -1, 0]], [0, 0]),
        ("-x0 + 3 = bias", [[-1, 0, 0, -1]], [-3]),
        ("x0 = 1e-1", [[1, 0, 0, 0]], [0.1]),
        ("x0", [[1, 0, 0, 0]], [0]),
    ]
    for text, L, values in forms:
        expected = judge.wald_test((np.asarray(L), np.asarray(values)), scalar=True)
        matrix = model.wald_test(np.asarray(L), values)
        for found in (model.wald_test(text), matrix):
            assert found.statistic == pytest.approx(float(expected.statistic), rel=1e-6)
            assert found.df == len(L)
            assert found.p == pytest.approx(float(expected.pvalue), rel=1e-6)
    named = model.wald_test(["x0", "x2"], value=[0.1, 0.2])
    assert named.statistic == pytest.approx(model.wald_test("x0 = 0.1, x2 = 0.2").statistic)


def test_equations_that_follow_from_others_count_once(data):
    X, Y, three = data
    model = xlogreg.fit(X, Y)
    assert model.wald_test("x0 = 0, x1 = 0, x0 + x1 = 0").df == 2
    assert model.wald_test("x0 = 0, x1 = 0, x0 + x1 = 0").statistic == pytest.approx(
        model.wald_test("x0 = 0, x1 = 0").statistic
    )
    softmax = xlogreg.fit(X, three)
    assert softmax.wald_test("x0").df == 2
    assert softmax.wald_test("x0[1] = x0[2] = 0").statistic == pytest.approx(softmax.wald_test("x0").statistic)


def test_a_test_does_not_depend_on_where_features_have_their_zero():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 300))
    Y = (x[0] + rng.logistic(size=300) > 0).astype(int)
    expected = xlogreg.fit(x, Y).wald_test("x0 = 0, bias = 7")
    moved = xlogreg.fit(x + 1e5, Y).wald_test("x0 = 0, bias = 7")
    assert moved.df == expected.df == 2
    assert moved.statistic == pytest.approx(expected.statistic, rel=1e-4)


def test_nearly_collinear_features_keep_all_their_equations():
    rng = np.random.default_rng(1)
    x = rng.standard_normal(300)
    X = np.stack([x, x + 1e-4 * rng.standard_normal(300)])
    Y = (x + rng.logistic(size=300) > 0).astype(int)
    model, V = xlogreg.fit(X, Y), xlogreg.fit(X, Y).covariance[:2, :2]
    found = model.wald_test("x0, x1")
    assert found.df == 2
    assert found.statistic == pytest.approx(model.w[:, 0] @ np.linalg.solve(V, model.w[:, 0]), rel=1e-5)


def test_a_covariance_of_too_few_clusters_tests_no_more_equations_than_it_can(data):
    X, Y, _ = data
    model = xlogreg.fit(X, Y)
    two = model.covariance_of(X, Y, kind="cluster", groups=np.arange(200) % 2)
    with pytest.raises(ValueError, match="cannot be tested: the covariance of its coefficients is singular"):
        model.wald_test("x0 = 0, x1 = 0", covariance=two)
    assert model.wald_test("x0 = 0", covariance=two).df == 1


def test_scales_of_equations_do_not_matter(data):
    X, Y, _ = data
    model, L = xlogreg.fit(X, Y), np.asarray([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    expected = model.wald_test(L, [0.1, 0.2]).statistic
    for scale in (1e-200, 1e200):
        assert model.wald_test(L * [[scale], [1.0]], [0.1 * scale, 0.2]).statistic == pytest.approx(expected)
    assert model.wald_test("1e300 * x0 = 1e299").statistic == pytest.approx(model.wald_test("x0 = 0.1").statistic)
    for text in ("1e400 * x0", "x0 = 1e400"):
        with pytest.raises(ValueError, match="too large a number"):
            model.wald_test(text)


def test_names_that_stand_for_several_coefficients_are_refused_and_terms_go_by_their_columns():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((300, 2)), np.asarray(list("abc"))[rng.integers(0, 3, 300)]
    plain = xlogreg.fit(pandas.DataFrame(X, columns=["x", "z"]), Y, samples="rows")
    odd = xlogreg.fit(pandas.DataFrame(X, columns=["x", "x[b]"]), Y, samples="rows")
    np.testing.assert_allclose(odd.wald_test_terms().table["statistic"], plain.wald_test_terms().table["statistic"])
    for hypothesis in ("x[b] = 0", ["x[b]"]):
        with pytest.raises(ValueError, match=r"'x\[b\]', which stands for several coefficients"):
            odd.wald_test(hypothesis)


def test_names_that_are_numbers_stand_between_backticks(data):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X, Y, _ = data
    model = xlogreg.fit(pandas.DataFrame(X.T), Y, samples="rows")
    assert model.feature_names == ("0", "1", "2")
    expected = model.wald_test(np.asarray([[0.0, 1.0, 0.0, 0.0]]), [0.5]).statistic
    assert model.wald_test("`1` = 0.5").statistic == pytest.approx(expected)
    assert model.wald_test(["1"], 0.5).statistic == pytest.approx(expected)
    with pytest.raises(ValueError, match="has an equation without a coefficient"):
        model.wald_test("1 = 0")


def test_a_bias_beside_features_of_that_name_has_another(data):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    X, Y, _ = data
    table = pandas.DataFrame(X.T, columns=["bias", "(bias)", "x"])
    model = xlogreg.fit(table, Y, samples="rows")
    assert model.summary().table["name"].tolist() == ["bias", "(bias)", "x", "((bias))"]
    assert model.wald_test("((bias)) = 1").df == 1


def test_where_a_fit_has_no_minimum_its_summary_has_no_measures():
    X = np.asarray([[-2.0, -1.0, 1.0, 2.0]])
    with pytest.warns(xlogreg.SeparationWarning):
        separated = xlogreg.fit(X, [0, 0, 1, 1])
    with pytest.warns(xlogreg.ConvergenceWarning):
        early = xlogreg.fit(X, [0, 1, 0, 1], max_iter=1, solver="gd", tol=1e-9, learning_rate=1e-3)
    for model in (separated, early):
        facts = model.summary().facts
        assert not {"AIC", "BIC", "likelihood-ratio test", "McFadden R2"} & facts.keys()
        assert "which is no maximum" in facts["log-likelihood"]


BAD = [
    ("x9 = 0", "names no coefficient: 'x9'; known are 'x0', 'x1', 'x2', 'bias'"),
    ("`x 9` = 0", "names no coefficient: 'x 9'"),
    ("x0 * x1 = 0", "is not linear"),
    ("1 / x0 = 0", "is not linear"),
    ("x0 / 0 = 1", "is not linear"),
    ("x0 = ", "ends where a coefficient or a number was expected"),
    ("(x0 = 1", "has a parenthesis that is not closed"),
    ("x0 x1", "has 'x1' where an operator was expected"),
    ("1 = 1", "has an equation without a coefficient"),
    ("x0 - x0 = 1", "has an equation without a coefficient"),
    ("x0 = 0, x0 = 1", "contradicts itself"),
    ("x0 = , x1", "has ',' where a coefficient or a number was expected"),
    ("", "ends where"),
    (["x0", "x9"], "names no coefficient: 'x9'"),
    (np.ones((1, 3)), r"must be a matrix \(q, 4\)"),
    (np.full((1, 4), np.nan), "of finite numbers"),
]


@pytest.mark.parametrize(("hypothesis", "message"), BAD, ids=[str(bad[0])[:12] for bad in BAD])
def test_bad_hypotheses_are_refused(data, hypothesis, message):
    X, Y, _ = data
    with pytest.raises(ValueError, match=f"^hypothesis.*{message}"):
        xlogreg.fit(X, Y).wald_test(hypothesis)


def test_other_types_of_hypotheses_are_refused(data):
    X, Y, _ = data
    model = xlogreg.fit(X, Y)
    with pytest.raises(TypeError, match="hypothesis must be text, names, or a matrix of numbers"):
        model.wald_test({"x0": 0})
    with pytest.raises(ValueError, match="value must be 0 beside a hypothesis of text"):
        model.wald_test("x0", value=1)
    for value in ("a", 1j):
        with pytest.raises(TypeError, match="value must be a number, or one for each of 1 equations"):
            model.wald_test(["x0"], value=value)
    with pytest.raises(TypeError, match="hypothesis must be text, names, or a matrix of numbers"):
        model.wald_test(np.eye(4) * 1j)
    with pytest.raises(ValueError, match="value must be a finite number, or one for each of 1 equations"):
        model.wald_test(["x0"], value=[1, 2])
