"""Reading ahead: what comes next is fetched in a thread while what is here is computed with."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["read_ahead"]

AHEAD = 2  # blocks that are read before they are asked for

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def read_ahead(read: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[tuple[Item, Answer]]:
    """Each item with read(item), some of them ahead; in order, since one thread reads all."""
    pending: deque[tuple[Item, Future[Answer]]] = deque()
    with ThreadPoolExecutor(1, "xlogreg-reader") as reader, contextlib.ExitStack() as stack:
        stack.callback(lambda: [future.cancel() for _, future in pending])
        for item in items:
            pending.append((item, reader.submit(read, item)))
            if len(pending) > AHEAD:
                item, future = pending.popleft()
                yield item, future.result()
        while pending:
            item, future = pending.popleft()
            yield item, future.result()
