"""Models fitted with an offset: predictions, reports, files, collections of dask and exports know it."""

import functools

import numpy as np
import pytest
import scipy.special
from conftest import cut
from test_offset import N_X, K, M, cost, draw, same_fits, some_offset

import xlogreg

blocks = functools.partial(cut, size=90)
METHODS = ("decision_function", "predict_proba", "predict_log_proba", "predict")


def scores(model, X, offset):
    return model.w.T @ X + model.b + offset


def expected(name, model, X, offset):
    """What a method of a model of columns returns, by SciPy."""
    Z = scores(model, X, offset)
    both = np.concatenate([np.zeros_like(Z), Z]) if len(Z) == 1 else Z
    return {
        "decision_function": Z,
        "predict_proba": scipy.special.softmax(both, axis=0),
        "predict_log_proba": scipy.special.log_softmax(both, axis=0),
        "predict": model.classes[np.argmax(both, axis=0)][None, :],
    }[name]


@pytest.mark.parametrize("k", [1, K])
@pytest.mark.parametrize("name", METHODS)
def test_predictions_add_the_offset(where, name, k):
    X, Y, _ = draw(k)
    model = xlogreg.fit(X, Y, offset=some_offset(k))
    found = getattr(model, name)(where.asarray(X[:, :20]), where.asarray(some_offset(k, 20, seed=1)))
    wanted = expected(name, model, X[:, :20], some_offset(k, 20, seed=1))
    kind = str(model.classes.dtype) if name == "predict" else None
    kind = "int32" if kind and where.id == "strict-no_x64" else kind
    where.check(found, wanted, rtol=1e-10 if where.dtype == "float64" else 1e-4, dtype=kind)


