"""Sparse X: the same answers as from dense X, for sparse matrices of every library, and no dense copy of them."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse
from conftest import QUICK, place_or_skip
from draws import given, settings, st

import xlogreg
from xlogreg.arrays.place import dtype_name, place_of, to_host

ROWS = {"samples": "rows"}
M, FEATURES = 300, 30


def drawn(m=M, n_x=FEATURES, classes=2, seed=0, density=0.5):
    """Counts like those of a text: X (m, n_x) dense, mostly zeros, and labels."""
    rng = np.random.default_rng(seed)
    X = rng.poisson(0.5, (m, n_x)) * (rng.random((m, n_x)) < density) * rng.uniform(0.1, 3.0, n_x)
    W = rng.standard_normal((n_x, classes)) * 0.5
    return X, np.argmax((X - X.mean(0)) @ W + rng.gumbel(size=(m, classes)), axis=1)


ABLE = [case for case in QUICK if "strict" not in case.id]  # array-api-strict has no sparse arrays


def sparse_on(where, X):
    """X (m, n_x) as the sparse matrix that the library has."""
    if where.place.name == "torch":
        return where.asarray(X).to_sparse()
    if where.place.name == "jax":
        sparse = pytest.importorskip("jax.experimental.sparse")
        return sparse.BCOO.fromdense(where.asarray(X))
    if where.place.name == "cupy":
        sparse = pytest.importorskip("cupyx.scipy.sparse")
        return sparse.csr_matrix(where.asarray(X))
    return scipy.sparse.csr_array(np.asarray(X, dtype=where.dtype))


def alike(found, expected, tolerance=1e-8):
    for name in ("w", "b"):
        np.testing.assert_allclose(
            to_host(getattr(found, name)), to_host(getattr(expected, name)), rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize("where", ABLE, indirect=True)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"l2": 0.0},
        pytest.param({"standardize": True}, marks=pytest.mark.slow),
        {"bias": False},
        pytest.param({"solver": "newton"}, marks=pytest.mark.slow),
        {"solver": "lbfgs"},
        {"solver": "gd", "max_iter": 30, "learning_rate": 0.1, "tol": None},
        {"penalty_factor": np.arange(FEATURES) % 3 + 0.0},
    ],
    ids=lambda options: ",".join(options) or "default",
)
def test_it_is_fitted_like_a_dense_one(where, classes, options):
    X, Y = drawn(classes=classes)
    given, tol = sparse_on(where, X), 1e-13 if where.dtype == "float64" else 1e-9
    options = {"l2": 1e-2, "tol": tol} | options | ROWS
    found, expected = (xlogreg.fit(one, Y, **options) for one in (given, where.asarray(X)))
    tolerance = 1e-6 if where.dtype == "float64" else 1e-2
    alike(found, expected, tolerance)
    assert dtype_name(found.w) == where.dtype
    assert place_of(found.w) == where.place
    for model in (found, expected):  # each predicts both kinds of X
        a, b = (to_host(model.predict_proba(one)) for one in (given, where.asarray(X)))
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 if where.dtype == "float64" else 1e-5)


@pytest.mark.parametrize("where", ABLE, indirect=True)
def test_many_features_take_a_metric_of_the_frequent_ones(where):
    X, Y = drawn(m=400, n_x=1100, density=0.05)
    found, expected = (xlogreg.fit(one, Y, l2=1e-2, **ROWS) for one in (sparse_on(where, X), where.asarray(X)))
    assert found.fit_info.solver == "block-lbfgs"
    assert found.fit_info.reason in ("converged", "precision")
    tolerance = 1e-6 if where.dtype == "float64" else 1e-3
    np.testing.assert_allclose(
        to_host(found.predict_proba(where.asarray(X))),
        to_host(expected.predict_proba(where.asarray(X))),
        atol=tolerance,
    )
    assert found.fit_info.cost == pytest.approx(expected.fit_info.cost, rel=1e-11 if where.dtype == "float64" else 1e-6)


FORMATS = {
    "csr array": scipy.sparse.csr_array,
    "csr": scipy.sparse.csr_matrix,
    "csc": scipy.sparse.csc_array,
    "coo": scipy.sparse.coo_array,
    "bsr": scipy.sparse.bsr_matrix,
    "lil": scipy.sparse.lil_array,
    "dok": scipy.sparse.dok_array,
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("samples", ["rows", "columns"])
def test_every_format_of_scipy_is_taken(kind, samples):
    X, Y = drawn()
    given = FORMATS[kind](X if samples == "rows" else X.T)
    before = given.copy()
    found = xlogreg.fit(given, Y, l2=1e-2, samples=samples)
    alike(found, xlogreg.fit(X, Y, l2=1e-2, **ROWS))
    assert (given != before).nnz == 0


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.int8, np.uint16, bool])
def test_every_dtype_of_numbers_is_taken(dtype):
    X, Y = drawn()
    X = (X > 0).astype(dtype)
    found, expected = (xlogreg.fit(one, Y, l2=1e-2, **ROWS) for one in (scipy.sparse.csr_array(X), X))
    alike(found, expected, 1e-3 if np.dtype(dtype).itemsize <= 2 or dtype == np.float32 else 1e-8)
    assert found.w.dtype == expected.w.dtype


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_duplicates_zeros_and_order_do_not_matter(index):
    X, Y = drawn()
    rows, columns = np.nonzero(np.ones_like(X))  # zeros, too
    order = np.random.default_rng(1).permutation(2 * rows.size)
    twice = [np.tile(part, 2)[order] for part in (rows.astype(index), columns.astype(index))]
    values = 0.5 * np.tile(X.ravel(), 2)[order]
    ends = np.argsort(twice[0], kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(twice[0]))]).astype(index)
    messy = scipy.sparse.csr_array((values[ends], twice[1][ends], starts), shape=X.shape)
    for part in (messy.data, messy.indices, messy.indptr):
        part.flags.writeable = False
    before = messy.data.copy()
    alike(xlogreg.fit(messy, Y, l2=1e-2, **ROWS), xlogreg.fit(X, Y, l2=1e-2, **ROWS))
    np.testing.assert_array_equal(messy.data, before)


def test_tensors_of_every_layout_are_taken():
    torch = pytest.importorskip("torch")
    X, Y = drawn()
    expected = xlogreg.fit(X, Y, l2=1e-2, **ROWS)
    tensor = torch.asarray(X)
    for layout in ("to_sparse_coo", "to_sparse_csr", "to_sparse_csc"):
        alike(xlogreg.fit(getattr(tensor, layout)(), Y, l2=1e-2, **ROWS), expected)
        alike(xlogreg.fit(getattr(tensor.T.contiguous(), layout)(), Y, l2=1e-2), expected)


def test_both_formats_of_jax_are_taken():
    sparse = pytest.importorskip("jax.experimental.sparse")
    X, Y = drawn()
    expected = xlogreg.fit(X, Y, l2=1e-2, **ROWS)
    for kind in (sparse.BCOO, sparse.BCSR):
        alike(xlogreg.fit(kind.fromdense(X), Y, l2=1e-2, **ROWS), expected)
        alike(xlogreg.fit(kind.fromdense(X.T), Y, l2=1e-2), expected)


@pytest.mark.parametrize("far", [1e6, 1e8])
def test_a_feature_that_rounding_makes_constant_is_an_error(far):
    X, Y = drawn()
    X[:, 3] = far + np.arange(M) % 9
    with pytest.raises(ValueError, match="its feature 3 varies by less than 1e-5 of its mean"):
        xlogreg.fit(scipy.sparse.csr_array(X), Y, l2=1e-2, **ROWS)
    X[:, 3] = far  # which is constant
    assert xlogreg.fit(scipy.sparse.csr_array(X), Y, l2=1e-2, **ROWS).w[3, 0] == 0.0


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_a_matrix_of_scipy_is_computed_by_another_backend(backend):
    pytest.importorskip(backend)
    X, Y = drawn()
    found = xlogreg.fit(scipy.sparse.csr_array(X), Y, l2=1e-2, backend=backend, **ROWS)
    alike(found, xlogreg.fit(X, Y, l2=1e-2, **ROWS))
    assert found.fit_info.backend.startswith(backend)


def test_a_backend_without_sparse_products_says_so():
    place_or_skip("array-api-strict")
    X, Y = drawn()
    with pytest.raises(TypeError, match=r"X is sparse, and array-api-strict has no sparse products; use 'numpy'"):
        xlogreg.fit(scipy.sparse.csr_array(X), Y, backend="array-api-strict", **ROWS)


@pytest.mark.parametrize("n_x", [FEATURES, pytest.param(1100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("classes", [2, 3])
def test_every_fit_takes_it(n_x, classes):
    X, Y = drawn(n_x=n_x, classes=classes)
    given, folds = scipy.sparse.csr_array(X), np.random.default_rng(3).permutation(np.arange(M) % 3)
    fits = {
        "path": lambda X: xlogreg.fit_path(X, Y, [1.0, 0.1, 0.03], **ROWS),
        "many": lambda X: xlogreg.fit_many(X, [Y == 0, Y == 1], l2s=[0.1, 0.03], **ROWS),
        "cv": lambda X: [xlogreg.fit_cv(X, Y, [0.1, 0.03], folds=folds, **ROWS).model],
        "runs": lambda X: [xlogreg.fit_cv(X, Y, [0.1, 0.03], folds=np.sort(folds), **ROWS).model],
        "auc": lambda X: [xlogreg.fit_cv(X, Y == 0, [0.1, 0.03], folds=folds, scoring="roc_auc", **ROWS).model],
    }
    for name, fitted in fits.items():
        for found, expected in zip(fitted(given), fitted(X), strict=True):
            p, q = (model.predict_proba(X) for model in (found, expected))
            np.testing.assert_allclose(p, q, atol=1e-5, err_msg=name)
    found, expected = (xlogreg.bootstrap(one, Y, 5, l2=0.1, **ROWS).w for one in (given, X))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_scores_of_held_out_samples_are_those_of_a_dense_x():
    X, Y = drawn()
    folds = np.arange(M) % 3
    for scoring in ("log_loss", "roc_auc", "balanced_accuracy"):
        found, expected = (
            xlogreg.fit_cv(one, Y, [1.0, 0.01], folds=folds, scoring=scoring, **ROWS)
            for one in (scipy.sparse.csr_array(X), X)
        )
        for name in expected.scores:
            np.testing.assert_allclose(found.scores[name], expected.scores[name], rtol=1e-6)


def test_standard_errors_and_evaluations_are_those_of_a_dense_x():
    X, Y = drawn()
    given = scipy.sparse.csr_array(X)
    found, expected = (xlogreg.fit(one, Y, **ROWS) for one in (given, X))
    np.testing.assert_allclose(found.standard_errors().w, expected.standard_errors().w, rtol=1e-6)
    assert found.evaluate(given, Y).log_loss == pytest.approx(expected.evaluate(X, Y).log_loss, rel=1e-9)
    assert found.fit_info.rank == expected.fit_info.rank == FEATURES + 1


def test_features_without_values_have_the_weight_zero_and_do_not_count():
    X, Y = drawn()
    X[:, [3, 7]] = 0.0
    model = xlogreg.fit(scipy.sparse.csr_array(X), Y, **ROWS)
    assert model.w[3, 0] == model.w[7, 0] == 0.0
    assert model.fit_info.rank == FEATURES - 1
    nothing = xlogreg.fit(scipy.sparse.csr_array((M, 1100)), Y, l2=1e-2, **ROWS)
    assert (nothing.w == 0.0).all()
    assert nothing.b[0, 0] == pytest.approx(np.log(Y.mean() / (1 - Y.mean())))
    wide = scipy.sparse.csr_array(np.hstack([X, np.zeros((M, 500))]))
    assert (xlogreg.fit(wide, Y, l2=1e-2, **ROWS).w[FEATURES:] == 0.0).all()


def test_subsets_and_threads_take_it():
    X, Y = drawn(m=60_000, n_x=40)
    found, expected = (xlogreg.fit(one, Y, tol=1e-14, **ROWS) for one in (scipy.sparse.csr_array(X), X))
    assert found.fit_info.converged
    alike(found, expected, 1e-5)


def test_separated_classes_are_found():
    X, _ = drawn()
    Y = X[:, 0] > 0
    with pytest.warns(xlogreg.SeparationWarning):
        assert xlogreg.fit(scipy.sparse.csr_array(X), Y, **ROWS).fit_info.separation != "none"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.05, 0.5, 1.0]))
def test_a_permutation_of_samples_or_features_changes_nothing(seed, density):
    rng = np.random.default_rng(seed)
    X, Y = drawn(m=80, n_x=12, seed=seed, density=density)
    rows, columns = rng.permutation(80), rng.permutation(12)
    plain = xlogreg.fit(scipy.sparse.csr_array(X), Y, l2=0.1, tol=1e-14, **ROWS)
    other = xlogreg.fit(scipy.sparse.csc_array(X[rows][:, columns]), Y[rows], l2=0.1, tol=1e-14, **ROWS)
    np.testing.assert_allclose(other.w, plain.w[columns], rtol=1e-5, atol=1e-7)


def bad(values=(1.0, 2.0), features=(0, 1), starts=(0, 1, 2), shape=(2, 2)):
    matrix = scipy.sparse.csr_array(shape)
    matrix.data, matrix.indices, matrix.indptr = (np.asarray(part) for part in (values, features, starts))
    return matrix


@pytest.mark.parametrize(
    ("X", "error", "words"),
    [
        (bad(values=(1.0, np.nan)), ValueError, "1 value that is not finite .* nan at row 1, column 1"),
        (bad(values=(1.0, -np.inf)), ValueError, "-inf at row 1, column 1"),
        (bad(features=(0, 9)), ValueError, "X is no valid sparse matrix: .*ind"),
        (bad(features=(0, -1)), ValueError, "X is no valid sparse matrix: .*ind"),
        (scipy.sparse.csr_array(np.ones((3, 2))), ValueError, "Y has 2 labels|2 samples|3 samples"),
        (
            scipy.sparse.csr_array(np.ones((2, 2)) * 1j),
            TypeError,
            "X must hold numbers; got a sparse csr_array of complex",
        ),
        (scipy.sparse.coo_array(np.ones(2)), ValueError, r"X must have two axes, .* got the shape \(2,\)"),
        (scipy.sparse.csr_array((2, 0)), ValueError, "X is empty"),
    ],
    ids=["nan", "infinity", "index", "negative index", "labels", "complex", "one axis", "empty"],
)
def test_bad_input_is_one_clear_error(X, error, words):
    with pytest.raises(error, match=words):
        xlogreg.fit(X, [0, 1], **ROWS)


def test_only_x_may_be_sparse():
    X, Y = drawn()
    with pytest.raises(TypeError, match=r"Y is a sparse .*, where only X may be sparse"):
        xlogreg.fit(X, scipy.sparse.csr_array(Y[:, None]), **ROWS)
    with pytest.raises(TypeError, match=r"sample_weight is a sparse .*, where only X may be sparse"):
        xlogreg.fit(X, Y, sample_weight=scipy.sparse.csr_array(np.ones((M, 1))), **ROWS)


def test_a_transposed_shape_names_the_way_out():
    X, Y = drawn()
    model = xlogreg.fit(scipy.sparse.csr_array(X), Y, l2=1e-2, **ROWS)
    with pytest.raises(ValueError, match="did you pass samples as columns"):
        model.predict(scipy.sparse.csr_array(X.T))


LARGE = """
import numpy as np, resource, scipy.sparse, xlogreg
rng = np.random.default_rng(0)
m, n_x = 20_000, 1_000_000
words = np.minimum(rng.zipf(1.3, (m, 20)) - 1, n_x - 1)
X = scipy.sparse.csr_array((np.ones(m * 20), words.ravel(), np.arange(m + 1) * 20), shape=(m, n_x))
Y = rng.random(m) < 0.3 + 0.4 * (words == 5).any(1)
resource.setrlimit(resource.RLIMIT_AS, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + 6 * 2**30,) * 2)
model = xlogreg.fit(X, Y, l2=1e-2, samples="rows")
assert model.fit_info.converged
model.predict_proba(X), model.evaluate(X, Y), xlogreg.fit_cv(X, Y, [1e-2], folds=2, samples="rows")
"""


@pytest.mark.slow
def test_a_large_one_is_never_made_dense():
    """A dense X would take 160 GB; the process may take six above what it has."""
    assert subprocess.run([sys.executable, "-c", LARGE], check=False).returncode == 0


def test_features_that_hardly_any_text_has_are_left_out_of_the_steps():
    """A hashed text: its features lie among a million, which have no values."""
    X, Y = drawn(n_x=1100, density=0.1)
    rng, seen = np.random.default_rng(2), []
    at = np.sort(rng.permutation(2**20)[:1100])
    hashed = scipy.sparse.csr_array(X)
    hashed = scipy.sparse.csr_array((hashed.data, at[hashed.indices], hashed.indptr.astype(np.int64)), (M, 2**20))
    found = xlogreg.fit(hashed, Y, l2=1e-2, callback=lambda state: seen.append(state.w.shape), **ROWS)
    expected = xlogreg.fit(scipy.sparse.csr_array(X), Y, l2=1e-2, **ROWS)
    np.testing.assert_allclose(found.w[at], expected.w, rtol=1e-6, atol=1e-9)
    assert np.count_nonzero(found.w) <= 1100
    assert set(seen) == {(2**20, 1)}
    assert found.fit_info.gap_known == expected.fit_info.gap_known


def test_models_of_many_features_share_the_passes_along_a_path():
    X, Y = drawn(m=500, n_x=1200, density=0.05)
    given, l2s = scipy.sparse.csr_array(X), np.geomspace(1.0, 0.01, 8)
    path = xlogreg.fit_path(given, Y, l2s, **ROWS)
    alone = [xlogreg.fit(given, Y, l2=l2, **ROWS) for l2 in l2s]
    for found, expected in zip(path, alone, strict=True):
        assert found.fit_info.cost == pytest.approx(expected.fit_info.cost, rel=1e-11)
        assert found.fit_info.solver == "batch"
    assert sum(model.fit_info.passes for model in path[2:]) < sum(model.fit_info.passes for model in alone[2:])


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
def test_a_few_values_far_out_hide_no_gap(classes):
    X, Y = drawn(m=600, n_x=1100 if classes == 2 else 400, classes=classes, density=0.1)
    for feature in (3, 40, 200):
        X[np.flatnonzero(X[:, feature])[0], feature] *= 1e4
    given = scipy.sparse.csr_array(X)
    found = xlogreg.fit(given, Y, l2=1e-3, tol=1e-6, **ROWS).fit_info
    least = xlogreg.fit(given, Y, l2=1e-3, solver="newton", **ROWS).fit_info.cost
    assert found.solver == "block-lbfgs"
    assert found.converged
    assert found.cost - least <= 2e-6 * least
