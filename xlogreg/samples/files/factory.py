"""Samples from a factory: a function that gives an iterator of blocks (X, Y), called anew for every pass."""

import itertools
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.place import to_host
from xlogreg.arrays.stored import cut
from xlogreg.exceptions import BlockError, expect_memory
from xlogreg.inputs import labels
from xlogreg.inputs.columns import PLAIN, TableOptions, look, unite
from xlogreg.inputs.door import Features
from xlogreg.inputs.encoding import Encoding
from xlogreg.inputs.matrices import as_matrix
from xlogreg.inputs.tables import open_frame, open_table
from xlogreg.samples.files.sequential import Reservoir, Sequential

__all__ = ["FirstPass", "Streamed", "take_in"]


EMPTY = "X is a factory that gives no samples; it must return an iterator of blocks (X, Y)"


class Piece(NamedTuple):
    """A block of samples on the host."""

    number: int
    X: np.ndarray  # in the orientation of the user's samples
    Y: np.ndarray  # (k, samples), as the user gave it
    weight: np.ndarray | None  # (1, samples)
    names: tuple[str, ...] | None

    @property
    def mark(self) -> "Mark":
        """Mark of this block, which has to be the same in every pass."""
        check = zlib.crc32(self.Y.tobytes(), 0 if self.weight is None else zlib.crc32(self.weight.tobytes()))
        return Mark(self.number, self.Y.shape[1], check)


class Mark(NamedTuple):
    """Identity of a block: its number, its number of samples, and a checksum of their targets and weights."""

    number: int
    length: int
    check: int


class FirstPass(NamedTuple):
    """Result of the first pass over a factory's blocks."""

    features: Features
    Y: np.ndarray  # (k, m), as the user gave it
    weight: np.ndarray | None  # (1, m)


class Streamed(Sequential):
    """Blocks of a factory, compared in every pass with the marks of the first pass."""

    def __init__(
        self, factory: Callable[[], Any], samples: str, first: Piece, marks: list[Mark], encoding: Encoding | None
    ) -> None:
        axis = 0 if samples == "rows" else 1
        m, n_x = sum(mark.length for mark in marks), first.X.shape[1 - axis]
        super().__init__((m, n_x) if axis == 0 else (n_x, m), first.X.dtype, axis, first.names)
        self.factory, self.samples, self.first, self.marks = factory, samples, first, marks
        self.stops, self.encoding = np.cumsum([mark.length for mark in marks]), encoding

    def blocks(self) -> Iterator[np.ndarray]:
        # there may be one piece too many; `Sequential` checks the number of samples
        for piece, mark in itertools.zip_longest(
            _pieces(self.factory, self.samples, self.first, self.encoding), self.marks
        ):
            if piece is None:
                return
            if mark is not None and piece.mark != mark:
                what = "has other targets or weights than"
                if piece.mark[:2] != mark[:2]:
                    what = f"holds {piece.mark.length} samples; they were {mark.length}, of block {mark.number},"
                raise BlockError(f"block {piece.number} of the factory {what} when the fit began")
            yield piece.X

    def name(self, sample: int) -> str:
        number = int(np.searchsorted(self.stops, sample, side="right"))
        mark = self.marks[number]
        return f"block {mark.number} of the factory, sample {sample - int(self.stops[number]) + mark.length} of it"


def take_in(
    factory: Callable[[], Any], samples: str, asked: TableOptions = PLAIN, encoding: Encoding | None = None
) -> FirstPass:
    """Call the factory for the first time, and look at every block in one pass.

    If its blocks are tables with columns that are no plain numbers, a pass before tells what these hold, unless the
    ``encoding`` of a model does.

    Raises
    ------
    ValueError, TypeError, BlockError
        If a block is not valid; the message names it.
    """
    encoding = _learned(factory, samples, asked) if asked.used else encoding
    pieces = _pieces(factory, samples, None, encoding)
    first = next(pieces, None)
    if first is None:
        raise ValueError(EMPTY)
    reservoir = Reservoir(0 if samples == "rows" else 1)
    Ys: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    marks: list[Mark] = []
    begin = 0
    piece: Piece | None = first
    first = first._replace(X=cut(first.X, 0, 1, reservoir.axis).copy())  # the others are compared with it
    while piece is not None:
        reservoir.add(begin, piece.X)
        marks.append(piece.mark)
        begin += marks[-1].length
        Ys.append(np.array(piece.Y))
        if piece.weight is not None:
            weights.append(np.array(piece.weight))
        piece = next(pieces, None)
    X = Streamed(factory, samples, first, marks, encoding)
    X.keep(reservoir)
    return FirstPass(
        Features(X, first.names, encoding),
        np.concatenate(Ys, axis=1),
        np.concatenate(weights, axis=1) if weights else None,
    )


