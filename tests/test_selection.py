"""Cross-validation: the scores are those of fits to the other folds, the folds what was asked for."""

import numpy as np
import pytest
from conftest import QUICK
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer

import xlogreg
from xlogreg.arrays.matrix import Dense
from xlogreg.arrays.place import HOST, to_host
from xlogreg.math.losses import LOSSES
from xlogreg.math.sums import pass_terms
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Columns

L2S = [1.0, 1e-2, 1e-4]


def drawn(K, m=300, n_x=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_x, m)) + np.arange(n_x)[:, None]
    Z = rng.standard_normal((n_x, K)).T @ X
    return X, np.argmax(Z / np.std(Z) + rng.gumbel(size=Z.shape), axis=0)


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_scores_are_those_of_fits_to_the_other_folds(where, K, weighted):
    X, Y = drawn(K)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, 300) if weighted else None
    tol = 1e-9 if where.dtype == "float64" else None
    found = xlogreg.fit_cv(where.asarray(X), Y, L2S, folds=3, sample_weight=weight, tol=tol)
    near = 1e-5 if where.dtype == "float64" else 1e-3
    for fold in range(3):
        kept, test = found.folds != fold, found.folds == fold
        part = None if weight is None else weight[kept]
        for number, l2 in enumerate(L2S):
            alone = xlogreg.fit(X[:, kept], Y[kept], l2=l2, sample_weight=part)
            report = alone.evaluate(X[:, test], Y[test], sample_weight=None if weight is None else weight[test])
            assert found.scores["log_loss"][fold, number] == pytest.approx(report.log_loss, rel=near)
            assert found.scores["accuracy"][fold, number] == pytest.approx(report.accuracy, abs=0.02)
    best = int(np.argmin(np.mean(found.scores["log_loss"], axis=0)))
    assert found.chosen == best
    refitted = xlogreg.fit(where.asarray(X), Y, l2=L2S[best], sample_weight=weight, tol=tol)
    where.check(found.model.w, to_host(refitted.w), rtol=1e3 * near)


def test_folds_share_classes_evenly_and_differ_by_the_seed():
    X, Y = drawn(3)
    found, again, other = (xlogreg.fit_cv(X, Y, L2S, folds=4, rng=seed) for seed in (0, 0, 1))
    for k in range(3):
        assert np.ptp(np.bincount(found.folds[k == Y], minlength=4)) <= 1
    assert np.ptp(np.bincount(found.folds)) <= 1
    np.testing.assert_array_equal(found.folds, again.folds)
    np.testing.assert_array_equal(found.scores["log_loss"], again.scores["log_loss"])
    np.testing.assert_array_equal(found.model.w, again.model.w)
    assert np.any(found.folds != other.folds)


def test_groups_stay_together():
    X, Y = drawn(2)
    groups = np.random.default_rng(0).integers(0, 12, 300).astype(str)
    found = xlogreg.fit_cv(X, Y, L2S, folds=3, groups=groups)
    assert all(len(np.unique(found.folds[groups == group])) == 1 for group in np.unique(groups))
    assert np.ptp(np.bincount(found.folds)) < 60


@pytest.mark.parametrize("labels", [np.asarray(["a", "b", "c"]), np.asarray([7, 3, 11])])
def test_folds_may_be_given(labels):
    X, Y = drawn(2)
    number = np.random.default_rng(0).integers(0, 3, 300)
    found = xlogreg.fit_cv(X, Y, L2S, folds=labels[number])
    order = np.argsort(np.argsort(labels))
    np.testing.assert_array_equal(found.folds, order[number])


def test_samples_of_a_negative_fold_are_always_trained_on():
    X, Y = drawn(2)
    folds = np.where(np.arange(300) < 100, -1, np.arange(300) % 2)
    found = xlogreg.fit_cv(X, Y, [1e-2], folds=folds)
    assert found.scores["log_loss"].shape == (2, 1)
    for row, fold in enumerate((0, 1)):
        alone = xlogreg.fit(X[:, folds != fold], Y[folds != fold], l2=1e-2)
        report = alone.evaluate(X[:, folds == fold], Y[folds == fold])
        assert found.scores["log_loss"][row, 0] == pytest.approx(report.log_loss, rel=1e-5)


def test_one_fold_alone_may_be_held_out():
    X, Y = drawn(3)
    found = xlogreg.fit_cv(X, Y, L2S, folds=np.arange(300) % 3 // 2 - 1, scoring="accuracy")
    assert found.scores["accuracy"].shape == (1, 3)
    assert found.chosen == np.argmax(found.scores["accuracy"])
    assert "nan" not in str(found)
    assert "±" not in str(found)  # one fold has no standard error


def test_the_strongest_penalty_within_a_standard_error_is_chosen():
    X, Y = drawn(2, m=120)
    best, strong = (xlogreg.fit_cv(X, Y, np.logspace(0, -5, 12), rule=rule) for rule in ("best", "one standard error"))
    losses = best.scores["log_loss"]
    mean, error = losses.mean(axis=0), losses.std(axis=0, ddof=1) / 5**0.5
    assert best.chosen == np.argmin(mean)
    near = np.flatnonzero(mean <= mean[best.chosen] + error[best.chosen])
    assert strong.chosen == near[0] < best.chosen


def test_a_scorer_of_scikit_learn_sees_what_it_would_see_there():
    X, Y = drawn(2)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, 300)
    labels = np.asarray(["no", "yes"])[Y]
    found = xlogreg.fit_cv(X.T, labels, L2S, scoring="roc_auc", sample_weight=weight, samples="rows")
    assert found.chosen == np.argmax(found.scores["roc_auc"].mean(axis=0))
    for fold in range(5):
        kept, test = found.folds != fold, found.folds == fold
        C = 1 / (1e-2 * weight[kept].sum())
        theirs = LogisticRegression(C=C, tol=1e-10, max_iter=1000).fit(X.T[kept], labels[kept], weight[kept])
        score = get_scorer("roc_auc")(theirs, X.T[test], labels[test], sample_weight=weight[test])
        assert found.scores["roc_auc"][fold, 1] == pytest.approx(score, abs=1e-3)
    called = xlogreg.fit_cv(X, Y, L2S, scoring=get_scorer("f1"))
    assert called.scores[called.scoring].shape == (5, 3)


