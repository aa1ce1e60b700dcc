"""Blocks in threads: few at a time, in order; whatever ends them, nothing is left running or held."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import threadpoolctl

import xlogreg
from xlogreg.arrays.choice import Where
from xlogreg.arrays.matrix import Dense
from xlogreg.inputs.door import Features
from xlogreg.inputs.labels import Targets
from xlogreg.samples import threads
from xlogreg.samples.intake import settle
from xlogreg.samples.memory import InMemory

L2S = [0.1, 0.01]
FITS = {
    "fit": lambda X, Y: xlogreg.fit(X, Y),
    "fit_many": lambda X, Y: xlogreg.fit_many(X, [Y, ~Y]),
    "fit_path": lambda X, Y: xlogreg.fit_path(X, Y, L2S),
    "fit_cv": lambda X, Y: xlogreg.fit_cv(X, Y, L2S),
    "bootstrap": lambda X, Y: xlogreg.bootstrap(X, Y, replicates=3),
}


def blas():
    """Numbers of threads that the BLAS of NumPy has."""
    return [library.num_threads for library in threads._libraries()]


def draw(m=400, n_x=5):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_x, m))
    return X, X[0] + rng.standard_normal(m) > 0.0


@pytest.fixture
def two_threads():
    """Give BLAS two threads, whatever the environment says."""
    given = {library: library.num_threads for library in threads._libraries()}
    for library in given:
        threads._set(library, 2)
    if set(blas()) != {2}:
        pytest.skip(reason="this BLAS has no threads, or threadpoolctl does not know it")
    yield
    for library, number in given.items():
        threads._set(library, number)


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


@pytest.mark.parametrize("name", FITS)
def test_blas_has_one_thread_in_every_pass_of_a_fit(two_threads, monkeypatch, name):
    seen, workers, whole = set(), set(), InMemory.sum

    def watched(source, *arguments):
        seen.update(blas())
        workers.add(threads.held_threads())
        return whole(source, *arguments)

    monkeypatch.setattr(InMemory, "sum", watched)
    FITS[name](*draw())
    assert seen == {1}
    assert workers == {2}
    assert set(blas()) == {2}


def test_held_workers_are_one_threads_until_they_are_given_back(two_threads):
    with threads.hold_threads():
        assert threads.held_threads() == threads.thread_count() == 2
        with threads.hold_threads():
            pass
        for _ in range(2):
            assert list(threads.map_blocks(lambda item: item, range(20))) == list(range(20))
        assert set(blas()) == {1}
    assert threads.held_threads() == 0
    assert not threads._busy.locked()
    assert set(blas()) == {2}


def test_this_thread_computes_what_no_worker_has_begun(two_workers):
    together = threading.Barrier(2)  # of the worker and this thread: neither computes both of two items

    def compute(item):
        together.wait(60)
        return item, threading.current_thread().name

    found = list(threads.map_blocks(compute, range(10)))
    assert [item for item, _ in found] == list(range(10))
    assert {name for _, name in found} == {threading.current_thread().name, "xlogreg_0"}
    held, begun = threading.Event(), threading.Event()
    busy = threads._pools[2].submit(lambda: (begun.set(), held.wait(60)))
    begun.wait(60)
    names = set(threads.map_blocks(lambda item: threading.current_thread().name, range(10)))
    held.set()
    busy.result()
    assert names == {threading.current_thread().name}


def test_errors_of_blocks_are_raised_in_their_order(two_workers):
    both = threading.Barrier(2)

    def fail(item):
        if item < 2:
            both.wait(60)
        raise OSError(f"block {item}")

    with pytest.raises(OSError, match="block 0"):
        list(threads.map_blocks(fail, range(8)))


def test_who_comes_second_computes_in_turn(two_workers):
    found = []

    def compute():
        with threads.hold_threads():
            found.append(threads.held_threads())
            found.extend(threads.map_blocks(lambda item: threading.current_thread().name, range(8)))

    first = threads.map_blocks(lambda item: item, range(8))
    next(first)
    thread = threading.Thread(target=compute, name="another")
    thread.start()
    thread.join()
    first.close()
    assert found == [2, *["another"] * 8]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_error_in_a_fit_gives_blas_back(two_threads, error):
    def fail(state):
        raise error

    with pytest.raises(error):
        xlogreg.fit(*draw(), callback=fail)
    assert threads.held_threads() == 0
    assert not threads._holders
    assert set(blas()) == {2}


def test_an_interrupted_end_is_made_up_for_by_the_next_fit(two_threads, monkeypatch):
    real = threads._set

    def interrupt(library, number):
        if number == 2:
            raise KeyboardInterrupt
        real(library, number)

    monkeypatch.setattr(threads, "_set", interrupt)
    with pytest.raises(KeyboardInterrupt):
        xlogreg.fit(*draw())
    monkeypatch.undo()
    assert threads.thread_count() == 2
    xlogreg.fit(*draw())
    assert set(blas()) == {2}


def test_of_two_fits_in_threads_the_last_gives_blas_back(two_threads):
    inside, leave, seen = threading.Barrier(2), threading.Event(), []

    def short():
        xlogreg.fit(*draw(), callback=lambda state: meet())

    def meet():
        if not seen:
            inside.wait(60)
            seen.append(blas())

    def wait(state):
        if not leave.is_set():
            inside.wait(60)  # both are in the middle of a fit
            thread.join(60)  # and this one is the last
            leave.set()
            seen.append((blas(), threads.thread_count(), threads.held_threads()))

    thread = threading.Thread(target=short)
    thread.start()
    xlogreg.fit(*draw(), callback=wait)
    assert not thread.is_alive()
    ones = [1] * len(blas())
    assert seen == [ones, (ones, 2, 2)]
    assert set(blas()) == {2}


def test_the_limit_of_a_user_is_respected(two_threads):
    seen = []
    with threadpoolctl.threadpool_limits(1):
        xlogreg.fit(*draw(), callback=lambda state: seen.append(threads.held_threads()))
        assert set(blas()) == {1}
    assert set(seen) == {0}
    assert set(blas()) == {2}

    def limit(state):
        with threadpoolctl.threadpool_limits(2):
            seen.append(blas()[0])

    seen.clear()
    xlogreg.fit(*draw(), callback=limit)
    assert set(seen) == {2}
    assert set(blas()) == {2}


def test_a_limit_that_another_thread_has_set_does_not_keep_a_fit_from_holding_blas(two_threads):
    begun, leave, seen = threading.Event(), threading.Event(), []

    def limit():
        with threadpoolctl.threadpool_limits(2):
            begun.set()
            leave.wait(60)

    thread = threading.Thread(target=limit)
    thread.start()
    begun.wait(60)
    try:
        xlogreg.fit(*draw(), callback=lambda state: seen.extend(blas()))
        assert set(seen) == {1}
        assert set(blas()) == {2}
    finally:
        leave.set()
        thread.join()
    assert set(blas()) == {2}


def test_a_number_that_the_user_sets_in_a_fit_is_kept(two_threads):
    def set_three(state):
        for library in threads._libraries():
            threads._set(library, 3)

    xlogreg.fit(*draw(), callback=set_three)
    assert set(blas()) == {3}


def test_a_blas_that_comes_later_and_is_not_numpys_is_left_alone(two_threads):
    pytest.importorskip("scipy.linalg")

    def others():
        pools = threadpoolctl.threadpool_info()
        return [pool["num_threads"] for pool in pools if "scipy.libs" in pool["filepath"]]

    if not others():
        pytest.skip(reason="SciPy has no BLAS of its own here")
    before, seen = others(), []
    xlogreg.fit(*draw(), callback=lambda state: seen.append((others(), set(blas()))))
    assert seen
    assert all(pools == before and own == {1} for pools, own in seen)


def test_where_threads_have_limits_of_their_own_each_gets_its_own_back(monkeypatch):
    class OpenMP:
        threading_layer, own = "openmp", threading.local()

        @property
        def num_threads(self):
            return getattr(self.own, "number", 2)

        def set_num_threads(self, number):
            self.own.number = number

    library, found = OpenMP(), []
    monkeypatch.setattr(threads, "_libraries", lambda: (library,))
    monkeypatch.setattr(threads, "_pools", {})

    def compute():
        with threads.hold_threads():
            found.append(library.num_threads)
            found.extend(threads.map_blocks(lambda item: library.num_threads, range(8)))
        found.append(library.num_threads)

    with threads.hold_threads():
        thread = threading.Thread(target=compute)
        thread.start()
        thread.join()
        assert library.num_threads == 1
    assert found == [1] * 9 + [2]
    assert library.num_threads == 2


def test_a_child_forked_in_the_middle_of_a_fit_gets_blas_back():
    program = """
