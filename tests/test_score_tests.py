"""Score tests of further features: against statsmodels, a formula, other layouts, dtypes and sources, and bad input."""

import numpy as np
import pytest
import scipy.stats
from conftest import cut

import xlogreg
from xlogreg.inference import candidates as engine


@pytest.fixture(scope="module")
def data():
    """X (3, 400), Y of two and of four classes, candidates (30, 400) of genotypes."""
    rng = np.random.default_rng(4)
    X = rng.standard_normal((3, 400)) + 2.0
    Y = (rng.random(400) < 1 / (1 + np.exp(-0.9 * X[0] + 0.4 * X[1] + 1.0))).astype(int)
    return X, Y, rng.integers(0, 4, 400), rng.integers(0, 3, (30, 400)).astype(np.int8)


@pytest.fixture(scope="module")
def fitted(data):
    return xlogreg.fit(data[0], data[1], tol=1e-14)


def of_statsmodels(X, Y, candidates):
    statsmodels = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    D = np.column_stack([X.T, np.ones(X.shape[1])])
    null = statsmodels.GLM(Y, D, family=statsmodels.families.Binomial()).fit(tol=1e-14)
    tests = (null.model.score_test(null.params, exog_extra=g[:, None]) for g in candidates.astype(float))
    return np.asarray([np.ravel(test[0])[0] for test in tests])


def by_formula(A, X, hot, g, weight):
    """U'V^-1 U of one candidate for probabilities A (K, m) and targets hot (K, m): the whole score and information."""
    D, K = np.concatenate([X, np.ones((1, len(g))), g[None, :]]), len(A)
    score, information = np.zeros((len(D), K - 1)), 0.0
    for i, s in enumerate(weight):
        a = A[1:, i]
        score += s * np.outer(D[:, i], hot[1:, i] - a)
        information = information + s * np.kron(np.outer(D[:, i], D[:, i]), np.diag(a) - np.outer(a, a))
    return score.ravel() @ np.linalg.solve(information, score.ravel())


def test_statistics_are_those_of_statsmodels(data, fitted):
    X, Y, _, genotypes = data
    tests = fitted.score_test(X, Y, genotypes)
    np.testing.assert_allclose(tests.table["statistic"], of_statsmodels(X, Y, genotypes), rtol=1e-8)
    np.testing.assert_allclose(tests.table["p"], scipy.stats.chi2.sf(tests.table["statistic"], 1), rtol=1e-10)
    assert tests.table["name"][[0, -1]].tolist() == ["candidate 0", "candidate 29"]
    assert tests.note == ""


@pytest.mark.parametrize("classes", [2, 4])
def test_statistics_are_those_of_the_whole_score_and_information(data, classes):
    X, two, four, _ = data
    Y, rng = (two if classes == 2 else four), np.random.default_rng(0)
    g, weight = rng.standard_normal((3, 400)) ** 3 + 1.0, rng.random(400) + 0.1
    model = xlogreg.fit(X, Y, sample_weight=weight, tol=1e-14)
    tests = model.score_test(X, Y, g, sample_weight=weight)
    A, hot = model.predict_proba(X), np.eye(classes)[:, Y]
    expected = [by_formula(A, X, hot, one, weight) for one in g]
    np.testing.assert_allclose(tests.table["statistic"], expected, rtol=1e-8)
    assert tests.table["df"].tolist() == [classes - 1] * 3


def test_an_offset_belongs_to_the_null_model(data):
    statsmodels = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    X, Y, _, genotypes = data
    offset = np.random.default_rng(5).standard_normal(400)
    D = np.column_stack([X.T, np.ones(400)])
    null = statsmodels.GLM(Y, D, family=statsmodels.families.Binomial(), offset=offset).fit(tol=1e-14)
    A = null.predict()
    G, C = genotypes.astype(float), A * (1.0 - A)
    residual = G - (G * C) @ D @ np.linalg.solve(D.T @ (D * C[:, None]), D.T)
    expected = (residual @ (Y - A)) ** 2 / np.sum(residual**2 * C, axis=1)
    model = xlogreg.fit(X, Y, offset=offset, tol=1e-14)
    found = model.score_test(X, Y, genotypes, offset=offset).table["statistic"]
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_the_statistic_is_near_that_of_the_likelihood_ratio(data, fitted):
    X, Y, _, genotypes = data
    score = fitted.score_test(X, Y, genotypes[:3]).table["statistic"]
    for number in range(3):
        large = xlogreg.fit(np.concatenate([X, genotypes[number : number + 1]]), Y, tol=1e-13)
        assert score[number] == pytest.approx(
            xlogreg.likelihood_ratio_test(fitted, large).statistic, rel=0.05, abs=0.01
        )


def test_a_null_that_is_not_quite_at_its_maximum_gives_the_same_statistics(data):
    X, Y, _, genotypes = data
    rough, close = xlogreg.fit(X, Y, tol=1e-5, solver="lbfgs"), xlogreg.fit(X, Y, tol=1e-14)
    assert rough.fit_info.gap > 1e3 * close.fit_info.gap
    statistics = (model.score_test(X, Y, genotypes).table["statistic"] for model in (rough, close))
    np.testing.assert_allclose(*statistics, rtol=1e-3, atol=1e-4)


