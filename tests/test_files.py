"""Model files: what is written comes back, what cannot be written loses nothing, what is hostile is refused."""

import dataclasses
import errno
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

import xlogreg
from xlogreg import ModelFileError
from xlogreg.arrays.place import to_host
from xlogreg.model.file import VERSION

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 60))
Y = (X[0] + RNG.logistic(size=60) > 0).astype(int)
THREE = np.argmax(X + RNG.gumbel(size=X.shape), axis=0)


@pytest.fixture(scope="module")
def model():
    fitted = xlogreg.fit(X, Y, standardize=2.0)
    return dataclasses.replace(fitted, penalty_factor=np.asarray([1.0, 0.5, 2.0]))  # a file with all that one may have


@pytest.fixture
def path(model, tmp_path):
    model.save(tmp_path / "model.npz")
    return tmp_path / "model.npz"


LABELS = {
    "int": Y,
    "uint8": Y.astype(np.uint8) + 254,
    "bool": Y.astype(bool),
    "float32": np.where(Y, np.float32(7), np.float32(-3)),
    "text": np.where(Y, "läuft", "nicht"),
    "bytes": np.where(Y, b"\xe4a", b"b"),
    "three": THREE,
}


@pytest.mark.parametrize("case", LABELS)
def test_what_is_saved_comes_back_to_the_bit(case, tmp_path):
    model = xlogreg.fit(X, LABELS[case], l2=1e-3 if case == "text" else 0.0)
    model.save(tmp_path / "a file")
    again = xlogreg.load(tmp_path / "a file")
    for name in ("w", "b", "costs"):
        ours, theirs = getattr(again, name), getattr(model, name)
        assert ours.dtype == theirs.dtype
        assert ours.tobytes() == theirs.tobytes()
    assert again.classes.dtype == model.classes.dtype
    assert again.classes.tolist() == model.classes.tolist()
    assert again.fit_info == model.fit_info
    assert (again.samples, again.loss, again.feature_names) == (model.samples, model.loss, None)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    if case == "text":
        with pytest.raises(ValueError, match="no standard errors"):
            again.standard_errors()
    else:
        np.testing.assert_array_equal(again.standard_errors().w, model.standard_errors().w)
    again.save(tmp_path / "another")
    assert (tmp_path / "another").read_bytes() == (tmp_path / "a file").read_bytes()


def test_a_model_of_any_library_is_read_into_numpy(where, tmp_path):
    model = xlogreg.fit(where.asarray(X), Y)
    model.save(tmp_path / "model.npz")
    again = xlogreg.load(str(tmp_path / "model.npz"))
    assert type(again.w) is np.ndarray
    np.testing.assert_array_equal(again.w, to_host(model.w))
    where.check(again.predict_proba(where.asarray(X)), to_host(model.predict_proba(where.asarray(X))))
    where.check(again.to(where.place.name, where.place.device).w, to_host(model.w), rtol=0)


def test_float32_data_of_large_means_keep_their_centre(tmp_path):
    far = (X + 1e6).astype(np.float32)
    model = xlogreg.fit(far, Y)
    assert model.center is not None
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(xlogreg.load(tmp_path / "model").predict_proba(far), model.predict_proba(far))


def test_the_file_is_plain_arrays_and_json(path, model):
    with np.load(path, allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["w"], model.w)
        header = json.loads(archive["header.json"])
    assert header["format"] == "xlogreg model"
    assert header["classes"]["values"] == [0, 1]


def test_models_are_pickled_for_joblib(model):
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_a_link_stays_a_link_and_permissions_stay(path, tmp_path, model):
    os.chmod(path, 0o640)
    (tmp_path / "link").symlink_to(path)
    model.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640


# what goes wrong while writing ------------------------------------------------------------------------------------


