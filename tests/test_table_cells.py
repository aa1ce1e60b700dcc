"""Labels are turned into the plainest type that loses nothing."""

import pytest

pl = pytest.importorskip("polars")

from xlogreg.cli.table_cells import as_labels  # noqa: E402  # it needs polars

LABELS = {
    "integers": (["0", "-3", None, "1"], [0, -3, None, 1]),
    "zeros in front": (["01", "1"], ["01", "1"]),
    "powers of ten": (["1e5", "1"], ["1e5", "1"]),
    "dates": (["2020-01-31"], ["2020-01-31"]),
    "signs": (["+1", "-0"], ["+1", "-0"]),
    "floats": (["1.0", "2.5"], [1.0, 2.5]),
    "integers beside floats": (["1", "2.5"], ["1", "2.5"]),
    "digits that a float loses": (["1.50", "2.5"], ["1.50", "2.5"]),
    "no finite float": (["inf", "nan"], ["inf", "nan"]),
    "too many digits": (["12345678901234567890", "1"], ["12345678901234567890", "1"]),
    "booleans": (["true", "false"], [True, False]),
    "booleans of Python": (["True", None, "False"], [True, None, False]),
    "booleans of R": (["TRUE", "FALSE"], ["TRUE", "FALSE"]),
    "booleans in two ways": (["true", "False"], ["true", "False"]),
    "blanks": ([" a ", " ", ""], ["a", None, None]),
    "nothing": ([None, ""], [None, None]),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_lose_nothing(case):
    text, expected = LABELS[case]
    found = as_labels(pl.Series("y", text, dtype=pl.String))
    assert found.to_list() == expected
    assert list(map(type, found)) == list(map(type, expected))
    assert found.name == "y"


def test_labels_that_are_no_text_are_returned_as_they_are():
    column = pl.Series("y", [1.0, None])
    assert as_labels(column) is column
