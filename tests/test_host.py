"""NumPy's own ways: memory that BLAS takes, and that is kept from block to block."""

import numpy as np
import pytest

import xlogreg
from xlogreg.arrays.libraries import numpy as host
from xlogreg.arrays.matrix import Dense
from xlogreg.arrays.place import HOST
from xlogreg.arrays.products import scores
from xlogreg.inputs.matrices import computing_dtype
from xlogreg.math.losses import LOSSES
from xlogreg.math.sums import (
    combine_terms,
    correlation_terms,
    expansion_terms,
    gradient_terms,
    pass_terms,
    second_moment_terms,
    spread_terms,
)
from xlogreg.samples.memory import InMemory
from xlogreg.samples.products import combine_features, map_samples, multiply_samples
from xlogreg.samples.source import Columns
from xlogreg.solvers.coordinates import user_coordinates
from xlogreg.solvers.span import reduce_wide


@pytest.mark.parametrize("samples", ["columns", "rows"])
def test_x_that_begins_anywhere_in_memory_is_computed_with_by_blas(samples):
    """What came through a wire, say; in memory of the thread, which the next fit overwrites."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4, 300) if samples == "columns" else (300, 4))
    Y = rng.random(300) > 0.5
    odd = np.frombuffer(b"." + X.tobytes(), dtype=X.dtype, offset=1).reshape(X.shape)
    assert not odd.flags.aligned
    source, other = (
        InMemory(Dense(x, samples == "rows"), Columns(np.asarray(Y[None, :], dtype=float)), HOST, "float64", 300.0)
        for x in (odd, odd[::-1])
    )
    theta = np.ones((5, 1, 1))
    before = source.sum(gradient_terms, theta, LOSSES["log_loss"])
    other.sum(gradient_terms, theta, LOSSES["log_loss"])
    assert source.block(0, 300).X.flags.aligned
    for first, again in zip(before, source.sum(gradient_terms, theta, LOSSES["log_loss"]), strict=True):
        assert np.array_equal(first, again)
    model, here = xlogreg.fit(odd, Y, samples=samples), xlogreg.fit(X, Y, samples=samples)
    assert np.array_equal(model.w, here.w)
    assert np.array_equal(model.predict_proba(odd), here.predict_proba(X))


def test_pages_are_kept_where_a_variable_had_them_given_back(monkeypatch):
    """As dask sets one for its workers; afterwards its value counts again, once nobody keeps them any more."""
    calls = []
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "65536")
    monkeypatch.setattr(host, "_mallopt", lambda: lambda option, value: calls.append((option, value)))
    with host.pages_kept():
        with host.pages_kept():
            assert set(calls) == {(-1, 2**26), (-3, 2**25)}
        assert set(calls) == {(-1, 2**26), (-3, 2**25)}
        calls.clear()
    assert calls == [(-1, 65536), (-3, 2**17)]


def test_pages_are_left_to_the_system_where_no_variable_is_set(monkeypatch):
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"):
        monkeypatch.delenv(name, raising=False)
    host._mallopt.cache_clear()
    assert host._mallopt() is None
    with host.pages_kept():
        pass


LAYOUTS = {
    "big-endian": lambda X: X.astype(">f8"),
    "big-endian float32": lambda X: X.astype(">f4"),
    "big-endian integers": lambda X: np.round(X).astype(">i4"),
    "float16": lambda X: X.astype(np.float16),
    "integers": lambda X: np.round(X).astype(np.int64),
    "bytes": lambda X: np.round(np.abs(X)).astype(np.uint8),
    "bools": lambda X: X > 0,
    "unaligned": lambda X: np.frombuffer(b"." + X.tobytes(), dtype=X.dtype, offset=1).reshape(X.shape),
    "as it is computed with": lambda X: X,
}


def _models(source):
    whole = {"source": source, "keep": source.keep(np.asarray([0])), "alone": source.alone(0)}
    whole |= {"centered": source.centered(np.ones((4, 1))), "widened": source.widened(), "narrowed": source.narrowed()}
    few = {f"few of {name}": found.take(np.arange(1, 90, 2)) for name, found in whole.items()}
    fetched = {f"fetched of {name}": found.take(np.arange(1, 90, 2), gathered=0) for name, found in whole.items()}
    drawn = dict(enumerate(source.samples((20, 20), np.asarray([0.5, 0.5]), np.random.default_rng(0))))
    folds = source.leaving_out(np.arange(90) % 3, np.asarray([0, 1, 2])).parts
    rows = source.leaving_out(np.arange(90) // 30, np.asarray([0, 1, 2])).parts
    every = whole | few | fetched | drawn | dict(enumerate((*folds, *rows), start=len(drawn)))
    return every | {f"settled {name}": found.settled() for name, found in every.items()}


def _answers(found):
    """All that a source gives away, but for its next block: to be kept as long as its user likes."""
    theta, loss = np.full((5, 1, 1), 0.1), LOSSES["log_loss"]
    for function in (gradient_terms, pass_terms, expansion_terms):
        yield from found.sum(function, theta, loss)
    yield from found.sum(spread_terms, np.zeros((4, 1)))
    yield from found.sum(second_moment_terms, theta)
    yield from found.sum(correlation_terms, theta)
    yield from found.sum(combine_terms, np.ones((found.m, 2)))
    yield map_samples(found, lambda X: scores(X, theta[:-1, 0], theta[-1:, 0]))
    yield multiply_samples(found, np.ones((4, 1)))
    yield combine_features(found, np.ones((found.m, 2)), np.ones((4, 1)))
    yield reduce_wide(found, user_coordinates(4, False, None), centered=True).source.X.array
    yield found.raw(0, found.m)
    yield found.X.features(slice(1, 3), found.place)
    yield found.shares()


@pytest.mark.slow
@pytest.mark.parametrize("samples", ["columns", "rows"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_answer_lies_in_memory_that_a_later_block_overwrites(layout, samples):
    rng = np.random.default_rng(0)
    Y = (rng.random((1, 90)) > 0.5).astype(float)

    def source(center):
        X = LAYOUTS[layout](3.0 * rng.standard_normal((4, 90) if samples == "columns" else (90, 4)))
        made = InMemory(Dense(X, samples == "rows"), Columns(Y), HOST, computing_dtype(X), 90.0)
        return made if center is None else made.centered(center)

    for center in (None, np.full((4, 1), 0.5)):
        first, later = _models(source(center)), source(center)
        answers = {name: list(_answers(found)) for name, found in first.items()}
        kept = {name: [np.array(answer) for answer in found] for name, found in answers.items()}
        list(_answers(later))
        later.narrowed(), later.widened().settled()
        for name, found in first.items():
            again = list(_answers(found))
            for answer, before, after in zip(answers[name], kept[name], again, strict=True):
                assert not any(np.shares_memory(answer, scratch) for scratch in vars(host._scratch).values()), name
                np.testing.assert_array_equal(answer, before, err_msg=str(name))
                np.testing.assert_array_equal(after, before, err_msg=str(name))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_model_is_that_of_the_same_numbers_in_any_layout(layout):
    rng = np.random.default_rng(1)
    X = LAYOUTS[layout](3.0 * rng.standard_normal((3, 60)))
    plain = np.ascontiguousarray(X.astype("float64"))
    Y = (rng.random(60) < 1 / (1 + np.exp(-plain[0]))).astype(int)
    for options in ({}, {"bias": False}, {"solver": "gd", "max_iter": 20}, {"standardize": True, "l2": 0.1}):
        model, other = (xlogreg.fit(x, Y, dtype="float64", **options) for x in (X, plain))
        np.testing.assert_allclose(model.w, other.w, rtol=1e-6, atol=1e-9)
        first = model.predict_proba(plain)
        Z, A, logs = model.decision_function(X), model.predict_proba(X), model.predict_log_proba(X)
        kept = [np.array(part) for part in (Z, A, logs)]
        model.predict_proba(LAYOUTS[layout](3.0 * rng.standard_normal((3, 60))))
        for part, before in zip((Z, A, logs), kept, strict=True):
            np.testing.assert_array_equal(part, before)
        np.testing.assert_allclose(A, first, rtol=1e-3)


def test_ones_in_the_bytes_of_another_machine_are_fitted_without_a_bias():
    model = xlogreg.fit(np.ones((1, 3), ">f8"), [0, 0, 1], bias=False)
    np.testing.assert_allclose(model.w, [[np.log(0.5)]], rtol=1e-9)
    np.testing.assert_allclose(model.fit_info.cost, 0.6365141682948128, rtol=1e-12)
