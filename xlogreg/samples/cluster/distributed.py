"""Samples that live with the workers of a dask cluster, as a `Source`: theta travels out, sums travel back.

The blocks of a collection become parts, each an `InMemory` where dask put it. Parts are the results of tasks that dask
can run again, so parts that are lost with a worker are made anew; nothing is scattered. A pass is one task for each
part. The sums are added in the order of the parts, in a fixed tree, so that the result does not depend on which task
ends first.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.matrix import Dense
from xlogreg.arrays.place import HOST, Array, Place, to_host
from xlogreg.inputs.encoding import Encoding
from xlogreg.inputs.labels import Targets, total_of
from xlogreg.samples.cluster.tasks import Cluster
from xlogreg.samples.cluster.worker import (
    Mass,
    Task,
    View,
    contents,
    fetch,
    fields_of,
    group,
    hold,
    mask,
    merge_masses,
    narrow,
    ordered,
    scale,
    share,
    viewed,
    weigh,
    weigh_models,
)
from xlogreg.samples.memory import InMemory
from xlogreg.samples.source import Columns, Flaws, draw_subsets
from xlogreg.samples.threads import tree_sum

__all__ = ["Distributed", "Shard", "Shards"]


class Shard(NamedTuple):
    """One of the parts, as a future."""

    future: Any  # future of an `InMemory`
    start: int  # number of its first sample
    stop: int
    name: str  # name of the block that it was made of: "block 7 (samples 70000 to 79999)"


@dataclass(frozen=True)
class Shards:
    """Parts that a dask collection was made into.

    Attributes
    ----------
    workers : Cluster
    pieces : tuple of Shard
        In the order of the samples; empty blocks are left out.
    n_x : int
    samples : {"columns", "rows"}
    names : tuple of str, or None
        Names of the features.
    dtype_given, dtype : str
        The dtype of X, and the one computed in.
    targets : Targets
        Labels of all blocks. Y itself is with the parts, and also here after `with_targets`.
    mass : Mass
        The weights of all samples.
    backend, device : str
        Names of the backends and of the device that compute.
    fallback : str or None
    dense, shifts : bool
        Whether blocks of X are arrays, and whether a centre can be subtracted from them.
    encoding : Encoding, or None
        How the columns of a dataframe became features, if they are not plain numbers.
    weight : ndarray (1, m), or None
        Weights of the samples, after `with_targets`.
    offset : int
        Numbers of a sample in the offset of the parts; 0 if they have none.
    """

    workers: Cluster
    pieces: tuple[Shard, ...]
    n_x: int
    samples: str
    names: tuple[str, ...] | None
    dtype_given: str
    dtype: str
    targets: Targets
    mass: Mass
    backend: str
    device: str
    fallback: str | None
    dense: bool = True
    shifts: bool = True
    encoding: Encoding | None = None
    weight: np.ndarray | None = None
    offset: int = 0

    @property
    def m(self) -> int:
        return self.pieces[-1].stop

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of X, as the user handed it in."""
        return (self.m, self.n_x) if self.samples == "rows" else (self.n_x, self.m)

    @property
    def labels(self) -> np.ndarray:
        """The user's labels (m,); only after `with_targets`."""
        return self.targets.classes[self.targets.Y[0].astype(np.intp)]

    def source(self) -> "Distributed":
        """The samples as a `Source`, for an objective."""
        return Distributed(self, self.dtype, self.mass.total, self.mass)

    def with_targets(self) -> "Shards":
        """Return these parts, with their targets and weights in the memory of the client, too."""
        small = np.min_scalar_type(len(self.targets.classes)) if self.targets.hard else None
        columns = Columns.joined(self.source().each(contents, small))
        return dataclasses.replace(self, targets=self.targets._replace(Y=columns.Y), weight=columns.weight)

    def scaled(self, factors: np.ndarray) -> "Shards":
        """Return these parts with the weights multiplied by the factors (K,) of the samples' classes."""
        count = len(self.pieces)
        made = self.workers.send(scale, [piece.future for piece in self.pieces], [factors] * count)
        pieces = tuple(piece._replace(future=future) for piece, future in zip(self.pieces, made, strict=True))
        scaled = dataclasses.replace(self, pieces=pieces)
        return dataclasses.replace(scaled, mass=merge_masses(scaled.source().each(weigh)))

    def host_rows(self, index: np.ndarray) -> np.ndarray:
        """Bring X (samples, n_x) of some samples, by number in ascending order, to the memory of the client."""
        return self.source().host_rows(index)


