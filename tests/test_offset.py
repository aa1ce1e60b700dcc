"""An offset is a known term in the scores: the fit is that of the rest, and everything beside the fit knows it."""

import numpy as np
import pytest
import scipy.optimize
import scipy.special

import xlogreg
from xlogreg.arrays.matrix import Dense
from xlogreg.arrays.place import HOST, to_host
from xlogreg.exceptions import SeparationWarning
from xlogreg.fitting import problem as problems
from xlogreg.fitting.solving import solve
from xlogreg.inputs.labels import Targets
from xlogreg.inputs.options import Options
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Columns
from xlogreg.solvers.certificate import certify
from xlogreg.solvers.constant import fit_constants

M, N_X, K = 400, 4, 3


def draw(k=1, m=M, n_x=N_X, seed=0, wide=1.0):
    """X (n_x, m), labels (m,), and weights W0 (n_x, k) whose scores W0'X may be an offset."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_x, m)) * np.linspace(0.5, 2.0, n_x)[:, None] + np.linspace(-1.0, 2.0, n_x)[:, None]
    W, W0 = rng.standard_normal((2, n_x, k)) * wide / n_x**0.5
    Z = W.T @ X
    if k == 1:
        return X, (Z[0] + rng.logistic(size=m) > 0.3).astype(int), W0
    return X, np.argmax(Z + rng.gumbel(size=Z.shape), axis=0), W0


def centred(w):
    return w if w.shape[1] == 1 else w - w.mean(axis=1, keepdims=True)


def scaled_difference(model, plain, W0):
    """How far the weights of a model with the offset W0'X are from those of the model without, less W0."""
    return np.max(np.abs(to_host(model.w) - centred(to_host(plain.w) - W0)))


@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_statsmodels_with_an_offset(weighted):
    sm = pytest.importorskip("statsmodels.api")
    X, Y, _ = draw()
    rng = np.random.default_rng(1)
    offset, weight = rng.normal(1.0, 2.0, M), rng.integers(1, 4, M) if weighted else None
    model = xlogreg.fit(X, Y, offset=offset, sample_weight=weight)
    glm = sm.GLM(Y, sm.add_constant(X.T), family=sm.families.Binomial(), offset=offset, freq_weights=weight)
    judge = glm.fit(tol=1e-13)
    np.testing.assert_allclose(model.b[0], judge.params[:1], rtol=1e-10)
    np.testing.assert_allclose(model.w[:, 0], judge.params[1:], rtol=1e-10)
    np.testing.assert_allclose(
        model.standard_errors().w[:, 0], judge.bse[1:], rtol=1e-7
    )  # at the weights before its last step
    np.testing.assert_allclose([model.deviance, model.null_deviance], [judge.deviance, judge.null_deviance], rtol=1e-10)
    assert model.offset
    assert model.fit_info.converged


@pytest.mark.parametrize("k", [1, K])
def test_scores_of_the_features_as_offset_move_the_weights(where, k):
    X, Y, W0 = draw(k)
    plain = xlogreg.fit(X, Y)
    given = where.asarray(X), where.asarray(Y, "int32")
    model = xlogreg.fit(*given, offset=where.asarray(W0.T @ X))
    assert model.fit_info.converged
    where.check(model.w, centred(plain.w - W0), rtol=1e-9 if where.dtype == "float64" else 2e-3)


SOLVERS = ("newton", "lbfgs", "sampled-newton", "rent-or-buy", "spectral-lbfgs", "block-lbfgs", "proximal")


@pytest.mark.parametrize(
    ("solver", "k"), [(name, k) for name in SOLVERS for k in (1, K) if (name, k) != (SOLVERS[2], K)]
)
def test_every_solver_finds_the_rest_of_the_scores(monkeypatch, subsets, solver, k):
    monkeypatch.setattr(problems, "choose_solver", lambda *_: solver)
    X, Y, W0 = draw(k, m=3000)
    plain, model = xlogreg.fit(X, Y), xlogreg.fit(X, Y, offset=W0.T @ X)
    assert plain.fit_info.solver == model.fit_info.solver == solver
    assert model.fit_info.converged
    assert scaled_difference(model, plain, W0) < 1e-6
    assert model.fit_info.log_likelihood == pytest.approx(plain.fit_info.log_likelihood, rel=1e-11)
    assert model.fit_info.passes <= 2.0 * plain.fit_info.passes + 4.0


