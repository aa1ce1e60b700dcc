"""Expressions in formulas: columns, numbers, comparisons and a fixed list of functions. Python's eval is never called.

So a formula can do nothing but arithmetic, whoever wrote it, unless the user hands in functions of his own.
"""

import ast
import functools
import keyword
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["ARITHMETIC", "COMPARISONS", "LOGIC", "STATEFUL", "Expression", "called", "parse", "quoted", "word"]

QUOTED = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|`([^`]*)`""")
LONGEST = 10_000  # characters of an expression; far longer ones overflow the stack of Python's parser
LARGEST = 1000  # of the numbers that a function with a state takes: its degree or its number of columns
ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.remainder,
    ast.Pow: np.power,
}
LOGIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.BitAnd: np.logical_and,
    ast.BitOr: np.logical_or,
    ast.BitXor: np.logical_xor,
}
COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}
# functions of NumPy, by their own names and behind "np.", and how many numbers each takes; one more would be an array
# to write to
FUNCTIONS = {
    **dict.fromkeys(("log", "log2", "log10", "log1p", "exp", "exp2", "expm1", "sqrt", "cbrt", "square"), 1),
    **dict.fromkeys(("abs", "absolute", "reciprocal", "sign", "floor", "ceil", "rint", "round"), 1),
    **dict.fromkeys(("sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"), 1),
    **dict.fromkeys(("power", "minimum", "maximum"), 2),
    **dict.fromkeys(("clip", "where"), 3),
}
STATEFUL = ("center", "scale", "standardize", "poly", "bs", "cr", "cs", "cc")  # of formulaic: they learn from the table
SUPPORTED = (
    "columns, numbers, arithmetic, comparisons, functions such as log, center, poly and bs, and those that context= has"
)


@dataclass(frozen=True)
class Expression:
    """An expression that is checked.

    Attributes
    ----------
    text : str
        As it stands in the formula; names of columns that are no words stand in backquotes.
    tree : ast.expr
    aliases : dict
        From the words that stand for names in backquotes to these names.
    """

    text: str
    tree: ast.expr
    aliases: dict[str, str]

    @property
    def calls(self) -> set[str]:
        """The functions that are called."""
        nodes = (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))
        return {name for name in map(called, nodes) if name is not None}

    @property
    def stateful(self) -> set[str]:
        """The calls of functions with a state."""
        nodes = (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))
        return {ast.unparse(node) for node in nodes if called(node) in STATEFUL}

    @property
    def names(self) -> set[str]:
        """The columns and other values that are named."""
        return {self.aliases.get(name, name) for name in _names(self.tree)}

    @property
    def column(self) -> str | None:
        """The column that this is, if it is nothing else."""
        named = word(self.tree)
        return None if named is None else self.aliases.get(named, named)

    def expect_known(self, context: Mapping[str, Any]) -> None:
        """Raise if the expression holds anything but what `xlogreg.inputs.evaluation` computes."""
        for node in _unknown(self.tree, context):
            text = self.source(node)
            instead = "; an offset is an argument, offset=" if text.startswith("offset(") else ""
            raise ValueError(f"the formula holds {text!r}; it can hold {SUPPORTED}{instead}")

    def source(self, node: ast.AST) -> str:
        """Write a part of the expression as it stands in the formula."""
        text = ast.unparse(node)
        for alias, name in self.aliases.items():
            text = text.replace(alias, f"`{name}`")
        return text


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> Expression:
    """Parse an expression, whose names of columns may stand in backquotes; see `Expression.expect_known`.

    Raises
    ------
    ValueError
        If it is no expression.
    """
    if len(text) > LONGEST:
        raise ValueError(f"the formula has an expression of {len(text)} characters; it may have {LONGEST}")
    aliases: dict[str, str] = {}
    prefix = "column_"
    while prefix in text:
        prefix += "_"

    def alias(match: re.Match) -> str:
        if match[1] is not None:
            return match[1]  # a text in quotes
        word = f"{prefix}{len(aliases)}"
        aliases[word] = match[2]
        return word

    try:
        tree = ast.parse(QUOTED.sub(alias, text).strip(), mode="eval").body
        ast.unparse(tree)  # fails where operations are nested deeper than the functions here can follow
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last also where Python's parser is too deep
        raise ValueError(f"the formula holds {text!r}, which is no expression") from None
    return Expression(text, tree, aliases)


def quoted(name: str) -> str:
    """Write the name of a column as it stands in an expression."""
    return name if name.isidentifier() and not keyword.iskeyword(name) else f"`{name}`"


def called(node: ast.Call) -> str | None:
    """Name of the function that is called, without "np."; None if it is no name."""
    match node.func:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id="np" | "numpy"), attr=name) if name in FUNCTIONS:
            return name
    return None


def word(node: ast.AST) -> str | None:
    """The name that a node is: a word, or Q("...") of formulaic."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Call(func=ast.Name(id="Q"), args=[ast.Constant(value=str(name))], keywords=[]):
            return name
    return None


def _names(node: ast.AST) -> Iterator[str]:
    column = word(node)
    if column is not None:
        yield column
        return
    parts = [*node.args, *node.keywords] if isinstance(node, ast.Call) else ast.iter_child_nodes(node)
    for part in parts:
        yield from _names(part)


def _unknown(node: ast.AST, context: Mapping[str, Any]) -> Iterator[ast.AST]:
    """Yield the parts of an expression that it cannot hold."""
    if word(node) is not None:
        return
    parts: list[ast.expr] = []
    match node:
        case ast.Constant(value=bool() | int() | float() | str()):
            pass
        case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC or type(op) in LOGIC:
            parts = [left, right]
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Invert(), operand=operand):
            parts = [operand]
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in COMPARISONS for op in ops):
            parts = [left, *others]
        case ast.Call(args=args, keywords=options) if args and all(part.arg is not None for part in options):
            name, also = called(node), [own.value for own in options]
            if name in context:
                parts = [*args, *also]
            elif name in STATEFUL:
                parts = args[:1]
                odd = any(str(own.arg).startswith("_") for own in options)  # formulaic hands over its own such options
                yield from (part for part in [*args[1:], *also] if odd or not _is_plain(part))
            elif len(args) == FUNCTIONS.get(str(name), 1 if name == "I" else 0) and not options:
                parts = args
            else:
                yield node
        case _:
            yield node
    for part in parts:
        yield from _unknown(part, context)


def _is_plain(node: ast.expr) -> bool:
    """Whether this is a number, a text, or a list of numbers that is written out."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    items = value if isinstance(value, (list, tuple)) else [value]
    kinds = (bool, int, float, str, type(None)) if items is not value else (int, float)
    return all(type(item) in kinds and (type(item) is not int or abs(item) <= LARGEST) for item in items)
