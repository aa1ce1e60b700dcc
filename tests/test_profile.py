"""Likelihood-ratio tests and profile-likelihood intervals: against refits, statsmodels and root finding."""

import dataclasses
import warnings

import numpy as np
import pytest
import reference_data
import scipy.optimize
import scipy.stats
from conftest import cut

import xlogreg
from xlogreg.inference import ends, minimum, omission
from xlogreg.solvers.restricted import Restricted

RISE = scipy.stats.chi2.isf(0.05, 1)


def drawn(n_x, m, size, classes=2, seed=1, shift=5.0):
    """X (n_x, m), Y (m,) of a logistic model with random weights."""
    rng = np.random.default_rng(seed)
    X, W = rng.standard_normal((n_x, m)), size * rng.standard_normal((n_x, classes))
    Z = W.T @ X
    P = np.exp(Z - Z.max(axis=0))
    return X + shift, (np.cumsum(P / P.sum(axis=0), axis=0) < rng.random(m)).sum(axis=0)


@pytest.fixture(scope="module")
def data():
    """X (4, 80), Y (80,): few samples, so that intervals are far from symmetric."""
    return drawn(4, 80, 0.9)


@pytest.fixture(scope="module")
def fitted(data):
    return xlogreg.fit(*data, tol=1e-15)


def refitted_ends(X, Y, number):
    """Ends of the interval of one coefficient, the bias last: by refits of statsmodels, and root finding."""
    statsmodels = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    D, family = np.column_stack([X.T, np.ones(X.shape[1])]), statsmodels.families.Binomial()
    full = statsmodels.GLM(Y, D, family=family).fit(tol=1e-14)
    others, best, V = np.delete(D, number, axis=1), full.params[number], full.cov_params()

    def missing(value):
        start = np.delete(full.params + V[number] / V[number, number] * (value - best), number)
        part = statsmodels.GLM(Y, others, family=family, offset=D[:, number] * value)
        return 2.0 * (full.llf - part.fit(start_params=start, tol=1e-13, maxiter=200).llf) - RISE

    found = []
    for side in (-1.0, 1.0):
        step = side * full.bse[number]
        far = best + step
        while missing(far) < 0.0:
            far += 0.5 * step
        found.append(scipy.optimize.brentq(missing, *sorted((far - step, far)), xtol=1e-12, rtol=1e-13))
    return found


@pytest.mark.parametrize("seed", [1, 5])
def test_ends_are_those_of_refits_and_root_finding(seed):
    X, Y = drawn(3, 60, 0.8, seed=seed)
    found = xlogreg.fit(X, Y).profile_interval(X, Y).confint
    expected = [refitted_ends(X, Y, number) for number in range(4)]
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_spector_has_the_ends_of_refits_and_root_finding():
    X, Y = reference_data.spector()
    table = xlogreg.fit(X, Y).profile_interval(X, Y)
    assert table.table["name"].tolist() == ["x0", "x1", "x2", "bias"]
    np.testing.assert_allclose(table.confint, [refitted_ends(X, Y, number) for number in range(4)], rtol=1e-7)


def test_wald_and_profile_ends_agree_for_many_samples():
    X, Y = drawn(3, 20_000, 0.3, shift=0.0)
    model = xlogreg.fit(X, Y)
    wald, profile = model.summary().confint, model.profile_interval(X, Y).confint
    np.testing.assert_allclose(profile, wald, atol=2e-3 * np.ptp(wald, axis=1).max())


@pytest.mark.parametrize("level", [0.5, 0.999])
def test_each_end_has_the_deviance_of_the_quantile_and_its_minimum_over_all_else(data, fitted, level):
    X, Y = data
    D, signs = np.concatenate([np.delete(X, 1, axis=0), np.ones((1, 80))]), 1.0 - 2.0 * Y
    for end in fitted.profile_interval(X, Y, "x1", level=level).confint[0]:

        def cost(free, end=end):
            margins = signs * (free @ D + end * X[1])
            return np.sum(np.logaddexp(0.0, margins)), D @ (signs / (1.0 + np.exp(-margins)))

        least = scipy.optimize.minimize(cost, np.zeros(4), jac=True, method="BFGS", options={"gtol": 1e-9}).fun
        assert 2.0 * (fitted.log_likelihood + least) == pytest.approx(scipy.stats.chi2.ppf(level, 1), abs=1e-7)


