"""Effects on probabilities, odds ratios and intervals of probabilities, against statsmodels and finite differences."""

import dataclasses
import itertools

import numpy as np
import pytest
import reference_data
from conftest import QUICK, cut

import xlogreg
from xlogreg.arrays.place import to_host


@pytest.fixture(scope="module")
def mixed():
    """X (4, 400) of numbers, of zeros and ones, and of counts; Y of two classes, and of three."""
    rng = np.random.default_rng(0)
    m = 400
    X = np.stack([2.0 * rng.standard_normal(m) + 1, rng.random(m) < 0.4, rng.integers(0, 4, m), rng.random(m)])
    Z = 0.5 * X[0] - X[1] + 0.3 * X[2] - 0.2 * X[3]
    two = (Z + rng.logistic(size=m) > 0).astype(int)
    return X, two, np.argmax(np.stack([0 * Z, Z, 0.5 * X[1] - 0.4 * X[0]]) + rng.gumbel(size=(3, m)), axis=0)


@pytest.fixture(scope="module")
def model(mixed):
    return xlogreg.fit(mixed[0], mixed[1], tol=1e-14)


@pytest.fixture(scope="module")
def softmax(mixed):
    return xlogreg.fit(mixed[0], mixed[2], tol=1e-14)


def moved(model, index, step):
    """The model with one entry of (w, b), flattened feature by feature, moved by a step."""
    theta = np.concatenate([model.w, model.b.T])
    theta.ravel()[index] += step
    return dataclasses.replace(model, w=theta[:-1], b=theta[-1:].T)


def delta_errors(model, function, covariance=None):
    """Standard errors of function(model) (n,), by the delta method with central differences."""
    V, h = model.covariance if covariance is None else covariance, 1e-5
    columns = [(function(moved(model, i, h)) - function(moved(model, i, -h))) / (2 * h) for i in range(len(V))]
    J = np.stack(columns, axis=-1)
    return np.sqrt(np.einsum("...i,ij,...j->...", J, V, J))


@pytest.mark.parametrize("discrete", [True, False])
@pytest.mark.parametrize("at", ["overall", "mean"])
def test_effects_are_those_of_statsmodels(mixed, model, at, discrete):
    discrete_model = pytest.importorskip("statsmodels.discrete.discrete_model", reason="statsmodels is not installed")
    for X, Y in ((mixed[0], mixed[1]), reference_data.spector()):
        ours = (model if len(X) == 4 else xlogreg.fit(X, Y, tol=1e-14)).marginal_effects(X, at, discrete=discrete)
        exog = np.column_stack([np.ones(len(Y)), X.T])
        theirs = discrete_model.Logit(Y, exog).fit(disp=0, tol=1e-14, maxiter=100).get_margeff(at, dummy=discrete)
        np.testing.assert_allclose(ours.table["effect"], theirs.margeff, rtol=1e-8)
        np.testing.assert_allclose(ours.table["standard_error"], theirs.margeff_se, rtol=1e-8)
        np.testing.assert_allclose(ours.confint, theirs.conf_int(), rtol=1e-8)
        np.testing.assert_allclose(ours.table["p"], theirs.pvalues, rtol=1e-8)
        flags = [bool(np.isin(row, (0, 1)).all()) and discrete for row in X]
        assert ours.table["kind"].tolist() == ["difference" if flag else "derivative" for flag in flags]


@pytest.mark.parametrize("at", ["overall", "mean"])
def test_derivatives_for_many_classes_are_those_of_statsmodels(mixed, softmax, at):
    discrete_model = pytest.importorskip("statsmodels.discrete.discrete_model", reason="statsmodels is not installed")
    X, Y = mixed[0], mixed[2]
    fitted = discrete_model.MNLogit(Y, np.column_stack([np.ones(len(Y)), X.T]))
    theirs = fitted.fit(disp=0, tol=1e-14, maxiter=100, method="newton").get_margeff(at)
    ours = softmax.marginal_effects(X, at, discrete=False)
    np.testing.assert_allclose(ours.table["effect"].reshape(3, 4).T, theirs.margeff, rtol=1e-8)
    np.testing.assert_allclose(ours.table["standard_error"].reshape(3, 4).T, theirs.margeff_se, rtol=1e-8)
    assert ours.table["class"].tolist() == ["0"] * 4 + ["1"] * 4 + ["2"] * 4


