"""Memory that runs out is said to have run out, wherever it does, and is never told as a fault of the data."""

import errno
import types

import numpy as np
import pytest

import xlogreg
from xlogreg.cli import main
from xlogreg.exceptions import expect_memory
from xlogreg.inputs import frames

X = np.random.default_rng(0).standard_normal((40, 2))
Y = np.arange(40) % 2
SIZE = "Unable to allocate 7.45 GiB"
ERRORS = {
    "of Python": lambda: MemoryError(SIZE),
    "of the system": lambda: OSError(errno.ENOMEM, "Cannot allocate memory", SIZE),
    "of threads": lambda: RuntimeError(f"can't start new thread, {SIZE}"),
    "of Arrow": lambda: pytest.importorskip("pyarrow").lib.ArrowMemoryError(SIZE),
}


@pytest.fixture(params=ERRORS)
def fail(request):
    def raising(*_, **__):
        raise ERRORS[request.param]()

    return raising


def test_a_column_is_not_said_to_be_unreadable(fail, monkeypatch):
    for library in ("pandas", "polars"):
        module = pytest.importorskip(library)
        monkeypatch.setitem(frames.FRAMES, library, frames.FRAMES[library]._replace(numbers=fail, values=fail))
        with pytest.raises(MemoryError, match=rf"^out of memory while reading the column '0' of X: .*{SIZE}"):
            xlogreg.fit(module.DataFrame({"0": X[:, 0], "1": Y}), Y, samples="rows")
        with pytest.raises(MemoryError, match=rf"^out of memory while reading Y: .*{SIZE}"):
            xlogreg.fit(X, module.Series(Y), samples="rows")


def test_blocks_are_not_said_to_be_damaged(fail):
    data_set = type("DataSet", (), {"shape": X.shape, "dtype": X.dtype, "__getitem__": fail})()
    with pytest.raises(MemoryError, match=rf"^out of memory while reading samples \d+ to \d+ of X: .*{SIZE}"):
        xlogreg.fit(data_set, Y, samples="rows")
    with pytest.raises(MemoryError, match=rf"^out of memory while the factory made block 0: .*{SIZE}"):
        xlogreg.fit(fail, samples="rows")


def test_parts_are_not_said_to_be_damaged(fail, tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    pytest.importorskip("polars").DataFrame({"0": X[:, 0], "label": Y}).write_parquet(tmp_path / "0.parquet")
    parts, _ = xlogreg.open_parts(tmp_path, target="label")
    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", fail)
    monkeypatch.setattr(parquet, "read_table", fail)
    for read in (lambda: xlogreg.fit(parts, Y, samples="rows"), lambda: xlogreg.open_parts(tmp_path, target="label")):
        with pytest.raises(MemoryError, match=rf"^out of memory while reading .*0\.parquet: .*{SIZE}"):
            read()


def test_files_are_not_said_to_be_damaged(fail, tmp_path, monkeypatch, capsys):
    datasets = pytest.importorskip("xlogreg.cli.table_files")
    table, model = tmp_path / "table.npy", tmp_path / "model"
    np.save(table, np.column_stack([X, Y]))
    assert main(["fit", str(table), "--target", "2", "-o", str(model)]) == 0
    capsys.readouterr()
    with monkeypatch.context() as patched:
        patched.setattr(datasets.pl, "DataFrame", fail)
        assert main(["fit", str(table), "--target", "2", "-o", str(model)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"xlogreg fit: out of memory while reading {table}: ")
    assert SIZE in said
    monkeypatch.setattr("xlogreg.model.file.json", types.SimpleNamespace(loads=fail))
    with pytest.raises(MemoryError, match=rf"^out of memory while reading .*model: .*{SIZE}"):
        xlogreg.load(model)


def test_a_memory_error_without_a_word_is_one_too(monkeypatch, capsys):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr("xlogreg.cli.parser.available_backends", fail)
    assert main(["info"]) == 1
    assert capsys.readouterr().err == "xlogreg info: out of memory\n"
    with pytest.raises(MemoryError, match=r"^out of memory while reading$"):
        expect_memory(MemoryError(), "reading")
    expect_memory(ValueError("no memory error"), "reading")
