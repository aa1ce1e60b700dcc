"""The values of the expressions in formulas, for the columns of a table."""

import ast
import functools
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xlogreg.exceptions import expect_memory
from xlogreg.inputs.columns import Level
from xlogreg.inputs.expressions import ARITHMETIC, COMPARISONS, LOGIC, STATEFUL, Expression, called, word

__all__ = ["Coded", "Scope", "Spread", "evaluate", "from_formulaic"]


class Coded(NamedTuple):
    """The values of a column that is read as categories."""

    codes: np.ndarray  # (m,)
    levels: list[Level]
    ordered: bool = False  # whether the levels have an order of their own


class Spread(NamedTuple):
    """A value that is several columns, such as those of a spline."""

    columns: list[np.ndarray]  # each (m,)
    names: tuple[str, ...]
    spans: bool  # whether the columns sum to one, so that the first is left out beside a bias


@dataclass(frozen=True)
class Scope:
    """What the names in an expression mean.

    Attributes
    ----------
    values : mapping from str to array (m,) or Coded
        The columns of a table.
    context : mapping from str to object
        Functions and numbers of the user.
    states : dict
        States of functions by their call; where one is missing, it is learned from the values and added.
    """

    values: Mapping[str, Any]
    context: Mapping[str, Any]
    states: dict[str, dict[Any, Any]]


def evaluate(expression: Expression, scope: Scope) -> Any:
    """Compute the value of an expression: an array (m,), a number, `Coded` or a `Spread`.

    Raises
    ------
    TypeError, ValueError
        If values do not fit an operation; the message has the expression.
    """
    with np.errstate(all="ignore"):
        try:
            return _value(expression, expression.tree, scope)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{expression.text!r} in the formula cannot be computed: {error}") from None


def _number(expression: Expression, node: ast.expr, scope: Scope) -> Any:
    """Value of a node as floats."""
    value = _value(expression, node, scope)
    if isinstance(value, (Coded, str)):
        raise TypeError(f"{expression.source(node)!r} holds categories, not numbers")
    if isinstance(value, Spread):
        raise TypeError(f"{expression.source(node)!r} has several columns, which can only be multiplied by ':'")
    return np.asarray(value, dtype=np.float64) if isinstance(value, np.ndarray) else np.float64(value)


def _value(expression: Expression, node: ast.expr, scope: Scope) -> Any:
    column = word(node)
    if column is not None:
        name = expression.aliases.get(column, column)
        return scope.context[name] if name in scope.context else scope.values[name]
    match node:
        case ast.Constant(value=value):
            return value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in LOGIC:
            return LOGIC[type(op)](_flag(expression, left, scope), _flag(expression, right, scope))
        case ast.BinOp(left=left, op=op, right=right):
            return ARITHMETIC[type(op)](_number(expression, left, scope), _number(expression, right, scope))
        case ast.UnaryOp(op=ast.Invert(), operand=operand):
            return np.logical_not(_flag(expression, operand, scope))
        case ast.UnaryOp(op=op, operand=operand):
            value = _number(expression, operand, scope)
            return -value if isinstance(op, ast.USub) else value
        case ast.Compare(left=left, ops=ops, comparators=others):
            pairs = zip(ops, itertools.pairwise([left, *others]), strict=True)
            return functools.reduce(np.logical_and, [_compared(expression, op, *both, scope) for op, both in pairs])
        case ast.Call():
            return _call(expression, node, scope)
    raise AssertionError(node)  # `expect_known` lets no other pass


def _flag(expression: Expression, node: ast.expr, scope: Scope) -> Any:
    value = _value(expression, node, scope)
    if not (isinstance(value, (bool, np.bool_)) or (isinstance(value, np.ndarray) and value.dtype.kind == "b")):
        raise TypeError(f"{expression.source(node)!r} is neither true nor false, as '&', '|' and '~' need it")
    return value