def test_without_a_bias_candidates_are_not_centred(data):
    X, Y, _, genotypes = data
    model = xlogreg.fit(X, Y, bias=False, tol=1e-14)
    A, G = model.predict_proba(X)[1], genotypes.astype(float)
    C = A * (1 - A)
    V = np.sum(G * G * C, axis=1) - np.sum((G * C) @ X.T * np.linalg.solve((X * C) @ X.T, X @ (G * C).T).T, axis=1)
    np.testing.assert_allclose(model.score_test(X, Y, genotypes).table["statistic"], (G @ (Y - A)) ** 2 / V, rtol=1e-8)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "int64", "float16", "float32", "float64"])
def test_the_dtype_of_candidates_does_not_matter(data, fitted, dtype):
    X, Y, _, genotypes = data
    candidates = np.minimum(genotypes, 1)
    expected = fitted.score_test(X, Y, candidates.astype(np.float64)).table["statistic"]
    np.testing.assert_allclose(
        fitted.score_test(X, Y, candidates.astype(dtype)).table["statistic"], expected, rtol=1e-11
    )


def test_units_and_origins_of_candidates_do_not_matter(data, fitted):
    X, Y, _, _ = data
    g = np.random.default_rng(2).standard_normal((6, 400))
    expected = fitted.score_test(X, Y, g).table["statistic"]
    scale = np.asarray([[1e-8], [1e8], [-1.0], [1.0], [1.0], [1.0]])
    origin = np.asarray([[0.0], [0.0], [1e2], [1e5], [-1e7], [1e9]])
    found = fitted.score_test(X, Y, g * scale + origin).table["statistic"]
    np.testing.assert_allclose(found[:4], expected[:4], rtol=1e-8)
    np.testing.assert_allclose(found[4:], expected[4:], rtol=1e-5)  # the candidates themselves are rounded


def test_a_linear_combination_with_features_of_the_model_does_not_matter(data, fitted):
    X, Y, _, genotypes = data
    mixed = genotypes + 3.0 * X[:1] - 2.0 * X[1:2] + 1.0
    expected = fitted.score_test(X, Y, genotypes).table["statistic"]
    np.testing.assert_allclose(fitted.score_test(X, Y, mixed).table["statistic"], expected, rtol=1e-8)


def test_candidates_without_information_have_no_test(data, fitted):
    X, Y, four, genotypes = data
    G = genotypes.astype(np.float64)
    G[1], G[4], G[5], G[7], G[8] = (
        0.0,
        2.0,
        0.1,
        2.0 * X[0] - X[2] + 3.0,
        np.where(np.arange(400) < 200, 0.3, 0.1 + 0.2),
    )
    G[9] = 0.0
    G[9, 17] = 1.0  # of one sample only, but that is enough
    for model, labels in ((fitted, Y), (xlogreg.fit(X, four), four)):
        tests = model.score_test(X, labels, G)
        lost = np.isnan(tests.table["statistic"])
        assert np.flatnonzero(lost).tolist() == [1, 4, 5, 7, 8]
        assert np.all(tests.table["df"][lost] == 0)
        assert np.isnan(tests.table["p"][lost]).all()
        assert tests.note == "5 of 30 are constant or combinations of features of X: no test"
    bytes_ = genotypes.copy()
    bytes_[3] = 2
    assert np.flatnonzero(np.isnan(fitted.score_test(X, Y, bytes_).table["statistic"])).tolist() == [3]


@pytest.fixture
def small_blocks(monkeypatch):
    """Several blocks of everything."""
    monkeypatch.setattr(engine, "COLUMNS_BYTES", 8 * 6 * 150)
    monkeypatch.setattr(engine, "SUMS_NUMBERS", 1)
    monkeypatch.setattr(engine, "READ_BYTES", 900)
    monkeypatch.setattr(engine, "TILE", (4, 64))
    monkeypatch.setattr(engine, "HANDED", 9)


def test_blocks_do_not_matter(data, fitted, small_blocks):
    X, Y, _, genotypes = data
    expected = of_statsmodels(X, Y, genotypes)
    np.testing.assert_allclose(fitted.score_test(X, Y, genotypes).table["statistic"], expected, rtol=1e-8)
    rows = xlogreg.fit(X.T, Y, samples="rows", tol=1e-14)
    np.testing.assert_allclose(rows.score_test(X.T, Y, genotypes.T).table["statistic"], expected, rtol=1e-8)
    far = genotypes + 1e6
    np.testing.assert_allclose(fitted.score_test(X, Y, far).table["statistic"], expected, rtol=1e-7)


