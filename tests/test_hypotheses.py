"""Texts of hypotheses, drawn at random: they are read as they are written."""

import numpy as np
import pytest

from xlogreg.inference.hypotheses import parse

hypothesis = pytest.importorskip("hypothesis")
given, st = hypothesis.given, hypothesis.strategies

NAMES = st.sampled_from(["a", "ab", "a b", "city=Paris", "x-y", "1st", "C(w)[T.b]"])


@given(st.lists(st.tuples(NAMES, st.integers(-9, 9)), min_size=1, max_size=4), st.integers(-5, 5))
def test_sums_of_products_are_read_as_written(terms, right):
    names = ["a", "ab", "a b", "city=Paris", "x-y", "1st", "C(w)[T.b]"]
    symbols = {name: np.eye(7)[number : number + 1] for number, name in enumerate(names)}
    factors = np.zeros(7)
    for name, factor in terms:
        factors[names.index(name)] += factor
    text = " + ".join(f"{factor} * {name}" for name, factor in terms) + f" = {right}"
    if not factors.any():
        with pytest.raises(ValueError, match="has an equation without a coefficient"):
            parse(text, symbols, 7)
    else:
        np.testing.assert_array_equal(parse(text, symbols, 7), [[*factors, -right]])
