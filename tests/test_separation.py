"""Separated classes, complete and quasi-complete, are told from optima that are merely far."""

import warnings

import numpy as np
import pytest

import xlogreg
from xlogreg.fitting import outcome
from xlogreg.fitting import problem as problem_module
from xlogreg.fitting.solving import solve
from xlogreg.solvers import existence


def separated_by_linear_programming(X, Y):
    """Whether some hyperplane has no sample strictly on its wrong side and some sample strictly off it."""
    linprog = pytest.importorskip("scipy.optimize").linprog
    rows = np.concatenate([X, np.ones((1, X.shape[1]))]).T * (2 * Y - 1)[:, None]
    answer = linprog(-rows.sum(axis=0), A_ub=-rows, b_ub=np.zeros(len(Y)), bounds=[(-1, 1)] * rows.shape[1])
    return -answer.fun > 1e-7


def small_sets(count, seed):
    """Few samples of few whole numbers: ties, collinear features and both kinds of separation are common."""
    rng = np.random.default_rng(seed)
    while count:
        n_x, m = int(rng.integers(1, 4)), int(rng.integers(6, 25))
        X = rng.integers(-3, 4, (n_x, m)).astype(float) if rng.random() < 0.7 else rng.standard_normal((n_x, m))
        z = rng.standard_normal(n_x) @ X * rng.choice([0.5, 2.0, 20.0]) + rng.standard_normal()
        Y = (rng.random(m) < 1 / (1 + np.exp(-z))).astype(int)
        if 0 < Y.sum() < m:
            count -= 1
            yield X, Y


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.slow
def test_the_verdict_is_that_of_linear_programming(seed):
    verdicts = []
    for X, Y in small_sets(100, seed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", xlogreg.SeparationWarning)
            model = xlogreg.fit(X, Y)
        verdicts.append((model.fit_info.reason == "separated", separated_by_linear_programming(X, Y)))
    false_alarms = sum(ours and not true for ours, true in verdicts)
    missed = sum(true and not ours for ours, true in verdicts)
    assert (false_alarms, missed) == (0, 0)
    assert 20 < sum(true for _, true in verdicts) < 80


NAMED = {
    "fit": lambda *samples: xlogreg.fit(*samples, samples="rows"),
    "fit, lbfgs": lambda *samples: xlogreg.fit(*samples, samples="rows", solver="lbfgs"),
    "fit_many": lambda X, Y: xlogreg.fit_many(X, [Y, Y], samples="rows", l2s=[0.0, 0.0]),
    "fit_path": lambda *samples: xlogreg.fit_path(*samples, [0.0, 1.0], samples="rows"),
    "fit_cv": lambda *samples: xlogreg.fit_cv(*samples, [0.0], samples="rows", folds=2),
    "bootstrap": lambda *samples: xlogreg.bootstrap(*samples, 2, samples="rows"),
}


@pytest.mark.parametrize("function", NAMED)
def test_features_of_a_table_are_named_by_their_names(problem, function):
    X, Y = problem
    indicator = ((np.arange(60) % 7 == 0) & (Y == 1)).astype(float)
    names = ["age", "dose", "height", "weight", "on the card"]
    table = pytest.importorskip("pandas").DataFrame(np.column_stack([X.T, indicator]), columns=names)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        NAMED[function](table, Y)
    said = [str(warning.message) for warning in caught if warning.category is xlogreg.SeparationWarning]
    assert said
    assert all("(strongest in the features 'on the card'" in text for text in said)


def test_quasi_separation_names_the_feature_and_stops(problem):
    X, Y = problem
    indicator = ((np.arange(60) % 7 == 0) & (Y == 1)).astype(float)  # seen with one class only
    with pytest.warns(xlogreg.SeparationWarning, match=r"no sample on the wrong side.*\(strongest in the features 4\)"):
        model = xlogreg.fit(np.concatenate([X, indicator[None, :]]), Y)
    assert model.fit_info.reason == "separated"
    assert np.isnan(model.fit_info.gap)
    assert model.w[4, 0] > 3 * np.max(np.abs(model.w[:4]))


def test_quasi_separation_is_found_for_three_classes(three_classes):
    X, Y = three_classes
    indicator = ((np.arange(90) % 5 == 0) & (Y == 2)).astype(float)
    with pytest.warns(xlogreg.SeparationWarning):
        assert xlogreg.fit(np.concatenate([X, indicator[None, :]]), Y).fit_info.reason == "separated"


def test_nearly_separated_classes_have_an_optimum():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2, 200))
    Y = (X[0] > 0).astype(int)
    Y[np.argsort(np.abs(X[0]))[:6]] ^= 1  # six samples on the wrong side, hardly
    assert not separated_by_linear_programming(X, Y)
    model = xlogreg.fit(X, Y)
    assert model.fit_info.converged
    assert np.max(np.abs(model.w)) > 10


