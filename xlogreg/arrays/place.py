"""Places where arrays live, transfers between them, and the backends that work on this machine.

The rest of the library sees a namespace (from an array) and a `Place` (a library on one of its devices).
It never asks which library it works with; the differences between libraries are in `xlogreg.arrays.traits`.
"""

import contextlib
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from xlogreg.arrays.libraries.table import LIBRARIES, module_of
from xlogreg.arrays.traits import (
    array_namespace,
    center_integers,
    device_of,
    is_array,
)

__all__ = [
    "HOST",
    "ROUNDING",
    "Array",
    "BackendStatus",
    "Place",
    "array_namespace",
    "available_backends",
    "computes_there",
    "device_of",
    "dtype_name",
    "is_array",
    "log1p",
    "log1p_folds",
    "name_of",
    "place_of",
    "place_on",
    "to_host",
]

Array = Any  # an array of any library that follows the array API standard
ROUNDING = {"float32": 2.0**-23, "float64": 2.0**-52}  # relative error of one operation
SHORT_RUN = 16  # neighbours in a run; if runs are shorter on average, elements are gathered one by one
ACROSS_FEATURES = 32  # up to so many, products with X take a tenth to a half less time where samples lie side by side
PIECE_BYTES = 64 * 2**20  # largest piece of a copy to a device
Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")
_names: dict[type, str] = {}
_dtype_names: dict[tuple[type, Any], str] = {}


def dtype_name(array: Array) -> str:
    """Name of an array's dtype, whatever the library and the byte order: "float32"."""
    dtype = array.dtype
    key = type(dtype), dtype  # with the type, since dtypes of two libraries must not be compared
    if key not in _dtype_names:
        _dtype_names[key] = getattr(dtype, "name", None) or str(dtype).rpartition(".")[2]
    return _dtype_names[key]


def to_host(array: Array) -> np.ndarray:
    """Return the array as a NumPy array: a view where the library allows one, else a copy."""
    return LIBRARIES[name_of(array)].fetch(array)


def name_of(array: Array) -> str:
    """Backend name of an array's library."""
    kind = type(array)
    if kind in _names:
        return _names[kind]
    for name, library in LIBRARIES.items():
        if library.owns(array):
            _names[kind] = name
            return name
    raise TypeError(f"{type(array).__name__} is no array of {', '.join(LIBRARIES)}")


