"""What the report of a fit with L1 says beside its numbers: that all weights are zero, or not the only answer."""

import dataclasses
import json
import re

import numpy as np
import pytest
from kinks import largest
from test_elastic_net import FACTORS, ROWS, M, drawn
from test_files import members

import xlogreg

ZERO = "every weight that l1 penalises is zero; the first one enters below l1 = "


def entry(model):
    """The l1 below which the note says that a weight enters."""
    return float(re.fullmatch(re.escape(ZERO) + r"(\S+)", model.fit_info.note)[1])


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"l2": 0.1, "sample_weight": np.arange(M) % 4},
        {"penalty_factor": FACTORS},
        {"penalty_factor": np.full(12, 3.0), "standardize": True},
        {"bias": False},
    ],
)
def test_a_penalty_larger_than_the_largest_that_matters_is_said(options, classes):
    X, Y = drawn(M, classes=classes)
    most = largest(X, Y, **options)
    for times in (1.001, 100.0):
        model = xlogreg.fit(X, Y, l1=times * most, **options, **ROWS)
        assert entry(model) == pytest.approx(most, rel=1e-3)
        assert ZERO in str(model.fit_info)
        assert ZERO in model.fit_info.summary
    model = xlogreg.fit(X, Y, l1=0.99 * most, **options, **ROWS)
    assert model.w.any()
    assert model.fit_info.note == ""
    assert "note" not in str(model.fit_info)


@pytest.mark.parametrize("options", [{"lower": 0.0}, {"upper": 0.0}, {"penalty_factor": np.arange(12) % 3}])
def test_the_largest_is_that_within_bounds_and_beside_free_features(options):
    X, Y = drawn()
    first = xlogreg.fit(X, Y, l1=10.0, **options, **ROWS)
    held = np.asarray(options.get("penalty_factor", np.ones(12))) > 0
    assert not first.w[held].any()
    for times, enters in ((1.001, False), (0.99, True)):
        model = xlogreg.fit(X, Y, l1=times * entry(first), **options, **ROWS)
        assert bool(model.w[held].any()) == enters
        assert bool(model.fit_info.note) != enters


def test_the_first_models_of_a_path_say_so_in_silence(capfd):
    X, Y = drawn()
    path = xlogreg.fit_path(X, Y, penalties=np.asarray([4.0, 2.0, 0.5, 0.1]) * largest(X, Y), **ROWS)
    assert [bool(model.fit_info.note) for model in path] == [True, True, False, False]
    assert capfd.readouterr() == ("", "")
    relaxed = xlogreg.fit(X, Y, l1=1.0, relax=0.1, **ROWS)
    assert entry(relaxed) == pytest.approx(largest(X, Y), rel=1e-3)


def test_only_files_with_a_note_have_the_field(tmp_path):
    X, Y = drawn()
    for l1 in (1.0, 0.01):
        model = xlogreg.fit(X, Y, l1=l1, **ROWS)
        model.save(tmp_path / "model")
        assert str(xlogreg.load(tmp_path / "model").fit_info) == str(model.fit_info)
        stored = json.loads(members(tmp_path / "model")["header.json"])["fit_info"]
        assert ("note" in stored) == (l1 == 1.0)
    assert dataclasses.fields(model.fit_info)[-1].default == ""


def said(model):
    """The features that the note calls collinear."""
    found = re.match(r"the features (.*) are collinear, .* with l2 > 0 there is one answer", model.fit_info.note)
    return [] if found is None else found[1].split(", ")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("m", [300, 20_000])
@pytest.mark.parametrize("classes", [2, 4])
def test_collinear_features_are_named_and_the_answer_is_the_same_each_time(classes, m, dtype):
    X, Y = drawn(m, 6, classes=classes)
    twice = np.column_stack([X, X[:, 0]]).astype(dtype)
    options = {"l1": 0.2 * largest(X, Y), **ROWS}
    one, two = (xlogreg.fit(twice, Y, **options) for _ in range(2))
    assert said(one) == ["0", "6"]
    np.testing.assert_array_equal(one.w, two.w)
    np.testing.assert_array_equal(one.b, two.b)
    once = xlogreg.fit(X.astype(dtype), Y, **options)
    assert once.fit_info.note == ""
    np.testing.assert_allclose(
        one.predict_proba(twice), once.predict_proba(X.astype(dtype)), atol=1e-6 if dtype == "float64" else 1e-3
    )
    assert xlogreg.fit(twice, Y, l2=0.01, **options).fit_info.note == ""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_levels_that_add_to_one_are_collinear_with_the_bias(dtype):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    level = rng.integers(0, 4, 400)
    Y = np.asarray([-1.5, -0.5, 0.5, 1.5])[level] + rng.logistic(size=400) > 0
    frame = pd.DataFrame(
        {"x": rng.standard_normal(400).astype(dtype), "c": pd.Categorical(np.asarray([*"abcd"])[level])}
    )
    options = {"categorical_features": ["c"], "l1": 0.01, **ROWS}
    assert said(xlogreg.fit(frame, Y, **options)) == ["'c=a'", "'c=b'", "'c=c'", "'c=d'"]
    for other in ({"drop": "first"}, {"bias": False}, {"l2": 0.001}):
        assert xlogreg.fit(frame, Y, **options, **other).fit_info.note == ""


def test_what_is_not_at_its_kink_or_may_not_grow_leaves_one_answer():
    X, Y = drawn(300, 2)
    X = np.column_stack([X[:, 0], X[:, 1], X[:, 0] + X[:, 1]])
    model = xlogreg.fit(X, Y, l1=0.02, **ROWS)
    slopes = X.T @ (model.predict_proba(X)[:, 1] - Y) / 300
    at_kink = np.abs(np.abs(slopes) - 0.02) < 1e-6
    assert model.fit_info.note == ""
    assert at_kink.sum() < 3
    opposite = np.column_stack([X[:, 0], -X[:, 0]])
    assert said(xlogreg.fit(opposite, Y, l1=0.02, **ROWS)) == ["0", "1"]
    assert xlogreg.fit(opposite, Y, l1=0.02, lower=0.0, **ROWS).fit_info.note == ""


def test_features_that_are_collinear_in_a_subset_only_are_not_named():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40_000, 8))
    X[:, 7] = X[:, 0]
    X[rng.choice(40_000, 4, replace=False), 7] += 30.0
    Y = X[:, 0] + rng.logistic(size=40_000) > 0
    model = xlogreg.fit(X, Y, l1=0.01, **ROWS)
    assert model.fit_info.converged
    assert model.fit_info.note == ""


def test_collinear_features_among_many_that_do_not_work():
    X, Y = drawn(150, 1000, seed=1)
    l1 = 0.4 * largest(X, Y)
    once = xlogreg.fit(X, Y, l1=l1, **ROWS)
    chosen = np.flatnonzero(once.w)
    assert once.fit_info.note == ""
    model = xlogreg.fit(np.column_stack([X, X[:, chosen[0]], X[:, -1]]), Y, l1=l1, **ROWS)
    assert said(model) == [str(chosen[0]), "1000"]
