"""Numerical derivatives: the slope dy/dx = Δy / Δx of the notes (1.5), and a check of gradients against it.

A derivative is the slope of a function: how much y changes for a small change of x, divided by that change. The slope
from x - h to x + h has an error of h^2 f'''/6, which calls for a small h, and a rounding error of some eps |y| / h,
which calls for a large h. The step h = eps^(1/3) max(1, |x|) balances the two (Dennis & Schnabel, *Numerical Methods
for Unconstrained Optimization*, 1983, 5.6). eps is the precision of the dtype; two thirds of its digits are then right.
"""

import math
import numbers
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xlogreg.arrays.place import HOST, Array, array_namespace, device_of, dtype_name, is_array, place_of, to_host

__all__ = ["Coordinate", "GradientCheck", "as_real", "check_gradients", "slope"]


def slope(f: Callable[[Any], Any], x: float | Array, step: float | None = None) -> Any:
    """Slope dy/dx = Δy / Δx of y = f(x), from x - step to x + step (notes 1.5).

    Parameters
    ----------
    f : callable
        Takes x as a float or as a new array like x, and returns a number or an array. If x is an array, each y may
        depend only on the x in the same position.
    x : float or array of real numbers
    step : float, optional
        Default: eps^(1/3) max(1, abs x), with the eps of the dtype of x: 6e-6 in float64. Give a step if f computes in
        a lower precision than that dtype, or if f changes within less than the default step.

    Returns
    -------
    float or array
        In the library and on the device of the results of f.

    Raises
    ------
    TypeError, ValueError
        If x is not real, or if the step is not positive.

    Examples
    --------
    The derivative of ln(a) is 1/a (notes 1.6):

    >>> import math
    >>> round(slope(math.log, 2.0), 9)
    0.5
    """
    x = as_real(x, "x")
    step = _step(x, _epsilon(x), step)
    up, down = x + step, x - step
    return (f(up) - f(down)) / (up - down)


class Coordinate(NamedTuple):
    """One number that the function depends on, with its derivative from the gradient and from differences."""

    argument: int  # number of the argument after `gradient`, counted from 0
    position: tuple[int, ...]  # index into the argument
    derivative: float  # from the gradient
    slope: float  # from differences
    error: float


