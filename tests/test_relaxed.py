"""The relaxed lasso: the fit of the selected features without L1, from everywhere and in every kind of fit."""

import io
import json

import numpy as np
import pytest
import scipy.sparse
from conftest import cut
from kinks import largest
from test_elastic_net import FACTORS, M, drawn
from test_files import archive_of, members
from test_sparse import alike

import xlogreg
from xlogreg.arrays.place import to_host

ROWS = {"samples": "rows"}
TIGHT = {"tol": 1e-14, **ROWS}
OPTIONS = {
    "plain": {},
    "weights": {"sample_weight": np.arange(M) % 4},
    "factors": {"penalty_factor": FACTORS},
    "one factor": {"penalty_factor": np.full(12, 2.0)},
    "some without": {"penalty_factor": np.arange(12) % 3},
    "standardize": {"standardize": True},
    "divided": {"standardize": 2.5},
    "no bias": {"bias": False},
    "bounds": {"lower": -0.4, "upper": np.where(np.arange(12) % 2, 0.3, np.inf)},
}


def of_selected(first, X, Y, relax, **options):
    """The features that a lasso has selected, and their fit without L1."""
    chosen = np.flatnonzero(np.any(to_host(first.w) != 0, axis=1))
    one_each = ("penalty_factor", "upper")
    own = {name: value[chosen] if name in one_each else value for name, value in options.items()}
    return chosen, xlogreg.fit(X[:, chosen], Y, l2=relax, **own, **TIGHT)


def check(model, first, X, Y, relax, atol=1e-8, **options):
    chosen, alone = of_selected(first, X, Y, relax, **options)
    w = to_host(model.w)
    assert 0 < len(chosen) < X.shape[1]
    if "upper" in options and not relax:  # bounds leave a constant over the classes open
        np.testing.assert_allclose(model.predict_proba(X), alone.predict_proba(X[:, chosen]), atol=atol)
    else:
        np.testing.assert_allclose(w[chosen], alone.w, atol=atol)
        np.testing.assert_allclose(to_host(model.b), alone.b, atol=10 * atol)
    assert not np.delete(w, chosen, axis=0).any()
    assert model.fit_info.cost == pytest.approx(alone.fit_info.cost, abs=1e-12 if atol < 1e-7 else 1e-6)
    assert model.fit_info.converged
    assert model.fit_info.separation == alone.fit_info.separation


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("relax", [0, 0.01])
def test_it_is_the_fit_of_the_selected_features(options, classes, relax):
    X, Y = drawn(M, classes=classes, shift=3.0)
    loose = ("lower", "upper", *(["penalty_factor"] if not np.all(options.get("penalty_factor", 1)) else []))
    some = {name: value for name, value in options.items() if name not in loose}
    l1 = 0.5 * largest(X, Y, **some)
    first = xlogreg.fit(X, Y, l1=l1, l2=0.02, **options, **TIGHT)
    model = xlogreg.fit(X, Y, l1=l1, l2=0.02, relax=relax, **options, **TIGHT)
    check(model, first, X, Y, relax, **options)
    assert (model.l1, model.l2, model.relax, first.relax) == (l1, 0.02, relax, None)
    assert f"relax={relax}" in repr(model)
    assert first.fit_info.passes < model.fit_info.passes < first.fit_info.passes + 18
    assert model.fit_info.iterations == len(model.costs) > len(first.costs)
    with pytest.raises(ValueError, match="selected by an L1 penalty on the same data"):
        model.standard_errors()


def test_many_samples_take_a_few_passes_more():
    X, Y = drawn(40_000, 60, seed=3)
    l1 = 0.05 * largest(X, Y)
    first = xlogreg.fit(X, Y, l1=l1, **TIGHT)
    for relax in (0.0, 0.01):
        model = xlogreg.fit(X, Y, l1=l1, relax=relax, **TIGHT)
        check(model, first, X, Y, relax, atol=1e-6)
        assert model.fit_info.passes < first.fit_info.passes + 9


def test_more_features_than_samples():
    X, Y = drawn(100, 400, seed=1)
    l1 = 0.5 * largest(X, Y)
    check(xlogreg.fit(X, Y, l1=l1, relax=0.01, **TIGHT), xlogreg.fit(X, Y, l1=l1, **TIGHT), X, Y, 0.01)