@pytest.mark.parametrize("standardize", [False, True])
def test_gradient_descent_makes_the_steps_of_weights_that_start_at_the_offset(standardize):
    X, Y, W0 = draw()
    asked = {"solver": "gd", "learning_rate": 0.1, "max_iter": 30, "standardize": standardize}
    plain = xlogreg.fit(X, Y, initial=(W0, np.zeros((1, 1))), **asked)
    model = xlogreg.fit(X, Y, offset=W0.T @ X, **asked)
    np.testing.assert_allclose(model.w, plain.w - W0, atol=1e-12)
    np.testing.assert_allclose(model.costs, plain.costs, rtol=1e-12)


@pytest.mark.parametrize("k", [1, K])
def test_a_constant_offset_moves_only_the_bias(k):
    X, Y, _ = draw(k)
    shift = np.linspace(-3.0, 40.0, k)[:, None] if k > 1 else np.full((1, 1), 40.0)
    plain, model = xlogreg.fit(X, Y, l2=0.1), xlogreg.fit(X, Y, l2=0.1, offset=np.repeat(shift, M, axis=1))
    np.testing.assert_allclose(model.w, plain.w, atol=1e-10)
    np.testing.assert_allclose(model.b, plain.b - shift + (shift.mean() if k > 1 else 0.0), atol=1e-9)
    assert model.null_deviance == pytest.approx(plain.null_deviance, rel=1e-12)


@pytest.mark.parametrize("options", [{}, {"l2": 0.1}, {"l1": 0.02}, {"bias": False}, {"solver": "gd", "max_iter": 20}])
@pytest.mark.parametrize("k", [1, K])
def test_an_offset_of_zeros_changes_nothing(k, options):
    X, Y, _ = draw(k)
    plain, model = xlogreg.fit(X, Y, **options), xlogreg.fit(X, Y, offset=np.zeros((k, M)), **options)
    np.testing.assert_allclose(model.w, plain.w, atol=1e-9)
    np.testing.assert_allclose(model.b, plain.b, atol=1e-9)
    assert model.null_deviance == pytest.approx(plain.null_deviance, rel=1e-12)


def cost(w, b, X, Y, offset, l1, l2):
    """The penalised mean loss, by SciPy."""
    Z = w.T @ X + b + offset
    hot = np.eye(len(Z))[Y].T if len(Z) > 1 else Y[None, :]
    losses = (
        scipy.special.logsumexp(Z, axis=0) - np.sum(hot * Z, axis=0) if len(Z) > 1 else np.logaddexp(0, Z) - hot * Z
    )
    A = scipy.special.softmax(Z, axis=0) if len(Z) > 1 else scipy.special.expit(Z)
    value = losses.mean() + l1 * np.abs(w).sum() + 0.5 * l2 * np.sum(w * w)
    return value, X @ (A - hot).T / X.shape[1] + l2 * w, (A - hot).mean(axis=1)


PENALTIES = [
    {"l2": 0.05},
    {"l1": 0.03},
    {"l1": 0.02, "l2": 0.02},
    {"l2": 0.05, "bias": False},
    {"l2": 0.05, "solver": "lbfgs"},
]


@pytest.mark.parametrize("options", PENALTIES)
@pytest.mark.parametrize(("k", "m", "n_x"), [(1, M, N_X), (K, M, N_X), (1, 50, 400), (K, 50, 400)])
def test_a_penalised_fit_has_no_slope_left(k, m, n_x, options):
    X, Y, _ = draw(k, m, n_x)
    offset = 2.0 * np.random.default_rng(5).standard_normal((k, m)) + 1.0
    model = xlogreg.fit(X, Y, offset=offset, **options)
    l1, l2 = (options.get(name, 0.0) for name in ("l1", "l2"))
    value, dw, db = cost(model.w, model.b, X, Y, offset, l1, l2)
    assert model.fit_info.converged
    assert model.fit_info.cost == pytest.approx(value, rel=1e-10)
    left = np.where(model.w != 0, dw + l1 * np.sign(model.w), np.maximum(np.abs(dw) - l1, 0.0))
    assert np.max(np.abs(left)) < 1e-6
    assert np.max(np.abs(db)) < 1e-6 or not options.get("bias", True)


def null_by_scipy(Y, offset, weight):
    """Least sum of losses of a model of biases alone."""

    def value(b):
        return weight @ (
            scipy.special.logsumexp(offset + b[:, None], axis=0) - (offset + b[:, None])[Y, np.arange(len(Y))]
        )

    return scipy.optimize.minimize(value, np.zeros(len(offset)), tol=1e-12).fun


