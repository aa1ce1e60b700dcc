"""Compute blocks on all cores of the host and add up their sums: one worker thread for each thread that BLAS may use.

While no BLAS call is running, array expressions on whole blocks use one core only. So the blocks are spread over
workers, and BLAS is limited to one thread inside each worker. The number of workers is the number of BLAS threads. Only
`threadpoolctl.threadpool_limits` and the environment variable of the BLAS (OPENBLAS_NUM_THREADS, MKL_NUM_THREADS,
OMP_NUM_THREADS) control it. In a pool of processes with one BLAS thread each, every process gets one worker.
With one thread, or a BLAS that threadpoolctl does not know, blocks are computed in turn.
"""

import collections
import contextlib
import functools
import itertools
import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

__all__ = ["held_threads", "hold_threads", "map_blocks", "thread_count", "tree_sum"]

Item = TypeVar("Item")
Answer = TypeVar("Answer")

AHEAD = 2  # items taken for each worker; with fewer, workers wait when blocks take different times
RUN = 4  # most items that a worker takes at a time: handing over a single item takes a tenth of its computing time


@functools.cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController  # imported here, since it is slow to load

    found = ThreadpoolController().select(user_api="blas")
    return found if found.lib_controllers else None


_holder = threading.local()  # ``count``: number of workers, in a thread that holds them for longer than a pass
_busy = threading.Lock()  # held while BLAS is limited: only the thread that set this limit of the process may lift it
_pools: dict[int, ThreadPoolExecutor] = {}  # one for each number of workers; idle threads cost nothing, new ones 0.1 ms


def _forget() -> None:
    """Reset lock and pools in the child of a fork: it lacks their threads, and the lock may be held for ever."""
    global _busy
    _busy = threading.Lock()
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@contextlib.contextmanager
def _single_threaded_blas() -> Iterator[None]:
    libraries = _controller().lib_controllers
    try:
        with _controller().limit(limits=1):
            yield
    finally:
        for library in libraries:
            # threadpoolctl lets one thread set the limit of OpenBLAS until that thread gives the right back
            getattr(library, "clear_controlling_thread", lambda: None)()


def thread_count() -> int:
    """Number of blocks that are computed at the same time."""
    return 1 if _controller() is None else max(library.num_threads for library in _controller().lib_controllers)


def held_threads() -> int:
    """Number of workers that this thread holds; 0 if it holds none."""
    return getattr(_holder, "count", 0)


@contextlib.contextmanager
def hold_threads() -> Iterator[None]:
    """Hold the workers for this thread, and limit BLAS to one thread between passes, too.

    Nothing changes if another thread has the workers. Idle BLAS threads spin for a while, on cores that the workers
    need: measured, this takes a third of the time of a fit.
    """
    count, busy = thread_count(), _busy
    if count == 1 or held_threads() or not busy.acquire(blocking=False):
        yield
        return
    _holder.count = count
    try:
        with _single_threaded_blas():
            yield
    finally:
        _holder.count = 0
        busy.release()


def map_blocks(function: Callable[[Item], Answer], items: Iterable[Item], total: int = 0) -> Iterator[Answer]:
    """Apply the function to every item on all workers, and yield the answers in order.

    Items are taken when a worker is free, or will be free next. If ``total``, the number of items, is given and large,
    a worker takes several items at a time; give it only if the items take no memory. Of several calls at the same time,
    one gets the workers, and the others compute in turn. No worker is left running after Ctrl-C or an error. Close the
    iterator if it may not be read to its end.
    """
    if held := held_threads():
        yield from _map_in_order(held, function, items, total)
        return
    count, busy = thread_count(), _busy
    if count == 1 or not busy.acquire(blocking=False):
        yield from map(function, items)
        return
    try:
        with _single_threaded_blas():
            yield from _map_in_order(count, function, items, total)
    finally:
        busy.release()


def _map_in_order(
    count: int, function: Callable[[Item], Answer], items: Iterable[Item], total: int
) -> Iterator[Answer]:
    """Map like `Executor.map`, but submit only a few runs of items at a time for each of ``count`` workers."""
    if count not in _pools:
        _pools[count] = ThreadPoolExecutor(count, "xlogreg")
    pool, most, run = _pools[count], AHEAD * count, min(max(total // (2 * RUN * count), 1), RUN)
    running: collections.deque[Future[list[Answer]]] = collections.deque()
    left = iter(items)
    try:
        while some := list(itertools.islice(left, run)):
            running.append(pool.submit(_all_of, function, some))
            if len(running) == most:
                yield from _next_of(running)
        while running:
            yield from _next_of(running)
    finally:
        wait([future for future in running if not future.cancel()])


def _all_of(function: Callable[[Item], Answer], items: list[Item]) -> list[Answer]:
    return [function(item) for item in items]


def _next_of(running: collections.deque[Future[list[Answer]]]) -> list[Answer]:
    answers = running[0].result()
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
