"""NumPy's own ways: memory that BLAS takes, and that is kept from block to block."""

import numpy as np
import pytest

import xlogreg
from xlogreg import host
from xlogreg.backends import HOST
from xlogreg.data import InMemory
from xlogreg.losses import LOSSES
from xlogreg.terms import gradient_terms


@pytest.mark.parametrize("samples", ["columns", "rows"])
def test_x_that_begins_anywhere_in_memory_is_computed_with_by_blas(samples):
    """What came through a wire, say; in memory of the thread, which the next fit overwrites."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4, 300) if samples == "columns" else (300, 4))
    Y = rng.random(300) > 0.5
    odd = np.frombuffer(b"." + X.tobytes(), dtype=X.dtype, offset=1).reshape(X.shape)
    assert not odd.flags.aligned
    source, other = (
        InMemory(x, np.asarray(Y[None, :], dtype=float), None, HOST, "float64", 300.0, samples == "rows")
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
