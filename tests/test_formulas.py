"""Formulas on tables: their features are formulaic's, the models know them again in predictions and in files."""

import ast
import dataclasses
import itertools
import json
import pickle
import sys

import numpy as np
import pytest
from conftest import place_or_skip
from test_files import archive_of, members
from test_tables import FRAMES

import xlogreg
from xlogreg import ModelFileError
from xlogreg.arrays.side_by_side import SideBySide
from xlogreg.arrays.sparse import Sparse
from xlogreg.inputs.door import take_features
from xlogreg.inputs.expressions import parse
from xlogreg.inputs.formulas import spanning

formulaic = pytest.importorskip("formulaic")
pandas = pytest.importorskip("pandas")

M = 240
RNG = np.random.default_rng(7)
TABLE = {
    "age": RNG.uniform(20.0, 80.0, M),
    "dose": RNG.exponential(2.0, M),
    "ward": RNG.choice(["A", "B", "C"], M),
    "sex": RNG.choice(["f", "m"], M),
    "grade": RNG.integers(1, 4, M),
    "smoker": RNG.random(M) < 0.4,
    "blood pressure": RNG.normal(120.0, 15.0, M),
}
SCORE = 0.05 * (TABLE["age"] - 50.0) - 0.3 * TABLE["dose"] + (TABLE["ward"] == "B")
TABLE["died"] = np.where(RNG.random(M) < xlogreg.sigmoid(SCORE), "yes", "no")
PANDAS = pandas.DataFrame(TABLE)
# formulaic before 1.2 does not know the texts of pandas 3 as categories
JUDGED = PANDAS.astype({"ward": "category", "sex": "category"})
RIGHT = [
    "age + C(ward) + age:dose",
    "0 + ward",
    "ward * sex - 1",
    "ward:sex",
    "age:ward",
    "age * ward * sex",
    "(age + dose + sex) ** 2",
    "ward / sex",
    "age %in% ward",
    "smoker + C(grade)",
    "ward:sex:grade + C(grade)",
    "0 + ward:sex + sex:C(grade)",
    "`blood pressure` + log(`blood pressure` + age)",
    "age + Q('blood pressure')",
    "np.log(dose) + I(age ** 2) + {age + 1} + np.sqrt(dose):ward",
    "I(ward == 'B') + I((age > 50) & ~(sex == 'm'))",
    "C(ward, contr.treatment(base='B'))",
    "C(ward, Treatment('C')) + C(grade, contr.SAS)",
    "C(ward, contr.sum) * C(grade, contr.poly)",
    "C(ward, contr.helmert):age + C(grade, contr.diff)",
    "C(ward, levels=['C', 'A', 'B'])",
]
STATEFUL = [
    "center(age) + scale(dose):sex + standardize(`blood pressure`)",
    "np.exp(center(age) / 30)",
    "poly(age, 3) * ward",
    "poly(age, 2, raw=True)",
    "bs(age, df=5, extrapolation='clip') + cr(dose, df=3)",
    "cc(age, df=4):sex",
    "bs(age, df=5, include_intercept=True)",
    "0 + bs(age, knots=[40, 60], include_intercept=True) + sex",
]


def fitted(formula, table=PANDAS, **options):
    return xlogreg.fit_formula(formula, table, **{"l2": 0.1} | options)


@pytest.fixture(params=FRAMES, ids=lambda frame: frame.__name__)
def frame(request):
    return request.param


def columns(**changed):
    return {name: np.asarray(values, dtype=object).tolist() for name, values in (TABLE | changed).items()}


