"""Versions of model files: older files load, newer ones are refused, and no field is silently lost between them."""

import dataclasses
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from test_files import archive_of, in_fit_info, in_header, lacking, members, npy, with_member

import xlogreg
from xlogreg import ModelFileError
from xlogreg.model import file
from xlogreg.model.reports import FitInfo

hypothesis = pytest.importorskip("hypothesis")
given, settings, st = hypothesis.given, hypothesis.settings, hypothesis.strategies
arrays = pytest.importorskip("hypothesis.extra.numpy").arrays

# as the library of version 1 wrote them: features with names, float32, a centre and a covariance; a checkpoint
OLD = [Path(__file__).parent / f"version_1_{name}.model" for name in ("two_classes", "softmax")]
LATER = ("l2", "penalty_factor", "standardize")
quick = settings(max_examples=200, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def model():
    X, Y = np.random.default_rng(0).standard_normal((3, 60)), np.arange(60) % 2
    fitted = xlogreg.fit(X, Y, l2=0.1, standardize=3, sample_weight=np.linspace(0.1, 1.0, 60))
    return dataclasses.replace(fitted, penalty_factor=np.asarray([0.0, 1.0, 0.1]))


@pytest.fixture(scope="module")
def parts(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model"
    model.save(path)
    return members(path)


def loaded(parts, path):
    path.write_bytes(archive_of(parts.items()))
    return xlogreg.load(path)


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_a_file_of_version_1_is_loaded_and_saved_as_version_2(path, tmp_path):
    parts, model = members(path), xlogreg.load(path)
    header = json.loads(parts["header.json"])
    assert header["version"] == 1
    for name in ("w", "b", "costs", "center", "centered_b", "covariance"):
        value = getattr(model, name)
        if f"{name}.npy" in parts:
            np.testing.assert_array_equal(value, np.load(io.BytesIO(parts[f"{name}.npy"])), strict=True)
        else:
            assert value == (header["covariance"] if name == "covariance" else None)
    assert model.classes.tolist() == header["classes"]["values"]
    for name, value in header["fit_info"].items():
        np.testing.assert_equal(getattr(model.fit_info, name), math.nan if value == "nan" else value)
    assert [getattr(model, name) for name in LATER] == [None] * 3
    assert (model.fit_info.n_samples, model.fit_info.total_weight) == (None, None)
    assert "l2" not in repr(model)
    assert "n_samples           None" in str(model.fit_info)

    model.save(tmp_path / "new")
    assert json.loads(members(tmp_path / "new")["header.json"])["version"] == 2
    assert (file.format_version(path), file.format_version(tmp_path / "new")) == (1, 2)  # which `show` prints
    again = xlogreg.load(tmp_path / "new")
    assert str(again.fit_info) == str(model.fit_info)
    assert [getattr(again, name) for name in LATER] == [None] * 3
    X = np.random.default_rng(1).standard_normal((model.w.shape[0], 5))
    X = X.T if model.samples == "rows" else X
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_the_models_of_version_1_predict_what_their_arrays_say():
    two, softmax = map(xlogreg.load, OLD)
    X = np.random.default_rng(1).standard_normal((5, 3)) + np.asarray([1e6, 0.0, 0.0])
    Z = (X - two.center.T.astype(np.float64)) @ two.w + two.centered_b.T
    np.testing.assert_allclose(two.predict_proba(X)[:, 1], 1 / (1 + np.exp(-Z[:, 0])), rtol=1e-5)
    assert two.classes.tolist() == ["läuft", "nicht"]
    assert two.feature_names == ("größe", "b", "c")
    assert two.standard_errors().w.shape == (3, 1)
    Z = softmax.w.T @ X[:, 1:].T + softmax.b
    np.testing.assert_allclose(softmax.predict_proba(X[:, 1:].T), np.exp(Z) / np.sum(np.exp(Z), axis=0), rtol=1e-12)
    assert math.isnan(softmax.fit_info.passes)


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_a_damaged_file_of_version_1_is_refused_or_changes_nothing(path, tmp_path):
    data, expected, copy = path.read_bytes(), xlogreg.load(path), tmp_path / "copy"
    for at in range(0, len(data), 7):
        for damaged in (data[:at], data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]):
            copy.write_bytes(damaged)
            try:
                model = xlogreg.load(copy)
            except ModelFileError:
                continue
            np.testing.assert_array_equal(model.w, expected.w)


@pytest.mark.parametrize(
    "change",
    [
        in_header(l2=0.1),
        in_header(offset=None),
        in_fit_info(surprise=1),
        with_member("penalty_factor.npy", npy(np.ones(2))),
        lacking("costs.npy"),
    ],
)
def test_a_file_of_version_1_has_the_fields_of_version_1_only(change, tmp_path):
    with pytest.raises(ModelFileError, match=r"other fields|version 1 has no penalty_factor|lacks"):
        loaded(change(members(OLD[1])), tmp_path / "model")


def test_a_file_of_a_newer_version_is_refused_by_its_number(parts, tmp_path):
    newer = in_header(version=file.VERSION + 1, surprise={})(parts)
    message = f"version {file.VERSION + 1}, newer than {file.VERSION}: update xlogreg"
    with pytest.raises(ModelFileError, match=message):
        loaded(newer, tmp_path / "model")


USED = {
    "covariance_kind": ["sandwich", "cluster", "", 0, {"robust": "HC3"}],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in USED for value in USED[name]])
