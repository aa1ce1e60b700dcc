"""Blocks over the cores of the host: one worker thread for each thread that BLAS may use.

Array expressions on whole blocks leave all cores but one idle wherever no BLAS call is running. So the blocks are
spread over workers, and BLAS is held to one thread inside each. The number of workers is that of BLAS's threads:
`threadpoolctl.threadpool_limits`, or the environment variable of the BLAS (OPENBLAS_NUM_THREADS, MKL_NUM_THREADS,
OMP_NUM_THREADS), is the one control; a pool of processes that gives each of them one thread gets one worker each.
Needs threadpoolctl; without it, or with one thread, blocks are computed in turn.
"""

import contextlib
import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

__all__ = ["map_blocks", "workers"]

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@functools.cache
def _controller() -> Any:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    found = ThreadpoolController().select(user_api="blas")
    return found if found.lib_controllers else None


class _SingleThreadedBlas(contextlib.AbstractContextManager):
    """BLAS held to one thread while anybody is inside: its setting is the process's, so users are counted."""

    def __init__(self) -> None:
        self.lock, self.users, self.threads = threading.Lock(), 0, 1
        self.limit: Any = None

    def __enter__(self) -> None:
        with self.lock:
            if self.users == 0:
                self.threads = _blas_threads()
                self.limit = _controller().limit(limits=1)
                self.limit.__enter__()
            self.users += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.users -= 1
            if self.users == 0:
                self.limit.__exit__(None, None, None)


_single_threaded_blas = _SingleThreadedBlas()


def _blas_threads() -> int:
    return max(library.num_threads for library in _controller().lib_controllers)


def workers() -> int:
    """How many blocks are computed at a time."""
    if _controller() is None:
        return 1
    with _single_threaded_blas.lock:  # while others compute, what they found before they limited it
        return _single_threaded_blas.threads if _single_threaded_blas.users else _blas_threads()


def map_blocks(function: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[Answer]:
    """function(item) of every item, in order, on all workers.

    The pool lives for one call, so that a process that forks in between finds nothing of it.
    """
    count = workers()
    if count == 1:
        yield from map(function, items)
        return
    with _single_threaded_blas, ThreadPoolExecutor(count, "xlogreg") as pool:
        yield from pool.map(function, items)