@pytest.mark.parametrize("k", [1, K])
@pytest.mark.parametrize("size", [0.1, 3.0, 30.0])
def test_the_null_model_is_the_best_bias_beside_the_offset(k, size):
    X, Y, _ = draw(k)
    rng = np.random.default_rng(2)
    offset, weight = size * rng.standard_normal((k, M)), rng.uniform(0.5, 2.0, M)
    model = xlogreg.fit(X, Y, offset=offset, sample_weight=weight, l2=1.0)
    judge = null_by_scipy(Y, np.concatenate([np.zeros((1, M)), offset]) if k == 1 else offset, weight)
    assert model.fit_info.null_log_likelihood == pytest.approx(-judge, rel=1e-7)
    without = xlogreg.fit(X, Y, offset=offset, sample_weight=weight, l2=1.0, bias=False)
    value = cost(np.zeros((N_X, k)), 0.0, X, Y, offset, 0.0, 0.0)
    assert value[0] > 0.0
    both = np.concatenate([np.zeros((1, M)), offset]) if k == 1 else offset
    expected = weight @ (both[Y, np.arange(M)] - scipy.special.logsumexp(both, axis=0))
    assert without.fit_info.null_log_likelihood == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("share", [0.5, 0.4, 0.01])
def test_the_null_model_is_found_where_every_sample_is_far_out(share):
    m = 1000
    Y = (np.arange(m) < share * m).astype(int)
    offset = np.where(np.arange(m) % 2, 1000.0, -1000.0)[None, :]
    source = InMemory(Dense(np.ones((1, m))), Columns(Y[None, :], None, offset), HOST, "float64", float(m))
    found = fit_constants(source, np.asarray([[share]]))
    value = scipy.optimize.minimize_scalar(
        lambda b: np.mean(np.logaddexp(0.0, offset[0] + b) - Y * (offset[0] + b)),
        bounds=(-1100, 1100),
        method="bounded",
    )
    assert found.loss[0] <= value.fun * (1 + 1e-9)


def test_an_offset_on_the_own_side_of_every_sample_separates_nothing():
    X, Y, _ = draw()
    offset = np.where(Y == 1, 5.0, -5.0)
    for solver in ("auto", "lbfgs", "newton"):
        model = xlogreg.fit(X, Y, offset=offset, solver=solver)
        assert model.fit_info.separation == "none"
        assert model.fit_info.converged
        _, dw, db = cost(model.w, model.b, X, Y, offset[None, :], 0.0, 0.0)
        assert max(np.max(np.abs(dw)), np.max(np.abs(db))) < 1e-8


@pytest.mark.parametrize("solver", ["auto", "lbfgs", "newton"])
@pytest.mark.parametrize("k", [1, K])
def test_an_offset_on_the_wrong_side_hides_no_separation(k, solver):
    X, Y, W0 = draw(k)
    Z = np.concatenate([np.zeros((1, M)), W0.T @ X]) if k == 1 else W0.T @ X
    Y = np.argmax(Z, axis=0)
    offset = -10.0 * np.eye(K)[Y].T if k > 1 else np.where(Y == 1, -10.0, 10.0)[None, :]
    with pytest.warns(SeparationWarning, match="with every sample on its own side"):
        model = xlogreg.fit(X, Y, offset=offset, solver=solver)
    assert model.fit_info.separation == "complete"


@pytest.mark.parametrize("k", [1, K])
def test_the_bound_by_duality_is_above_the_gap(k):
    X, Y, _ = draw(k)
    offset = 3.0 * np.random.default_rng(3).standard_normal((k, M)) + 2.0
    options = Options(l2=0.1, tol=1e-13, bias=True, standardize=False, max_iter=None, rng=0)
    targets = Targets(Y[None, :], np.arange(max(2, k)), k > 1, True)
    samples = InMemory(Dense(X), Columns(offset=offset), HOST, "float64", 0.0).holding(targets, None)
    problem = problems.pose(samples, targets, None, options)
    found = solve(problem, options)
    least = float(problem.objective.evaluate(found.theta).value[0])
    rng = np.random.default_rng(4)
    for size in (1e-1, 1e-3, 1e-5):
        theta = problem.objective.centered(found.theta + size * rng.standard_normal(found.theta.shape))
        proof = certify(problem.objective, theta, limit=0)
        assert proof.known == "bound"
        gap = float(proof.here.value[0]) - least
        assert gap <= float(proof.gap[0]) <= 2.0 * size  # as without an offset


def same_fits(models, others, atol=5e-6):
    for model, other in zip(models, others, strict=True):
        assert model.offset
        np.testing.assert_allclose(model.w, other.w, rtol=0, atol=atol)
        np.testing.assert_allclose(model.b, other.b, rtol=0, atol=atol)
        assert model.fit_info.converged
        info, alone = model.fit_info, other.fit_info
        assert info.log_likelihood == pytest.approx(alone.log_likelihood, rel=1e-6)
        assert info.null_log_likelihood == pytest.approx(alone.null_log_likelihood, rel=1e-11)


