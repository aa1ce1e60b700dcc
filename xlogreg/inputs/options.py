"""Options of a fit that are not arrays; they are checked once, here, and errors use the user's words."""

import dataclasses
import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from xlogreg.arrays.place import is_array, to_host
from xlogreg.exceptions import one_of, shown
from xlogreg.inputs.tables import column_values

__all__ = ["SAMPLES", "SOLVER_NAMES", "TARGETS", "Options", "dtype_option", "options_of_models", "penalties_of"]

SOLVER_NAMES = ("auto", "gd", "newton", "lbfgs")
MAX_ITER = {"auto": 2000, "gd": 1000, "newton": 100, "lbfgs": 2000}
LOSS_NAMES = ("log_loss", "squared_error")
SAMPLES = ("columns", "rows")
TARGETS = ("labels", "probabilities")
MULTINOMIAL = ("ungrouped", "grouped")
PENALTIES = ("each", "group")
BIAS_REDUCTIONS = ("firth", "flic")
SUMS_TO_ONE = 1e-6  # by which the sum of shares may be off
INFORMED = 5000  # features, beyond which the information matrix of a bias reduction takes too much memory and time


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options as handed to `xlogreg.fit`; creating an object checks them.

    Raises
    ------
    ValueError, TypeError
        If an option is wrong; the message names the option, the value that came and the value that is right.
    """

    solver: str = "auto"
    loss: str = "log_loss"
    l1: float = 0.0
    l2: float
    penalty_factor: Any = None  # becomes an ndarray (n_x,), or None
    lower: Any = None  # becomes an ndarray (n_x,) or (1,), or None, like ``upper``
    upper: Any = None
    relax: float | None = None  # l2 of a second fit
    multinomial: str = "ungrouped"
    penalty: Any = "each"  # "each", "group", or becomes an ndarray (n_x,) of whole numbers
    bias_reduction: str | None = None
    prior: Any = None  # becomes an ndarray (1,) or (K,), or None
    columns: np.ndarray | None = None  # (n_x,) which column of a table each feature belongs to, see `in_columns`
    bias: bool
    standardize: bool | float
    learning_rate: float | str = "auto"
    max_iter: int | None
    tol: float | None
    rng: int | np.random.Generator
    callback: Callable[[Any], Any] | None = None
    verbose: int = 0
    time_limit: float | None = None
    course: Any = None  # of the call that the fit is a part of, see `xlogreg.fitting.monitors`

    def __post_init__(self) -> None:
        one_of("solver", self.solver, SOLVER_NAMES)
        one_of("loss", self.loss, LOSS_NAMES)
        if self.loss == "squared_error" and self.solver != "gd":
            raise ValueError(
                f"loss='squared_error' needs solver='gd', not {self.solver!r}: its cost is not convex, "
                "so no other solver can prove a minimum; loss='log_loss' works with every solver"
            )
        _number("l2", self.l2, zero=True)
        _number("l1", self.l1, zero=True)
        if self.relax is not None:
            _number("relax", self.relax, zero=True, also="None or ")
            if not self.l1:
                raise ValueError(
                    "relax fits the features again that an L1 penalty selects, and there is none: give l1 > 0, or "
                    "penalties with l1_ratio > 0"
                )
        object.__setattr__(
            self, "penalty_factor", _factors(self.penalty_factor, max(self.l1, self.l2, self.relax or 0.0))
        )
        for name, sign in (("lower", -1.0), ("upper", 1.0)):
            object.__setattr__(self, name, _bounds(name, getattr(self, name), sign))
        one_of("multinomial", self.multinomial, MULTINOMIAL)
        object.__setattr__(self, "penalty", _grouping(self.penalty))
        for name, asked in {"multinomial": self.multinomial == "grouped", "penalty": self.by_groups}.items():
            if asked and not (self.lower is None and self.upper is None):
                raise ValueError(
                    f"{name}={shown(getattr(self, name))} cannot be had with lower or upper: groups of weights have no "
                    "bounds; leave one of the two out"
                )
        kinks = {"l1": self.l1, "lower": self.lower is not None, "upper": self.upper is not None}
        for name in [name for name, given in kinks.items() if given and self.solver != "auto"]:
            raise ValueError(
                f"{name} needs solver='auto', not {self.solver!r}, whose steps know no kinks in the cost and no bounds"
            )
        if self.standardize is not True and self.standardize is not False:
            _number("standardize", self.standardize, also="True, False or ")
        if not (isinstance(self.learning_rate, str) and self.learning_rate == "auto"):
            _number("learning_rate", self.learning_rate, also="'auto' or ")
        if self.max_iter is not None:
            if not isinstance(self.max_iter, numbers.Integral) or isinstance(self.max_iter, bool):
                raise TypeError(f"max_iter must be a whole number, not {shown(self.max_iter)}")
            if self.max_iter < 1:
                raise ValueError(f"max_iter must be 1 or more, not {shown(self.max_iter)}")
        if self.tol is not None:
            _number("tol", self.tol, zero=True)
        if self.time_limit is not None:
            _number("time_limit", self.time_limit, unit=" of seconds")
        if not isinstance(self.bias, (bool, np.bool_)):
            raise TypeError(f"bias must be True or False, not {shown(self.bias)}")
        self._expect_reducible()
        object.__setattr__(self, "prior", _prior(self.prior, bool(self.bias)))
        if isinstance(self.rng, bool) or not isinstance(self.rng, (numbers.Integral, np.random.Generator)):
            raise TypeError(f"rng must be a whole number or a numpy.random.Generator, not {shown(self.rng)}")
        if isinstance(self.rng, numbers.Integral) and self.rng < 0:
            raise ValueError(f"rng must not be negative, not {shown(self.rng)}")
        if not isinstance(self.verbose, (numbers.Integral, np.bool_)):
            raise TypeError(f"verbose must be 0 or 1, not {shown(self.verbose)}")
        if self.callback is not None and not callable(self.callback):
            raise TypeError(f"callback must be callable, not {type(self.callback).__name__}")

    def _expect_reducible(self) -> None:
        """Raise if other options do not go with a bias reduction."""
        if self.bias_reduction is None:
            return
        one_of("bias_reduction", self.bias_reduction, BIAS_REDUCTIONS)
        others = {
            "l1": self.l1,
            "l2": self.l2,
            "lower": self.lower is not None,
            "upper": self.upper is not None,
            "solver": self.solver != "auto",
            "loss": self.loss != "log_loss",
        }
        for name in [name for name, given in others.items() if given]:
            raise ValueError(
                f"bias_reduction={self.bias_reduction!r} has a penalty and steps of its own, and cannot be had with "
                f"{name}={shown(getattr(self, name))}; leave one of the two out"
            )
        if self.bias_reduction == "flic" and not self.bias:
            raise ValueError("bias_reduction='flic' fits the bias once more; with bias=False use 'firth'")

    def expect_classes(self, classes: int, n_x: int) -> None:
        """Raise if the options cannot be had with so many classes, or so many features."""
        if classes > 2 and self.loss == "squared_error":
            raise ValueError(f"loss='squared_error' is for two classes; Y has {classes}")
        if self.prior is not None and len(self.prior) not in ((1, 2) if classes == 2 else (classes,)):
            wanted = "the share of the second class, or those of both" if classes == 2 else "the share of each class"
            raise ValueError(f"prior holds {len(self.prior)} numbers, but Y has {classes} classes; give {wanted}")
        if self.bias_reduction is None:
            return
        if classes > 2:
            raise ValueError(f"bias_reduction={self.bias_reduction!r} is for two classes; Y has {classes}")
        if n_x > INFORMED:
            raise ValueError(
                f"bias_reduction={self.bias_reduction!r} needs the information matrix of all {n_x} features; beyond "
                f"{INFORMED} it takes too much memory and time: use l2 > 0"
            )

    @property
    def asked(self) -> str:
        """The solver that is asked for, of the names in `xlogreg.fitting.solving.SOLVERS`, or "auto"."""
        return self.solver if self.bias_reduction is None else "firth"

    @property
    def steps(self) -> int:
        """Largest number of steps that a solver may take."""
        return self.max_iter or MAX_ITER[self.solver]

    @property
    def factor(self) -> np.ndarray | None:
        """Factors (n_x,) of the penalty; None if all features have the same, which is then a part of `strength`."""
        own = self.penalty_factor
        return None if own is None or np.all(own == own[:1]) else own

    @property
    def strength(self) -> float:
        """l2 as the solvers take it: times the factor that all features have, if they have the same."""
        same = self.penalty_factor is not None and self.factor is None
        return float(self.l2) * float(self.penalty_factor[0]) if same else float(self.l2)

    @property
    def l1_strength(self) -> float:
        """l1 as the solvers take it, see `strength`."""
        same = self.penalty_factor is not None and self.factor is None
        return float(self.l1) * float(self.penalty_factor[0]) if same else float(self.l1)

    @property
    def roots(self) -> float | np.ndarray:
        """Roots (n_x, 1) of the factors: features that are divided by them have plain penalties."""
        return 1.0 if self.factor is None or self.strength == 0 else np.sqrt(self.factor)[:, None]

    @property
    def by_groups(self) -> bool:
        """Whether the user asks for groups of features."""
        return not (isinstance(self.penalty, str) and self.penalty == "each")

    @property
    def groups(self) -> np.ndarray | None:
        """The group (n_x,) of each feature, any whole numbers; None if each is a group of its own."""
        numbers = self.columns if isinstance(self.penalty, str) else self.penalty
        return None if numbers is None or not self.by_groups or len(np.unique(numbers)) == len(numbers) else numbers

    def in_columns(self, columns: np.ndarray | None) -> "Options":
        """Return the options for features of a table; ``columns`` (n_x,) says to which of its columns each belongs."""
        return dataclasses.replace(self, columns=columns) if self.by_groups else self

    def bounds_of(self, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the bounds of weights times ``scale`` (n_x, 1, 1), or None if there are none."""
        if self.lower is None and self.upper is None:
            return None
        lower, upper = (np.asarray([np.inf]) if bound is None else np.abs(bound) for bound in (self.lower, self.upper))
        inside = 1.0 - 1e-15  # so that no rounding leads out of them
        return (
            np.broadcast_to(-lower[:, None, None] * scale * inside, scale.shape),
            np.broadcast_to(upper[:, None, None] * scale * inside, scale.shape),
        )

    def expect_features(self, n_x: int) -> None:
        """Raise if the factors of the penalty, the bounds or the groups are not those of so many features."""
        if not isinstance(self.penalty, str) and len(self.penalty) != n_x:
            raise ValueError(
                f"penalty holds {len(self.penalty)} numbers, but X has {n_x} features; it must hold the group of each"
            )
        for name, bounds in (("lower", self.lower), ("upper", self.upper)):
            if bounds is not None and len(bounds) not in (1, n_x):
                raise ValueError(f"{name} holds {len(bounds)} bounds, but X has {n_x} features")
        if self.penalty_factor is not None and len(self.penalty_factor) != n_x:
            raise ValueError(
                f"penalty_factor holds {len(self.penalty_factor)} numbers, but X has {n_x} features; it must hold one "
                "for each feature"
            )