def test_far_means_and_units_of_features_do_not_matter(data, fitted):
    X, Y = data
    plain = fitted.profile_interval(X, Y).confint
    scale = np.asarray([[1e-3], [1.0], [1e4], [1.0]])
    other = xlogreg.fit(X * scale, Y).profile_interval(X * scale, Y).confint
    np.testing.assert_allclose(other[:-1] * scale, plain[:-1], rtol=1e-7)
    np.testing.assert_allclose(other[-1], plain[-1], rtol=1e-7)
    far = xlogreg.fit(X + 1e6, Y).profile_interval(X + 1e6, Y).confint
    np.testing.assert_allclose(far[:-1], plain[:-1], rtol=1e-5)


def test_the_sign_of_a_feature_mirrors_its_interval(data):
    X, Y = data
    sign = np.asarray([[1.0], [-1.0], [1.0], [1.0]])
    plain, mirrored = (xlogreg.fit(A, Y).profile_interval(A, Y).confint for A in (X, X * sign))
    np.testing.assert_allclose(-mirrored[1, ::-1], plain[1], rtol=1e-8)


def test_weights_equal_repeats(data):
    X, Y = data
    weight = np.arange(80) % 3 + 1
    weighted = xlogreg.fit(X, Y, sample_weight=weight)
    R, S = np.repeat(X, weight, axis=1), np.repeat(Y, weight)
    repeated = xlogreg.fit(R, S)
    one, two = weighted.profile_interval(X, Y, sample_weight=weight), repeated.profile_interval(R, S)
    np.testing.assert_allclose(one.confint, two.confint, rtol=1e-7)
    one, two = weighted.drop_one(X, Y, sample_weight=weight), repeated.drop_one(R, S)
    np.testing.assert_allclose(one.table["statistic"], two.table["statistic"], rtol=1e-8)


def test_ends_of_a_softmax_are_roots_of_its_profile():
    X, Y = drawn(2, 150, 0.7, classes=3, shift=1.0)
    model = xlogreg.fit(X, Y, tol=1e-14)
    interval = model.profile_interval(X, Y, [0])
    assert interval.table["class"].tolist() == ["1", "2"]
    hot = np.eye(3)[Y]

    def profile(value):
        def cost(free):
            W = np.concatenate([np.zeros((3, 1)), np.reshape([value, *free], (2, 3)).T], axis=1)
            Z = X.T @ W[:2] + W[2]
            return float(np.sum(np.logaddexp.reduce(Z, axis=1) - np.sum(hot * Z, axis=1)))

        return scipy.optimize.minimize(cost, np.zeros(5), method="BFGS", options={"gtol": 1e-9}).fun

    for end in interval.confint[0]:
        assert 2.0 * (profile(end) + model.log_likelihood) == pytest.approx(RISE, abs=1e-6)
    swapped = model.profile_interval(X, Y, [0], baseline=1)
    assert swapped.table["class"].tolist() == ["0", "2"]
    np.testing.assert_allclose(swapped.confint[0], -interval.confint[0, ::-1], rtol=1e-7)
    centred = model.profile_interval(X, Y, [0], baseline="centred").table
    assert np.all((centred["lower"] < centred["coefficient"]) & (centred["coefficient"] < centred["upper"]))


def test_a_model_without_bias_has_no_interval_of_it(data):
    X, Y = data
    X = X - 5.0
    interval = xlogreg.fit(X, Y, bias=False).profile_interval(X, Y)
    assert interval.table["name"].tolist() == ["x0", "x1", "x2", "x3"]
    statsmodels = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    family = statsmodels.families.Binomial()
    full = statsmodels.GLM(Y, X.T, family=family).fit(tol=1e-14)
    for end in interval.confint[2]:
        part = statsmodels.GLM(Y, np.delete(X.T, 2, axis=1), family=family, offset=X[2] * end).fit(tol=1e-14)
        assert 2.0 * (full.llf - part.llf) == pytest.approx(RISE, abs=1e-6)