# features -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("right", RIGHT + STATEFUL)
def test_features_are_those_of_formulaic(right):
    model, judge = fitted(f"died ~ {right}"), formulaic.model_matrix(right, JUDGED)
    assert model.bias == ("Intercept" in judge.columns)
    judge = judge[[name for name in judge.columns if name != "Intercept"]]
    assert model.feature_names == tuple(judge.columns)
    found = take_features(PANDAS, "rows", encoding=model.encoding).X.host()
    np.testing.assert_allclose(found, judge.to_numpy(np.float64), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("right", [*RIGHT[:12], STATEFUL[2]])
def test_every_kind_of_table_gives_the_same_model(frame, right):
    model, judge = fitted(f"died ~ {right}", frame(columns())), fitted(f"died ~ {right}")
    assert model.feature_names == judge.feature_names
    np.testing.assert_array_equal(model.w, judge.w)
    np.testing.assert_array_equal(model.predict_proba(frame(columns())), judge.predict_proba(PANDAS))


def test_products_span_what_those_of_formulaic_span():
    names, spans = ["ward", "sex", "smoker", "age"], [True, True, False, False]
    every = [term for size in (1, 2, 3) for term in itertools.combinations(range(4), size)]
    rng = np.random.default_rng(0)
    for _ in range(60):
        chosen = sorted(rng.choice(len(every), rng.integers(1, 6), replace=False).tolist(), key=lambda n: len(every[n]))
        terms, bias = [every[number] for number in chosen], bool(rng.integers(2))
        text = ("" if bias else "0 + ") + " + ".join(":".join(names[number] for number in term) for term in terms)
        structure = formulaic.model_matrix(text, JUDGED[:20]).model_spec.structure
        judge = [
            [[(factor.factor.expr, factor.reduced) for factor in product.factors] for product in own.scoped_terms]
            for own in structure
            if str(own.term) != "1"
        ]
        found = [
            [[(names[number], leaves_out) for number, leaves_out in product] for product in products]
            for products in spanning(terms, spans, bias)
        ]
        assert found == judge, text


def test_the_fit_is_that_of_statsmodels():
    statsmodels = pytest.importorskip("statsmodels.formula.api")
    right = "age + C(ward) + age:dose + np.log(dose)"
    judge = statsmodels.logit(f"y ~ {right}", PANDAS.assign(y=PANDAS.died == "yes").astype({"y": int})).fit(
        disp=False, tol=1e-12
    )
    model = xlogreg.fit_formula(f"died ~ {right}", PANDAS)
    wanted, errors = judge.params.drop("Intercept"), judge.bse.drop("Intercept")
    assert set(model.feature_names) == set(wanted.index)
    np.testing.assert_allclose(model.w[:, 0], wanted[list(model.feature_names)], rtol=1e-7)
    np.testing.assert_allclose(model.standard_errors().w[:, 0], errors[list(model.feature_names)], rtol=1e-6)
    assert model.log_likelihood == pytest.approx(judge.llf, rel=1e-10)


def test_each_term_knows_its_rows_and_its_levels():
    model = fitted("died ~ age + C(ward) + C(grade, contr.sum) + age:sex")
    assert [(term.name, term.levels, term.rows) for term in model.terms] == [
        ("age", None, (0,)),
        ("C(ward)", ("A", "B", "C"), (None, 1, 2)),
        ("C(grade, contr.sum)", None, (3, 4)),
        ("age:sex", None, (5,)),
    ]
    assert model.encoding.owners.tolist() == [0, 1, 1, 2, 2, 3]


def test_a_group_penalty_takes_the_features_of_a_term_together():
    model = fitted("died ~ age + C(ward) + poly(dose, 3)", l1=0.1, l2=0.0, penalty="group", standardize=True)
    for term in model.terms:
        rows = [row for row in term.rows if row is not None]
        assert np.all(model.w[rows] == 0.0) or np.all(model.w[rows] != 0.0)
    assert np.any(model.w == 0.0)


def test_the_order_of_pandas_categories_decides_which_level_is_left_out():
    ordered = pandas.Categorical(PANDAS.ward, categories=["C", "unused", "A", "B"])
    assert fitted("died ~ ward", PANDAS.assign(ward=ordered)).feature_names == ("ward[T.A]", "ward[T.B]")


def test_a_dot_is_every_other_column():
    model = fitted("died ~ . - age", PANDAS[["died", "age", "dose", "sex"]].assign(w=1.0), sample_weight="w")
    assert model.feature_names == ("dose", "sex[T.m]")


def test_categories_are_codes_and_their_products_with_numbers_are_stored_without_zeros():
    rng, m = np.random.default_rng(0), 20_000
    table = pandas.DataFrame({"y": rng.integers(0, 2, m), "x": rng.normal(size=m)})
    table["city"], table["shop"] = rng.integers(0, 60, m).astype(str), rng.integers(0, 3, m).astype(str)
    for right, kind in {"x + city + city:shop": SideBySide, "x + shop + city:x": Sparse}.items():
        model = fitted(f"y ~ {right}", table)
        assert isinstance(take_features(table, "rows", encoding=model.encoding).X, kind)
        plain = model.encoding.dense(table, "rows")
        judge = xlogreg.fit(plain, table.y, samples="rows", l2=0.1)
        np.testing.assert_allclose(model.w, judge.w, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(model.predict_proba(table), judge.predict_proba(plain), rtol=1e-7)


@pytest.mark.parametrize("backend", ["torch", "jax", "array-api-strict"])
def test_other_libraries_compute_the_same(backend):
    place_or_skip(backend)
    right = "died ~ poly(age, 2) + ward:dose + sex"
    np.testing.assert_allclose(fitted(right, backend=backend).w, fitted(right).w, rtol=1e-6)


def test_short_integers_are_computed_with_as_floats():
    table = PANDAS.assign(a=np.full(M, 100, np.int8) + RNG.integers(0, 20, M).astype(np.int8), b=np.int8(100))
    table["b"] += RNG.integers(0, 20, M).astype(np.int8)
    model = fitted("died ~ a + b + a:b + I(a * b)", table, standardize=True)
    assert model.fit_info.dtype == "float64"
    X = model.encoding.dense(table, "rows")
    np.testing.assert_array_equal(X[:, 3], table.a.to_numpy(float) * table.b)
    np.testing.assert_array_equal(X[:, 2], X[:, 3])


# labels -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "classes"),
    [
        ("died", ["no", "yes"]),
        ("smoker", [False, True]),
        ("grade", [1, 2, 3]),
        ("ward", ["A", "B", "C"]),
        ("grade > 1", [False, True]),
        ("died == 'no'", [False, True]),
        ("1 - smoker", [0.0, 1.0]),
        ("`blood pressure` > 120", [False, True]),
        ("I(grade)", [1, 2, 3]),
    ],
)
def test_the_left_side_is_labels_of_any_kind(frame, left, classes):
    table = frame(columns())
    model = fitted(f"{left} ~ age + dose", table)
    assert model.classes.tolist() == classes
    assert model.classes.dtype.kind == np.asarray(classes).dtype.kind
    labels = eval(
        left.replace("`blood pressure`", "pressure"), {}, {**TABLE, "pressure": TABLE["blood pressure"], "I": abs}
    )
    X = np.stack([TABLE["age"], TABLE["dose"]], axis=1)
    judge = xlogreg.fit(X, labels, samples="rows", l2=0.1)
    np.testing.assert_allclose(model.w, judge.w, rtol=1e-12)
    report = model.evaluate(table)
    assert report.log_loss == pytest.approx(judge.evaluate(X, labels).log_loss, rel=1e-12)


def test_only_a_model_of_a_formula_finds_its_labels():
    with pytest.raises(TypeError, match="Y is missing: only a model that was fitted by a formula"):
        xlogreg.fit(np.ones((4, 1)), [0, 1, 0, 1], samples="rows", l2=1.0).evaluate(np.ones((4, 1)))
    with pytest.raises(TypeError, match="Y is missing, and X is no table"):
        fitted("died ~ age").evaluate(np.ones((4, 1)))


# predictions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("right", STATEFUL)
def test_predictions_use_the_state_of_the_fitted_table(right):
    model = fitted(f"died ~ {right}")
    part = PANDAS[100:110].drop(columns="died")
    np.testing.assert_allclose(model.predict_proba(part), model.predict_proba(PANDAS)[100:110], rtol=1e-12)
    assert model.encoding.dense(part[:0], "rows").shape == (0, len(model.feature_names))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(part), model.predict_proba(part))


