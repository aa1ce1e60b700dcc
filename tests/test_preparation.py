"""What becomes of the columns of a table on the command line."""

import datetime
from pathlib import Path

import pytest

pl = pytest.importorskip("polars")
preparation = pytest.importorskip("xlogreg.cli.preparation")
column_names = pytest.importorskip("xlogreg.cli.column_names")

M = 6
USED = {"x": [1.5, 2.0, 7.25, 1.0, None, 3.0], "sex": ["f", "m", "f", " m ", "", "f"]}


def prepared(more, **asked):
    return preparation.prepare(pl.DataFrame({**USED, **more}, strict=False), **asked)


LEFT_OUT = {
    "identifiers in any order": ([3, 1, 2, 6, 5, 4], "whole numbers in a row without a gap"),
    "identifiers as floats": ([3.0, 1.0, 2.0, 6.0, 5.0, 4.0], "whole numbers in a row without a gap"),
    "names": (["Ann", "Bob", "Cy", "Dan", "Eve", "Flo"], "6 different texts in 6 rows, as names have"),
    "dates": ([datetime.date(2020, 1, day + 1) for day in range(M)], "dates or times"),
    "texts of dates": (["2020-01-02", None, "2020-02-01", "2020-02-01", "2020-02-01", "2021-12-31"], "dates or times"),
    "days before months": (["31.12.2020", "01.02.2020"] * 3, "dates or times"),
    "months before days": (["12/31/2020 10:15", "1/2/2020 9:05"] * 3, "dates or times"),
    "times of day": (["10:15", "9:05:30"] * 3, "dates or times"),
    "nothing": ([None] * M, "no values"),
    "not a number": ([float("nan")] * M, "no values"),
    "blanks": (["", "  "] * 3, "no values"),
    "one value": ([7] * M, "the same value in every row"),
    "lists": ([[1], [2]] * 3, "values of the type List"),
    "numbers but for a cell": (["1", "2.5", "?", "4", "5", "7"], "numbers, but for cells such as '?' in row 2"),
    "texts of numbers": (["01", "2.5", "003", "4", "5", "7"], "numbers that are written as text"),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_columns_that_tell_nothing_are_left_out_and_the_reason_is_said(case):
    values, reason = LEFT_OUT[case]
    found = prepared({"odd": values})
    assert found.frame.columns == ["x", "sex"]
    assert found.left_out["odd"].startswith(reason)


KEPT = {
    "different numbers": [0.5, 1.5, 2.5, 3.5, 4.5, 5.5],
    "whole numbers with a gap": [1, 2, 3, 4, 5, 7],
    "whole numbers of which one is missing": [1, 2, 3, 4, 5, None],
    "years": [2020, 2021, 2022, 2020, 2021, 2022],
    "bools": [True, False, None, True, True, False],
    "one value, or none": [7, None, 7, 7, None, 7],
    "huge": [12345678901234567890, 2, 3, 4, 5, 6],
}


@pytest.mark.parametrize("case", KEPT)
def test_other_numbers_are_used(case):
    found = prepared({"own": KEPT[case]})
    assert found.frame.columns == ["x", "sex", "own"]
    assert (found.categories, found.left_out) == (("sex",), {})


def test_columns_without_values_to_train_on_are_left_out():
    found = preparation.trained_on(prepared({"late": [None] * 5 + [1.5], "code": [" "] * 5 + ["a"]}), [0, 1, 2])
    assert found.frame.columns == ["x", "sex"]
    assert found.categories == ("sex",)
    assert found.left_out == dict.fromkeys(("late", "code"), "no values in the rows to train on")
    with pytest.raises(ValueError, match=r"no column is left to learn from \('late': no values in the rows to train"):
        preparation.trained_on(preparation.prepare(pl.DataFrame({"late": [None, 1.5]})), [0])


def test_text_is_categories_whose_cells_are_stripped():
    found = prepared({"fruit": pl.Series(["a", "b"] * 3, dtype=pl.Enum(["b", "a"]))})
    assert found.categories == ("sex", "fruit")
    assert found.frame["sex"].to_list() == ["f", "m", "f", "m", None, "f"]


def test_what_is_asked_for_is_done_all_the_same():
    odd = {
        "id": [3, 1, 2, 6, 5, 4],
        "code": ["1", "2", "3", " 4.5", "", "6"],
        "name": list("abcdef"),
        "n": [1, 2, 1, 2, 1, 2],
    }
    found = prepared(odd, numeric=["id", "code"], categorical=["name", "n"])
    assert (found.left_out, found.categories) == ({}, ("sex", "name", "n"))
    assert found.frame["code"].to_list() == [1.0, 2.0, 3.0, 4.5, None, 6.0]


WRONG = {
    "'c' in row 2": ({"name": ["1", "2", "c", "4", "5", "6"]}, {"numeric": ["name"]}),
    "'1,001' in row 0, counted from 0, is none; --thousands": ({"name": ["1,001"] * M}, {"numeric": ["name"]}),
    "it holds Date": ({"name": [datetime.date(2020, 1, 1)] * M}, {"numeric": ["name"]}),
    "both --categorical and --numeric": ({"name": [1] * M}, {"numeric": ["name"], "categorical": ["name"]}),
    "cannot be categories: no values": ({"name": [None] * M}, {"categorical": ["name"]}),
    "holds inf in row 1": ({"name": [1.5, float("inf")] * 3}, {}),
}


@pytest.mark.parametrize("said", WRONG)
def test_what_cannot_be_is_an_error_that_names_the_column(said):
    more, asked = WRONG[said]
    with pytest.raises(ValueError, match="name") as error:
        prepared(more, **asked)
    assert said in str(error.value)


def test_a_table_without_a_column_to_learn_from_is_an_error():
    with pytest.raises(ValueError, match=r"no column is left to learn from \('id': whole numbers in a row"):
        preparation.prepare(pl.DataFrame({"id": [2, 1, 3]}))
    with pytest.raises(ValueError, match="the table has no column beside"):
        preparation.prepare(pl.DataFrame())


COLUMNS = ("a", "b", "Last, First", "c,")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["a", "b"], ["a", "b"]),
        (["a,b", "a"], ["a", "b"]),
        (["a, b"], ["a", "b"]),
        (["Last, First", "c,"], ["Last, First", "c,"]),
        ([], []),
    ],
)
def test_names_of_columns_may_have_commas_between_them_or_in_them(words, names):
    assert column_names.find_columns(Path("t.csv"), COLUMNS, {"--ignore": words}) == {"--ignore": names}


def test_all_unknown_names_are_one_error_with_the_nearest():
    given = {"--target": "Agee", "--ignore": ["Age,x"], "--numeric": ["z,z"]}
    with pytest.raises(ValueError, match="has no column") as error:
        column_names.find_columns(Path("t.csv"), ("Age", "Sex"), given)
    unknown = "'Agee' (--target), 'x' (--ignore), 'z' (--numeric)"
    assert str(error.value) == f"t.csv has no column {unknown}; it has 'Age', 'Sex'; did you mean 'Age'?"


def test_of_decimal_commas_the_cell_that_is_no_number_is_named():
    with pytest.raises(ValueError, match="'12,,5' in row 1"):
        preparation.as_numbers(pl.Series("x", ["3273,00", "12,,5", "7,5"]))
