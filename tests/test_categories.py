"""Tables with categories: the same answers as from one-hot columns, which are never made."""

import sys
import tracemalloc

import numpy as np
import pytest
from conftest import QUICK

import xlogreg
from xlogreg.arrays import products
from xlogreg.arrays.libraries import numpy as numpy_library
from xlogreg.arrays.libraries.numpy import tally
from xlogreg.arrays.place import HOST
from xlogreg.arrays.side_by_side import SideBySide, side_by_side

ROWS = {"samples": "rows"}
SIZES = {
    "two columns": (3, (4, 7)),
    "one level": (2, (1, 5)),
    "no numbers": (0, (6, 3)),
    "no categories": (4, ()),
    "one column": (0, (9,)),
    "many numbers": (13, (5, 2)),
}


def drawn(m=200, numbers=3, sizes=(4, 7), seed=0, none=0.1, mixed=True, dtype=float):
    """A table as `SideBySide`, and its one-hot columns X (m, n_x)."""
    rng = np.random.default_rng(seed)
    n_x = numbers + sum(sizes)
    order = rng.permutation(n_x) if mixed else np.arange(n_x)
    at, *features = np.split(order, np.cumsum([numbers, *sizes])[:-1])
    values = (10.0 * rng.standard_normal((m, numbers))).astype(dtype)
    codes = [np.where(rng.random(m) < none, size, rng.integers(0, size, m)) for size in sizes]
    X = np.zeros((m, n_x))
    X[:, at] = values
    for levels, own in zip(codes, features, strict=True):
        there = levels < len(own)
        X[np.flatnonzero(there), own[levels[there]]] = 1.0
    table = side_by_side(values if numbers else None, at, codes, features)
    return table, X


def labels(X, classes=2, seed=1):
    rng = np.random.default_rng(seed)
    Z = (X - X.mean(0)) @ (rng.standard_normal((X.shape[1], classes)) / (X.std(0) + 0.3)[:, None])
    return np.argmax(0.7 * Z + rng.gumbel(size=Z.shape), axis=1)


def block_of(where, table, center):
    """The block of all samples on a place, and its one-hot array in float64."""
    there = table.put(where.place)
    center = None if center is None else where.asarray(center)
    return there.converted(there.cut(0, there.m, where.place), where.place, where.dtype, center, False)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_its_products_are_those_of_one_hot_columns(where, kind, centred, k):
    table, X = drawn(70, *SIZES[kind])
    rng = np.random.default_rng(2)
    center = X.mean(0)[:, None] if centred else None
    D = X.T if center is None else X.T - center
    n_x, m = D.shape
    W, b, V = rng.standard_normal((n_x, k)), rng.standard_normal((k, 1)), rng.standard_normal((m, k))
    C = rng.random((k, k, m))
    C = C + C.transpose(1, 0, 2)
    scale = rng.random((n_x, 1)) + 0.5
    with where.place.computing():
        block = block_of(where, table, center)
        assert tuple(block.shape) == (n_x, m)
        tolerance = {"rtol": 1e-10, "atol": 1e-9} if where.dtype == "float64" else {"rtol": 1e-3, "atol": 1e-2}
        for one, dense in ((block, D), (abs(block), abs(D))):
            where.check(products.scores(one, where.asarray(W), where.asarray(b)), W.T @ dense + b, **tolerance)
            where.check(products.combine(one, where.asarray(V)), dense @ V, **tolerance)
            where.check(products.squares(one, where.asarray(V)), dense**2 @ V, **tolerance)
            S = (dense * scale) ** 2
            found = products.squares(one, where.asarray(V), where.asarray(scale), twice=True)
            bigger = tolerance | {"atol": tolerance["atol"] * 1e3}
            where.check(found, np.concatenate([S @ V, S**2 @ V], axis=1), **bigger)
            bordered = np.concatenate([dense, np.ones((1, m))])
            H = np.einsum("im,abm,jm->iajb", bordered, C, bordered).reshape((n_x + 1) * k, (n_x + 1) * k)
            where.check(products.gram(one, where.asarray(C)), H, **tolerance)