@dataclass(frozen=True, repr=False)
class GradientCheck:
    """The result of `check_gradients`: true if the gradient agrees with the slopes; prints as a sentence.

    Attributes
    ----------
    errors : tuple of float or array
        Relative error of each coordinate, in the shapes and on the devices of the arguments.
    worst : Coordinate
        The coordinate of the largest error: ``argument``, ``position``, ``derivative``, ``slope``, ``error``.
    tolerance : float
    """

    errors: tuple[Any, ...]
    worst: Coordinate
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether no error exceeds the tolerance, and none is NaN."""
        return self.worst.error <= self.tolerance

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        argument, position, derivative, slope, error = self.worst
        place = f"argument {argument}{list(position) if position else ''}"
        return (
            f"gradient {'agrees' if self.passed else 'DISAGREES'} with the slopes: largest relative error {error:.1e} "
            f"(tolerance {self.tolerance:.1e}), at {place}: derivative {derivative:.6g}, slope {slope:.6g}"
        )


def check_gradients(
    function: Callable[..., Any],
    gradient: Any,
    *at: Any,
    tolerance: float | None = None,
    step: float | None = None,
) -> GradientCheck:
    """Compare an analytic gradient with slopes of its function, coordinate by coordinate.

    The error of a coordinate x with derivative g and slope s is abs(g - s) / max(abs g, abs s, d), d = eps^(1/3)
    max(1, abs J) / max(1, abs x). A derivative smaller than d cannot be checked to its own precision, because the
    rounding of J alone adds some eps^(1/3) d to s. Its error is therefore relative to d; a derivative of 0 is no
    special case. The 1 stands for the usual size of x and of J, as in Dennis & Schnabel 1983, 7.2: scale x or J if they
    are much smaller.

    Parameters
    ----------
    function : callable
        ``J = function(*at)``, a number or an array of one element.
    gradient : callable, or its result
        ``gradient(*at)`` is the derivative in the shape of ``at``; for several arguments, a tuple in their order. Its
        result at this point will do, too: an array or a tuple of arrays, such as `xlogreg.gradients` returns.
    *at : float or array of real numbers
        The point to check at: w, or W, b, ... Nothing is written into them. Each coordinate takes two calls of the
        function.
    tolerance : float, optional
        The largest error of a gradient that passes. Default: 10 eps^(1/3), which is 6e-5 in float64 and 5e-2 in
        float32. eps is the largest of those of the arguments and of J.
    step : float, optional
        Default: eps^(1/3) max(1, abs x), for each coordinate.

    Returns
    -------
    GradientCheck
        True if the gradient passes, so that ``assert check_gradients(...)`` is a test. It holds the errors of all
        coordinates.

    Raises
    ------
    TypeError, ValueError
        If an argument is not real, if J is not a single number, or if the gradient does not have the shapes of the
        arguments.

    Examples
    --------
    >>> import numpy as np
    >>> import xlogreg
    >>> X, Y = np.asarray([[-2.0, -1.0, 1.0, 2.0]]), np.asarray([[0.0, 1.0, 0.0, 1.0]])
    >>> def cost(W, b):
    ...     return xlogreg.cost(W.T @ X + b, Y)
    >>> def gradients(W, b):
    ...     return xlogreg.gradients(X, xlogreg.sigmoid(W.T @ X + b), Y)
    >>> W, b = np.asarray([[0.3]]), np.asarray([[0.1]])
    >>> bool(check_gradients(cost, gradients, W, b))
    True

    With derivatives that are computed already:

    >>> dW, db = gradients(W, b)
    >>> bool(check_gradients(cost, (dW, db), W, b))
    True
    >>> bool(check_gradients(lambda W: cost(W, b), dW, W))
    True

    A wrong gradient:

    >>> check_gradients(lambda w: w**2, lambda w: 3 * w, 1.0)
    gradient DISAGREES with the slopes: largest relative error 3.3e-01 (tolerance 6.1e-05), at argument 0: derivative 3,
    slope 2
    """
    arguments = tuple(as_real(x, f"argument {argument}") for argument, x in enumerate(at))
    if not sum(math.prod(_shape(x)) for x in arguments):
        raise TypeError("check_gradients(function, gradient, w, ...) needs at least one number to differentiate by")
    value = function(*arguments)
    derivatives = _derivatives(gradient(*arguments) if callable(gradient) else gradient, arguments)
    epsilon = max(_epsilon(x) for x in (value if isinstance(value, np.floating) else as_real(value, "J"), *arguments))
    unit = epsilon ** (1 / 3)
    tolerance = 10 * unit if tolerance is None else _positive(tolerance, "tolerance")
    errors, coordinates = [], []
    for argument, x in enumerate(arguments):
        place = HOST if isinstance(x, float) else place_of(x)
        s = _slopes(function, arguments, argument, _step(x, epsilon, step))
        with place.computing():
            x, g, s = (place.put(array) for array in (x, derivatives[argument], s))
            smallest = unit * max(1.0, abs(_scalar(value))) / _at_least_one(x)
            xp = place.xp
            errors.append(xp.abs(g - s) / xp.maximum(xp.maximum(xp.abs(g), xp.abs(s)), smallest))
        coordinates += _worst(argument, *(to_host(array) for array in (g, s, errors[-1])))
    worst = max(coordinates, key=lambda coordinate: math.inf if math.isnan(coordinate.error) else coordinate.error)
    return GradientCheck(tuple(errors), worst, tolerance)


def _derivatives(found: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Check that there is one derivative for each argument, in its shape."""
    found = tuple(found) if isinstance(found, (tuple, list)) else (found,)
    derivatives = tuple(as_real(g, f"derivative {argument} of the gradient") for argument, g in enumerate(found))
    shapes, wanted = ([_shape(one) for one in those] for those in (derivatives, arguments))
    if shapes == wanted:
        return derivatives
    advice = "".join(
        f"; {shape} is neither row nor column (notes 2.6): reshape it to {right}"
        for shape, right in zip(shapes, wanted, strict=False)
        if len(shape) == 1 < len(right) and math.prod(shape) == math.prod(right)
    )
    came, right = (", ".join(map(str, those)) for those in (shapes, wanted))
    raise ValueError(f"gradient must give a derivative for each argument, of shape {right}; it gave {came}{advice}")