def difference(model, X, feature):
    """Mean difference of the probabilities of all classes between 1 and 0."""
    one, zero = X.copy(), X.copy()
    one[feature], zero[feature] = 1.0, 0.0
    return np.mean(model.predict_proba(one) - model.predict_proba(zero), axis=1)


def test_differences_for_many_classes_are_those_of_predictions(mixed, softmax):
    X = mixed[0]
    table = softmax.marginal_effects(X).table
    own = table[table["name"] == "x1"]
    assert own["kind"].tolist() == ["difference"] * 3
    np.testing.assert_allclose(own["effect"], difference(softmax, X, 1), rtol=1e-12)
    errors = delta_errors(softmax, lambda one: difference(one, X, 1))
    np.testing.assert_allclose(own["standard_error"], errors, rtol=1e-7)
    at_mean = softmax.marginal_effects(X, "mean").table
    expected = difference(softmax, X.mean(axis=1, keepdims=True), 1)
    np.testing.assert_allclose(at_mean[at_mean["name"] == "x1"]["effect"], expected, rtol=1e-12)


def test_the_effects_on_all_classes_add_up_to_nothing(mixed, softmax):
    effects = softmax.marginal_effects(mixed[0]).table["effect"].reshape(3, -1)
    np.testing.assert_allclose(effects.sum(axis=0), 0.0, atol=1e-14)
    assert np.min(np.max(np.abs(effects), axis=0)) > 1e-3


@pytest.fixture(scope="module")
def frame(mixed):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    rng = np.random.default_rng(1)
    city, sex = rng.choice(["Bonn", "Paris", "Rome"], 400), rng.choice(["f", "m"], 400)
    Z = mixed[0][0] - 1.2 * (city == "Rome") + 0.7 * (sex == "m")
    Y = (Z + rng.logistic(size=400) > 0).astype(int)
    return pandas.DataFrame({"city": city, "age": mixed[0][0], "sex": sex}), Y


def contrast(model, frame, column, level, base, weight=None):
    """Mean difference of the probability of the second class between two levels that everyone has."""
    proba = [model.predict_proba(frame.assign(**{column: value}))[:, 1] for value in (level, base)]
    return np.average(proba[0] - proba[1], weights=weight, keepdims=True)


@pytest.mark.parametrize("reference", [None, {"city": "Paris"}])
def test_a_level_is_compared_with_the_level_without_a_feature(frame, table_kind, reference):
    X, Y = frame
    model = xlogreg.fit(X, Y, samples="rows", tol=1e-14, categorical_features=["city", "sex"], reference=reference)
    base = "Bonn" if reference is None else "Paris"
    table = model.marginal_effects(X).table
    others = [city for city in ("Bonn", "Paris", "Rome") if city != base]
    assert table["name"].tolist() == [*(f"city={city}" for city in others), "age", "sex=m"]
    assert table["kind"].tolist() == ["difference", "difference", "derivative", "difference"]
    pairs = [("city", others[0], base), ("city", others[1], base), ("sex", "m", "f")]
    for row, pair in zip(table[[0, 1, 3]], pairs, strict=True):
        np.testing.assert_allclose(row["effect"], contrast(model, X, *pair), rtol=1e-10)
        errors = delta_errors(model, lambda one, pair=pair: contrast(one, X, *pair))
        np.testing.assert_allclose(row["standard_error"], errors, rtol=1e-6)


