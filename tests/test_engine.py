"""The default solver where samples are many: subsets, threads, and the data that are hard for both."""

import subprocess
import sys

import numpy as np
import pytest
import threadpoolctl
from conftest import QUICK

import xlogreg
from xlogreg.arrays.matrix import Dense
from xlogreg.arrays.place import HOST
from xlogreg.samples import threads
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Columns
from xlogreg.solvers import sampled_newton as engine
from xlogreg.solvers.coordinates import measure_spread
from xlogreg.solvers.objective import Objective


def draw(m=30_000, n_x=20, seed=0, shift=0.0, scale=1.0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_x, m))
    X[1] += X[0]
    w = rng.standard_normal((n_x, 1)) / 3
    Y = (rng.random(m) < 1 / (1 + np.exp(-(w.T @ X)[0] - 0.3))).astype(int)
    return X * scale + shift, Y


def judge(X, Y, **options):
    """The same optimum by Newton's method, each step with the Hessian of all samples."""
    return xlogreg.fit(X, Y, solver="newton", **options)


@pytest.fixture(params=[False, True], ids=["", "dear"])
def dear(request, monkeypatch):
    """Whether Hessians are treated as those of many features, which cost more than gradients of all samples."""
    if request.param:
        monkeypatch.setattr(engine, "DEAR", 0)
    return request.param


CASES = {
    "plain": ({}, {}),
    "shift": ({"shift": 2020.0}, {}),
    "scales": ({"scale": 10.0 ** np.linspace(-8, 8, 20)[:, None]}, {}),
    "penalty": ({}, {"l2": 0.1}),
    "no bias": ({}, {"bias": False}),
    "rows": ({}, {"samples": "rows"}),
    "weights": ({}, {"sample_weight": 10.0 ** np.random.default_rng(1).uniform(-6, 6, 30_000)}),
    "float32": ({}, {"dtype": "float32"}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_engine_finds_the_optimum_of_newton(case, dear):
    data, options = CASES[case]
    X, Y = draw(**data)
    X = X.T if case == "rows" else X
    model, expected = xlogreg.fit(X, Y, **options), judge(X, Y, **(options | {"dtype": "float64"}))
    assert model.fit_info.solver == "sampled-newton"
    assert model.fit_info.converged
    tolerance = 1e-5 if case == "float32" else 1e-6
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=tolerance)
    if case != "weights":
        assert model.fit_info.passes < (20 if dear else 12)


@pytest.mark.parametrize(("correlation", "hessians"), [(0.0, 0), (0.9, 1)])
@pytest.mark.slow
def test_many_features_take_one_hessian_of_a_subset_or_none(correlation, hessians, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((320, 16_000))
    for feature in range(1, 320):
        X[feature] += correlation * (X[feature - 1] - X[feature])
    Y = rng.logistic(size=16_000) < rng.standard_normal(320) @ X / 10
    expected = judge(X, Y, l2=1e-4)
    expand, samples = Objective.expand, []
    monkeypatch.setattr(
        Objective, "expand", lambda self, theta: (samples.append(self.source.m), expand(self, theta))[1]
    )
    model = xlogreg.fit(X, Y, l2=1e-4)
    assert model.fit_info.solver == "sampled-newton"
    assert model.fit_info.converged
    assert model.fit_info.passes < 20
    assert len(samples) == hessians
    assert model.fit_info.rank == (321 if hessians else None)
    assert all(count < 5000 for count in samples)
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X), atol=1e-5)


def test_a_handful_of_passes_whatever_the_scaling():
    X, Y = draw()
    plain = xlogreg.fit(X, Y)
    for shift, scale in ((2020.0, 1.0), (0.0, 10.0 ** np.linspace(-6, 6, 20)[:, None]), (1e6, 1.0)):
        model = xlogreg.fit(X * scale + shift, Y)
        assert abs(model.fit_info.passes - plain.fit_info.passes) <= 2
        difference = model.predict_proba(X * scale + shift) - plain.predict_proba(X)
        assert np.max(np.abs(difference)) < 1e-7


def test_rows_sorted_by_label_cost_no_more():
    X, Y = draw()
    order = np.argsort(Y, kind="stable")
    shuffled, ordered = xlogreg.fit(X, Y), xlogreg.fit(X[:, order], Y[order])
    assert ordered.fit_info.passes <= shuffled.fit_info.passes + 2
    np.testing.assert_allclose(ordered.w, shuffled.w, atol=1e-5)


def test_a_rare_class_is_seen_whole():
    X, Y = draw(m=20_000)
    Y = np.zeros(20_000, int)
    Y[[5, 7000, 15_000]] = 1
    model = xlogreg.fit(X, Y, l2=1e-4)
    assert model.fit_info.solver == "rent-or-buy"
    assert model.fit_info.converged
    assert model.fit_info.passes == int(model.fit_info.passes)  # no subset was drawn
    assert model.fit_info.passes <= 30