def test_features_are_chosen_by_name_number_and_column():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    rng = np.random.default_rng(3)
    table = pandas.DataFrame({"age": rng.normal(50, 10, 150), "city": rng.choice(["Oslo", "Paris", "Rome"], 150)})
    Y = np.where(rng.random(150) < 0.5, "no", "yes")
    model = xlogreg.fit(table, Y, samples="rows", categorical_features=["city"])
    whole = model.profile_interval(table, Y)
    part = model.profile_interval(table, Y, ["city", 0, "bias", "age"])
    names = part.table["name"].tolist()
    assert names[-2:] == ["age", "bias"]
    assert len(names) == len(whole.table)
    by_name = dict(zip(whole.table["name"].tolist(), whole.confint, strict=True))
    np.testing.assert_allclose(part.confint, [by_name[name] for name in names], rtol=1e-9)
    tests = model.drop_one(table, Y)
    assert tests.table["name"].tolist() == ["age", "city"]
    assert tests.table["df"].tolist() == [1, len(names) - 2]
    alone = xlogreg.fit(table[["age"]], Y, samples="rows")
    assert str(xlogreg.likelihood_ratio_test(alone, model)).startswith("likelihood-ratio test of city=")
    assert xlogreg.likelihood_ratio_test(alone, model).statistic == pytest.approx(tests.table["statistic"][1], rel=1e-6)


@pytest.mark.parametrize("classes", [2, 4])
def test_dropped_terms_have_the_deviance_of_refits(classes):
    X, Y = drawn(5, 300, 0.8, classes=classes)
    model = xlogreg.fit(X, Y, tol=1e-14)
    tests = model.drop_one(X, Y)
    for number in range(5):
        part = xlogreg.fit(np.delete(X, number, axis=0), Y, tol=1e-14)
        expected = xlogreg.likelihood_ratio_test(part, model)
        assert tests.table["statistic"][number] == pytest.approx(expected.statistic, rel=1e-8, abs=1e-8)
        assert tests.table["df"][number] == expected.df == max(1, classes - 1)
        assert tests.table["p"][number] == pytest.approx(scipy.stats.chi2.sf(expected.statistic, expected.df), rel=1e-6)


def test_models_that_leave_the_batch_are_solved_alone(data, fitted, monkeypatch):
    X, Y = data
    statistics = fitted.drop_one(X, Y).table["statistic"]
    intervals = fitted.profile_interval(X, Y).confint
    monkeypatch.setattr(omission, "STEPS", 30)
    monkeypatch.setattr(omission.simultaneous, "HOPEFUL", 1)
    monkeypatch.setattr(ends, "STEPS", 1)
    np.testing.assert_allclose(fitted.drop_one(X, Y).table["statistic"], statistics, rtol=1e-9)
    np.testing.assert_allclose(fitted.profile_interval(X, Y).confint, intervals, rtol=1e-8)


def test_batches_do_not_matter(data, fitted, monkeypatch):
    X, Y = data
    statistics, intervals = fitted.drop_one(X, Y).table["statistic"], fitted.profile_interval(X, Y).confint
    monkeypatch.setattr(minimum, "BATCH_NUMBERS", 11)
    np.testing.assert_allclose(fitted.drop_one(X, Y).table["statistic"], statistics, rtol=1e-9)
    np.testing.assert_allclose(fitted.profile_interval(X, Y).confint, intervals, rtol=1e-9)


def test_an_end_that_is_not_reached_is_no_number(data, fitted, monkeypatch):
    X, Y = data
    monkeypatch.setattr(ends, "STEPS", 1)
    monkeypatch.setattr(ends, "OWN_STEPS", 1)
    with pytest.warns(xlogreg.ConvergenceWarning, match="were not found to the tolerance"):
        found = fitted.profile_interval(X, Y)
    assert np.isnan(found.confint).any()


def test_every_namespace_and_layout_has_the_same_ends(where64, data, fitted):
    X, Y = data
    expected = fitted.profile_interval(X, Y).confint
    statistics = fitted.drop_one(X, Y).table["statistic"]
    A = where64.asarray(X)
    model = xlogreg.fit(A, Y)
    np.testing.assert_allclose(model.profile_interval(A, Y).confint, expected, rtol=1e-8)
    np.testing.assert_allclose(model.drop_one(A, Y).table["statistic"], statistics, rtol=1e-8)
    rows = xlogreg.fit(where64.asarray(X.T), Y, samples="rows")
    np.testing.assert_allclose(rows.profile_interval(where64.asarray(X.T), Y).confint, expected, rtol=1e-8)