def test_where_each_level_has_a_feature_the_first_is_the_base(frame, table_kind):
    X, Y = frame
    model = xlogreg.fit(X, Y, samples="rows", l2=1e-2, categorical_features=["city", "sex"], drop=None)
    covariance = model.covariance_of(X, Y, kind="posterior")
    table = model.marginal_effects(X, covariance=covariance).table
    assert table["name"].tolist() == ["city=Paris", "city=Rome", "age", "sex=m"]
    for row, pair in zip(table[[0, 1]], [("city", "Paris", "Bonn"), ("city", "Rome", "Bonn")], strict=True):
        np.testing.assert_allclose(row["effect"], contrast(model, X, *pair), rtol=1e-10)
        errors = delta_errors(model, lambda one, pair=pair: contrast(one, X, *pair), covariance.matrix)
        np.testing.assert_allclose(row["standard_error"], errors, rtol=1e-6)


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_effects_are_the_same_in_any_library(mixed, where):
    X, *targets = mixed
    for Y in targets:
        here, there = (xlogreg.fit(values, Y) for values in (X, where.asarray(X)))
        near = {"rtol": 1e-6 if where.dtype == "float64" else 2e-2, "atol": 1e-8 if where.dtype == "float64" else 1e-3}
        for at in ("overall", "mean"):
            ours, expected = there.marginal_effects(where.asarray(X), at), here.marginal_effects(X, at)
            assert ours.table["kind"].tolist() == expected.table["kind"].tolist()
            for name in ("effect", "standard_error"):
                np.testing.assert_allclose(ours.table[name], expected.table[name], **near)


def same_effects(model, X, expected, **options):
    found = model.marginal_effects(X, **options)
    for name in ("effect", "standard_error"):
        np.testing.assert_allclose(found.table[name], expected.table[name], rtol=1e-9)
    assert found.table["name"].tolist() == expected.table["name"].tolist()


def test_any_source_has_the_same_effects(client, mixed, tmp_path):
    sparse = pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    X, Y, three = mixed
    weight = np.arange(400) % 3 + 0.5
    np.save(tmp_path / "X.npy", np.ascontiguousarray(X.T))

    def factory():
        for start in range(0, 400, 90):
            part = slice(start, start + 90)
            yield X.T[part], Y[part], weight[part]

    for labels in (Y, three):
        rows = xlogreg.fit(X.T, labels, samples="rows")
        for at in ("overall", "mean"):
            expected = rows.marginal_effects(X.T, at)
            for source in (sparse.csr_array(X.T), np.load(tmp_path / "X.npy", mmap_mode="r"), cut(X.T, 90, 0)):
                same_effects(rows, source, expected, at=at)
    rows = xlogreg.fit(X.T, Y, samples="rows")
    weighted = rows.marginal_effects(X.T, sample_weight=weight)
    same_effects(rows, factory, weighted)
    same_effects(rows, cut(X.T, 90, 0), weighted, sample_weight=cut(weight, 90))


def test_weights_are_as_good_as_repeats(mixed, model):
    X = mixed[0]
    weight = np.arange(400) % 3
    for at in ("overall", "mean"):
        same_effects(model, X, model.marginal_effects(np.repeat(X, weight, axis=1), at), at=at, sample_weight=weight)


def test_blocks_and_a_far_origin_do_not_matter(mixed, monkeypatch):
    X, Y = np.round(64 * mixed[0]) / 64, mixed[1]
    near = xlogreg.fit(X, Y, tol=1e-14)
    far = (X + np.asarray([[2048.0], [0.0], [2048.0], [0.0]])).astype(np.float32)
    model = xlogreg.fit(far, Y, tol=1e-14)
    assert model.center is not None
    monkeypatch.setattr("xlogreg.samples.blocks.SMALL_BLOCK_BYTES", 4000)
    for rows in ("xlogreg.math.effects.ROWS", "xlogreg.math.variances.ROWS"):
        monkeypatch.setattr(rows, 1)
    found, expected = model.marginal_effects(far), near.marginal_effects(X)
    assert found.table["kind"].tolist() == expected.table["kind"].tolist()
    for name in ("effect", "standard_error"):
        np.testing.assert_allclose(found.table[name], expected.table[name], rtol=1e-6)
    for bound, other in zip(model.predict_interval(far), near.predict_interval(X), strict=True):
        assert bound.dtype == np.float32
        np.testing.assert_allclose(bound, other, rtol=1e-6)


