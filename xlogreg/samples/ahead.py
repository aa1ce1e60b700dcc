"""Reading ahead: what comes next is fetched, by a thread or by the system, while what is here is computed with."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["announce", "read_ahead"]

AHEAD = 2  # blocks that are read before they are asked for
ANNOUNCED = 8  # blocks that are announced at a time, which takes less than one by one

Span = tuple[int, int]  # start and stop of a block
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


def announce(expect: Callable[[int, int], None], spans: list[Span]) -> Iterator[tuple[Span, None]]:
    """Each span, after expect(start, stop) of those that follow: for threads that read for themselves."""
    for number, span in enumerate(spans):
        if number % ANNOUNCED == 0:
            later = spans[number + ANNOUNCED if number else 0 : number + 2 * ANNOUNCED]
            if later:
                expect(later[0][0], later[-1][1])
        yield span, None
