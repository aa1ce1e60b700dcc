"""The encoding of a table in the header of a model file: plain values, checked as they are read.

The terms of a formula are expressions. They can hold columns, numbers and a fixed list of functions, which is checked
before anything is computed; no text of a file is ever handed to Python's eval.
"""

import math
from typing import Any

from xlogreg.exceptions import ModelFileError
from xlogreg.inputs.columns import MISSING, UNSEEN
from xlogreg.inputs.encoding import Column, Encoding
from xlogreg.inputs.expressions import Expression, parse
from xlogreg.inputs.factors import Factor
from xlogreg.inputs.formula_encoding import FormulaEncoding
from xlogreg.inputs.formulas import Product

__all__ = ["CATEGORIES", "TERMS", "encoding_as_json", "encoding_from_json", "expect"]

# fields of the header from version 2 on; a library that cannot use one of them refuses the file
CATEGORIES = "categories"  # the encoding of a table
TERMS = "terms"  # that of a formula
PARTS = ("columns", "formula", "labels", "factors", "products")  # of a formula
READ = ("target", "thousands")  # how the table was read; a field that is not known is left out
THOUSANDS = (",", ".", " ", "'")
MOST_NESTED = 3  # levels of lists and dicts that a state of a function has at most


def expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ModelFileError(otherwise)


def encoding_as_json(encoding: Encoding) -> dict[str, Any]:
    """Return the field of the header that holds an encoding.

    Raises
    ------
    ValueError
        If it needs functions that a file cannot hold.
    """
    columns = [column._asdict() for column in encoding.columns]
    if not isinstance(encoding, FormulaEncoding):
        own = {"columns": columns, "unseen": encoding.unseen, "missing": encoding.missing}
        read = {name: getattr(encoding, name) for name in READ if getattr(encoding, name) is not None}
        return {CATEGORIES: own | read}
    if encoding.context:
        raise ValueError(
            f"the model cannot be saved: its formula uses {', '.join(sorted(encoding.context))} of context, and a file "
            "holds no Python; make a column of the table with it, and fit a formula that names the column"
        )
    own = {name: getattr(encoding, name) for name in PARTS}
    return {TERMS: own | {"columns": columns, "factors": [factor._asdict() for factor in encoding.factors]}}


def encoding_from_json(header: dict[str, Any], names: Any) -> Encoding | None:
    """Build the encoding that a header has, checked: its features must be those of the model, ``names``."""
    table, formula = header.get(CATEGORIES), header.get(TERMS)
    expect(table is None or formula is None, "it has categories and terms")
    return _encoding(table, names) if formula is None else _formula(formula, names)


def _encoding(stored: Any, names: Any) -> Encoding | None:
    """Build the encoding of a table, checked: its features must be those of the model."""
    if stored is None:
        return None
    fields = {"columns", "unseen", "missing"}
    expect(isinstance(stored, dict) and fields <= stored.keys() <= fields | set(READ), "its categories are odd")
    expect(stored["unseen"] in UNSEEN and stored["missing"] in MISSING, "its categories have unknown options")
    expect(isinstance(stored["columns"], list), "its categories have no columns")
    target, thousands = map(stored.get, READ)
    encoding = Encoding(tuple(map(_column, stored["columns"])), stored["unseen"], stored["missing"], target, thousands)
    columns = [column.name for column in encoding.columns]
    expect(target is None or (isinstance(target, str) and target not in columns), "its target is odd")
    expect(thousands is None or (isinstance(thousands, str) and thousands in THOUSANDS), "its thousands are odd")
    expect(len(set(columns)) == len(columns), "two columns have the same name")
    for column in encoding.columns:
        lacking = column.fill is not None or (column.levels is not None and column.levels[-1] is None)
        filled = column.levels is not None or column.fill is not None or encoding.missing == "error"
        expect(filled and not (lacking and encoding.missing == "error"), "fills and missing do not agree")
    expect(list(encoding.names) == names, "its categories are not its features")
    return encoding


def _column(stored: Any) -> Column:
    expect(isinstance(stored, dict) and tuple(stored) == Column._fields, "a column has other fields")
    name, levels, dropped, fill, indicator = stored.values()
    if levels is not None:
        _expect_levels(levels)
    whole = dropped is None or (type(dropped) is int and levels is not None and 0 <= dropped < len(levels))
    expect(isinstance(name, str) and type(indicator) is bool and whole, "a column is odd")
    expect(not indicator or fill is not None, "an indicator has no fill")
    expect(fill is None or (type(fill) is float and levels is None and math.isfinite(fill)), "a fill is odd")
    return Column(name, None if levels is None else tuple(levels), dropped, fill, indicator)


def _expect_levels(levels: Any) -> None:
    expect(isinstance(levels, list), "levels are no list")
    there = levels[:-1] if levels[-1:] == [None] else levels
    expect(bool(there) and all(type(level) in (str, bool, int, float) for level in there), "levels are odd")
    expect(len(set(there)) == len(there), "two levels are the same")
    expect(len({isinstance(level, str) for level in there}) == 1, "levels mix text and numbers")
    expect(all(type(level) is not float or math.isfinite(level) for level in there), "a level is not finite")