@pytest.mark.parametrize(
    "values",
    [
        [0.0, 1.0, 2.0, 1.0],
        [0.0, 0.5, 1.0, 1.0],
        [-1.0, 1.0, 1.0, 0.0],
        [1.0, -1.0, -1.0, 0.0],
        [0.0, 1.0, 1.0 + 1e-6, 0.0],
    ],
)
def test_features_near_zeros_and_ones_are_numbers(values):
    X = np.asarray([[0.3, -2.0, 1.0, 0.2] * 10, values * 10])
    rng = np.random.default_rng(3)
    model = xlogreg.fit(X, rng.integers(0, 2, 40))
    assert model.marginal_effects(X).table["kind"].tolist() == ["derivative", "derivative"]
    flags = np.asarray([[0.3, -2.0, 1.0, 0.2] * 10, [0.0, 1.0, 1.0, 0.0] * 10])
    assert model.marginal_effects(flags).table["kind"].tolist() == ["derivative", "difference"]


def test_robust_errors_are_taken_where_asked(mixed, model):
    X, Y = mixed[0], mixed[1]
    robust = model.covariance_of(X, Y, kind="HC0")
    table = model.marginal_effects(X, covariance=robust).table
    errors = delta_errors(model, lambda one: difference(one, X, 1)[1:], robust.matrix)
    np.testing.assert_allclose(table["standard_error"][1], errors, rtol=1e-7)
    assert "HC0" in str(model.marginal_effects(X, covariance=robust))


def test_a_model_without_a_bias_has_effects(mixed):
    X, Y = mixed[0], mixed[1]
    model = xlogreg.fit(X, Y, bias=False, tol=1e-14)
    table = model.marginal_effects(X).table
    np.testing.assert_allclose(table["effect"][1], difference(model, X, 1)[1], rtol=1e-12)
    np.testing.assert_allclose(
        table["standard_error"][1], delta_errors(model, lambda one: difference(one, X, 1))[1], rtol=1e-7
    )


def test_an_offset_and_a_shift_count_in_the_probabilities(client, mixed):
    X, *targets = mixed
    rng = np.random.default_rng(4)
    for Y in targets:
        offset = rng.standard_normal((1, 400) if Y is targets[0] else (3, 400))
        model = xlogreg.fit(X, Y, offset=offset, prior=None if len(offset) > 1 else 0.1, tol=1e-14)
        assert (model.score_shift is None) == (len(offset) > 1)

        def of_flag(one, values, known):
            ends = [np.concatenate([values[:1], 0 * values[:1] + flag, values[2:]]) for flag in (1, 0)]
            parts = [one.predict_proba(end, known) for end in ends]
            return np.mean(parts[0] - parts[1], axis=1)[-len(known) :]

        for at, values, known in (
            ("overall", X, offset),
            ("mean", X.mean(axis=1, keepdims=True), offset.mean(axis=1, keepdims=True)),
        ):
            table = model.marginal_effects(X, at, offset=offset).table
            own = table[table["name"] == "x1"]
            np.testing.assert_allclose(own["effect"], of_flag(model, values, known), rtol=1e-11)
            errors = delta_errors(model, lambda one, v=values, o=known: of_flag(one, v, o))
            np.testing.assert_allclose(own["standard_error"], errors, rtol=1e-6)
            same_effects(model, cut(X, 90), model.marginal_effects(X, at, offset=offset), at=at, offset=offset)
        lower, upper = model.predict_interval(X, offset=offset)
        proba = model.predict_proba(X, offset)
        assert np.all((lower < proba) & (proba < upper))
        for bound, other in zip(model.predict_interval(cut(X, 90), offset=offset), (lower, upper), strict=True):
            np.testing.assert_allclose(np.asarray(bound), other, rtol=1e-10)
        if len(offset) == 1:
            bare = model.predict_interval(X, offset=0 * offset)
            for bound, other in zip((lower, upper), bare, strict=True):
                logits = [np.log(part[1] / (1 - part[1])) for part in (bound, other)]
                np.testing.assert_allclose(logits[0] - logits[1], offset[0], atol=1e-9)
        for call in (model.marginal_effects, model.predict_interval):
            with pytest.raises(ValueError, match="the model was fitted with an offset"):
                call(X)
        with pytest.raises(ValueError, match="offset holds 2 numbers for each sample"):
            model.marginal_effects(cut(X, 90), offset=np.zeros((2, 400)))


