"""The features of a formula: the products of its factors, for the table of a fit and for tables to predict on."""

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from xlogreg.inputs.encoding import FEW_NUMBERS, NARROW, Arranged, Column, Encoding, Term
from xlogreg.inputs.evaluation import Coded, Scope, evaluate
from xlogreg.inputs.expressions import parse
from xlogreg.inputs.factors import Factor, coded, columns_of, learned, split_category
from xlogreg.inputs.formula_columns import (
    Values,
    expect_columns,
    gone_from,
    is_text,
    of_columns,
    read_columns,
    refuse_gone,
)
from xlogreg.inputs.formulas import Formula, Product, spanning
from xlogreg.inputs.stored import Stored
from xlogreg.inputs.tables import Frame, joined, listed, open_frame

__all__ = ["FormulaEncoding", "categorical_columns", "learn_formula"]

FEW_LEVELS = 16  # of a category times a number: with more, the product is stored without its zeros


@dataclass(frozen=True)
class FormulaEncoding(Encoding):
    """The terms of a formula, and how the columns of a table become their features.

    Attributes
    ----------
    columns : tuple of Column
        The columns that the formula names on its right side; levels are those of a column that is read as categories.
    formula : str
        The whole formula.
    labels : str
        The expression of the labels, its left side.
    factors : tuple of Factor
    products : tuple of (str, tuple of Product)
        The name of each term, and the products of factors that it adds.
    context : mapping from str to object
        Functions and values of the user that the formula names.
    """

    formula: str = ""
    labels: str = ""
    factors: tuple[Factor, ...] = ()
    products: tuple[tuple[str, tuple[Product, ...]], ...] = ()
    context: Mapping[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(name for _, products in self.products for product in products for name in self._named(product))

    @functools.cached_property
    def terms(self) -> tuple[Term, ...]:
        terms, row = [], 0
        for (name, products), count in zip(self.products, self._counts, strict=True):
            rows: list[int | None] = list(range(row, row + count))
            row += count
            levels = None
            if len(products) == 1 and len(products[0]) == 1:  # a factor alone
                (number, leaves_out) = products[0][0]
                factor = self.factors[number]
                if factor.levels is not None and not (leaves_out and factor.dropped is None):
                    levels = factor.levels
                    if leaves_out and factor.dropped is not None:
                        rows.insert(factor.dropped, None)
            terms.append(Term(name, levels, tuple(rows)))
        return tuple(terms)

    @property
    def owners(self) -> np.ndarray:
        """The number (n_x,) of the term that each feature belongs to."""
        return np.repeat(np.arange(len(self.products)), self._counts)

    @property
    def fills(self) -> dict[int, tuple[int, float]]:
        """None: a formula fills in no missing numbers."""
        return {}

    def is_narrow(self, m: int) -> bool:
        """Whether an array of all features of m rows serves better than codes of the categories."""
        products = [product for _, products in self.products for product in products]
        # a product of categories is one column of codes, any other is as many columns as it has features
        columns = sum(1 if self._is_coded(product) else len(self._named(product)) for product in products)
        return m * self.n_x <= FEW_NUMBERS or self.n_x <= NARROW * columns

    def open(self, X: Any, samples: str) -> Frame | None:
        """Open a table that must have the columns that the formula names, and may have others."""
        frame = open_frame(X, samples)
        if frame is None:
            return None
        expect_columns(self.table_names, frame)
        return of_columns(frame, self.table_names)

    def arrange(self, frame: Frame, apart: bool = False) -> Arranged:
        return self.of_values(read_columns(frame, {column.name: column.levels is not None for column in self.columns}))

    def of_values(self, columns: Values) -> Arranged:
        """Arrange columns that are read already."""
        refuse_gone(gone_from(columns))
        blocks = _Blocks(columns.m)
        made: dict[int, Any] = {}
        start = 0
        for product in itertools.chain.from_iterable(products for _, products in self.products):
            parts = []
            for number, leaves_out in product:
                if number not in made:
                    made[number] = self._made(self.factors[number], columns)
                parts.append(_part(self.factors[number], made[number], leaves_out))
            blocks.add(parts, start)
            start += len(self._named(product))
        return blocks.arranged()

    @functools.cached_property
    def _counts(self) -> list[int]:
        return [sum(len(self._named(product)) for product in products) for _, products in self.products]

    def _is_coded(self, product: Product) -> bool:
        """Whether each sample has at most one feature of a product that is not zero, which is one."""
        factors = [(self.factors[number], leaves_out) for number, leaves_out in product]
        return all(
            factor.levels is not None and (factor.dropped is not None or not leaves_out)
            for factor, leaves_out in factors
        )

    def _named(self, product: Product) -> list[str]:
        """Names of the features of a product; those of its first factor vary fastest."""
        names = [self.factors[number].features(leaves_out) for number, leaves_out in product]
        return [":".join(reversed(own)) for own in itertools.product(*reversed(names))]

    def _made(self, factor: Factor, columns: Values) -> Any:
        """Compute a factor: the level (m,) of each sample, or features (m,) in a list."""
        value = evaluate(parse(factor.expression), Scope(columns.values, self.context, factor.states))
        if factor.levels is None:
            return columns_of(factor, value, columns.m)
        found = coded(value)
        fitted, here = ({isinstance(level, str) for level in some} for some in (factor.levels, found.levels))
        if len(fitted | here) > 1:
            kinds = ["text" if kind == {True} else "numbers" for kind in (here, fitted)]
            raise TypeError(f"{factor.name!r} in the formula holds {kinds[0]}; in the fitted table it held {kinds[1]}")
        place_of = {level: place for place, level in enumerate(factor.levels)}
        codes = np.asarray([place_of.get(level, -1) for level in found.levels] + [-1])[found.codes]
        lost = codes < 0
        if np.any(lost):
            said = listed(sorted({repr(found.levels[code]) for code in np.unique(found.codes[lost]).tolist()}))
            raise ValueError(
                f"{factor.name!r} in the formula has levels that the model was not fitted on: {said} ({np.sum(lost)} "
                f"rows, the first is row {np.argmax(lost)}); leave those rows out"
            )
        return codes


class _Codes(NamedTuple):
    """The feature (m,) of each sample among those of a category, or their number for none."""

    codes: np.ndarray
    size: int


class _Blocks:
    """Features that are gathered product by product."""

    def __init__(self, m: int) -> None:
        self.m = m
        self.numbers: list[np.ndarray] = []
        self.at: list[int] = []
        self.stored: list[Any] = []
        self.stored_at: list[int] = []
        self.codes: list[np.ndarray] = []
        self.features: list[np.ndarray] = []

    def add(self, parts: Sequence[_Codes | list[np.ndarray]], start: int) -> None:
        """Add the products of the features of several factors; the first of these is feature ``start``."""
        codes, places = None, np.asarray([start])  # one code for all categories, and the first features of each
        numbers: list[tuple[int, np.ndarray | None]] = [(0, None)]  # how far a product of numbers is from these
        stride = 1
        for part in parts:
            if isinstance(part, _Codes):
                size = part.size
                if codes is None:
                    codes = part.codes
                else:
                    none = (codes == len(places)) | (part.codes == size)
                    codes = np.where(none, len(places) * size, codes + len(places) * part.codes)
                places = (places + stride * np.arange(size)[:, None]).ravel()
            else:
                size = len(part)
                numbers = [
                    (step + stride * own, column if before is None else _times(before, column))
                    for own, column in enumerate(part)
                    for step, before in numbers
                ]
            stride *= size
        for step, column in numbers:
            self._put(codes, places + step, column)

    def _put(self, codes: np.ndarray | None, places: np.ndarray, column: np.ndarray | None) -> None:
        """Put numbers (m,), or ones, into the features of their codes, or into one feature."""
        if codes is None:
            assert column is not None
            self.numbers.append(column)
            self.at += places.tolist()
        elif column is None:
            self.codes.append(codes)
            self.features.append(places)
        elif len(places) <= FEW_LEVELS:
            self.numbers += [np.where(codes == code, column, column.dtype.type(0)) for code in range(len(places))]
            self.at += places.tolist()
        else:
            from scipy.sparse import csr_array

            there = np.flatnonzero(codes < len(places))
            index = (there, codes[there])
            self.stored.append(csr_array((column[there], index), shape=(self.m, len(places))))
            self.stored_at += places.tolist()

    def arranged(self) -> Arranged:
        stored = None
        if self.stored:
            from scipy.sparse import hstack

            stored = Stored((), hstack(self.stored, format="csr"))
        numbers = joined(self.numbers) if self.numbers else None
        at, stored_at = (np.asarray(places, dtype=np.int64) for places in (self.at, self.stored_at))
        return Arranged(self.m, numbers, at, stored, stored_at, self.codes, self.features)


def _part(factor: Factor, made: Any, leaves_out: bool) -> _Codes | list[np.ndarray]:
    """The features of a factor, with all of them or with one left out: numbers, or codes."""
    if factor.levels is None:
        return made[1:] if leaves_out else made
    size = len(factor.levels)
    if not leaves_out:
        return _Codes(made, size)
    if factor.dropped is None:
        coding = np.asarray(factor.coding)
        return [column[made] for column in coding.T]
    place_of = np.arange(size)
    place_of[factor.dropped] = size
    place_of -= place_of > factor.dropped
    return _Codes(place_of[made], size - 1)


def _times(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Multiply numbers as floats, so that no integer overflows."""
    return np.multiply(one, other, dtype=np.result_type(np.float32, one.dtype, other.dtype))


def learn_formula(formula: Formula, columns: Values, context: Mapping[str, Any]) -> FormulaEncoding:
    """Decide what becomes of the columns of a table.

    Parameters
    ----------
    formula : Formula
    columns : Values
        The columns that its right side names, which lack no values.
    context : mapping from str to object
        Functions and values of the user.
    """
    numbered = {name: number for number, name in enumerate(formula.factors)}
    factors = [learned(name, text, Scope(columns.values, context, {})) for name, text in formula.factors.items()]
    terms = [[numbered[name] for name in term] for term in formula.terms]
    products = spanning(terms, [factor.spans for factor in factors], formula.bias)
    named = tuple((":".join(term), tuple(own)) for term, own in zip(formula.terms, products, strict=True))
    levels = {name: tuple(own.levels) for name, own in columns.values.items() if isinstance(own, Coded)}
    expressions = [parse(text) for text in (formula.left, *(factor.expression for factor in factors))]
    used = {name for expression in expressions for name in (expression.calls | expression.names) & context.keys()}
    encoding = FormulaEncoding(
        tuple(Column(name, levels.get(name)) for name in columns.values),
        formula=formula.text,
        labels=formula.left,
        factors=tuple(factors),
        products=named,
        context={name: context[name] for name in used},
    )
    names = encoding.names
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise ValueError(f"several features of the formula would have the name {twice!r}; rename a column of X")
    return encoding


def categorical_columns(formula: Formula, frame: Frame, context: Mapping[str, Any]) -> dict[str, bool]:
    """Find which columns are read as categories: those of text, and those that stand in C() and nowhere else."""
    named: dict[str, int] = {}
    alone: dict[str, int] = {}
    for name, text in formula.factors.items():
        category = split_category(name, text)
        expression = parse(text if category is None else category[0])
        for own in sorted(expression.names - context.keys()):
            named[own] = named.get(own, 0) + 1
        if category is not None and expression.column is not None:
            alone[expression.column] = alone.get(expression.column, 0) + 1
    return {name: is_text(frame, name) or alone.get(name, 0) == count for name, count in named.items()}
