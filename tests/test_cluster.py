"""Dask collections: fitted by the workers of a cluster as they would be in memory, whatever the blocks hold."""

import gc
import pickle
import time

import numpy as np
import pytest
from conftest import IN_PROCESS, close, cut, place_or_skip

import xlogreg
from xlogreg.arrays.matrix import Dense
from xlogreg.arrays.place import HOST
from xlogreg.math import moves
from xlogreg.math import sums as terms
from xlogreg.math.losses import LOSSES
from xlogreg.samples.cluster import tasks as workers
from xlogreg.samples.cluster import worker as parts
from xlogreg.samples.cluster.distributed import Distributed
from xlogreg.samples.cluster.from_dask import share_out
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Columns

distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
da = pytest.importorskip("dask.array", reason="dask.array is not installed")
delayed = pytest.importorskip("dask").delayed


@pytest.fixture(scope="module")
def data():
    """X (5, 3000) whose means differ, Y of two classes, Y of three, weights."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((5, 3000)) * [[1.0], [20.0], [1.0], [0.1], [3.0]] + [[0.0], [7.0], [1.0], [0.0], [-2.0]]
    Z = X[0] - X[1] / 20 + 2 * X[3]
    two = (Z + rng.logistic(size=3000) > 0).astype(int)
    three = np.digitize(Z + rng.logistic(size=3000), [-1.0, 1.0])
    return X, two, three, rng.uniform(0.1, 2.0, 3000)


def test_without_a_client_the_way_to_one_is_shown(data):
    """The first test, before there is one."""
    with pytest.raises(ValueError, match=r"from dask\.distributed import Client"):
        xlogreg.fit(cut(data[0]), data[1])


def slow(*values, id=None):
    """As the others, which are enough for every day."""
    return pytest.param(*values, id=id, marks=pytest.mark.slow)


CASES = {
    "two classes": {},
    "penalised": {"l2": 1e-2},
    "three classes": {"three": True, "l2": 1e-3},
    "standardised": {"standardize": True, "l2": 1e-2},
    "without bias": {"bias": False},
    "newton": {"solver": "newton"},
    "lbfgs": {"solver": "lbfgs", "l2": 1e-3},
    "gradient descent": {"solver": "gd", "learning_rate": 1e-3, "max_iter": 20},
}


@pytest.mark.parametrize(
    ("case", "weighted"),
    [
        ("two classes", False),
        ("three classes", True),
        *(slow(case, weighted) for case in CASES for weighted in (False, True)),
    ],
)
def test_a_collection_is_fitted_as_in_memory(client, data, case, weighted):
    X, two, three, weight = data
    options = dict(CASES[case])
    Y = three if options.pop("three", False) else two
    s = weight if weighted else None
    there = xlogreg.fit(cut(X), cut(Y), sample_weight=None if s is None else cut(s), **options)
    here = xlogreg.fit(X, Y, sample_weight=s, **options)
    close(there, here, X)
    assert there.fit_info.backend == "numpy"
    assert there.fit_info.device == "dask, 2 workers"
    assert there.fit_info.passes == here.fit_info.passes
    for field in ("cost", "log_likelihood", "null_log_likelihood", "parameter_error"):
        assert getattr(there.fit_info, field) == pytest.approx(getattr(here.fit_info, field), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("dtype", ["uint8", *(slow(name) for name in ("float32", "float16", "int64", "bool"))])
def test_blocks_keep_their_dtype(client, data, dtype):
    X, Y, _, _ = data
    X = np.clip(X * 10 + 100, 0, 200).astype(dtype) if dtype != "bool" else X.mean(axis=1, keepdims=True) < X
    there, here = (xlogreg.fit(x, Y, dtype="float64", l2=1e-4) for x in (cut(X), X))
    close(there, here, X)
    assert xlogreg.fit(cut(X), Y, l2=1e-4).fit_info.dtype == xlogreg.fit(X, Y, l2=1e-4).fit_info.dtype
    assert there.w.dtype == here.w.dtype


@pytest.mark.slow
def test_float32_of_large_means_keeps_its_centre(client, data):
    X = (data[0] + 2020).astype(np.float32)
    there, here = xlogreg.fit(cut(X), data[1]), xlogreg.fit(X, data[1])
    assert there.center is not None
    np.testing.assert_allclose(there.predict_proba(X), here.predict_proba(X), rtol=0, atol=2e-5)
    assert there.evaluate(cut(X), cut(data[1])).log_loss == pytest.approx(here.evaluate(X, data[1]).log_loss, rel=1e-6)


@pytest.mark.parametrize("three", [False, True], ids=["two", "three"])
def test_subsets_are_the_same_as_in_memory(client, data, subsets, three):
    X, Y = np.tile(data[0], 2), np.tile(data[2 if three else 1], 2)
    order = np.argsort(Y, kind="stable")
    X, Y = np.ascontiguousarray(X[:, order]), Y[order]  # sorted by label, so that no block has all of them
    there, here = xlogreg.fit(cut(X, 900), cut(Y, 900), l2=1e-3), xlogreg.fit(X, Y, l2=1e-3)
    assert there.fit_info.solver == here.fit_info.solver
    assert there.fit_info.passes == here.fit_info.passes
    close(there, here, X)


def test_a_subset_is_that_of_memory_to_the_bit(client, data):
    X, _, Y, weight = data
    source = share_out(cut(X), cut(Y), cut(weight), samples="columns").source()
    encoded = np.asarray(Y[None, :], dtype=np.int32)
    memory = InMemory(Dense(X), Columns(encoded, weight[None, :]), HOST, "float64", float(np.sum(weight)), n_classes=3)
    assert source.effective_samples == pytest.approx(memory.effective_samples, rel=1e-12)
    np.testing.assert_allclose(source.shares(), memory.shares(), rtol=1e-12)
    center = X.mean(axis=1, keepdims=True)
    pair = [
        part.centered(center).samples((200, 300), memory.shares(), np.random.default_rng(0))
        for part in (source, memory)
    ]
    for own, other in zip(*pair, strict=True):
        for there, here in zip(own.block(0, own.m)[:3], other.block(0, other.m)[:3], strict=True):
            assert np.array_equal(there, here)


def test_rows_are_fitted_as_columns(client, data):
    X, Y, _, weight = data
    there = xlogreg.fit(cut(X.T, axis=0), cut(Y), samples="rows", sample_weight=cut(weight))
    close(there, xlogreg.fit(X.T, Y, samples="rows", sample_weight=weight), X.T)


@pytest.mark.slow
def test_features_in_several_blocks_are_joined(client, data):
    X, Y, _, _ = data
    close(xlogreg.fit(da.from_array(X, chunks=(2, 1000)), cut(Y, 450)), xlogreg.fit(X, Y), X)


@pytest.mark.parametrize("three", [False, slow(True)])
def test_a_path_is_that_of_memory(client, data, three):
    X, labels, weight = data[0], data[2 if three else 1], data[3]
    l2s = [1.0, 1e-2, 1e-4]
    there = xlogreg.fit_path(cut(X), cut(labels), l2s, sample_weight=cut(weight))
    for model, other in zip(there, xlogreg.fit_path(X, labels, l2s, sample_weight=weight), strict=True):
        close(model, other, X)
        assert model.fit_info.solver == other.fit_info.solver


@pytest.mark.slow  # imports dask.dataframe
def test_a_frame_keeps_its_names(client, data):
    pandas = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe", reason="dask.dataframe needs pandas and pyarrow")
    X, Y, _, weight = data
    table = pandas.DataFrame(X.T, columns=list("abcde")).assign(label=np.where(Y, "yes", "no"), weight=weight)
    frame = dd.from_pandas(table, npartitions=4)
    features = frame[list("abcde")]
    there = xlogreg.fit(features, frame["label"], sample_weight=frame["weight"], samples="rows", l2=1e-3)
    here = xlogreg.fit(table[list("abcde")], table["label"], sample_weight=table["weight"], samples="rows", l2=1e-3)
    close(there, here, table[list("abcde")])
    assert there.feature_names == tuple("abcde")
    turned = features[list("edcba")]
    assert np.array_equal(there.predict(turned).compute(), there.predict(table[list("abcde")]))
    assert (
        there.evaluate(turned, frame["label"]).accuracy == here.evaluate(table[list("abcde")], table["label"]).accuracy
    )
    with pytest.raises(ValueError, match="lacks these columns"):
        there.predict(features[["a", "b"]])
    with pytest.raises(ValueError, match="use samples='rows'"):
        xlogreg.fit(features, frame["label"])
    classifier = xlogreg.LogisticRegression().fit(features, frame["label"])
    assert classifier.feature_names_in_.tolist() == list("abcde")


# labels and weights


def test_labels_that_occur_in_the_last_block_only_count(client, data):
    X, Y, _, _ = data
    names = np.where(Y == 1, "yes", "no").astype("U7")
    names[-5:] = "perhaps"
    there, here = xlogreg.fit(cut(X), cut(names), l2=1e-2), xlogreg.fit(X, names, l2=1e-2)
    assert there.classes.tolist() == ["no", "perhaps", "yes"]
    close(there, here, X)


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(lambda Y: np.asarray(["ant", "bee", "cow"])[Y], id="strings"),
        slow(lambda Y: Y > 0, id="bools"),
        slow(lambda Y: Y.astype(np.float32) - 1, id="floats"),
        slow(lambda Y: Y + 40_000, id="large"),
        slow(lambda Y: (np.arange(3)[:, None] == Y).astype(int), id="one-hot"),
    ],
)
@pytest.mark.parametrize("apart", [True, False], ids=["collection", "host"])
def test_labels_of_every_kind_are_understood(client, data, labels, apart):
    X, Y = data[0], labels(data[2])
    there, here = xlogreg.fit(cut(X), cut(Y) if apart else Y, l2=1e-2), xlogreg.fit(X, Y, l2=1e-2)
    assert np.array_equal(there.classes, here.classes)
    assert there.classes.dtype == here.classes.dtype
    close(there, here, X)


@pytest.mark.slow
@pytest.mark.parametrize("apart", [True, False], ids=["collection", "host"])
def test_probabilities_are_targets_of_collections(client, data, apart):
    X, two, three, weight = data
    soft = np.where(two, 0.9, 0.2)[None, :]
    softer = (0.7 * (three == np.arange(3)[:, None]) + 0.1).astype(float)
    for Y in (soft, softer):
        there = xlogreg.fit(cut(X), cut(Y) if apart else Y, targets="probabilities", sample_weight=weight)
        close(there, xlogreg.fit(X, Y, targets="probabilities", sample_weight=weight), X)


def test_a_block_may_have_no_weight_and_a_class_may_not(client, data):
    X, Y, _, weight = data
    weight = weight.copy()
    weight[700:1400] = 0.0
    close(xlogreg.fit(cut(X), cut(Y), sample_weight=cut(weight)), xlogreg.fit(X, Y, sample_weight=weight), X)
    with pytest.raises(ValueError, match="zero for every sample of class 1"):
        xlogreg.fit(cut(X), cut(Y), sample_weight=cut(weight * (Y == 0)))
    with pytest.raises(ValueError, match="zero"):
        xlogreg.fit(cut(X), cut(Y), sample_weight=cut(0 * weight))


@pytest.mark.slow
def test_whole_weights_are_repetitions(client, data):
    X, Y, _, _ = data
    counts = np.random.default_rng(0).integers(0, 4, Y.shape[0])
    there = xlogreg.fit(cut(X), cut(Y), sample_weight=cut(counts))
    close(there, xlogreg.fit(np.repeat(X, counts, axis=1), np.repeat(Y, counts)), X)


# blocks


def lumps(blocks, dtype=float):
    """X (rows) of blocks of sizes that dask does not know."""
    made = [da.from_delayed(delayed(lambda block=block: block)(), (np.nan, 5), dtype) for block in blocks]
    return da.concatenate(made, axis=0, allow_unknown_chunksizes=True)


def column(blocks, K=None):
    """Y or weights of blocks of sizes that dask does not know."""
    shape = (np.nan,) if K is None else (np.nan, K)
    made = [da.from_delayed(delayed(lambda block=block: block)(), shape, blocks[0].dtype) for block in blocks]
    return da.concatenate(made, axis=0, allow_unknown_chunksizes=True)


def test_sizes_need_not_be_known_and_empty_blocks_are_left_out(client, data):
    X, Y, _, weight = data
    rows = np.split(X.T, [0, 900, 900, 2000])
    there = xlogreg.fit(lumps(rows), Y, samples="rows", sample_weight=weight)
    here = xlogreg.fit(X.T, Y, samples="rows", sample_weight=weight)
    close(there, here, X.T)
    with pytest.raises(ValueError, match="none of its blocks holds a sample"):
        xlogreg.fit(lumps([X.T[:0]]), Y[:0], samples="rows")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda block: block[:, :4], "block 2 of X has 4 features, block 0 has 5 features; they must agree"),
        (lambda block: block.astype("float32"), "block 2 of X has the dtype float32, block 0 has the dtype float64"),
        (lambda block: block.astype(str), "block 2: X must hold numbers"),
        (lambda block: block[:, 0], "block 2: X must have the shape"),
    ],
)
def test_blocks_that_differ_are_named(client, data, change, message):
    blocks = np.split(data[0].T, 4)
    blocks[2] = change(blocks[2])
    with pytest.raises((TypeError, ValueError), match=message):
        xlogreg.fit(lumps(blocks), data[1], samples="rows")


def test_values_that_are_not_finite_are_named_with_their_block(client, data):
    X, Y = data[0].copy(), data[1]
    X[3, 2345] = np.nan
    X[1, 2900] = np.inf
    said = r"X holds 2 values .* the first is nan at row 3, column 2345, in block 7 \(samples 2100 to 2399\); remove"
    with pytest.raises(ValueError, match=said):
        xlogreg.fit(cut(X, 300), cut(Y, 300))
    with pytest.raises(ValueError, match="row 2345, column 3, in block 7"):
        xlogreg.fit(cut(X.T, 300, axis=0), cut(Y, 300), samples="rows", solver="gd")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda Y: {"Y": cut(np.where(np.arange(3000) == 2200, np.nan, Y))},
            "block 3: Y holds 1 value that is not finite",
        ),
        (lambda Y: {"Y": cut(Y + 0.5)}, "block 0: Y holds floats that are not whole numbers"),
        (lambda Y: {"Y": cut(0 * Y)}, "Y holds one class only"),
        (lambda Y: {"Y": cut(Y[:-1])}, "Y has 2999 samples, X has 3000"),
        (lambda Y: {"Y": Y[:-1]}, r"Y has the shape \(2999,\), but X holds 3000 samples"),
        (lambda Y: {"Y": cut(Y * 0.3), "targets": "probability"}, "targets must be"),
        (lambda Y: {"sample_weight": cut(-Y)}, "block 0: sample_weight must not be negative"),
        (lambda Y: {"sample_weight": -Y}, "sample_weight must not be negative"),
        (lambda Y: {"samples": "both"}, "samples must be 'columns' or 'rows'"),
        (lambda Y: {"dtype": "int8"}, "dtype must be"),
        (lambda Y: {"backend": "abacus"}, "block 0: backend 'abacus' is unknown"),
        (lambda Y: {"X": cut(Y)}, "X must have the shape"),
    ],
)
def test_wrong_input_is_refused_in_the_users_words(client, data, spoil, message):
    arguments = {"X": cut(data[0]), "Y": cut(data[1])} | spoil(data[1])
    with pytest.raises((TypeError, ValueError), match=message):
        xlogreg.fit(arguments.pop("X"), arguments.pop("Y"), **arguments)


@pytest.mark.parametrize("stops", [[0, 900, 900, 2000], [750, 1500, 2250], [3000], []])
@pytest.mark.slow
def test_blocks_of_unknown_sizes_are_counted_and_cut_alike(client, data, stops):
    X, Y, three, weight = data
    rows, labels = lumps(np.split(X.T, [0, 10, 10, 2500])), np.eye(3)[three]
    there = xlogreg.fit(rows, column(np.split(Y, stops)), samples="rows", sample_weight=column(np.split(weight, [7])))
    close(there, xlogreg.fit(X.T, Y, samples="rows", sample_weight=weight), X.T)
    there = xlogreg.fit(cut(X), column(np.split(labels, stops), 3).T, targets="probabilities", l2=1e-3)
    close(there, xlogreg.fit(X, labels.T, targets="probabilities", l2=1e-3), X)
    assert there.evaluate(cut(X), column(np.split(three, stops))).accuracy == there.evaluate(X, three).accuracy


def test_another_number_of_samples_is_refused_though_dask_knows_none(client, data):
    blocks = np.split(data[0].T, 4)
    with pytest.raises(ValueError, match="Y has 2800 samples, X has 3000"):
        xlogreg.fit(lumps(blocks), cut(data[1])[:2800], samples="rows")
    with pytest.raises(ValueError, match="sample_weight has 2999 samples, X has 3000"):
        xlogreg.fit(lumps(blocks), cut(data[1]), samples="rows", sample_weight=column([data[3][:-1]]))


@pytest.mark.slow
def test_a_folder_of_parquet_is_fitted_as_people_write_it(client, data, tmp_path):
    """dask reads one column of several files at once, and so in fewer blocks than the others."""
    pandas = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe", reason="dask.dataframe needs pandas and pyarrow")
    X, Y, _, weight = data
    table = pandas.DataFrame(X.T, columns=list("abcde")).assign(label=np.where(Y, "yes", "no"), weight=weight)
    for number, part in enumerate(np.split(np.arange(3000), [500, 1100, 1101, 2000, 2800])):
        table.iloc[part].to_parquet(tmp_path / f"{number}.parquet")
    frame = dd.read_parquet(tmp_path)
    features, label = frame.drop(columns=["label", "weight"]), frame["label"]
    assert len(features.to_delayed()) != len(label.to_delayed())
    here = xlogreg.fit(table[list("abcde")], table["label"], samples="rows", sample_weight=table["weight"])
    there = xlogreg.fit(features, label, samples="rows", sample_weight=frame["weight"])
    assert there.feature_names == tuple("abcde")
    for model in (there, xlogreg.fit(features.values, label, samples="rows", sample_weight=frame["weight"].values)):
        close(model, here, table[list("abcde")].to_numpy())
    assert there.evaluate(features, label).accuracy == here.evaluate(table[list("abcde")], table["label"]).accuracy
    assert xlogreg.LogisticRegression().fit(features, label).score(features, label) == pytest.approx(0.7, abs=0.1)


def test_what_takes_no_collection_says_so(client, data):
    X, Y = cut(data[0]), cut(data[1])
    with pytest.raises(TypeError, match=r"X is a dask Array, which holds no numbers yet: X.compute\(\) brings it here"):
        xlogreg.fit(lambda: iter([(X, Y)]))
    with pytest.raises(TypeError, match=r"Y is a dask Array, but X is none; Y.compute\(\) brings it here"):
        xlogreg.fit(data[0], Y)


# where it is computed


def test_workers_compute_on_the_backend_that_is_asked_for(client, data):
    X, _, three, weight = data
    there = xlogreg.fit(cut(X), cut(three), sample_weight=weight, l2=1e-3, backend="array-api-strict")
    assert there.fit_info.backend == "array-api-strict"
    assert type(there.w) is np.ndarray
    close(there, xlogreg.fit(X, three, sample_weight=weight, l2=1e-3), X)


def test_a_backend_that_the_workers_lack_falls_back_with_one_warning(client, data):
    with pytest.warns(xlogreg.BackendFallbackWarning, match="not usable by the workers of 5 of 5 blocks") as caught:
        model = xlogreg.fit(cut(data[0]), data[1], backend="torch", device="cuda:77")
    assert len(caught) == 1
    assert model.fit_info.backend == "numpy"
    assert model.fit_info.fallback.startswith("backend='torch', device='cuda:77': ")
    with pytest.raises(xlogreg.BackendUnavailableError, match="block 0: "):
        xlogreg.fit(cut(data[0]), data[1], backend="torch", device="cuda:77", fallback=False)


def test_sums_need_float64(client, data):
    with pytest.raises(ValueError, match=r"block 0: .* has no float64"):
        xlogreg.fit(cut(data[0]), data[1], backend="array-api-strict", device="no_float64")


@pytest.mark.slow
def test_the_same_fit_gives_the_same_bits(client, data):
    X, Y, _, _ = data
    first, second = (xlogreg.fit(cut(X, 300), Y, l2=1e-2) for _ in range(2))
    assert np.array_equal(first.w, second.w)
    assert np.array_equal(first.costs, second.costs)


def test_what_is_sent_to_workers_is_pickled_by_name(data):
    X, Y, _, weight = data
    source = InMemory(Dense(X), Columns(Y[None, :], weight[None, :]), HOST, "float64", 1.0)
    assert HOST.xp is not None  # a module, which is then held and cannot be pickled
    order = parts.Task(
        (("centered", (X[:, :1],)),), InMemory.sum, (terms.gradient_terms, np.ones((6, 1, 1)), LOSSES["log_loss"])
    )
    again, part = pickle.loads(pickle.dumps((order, source)))
    for own, other in zip(parts.ordered(part, again), parts.ordered(source, order), strict=True):
        assert np.array_equal(own, other)
    assert len(pickle.dumps(order)) < 2000
    assert source.__sizeof__() == X.nbytes + Y.nbytes + weight.nbytes
    for function in (parts.survey, parts.make_part, parts.weigh, parts.fetch, *moves.TEMPORARIES):
        assert pickle.loads(pickle.dumps(function)) is function


@pytest.mark.parametrize(
    ("name", "device"), [("numpy", None), ("array-api-strict", "device1"), ("torch", None), ("jax", None)]
)
def test_places_are_pickled_by_name(name, device):
    place = place_or_skip(name, device)
    assert pickle.loads(pickle.dumps(place)) == place


# predictions and estimators


@pytest.mark.parametrize("samples", ["columns", "rows"])
@pytest.mark.parametrize("three", [False, True], ids=["two", "three"])
def test_predictions_on_collections_are_collections(data, samples, three):
    X, labels = data[0], np.asarray(["ant", "bee", "cow"])[data[2 if three else 1]]
    X, axis = (X, 1) if samples == "columns" else (X.T, 0)
    model = xlogreg.fit(X, labels, samples=samples, l2=1e-3)
    count = []
    counted = cut(X, axis=axis).map_blocks(lambda block: (count.append(1), block)[1], dtype=X.dtype, meta=X[:0, :0])
    for method in (model.predict, model.predict_proba, model.predict_log_proba, model.decision_function):
        lazy, here = method(counted), method(X)
        assert type(lazy) is da.Array
        assert not count
        assert lazy.shape == here.shape
        assert lazy.dtype == here.dtype
        found = lazy.compute(scheduler="sync")
        assert np.array_equal(found, here) if here.dtype.kind == "U" else np.allclose(found, here, rtol=1e-12, atol=0)
        count.clear()
    with pytest.raises(ValueError, match="X must have the shape"):
        model.predict(counted.T)


def test_a_collection_is_evaluated_by_the_workers(client, data):
    X, _, Y, weight = data
    model = xlogreg.fit(X, Y, l2=1e-3)
    there, here = model.evaluate(cut(X), cut(Y), cut(weight)), model.evaluate(X, Y, weight)
    assert there.log_loss == pytest.approx(here.log_loss, rel=1e-12)
    np.testing.assert_allclose(there.confusion, here.confusion, rtol=1e-12)
    some = model.evaluate(cut(X[:, Y == 1]), Y[Y == 1])  # of the classes of the model only one
    assert some.accuracy == model.evaluate(X[:, Y == 1], Y[Y == 1]).accuracy
    with pytest.raises(ValueError, match="block 0: Y holds the label 9"):
        model.evaluate(cut(X), cut(Y + 7))


@pytest.mark.parametrize("apart", [False, True])
def test_probabilities_are_evaluated_by_the_workers(client, data, apart):
    X, two, _, weight = data
    P = 0.1 + 0.8 * two
    model = xlogreg.fit(X, P, targets="probabilities")
    there = model.evaluate(cut(X), P if apart else cut(P), cut(weight), targets="probabilities")
    here = model.evaluate(X, P, weight, targets="probabilities")
    np.testing.assert_allclose(there.confusion, here.confusion, rtol=1e-12)
    assert there.log_loss == pytest.approx(here.log_loss, rel=1e-12)


def test_the_estimator_takes_collections(client, data):
    X, _, Y, weight = data
    rows = cut(X.T, axis=0)
    there = xlogreg.LogisticRegression(C=0.1).fit(rows, cut(Y), cut(weight))
    here = xlogreg.LogisticRegression(C=0.1).fit(X.T, Y, weight)
    np.testing.assert_allclose(there.coef_, here.coef_, rtol=1e-4, atol=1e-6)
    assert there.n_features_in_ == 5
    assert there.classes_.tolist() == [0, 1, 2]
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        np.testing.assert_allclose(getattr(there, method)(rows).compute(), getattr(there, method)(X.T))
    assert there.score(rows, cut(Y)) == there.score(X.T, Y)


# faults


LEFT: dict[str, int] = {}  # how often a block still fails to load, by the name of the test


def load(block, name):
    if LEFT.get(name, 0) > 0:
        LEFT[name] -= 1
        raise OSError("the disk is gone")
    return block


def failing(rows, name, times):
    """X in four blocks, the second of which fails so often."""
    LEFT[name] = times
    loads = [delayed(load)(block, name if number == 1 else "") for number, block in enumerate(np.split(rows, 4))]
    return da.concatenate([da.from_delayed(block, (len(rows) // 4, 5), float) for block in loads], axis=0)


def test_a_block_that_fails_once_is_tried_again(client, data):
    X = failing(data[0].T, "once", 1)
    close(xlogreg.fit(X, data[1], samples="rows"), xlogreg.fit(data[0].T, data[1], samples="rows"), data[0].T)
    assert LEFT["once"] == 0


def test_a_block_that_fails_twice_is_named(client, data):
    X = failing(data[0].T, "twice", 2)
    with pytest.raises(RuntimeError, match=r"block 1 \(samples 750 to 1499\) failed twice: OSError: the disk is gone"):
        xlogreg.fit(X, data[1], samples="rows")
    assert LEFT["twice"] == 0


def test_nothing_stays_with_the_workers(data):
    with distributed.Client(n_workers=1, **IN_PROCESS) as client:
        xlogreg.fit(cut(data[0]), cut(data[1]))
        xlogreg.fit_cv(cut(data[0]), cut(data[1]), [1.0, 0.1], folds=2)
        gc.collect()
        until = time.monotonic() + 10
        while any(client.has_what().values()) and time.monotonic() < until:
            time.sleep(0.01)
        assert not any(client.has_what().values())


def test_a_cluster_that_is_closed_ends_the_fit(data):
    with distributed.Client(n_workers=1, **IN_PROCESS) as client, pytest.raises(xlogreg.WorkersLostError, match="gone"):
        xlogreg.fit(cut(data[0]), data[1], callback=lambda state: client.close())


def test_a_cluster_without_workers_ends_the_fit_in_time(data, monkeypatch):
    monkeypatch.setattr(workers, "NO_WORKER_SECONDS", 0.5)
    monkeypatch.setattr(workers, "STEP_SECONDS", 0.1)
    with (
        distributed.LocalCluster(n_workers=1, **IN_PROCESS) as cluster,
        distributed.Client(cluster),
        pytest.raises(xlogreg.WorkersLostError, match=r"no worker for 0\.5 seconds"),
    ):
        xlogreg.fit(cut(data[0]), data[1], callback=lambda state: cluster.sync(cluster.workers[0].close) and False)


def test_the_source_is_one_for_the_objective(client, data):
    source = share_out(cut(data[0]), data[1], samples="columns").source()
    assert isinstance(source, Distributed)
    assert (source.n_x, source.m, source.total_weight, source.is_here) == (5, 3000, 3000.0, False)
    assert source.settled() is source
    assert source.keep(np.asarray([0])) is source
    assert source.alone(0) is source
    assert source.uncentered() is source
    assert source.narrowed().dtype == "float32"
    assert source.centered(np.ones((5, 1))).widened().narrowed().uncentered().center is None
