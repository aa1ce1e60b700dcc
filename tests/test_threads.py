"""Blocks in threads: few at a time, in order; whatever ends them, nothing is left running or held."""

import threading

import numpy as np
import pytest
import threadpoolctl

from xlogreg.arrays.choice import Where
from xlogreg.arrays.matrix import Dense
from xlogreg.inputs.labels import Targets
from xlogreg.samples import threads
from xlogreg.samples.intake import at_work, settle


@pytest.fixture
def two_workers(monkeypatch):
    monkeypatch.setattr(threads, "thread_count", lambda: 2)


def test_items_are_taken_when_there_is_a_worker_for_them(two_workers):
    taken = []

    def items():
        for item in range(20):
            taken.append(item)
            yield item

    for answer in threads.map_blocks(lambda item: item, items()):
        assert len(taken) <= answer + 2 * threads.AHEAD


def test_an_error_of_one_block_ends_all_others(two_workers):
    began, ended, release = [], [], threading.Event()

    def compute(item):
        began.append(item)
        if item == 0:
            raise OSError("block 0 cannot be read")
        release.wait(0.05)
        ended.append(item)

    with pytest.raises(OSError, match="block 0"):
        list(threads.map_blocks(compute, range(1000)))
    assert sorted(ended) == sorted(set(began) - {0})  # nothing runs on
    assert len(began) <= 2 * threads.AHEAD
    assert not threads._busy.locked()


def test_an_interrupted_sum_gives_threads_and_blas_back_though_its_traceback_is_kept(two_workers):
    before = [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]

    class Term:
        def __add__(self, other):
            raise KeyboardInterrupt  # while the sum has the floor, not the blocks

    with pytest.raises(KeyboardInterrupt) as caught:
        threads.tree_sum(threads.map_blocks(lambda item: (Term(),), range(10)))
    assert caught.value.__traceback__ is not None
    assert not threads._busy.locked()
    assert [pool["num_threads"] for pool in threadpoolctl.threadpool_info()] == before
    assert threads.tree_sum(threads.map_blocks(lambda item: (item,), range(10))) == (45,)


def blas():
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]


def test_held_workers_are_one_threads_and_blas_has_one_until_they_are_given_back(two_workers):
    before, names = blas(), set()
    with threads.hold_threads():
        assert threads.held_threads() == 2
        assert set(blas()) == {1}
        with threads.hold_threads():
            pass
        for _ in range(2):
            names |= set(threads.map_blocks(lambda item: threading.current_thread().name, range(20)))
        assert set(blas()) == {1}
    assert all(name.startswith("xlogreg") for name in names)
    assert threads.held_threads() == 0
    assert not threads._busy.locked()
    assert blas() == before


def test_who_does_not_hold_the_workers_computes_in_turn(two_workers):
    found = []

    def compute():
        with threads.hold_threads():
            found.append(threads.held_threads())
            found.extend(threads.map_blocks(lambda item: threading.current_thread().name, range(8)))

    with threads.hold_threads():
        thread = threading.Thread(target=compute, name="another")
        thread.start()
        thread.join()
    assert found == [0, *["another"] * 8]


def test_an_error_gives_held_workers_back(two_workers):
    before = blas()
    with pytest.raises(KeyboardInterrupt), threads.hold_threads():
        raise KeyboardInterrupt
    assert threads.held_threads() == 0
    assert not threads._busy.locked()
    assert blas() == before


@pytest.mark.parametrize(
    ("shape", "models", "held"),
    [((50, 100_000), 1, True), ((50, 10_000), 1, False), ((100, 100_000), 1, False), ((100, 3000), 200, True)],
)
def test_fits_hold_the_workers_where_blocks_take_their_time(two_workers, shape, models, held):
    samples = settle(Dense(np.empty(shape)), None, Where()).samples
    target = Targets(None, np.arange(2), False, True)
    with at_work(samples, [target], models):
        assert bool(threads.held_threads()) == held
    with at_work(samples, [target._replace(classes=np.arange(3))], models):
        assert not threads.held_threads()
