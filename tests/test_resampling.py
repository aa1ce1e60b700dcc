"""The bootstrap: each replicate is the fit to the samples it drew."""

import numpy as np
import pytest
from conftest import QUICK

import xlogreg
from xlogreg.arrays.place import to_host


def drawn(K=2, m=300, n_x=3):
    rng = np.random.default_rng(5)
    X = rng.standard_normal((n_x, m))
    Z = rng.standard_normal((n_x, K)).T @ X
    return X, np.argmax(Z + rng.gumbel(size=Z.shape), axis=0)


def counts(replicates, m, seed=0):
    rng = np.random.default_rng(seed)
    return [np.bincount(rng.integers(m, size=m), minlength=m) for _ in range(replicates)]


@pytest.mark.parametrize("K", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_each_replicate_is_the_fit_to_what_it_drew(where, K, weighted):
    X, Y = drawn(K)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, 300) if weighted else None
    found = xlogreg.bootstrap(where.asarray(X), Y, 4, l2=1e-3, sample_weight=weight)
    near = 1e-5 if where.dtype == "float64" else 1e-2
    for number, count in enumerate(counts(4, 300)):
        alone = xlogreg.fit(X, Y, l2=1e-3, sample_weight=count if weight is None else count * weight)
        np.testing.assert_allclose(found.w[number], alone.w, atol=near)
        np.testing.assert_allclose(found.b[number], alone.b, atol=near)
    where.check(found.model.w, to_host(xlogreg.fit(X, Y, l2=1e-3, sample_weight=weight).w), rtol=near)


def test_replicates_spread_as_the_standard_errors_say():
    X, Y = drawn(m=2000)
    found = xlogreg.bootstrap(X, Y, 300)
    errors = found.model.standard_errors()
    np.testing.assert_allclose(found.w.std(axis=0), errors.w, rtol=0.15)
    low, high = found.interval(0.95).w
    np.testing.assert_allclose((high - low) / (2 * 1.96), errors.w, rtol=0.2)
    assert np.all((low < found.model.w) & (found.model.w < high))
    narrow_low, narrow_high = found.interval(0.5).b
    assert found.interval(0.9).b[0] < narrow_low < narrow_high < found.interval(0.9).b[1]


def test_many_replicates_are_drawn_in_portions(monkeypatch):
    X, Y = drawn()
    whole = xlogreg.bootstrap(X, Y, 7, l2=1e-2)
    monkeypatch.setattr("xlogreg.fitting.bootstrap.COUNTS_BYTES", 900)
    np.testing.assert_allclose(xlogreg.bootstrap(X, Y, 7, l2=1e-2).w, whole.w, atol=1e-6)


def test_replicates_without_a_minimum_are_left_out():
    X, Y = np.asarray([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]), [0, 0, 1, 0, 1, 1]
    with pytest.warns(xlogreg.XlogregWarning) as caught:
        found = xlogreg.bootstrap(X, Y, 50)
    lost = int(np.sum(~found.valid))
    assert 0 < lost < 50
    assert f"no minimum was found for {lost} of 50 replicates" in str(caught[-1].message)
    for number, count in enumerate(counts(50, 6)):
        ones, zeros = X[0, (count > 0) & (np.asarray(Y) == 1)], X[0, (count > 0) & (np.asarray(Y) == 0)]
        apart = min(len(ones), len(zeros)) == 0 or zeros.max() <= ones.min() or ones.max() <= zeros.min()
        assert found.valid[number] != apart
    assert np.all(np.isfinite(found.interval().w[0]))
    assert f"50 replicates, {50 - lost} with a minimum" in repr(found)


def test_the_seed_decides():
    X, Y = drawn()
    one, same, other = (xlogreg.bootstrap(X, Y, 3, rng=seed).w for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert np.all(one != other)


@pytest.mark.parametrize("replicates", [0, -1, 2.5, True, "many"])
def test_a_number_of_replicates_that_is_none_is_refused(replicates):
    X, Y = drawn()
    with pytest.raises(ValueError, match="replicates must be a whole number, 1 or more"):
        xlogreg.bootstrap(X, Y, replicates)


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_a_level_that_is_none_is_refused(level):
    X, Y = drawn()
    with pytest.raises(ValueError, match="level must lie between 0 and 1"):
        xlogreg.bootstrap(X, Y, 2).interval(level)
