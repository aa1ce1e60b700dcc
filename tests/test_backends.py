"""Where a fit computes: what was asked for, what works here, and the fallback that is never silent."""

import dataclasses
import subprocess
import sys
import warnings

import numpy as np
import pytest
from conftest import place_or_skip

import xlogreg
from xlogreg.arrays import place as backends
from xlogreg.arrays.libraries.table import LIBRARIES
from xlogreg.arrays.place import HOST, dtype_name, place_of, place_on, to_host
from xlogreg.arrays.products import squares

NO_CUPY = not xlogreg.available_backends()["cupy"].usable
needs_no_cuda = pytest.mark.skipif(not NO_CUPY, reason="CuPy works here")


def run_python(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_no_cuda
def test_a_backend_that_does_not_work_falls_back_with_one_warning_and_the_same_bits(problem):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = xlogreg.fit(*problem, backend="cupy")
    assert [warning.category for warning in caught] == [xlogreg.BackendFallbackWarning]
    assert caught[0].filename == __file__  # the user's line, not one of ours
    text = str(caught[0].message)
    assert "cupy" in text
    assert "xlogreg[cuda12]" in text
    assert "Computing with numpy" in text
    expected = xlogreg.fit(*problem, backend="numpy")
    assert model.w.tobytes() == expected.w.tobytes()
    assert model.b.tobytes() == expected.b.tobytes()
    assert model.fit_info.backend == "numpy"
    assert "No module named 'cupy'" in model.fit_info.fallback


@needs_no_cuda
def test_without_fallback_it_is_an_error(problem):
    with pytest.raises(xlogreg.BackendUnavailableError, match="cupy"):
        xlogreg.fit(*problem, backend="cupy", fallback=False)


@needs_no_cuda
def test_the_fallback_is_where_the_data_are(where, problem):
    with pytest.warns(xlogreg.BackendFallbackWarning):
        model = xlogreg.fit(where.asarray(problem[0]), problem[1], backend="cupy")
    assert model.fit_info.backend == where.place.name
    assert place_of(model.w) == where.place


@pytest.mark.parametrize("backend", ["numpy", "torch", "jax", "array-api-strict"])
def test_a_device_that_is_not_there_falls_back(problem, backend):
    place_or_skip(backend)
    with pytest.warns(xlogreg.BackendFallbackWarning, match="device='nowhere:7'"):
        model = xlogreg.fit(*problem, backend=backend, device="nowhere:7")
    assert model.fit_info.backend == "numpy"


def test_an_unknown_backend_is_an_error_that_lists_those_that_work(problem):
    with pytest.raises(ValueError, match=r"backend 'gpu' is unknown; usable on this machine: 'numpy'"):
        xlogreg.fit(*problem, backend="gpu")


def test_every_backend_here_says_that_it_works_or_why_not():
    table = xlogreg.available_backends()
    assert list(table) == list(LIBRARIES)
    for status in table.values():
        assert status.usable == (status.reason == "")
        assert status.usable == (status.device != "")
    assert table["numpy"].version == np.__version__
    assert "numpy" in str(table)


@needs_no_cuda
def test_the_reason_names_the_remedy():
    assert "pip install 'xlogreg[cuda12]'" in xlogreg.available_backends()["cupy"].reason


def test_auto_stays_on_the_host_for_small_data_and_imports_nothing():
    program = (
        "import numpy as np, sys, xlogreg\n"
        "model = xlogreg.fit(np.asarray([[-2.0, -1.0, 1.0, 2.0]]), [0, 1, 0, 1], backend='auto')\n"
        "print(model.fit_info.backend, sorted({'torch', 'jax', 'cupy'} & set(sys.modules)))"
    )
    assert run_python(program).strip() == "numpy []"


@needs_no_cuda
def test_auto_is_silent_where_there_is_no_gpu(problem, monkeypatch):
    monkeypatch.setattr("xlogreg.arrays.choice.AUTO_BYTES", 1)
    assert xlogreg.fit(*problem, backend="auto").fit_info.backend == "numpy"


@pytest.mark.slow  # an interpreter of its own
def test_jax_without_x64_computes_in_float32_and_says_so():
    pytest.importorskip("jax")
    program = (
        "import numpy as np, warnings, xlogreg\n"
        "rng = np.random.default_rng(0)\n"
        "X = rng.standard_normal((3, 50)); Y = rng.random(50) < 0.5\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    model = xlogreg.fit(X, Y, backend='jax')\n"
        "print([w.category.__name__ for w in caught], model.fit_info.dtype, model.w.dtype)\n"
        "print(abs(model.predict_proba(X) - xlogreg.fit(X, Y).predict_proba(X)).max() < 1e-4)\n"
        "Xj = __import__('jax.numpy').numpy.asarray(X)\n"
        "labels = np.arange(50) % 3 * 10\n"
        "print(xlogreg.fit(Xj, labels).predict(Xj).dtype, xlogreg.fit(Xj, Y).predict_proba(Xj).dtype)\n"
        "try:\n"
        "    xlogreg.fit(Xj, Y, dtype='float64')\n"
        "except ValueError as error:\n"
        "    print(error)"
    )
    lines = run_python(program).splitlines()
    assert lines[0] == "['PrecisionWarning'] float32 float64"
    assert lines[1] == "True"
    assert lines[2] == "int32 float32"
    assert "dtype='float64' is not available on jax" in lines[3]
    assert "jax_enable_x64" in lines[3]


def test_arrays_travel_unchanged(where):
    for host in (
        np.arange(12.0).reshape(3, 4),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(24.0).reshape(3, 8)[::-1, ::-2],
        np.arange(12.0).astype(">f8").reshape(3, 4),
        np.broadcast_to(np.arange(4.0), (3, 4)),
        np.arange(12, dtype="uint8").reshape(3, 4),
    ):
        there = where.place.put(host)
        assert place_of(there) == where.place
        np.testing.assert_array_equal(to_host(there), host)
        np.testing.assert_array_equal(HOST.put(there), host)


def test_small_arrays_come_home_in_one_transfer(where):
    parts = tuple(
        where.asarray(np.arange(size, dtype=float).reshape(shape)) for size, shape in ((6, (2, 3)), (1, ()), (4, (4,)))
    )
    for ours, part in zip(HOST.bring(parts), parts, strict=True):
        np.testing.assert_array_equal(ours, to_host(part))
        assert ours.shape == tuple(part.shape)


def test_probing_computes_and_does_not_trust_the_import(monkeypatch):
    broken = dataclasses.replace(LIBRARIES["numpy"], fetch=lambda array: np.asarray(7.0))
    monkeypatch.setitem(backends.LIBRARIES, "numpy", broken)
    assert backends.why_unusable("numpy") == "computed 7.0 where 8 is right"


def test_a_named_place_is_the_place_of_its_arrays(where):
    for device in (where.place.device, where.place.device_name):
        assert place_on(where.place.name, device) == where.place


@pytest.mark.parametrize("name", ["torch", "array-api-strict"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_copy_in_pieces_is_the_copy(name, order, monkeypatch):
    place_or_skip(name)
    monkeypatch.setattr(backends, "PIECE_BYTES", 200)
    monkeypatch.setattr(backends.Place, "small_blocks", False)
    host = np.asarray(np.arange(140, dtype=">f4").reshape(20, 7), order=order)[::-1, :]
    host.flags.writeable = False
    array = place_on(name).put(host)
    np.testing.assert_array_equal(to_host(array), host)
    assert dtype_name(array) == "float32"


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("order", ["C", "F"])
def test_samples_are_taken_in_runs_and_one_by_one(where, order, axis):
    X = np.asarray(np.arange(48.0).reshape(6, 8), order=order)
    index = np.asarray([0, 1, 2, 4, 5])
    taken = where.place.take(where.asarray(X), where.asarray(index, dtype="int32"), axis)
    where.check(taken, np.take(X, index, axis=axis))


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("order", ["C", "F"])
def test_squares_are_summed_in_any_layout(where, order, weighted):
    rng = np.random.default_rng(0)
    X = np.asarray(rng.standard_normal((3, 50)), order=order)
    weight = rng.random((1, 50)) if weighted else np.ones((1, 50))
    where.check(squares(where.asarray(X), where.asarray(weight.T)), X**2 @ weight.T)
