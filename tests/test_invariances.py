"""What may not matter does not: order, repeats, layout, scale, shift, names, backend."""

import numpy as np
import pytest
from conftest import place_or_skip

import xlogreg
from xlogreg.arrays.place import HOST, to_host

hypothesis = pytest.importorskip("hypothesis")
given, settings, st = hypothesis.given, hypothesis.settings, hypothesis.strategies
arrays = pytest.importorskip("hypothesis.extra.numpy").arrays

# shapes are fixed and values drawn: JAX compiles anew for every shape
N_X, M = 3, 40
seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=25, deadline=None, derandomize=True)


def draw_problem(seed):
    """Soft targets, so that the optimum exists whatever is drawn."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N_X, M)) * rng.uniform(0.1, 10, (N_X, 1)) + rng.uniform(-5, 5, (N_X, 1))
    return X, rng.uniform(0.02, 0.98, (1, M)), rng


def probabilities(X, Y, at=None, **options):
    options = {"targets": "probabilities", "l2": 0.01, **options}
    return xlogreg.fit(X, Y, **options).predict_proba(X if at is None else at)


@quick
@given(seeds)
def test_repeating_every_sample_changes_nothing(seed):
    X, Y, _ = draw_problem(seed)
    twice = probabilities(np.tile(X, 2), np.tile(Y, 2), at=X)
    np.testing.assert_allclose(twice, probabilities(X, Y), atol=1e-9)


@quick
@given(seeds, arrays(np.int64, M, elements=st.integers(0, 3)))
def test_whole_weights_are_repeats(seed, counts):
    X, Y, _ = draw_problem(seed)
    counts = counts.copy()
    counts[:2] = 1
    repeated = probabilities(np.repeat(X, counts, axis=1), np.repeat(Y, counts, axis=1), at=X)
    np.testing.assert_allclose(probabilities(X, Y, sample_weight=counts), repeated, atol=1e-9)


@quick
@given(seeds)
def test_the_order_of_samples_and_features_does_not_matter(seed):
    X, Y, rng = draw_problem(seed)
    samples, features = rng.permutation(M), rng.permutation(N_X)
    shuffled = probabilities(X[features][:, samples], Y[:, samples])
    np.testing.assert_allclose(shuffled, probabilities(X, Y)[:, samples], atol=1e-9)


@quick
@given(seeds, arrays(np.float64, (N_X, 1), elements=st.floats(-8, 8)))
def test_the_scale_of_features_does_not_matter_without_a_penalty(seed, exponents):
    X, Y, _ = draw_problem(seed)
    scaled = probabilities(X * 10.0**exponents, Y, l2=0.0)
    np.testing.assert_allclose(scaled, probabilities(X, Y, l2=0.0), atol=1e-7)


@quick
@given(seeds, st.sampled_from([-1e4, 2020.0, 1e6]))
def test_a_constant_added_to_a_feature_moves_only_the_bias(seed, shift):
    X, Y, _ = draw_problem(seed)
    plain = xlogreg.fit(X, Y, targets="probabilities", l2=0.01)
    moved = xlogreg.fit(X + shift, Y, targets="probabilities", l2=0.01)
    np.testing.assert_allclose(moved.w, plain.w, atol=1e-7)
    np.testing.assert_allclose(moved.predict_proba(X + shift), plain.predict_proba(X), atol=1e-7)


@quick
@given(seeds)
def test_swapping_the_classes_negates_the_parameters(seed):
    X, Y, _ = draw_problem(seed)
    plain = xlogreg.fit(X, Y, targets="probabilities")
    swapped = xlogreg.fit(X, 1 - Y, targets="probabilities")
    np.testing.assert_allclose(swapped.w, -plain.w, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(swapped.b, -plain.b, rtol=1e-6, atol=1e-9)


@quick
@given(seeds)
def test_two_columns_of_probabilities_are_one_row(seed):
    X, Y, _ = draw_problem(seed)
    np.testing.assert_array_equal(probabilities(X, np.concatenate([1 - Y, Y])), probabilities(X, Y))


LAYOUTS = {
    "F order": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "reversed": lambda X: np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
    "big-endian": lambda X: X.astype(">f8"),
    "read-only": lambda X: np.lib.stride_tricks.as_strided(X.copy(), writeable=False),
    "list": lambda X: X.tolist(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("backend", ["numpy", "torch", "jax", "array-api-strict"])
def test_layout_does_not_matter_and_X_is_not_changed(layout, backend):
    place_or_skip(backend)
    X, Y, _ = draw_problem(0)
    laid = LAYOUTS[layout](X)
    np.testing.assert_allclose(probabilities(laid, Y, backend=backend), probabilities(X, Y), atol=1e-10)
    rows = LAYOUTS[layout](np.ascontiguousarray(X.T))
    by_rows = probabilities(rows, Y.T, samples="rows", backend=backend)
    np.testing.assert_allclose(by_rows.T, probabilities(X, Y), atol=1e-10)
    np.testing.assert_array_equal(np.asarray(laid), X)
    np.testing.assert_array_equal(np.asarray(rows), X.T)


@pytest.mark.parametrize("backend", ["torch", "jax", "array-api-strict"])
def test_the_backend_does_not_matter(backend):
    place = place_or_skip(backend)
    for seed in range(10):
        X, Y, _ = draw_problem(seed)
        there = to_host(probabilities(place.put(X), place.put(Y)))
        np.testing.assert_allclose(there, probabilities(X, Y), atol=1e-9)
        there = to_host(probabilities(place.put(X, "float32"), Y))
        np.testing.assert_allclose(there, probabilities(X, Y), atol=1e-4)


def test_the_same_fit_twice_is_bitwise_the_same():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((40, 30_000)), rng.random(30_000) < 0.5
    for solver in ("gd", "newton", "lbfgs"):
        first, second = (xlogreg.fit(X, Y, solver=solver, **({"max_iter": 10} if solver == "gd" else {})) for _ in "ab")
        assert first.w.tobytes() == second.w.tobytes()
        assert first.b.tobytes() == second.b.tobytes()


def test_blocks_of_rows_and_of_columns_are_the_same_samples():
    from xlogreg.arrays.matrix import Dense
    from xlogreg.samples.memory import InMemory
    from xlogreg.samples.source import Columns

    X = np.arange(60.0).reshape(4, 15)
    Y = np.arange(15.0)[None, :]
    for rows in (False, True):
        source = InMemory(Dense(X.T if rows else X, rows), Columns(Y), HOST, "float64", 15.0, block_bytes=4 * 4 * 8)
        blocks = [source.block(*span) for span in source.spans()]
        assert len(blocks) == 4
        assert [block.start for block in blocks] == [0, 4, 8, 12]
        np.testing.assert_array_equal(np.concatenate([block.X for block in blocks], axis=1), X)
        np.testing.assert_array_equal(np.concatenate([block.Y for block in blocks], axis=1), Y)
