"""Frames of pandas, polars and Arrow: numbers and names go in, everything else is refused by name."""

import tracemalloc

import numpy as np
import pytest

import xlogreg
from xlogreg.inputs.tables import open_table

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3))
Y = (X[:, 0] + RNG.logistic(size=60) > 0).astype(int)
NAMES = ["age", "dose", "höhe"]


def pandas_frame(columns):
    return pytest.importorskip("pandas").DataFrame(columns)


def pandas_nullable(columns):
    return pandas_frame(columns).convert_dtypes()


def pandas_of_arrow(columns):
    pytest.importorskip("pyarrow")
    return pandas_frame(columns).convert_dtypes(dtype_backend="pyarrow")


def polars_frame(columns):
    return pytest.importorskip("polars").DataFrame(columns)


def arrow_table(columns):
    return pytest.importorskip("pyarrow").table(columns)


def arrow_batch(columns):
    return pytest.importorskip("pyarrow").record_batch(columns)


FRAMES = [pandas_frame, pandas_nullable, pandas_of_arrow, polars_frame, arrow_table, arrow_batch]


@pytest.fixture(params=FRAMES, ids=lambda frame: frame.__name__)
def frame(request):
    return request.param


def columns(order=(0, 1, 2), **more):
    return {NAMES[i]: X[:, i] for i in order} | more


def fit(table, target=Y, **options):
    return xlogreg.fit(table, target, samples="rows", **options)


def test_a_table_of_numbers_is_fitted_and_its_names_are_kept(frame):
    model = fit(frame(columns()))
    assert model.feature_names == tuple(NAMES)
    np.testing.assert_allclose(model.w, fit(X).w, rtol=1e-9)
    np.testing.assert_allclose(model.predict_proba(frame(columns())), fit(X).predict_proba(X), rtol=1e-9)


def test_a_table_costs_no_more_memory_than_one_copy(frame):
    many = frame({f"x{number}": RNG.standard_normal(50_000) for number in range(20)})
    tracemalloc.start()
    try:
        found, names = open_table(many, "rows")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (found.shape, len(names)) == ((50_000, 20), 20)
    assert peak < (0.1 if frame is pandas_frame else 2.1 if "arrow" in frame.__name__ else 1.1) * found.nbytes
    assert all(found[:, number].flags.c_contiguous for number in range(20))


def test_columns_are_matched_by_name(frame):
    model = fit(frame(columns()))
    np.testing.assert_allclose(model.predict_proba(frame(columns((2, 0, 1)))), model.predict_proba(X), rtol=1e-9)
    report = model.evaluate(frame(columns((1, 2, 0))), Y)
    assert report.accuracy == model.evaluate(X, Y).accuracy


def test_names_survive_the_file(frame, tmp_path):
    fit(frame(columns())).save(tmp_path / "model.npz")
    model = xlogreg.load(tmp_path / "model.npz")
    assert model.feature_names == tuple(NAMES)
    with pytest.raises(ValueError, match=r"X lacks these columns, which the model was fitted on: 'dose', 'höhe'"):
        model.predict(frame(columns((0,))))


def test_columns_that_the_model_does_not_know_are_refused_before_what_they_hold(frame):
    model = fit(frame(columns()))
    with pytest.raises(ValueError, match="X has columns that the model was not fitted on: 'note'; leave them out"):
        model.predict(frame(columns(note=["x"] * 60)))


def test_small_integers_and_bools_are_numbers(frame):
    table = frame({"flag": (X[:, 0] > 0).tolist(), "count": (10 * X[:, 1]).astype(int).tolist()})
    expected = np.stack([X[:, 0] > 0, (10 * X[:, 1]).astype(int)], axis=1)
    np.testing.assert_allclose(fit(table, l2=0.1).w, fit(expected, l2=0.1).w, rtol=1e-9)


def test_text_is_refused_by_name(frame):
    with pytest.raises(
        TypeError,
        match=r"these columns do not: 'note' \(.*\), 'word' \(.*\); leave them out, or take them as categories",
    ):
        fit(frame(columns(note=["x"] * 60, word=["y"] * 60)))


@pytest.mark.parametrize("values", [[1, None] * 30, [1.5, None] * 30, [True, None] * 30], ids=["int", "float", "bool"])
def test_missing_values_are_counted_and_located_by_column(frame, values):
    if frame is pandas_frame and values[0] is True:  # of which pandas makes objects
        values = [1.0, None] * 30
    with pytest.raises(ValueError, match=r"in these columns: 'dose' \(30, the first at row 1\); remove those rows"):
        fit(frame(columns(dose=values)))


def test_infinite_values_are_located(frame):
    bad = X[:, 1].copy()
    bad[7] = np.inf
    with pytest.raises(ValueError, match="the first is inf at row 7, column 1"):
        fit(frame(columns(dose=bad)))