def some_offset(k=1, m=M, seed=6):
    return 1.5 * np.random.default_rng(seed).standard_normal((k, m)) + 0.5


@pytest.mark.parametrize("k", [1, K])
def test_many_targets_share_the_offset(k):
    X, _, _ = draw()
    Ys = [draw(k, seed=seed)[1] for seed in range(5)]
    models = xlogreg.fit_many(X, Ys, l2s=0.01, offset=some_offset(k))
    same_fits(models, [xlogreg.fit(X, Y, l2=0.01, offset=some_offset(k)) for Y in Ys])
    if k == 1:
        assert {model.fit_info.solver for model in models} == {"batch"}


@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_many_weights_share_the_offset(l2):
    X, Y, _ = draw()
    weights = np.random.default_rng(7).integers(0, 3, (6, M))
    models = xlogreg.fit_many(X, [Y], l2s=l2, sample_weights=weights, offset=some_offset()[0])
    same_fits(models, [xlogreg.fit(X, Y, l2=l2, sample_weight=row, offset=some_offset()[0]) for row in weights])


@pytest.mark.parametrize(("k", "m", "n_x"), [(1, M, N_X), (K, M, N_X), (1, 50, 400), (K, 50, 400)])
def test_a_path_is_its_models_alone(k, m, n_x):
    X, Y, _ = draw(k, m, n_x)
    offset, l2s = some_offset(k, m), [1.0, 0.1, 0.01]
    same_fits(
        xlogreg.fit_path(X, Y, l2s, offset=offset).models, [xlogreg.fit(X, Y, l2=l2, offset=offset) for l2 in l2s]
    )


@pytest.mark.parametrize("k", [1, K])
def test_the_strongest_penalty_of_a_path_leaves_the_null_model(k):
    X, Y, _ = draw(k)
    path = xlogreg.fit_path(X, Y, penalties="auto", offset=some_offset(k))
    first, second = path.models[0], path.models[3]
    assert not first.w.any()
    assert second.w.any()
    assert first.fit_info.log_likelihood == pytest.approx(first.fit_info.null_log_likelihood, rel=1e-9)


@pytest.mark.parametrize("options", [{"l2s": [1.0, 0.01]}, {"penalties": [0.1, 0.01], "l1_ratio": 0.5}])
@pytest.mark.parametrize("k", [1, K])
def test_folds_cut_the_offset(k, options):
    X, Y, _ = draw(k)
    offset, folds = some_offset(k), np.random.default_rng(8).integers(0, 4, M)
    found = xlogreg.fit_cv(X, Y, folds=folds, offset=offset, **options)
    for fold in range(4):
        train, test = folds != fold, folds == fold
        for number, (l1, l2) in enumerate(zip(found.l1, found.l2, strict=True)):
            model = xlogreg.fit(X[:, train], Y[train], l1=l1, l2=l2, offset=offset[:, train])
            judge = cost(model.w, model.b, X[:, test], Y[test], offset[:, test], 0.0, 0.0)[0]
            assert found.scores["log_loss"][fold, number] == pytest.approx(judge, rel=1e-7)
    assert found.model.offset


def test_replicates_bring_their_offset():
    X, Y, _ = draw()
    offset = some_offset()[0]
    found = xlogreg.bootstrap(X, Y, 5, offset=offset, rng=9)
    rng = np.random.default_rng(9)
    for w in found.w:
        drawn = rng.integers(M, size=M)
        np.testing.assert_allclose(w, xlogreg.fit(X[:, drawn], Y[drawn], offset=offset[drawn]).w, atol=1e-7)


@pytest.mark.parametrize("k", [1, K])
def test_rows_bring_their_offset_in_rows(k):
    X, Y, _ = draw(k)
    offset = some_offset(k)
    wanted = xlogreg.fit(X, Y, offset=offset).w
    for given in (offset.T, offset) if k == 1 else (offset.T,):
        np.testing.assert_array_equal(xlogreg.fit(X.T, Y, samples="rows", offset=given).w, wanted)


def test_a_wider_offset_than_the_dtype_that_computes_keeps_its_digits():
    X, Y, _ = draw()
    offset = some_offset()[0]
    narrow = xlogreg.fit(X.astype(np.float32), Y, offset=offset)
    np.testing.assert_allclose(narrow.w, xlogreg.fit(X.astype(np.float32).astype(float), Y, offset=offset).w, rtol=2e-5)