def options_of_models(
    l2s: Any,
    penalty_factor: Any,
    bias: bool,
    standardize: bool | float,
    max_iter: int | None,
    tol: float | None,
    rng: int | np.random.Generator,
    l1s: Any = 0.0,
    relax: Any = None,
    **others: Any,
) -> list[Options]:
    """Make the options of models that differ in their penalties only; those without L1 among others are not relaxed."""
    l1, l2 = penalties_of("l1s", l1s), penalties_of("l2s", l2s)
    g = max(len(l1), len(l2))
    for name, given in {"l1s": l1, "l2s": l2}.items():
        if len(given) not in (1, g):
            raise ValueError(f"{name} holds {len(given)} penalties, but there are {g} models")
    pairs = list(zip(*(given * (g // len(given)) for given in (l1, l2)), strict=True))
    factors = _factors(penalty_factor, max(l1 + l2))
    same: dict[str, Any] = {"bias": bias, "standardize": standardize, "max_iter": max_iter, "tol": tol, "rng": rng}
    same |= others
    some = any(l1 for l1, _ in pairs)
    return [
        Options(l1=l1, l2=l2, penalty_factor=factors, relax=None if some and not l1 else relax, **same)
        for l1, l2 in pairs
    ]


def penalties_of(name: str, values: Any) -> list[float]:
    """Return penalties, checked: finite numbers, not negative, and at least one."""
    try:
        given = np.asarray(values)
        penalties = np.ravel(given.astype(np.float64)).tolist() if given.dtype.kind in "iufO" else None
    except (TypeError, ValueError, OverflowError):
        penalties = None
    if penalties is None:
        raise TypeError(f"{name} must hold numbers that are finite and >= 0, not {shown(values)}")
    if not penalties:
        raise ValueError(f"{name} is empty; it must hold the penalty of at least one model")
    for number, penalty in enumerate(penalties):
        _number(f"{name}[{number}]", penalty, zero=True)
    return penalties


def dtype_option(dtype: Any) -> str | None:
    """Return the option dtype as "float32" or "float64"; the user may give a name, or a dtype of any library."""
    if dtype is None:
        return None
    # a name; np.dtype has .name, np.float32 has __name__, torch.float32 only prints
    named = getattr(dtype, "name", getattr(dtype, "__name__", dtype))
    name = (named if isinstance(named, str) else shown(named)).rpartition(".")[2]
    if name not in ("float32", "float64"):
        raise ValueError(f"dtype must be 'float32' or 'float64', the types that are computed in, not {shown(dtype)}")
    return name


def _factors(given: Any, l2: float) -> np.ndarray | None:
    """Return the factors of the penalty as an array (n_x,), checked."""
    if given is None:
        return None
    wanted = "one finite number >= 0 for each feature, of an array with one axis or a list"
    try:
        values = column_values(given, "penalty_factor")
        host = to_host(values) if is_array(values) else np.asarray(values)
        factors = host.astype(np.float64) if host.dtype.kind in "iufO" else None
        mixed = host.dtype == object or isinstance(given, (list, tuple))
        flags = mixed and any(
            isinstance(value, (bool, np.bool_)) for value in np.ravel(np.asarray(given, dtype=object))
        )
    except (TypeError, ValueError, OverflowError, RuntimeError):
        factors, flags = None, False
    if factors is None or flags:
        raise TypeError(f"penalty_factor must hold {wanted}, not {shown(given)}")
    if factors.ndim != 1:
        raise ValueError(f"penalty_factor must hold {wanted}; got the shape {factors.shape}")
    bad = np.flatnonzero(~np.isfinite(factors) | (factors < 0))
    if bad.size:
        raise ValueError(f"penalty_factor must hold {wanted}; that of feature {bad[0]} is {factors[bad[0]]:g}")
    if not float(l2) * float(factors.max(initial=0.0)) < math.inf:
        raise ValueError("penalty_factor times l2 must be a finite number, as a float, for each feature")
    return factors


def _prior(given: Any, bias: bool) -> np.ndarray | None:
    """Return the shares of classes in the population as an array (1,) or (K,), checked."""
    if given is None:
        return None
    wanted = "a share of the second class between 0 and 1, or shares of all classes that sum to one"
    if not bias:
        raise ValueError("prior moves the bias; it cannot be had with bias=False")
    try:
        values = column_values(given, "prior")
        host = to_host(values) if is_array(values) else np.asarray(values)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        host = np.asarray(None)
    if host.dtype.kind not in "iuf" or host.ndim > 1:
        raise TypeError(f"prior must be {wanted}, not {shown(given)}")
    shares = np.atleast_1d(host).astype(np.float64)
    inside = np.all((shares > 0.0) & (shares < 1.0))
    if not inside or (len(shares) > 1 and not abs(float(shares.sum()) - 1.0) <= SUMS_TO_ONE):
        raise ValueError(f"prior must be {wanted}, not {shown(given)}")
    return shares


def _grouping(given: Any) -> str | np.ndarray:
    """Return the option penalty, checked: a name, or the group of each feature as an array (n_x,)."""
    wanted = "'each', 'group', or a whole number for each feature: its group"
    if isinstance(given, str):
        if given not in PENALTIES:
            raise ValueError(f"penalty must be {wanted}, not {shown(given)}; how strong penalties are, l1 and l2 say")
        return str(given)
    try:
        values = column_values(given, "penalty")
        host = to_host(values) if is_array(values) else np.asarray(values)
    except (TypeError, OverflowError, RuntimeError):
        host = np.asarray(None)
    if host.dtype.kind not in "iu":
        raise TypeError(f"penalty must be {wanted}, not {shown(given)}")
    if host.ndim != 1 or not len(host):
        raise ValueError(f"penalty must be {wanted}; got the shape {host.shape}")
    return host.astype(np.int64)


def _bounds(name: str, given: Any, sign: float) -> np.ndarray | None:
    """Return bounds of the weights (n_x,) or (1,), checked; zero is within them. ``sign`` is that of the bounds."""
    if given is None:
        return None
    wanted = f"a number {'>=' if sign > 0 else '<='} 0, or one for each feature"
    try:
        values = column_values(given, name)
        host = to_host(values) if is_array(values) else np.asarray(values)
        numeric = host.dtype.kind in "iuf" and host.ndim <= 1 and not isinstance(given, bool)
        bounds = np.atleast_1d(host).astype(np.float64) if numeric else None
    except (TypeError, ValueError, OverflowError, RuntimeError):
        bounds = None
    if bounds is None:
        raise TypeError(f"{name} must be {wanted}, not {shown(given)}")
    bad = np.flatnonzero(~(bounds * sign >= 0))
    if bad.size or not len(bounds):
        raise ValueError(f"{name} must be {wanted}, not {shown(bounds[bad[0]].item() if bad.size else given)}")
    return bounds


def _number(name: str, value: Any, zero: bool = False, also: str = "", unit: str = "") -> None:
    wanted = f"{also}a finite number{unit} {'>= 0' if zero else '> 0'}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be {wanted}, not {shown(value)}")
    try:
        finite = math.isfinite(value)
    except OverflowError:  # an integer or a fraction is too large for a float
        finite = False
    if not finite or value < 0 or (value == 0 and not zero):
        raise ValueError(f"{name} must be {wanted}, not {shown(value)}")
