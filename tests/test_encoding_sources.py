"""Categories and missing values in factories, folders of .parquet parts, dask dataframes, estimators and commands."""

import numpy as np
import pytest
from sklearn import linear_model
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV, ShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from test_commands import call, refused
from test_encoding import CITY, NAMED, M, Y, columns

import xlogreg

pandas = pytest.importorskip("pandas")
pytestmark = pytest.mark.usefixtures("table_kind")

L2 = 0.01
STEP = 80  # rows of a part
AGE = np.where(np.arange(M) % 9 == 0, np.nan, columns()["age"])
CITIES = ["Zug", *CITY[1:-1], "Aix"]  # levels that only one part has
TABLE = pandas.DataFrame(columns(city=CITIES))
LACKING = TABLE.assign(age=AGE)
OPTIONS = {"categorical_features": NAMED, "samples": "rows", "l2": L2}


def parts(table=TABLE):
    for start in range(0, M, STEP):
        yield table[start : start + STEP], Y[start : start + STEP]


@pytest.fixture
def folder(tmp_path):
    """Write a table in parts; return a function that opens them."""
    parquet, arrow = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("pyarrow")

    def opened(table=TABLE):
        for number, (part, labels) in enumerate(parts(table)):
            whole = arrow.Table.from_pandas(part.assign(sick=labels), preserve_index=False)
            parquet.write_table(whole, tmp_path / f"{number}.parquet")
        return xlogreg.open_parts(tmp_path, target="sick", samples="rows")

    return opened


def alike(model, other, table=TABLE):
    assert model.encoding == other.encoding
    assert model.feature_names == other.feature_names
    np.testing.assert_allclose(model.predict_proba(table), other.predict_proba(table), rtol=1e-8)


def test_a_factory_has_the_levels_of_all_its_blocks():
    alike(xlogreg.fit(parts, **OPTIONS), xlogreg.fit(TABLE, Y, **OPTIONS))
    filled = xlogreg.fit(lambda: parts(LACKING), missing="mean", **OPTIONS)
    alike(filled, xlogreg.fit(LACKING, Y, missing="mean", **OPTIONS), LACKING)
    with pytest.raises(ValueError, match="missing='median' needs all rows in one table; use missing='mean'"):
        xlogreg.fit(lambda: parts(LACKING), missing="median", **OPTIONS)


def test_folds_of_a_factory_cannot_fill_in_their_own_values():
    options = _without(OPTIONS, "l2") | {"folds": 3}
    with pytest.raises(ValueError, match="missing='mean' in fit_cv needs X in memory or in files"):
        xlogreg.fit_cv(lambda: parts(LACKING), None, [0.1], missing="mean", **options)
    found, whole = xlogreg.fit_cv(parts, None, [0.1], **options), xlogreg.fit_cv(TABLE, Y, [0.1], **options)
    np.testing.assert_allclose(found.scores["log_loss"], whole.scores["log_loss"], rtol=1e-8)


def test_weights_of_a_factory_count_in_its_means():
    weight = np.random.default_rng(0).random(M)

    def weighted():
        for start, pair in zip(range(0, M, STEP), parts(LACKING), strict=True):
            yield *pair, weight[start : start + STEP]

    whole = xlogreg.fit(LACKING, Y, sample_weight=weight, missing="mean", **OPTIONS)
    found = xlogreg.fit(weighted, missing="mean", **OPTIONS)
    assert found.encoding.columns[0].fill == pytest.approx(whole.encoding.columns[0].fill, rel=1e-12)
    np.testing.assert_allclose(found.predict_proba(LACKING), whole.predict_proba(LACKING), rtol=1e-8)


def test_blocks_of_a_factory_that_do_not_fit_are_named():
    def changed(last):
        return lambda: iter([*list(parts())[:3], (last, Y[: len(last)])])

    with pytest.raises(ValueError, match="block 3 of the factory: X has other columns than the blocks before"):
        xlogreg.fit(changed(TABLE[["city", "age", "zip"]]), **OPTIONS)
    with pytest.raises(TypeError, match=r"block 3 of the factory: categorical_features=.* is for tables"):
        xlogreg.fit(changed(np.ones((3, 4))), **OPTIONS)
    with pytest.raises(TypeError, match="'zip' of X holds text in some parts and numbers in others"):
        xlogreg.fit(changed(TABLE[:9].assign(zip="a")), **OPTIONS)


