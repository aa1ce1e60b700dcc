"""`xlogreg.separation` names the infinite coefficients and finds a direction; judges share no code with it."""

import sys
import warnings

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import csr_array, csr_matrix

import xlogreg
from tests.existence import exists
from tests.judge import pose


def problems(count, seed):
    """Yield X, Y, weight and bias: ties, collinear features, classes and both kinds of separation are common."""
    rng = np.random.default_rng(seed)
    while count:
        K, n_x, m, kind = (
            int(rng.choice([2, 2, 3, 4])),
            int(rng.integers(1, 5)),
            int(rng.integers(6, 40)),
            rng.integers(4),
        )
        X = rng.standard_normal((n_x, m))
        if kind == 1:
            X = rng.integers(-3, 4, (n_x, m)).astype(float)
        if kind == 2:
            X = (rng.random((n_x, m)) < 0.3).astype(float)
        if kind == 3:
            X = rng.integers(-3, 4, (n_x, m)).astype(float)
            X = np.vstack([X, 2.0 * X[:1] - 1.0, np.full((1, m), 3.0)]) * 2.0 ** rng.integers(-9, 10)
        steep = rng.choice([0.3, 2.0, 20.0])
        size = np.maximum(X.std(axis=1, keepdims=True), 1e-9)
        scores = steep * rng.standard_normal((K, len(X))) @ ((X - X.mean(axis=1, keepdims=True)) / size)
        Y = np.argmax(scores + rng.standard_normal((K, 1)) + rng.gumbel(size=(K, m)), axis=0)
        weight = None if rng.random() < 0.7 else (rng.random(m) < 0.8) * rng.uniform(0.1, 3.0, m)
        kept = np.unique(Y if weight is None else Y[weight > 0])
        if 1 < len(kept) == len(np.unique(Y)):
            count -= 1
            yield X, Y, weight, bool(rng.random() < 0.8)


def rows_of(X, Y, bias, baseline=0):
    """Return the inequalities A d >= 0 of full rank problems, the parameters of each other class one after another."""
    classes = np.unique(Y)
    features = np.vstack([X, np.ones(X.shape[1])]).T if bias else X.T
    others = [label for label in classes if label != classes[baseline]]
    rows = []
    for x, y in zip(features, Y, strict=True):
        for label in classes[classes != y]:
            signs = [float(other == y) - float(other == label) for other in others]
            rows.append(np.concatenate([sign * x for sign in signs]))
    return np.asarray(rows)


def ends_of(A, coefficient):
    """Return the least and greatest value of a coefficient over A d >= 0, |d| <= 1, by two programs of all rows."""
    ends = []
    for sign in (1.0, -1.0):
        cost = np.zeros(A.shape[1])
        cost[coefficient] = sign
        found = linprog(cost, A_ub=-A, b_ub=np.zeros(len(A)), bounds=(-1.0, 1.0), method="highs")
        ends.append(sign * found.fun)
    return ends


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.slow
def test_each_status_is_that_of_two_programs_of_all_samples(seed):
    compared, rng = {}, np.random.default_rng(seed)
    for X, Y, _, bias in problems(40, seed):
        A = rows_of(X, Y, bias, baseline := int(rng.integers(len(np.unique(Y)))) if len(np.unique(Y)) > 2 else 0)
        if np.linalg.matrix_rank(A) < A.shape[1]:
            continue
        label = None if len(np.unique(Y)) == 2 else np.unique(Y)[baseline]
        found = xlogreg.separation(X, Y, bias=bias, baseline=label)
        for number, status in enumerate(found.status.T.reshape(-1)):
            least, most = ends_of(A, number)
            names = {(False, False): "finite", (False, True): "+inf", (True, False): "-inf", (True, True): "either"}
            assert status == names[least < -1e-7, most > 1e-7], (number, least, most)
            compared[status] = compared.get(status, 0) + 1
    assert min(compared.get(status, 0) for status in ("finite", "+inf", "-inf", "either")) > 5


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.slow
def test_the_kind_is_that_of_a_proof_in_whole_numbers(seed):
    kinds = set()
    for X, Y, weight, bias in problems(40, 10 + seed):
        truth = exists(pose(X, Y, weight, bias=bias))
        found = xlogreg.separation(X, Y, bias=bias, sample_weight=weight)
        assert truth.kind != "unsure"
        separated = "complete" if truth.complete else "quasi-complete"
        assert found.kind == ("none" if truth.kind == "exists" else separated)
        kinds.add(found.kind)
        counted = np.ones(len(Y), bool) if weight is None else weight > 0
        assert not np.any(found.tied[~counted])
        if truth.left is not None:
            np.testing.assert_array_equal(found.tied[counted], truth.left.sum(axis=0) > 1)
    assert kinds == {"none", "complete", "quasi-complete"}