def test_wrong_values_are_named_by_where_the_user_has_them():
    X, Y = drawn(2)
    X[2, 17] = np.nan
    with pytest.raises(ValueError, match="the first is nan at row 2, column 17"):
        xlogreg.fit_cv(X, Y, L2S)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, "folds must be from 2 to the number of samples, 300"),
        (
            {"folds": np.zeros(300, dtype=int)},
            "folds must hold two folds or more; a fold that is to be held out has a number of 0 or more",
        ),
        ({"folds": np.zeros(299, dtype=int)}, "folds must hold a whole number or a string for each of the 300 samples"),
        ({"groups": np.zeros(300)}, "groups must hold a whole number or a string"),
        ({"groups": np.arange(300) % 3}, "groups holds 3 groups, too few for folds=5"),
        ({"folds": np.arange(300) % 3, "groups": np.arange(300)}, "groups says how to make folds"),
        (
            {"folds": np.arange(300) % 2 - 2},
            "folds must hold two folds or more; a fold that is to be held out has a number of 0 or more",
        ),
        ({"folds": np.arange(300) % 2 - 1, "rule": "one standard error"}, "rule='one standard error' needs two folds"),
        ({"scoring": "luck"}, "'luck' is not a valid scoring value"),
        ({"targets": "probabilities", "scoring": "roc_auc"}, "scoring='roc_auc' needs labels, not probabilities"),
        ({"rule": "first"}, "rule must be 'best' or 'one standard error'"),
    ],
)
def test_folds_that_cannot_be_made_are_refused(options, message):
    X, Y = drawn(2)
    Y = 0.2 + 0.6 * Y if "targets" in options else Y
    with pytest.raises(ValueError, match=message):
        xlogreg.fit_cv(X, Y, L2S, **options)


def test_a_selection_prints_and_is_drawn():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed").use("agg")
    X, Y = drawn(2)
    found = xlogreg.fit_cv(X, Y, L2S)
    assert repr(found).startswith("Selection(l2=")
    lines = str(found).splitlines()
    assert len(lines) == 4
    assert lines[1 + found.chosen].endswith("*")
    assert found.plot().ax_.get_xlabel() == "penalty l2"


@pytest.mark.parametrize("order", ["sorted", "mixed"])
@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_folds_sum_what_weights_of_zero_would(where, order, held_out, weighted):
    X, Y = drawn(2)
    rng = np.random.default_rng(0)
    numbers = rng.integers(0, 3, 300)
    numbers = np.sort(numbers) if order == "sorted" else numbers
    own = rng.uniform(0.5, 2.0, (1, 300)) if weighted else None
    columns = Columns(where.asarray(Y[None, :]), None if own is None else where.asarray(own))
    source = InMemory(Dense(where.asarray(X)), columns, where.place, where.dtype, 300.0).centered(np.ones((4, 1)))
    fold_of = np.asarray([0, 2, 2, 1] if held_out else [0, 2, -1, 1])
    folds = source.leaving_out(numbers, fold_of, held_out)
    theta = 0.3 * rng.standard_normal((5, 4, 1))
    for some, used in ((np.arange(4), theta), (np.asarray([1, 3]), theta[:, [1, 3], :]), (np.arange(4), theta[:, :1])):
        found = folds.keep(some).uncentered().sum(pass_terms, used, LOSSES["log_loss"])
        for position, model in enumerate(some.tolist()):
            mask = (numbers == fold_of[model]) == held_out
            weight = mask[None, :] * (1.0 if own is None else own)
            one = used if used.shape[1] == 1 else used[:, [position], :]
            masked = InMemory(Dense(X), Columns(Y[None, :] * 1.0, weight), HOST, "float64", 300.0)
            losses, gradient, _ = masked.sum(pass_terms, one, LOSSES["log_loss"])
            assert found[0][position] == pytest.approx(losses[0], rel=10 * where.tolerance)
            np.testing.assert_allclose(found[1][:, position], gradient[:, 0], atol=1e3 * where.tolerance)


def test_the_fold_of_a_sample_is_its_row_of_the_scores_also_if_some_are_never_held_out():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3, 90))
    Y = X[0] + rng.logistic(size=90) > 0
    given = np.asarray([7, -3, 2])[np.arange(90) % 3]
    found = xlogreg.fit_cv(X, Y, [0.1], folds=given, refit=False)
    np.testing.assert_array_equal(found.folds, np.asarray([1, -1, 0])[np.arange(90) % 3])
    for fold, model in enumerate(found.judged[0]):
        own = found.folds == fold
        np.testing.assert_allclose(model.evaluate(X[:, own], Y[own]).log_loss, found.scores["log_loss"][fold, 0])
