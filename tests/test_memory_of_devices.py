"""The memory of a device: what runs out is read block by block, blocks have the size that is free, little leaves it."""

import dataclasses
import math
import types
import weakref

import numpy as np
import pytest
from conftest import place_or_skip

import xlogreg
from xlogreg.arrays.libraries.table import LIBRARIES
from xlogreg.arrays.matrix import Dense
from xlogreg.arrays.place import to_host
from xlogreg.math.losses import LOSSES
from xlogreg.math.sums import pass_terms
from xlogreg.samples import blocks
from xlogreg.samples.intake import LEFT_SHARE
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Columns
from xlogreg.sklearn.logistic_cv import LogisticRegressionCV


class OutOfMemoryError(Exception):
    """Named as the libraries of GPUs name it."""


PLACES = [("array-api-strict", "device1"), ("cupy", None), ("torch", "cuda")]
L2S = [1.0, 0.1, 0.01]


@pytest.fixture(params=PLACES, ids=[name for name, _ in PLACES])
def there(request):
    return place_or_skip(*request.param)


@pytest.fixture(scope="module")
def table():
    """X (4, 300), y of two classes (300,)."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((4, 300))
    return X, (X[0] - X[1] + rng.logistic(size=300) > 0).astype(int)


VERBS = {
    "fit": lambda X, y, **where: [xlogreg.fit(X, y, l2=0.1, **where)],
    "fit_many": lambda X, y, **where: xlogreg.fit_many(X, [y, 1 - y], l2s=0.1, **where),
    "fit_path": lambda X, y, **where: list(xlogreg.fit_path(X, y, L2S, **where)),
    "fit_path, auto": lambda X, y, **where: list(xlogreg.fit_path(X, y, penalties="auto", l1_ratio=0.5, **where)[:5]),
    "fit_cv": lambda X, y, **where: [xlogreg.fit_cv(X, y, L2S, folds=3, **where).model],
    "bootstrap": lambda X, y, **where: [xlogreg.bootstrap(X, y, 5, l2=0.1, **where).model],
}


def lacking(monkeypatch, place, failing):
    """Let blocks of all samples fail on a device, after ``failing`` of them; return what was alive when X was read."""
    block, made, copies, alive = InMemory.block, [], [], []
    monkeypatch.setattr(blocks, "ARRIVING_SHARE", 2)  # fewer blocks take less time

    def short(self, *arguments):
        if self.place != place:
            return block(self, *arguments)
        if self.is_read:
            alive.append(sum(copy() is not None for copy in copies))
        elif self.m == 300:
            copies.append(weakref.ref(self.X.array))
            made.append(1)
            if len(made) > failing:
                raise OutOfMemoryError("no more")
        return block(self, *arguments)

    monkeypatch.setattr(InMemory, "block", short)
    return alive


@pytest.mark.parametrize("failing", [0, 2])
@pytest.mark.parametrize(
    "verb", [pytest.param(verb, marks=[] if verb == "fit" else [pytest.mark.slow]) for verb in VERBS]
)
def test_nothing_is_left_of_a_fit_that_ran_out_of_memory(there, verb, failing, table, monkeypatch):
    X, y = table
    where = {"backend": there.name, "device": there.device_name}
    whole = VERBS[verb](X, y, **where)
    alive = lacking(monkeypatch, there, failing)
    models = VERBS[verb](X, y, **where)
    assert alive
    assert not any(alive)
    assert len(models) == len(whole)
    for model, same in zip(models, whole, strict=True):
        assert "ran out of memory" in model.fit_info.fallback
        assert same.fit_info.fallback is None
        np.testing.assert_allclose(model.w, same.w, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(model.b, same.b, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_the_scores_of_folds_are_those_of_a_fit_with_room(there, table, monkeypatch):
    X, y = table
    where = {"backend": there.name, "device": there.device_name}
    whole = xlogreg.fit_cv(X, y, L2S, folds=3, **where)
    estimator = LogisticRegressionCV(Cs=[0.01, 0.1], cv=3, **where)
    expected = estimator.fit(X.T, y).C_
    lacking(monkeypatch, there, 1)
    found = xlogreg.fit_cv(X, y, L2S, folds=3, **where)
    assert "ran out of memory" in found.model.fit_info.fallback
    for name, scores in whole.scores.items():
        np.testing.assert_allclose(found.scores[name], scores, rtol=1e-6)
    np.testing.assert_array_equal(estimator.fit(X.T, y).C_, expected)


@pytest.mark.slow
def test_numbers_filled_in_fold_by_fold_are_read_too(there, table, monkeypatch):
    X, y = table
    X = np.where(np.random.default_rng(0).uniform(size=X.shape) < 0.05, np.nan, X)
    X = pytest.importorskip("pandas").DataFrame(X.T, columns=list("abcd"))
    where = {"backend": there.name, "device": there.device_name, "missing": "mean", "samples": "rows"}
    whole = xlogreg.fit_cv(X, y, L2S, folds=3, **where)
    alive = lacking(monkeypatch, there, 0)
    found = xlogreg.fit_cv(X, y, L2S, folds=3, **where)
    assert alive
    assert not any(alive)
    np.testing.assert_allclose(found.scores["log_loss"], whole.scores["log_loss"], rtol=1e-6)


def test_an_x_that_was_handed_in_on_the_device_gets_advice(there, table, monkeypatch):
    X, y = table
    lacking(monkeypatch, there, 0)
    with pytest.raises(MemoryError, match=r" ran out of memory: hand X in as a NumPy array; .*no more"):
        xlogreg.fit(there.put(X), y, l2=0.1)


def test_other_errors_are_not_taken_for_a_lack_of_memory(there, table, monkeypatch):
    X, y = table

    def fail(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr(InMemory, "block", fail)
    with pytest.raises(RuntimeError, match=r"^broken$"):
        xlogreg.fit(X, y, l2=0.1, backend=there.name, device=there.device_name)


def on_device(m, n_x, room=math.inf, compiles=False, pieces=False, **changed):
    """Stand-in for float32 samples of any size on a device."""
    X = types.SimpleNamespace(nbytes=4 * m * n_x, is_ready=lambda place, dtype: changed.get("ready", True))
    place = types.SimpleNamespace(name="device", small_blocks=False, compiles=compiles, makes_pieces=pieces)
    fields = {"m": m, "n_x": n_x, "widths": (n_x, n_x), "place": place, "X": X, "room": room, "dtype": "float32"}
    fields |= {"is_read": False, "dense": True, "converts": False, "center": None, "index": None, "block_bytes": None}
    fields |= {"target_of": None, "weight_of": None}
    return types.SimpleNamespace(**fields | changed)


def longest(source, temporaries=1, outputs=0, squares=False):
    spans = blocks.even_spans(source, temporaries, outputs, 1, False, squares)
    assert [start for start, _ in spans] == [0, *(stop for _, stop in spans[:-1])]
    assert spans[-1][1] == source.m
    return max(stop - start for start, stop in spans)


def test_blocks_on_a_device_have_temporaries_of_a_part_of_x():
    large = on_device(10**8, 30)
    assert longest(large) == large.m  # a gradient makes no temporaries of the size of X
    assert longest(large, squares=True) * 30 * 4 <= large.X.nbytes / 4
    assert longest(large, temporaries=4) * 30 * 4 * 4 <= large.X.nbytes / 4
    assert longest(large, outputs=50) * 50 * 4 <= large.X.nbytes / 4
    assert longest(on_device(10**8, 30, center=0.0, converts=True)) * 30 * 4 <= large.X.nbytes / 4
    assert longest(on_device(10**8, 30, converts=True, ready=False)) * 30 * 4 <= large.X.nbytes / 4
    pieces = on_device(10**8, 30, pieces=True)  # products make their own pieces there
    assert longest(pieces, temporaries=4, squares=True) == pieces.m
    assert longest(large, outputs=50) < longest(pieces, outputs=50) < pieces.m
    for source in (on_device(10**5, 30), on_device(10**8, 30, compiles=True)):
        assert longest(source, temporaries=4) >= blocks.LEAST_BYTES / (30 * 4 * 8)


def test_blocks_on_a_device_fit_what_is_free():
    for room in (10**9, 10**6, 1000, 1):
        for kind in ({}, {"compiles": True}, {"is_read": True}):
            source = on_device(10**5, 1000, room, **kind)
            size = longest(source, temporaries=2)
            assert size * 1000 * 4 * 2 <= room / 4 or size == 1
    assert len(blocks.even_spans(on_device(10**5, 1000, 10**9, is_read=True), 1, 0, 1, False)) > 3


def test_copies_for_many_passes_are_made_only_where_they_have_room(there):
    X = there.put(np.ones((3, 1000)))
    index = there.put(np.arange(0, 1000, 2))
    for room, has in ((math.inf, True), (1000.0, False)):
        source = InMemory(Dense(X), Columns(), there, "float64", 1000.0, room=room)
        centered = source.centered(np.ones((3, 1)))
        assert (centered.settled() is not centered) == has
        assert (source.take(index).index is None) == has
        assert (source.ordered(np.arange(1000)) is not None) == has
        assert source.narrowed().converts != has


def test_a_device_without_room_for_x_is_not_taken_at_its_word(there, table, monkeypatch):
    X, y = table
    rooms = []
    spans = blocks.even_spans

    def seen(source, *arguments):
        if source.place == there:
            rooms.append((source.is_read, source.room))
        return spans(source, *arguments)

    monkeypatch.setattr(blocks, "even_spans", seen)
    lacking(monkeypatch, there, 0)
    xlogreg.fit(X, y, l2=0.1, backend=there.name, device=there.device_name)
    assert max(room for is_read, room in rooms if is_read) <= X.nbytes / LEFT_SHARE


@pytest.mark.parametrize("block_bytes", [None, 2000])
def test_the_size_of_blocks_changes_no_sum(there, block_bytes, table):
    X, y = table
    columns = Columns(there.put(y[None, :].astype(np.int8)))
    source = InMemory(Dense(there.put(X)), columns, there, "float64", 300.0, room=1e9)
    theta = np.random.default_rng(2).standard_normal((5, 3, 1))
    expected = source.sum(pass_terms, theta, LOSSES["cross_entropy"])
    cut = InMemory(source.X, columns, there, "float64", 300.0, room=4e4, block_bytes=block_bytes)
    assert len(cut.spans(outputs=3)) > 1
    for part, whole in zip(cut.sum(pass_terms, theta, LOSSES["cross_entropy"]), expected, strict=True):
        np.testing.assert_allclose(to_host(part), to_host(whole), rtol=1e-12)


@pytest.fixture
def fetched(there, monkeypatch):
    """Numbers in each array that leaves the device, which has no blocks of the size of a cache."""
    library, sizes = LIBRARIES[there.name], []

    def fetch(array):
        sizes.append(math.prod(array.shape))
        return library.fetch(array)

    row = dataclasses.replace(library, fetch=fetch, small_blocks=lambda device: False)
    monkeypatch.setitem(LIBRARIES, there.name, row)
    return sizes


@pytest.mark.parametrize("samples", ["columns", "rows"])
@pytest.mark.parametrize("verb", ["fit", "fit_many", "fit_path", "fit_cv", "bootstrap"])
def test_nothing_with_as_many_numbers_as_samples_leaves_the_device(there, verb, samples, table, fetched):
    X, y = table
    X = X + 100.0  # so that a centre is subtracted
    VERBS[verb](there.put(X.T if samples == "rows" else X), y, samples=samples)
    assert fetched
    assert max(fetched) < len(y)


@pytest.mark.parametrize("samples", ["columns", "rows"])
@pytest.mark.parametrize("room", [None, 3000])
def test_values_that_are_not_finite_are_found_on_the_device(there, samples, room, table, fetched, monkeypatch):
    X, y = table
    X = X.copy()
    X[2, [7, 200]], X[1, 250], X[3, 0] = np.nan, -np.inf, np.inf
    X = X.T if samples == "rows" else X
    with pytest.raises(ValueError, match=r"^X holds 4 values .*: the first is -inf at row") as expected:
        xlogreg.fit(X, y, l2=0.1, samples=samples)
    there_x, free = there.put(X), lambda module, device: room
    monkeypatch.setitem(LIBRARIES, there.name, dataclasses.replace(LIBRARIES[there.name], free=free))
    fetched.clear()
    with pytest.raises(ValueError, match=r"^X holds") as found:
        xlogreg.fit(there_x, y, l2=0.1, samples=samples)
    assert str(found.value) == str(expected.value)
    assert max(fetched) < len(y)


@pytest.mark.parametrize("rows", [False, True])
def test_rows_for_the_host_are_taken_on_the_device(there, rows, table, fetched):
    X, _ = table
    index = np.asarray([3, 4, 250])
    found = Dense(there.put(X.T if rows else X), rows).host_rows(index)
    np.testing.assert_array_equal(found, X.T[index])
    assert fetched == [found.size]


def test_a_conversion_is_not_copied_once_more(there, table, fetched, monkeypatch):
    X, _ = table
    place = type(there)(there.name, there.device)
    source = InMemory(Dense(place.put(X)), Columns(), place, "float32", 300.0)
    computed, made = InMemory.computed, []
    monkeypatch.setattr(InMemory, "computed", lambda *given: made.append(computed(*given)) or made[-1])
    assert source.settled().X.array is made[0]
    assert source.uncentered().narrowed().X.array is made[1]
    centered = InMemory(Dense(place.put(X)), Columns(), place, "float64", 300.0).centered(np.ones((4, 1)))
    settled = centered.settled()
    assert settled.X.array is made[2]
    np.testing.assert_array_equal(to_host(settled.X.array), X - 1.0)
    np.testing.assert_array_equal(to_host(centered.X.array), X)


@pytest.mark.slow
def test_samples_in_the_order_of_folds_keep_their_targets(there, table, monkeypatch):
    X, y = table
    where = {"backend": there.name, "device": there.device_name}
    whole = xlogreg.fit_cv(X, y, L2S, folds=3, **where)
    block, fails = InMemory.block, [OutOfMemoryError("no more")]

    def short(self, *arguments):
        if fails and self.place == there:
            raise fails.pop()
        return block(self, *arguments)

    monkeypatch.setattr(InMemory, "block", short)
    found = xlogreg.fit_cv(X, y, L2S, folds=3, **where)
    assert not fails
    np.testing.assert_allclose(found.scores["log_loss"], whole.scores["log_loss"], rtol=1e-6)