@dataclass(frozen=True)
class Place:
    """A place where arrays live: a library and one of its devices."""

    name: str
    device: Any

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the names of library and device: modules cannot be pickled, nor can the devices of some libraries."""
        return place_on, (self.name, self.device_name)

    @functools.cached_property
    def xp(self) -> Any:
        """The namespace of the library."""
        return LIBRARIES[self.name].namespace(module_of(self.name))

    @functools.cached_property
    def is_device(self) -> bool:
        """Whether this is a device with memory of its own, such as a GPU: each call takes as long as a lot of work."""
        return self != HOST and self.free_bytes is not None

    @property
    def makes_pieces(self) -> bool:
        """Whether products of features, and squares, are made in pieces that take little memory beside X."""
        return LIBRARIES[self.name].in_pieces

    @functools.cached_property
    def small_blocks(self) -> bool:
        """Whether blocks of the size of a CPU's cache save time here."""
        return LIBRARIES[self.name].small_blocks(self.device)

    @property
    def compiles(self) -> bool:
        """Whether functions are compiled here, anew for each size of a block."""
        return LIBRARIES[self.name].compile is not None

    def dtype(self, name: str) -> Any:
        """The library's dtype of that name."""
        return getattr(self.xp, name)

    @functools.cached_property
    def widest(self) -> str:
        """The dtype that sums are accumulated in: float64 where the device has it, else float32."""
        return "float64" if self.offers("float64") else "float32"

    def offers(self, dtype: str) -> bool:
        """Whether the device has that dtype."""
        return dtype in self.xp.__array_namespace_info__().dtypes(device=self.device)

    def put(self, array: Any, dtype: str | None = None) -> Array:
        """Move the array to this place and convert it to ``dtype`` if given; return it as it is if nothing differs."""
        wanted = None if dtype is None else self.dtype(dtype)
        if is_array(array) and name_of(array) == self.name:
            if wanted is not None and array.dtype != wanted:  # before the move: not every device has every dtype
                with place_of(array).computing():
                    array = self.xp.astype(array, wanted)
            if device_of(array) != self.device:
                array = LIBRARIES[self.name].move(array, self.device)
            return array
        host = to_host(array) if is_array(array) else np.asarray(array)
        if dtype is not None and host.dtype != dtype:
            host = host.astype(dtype)
        if self.name == HOST.name:
            return host
        with self.computing():
            array = self._copied(host)
            return array if wanted is None or array.dtype == wanted else self.xp.astype(array, wanted)

    def _copied(self, host: np.ndarray) -> Array:
        """Copy the array to this place; to a device in pieces, so that no second full copy is made on the way."""
        if host.nbytes <= PIECE_BYTES or self.small_blocks or not LIBRARIES[self.name].fills or host.ndim != 2:
            return self.xp.asarray(self._native(host), device=self.device)
        sample = self._copied(host[:1, :1])
        array = self.xp.empty(host.shape, dtype=sample.dtype, device=self.device)
        axis = 0 if host.flags.c_contiguous else 1  # so that a piece is contiguous
        step = max(1, PIECE_BYTES * host.shape[axis] // host.nbytes)
        for start in range(0, host.shape[axis], step):
            part = slice(start, min(start + step, host.shape[axis]))
            at = (part, slice(None)) if axis == 0 else (slice(None), part)
            array[at] = self.xp.asarray(self._native(host[at]), device=self.device)
        return array

    def _native(self, host: np.ndarray) -> np.ndarray:
        """Convert what other libraries refuse or warn about: byte order, negative strides, read-only memory, dtypes."""
        native = np.require(host, host.dtype.newbyteorder("="), ["W"])
        native = native if min(native.strides, default=0) >= 0 else native.copy()
        narrow = {"float64": "float32", "int64": "int32", "uint64": "uint32"}.get(native.dtype.name)
        return native if narrow is None or self.offers(native.dtype.name) else native.astype(narrow)

    def send(self, host: np.ndarray) -> Array:
        """Copy a block to this place, while the device computes with other blocks if the library can do that."""
        send = LIBRARIES[self.name].send
        if send is None or self.small_blocks:
            return self.put(host)
        return send(module_of(self.name), self._native(host), self.device)

    @property
    def free_bytes(self) -> int | None:
        """Free memory of the device in bytes; None where it is not known."""
        return LIBRARIES[self.name].free(module_of(self.name), self.device)

    def trim(self) -> None:
        """Give memory that the library keeps for later back to the device."""
        LIBRARIES[self.name].trim(module_of(self.name), self.device)

    def take(self, X: Array, index: Array, axis: int) -> Array:
        """Take the elements of X (two axes) at the indices along the axis."""
        if not self.small_blocks:
            return self.xp.take(X, index, axis=axis)
        host = to_host(index)
        cuts = [0, *(np.flatnonzero(np.diff(host) != 1) + 1).tolist(), host.shape[0]]
        if isinstance(X, np.ndarray) and X.flags.forc and len(cuts) * SHORT_RUN > host.shape[0]:
            # NumPy would copy all of X first where its last axis is not contiguous
            return np.take(X, host, axis) if X.flags.c_contiguous else np.take(X.T, host, 1 - axis).T
        runs = [slice(host[i], host[j - 1] + 1) for i, j in itertools.pairwise(cuts)]
        return self.xp.concat([X[run, :] if axis == 0 else X[:, run] for run in runs], axis=axis)

    def convert(self, X: Array, dtype: str, center: Array | None, exact: bool = False) -> Array:
        """Compute X - center in that dtype: X itself, a new array, or memory that the thread's next call overwrites."""
        # exact is for integers that the dtype would round
        convert = center_integers if exact else LIBRARIES[self.name].convert
        return convert(self.xp, X, self.dtype(dtype), center)

    def kept(self, X: Array) -> Array:
        """Keep what `convert` made, X (n_x, m), for many passes; the host copies it, since its memory is used again.

        Of few features, the samples of one feature come to lie side by side there.
        """
        if not self.small_blocks:
            return X
        if X.shape[0] > ACROSS_FEATURES:
            return self.xp.asarray(X, copy=True)
        return self.xp.reshape(self.xp.reshape(X, (-1,), copy=True), X.shape)

    def compiled(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Callable[..., Any]:
        """Compile a function of a block and these arguments, if the library can and it is worth it.

        It is worth it if the last argument is a constant, the loss: with a loss, a function takes dozens of small
        steps for each block.
        """
        compile = LIBRARIES[self.name].compile
        return function if compile is None or is_array(arguments[-1]) else compile(function)

    def bring(self, arrays: tuple[Array, ...], dtype: str | None = None) -> tuple[Array, ...]:
        """Bring small arrays of one place and dtype here, in one transfer and in ``dtype``, by default the widest."""
        origin = place_of(arrays[0])
        if origin == self:
            return arrays
        with origin.computing():
            flat = origin.xp.concat([origin.xp.reshape(array, (-1,)) for array in arrays])
        flat = self.put(flat, dtype or self.widest)
        stops = np.cumsum([math.prod(array.shape) for array in arrays]).tolist()
        parts = [flat[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]
        return tuple(self.xp.reshape(part, array.shape) for part, array in zip(parts, arrays, strict=True))

    def computing(self) -> contextlib.AbstractContextManager:
        """Return the context to enter for computing with arrays of this place.

        Silences NumPy's floating-point warnings: xlogreg itself looks for values that are not finite, and names
        them. Makes the device current, and switches off the recording of gradients, autocast, and matrix products in
        less than float32, where a library has them.
        """
        library, quiet = LIBRARIES[self.name], np.errstate(all="ignore")
        if library.context is None:
            return quiet
        stack = contextlib.ExitStack()
        stack.enter_context(quiet)
        stack.enter_context(library.context(module_of(self.name), self.device))
        return stack

    def computing_elsewhere(self) -> Callable[[], contextlib.AbstractContextManager]:
        """Return a function that makes contexts for computing here in other threads, on this thread's current stream.

        Each thread has a current stream of its own. A library gives freed memory back to the stream that it was
        allocated on, where the next use of it waits for the last.
        """
        library = LIBRARIES[self.name]
        if library.stream is None:
            return self.computing
        current = library.stream(module_of(self.name), self.device)

        @contextlib.contextmanager
        def computing() -> Iterator[None]:
            with self.computing(), current():
                yield

        return computing

    def __str__(self) -> str:
        return f"{self.name} on {self.device_name}"

    @property
    def device_name(self) -> str:
        """The device as a user would name it."""
        return LIBRARIES[self.name].device_name(self.device)


HOST = Place("numpy", "cpu")


def place_of(array: Array) -> Place:
    """Return the place where an array lives."""
    return HOST if type(array) is np.ndarray else Place(name_of(array), device_of(array))


def computes_there(function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """Let a function compute where its first argument lives, if that is an array of a library other than NumPy."""

    @functools.wraps(function)
    def there(*arguments: Parameters.args, **options: Parameters.kwargs) -> Answer:
        first = arguments[0]
        if isinstance(first, np.ndarray) or not any(library.owns(first) for library in LIBRARIES.values()):
            return function(*arguments, **options)
        with place_of(first).computing():
            return function(*arguments, **options)

    return there


def place_on(name: str, device: Any = None) -> Place:
    """Return the place of a backend and a device, both as the user names them; raise what the library raises."""
    module = module_of(name)
    return Place(name, LIBRARIES[name].device(module, device))


def why_unusable(name: str, device: Any = None) -> str:
    """Say why a backend (on a device) does not work on this machine; return "" if it works.

    Computes something small there, since a library that imports may still lack a driver or a compiler.
    """
    library = LIBRARIES[name]
    try:
        place = place_on(name, device)
        with place.computing():
            ones = place.put(np.ones((2, 2), dtype=np.float32))
            total = to_host(place.xp.sum(place.xp.exp(ones - ones) @ ones))
        return "" if float(total) == 8.0 else f"computed {float(total)} where 8 is right"
    except ImportError as error:
        return f"{error}. Remedy: {library.remedy}"
    except Exception as error:  # each library has its own classes for a missing driver or device
        reason = (str(error).strip().splitlines() or [""])[0]
        return f"{type(error).__name__}: {reason}. Remedy: {library.remedy or 'name another device'}"


class BackendStatus(NamedTuple):
    """Status of one backend on this machine."""

    usable: bool
    version: str
    device: str
    reason: str

    def __str__(self) -> str:
        return f"{self.version or '-':12} {self.device or '-':24} {'usable' if self.usable else self.reason}"


class BackendTable(dict[str, BackendStatus]):
    """Backends by name; prints as a table."""

    def __str__(self) -> str:
        return "\n".join(f"{name:18}{status}" for name, status in self.items())


def available_backends() -> Mapping[str, BackendStatus]:
    """List which backends work on this machine, and why the others do not.

    Each backend computes something small on its default device, so "usable" means that it works. Imports the
    library of each backend.

    Returns
    -------
    mapping of str to BackendStatus
        For each backend name: ``usable``, ``version``, ``device`` (the default one) and ``reason`` (what is
        missing and how to get it; "" if usable). Prints as a table.

    Examples
    --------
    >>> available_backends()["numpy"].usable
    True
    """
    return BackendTable({name: _status(name) for name in LIBRARIES})


def _status(name: str) -> BackendStatus:
    reason = why_unusable(name)
    try:
        version = str(module_of(name).__version__)
    except Exception:  # not installed, or not importable: the reason says which
        version = ""
    return BackendStatus(not reason, version, "" if reason else place_on(name).device_name, reason)


def log1p(E: Array) -> Array:
    """Compute log(1 + e) for e >= 0, element by element, to full relative accuracy."""
    return LIBRARIES[name_of(E)].log1p(E)


def log1p_folds(E: Array) -> int:
    """Number of times that it is worth multiplying the factors 1 + e in pairs before taking their logarithms."""
    return LIBRARIES[name_of(E)].log1p_folds