def test_overlapping_irises_are_not_called_separated():
    X, Y = pytest.importorskip("sklearn.datasets").load_iris(return_X_y=True)
    assert xlogreg.fit(X[Y > 0].T, Y[Y > 0]).fit_info.converged
    with pytest.warns(xlogreg.SeparationWarning):
        xlogreg.fit(X.T, Y == 0)


def test_soft_targets_are_never_called_separated():
    X = np.asarray([[-2.0, -1.0, 1.0, 2.0]])
    model = xlogreg.fit(X, [[0.01, 0.02, 0.98, 0.99]], targets="probabilities")
    assert model.fit_info.converged


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.slow
def test_float32_gives_the_verdict_of_linear_programming_on_the_rounded_data(seed):
    for X, Y in small_sets(100, 10 + seed):
        X = X.astype("float32")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", xlogreg.XlogregWarning)
            verdict = xlogreg.fit(X, Y).fit_info.separation
        true = separated_by_linear_programming(X.astype(float), Y)
        assert verdict in (("complete", "quasi-complete") if true else ("none", "undecided")), verdict


def many_samples(m=60_000, n_x=8):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_x, m))
    return X, rng.random(m) < 1 / (1 + np.exp(-X[0] - 0.5 * X[1]))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("solver", ["auto", "lbfgs"])
def test_an_indicator_that_only_one_class_has_is_found_among_many_samples(dtype, solver):
    X, Y = many_samples()
    rare = np.zeros((1, X.shape[1]))
    rare[0, np.nonzero(Y)[0][::700]] = 1.0  # some 40 samples, all of one class
    with pytest.warns(xlogreg.SeparationWarning, match="strongest in the features 8"):
        model = xlogreg.fit(np.concatenate([X, rare]).astype(dtype), Y, solver=solver)
    assert model.fit_info.reason == "separated"
    assert model.fit_info.separation == "quasi-complete"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_complete_separation_of_many_samples_ends_with_a_vector_that_separates_them(dtype):
    X, _ = many_samples()
    X, side = X.astype(dtype), X[0] + X[1]
    keep = np.abs(side) > 0.05
    with pytest.warns(xlogreg.SeparationWarning):
        model = xlogreg.fit(X[:, keep], side[keep] > 0)
    assert model.fit_info.separation == "complete"
    assert np.all(model.predict(X[:, keep])[0] == (side[keep] > 0))


@pytest.mark.parametrize("Y", [[0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 2, 2]])
def test_what_has_no_minimum_is_not_solved_again(monkeypatch, Y):
    solved = []
    monkeypatch.setattr(outcome, "solve", lambda *given: solved.append(solve(*given)) or solved[-1])
    with pytest.warns(xlogreg.SeparationWarning, match="some on it"):
        xlogreg.fit(np.asarray([[-2.0, -1.0, 0.0, 0.0, 0.0, 1.0, 2.0]]), np.asarray(Y), tol=0.3)
    assert [result.reason for result in solved] == ["converged"]


def test_a_softmax_by_gradients_tells_quasi_separation(monkeypatch):
    monkeypatch.setattr(problem_module, "NEWTON_WORK", 0.0)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3, 1500))
    Y = np.argmax(rng.standard_normal((3, 3)) @ X + rng.gumbel(size=(3, 1500)), axis=0)
    assert xlogreg.fit(X, Y).fit_info.separation == "none"
    indicator = ((np.arange(1500) % 20 == 0) & (Y == 2)).astype(float)
    with pytest.warns(xlogreg.SeparationWarning):
        model = xlogreg.fit(np.concatenate([X, indicator[None, :]]), Y)
    assert model.fit_info.separation == "quasi-complete"