@dataclass(frozen=True)
class Distributed:
    """Samples of all parts, seen through a view.

    Attributes
    ----------
    parts : Shards
    dtype : str
        The computing dtype.
    total_weight : float, or ndarray (g,) of the models
    known : Mass or None
        The weights of all samples, if they have been computed.
    center : ndarray (n_x, 1), or None
        Subtracted from X.
    view : tuple
        Methods of `InMemory` with their arguments, which are applied to every part before a pass over it.
    fields : tuple, or None
        For each part, a future of the fields of `InMemory` that models have of their own.
    chosen : tuple
        The method of `InMemory` that chooses among the models, as in ``view``.
    whole : Distributed or None
        The samples of all models, if these are the samples of some models.
    """

    parts: Shards
    dtype: str
    total_weight: Any
    known: Mass | None
    center: np.ndarray | None = None
    view: View = ()
    fields: tuple[Any, ...] | None = None
    chosen: View = ()
    whole: "Distributed | None" = None
    drawable: None = None  # a subset may contain any of the samples
    is_read = False
    is_here = False
    has_features = False  # they lie in parts
    ties = ()

    @property
    def n_x(self) -> int:
        return self.parts.n_x

    @property
    def dense(self) -> bool:
        return self.parts.dense

    @property
    def shifts(self) -> bool:
        return self.parts.shifts

    @property
    def has_offset(self) -> bool:
        return bool(self.parts.offset)

    @property
    def m(self) -> int:
        return self.parts.m

    @property
    def place(self) -> Place:
        """Place of theta and the sums: the host of the client."""
        return HOST

    @functools.cached_property
    def mass(self) -> Mass:
        """Weights of all samples, for one model."""
        if self.known is not None:
            return self.known
        if self.whole is None:
            return merge_masses(self.each(weigh))
        masses, number = self.whole.masses, self.chosen[0][1][0]
        return masses[number if len(masses) > 1 else 0]

    @functools.cached_property
    def masses(self) -> list[Mass]:
        """Masses of models with targets or weights of their own, asked for together; just one if they share both."""
        return [merge_masses(of_parts) for of_parts in zip(*self.each(weigh_models), strict=True)]

    @property
    def effective_samples(self) -> float:
        """Effective number of samples (sum s)^2 / sum s^2, for weights s; m without weights."""
        return self.mass.effective

    def shares(self) -> np.ndarray:
        """Share of each class (K,) by weight, of both classes if there are two."""
        return self.mass.classes / self.mass.total

    def centered(self, center: Array) -> "Distributed":
        """Return these samples with X - center in place of X."""
        return self._viewed("centered", center, center=HOST.put(center, self.dtype))

    def bare(self) -> "Distributed":
        """Return these samples without their features."""
        return self._viewed("bare")

    def uncentered(self) -> "Distributed":
        """Return these samples without a centre, as X itself."""
        return self if self.center is None else self._viewed("uncentered", center=None)

    def widened(self) -> "Distributed":
        """Return these samples, computed in float64."""
        return self._viewed("widened", dtype="float64")

    def narrowed(self) -> "Distributed":
        """Return these samples, computed in float32; parts up to a certain size are converted once."""
        narrowed = self._with_fields(narrow, Columns())
        return dataclasses.replace(narrowed, view=(), dtype="float32", known=self.known, whole=self.whole)

    def _viewed(self, name: str, *arguments: Any, **changed: Any) -> "Distributed":
        return dataclasses.replace(self, view=(*self.view, (name, arguments)), **changed)

    def settled(self) -> "Distributed":
        """Return these samples unchanged: to convert them in each pass takes less time than a task of its own."""
        return self

    def _with_fields(self, make: Callable[..., Any], columns: Columns, *options: Any) -> "Distributed":
        """Return these samples with fields of `InMemory` that the workers make: make(part, columns, *options).

        Each part gets the columns of its own samples.
        """
        assert not self.chosen or make is narrow, "what models own is numbered as they all are"
        pieces, view = self.parts.pieces, (*self.chosen, *self.view)
        tasks = [Task(view, make, (columns.cut(piece.start, piece.stop), *options)) for piece in pieces]
        return dataclasses.replace(self, fields=tuple(self._send(fields_of, pieces, tasks)), known=None, whole=None)

    def holding(self, targets: Targets, weight: Array | None) -> "Distributed":
        """Return these samples with the targets and weights (1, m) of one model, as far as the parts lack them."""
        theirs = targets.Y is self.parts.targets.Y
        if theirs and weight is self.parts.weight:
            return self
        columns = Columns(None if theirs else to_host(targets.Y), None if weight is None else to_host(weight))
        n_classes = len(targets.classes) if targets.numbers else None
        held = self._with_fields(hold, columns, weight is None, n_classes)
        return dataclasses.replace(held, total_weight=total_of(weight, self.m))

    def sharing(self, columns: Columns, target_of: np.ndarray | None, weight_of: np.ndarray | None) -> "Distributed":
        """Return these samples with targets and weights of several models, see `InMemory.sharing`."""
        return self._with_fields(share, columns, target_of, weight_of)

    def like(self, model: "Distributed") -> "Distributed":
        """Return ``model`` as it was handed in: samples of one model of the same X."""
        return model.uncentered()

    def weighing(self, totals: np.ndarray) -> "Distributed":
        """Return these samples with the sums of the weights (g,) of each model."""
        return dataclasses.replace(self, total_weight=totals)

    def leaving_out(self, numbers: np.ndarray, fold_of: np.ndarray, held_out: bool = False) -> "Distributed":
        """Return these samples for g models, each of which leaves out a fold; see `Samples.leaving_out`."""
        small = numbers.astype(np.min_scalar_type(int(numbers.max())))
        return self._with_fields(mask, Columns(group=small[None, :]), fold_of, held_out)

    def without_fold(self, numbers: np.ndarray, fold: int) -> "Distributed":
        """Return these samples with a weight of zero for those in a fold; -1 changes nothing."""
        if fold < 0:
            return self
        masked = self.leaving_out(numbers, np.asarray([fold])).alone(0)
        return dataclasses.replace(masked, total_weight=masked.mass.total)

    def grouping(self, numbers: np.ndarray) -> "Distributed":
        """Return these samples with the number of each sample's group (m,)."""
        return dataclasses.replace(
            self._with_fields(group, Columns(group=numbers[None, :])), known=self.known, whole=self.whole
        )

    def ordered(self, order: np.ndarray) -> None:
        """Return None: the workers keep their samples."""

    def lost_class(self, targets: Targets) -> int | None:
        """Return the number of a class whose samples all have the weight zero; None if every class has weight."""
        lost = np.flatnonzero(self.mass.classes == 0)
        return int(lost[0]) if lost.size else None

    def host_rows(self, index: np.ndarray) -> np.ndarray:
        """Bring X (n, n_x) of some samples, by number in ascending order, to the memory of the client."""
        return self.take(index).host_rows(np.arange(len(index)))

    def flaws(self) -> Flaws:
        """Find the values of X that are not finite."""
        pairs = zip(self.each(InMemory.flaws), self.parts.pieces, strict=True)
        found = [(flaws, piece) for flaws, piece in pairs if flaws.values]
        if not found:
            return Flaws(0)
        first, piece = found[0]
        where: dict[str, Any] = {"sample": first.sample + piece.start, "part": f", in {piece.name}"}
        return first._replace(values=sum(flaws.values for flaws, _ in found), **where)

    def gathered(self) -> InMemory:
        """Bring all samples to the memory of the client."""
        return self.take(np.arange(self.m))

    def keep(self, models: np.ndarray) -> "Distributed":
        """Return these samples for some of the models only, by number."""
        if self.fields is None:  # all models have the same targets and weights
            return self
        total = self.total_weight[models] if np.ndim(self.total_weight) else self.total_weight
        chosen, whole = (("keep", (self._numbers(models),)),), self.whole or self
        return dataclasses.replace(self, chosen=chosen, total_weight=total, whole=whole)

    def alone(self, model: int) -> "Distributed":
        """Return these samples with the targets and weights of one of the models."""
        if self.fields is None:
            return self
        total = float(self.total_weight[model]) if np.ndim(self.total_weight) else self.total_weight
        chosen, whole = (("alone", (int(self._numbers(np.asarray(model))),)),), self.whole or self
        return dataclasses.replace(self, chosen=chosen, total_weight=total, known=None, whole=whole)

    def _numbers(self, models: np.ndarray) -> np.ndarray:
        """Turn numbers among the chosen models into numbers among all models."""
        return self.chosen[0][1][0][models] if self.chosen else models

    def each(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Call function(part, *arguments) for every part, where it lives; return the answers in order."""
        pieces = self.parts.pieces
        order = Task((*self.chosen, *self.view), function, arguments)
        return self._collect(pieces, self._send(ordered, pieces, [order] * len(pieces)))

    def sum(self, function: Callable[..., tuple[Array, ...]], *arguments: Any) -> tuple[Array, ...]:
        """Sum over all parts in one pass, see `Source.sum`; array arguments and sums are on the host."""
        return tree_sum(self.each(InMemory.sum, function, *arguments))

    def samples(self, counts: tuple[int, ...], shares: np.ndarray, rng: np.random.Generator) -> list[InMemory]:
        """Draw disjoint random subsets into the memory of the client, see `draw_subsets`."""
        return draw_subsets(self, counts, shares, rng)

    def take(self, index: np.ndarray) -> InMemory:
        """Bring some of the samples, by number in ascending order, to the memory of the client."""
        local = list(self._split(index))
        pieces = tuple(piece for piece, _ in local)
        tasks = [Task(self.chosen, fetch, (numbers,)) for _, numbers in local]
        found: list[InMemory] = self._collect(pieces, self._send(ordered, pieces, tasks))
        parts: list[Any] = [part.raw(0, part.m) if part.dense else part.X for part in found]
        X = Dense(np.concatenate(parts, axis=1)) if found[0].dense else parts[0].joined(parts)
        columns = Columns.joined([part.columns for part in found])
        total = float(len(index) if columns.weight is None else np.sum(columns.weight, dtype=np.float64))
        return viewed(dataclasses.replace(found[0], X=X, columns=columns, total_weight=total), self.view)

    def _split(self, index: np.ndarray) -> Iterator[tuple[Shard, np.ndarray]]:
        """Yield each part that holds any of the samples, with the samples' numbers in the part."""
        for piece in self.parts.pieces:
            first, last = np.searchsorted(index, (piece.start, piece.stop)).tolist()
            if last > first:
                yield piece, index[first:last] - piece.start

    def _send(self, task: Callable[..., Any], pieces: tuple[Shard, ...], orders: list[Any]) -> list[Any]:
        """Start the task for each of these parts, with its order and the models' own fields; return the futures."""
        each: list[list[Any]] = [[piece.future for piece in pieces], orders]
        if self.fields is not None:
            futures = dict(zip(self.parts.pieces, self.fields, strict=True))
            each.append([futures[piece] for piece in pieces])
        return self.parts.workers.send(task, *each)

    def _collect(self, pieces: tuple[Shard, ...], tasks: list[Any]) -> list[Any]:
        return self.parts.workers.collect(tasks, [piece.name for piece in pieces])
