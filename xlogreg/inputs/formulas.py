"""Formulas such as "died ~ age + C(ward) + age:dose": their sides, terms and factors, and which levels terms span."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

from xlogreg.exceptions import expect_memory
from xlogreg.inputs.expressions import QUOTED, parse, quoted

__all__ = ["Formula", "Product", "parse_formula", "spanning"]

Product = tuple[tuple[int, bool], ...]  # factors by number, and whether each leaves out a level
BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


class Formula(NamedTuple):
    """A formula that is parsed.

    Attributes
    ----------
    text : str
    left : str
        The expression of the labels.
    factors : dict
        The expressions of the factors, by the name that each has in the names of features.
    terms : tuple of tuple of str
        The names of the factors of each term, terms of fewer factors first.
    bias : bool
    """

    text: str
    left: str
    factors: dict[str, str]
    terms: tuple[tuple[str, ...], ...]
    bias: bool


def parse_formula(text: str, columns: Sequence[str], used: Sequence[str] = ()) -> Formula:
    """Parse a formula; formulaic parses its right side.

    Parameters
    ----------
    text : str
    columns : sequence of str
        Columns of the table: "." stands for all that the left side does not name.
    used : sequence of str
        Columns that "." leaves out, too.

    Raises
    ------
    ImportError
        If formulaic is not installed.
    ValueError
        If the text is no formula with two sides; the message says where it goes wrong.
    """
    try:
        from formulaic.parser import DefaultFormulaParser
    except ImportError as error:
        raise ImportError(
            'fit_formula needs formulaic, 1.1 or later: pip install "xlogreg[formula]"', name="formulaic"
        ) from error
    left, right = _sides(text)
    labels = parse(left.strip()).names
    others = [name for name in columns if name not in used and name not in labels]
    try:
        parsed = DefaultFormulaParser(feature_flags=set()).get_terms(
            right, context={"__formulaic_variables_available__": others}
        )
        terms = [[(factor.expr, factor.eval_method.value) for factor in term.factors] for term in parsed]
    except Exception as error:  # formulaic raises errors of many types
        expect_memory(error, "parsing a formula")
        said = str(error).partition("\n")[0]
        raise ValueError(f"the formula {text!r} cannot be parsed: {said}") from error
    factors: dict[str, str] = {}
    found, bias = [], False
    for term in terms:
        if term == [("1", "literal")]:
            bias = True
            continue
        literal = [name for name, kind in term if kind == "literal"]
        if literal:
            raise ValueError(f"the formula multiplies a term by {literal[0]}; write I({literal[0]} * x) for a column x")
        factors |= {name: quoted(name) if kind == "lookup" else name for name, kind in term}
        found.append(tuple(name for name, _ in term))
    if not found:
        raise ValueError(f"the formula {text!r} has no features on its right side")
    return Formula(text, left.strip(), factors, tuple(sorted(found, key=len)), bias)


def _sides(text: Any) -> tuple[str, str]:
    """Split a formula at its only "~" that stands in no brackets and no quotes."""
    if not isinstance(text, str):
        raise TypeError(f"formula must be a text such as 'died ~ age', not {type(text).__name__}")
    hidden = QUOTED.sub(lambda match: " " * len(match[0]), text)
    depths = itertools.accumulate(BRACKETS.get(sign, 0) for sign in hidden)
    places = [place for place, depth in enumerate(depths) if depth == 0 and hidden[place] == "~"]
    if len(places) != 1 or not text[: places[0]].strip() or not text[places[0] + 1 :].strip():
        raise ValueError(f"formula must have the labels left of one '~' and features right of it, not {text!r}")
    return text[: places[0]], text[places[0] + 1 :]


def spanning(terms: Sequence[Sequence[int]], spans: Sequence[bool], bias: bool) -> list[list[Product]]:
    """Find products of factors for each term, so that no product of all terms repeats what others span.

    A categorical factor spans the constant: beside a bias it leaves out a level, and in an interaction it does so if
    the rest of the product is there already. This is the rule of patsy and formulaic.

    Parameters
    ----------
    terms : sequence of sequence of int
        The numbers of the factors of each term.
    spans : sequence of bool
        Whether each factor spans the constant.
    bias : bool

    Examples
    --------
    >>> spanning([[0], [0, 1]], spans=[True, False], bias=True)  # C(ward) + C(ward):age
    [[((0, True),)], [((0, False), (1, False))]]
    """
    spanned: set[frozenset[int]] = {frozenset()} if bias else set()
    found = []
    for term in terms:
        choices = [((factor,), ()) if spans[factor] else ((factor,),) for factor in term]
        # each product of factors that leave out a level, with some of those left out altogether
        parts = [tuple(itertools.chain(*chosen)) for chosen in itertools.product(*choices)]
        new = [part for part in parts if frozenset(part) not in spanned]
        spanned |= set(map(frozenset, new))
        found.append(_merged([tuple((factor, spans[factor]) for factor in part) for part in new]))
    return found


def _merged(products: Sequence[Product]) -> list[Product]:
    """Replace a product and the same times a factor that leaves out a level by that with all levels, where possible."""
    merged: list[Product] = []
    for product in sorted(products, key=len):
        for known in merged:
            added = set(product) - set(known)
            if len(product) != len(known) + 1 or len(added) != 1:
                continue
            (factor, leaves_out) = added.pop()
            if leaves_out:
                whole = tuple((own, False) if own == factor else (own, left) for own, left in product)
                merged = _merged([*(own for own in merged if own != known), whole])
                break
        else:
            merged.append(product)
    return merged