def test_collections_of_dask_and_folders_of_parts_are_predicted(tmp_path):
    frames = pytest.importorskip("dask.dataframe")
    pytest.importorskip("pyarrow")
    model = fitted("died ~ poly(age, 2) * ward + C(grade)")
    wanted = model.predict_proba(PANDAS)
    many = frames.from_pandas(PANDAS, npartitions=3)
    np.testing.assert_allclose(model.predict_proba(many).compute(), wanted, rtol=1e-12)
    for number in range(2):
        part = PANDAS[number * 120 : (number + 1) * 120].drop(columns="died").reset_index(drop=True)
        part.to_parquet(tmp_path / f"{number}.parquet")
    np.testing.assert_allclose(model.predict_proba(xlogreg.open_parts(tmp_path)), wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        (lambda t: t[["sex"]], ValueError, "X lacks these columns, which the formula names: 'age', 'ward'"),
        (lambda t: t.assign(ward="Z"), ValueError, "'ward' in the formula has levels .* not fitted on: 'Z' .240 rows"),
        (
            lambda t: t.assign(ward=3),
            TypeError,
            "'ward' in the formula holds numbers; in the fitted table it held text",
        ),
        (lambda t: t.assign(age="old"), TypeError, "the column 'age' of X must hold numbers for the formula"),
        (lambda t: t.assign(age=np.nan), ValueError, "X lacks values in these columns: 'age' .240, the first at row 0"),
        (lambda t: t.assign(ward=t.ward.where(t.ward != "B")), ValueError, "X lacks values in these columns: 'ward'"),
        (lambda t: t.assign(age=np.inf), ValueError, r"'log\(age\)' in the formula is inf in row 0"),
    ],
)
def test_tables_that_do_not_fit_the_formula_are_refused(changed, error, message):
    model = fitted("died ~ log(age) + ward")
    with pytest.raises(error, match=message):
        model.predict(changed(PANDAS))