@pytest.mark.parametrize("k", [1, K])
@pytest.mark.parametrize("name", METHODS)
def test_models_of_rows_take_offsets_of_rows(name, k):
    X, Y, _ = draw(k)
    model = xlogreg.fit(X.T, Y, samples="rows", offset=some_offset(k).T)
    wanted = expected(name, model, X, some_offset(k)).T
    for offset in (some_offset(k).T, some_offset(k)[0]) if k == 1 else (some_offset(k).T,):
        found = getattr(model, name)(X.T, offset=offset)
        np.testing.assert_allclose(found, wanted[:, 0] if found.ndim == 1 else wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("k", [1, K])
def test_reports_add_the_offset(k):
    X, Y, _ = draw(k)
    weight = np.linspace(0.5, 2.0, M)
    model = xlogreg.fit(X, Y, offset=some_offset(k), sample_weight=weight, l2=0.01)
    report = model.evaluate(X, Y, weight, offset=some_offset(k))
    assert -report.log_loss * weight.sum() == pytest.approx(model.log_likelihood, rel=1e-7)
    plain = cost(model.w, model.b, X, Y, some_offset(k), 0.0, 0.0)[0]
    assert model.evaluate(X, Y, offset=some_offset(k)).log_loss == pytest.approx(plain, rel=1e-9)


def test_scores_that_overflow_still_get_their_offset():
    X, Y, _ = draw()
    model = xlogreg.fit(X, Y, offset=some_offset()[0])
    far = X.copy()
    far[:, 0] = 1e308
    Z = model.decision_function(far, some_offset()[0])
    np.testing.assert_allclose(Z[:, 1:], scores(model, X, some_offset())[:, 1:], rtol=1e-10)
    assert model.evaluate(far, Y, offset=some_offset()[0]).log_loss > 0.0


@pytest.mark.parametrize("name", [*METHODS, "evaluate", "covariance_of"])
def test_a_model_with_an_offset_refuses_samples_without(name):
    X, Y, _ = draw()
    model = xlogreg.fit(X, Y, offset=some_offset()[0])
    given = (X, Y) if name in ("evaluate", "covariance_of") else (X,)
    with pytest.raises(ValueError, match="fitted with an offset: offset= must hold that of these samples"):
        getattr(model, name)(*given)
    with pytest.raises(ValueError, match=r"offset has the shape \(3,\), but X holds 400 samples"):
        getattr(model, name)(*given, offset=np.zeros(3))


def test_a_model_without_an_offset_takes_one():
    X, Y, _ = draw()
    model = xlogreg.fit(X, Y)
    assert not model.offset
    found = model.decision_function(X, offset=some_offset()[0])
    np.testing.assert_allclose(found, scores(model, X, some_offset()), rtol=1e-12)


@pytest.mark.parametrize("k", [1, K])
def test_robust_covariances_count_the_offset(k):
    X, Y, W0 = draw(k)
    plain, model = xlogreg.fit(X, Y), xlogreg.fit(X, Y, offset=W0.T @ X)
    for kind in ("fisher", "HC0"):
        found = model.covariance_of(X, Y, kind=kind, offset=W0.T @ X)
        np.testing.assert_allclose(found.matrix, plain.covariance_of(X, Y, kind=kind).matrix, rtol=1e-6, atol=1e-9)


def test_a_file_tells_that_there_was_an_offset(tmp_path):
    X, Y, _ = draw()
    for offset in (None, some_offset()[0]):
        model = xlogreg.fit(X, Y, offset=offset)
        model.save(tmp_path / "model")
        assert xlogreg.load(tmp_path / "model").offset is model.offset is (offset is not None)


def test_a_checkpoint_tells_that_there_was_an_offset(tmp_path):
    X, Y, _ = draw()
    xlogreg.fit(X, Y, offset=some_offset()[0], checkpoint=tmp_path / "model")
    kept = xlogreg.load(tmp_path / "model")
    assert kept.offset
    again = xlogreg.fit(X, Y, offset=some_offset()[0], initial=kept)
    np.testing.assert_allclose(again.w, kept.w, atol=1e-9)


def test_scikit_learn_has_no_such_model():
    X, Y, _ = draw()
    with pytest.raises(ValueError, match="fitted with an offset, which LogisticRegression of scikit-learn cannot take"):
        xlogreg.fit(X, Y, offset=some_offset()[0]).to_sklearn()


@pytest.fixture
def chunked(client):
    return pytest.importorskip("dask.array", reason="dask.array is not installed")


@pytest.mark.parametrize("k", [1, K])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.slow
def test_workers_fit_and_predict_with_an_offset(chunked, k, own):
    X, Y, _ = draw(k)
    offset = some_offset(k)
    here = xlogreg.fit(X, Y, offset=offset)
    given = chunked.from_array(offset, chunks=(-1, 70)) if own else offset
    there = xlogreg.fit(blocks(X), blocks(Y), offset=given)
    same_fits([there], [here], 1e-8)
    assert there.null_deviance == pytest.approx(here.null_deviance, rel=1e-12)
    for name in METHODS:
        found = getattr(there, name)(blocks(X), offset=given)
        np.testing.assert_allclose(found.compute(), getattr(here, name)(X, offset), atol=1e-7)
    assert there.evaluate(blocks(X), blocks(Y), offset=given).log_loss == pytest.approx(
        here.evaluate(X, Y, offset=offset).log_loss
    )
    with pytest.raises(ValueError, match="fitted with an offset"):
        there.predict(blocks(X))


@pytest.mark.parametrize("k", [1, K])
def test_workers_predict_rows_with_an_offset(chunked, k):
    X, Y, _ = draw(k)
    offset = some_offset(k)[0] if k == 1 else some_offset(k).T
    model = xlogreg.fit(blocks(X.T, axis=0), blocks(Y), samples="rows", offset=chunked.from_array(offset, chunks=90))
    for name in METHODS:
        found = getattr(model, name)(blocks(X.T, axis=0), chunked.from_array(offset, chunks=90))
        np.testing.assert_allclose(found.compute(), getattr(model, name)(X.T, offset), atol=1e-7)


@pytest.mark.slow
def test_workers_fit_many_and_folds_with_an_offset(chunked):
    X, Y, _ = draw()
    offset, Ys = some_offset(), [draw(seed=seed)[1] for seed in range(3)]
    same_fits(
        xlogreg.fit_many(blocks(X), Ys, l2s=0.01, offset=blocks(offset[0])),
        [xlogreg.fit(X, Y, l2=0.01, offset=offset) for Y in Ys],
    )
    folds = np.arange(M) % 3
    there = xlogreg.fit_cv(blocks(X), blocks(Y), [0.1, 0.01], folds=folds, offset=blocks(offset[0]))
    here = xlogreg.fit_cv(X, Y, [0.1, 0.01], folds=folds, offset=offset)
    np.testing.assert_allclose(there.scores["log_loss"], here.scores["log_loss"], rtol=1e-6)


def test_bad_offsets_of_collections_are_named(chunked):
    X, Y, _ = draw()
    bad = np.where(np.arange(M) == 301, np.nan, 0.0)
    with pytest.raises(ValueError, match="offset holds 1 value that is not finite"):
        xlogreg.fit(blocks(X), blocks(Y), offset=blocks(bad))
    with pytest.raises(ValueError, match="offset has 399 samples, X has 400"):
        xlogreg.fit(blocks(X), blocks(Y), offset=blocks(np.zeros(M - 1)))
    with pytest.raises(ValueError, match="offset holds 3 numbers for each sample, but a model of 2 classes"):
        xlogreg.fit(blocks(X), blocks(Y), offset=chunked.zeros((3, M), chunks=(3, 70)))
    with pytest.raises(TypeError, match="offset is a dask Array, but X is none"):
        xlogreg.fit(X, Y, offset=blocks(np.zeros(M)))


def test_a_column_of_a_collection_is_an_offset(client):
    dd = pytest.importorskip("dask.dataframe", reason="dask.dataframe is not installed")
    pd = pytest.importorskip("pandas")
    X, Y, _ = draw()
    frame = pd.DataFrame(X.T, columns=list("abcd")).assign(y=Y, offset=some_offset()[0])
    table = dd.from_pandas(frame, npartitions=3)
    model = xlogreg.fit(table[list("abcd")], table["y"], samples="rows", offset=table["offset"])
    here = xlogreg.fit(frame[list("abcd")], frame["y"], samples="rows", offset=frame["offset"])
    same_fits([model], [here], 1e-8)
    found = model.predict_proba(table[list("abcd")], offset=table["offset"]).compute()
    np.testing.assert_allclose(found, here.predict_proba(frame[list("abcd")], frame["offset"]), atol=1e-7)
    with pytest.raises(TypeError, match="offset must be one of its columns"):
        model.predict(table[list("abcd")], offset=np.zeros(M))


def test_tables_bring_an_offset_column():
    pl = pytest.importorskip("polars")
    X, Y, _ = draw()
    frame = pl.DataFrame(X.T, schema=list("abcd"), orient="row")
    offset = pl.Series(some_offset()[0])
    same_fits(
        [xlogreg.fit(frame, pl.Series(Y), samples="rows", offset=offset)],
        [xlogreg.fit(X, Y, offset=some_offset())],
        1e-8,
    )
    assert N_X == 4
