"""X that is read block by block: memory maps, data sets with slices, parts in folders. The answer is that of memory."""

import dataclasses
import os
import tracemalloc

import numpy as np
import pytest
from conftest import place_or_skip

import xlogreg
from xlogreg.arrays.libraries.table import LIBRARIES
from xlogreg.arrays.place import HOST
from xlogreg.arrays.stored import FileRange, Slices, stored
from xlogreg.samples import blocks as data
from xlogreg.samples import intake as assembly
from xlogreg.samples.files.folder import Chain
from xlogreg.samples.memory import InMemory


@pytest.fixture(scope="module")
def table():
    """X (2000, 6) float64, rows; Y (2000,), sorted by label."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((2000, 6)) * [1, 5, 0.2, 1, 1, 1] + [0, 3, 0, 0, -2, 0]
    Y = (X @ [0.5, -0.2, 2.0, 0.0, 0.3, -0.4] + rng.logistic(size=2000) > 0).astype(int)
    order = np.argsort(Y, kind="stable")
    return X[order], Y[order]


@pytest.fixture
def blocks(monkeypatch):
    """Small blocks, so that there are many."""
    monkeypatch.setattr(data, "SMALL_BLOCK_BYTES", 4096)
    monkeypatch.setattr(data, "ARRIVING_BYTES", 4096)


class Sliced:
    """As zarr and h5py have it: shape, dtype and slices, and no array."""

    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype
        self.reads = 0

    def __getitem__(self, at):
        self.reads += 1
        return self.values[at]


def mapped(folder, X, order="C"):
    np.save(folder / "X.npy", np.asarray(X, order=order))
    return np.load(folder / "X.npy", mmap_mode="r")


def parts_of(folder, X, cuts):
    for number, part in enumerate(np.split(X, cuts)):
        np.save(folder / f"{number:02}.npy", part)
    return xlogreg.open_parts(folder)


def assert_same(model, other, X):
    np.testing.assert_allclose(model.predict_proba(X), other.predict_proba(X), rtol=0, atol=1e-8)


SOURCES = {
    "memory map": lambda folder, X: mapped(folder, X),
    "memory map, columns contiguous": lambda folder, X: mapped(folder, X, "F"),
    "slices": lambda folder, X: Sliced(X),
    "parts": lambda folder, X: parts_of(folder, X, [100, 101, 1500]),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "uint8", ">f4"])
def test_a_fit_is_that_of_memory(source, dtype, table, tmp_path, blocks):
    X, Y = table
    X = np.clip(np.round(20 * X + 100), 0, 255) if dtype == "uint8" else X
    X = X.astype(dtype)
    there = SOURCES[source](tmp_path, X)
    options = {"samples": "rows", "l2": 1e-3, "standardize": True, "dtype": "float64"}
    model = xlogreg.fit(there, Y, **options)
    whole = xlogreg.fit(X.astype(np.dtype(dtype).newbyteorder("=")), Y, **options)
    np.testing.assert_allclose(model.predict_proba(X), whole.predict_proba(X), rtol=0, atol=1e-8)
    np.testing.assert_allclose(model.predict_proba(there), whole.predict_proba(X), rtol=0, atol=1e-6)
    assert model.evaluate(there, Y).accuracy == whole.evaluate(X, Y).accuracy
    assert type(model.w) is np.ndarray


@pytest.mark.parametrize("rows", [True, False])
@pytest.mark.parametrize("order", ["C", "F"])
def test_a_file_is_read_as_it_lies(rows, order, tmp_path):
    X = np.arange(60.0).reshape(10, 6)
    whole = mapped(tmp_path, X, order)
    for view in (whole, whole[2:9] if order == "C" else whole[:, 1:5]):
        found = stored(view, rows)
        assert isinstance(found, FileRange)
        assert found.shape == view.shape
        if rows:
            np.testing.assert_array_equal(found.read(1, 4), view[1:4])
            np.testing.assert_array_equal(found.read(1, 4, slice(1, 3)), view[1:4, 1:3])
            np.testing.assert_array_equal(found.read_some(np.asarray([0, 1, 4, 6])), view[[0, 1, 4, 6]])
        else:
            np.testing.assert_array_equal(found.read(1, 4), view[:, 1:4])
            np.testing.assert_array_equal(found.read(1, 4, slice(1, 3)), view[1:3, 1:4])
            np.testing.assert_array_equal(found.read_some(np.asarray([0, 2, 3])), view[:, [0, 2, 3]])


def test_what_a_file_does_not_have_stays_an_array(tmp_path):
    np.save(tmp_path / "X.npy", np.ones((4, 2)))
    changed = np.load(tmp_path / "X.npy", mmap_mode="c")
    changed[0] = 5.0
    assert stored(changed, True) is None
    every_other = np.load(tmp_path / "X.npy", mmap_mode="r")[::2]
    assert stored(every_other, True) is None
    assert stored([[1.0]], True) is None


def test_a_file_that_was_replaced_or_shrank_before_the_fit_is_no_other_x(table, tmp_path):
    X, Y = table
    there = mapped(tmp_path, X)
    np.save(tmp_path / "other.npy", X[::-1])
    os.replace(tmp_path / "other.npy", tmp_path / "X.npy")
    assert_same(xlogreg.fit(there, Y, samples="rows", l2=0.1), xlogreg.fit(X, Y, samples="rows", l2=0.1), X)
    there = mapped(tmp_path, X)
    os.truncate(tmp_path / "X.npy", 1000)
    with pytest.raises(xlogreg.BlockError, match="shorter than the map"):
        xlogreg.fit(there, Y, samples="rows")


def test_columns_are_read_as_rows_are(table, tmp_path, blocks):
    X, Y = table
    whole = xlogreg.fit(X.T, Y, l2=1e-2)
    for order in ("C", "F"):
        assert_same(xlogreg.fit(mapped(tmp_path, X.T, order), Y, l2=1e-2), whole, X.T)
    assert_same(xlogreg.fit(Sliced(X.T), Y, l2=1e-2), whole, X.T)


@pytest.mark.parametrize("solver", ["gd", "newton", "lbfgs"])
def test_every_solver_reads(solver, table, tmp_path, blocks):
    X, Y = table
    options = {"samples": "rows", "l2": 1e-2, "solver": solver, "standardize": True, "max_iter": 30}
    assert_same(xlogreg.fit(mapped(tmp_path, X), Y, **options), xlogreg.fit(X, Y, **options), X)


@pytest.mark.slow
def test_weights_classes_many_models_paths_and_folds_are_those_of_memory(table, tmp_path, blocks, subsets):
    X, Y = table
    there = mapped(tmp_path, X)
    rng = np.random.default_rng(0)
    three, weight, rows = np.where(X[:, 0] > 0.8, 2, Y), rng.integers(0, 3, len(Y)), {"samples": "rows"}
    for options in ({"sample_weight": weight}, {"sample_weight": weight, "l2": 0.1}, {}):
        assert_same(xlogreg.fit(there, Y, **rows, **options), xlogreg.fit(X, Y, **rows, **options), X)
    assert_same(xlogreg.fit(there, three, l2=0.01, **rows), xlogreg.fit(X, three, l2=0.01, **rows), X)
    Ys = [Y, 1 - Y, (X[:, 4] > -2).astype(int)]
    for model, other in zip(
        xlogreg.fit_many(there, Ys, l2s=0.1, **rows), xlogreg.fit_many(X, Ys, l2s=0.1, **rows), strict=True
    ):
        assert_same(model, other, X)
    l2s = [1.0, 0.1, 0.01]
    for model, other in zip(xlogreg.fit_path(there, Y, l2s, **rows), xlogreg.fit_path(X, Y, l2s, **rows), strict=True):
        assert_same(model, other, X)
    for weights in (None, weight):
        options = {"sample_weight": weights, "scoring": "roc_auc", **rows}
        chosen, other = (xlogreg.fit_cv(part, Y, l2s, **options) for part in (there, X))
        for name in chosen.scores:
            np.testing.assert_allclose(chosen.scores[name], other.scores[name], atol=1e-5)
        assert_same(chosen.model, other.model, X)
    replicates = [xlogreg.bootstrap(part, Y, 5, l2=0.1, **rows).w for part in (there, X)]
    np.testing.assert_allclose(*replicates, atol=1e-4)


def test_wide_data_are_reduced_from_a_file(tmp_path):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((30, 400)), np.arange(30) % 2
    for there in (mapped(tmp_path, X), Sliced(X)):
        assert_same(xlogreg.fit(there, Y, samples="rows", l2=0.1), xlogreg.fit(X, Y, samples="rows", l2=0.1), X)


def test_a_fit_reads_the_file_at_most_seven_times(table, monkeypatch):
    rng = np.random.default_rng(1)
    X = rng.standard_normal((60_000, 20)).astype(np.float32)
    Y = X @ rng.standard_normal(20) + rng.logistic(size=len(X)) > 0
    numbers = []
    read = Slices.read

    def counted(self, *arguments):
        part = read(self, *arguments)
        numbers.append(part.size)
        return part

    monkeypatch.setattr(Slices, "read", counted)
    model = xlogreg.fit(Sliced(X), Y, samples="rows")
    assert model.fit_info.converged
    assert model.fit_info.solver == "sampled-newton"
    assert sum(numbers) <= 7 * X.size
    assert sum(numbers) <= 1.2 * model.fit_info.passes * X.size


@pytest.mark.slow
def test_no_copy_of_x_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "SMALL_BLOCK_BYTES", 2**20)
    X = np.random.default_rng(0).standard_normal((600_000, 50), dtype=np.float32)
    Y, there = X[:, 0] > 0, mapped(tmp_path, X)
    tracemalloc.start()
    xlogreg.fit(there, Y, samples="rows", l2=0.1, tol=1e-4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * X.nbytes


def test_a_file_that_shrinks_or_changes_is_named(table, tmp_path, blocks):
    X, Y = table
    path = tmp_path / "X.npy"
    for change in (lambda: os.truncate(path, 4000), lambda: os.utime(path, ns=(1, 1)), path.unlink):
        there = mapped(tmp_path, X)
        seen = []

        def meddle(state, change=change, seen=seen):
            if not seen:
                change()
            seen.append(state)

        with pytest.raises(xlogreg.BlockError, match=r"X\.npy.*samples 0 to"):
            xlogreg.fit(there, Y, samples="rows", callback=meddle)
        assert seen


def test_a_data_set_that_cannot_be_read_is_named(table, blocks):
    class Broken(Sliced):
        def __getitem__(self, at):
            if at[0].start >= 1000:
                raise OSError("unexpected end of compressed data")
            return super().__getitem__(at)

    X, Y = table
    with pytest.raises(xlogreg.BlockError, match=r"X: samples 1\d\d\d to \d+ cannot be read: OSError: unexpected end"):
        xlogreg.fit(Broken(X), Y, samples="rows")


def test_nan_names_the_part(table, tmp_path, blocks):
    X, Y = table
    X = X.copy()
    X[1530, 2] = np.nan
    there = parts_of(tmp_path, X, [500, 1000, 1500])
    with pytest.raises(ValueError, match=r"row 1530, column 2 \(part 3, 03\.npy, sample 30 of it\)"):
        xlogreg.fit(there, Y, samples="rows")


def test_estimators_read_it(table, tmp_path, blocks):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    X, Y = table
    whole = xlogreg.LogisticRegression().fit(X, Y)
    for there in (mapped(tmp_path, X), Sliced(X)):
        model = xlogreg.LogisticRegression().fit(there, Y)
        np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-6)
        np.testing.assert_array_equal(model.predict(there), whole.predict(X))
        with pytest.raises(ValueError, match="features"):
            model.predict(Sliced(X[:, :2]))


def test_what_needs_all_of_it_gets_all_of_it(table, tmp_path):
    pyplot = pytest.importorskip("matplotlib.pyplot", reason="matplotlib is not installed")
    X, Y = table[0][:, :2], table[1]
    model = xlogreg.fit(X, Y, samples="rows", l2=0.1)
    display = xlogreg.plots.DecisionBoundaryDisplay.from_model(model, mapped(tmp_path, X), Y)
    pyplot.close(display.figure_)
    assert stored(Sliced(X), True).host().shape == X.shape


@pytest.mark.parametrize("scoring", [pytest.param("accuracy", marks=pytest.mark.slow), "roc_auc"])
def test_an_estimator_that_cuts_folds_reads_it_too(table, tmp_path, blocks, scoring):
    """Never more of it at a time than a fold."""
    selection = pytest.importorskip("sklearn.model_selection", reason="scikit-learn is not installed")
    X, Y = table[0], np.asarray(table[1]) > 0
    options = {"Cs": [0.1, 1.0], "scoring": scoring, "cv": selection.ShuffleSplit(3, test_size=0.1, random_state=0)}
    whole = xlogreg.LogisticRegressionCV(**options).fit(X, Y)
    most = []

    class Counted(Sliced):
        def __getitem__(self, at):
            part = super().__getitem__(at)
            most.append(len(part))
            return part

    for there in (mapped(tmp_path, X), Counted(X)):
        model = xlogreg.LogisticRegressionCV(**options).fit(there, Y)
        np.testing.assert_allclose(model.coef_, whole.coef_, rtol=1e-6)
        np.testing.assert_allclose(model.scores_, whole.scores_, rtol=1e-9)
    assert max(most) < len(X) / 5


def test_h5py_data_sets_are_read(table, tmp_path, blocks):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    X, Y = table
    with h5py.File(tmp_path / "data.h5", "w") as file:
        there = file.create_dataset("X", data=X, chunks=(100, 3), compression="gzip")
        labels = file.create_dataset("Y", data=Y)
        assert_same(xlogreg.fit(there, labels, samples="rows"), xlogreg.fit(X, Y, samples="rows"), X)


def test_zarr_arrays_are_read(table, tmp_path, blocks):
    zarr = pytest.importorskip("zarr", reason="zarr is not installed")
    X, Y = table
    there = zarr.create_array(str(tmp_path / "X.zarr"), shape=X.shape, chunks=(100, 3), dtype=X.dtype)
    there[:] = X
    assert_same(xlogreg.fit(there, Y, samples="rows"), xlogreg.fit(X, Y, samples="rows"), X)


@pytest.mark.parametrize(
    "backend", ["array-api-strict", *(pytest.param(name, marks=pytest.mark.slow) for name in ("torch", "jax"))]
)
def test_blocks_are_brought_to_where_it_computes(backend, table, tmp_path, blocks):
    place_or_skip(backend)
    X, Y = table
    model = xlogreg.fit(mapped(tmp_path, X), Y, samples="rows", l2=0.1, backend=backend)
    assert model.fit_info.backend == backend
    assert_same(model, xlogreg.fit(X, Y, samples="rows", l2=0.1), X)


def test_what_is_no_matrix_of_numbers_is_refused_before_it_is_read():
    class Unreadable(Sliced):
        def __getitem__(self, at):
            raise AssertionError("it was read")

    with pytest.raises(ValueError, match="X must have the shape"):
        xlogreg.fit(Unreadable(np.ones((4, 3, 2))), [0, 1, 0, 1])
    with pytest.raises(ValueError, match="X is empty"):
        xlogreg.fit(Unreadable(np.ones((4, 0))), [0, 1, 0, 1], samples="rows")
    with pytest.raises(ValueError, match="X holds 4 samples"):
        xlogreg.fit(Unreadable(np.ones((4, 3))), [0, 1, 0], samples="rows")


@pytest.mark.parametrize("dtype", [np.complex128, "U1"])
def test_a_file_that_holds_no_numbers_is_refused_as_an_array_is(dtype, tmp_path):
    np.save(tmp_path / "X.npy", np.ones((4, 3), dtype=dtype))
    for X in (np.load(tmp_path / "X.npy"), np.load(tmp_path / "X.npy", mmap_mode="r")):
        with pytest.raises(TypeError, match="X must hold numbers"):
            xlogreg.fit(X, [0, 1, 0, 1], samples="rows")


@pytest.mark.slow
@pytest.mark.parametrize(("backend", "device"), [("array-api-strict", "device1"), ("cupy", None), ("torch", "cuda")])
def test_an_x_too_large_for_the_device_stays_on_the_host(backend, device, table, monkeypatch, blocks):
    place_or_skip(backend, device)
    X, Y = table
    options = {"samples": "rows", "backend": backend, "device": device}
    whole = xlogreg.fit(X, Y, l2=0.1, **options)
    assert whole.fit_info.fallback is None
    monkeypatch.setitem(
        LIBRARIES, backend, dataclasses.replace(LIBRARIES[backend], free=lambda module, device: X.nbytes)
    )
    for there in (X, np.asfortranarray(X), X.astype(np.float32), (20 * X).astype(np.int16)):
        model = xlogreg.fit(there, Y, l2=0.1, **options)
        assert ("stays on the host" in (model.fit_info.fallback or "")) == (there.nbytes > assembly.ROOM * X.nbytes)
        assert model.fit_info.backend == backend
    for there in (X, np.asfortranarray(X)):
        assert_same(xlogreg.fit(there, Y, l2=0.1, **options), whole, X)
    assert_same(xlogreg.fit_path(X, Y, [0.1], **options)[0], whole, X)


@pytest.mark.slow
def test_running_out_of_memory_becomes_streaming(table, monkeypatch, blocks):
    place_or_skip("array-api-strict")
    X, Y = table
    options = {"samples": "rows", "l2": 0.1, "backend": "array-api-strict", "device": "device1"}
    whole = xlogreg.fit(X, Y, **options)
    block = InMemory.block

    def short(self, *arguments):
        if not self.is_read and self.m == len(Y):
            raise MemoryError("no more") if self.place == HOST else RuntimeError("CUDA out of memory")
        return block(self, *arguments)

    monkeypatch.setattr(InMemory, "block", short)
    model = xlogreg.fit(X, Y, **options)
    assert "ran out of memory" in model.fit_info.fallback
    assert_same(model, whole, X)
    del options["l2"]
    assert_same(xlogreg.fit_many(X, [Y], l2s=0.1, **options)[0], whole, X)
    with pytest.raises(MemoryError):
        xlogreg.fit(X, Y, samples="rows", l2=0.1)  # of the host: there is no other place for X


def test_parts_fit_together_or_are_named(tmp_path):
    def folder(name, *parts):
        (tmp_path / name).mkdir()
        for number, part in enumerate(parts):
            np.save(tmp_path / name / f"{number}.npy", part)
        return tmp_path / name

    X = np.arange(12.0).reshape(6, 2)
    empty = xlogreg.open_parts(folder("empty", X[:2], X[:0], X[2:].astype(np.float32)))
    np.testing.assert_array_equal(empty.read(0, 6), X)
    assert (empty.dtype, empty.shape, len(empty.parts)) == (np.float64, (6, 2), 2)
    mixed = xlogreg.open_parts(folder("mixed", X[:2].astype(np.float32), X[2:4].astype(np.int16), X[4:]))
    assert (mixed.dtype, mixed.read(0, 1).dtype, mixed.read(0, 6).dtype) == (np.float64,) * 3
    np.testing.assert_array_equal(mixed.read(0, 6), X)
    columns = xlogreg.open_parts(folder("columns", X.T[:, :1], X.T[:, 1:]), samples="columns")
    np.testing.assert_array_equal(columns.read(0, 6), X.T)
    with pytest.raises(ValueError, match="X holds samples as columns"):
        xlogreg.fit(columns, [0, 1] * 3, samples="rows")
    np.testing.assert_array_equal(xlogreg.open_parts(folder("labels", [0, 1], [2])), [0, 1, 2])
    for name, parts, message in (
        ("widths", (X, X[:, :1]), r"1\.npy has the shape \(6, 1\)"),
        ("axes", (X, X[:, 0]), r"1\.npy has the shape \(6,\)"),
        ("strings", (X, np.asarray([["a", "b"]])), r"1\.npy holds <U1"),
        ("nothing", (X[:0],), "every part is empty"),
        ("no parts", (), "holds no parts"),
    ):
        with pytest.raises(ValueError, match=message):
            xlogreg.open_parts(folder(name, *parts))
    damaged = folder("damaged", X)
    (damaged / "1.npy").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"1\.npy holds no array"):
        xlogreg.open_parts(damaged)
    os.truncate(damaged / "0.npy", 150)
    with pytest.raises(ValueError, match=r"0\.npy is shorter"):
        xlogreg.open_parts(damaged)
    (damaged / "2.parquet").write_bytes(b"")
    with pytest.raises(ValueError, match="several kinds"):
        xlogreg.open_parts(damaged)
    with pytest.raises(ValueError, match="a folder of their own"):
        xlogreg.open_parts(tmp_path / "labels", target="y")
    with pytest.raises(OSError, match="nowhere"):
        xlogreg.open_parts(tmp_path / "nowhere")


@pytest.fixture
def tables(tmp_path, table):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    X, Y = table

    def write(number, rows, **other):
        columns = {name: X[rows, i] for i, name in enumerate("abcdef")} | {"label": Y[rows]} | other
        parquet.write_table(pyarrow.table(columns), tmp_path / f"{number}.parquet", row_group_size=300)

    for number, rows in enumerate((slice(0, 900), slice(900, 900), slice(900, 2000))):
        write(number, rows)
    return tmp_path, write


def test_tables_in_parts_are_read(tables, table, blocks, subsets):
    X, Y = table
    there, labels = xlogreg.open_parts(tables[0], target="label")
    assert (there.shape, there.dtype, there.names) == (X.shape, np.float64, tuple("abcdef"))
    np.testing.assert_array_equal(labels, Y)
    model = xlogreg.fit(there, labels, samples="rows")
    assert model.feature_names == tuple("abcdef")
    assert_same(model, xlogreg.fit(X, Y, samples="rows"), X)
    np.testing.assert_allclose(model.predict_proba(there), model.predict_proba(X), atol=1e-6)
    path, other = (xlogreg.fit_path(part, Y, [1.0, 0.01], samples="rows") for part in (there, X))
    assert_same(path[1], other[1], X)
    chosen = xlogreg.fit_cv(there, labels, [1.0, 0.01], samples="rows")
    assert_same(chosen.model, xlogreg.fit_cv(X, Y, [1.0, 0.01], samples="rows").model, X)


def test_tables_that_do_not_fit_are_named(tables, table):
    folder, write = tables
    X, _ = table
    write(2, slice(900, 2000), more=X[900:, 0])
    with pytest.raises(ValueError, match=r"2\.parquet has the columns"):
        xlogreg.open_parts(folder, target="label")
    write(2, slice(900, 2000), a=X[900:, 0].astype(str))
    mixed, labels = xlogreg.open_parts(folder, target="label")
    with pytest.raises(TypeError, match=r"do not: 'a' \(text\)"):
        xlogreg.fit(mixed, labels, samples="rows")
    with pytest.raises(TypeError, match="'a' of X holds text in some parts and numbers in others"):
        xlogreg.fit(mixed, labels, samples="rows", categorical_features=["a"])
    write(2, slice(900, 2000), a=X[900:, 0].astype(np.float16))
    assert xlogreg.open_parts(folder, target="label")[0].dtype == np.float64
    lacking = np.where(np.arange(1100) == 7, None, X[900:, 0])
    write(2, slice(900, 2000), a=[value and float(value) for value in lacking])
    there, labels = xlogreg.open_parts(folder, target="label")
    with pytest.raises(ValueError, match=r"2\.parquet: X lacks values in these columns: 'a' \(1, the first at row 7"):
        xlogreg.fit(there, labels, samples="rows")
    write(2, slice(900, 2000))
    with pytest.raises(xlogreg.BlockError, match=r"2\.parquet changed"):
        xlogreg.fit(there, labels, samples="rows")
    with pytest.raises(ValueError, match="samples of tables are their rows"):
        xlogreg.open_parts(folder, samples="columns")


def test_parts_name_what_they_hold():
    whole = Chain([Slices(np.ones((3, 2)), 0), Slices(np.ones((4, 2)), 0)])
    assert whole.name(4) == "part 1, , sample 1 of it"
    assert HOST.free_bytes is None
    assert assembly.ROOM < 1
