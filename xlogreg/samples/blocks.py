"""Sizes of the blocks of a pass: on the host for the caches of its cores, on a device for its memory."""

import math
from typing import Any

from xlogreg.arrays.matrix import Range
from xlogreg.math.sums import crossed_terms, diagonal_terms, spread_terms

__all__ = ["ARRIVING_BYTES", "LARGE_BLOCK_BYTES", "ROOM_SHARE", "SMALL_BLOCK_BYTES", "SQUARING", "even_spans"]

# a block of this size stays in the last-level cache between its two readings, and needs few calls of the interpreter
SMALL_BLOCK_BYTES = 8 * 2**20
LARGE_BLOCK_BYTES = 256 * 2**20  # a block of this size keeps a GPU busy
ARRIVING_BYTES = 64 * 2**20  # size of a block that is copied to a device while others are computed
ARRIVING_SHARE = 8  # it takes one eighth of the free memory at most: the next blocks arrive before they are needed
ROOM_SHARE = 4  # the temporaries of a block take one quarter of the free memory at most, and so does a copy of X
# numbers that a pass holds for each score of many models, and where one kernel makes all that follows from a score,
# and more of these if models have weights or targets of their own
SCORE_NUMBERS, FUSED_NUMBERS, OWN_NUMBERS = 8, 4, 2
X_SHARE = 4  # the temporaries of a block take one quarter of a large X,
HALF_BYTES = 64 * 2**20  # and half of X up to this size: then memory is plenty, and each block costs time
LEAST_BYTES = 4 * 2**20  # with smaller temporaries, a GPU waits for the host, which calls each operation
SQUARING = frozenset({crossed_terms, diagonal_terms, spread_terms})  # they square X, of which NumPy makes no copy


def even_spans(
    source: Any, temporaries: int, outputs: int, workers: int, gram: bool, squares: bool = False
) -> list[Range]:
    """Start and stop of each block of samples in memory, see `InMemory.spans`; blocks are as equal as possible."""
    m, width, place = source.m, source.widths[gram], source.place
    if source.is_read or place.small_blocks:
        itemsize = 8 if source.dtype == "float64" or temporaries > 1 else 4  # temporaries are in the widest dtype
        most = SMALL_BLOCK_BYTES if place.small_blocks else ARRIVING_BYTES
        limit = source.block_bytes or min(most, source.room / ARRIVING_SHARE)
        copies = temporaries + (source.index is not None)  # the fetched samples are one more
    else:
        itemsize, limit = 8 if source.dtype == "float64" else 4, _device_bytes(source)
        copies = _device_copies(source, temporaries, squares)
    count = math.ceil(m * width * itemsize * copies / limit)
    if not source.dense:  # blocks are not smaller than their sums
        count = min(count, math.ceil(m * (width / source.n_x) ** (2 if gram else 1)))
    own = source.target_of is not None or source.weight_of is not None
    numbers = FUSED_NUMBERS + own * OWN_NUMBERS if place.makes_pieces else SCORE_NUMBERS
    count = max(count, math.ceil(m * outputs * itemsize * numbers / limit))
    # the scores of one model are next to nothing beside X, but for few features
    count = max(count, math.ceil(m * itemsize * SCORE_NUMBERS * ROOM_SHARE / source.room))
    count = workers * math.ceil(count / workers) if place.name == "numpy" else count
    size = math.ceil(m / max(1, min(count, m)))
    return [(start, min(start + size, m)) for start in range(0, m, size)]


def _device_bytes(source: Any) -> float:
    """Bytes that the temporaries of a block may take beside an X that lies on a device."""
    size = source.X.nbytes
    # a function that is compiled is compiled anew for blocks of another size
    least = LARGE_BLOCK_BYTES if source.place.compiles else max(LEAST_BYTES, min(size / 2, HALF_BYTES))
    return min(source.block_bytes or max(size / X_SHARE, least), source.room / ROOM_SHARE)


def _device_copies(source: Any, temporaries: int, squares: bool) -> int:
    """Arrays of the size of a block, in the computing dtype, that a pass makes on a device beside X."""
    made = (source.index is not None) + (source.center is not None)
    if source.converts and not source.X.is_ready(source.place, source.dtype):
        made += 1
    if not source.dense or source.place.makes_pieces:
        return made
    return made + squares + (temporaries + 1 if temporaries > 1 else 0)
