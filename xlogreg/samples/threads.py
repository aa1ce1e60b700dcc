"""Compute blocks on all cores of the host and add up their sums: one worker thread for each thread that BLAS may use.

Threads of BLAS wait for each other in a loop, in each of the thousands of products of a fit. On cores that other work
needs, too, each wait may take milliseconds: measured, two fits at once took 5 to 100 times as long as one. So a fit
holds NumPy's BLAS to one thread, and shares out blocks to workers, which sleep while they wait. The number of workers
is the number of BLAS threads. Only `threadpoolctl.threadpool_limits` and the environment variable of the BLAS
(OPENBLAS_NUM_THREADS, MKL_NUM_THREADS, OMP_NUM_THREADS) control it. In a pool of processes with one BLAS thread each,
every process gets one worker. With one thread, or a BLAS that threadpoolctl does not know, blocks are computed in turn.
"""

import collections
import contextlib
import functools
import itertools
import math
import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, ParamSpec, TypeVar

__all__ = ["held_threads", "hold_threads", "holds_threads", "map_blocks", "thread_count", "tree_sum", "workers_for"]

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Parameters = ParamSpec("Parameters")

AHEAD = 2  # items taken for each worker; with fewer, workers wait when blocks take different times
SHARED_WORK = 2e6  # least work of a pass that workers share, some 0.6 ms; handing it over takes some 0.05 ms
SCATTERED = 4  # times that a product takes longer with a stored number of a sparse X, or with the code of a category
RUN = 4  # most items that a worker takes at a time: handing over a single item takes a tenth of its computing time


@functools.cache
def _libraries() -> tuple[Any, ...]:
    """NumPy's BLAS, as threadpoolctl controls it; every BLAS that is loaded if none of them is known to be NumPy's.

    A BLAS that another library brings later is not NumPy's, and is left alone.
    """
    from threadpoolctl import ThreadpoolController  # imported here, since it is slow to load

    found = ThreadpoolController().select(user_api="blas").lib_controllers
    return tuple([library for library in found if "numpy" in library.filepath] or found)


_gate = threading.RLock()  # held while ``_holders`` and ``_before`` change, so that no fork sees them in between
_holders: set[int] = set()  # threads, by ident, that hold BLAS to one thread
_before: dict[Any, int] = {}  # each BLAS that all threads share, with the number of threads that the user gave it
_holder = threading.local()  # ``count``: number of workers, in a thread that holds BLAS for longer than a pass
_busy = threading.Lock()  # held by the pass that has the workers
_pools: dict[int, ThreadPoolExecutor] = {}  # one for each number of workers; idle threads cost nothing, new ones 0.1 ms


def _after_fork() -> None:
    """Forget the other threads in the child of a fork, which lacks them, and give it back what only they held."""
    global _gate, _busy
    _gate, _busy = threading.RLock(), threading.Lock()
    _pools.clear()
    _holders.intersection_update({threading.get_ident()})
    if not _holders:
        _give_back(0, {})


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _gate.acquire(), after_in_parent=lambda: _gate.release(), after_in_child=_after_fork
    )


def _of_thread(library: Any) -> bool:
    """Whether each thread has its own number of BLAS threads, as OpenMP has it."""
    return getattr(library, "threading_layer", "") == "openmp"


def _set(library: Any, number: int) -> None:
    # threadpoolctl lets one thread set the limit of OpenBLAS, perhaps the user's, until the right is given back
    release = getattr(library, "clear_controlling_thread", lambda force: None)
    release(force=True)
    library.set_num_threads(number)
    release(force=True)


def _take(thread: int, own: dict[Any, int]) -> None:
    """Hold BLAS to one thread for a thread of ours, by ident; ``own`` gets what only this thread has to give back."""
    with _gate:
        _holders.add(thread)
        for library in _libraries():
            if (number := library.num_threads) > 1:
                held = own if _of_thread(library) else _before
                held.setdefault(library, number)
                _set(library, 1)


def _give_back(thread: int, own: dict[Any, int]) -> None:
    """End what `_take` began. The last thread gives BLAS the user's number back, unless the user has set another."""
    with _gate:
        for library, number in own.items():
            _set(library, number)
        if _holders <= {thread}:
            for library, number in _before.items():
                if library.num_threads == 1:
                    _set(library, number)
            _before.clear()
        _holders.discard(thread)  # last: whatever interrupts this, the next fit of the thread makes up for it


def _single() -> None:
    """Set the limit of a worker, where each thread has its own."""
    for library in _libraries():
        if _of_thread(library):
            _set(library, 1)


def thread_count() -> int:
    """Number of threads that the user lets BLAS have, which is the number of blocks that are computed at once."""
    given = max(_before.values(), default=0)
    return given or max((library.num_threads for library in _libraries()), default=1)


def held_threads() -> int:
    """Number of workers that this thread holds; 0 if it holds none."""
    return getattr(_holder, "count", 0)