# missing values -----------------------------------------------------------------------------------------------------


def test_rows_that_lack_values_are_an_error_or_left_out(frame):
    changed = {name: list(TABLE[name]) for name in ("age", "ward", "died")} | {"weight": list(np.arange(1.0, M + 1))}
    for name, row in {"age": 3, "ward": 5, "died": 8, "weight": 13}.items():
        changed[name][row] = None
    table = frame(columns(**changed))
    formula = "died ~ center(age) + ward + age:sex"
    with pytest.raises(
        ValueError, match=r"lacks values in these columns: 'age' \(1, the first at row 3\), 'ward'.* 'died'"
    ):
        fitted(formula, table, sample_weight="weight")
    model = fitted(formula, table, sample_weight="weight", missing="drop")
    kept = np.delete(np.arange(M), [3, 5, 8, 13])
    judge = fitted(formula, PANDAS.iloc[kept], sample_weight=kept + 1.0)
    np.testing.assert_allclose(model.w, judge.w, rtol=1e-12)
    assert model.fit_info.n_samples == M - 4
    assert model.fit_info.total_weight == judge.fit_info.total_weight
    if frame.__name__ == "pandas":
        cut = fitted("died ~ age", table, sample_weight=np.arange(M) + 1.0, missing="drop")
        assert cut.fit_info.total_weight == sum(range(1, M + 1)) - 4 - 9


# files --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("right", RIGHT + STATEFUL)
def test_a_saved_model_is_the_same_again(tmp_path, right):
    model = fitted(f"died ~ {right}")
    model.save(tmp_path / "model")
    again = xlogreg.load(tmp_path / "model")
    assert again.encoding == model.encoding
    np.testing.assert_array_equal(again.predict_proba(PANDAS), model.predict_proba(PANDAS))
    again.save(tmp_path / "another")
    assert (tmp_path / "another").read_bytes() == (tmp_path / "model").read_bytes()


def test_formulaic_is_needed_for_its_own_functions_alone(tmp_path, monkeypatch):
    for right in ("age * C(ward, contr.sum)", "poly(age, 2)"):
        fitted(f"died ~ {right}").save(tmp_path / "model")
        model = xlogreg.load(tmp_path / "model")
        with monkeypatch.context() as patch:
            for name in [name for name in sys.modules if name.partition(".")[0] == "formulaic"]:
                patch.delitem(sys.modules, name)
            patch.setitem(sys.modules, "formulaic", None)
            if "poly" in right:
                with pytest.raises(ImportError, match=r"poly in a formula needs formulaic.*pip install"):
                    model.predict(PANDAS)
                with pytest.raises(ImportError, match=r"fit_formula needs formulaic.*pip install"):
                    fitted("died ~ age")
            else:
                assert len(model.predict(PANDAS)) == M


