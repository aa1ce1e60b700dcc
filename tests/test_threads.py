"""Blocks in threads: few at a time, in order; whatever ends them, nothing is left running or held."""

import threading

import pytest

from xlogreg import threads


@pytest.fixture
def two_workers(monkeypatch):
    pytest.importorskip("threadpoolctl")
    monkeypatch.setattr(threads, "workers", lambda: 2)


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
    threadpoolctl = pytest.importorskip("threadpoolctl")
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