def test_float32_samples_are_computed_in_float64(data):
    X, Y = (part.astype(np.float32) for part in data)
    narrow, wide = xlogreg.fit(X, Y), xlogreg.fit(X.astype(np.float64), Y)
    found = narrow.profile_interval(X, Y).confint
    np.testing.assert_allclose(found, wide.profile_interval(X.astype(np.float64), Y).confint, rtol=1e-7)


@pytest.mark.filterwarnings("ignore")
def test_sparse_files_and_collections_have_the_same_ends(tmp_path, client):
    sparse = pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    X, Y = drawn(3, 1500, 0.5, shift=1.0)
    X = np.where(np.abs(X) < 1.0, 0.0, X)
    model = xlogreg.fit(X, Y)
    expected, statistics = model.profile_interval(X, Y).confint, model.drop_one(X, Y).table["statistic"]
    np.save(tmp_path / "X.npy", X.T)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r").T
    for A in (sparse.csc_array(X), mapped, cut(X)):
        own = xlogreg.fit(A, Y)
        np.testing.assert_allclose(own.profile_interval(A, Y).confint, expected, rtol=1e-7)
        np.testing.assert_allclose(own.drop_one(A, Y).table["statistic"], statistics, rtol=1e-7)


def test_an_offset_is_a_feature_whose_weight_is_one(data):
    X, Y = data
    offset = 0.5 * X[0] - 2.0
    model = xlogreg.fit(X, Y, offset=offset, tol=1e-14)
    plain = xlogreg.fit(X, Y, tol=1e-14)
    shifted = plain.profile_interval(X, Y).confint - np.asarray([[0.5], [0.0], [0.0], [0.0], [-2.0]])
    np.testing.assert_allclose(model.profile_interval(X, Y, offset=offset).confint, shifted, rtol=1e-7)
    tests = model.drop_one(X, Y, offset=offset)
    for number in range(4):
        part = xlogreg.fit(np.delete(X, number, axis=0), Y, offset=offset, tol=1e-14)
        expected = xlogreg.likelihood_ratio_test(part, model).statistic
        assert tests.table["statistic"][number] == pytest.approx(expected, rel=1e-8)
    with pytest.raises(ValueError, match="one of the models has an offset"):
        xlogreg.likelihood_ratio_test(xlogreg.fit(X[:2], Y), model)


def test_after_firths_bias_reduction_the_penalised_likelihood_is_tested_and_profiled():
    x, Y = np.asarray([-2.0, -1.5, -1.0, -0.5, 0.2, 1.0, 1.5, 2.5]), np.asarray([0, 0, 0, 0, 1, 1, 1, 1])
    D = np.stack([x, np.ones(8)])

    def cost(w, b):
        z = w * x + b
        a = 1.0 / (1.0 + np.exp(-z))
        return np.sum(np.logaddexp(0.0, z) - Y * z) - 0.5 * np.linalg.slogdet((D * a * (1.0 - a)) @ D.T)[1]

    def profile(w):
        return scipy.optimize.minimize_scalar(lambda b: cost(w, b), (-2.0, 0.0), options={"xtol": 1e-10}).fun

    model = xlogreg.fit(x[None, :], Y, bias_reduction="firth")
    least = profile(model.w[0, 0])
    interval, tests = model.profile_interval(x[None, :], Y, ["x0"]), model.drop_one(x[None, :], Y)
    assert interval.kind == "penalised profile-likelihood intervals"
    for end in interval.confint[0]:
        assert 2.0 * (profile(end) - least) == pytest.approx(RISE, abs=1e-5)
    assert tests.kind == "penalised likelihood-ratio tests"
    assert tests.table["statistic"][0] == pytest.approx(2.0 * (profile(0.0) - least), rel=1e-6)
    with pytest.raises(ValueError, match="no score test: the bias is reduced"):
        model.score_test(x[None, :], Y, x[None, :] ** 2)