@pytest.mark.filterwarnings("ignore")
def test_candidates_come_from_files_sparse_matrices_and_tables(data, fitted, small_blocks, tmp_path):
    X, Y, _, genotypes = data
    expected = fitted.score_test(X, Y, genotypes).table["statistic"]
    rows = xlogreg.fit(X.T, Y, samples="rows", tol=1e-14)
    np.save(tmp_path / "columns.npy", genotypes)
    np.save(tmp_path / "rows.npy", genotypes.T)
    sparse = pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    for given in (np.load(tmp_path / "columns.npy", mmap_mode="r"), sparse.csc_array(genotypes), Sliced(genotypes)):
        np.testing.assert_allclose(fitted.score_test(X, Y, given).table["statistic"], expected, rtol=1e-10)
    for given in (np.load(tmp_path / "rows.npy", mmap_mode="r"), sparse.csr_array(genotypes.T), Sliced(genotypes.T)):
        np.testing.assert_allclose(rows.score_test(X.T, Y, given).table["statistic"], expected, rtol=1e-9)
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    table = pandas.DataFrame(genotypes.T, columns=[f"snp{number}" for number in range(30)])
    tests = rows.score_test(X.T, Y, table)
    np.testing.assert_allclose(tests.table["statistic"], expected, rtol=1e-9)
    assert tests.table["name"][3] == "snp3"


class Sliced:
    """What h5py and zarr have: a shape, a dtype and slices."""

    def __init__(self, values):
        self._values, self.shape, self.dtype = values, values.shape, values.dtype

    def __getitem__(self, at):
        return self._values[at]


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_samples_come_from_sparse_matrices_files_and_collections(data, tmp_path, client, small_blocks, classes):
    X, two, four, genotypes = data
    Y, X = (two if classes == 2 else four), np.where(X < 1.5, 0.0, X)
    expected = xlogreg.fit(X, Y, tol=1e-13).score_test(X, Y, genotypes).table["statistic"]
    np.save(tmp_path / "X.npy", X)
    sparse = pytest.importorskip("scipy.sparse", reason="SciPy is not installed")
    for given in (sparse.csc_array(X), np.load(tmp_path / "X.npy", mmap_mode="r"), cut(X, 150)):
        found = xlogreg.fit(given, Y, tol=1e-13).score_test(given, Y, genotypes)
        np.testing.assert_allclose(found.table["statistic"], expected, rtol=1e-8)
    both = sparse.csc_array(X)
    found = xlogreg.fit(both, Y, tol=1e-13).score_test(both, Y, sparse.csc_array(genotypes))
    np.testing.assert_allclose(found.table["statistic"], expected, rtol=1e-8)


def test_every_namespace_has_the_same_statistics(where64, data, fitted):
    X, Y, four, genotypes = data
    A = where64.asarray(X)
    expected = fitted.score_test(X, Y, genotypes).table["statistic"]
    model = xlogreg.fit(A, Y, tol=1e-14)
    for given in (genotypes, where64.asarray(genotypes), where64.asarray(genotypes, dtype="int8")):
        np.testing.assert_allclose(model.score_test(A, Y, given).table["statistic"], expected, rtol=1e-9)
    expected = xlogreg.fit(X, four, tol=1e-13).score_test(X, four, genotypes).table["statistic"]
    found = xlogreg.fit(A, four, tol=1e-13).score_test(A, four, where64.asarray(genotypes))
    np.testing.assert_allclose(found.table["statistic"], expected, rtol=1e-8)


def test_names_are_the_users(data, fitted):
    X, Y, _, genotypes = data
    tests = fitted.score_test(X, Y, genotypes[:2], names=["rs1", "rs2"])
    assert tests.table["name"].tolist() == ["rs1", "rs2"]
    assert str(tests).splitlines()[0] == "score tests"
    for names in (["rs1"], "rs"):
        with pytest.raises(ValueError, match="names must be 2 texts, one for each candidate"):
            fitted.score_test(X, Y, genotypes[:2], names=names)


def test_values_that_are_missing_are_refused_by_number(data, fitted):
    X, Y, _, genotypes = data
    G = genotypes.astype(np.float32)
    G[3, 5], G[11, 0] = np.nan, np.inf
    with pytest.raises(
        ValueError, match="candidates hold values that are missing, infinite or too large, in 2 of 30: "
    ):
        fitted.score_test(X, Y, G)
    with pytest.raises(ValueError, match="number 3, 11; fill in their values"):
        fitted.score_test(X, Y, G)


def test_bad_candidates_are_refused(data, fitted):
    X, Y, _, genotypes = data
    with pytest.raises(TypeError, match="candidates must be an array, a table or a file"):
        fitted.score_test(X, Y)
    with pytest.raises(TypeError, match="a collection of dask"):
        fitted.score_test(X, Y, cut(genotypes, 100))
    with pytest.raises(ValueError, match=r"candidates have 30 samples .* X has 400; did you pass samples as rows"):
        fitted.score_test(X, Y, genotypes.T)
    with pytest.raises(ValueError, match="candidates must have the shape"):
        fitted.score_test(X, Y, genotypes[0])
    with pytest.raises(TypeError, match="candidates must hold numbers"):
        fitted.score_test(X, Y, genotypes.astype(str))
    with pytest.raises(ValueError, match="pass the samples of the fit"):
        fitted.score_test(X, 1 - Y, genotypes)
    with pytest.raises(ValueError, match="no score test: the model is penalised"):
        xlogreg.fit(X, Y, l2=0.1).score_test(X, Y, genotypes)