def test_parquet_parts_have_the_levels_of_all_parts(folder):
    X, labels = folder()
    with pytest.raises(TypeError, match=r"these columns do not: 'city' \(text\)"):
        xlogreg.fit(X, labels, samples="rows")
    whole = xlogreg.fit(TABLE, Y, **OPTIONS)
    alike(xlogreg.fit(X, labels, **OPTIONS), whole)
    np.testing.assert_allclose(whole.predict_proba(X), whole.predict_proba(TABLE), rtol=1e-12)
    assert whole.evaluate(X, labels).accuracy == whole.evaluate(TABLE, Y).accuracy
    found = xlogreg.fit_cv(*folder(LACKING), [0.1], folds=3, missing="mean", **_without(OPTIONS, "l2"))
    other = xlogreg.fit_cv(LACKING, Y, [0.1], folds=3, missing="mean", **_without(OPTIONS, "l2"))
    np.testing.assert_allclose(found.scores["log_loss"], other.scores["log_loss"], rtol=1e-8)


def _without(options, name):
    return {key: value for key, value in options.items() if key != name}


class TestDask:
    @pytest.fixture
    def frames(self, client):
        dd = pytest.importorskip("dask.dataframe", reason="dask.dataframe is not installed")
        return lambda table: dd.from_pandas(table, npartitions=4)

    @pytest.mark.slow
    def test_levels_are_those_of_all_blocks(self, frames):
        labels = frames(pandas.Series(Y))
        whole = xlogreg.fit(TABLE, Y, **OPTIONS)
        for given in (labels, Y):
            model = xlogreg.fit(frames(TABLE), given, **OPTIONS)
            alike(model, whole)
        np.testing.assert_allclose(model.predict_proba(frames(TABLE)).compute(), whole.predict_proba(TABLE), rtol=1e-8)
        assert model.evaluate(frames(TABLE), labels).accuracy == whole.evaluate(TABLE, Y).accuracy
        many = xlogreg.fit_many(frames(TABLE), [labels], l2s=L2, categorical_features=NAMED, samples="rows")
        alike(many[0], whole)

    def test_means_are_those_of_all_blocks(self, frames):
        labels, weight = frames(pandas.Series(Y)), pandas.Series(np.arange(M) % 3)
        options = OPTIONS | {"missing": "mean"}
        whole = xlogreg.fit(LACKING, Y, sample_weight=weight, **options)
        model = xlogreg.fit(frames(LACKING), labels, sample_weight=frames(weight), **options)
        np.testing.assert_allclose(model.predict_proba(LACKING), whole.predict_proba(LACKING), rtol=1e-8)
        with pytest.raises(ValueError, match="needs the weights in a collection"):
            xlogreg.fit(frames(LACKING), labels, sample_weight=weight, **options)
        with pytest.raises(ValueError, match="fit_cv needs X in memory or in files"):
            xlogreg.fit_cv(frames(LACKING), labels, [0.1], **_without(options, "l2"))
        with pytest.raises(ValueError, match="use missing='mean'"):
            xlogreg.fit(frames(LACKING), labels, **(options | {"missing": "median"}))

    def test_text_is_refused_by_block_and_name(self, frames):
        with pytest.raises(TypeError, match=r"block 0: .* do not: 'city'"):
            xlogreg.fit(frames(TABLE), frames(pandas.Series(Y)), samples="rows")

    def test_estimators_take_dataframes(self, frames):
        found = xlogreg.LogisticRegression(categorical_features=NAMED).fit(frames(TABLE), frames(pandas.Series(Y)))
        own = xlogreg.LogisticRegression(categorical_features=NAMED).fit(TABLE, Y)
        np.testing.assert_allclose(found.predict_proba(TABLE), own.predict_proba(TABLE), rtol=1e-5)
        assert found.n_features_in_ == 4