def test_a_field_of_a_later_library_that_is_used_is_refused_by_its_name(parts, tmp_path, name, value):
    message = f"it uses {name}, which this version of xlogreg cannot honour: update xlogreg"
    with pytest.raises(ModelFileError, match=message):
        loaded(in_header(**{name: value})(parts), tmp_path / "model")


def test_fields_of_a_later_library_that_are_not_used_change_nothing(model, parts, tmp_path):
    assert set(USED) == set(file.RESERVED)
    for unused in (dict.fromkeys(USED), {"covariance_kind": "Fisher information"}):
        again = loaded(in_header(**unused)(parts), tmp_path / "model")
        assert again.fit_info == model.fit_info
        assert (again.l2, again.standardize) == (0.1, 3.0)
        np.testing.assert_array_equal(again.penalty_factor, model.penalty_factor)
        np.testing.assert_array_equal(again.predict_proba(np.eye(3)), model.predict_proba(np.eye(3)))


def test_a_model_with_an_offset_says_so_in_its_file(parts, tmp_path):
    assert loaded(in_header(offset=True)(parts), tmp_path / "model").offset
    for value in (None, False):
        assert not loaded(in_header(offset=value)(parts), tmp_path / "model").offset
    for odd in ("exposure", 0.0, {}, 1):
        with pytest.raises(ModelFileError, match="offset is"):
            loaded(in_header(offset=odd)(parts), tmp_path / "model")


@pytest.mark.parametrize("value", [-1.0, True, "0.1", [0.1], float("nan"), float("inf")])
def test_an_odd_penalty_is_refused(parts, tmp_path, value):
    with pytest.raises(ModelFileError, match="l1 is"):
        loaded(in_header(l1=value)(parts), tmp_path / "model")


def test_what_a_file_does_not_say_is_not_known(parts, tmp_path):
    header = json.loads(parts["header.json"])
    header.pop("l2")
    header["standardize"] = None
    header["fit_info"].pop("n_samples")
    header["fit_info"]["total_weight"] = None
    lacks = lacking("penalty_factor.npy")(parts) | {"header.json": json.dumps(header).encode()}
    model = loaded(lacks, tmp_path / "model")
    assert [getattr(model, name) for name in LATER] == [None] * 3
    assert (model.fit_info.n_samples, model.fit_info.total_weight) == (None, None)