def test_products_of_a_formula_are_named(frame):
    pytest.importorskip("formulaic", reason="formulaic is not installed")
    X, Y = frame
    X = X.assign(died=Y)
    model = xlogreg.fit_formula("died ~ city * age + sex", X, tol=1e-14)
    found = model.marginal_effects(X)
    assert found.note == "effects of other columns leave out what they do through city:age"
    plain = xlogreg.fit_formula("died ~ city + age", X, tol=1e-14)
    found = plain.marginal_effects(X)
    assert found.note == ""
    assert found.table["kind"].tolist() == ["difference", "difference", "derivative"]
    np.testing.assert_allclose(found.table["effect"][1], contrast(plain, X, "city", "Rome", "Bonn"), rtol=1e-10)


def test_odds_ratios_are_those_of_the_summary(mixed, model, softmax):
    summary = model.summary(level=0.9).table
    odds = model.odds_ratios(level=0.9)
    assert odds.table["name"].tolist() == ["x0", "x1", "x2", "x3"]
    np.testing.assert_allclose(odds.table["odds_ratio"], summary["odds_ratio"][:-1], rtol=1e-12)
    np.testing.assert_allclose(odds.confint, np.exp(np.stack([summary["lower"], summary["upper"]], 1)[:-1]), rtol=1e-12)
    np.testing.assert_allclose(odds.table["p"], summary["p"][:-1], rtol=1e-12)
    for baseline in (None, 2):
        odds = softmax.odds_ratios(baseline=baseline).table
        expected = softmax.summary(baseline=baseline).table
        kept = expected[expected["name"] != "bias"]
        assert odds["class"].tolist() == kept["class"].tolist()
        np.testing.assert_allclose(odds["odds_ratio"], kept["odds_ratio"], rtol=1e-12)
        np.testing.assert_allclose(odds["upper"], np.exp(kept["upper"]), rtol=1e-12)


def test_tables_become_frames_and_html(mixed, model):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    found = model.marginal_effects(mixed[0], level=0.9)
    pandas.testing.assert_frame_equal(found.to_frame("pandas"), pandas.DataFrame(found.table))
    assert "0.95]" in found._repr_html_()
    assert "[0.05" in str(found)


def test_intervals_of_two_classes_are_those_of_statsmodels(mixed, model):
    pytest.importorskip("statsmodels", reason="statsmodels is not installed")
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    X, Y = mixed[0], mixed[1]
    exog = np.column_stack([np.ones(400), X.T])
    theirs = GLM(Y, exog, family=Binomial()).fit(tol=1e-15).get_prediction(exog).conf_int(alpha=0.2)
    lower, upper = model.predict_interval(X, level=0.8)
    np.testing.assert_allclose(lower[1], theirs[:, 0], rtol=1e-9)
    np.testing.assert_allclose(upper[1], theirs[:, 1], rtol=1e-9)
    np.testing.assert_allclose(lower[0], 1.0 - theirs[:, 1], rtol=1e-9)
    np.testing.assert_allclose(upper[0], 1.0 - theirs[:, 0], rtol=1e-9)


def log_odds(model, X):
    P = model.predict_proba(X)
    return np.log(P / (1 - P))


def test_intervals_of_many_classes_follow_from_the_delta_method(mixed, softmax):
    X = mixed[0][:, :30]
    errors = delta_errors(softmax, lambda one: log_odds(one, X))
    lower, upper = softmax.predict_interval(X)
    for bound, sign in ((lower, -1), (upper, 1)):
        expected = 1 / (1 + np.exp(-(log_odds(softmax, X) + sign * 1.959963984540054 * errors)))
        np.testing.assert_allclose(bound, expected, rtol=1e-7)


def test_a_softmax_of_two_classes_has_the_intervals_of_the_sigmoid(mixed, model):
    X = mixed[0]
    V = model.covariance.reshape(5, 1, 5, 1) * np.asarray([[0.25, -0.25], [-0.25, 0.25]])[None, :, None, :]
    twice = dataclasses.replace(
        model,
        w=model.w * np.asarray([[-0.5, 0.5]]),
        b=model.b * np.asarray([[-0.5], [0.5]]),
        loss="cross_entropy",
        covariance=V.reshape(10, 10),
    )
    for bound, expected in zip(twice.predict_interval(X), model.predict_interval(X), strict=True):
        np.testing.assert_allclose(bound, expected, rtol=1e-9)


