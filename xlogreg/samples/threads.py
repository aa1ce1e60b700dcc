"""Blocks over the cores of the host, and their sums added up: one worker thread for each thread that BLAS may use.

Array expressions on whole blocks leave all cores but one idle wherever no BLAS call is running. So the blocks are
spread over workers, and BLAS is held to one thread inside each. The number of workers is that of BLAS's threads:
`threadpoolctl.threadpool_limits`, or the environment variable of the BLAS (OPENBLAS_NUM_THREADS, MKL_NUM_THREADS,
OMP_NUM_THREADS), is the one control; a pool of processes that gives each of them one thread gets one worker each.
With one thread, or a BLAS that threadpoolctl does not know, blocks are computed in turn.
"""

import collections
import contextlib
import functools
import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

__all__ = ["announce", "held_threads", "hold_threads", "map_blocks", "read_ahead", "thread_count", "tree_sum"]

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Range = tuple[int, int]  # start and stop of a block

AHEAD = 2  # items taken for each worker: with fewer, workers wait where blocks take unlike times
RUN = 4  # items that a worker takes at a time where that is asked for: handing one over takes a tenth of its time
READ_AHEAD = 2  # blocks that are read before they are asked for
ANNOUNCED = 8  # blocks that are announced at a time, which takes less than one by one


@functools.cache
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController  # which takes its time to load

    found = ThreadpoolController().select(user_api="blas")
    return found if found.lib_controllers else None


_holder = threading.local()  # in the thread that holds the workers for longer than a pass: how many they are
_busy = threading.Lock()  # held while the limit is: it is the process's, and only who set it may lift it
_pools: dict[int, ThreadPoolExecutor] = {}  # by the number of workers; idle threads cost nothing, new ones 0.1 ms each


def _forget() -> None:
    """In the child of a fork, where the threads of the pools do not exist and the lock may be held for ever."""
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
    """How many blocks are computed at a time."""
    return 1 if _controller() is None else max(library.num_threads for library in _controller().lib_controllers)


def held_threads() -> int:
    """How many workers this thread holds; 0 where it does not."""
    return getattr(_holder, "count", 0)


@contextlib.contextmanager
def hold_threads() -> Iterator[None]:
    """Inside, the workers are this thread's, and BLAS has one thread between passes, too, where nobody else has them.

    Threads of BLAS that have nothing to do wait for more by turning, a while, on the cores that workers want: measured,
    a third of the time of a fit.
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
    """function(item) of every item, in order, on all workers.

    Items are taken when there is a worker for them, or will be next; several at a time where ``total``, their number,
    is given and large: of items that take no memory. Of several calls at a time one gets the workers, the others
    compute in turn. Whatever ends it, Ctrl-C or an error, no worker is left running: close it where it may be left
    before its end.
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
    """As a pool's own map, but of a few runs of items at a time for each of so many workers."""
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
    running.popleft()  # once it has ended: until then it has to be waited for
    return answers


def tree_sum(terms: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Sum of tuples of arrays, added pairwise in a tree that depends on their number only.

    Errors grow with the logarithm of the number of terms, and only as many sums are held at a time.

    Examples
    --------
    >>> tree_sum((number, 2 * number) for number in range(5))
    (10, 20)
    """
    partial: list[tuple[int, tuple[Any, ...]]] = []  # (how many terms, their sum), ever smaller
    try:
        for term in terms:
            partial.append((1, term))
            while len(partial) > 1 and partial[-1][0] == partial[-2][0]:
                _merge(partial)
    finally:
        if isinstance(terms, Generator):  # which else would end when its traceback is forgotten, or never
            terms.close()
    while len(partial) > 1:
        _merge(partial)
    return partial[0][1]


def _merge(partial: list[tuple[int, tuple[Any, ...]]]) -> None:
    (count, right), (more, left) = partial.pop(), partial.pop()
    partial.append((count + more, tuple(a + b for a, b in zip(left, right, strict=True))))


def read_ahead(read: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[tuple[Item, Answer]]:
    """Each item with read(item), some of them ahead; in order, since one thread reads all."""
    pending: deque[tuple[Item, Future[Answer]]] = deque()
    with ThreadPoolExecutor(1, "xlogreg-reader") as reader, contextlib.ExitStack() as stack:
        stack.callback(lambda: [future.cancel() for _, future in pending])
        for item in items:
            pending.append((item, reader.submit(read, item)))
            if len(pending) > READ_AHEAD:
                item, future = pending.popleft()
                yield item, future.result()
        while pending:
            item, future = pending.popleft()
            yield item, future.result()


def announce(expect: Callable[[int, int], None], spans: list[Range]) -> Iterator[tuple[Range, None]]:
    """Each span, after expect(start, stop) of those that follow: for threads that read for themselves."""
    for number, span in enumerate(spans):
        if number % ANNOUNCED == 0:
            later = spans[number + ANNOUNCED if number else 0 : number + 2 * ANNOUNCED]
            if later:
                expect(later[0][0], later[-1][1])
        yield span, None