def test_it_is_the_same_everywhere(where):
    X, Y = drawn(120, 6)
    options = {"l1": 0.3 * largest(X, Y), **TIGHT}
    expected, first = xlogreg.fit(X, Y, relax=0.01, **options), xlogreg.fit(X, Y, **options)
    check(expected, first, X, Y, 0.01)
    model = xlogreg.fit(where.asarray(X), Y, relax=0.01, l1=options["l1"], **ROWS)
    where.check(model.w, expected.w, rtol=1e-6 if where.dtype == "float64" else 1e-3)
    np.testing.assert_array_equal(to_host(model.w) == 0, expected.w == 0)
    assert model.fit_info.converged


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("relax", [0, 0.01])
def test_every_kind_of_samples_gives_the_same(classes, relax, tmp_path):
    X, Y = drawn(400, 8, classes=classes)
    X = X * (np.random.default_rng(1).random(X.shape) < 0.5)
    options = {"l1": 0.3 * largest(X, Y), **TIGHT}
    whole = xlogreg.fit(X, Y, relax=relax, **options)
    check(whole, xlogreg.fit(X, Y, **options), X, Y, relax)
    np.save(tmp_path / "X.npy", X)
    stored = np.load(tmp_path / "X.npy", mmap_mode="r")
    blocks = lambda: iter([(X[:150], Y[:150]), (X[150:], Y[150:])])  # noqa: E731  # a factory, as a user writes it
    for given, targets in ((scipy.sparse.csr_array(X), Y), (stored, Y), (np.asfortranarray(X), Y), (blocks, None)):
        model = xlogreg.fit(given, targets, relax=relax, **options)
        alike(model, whole, 1e-7)
        assert model.fit_info.separation == whole.fit_info.separation


def test_workers_of_a_cluster_fit_the_same(client):
    X, Y = drawn(1500, 8)
    for relax in (0, 0.01):
        options = {"l1": 0.3 * largest(X, Y), "relax": relax, **TIGHT}
        alike(xlogreg.fit(cut(X, 500, axis=0), Y, **options), xlogreg.fit(X, Y, **options), 1e-7)


def test_levels_of_categories_are_selected_one_by_one():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.standard_normal(400), "city": pd.Categorical(rng.choice(list("abcde"), 400))})
    Y = frame["x"] + (frame["city"] == "c") + rng.logistic(size=400) > 0
    options = {"l1": 0.02, "categorical_features": "from_dtype", **TIGHT}
    first, model = xlogreg.fit(frame, Y, **options), xlogreg.fit(frame, Y, relax=0, **options)
    X = np.column_stack([frame["x"], *(frame["city"] == level for level in "abcde")]).astype(float)
    check(model, first, X, Y.to_numpy(), 0)
    assert model.feature_names == first.feature_names


@pytest.mark.parametrize("classes", [2, 3])
def test_each_model_of_a_path_and_of_many_is_relaxed(classes):
    X, Y = drawn(classes=classes)
    most = largest(X, Y)
    penalties = np.asarray([0.1, 2.0, 0.4]) * most
    path = xlogreg.fit_path(X, Y, penalties=penalties, relax=0.01, **TIGHT)
    plain = xlogreg.fit_path(X, Y, penalties=penalties, **TIGHT)
    np.testing.assert_array_equal(path.selected, plain.selected)
    for number in (0, 2):
        check(path[number], plain[number], X, Y, 0.01, atol=1e-7)
    assert not path[1].w.any()
    assert path[1].fit_info.cost == pytest.approx(plain[1].fit_info.cost)
    assert np.all(path.deviance_explained[[0, 2]] > plain.deviance_explained[[0, 2]])
    alone = xlogreg.fit(X, Y, l1=float(penalties[0]), relax=0.01, **TIGHT)
    alike(path[0], alone, 1e-7)
    lasso, ridge = xlogreg.fit_many(X, [Y, Y], l1s=[0.1 * most, 0.0], l2s=[0.0, 0.01], relax=0.01, **TIGHT)
    alike(lasso, alone, 1e-7)
    assert ridge.relax is None
    alike(ridge, xlogreg.fit(X, Y, l2=0.01, **TIGHT), 1e-5)


@pytest.mark.parametrize("relax", [0.0, 0.01])
def test_the_scores_of_a_cross_validation_are_those_of_relaxed_models(relax):
    X, Y = drawn(240, 6)
    folds, penalties = np.arange(240) % 3, np.asarray([0.2, 0.05])
    options = {"penalties": penalties, "l1_ratio": [1.0, 0.0], "folds": folds, "relax": relax, **TIGHT}
    found = xlogreg.fit_cv(X, Y, **options)
    for fold in range(3):
        train = folds != fold
        for number, l1 in enumerate(penalties):
            first = xlogreg.fit(X[train], Y[train], l1=l1, **TIGHT)
            chosen, model = of_selected(first, X[train], Y[train], relax)
            loss = model.evaluate(X[~train][:, chosen], Y[~train]).log_loss
            assert found.scores["log_loss"][fold, number] == pytest.approx(loss, rel=1e-7)
            ridge = xlogreg.fit(X[train], Y[train], l2=l1, **TIGHT).evaluate(X[~train], Y[~train]).log_loss
            assert found.scores["log_loss"][fold, 2 + number] == pytest.approx(ridge, rel=1e-6)
    alone = xlogreg.fit_cv(X, Y, **(options | {"l1_ratio": 1.0}))
    check(alone.model, xlogreg.fit(X, Y, l1=alone.l1[alone.chosen], **TIGHT), X, Y, relax)
    assert alone.model.relax == relax


