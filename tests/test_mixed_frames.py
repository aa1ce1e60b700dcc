"""Tables in which some columns are sparse: the same answers as from a table of the same numbers, nothing made dense."""

import numpy as np
import pytest
import scipy.sparse
from test_sparse import ROWS, alike

import xlogreg
from xlogreg.arrays.matrix import Dense
from xlogreg.arrays.sparse import Sparse
from xlogreg.inputs.columns import TableOptions
from xlogreg.inputs.door import learn_features, take_features

pandas = pytest.importorskip("pandas")
M, WORDS = 300, 40
TABLE = {"categorical_features": ["city"], "missing": "median"}
LACKING = ("age", "word 3", "word 7")


def tables(lacking=(), seed=0):
    """Make a table with sparse columns of floats and bools, the same without, and labels."""
    rng = np.random.default_rng(seed)
    words = scipy.sparse.random_array((M, WORDS), density=0.1, rng=rng, format="csr")
    stored = pandas.DataFrame.sparse.from_spmatrix(words, columns=[f"word {number}" for number in range(WORDS)])
    stored.insert(3, "age", rng.normal(size=M))
    stored.insert(10, "city", rng.choice(["Bonn", "Oslo", "Rome"], M))
    stored.insert(20, "flag", rng.random(M) < 0.5)
    stored["new"] = pandas.arrays.SparseArray(rng.random(M) < 0.1)
    dense = pandas.DataFrame({name: np.asarray(stored[name]) for name in stored})
    dense["city"] = stored["city"]
    for name in lacking:
        x = np.where(rng.random(M) < 0.05, np.nan, dense[name].to_numpy())
        dense[name], stored[name] = x, (x if name == "age" else pandas.arrays.SparseArray(x, fill_value=0.0))
    scores = np.nan_to_num(dense["age"].to_numpy() + 3.0 * dense["word 1"].to_numpy())
    return stored, dense, (rng.random(M) < 1.0 / (1.0 + np.exp(-scores))).astype(int)


def numbers(table):
    return table.drop(columns="city")


def test_plain_numbers_stay_sparse_beside_others():
    stored, dense, Y = tables()
    model = xlogreg.fit(numbers(stored), Y, l2=1e-2, **ROWS)
    alike(model, xlogreg.fit(numbers(dense), Y, l2=1e-2, **ROWS))
    features = take_features(numbers(stored), "rows")
    assert isinstance(features.X, Sparse)
    np.testing.assert_array_equal(features.X.host(), numbers(dense).to_numpy(dtype=float))
    shuffled = numbers(stored)[list(reversed(numbers(stored).columns))]
    np.testing.assert_array_equal(model.predict_proba(shuffled), model.predict_proba(numbers(stored)))
    np.testing.assert_allclose(model.predict_proba(numbers(dense)), model.predict_proba(numbers(stored)), rtol=1e-12)


@pytest.mark.parametrize("lacking", [(), LACKING], ids=["whole", "lacking"])
@pytest.mark.parametrize("weighted", [False, True])
def test_categories_and_missing_values_beside_sparse_columns(lacking, weighted):
    stored, dense, Y = tables(lacking)
    weight = np.random.default_rng(1).integers(0, 4, M) if weighted else None
    fits = [xlogreg.fit(X, Y, l2=1e-2, sample_weight=weight, **TABLE, **ROWS) for X in (stored, dense)]
    alike(*fits)
    assert fits[0].encoding == fits[1].encoding
    assert any(name.endswith(" missing") for name in fits[0].feature_names) == bool(lacking)
    features = learn_features(stored, "rows", TableOptions(**TABLE), weight)
    assert isinstance(features.X, Sparse)
    np.testing.assert_array_equal(features.X.host(), fits[1].encoding.dense(dense, "rows"))
    for one in fits:
        np.testing.assert_allclose(one.predict_proba(stored), one.predict_proba(dense), rtol=1e-12)
    found = [
        xlogreg.fit_cv(X, Y, [1e-1, 1e-2], folds=3, sample_weight=weight, **TABLE, **ROWS) for X in (stored, dense)
    ]
    np.testing.assert_allclose(found[0].scores["log_loss"], found[1].scores["log_loss"], rtol=1e-9)


def test_missing_values_of_sparse_columns_are_refused_by_name():
    stored, _, Y = tables(LACKING)
    for X, asked in ((numbers(stored), {}), (stored, {"categorical_features": ["city"]})):
        with pytest.raises(
            ValueError, match=r"X lacks values in these columns: 'age' \(\d+, .*'word 3' \(\d+, .*'word 7'"
        ):
            xlogreg.fit(X, Y, l2=1e-2, **asked, **ROWS)


def test_few_sparse_columns_among_others_become_dense():
    stored, dense, _ = tables()
    some = ["age", "flag", "word 1", "word 2", "word 4"]
    assert isinstance(take_features(stored[some], "rows").X, Dense)
    np.testing.assert_array_equal(take_features(stored[some], "rows").X.host(), dense[some].to_numpy(dtype=float))


@pytest.mark.slow
def test_dask_dataframes_with_sparse_columns(client):
    dask = pytest.importorskip("dask.dataframe", reason="dask.dataframe is not installed")
    stored, dense, Y = tables(["age", "word 3"])
    options = {"categorical_features": ["city"], "missing": "mean", "l2": 1e-2}
    parts = dask.from_map(lambda start: stored.iloc[start : start + 100], [0, 100, 200])
    model = xlogreg.fit(parts, Y, **options, **ROWS)
    np.testing.assert_allclose(model.w, xlogreg.fit(dense, Y, **options, **ROWS).w, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(model.predict_proba(parts).compute(), model.predict_proba(dense), rtol=1e-9)
    whole, same, _ = tables()
    plain = dask.from_map(lambda start: numbers(whole).iloc[start : start + 100], [0, 100, 200])
    np.testing.assert_allclose(
        xlogreg.fit(plain, Y, l2=1e-2, **ROWS).w, xlogreg.fit(numbers(same), Y, l2=1e-2, **ROWS).w, rtol=1e-7, atol=1e-9
    )
