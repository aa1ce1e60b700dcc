"""The test matrix: every namespace on every device it has here, in every dtype that it offers."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pytest

from xlogreg.arrays.place import available_backends, device_of, dtype_name, name_of, place_on, to_host
from xlogreg.inputs import encoding
from xlogreg.solvers import sampled_newton as engine

collect_ignore = ["strict_cupy"]  # it must not be imported where nobody asks for it

try:
    import jax
except ImportError:
    pass
else:
    jax.config.update("jax_enable_x64", True)  # a test without it starts an interpreter of its own

# (id, backend, device, dtypes); the devices of array-api-strict are faithful fakes: mixing them raises
MATRIX = [
    ("numpy", "numpy", None, ("float64", "float32")),
    ("numpy-readonly", "numpy", None, ("float64",)),
    ("strict-cpu", "array-api-strict", "CPU_DEVICE", ("float64",)),
    ("strict-device1", "array-api-strict", "device1", ("float64", "float32")),
    ("strict-no_float64", "array-api-strict", "no_float64", ("float32",)),
    ("strict-no_x64", "array-api-strict", "no_x64", ("float32",)),
    ("torch", "torch", "cpu", ("float64", "float32")),
    ("torch-cuda", "torch", "cuda", ("float64", "float32")),
    ("jax", "jax", None, ("float64", "float32")),
    ("cupy", "cupy", None, ("float64", "float32")),
]
TWICE = ("jax", "float32")  # compiled anew for each shape, as float64 is: left to the slow tests
CASES = [
    pytest.param((name, *rest, dtype), id=f"{name}-{dtype}", marks=[pytest.mark.slow] if (name, dtype) == TWICE else [])
    for name, *rest, dtypes in MATRIX
    for dtype in dtypes
]
# the same, for tests of many shapes
QUICK = [
    pytest.param(*case.values, id=case.id, marks=[pytest.mark.slow] if "jax" in case.id else case.marks)
    for case in CASES
]
# what is tested with JAX every day, too; the other tests of every namespace wait for the slow run, since JAX compiles
# anew for each shape
WITH_JAX = ("test_logistic", "test_terms", "test_objective", "test_fit", "test_namespaces", "test_backends")
STATUS = available_backends()
# the version whose parameters, attributes and checks the estimators have
AS_IN_1_9 = pytest.mark.skipif(
    tuple(map(int, version("scikit-learn").split(".")[:2])) < (1, 9),
    reason=f"estimators are compared with those of scikit-learn 1.9, not {version('scikit-learn')}",
)


def pytest_collection_modifyitems(items):
    for item in items:
        if "jax" in item.name and item.module.__name__ not in WITH_JAX:
            item.add_marker(pytest.mark.slow)


@dataclass(frozen=True)
class Where:
    """A namespace on a device, with a dtype: makes arrays there and checks that results are there."""

    id: str
    place: Any
    dtype: str

    @property
    def tolerance(self) -> float:
        return 1e-11 if self.dtype == "float64" else 2e-5

    @property
    def xp(self):
        return self.place.xp

    def asarray(self, values, dtype=None):
        host = np.array(values, dtype=self.dtype if dtype is None else dtype)
        if self.id == "numpy-readonly":
            host.flags.writeable = False
        return self.place.put(host)

    def check(self, array, expected, shape=None, dtype=None, rtol=None, atol=None):
        """Values, and library, device, dtype and shape, too."""
        assert name_of(array) == self.place.name
        assert device_of(array) == self.place.device
        assert dtype_name(array) == (dtype or self.dtype)
        expected = np.asarray(expected)
        assert tuple(array.shape) == (expected.shape if shape is None else shape)
        rtol = self.tolerance if rtol is None else rtol
        np.testing.assert_allclose(to_host(array), expected, rtol=rtol, atol=rtol if atol is None else atol)


@pytest.fixture(params=CASES)
def where(request):
    """Every place, in every dtype."""
    return _where(request)


@pytest.fixture(params=[case for case in CASES if case.id.endswith("float64")])
def where64(request):
    """Every place that has float64."""
    return _where(request)


def _where(request):
    name, backend, device, dtype = request.param
    return Where(name, place_or_skip(backend, device), dtype)


def place_or_skip(backend, device=None):
    """The place of a library; the test is skipped, with the library's own reason, where that does not work."""
    if not STATUS[backend].usable:
        pytest.skip(reason=f"{backend} does not work here: {STATUS[backend].reason}")
    try:
        place = place_on(backend, device)
        place.put(np.zeros(1, dtype=np.float32))  # CuPy makes devices of any number
        return place
    except Exception as error:  # each library has its own class for a device that is not there
        pytest.skip(reason=f"{backend} has no working device {device} here: {error}")


@pytest.fixture
def subsets(monkeypatch):
    """Curvature is taken from subsets, however little data there are."""
    monkeypatch.setattr(engine, "SMALL_DATA", 0)
    monkeypatch.setattr("xlogreg.solvers.rent_or_buy.FEATURES", 0)


@pytest.fixture(scope="session")
def problem():
    """X (4, 60), Y (60,): well posed, far from separable."""
    rng = np.random.default_rng(7)
    X = rng.standard_normal((4, 60)) * np.asarray([[1.0], [3.0], [0.5], [1.0]]) + np.asarray(
        [[0.0], [2.0], [-1.0], [5.0]]
    )
    w = np.asarray([[0.8], [-0.3], [0.6], [0.0]])
    Y = (rng.random((1, 60)) < 1 / (1 + np.exp(-(w.T @ X + 0.5)))).astype(int)
    return X, Y[0]


@pytest.fixture(scope="session")
def three_classes():
    """X (3, 90), Y (90,) in {0, 1, 2}, overlapping."""
    rng = np.random.default_rng(8)
    Y = np.arange(90) % 3
    X = rng.standard_normal((3, 90)) + 0.8 * np.asarray([[0.0, 1.0, 2.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])[:, Y]
    return X, Y


@pytest.fixture(scope="session")
def two_rows(problem):
    """X (60, 4), y (60,) in {0, 1}."""
    X, Y = problem
    return X.T, Y


@pytest.fixture(scope="session")
def three_rows(three_classes):
    """X (90, 3), y (90,) of strings."""
    X, Y = three_classes
    return X.T, np.asarray(["ant", "bee", "cow"])[Y]


# collections of dask, and the workers that fit them

IN_PROCESS = {"processes": False, "threads_per_worker": 1, "dashboard_address": ":0"}


@pytest.fixture(scope="module")
def client():
    """Two workers in threads of this process: tasks, parts and the scheduler are real, processes are left out."""
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    with distributed.Client(n_workers=2, **IN_PROCESS) as client:
        yield client


def cut(values, size=700, axis=-1):
    """In blocks of so many samples."""
    da = pytest.importorskip("dask.array", reason="dask.array is not installed")
    chunks = [-1] * values.ndim
    chunks[axis] = size
    return da.from_array(values, chunks=tuple(chunks))


def close(model, other, X):
    assert model.fit_info.converged == other.fit_info.converged
    np.testing.assert_allclose(model.predict_proba(X), other.predict_proba(X), rtol=0, atol=1e-8)


@pytest.fixture(params=["array", "codes"])
def table_kind(request, monkeypatch):
    """Whether X of a table is an array of all features, or has the codes of its categories."""
    if request.param == "codes":
        monkeypatch.setattr(encoding, "NARROW", 0)
        monkeypatch.setattr(encoding, "FEW_NUMBERS", 0)
    return request.param