def test_a_fit_that_is_stopped_early_leaves_the_question_open(problem):
    X, Y = problem
    indicator = ((np.arange(60) % 7 == 0) & (Y == 1)).astype(float)
    with pytest.warns(xlogreg.ConvergenceWarning, match="undecided"):
        model = xlogreg.fit(np.concatenate([X, indicator[None, :]]), Y, max_iter=1)
    assert model.fit_info.separation == "undecided"
    assert xlogreg.fit(X, Y).fit_info.separation == "none"
    assert xlogreg.fit(X, Y, l2=0.1).fit_info.separation == ""


def rare_dummy(seed, pure):
    """One column that is not zero in a few samples, all of class 1 or of both, and normal ones."""
    rng = np.random.default_rng(seed)
    n_x, n = 2 + seed % 4, (2, 5, 10, 20)[seed % 4]
    X = rng.standard_normal((n_x, 60 * (n_x + 1) * (2, 6, 30)[seed % 3]))
    X[0] = 0
    rare = rng.choice(X.shape[1], n, replace=False)
    X[0, rare] = 1
    Y = (rng.random(X.shape[1]) < 1 / (1 + np.exp(-X[1:].sum(axis=0)))).astype(int)
    Y[rare] = 1 if pure else np.arange(n) % 2
    return X, Y


@pytest.mark.parametrize("l2", [0.0, 1e-12])
@pytest.mark.parametrize("pure", [True, False])
@pytest.mark.slow
def test_a_rare_category_of_one_class_is_told_from_one_of_both(pure, l2):
    for seed in range(60):
        X, Y = rare_dummy(seed, pure)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", xlogreg.XlogregWarning)
            model, expected = xlogreg.fit(X, Y, l2=l2), xlogreg.fit(X, Y, l2=l2, solver="newton")
        if l2 == 0:
            assert model.fit_info.separation == ("quasi-complete" if pure else "none"), seed
        if l2 > 0 or not pure:
            assert model.fit_info.converged
            assert model.fit_info.cost <= expected.fit_info.cost * (1 + 1e-10), seed


def test_labels_that_are_noise_are_never_called_separated():
    for seed in range(150):
        rng = np.random.default_rng(seed)
        model = xlogreg.fit(rng.standard_normal((1, 2400)), rng.integers(0, 2, 2400))
        assert model.fit_info.separation == "none"


def test_samples_on_the_hyperplane_are_on_no_side(where):
    rng = np.random.default_rng(0)
    for _ in range(10):
        x = np.concatenate([-rng.uniform(1, 2, 4), rng.uniform(1, 2, 9), [0.0, 0.0]])
        Y = np.asarray([0] * 4 + [1] * 9 + [0, 1])
        with pytest.warns(xlogreg.SeparationWarning):
            info = xlogreg.fit(where.asarray(x[None, :]), Y).fit_info
        assert info.separation == "quasi-complete"


def test_a_slope_that_rounding_errors_drown_proves_no_minimum():
    # the second feature never occurs with class 1, and only in samples that are far out on their own sides
    X = np.asarray(
        [
            [0, 1, 1, 0, 1, 1, 0, 2, 0, 1, 0, 3, 1, 2, 2],
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0],
            [11, 14, 13, 17, 12, 10, 12, 11, 17, 12, 11, 16, 11, 9, 13],
        ]
    )
    Y = np.asarray([1, 0, 2, 0, 0, 2, 2, 2, 0, 0, 1, 0, 1, 2, 0])
    weight = np.asarray(
        [90, 8.9e-14, 3.9e-15, 0.054, 1.7e-6, 5.2e-5, 9.8e-7, 1.7e-8, 6.8e-8, 2.3e-15, 6.5e-12, 11, 22, 6.4, 0.079]
    )
    with pytest.warns((xlogreg.ConvergenceWarning, xlogreg.SeparationWarning)):
        info = xlogreg.fit(X, Y, solver="newton", standardize=True, sample_weight=weight).fit_info
    assert info.separation in ("undecided", "quasi-complete")
    assert not info.converged


def test_steps_that_gain_nothing_and_tell_nothing_are_not_gone_on_with(monkeypatch):
    looks = []
    monkeypatch.setattr(existence._Search, "refutes", lambda search: looks.append(search.divergence) or "")
    with pytest.warns(xlogreg.ConvergenceWarning):
        model = xlogreg.fit(
            np.asarray([[-2.0, -1.0, 0.0, 0.0, 1.0, 2.0]]), np.asarray([0, 0, 0, 1, 1, 1]), solver="lbfgs"
        )
    assert model.fit_info.separation == "undecided"
    assert min(looks) > 1e-18  # of the cost, whose rounding errors are 1e-16