def workers_for(m: int, n_x: float, shape: tuple[int, ...], squares: bool, dense: bool = True) -> int:
    """Number of workers that share a pass over X (n_x, m); 1 if there is too little work.

    If X is not ``dense``, n_x is the mean number of values that are stored of a sample. The work is measured in numbers
    of X that a gradient reads, some 0.3 ns each. The last axes of ``shape``, that of the parameters, are models and
    outputs; ``squares`` tells of products of features with each other.
    """
    k, outputs, n_x = shape[-1], math.prod(shape[1:]), n_x if dense else SCATTERED * n_x
    each = n_x * (1 + outputs / 8) + 10 * outputs + (n_x * (n_x + 30) * outputs * k / 13 if squares else 0)
    return (held_threads() or thread_count()) if m * each > SHARED_WORK else 1


@contextlib.contextmanager
def hold_threads() -> Iterator[None]:
    """Hold NumPy's BLAS to one thread, also between passes, and share out the blocks of this thread to workers.

    Nothing changes if the user lets BLAS have one thread only. Several threads may hold BLAS at a time; the last gives
    it back.
    """
    count, thread, own = 0 if held_threads() else thread_count(), threading.get_ident(), dict[Any, int]()
    if count < 2:
        yield
        return
    try:
        _take(thread, own)
        _holder.count = count
        yield
    finally:
        _holder.count = 0
        _give_back(thread, own)


def holds_threads(function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """Hold threads as long as the function runs, see `hold_threads`."""

    @functools.wraps(function)  # a frame of this package, not of contextlib: warnings name the first that is not ours
    def held(*arguments: Parameters.args, **options: Parameters.kwargs) -> Answer:
        with hold_threads():
            return function(*arguments, **options)

    return held


def map_blocks(function: Callable[[Item], Answer], items: Iterable[Item], total: int = 0) -> Iterator[Answer]:
    """Apply the function to every item on all workers, and yield the answers in order.

    Items are taken when a worker is free, or will be free next. If ``total``, the number of items, is given and large,
    a worker takes several items at a time; give it only if the items take no memory. Of several calls at the same time,
    one gets the workers, and the others compute in turn. No worker is left running after Ctrl-C or an error. Close the
    iterator if it may not be read to its end.
    """
    held, busy = held_threads(), _busy
    count = held or thread_count()
    if count == 1 or not busy.acquire(blocking=False):
        yield from map(function, items)
        return
    thread, own = threading.get_ident(), dict[Any, int]()
    try:
        if not held:
            _take(thread, own)
        yield from _map_in_order(count, function, items, total)
    finally:
        if not held:
            _give_back(thread, own)
        busy.release()


def _map_in_order(
    count: int, function: Callable[[Item], Answer], items: Iterable[Item], total: int
) -> Iterator[Answer]:
    """Map like `Executor.map`, but submit only a few runs of items at a time for each of ``count`` workers.

    This thread is one of the workers: it computes runs that no other has begun, so it never waits for one to wake up.
    """
    if count not in _pools:
        _pools[count] = ThreadPoolExecutor(count - 1, "xlogreg", _single)
    pool, most, run = _pools[count], AHEAD * count, min(max(total // (2 * RUN * count), 1), RUN)
    running: collections.deque[tuple[Future[list[Answer]], list[Item]]] = collections.deque()
    left = iter(items)
    try:
        while some := list(itertools.islice(left, run)):
            running.append((pool.submit(_all_of, function, some), some))
            if len(running) == most:
                yield from _next_of(function, running)
        while running:
            yield from _next_of(function, running)
    finally:
        wait([future for future, _ in running if not future.cancel()])


def _all_of(function: Callable[[Item], Answer], items: list[Item]) -> list[Answer]:
    return [function(item) for item in items]


def _next_of(
    function: Callable[[Item], Answer], running: collections.deque[tuple[Future[list[Answer]], list[Item]]]
) -> list[Answer]:
    """Return the answers of the first run; compute others that no worker has begun as long as it is not done."""
    for number, (future, items) in enumerate(running):
        if running[0][0].done():
            break
        if future.cancel():
            own = Future[list[Answer]]()
            try:
                own.set_result(_all_of(function, items))
            except Exception as error:  # it is raised in its turn
                own.set_exception(error)
            running[number] = own, items
    answers = running[0][0].result()
    running.popleft()  # only after it has ended: until then `_map_in_order` has to wait for it
    return answers


def tree_sum(terms: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Sum of tuples of arrays, added pairwise in a tree that depends on their number only.

    Errors grow with the logarithm of the number of terms. The number of sums held at a time grows in the same way.

    Examples
    --------
    >>> tree_sum((number, 2 * number) for number in range(5))
    (10, 20)
    """
    partial: list[tuple[int, tuple[Any, ...]]] = []  # (number of terms, their sum); the numbers decrease
    try:
        for term in terms:
            partial.append((1, term))
            while len(partial) > 1 and partial[-1][0] == partial[-2][0]:
                _merge(partial)
    finally:
        if isinstance(terms, Generator):  # it would otherwise end when its traceback is freed, or never
            terms.close()
    while len(partial) > 1:
        _merge(partial)
    return partial[0][1]


def _merge(partial: list[tuple[int, tuple[Any, ...]]]) -> None:
    (count, right), (more, left) = partial.pop(), partial.pop()
    partial.append((count + more, tuple(a + b for a, b in zip(left, right, strict=True))))
