"""Columns of tables that are categories, or lack values: what becomes of them, in fits, predictions and files."""

import functools
import json
import pickle
import zipfile

import numpy as np
import pytest
from test_tables import FRAMES

import xlogreg
from xlogreg import UnseenLevelWarning
from xlogreg.inputs.columns import TableOptions, weighted_median
from xlogreg.inputs.door import learn_features

pandas, hypothesis = pytest.importorskip("pandas"), pytest.importorskip("hypothesis")
given, settings, st = hypothesis.given, hypothesis.settings, hypothesis.strategies
pytestmark = pytest.mark.usefixtures("table_kind")

M = 300
RNG = np.random.default_rng(1)
AGE = RNG.normal(40.0, 10.0, M)
CITY = RNG.choice(["Rome", "Oslo", "Paris"], M)
ZIP = RNG.choice([75, 9, 100], M)
OLD = RNG.random(M) < 0.4
Y = RNG.random(M) < xlogreg.sigmoid(0.05 * (AGE - 40.0) + (CITY == "Rome") - 0.5 * (ZIP == 100))
NAMED = ["city", "zip"]
FITS = {
    "fit": lambda *args, **options: xlogreg.fit(*args, **options),
    "fit_many": lambda X, Y, **options: xlogreg.fit_many(X, [Y], **_many(options))[0],
    "fit_path": lambda X, Y, l2=0.0, **options: xlogreg.fit_path(X, Y, [l2], **options)[0],
    "fit_cv": lambda X, Y, l2=0.0, **options: xlogreg.fit_cv(X, Y, [l2], **options).model,
    "bootstrap": lambda X, Y, **options: xlogreg.bootstrap(X, Y, 2, **options).model,
}


def _many(options):
    return {"l2s" if name == "l2" else name: value for name, value in options.items()}


@pytest.fixture(params=FRAMES, ids=lambda frame: frame.__name__)
def frame(request):
    return request.param


def columns(**changed):
    table = {"age": AGE, "city": CITY, "old": OLD, "zip": ZIP} | changed
    return {name: np.asarray(values, dtype=object).tolist() for name, values in table.items()}


def one_hot(*dropped):
    """Make the indicators without the library, those of ``dropped`` levels left out."""
    features = {"age": AGE}
    features |= {f"city={level}": level == CITY for level in ("Oslo", "Paris", "Rome")}
    features |= {"old": OLD} | {f"zip={level}": level == ZIP for level in (9, 75, 100)}
    kept = {name: values for name, values in features.items() if name not in dropped}
    return tuple(kept), np.stack(list(kept.values()), axis=1).astype(np.float64)


fit = functools.partial(xlogreg.fit, samples="rows")


