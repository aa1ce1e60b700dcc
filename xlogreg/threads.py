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


_busy = threading.Lock()  # held while the limit is: it is the process's, and only who set it may lift it


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


def workers() -> int:
    """How many blocks are computed at a time."""
    return 1 if _controller() is None else max(library.num_threads for library in _controller().lib_controllers)


def map_blocks(function: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[Answer]:
    """function(item) of every item, in order, on all workers.

    The pool lives for one call, so that a process that forks in between finds nothing of it. Of several calls at a
    time one gets the workers, the others compute in turn.
    """
    count = workers()
    if count == 1 or not _busy.acquire(blocking=False):
        yield from map(function, items)
        return
    try:
        with _single_threaded_blas(), ThreadPoolExecutor(count, "xlogreg") as pool:
            yield from pool.map(function, items)
    finally:
        _busy.release()