def test_a_feature_that_the_subset_misses_still_comes_out_right(dear):
    X, Y = draw(m=100_000)
    plain = xlogreg.fit(X, Y, l2=1e-6)
    rare = np.zeros(100_000)
    rare[np.random.default_rng(2).choice(100_000, 40, replace=False)] = 1.0
    X = np.concatenate([X, rare[None, :]])
    model, expected = xlogreg.fit(X, Y, l2=1e-6), judge(X, Y, l2=1e-6)
    assert model.fit_info.solver == "sampled-newton"
    assert model.fit_info.converged
    np.testing.assert_allclose(model.w, expected.w, atol=1e-4)
    assert model.fit_info.passes <= plain.fit_info.passes + 4


def test_collinear_features_share_the_weight_whatever_the_seed(dear):
    X, Y = draw()
    X = np.concatenate([X, X[:1], np.full((1, 30_000), 3.0)])
    models = [xlogreg.fit(X, Y, rng=seed) for seed in range(3)]
    for model in models:
        assert model.fit_info.converged
        np.testing.assert_allclose(model.w[0], model.w[20], rtol=1e-6)  # of minimum norm
        assert model.w[21, 0] == 0.0
        np.testing.assert_allclose(model.w, models[0].w, atol=1e-6)


def test_separated_classes_are_found_among_many_samples(dear):
    X, _ = draw()
    with pytest.warns(xlogreg.SeparationWarning):
        model = xlogreg.fit(X, X[0] > 0.5)
    assert model.fit_info.reason == "separated"


def test_float32_at_large_means_predicts_with_the_centre(dear):
    X, Y = draw(m=40_000)
    X = (X + 1e6).astype("float32")
    model, expected = xlogreg.fit(X, Y), xlogreg.fit(X.astype("float64"), Y)
    assert model.fit_info.converged
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X.astype("float64")), atol=1e-5)
    assert model.evaluate(X, Y).log_loss == pytest.approx(expected.evaluate(X.astype("float64"), Y).log_loss, rel=1e-6)
    pytest.importorskip("array_api_strict")
    moved = model.to("array-api-strict")
    np.testing.assert_allclose(moved.predict_proba(X), model.predict_proba(X), atol=1e-6)
    assert xlogreg.fit(X - np.float32(1e6), Y).center is None


def test_a_good_start_is_used(dear):
    X, Y = draw()
    model = xlogreg.fit(X, Y)
    again = xlogreg.fit(X, Y, initial=model)
    assert again.fit_info.iterations <= 2
    np.testing.assert_allclose(again.w, model.w, atol=1e-6)


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_the_engine_is_the_same_on_every_namespace(where, subsets):
    X, Y = draw(m=4000, n_x=5)
    expected = xlogreg.fit(X, Y)
    model = xlogreg.fit(where.asarray(X), where.place.put(Y, "int32"))
    assert expected.fit_info.solver == model.fit_info.solver == "sampled-newton"
    tolerance = 1e-9 if where.dtype == "float64" else 1e-4
    where.check(model.predict_proba(where.asarray(X)), expected.predict_proba(X), rtol=tolerance)


@pytest.mark.parametrize("n_classes", [None, 3])
def test_a_sample_keeps_the_shares_of_the_classes(n_classes):
    rng = np.random.default_rng(0)
    Y = np.sort(
        rng.choice(2 if n_classes is None else 3, 50_000, p=[0.9, 0.1] if n_classes is None else [0.7, 0.2, 0.1])
    )
    weight = rng.uniform(0.5, 2.0, (1, 50_000))
    Y = Y[None, :] if n_classes else Y[None, :].astype(float)
    X = rng.standard_normal((2, 50_000))
    source = InMemory(Dense(X), Columns(Y, weight), HOST, "float64", float(weight.sum()), n_classes=n_classes)
    shares = measure_spread(source).targets
    classes = np.concatenate([1 - shares, shares]) if n_classes is None else shares
    (sample,) = source.samples((3000,), classes[:, 0], np.random.default_rng(1))
    assert 2500 < sample.m < 3500
    np.testing.assert_allclose(measure_spread(sample).targets, shares, rtol=1e-12)
    (again,) = source.samples((3000,), classes[:, 0], np.random.default_rng(1))
    np.testing.assert_array_equal(sample.X.array, again.X.array)