def test_functions_of_the_user_work_but_cannot_be_saved(tmp_path):
    context = {"capped": lambda x, top: np.minimum(x, top), "most": 5.0, "unused": print}
    model = fitted("died ~ capped(dose, most) + age", context=context)
    judge = fitted("died ~ minimum(dose, 5) + age")
    np.testing.assert_array_equal(model.w, judge.w)
    np.testing.assert_array_equal(model.predict_proba(PANDAS[:9]), judge.predict_proba(PANDAS[:9]))
    with pytest.raises(ValueError, match=r"cannot be saved: its formula uses capped, most of context.* column"):
        model.save(tmp_path / "model")
    with pytest.raises(ValueError, match="checkpoint cannot hold"):
        fitted("died ~ capped(dose, most)", context=context, checkpoint=tmp_path / "model")
    assert not list(tmp_path.iterdir())


CODE = "__import__('os').mkdir('executed')"


def changing(*path_and_value):
    *path, last, value = path_and_value

    def change(terms):
        inner = terms
        for part in path:
            inner = inner[part]
        inner[last] = value(inner[last]) if callable(value) else value

    return change


HOSTILE = {
    "code in a factor": changing("factors", 0, "expression", CODE),
    "code in the labels": changing("labels", CODE),
    "an attribute": changing("factors", 0, "expression", "age.__class__"),
    "a function of NumPy": changing("factors", 0, "expression", "np.load('age')"),
    "a second array to write to": changing("factors", 0, "expression", "np.log(age, age)"),
    "a lambda": changing("factors", 0, "expression", "(lambda: age)()"),
    "an index": changing("factors", 0, "expression", "age[0]"),
    "a walrus": changing("factors", 0, "expression", "(age := 3)"),
    "a format string": changing("factors", 0, "expression", "f'{age}'"),
    "no expression": changing("factors", 0, "expression", "age +"),
    "a deep expression": changing("factors", 0, "expression", "-" * 9000 + "age"),
    "a long expression": changing("factors", 0, "expression", "age" + " " * 20_000),
    "another column": changing("factors", 0, "expression", "dose"),
    "a degree that takes for ever": changing("factors", 1, "expression", "poly(age, 1000000000)"),
    "a state that a user hands in": changing("factors", 1, "expression", "poly(age, 2, _state=3)"),
    "a state of text": changing("factors", 1, "states", "poly(age, 2)", "alpha", CODE),
    "a state that is nested": changing("factors", 1, "states", "poly(age, 2)", "alpha", [[[[[1.0]]]]]),
    "a state of another call": changing("factors", 1, "states", {"center(age)": {}}),
    "no state": changing("factors", 1, "states", {}),
    "a factor that is not there": changing("products", 0, 1, [[[9, False]]]),
    "a factor of a negative number": changing("products", 0, 1, [[[-1, False]]]),
    "a factor twice": changing("products", 0, 1, [[[0, False], [0, False]]]),
    "no factors": changing("products", 0, 1, [[]]),
    "more features than names": changing("products", 0, 1, [[[1, False], [2, False], [3, False]]]),
    "a level less of numbers": changing("products", 0, 1, [[[0, True]]]),
    "levels twice": changing("factors", 2, "levels", ["A", "A", "C"]),
    "levels of two kinds": changing("factors", 2, "levels", ["A", 2, "C"]),
    "a level too few": changing("factors", 2, "levels", ["A", "B"]),
    "a level of missing values": changing("factors", 2, "levels", ["A", "B", None]),
    "a level that is not there left out": changing("factors", 2, "dropped", 3),
    "no level left out": changing("factors", 2, "dropped", None),
    "a coding that is too small": changing("factors", 3, "coding", lambda rows: rows[:1]),
    "a coding with odd rows": changing("factors", 3, "coding", lambda rows: [row[:1] for row in rows]),
    "a coding of text": changing("factors", 3, "coding", lambda rows: [["a"] * len(row) for row in rows]),
    "other names": changing("factors", 0, "whole", ["b"]),
    "names of no text": changing("factors", 0, "whole", [3]),
    "no names": changing("factors", 0, "whole", []),
    "columns twice": changing("columns", lambda columns: columns + columns[:1]),
    "a column with a fill": changing("columns", 0, "fill", 1.0),
    "columns of no list": changing("columns", "age"),
    "factors of no list": changing("factors", {}),
    "a formula of no text": changing("formula", 3),
    "another field": changing("another", None),
    "another field of a factor": changing("factors", 0, "another", None),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("formula") / "model"
    fitted("died ~ age + poly(age, 2) + ward + C(grade, contr.sum)").save(path)
    return members(path)


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_and_nothing_in_it_is_executed(saved, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    header = json.loads(saved["header.json"])
    HOSTILE[case](header["terms"])
    path = tmp_path / "model"
    path.write_bytes(archive_of((saved | {"header.json": json.dumps(header).encode()}).items()))
    with pytest.raises(ModelFileError):
        xlogreg.load(path)
    assert [own.name for own in tmp_path.iterdir()] == ["model"]


def test_a_file_with_categories_and_terms_is_refused(saved, tmp_path):
    header = json.loads(saved["header.json"])
    header["categories"] = {"columns": [], "unseen": "error", "missing": "error"}
    (tmp_path / "model").write_bytes(archive_of((saved | {"header.json": json.dumps(header).encode()}).items()))
    with pytest.raises(ModelFileError, match="it has categories and terms"):
        xlogreg.load(tmp_path / "model")


# what is refused ----------------------------------------------------------------------------------------------------

REFUSED = {
    "died ~ agee + warrd": "lacks these columns, which the formula names: 'agee', 'warrd'",
    "dead ~ agee": "lacks these columns, which the formula names: 'dead', 'agee'",
    "died": "labels left of one '~'",
    "~ age": "labels left of one '~'",
    "died ~ age ~ dose": "labels left of one '~'",
    "died ~ 1": "has no features on its right side",
    "died ~ age +": "cannot be parsed",
    "died ~ age | dose": "cannot be parsed",
    "died ~ (age": "labels left|cannot be parsed",
    "died ~ 2:age": r"write I\(2 \* x\)",
    "died ~ age.clip(0)": "the formula holds 'age.clip",
    "died ~ age[0]": r"the formula holds 'age\[0\]'",
    f"died ~ I({CODE})": "the formula holds|cannot be parsed",
    "died ~ foo(age)": r"the formula holds 'foo\(age\)'",
    "died ~ lag(age)": "the formula holds 'lag",
    "died ~ np.log(dose, age)": "the formula holds",
    "died ~ np.load('x')": "the formula holds",
    "died ~ center(age, _state=1)": "the formula holds",
    "died ~ poly(age, 10 ** 9)": "the formula holds",
    "died ~ log(ward)": "'ward' holds categories, not numbers",
    "died ~ log(poly(age, 2))": "has several columns",
    "died ~ I(ward > 'A')": "can only be compared with one level",
    "died ~ I(age & dose)": "neither true nor false",
    "died ~ log(age - 50)": "in the formula is nan in row",
    "died ~ bs(age, df=1)": "in the formula cannot be computed",
    "died ~ C(ward, foo)": "names contrasts that are none of contr.treatment",
    "died ~ C(ward, contr.treatment('Z'))": "in the formula",
    "died ~ C(ward, contr.sum, 3)": "takes a column, contrasts and levels",
    "died ~ C(ward, levels=['A'])": "lacks levels that X has: 'B', 'C'",
    "died ~ C(poly(age, 2))": "takes one column",
    "died ~ C()": "names no column",
    "poly(age, 2) ~ dose": "must give one label for each sample",
    "1 ~ dose": "must give one label for each sample",
}


@pytest.mark.parametrize("formula", REFUSED)
def test_wrong_formulas_are_refused_in_one_line(formula):
    with pytest.raises((ValueError, TypeError), match=REFUSED[formula]) as caught:
        fitted(formula)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((3, PANDAS), {}, "formula must be a text"),
        (("died ~ age", np.ones((3, 2))), {}, "X must be a frame of pandas, polars or Arrow, not ndarray"),
        (("died ~ age", PANDAS), {"missing": "median"}, "missing must be"),
        (("died ~ age", PANDAS), {"bias": False}, "bias is not for a formula: write '0 [+]'"),
        (("died ~ age", PANDAS), {"samples": "rows"}, "samples is not for a formula"),
        (("died ~ age", PANDAS), {"drop": None}, "drop is not for a formula"),
        (("died ~ age", PANDAS), {"context": 3}, "context must be a dict"),
        (("died ~ age", PANDAS), {"sample_weight": "heavy"}, "lacks these columns, which the formula names: 'heavy'"),
        (("died ~ age", PANDAS.assign(sex="f")), {"context": {"f": len}}, None),
        (("died ~ sex", PANDAS.assign(sex="f")), {}, "has the level 'f' alone"),
        (("died ~ key", PANDAS.assign(key="a")), {"l2": -1.0}, "."),
    ],
)
def test_wrong_arguments_are_refused(arguments, options, message):
    if message is None:
        assert xlogreg.fit_formula(*arguments, l2=0.1, **options).feature_names == ("age",)
        return
    with pytest.raises((ValueError, TypeError), match=message):
        xlogreg.fit_formula(*arguments, **options)