import os, sys, threading, warnings
import numpy as np, xlogreg
from xlogreg.samples import threads
warnings.simplefilter("ignore")
X = np.random.default_rng(0).standard_normal((5, 400))
Y = X[0] > 0.1
for library in threads._libraries():
    threads._set(library, 2)
blas = lambda: {library.num_threads for library in threads._libraries()}
if blas() != {2}:
    sys.exit(0)
def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
def succeeds(*checks):
    os._exit(0 if all(checks) else 1)
inside, leave = threading.Event(), threading.Event()
def wait(state):
    inside.set()
    leave.wait(60)
other = threading.Thread(target=lambda: xlogreg.fit(X, Y, l2=0.1, callback=wait))
other.start()
inside.wait(60)
child = os.fork()
if child == 0:  # of a thread that does not hold BLAS
    given = blas()
    w = xlogreg.fit(X, Y, l2=0.1).w
    succeeds(given == {2}, blas() == {2}, np.isfinite(w).all())
assert ended(child) == 0
assert blas() == {1}
children = []
def fork(state):
    if not children:
        children.append(os.fork())
xlogreg.fit(X, Y, l2=0.1, callback=fork)
if children == [0]:  # of a thread that holds BLAS, as another does
    succeeds(blas() == {2}, threads.held_threads() == 0)
assert ended(children[0]) == 0
assert blas() == {1}
leave.set()
other.join()
assert blas() == {2}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("shape", "outputs", "blocks"),
    [((5, 1000), 1, 1), ((60, 10_000), 1, 1), ((100, 200_000), 1, 20), ((100, 50_000), 1, 6), ((40, 80_000), 8, 4)],
)
def test_workers_share_a_pass_that_is_worth_it(two_workers, shape, outputs, blocks):
    target = Targets(np.zeros((1, shape[1])), np.arange(2), False, True)
    samples = settle(Features(Dense(np.zeros(shape)), None), Where()).samples.holding(target, None)
    theta = np.zeros((shape[0] + 1, 1, outputs))
    with threads.hold_threads():
        (found,) = samples.sum(lambda block, theta: (np.ones(1),), theta)
    assert found.tolist() == [blocks]


def test_a_fit_beside_another_gives_the_same_bits(two_threads):
    X, Y = draw(m=60_000, n_x=20)
    alone = xlogreg.fit(X, Y, l2=1e-3).w
    with threads._busy:  # another has the workers
        beside = xlogreg.fit(X, Y, l2=1e-3).w
    np.testing.assert_array_equal(alone, beside)
