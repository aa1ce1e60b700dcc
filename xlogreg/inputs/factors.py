"""Factors of formulas: how a column or an expression becomes numbers or categories, and which features these have."""

import ast
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from xlogreg.exceptions import expect_memory
from xlogreg.inputs.columns import LEVEL_TYPES, Level
from xlogreg.inputs.evaluation import Coded, Scope, Spread, evaluate, from_formulaic
from xlogreg.inputs.expressions import Expression, called, parse
from xlogreg.inputs.tables import listed

__all__ = ["Factor", "coded", "columns_of", "learned", "split_category"]

MOST_TEXTS = 1000  # levels of a column of text that C() does not name; more are names, not categories
CONTRASTS = {"Treatment": "treatment", "Sum": "sum", "Helmert": "helmert", "Diff": "diff", "Poly": "poly"}  # of patsy
CODINGS = ("treatment", "SAS", "sum", "helmert", "diff", "poly")  # of formulaic, behind "contr."


class Factor(NamedTuple):
    """A factor of terms, as the fitted table made it.

    Attributes
    ----------
    name : str
        As it stands in the formula, and in the names of features.
    expression : str
        The expression of its values.
    states : dict
        States of functions in the expression, by their call.
    whole, reduced : tuple of str
        Names of its features: with all levels, and with one left out.
    levels : tuple, or None
        The levels of a category, in order; None for numbers.
    dropped : int or None
        The level that is left out; None for numbers and for another coding.
    coding : tuple of tuples of float, or None
        The values of the reduced features (L, L - 1) of each level, if it is not that one is left out.
    """

    name: str
    expression: str
    states: dict[str, dict[Any, Any]]
    whole: tuple[str, ...]
    reduced: tuple[str, ...]
    levels: tuple[Level, ...] | None = None
    dropped: int | None = None
    coding: tuple[tuple[float, ...], ...] | None = None

    @property
    def spans(self) -> bool:
        """Whether its features sum to one, so that one is left out beside a bias."""
        return self.whole != self.reduced

    def features(self, leaves_out: bool) -> tuple[str, ...]:
        return self.reduced if leaves_out else self.whole


def split_category(name: str, text: str) -> tuple[str, Sequence[ast.expr], Sequence[ast.keyword]] | None:
    """Split a factor C(expression, ...) into the expression and what follows it; None if it is none."""
    tree = parse(text).tree
    if not (isinstance(tree, ast.Call) and called(tree) == "C"):
        return None
    if not tree.args:
        raise ValueError(f"{name!r} in the formula names no column")
    return parse(text).source(tree.args[0]), tree.args[1:], tree.keywords


def learned(name: str, text: str, scope: Scope) -> Factor:
    """Make a factor of the values that a table has.

    Parameters
    ----------
    name, text : str
        The factor in the names of features, and in the formula.
    scope : Scope
        Its states are filled.
    """
    category = split_category(name, text)
    expression = parse(text if category is None else category[0])
    expression.expect_known(scope.context)
    value = evaluate(expression, scope)
    if category is None and not _is_text(value):
        columns = _named(name, value)
        whole = tuple(columns)
        return Factor(name, expression.text, scope.states, whole, whole[1:] if _spans(value) else whole)
    found = coded(value)
    occurs = np.bincount(found.codes, minlength=len(found.levels)) > 0
    here = [level for level, yes in zip(found.levels, occurs.tolist(), strict=True) if yes]
    levels = here if found.ordered else sorted(here, key=lambda level: (isinstance(level, str), level))
    if category is None and len(levels) > MOST_TEXTS and any(isinstance(level, str) for level in levels):
        raise ValueError(
            f"the column {name!r} of X is text with {len(levels)} levels, which looks like names, not categories; "
            f"leave it out, merge rare levels, or write C({text}) if it is meant"
        )
    return _coding(name, expression, levels, *(((), ()) if category is None else category[1:]))


def coded(value: Any) -> Coded:
    """Take a value as categories; numbers and texts are levels by themselves."""
    if isinstance(value, Coded):
        return value
    if isinstance(value, Spread) or np.ndim(value) != 1:
        raise ValueError("C() in a formula takes one column")
    levels, codes = np.unique(value, return_inverse=True)
    return Coded(codes, levels.tolist())