@pytest.mark.filterwarnings("ignore::xlogreg.SeparationWarning")
def test_quasi_separated_classes_have_the_ends_of_what_is_left_of_them(data):
    X, Y = data
    rare = np.zeros((1, 80))
    rare[0, np.flatnonzero(Y == 1)[:5]] = 1.0  # present in one class only
    left = rare[0] == 0.0
    expected = xlogreg.fit(X[:, left], Y[left]).profile_interval(X[:, left], Y[left]).confint
    A = np.concatenate([X, rare])
    interval = xlogreg.fit(A, Y).profile_interval(A, Y)
    np.testing.assert_allclose(interval.confint[[0, 1, 2, 3, 5]], expected, rtol=1e-6)
    assert interval.confint[4, 1] == np.inf
    assert np.isfinite(interval.confint[4, 0])
    assert "separated" in str(interval)
    statsmodels = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    part = statsmodels.GLM(
        Y,
        np.column_stack([X.T, np.ones(80)]),
        family=statsmodels.families.Binomial(),
        offset=rare[0] * interval.confint[4, 0],
    ).fit(tol=1e-14)
    infimum = xlogreg.fit(X[:, left], Y[left], tol=1e-14).log_likelihood
    assert 2.0 * (infimum - part.llf) == pytest.approx(RISE, abs=1e-6)


@pytest.mark.filterwarnings("ignore::xlogreg.SeparationWarning")
def test_ends_are_infinite_where_linear_programming_finds_a_direction_of_recession():
    found = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X = rng.integers(0, 3, (2, 14)) + rng.standard_normal((2, 14)) * (seed % 2)
        Y = (rng.random(14) < 1.0 / (1.0 + np.exp(4.0 - 4.0 * X[0]))).astype(int)
        model = xlogreg.fit(X, Y) if 0 < Y.sum() < 14 else None
        if model is None or model.fit_info.separation not in ("complete", "quasi-complete"):
            continue
        S = (2 * Y - 1) * np.concatenate([X, np.ones((1, 14))])
        for row, found_ends in enumerate(model.profile_interval(X, Y).confint):
            for side, end in zip((-1.0, 1.0), found_ends, strict=True):
                most = scipy.optimize.linprog(-side * np.eye(3)[row], -S.T, np.zeros(14), bounds=[(-1.0, 1.0)] * 3)
                assert np.isinf(end) == (-most.fun > 1e-7)
                found += 1
    assert found >= 30


@pytest.mark.filterwarnings("ignore::xlogreg.SeparationWarning")
def test_a_class_that_a_feature_gives_away_has_infinite_contrasts():
    X, Y = drawn(2, 90, 0.5, classes=3, shift=1.0)
    mark = np.zeros((1, 90))
    mark[0, np.flatnonzero(Y == 1)[:10]] = 1.0
    A = np.concatenate([X, mark])
    table = xlogreg.fit(A, Y).profile_interval(A, Y, [2]).table
    assert table["class"].tolist() == ["1", "2"]
    assert np.isfinite(table["lower"][0])
    assert table["upper"][0] == np.inf
    assert table["lower"][1] == -np.inf  # nothing tells the others apart among those samples
    assert table["upper"][1] == np.inf
    with pytest.raises(ValueError, match="no likelihood-ratio test: the classes are separated"):
        xlogreg.fit(A, Y).drop_one(A, Y)
    B = np.concatenate([A, A[:1]])
    with pytest.raises(ValueError, match="collinear"):
        xlogreg.fit(B, Y).profile_interval(B, Y)


def test_a_restricted_inverse_is_that_of_the_restricted_hessian():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((6, 20))
    H = A @ A.T
    V, gradient = np.linalg.inv(H), rng.standard_normal((6, 3, 1))
    held = (np.asarray([1]), np.asarray([0, 4]), np.zeros(0, np.intp))
    found = Restricted(V, np.eye(1), held).solve(gradient)
    for model, rows in enumerate(held):
        free = np.setdiff1d(np.arange(6), rows)
        expected = np.zeros(6)
        expected[free] = np.linalg.solve(H[np.ix_(free, free)], gradient[free, model, 0])
        np.testing.assert_allclose(found[:, model, 0], expected, rtol=1e-10, atol=1e-12)