def _learned(factory: Callable[[], Any], samples: str, asked: TableOptions) -> Encoding:
    """Decide what becomes of the columns of tables that the factory gives."""
    found, m = [], 0
    for number, item in enumerate(_items(factory)):
        try:
            X, _, *weights = _pair(item)
            frame = open_frame(X, samples)
            if frame is None:
                raise asked.refusal(X)
            if frame.m:
                own = to_host(labels.as_row(weights[0], frame.m))[0] if weights else None
                found.append(look(frame, asked, own)[0])
                if [column.name for column in found[-1]] != [column.name for column in found[0]]:
                    raise ValueError("X has other columns than the blocks before, or in another order")
            m += frame.m
        except (TypeError, ValueError) as error:
            raise type(error)(f"block {number} of the factory: {error}") from None
    if not found:
        raise ValueError(EMPTY)
    return Encoding.of(unite(found), asked, m)


def _pair(item: Any) -> tuple[Any, ...]:
    if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
        raise TypeError(f"must be a pair (X, Y) or a triple (X, Y, weight), not {type(item).__name__}")
    return tuple(item)


def _pieces(
    factory: Callable[[], Any], samples: str, first: Piece | None, encoding: Encoding | None
) -> Iterator[Piece]:
    """Yield the blocks that hold samples; each has to be like the first."""
    axis, number = 0 if samples == "rows" else 1, -1
    for number, item in enumerate(_items(factory)):
        try:
            X, *others = _pair(item)
            if encoding is None:
                X, names = open_table(X, samples, None if first is None else first.names)
            else:
                X, names = encoding.dense(X, samples), encoding.names
            if getattr(X, "ndim", 0) == 2 and X.shape[axis] == 0:
                continue
            piece = _piece(number, X, names, samples, *others)
            first = first or piece
            _expect_like(piece, first, axis)
        except (TypeError, ValueError) as error:
            raise type(error)(f"block {number} of the factory: {error}") from None
        yield piece


def _items(factory: Callable[[], Any]) -> Iterator[Any]:
    number = 0
    try:
        for item in factory():
            yield item
            number += 1
    except Exception as error:  # the user's own code may raise any error
        expect_memory(error, f"the factory made block {number}")
        raise BlockError(f"the factory failed at block {number}: {type(error).__name__}: {error}") from error


def _piece(number: int, X: Any, names: tuple[str, ...] | None, samples: str, Y: Any, weight: Any = None) -> Piece:
    matrix = as_matrix(X, samples)
    X, m = matrix.host(), matrix.m
    weight = None if weight is None else to_host(labels.as_row(weight, m))
    return Piece(number, X, to_host(labels.as_targets(Y, m, samples)), weight, names)


def _expect_like(piece: Piece, first: Piece, axis: int) -> None:
    wanted, found = first.X.shape[1 - axis], piece.X.shape[1 - axis]
    if found != wanted:
        raise ValueError(f"X has {found} features, the blocks before have {wanted}")
    if piece.X.dtype != first.X.dtype:
        raise ValueError(f"X is of {piece.X.dtype}, the blocks before are of {first.X.dtype}")
    if (piece.weight is None) != (first.weight is None):
        raise ValueError("has weights where the blocks before have none, or none where they have some")
    kinds = [f"{part.Y.shape[0]} {'strings' if part.Y.dtype.kind in 'US' else 'numbers'}" for part in (piece, first)]
    if kinds[0] != kinds[1]:
        raise ValueError(f"Y holds {kinds[0]} for each sample, in the blocks before {kinds[1]}")