def test_threads_change_no_bit_and_leave_blas_as_it_was():
    before = [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
    X, Y = draw(m=120_000)
    several = [xlogreg.fit(X, Y).w.tobytes() for _ in range(2)]
    assert several[0] == several[1]
    assert [pool["num_threads"] for pool in threadpoolctl.threadpool_info()] == before
    with threadpoolctl.threadpool_limits(1):
        assert threads.thread_count() == 1
        alone = xlogreg.fit(X, Y).w
    np.testing.assert_allclose(np.frombuffer(several[0]), alone[:, 0], rtol=1e-9)


def test_blocks_come_in_order_and_errors_come_through():
    assert list(threads.map_blocks(lambda item: item * 2, range(50))) == list(range(0, 100, 2))
    with pytest.raises(ZeroDivisionError):
        list(threads.map_blocks(lambda item: 1 // item, [1, 0]))


def test_fits_in_threads_and_after_a_fork_are_safe():
    program = (
        "import os, sys, warnings, numpy as np, xlogreg\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from threadpoolctl import threadpool_info\n"
        "warnings.simplefilter('ignore', DeprecationWarning)\n"
        "rng = np.random.default_rng(0)\n"
        "X = rng.standard_normal((20, 120_000)); Y = rng.random(120_000) < 0.5\n"
        "before = [pool['num_threads'] for pool in threadpool_info()]\n"
        "expected = xlogreg.fit(X, Y).w\n"
        "with ThreadPoolExecutor(4) as pool:\n"
        "    answers = list(pool.map(lambda _: xlogreg.fit(X, Y).w, range(8)))\n"
        "assert all(np.allclose(answer, expected, rtol=1e-9) for answer in answers)\n"
        "assert [pool['num_threads'] for pool in threadpool_info()] == before\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(0 if np.allclose(xlogreg.fit(X, Y).w, expected, rtol=1e-9) else 1)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def test_with_a_blas_that_is_not_known_blocks_are_computed_in_turn(monkeypatch):
    monkeypatch.setattr(threads, "_libraries", tuple)
    X, Y = draw()
    assert threads.thread_count() == 1
    assert xlogreg.fit(X, Y).fit_info.converged


def test_scales_from_1e_minus_150_to_1e150_change_no_probability():
    X, Y = draw()
    scale = np.logspace(-150, 150, 20)[:, None]
    plain, scaled = xlogreg.fit(X, Y), xlogreg.fit(X * scale, Y)
    assert scaled.fit_info.converged
    assert scaled.fit_info.passes <= plain.fit_info.passes + 2
    np.testing.assert_allclose(scaled.predict_proba(X * scale), plain.predict_proba(X), atol=1e-8)


@pytest.mark.parametrize("solver", ["auto", "newton"])
def test_of_collinear_features_the_answer_of_minimum_norm_is_given_whatever_the_seed(solver, dear):
    X, Y = draw()
    X = np.concatenate([X, X[:1] + X[1:2], np.full((1, 30_000), 3.0)])
    S = (X - X.mean(axis=1, keepdims=True))[:21] / X.std(axis=1, keepdims=True)[:21]
    null = np.linalg.svd(S @ S.T)[0][:, -1]  # of the standardised features
    models = [xlogreg.fit(X, Y, solver=solver, rng=seed) for seed in range(3)]
    for model in models:
        assert model.fit_info.rank == 21  # 20 features and the bias
        assert abs(null @ (model.w[:21, 0] * X.std(axis=1)[:21])) < 1e-10
        np.testing.assert_allclose(model.w, models[0].w, atol=1e-6)


def test_soft_targets_of_a_model_have_that_model_as_their_optimum():
    X, _ = draw()
    w = np.linspace(-1, 1, 20)[:, None]
    model = xlogreg.fit(X, xlogreg.sigmoid(w.T @ X - 0.5), targets="probabilities")
    assert model.fit_info.solver == "sampled-newton"
    np.testing.assert_allclose(model.w, w, atol=1e-5)
    np.testing.assert_allclose(model.b, [[-0.5]], atol=1e-5)


@pytest.mark.parametrize("tol", [1e-9, 1e-4])
def test_a_loose_tolerance_takes_no_more_passes_than_the_default(tol):
    X, Y = draw()
    assert xlogreg.fit(X, Y, tol=tol).fit_info.passes <= xlogreg.fit(X, Y).fit_info.passes
    penalised = {"l2": 1e-4}
    assert xlogreg.fit(X, Y, tol=tol, **penalised).fit_info.passes < xlogreg.fit(X, Y, **penalised).fit_info.passes


def test_little_data_are_left_to_newtons_method():
    (X, Y), (more, labels) = draw(m=6000, n_x=5), draw(m=12_000, n_x=5)
    assert xlogreg.fit(X, Y).fit_info.solver == "newton"
    assert xlogreg.fit(more, labels).fit_info.solver == "sampled-newton"


def test_parameter_error_counts_standard_errors():
    X, Y = draw(m=6000, n_x=4)
    best = xlogreg.fit(X, Y, tol=1e-15)
    rough = xlogreg.fit(X, Y, solver="gd", learning_rate=1.0, max_iter=30)
    errors = (rough.w - best.w) / best.standard_errors().w
    assert 0.3 < rough.fit_info.parameter_error / np.linalg.norm(errors) < 3
    assert best.fit_info.parameter_error < 1e-4
    weighted = xlogreg.fit(X, Y, sample_weight=np.where(np.arange(6000) < 3000, 1.0, 1e-9), tol=1e-2)
    expected = np.sqrt(2 * weighted.fit_info.gap * 3000)
    assert weighted.fit_info.parameter_error == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("samples", ["columns", "rows"])
@pytest.mark.parametrize("scale", [1e-25, 1e18])
def test_float32_data_of_any_unit_have_the_same_optimum(scale, samples, subsets):
    X, Y = draw(m=4000, n_x=5)
    X = np.asarray(X * scale, dtype="float32")
    model = xlogreg.fit(X.T if samples == "rows" else X, Y, samples=samples)
    assert model.fit_info.converged
    expected = xlogreg.fit(X.astype("float64") / scale, Y)
    assert model.fit_info.cost == pytest.approx(expected.fit_info.cost, rel=1e-6)


def test_data_whose_squares_overflow_are_refused():
    X, Y = draw(m=1000, n_x=2)
    for scale in (1e160, 1e300):
        with pytest.raises(ValueError, match="squares of its values overflow"):
            xlogreg.fit(X * scale, Y)


@pytest.mark.parametrize("samples", ["columns", "rows"])
def test_constant_float32_features_have_the_weight_zero_to_the_bit(samples):
    rng = np.random.default_rng(0)
    for _ in range(6):
        X = rng.standard_normal((int(rng.integers(30_000, 90_000)), 3)).astype("float32")
        X[:, 1] = rng.uniform(-20, 20)
        Y = rng.random(len(X)) < 1 / (1 + np.exp(-X[:, 0]))
        model = xlogreg.fit(X if samples == "rows" else X.T.copy(), Y, samples=samples)
        assert model.w[1, 0] == 0.0
        assert model.fit_info.rank == 3


def test_ranks_are_those_of_the_data_whatever_the_solver():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((5, 3000))
    X[3], X[4] = 2.0, X[0]
    Y = np.argmax(rng.standard_normal((3, 5)) @ X + rng.gumbel(size=(3, 3000)), axis=0)
    for l2 in (0.0, 0.1):
        for labels, rank in ((Y > 0, 4), (Y, 8)):
            ranks = {
                solver: xlogreg.fit(X, labels, l2=l2, solver=solver).fit_info.rank for solver in ("auto", "newton")
            }
            assert set(ranks.values()) == {rank}


def test_the_gap_of_a_fit_that_is_stopped_is_that_of_its_answer():
    X, Y = draw(m=300, n_x=4)
    best = xlogreg.fit(X, Y, tol=1e-14)
    with pytest.warns(xlogreg.ConvergenceWarning):
        model = xlogreg.fit(X, Y, solver="newton", max_iter=1)
    assert model.fit_info.gap == pytest.approx(model.fit_info.cost - best.fit_info.cost, rel=0.3)
    assert model.evaluate(X, Y).log_loss == pytest.approx(model.fit_info.cost, rel=1e-12)


def test_callbacks_count_on_over_the_stages_of_a_fit(monkeypatch):
    monkeypatch.setattr("xlogreg.fitting.problem.NEWTON_WORK", 0.0)
    X, Y = draw(m=3000, n_x=4)
    seen = []
    model = xlogreg.fit(X, Y + (X[2] > 1), callback=lambda state: seen.append(state.iteration))
    assert model.fit_info.solver == "spectral-lbfgs"
    assert seen == list(range(len(seen)))


def test_samples_without_weight_are_not_what_a_subset_is_drawn_for():
    rng = np.random.default_rng(0)
    X, weight = rng.standard_normal((1500, 400)), np.zeros(400)
    weight[rng.choice(400, 60, replace=False)] = 1.0
    Y = np.arange(400) % 3
    for seed in range(2):
        model = xlogreg.fit(
            X, Y, l2=1e-2, sample_weight=weight, rng=seed, initial=(np.zeros((1500, 3)), np.zeros((3, 1)))
        )
        assert model.fit_info.solver == "spectral-lbfgs"
        assert model.fit_info.converged


def test_few_samples_of_many_features_need_no_subset():
    X = np.random.default_rng(0).standard_normal((1200, 7))
    start = (np.zeros((1200, 1)), np.zeros((1, 1)))
    assert xlogreg.fit(X, [0, 1, 0, 1, 1, 0, 1], l2=0.1, initial=start).fit_info.converged
