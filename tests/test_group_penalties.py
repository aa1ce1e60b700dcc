"""Group penalties: the minimum in extended precision, whole groups in or out, by every way to a model."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse
from conftest import cut
from draws import given, settings, st
from kinks import beyond, largest
from test_elastic_net import ROWS, drawn
from test_sparse import alike

import xlogreg
from xlogreg.arrays.place import to_host
from xlogreg.math.groups import Grouped

quick = settings(max_examples=12, deadline=None, derandomize=True)

M, N = 300, 12
GROUPS = np.asarray([7, 7, -1, 7, 3, 3, 3, 3, 3, 0, 5, 5])  # of one to five features, not in order
FACTORS = np.where(np.arange(N) % 3 == 0, 0.5, 2.0)
KINDS = {
    "features of all classes": {"multinomial": "grouped"},
    "groups": {"penalty": GROUPS},
    "groups of all classes": {"penalty": GROUPS, "multinomial": "grouped"},
}
OPTIONS = {
    "plain": {},
    "elastic": {"l2": 0.02},
    "weights": {"sample_weight": np.arange(M) % 4},
    "factors": {"penalty_factor": FACTORS, "l2": 0.01},
    "standardize": {"standardize": True},
    "divided, no bias": {"standardize": 2.5, "bias": False},
}


def known(kind, classes=3):
    """The same for `beyond` and `largest`."""
    return {"groups": kind.get("penalty"), "joint": kind.get("multinomial") == "grouped" and classes > 2}


def together(w, kind, classes=3):
    """Whether each group is zero or has no zeros."""
    groups = np.arange(len(w)) if known(kind)["groups"] is None else known(kind)["groups"]
    axes = (0, 1) if known(kind, classes)["joint"] else 0
    return all(
        np.all(np.all(own, axis=axes) | ~np.any(own, axis=axes)) for g in groups for own in [w[groups == g] != 0]
    )


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("share", [0.7, 0.01])
def test_the_slopes_are_those_of_a_minimum(options, kind, classes, share):
    X, Y = drawn(M, N, classes=classes, shift=3.0)
    own = options | known(kind, classes)
    l1 = share * largest(X, Y, **own)
    model = xlogreg.fit(X, Y, l1=l1, **kind, **options, **ROWS)
    cost, off = beyond(model, X, Y, l1, **own)
    assert model.fit_info.converged
    assert model.fit_info.solver == "proximal"
    assert off < 1e-3
    assert model.fit_info.cost == pytest.approx(cost, rel=1e-12)
    assert model.fit_info.gap <= 1e-12 * cost
    assert together(model.w, kind, classes)
    assert share < 0.1 or 0 < np.sum(model.w == 0) < model.w.size
    if known(kind, classes)["joint"]:  # so are the shortest weights of the same scores
        np.testing.assert_allclose(model.w.sum(axis=1), 0.0, atol=1e-7)


def slow(X, Y, l1, l2, groups, joint):
    """The least cost by proximal gradient steps with momentum, 20,000 of them."""
    m, n, k = *X.shape, Y.max() + 1
    T, A = np.eye(k)[Y], np.column_stack([X, np.ones(m)])
    size = 1.0 / (0.5 * np.linalg.norm(A, 2) ** 2 / m + l2)
    roots = {g: np.sqrt(np.sum(groups == g)) for g in groups}

    def loss(theta):
        Z = A @ theta
        top = Z.max(axis=1, keepdims=True)
        logs = Z - top - np.log(np.exp(Z - top).sum(axis=1, keepdims=True))
        return -np.sum(T * logs) / m + 0.5 * l2 * np.sum(theta[:n] ** 2), A.T @ (np.exp(logs) - T) / m

    def lengths(w):
        return {g: np.linalg.norm(w[groups == g], axis=None if joint else 0) for g in roots}

    x = y = np.zeros((n + 1, k))
    for step in range(20_000):
        gradient = loss(y)[1]
        gradient[:n] += l2 * y[:n]
        z = y - size * gradient
        for g, norm in lengths(z[:n]).items():
            z[:n][groups == g] *= np.maximum(1 - size * l1 * roots[g] / np.where(norm > 0, norm, 1), 0)
        y = z + min(step / (step + 3), 0.99) * (z - x)
        x = z
    return loss(x)[0] + l1 * sum(np.sum(roots[g] * norm) for g, norm in lengths(x[:n]).items()), x


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_slow_gradient_steps_find_the_same(kind):
    X, Y = drawn(200, N, classes=3, seed=1)
    X /= X.std(axis=0)
    own = known(kind)
    l1 = 0.1 * largest(X, Y, **own)
    groups = np.arange(N) if own["groups"] is None else own["groups"]
    cost, theta = slow(X, Y, l1, 0.01, groups, own["joint"])
    model = xlogreg.fit(X, Y, l1=l1, l2=0.01, **kind, **ROWS)
    assert model.fit_info.cost == pytest.approx(cost, rel=1e-11)
    np.testing.assert_allclose(model.w, theta[:N], atol=1e-5)
    np.testing.assert_array_equal(model.w == 0, theta[:N] == 0)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("options", [{}, {"penalty_factor": FACTORS, "l2": 0.01, "standardize": True}])
def test_groups_of_single_features_are_the_lasso(classes, options):
    X, Y = drawn(classes=classes)
    l1 = 0.1 * largest(X, Y, **options)
    plain = xlogreg.fit(X, Y, l1=l1, tol=1e-15, **options, **ROWS)
    for kind in [{"penalty": "group"}, {"penalty": np.arange(N)[::-1]}, {"multinomial": "grouped"}][: 5 - classes]:
        model = xlogreg.fit(X, Y, l1=l1, tol=1e-15, **kind, **options, **ROWS)
        np.testing.assert_array_equal(model.w, plain.w)
    # a feature without a penalty makes a group of two a group of one, by the solver of groups
    factor = np.append(options.get("penalty_factor", np.ones(N)), 0.0)
    Z, pairs = np.column_stack([X, np.sin(7.0 * X[:, 0])]), np.append(np.arange(N), 0)
    own = options | {"penalty_factor": factor}
    one, other = (xlogreg.fit(Z, Y, l1=l1, tol=1e-15, penalty=kind, **own, **ROWS) for kind in ("each", pairs))
    np.testing.assert_array_equal(one.w, other.w)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_solver_of_groups_finds_the_lasso(classes):
    X, Y = drawn(classes=classes)
    twice, pairs = np.hstack([X, X[:, :1]]), np.append(np.arange(N), 0)
    twice[:, -1] = 1.0  # a constant, whose weight is zero: the others are groups of one
    l1 = 0.1 * largest(X, Y)
    factor = np.append(1.0 / np.sqrt(2.0), np.ones(N))  # makes up for the root of two
    model = xlogreg.fit(twice, Y, l1=l1, penalty=pairs, penalty_factor=factor, tol=1e-15, **ROWS)
    plain = xlogreg.fit(X, Y, l1=l1, tol=1e-15, **ROWS)
    np.testing.assert_allclose(model.w[:N], plain.w, atol=1e-8)
    np.testing.assert_array_equal(model.w[:N] == 0, plain.w == 0)
    assert not model.w[N].any()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_from_the_largest_penalty_on_all_weights_are_zero(kind, classes):
    X, Y = drawn(classes=classes)
    most = largest(X, Y, **known(kind, classes))
    for l1 in (1.0001 * most, 1e200):
        model = xlogreg.fit(X, Y, l1=l1, **kind, **ROWS)
        assert model.fit_info.converged
        assert not model.w.any()
    assert xlogreg.fit(X, Y, l1=0.999 * most, **kind, **ROWS).w.any()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("n", [400, 2000])
def test_many_features_work_in_whole_groups(classes, n):
    X, Y = drawn(150, n, classes=classes, seed=1)
    X[:, 5] = 2.0  # a constant has no part in its group
    kind = {"penalty": np.random.default_rng(0).integers(0, n // 4, n), "multinomial": "grouped"}
    l1 = 0.2 * largest(X - X.mean(axis=0), Y, **known(kind, classes))
    model = xlogreg.fit(X, Y, l1=l1, **kind, **ROWS)
    assert model.fit_info.converged
    assert beyond(model, X, Y, l1, **known(kind, classes))[1] < 1e-4
    assert 0 < np.count_nonzero(model.w) < 0.6 * model.w.size
    assert not model.w[5].any()
    assert together(np.delete(model.w, 5, axis=0), {**kind, "penalty": np.delete(kind["penalty"], 5)}, classes)
    assert model.fit_info.passes < 60


def test_large_data_take_a_few_passes():
    X, Y = drawn(40_000, 30, seed=3)
    groups = np.arange(30) // 3
    l1 = 0.05 * largest(X, Y, groups=groups)
    for tol, passes in ((1e-4, 4.5), (1e-8, 6.5), (1e-12, 9.0)):
        assert xlogreg.fit(X, Y, l1=l1, penalty=groups, tol=tol, **ROWS).fit_info.passes < passes


def test_it_is_the_same_everywhere(where):
    X, Y = drawn(120, 6, classes=3)
    options = {"penalty": np.asarray([0, 0, 1, 1, 1, 2]), "multinomial": "grouped", "l2": 0.01, **ROWS}
    options["l1"] = 0.15 * largest(X, Y, groups=options["penalty"], joint=True)
    expected = xlogreg.fit(X, Y, **options)
    model = xlogreg.fit(where.asarray(X), Y, **options)
    where.check(model.w, expected.w, rtol=1e-6 if where.dtype == "float64" else 1e-3)
    np.testing.assert_array_equal(to_host(model.w) == 0, expected.w == 0)
    assert model.fit_info.converged


def test_every_kind_of_samples_gives_the_same(tmp_path, client):
    X, Y = drawn(400, 8, classes=3)
    X = X * (np.random.default_rng(1).random(X.shape) < 0.5)
    options = {"penalty": np.arange(8) // 3, "multinomial": "grouped", **ROWS}
    options["l1"] = 0.2 * largest(X, Y, groups=options["penalty"], joint=True)
    whole = xlogreg.fit(X, Y, **options)
    assert 0 < np.count_nonzero(whole.w) < whole.w.size
    blocks = lambda: iter([(X[:150], Y[:150]), (X[150:], Y[150:])])  # noqa: E731  # a factory, as a user writes it
    kinds = [(scipy.sparse.csr_array(X), Y), (np.asfortranarray(X), Y), (blocks, None), (cut(X, 100, axis=0), Y)]
    for data, targets in kinds:
        model = xlogreg.fit(data, targets, **options)
        alike(model, whole)
        np.testing.assert_array_equal(model.w == 0, whole.w == 0)


@pytest.fixture
def table():
    """A frame with categories of which one is of use, numbers of which one is, and missing values."""
    pandas = pytest.importorskip("pandas")
    rng, m = np.random.default_rng(0), 500
    city, fruit = rng.choice(list("ABCDE"), m), rng.choice(["fig", "lime", "plum"], m)
    age, noise = rng.standard_normal((2, m))
    z = np.asarray([{"A": 2.0, "B": -1.5, "C": 0.5, "D": 0.0, "E": -1.0}[c] for c in city]) + age
    Y = np.digitize(z + rng.logistic(size=m), [-1.0, 1.0])
    age[:40] = np.nan
    return pandas.DataFrame({"city": city, "noise": noise, "fruit": fruit, "age": age}), Y


COLUMNS = {"categorical_features": ["city", "fruit"], "missing": "mean", **ROWS}


@pytest.mark.parametrize("multinomial", ["ungrouped", "grouped"])
@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.slow
def test_the_levels_of_a_column_are_in_or_out_together(table, library, multinomial, table_kind):
    frame, Y = table
    if library == "polars":
        frame = pytest.importorskip("polars").from_pandas(frame)
    path = xlogreg.fit_path(frame, Y, penalties="auto", penalty="group", multinomial=multinomial, tol=1e-8, **COLUMNS)
    assert not path[0].w.any()
    seen = set()
    for model in path:
        used = {term.name: model.w[list(term.rows)] != 0 for term in model.terms}
        for own in used.values():
            axes = None if multinomial == "grouped" else 0
            assert np.all(np.all(own, axis=axes) | ~np.any(own, axis=axes))
        seen.add(tuple(name for name, own in used.items() if own.any()))
    assert used["age"].shape == (2, 3)  # the number and the indicator of missing values
    assert {(), ("city",), ("city", "age")} <= seen or {(), ("age",), ("city", "age")} <= seen
    groups = np.repeat(np.arange(4), [5, 1, 3, 2])
    same = xlogreg.fit_path(
        frame, Y, penalties=path.penalties[:20], penalty=groups, multinomial=multinomial, tol=1e-8, **COLUMNS
    )
    np.testing.assert_array_equal(same.w, path.w[:20])
    found = xlogreg.fit_cv(frame, Y, penalties=path.penalties[:30:3], penalty="group", folds=3, tol=1e-7, **COLUMNS)
    assert found.chosen == 9
    assert found.model.penalty == "group"


OTHERS = [{"standardize": True}, {"bias": False}, {"penalty_factor": np.arange(N) % 3}]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("options", [{}, *(pytest.param(o, marks=pytest.mark.slow) for o in OTHERS)])
def test_auto_begins_where_the_first_group_appears(kind, options):
    X, Y = drawn(classes=3)
    path = xlogreg.fit_path(X, Y, penalties="auto", l1_ratio=0.5, tol=1e-9, **kind, **options, **ROWS)
    loose = np.asarray(options.get("penalty_factor", np.ones(N))) == 0
    assert not path[0].w[~loose].any()
    assert path[1].w[~loose].any()
    if not loose.any():
        np.testing.assert_allclose(path.l1[0], largest(X, Y, **known(kind), **options), rtol=1e-5)
    assert np.all(np.diff(path.deviance_explained) > 0)
    assert path.selected.tolist() == [np.any(model.w != 0, axis=1).sum() for model in path]
    for model in path[5:40:10]:
        assert beyond(model, X, Y, model.l1, l2=model.l2, **known(kind), **options)[1] < 1e-2
    alone = xlogreg.fit(X, Y, l1=path.l1[20], l2=path.l2[20], **kind, **options, **ROWS)
    np.testing.assert_allclose(path[20].w, alone.w, atol=1e-4)
    assert alone.fit_info.converged


def test_many_models_and_those_without_l1():
    X, Y = drawn(classes=3)
    groups, l1 = {"penalty": GROUPS, "multinomial": "grouped"}, 0.1 * largest(X, Y, groups=GROUPS, joint=True)
    models = xlogreg.fit_many(X, [Y], l1s=[l1, 0.0, 2 * l1], l2s=0.01, **groups, **ROWS)
    for model, strength in zip(models, (l1, 0.0, 2 * l1), strict=True):
        alone = xlogreg.fit(X, Y, l1=strength, l2=0.01, **groups, **ROWS)
        np.testing.assert_allclose(model.w, alone.w, atol=1e-6)
    plain = xlogreg.fit(X, Y, l2=0.01, **ROWS)
    np.testing.assert_allclose(models[1].w, plain.w, atol=1e-6)
    found = xlogreg.fit_cv(X, Y, penalties=[0.1, 0.01], l1_ratio=[0.0, 1.0], folds=3, **groups, **ROWS)
    assert np.isfinite(found.scores["log_loss"]).all()


@quick
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(KINDS)))
@pytest.mark.slow
def test_the_order_of_features_and_of_classes_does_not_matter(seed, name):
    X, Y = drawn(80, N, classes=3, seed=seed)
    Y[:3] = 0, 1, 2
    kind, rng = KINDS[name], np.random.default_rng(seed)
    l1 = 0.1 * largest(X, Y, **known(kind))
    model = xlogreg.fit(X, Y, l1=l1, **kind, **ROWS)
    features, classes = rng.permutation(N), rng.permutation(3)
    other = kind | {"penalty": kind["penalty"][features]} if "penalty" in kind else kind
    moved = xlogreg.fit(X[:, features], classes[Y], l1=l1, **other, **ROWS)
    np.testing.assert_allclose(moved.w[:, classes], model.w[features], atol=1e-5)
    np.testing.assert_array_equal(moved.w[:, classes] == 0, model.w[features] == 0)


@quick
@given(st.integers(0, 2**32 - 1))
def test_features_that_are_the_same_share_a_group(seed):
    X, Y = drawn(80, 6, seed=seed)
    Y[:2] = 0, 1
    groups = np.arange(6) // 2
    l1 = 0.1 * largest(X, Y, groups=groups)
    one = xlogreg.fit(X, Y, l1=l1, penalty=groups, **ROWS)
    # twice the features of half the weight: a group of twice the size has the same penalty
    twice = xlogreg.fit(np.hstack([X, X]), Y, l1=l1, penalty=np.tile(groups, 2), **ROWS)
    np.testing.assert_allclose(twice.w[:6] + twice.w[6:], one.w, atol=1e-5)
    np.testing.assert_allclose(twice.w[:6], twice.w[6:], atol=1e-5)
    assert twice.fit_info.cost == pytest.approx(one.fit_info.cost, rel=1e-10)


def test_a_model_and_its_file_know_their_groups(tmp_path):
    X, Y = drawn(classes=3)
    for kind in ({}, *KINDS.values(), {"penalty": "group"}):
        model = xlogreg.fit(X, Y, l1=0.05, **kind, **ROWS)
        assert ("l1=0.05 in groups" in repr(model)) == bool(kind)
        model.save(tmp_path / "model")
        loaded = xlogreg.load(tmp_path / "model")
        assert loaded.multinomial == kind.get("multinomial", "ungrouped")
        np.testing.assert_array_equal(loaded.penalty, kind.get("penalty", "each"))
        assert type(loaded.penalty) is type(kind.get("penalty", "each"))
    odd = dataclasses.replace(model, penalty=np.arange(3))
    odd.save(tmp_path / "odd")
    with pytest.raises(xlogreg.ModelFileError, match="penalty is not 12 whole numbers"):
        xlogreg.load(tmp_path / "odd")
    with pytest.raises(ValueError, match="selected by an L1 penalty"):
        model.standard_errors()


def test_what_are_no_groups_is_refused():
    X, Y = drawn(40, 2)
    for value, error, message in (
        ("groups", ValueError, "penalty must be 'each', 'group', or a whole number for each feature: its group, not"),
        ([0.0, 1.0], TypeError, "penalty must be 'each', 'group'"),
        ([True, False], TypeError, "penalty must be 'each', 'group'"),
        (None, TypeError, "penalty must be 'each', 'group'"),
        ([[0, 1]], ValueError, r"got the shape \(1, 2\)"),
        ([], TypeError, "penalty must be 'each', 'group'"),
        ([0, 0, 1], ValueError, "penalty holds 3 numbers, but X has 2 features"),
    ):
        for l1 in (0.0, 0.1):
            with pytest.raises(error, match=message):
                xlogreg.fit(X, Y, l1=l1, penalty=value, **ROWS)
        for fit in (xlogreg.fit_path, xlogreg.fit_cv):
            with pytest.raises(error, match=message):
                fit(X, Y, penalties=[0.1], penalty=value, **ROWS)
        with pytest.raises(error, match=message):
            xlogreg.fit_many(X, [Y], l1s=0.1, penalty=value, **ROWS)
    with pytest.raises(ValueError, match="multinomial must be 'ungrouped' or 'grouped', not 'all'"):
        xlogreg.fit(X, Y, multinomial="all", **ROWS)
    for kind in ({"multinomial": "grouped"}, {"penalty": "group"}, {"penalty": [0, 0]}):
        for bounds in ({"lower": 0.0}, {"upper": 1.0}):
            with pytest.raises(ValueError, match=f"{next(iter(kind))}=.* cannot be had with lower or upper"):
                xlogreg.fit(X, Y, l1=0.1, **kind, **bounds, **ROWS)
        for solver in ("newton", "gd", "lbfgs"):
            with pytest.raises(ValueError, match="l1 needs solver='auto'"):
                xlogreg.fit(X, Y, l1=0.1, solver=solver, **kind, **ROWS)
            assert xlogreg.fit(X, Y, l2=0.1, solver=solver, **kind, **ROWS).w.any()


def penalty_of(xp_of, group, joint, k, seed=0):
    """A penalty of six features and the bias, one feature without a penalty; and theta with a group of zeros."""
    rng = np.random.default_rng(seed)
    factor = np.asarray([1.0, 2.0, 0.5, 1.0, 0.0, 1.5, 0.0])[:, None, None]
    theta = rng.standard_normal((7, 1, k)) * (group != group[2])[:, None, None]
    root = np.sqrt(np.bincount(group)[group])[:, None, None]
    units, l1, l2 = np.exp(rng.standard_normal((7, 1, 1))), np.asarray([0.3]), np.asarray([0.2])
    parts = [xp_of(part) for part in (l2, factor, units)]
    own = {"l1": xp_of(l1), "group": xp_of(group), "root": xp_of(root)}
    penalty = Grouped(*parts, **own, largest=int(np.bincount(group).max()), joint=joint)
    sizes = root * factor * units
    value = 0.1 * np.sum(factor * (units * theta) ** 2)
    for g in np.unique(group):
        value += 0.3 * np.sum(np.linalg.norm((sizes * theta)[group == g], axis=(0, 2) if joint else 0))
    return penalty, theta, value


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("group", [np.asarray([2, 0, 1, 1, 5, 2, 6]), np.asarray([0, 0, 1, 0, 5, 0, 6])])
def test_the_penalty_its_slopes_and_its_conjugate(where64, group, joint):
    def put(values):
        return where64.asarray(values, values.dtype)

    penalty, theta, value = penalty_of(put, group, joint, k=3)
    assert float(penalty.value(put(theta))[0]) == pytest.approx(value, rel=1e-14)
    move = 1e-6 * np.random.default_rng(1).standard_normal(theta.shape)
    change = float(penalty.change(put(theta), put(move))[0])
    assert change == pytest.approx(float(penalty.value(put(theta + move))[0]) - value, rel=1e-6)
    # a subgradient is a slope V of the penalty at theta: there value and conjugate add up to theta'V
    gradient = put(0.2 * np.random.default_rng(2).standard_normal(theta.shape))
    least = penalty.least_slope(put(theta), gradient)
    V = to_host(least) - to_host(gradient) + to_host(penalty.slope(put(theta)))
    V[[4, 6]] = 0.0  # without a penalty
    kept = theta * np.asarray([1, 1, 1, 1, 0, 1, 0])[:, None, None]
    conjugate = float(penalty.conjugate(put(V))[0])
    held = float(penalty.value(put(kept))[0])
    assert conjugate >= np.sum(kept * V) - held - 1e-12  # Fenchel's inequality, of a bound from above
    for trial in np.random.default_rng(3).standard_normal((200, *theta.shape)):
        trial[[4, 6]] = 0.0
        assert conjugate >= np.sum(trial * V) - float(penalty.value(put(trial))[0]) - 1e-12
    rows = to_host(penalty.whole(put(np.arange(7) == 0)))
    np.testing.assert_array_equal(rows, group == group[0])
    some = penalty.of_rows(put(np.asarray([0, 5, 6]))) if where64.place.name == "numpy" else penalty
    assert float(some.l1[0]) == 0.3


def test_the_conjugate_is_exact_where_the_factors_of_a_group_are_one():
    group = np.asarray([0, 0, 1, 1, 2, 2, 3])
    penalty, theta, _ = penalty_of(np.asarray, group, True, k=2)
    factor = np.append(np.ones(6), 0.0)[:, None, None]
    penalty = dataclasses.replace(penalty, factor=factor)
    theta[-1] = 0.0
    V = penalty.slope(theta) + penalty.kinks * penalty.sizes * theta / np.maximum(
        penalty._norms(penalty.sizes * theta), 1e-9
    )
    assert float(penalty.conjugate(V)[0]) == pytest.approx(
        np.sum(theta * V) - float(penalty.value(theta)[0]), rel=1e-12
    )
    plain = dataclasses.replace(penalty, strength=np.zeros(1))
    assert plain.conjugate(0.5 * plain.kinks * np.ones((1, 1, 2)) / 2**0.5)[0] == 0.0
    assert np.isinf(plain.conjugate(2.0 * plain.kinks * np.ones((1, 1, 2)))[0])