def test_the_tests_and_intervals_print_and_become_frames(data, fitted):
    X, Y = data
    interval = fitted.profile_interval(X, Y, level=0.9)
    assert str(interval).splitlines()[0] == "profile-likelihood intervals"
    assert "[0.05" in str(interval)
    assert "0.95]" in str(interval)
    assert interval._repr_html_().startswith("<table>")
    pytest.importorskip("pandas", reason="pandas is not installed")
    assert list(interval.to_frame("pandas").columns) == ["name", "lower", "upper", "coefficient"]


def test_models_that_are_not_nested_are_refused(data, fitted):
    X, Y = data
    small = xlogreg.fit(X[:2], Y)
    with pytest.raises(TypeError, match="large must be a fitted Model; got 3"):
        xlogreg.likelihood_ratio_test(small, 3)
    with pytest.raises(ValueError, match="large must have more free parameters than small"):
        xlogreg.likelihood_ratio_test(fitted, small)
    with pytest.raises(ValueError, match="fitted to 79 and 80 samples"):
        xlogreg.likelihood_ratio_test(xlogreg.fit(X[:2, 1:], Y[1:]), fitted)
    with pytest.raises(ValueError, match="add up to 160 for small and 80 for large"):
        xlogreg.likelihood_ratio_test(xlogreg.fit(X[:2], Y, sample_weight=np.full(80, 2.0)), fitted)
    other = np.where(np.arange(80) < 3, 1 - Y, Y)
    with pytest.raises(ValueError, match="without features differ"):
        xlogreg.likelihood_ratio_test(xlogreg.fit(X[:2], other), fitted)
    with pytest.raises(ValueError, match="other classes"):
        xlogreg.likelihood_ratio_test(xlogreg.fit(X[:2], Y.astype(str)), fitted)
    with pytest.raises(ValueError, match="small model: the model is penalised"):
        xlogreg.likelihood_ratio_test(xlogreg.fit(X[:2], Y, l2=0.1), fitted)
    with pytest.raises(ValueError, match="small has a bias, and large has none"):
        xlogreg.likelihood_ratio_test(small, xlogreg.fit(X, Y, bias=False))
    worse = np.random.default_rng(0).standard_normal((3, 80))
    with pytest.raises(ValueError, match="is below that of small"):
        xlogreg.likelihood_ratio_test(xlogreg.fit(X[:2], Y), xlogreg.fit(worse, Y))


def test_models_of_tables_must_share_their_columns():
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    rng = np.random.default_rng(2)
    table, Y = pandas.DataFrame(rng.standard_normal((90, 3)), columns=["a", "b", "c"]), rng.integers(0, 2, 90)
    small, large = (xlogreg.fit(table[names], Y, samples="rows") for names in (["c"], ["a", "b"]))
    with pytest.raises(ValueError, match="large lacks the feature 'c' of small"):
        xlogreg.likelihood_ratio_test(small, large)
    whole = xlogreg.fit(table, Y, samples="rows")
    assert xlogreg.likelihood_ratio_test(large, whole).hypothesis == "c = 0"


def test_what_has_no_likelihood_to_test_is_refused(data, fitted):
    X, Y = data
    for options, reason in (
        ({"l2": 0.1}, "penalised"),
        ({"loss": "squared_error", "solver": "gd"}, "which is no likelihood"),
        ({"upper": 0.5}, "bounds"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", xlogreg.XlogregWarning)
            model = xlogreg.fit(X, Y, **options)
        for method in (model.drop_one, model.profile_interval):
            with pytest.raises(ValueError, match=reason):
                method(X, Y)
    with pytest.raises(ValueError, match="pass the samples of the fit"):
        fitted.drop_one(X[:, ::-1], Y)
    with pytest.raises(ValueError, match="the model was fitted to 80"):
        fitted.profile_interval(X[:, 1:], Y[1:])
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        fitted.profile_interval(X, Y, level=95)
    for features in ("x9", [4], [True], [-1]):
        with pytest.raises(ValueError, match="features must name coefficients"):
            fitted.profile_interval(X, Y, features)
    info = dataclasses.replace(fitted.fit_info, converged=False, reason="max_iter", parameter_error=1.0)
    with pytest.raises(ValueError, match="did not converge"):
        dataclasses.replace(fitted, fit_info=info).drop_one(X, Y)
    twice = np.concatenate([X, X[:1]])
    with pytest.raises(ValueError, match="collinear"):
        xlogreg.fit(twice, Y).drop_one(twice, Y)
