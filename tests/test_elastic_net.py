"""L1 and the elastic net: the minimum in extended precision, exact zeros, on every kind of samples and namespace."""

import numpy as np
import pytest
import scipy.sparse
from conftest import cut
from draws import given, settings, st
from kinks import beyond, largest
from test_sparse import alike

import xlogreg
from xlogreg.arrays.place import to_host
from xlogreg.solvers import proximal
from xlogreg.solvers.curvature import Curvature

quick = settings(max_examples=15, deadline=None, derandomize=True)
ROWS = {"samples": "rows"}


def drawn(m=300, n=12, classes=2, seed=0, shift=0.0):
    """Features of several scales, half of them of no use, and labels of no pattern that separates them."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, n)) * np.exp(rng.uniform(-1, 1, n)) + shift * rng.standard_normal(n)
    W = rng.standard_normal((n, classes)) * (np.arange(n) < max(1, n // 2))[:, None]
    Z = X @ W
    return X, np.argmax(Z / Z.std() + rng.gumbel(size=Z.shape), axis=1)


M = 300
FACTORS = np.where(np.arange(12) % 3 == 0, 0.5, 2.0)
OPTIONS = {
    "plain": {},
    "elastic": {"l2": 0.02},
    "weights": {"sample_weight": np.arange(M) % 4},
    "factors": {"penalty_factor": FACTORS, "l2": 0.01},
    "standardize": {"standardize": True},
    "divided": {"standardize": 2.5},
    "no bias": {"bias": False},
    "no bias, standardize": {"bias": False, "standardize": True},
}


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("share", [0.3, 0.01])
def test_the_slopes_are_those_of_a_minimum(options, classes, share):
    X, Y = drawn(M, classes=classes, shift=3.0)
    l1 = share * largest(X, Y, **options)
    model = xlogreg.fit(X, Y, l1=l1, **options, **ROWS)
    cost, off = beyond(model, X, Y, l1, **options)
    info = model.fit_info
    assert info.converged
    assert info.solver == "proximal"
    assert off < 1e-4
    assert info.cost == pytest.approx(cost, rel=1e-12)
    assert info.gap <= 1e-12 * cost
    assert (model.l1, model.l2) == (l1, options.get("l2", 0.0))
    assert share < 0.1 or 0 < np.sum(model.w == 0) < model.w.size


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_as_targets(classes):
    X, Y = drawn(classes=classes)
    soft = 0.8 * np.eye(classes)[Y] + 0.2 / classes
    l1 = 0.1 * largest(X, soft)
    given = soft[:, 1] if classes == 2 else soft
    model = xlogreg.fit(X, given, l1=l1, targets="probabilities", **ROWS)
    assert beyond(model, X, soft, l1)[1] < 1e-4


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_from_the_largest_penalty_on_all_weights_are_zero(classes, bias):
    X, Y = drawn(classes=classes)
    most = largest(X, Y, bias=bias)
    for l1 in (1.0001 * most, 1e3 * most, 1e200):
        model = xlogreg.fit(X, Y, l1=l1, bias=bias, **ROWS)
        assert model.fit_info.converged
        assert not model.w.any()
        shares = np.bincount(Y) / len(Y) if bias else np.full(classes, 1 / classes)
        np.testing.assert_allclose(model.predict_proba(X[:1])[0], shares, rtol=1e-6)
    assert xlogreg.fit(X, Y, l1=0.999 * most, bias=bias, **ROWS).w.any()


@pytest.mark.parametrize("classes", [2, 3])
def test_a_tiny_penalty_leaves_the_answer_of_l2(classes):
    X, Y = drawn(classes=classes)
    plain = xlogreg.fit(X, Y, l2=0.01, **ROWS)
    np.testing.assert_allclose(xlogreg.fit(X, Y, l1=1e-11, l2=0.01, **ROWS).w, plain.w, atol=1e-6)


def test_many_features_work_in_parts():
    X, Y = drawn(150, 2000, seed=1)
    for share in (0.3, 0.05):
        l1 = share * largest(X, Y)
        model = xlogreg.fit(X, Y, l1=l1, **ROWS)
        assert model.fit_info.converged
        assert beyond(model, X, Y, l1)[1] < 1e-4
        assert 0 < np.count_nonzero(model.w) < 150
        assert model.fit_info.passes < 40


@pytest.mark.parametrize("classes", [2, 3])
def test_more_features_than_samples_of_several_classes(classes):
    X, Y = drawn(30, 60, classes=classes, seed=2)
    l1 = 0.003 * largest(X, Y)
    model = xlogreg.fit(X, Y, l1=l1, **ROWS)
    assert model.fit_info.converged
    assert beyond(model, X, Y, l1)[1] < 1e-3


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("share", [0.2, 0.02])
@pytest.mark.slow
def test_sparse_x_of_many_features_is_never_multiplied_with_itself(classes, bias, share, monkeypatch):
    rng = np.random.default_rng(4)
    X = scipy.sparse.random_array((600, 1500), density=0.02, rng=rng, format="csr") / np.sqrt(1 + np.arange(1500))
    Z = X @ rng.standard_normal((1500, classes))
    Y = np.argmax(2 * Z / Z.std() + rng.gumbel(size=Z.shape), axis=1)
    l1, sizes = share * largest(X.toarray(), Y, bias=bias), []
    monkeypatch.setattr(Curvature, "_hessian", lambda *arguments: sizes.append(arguments))
    monkeypatch.setattr(Curvature, "patience", np.inf)
    model = xlogreg.fit(X, Y, l1=l1, bias=bias, **ROWS)
    assert model.fit_info.converged
    assert not sizes
    assert beyond(model, X.toarray(), Y, l1, bias=bias)[1] < 1e-3
    assert 0 < np.count_nonzero(model.w) < 600 * classes


def test_sparse_x_whose_steps_are_slow_takes_hessians_of_the_features_that_work():
    rng = np.random.default_rng(0)
    X = scipy.sparse.random_array((400, 3000), density=0.01, rng=rng, format="csr")
    Y = (np.asarray(X[:, :40] @ rng.standard_normal(40)) * 5 + rng.logistic(size=400) > 0).astype(int)
    l1 = 0.1 * largest(X.toarray(), Y)
    model = xlogreg.fit(X, Y, l1=l1, **ROWS)
    assert model.fit_info.converged
    assert model.fit_info.passes < 120
    assert beyond(model, X.toarray(), Y, l1)[1] < 1e-3


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.slow
def test_no_weight_of_many_features_of_many_samples(classes):
    X, Y = drawn(20_000, 500, classes=classes, seed=6)
    path = xlogreg.fit_path(X, Y, penalties=[1.1 * largest(X, Y), 0.9 * largest(X, Y)], **ROWS)
    assert path.selected[0] == 0 < path.selected[1]
    assert all(model.fit_info.converged for model in path)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
def test_passes_over_a_copy_of_a_few_features_take_the_place_of_others(classes):
    X, Y = drawn(12_000, 1000, classes=classes, seed=5)
    l1 = 0.3 * largest(X, Y)
    model = xlogreg.fit(X, Y, l1=l1, **ROWS)
    assert beyond(model, X, Y, l1)[1] < 1e-4
    assert model.fit_info.passes < 4  # of which one is for the spread, and one confirms the gap
    path = xlogreg.fit_path(X, Y, penalties=l1 * np.asarray([1.0, 0.9, 0.8]), **ROWS)
    assert beyond(path[2], X, Y, path[2].l1)[1] < 1e-4


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_first_gradient_comes_from_the_covariance(classes, bias, weighted, monkeypatch):
    X, Y = drawn(classes=classes, shift=3.0)
    options = {"bias": bias, "sample_weight": np.arange(len(Y)) % 3 if weighted else None}
    known, constant = [], proximal._constant

    def compared(objective, source, theta, *others):
        here = constant(objective, source, theta, *others)
        known.append(here)
        if here is not None:
            own = objective.evaluate(theta)
            np.testing.assert_allclose(here.gradient, own.gradient, atol=1e-11)
            np.testing.assert_allclose(here.value, own.value, rtol=1e-13)
        return here

    monkeypatch.setattr(proximal, "_constant", compared)
    xlogreg.fit(X, Y, l1=0.01, **options, **ROWS)
    assert [here is not None for here in known] == [bias]


def test_large_data_take_a_few_passes():
    X, Y = drawn(40_000, 30, seed=3)
    for tol, passes in ((1e-4, 3.5), (1e-8, 5.5), (1e-12, 8.0)):
        assert xlogreg.fit(X, Y, l1=0.05 * largest(X, Y), tol=tol, **ROWS).fit_info.passes < passes


def test_it_is_the_same_everywhere(where):
    X, Y = drawn(120, 6)
    l1 = 0.1 * largest(X, Y)
    expected = xlogreg.fit(X, Y, l1=l1, l2=0.01, **ROWS)
    model = xlogreg.fit(where.asarray(X), Y, l1=l1, l2=0.01, **ROWS)
    tolerance = 1e-6 if where.dtype == "float64" else 1e-3
    where.check(model.w, expected.w, rtol=tolerance)
    np.testing.assert_array_equal(to_host(model.w) == 0, expected.w == 0)
    assert model.fit_info.converged


@pytest.mark.parametrize("classes", [2, 3])
def test_every_kind_of_samples_gives_the_same(classes, tmp_path):
    X, Y = drawn(400, 8, classes=classes)
    X = X * (np.random.default_rng(1).random(X.shape) < 0.5)
    options = {"l1": 0.1 * largest(X, Y), "l2": 0.01, **ROWS}
    whole = xlogreg.fit(X, Y, **options)
    np.save(tmp_path / "X.npy", X)
    stored = np.load(tmp_path / "X.npy", mmap_mode="r")
    blocks = lambda: iter([(X[:150], Y[:150]), (X[150:], Y[150:])])  # noqa: E731  # a factory, as a user writes it
    for data, targets in ((scipy.sparse.csr_array(X), Y), (stored, Y), (np.asfortranarray(X), Y), (blocks, None)):
        model = xlogreg.fit(data, targets, **options)
        alike(model, whole)
        np.testing.assert_array_equal(model.w == 0, whole.w == 0)
    columns = xlogreg.fit(X.T, Y, **(options | {"samples": "columns"}))
    np.testing.assert_allclose(columns.w, whole.w, atol=1e-8)


def test_workers_of_a_cluster_fit_the_same(client):
    X, Y = drawn(1500, 8)
    options = {"l1": 0.1 * largest(X, Y), **ROWS}
    model = xlogreg.fit(cut(X, 500, axis=0), Y, **options)
    alike(model, xlogreg.fit(X, Y, **options))


@pytest.mark.slow
def test_large_sparse_x():
    rng = np.random.default_rng(0)
    X = scipy.sparse.random_array((2000, 5000), density=0.004, rng=rng, format="csr")
    Y = (X[:, :20].sum(axis=1) + 0.3 * rng.standard_normal(2000) > 0.3).astype(int)
    l1 = 0.1 * largest(X.toarray(), Y)
    model = xlogreg.fit(X, Y, l1=l1, **ROWS)
    assert model.fit_info.converged
    assert beyond(model, X.toarray(), Y, l1)[1] < 1e-4
    dense = xlogreg.fit(X.toarray(), Y, l1=l1, **ROWS)
    np.testing.assert_allclose(model.w, dense.w, atol=1e-4)  # what a gap of 1e-12 leaves of rare features


def test_features_without_a_penalty_may_separate():
    X, Y = drawn(60, 3)
    X[:, 0] = Y
    with pytest.warns(xlogreg.SeparationWarning, match="features without a penalty"):
        model = xlogreg.fit(X, Y, l1=0.01, penalty_factor=[0.0, 1.0, 1.0], **ROWS)
    assert model.fit_info.separation == "complete"
    held = xlogreg.fit(X, Y, l1=0.01, **ROWS)
    assert held.fit_info.converged
    assert held.fit_info.separation == ""
    loose = xlogreg.fit(X[:, 1:], Y, l1=0.1, penalty_factor=[0.0, 1.0], **ROWS)
    assert loose.fit_info.converged
    assert beyond(loose, X[:, 1:], Y, 0.1, penalty_factor=[0.0, 1.0])[1] < 1e-5


def test_the_shift_of_features_does_not_matter_and_their_scale_does_not_with_standardize():
    X, Y = drawn()
    for options, Z in (({}, X + 1e4), ({"standardize": True}, 1e3 * X - 50.0)):
        l1 = 0.1 * largest(X, Y, **options)
        one, other = (xlogreg.fit(given, Y, l1=l1, **options, **ROWS) for given in (X, Z))
        np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(Z), atol=1e-6)
        np.testing.assert_array_equal(one.w == 0, other.w == 0)


@quick
@given(st.integers(0, 2**32 - 1))
def test_whole_weights_are_repeats(seed):
    X, Y = drawn(60, 5, seed=seed)
    counts = np.random.default_rng(seed).integers(0, 4, 60)
    counts[:4] = 1
    Y[:2] = 0, 1
    l1 = 0.1 * largest(X, Y, sample_weight=counts)
    weighted = xlogreg.fit(X, Y, l1=l1, sample_weight=counts, **ROWS)
    repeated = xlogreg.fit(np.repeat(X, counts, axis=0), np.repeat(Y, counts), l1=l1, **ROWS)
    np.testing.assert_allclose(weighted.w, repeated.w, atol=1e-5)


@quick
@given(st.integers(0, 2**32 - 1))
def test_duplicated_features_share_their_weight(seed):
    X, Y = drawn(80, 4, seed=seed)
    Y[:2] = 0, 1
    l1 = 0.1 * largest(X, Y)
    one, twice = (xlogreg.fit(given, Y, l1=l1, **ROWS) for given in (X, np.hstack([X, X])))
    np.testing.assert_allclose(twice.w[:4] + twice.w[4:], one.w, atol=1e-5)
    assert twice.fit_info.cost == pytest.approx(one.fit_info.cost, rel=1e-11)
    np.testing.assert_array_equal(xlogreg.fit(np.hstack([X, X]), Y, l1=l1, **ROWS).w, twice.w)


@pytest.mark.parametrize("classes", [2, 3])
def test_scikit_learn_finds_the_same(classes):
    linear_model = pytest.importorskip("sklearn.linear_model")
    X, Y = drawn(200, 6, classes=classes)
    X /= X.std(axis=0)
    for ratio in (1.0, 0.5):
        theirs = linear_model.LogisticRegression(
            C=0.2, l1_ratio=ratio, solver="saga", tol=1e-9, max_iter=20_000, random_state=0
        ).fit(X, Y)
        strength = 1 / (0.2 * len(Y))
        model = xlogreg.fit(X, Y, l1=ratio * strength, l2=(1 - ratio) * strength, **ROWS)
        np.testing.assert_allclose(model.w.T, theirs.coef_, atol=1e-5)


def test_a_start_and_a_wide_dtype(tmp_path):
    X, Y = drawn(400, 30)
    l1 = 0.05 * largest(X, Y)
    model = xlogreg.fit(X, Y, l1=l1, **ROWS)
    again = xlogreg.fit(X, Y, l1=l1, initial=model, **ROWS)
    assert again.fit_info.passes < model.fit_info.passes
    np.testing.assert_allclose(again.w, model.w, atol=1e-8)
    narrow = xlogreg.fit(X.astype(np.float32), Y, l1=l1, **ROWS)
    assert narrow.w.dtype == np.float32
    np.testing.assert_allclose(narrow.w, model.w, atol=1e-4)
    model.save(tmp_path / "model")
    loaded = xlogreg.load(tmp_path / "model")
    assert (loaded.l1, loaded.l2) == (l1, 0.0)
    np.testing.assert_array_equal(loaded.w, model.w)
    assert f"l1={l1:.4g}" in repr(loaded)


def test_standard_errors_are_refused_with_the_reason():
    X, Y = drawn()
    model = xlogreg.fit(X, Y, l1=0.01, **ROWS)
    with pytest.raises(ValueError, match="selected by an L1 penalty on the same data"):
        model.standard_errors()


def test_what_is_no_penalty_is_refused():
    X, Y = drawn(40, 2)
    for value in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="l1 must be a finite number >= 0"):
            xlogreg.fit(X, Y, l1=value, **ROWS)
    for value in ("0.1", [0.1], True, None):
        with pytest.raises(TypeError, match="l1 must be a finite number >= 0"):
            xlogreg.fit(X, Y, l1=value, **ROWS)
    for solver in ("newton", "gd", "lbfgs"):
        with pytest.raises(ValueError, match=f"l1 needs solver='auto', not '{solver}'"):
            xlogreg.fit(X, Y, l1=0.1, solver=solver, **ROWS)


def test_the_solver_shares_out_its_limits(monkeypatch):
    X, Y = drawn(5000, 20)
    l1 = 0.01 * largest(X, Y)
    with pytest.warns(xlogreg.ConvergenceWarning, match="proximal made max_iter=1 steps"):
        short = xlogreg.fit(X, Y, l1=l1, max_iter=1, **ROWS)
    assert short.fit_info.iterations == 1
    seen = []
    stopped = xlogreg.fit(X, Y, l1=l1, callback=lambda state: seen.append(state.gap) or len(seen) == 2, **ROWS)
    assert stopped.fit_info.reason == "callback"
    assert seen[1] < seen[0]
    monkeypatch.setattr(proximal, "START", 10**9)  # no subset
    whole = xlogreg.fit(X, Y, l1=l1, **ROWS)
    np.testing.assert_allclose(whole.w, xlogreg.fit(X, Y, l1=l1, rng=1, **ROWS).w, atol=1e-5)
