"""Choose where a fit computes: where the user asked for if that works here, else with a fallback that warns."""

from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.libraries.table import LIBRARIES, gpu_default
from xlogreg.arrays.place import HOST, Place, place_on, why_unusable
from xlogreg.exceptions import BackendFallbackWarning, BackendUnavailableError, one_of, shown, warn

__all__ = ["Lack", "Where", "choose_place", "find_place", "usable_place", "warn_of"]

# backend="auto" moves host data of at least this size to a GPU. A fit reads X about ten times, twice in each
# pass, and one copy over the bus costs about as much as one reading by a CPU. So the gain has to outweigh the
# start of the device: about a second, in which a laptop reads X of this size ten times.
AUTO_BYTES = 256 * 2**20


class Where(NamedTuple):
    """Where a fit computes, as handed to `xlogreg.fit`."""

    backend: Any = None
    device: Any = None
    dtype: Any = None
    fallback: bool = True


class Lack(NamedTuple):
    """Reason why a fit cannot compute where the user asked for; prints as one line."""

    asked: str
    reason: str

    def __str__(self) -> str:
        return f"{self.asked}: {self.reason}"


def choose_place(data: Place, nbytes: int, where: Where) -> tuple[Place, str | None]:
    """Choose where to compute; warn and return the reason if that is not where the user asked for.

    Parameters
    ----------
    data : Place
        Where X lives.
    nbytes : int
        Size of X in bytes.
    where : Where

    Raises
    ------
    ValueError, TypeError
        If the backend does not exist; the message lists the backends that work here.
    BackendUnavailableError
        If the backend does not work here, and ``where.fallback`` is False.
    """
    place, lack = find_place(data, nbytes, where)
    if lack is not None:
        warn_of(lack, "on this machine", str(data))
    return place, None if lack is None else str(lack)


def warn_of(lack: Lack, where: str, instead: str) -> None:
    """Warn that the backend does not work there, and say what computes instead."""
    remedy = f"Computing with {instead} instead; fallback=False makes this an error"
    warn(f"{lack.asked} is not usable {where}: {lack.reason}. {remedy}", BackendFallbackWarning)


def find_place(data: Place, nbytes: int, where: Where) -> tuple[Place, Lack | None]:
    """Choose where to compute, like `choose_place`, but do not warn."""
    backend, device, _, fallback = where
    if backend is not None and not isinstance(backend, str):
        raise TypeError(f"backend must be a name such as 'cupy', not {type(backend).__name__}")
    if not isinstance(fallback, (bool, np.bool_)):
        raise TypeError(f"fallback must be True or False, not {shown(fallback)}")
    if backend == "auto":
        moves = data.name == HOST.name and nbytes >= AUTO_BYTES and not why_unusable(gpu_default(), device)
        return (place_on(gpu_default(), device) if moves else data), None
    if backend is not None and backend not in LIBRARIES:
        usable = ", ".join(repr(name) for name in LIBRARIES if not why_unusable(name))
        raise ValueError(f"backend {backend!r} is unknown; usable on this machine: {usable}, 'auto', None")
    name = data.name if backend is None else backend
    if device is None and name == data.name:
        return data, None
    reason = why_unusable(name, device)
    if not reason:
        return place_on(name, device), None
    asked = f"backend={name!r}" + ("" if device is None else f", device={device!r}")
    if not fallback:
        raise BackendUnavailableError(f"{asked} is not usable on this machine: {reason}")
    return data, Lack(asked, reason)


def usable_place(backend: Any, device: Any) -> Place:
    """Return the place of a backend and a device; raise if it does not work.

    Raises
    ------
    ValueError, BackendUnavailableError
        If the backend does not exist, or does not work here.
    """
    one_of("backend", backend, tuple(LIBRARIES))
    reason = why_unusable(backend, device)
    if reason:
        raise BackendUnavailableError(f"backend={backend!r} is not usable on this machine: {reason}")
    return place_on(backend, device)
