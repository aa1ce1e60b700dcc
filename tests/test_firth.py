"""Firth's bias reduction: the penalised cost and its minimum, on every place and from every source."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from make_firth_reference import SETS, firth_set
from scipy import optimize, special

import xlogreg
from xlogreg.arrays.place import to_host
from xlogreg.inference import firth as inference
from xlogreg.math.leverages import augmented_terms, leverage_terms
from xlogreg.math.losses import LOSSES
from xlogreg.math.sums import Block
from xlogreg.model.given import labelled
from xlogreg.solvers.firth import Jeffreys

REFERENCE = json.loads((Path(__file__).parent / "firth_reference.json").read_text())["sets"]
FEW = range(0, SETS, 7)  # sets for tests on every place


def design(X):
    """[X, 1] (m, n + 1)."""
    return np.column_stack([X, np.ones(len(X))])


def information(X, theta, weight=None):
    D, a = design(X), special.expit(design(X) @ theta)
    s = np.ones(len(X)) if weight is None else weight
    return (D * (s * a * (1 - a))[:, None]).T @ D


def penalised(X, y, theta, weight=None):
    """Penalised log-likelihood, by its definition."""
    z = design(X) @ theta
    s = np.ones(len(X)) if weight is None else weight
    return np.sum(s * (y * z - np.logaddexp(0, z))) + 0.5 * np.linalg.slogdet(information(X, theta, weight))[1]


def theta_of(model):
    return np.append(to_host(model.w)[:, 0], to_host(model.b)).astype(np.float64)


def fitted(X, y, **options):
    return xlogreg.fit(X, y, samples="rows", bias_reduction="firth", **options)


def refitted(model, X, y, **options):
    samples = labelled(model, X, y, **options).widened()
    zero = np.zeros((model.w.shape[0], 1))
    return inference.refitted(samples, to_host(model.w), to_host(model.b), zero, model.bias)


def test_fifty_sets_have_the_coefficients_of_firthmodels():
    for seed, expected in enumerate(REFERENCE):
        model = fitted(*firth_set(seed))
        np.testing.assert_allclose(theta_of(model), expected["coefficients"], rtol=1e-6, atol=1e-6)
        info = model.fit_info
        assert (info.solver, info.converged, info.gap_known, info.separation) == ("firth", True, "local", "")


def test_the_profile_ends_and_the_likelihood_ratio_tests_are_those_of_firthmodels():
    for seed, expected in enumerate(REFERENCE):
        X, y = firth_set(seed)
        full, numbers = refitted(fitted(X, y), X, y), np.arange(X.shape[1] + 1)
        lower, upper = inference.profile_ends(full, numbers, 0.95)
        chi2, df, p = inference.drop_tests(full, [numbers[j : j + 1] for j in numbers])
        np.testing.assert_allclose(lower, expected["lower"], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(upper, expected["upper"], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(p, expected["p"], rtol=1e-5)
        assert np.all(df == 1)
        assert np.all(chi2 >= 0)


def test_firthmodels_agrees_today():
    module = pytest.importorskip("firthmodels", reason="firthmodels is no requirement of the tests")
    X, y = firth_set(3)
    other = module.FirthLogisticRegression(gtol=1e-8, xtol=1e-8, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(fitted(X, y).w[:, 0], other.coef_, rtol=1e-6)


def test_standard_errors_are_those_of_the_information_and_firthmodels_has_those_of_augmented_data():
    for seed in range(0, SETS, 5):
        X, y = firth_set(seed)
        model = fitted(X, y)
        theta, errors = theta_of(model), model.standard_errors()
        inverse = np.linalg.inv(information(X, theta))
        np.testing.assert_allclose(np.append(errors.w, errors.b), np.sqrt(inverse.diagonal()), rtol=1e-6)
        a = special.expit(design(X) @ theta)
        h = a * (1 - a) * np.einsum("ij,jk,ik->i", design(X), inverse, design(X))
        augmented = np.linalg.inv(information(X, theta, 1 + h))
        np.testing.assert_allclose(np.sqrt(augmented.diagonal()), REFERENCE[seed]["errors"], rtol=1e-6)
        found = model.covariance_of(X, y, kind="augmented")
        np.testing.assert_allclose(np.sqrt(found.matrix.diagonal()), REFERENCE[seed]["errors"], rtol=1e-6)


def test_errors_of_augmented_data_are_those_of_their_weights_also_without_a_bias():
    X, y = firth_set(3)
    X = X + 1e3
    model = fitted(X, y, bias=False)
    theta = theta_of(model)[:-1]
    a = special.expit(X @ theta)
    hat = np.einsum("ij,jk,ik->i", X, np.linalg.inv((X * (a * (1 - a))[:, None]).T @ X), X) * a * (1 - a)
    expected = np.linalg.inv((X * ((1 + hat) * a * (1 - a))[:, None]).T @ X)
    found = model.covariance_of(X, y, kind="augmented").matrix
    np.testing.assert_allclose(found[:-1, :-1], expected, rtol=1e-5)
    assert not found[-1].any()
    labels = np.random.default_rng(0).integers(0, 2, len(y))
    with pytest.raises(ValueError, match="kind='augmented' is for a fit with bias_reduction"):
        xlogreg.fit(X, labels, samples="rows").covariance_of(X, labels, kind="augmented")


def test_every_place_finds_the_same(where):
    for seed in FEW:
        X, y = firth_set(seed)
        model = xlogreg.fit(where.asarray(X.T), where.asarray(y, dtype="int32"), bias_reduction="firth")
        expected = np.asarray(REFERENCE[seed]["coefficients"])
        tolerance = 1e-6 if where.dtype == "float64" else 2e-3
        where.check(model.w, expected[:-1, None], rtol=tolerance, atol=tolerance)
        assert model.fit_info.gap_known == "local"


def test_leverages_are_the_diagonal_of_the_hat_matrix(where):
    rng = np.random.default_rng(1)
    X, Y, s = rng.standard_normal((30, 3)), (rng.random((2, 1, 30)) < 0.5) * 1.0, rng.random(30) + 0.5
    theta = rng.standard_normal((4, 2, 1))
    expected, added, roots = [], [], []
    for model in range(2):
        H = information(X, theta[:, model, 0], s)
        a = special.expit(design(X) @ theta[:, model, 0])
        half = design(X) * np.sqrt(s * a * (1 - a))[:, None]
        hat = np.diag(half @ np.linalg.inv(H) @ half.T)
        assert np.isclose(hat.sum(), 4)
        expected.append(design(X).T @ (hat * (a - 0.5)))
        added.append((design(X) * (hat * a * (1 - a))[:, None]).T @ design(X))
        roots.append(np.linalg.inv(np.linalg.cholesky(H)).T)
    block = Block(where.asarray(X.T), where.asarray(Y), where.asarray(s[None]), 0)
    arguments = where.asarray(theta), where.asarray(np.stack(roots, axis=1)), LOSSES["log_loss"]
    slope, more = augmented_terms(block, *arguments)
    tolerance = 1e-11 if where.dtype == "float64" else 1e-4
    where.check(slope, np.stack(expected, axis=1)[:, :, None], rtol=tolerance)
    where.check(more, np.stack(added), rtol=tolerance)
    where.check(leverage_terms(block, *arguments)[0], to_host(slope), rtol=tolerance)


def test_the_gradient_is_that_of_the_penalised_cost():
    X, y = firth_set(4)
    full = refitted(fitted(X, y), X, y)
    rng = np.random.default_rng(0)
    theta = full.point.theta + 0.3 * rng.standard_normal(full.point.theta.shape)
    cost = Jeffreys.of(full.cost.objective)
    gradient = cost.slope(cost.appraise(theta)).here.gradient
    for row in range(len(theta)):
        step = np.zeros_like(theta)
        step[row] = 1e-5
        change = cost.appraise(theta + step).value - cost.appraise(theta - step).value
        np.testing.assert_allclose(gradient[row, 0, 0], change[0] / 2e-5, rtol=1e-6, atol=1e-9)


def test_no_other_point_has_a_higher_penalised_likelihood():
    X, y = firth_set(6)
    theta = theta_of(fitted(X, y))
    found = optimize.minimize(lambda t: -penalised(X, y, t), np.zeros_like(theta), options={"gtol": 1e-9})
    np.testing.assert_allclose(theta, found.x, rtol=1e-5, atol=1e-5)


def test_separated_classes_have_finite_parameters_and_no_warning():
    X, y = np.arange(10.0)[:, None], np.arange(10) >= 5
    model = fitted(X, y)
    assert model.fit_info.reason == "converged"
    assert 0.5 < float(model.w[0, 0]) < 5.0
    assert isinstance(model.covariance, np.ndarray)


def test_weights_equal_repeats_and_probabilities_equal_split_samples():
    X, y = firth_set(8)
    counts = np.random.default_rng(2).integers(1, 4, len(y))
    weighted, repeated = fitted(X, y, sample_weight=counts), fitted(np.repeat(X, counts, 0), np.repeat(y, counts))
    np.testing.assert_allclose(theta_of(weighted), theta_of(repeated), rtol=1e-6, atol=1e-8)
    soft = fitted(X, 0.25 + 0.5 * y, targets="probabilities")
    labels, quarter = np.concatenate([[0, label, label, 1] for label in y]), np.full(4 * len(y), 0.25)
    split = fitted(np.repeat(X, 4, 0), labels, sample_weight=quarter)
    np.testing.assert_allclose(theta_of(soft), theta_of(split), rtol=1e-6, atol=1e-8)


def test_weights_that_add_up_to_little_leave_the_penalty_to_decide():
    X, y = firth_set(12)
    weight = np.random.default_rng(7).random(len(y))
    model = fitted(X, y, sample_weight=weight / weight.sum())
    found = optimize.minimize(
        lambda t: -penalised(X, y, t, weight / weight.sum()), np.zeros(X.shape[1] + 1), options={"gtol": 1e-9}
    )
    np.testing.assert_allclose(theta_of(model), found.x, rtol=1e-5, atol=1e-6)
    assert model.fit_info.converged
    assert model.fit_info.iterations <= 10


def test_heavy_tails_and_nearly_collinear_features_converge():
    rng = np.random.default_rng(8)
    tails = np.exp(3 * rng.standard_normal((80, 5)))
    near = rng.standard_normal((80, 3))
    near[:, 1] = near[:, 0] + 1e-4 * near[:, 1]
    for X in (tails, near):
        y = X[:, 0] > np.median(X[:, 0])
        model = fitted(X, y)
        assert model.fit_info.converged
        ends = inference.profile_ends(refitted(model, X, y), np.arange(X.shape[1] + 1), 0.95)
        assert np.all(np.isfinite(ends))
        assert np.all(ends[0] < theta_of(model))
        assert np.all(ends[1] > theta_of(model))


def test_units_and_origin_of_features_and_the_order_of_samples_do_not_matter():
    X, y = firth_set(9)
    scale, shift = np.asarray([1e3, 1e-4, 7.0, 1.0])[: X.shape[1]], 5.0
    theta = theta_of(fitted(X, y))
    order = np.random.default_rng(3).permutation(len(y))
    other = theta_of(fitted((X * scale + shift)[order], y[order]))
    np.testing.assert_allclose(other[:-1] * scale, theta[:-1], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(other[-1] + shift * other[:-1].sum(), theta[-1], rtol=1e-5, atol=1e-6)


def test_a_model_without_a_bias_has_none_in_its_information():
    X, y = firth_set(11)
    model = fitted(X, y, bias=False)
    found = optimize.minimize(
        lambda w: (
            np.sum(np.logaddexp(0, X @ w) - y * (X @ w))
            - 0.5 * np.linalg.slogdet((X * special.expit(X @ w)[:, None] * special.expit(-X @ w)[:, None]).T @ X)[1]
        ),
        np.zeros(X.shape[1]),
        options={"gtol": 1e-9},
    )
    np.testing.assert_allclose(model.w[:, 0], found.x, rtol=1e-5, atol=1e-5)
    assert float(model.b[0, 0]) == 0.0
    assert model.fit_info.rank == X.shape[1]


def test_collinear_features_share_a_weight_and_have_no_errors():
    X, y = firth_set(13)
    alone, twice = fitted(X, y), fitted(np.column_stack([X, X[:, 0]]), y)
    np.testing.assert_allclose(twice.w[0] + twice.w[-1], alone.w[0], rtol=1e-6)
    np.testing.assert_allclose(twice.w[0], twice.w[-1], rtol=1e-6)
    assert "collinear" in twice.covariance
    full = refitted(twice, np.column_stack([X, X[:, 0]]), y)
    lower, upper = inference.profile_ends(full, np.asarray([0, 1]), 0.95)
    assert (lower[0], upper[0]) == (-np.inf, np.inf)
    ends = inference.profile_ends(refitted(alone, X, y), np.asarray([1]), 0.95)
    np.testing.assert_allclose([lower[1], upper[1]], np.ravel(ends), rtol=1e-6)


def test_a_constant_feature_has_no_weight_no_ends_and_no_test():
    X, y = firth_set(14)
    model = fitted(np.column_stack([X, np.full(len(y), 3.0)]), y)
    assert float(model.w[-1, 0]) == 0.0
    np.testing.assert_allclose(np.append(model.w[:-1], model.b), REFERENCE[14]["coefficients"], rtol=1e-6)
    full, last = refitted(model, np.column_stack([X, np.full(len(y), 3.0)]), y), np.asarray([X.shape[1]])
    assert np.all(np.isnan(inference.profile_ends(full, last, 0.95)))
    chi2, df, p = inference.drop_tests(full, [last])
    assert (chi2[0], df[0], p[0]) == (0.0, 0, 1.0)


def test_more_features_than_samples_have_leverages_of_one():
    rng = np.random.default_rng(5)
    X, y = rng.standard_normal((12, 20)), np.arange(12) % 2
    # with h = 1 the score of each sample is y - a + 1/2 - a
    np.testing.assert_allclose(fitted(X, y).predict_proba(X)[:, 1], (y + 0.5) / 2.0, rtol=1e-6)


def test_rows_columns_sparse_matrices_and_stored_arrays_give_the_same(tmp_path):
    X, y = firth_set(16)
    X = np.where(np.abs(X) < 0.5, 0.0, X)
    expected = theta_of(fitted(X, y))
    np.save(tmp_path / "X.npy", X)
    stored = np.load(tmp_path / "X.npy", mmap_mode="r")
    cut = len(y) // 2
    given = {
        "sparse": (scipy.sparse.csr_array(X), y),
        "stored": (stored, y),
        "factory": (lambda: iter([(X[:cut], y[:cut]), (X[cut:], y[cut:])]), None),
    }
    for name, (data, labels) in given.items():
        np.testing.assert_allclose(theta_of(fitted(data, labels)), expected, rtol=1e-6, atol=1e-8, err_msg=name)


@pytest.mark.slow
def test_the_workers_of_dask_give_the_same():
    dask, distributed = pytest.importorskip("dask.array"), pytest.importorskip("distributed")
    X, y = firth_set(17)
    with distributed.Client(processes=False, n_workers=1, dashboard_address=None):
        model = fitted(dask.from_array(X, chunks=(7, -1)), dask.from_array(y, chunks=7))
    np.testing.assert_allclose(theta_of(model), REFERENCE[17]["coefficients"], rtol=1e-6, atol=1e-7)


def test_many_targets_are_fitted_together_as_one_by_one():
    X, y = firth_set(18)
    X, y = np.tile(X, (4, 1)), np.tile(y, 4)
    Ys = [y, 1 - y, np.roll(y, 3), (np.arange(len(y)) % 3 == 0).astype(int)]
    weight = np.random.default_rng(4).random(len(y)) + 0.2
    for weights in (None, weight, [weight, None, weight**2, weight]):
        models = xlogreg.fit_many(X, Ys, samples="rows", bias_reduction="firth", sample_weights=weights)
        for number, (model, target) in enumerate(zip(models, Ys, strict=True)):
            own = weights[number] if isinstance(weights, list) else weights
            alone = fitted(X, target, sample_weight=own)
            np.testing.assert_allclose(theta_of(model), theta_of(alone), rtol=1e-6, atol=1e-7)
            np.testing.assert_allclose(model.covariance, alone.covariance, rtol=1e-5, atol=1e-9)
            assert model.fit_info.solver == "batch"
            assert model.fit_info.passes <= 60


def test_a_start_leads_to_the_same_end():
    X, y = firth_set(19)
    model = fitted(X, y)
    again = fitted(X, y, initial=model)
    np.testing.assert_allclose(theta_of(again), theta_of(model), rtol=1e-7, atol=1e-8)
    assert again.fit_info.iterations < model.fit_info.iterations


def test_the_costs_are_mean_log_losses():
    X, y = firth_set(21)
    model, seen = fitted(X, y), []
    fitted(X, y, callback=lambda state: seen.append(state.cost))
    z = design(X) @ theta_of(model)
    assert model.fit_info.cost == pytest.approx(np.mean(np.logaddexp(0, z) - y * z), rel=1e-9)
    assert model.fit_info.log_likelihood == pytest.approx(-len(y) * model.fit_info.cost, rel=1e-12)
    assert model.costs.tolist() == seen[: len(model.costs)]


def test_too_few_steps_are_told():
    X, y = firth_set(22)
    with pytest.warns(xlogreg.ConvergenceWarning, match="max_iter=1"):
        model = fitted(X, y, max_iter=1)
    assert model.fit_info.reason == "max_iter"
    assert not model.fit_info.converged


def test_a_callback_ends_the_fit():
    X, y = firth_set(22)
    assert fitted(X, y, callback=lambda state: state.iteration == 2).fit_info.reason == "callback"


def test_a_group_of_coefficients_is_tested_with_the_penalty_of_the_full_model():
    X, y = firth_set(23)
    full = refitted(fitted(X, y), X, y)
    chi2, df, p = inference.drop_tests(full, [np.asarray([0, 1]), np.asarray([X.shape[1]]), np.asarray([], dtype=int)])
    kept = np.arange(2, X.shape[1] + 1)

    def constrained(some):
        theta = np.zeros(X.shape[1] + 1)
        theta[kept] = some
        return -penalised(X, y, theta)

    least = optimize.minimize(constrained, np.zeros(len(kept)), options={"gtol": 1e-9}).fun
    expected = 2 * (penalised(X, y, theta_of(fitted(X, y))) + least)
    assert chi2[0] == pytest.approx(expected, rel=1e-6)
    assert df.tolist() == [2, 1, 0]
    assert p[0] == pytest.approx(np.exp(-expected / 2), rel=1e-5)
    assert p[1] == pytest.approx(REFERENCE[23]["p"][-1], rel=1e-5)


def test_weighted_profile_ends_are_at_the_bound_and_nuisance_scores_vanish_there():
    X, y = firth_set(24)
    weight = np.random.default_rng(6).random(len(y)) + 0.5
    model = fitted(X, y, sample_weight=weight)
    full = refitted(model, X, y, sample_weight=weight)
    ends = inference.profile_ends(full, np.asarray([0]), 0.9)
    bound = penalised(X, y, theta_of(model), weight) - 0.5 * special.chdtri(1, 0.1)
    for end in np.ravel(ends):
        at = optimize.minimize(
            lambda rest, end=end: -penalised(X, y, np.append(end, rest), weight),
            theta_of(model)[1:],
            options={"gtol": 1e-8},
        )
        assert -at.fun == pytest.approx(bound, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bias_reduction": "Firth"}, "bias_reduction must be 'firth' or 'flic'"),
        ({"l2": 0.1}, "cannot be had with l2=0.1"),
        ({"l1": 0.1}, "cannot be had with l1=0.1"),
        ({"lower": 0.0}, "cannot be had with lower"),
        ({"solver": "gd"}, "cannot be had with solver='gd'"),
        ({"solver": "newton"}, "cannot be had with solver='newton'"),
        ({"solver": "gd", "loss": "squared_error"}, "cannot be had with solver='gd'"),
        ({"bias_reduction": "flic", "bias": False}, "with bias=False use 'firth'"),
    ],
)
def test_other_options_are_refused_by_name(options, said):
    with pytest.raises(ValueError, match=said):
        xlogreg.fit(np.eye(2), [0, 1], **({"bias_reduction": "firth"} | options))


def test_three_classes_and_too_many_features_are_refused():
    with pytest.raises(ValueError, match="is for two classes; Y has 3"):
        xlogreg.fit(np.eye(3), [0, 1, 2], bias_reduction="firth")
    with pytest.raises(ValueError, match="beyond 5000"):
        xlogreg.fit(np.ones((5001, 2)), [0, 1], bias_reduction="firth")


def test_a_file_keeps_what_was_asked_for(tmp_path):
    X, y = firth_set(26)
    model = fitted(X, y)
    model.save(tmp_path / "model")
    again = xlogreg.load(tmp_path / "model")
    assert again.bias_reduction == "firth"
    assert again.score_shift is None
    assert again.fit_info == model.fit_info
    assert "firth" in repr(again)


def test_collinear_features_are_refused_by_tests_and_profiles_of_the_penalised_likelihood():
    X, y = firth_set(3)
    X = np.column_stack([X, X[:, 0]])
    model = fitted(X, y)
    for method in (model.drop_one, model.profile_interval):
        with pytest.raises(ValueError, match="features are collinear or constant, and determine"):
            method(X, y)