def test_levels_become_features_in_the_order_of_columns_and_values(frame):
    names, X = one_hot()
    model = fit(frame(columns()), Y, l2=0.1, categorical_features=NAMED)
    assert model.feature_names == names
    np.testing.assert_allclose(model.w, fit(X, Y, l2=0.1).w, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(model.predict_proba(frame(columns())), fit(X, Y, l2=0.1).predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("name", FITS)
def test_every_fit_takes_categories(name):
    table = pandas.DataFrame(columns())
    names, X = one_hot()
    options = {"l2": 0.1, "samples": "rows"}
    model, plain = FITS[name](table, Y, categorical_features=NAMED, **options), FITS[name](X, Y, **options)
    assert model.feature_names == names
    np.testing.assert_allclose(model.predict_proba(table), plain.predict_proba(X), rtol=1e-8)
    assert [term.name for term in model.terms] == ["age", "city", "old", "zip"]


def test_without_a_penalty_the_first_level_is_dropped_so_that_standard_errors_exist(frame):
    names, X = one_hot("city=Oslo", "zip=9")
    model, plain = fit(frame(columns()), Y, categorical_features=NAMED), fit(X, Y)
    assert model.feature_names == names
    np.testing.assert_allclose(model.standard_errors().w, plain.standard_errors().w, rtol=1e-8)
    assert model.terms[1] == ("city", ("Oslo", "Paris", "Rome"), (None, 1, 2))


@pytest.mark.parametrize(
    ("options", "dropped"),
    [
        ({}, ("city=Oslo", "zip=9")),
        ({"bias": False}, ()),
        ({"l2": 0.1}, ()),
        ({"l2": 0.1, "penalty_factor": [0.0] * 6}, None),
        ({"l2": 0.1, "drop": "first"}, ("city=Oslo", "zip=9")),
        ({"drop": None}, ()),
        ({"reference": {"city": "Rome"}}, ("city=Rome", "zip=9")),
        ({"reference": {"zip": 75}, "l2": 0.1}, ("zip=75",)),
    ],
)
def test_a_level_is_dropped_where_it_is_asked_for_or_needed(options, dropped):
    model = fit(pandas.DataFrame(columns()), Y, categorical_features=NAMED, **options)
    assert model.feature_names == one_hot(*(("city=Oslo", "zip=9") if dropped is None else dropped))[0]


def test_the_model_without_a_dropped_level_predicts_the_same():
    table = pandas.DataFrame(columns())
    models = [fit(table, Y, categorical_features=NAMED, drop=drop) for drop in ("first", None)]
    models.append(fit(table, Y, categorical_features=NAMED, reference={"city": "Paris", "zip": 100}))
    for model in models[1:]:
        np.testing.assert_allclose(model.predict_proba(table), models[0].predict_proba(table), atol=1e-7)


def test_dtypes_tell_the_categories():
    table = pandas.DataFrame(columns()).astype({"city": "category"})
    model = fit(table, Y, categorical_features="from_dtype", l2=0.1)
    assert [term.levels for term in model.terms] == [None, ("Oslo", "Paris", "Rome"), None, None]
    polars = pytest.importorskip("polars")
    kinds = {"city": polars.Enum(["Rome", "Paris", "Oslo", "Kiel"]), "zip": polars.String}
    other = polars.DataFrame(columns()).cast(kinds).cast({"zip": polars.Categorical})
    model = fit(other, Y, categorical_features="from_dtype", l2=0.1)
    # the order of an enum has a meaning; a level that does not occur is none
    assert [term.levels for term in model.terms] == [None, ("Rome", "Paris", "Oslo"), None, ("100", "75", "9")]
    arrow = pytest.importorskip("pyarrow").Table.from_pandas(table)
    assert fit(arrow, Y, categorical_features="from_dtype", l2=0.1).terms[1].levels == ("Oslo", "Paris", "Rome")


def test_the_order_of_ordered_categories_is_kept():
    city = pandas.Categorical(CITY, categories=["Rome", "Kiel", "Oslo", "Paris"], ordered=True)
    model = fit(pandas.DataFrame(columns()).assign(city=city), Y, categorical_features="from_dtype")
    assert model.terms[1].levels == ("Rome", "Oslo", "Paris")
    assert model.terms[1].rows == (None, 1, 2)


def test_text_is_refused_with_the_remedy(frame):
    with pytest.raises(TypeError, match=r"do not: 'city' \(.*\); .*categorical_features=\['zip', 'city'\]"):
        fit(frame(columns()), Y, categorical_features=["zip"])


WRONG = {
    "unknown column": ({"categorical_features": ["town"]}, "names columns that X does not have: 'town'"),
    "a word": ({"categorical_features": "dtype"}, "must be None, 'from_dtype' or a list of names"),
    "no reference": ({"reference": {"city": "Kiel"}}, r"reference\['city'\] is 'Kiel', which is no level .*'Oslo'"),
    "of numbers": ({"reference": {"age": 3}}, "reference names columns that are no categories of X: 'age'"),
    "none dropped": ({"reference": {"city": "Oslo"}, "drop": None}, "but drop=None drops none"),
    "drop": ({"drop": "last"}, "drop must be 'auto', 'first' or None, not 'last'"),
    "unseen": ({"unseen": "ignore"}, "unseen must be 'error' or 'zeros', not 'ignore'"),
    "missing": ({"missing": "zero"}, "missing must be one of 'error', 'median', 'mean', not 'zero'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_options_are_named(case):
    options, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        fit(pandas.DataFrame(columns()), Y, **({"categorical_features": NAMED} | options))


@pytest.mark.parametrize("options", [{"categorical_features": [3]}, {"categorical_features": 3}, {"reference": "Rome"}])
def test_options_of_a_wrong_type_are_named(options):
    with pytest.raises(TypeError, match=f"{next(iter(options))} must be"):
        fit(pandas.DataFrame(columns()), Y, **({"categorical_features": NAMED} | options))


@pytest.mark.parametrize("options", [{"categorical_features": NAMED}, {"missing": "mean"}, {"reference": {"a": 1}}])
def test_arrays_have_no_columns_with_names(options):
    with pytest.raises(TypeError, match=f"{next(iter(options))}=.* is for tables, .*not ndarray"):
        fit(one_hot()[1], Y, **options)


def test_columns_that_are_no_categories_are_refused():
    table = pandas.DataFrame(columns())
    with pytest.raises(ValueError, match="'name' of X is text with 300 levels, for 300 rows"):
        fit(table.assign(name=[f"n{i}" for i in range(M)]), Y, categorical_features=[*NAMED, "name"])
    with pytest.raises(TypeError, match="'city' of X mixes values of the types int, str"):
        fit(table.assign(city=[1, "a"] * (M // 2)), Y, categorical_features=NAMED)
    with pytest.raises(TypeError, match="'city' of X holds values of the type Timestamp"):
        fit(table.assign(city=pandas.Timestamp("2026-01-01")), Y, categorical_features=NAMED)
    with pytest.raises(ValueError, match="'age' of X holds an infinite level"):
        fit(pandas.DataFrame({"age": [np.inf, 1.0] * 9}), [0, 1] * 9, categorical_features=["age"])
    with pytest.raises(ValueError, match="several features would have the name 'city=Rome'"):
        fit(table.assign(**{"city=Rome": AGE}), Y, categorical_features=NAMED)
    meant = table[["age"]].assign(name=pandas.Categorical([f"n{i}" for i in range(M)]))
    assert fit(meant, Y, categorical_features="from_dtype", l2=1.0).w.shape == (M + 1, 1)
    with pytest.raises(ValueError, match="one level, which is dropped; use drop=None"):
        fit(pandas.DataFrame({"city": ["Oslo"] * M}), Y, categorical_features=["city"])


def test_unseen_levels_are_an_error_or_zeros(frame):
    strange = frame(columns(city=["Kiel", "Rom", *CITY[2:]]))
    model = fit(frame(columns()), Y, categorical_features=NAMED)
    with pytest.raises(
        ValueError, match=r"'city' of X has levels .* not fitted on: 'Kiel', 'Rom' \(2 rows, .* row 0\)"
    ):
        model.predict(strange)
    model = fit(frame(columns()), Y, categorical_features=NAMED, unseen="zeros")
    with pytest.warns(UnseenLevelWarning, match="they are predicted as 'Oslo', the level without a feature"):
        found = model.predict_proba(strange)
    np.testing.assert_allclose(found[:2], model.predict_proba(frame(columns(city=["Oslo", "Oslo", *CITY[2:]])))[:2])
    model = fit(frame(columns()), Y, categorical_features=NAMED, unseen="zeros", l2=0.1)
    X = one_hot()[1]
    X[:2, 1:4] = 0.0
    np.testing.assert_allclose(model.predict_proba(strange), model.predict_proba(X), rtol=1e-9)


def test_a_model_keeps_its_categories_in_its_file_and_its_pickle(tmp_path):
    table = pandas.DataFrame(columns(age=[np.nan, *AGE[1:]], city=[*CITY[:-1], None]))
    options = {"categorical_features": [*NAMED, "old"], "reference": {"old": True}, "missing": "median"}
    model = fit(table, Y, unseen="zeros", l2=0.01, **options)
    model.save(tmp_path / "model")
    for again in (xlogreg.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert again.encoding == model.encoding
        assert again.terms == model.terms
        np.testing.assert_array_equal(again.predict_proba(table), model.predict_proba(table))


def test_a_model_of_categories_predicts_arrays_of_its_features():
    names, X = one_hot()
    table = pandas.DataFrame(columns())
    model = fit(table, Y, categorical_features=NAMED, l2=0.1)
    np.testing.assert_allclose(model.predict_proba(X), model.predict_proba(table), rtol=1e-12)
    exported = model.to_sklearn()
    assert exported.feature_names_in_.tolist() == list(names)
    assert model.evaluate(table, Y).accuracy == np.mean(model.predict(table) == Y)


def test_softmax_models_take_categories():
    table, labels = pandas.DataFrame(columns()), RNG.choice(["a", "b", "c"], M)
    X = one_hot()[1]
    model = fit(table, labels, categorical_features=NAMED, l2=0.01)
    np.testing.assert_allclose(model.predict_proba(table), fit(X, labels, l2=0.01).predict_proba(X), rtol=1e-7)


class TestMissingValues:
    gone = np.arange(M) % 7 == 3
    age = np.where(gone, np.nan, AGE)

    def filled(self, value):
        return np.where(self.gone, value, AGE), self.gone.astype(float)

    @pytest.mark.parametrize("way", ["median", "mean"])
    def test_numbers_are_filled_in_beside_an_indicator(self, frame, way):
        table = frame({"age": [None if gone else value for gone, value in zip(self.gone, AGE.tolist(), strict=True)]})
        model = fit(table, Y, missing=way, l2=0.01)
        value = getattr(np, f"nan{way}")(self.age)
        assert model.feature_names == ("age", "age missing")
        assert model.encoding.columns[0].fill == pytest.approx(value)
        X = np.stack(self.filled(value), axis=1)
        np.testing.assert_allclose(model.predict_proba(table), fit(X, Y, l2=0.01).predict_proba(X), rtol=1e-8)

    @pytest.mark.parametrize("way", ["median", "mean"])
    def test_weights_count_as_repeated_rows_do(self, way):
        weight = RNG.integers(0, 4, M)
        table = pandas.DataFrame({"age": self.age})
        repeated = table.loc[np.repeat(np.arange(M), weight)]
        fills = [
            fit(table, Y, missing=way, l2=0.1, sample_weight=weight).encoding.columns[0].fill,
            fit(repeated, np.repeat(Y, weight), missing=way, l2=0.1).encoding.columns[0].fill,
        ]
        assert fills[0] == pytest.approx(fills[1], rel=1e-12)

    def test_missing_categories_are_a_level(self, frame):
        city = [None if gone else value for gone, value in zip(self.gone, CITY.tolist(), strict=True)]
        with pytest.raises(ValueError, match="X lacks values in the column 'city'"):
            fit(frame(columns(city=city)), Y, categorical_features=NAMED)
        model = fit(frame(columns(city=city)), Y, categorical_features=NAMED, missing="mean", l2=0.1)
        assert model.terms[1].levels == ("Oslo", "Paris", "Rome", None)
        assert "city missing" in model.feature_names
        again = fit(
            frame(columns(city=["?" if value is None else value for value in city])),
            Y,
            l2=0.1,
            categorical_features=NAMED,
        )
        np.testing.assert_allclose(np.sort(model.w, axis=0), np.sort(again.w, axis=0), rtol=1e-7)

    def test_values_that_lack_only_later_are_filled_in_or_refused(self):
        table, later = pandas.DataFrame(columns()), pandas.DataFrame(columns(age=self.age))
        model = fit(table, Y, categorical_features=NAMED, missing="median")
        expected = model.predict_proba(table.assign(age=self.filled(np.median(AGE))[0]))
        np.testing.assert_allclose(model.predict_proba(later), expected, rtol=1e-12)
        with pytest.raises(ValueError, match="X lacks values in these columns: 'age'"):
            fit(table, Y, categorical_features=NAMED).predict(later)
        lost = pandas.DataFrame(columns(city=[None, *CITY[1:]]))
        with pytest.raises(ValueError, match="X lacks values in the column 'city': row 0"):
            fit(table, Y, categorical_features=NAMED).predict(lost)
        with pytest.raises(ValueError, match="levels that the model was not fitted on: missing values"):
            model.predict(lost)

    def test_each_fold_fills_in_its_own_training_part(self):
        folds = np.arange(M) % 3
        age = np.where(folds == 0, 100.0 + AGE, self.age)  # so that the fills of the folds differ
        found = xlogreg.fit_cv(pandas.DataFrame({"age": age}), Y, [0.5], folds=folds, samples="rows", missing="mean")
        for fold in range(3):
            train, X = folds != fold, np.stack([age, np.isnan(age)], axis=1)
            X[np.isnan(age), 0] = np.nanmean(age[train])
            own = fit(X[train], Y[train], l2=0.5).evaluate(X[~train], Y[~train])
            assert found.scores["log_loss"][fold, 0] == pytest.approx(own.log_loss, rel=1e-9)

    @pytest.mark.parametrize("missing", ["mean", "median"])
    def test_a_column_whose_values_are_all_in_one_fold_says_nothing_there(self, missing):
        folds = np.arange(M) % 3
        table = pandas.DataFrame({"age": AGE, "rare": np.where(folds == 0, AGE, np.nan)})
        found = xlogreg.fit_cv(table, Y, [0.5], folds=folds, samples="rows", missing=missing)
        plain = xlogreg.fit_cv(table[["age"]], Y, [0.5], folds=folds, samples="rows", missing=missing)
        scores, own = (cv.scores["log_loss"][0, 0] for cv in (found, plain))  # held out: the fold that has the values
        assert scores == pytest.approx(own, rel=1e-9)

    def test_a_column_without_values_is_named(self):
        with pytest.raises(ValueError, match="the column 'b' of X has no values to take the mean of"):
            fit(pandas.DataFrame({"a": AGE, "b": np.nan}), Y, missing="mean")

    @settings(max_examples=50, deadline=None)
    @given(
        st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 4)), min_size=1).filter(lambda p: any(w for _, w in p))
    )
    def test_a_weighted_median_is_that_of_repeated_values(self, pairs):
        x, weight = np.asarray(pairs, dtype=float).T
        assert weighted_median(x, weight) == np.median(np.repeat(x, weight.astype(int)))


def test_wide_categories_are_kept_as_codes(table_kind):
    table = pandas.DataFrame({"a": np.arange(3000) % 99, "b": RNG.random(3000)})
    wide = learn_features(table, "rows", TableOptions(categorical_features=["a"])).X
    narrow = learn_features(table[:90], "rows", TableOptions(categorical_features=["a"])).X
    assert (wide.dense, narrow.dense) == (False, table_kind == "array")
    assert wide.nbytes == 3000 * (1 + 8)
    assert learn_features(table, "rows", TableOptions(missing="mean")).X.dense == (table_kind == "array")


def test_infinite_values_are_refused_by_row_and_column():
    with pytest.raises(ValueError, match=r"1 value that is not finite .* row 4"):
        fit(pandas.DataFrame(columns(age=[*AGE[:4], np.inf, *AGE[5:]])), Y, categorical_features=NAMED)


def test_options_of_no_effect_change_nothing():
    assert not TableOptions().used
    X = one_hot()[1]
    np.testing.assert_array_equal(fit(X, Y, drop="first", unseen="zeros").w, fit(X, Y).w)


def test_bools_beside_categories_are_computed_in_the_same_dtype_in_any_table(table_kind):
    table = pandas.DataFrame({"city": CITY, "old": OLD})
    assert fit(table, Y, l2=0.1, categorical_features=["city"]).w.dtype == np.float64


@pytest.mark.parametrize("unseen", ["error", "zeros"])
def test_text_for_numbers_is_refused_in_predictions(unseen):
    model = fit(pandas.DataFrame({"zip": ZIP}), Y, l2=0.1, categorical_features=["zip"], unseen=unseen)
    with pytest.raises(TypeError, match="'zip' of X holds text; that of the fitted table held numbers"):
        model.predict(pandas.DataFrame({"zip": ZIP.astype(str)}))


def test_a_table_without_rows_is_refused(frame):
    model = fit(frame(columns()), Y, l2=0.1, categorical_features=NAMED)
    empty = pandas.DataFrame(columns())[:0]
    for call in (model.predict, model.predict_proba, lambda X: model.evaluate(X, Y[:0])):
        with pytest.raises(ValueError, match=r"X is empty: its shape is \(0, 4\)"):
            call(empty)


def test_objects_that_are_numbers_but_for_missing_ones_are_numbers():
    for none in (None, np.nan, pandas.NA):
        table = pandas.DataFrame({"v": pandas.Series([1, none, 4] * 100, dtype=object)})
        assert fit(table, Y, missing="mean").encoding.columns[0] == ("v", None, None, 2.5, True)
        with pytest.raises(ValueError, match="lacks values in these columns: 'v'"):
            fit(table, Y)


CHANGES = {
    "an indicator without a fill": ("age", {"fill": None}),
    "an indicator of a category": ("city", {"indicator": True}),
    "mixed levels": ("city", {"levels": ["Oslo", 2, "Rome", None]}),
    "equal levels": ("zip", {"levels": [9, 9.0, 100]}),
    "no levels": ("zip", {"levels": []}),
    "infinite levels": ("zip", {"levels": [9, 75, float("inf")]}),
    "a dropped level that is not there": ("zip", {"dropped": 3}),
    "an infinite fill": ("age", {"fill": float("nan")}),
    "missing values that are an error": (None, {"missing": "error"}),
    "an unknown option": (None, {"unseen": "nothing"}),
}


@pytest.mark.parametrize("case", CHANGES)
def test_files_whose_categories_are_damaged_are_refused(case, tmp_path):
    table = pandas.DataFrame(columns(age=[np.nan, *AGE[1:]], city=[*CITY[:-1], None]))
    fit(table, Y, l2=0.1, categorical_features=NAMED, missing="mean").save(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(members["header.json"])
    name, changed = CHANGES[case]
    stored = header["categories"]
    part = stored if name is None else next(column for column in stored["columns"] if column["name"] == name)
    part.update(changed)
    with zipfile.ZipFile(tmp_path / "model", "w") as archive:
        for member, data in (members | {"header.json": json.dumps(header).encode()}).items():
            archive.writestr(member, data)
    with pytest.raises(xlogreg.ModelFileError):
        xlogreg.load(tmp_path / "model")