def _formula(stored: Any, names: Any) -> FormulaEncoding:
    """Build the terms of a formula, checked."""
    expect(isinstance(stored, dict) and stored.keys() == set(PARTS), "its terms have other fields")
    lists = [stored[name] for name in ("columns", "factors", "products")]
    expect(all(isinstance(own, list) for own in lists), "its terms are no lists")
    expect(isinstance(stored["formula"], str) and isinstance(stored["labels"], str), "its formula is no text")
    _expression(stored["labels"])
    columns = tuple(map(_column, stored["columns"]))
    here = {column.name for column in columns}
    plain = all(column == Column(column.name, column.levels) for column in columns)
    expect(len(here) == len(columns) and plain, "the columns of its formula are odd")
    factors = tuple(_factor(own, here) for own in stored["factors"])
    products = tuple(_term(own, factors) for own in stored["products"])
    sizes = (
        math.prod(len(factors[number].features(leaves_out)) for number, leaves_out in product)
        for _, own in products
        for product in own
    )
    # the names are made only after their number is known
    expect(isinstance(names, list) and sum(sizes) == len(names), "its terms are not its features")
    encoding = FormulaEncoding(
        columns, formula=stored["formula"], labels=stored["labels"], factors=factors, products=products
    )
    expect(list(encoding.names) == names, "its terms are not its features")
    return encoding


def _expression(text: Any) -> Expression:
    expect(isinstance(text, str), "an expression is no text")
    expression = parse(text)
    expression.expect_known({})
    return expression


def _factor(stored: Any, columns: set[str]) -> Factor:
    expect(isinstance(stored, dict) and tuple(stored) == Factor._fields, "a factor has other fields")
    factor = Factor(**stored)
    expression = _expression(factor.expression)
    expect(isinstance(factor.name, str) and expression.names <= columns, "a factor names other columns")
    expect(isinstance(factor.states, dict) and factor.states.keys() == expression.stateful, "states are odd")
    for own in (factor.whole, factor.reduced):
        expect(isinstance(own, list) and all(isinstance(name, str) for name in own), "features have no names")
    whole, reduced = tuple(factor.whole), tuple(factor.reduced)
    states = {call: _state(state, MOST_NESTED) for call, state in factor.states.items()}
    factor = factor._replace(states=states, whole=whole, reduced=reduced)
    if factor.levels is None:
        expect(factor.dropped is None and factor.coding is None, "numbers have levels")
        expect(bool(whole) and reduced in (whole, whole[1:]), "features of numbers are odd")
        return factor
    _expect_levels(factor.levels)
    size = len(factor.levels)
    expect(factor.levels[-1] is not None and len(whole) == size, "the levels of a factor are odd")
    if factor.coding is None:
        expect(type(factor.dropped) is int and 0 <= factor.dropped < size == len(reduced) + 1, "a level is odd")
        return factor._replace(levels=tuple(factor.levels))
    expect(factor.dropped is None and isinstance(factor.coding, list) and len(factor.coding) == size, "a coding is odd")
    expect(all(isinstance(row, list) and len(row) == len(reduced) for row in factor.coding), "a coding has odd rows")
    numbers = (value for row in factor.coding for value in row)
    expect(all(type(value) is float and math.isfinite(value) for value in numbers), "a coding is not of numbers")
    return factor._replace(levels=tuple(factor.levels), coding=tuple(map(tuple, factor.coding)))


def _state(stored: Any, depth: int) -> Any:
    """Read what a function keeps: numbers, lists of them, and dicts, whose keys may be numbers."""
    if isinstance(stored, dict) and depth:
        return {int(key) if key.isdecimal() else key: _state(value, depth - 1) for key, value in stored.items()}
    if isinstance(stored, list) and depth:
        return [_state(value, depth - 1) for value in stored]
    plain = stored is None or (type(stored) in (bool, int, float) and math.isfinite(stored))
    expect(plain, "the state of a function is not of numbers")
    return stored


def _term(stored: Any, factors: tuple[Factor, ...]) -> tuple[str, tuple[Product, ...]]:
    expect(isinstance(stored, list) and len(stored) == 2 and isinstance(stored[0], str), "a term is odd")
    name, products = stored
    expect(isinstance(products, list) and all(isinstance(product, list) for product in products), "products are odd")
    return name, tuple(_product(product, factors) for product in products)


def _product(stored: list[Any], factors: tuple[Factor, ...]) -> Product:
    found = []
    for pair in stored:
        expect(isinstance(pair, list) and len(pair) == 2, "a product is odd")
        number, leaves_out = pair
        expect(type(number) is int and 0 <= number < len(factors), "a product has an unknown factor")
        expect(type(leaves_out) is bool and (factors[number].spans or not leaves_out), "a product leaves out too much")
        found.append((number, leaves_out))
    expect(bool(found) and len({number for number, _ in found}) == len(found), "a product has a factor twice or none")
    return tuple(found)