def _slopes(function: Callable[..., Any], at: tuple[Any, ...], argument: int, step: Any) -> Any:
    """Slopes of J by each coordinate of one argument, in its shape."""

    def along(x: Any) -> float:
        return _scalar(function(*at[:argument], x, *at[argument + 1 :]))

    x = at[argument]
    up, down = x + step, x - step
    if isinstance(x, float):
        return (along(up) - along(down)) / (up - down)
    xp, device = array_namespace(x), device_of(x)
    number = xp.reshape(xp.arange(math.prod(x.shape), device=device), x.shape)
    changes = [
        along(xp.where(number == i, up, x)) - along(xp.where(number == i, down, x)) for i in range(math.prod(x.shape))
    ]
    return xp.reshape(xp.asarray(changes, dtype=x.dtype, device=device), x.shape) / (up - down)


def _worst(argument: int, g: np.ndarray, s: np.ndarray, error: np.ndarray) -> list[Coordinate]:
    """List the coordinate of the largest error in one argument; the list is empty if the argument is."""
    if not error.size:
        return []
    index = np.unravel_index(np.argmax(error), error.shape)  # argmax finds the first NaN, if there is one
    return [Coordinate(argument, tuple(int(i) for i in index), *(float(array[index]) for array in (g, s, error)))]


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(getattr(value, "shape", ()))


def _scalar(value: Any) -> float:
    if math.prod(_shape(value)) != 1:
        raise ValueError(f"function must give one number, not an array of shape {_shape(value)}")
    return float(value if isinstance(value, numbers.Real) else to_host(value).item())


def _epsilon(value: Any) -> float:
    """Distance from 1 to the next larger number, in the dtype of ``value``."""
    return sys.float_info.epsilon if type(value) is float else float(array_namespace(value).finfo(value.dtype).eps)


def _step(x: Any, epsilon: float, step: float | None) -> Any:
    if step is not None:
        return _positive(step, "step")
    return epsilon ** (1 / 3) * _at_least_one(x)


def _at_least_one(x: Any) -> Any:
    """Compute max(1, |x|), the size that steps and errors are relative to."""
    if isinstance(x, float):
        return max(1.0, abs(x))
    xp = array_namespace(x)
    return xp.maximum(xp.abs(x), xp.ones_like(x))


def _positive(value: Any, name: str) -> float:
    if not isinstance(value, numbers.Real) or not 0 < float(value) < math.inf:
        raise ValueError(f"{name} must be a positive number, not {value!r}")
    return float(value)


def as_real(value: Any, name: str) -> Any:
    """Turn a number into a float, and an array of integers or bools into floats; leave real floats as they are."""
    if isinstance(value, numbers.Real):
        return float(value)
    kind = dtype_name(value) if is_array(value) else ""
    if kind and not isinstance(value, (np.matrix, np.ma.MaskedArray)):
        if kind.startswith(("float", "bfloat")):
            return value
        if kind.startswith(("int", "uint", "bool")):
            return place_of(value).put(value, place_of(value).widest)
    came = type(value).__name__ + (f" of {kind}" if kind else "")
    raise TypeError(f"{name} must be a real number or an array of real numbers, not {came}")