def test_the_samples_of_a_table_are_its_rows(frame):
    with pytest.raises(ValueError, match="whose samples are its rows: use samples='rows'"):
        xlogreg.fit(frame(columns()), Y)


@pytest.mark.parametrize(
    "labels", [Y.tolist(), Y.astype(bool).tolist(), np.where(Y, "läuft", "nicht").tolist()], ids=type
)
def test_a_column_may_be_the_target(frame, labels):
    table = frame({"y": labels})
    target = table.column("y") if hasattr(table, "column_names") else table["y"]
    model = fit(X, target)
    assert model.classes.tolist() == sorted(set(labels))
    assert model.classes.dtype.kind in "ibU"
    assert model.evaluate(X, target).accuracy == model.evaluate(X, labels).accuracy


def test_targets_and_weights_that_are_missing_are_counted(frame):
    table = frame({"y": [0, 1, None] * 20, "s": [1.0, None, 2.0] * 20})
    y, s = ((table.column(name) if hasattr(table, "column_names") else table[name]) for name in ("y", "s"))
    with pytest.raises(
        ValueError, match=r"Y lacks 20 values; remove those samples first|Y holds 20 values that are not fin"
    ):
        fit(X, y)
    with pytest.raises(
        ValueError, match=r"sample_weight lacks 20 values|sample_weight holds 20 values that are not finite"
    ):
        fit(X, Y, sample_weight=s)


def test_dates_and_categories_are_refused_by_name():
    pandas = pytest.importorskip("pandas")
    table = pandas_frame(columns(day=pandas.Timestamp("2020-01-01"), kind=pandas.Categorical(["a", "b"] * 30)))
    with pytest.raises(TypeError, match=r"'day' \(datetime64.*\), 'kind' \(category\)"):
        fit(table)


def test_columns_of_one_name_are_refused():
    table = pytest.importorskip("pandas").DataFrame(X, columns=["a", "a", "b"])
    with pytest.raises(ValueError, match="X has several columns of the name 'a'; names must differ"):
        fit(table)


def test_a_frame_that_is_not_computed_yet_is_refused():
    table = polars_frame(columns()).lazy()
    with pytest.raises(TypeError, match=r"X is a polars\.LazyFrame, which holds no numbers yet: use X\.collect\(\)"):
        fit(table)


def test_decimals_are_numbers():
    polars = pytest.importorskip("polars")
    cents = polars.Series(X[:, 0].round(2)).cast(polars.Decimal(10, 2))
    np.testing.assert_allclose(fit(polars_frame({"cents": cents})).w, fit(X[:, :1].round(2)).w, rtol=1e-9)


def test_a_table_without_columns_is_empty():
    with pytest.raises(ValueError, match="X is empty: it has no columns"):
        fit(polars_frame({}))


def test_frames_of_a_subclass_are_matched_by_name_too():
    pandas = pytest.importorskip("pandas")

    class Mine(pandas.DataFrame):
        pass

    model = fit(pandas_frame(columns()))
    expected = model.predict_proba(X)
    np.testing.assert_allclose(model.predict_proba(Mine(columns((2, 0, 1)))), expected, rtol=1e-9)


def test_integers_of_128_bits_are_numbers():
    polars = pytest.importorskip("polars")
    table = polars.DataFrame({"n": polars.Series((10 * X[:, 0]).astype(int)).cast(polars.Int128)})
    np.testing.assert_allclose(fit(table).w, fit((10 * X[:, :1]).astype(int)).w, rtol=1e-9)


def test_what_cannot_be_read_is_refused_with_its_type():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(TypeError, match=r"Y is of .*, which cannot be read"):
        fit(X, pandas.MultiIndex.from_arrays([Y, Y]))
    with pytest.raises(TypeError, match=r"Y is a polars\.LazyFrame, which holds no values yet: use Y\.collect\(\)"):
        fit(X, polars_frame({"y": Y}).lazy())


@pytest.mark.parametrize("kind", [int, bool, float])
def test_a_series_of_python_numbers_is_one_of_numbers(kind):
    pandas = pytest.importorskip("pandas")
    target = pandas.Series([kind(y) for y in Y], dtype=object)
    assert fit(X, target).classes.tolist() == [kind(0), kind(1)]


def test_the_columns_of_a_table_may_be_the_targets_of_many_models(frame):
    targets = {"first": Y.tolist(), "second": np.where(Y, "no", "yes").tolist()}
    models = xlogreg.fit_many(X, frame(targets), l2s=0.1, samples="rows")
    assert [model.classes.tolist() for model in models] == [[0, 1], ["no", "yes"]]
    expected = xlogreg.fit_many(X, [Y, 1 - Y], l2s=0.1, samples="rows")
    for model, other in zip(models, expected, strict=True):
        np.testing.assert_allclose(model.w, other.w)