def columns_of(factor: Factor, value: Any, m: int) -> list[np.ndarray]:
    """Return the features (m,) of a factor of numbers, with all of them.

    Raises
    ------
    ValueError
        If they are not finite, or not as many as in the fitted table.
    """
    columns = _named(factor.name, value)
    if tuple(columns) != factor.whole:
        raise ValueError(
            f"{factor.name!r} in the formula has the columns {listed(list(columns))}; in the fitted table it had "
            f"{listed(list(factor.whole))}"
        )
    found = []
    for column in columns.values():
        numbers = np.broadcast_to(column, (m,)) if np.ndim(column) == 0 else column
        if numbers.dtype.kind not in "biuf" or numbers.shape != (m,):
            raise TypeError(f"{factor.name!r} in the formula must give a number for each of {m} samples")
        if numbers.dtype.kind == "f" and not np.isfinite(np.sum(numbers)) and not np.all(np.isfinite(numbers)):
            row = int(np.argmin(np.isfinite(numbers)))
            raise ValueError(f"{factor.name!r} in the formula is {numbers[row]} in row {row}; features must be finite")
        # the computing dtype of short integers would be float32
        found.append(numbers if numbers.dtype.kind in "bf" else numbers.astype(np.float64))
    return found


def _named(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Spread):
        return {f"{name}[{own}]": column for own, column in zip(value.names, value.columns, strict=True)}
    return {name: value}


def _is_text(value: Any) -> bool:
    return isinstance(value, Coded) or (isinstance(value, np.ndarray) and value.dtype.kind in "OUS")


def _spans(value: Any) -> bool:
    return isinstance(value, Spread) and value.spans


def _coding(
    name: str, expression: Expression, levels: list[Any], given: Sequence[ast.expr], options: Sequence[ast.keyword]
) -> Factor:
    """Decide which features the levels of a category have."""
    named = {str(option.arg): option.value for option in options} | ({"contrasts": given[0]} if given else {})
    if len(given) > 1 or not named.keys() <= {"contrasts", "levels"}:
        raise ValueError(f"{name!r} in the formula: C() takes a column, contrasts and levels=")
    if "levels" in named:
        wanted = _literal(name, named["levels"])
        unknown = [repr(level) for level in levels if level not in wanted]
        if unknown:
            raise ValueError(f"{name!r} in the formula lacks levels that X has: {listed(unknown)}")
        levels = [level for level in wanted if level in levels]
    if len(levels) < 2:
        raise ValueError(f"{name!r} in the formula has the level {listed(list(map(repr, levels)))} alone; leave it out")
    whole = tuple(f"{name}[{level}]" for level in levels)
    if "contrasts" not in named:
        reduced = tuple(f"{name}[T.{level}]" for level in levels[1:])
        return Factor(name, expression.text, {}, whole, reduced, tuple(levels), 0)
    contrasts = _contrasts(name, named["contrasts"])
    try:
        coding = np.asarray(contrasts.get_coding_matrix(levels, reduced_rank=True), dtype=np.float64)
        fields = contrasts.get_coding_column_names(levels, reduced_rank=True)
        form = contrasts.get_factor_format(levels, reduced_rank=True)
    except Exception as error:  # formulaic raises errors of many types
        expect_memory(error, "coding a category")
        raise ValueError(f"{name!r} in the formula: {str(error).partition(chr(10))[0]}") from error
    reduced = tuple(form.format(name=name, field=field) for field in fields)
    dropped = np.flatnonzero(np.all(coding == 0.0, axis=1))
    if len(dropped) == 1 and np.array_equal(np.delete(coding, dropped, axis=0), np.eye(len(levels) - 1)):
        return Factor(name, expression.text, {}, whole, reduced, tuple(levels), int(dropped[0]))
    rows = tuple(map(tuple, coding.tolist()))
    return Factor(name, expression.text, {}, whole, reduced, tuple(levels), None, rows)


def _contrasts(name: str, node: ast.expr) -> Any:
    """Make the contrasts that a formula names, such as contr.sum, contr.treatment("B") or Treatment("B")."""
    function, given, options = (node.func, node.args, node.keywords) if isinstance(node, ast.Call) else (node, [], [])
    match function:
        case ast.Attribute(value=ast.Name(id="contr"), attr=kind) if kind in CODINGS:
            make = getattr(from_formulaic("contr"), kind)
        case ast.Name(id=kind) if kind in CONTRASTS:
            make = from_formulaic(kind)
        case _:
            known = ", ".join(f"contr.{kind}" for kind in CODINGS)
            raise ValueError(f"{name!r} in the formula names contrasts that are none of {known}")
    try:
        return make(*(_literal(name, part) for part in given), **{str(o.arg): _literal(name, o.value) for o in options})
    except TypeError as error:
        raise ValueError(f"{name!r} in the formula: {error}") from None


def _literal(name: str, node: ast.expr) -> Any:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        raise ValueError(f"{name!r} in the formula: {ast.unparse(node)} must be written out") from None
    for item in value if isinstance(value, (list, tuple)) else [value]:
        if not isinstance(item, LEVEL_TYPES):
            raise ValueError(f"{name!r} in the formula: {item!r} is neither a number nor a text")
    return value
