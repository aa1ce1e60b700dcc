"""Fits on machines of other kinds, each in a process of its own: `python scenarios.py NAME`.

The environment of each, which makes the machine, is in `tests/test_strict_cupy.py`.
"""

import sys
import warnings

import cupy
import numpy as np
from cupy.cuda import memory
from cupy.cuda.stream import Stream, null_timeline

import xlogreg
from xlogreg.arrays.place import place_of

M, N = 4000, 12
LARGE = 40_000  # samples of 32 features


def problem(m=M, n_x=N, dtype=np.float64):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((n_x, m)).astype(dtype)
    return X, (X[0] - X[1] + rng.logistic(size=m) > 0).astype(int)


def alike(model, other, X, tolerance=1e-8):
    assert model.fit_info.converged
    found, expected = (cupy.asnumpy(one.predict_proba(X)) for one in (model, other))
    np.testing.assert_allclose(found, expected, atol=tolerance)


def elsewhere(*arrays):
    """Copy arrays to device 1; device 0 stays current."""
    with cupy.cuda.Device(1):
        return [cupy.asarray(array) for array in arrays]


def fit_on_another_device():
    X, y = problem()
    (there,) = elsewhere(X)
    model, expected = xlogreg.fit(there, y, l2=0.01), xlogreg.fit(X, y, l2=0.01)
    assert place_of(model.w).device_name == model.fit_info.device == "cuda:1"
    found, right = (float(one.evaluate(at, y).log_loss) for one, at in ((model, there), (expected, X)))
    assert abs(found - right) < 1e-9
    named = xlogreg.fit(X, y, l2=0.01, backend="cupy", device="cuda:1", fallback=False)
    assert named.fit_info.device == "cuda:1"
    alike(named, expected, X)


def predict_on_another_device():
    X, y = problem()
    (there,) = elsewhere(X)
    model, expected = xlogreg.fit(there, y, l2=0.01), xlogreg.fit(X, y, l2=0.01)
    assert model.predict_proba(there).device == cupy.cuda.Device(1)
    alike(model, expected, there)
    np.testing.assert_array_equal(cupy.asnumpy(model.predict(there)), expected.predict(X))


def weights_on_another_device():
    X, y = problem()
    weight = np.random.default_rng(0).random(M) + 0.5
    there, labels, weights = elsewhere(X, y, weight)
    model = xlogreg.fit(there, labels, l2=0.01, sample_weight=weights)
    alike(model, xlogreg.fit(X, y, l2=0.01, sample_weight=weight), X)


def class_weights_on_another_device():
    X, y = problem()
    given = elsewhere(X.T, y), (X.T, y)
    ours, expected = (xlogreg.LogisticRegression(class_weight={0: 1.0, 1: 3.0}).fit(*pair) for pair in given)
    np.testing.assert_allclose(cupy.asnumpy(ours.coef_), expected.coef_, atol=1e-7)


def memory_runs_out():
    """X itself fits, but not a second one."""
    X, y = problem(LARGE, 32, np.float32)
    model = xlogreg.fit(X, y, l2=0.01, backend="cupy")
    assert model.fit_info.backend == "cupy"
    alike(model, xlogreg.fit(X, y, l2=0.01), X, 1e-5)
    return model


def too_little_memory():
    assert "stays on the host" in memory_runs_out().fit_info.fallback


def stream_of_the_user():
    """The user computes on a stream that the default one does not wait for."""
    X, y = problem()
    expected = xlogreg.fit(X, y, l2=0.01)
    with Stream(non_blocking=True) as mine:
        there = cupy.asarray(X)
        before = null_timeline(0).number
        alike(xlogreg.fit(there, y, l2=0.01), expected, there)
        assert null_timeline(0).number == before
        alike(xlogreg.fit(X, y, l2=0.01, backend="cupy"), expected, X)
    mine.synchronize()


def stream_of_the_user_and_too_little_memory():
    """Blocks are read ahead by a thread, whose own stream is the default one."""
    with Stream(non_blocking=True):
        too_little_memory()


def no_pinned_memory():
    too_little_memory()


SCENARIOS = (fit_on_another_device, predict_on_another_device, weights_on_another_device)
SCENARIOS += (class_weights_on_another_device, memory_runs_out, too_little_memory, no_pinned_memory, stream_of_the_user)
SCENARIOS += (stream_of_the_user_and_too_little_memory,)

if __name__ == "__main__":
    warnings.simplefilter("error")
    {scenario.__name__: scenario for scenario in SCENARIOS}[sys.argv[1]]()
    assert not memory.lost, memory.lost
