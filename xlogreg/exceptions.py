"""Errors and warnings of xlogreg; each is a class of its own, so that it can be caught or filtered alone."""

import contextlib
import errno
import sys
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

__all__ = [
    "BackendFallbackWarning",
    "BackendUnavailableError",
    "BlockError",
    "CheckpointWarning",
    "ConvergenceWarning",
    "DivergenceWarning",
    "MissingClassWarning",
    "ModelFileError",
    "PrecisionWarning",
    "SeparationWarning",
    "UnseenLevelWarning",
    "WorkersLostError",
    "XlogregWarning",
    "expect_memory",
    "lacks_memory",
    "one_of",
    "shown",
    "unconverged",
    "warn",
]

# texts of errors without a class of their own that say that the system gave no memory to a thread or a loaded library
LACKING = (
    "can't start new thread",
    "Failed to launch worker thread",
    "failed to map segment",
    "Cannot allocate memory",
)
SHOWN = 80  # largest number of characters of a value in an error
_messages: ContextVar[list[str] | None] = ContextVar("messages", default=None)


class BackendUnavailableError(RuntimeError):
    """The backend or device asked for does not work on this machine, and ``fallback=False``."""


class BlockError(RuntimeError):
    """A block of samples cannot be read, or has changed since the fit began; the message names the block."""


class ModelFileError(ValueError):
    """The file is no model of xlogreg, is damaged, or was written by a newer version."""


class WorkersLostError(RuntimeError):
    """The workers of the dask cluster, or its scheduler, are gone, so the fit is lost."""


class XlogregWarning(UserWarning):
    """Base of every warning of xlogreg: filter this one to filter them all."""


class BackendFallbackWarning(XlogregWarning):
    """The backend or device asked for does not work on this machine; the fit computes where the data are."""


class CheckpointWarning(XlogregWarning):
    """A checkpoint could not be written; the fit goes on, and tries again."""


class ConvergenceWarning(XlogregWarning):
    """The tolerance was not reached; the message says what to do."""


class DivergenceWarning(XlogregWarning):
    """Gradient descent ran away: the learning rate is too large for these data."""


class MissingClassWarning(XlogregWarning):
    """A class has no sample in the training part of a fold, so the models of that fold give it the probability 0."""


class PrecisionWarning(XlogregWarning):
    """The device offers less precision than was asked for, or floats hold large values of X too coarsely."""


class SeparationWarning(XlogregWarning):
    """A hyperplane separates the classes, so the unpenalised cost has no minimum; see `xlogreg.separation`."""


class UnseenLevelWarning(XlogregWarning):
    """A table to predict on has levels that the fitted one did not have; the model takes them for the dropped level."""


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that the system gave no more memory, in the words of any library."""
    lacking = isinstance(error, OSError) and error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or lacking or any(sign in str(error) for sign in LACKING)


def expect_memory(error: BaseException, doing: str) -> None:
    """Raise a MemoryError if an error means a lack of memory; callers take all others for faults of the data."""
    if lacks_memory(error):
        raise MemoryError(f"out of memory while {doing}" + (f": {error}" if str(error) else "")) from error


@contextlib.contextmanager
def unconverged() -> Iterator[list[str]]:
    """Collect the messages of `ConvergenceWarning` instead of warning, for a caller with a criterion of its own."""
    messages: list[str] = []
    token = _messages.set(messages)
    try:
        yield messages
    finally:
        _messages.reset(token)


def warn(message: str, category: type[XlogregWarning]) -> None:
    """Warn at the caller's line: the first frame outside this package."""
    messages = _messages.get()
    if category is ConvergenceWarning and messages is not None:
        messages.append(message)
        return
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "xlogreg":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raise if a value is none of the allowed names."""
    if not isinstance(value, str) or value not in allowed:
        names = [repr(name) for name in allowed]
        wanted = " or ".join(names) if len(names) == 2 else f"one of {', '.join(names)}"
        raise ValueError(f"{name} must be {wanted}, not {shown(value)}")


def shown(value: Any) -> str:
    """Format a value for an error, on one short line."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python refuses to print an integer of thousands of digits
        text = f"{type(value).__name__} of thousands of digits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({type(value).__name__})"
