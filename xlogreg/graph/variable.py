"""Variables of a computation graph: values, how they were computed, and the passes over them."""

import functools
import itertools
import math
import numbers
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from xlogreg.arrays.place import HOST, is_array, place_of, to_host
from xlogreg.arrays.traits import NAMESPACES
from xlogreg.graph.calls import COMPARE, FUNCTIONS, UFUNCS, NoNamespace, advice, refusal
from xlogreg.graph.drawing import Box, as_svg, as_text, text_of
from xlogreg.graph.operations import OPERATIONS, Operation, reduction
from xlogreg.graph.slopes import as_real

__all__ = ["Variable", "exp", "log", "maximum", "sigmoid"]

SHOWN = 200  # most nodes in a picture


def _binary(symbol: str) -> tuple[Callable[..., "Variable"], Callable[..., "Variable"]]:
    """Make the two methods of an operator: for a variable on its left, and for a variable on its right only."""
    operation = OPERATIONS[symbol]
    return lambda self, other: _apply(operation, self, other), lambda self, other: _apply(operation, other, self)


class _Ufuncs:
    """NumPy asks the class, and gets a function; CuPy asks the variable, gets None, and leaves the operators to it."""

    def __get__(self, variable: Any, owner: type) -> Callable[..., Any] | None:
        return _ufunc if variable is None else None