def test_names_are_no_categories_unless_they_are_meant():
    table = pandas.DataFrame({"y": np.arange(2400) % 2, "key": np.arange(2400).astype(str)})
    with pytest.raises(ValueError, match=r"'key' of X is text with 2400 levels.*C\(key\) if it is meant"):
        fitted("y ~ key", table)
    assert len(fitted("y ~ C(key)", table).feature_names) == 2399


def test_an_expression_of_a_column_never_changes_the_column():
    before = PANDAS.copy()
    fitted("died ~ np.log(age) + I(age + 1) + center(dose) + poly(dose, 2) + -age:sex + clip(age, 30, 50)")
    pandas.testing.assert_frame_equal(PANDAS, before)


def test_no_expression_reaches_pythons_eval():
    # every kind of node that the grammar of Python has for expressions, but those that the library computes
    computed = {"Constant", "Name", "BinOp", "UnaryOp", "Compare", "Call"}
    kinds = {kind.__name__ for kind in ast.expr.__subclasses__()} - computed
    found = set()
    for text in (
        "a and b", "(a := 1)", "lambda: a", "a if b else c", "{a: b}", "{a}", "[a for a in b]", "{a for a in b}",
        "{a: a for a in b}", "(a for a in b)", "f'{a}'", "a.b", "a[0]", "[*a]", "[a]", "(a,)", "a[0:1]",
    ):  # fmt: skip
        expression = parse(text)
        found |= {type(node).__name__ for node in ast.walk(expression.tree)} & kinds
        with pytest.raises(ValueError, match="the formula holds"):
            expression.expect_known({})
    statements = {"Await", "Yield", "YieldFrom"}  # no expressions of their own outside of a function
    deprecated = {kind for kind in kinds if kind in ("Num", "Str", "Bytes", "NameConstant", "Ellipsis")}
    assert kinds - statements - deprecated - {"TemplateStr", "Interpolation"} == found


def test_a_model_of_a_formula_is_summarised_with_its_names():
    model = xlogreg.fit_formula("died ~ age + C(ward)", PANDAS)
    text = str(model.summary())
    assert all(name in text for name in model.feature_names)
    robust = model.summary(covariance=model.covariance_of(PANDAS, PANDAS.died, kind="HC0"))
    assert "C(ward)[T.B]" in str(robust)
    tests = model.wald_test_terms()
    judge = model.wald_test(["C(ward)[T.B]", "C(ward)[T.C]"])
    assert "C(ward)" in str(tests)
    assert f"{judge.statistic:.5g}" in str(tests)
    moved = dataclasses.replace(model, w=model.w + 1.0)
    with pytest.raises(ValueError, match="log-likelihood"):
        moved.covariance_of(PANDAS, PANDAS.died, kind="HC0")
