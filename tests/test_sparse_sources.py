"""Sparse X from files, on the command line, in dask's blocks, and in scikit-learn's pipelines."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline
from test_commands import call, refused
from test_sparse import ROWS, alike, drawn

import xlogreg
from xlogreg.inputs.tables import open_table

X, Y = drawn()
SPARSE = scipy.sparse.csr_array(X)
HALVES = (slice(0, 100), slice(100, 300))
TEXTS = ["a good film", "a bad film", "very good", "very bad", "good, good", "bad"] * 20
MOODS = ["fine", "poor"] * 60


@pytest.fixture
def folder(tmp_path):
    """X and Y in files, and X in parts."""
    scipy.sparse.save_npz(tmp_path / "X.npz", SPARSE)
    np.save(tmp_path / "Y.npy", Y)
    (tmp_path / "parts").mkdir()
    for number, half in enumerate(HALVES):
        scipy.sparse.save_npz(tmp_path / "parts" / f"{number}.npz", SPARSE[half])
    return tmp_path


@pytest.mark.parametrize("samples", ["rows", "columns"])
def test_parts_are_joined_along_the_samples(tmp_path, samples):
    for number, half in enumerate(HALVES):
        part = SPARSE[half] if samples == "rows" else SPARSE[half].T
        scipy.sparse.save_npz(tmp_path / f"{number}.npz", scipy.sparse.csr_array(part))
    opened = xlogreg.open_parts(tmp_path, samples=samples)
    assert (opened != (SPARSE if samples == "rows" else SPARSE.T)).nnz == 0
    alike(xlogreg.fit(opened, Y, l2=1e-2, samples=samples), xlogreg.fit(X, Y, l2=1e-2, **ROWS))


def test_parts_that_do_not_fit_or_are_no_matrices_are_named(folder):
    scipy.sparse.save_npz(folder / "parts" / "2.npz", SPARSE[:, :3])
    with pytest.raises(ValueError, match=r"2\.npz has the shape \(300, 3\), the first part \(100, 30\)"):
        xlogreg.open_parts(folder / "parts")
    np.savez(folder / "parts" / "0.npz", X=X)
    with pytest.raises(ValueError, match=r"0\.npz holds no sparse matrix of scipy\.sparse\.save_npz"):
        xlogreg.open_parts(folder / "parts")
    with pytest.raises(ValueError, match=r"labels of \.npz parts are \.npy files of their own"):
        xlogreg.open_parts(folder / "parts", target="label")


@pytest.mark.parametrize("given", ["X.npz", "parts"])
def test_the_command_line_reads_matrices_and_parts(folder, given):
    done = call("fit", given, "--target", "Y.npy", "--l2", "1e-2", "-o", "text.model", folder=folder)
    assert done.returncode == 0, done.stderr
    model = xlogreg.load(folder / "text.model")
    alike(model, xlogreg.fit(X, Y, l2=1e-2, **ROWS))
    assert call("evaluate", "text.model", given, "--target", "Y.npy", folder=folder).returncode == 0
    assert call("predict", "text.model", given, "-o", "p.csv", folder=folder).returncode == 0
    predicted = np.genfromtxt(folder / "p.csv", delimiter=",", names=True)
    assert (predicted[predicted.dtype.names[0]] == model.predict(X)).all()


def test_labels_of_a_matrix_are_a_file_of_their_own(folder):
    said = refused("fit", "X.npz", "--target", "label", "-o", "text.model", folder=folder)
    assert said == "X.npz holds a sparse matrix: its labels are a .npy file (m,) of their own, not 'label'"


def test_blocks_of_dask_are_fitted_where_they_are(client):
    da, delayed = pytest.importorskip("dask.array"), pytest.importorskip("dask").delayed
    wide, labels = drawn(n_x=1100, density=0.1)
    for dense, given in ((X, Y), (wide, labels)):
        blocks = [
            da.from_delayed(
                delayed(scipy.sparse.csr_matrix)(dense[half]),
                dense[half].shape,
                dtype=float,
                meta=scipy.sparse.csr_matrix((0, 0)),
            )
            for half in HALVES
        ]
        collection = da.concatenate(blocks, axis=0)
        found, expected = (xlogreg.fit(one, given, l2=1e-2, tol=1e-14, **ROWS) for one in (collection, dense))
        alike(found, expected, 1e-5)
        np.testing.assert_allclose(found.predict_proba(collection).compute(), expected.predict_proba(dense), atol=1e-6)
        assert found.evaluate(collection, given).accuracy == expected.evaluate(dense, given).accuracy


@pytest.mark.parametrize("vectorizer", [TfidfVectorizer, CountVectorizer])
@pytest.mark.parametrize("scoring", [None, "neg_log_loss", "balanced_accuracy"])
def test_a_pipeline_of_texts_is_fitted_and_scored(vectorizer, scoring):
    plain = make_pipeline(vectorizer(), xlogreg.LogisticRegression()).fit(TEXTS, MOODS)
    chosen = make_pipeline(vectorizer(), xlogreg.LogisticRegressionCV(Cs=3, cv=3, scoring=scoring)).fit(TEXTS, MOODS)
    for pipeline in (plain, chosen):
        assert pipeline.predict(["good", "bad"]).tolist() == ["fine", "poor"]
        assert pipeline.score(TEXTS, MOODS) == (
            1.0 if pipeline is plain or scoring != "neg_log_loss" else pytest.approx(0.0, abs=0.2)
        )
    sparse = plain[-1].sparsify()
    assert scipy.sparse.issparse(sparse.coef_)
    assert plain.predict(["good"]).tolist() == ["fine"]


def test_a_frame_of_sparse_columns_stays_sparse():
    pandas = pytest.importorskip("pandas")
    names = [f"word {number}" for number in range(X.shape[1])]
    frame = pandas.DataFrame.sparse.from_spmatrix(SPARSE, columns=names)
    model = xlogreg.fit(frame, Y, l2=1e-2, **ROWS)
    alike(model, xlogreg.fit(X, Y, l2=1e-2, **ROWS))
    assert model.feature_names == tuple(names)
    np.testing.assert_allclose(model.predict_proba(frame[names[::-1]]), model.predict_proba(X), rtol=1e-12)
    found, _ = open_table(frame, "rows")
    assert scipy.sparse.issparse(found)
    filled = frame.assign(**{names[0]: pandas.arrays.SparseArray(np.ones(len(Y)), fill_value=1.0)})
    expected = np.column_stack([np.ones(len(Y)), X[:, 1:]])
    np.testing.assert_array_equal(open_table(filled, "rows")[0].toarray(), expected)