def test_a_field_that_fit_info_gets_leaves_older_files_readable(model, parts, tmp_path, monkeypatch):
    later = dataclasses.make_dataclass("Later", [("new", float | None, None)], bases=(FitInfo,), frozen=True)
    monkeypatch.setattr(file, "FitInfo", later)
    found = loaded(parts, tmp_path / "model").fit_info
    assert found.new is None
    assert found.cost == model.fit_info.cost
    for value in (math.inf, 2.5, None):
        dataclasses.replace(model, fit_info=dataclasses.replace(found, new=value)).save(tmp_path / "later")
        assert xlogreg.load(tmp_path / "later").fit_info.new == value
    monkeypatch.undo()
    with pytest.raises(ModelFileError, match="fit_info has other fields"):
        xlogreg.load(tmp_path / "later")
    for name in ("cost", "seconds"):  # without a default
        header = json.loads(parts["header.json"])
        header["fit_info"].pop(name)
        with pytest.raises(ModelFileError, match="fit_info has other fields"):
            loaded(parts | {"header.json": json.dumps(header).encode()}, tmp_path / "model")


# whatever is in a file --------------------------------------------------------------------------------------------

FACTORS = arrays(np.float64, 3, elements=st.floats(0, allow_infinity=False))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@quick
@given(st.floats(0, allow_infinity=False), st.booleans() | st.floats(1e-300, 1e300), st.none() | FACTORS)
def test_what_a_model_knows_comes_back_to_the_bit(tmp_path_factory, model, l2, standardize, factor):
    path = tmp_path_factory.getbasetemp() / "known"
    known = dataclasses.replace(model, l2=l2, standardize=standardize, penalty_factor=factor)
    known.save(path)
    again = xlogreg.load(path)
    assert (again.l2, again.standardize) == (l2, standardize)
    assert type(again.standardize) is type(standardize)
    if factor is None:
        assert again.penalty_factor is None
    else:
        assert again.penalty_factor.tobytes() == factor.tobytes()
    assert again.fit_info == model.fit_info


def test_whole_numbers_that_were_put_in_by_hand_come_back(model, tmp_path):
    dataclasses.replace(model, l2=1, standardize=255).save(tmp_path / "model")
    again = xlogreg.load(tmp_path / "model")
    assert (again.l2, again.standardize) == (1.0, 255.0)


FIELDS = [*sorted(file.KEYS), *file.KNOWN, *file.RESERVED]
INFOS = [field.name for field in dataclasses.fields(FitInfo)]


@quick
@given(st.sampled_from([("header", name) for name in FIELDS] + [("fit_info", name) for name in INFOS]), VALUES)
@pytest.mark.slow
def test_any_value_of_any_field_is_a_model_or_one_error(tmp_path_factory, parts, model, field, value):
    part, name = field
    changed = (in_header if part == "header" else in_fit_info)(**{name: value})(parts)
    path = tmp_path_factory.getbasetemp() / "changed"
    try:
        again = loaded(changed, path)
    except ModelFileError:
        return
    np.testing.assert_array_equal(again.w, model.w)
    info = again.fit_info
    assert again.l2 is None or again.l2 >= 0
    assert again.standardize is None or again.standardize in (True, False) or 0 < again.standardize < math.inf
    assert info.n_samples is None or (type(info.n_samples) is int and info.n_samples > 0)
    assert info.total_weight is None or 0 < info.total_weight < math.inf
    again.save(path)  # and so it is a model that can be saved


@quick
@given(st.binary(max_size=200) | st.builds(npy, arrays(st.sampled_from([np.float32, np.float64, np.int8]), (3,))))
def test_any_bytes_for_the_factors_are_factors_or_one_error(tmp_path_factory, parts, data):
    try:
        model = loaded(with_member("penalty_factor.npy", data)(parts), tmp_path_factory.getbasetemp() / "factors")
    except ModelFileError:
        return
    assert model.penalty_factor.shape == (3,)
    assert np.all((model.penalty_factor >= 0) & np.isfinite(model.penalty_factor))
