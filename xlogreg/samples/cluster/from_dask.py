"""Make parts on the workers from dask collections: look at the blocks, unite their labels, make the parts.

First the workers send small answers, which say what each block holds. The labels of all blocks are the classes, so that
a label that occurs only in the last block counts as any other. Then the workers make the parts and send their weights.
X itself never comes to the client.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from textwrap import shorten
from typing import Any, NamedTuple, NoReturn

import numpy as np

from xlogreg.arrays.choice import Where, warn_of
from xlogreg.arrays.place import to_host
from xlogreg.exceptions import one_of
from xlogreg.inputs.columns import TableOptions, unite
from xlogreg.inputs.encoding import Encoding
from xlogreg.inputs.labels import Targets, as_weight, encode_targets, encode_truth, total_of
from xlogreg.inputs.offsets import as_offset, expect_outputs
from xlogreg.inputs.options import SAMPLES, dtype_option
from xlogreg.inputs.tables import is_collection
from xlogreg.samples.cluster.distributed import Shard, Shards
from xlogreg.samples.cluster.tasks import Cluster
from xlogreg.samples.cluster.worker import (
    AXES,
    Refusal,
    Request,
    Survey,
    count_samples,
    join_samples,
    make_part,
    merge_masses,
    survey,
    weigh,
)

__all__ = ["bring", "share_out"]

SHAPES = {"columns": "(n_x, m), one sample a column", "rows": "(m, n_x), one sample a row"}


def share_out(
    X: Any,
    Y: Any,
    sample_weight: Any = None,
    *,
    offset: Any = None,
    samples: str,
    targets: str = "labels",
    where: Where | None = None,
    classes: np.ndarray | None = None,
    table: TableOptions | None = None,
    encoding: Encoding | None = None,
) -> Shards:
    """Make parts of a dask collection, on the workers of the client that was started last.

    Parameters
    ----------
    X : dask array (n_x, m), or (m, n_x) for samples="rows"; or a dask dataframe
    Y, sample_weight, offset
        As `xlogreg.fit` takes them, or collections with as many samples as X.
    samples, targets
        As `xlogreg.fit` takes them, like ``where``. ``targets`` may also be "none", for parts without Y.
    classes : ndarray (K,), optional
        Classes of a model, also those that do not occur in Y.
    table : TableOptions, optional
        What becomes of the columns of a dataframe. The levels of a category are those of all blocks.
    encoding : Encoding, optional
        That of a model, instead.

    Raises
    ------
    ValueError, TypeError
        If the input is wrong; the message names the block.
    WorkersLostError, RuntimeError
        See `Cluster.collect`.
    """
    where = where or Where()
    workers, asked = Cluster.current(), dtype_option(where.dtype)
    one_of("samples", samples, SAMPLES)
    first_column = _blocks(X, samples)
    others = {"Y": Y, "sample_weight": sample_weight, "offset": offset}
    columns = [first_column, *(_aligned(value, name, samples, first_column.counts) for name, value in others.items())]
    futures = iter(workers.load([block for column in columns for block in column.blocks]))
    columns = [column._replace(blocks=[next(futures) for _ in column.blocks]) for column in columns]
    blocks, counts = _matched(columns, workers)
    request = Request(samples, targets, where, known=classes, table=table, encoding=encoding)
    surveys = _accepted(workers.collect(workers.send(survey, *blocks, [request] * len(counts)), _names(counts)))
    pieces, blocks = _cut(surveys, blocks)
    surveys = [block for block in surveys if block.m]
    first, m = surveys[0], pieces[-1].stop
    names, n_x = first.names, first.n_x
    if table is not None and first.found is not None:
        encoding = _encoding_of(surveys, table, sample_weight, m)
        request, names, n_x = request._replace(encoding=encoding), encoding.names, encoding.n_x
    request = request._replace(m=m)
    if Y is None and targets == "none":
        united = Targets(None, np.arange(0), False, True)
    elif is_collection(Y):
        united = _united(surveys, targets, classes)
    else:
        united, request = _encoded(Y, m, n_x, request), request._replace(targets="encoded")
        blocks[1] = _cut_by(pieces, united.Y)
    if sample_weight is not None and not is_collection(sample_weight):
        blocks[2] = _cut_by(pieces, to_host(as_weight(sample_weight, m)))
    outputs = first.outputs
    if offset is not None and not is_collection(offset):
        blocks[3], outputs = _offset_blocks(offset, pieces, samples)
    if outputs and targets != "none":
        expect_outputs(outputs, len(united.classes), m, samples)
    computed, n_classes = asked or first.computed, len(united.classes) if united.numbers else None
    options = [request._replace(names=names), computed, united.classes, n_classes]
    made = workers.send(make_part, *blocks, *([option] * len(pieces) for option in options))
    mass = merge_masses(workers.collect(workers.send(weigh, made), [piece.name for piece in pieces]))
    if not mass.largest:
        raise ValueError("sample_weight is zero for every sample")
    total_of(np.asarray([[mass.total]]), 1)
    if classes is None and not np.all(mass.classes > 0):
        _say_lacking(united.classes.tolist()[int(np.argmin(mass.classes))], sample_weight)
    return Shards(
        workers,
        tuple(piece._replace(future=future) for piece, future in zip(pieces, made, strict=True)),
        n_x,
        samples,
        names,
        first.dtype_given,
        computed,
        united._replace(Y=None),
        mass,
        ", ".join(sorted({block.place[0] for block in surveys})),
        f"dask, {workers.count} workers",
        _warned(surveys),
        first.dense if encoding is None else encoding.is_narrow(m),
        first.shifts,
        encoding,
        offset=outputs,
    )


def _offset_blocks(offset: Any, pieces: list[Shard], samples: str) -> tuple[list[np.ndarray], int]:
    """Cut an offset that is no collection as the parts are cut; return also how many numbers a sample has."""
    own = to_host(as_offset(offset, pieces[-1].stop, samples))
    return [part if samples == "columns" else part.T for part in _cut_by(pieces, own)], own.shape[0]


def _say_lacking(label: Any, weight: Any) -> NoReturn:
    lacking = "Y has no sample" if weight is None else "sample_weight is zero for every sample"
    raise ValueError(f"{lacking} of class {label!r}")


def _cut_by(pieces: list[Shard], values: np.ndarray) -> list[np.ndarray]:
    """Cut values (k, m) of all samples into those of each part."""
    return [values[:, piece.start : piece.stop] for piece in pieces]


def _encoding_of(surveys: list[Survey], table: TableOptions, weight: Any, m: int) -> Encoding:
    """Unite what the blocks of a dataframe of m rows hold."""
    if table.missing != "error" and weight is not None and not is_collection(weight):
        raise ValueError(f"missing={table.missing!r} with sample_weight needs the weights in a collection, as X is")
    return Encoding.of(unite([block.found for block in surveys if block.found is not None]), table, m)


def bring(values: Any) -> Any:
    """Bring a small collection, or the collections in a list, to the memory of the client."""
    if isinstance(values, (list, tuple)):
        return [bring(entry) if is_collection(entry) else entry for entry in values]
    if not is_collection(values):
        return values
    workers = Cluster.current()
    (value,) = workers.collect(workers.load([values]), [type(values).__name__])
    return value


def _encoded(Y: Any, m: int, n_x: int, request: Request) -> Targets:
    """Encode a Y that is no collection: targets of all samples, on the host, in as few bytes as can hold them."""
    shape = (m, n_x) if request.samples == "rows" else (n_x, m)
    if request.known is not None:
        targets = encode_truth(Y, shape, request.samples, request.known, request.targets)
    else:
        targets = encode_targets(Y, shape, request.samples, request.targets)
    encoded = to_host(targets.Y)
    small = encoded.astype(np.min_scalar_type(len(targets.classes))) if targets.numbers else encoded
    return targets._replace(Y=small)


class Column(NamedTuple):
    """X, or what belongs to its samples, in blocks."""

    name: str
    blocks: list[Any]  # in the order of the samples; empty without a collection
    axis: int  # axis of the samples
    counts: tuple[float, ...]  # number of samples in each block, NaN if dask does not know it


def _blocks(X: Any, samples: str) -> Column:
    if hasattr(X, "columns"):
        if samples != "rows":
            raise ValueError("X is a dask DataFrame, whose samples are its rows: use samples='rows'")
        return _unmeasured("X", X)
    if getattr(X, "ndim", 0) != 2:
        shape = getattr(X, "shape", "none")
        raise ValueError(f"X must have the shape {SHAPES[samples]}; got a dask {type(X).__name__} of the shape {shape}")
    axis = AXES[samples]
    if len(X.chunks[1 - axis]) > 1:
        X = X.rechunk({1 - axis: -1})
    return Column("X", X.to_delayed().ravel().tolist(), axis, X.chunks[axis])


def _unmeasured(name: str, frame: Any) -> Column:
    """Blocks of a frame or of one of its columns, whose number is known only after dask has planned the reading."""
    blocks = list(frame.to_delayed())
    return Column(name, blocks, 0, (math.nan,) * len(blocks))


def _aligned(values: Any, name: str, samples: str, counts: tuple[float, ...]) -> Column:
    """Y, weights or offset in blocks; these hold the same samples as the blocks of X if dask knows the counts."""
    if not is_collection(values):
        return Column(name, [], 0, ())
    if not hasattr(values, "chunks"):
        return _unmeasured(name, values)
    axis = 1 if values.ndim == 2 and (samples == "columns" or values.shape[0] == 1) else 0
    own = values.chunks[axis]
    if own != counts and not math.isnan(sum(own) + sum(counts)):
        _expect_as_many(name, own, counts)
        own, values = counts, values.rechunk({axis: counts})
    if values.ndim == 2 and len(values.chunks[1 - axis]) > 1:
        values = values.rechunk({1 - axis: -1})
    return Column(name, np.ravel(np.asarray(values.to_delayed(), dtype=object)).tolist(), axis, own)


def _expect_as_many(name: str, own: tuple[float, ...], counts: tuple[float, ...]) -> None:
    if sum(own) != sum(counts):
        raise ValueError(f"{name} has {sum(own)} samples, X has {sum(counts)}")


def _matched(columns: list[Column], workers: Cluster) -> tuple[list[list[Any]], tuple[float, ...]]:
    """Match the blocks of X, Y, weights and offset, so that they hold the same samples; return them and X's counts.

    The blocks of values that are no collection are None. dask plans the reading of each collection alone: one column of
    a table comes in fewer blocks than the others. If dask does not know the counts, the workers count the samples of
    their blocks. Other blocks with other counts than X are cut anew.
    """
    given = [column for column in columns if column.blocks]
    if len(given) > 1 and math.isnan(sum(sum(column.counts) for column in given)):
        tasks = [workers.send(count_samples, column.blocks, [column.axis] * len(column.blocks)) for column in given]
        names = [f"{name} of {column.name}" for column in given for name in _names(column.counts)]
        found = iter(workers.collect([task for some in tasks for task in some], names))
        measured = {column.name: column._replace(counts=tuple(next(found) for _ in column.blocks)) for column in given}
        columns = [measured.get(column.name, column) for column in columns]
    counts = columns[0].counts
    blocks = [columns[0].blocks]
    for column in columns[1:]:
        if column.blocks and column.counts != counts:
            _expect_as_many(column.name, column.counts, counts)
            blocks.append(_cut_anew(column, counts, workers))
        else:
            blocks.append(column.blocks or [None] * len(counts))
    return blocks, counts


def _cut_anew(column: Column, counts: tuple[float, ...], workers: Cluster) -> list[Any]:
    """Cut the samples of a column into new blocks of ``counts`` samples."""
    stops = np.cumsum(column.counts).astype(int).tolist()
    starts = [0, *stops[:-1]]
    parts: list[list[Any]] = []
    spans: list[list[tuple[int, int]]] = []
    for begin, end in itertools.pairwise(np.cumsum([0, *counts]).astype(int).tolist()):
        used = [n for n in range(len(stops)) if starts[n] < end and stops[n] > begin] or [0]
        parts.append([column.blocks[n] for n in used])
        spans.append([(max(begin - starts[n], 0), max(min(end, stops[n]) - starts[n], 0)) for n in used])
    return workers.send(join_samples, parts, spans, [column.axis] * len(counts))


def _names(counts: Sequence[float]) -> list[str]:
    """Names of blocks that hold ``counts`` samples."""
    names = []
    for number, (count, stop) in enumerate(zip(counts, np.cumsum(counts).tolist(), strict=True)):
        known = count > 0 and not math.isnan(stop)
        names.append(f"block {number}" + (f" (samples {stop - count:.0f} to {stop - 1:.0f})" if known else ""))
    return names


# facts that must be the same for all blocks of X
ALIKE: tuple[Callable[[Survey], str], ...] = (
    lambda block: f"{block.n_x} features",
    lambda block: f"the dtype {block.dtype_given}",
    lambda block: f"the columns {', '.join(sorted(block.names or ()))}",
    lambda block: f"{block.outputs} numbers in the offset of a sample",
)


def _accepted(found: list[Survey | Refusal]) -> list[Survey]:
    """Return the surveys; raise if a block is refused, or does not agree with the first block."""
    surveys: list[Survey] = []
    for number, block in enumerate(found):
        if isinstance(block, Refusal):
            raise block.kind(f"block {number}: {block.message}")
        surveys.append(block)
    first = next((number for number, block in enumerate(surveys) if block.m), None)
    if first is None:
        raise ValueError("X is empty: none of its blocks holds a sample")
    for number, block in enumerate(surveys):
        for said in ALIKE if block.m else ():
            own, other = said(block), said(surveys[first])
            if own != other:
                own, other = (shorten(text, 200) for text in (own, other))
                raise ValueError(f"block {number} of X has {own}, block {first} has {other}; they must agree")
    return surveys


def _cut(surveys: list[Survey], blocks: list[list[Any]]) -> tuple[list[Shard], list[list[Any]]]:
    """Leave out empty blocks; return the parts to be made, still without futures, and the other blocks."""
    named, stops = _names([block.m for block in surveys]), np.cumsum([block.m for block in surveys]).tolist()
    kept = [number for number, block in enumerate(surveys) if block.m]
    pieces = [Shard(None, stops[n] - surveys[n].m, stops[n], named[n]) for n in kept]
    return pieces, [[column[n] for n in kept] for column in blocks]


def _united(surveys: list[Survey], kind: str, known: np.ndarray | None) -> Targets:
    """Unite the targets of all blocks, without Y."""
    found = [block.classes for block in surveys if block.classes is not None]
    if len({classes.dtype.kind in "US" for classes in found}) > 1:
        raise ValueError("Y holds strings in some of its blocks and numbers in others")
    classes = np.unique(np.concatenate(found)) if known is None else known
    if len(classes) < 2:
        raise ValueError(f"Y holds one class only ({classes.tolist()[0]!r}); there must be two or more")
    return Targets(None, classes, kind == "labels" and len(classes) > 2, all(block.hard for block in surveys))


def _warned(surveys: list[Survey]) -> str | None:
    """Warn once if some blocks are not computed where the user asked for it, and return the reason; else None."""
    lacks = [(block.lack, " on ".join(block.place)) for block in surveys if block.lack is not None]
    if not lacks:
        return None
    lack, instead = lacks[0]
    warn_of(lack, f"by the workers of {len(lacks)} of {len(surveys)} blocks", instead)
    return str(lack)