def test_nearly_collinear_features_may_separate_by_their_difference():
    kinds, rng = set(), np.random.default_rng(90)
    for _ in range(60):
        m = int(rng.integers(8, 40))
        x, z = rng.standard_normal((2, m))
        X = np.stack([x, x + 10.0 ** rng.uniform(-8, -2) * z]) * 10.0 ** rng.uniform(-5, 5, (2, 1))
        Y = (rng.choice([1.0, 50.0]) * (z + 0.5 * x) + rng.logistic(size=m) > 0).astype(int)
        truth = exists(pose(X, Y))
        assert truth.kind != "unsure"
        found = xlogreg.separation(X, Y)
        assert found.is_separated == (truth.kind == "separated")
        kinds.add(found.kind)
    assert {"none", "complete"} <= kinds


def agree(count, seed):
    verdicts = {}
    for X, Y, weight, bias in problems(count, seed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", xlogreg.SeparationWarning)
            model = xlogreg.fit(X, Y, sample_weight=weight, bias=bias)
        found = xlogreg.separation(X, Y, sample_weight=weight, bias=bias)
        pair = model.fit_info.separation, found.kind
        verdicts[pair] = verdicts.get(pair, 0) + 1
    assert set(verdicts) == {(kind, kind) for kind in ("none", "complete", "quasi-complete")}, verdicts


@pytest.mark.slow
def test_the_verdict_of_a_fit_is_the_same():
    agree(60, 20)


@pytest.mark.slow
def test_the_verdict_of_a_fit_is_the_same_a_thousand_times():
    agree(1000, 21)


def test_coefficients_grow_as_they_are_said_to():
    """A weaker penalty lets an infinite coefficient go farther, and leaves a finite one near a limit."""
    seen = set()
    for X, Y, _, _ in problems(40, 30):
        if len(np.unique(Y)) > 2 or np.linalg.matrix_rank(np.vstack([X, np.ones(X.shape[1])])) <= len(X):
            continue
        found = xlogreg.separation(X, Y)
        models = [xlogreg.fit(X, Y, l2=l2) for l2 in (1e-4, 1e-6, 1e-8)]
        w = np.stack([np.concatenate([model.w, model.b])[:, 0] for model in models])
        for path, status in zip(w.T, found.status[:, 0], strict=True):
            if status == "+inf":
                assert path[0] < path[1] < path[2]
            if status == "-inf":
                assert path[0] > path[1] > path[2]
            if status == "finite":
                assert abs(path[2] - path[1]) < 0.2 * max(1.0, abs(path[2]))
            seen.add(str(status))
    assert seen >= {"+inf", "-inf", "finite"}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.slow
def test_along_the_direction_no_sample_moves_to_its_wrong_side(seed):
    for X, Y, _, bias in problems(40, 40 + seed):
        found = xlogreg.separation(X, Y, bias=bias)
        if not found.is_separated:
            assert found.w is None
            continue
        scores = found.w.T @ X + found.b
        numbers = np.searchsorted(found.classes, Y)
        scores = np.vstack([np.zeros_like(scores), scores]) if len(found.classes) == 2 else scores
        ahead = scores[numbers, np.arange(len(Y))] - scores
        assert np.min(ahead) > -1e-12
        assert np.max(ahead) == pytest.approx(1.0)
        ahead[numbers, np.arange(len(Y))] = np.inf
        np.testing.assert_array_equal(np.min(ahead, axis=0) > 1e-9, ~found.tied)
        assert bias or not np.any(found.b)


@pytest.mark.slow
def test_the_rectifier_finds_the_same_samples():
    kinds = set()
    for X, Y, weight, bias in problems(60, 50):
        exact = xlogreg.separation(X, Y, sample_weight=weight, bias=bias)
        found = xlogreg.separation(X, Y, sample_weight=weight, bias=bias, method="rectifier")
        assert found.method == "rectifier"
        if not found.settled:  # where its steps are too many
            continue
        assert found.kind == exact.kind
        np.testing.assert_array_equal(found.tied, exact.tied)
        told = found.status != "undecided"
        np.testing.assert_array_equal(found.status[told], exact.status[told])
        kinds.add(found.kind)
    assert kinds == {"none", "complete", "quasi-complete"}


def test_many_features_are_left_to_the_rectifier():
    rng = np.random.default_rng(0)
    groups, m = rng.integers(0, 600, 6000), 6000
    X = csr_array((np.ones(m), (np.arange(m), groups)), shape=(m, 600))
    Y = rng.integers(0, 2, m)
    Y[groups < 3] = 1
    found = xlogreg.separation(X, Y, samples="rows", bias=False)
    pure = np.asarray([len(set(Y[groups == group])) == 1 for group in range(600)])
    assert found.method == "rectifier"
    assert found.settled
    np.testing.assert_array_equal(found.tied, ~pure[groups])


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.slow
def test_sparse_samples_give_the_answer_of_dense_ones(seed):
    for X, Y, weight, bias in problems(30, 60 + seed):
        X = X * (np.random.default_rng(seed).random(X.shape) < 0.25)
        dense = xlogreg.separation(X, Y, sample_weight=weight, bias=bias)
        sparse = xlogreg.separation(csr_matrix(X.T), Y, samples="rows", sample_weight=weight, bias=bias)
        assert (sparse.kind, sparse.status.tolist()) == (dense.kind, dense.status.tolist())
        np.testing.assert_array_equal(sparse.tied, dense.tied)


def test_samples_may_live_anywhere(where):
    rng = np.random.default_rng(0)
    X, Y = rng.integers(-3, 4, (2, 30)).astype(float), rng.integers(0, 2, 30)
    X = np.vstack([X, (np.arange(30) % 7 == 0) & (Y == 1)])
    wanted = xlogreg.separation(X, Y)
    found = xlogreg.separation(where.asarray(X), Y)
    assert wanted.status[:, 0].tolist() == ["finite", "finite", "+inf", "finite"]
    assert found.status.tolist() == wanted.status.tolist()
    assert isinstance(found.w, np.ndarray)


def test_samples_apart_by_a_billionth_are_separated_and_those_that_overlap_by_it_are_not():
    X = np.asarray([[-3.0, 1.0, 1.0 + 1e-9, 4.0]])
    apart, over = (xlogreg.separation(X, Y) for Y in ([0, 0, 1, 1], [0, 1, 0, 1]))
    assert apart.kind == "complete"
    assert apart.status[:, 0].tolist() == ["+inf", "-inf"]
    assert over.kind == "none"


def test_scale_and_offset_of_features_change_nothing():
    rng = np.random.default_rng(6)
    for _ in range(20):
        X, Y = rng.integers(-3, 4, (3, 20)).astype(float), np.arange(20) % 2
        X[2] = (np.arange(20) < 6) & (rng.integers(2) == Y)
        first = xlogreg.separation(X, Y)
        second = xlogreg.separation(X * [[2.0**-20], [1.0], [2.0**20]] + [[1.0], [2.0**30], [-(2.0**40)]], Y)
        assert (first.kind, first.status[:3].tolist()) == (second.kind, second.status[:3].tolist())
        np.testing.assert_array_equal(first.tied, second.tied)
        assert first.is_separated


def test_repeating_samples_and_changing_weights_change_nothing():
    rng = np.random.default_rng(5)
    for X, Y, _, bias in problems(20, 80):
        once = xlogreg.separation(X, Y, bias=bias)
        order = np.concatenate([rng.permutation(len(Y)), rng.integers(0, len(Y), 20)])
        twice = xlogreg.separation(X[:, order], Y[order], bias=bias, sample_weight=rng.uniform(1e-9, 1e9, len(order)))
        assert twice.status.tolist() == once.status.tolist()
        np.testing.assert_array_equal(twice.tied, once.tied[order])


def test_features_that_are_constant_or_collinear_are_no_separation():
    rng = np.random.default_rng(1)
    x, Y = rng.integers(-3, 4, 40).astype(float), rng.integers(0, 2, 40)
    X = np.stack([x, 2.0 * x + 1.0, np.full(40, 5.0)])
    found = xlogreg.separation(X, Y)
    assert found.kind == "none"
    assert set(found.status[:, 0]) == {"finite"}
    Y = (x > 0).astype(int)
    found = xlogreg.separation(X, Y)
    assert found.status[:3, 0].tolist() == ["+inf", "+inf", "finite"]
    assert found.w[2, 0] == 0.0


def test_constants_of_any_size_change_nothing():
    rng = np.random.default_rng(2)
    Y = rng.integers(0, 2, 30)
    for size in 10.0 ** rng.uniform(-200, 200, 20):
        X = np.stack([rng.standard_normal(30), np.full(30, size)])
        assert xlogreg.separation(X, Y).kind == "none"


def test_classes_apart_leave_the_sign_of_a_bias_open():
    found = xlogreg.separation([[-2.0, -1.0, 1.0, 2.0]], ["no", "no", "yes", "yes"])
    assert found.kind == "complete"
    assert found.status[:, 0].tolist() == ["+inf", "either"]
    assert found.on_hyperplane == 0


def test_a_baseline_is_what_coefficients_are_relative_to():
    rng = np.random.default_rng(3)
    Y = np.asarray(["a", "b", "c"])[np.arange(60) % 3]
    X = np.stack([rng.standard_normal(60), (Y == "b") & (np.arange(60) < 20)])
    first, second = xlogreg.separation(X, Y), xlogreg.separation(X, Y, baseline="b")
    assert first.table["estimate"].reshape(2, 3)[:, 1].tolist() == ["+inf", "either"]
    assert second.table["estimate"].reshape(2, 3)[:, 1].tolist() == ["-inf", "-inf"]
    assert second.table["class"].tolist() == ["a"] * 3 + ["c"] * 3
    assert not np.any(second.w[:, 1])


def test_columns_of_a_frame_have_their_names():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"age": [30.0, 52, 47, 61, 38, 55], "city": ["Bonn", "Bonn", "Paris", "Paris", "Rome", "Rome"]}
    )
    found = xlogreg.separation(frame, [0, 1, 1, 1, 1, 0], samples="rows", categorical_features=["city"])
    assert found.names == ("age", "city=Paris", "city=Rome", "bias")
    assert dict(zip(found.names, found.status[:, 0], strict=True))["city=Paris"] == "+inf"
    table = found.to_frame("pandas")
    assert table["name"].tolist() == list(found.names)
    assert "city=Paris  +inf" in str(found)
    assert "<td" in found._repr_html_()