def left_alone(path, before):
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_full_disk_leaves_the_old_model_whole(path):
    pytest.importorskip("resource")
    before = path.read_bytes()
    program = (
        "import resource, sys, numpy as np, xlogreg\n"
        "rng = np.random.default_rng(0); X = rng.standard_normal((3000, 40)); Y = np.arange(40) % 2\n"
        "model = xlogreg.fit(X, Y, l2=1.0)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        "try: model.save(sys.argv[1])\n"
        "except OSError as error: print(error.errno); sys.exit(3)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (3, str(errno.EFBIG)), done.stderr
    left_alone(path, before)


@pytest.mark.parametrize("step", ["os.fsync", "os.replace", "xlogreg.model.file.npy.write_array"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=repr)
def test_whatever_step_fails_the_old_model_stays_and_nothing_else(path, model, monkeypatch, step, error):
    before = path.read_bytes()

    def fails(*_, **__):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(step, fails)
        with pytest.raises(type(error)):
            model.save(path)
    left_alone(path, before)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="folders have no owner here")
def test_a_read_only_folder_is_an_error_and_no_more(model):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        model.save(path)
        before = path.read_bytes()
        os.chmod(folder, 0o555)
        program = (
            "import os, sys, xlogreg; model = xlogreg.load(sys.argv[1])\n"
            "if os.geteuid() == 0: os.setuid(65534)\n"  # root writes into any folder
            "try: model.save(sys.argv[1])\n"
            "except PermissionError: sys.exit(3)\n"
        )
        done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
        os.chmod(folder, 0o755)
        assert done.returncode == 3, done.stderr
        left_alone(path, before)


def test_parameters_that_are_not_finite_are_refused_before_a_file_is_touched(path, model):
    model.save(path)
    broken = dataclasses.replace(model, w=model.w * np.nan)
    with pytest.raises(ValueError, match=r"cannot be saved: w is not finite .*'converged'"):
        broken.save(path)
    assert np.array_equal(xlogreg.load(path).w, model.w)


def test_a_folder_that_is_not_there_is_named(tmp_path, model):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        model.save(tmp_path / "nowhere" / "model")
    with pytest.raises(FileNotFoundError, match="nothing"):
        xlogreg.load(tmp_path / "nothing")


# hostile files ----------------------------------------------------------------------------------------------------


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(parts, compression=zipfile.ZIP_STORED):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", compression) as archive:
        for name, data in parts:
            archive.writestr(name, data)
    return written.getvalue()


def npy(array, **changes):
    written = io.BytesIO()
    np.lib.format.write_array(written, array, allow_pickle=True)
    data = written.getvalue()
    for old, new in changes.items():
        data = data.replace(old.encode(), new.encode())
    return data


def declared(shape, descr="<f8"):
    """128 bytes that declare an array of that shape, and hold none of it."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.ljust(117).encode() + b"\n"


def in_header(**changes):
    return lambda parts: parts | {"header.json": json.dumps(json.loads(parts["header.json"]) | changes).encode()}


def in_fit_info(**changes):
    def changed(parts):
        header = json.loads(parts["header.json"])
        header["fit_info"] |= changes
        return parts | {"header.json": json.dumps(header).encode()}

    return changed


def with_member(name, data):
    return lambda parts: parts | {name: data}


def lacking(name):
    return lambda parts: {key: data for key, data in parts.items() if key != name}


HOSTILE = {
    "a pickle": (with_member("w.npy", npy(np.asarray([[{}]], dtype=object))), "not of floats"),
    "an object dtype": (with_member("w.npy", declared((3, 1), "|O")), "not of floats"),
    "strings for numbers": (with_member("w.npy", npy(np.asarray([["a"]] * 3))), "not of floats"),
    "complex numbers": (with_member("w.npy", npy(np.ones((3, 1), complex))), "not of floats"),
    "700 GB declared": (with_member("w.npy", declared((10**11, 1))), "declares"),
    "a shape that overflows": (with_member("w.npy", declared((2**62, 2**62))), "declares"),
    "a negative shape": (with_member("w.npy", declared((-3, -1))), "has the shape"),
    "a dtype of no size": (with_member("w.npy", declared((10**12, 1), "<U0")), "not of floats"),
    "three axes": (with_member("w.npy", npy(np.ones((3, 1, 1)))), "has the shape"),
    "code for a header": (with_member("w.npy", declared("__import__('os').abort()")), "damaged"),
    "another array format": (with_member("w.npy", b"\x93NUMPY\x03\x00" + b" " * 120), "unknown array format"),
    "no array at all": (with_member("w.npy", b"hello"), "damaged"),
    "w of another shape": (with_member("w.npy", npy(np.ones((3, 2)))), "w has the shape"),
    "b of another shape": (with_member("b.npy", npy(np.ones((2, 1)))), "b has the shape"),
    "NaN parameters": (with_member("w.npy", npy(np.full((3, 1), np.nan))), "w is not finite"),
    "a centre alone": (with_member("center.npy", npy(np.ones((3, 1)))), "go together"),
    "a small covariance": (with_member("covariance.npy", npy(np.ones((2, 2)))), "covariance is not of the shape"),
    "no w": (lacking("w.npy"), "lacks w.npy"),
    "no header": (lacking("header.json"), "lacks header.json"),
    "no covariance": (lacking("covariance.npy"), "no covariance"),
    "an extra member": (with_member("evil.npy", npy(np.ones(3))), "which no model has"),
    "a path upwards": (with_member("../w.npy", npy(np.ones(3))), "which no model has"),
    "an absolute path": (with_member("/etc/passwd", b""), "which no model has"),
    "JSON cut short": (with_member("header.json", b'{"format": "xlogreg mo'), "damaged"),
    "JSON that is a list": (with_member("header.json", b"[1, 2]"), "no model of xlogreg"),
    "deep JSON": (with_member("header.json", b"[" * 100_000), "damaged"),
    "another format": (in_header(format="sklearn"), "no model of xlogreg"),
    "a newer version": (in_header(version=VERSION + 1), f"version 3, newer than {VERSION}: update xlogreg"),
    "no version": (in_header(version="1"), "has no version"),
    "another class count": (in_header(classes={"dtype": "<i8", "values": [0, 1, 2]}), "with 3 classes"),
    "one class": (in_header(classes={"dtype": "<i8", "values": [0]}), "fewer than two classes"),
    "a class twice": (in_header(classes={"dtype": "<i8", "values": [1, 1]}), "two classes are the same"),
    "classes of objects": (in_header(classes={"dtype": "|O", "values": [0, 1]}), "classes are of"),
    "classes of another type": (in_header(classes={"dtype": "<i8", "values": ["a", "b"]}), "classes are not all"),
    "classes that overflow": (in_header(classes={"dtype": "|u1", "values": [0, 300]}), "damaged"),
    "classes too long": (in_header(classes={"dtype": "<U1", "values": ["a", "bcd"]}), "longer than"),
    "classes out of order": (in_header(classes={"dtype": "<i8", "values": [5, 1]}), "classes are not in order"),
    "classes that round": (in_header(classes={"dtype": "<f4", "values": [1.0, 1.00000001]}), "classes are not of <f4"),
    "infinite classes": (in_header(classes={"dtype": "<f4", "values": [1e39, 2e39]}), "classes are not of <f4"),
    "classes with zeros": (in_header(classes={"dtype": "<U9", "values": ["a", "a\0"]}), "classes are not of <U2"),
    "a label of gigabytes": (
        in_header(classes={"dtype": "<U999999", "values": [*map(str, range(4000)), "b" * 500_000]}),
        "with 4001 classes",
    ),
    "another field": (in_header(surprise=[[[]]]), "its header has other fields"),
    "too few names": (in_header(feature_names=["a"]), "feature_names are not 3 different names"),
    "names that repeat": (in_header(feature_names=["a", "a", "b"]), "feature_names are not 3 different names"),
    "an unknown loss": (in_header(loss="hinge"), "the loss 'hinge' is unknown"),
    "the loss of more classes": (in_header(loss="cross_entropy"), "with 1 outputs"),
    "samples nowhere": (in_header(samples="diagonal"), "samples is 'diagonal'"),
    "fit_info of other fields": (in_fit_info(surprise=1), "fit_info has other fields"),
    "a cost of many digits": (in_fit_info(cost=10**400), "fit_info.cost is too large"),
    "a cost in words": (in_fit_info(cost="1_0"), "fit_info.cost is '1_0'"),
    "a reason of its own": (in_fit_info(reason="\x1b[2J"), "fit_info.reason is"),
    "fit_info of other types": (in_fit_info(iterations="many"), "fit_info.iterations"),
    "no samples": (in_fit_info(n_samples=0), "fit_info.n_samples is '0'"),
    "samples in halves": (in_fit_info(n_samples=1.5), "fit_info.n_samples is '1.5'"),
    "a weight below zero": (in_fit_info(total_weight=-1.0), "fit_info.total_weight is '-1.0'"),
    "an infinite weight": (in_fit_info(total_weight="inf"), "fit_info.total_weight is 'inf'"),
    "a negative penalty": (in_header(l2=-0.1), "l2 is '-0.1'"),
    "a penalty that is not finite": (in_header(l2=float("nan")), "l2 is 'nan'"),
    "a penalty in words": (in_header(l2="0.1"), "l2 is '0.1'"),
    "a penalty that is a flag": (in_header(l2=True), "l2 is 'True'"),
    "a scale of zero": (in_header(standardize=0.0), "standardize is '0.0'"),
    "a scale without end": (in_header(standardize=float("inf")), "standardize is 'inf'"),
    "a scale that is a list": (in_header(standardize=[255.0]), "standardize is"),
    "too few factors": (
        with_member("penalty_factor.npy", npy(np.ones(2))),
        r"penalty_factor is not of the shape \(3,\)",
    ),
    "factors in a column": (
        with_member("penalty_factor.npy", npy(np.ones((3, 1)))),
        "penalty_factor is not of the shape",
    ),
    "a negative factor": (with_member("penalty_factor.npy", npy(np.asarray([1.0, -1.0, 0.0]))), "is negative"),
    "an infinite factor": (with_member("penalty_factor.npy", npy(np.full(3, np.inf))), "penalty_factor is not finite"),
    "factors of objects": (with_member("penalty_factor.npy", declared((3,), "|O")), "not of floats"),
    "gigabytes of factors": (with_member("penalty_factor.npy", declared((10**11,))), "declares"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archives_are_one_error(case, path):
    change, message = HOSTILE[case]
    path.write_bytes(archive_of(change(members(path)).items()))
    with pytest.raises(ModelFileError, match=message) as caught:
        xlogreg.load(path)
    assert str(path) in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_member_that_comes_twice_is_refused(path):
    parts = members(path)
    with pytest.warns(UserWarning, match="Duplicate name"):
        path.write_bytes(archive_of([*parts.items(), ("w.npy", parts["w.npy"])]))
    with pytest.raises(ModelFileError, match=r"holds 'w\.npy' twice"):
        xlogreg.load(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_members_are_refused_so_that_none_is_a_bomb(path, compression):
    path.write_bytes(archive_of(members(path).items(), compression))
    with pytest.raises(ModelFileError, match="compressed or encrypted"):
        xlogreg.load(path)


def test_an_unknown_compression_is_refused(path):
    data = path.read_bytes()
    at = data.index(b"PK\x01\x02") + 10
    path.write_bytes(data[:at] + struct.pack("<H", 93) + data[at + 2 :])
    with pytest.raises(ModelFileError, match="compressed or encrypted"):
        xlogreg.load(path)


def test_a_size_that_the_file_does_not_have_is_refused(path):
    data = path.read_bytes()
    at = data.index(b"PK\x01\x02") + 20
    path.write_bytes(data[:at] + struct.pack("<II", 2**31, 2**31) + data[at + 8 :])
    with pytest.raises(ModelFileError, match="declares more than the file has"):
        xlogreg.load(path)


def test_a_file_cut_anywhere_is_refused(path):
    data = path.read_bytes()
    for length in range(0, len(data), 37):
        path.write_bytes(data[:length])
        with pytest.raises(ModelFileError, match="model file"):
            xlogreg.load(path)


def test_a_flipped_byte_is_refused_or_changes_nothing(path, model):
    data = path.read_bytes()
    for at in range(0, len(data), 11):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :])
        try:
            again = xlogreg.load(path)
        except ModelFileError:
            continue
        np.testing.assert_array_equal(again.w, model.w)  # a date, or something else that is not looked at


def test_reading_allocates_no_more_than_a_few_times_the_file(path):
    tracemalloc = pytest.importorskip("tracemalloc")
    path.write_bytes(archive_of((members(path) | {"w.npy": declared((10**11, 1))}).items()))
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError):
            xlogreg.load(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_long_labels_of_many_classes_are_refused_before_they_are_made(tmp_path):
    X = np.eye(400, 800)[:, np.arange(800) % 400]
    model = xlogreg.fit(X, np.arange(800) % 400, l2=1.0, max_iter=1, solver="gd")
    labels = [*sorted(map(str, range(1000, 1399))), "b" * 300_000]
    model.save(tmp_path / "model")
    path = tmp_path / "model"
    path.write_bytes(archive_of(in_header(classes={"dtype": "<U300000", "values": labels})(members(path)).items()))
    with pytest.raises(ModelFileError, match="its classes are too long"):
        xlogreg.load(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_pipes_devices_and_folders_are_neither_read_nor_replaced(tmp_path, model):
    os.mkfifo(tmp_path / "pipe")
    for name in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ModelFileError, match="it is no regular file"):
            xlogreg.load(name)
        with pytest.raises(OSError, match="is no regular file, and would be replaced by one"):
            model.save(name)
    with pytest.raises(IsADirectoryError, match=tmp_path.name):
        model.save(tmp_path)
    assert os.listdir(tmp_path) == ["pipe"]


def test_labels_of_any_length_and_type_come_back(tmp_path, monkeypatch):
    for labels in (np.where(Y, "a", "b").astype("U50"), np.where(Y, b"a", b"b").astype("S50"), Y.astype(np.longdouble)):
        model = xlogreg.fit(X, labels)
        model.save(tmp_path / "model")
        assert xlogreg.load(tmp_path / "model").classes.tolist() == model.classes.tolist()
    monkeypatch.setattr("xlogreg.model.file.LABEL_CHARACTERS", 100)
    with pytest.raises(ValueError, match="too long for a file"):
        xlogreg.fit(X, np.where(Y, "a" * 60, "b")).save(tmp_path / "long")


def test_names_that_no_file_has_room_for_are_refused_before_a_file_is_touched(path, model, monkeypatch):
    before = path.read_bytes()
    monkeypatch.setattr("xlogreg.model.file.HEADER_BYTES", 1000)
    with pytest.raises(ValueError, match="names of the features or the labels are too long"):
        dataclasses.replace(model, feature_names=("a" * 1000, "b", "c")).save(path)
    left_alone(path, before)


def test_names_as_long_as_the_file_system_allows(tmp_path, model):
    model.save(tmp_path / ("漢" * 85))
    assert xlogreg.load(tmp_path / ("漢" * 85)).classes.tolist() == [0, 1]


def test_other_files_are_no_models(tmp_path):
    np.savez(tmp_path / "arrays.npz", w=np.ones((3, 1)))
    (tmp_path / "text").write_text("hello")
    (tmp_path / "pickle").write_bytes(pickle.dumps({"w": 1}))
    for name in ("arrays.npz", "text", "pickle"):
        with pytest.raises(ModelFileError, match=name):
            xlogreg.load(tmp_path / name)


def test_a_model_that_saw_one_class_only_is_saved_and_loaded(problem, tmp_path):
    model = xlogreg.fit(*problem, l2=0.1)
    model = dataclasses.replace(model, fit_info=dataclasses.replace(model.fit_info, reason="one class"))
    model.save(tmp_path / "model")
    assert xlogreg.load(tmp_path / "model").fit_info.reason == "one class"