def test_a_fold_without_a_class_is_relaxed_too():
    X, Y = drawn(120, 5, classes=3)
    folds = np.where(Y == 2, 0, 1 + np.arange(120) % 2)
    with pytest.warns(xlogreg.MissingClassWarning):
        found = xlogreg.fit_cv(X, Y, penalties=[0.05], folds=folds, relax=0.02, **TIGHT)
    few = Y < 2
    first = xlogreg.fit(X[few], Y[few], l1=0.05, **TIGHT)
    chosen, model = of_selected(first, X[few], Y[few], 0.01)
    _, other = of_selected(first, X[few], Y[few], 0.02)
    held = np.stack([m.predict_proba(X[:, chosen])[~few, 1] for m in (model, other)])
    assert np.abs(held[0] - held[1]).max() > 1e-4
    assert found.scores["accuracy"][0, 0] == 0.0


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_selected_features_that_separate_have_no_minimum(dtype):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 30)).astype(dtype)
    Y = X[:, 0] + X[:, 1] > 0
    with pytest.warns(xlogreg.SeparationWarning, match="every sample on its own side"):
        model = xlogreg.fit(X, Y, l1=0.02, relax=0, **ROWS)
    assert (model.fit_info.reason, model.fit_info.separation) == ("separated", "complete")
    held = xlogreg.fit(X, Y, l1=0.02, relax=0.01, **ROWS)
    assert held.fit_info.converged
    X = np.column_stack([rng.standard_normal((200, 2)), rng.random(200) < 0.2]).astype(dtype)
    Y = (X[:, 0] + rng.logistic(size=200) > 0) | (X[:, 2] > 0)
    with pytest.warns(xlogreg.SeparationWarning, match=r"some on it.*strongest in the features 2"):
        model = xlogreg.fit(X, Y, l1=0.001, relax=0, **ROWS)
    assert (model.fit_info.reason, model.fit_info.separation) == ("separated", "quasi-complete")
    assert xlogreg.fit(X, 0.1 + 0.8 * Y, targets="probabilities", l1=0.001, relax=0, **ROWS).fit_info.converged


def test_a_first_fit_that_does_not_end_well_is_not_followed():
    X, Y = drawn(5000, 20)
    options = {"l1": 0.01 * largest(X, Y), **ROWS}
    with pytest.warns(xlogreg.ConvergenceWarning, match="proximal made max_iter=1 steps"):
        short = xlogreg.fit(X, Y, relax=0, max_iter=1, **options)
    with pytest.warns(xlogreg.ConvergenceWarning, match="proximal made max_iter=1 steps"):
        first = xlogreg.fit(X, Y, max_iter=1, **options)
    np.testing.assert_array_equal(short.w, first.w)
    stopped = xlogreg.fit(X, Y, relax=0, callback=lambda state: state.iteration == 1, **options)
    assert (stopped.fit_info.reason, stopped.fit_info.iterations) == ("callback", 1)


def test_the_file_keeps_it_and_older_libraries_refuse_it(tmp_path):
    X, Y = drawn()
    for relax in (0, 0.25, None):
        model = xlogreg.fit(X, Y, l1=0.05, relax=relax, **ROWS)
        model.save(tmp_path / "model")
        loaded = xlogreg.load(tmp_path / "model")
        assert loaded.relax == relax
        assert repr(loaded) == repr(model)
        assert (loaded.to_sklearn().C == 1.0) == (relax is not None)  # no C of theirs gives such a model
        parts = members(tmp_path / "model")
        assert ("relax" in json.loads(parts["header.json"])) == (relax is not None)  # which no field of theirs is
    header = json.loads(parts["header.json"])
    for value in (-1.0, True, "0", float("nan")):
        parts["header.json"] = json.dumps(header | {"relax": value}).encode()
        (tmp_path / "odd").write_bytes(io.BytesIO(archive_of(parts.items())).getvalue())
        with pytest.raises(xlogreg.ModelFileError, match="relax is"):
            xlogreg.load(tmp_path / "odd")


def test_what_is_no_penalty_is_refused():
    X, Y = drawn(40, 2)
    for function, options in ((xlogreg.fit, {"l1": 0.1}), (xlogreg.fit_path, {"penalties": [0.1]})):
        for value in (-1.0, np.nan, np.inf):
            with pytest.raises(ValueError, match="relax must be None or a finite number >= 0"):
                function(X, Y, relax=value, **options, **ROWS)
        for value in ("0.1", [0.1], True):
            with pytest.raises(TypeError, match="relax must be None or a finite number >= 0"):
                function(X, Y, relax=value, **options, **ROWS)
    for function, options in (
        (xlogreg.fit, {"l2": 0.1}),
        (xlogreg.fit_path, {"l2s": [0.1]}),
        (xlogreg.fit_cv, {"penalties": [0.1], "l1_ratio": 0.0}),
        (xlogreg.fit_many, {}),
    ):
        with pytest.raises(ValueError, match="relax fits the features again that an L1 penalty selects"):
            function(X, [Y] if function is xlogreg.fit_many else Y, relax=0.0, **options, **ROWS)