def _ufunc(_: Any, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> "Variable":
    """Compute ``ufunc(*inputs)`` for the operators and the functions of NumPy, which call this."""
    if ufunc not in UFUNCS:
        raise TypeError(f"np.{ufunc.__name__} is no operation of a graph: {advice(ufunc.__name__)}")
    if method != "__call__" or options:
        raise TypeError(f"np.{ufunc.__name__} makes a new Variable here: no option such as out, and no .reduce")
    return _apply(OPERATIONS[UFUNCS[ufunc]], *inputs)


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Variable:
    """A node of a computation graph: a value, and how it was computed (notes 1.7, 1.8).

    Variables, numbers and arrays make new variables: by ``+ - * / ** @``, by the functions `exp`, `log`, `maximum` and
    `sigmoid` of this module, element by element, with broadcasting, and by the methods `sum`, `mean` and ``T``. Those
    functions of NumPy that are operations of the graph also work: ``np.exp(v)``, ``np.dot(u, v)``, ``np.sum(v)``. A
    variable prints as a table of the forward and the backward pass; in a notebook it draws itself.

    Parameters
    ----------
    value : float or array of real numbers
        A number becomes a float; an array may be of any library. It is not copied: do not change it while the graph is
        in use.
    name : str, optional
        `backward` gives the derivatives with respect to variables with a name. A value without a name is a constant,
        like the numbers and arrays in an expression.

    Attributes
    ----------
    value, name
    shape : tuple of int
        Shape of the value; () for numbers.
    operation, inputs
        The operation that made the variable, and the variables that it was made from; None and () for an input.

    Raises
    ------
    TypeError, ValueError
        If the value or the name is of the wrong kind. Operators raise them if shapes do not fit, or if arrays live in
        different places.

    Notes
    -----
    The left operand may be an array of NumPy, CuPy, PyTorch or JAX. An array of array-api-strict at the left refuses
    variables: write ``Variable(array) + v`` instead. Where the operands of `maximum` are equal, each has the slope 1/2,
    like a two-sided difference.

    Examples
    --------
    J = 3(a + bc) of section 1.8:

    >>> a, b, c = Variable(5.0, "a"), Variable(3.0, "b"), Variable(2.0, "c")
    >>> J = 3 * (a + b * c)
    >>> J.value
    33.0
    >>> J.backward()
    {'da': 3.0, 'db': 6.0, 'dc': 9.0}

    If the steps have names, too, the table shows the whole computation:

    >>> u = (b * c).named("u")
    >>> v = (a + u).named("v")
    >>> (3 * v).named("J")
    forward, downwards  value  backward, upwards
    a                   5      da = 3
    b                   3      db = 6
    c                   2      dc = 9
    u = b * c           6      du = 3
    v = a + u           11     dv = 3
    J = 3 * v           33     dJ = 1
    """

    value: Any
    name: str | None = None
    operation: Operation | None = field(default=None, kw_only=True)
    inputs: tuple["Variable", ...] = field(default=(), kw_only=True)
    number: int = field(default_factory=itertools.count().__next__, init=False)  # in the order of creation
    varies: bool = field(default=False, init=False)  # whether it, or a variable that it depends on, has a name

    __array_ufunc__ = _Ufuncs()

    def __post_init__(self) -> None:
        if self.operation is None:
            object.__setattr__(self, "value", as_real(self.value, "value"))
        if not (self.name is None or isinstance(self.name, str)):
            raise TypeError(f"name must be a string, not {type(self.name).__name__}")
        if self.name is not None and not (self.name and self.name.isprintable()):
            raise ValueError(f"name must be printable text, not {self.name!r}")
        object.__setattr__(self, "varies", self.name is not None or any(one.varies for one in self.inputs))

    __add__, __radd__ = _binary("+")
    __sub__, __rsub__ = _binary("-")
    __mul__, __rmul__ = _binary("*")
    __truediv__, __rtruediv__ = _binary("/")
    __pow__, __rpow__ = _binary("**")
    __matmul__, __rmatmul__ = _binary("@")

    __lt__ = __le__ = __gt__ = __ge__ = refusal("is neither large nor small", f"write {COMPARE}")
    __bool__ = refusal("is neither true nor false", f"write {COMPARE}")
    __abs__ = refusal("has no abs()", advice("absolute"))
    __float__ = refusal("is no float", f"for math.exp(v), {advice('exp')}; else take v.value")
    __getitem__ = refusal("has no parts", "operations take whole arrays; make a Variable of each part")
    __array__ = refusal("is no array of NumPy", "take v.value, or add variables with +")
    __hash__ = object.__hash__

    def __eq__(self, other: Any) -> bool:
        if isinstance(other, numbers.Real) or is_array(other):
            raise TypeError("a Variable equals no number and no array: write v.value == 0, which compares values")
        return self is other

    def __getattr__(self, name: str) -> Any:
        """Say what to write instead of an attribute that variables do not have."""
        raise AttributeError(f"a Variable has no {name!r}" + ("" if name.startswith("_") else f": {advice(name)}"))

    def __array_function__(self, function: Callable[..., Any], _: Any, inputs: Any, options: dict[str, Any]) -> Any:
        if function not in FUNCTIONS:
            raise TypeError(f"np.{function.__name__} is no operation of a graph: {advice(function.__name__)}")
        if options.keys() - {"axis", "keepdims"}:
            raise TypeError(f"np.{function.__name__} of a Variable takes axis and keepdims, and no other option")
        return FUNCTIONS[function](*inputs, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        """Make copies by a new step: their numbers must follow those of their inputs, also in another process."""
        return functools.partial(Variable, operation=self.operation, inputs=self.inputs), (self.value, self.name)

    def __neg__(self) -> "Variable":
        return _apply(OPERATIONS["negative"], self)

    @property
    def T(self) -> "Variable":
        """Transpose: exchange rows and columns, the last two axes."""
        return _apply(OPERATIONS["T"], self)

    def sum(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> "Variable":
        """Sum over one axis, several axes, or all."""
        return _apply(reduction("sum", self.shape, axis, keepdims), self)

    def mean(self, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> "Variable":
        """Mean over one axis, several axes, or all."""
        return _apply(reduction("mean", self.shape, axis, keepdims), self)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value; () for numbers."""
        return tuple(getattr(self.value, "shape", ()))

    def named(self, name: str) -> "Variable":
        """Return the same step with a name; use the returned variable from then on."""
        return replace(self, name=name)

    def backward(self) -> dict[str, Any]:
        """Derivatives of this variable, a single number, with respect to all named variables in it, itself included.

        Returns
        -------
        dict of str to float or array
            "dvar" for each ``var``, in the order of creation: a float for a number, a new array like the value for an
            array. Nothing is kept in the graph, so a second call gives the same.

        Raises
        ------
        ValueError
            If this is not a single number, if no variable has a name, or if two variables have the same name.
        """
        if math.prod(self.shape) != 1:
            raise ValueError(f"backward needs a single number, not shape {self.shape}: take its sum or its mean first")
        nodes = _forward(self)
        names = [node.name for node in nodes if node.name is not None]
        if not names:
            raise ValueError(
                "backward finds no variable with a name: give those to differentiate by, Variable(5.0, 'a')"
            )
        if len(set(names)) < len(names):
            raise ValueError(f"two variables are named {max(names, key=names.count)!r}: each needs a name of its own")
        derivatives = dict(_backward(nodes))
        return {f"d{node.name}": derivatives[node] for node in nodes if node.name is not None}

    def __repr__(self) -> str:
        return as_text(*_boxes(self))

    def _repr_svg_(self) -> str:
        return as_svg(*_boxes(self))


NAMESPACES[Variable] = NoNamespace()


def exp(v: Any) -> Variable:
    """e^v, element by element."""
    return _apply(OPERATIONS["exp"], v)


def log(v: Any) -> Variable:
    """Natural logarithm, element by element."""
    return _apply(OPERATIONS["log"], v)


def maximum(u: Any, v: Any) -> Variable:
    """The larger of u and v, element by element."""
    return _apply(OPERATIONS["maximum"], u, v)


def sigmoid(z: Any) -> Variable:
    """Logistic function 1 / (1 + exp(-z)), element by element."""
    return _apply(OPERATIONS["sigmoid"], z)


def _apply(operation: Operation, *operands: Any) -> Variable:
    """Take one step of the forward pass: apply an operation to its operands."""
    inputs = tuple(one if isinstance(one, Variable) else Variable(one) for one in operands)
    operation.fits(*(one.shape for one in inputs))
    value = _compute(operation.value, *(one.value for one in inputs))
    return Variable(value, operation=operation, inputs=inputs)


def _compute(function: Callable[..., Any], *values: Any) -> Any:
    """Call function(xp, *values) where the arrays live, and move floats there; floats alone give a float."""
    arrays = [value for value in values if type(value) is not float]
    place = place_of(arrays[0]) if arrays else HOST
    for other in map(place_of, arrays[1:]):
        if other != place:
            raise TypeError(f"the arrays of an expression must live in one place, not {place} and {other}: move one")
    dtype = place.xp.result_type(*(array.dtype for array in arrays)) if arrays else place.xp.float64
    with place.computing():
        together = (
            place.xp.asarray(value, dtype=dtype, device=place.device) if type(value) is float else value
            for value in values
        )
        result = function(place.xp, *together)
    return result if arrays else float(result)


def _forward(output: Variable) -> list[Variable]:
    """List the nodes that an output depends on, without constants, in the order of computation: inputs first."""
    found, waiting = {output}, [output]
    while waiting:  # no recursion: graphs may be deep
        new = {one for one in waiting.pop().inputs if one.varies} - found
        found |= new
        waiting += new
    return sorted(found, key=lambda node: node.number)


def _backward(nodes: list[Variable]) -> Iterator[tuple[Variable, Any]]:
    """Yield each node, the last first, with the derivative of the last node by it, from the chain rule."""
    output = nodes[-1].value
    totals = {nodes[-1]: _compute(lambda xp, y: xp.ones_like(y), output)}
    for node in reversed(nodes):
        dy = totals.pop(node)  # complete: all nodes that use this one came before
        yield node, dy
        if node.operation is None:
            continue
        values = [one.value for one in node.inputs]
        for one, rule in zip(node.inputs, (node.operation.du, node.operation.dv), strict=False):
            if rule is not None and one.varies:
                share = _like(one.value, _compute(rule, dy, node.value, *values))
                totals[one] = share if one not in totals else _compute(OPERATIONS["+"].value, totals[one], share)


def _like(value: Any, derivative: Any) -> Any:
    """Sum a derivative over what broadcasting repeated: a float, or a new array of the shape and dtype of the value."""
    if type(derivative) is float:
        return derivative
    place, shape = place_of(derivative), () if type(value) is float else value.shape
    added = derivative.ndim - len(shape)
    axes = (*range(added), *(i for i, n in enumerate(shape, added) if n == 1 != derivative.shape[i]))
    with place.computing():
        total = place.xp.reshape(place.xp.sum(derivative, axis=axes), shape) if axes else derivative
        return float(to_host(total)) if type(value) is float else place.xp.astype(total, value.dtype)


def _boxes(output: Variable) -> tuple[list[Box], int]:
    """Make the boxes of a picture from the last nodes up to the output; count the nodes that are left out."""
    nodes = _forward(output)
    shown = nodes[-SHOWN:]
    scalar = math.prod(output.shape) == 1
    derivatives = dict(itertools.islice(_backward(nodes), len(shown))) if scalar else {}
    numbers = {node: i for i, node in enumerate(shown)}
    first = len(nodes) - len(shown) + 1
    names = {node: node.name or f"#{first + i}" for node, i in numbers.items()}
    boxes = []
    for node in shown:
        operands = [names.get(one, "..." if one.varies else text_of(one.value)) for one in node.inputs]
        boxes.append(
            Box(
                names[node],
                "" if node.operation is None else node.operation.text.format(*operands),
                text_of(node.value),
                text_of(derivatives[node]) if scalar else "",
                tuple(dict.fromkeys(numbers[one] for one in node.inputs if one in numbers)),
            )
        )
    return boxes, len(nodes) - len(shown)