@pytest.mark.parametrize("where", QUICK, indirect=True)
def test_intervals_live_where_the_samples_live(mixed, where):
    X, *targets = mixed
    for Y, samples in itertools.product(targets, ("columns", "rows")):
        values = X if samples == "columns" else X.T
        here = xlogreg.fit(values, Y, samples=samples)
        there = xlogreg.fit(where.asarray(values), Y, samples=samples)
        near = 1e-6 if where.dtype == "float64" else 5e-3
        proba = to_host(there.predict_proba(where.asarray(values)))
        found = there.predict_interval(where.asarray(values))
        for bound, expected in zip(found, here.predict_interval(values), strict=True):
            where.check(bound, expected, rtol=near)
        assert np.all((to_host(found[0]) < proba) & (proba < to_host(found[1])))


def test_collections_and_sparse_samples_have_the_same_intervals(client, mixed):
    sparse = pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    X, *targets = mixed
    for Y in targets:
        model = xlogreg.fit(X.T, Y, samples="rows")
        expected = model.predict_interval(X.T)
        for found in (model.predict_interval(cut(X.T, 90, 0)), model.predict_interval(sparse.csr_array(X.T))):
            for bound, other in zip(found, expected, strict=True):
                np.testing.assert_allclose(np.asarray(bound), other, rtol=1e-10)


def test_intervals_widen_away_from_the_samples_and_stay_probabilities(mixed, model):
    far = np.asarray([[1.0, 10.0, 30.0, 1e5, -1e5]])
    lower, upper = model.predict_interval(np.concatenate([far, 0 * far, 0 * far + 1, 0 * far + 0.5]))
    assert np.all((lower >= 0) & (upper <= 1) & (lower <= upper))
    ends = np.log(np.stack([lower, upper])[:, :, :3])
    widths = ends[1, 1] - ends[0, 0] - (ends[0, 1] - ends[1, 0])  # of the score
    assert np.all(np.diff(widths) > 1.0)


def test_loaded_models_have_effects_and_intervals(mixed, model, tmp_path):
    model.save(tmp_path / "model")
    again = xlogreg.load(tmp_path / "model")
    same_effects(again, mixed[0], model.marginal_effects(mixed[0]))
    np.testing.assert_array_equal(again.odds_ratios().table, model.odds_ratios().table)
    np.testing.assert_array_equal(again.predict_interval(mixed[0])[0], model.predict_interval(mixed[0])[0])


@pytest.mark.parametrize("call", ["marginal_effects", "predict_interval", "odds_ratios"])
def test_without_a_covariance_the_reason_is_named(mixed, call):
    X, Y = mixed[0], mixed[1]
    arguments = () if call == "odds_ratios" else (X,)
    with pytest.raises(ValueError, match=r"no covariance of the parameters: the fit is penalised.*covariance_of"):
        getattr(xlogreg.fit(X, Y, l2=0.1), call)(*arguments)
    model = xlogreg.fit(X, Y)
    with pytest.raises(TypeError, match="covariance must be a result of covariance_of; got 'HC0'"):
        getattr(model, call)(*arguments, covariance="HC0")
    with pytest.raises(ValueError, match=r"level must be between 0 and 1, such as 0\.95; got 95"):
        getattr(model, call)(*arguments, level=95)


def test_bad_samples_are_refused(mixed, model):
    X = mixed[0].copy()
    with pytest.raises(ValueError, match="at must be 'overall' or 'mean', not 'median'"):
        model.marginal_effects(X, "median")
    with pytest.raises(ValueError, match="X has 3 features"):
        model.marginal_effects(X[:3])
    X[2, 7] = np.nan
    for call in (model.marginal_effects, model.predict_interval):
        with pytest.raises(ValueError, match="row 2, column 7"):
            call(X)
    with pytest.raises(ValueError, match="baseline is for three classes or more"):
        model.odds_ratios(baseline=1)
