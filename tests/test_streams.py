"""Samples from a factory of blocks: the answer is that of memory, and what changes between passes is found."""

import tracemalloc

import numpy as np
import pytest

import xlogreg
from xlogreg.samples.files import sequential
from xlogreg.samples.files.factory import take_in
from xlogreg.samples.files.sequential import Reservoir

M, N = 3000, 5


@pytest.fixture(scope="module")
def table():
    """X (3000, 5) rows, Y (3000,) sorted by label."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((M, N)) * [1, 3, 0.1, 1, 1] + [0, 2020, 0, 0, 1]
    Y = (X @ [0.7, -0.2, 4.0, 0.5, 0.0] + 404 + rng.logistic(size=M) > 0).astype(int)
    order = np.argsort(Y, kind="stable")
    return X[order], Y[order]


class Factory:
    """Blocks of some arrays whose samples are rows; counts how often it was called, and how often to the end."""

    def __init__(self, *arrays, cuts=(100, 101, 900, 900, 2500), columns=False, change=None):
        self.arrays, self.cuts, self.columns, self.change = arrays, cuts, columns, change
        self.calls = self.ends = 0

    def __call__(self):
        self.calls += 1
        for number, block in enumerate(zip(*(np.split(part, self.cuts) for part in self.arrays), strict=True)):
            block = tuple(part.T if self.columns and part.ndim == 2 else part for part in block)
            changed = self.change(self.calls, number, block) if self.change is not None else block
            if changed is not None:
                yield changed
        self.ends += 1


def assert_same(model, other, X):
    np.testing.assert_allclose(model.predict_proba(X), other.predict_proba(X), rtol=0, atol=1e-8)


def test_a_fit_is_that_of_memory(table, subsets):
    X, Y = table
    rng = np.random.default_rng(0)
    weight, three = rng.integers(0, 3, M), np.where(X[:, 0] > 0.8, 2, Y)
    rows = {"samples": "rows"}
    for options in ({}, {"l2": 0.1}, {"standardize": True, "l2": 0.01}, {"solver": "newton"}):
        assert_same(xlogreg.fit(Factory(X, Y), **rows, **options), xlogreg.fit(X, Y, **rows, **options), X)
    weighted = xlogreg.fit(X, Y, sample_weight=weight, **rows)
    assert_same(xlogreg.fit(Factory(X, Y, weight), **rows), weighted, X)
    assert_same(xlogreg.fit(Factory(X, three), l2=0.01, **rows), xlogreg.fit(X, three, l2=0.01, **rows), X)
    assert_same(xlogreg.fit(Factory(X, Y, columns=True)), xlogreg.fit(X.T, Y), X.T)
    hot = np.eye(3, dtype=int)[three]
    assert_same(xlogreg.fit(Factory(X, hot), l2=0.01, **rows), xlogreg.fit(X, hot, l2=0.01, **rows), X)
    assert_same(xlogreg.fit(Factory(X, hot, columns=True), l2=0.01), xlogreg.fit(X.T, hot.T, l2=0.01), X.T)
    names = np.asarray(["no", "yes"])[Y]
    assert xlogreg.fit(Factory(X, names), **rows).classes.tolist() == ["no", "yes"]


def test_many_models_paths_and_folds_are_those_of_memory(table, subsets):
    X, Y = table
    rows, l2s = {"samples": "rows"}, [1.0, 0.1, 0.01]
    for model, other in zip(
        xlogreg.fit_path(Factory(X, Y), None, l2s, **rows), xlogreg.fit_path(X, Y, l2s, **rows), strict=True
    ):
        assert_same(model, other, X)
    chosen, other = xlogreg.fit_cv(Factory(X, Y), None, l2s, **rows), xlogreg.fit_cv(X, Y, l2s, **rows)
    np.testing.assert_allclose(chosen.scores["log_loss"], other.scores["log_loss"], atol=1e-8)
    for Ys, given, penalties in ((np.stack([Y, 1 - Y], axis=1), None, 0.1), (Y, [Y], l2s)):
        there = xlogreg.fit_many(Factory(X, Ys), None, l2s=penalties, **rows)
        here = xlogreg.fit_many(X, Ys if given is None else given, l2s=penalties, **rows)
        for model, other in zip(there, here, strict=True):
            assert_same(model, other, X)


def test_frames_give_their_names(table):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    X, Y = table

    def factory():
        for part in (slice(0, 2000), slice(2000, M)):
            frame = polars.DataFrame({name: X[part, i] for i, name in enumerate("abcde")})
            yield frame.select(list("edcba") if part.start else list("abcde")), Y[part]

    model = xlogreg.fit(factory, samples="rows", l2=0.1)
    assert model.feature_names == tuple("abcde")
    assert_same(model, xlogreg.fit(X, Y, samples="rows", l2=0.1), X)


def test_a_fit_calls_the_factory_at_most_seven_times():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((60_000, 20)).astype(np.float32)
    Y = X @ rng.standard_normal(20) + rng.logistic(size=len(X)) > 0
    factory = Factory(X, Y, cuts=(20_000, 45_000))
    model = xlogreg.fit(factory, samples="rows")
    assert model.fit_info.converged
    assert model.fit_info.solver == "sampled-newton"
    assert factory.calls <= 7
    assert factory.ends == factory.calls


def test_blocks_may_be_made_in_the_same_memory(table):
    X, Y = table
    memory = np.empty((500, N))

    def factory():
        for start in range(0, M, 500):
            memory[...] = X[start : start + 500]
            yield memory, Y[start : start + 500]

    assert_same(xlogreg.fit(factory, samples="rows", l2=0.1), xlogreg.fit(X, Y, samples="rows", l2=0.1), X)


@pytest.mark.slow
def test_x_is_never_whole_in_memory():
    def factory():
        rng = np.random.default_rng(0)
        for _ in range(30):
            X = rng.standard_normal((10_000, 50), dtype=np.float32)
            yield X, X[:, 0] + rng.logistic(size=len(X)) > 0

    tracemalloc.start()
    model = xlogreg.fit(factory, samples="rows", l2=0.1, tol=1e-3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert model.fit_info.converged
    assert peak < 0.8 * 300_000 * 50 * 4 + 2 * sequential.KEPT_BYTES


def test_the_reservoir_is_a_fair_draw(monkeypatch):
    monkeypatch.setattr(sequential, "KEPT_BYTES", 400 * 8)
    reservoir = Reservoir(0)
    for start in range(0, 10_000, 1000):
        reservoir.add(start, np.arange(start, start + 1000.0)[:, None])
    index, X = reservoir.drawn()
    np.testing.assert_array_equal(index, X[:, 0])
    assert np.all(np.diff(index) > 0)
    assert 300 <= len(index) <= 900
    assert np.histogram(index, bins=5, range=(0, 10_000))[0].min() > 0.5 * len(index) / 5


SAME = {"samples": "rows", "l2": 0.1, "tol": 1e-12}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda call, n, block: (block[0], 1 - block[1]) if call > 1 and n == 4 else block, "block 4 .*other targets"),
        (lambda call, n, block: (block[0][1:], block[1][1:]) if call > 1 and n == 2 else block, "block 2 .*holds 798"),
        (lambda call, n, block: None if call > 1 and n == 2 else block, "block 4 .*holds|block 3 .*holds"),
        (lambda call, n, block: None if call > 1 and n == 5 else block, "X ended after 2500 samples; it held 3000"),
        (lambda call, n, block: None if call == 1 and n == 5 else block, "X goes on after 2500 samples"),
    ],
)
def test_other_data_the_second_time_are_found(change, message, table):
    with pytest.raises(xlogreg.BlockError, match=message):
        xlogreg.fit(Factory(*table, change=change), **SAME)


def test_a_factory_that_fails_names_the_block(table):
    def failing(call, number, block):
        if call > 2 and number == 4:
            raise OSError("the network is gone")
        return block

    with pytest.raises(xlogreg.BlockError, match="factory failed at block 4: OSError: the network is gone"):
        xlogreg.fit(Factory(*table, change=failing), **SAME)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda n, X, Y: (X[:, :3], Y) if n == 2 else (X, Y), ValueError, "block 2 .*3 features, .* have 5"),
        (lambda n, X, Y: (X.astype("f4"), Y) if n == 2 else (X, Y), ValueError, "block 2 .*float32, .*float64"),
        (lambda n, X, Y: (X, Y[1:]) if n == 2 else (X, Y), ValueError, "block 2 .*Y has the shape"),
        (lambda n, X, Y: (X, Y.astype(str)) if n == 2 else (X, Y), ValueError, "block 2 .*1 strings for each"),
        (lambda n, X, Y: (X, Y, Y + 1) if n == 2 else (X, Y), ValueError, "block 2 .*has weights where"),
        (lambda n, X, Y: X if n == 2 else (X, Y), TypeError, "block 2 .*must be a pair"),
        (lambda n, X, Y: (X.astype(str), Y) if n == 2 else (X, Y), TypeError, "block 2 .*must hold numbers"),
    ],
)
def test_blocks_that_do_not_fit_are_named(change, error, message, table):
    with pytest.raises(error, match=message):
        xlogreg.fit(Factory(*table, change=lambda call, number, block: change(number, *block)), **SAME)


def test_nan_names_the_block(table):
    X, Y = table
    X = X.copy()
    X[1000, 4] = np.nan
    with pytest.raises(ValueError, match=r"row 1000, column 4 \(block 4 of the factory, sample 100 of it\)"):
        xlogreg.fit(Factory(X, Y), **SAME)


def test_a_label_only_in_the_last_block_counts(table):
    X, Y = table
    Y = Y.copy()
    Y[-40:] = 7
    assert xlogreg.fit(Factory(X, Y), samples="rows", l2=0.1).classes.tolist() == [0, 1, 7]


def test_what_is_no_factory_is_refused(table):
    with pytest.raises(ValueError, match="leave Y and sample_weight out"):
        xlogreg.fit(Factory(*table), table[1], samples="rows")
    with pytest.raises(ValueError, match="gives no samples"):
        xlogreg.fit(list, samples="rows")
    with pytest.raises(xlogreg.BlockError, match="the factory failed at block 0: TypeError"):
        xlogreg.fit(lambda: 7, samples="rows")
    with pytest.raises(ValueError, match="sample_weight must not be negative"):
        xlogreg.fit(Factory(*table, np.where(np.arange(M) == 5, -1, 1)), samples="rows")


def test_some_samples_are_found_by_reading_on(table):
    X, Y = table
    there = take_in(Factory(X, Y), "rows").features.X
    index = np.asarray([0, 5, 6, 2999])
    np.testing.assert_array_equal(there.read_some(index), X[index])
    there.drawable = None
    np.testing.assert_array_equal(there.read_some(index), X[index])
    np.testing.assert_array_equal(there.read(10, 20, slice(1, 3)), X[10:20, 1:3])