def _compared(expression: Expression, op: ast.cmpop, left: ast.expr, right: ast.expr, scope: Scope) -> Any:
    one, other = _value(expression, left, scope), _value(expression, right, scope)
    if isinstance(other, Coded):
        one, other = other, one
    if isinstance(one, Coded):
        if isinstance(other, (Coded, np.ndarray)) or not isinstance(op, (ast.Eq, ast.NotEq)):
            raise TypeError("categories can only be compared with one level, by '==' or '!='")
        same = np.asarray([level == other for level in one.levels] + [False])[one.codes]
        return same if isinstance(op, ast.Eq) else ~same
    return COMPARISONS[type(op)](_number(expression, left, scope), _number(expression, right, scope))


def _call(expression: Expression, node: ast.Call, scope: Scope) -> Any:
    name = str(called(node))
    if name == "I":
        return _value(expression, node.args[0], scope)
    if name in scope.context:
        values = [_value(expression, part, scope) for part in node.args]
        values = [_texts(value) if isinstance(value, Coded) else value for value in values]
        options = {str(part.arg): _value(expression, part.value, scope) for part in node.keywords}
        return _spread(_called_safely(scope.context[name], values, options))
    if name in STATEFUL:
        return _with_state(expression, node, name, scope)
    numbers = [
        _flag(expression, part, scope) if (name, place) == ("where", 0) else _number(expression, part, scope)
        for place, part in enumerate(node.args)
    ]
    return _called_safely(getattr(np, name), numbers, {})


def _with_state(expression: Expression, node: ast.Call, name: str, scope: Scope) -> Any:
    function, key = from_formulaic(name), ast.unparse(node)
    x = _number(expression, node.args[0], scope)
    options = {str(part.arg): ast.literal_eval(part.value) for part in node.keywords}
    state = dict(scope.states.get(key, {}))
    others = [ast.literal_eval(part) for part in node.args[1:]]
    value = _called_safely(function, [x, *others], options | {"_state": state})
    scope.states.setdefault(key, _plain(state))
    return _spread(value)


def from_formulaic(name: str) -> Any:
    """Return one of formulaic's functions by the name that it has in formulas.

    Raises
    ------
    ImportError
        If formulaic is not installed.
    """
    try:
        from formulaic.transforms import TRANSFORMS
    except ImportError as error:
        raise ImportError(
            f'{name} in a formula needs formulaic, 1.1 or later: pip install "xlogreg[formula]"', name="formulaic"
        ) from error
    return TRANSFORMS[name]


def _called_safely(function: Callable[..., Any], values: list[Any], options: dict[str, Any]) -> Any:
    """Call a function; an error of any type that it raises becomes a ValueError."""
    try:
        return function(*values, **options)
    except Exception as error:
        expect_memory(error, "computing a term of a formula")
        said = str(error).partition("\n")[0]
        raise ValueError(f"{getattr(function, '__name__', 'a function')} says: {said}") from error


def _spread(value: Any) -> Any:
    """Take apart several columns, such as formulaic has them."""
    about, value = getattr(value, "__formulaic_metadata__", None), getattr(value, "__wrapped__", value)
    if isinstance(value, dict):
        names, columns = list(map(str, value)), [np.asarray(part) for part in value.values()]
    elif np.ndim(value) == 2:
        whole = np.asarray(value)
        columns = [whole[:, number] for number in range(whole.shape[1])]
        names = list(map(str, getattr(about, "column_names", None) or range(len(columns))))
    else:
        return np.asarray(value)
    return Spread(columns, tuple(names), bool(getattr(about, "spans_intercept", False)))


def _texts(value: Coded) -> np.ndarray:
    return np.asarray([*value.levels, None], dtype=object)[value.codes]


def _plain(state: Any) -> Any:
    """Turn what formulaic keeps into plain values, which a file can hold."""
    if isinstance(state, dict):
        return {key: _plain(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [_plain(value) for value in state]
    return state.tolist() if isinstance(state, (np.ndarray, np.generic)) else state
