"""Files as they are read: announced to the system, by the threads that compute, into memory of their own."""

import os
import threading

import numpy as np
import pytest

import xlogreg
from xlogreg.arrays import stored
from xlogreg.arrays.stored import FileRange, announce
from xlogreg.samples import blocks as data
from xlogreg.samples import threads


@pytest.fixture
def table(tmp_path):
    """X (4000, 6) float32 in a file, its labels, and the path."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4000, 6), dtype=np.float32)
    np.save(tmp_path / "X.npy", X)
    return X, X[:, 0] + rng.logistic(size=len(X)) > 0, tmp_path / "X.npy"


def opened(path):
    return stored.stored(np.load(path, mmap_mode="r"), True)


def test_each_span_is_announced_once_and_ahead():
    announced, spans = [0], [(start, start + 2) for start in range(0, 70, 2)]

    def expect(start, stop):
        assert start == announced[-1]
        announced.append(stop)

    for number, (span, raw) in enumerate(announce(expect, spans)):
        assert raw is None
        assert span == spans[number]
        assert announced[-1] >= spans[min(number + 8, len(spans) - 1)][1]
    assert announced[-1] == 70


def test_the_threads_that_compute_read_a_file_and_its_parts(table, tmp_path, monkeypatch):
    monkeypatch.setattr(threads, "thread_count", lambda: 2)
    monkeypatch.setattr(data, "SMALL_BLOCK_BYTES", 4096)
    X, Y, path = table
    (tmp_path / "parts").mkdir()
    for number, part in enumerate(np.split(X, [900, 2500])):
        np.save(tmp_path / "parts" / f"{number}.npy", part)
    readers, expected, expect = set(), [], FileRange.expect
    copied = FileRange._copied

    def noted(self, runs):
        readers.add(threading.current_thread().name)
        return copied(self, runs)

    def counted(self, start, stop):
        expected.append(stop - start)
        expect(self, start, stop)

    whole = xlogreg.fit(X, Y, samples="rows", l2=0.1)
    for there in (opened(path), xlogreg.open_parts(tmp_path / "parts")):
        with monkeypatch.context() as patch:
            patch.setattr(FileRange, "_copied", noted)
            patch.setattr(FileRange, "expect", counted)
            model = xlogreg.fit(there, Y, samples="rows", l2=0.1)
        np.testing.assert_allclose(model.predict_proba(X), whole.predict_proba(X), atol=1e-6)
        assert sum(expected) % len(X) == 0
        assert expected
        expected.clear()
    assert not any(name.startswith("xlogreg-reader") for name in readers)
    assert any(name.startswith("xlogreg_") for name in readers)


def test_a_block_outlives_its_file(table):
    X, _, path = table
    there = opened(path)
    block, some = there.read(10, 4000), there.read_some(np.asarray([0, 1, 3999]))
    os.truncate(path, 128)  # of a map, the next look at what is gone would end the process
    np.testing.assert_array_equal(block, X[10:])
    np.testing.assert_array_equal(some, X[[0, 1, 3999]])
    for look in (lambda: there.read(10, 4000), lambda: there.read_some(np.asarray([5, 7]))):
        with pytest.raises(xlogreg.BlockError, match=r"X\.npy ends before samples .* it shrank"):
            look()
    with pytest.raises(xlogreg.BlockError, match=r"X\.npy changed while it was read"):
        there.expect(0, 10)


def test_more_than_blocks_is_looked_at_through_a_map(table, monkeypatch):
    X, _, path = table
    monkeypatch.setattr(stored, "COPIED_BYTES", X.nbytes // 2)
    there = opened(path)
    assert there.read(0, 2000).flags.writeable
    assert not there.read(0, 4000).flags.writeable
    np.testing.assert_array_equal(there.read(0, 4000), X)
