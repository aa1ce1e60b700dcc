"""The options of a fit that are not arrays: checked once, here, in the user's words."""

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["SOLVERS", "Options", "dtype_option", "options_of_models"]

SOLVERS = ("auto", "gd", "newton", "lbfgs")
MAX_ITER = {"auto": 2000, "gd": 1000, "newton": 100, "lbfgs": 2000}
LOSSES = ("log_loss", "squared_error")


@dataclass(frozen=True)
class Options:
    """Options as handed to `xlogreg.fit`; creating one checks them.

    Raises
    ------
    ValueError, TypeError
        Naming the option, what came and what is right.
    """

    solver: str
    loss: str
    l2: float
    bias: bool
    standardize: bool | float
    learning_rate: float | str
    max_iter: int | None
    tol: float | None
    rng: int | np.random.Generator
    callback: Callable[[Any], Any] | None
    verbose: int
    time_limit: float | None = None

    def __post_init__(self) -> None:
        _one_of("solver", self.solver, SOLVERS)
        _one_of("loss", self.loss, LOSSES)
        if self.loss == "squared_error" and self.solver != "gd":
            raise ValueError(
                f"loss='squared_error' needs solver='gd', not {self.solver!r}: its cost is not convex, "
                "so no other solver can prove a minimum; loss='log_loss' works with every solver"
            )
        _number("l2", self.l2, zero=True)
        if self.standardize is not True and self.standardize is not False:
            _number("standardize", self.standardize, also="True, False or ")
        if self.learning_rate != "auto":
            _number("learning_rate", self.learning_rate, also="'auto' or ")
        if self.max_iter is not None:
            if not isinstance(self.max_iter, numbers.Integral) or isinstance(self.max_iter, bool):
                raise TypeError(f"max_iter must be a whole number, not {self.max_iter!r}")
            if self.max_iter < 1:
                raise ValueError(f"max_iter must be 1 or more, not {self.max_iter}")
        if self.tol is not None:
            _number("tol", self.tol, zero=True)
        if self.time_limit is not None:
            _number("time_limit", self.time_limit, unit=" of seconds")
        if not isinstance(self.bias, (bool, np.bool_)):
            raise TypeError(f"bias must be True or False, not {self.bias!r}")
        if isinstance(self.rng, bool) or not isinstance(self.rng, (numbers.Integral, np.random.Generator)):
            raise TypeError(f"rng must be a whole number or a numpy.random.Generator, not {self.rng!r}")
        if isinstance(self.rng, numbers.Integral) and self.rng < 0:
            raise ValueError(f"rng must not be negative, not {self.rng!r}")
        if not isinstance(self.verbose, (numbers.Integral, np.bool_)):
            raise TypeError(f"verbose must be 0 or 1, not {self.verbose!r}")
        if self.callback is not None and not callable(self.callback):
            raise TypeError(f"callback must be callable, not {type(self.callback).__name__}")

    @property
    def steps(self) -> int:
        """How many steps a solver may take at most."""
        return self.max_iter or MAX_ITER[self.solver]


def options_of_models(
    l2s: Any,
    bias: bool,
    standardize: bool | float,
    max_iter: int | None,
    tol: float | None,
    rng: int | np.random.Generator,
) -> list[Options]:
    """Those of models that differ in their penalty."""
    try:
        penalties = np.ravel(np.asarray(l2s, dtype=np.float64)).tolist()
    except (TypeError, ValueError):
        raise TypeError(f"l2s must hold numbers, not {l2s!r}") from None
    if not penalties:
        raise ValueError("l2s is empty; it must hold the penalty of at least one model")
    return [Options("auto", "log_loss", l2, bias, standardize, "auto", max_iter, tol, rng, None, 0) for l2 in penalties]


def dtype_option(dtype: Any) -> str | None:
    """The option dtype as "float32" or "float64": a name, or a dtype of any library."""
    if dtype is None:
        return None
    # a name; np.dtype has .name, np.float32 has __name__, torch.float32 only prints
    name = str(getattr(dtype, "name", getattr(dtype, "__name__", dtype))).rpartition(".")[2]
    if name not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64', the types that are computed in, not {dtype!r}")
    return name


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, not {value!r}")


def _number(name: str, value: Any, zero: bool = False, also: str = "", unit: str = "") -> None:
    wanted = f"{also}a finite number{unit} {'>= 0' if zero else '> 0'}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be {wanted}, not {value!r}")
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise ValueError(f"{name} must be {wanted}, not {value!r}")