@pytest.mark.parametrize("kind", SIZES)
def test_its_parts_are_those_of_one_hot_columns(kind):
    table, X = drawn(50, *SIZES[kind])
    rng = np.random.default_rng(3)
    index = np.sort(rng.permutation(50)[:20])
    some = np.sort(rng.permutation(X.shape[1])[: max(1, X.shape[1] // 2)])
    np.testing.assert_array_equal(table.host(), X)
    np.testing.assert_array_equal(table.between(5, 31).host(), X[5:31])
    np.testing.assert_array_equal(table.take(index, HOST).host(), X[index])
    np.testing.assert_array_equal(table.pick(some).host(), X[:, some])
    np.testing.assert_array_equal(table.host_rows(index).toarray(), X[index])
    np.testing.assert_array_equal(SideBySide.joined([table.between(0, 9), table.between(9, 50)]).host(), X)


def test_levels_take_the_smallest_type():
    for size, dtype in ((127, np.int8), (128, np.int16), (32767, np.int16), (32768, np.int32)):
        table = side_by_side(None, np.zeros(0, int), [np.full(3, size)], [np.arange(size)])
        assert table.categories.levels[0].dtype == dtype
        assert table.host().sum() == 0.0


def alike(found, expected, X, probabilities=1e-8, costs=1e-10):
    assert found.fit_info.converged == expected.fit_info.converged
    np.testing.assert_allclose(found.predict_proba(X), expected.predict_proba(X), rtol=0, atol=probabilities)
    assert found.fit_info.cost == pytest.approx(expected.fit_info.cost, rel=costs, abs=1e-14)


OPTIONS = [
    {},
    {"l2": 1e-2},
    {"l2": 1e-2, "standardize": True},
    {"bias": False, "l2": 1e-3},
    {"l2": 1e-2, "solver": "newton"},
    {"l2": 1e-2, "solver": "lbfgs"},
    {"solver": "gd", "max_iter": 40, "learning_rate": 0.01, "tol": None},
    {"l2": 1e-2, "penalty_factor": np.arange(14) % 3 + 0.0},
    {"l2": 1e-2, "sample_weight": np.random.default_rng(5).exponential(size=600)},
]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: ",".join(options) or "default")
def test_it_is_fitted_like_one_hot_columns(options, classes):
    """Without a penalty, two columns of all levels leave the weights open, and the fit takes the shortest."""
    table, X = drawn(600, 3, (4, 7), none=0.0)
    Y = labels(X, classes)
    options = {"tol": 1e-14} | options | ROWS
    found, expected = (xlogreg.fit(one, Y, **options) for one in (table, X))
    alike(found, expected, X)
    np.testing.assert_allclose(found.w, expected.w, atol=2e-5)
    alike(found, expected, table)
    assert found.evaluate(table, Y).log_loss == pytest.approx(expected.evaluate(X, Y).log_loss, rel=1e-9)
    assert (found.predict(table) == expected.predict(X)).all()


@pytest.mark.parametrize("l2", [0.0, 1e-3])
@pytest.mark.parametrize("none", [0.0, 0.3])
def test_a_dropped_level_or_an_unseen_one_has_no_feature(l2, none):
    table, X = drawn(900, 2, (3, 5), none=none)
    table, X = table.pick(np.arange(1, X.shape[1])), X[:, 1:]
    Y = labels(X)
    found, expected = (xlogreg.fit(one, Y, l2=l2, tol=1e-14, **ROWS) for one in (table, X))
    alike(found, expected, X)
    if l2 == 0.0:
        assert found.fit_info.rank == expected.fit_info.rank
        if none:
            np.testing.assert_allclose(found.standard_errors().w, expected.standard_errors().w, rtol=1e-6)


@pytest.mark.parametrize("far", [1e4, 1e6, 1e9])
@pytest.mark.parametrize("dtype", [np.float64, np.int64])
@pytest.mark.parametrize("standardize", [False, True])
def test_a_number_far_from_zero_is_centred_as_in_an_array(far, dtype, standardize):
    table, X = drawn(800, 3, (4, 7), none=0.0)
    near, at = X.copy(), table.order[0]
    near[:, at] = np.round(near[:, at])
    X = near.copy()
    X[:, at] += far
    numbers = X[:, table.order[:3]]
    numbers = numbers if dtype is np.float64 else np.round(numbers).astype(dtype)
    near[:, table.order[:3]] = X[:, table.order[:3]] = numbers
    near[:, at] -= far
    table = SideBySide(numbers, table.categories, table.turns)
    Y = labels(near)
    options = {"l2": 1e-3, "tol": 1e-14, "standardize": standardize} | ROWS
    found, expected = xlogreg.fit(table, Y, **options), xlogreg.fit(near, Y, **options)
    np.testing.assert_allclose(found.predict_proba(table), expected.predict_proba(near), rtol=0, atol=1e-8)
    assert found.fit_info.cost == pytest.approx(expected.fit_info.cost, rel=1e-10)
    assert found.fit_info.converged


@pytest.mark.parametrize("classes", [2, 3])
def test_every_fit_takes_it(classes):
    table, X = drawn(600, 3, (4, 7), none=0.05)
    Y = labels(X, classes)
    folds = np.random.default_rng(3).permutation(np.arange(600) % 3)
    fits = {
        "path": lambda X: xlogreg.fit_path(X, Y, [1.0, 0.1, 0.01], **ROWS),
        "many": lambda X: xlogreg.fit_many(X, [Y == 0, Y == 1], l2s=[0.1, 0.01], **ROWS),
        "weights": lambda X: xlogreg.fit_many(
            X, [Y == 0] * 2, sample_weights=[np.ones(600), 1.0 + (folds == 1)], l2s=[0.1] * 2, standardize=True, **ROWS
        ),
        "cv": lambda X: [xlogreg.fit_cv(X, Y, [0.1, 0.01], folds=folds, **ROWS).model],
        "runs": lambda X: [xlogreg.fit_cv(X, Y, [0.1, 0.01], folds=np.sort(folds), standardize=True, **ROWS).model],
        "auc": lambda X: [xlogreg.fit_cv(X, Y == 0, [0.1, 0.01], folds=folds, scoring="roc_auc", **ROWS).model],
    }
    for name, fitted in fits.items():
        for found, expected in zip(fitted(table), fitted(X), strict=True):
            p, q = (model.predict_proba(X) for model in (found, expected))
            np.testing.assert_allclose(p, q, atol=1e-6, err_msg=name)
    found, expected = (xlogreg.bootstrap(one, Y, 5, l2=0.1, **ROWS).w for one in (table, X))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_scores_of_held_out_samples_are_those_of_one_hot_columns():
    table, X = drawn(600, 3, (4, 7))
    X[:, table.order[1]] += 1e5
    table = SideBySide(X[:, table.order[:3]], table.categories, table.turns)
    Y = labels(X)
    for folds in (np.arange(600) % 3, np.arange(600) // 200):
        found, expected = (xlogreg.fit_cv(one, Y, [1.0, 0.01], folds=folds, **ROWS) for one in (table, X))
        for name in expected.scores:
            np.testing.assert_allclose(found.scores[name], expected.scores[name], rtol=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    ("m", "sizes"), [(4000, (12, 5)), (4000, (200, 150, 50)), (60_000, (30, 8)), (4000, (2000, 1000))]
)
@pytest.mark.slow
def test_few_and_many_levels_are_fitted_alike(m, sizes, classes):
    table, X = drawn(m, 3, sizes, none=0.02)
    Y = labels(X, classes)
    found, expected = (xlogreg.fit(one, Y, l2=1e-3, tol=1e-13, **ROWS) for one in (table, X))
    assert found.fit_info.reason in ("converged", "precision")
    np.testing.assert_allclose(found.predict_proba(table), expected.predict_proba(X), rtol=0, atol=1e-6)
    assert found.fit_info.cost == pytest.approx(expected.fit_info.cost, rel=1e-10)


@pytest.mark.parametrize("backend", ["torch", "jax", "array-api-strict"])
def test_it_is_computed_by_other_backends(backend):
    pytest.importorskip(backend.replace("-", "_"))
    table, X = drawn(300, 3, (4, 7))
    Y = labels(X)
    found = xlogreg.fit(table, Y, l2=1e-2, backend=backend, **ROWS)
    np.testing.assert_allclose(found.w, xlogreg.fit(X, Y, l2=1e-2, **ROWS).w, rtol=1e-5, atol=1e-7)
    assert found.fit_info.backend.startswith(backend)


def test_large_integers_are_told_apart_before_they_are_rounded():
    table, X = drawn(500, 1, (4,))
    numbers = np.random.default_rng(0).integers(0, 5, (500, 1))
    Y = labels(np.concatenate([numbers, X], axis=1))
    found, expected = (
        xlogreg.fit(SideBySide(numbers + far, table.categories, table.turns), Y, l2=1e-2, **ROWS) for far in (2**60, 0)
    )
    np.testing.assert_allclose(found.w, expected.w, rtol=1e-6)


def test_separated_classes_are_found():
    table, X = drawn(300, 2, (3,), none=0.0)
    with pytest.warns(xlogreg.SeparationWarning):
        assert xlogreg.fit(table, X[:, table.order[2]] > 0, **ROWS).fit_info.separation == "complete"


def test_a_value_that_is_not_finite_is_named_by_its_feature():
    table, X = drawn(300, 3, (4, 7))
    numbers = X[:, table.order[:3]]
    numbers[17, 1] = np.nan
    column = table.order[1]
    with pytest.raises(ValueError, match=f"nan at row 17, column {column};"):
        xlogreg.fit(SideBySide(numbers, table.categories, table.turns), labels(X), **ROWS)


@pytest.mark.parametrize("options", [{"l2": 1e-3}, {"l2": 1e-3, "standardize": True}, {"solver": "lbfgs", "l2": 1e-2}])
def test_a_fit_makes_no_one_hot_columns(options):
    m, sizes = 100_000, (600, 300)
    rng = np.random.default_rng(0)
    codes = [rng.integers(0, size, m) for size in sizes]
    table = side_by_side(rng.standard_normal((m, 2)), np.arange(2), codes, [np.arange(2, 602), np.arange(602, 902)])
    Y = rng.random(m) < 0.2 + 0.6 * (codes[0] % 2)
    tracemalloc.start()
    try:
        model = xlogreg.fit(table, Y, **options, **ROWS)
        model.predict_proba(table)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert model.fit_info.converged
    assert peak < 0.25 * 8 * m * 902


@pytest.mark.parametrize(
    "options", [{"l2": 1e-5}, {"l2": 1e-5, "standardize": True}, {"l2": 1e-7}, {"l2": 1e-5, "bias": False}]
)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.slow
def test_the_weights_of_all_levels_add_up_to_nothing_and_a_start_may_be_anywhere(options, classes):
    rng = np.random.default_rng(3)
    codes = [rng.integers(0, 700, 20_000), rng.integers(0, 600, 20_000)]
    X = side_by_side(None, np.zeros(0, int), codes, [np.arange(700), 700 + np.arange(600)])
    Z = 0.5 * rng.standard_normal((700, classes))[codes[0]] + 0.5 * rng.standard_normal((600, classes))[codes[1]]
    Y = np.argmax(Z + rng.gumbel(size=Z.shape), axis=1)
    model = xlogreg.fit(X, Y, samples="rows", **options)
    assert model.fit_info.solver == "block-lbfgs"
    assert [len(tie) for tie in X.ties] == [700, 600]
    dense = X.host_rows(np.arange(20_000))
    other = xlogreg.fit(dense, Y, samples="rows", **options)
    np.testing.assert_allclose(model.fit_info.cost, other.fit_info.cost, rtol=1e-10)
    if "l2" in options and options.get("bias", True) and "standardize" not in options:
        np.testing.assert_allclose(model.w[:700].sum(axis=0), 0.0, atol=1e-9)
    if classes == 2:
        start = rng.standard_normal((1300, 1)), np.ones((1, 1))
        again = xlogreg.fit(X, Y, samples="rows", initial=start, **options)
        np.testing.assert_allclose(again.fit_info.cost, model.fit_info.cost, rtol=1e-10)


def test_what_is_known_to_add_up_to_one_survives_where_it_holds():
    codes = [np.asarray([0, 1, 2, 0]), np.asarray([0, 1, 2, 0])]
    X = side_by_side(None, np.zeros(0, int), codes, [np.asarray([4, 1, 2]), np.asarray([0, 3])])
    assert [tie.tolist() for tie in X.ties] == [[4, 1, 2]]  # the other column has a sample of no level
    assert [tie.tolist() for tie in X.pick(np.asarray([1, 2, 4])).ties] == [[2, 0, 1]]
    assert X.pick(np.asarray([0, 1, 2])).ties == ()
    parts = [X.between(0, 2), X.between(2, 4)]
    assert [tie.tolist() for tie in X.joined(parts).ties] == [[4, 1, 2]]


@pytest.mark.parametrize("p", [1, 3])
def test_scipy_and_numpy_count_alike(p, monkeypatch):
    rng = np.random.default_rng(0)
    index, V = rng.integers(0, 101, 20_000).astype(np.int8), rng.standard_normal((20_000, p))
    expected = np.stack([np.bincount(index, V[:, column], 101) for column in range(p)], axis=1)
    np.testing.assert_allclose(tally(index, V, 101), expected, rtol=1e-12)
    narrow = tally(index, V.astype(np.float32), 101)
    assert narrow.dtype == np.float32
    np.testing.assert_allclose(narrow, expected, rtol=1e-3, atol=1e-3)
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)  # as where SciPy is not installed
    numpy_library._sparse.cache_clear()
    assert numpy_library._sparse() is None
    np.testing.assert_allclose(tally(index, V, 101), expected, rtol=1e-12)
    numpy_library._sparse.cache_clear()