class TestEstimators:
    def test_they_agree_with_scikit_learn_on_the_one_hot_columns(self):
        encoder = make_column_transformer((OneHotEncoder(), NAMED), remainder="passthrough")
        exact = make_pipeline(encoder, linear_model.LogisticRegression(tol=1e-10, solver="newton-cholesky")).fit(
            TABLE, Y
        )
        found = xlogreg.LogisticRegression(categorical_features=NAMED, tol=1e-8).fit(TABLE, Y)
        np.testing.assert_allclose(found.predict_proba(TABLE), exact.predict_proba(TABLE), rtol=1e-6)
        assert found.feature_names_in_.tolist() == list(TABLE.columns)
        assert [term.name for term in found.terms_] == list(TABLE.columns)
        assert found.coef_.shape == (1, found.terms_[-1].rows[-1] + 1)
        assert make_pipeline(encoder, xlogreg.LogisticRegression()).fit(TABLE, Y).score(TABLE, Y) > 0.5

    @pytest.mark.filterwarnings("ignore::xlogreg.UnseenLevelWarning")  # the folds lack the rare levels
    def test_they_work_in_searches_and_keep_other_tables_out(self):
        estimator = xlogreg.LogisticRegression(categorical_features=NAMED, missing="median", unseen="zeros")
        assert np.all(np.isfinite(cross_val_score(estimator, LACKING, Y, cv=3, error_score="raise")))
        search = GridSearchCV(estimator, {"C": [0.1, 1.0], "drop": [None, "first"]}, cv=3, error_score="raise")
        assert search.fit(LACKING, Y).best_estimator_.predict(LACKING).shape == (M,)
        fitted = estimator.fit(LACKING, Y)
        with pytest.raises(ValueError, match="feature names"):
            fitted.predict(LACKING[["city", "age", "old", "zip"]])
        with pytest.raises(TypeError, match="X must be a table, as the fitted X was, not ndarray"):
            fitted.predict(np.zeros((3, 4)))
        assert xlogreg.LogisticRegression().fit(LACKING[["old"]], Y).terms_ == ()
        assert fitted.set_params(categorical_features=None, missing="error").fit(np.eye(M), Y).coef_.shape == (1, M)

    def test_a_warm_start_begins_at_the_last_fit(self):
        estimator = xlogreg.LogisticRegression(categorical_features=NAMED, warm_start=True).fit(TABLE, Y)
        before = estimator.coef_
        np.testing.assert_allclose(estimator.fit(TABLE, Y).coef_, before, atol=1e-4)

    @pytest.mark.parametrize("folds", [3, ShuffleSplit(3, random_state=0)], ids=["folds", "shuffled"])
    @pytest.mark.parametrize("scoring", ["neg_log_loss", "neg_brier_score"])  # ranks have ties
    def test_each_fold_fills_in_its_own_training_part(self, folds, scoring):
        age = pandas.DataFrame({"age": np.where(np.arange(M) < 100, 60.0 + AGE, AGE)})
        options = {"Cs": [0.01], "cv": folds, "scoring": scoring, "tol": 1e-8}
        found = xlogreg.LogisticRegressionCV(missing="mean", **options).fit(age, Y)
        single = xlogreg.LogisticRegression(missing="mean", C=0.01, tol=1e-8)
        own = cross_val_score(single, age, Y, cv=folds, scoring=scoring)
        np.testing.assert_allclose(found.scores_[:, 0, 0], own, rtol=1e-6)


def test_the_command_line_takes_categories(tmp_path):
    LACKING.assign(sick=np.where(Y, "yes", "no")).to_csv(tmp_path / "people.csv", index=False)
    said = refused("fit", "people.csv", "--target", "sick", "--missing", "error", "-o", "m", folder=tmp_path)
    assert "let --missing median fill them in" in said
    chosen = ["--categorical", "zip", "--l2", str(L2), "--no-standardize"]
    done = call("fit", "people.csv", "--target", "sick", *chosen, "-o", "m", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    model = xlogreg.load(tmp_path / "m")
    expected = xlogreg.fit(LACKING, Y, missing="median", **OPTIONS)
    assert model.encoding.unseen == "zeros"
    np.testing.assert_allclose(model.predict_proba(LACKING), expected.predict_proba(LACKING), rtol=1e-8)
    assert call("predict", "m", "people.csv", "--ignore", "sick", "-o", "p.csv", folder=tmp_path).returncode == 0


def test_estimators_take_tables_whose_names_are_no_text():
    table = pandas.DataFrame({0: CITY, 1: columns()["age"]})
    estimator = xlogreg.LogisticRegression(categorical_features=["0"]).fit(table, Y)
    assert estimator.predict(table).shape == (M,)
    with pytest.raises(TypeError, match="only supported if all input features have string names"):
        estimator.fit(table.rename(columns={1: "age"}), Y)
