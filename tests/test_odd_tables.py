"""Tables and options of which something is odd: one clear error, or a right answer, and never a traceback."""

import dataclasses
import json

import numpy as np
import pytest
from test_commands import call, refused

import xlogreg
from xlogreg.cli import penalty
from xlogreg.fitting.held_out import split

pl = pytest.importorskip("polars")

M = 60
RNG = np.random.default_rng(0)
A, CODE = RNG.standard_normal(M).round(3), RNG.choice(["01", "2", "7"], M)
TABLE = {
    "a": A,
    "n": RNG.integers(0, 4, M),
    "code": CODE,
    "died": (RNG.random(M) < 1.0 / (1.0 + np.exp(-2.0 * A))).astype(int),
}
FIT = ("fit", "t.csv", "--target", "died")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    pl.DataFrame(TABLE).write_csv(folder / "t.csv")
    done = call(*FIT, "--categorical", "n", "code", "-o", "model", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def changed(folder, **columns):
    pl.DataFrame(TABLE).with_columns(**columns).write_parquet(folder / "new.parquet")
    return "new.parquet"


SAME = {  # other types that say the same
    "decimals": {"n": pl.col("n").cast(pl.Decimal(10, 2))},
    "categories": {"code": pl.col("code").cast(pl.Categorical)},
    "texts": {"n": pl.col("n").cast(pl.String), "a": pl.col("a").cast(pl.String)},
    "floats": {"n": pl.col("n").cast(pl.Float64)},
}


@pytest.mark.parametrize("case", SAME)
def test_a_model_knows_its_columns_in_other_types(folder, case):
    told = [call("predict", "model", name, folder=folder) for name in ("t.csv", changed(folder, **SAME[case]))]
    assert told[0].stdout == told[1].stdout
    assert told[1].stderr == ""


NEW = {  # what is new to a model
    "n: 60 rows of categories that are new to the model (99)": {"n": pl.lit(99)},
    "n: 60 rows of categories that are new to the model (none)": {"n": pl.lit(None)},
    "code: 60 rows of categories that are new to the model ('1e+300')": {"code": pl.lit(1e300)},
    "code: 60 rows of categories that are new to the model ('inf')": {"code": pl.lit(np.inf)},
}


@pytest.mark.parametrize("said", NEW)
def test_what_is_new_to_a_model_is_told_as_it_is_written(folder, said):
    done = call("predict", "model", changed(folder, **NEW[said]), folder=folder)
    assert (done.returncode, done.stderr) == (0, f"{said}: they have no feature\n")


def test_true_and_false_are_one_and_zero_to_a_model_of_numbers(folder):
    told = [call("predict", "model", changed(folder, n=pl.lit(value)), folder=folder).stdout for value in (True, 1)]
    assert told[0] == told[1] != ""


REFUSED = {
    "the column 'code' cannot be read as text: it holds List(String)": {"code": pl.concat_list("code")},
    "the column 'code' cannot be read as text: it holds Binary": {"code": pl.col("code").cast(pl.Binary)},
    "the column 'n' cannot be read as numbers: it holds Duration": {"n": pl.col("n").cast(pl.Duration("ms"))},
    "the column 'a' holds inf in row 0, counted from 0; mend it": {"a": pl.lit(np.inf)},
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_a_model_cannot_read_is_one_error_that_promises_nothing(folder, said):
    line = refused("predict", "model", changed(folder, **REFUSED[said]), folder=folder)
    assert line.startswith(said)
    assert "--ignore" not in line  # the model needs the column


def test_categories_are_fitted_where_missing_values_are_an_error(folder):
    fits = [
        call(*FIT, "--categorical", "code", "--missing", missing, "--json", folder=folder).stdout
        for missing in ("error", "median")
    ]
    error, median = map(json.loads, fits)
    assert error["l2"] == median["l2"]
    assert error["train"] == median["train"]


def test_missing_values_are_counted_where_the_model_was_fitted(folder):
    frame = pl.DataFrame(TABLE).with_columns(a=pl.when(pl.col("n") > 0).then("a"))
    frame.write_csv(folder / "gaps.csv")
    done = call("fit", "gaps.csv", "--target", "died", "--test-share", 0.5, "--json", folder=folder)
    train, _ = split(TABLE["died"], 0.5, np.random.default_rng(0))
    assert json.loads(done.stdout)["columns"]["a"]["missing"] == frame["a"][train].null_count()


def test_labels_that_are_not_a_number_are_missing(folder):
    name = changed(folder, died=pl.when(pl.col("a") > 0).then(1.0).otherwise(float("nan")))
    assert refused("fit", name, "--target", "died", folder=folder).startswith("the column 'died' lacks ")


HUGE = pl.col("a").sign() * 1e308
TOO_LARGE = {
    "X is too large to compute with": (pl.col("a") * 1e200, "median"),
    "X is too large to compute with: the squares": (HUGE, "median"),
    "the column 'a' of X is too large to take the mean of": (HUGE, "mean"),
}


@pytest.mark.parametrize("said", TOO_LARGE)
def test_numbers_that_are_too_large_are_one_error(folder, said):
    column, missing = TOO_LARGE[said]
    name = changed(folder, a=column)
    fit = ("fit", name, "--target", "died", "--categorical", "n", "--missing", missing)
    assert refused(*fit, folder=folder).startswith(said)


def test_a_penalty_of_which_a_model_never_began_has_no_score_in_json():
    found = xlogreg.fit_cv(A[:, None], TABLE["died"], [1.0, 0.1], samples="rows")
    scores = {name: values.copy() for name, values in found.scores.items()}
    scores["log_loss"][0, 1] = np.nan
    said = penalty.as_json_of(penalty.Choice(0.0, 1.0, "", dataclasses.replace(found, scores=scores)))
    assert said["log_loss"] == [pytest.approx(found.scores["log_loss"][:, 0].mean()), None]


def test_labels_of_bytes_are_text_in_json(folder):
    np.save(folder / "X.npy", RNG.standard_normal((4, 2)))
    np.save(folder / "Y.npy", [b"no", b"yes", b"no", b"yes"])
    fit = ("fit", "X.npy", "--target", "Y.npy", "--l2", 1, "-o", "bytes", "--json")
    for command in (fit, ("evaluate", "bytes", "X.npy", "--target", "Y.npy", "--json"), ("show", "bytes", "--json")):
        said = json.loads(call(*command, folder=folder).stdout)
        assert said.get("train", said)["classes"] == ["no", "yes"]


@pytest.mark.parametrize("options", [("fit", "own.csv", "--target", "died"), ("predict", "model", "own.csv")])
def test_a_table_is_never_replaced_by_what_is_made_of_it(folder, options):
    (folder / "own.csv").write_bytes((folder / "t.csv").read_bytes())
    (folder / "link.csv").unlink(missing_ok=True)
    (folder / "link.csv").symlink_to("own.csv")
    for name in ("own.csv", "link.csv"):
        assert f"--output {name} is the table itself" in refused(*options, "-o", name, folder=folder)
    assert (folder / "own.csv").read_bytes() == (folder / "t.csv").read_bytes()


WRONG = {
    "--offset died: that column holds the classes": (*FIT, "--offset", "died"),
    "--folds must be 2 or more, not 1": (*FIT, "--folds", 1),
    "--l1-ratio must be above 0 and at most 1, not 0": (*FIT, "--l1-ratio", 0),
    "X.npy holds complex128, not numbers": ("fit", "X.npy", "--target", "Y.npy"),
    "X lacks these columns, which the formula names: 'z'": ("fit", "t.csv", "--formula", "died ~ z"),
    "t.csv: Not a directory": (*FIT, "-o", "t.csv/model"),
    "predictions.xlsx: tables are written as": ("predict", "model", "none.csv", "-o", "predictions.xlsx"),
    "/dev/null: is no regular file": ("fit", "none.csv", "--target", "died", "-o", "/dev/null"),
}


@pytest.mark.parametrize("said", WRONG)
def test_what_cannot_be_had_is_said_without_advice_that_does_not_help(folder, said):
    np.save(folder / "X.npy", np.ones((4, 2), dtype=complex))
    np.save(folder / "Y.npy", [0, 1, 0, 1])
    line = refused(*WRONG[said], folder=folder)
    assert line.startswith(said)
    assert "--ignore" not in line


def test_the_columns_of_an_array_are_not_kept_and_not_ignored(folder):
    np.save(folder / "X.npy", RNG.standard_normal((4, 2)))
    np.save(folder / "Y.npy", [0, 1, 0, 1])
    assert call("fit", "X.npy", "--target", "Y.npy", "--l2", 1, "-o", "array", folder=folder).returncode == 0
    said = refused("predict", "array", "X.npy", "--keep", 0, folder=folder)
    assert said == "X.npy: --keep is for tables, whose columns have names"


def test_parts_of_a_table_may_have_their_columns_in_any_order(folder):
    parts, frame = folder / "parts", pl.DataFrame(TABLE)
    parts.mkdir()
    frame[:30].write_parquet(parts / "0.parquet")
    frame[30:].select("died", "n", "a", "code").write_parquet(parts / "1.parquet")
    told = [call("predict", "model", name, "--keep", "code", folder=folder) for name in ("t.csv", "parts")]
    assert told[0].stdout == told[1].stdout != ""


def test_a_feature_without_a_name_is_found_again(folder):
    frame = pl.DataFrame(TABLE).rename({"n": ""})
    frame.write_csv(folder / "nameless.csv")
    done = call("fit", "nameless.csv", "--target", "died", "-o", "nameless", folder=folder)
    assert done.returncode == 0, done.stderr
    assert xlogreg.load(folder / "nameless").feature_names == ("a", "", "code")
    assert call("predict", "nameless", "nameless.csv", folder=folder).returncode == 0


def test_a_target_without_a_name_is_shown(folder):
    frame = pl.DataFrame(TABLE).rename({"died": ""})
    frame.write_csv(folder / "nameless.csv")
    done = call("fit", "nameless.csv", "--target", "", "-o", "nameless", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "classes: 0, 1 (column )\n" in call("show", "nameless", folder=folder).stdout


@pytest.mark.parametrize("cells", [["9" * 40, "8" * 39, "7"] * 20, ["\u0661\u0662", "\u0663", "5"] * 20])
def test_digits_that_are_too_many_or_of_another_script_do_not_spoil_the_table(folder, cells):
    pl.DataFrame(TABLE).with_columns(odd=pl.Series(cells)).write_csv(folder / "digits.csv")
    done = call("fit", "digits.csv", "--target", "died", "--json", folder=folder)
    kinds = {name: column["as"] for name, column in json.loads(done.stdout)["columns"].items()}
    assert kinds == {"a": "numbers", "n": "numbers", "code": "numbers"} | {
        "odd": "numbers" if cells[0].isascii() else "categories"
    }