def test_a_long_table_shows_infinite_coefficients_only():
    rng = np.random.default_rng(4)
    Y = rng.integers(0, 2, 2000)
    X = np.vstack([rng.standard_normal((80, 2000)), (np.arange(2000) < 50) & (Y == 1)])
    text = str(xlogreg.separation(X, Y))
    assert "x80  +inf" in text
    assert text.endswith("the other 81 coefficients are finite")


SAMPLES = [[1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 0.0, 1.0]]
REFUSED = {
    "samples": ({"samples": "lines"}, ValueError, "samples must be 'columns' or 'rows'"),
    "method": ({"method": "simplex"}, ValueError, "method must be one of 'auto'"),
    "bias": ({"bias": "yes"}, TypeError, "bias must be True or False, not 'yes'"),
    "soft targets": ({"Y": [0.1, 0.9, 0.4, 1.0]}, ValueError, "Y holds floats .* labels, so probabilities are refused"),
    "soft columns": ({"Y": [[0.5] * 4, [0.5] * 4]}, ValueError, "so probabilities are refused"),
    "one class": ({"Y": [1, 1, 1, 1]}, ValueError, "Y holds one class only"),
    "NaN": ({"X": [[1.0, np.nan, 3.0, 4.0]]}, ValueError, "X holds 1 value that is not finite .* row 0, column 1"),
    "a class without weight": (
        {"sample_weight": [0, 1, 0, 1]},
        ValueError,
        "weight is zero for every sample of class 0",
    ),
    "baseline of two": ({"baseline": 0}, ValueError, "baseline is for three classes or more"),
    "baseline": ({"Y": [0, 1, 2, 2], "baseline": 3}, ValueError, r"must be one of the classes \[0, 1, 2\], not 3"),
    "factory": ({"X": lambda: iter(())}, TypeError, "X is a factory of blocks; separation looks at samples in memory"),
    "no table": ({"categorical_features": ["a"]}, TypeError, "is for tables"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_gets_one_clear_error(case):
    changed, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        xlogreg.separation(**({"X": SAMPLES, "Y": [0, 1, 0, 1]} | changed))


def test_collections_of_dask_are_refused():
    array = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match="X is a collection of dask; separation looks at samples in memory"):
        xlogreg.separation(array.ones((2, 4)), [0, 1, 0, 1])


def test_a_missing_scipy_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r'separation needs SciPy: pip install "xlogreg\[inference\]"'):
        xlogreg.separation(SAMPLES, [0, 1, 0, 1])


def test_the_warning_of_a_fit_says_where_to_look():
    with pytest.warns(xlogreg.SeparationWarning, match=r"bias_reduction='firth'.*xlogreg\.separation\(X, Y\) tells"):
        xlogreg.fit([[-2.0, -1.0, 1.0, 2.0]], [0, 0, 1, 1])


def test_a_fit_with_a_penalty_on_some_features_names_their_factor():
    X = [[-2.0, -1.0, 1.0, 2.0], [1.0, -1.0, -1.0, 1.0]]
    with pytest.warns(xlogreg.SeparationWarning, match="use a penalty_factor > 0 for these features$"):
        xlogreg.fit(X, [0, 0, 1, 1], l2=0.1, penalty_factor=[0.0, 1.0])