def test_blocks_of_a_factory_and_of_files_take_an_offset_of_all_samples(tmp_path):
    X, Y, _ = draw()
    offset, wanted = some_offset()[0], xlogreg.fit(X.T, Y, samples="rows", offset=some_offset()[0])

    def factory():
        return ((X.T[start : start + 90], Y[start : start + 90]) for start in range(0, M, 90))

    for number, start in enumerate(range(0, M, 90)):
        np.save(tmp_path / f"part{number}.npy", X.T[start : start + 90])
    same_fits([xlogreg.fit(factory, samples="rows", offset=offset)], [wanted], 1e-9)
    same_fits([xlogreg.fit(xlogreg.open_parts(tmp_path), Y, samples="rows", offset=offset)], [wanted], 1e-9)


def test_the_relaxed_fit_counts_the_offset():
    X, Y, _ = draw(n_x=8)
    offset = some_offset()
    model = xlogreg.fit(X, Y, l1=0.05, relax=0.0, offset=offset)
    kept = np.flatnonzero(model.w[:, 0])
    assert 0 < len(kept) < 8
    np.testing.assert_allclose(model.w[kept], xlogreg.fit(X[kept], Y, offset=offset).w, atol=1e-7)


BAD = {
    "short": (
        np.zeros(M - 1),
        ValueError,
        r"offset has the shape \(399,\), but X holds 400 samples: expected \(400,\)",
    ),
    "of three rows": (np.zeros((3, M)), ValueError, "offset holds 3 numbers for each sample, but a model of 2 classes"),
    "the other way": (np.zeros((M, 1)), ValueError, r"offset has the shape \(400, 1\)"),
    "one number": (0.5, ValueError, r"offset has the shape \(\), but X holds 400 samples"),
    "NaN": (np.where(np.arange(M) == 7, np.nan, 0.0), ValueError, "offset holds 1 value that is not finite.*sample 7"),
    "infinite": (np.full(M, np.inf), ValueError, "offset holds 400 values that are not finite"),
    "text": (["a"] * M, TypeError, "offset must hold numbers"),
    "complex": (np.zeros(M) + 0j, TypeError, "offset must hold numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_offset_is_named(name):
    offset, kind, message = BAD[name]
    X, Y, _ = draw()
    for fit in (xlogreg.fit, xlogreg.fit_cv, xlogreg.fit_many, xlogreg.fit_path, xlogreg.bootstrap):
        given = {"l2s": [0.1, 0.2]} if fit in (xlogreg.fit_cv, xlogreg.fit_path) else {}
        with pytest.raises(kind, match=message):
            fit(X, [Y] if fit is xlogreg.fit_many else Y, offset=offset, **given)


def test_one_number_for_each_sample_is_no_offset_of_three_classes():
    X, Y, _ = draw(K)
    for fit in (lambda: xlogreg.fit(X, Y, offset=np.zeros(M)), lambda: xlogreg.fit_many(X, [Y], offset=np.zeros(M))):
        with pytest.raises(ValueError, match=r"expected \(3, 400\); one number for each sample would move all classes"):
            fit()


def test_scorers_of_scikit_learn_know_no_offset():
    X, Y, _ = draw()
    with pytest.raises(ValueError, match="scoring='roc_auc' knows no offset"):
        xlogreg.fit_cv(X, Y, [0.1], scoring="roc_auc", offset=np.zeros(M))


def test_folds_that_lack_a_class_are_refused_with_an_offset():
    X, Y, _ = draw(K)
    with (
        pytest.warns(xlogreg.exceptions.MissingClassWarning),
        pytest.raises(ValueError, match="with an offset no model"),
    ):
        xlogreg.fit_cv(X, Y, [0.1], folds=np.where(Y == 2, 0, np.arange(M) % 3), offset=np.zeros((K, M)))


@pytest.mark.parametrize("solver", ["auto", "newton", "lbfgs"])
@pytest.mark.parametrize(("k", "n_x"), [(1, 1), (1, N_X), (K, N_X)])
def test_an_offset_that_takes_all_samples_far_out_hides_no_minimum(k, n_x, solver):
    X, Y, W0 = draw(k, n_x=n_x)
    X = np.sign(X - np.median(X, axis=1, keepdims=True))  # no sample lies in the middle, where its offset is small
    plain = xlogreg.fit(X, Y)
    for size in (60.0, -60.0):
        offset = size * W0.T @ X
        assert np.median(np.abs(offset)) > 8.0
        model = xlogreg.fit(X, Y, offset=offset, solver=solver)
        assert model.fit_info.converged
        assert scaled_difference(model, plain, size * W0) < 1e-6
        assert model.fit_info.log_likelihood == pytest.approx(plain.fit_info.log_likelihood, rel=1e-9)
