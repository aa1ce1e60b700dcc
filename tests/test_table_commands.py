"""From a table as it stands to a model, its predictions and what it says of itself, without a flag for any column."""

import dataclasses
import io
import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from test_commands import call, refused

import xlogreg
from xlogreg.cli import main
from xlogreg.fitting.held_out import split

pl = pytest.importorskip("polars")

EXAMPLE = Path(__file__).parent.parent / "examples" / "passengers.py"
RNG = np.random.default_rng
FIT = ("fit", "passengers.csv", "--target", "Outcome")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("passengers")
    runpy.run_path(str(EXAMPLE))["main"](str(folder / "passengers.csv"))
    done = call(*FIT, "--test-share", 0.2, "-o", "model", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    (folder / "said").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def table(folder):
    return pl.read_csv(folder / "passengers.csv")


def test_the_output_says_what_becomes_of_each_column(folder, table):
    said, table = (folder / "said").read_text(), table[split(table["Outcome"].to_numpy(), 0.2, RNG(0))[0]]
    gone = table["Age"].null_count()  # of the rows that the model was fitted to
    for line in (
        "  numbers: Fare\n",
        "  Sex: 2 categories\n",
        f"  Age: {gone} missing values filled with the median ",
        ", and marked by a feature\n",
        f"  Port: 3 categories, and {table['Port'].null_count()} missing value",
        "  left out: Id: whole numbers in a row without a gap",
        "  left out: Name: 900 different texts in 900 rows",
        "  left out: Booked: dates or times\n",
        "penalty l2 0.00",
        ", chosen by cross-validation on 5 folds: the smallest log loss\n",
        "without features: always 'died' gives accuracy 0.58",
    ):
        assert line in said
    assert said.count("without features") == 2


def test_a_screen_shows_how_far_the_fit_is(folder, monkeypatch):
    class Screen(io.StringIO):
        def isatty(self):
            return True

    screen = Screen()
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.stderr", screen)
    assert main([*FIT]) == 0
    assert "51/51" in screen.getvalue()  # the models of ten penalties and five folds, and the chosen one


def test_marks_of_missing_values_are_no_categories(tmp_path):
    x = ["1", "?", "2", "<NA>", "4", "", "NA", "3.5"] * 5
    rows = "".join(f"{value},{'ab'[number % 2]}\n" for number, value in enumerate(x))
    (tmp_path / "marks.csv").write_text("x,y\n" + rows)
    assert (
        "x: 20 missing values filled with the median"
        in call("fit", "marks.csv", "--target", "y", folder=tmp_path).stdout
    )


def test_the_same_is_in_the_json(folder, table):
    said = json.loads(call(*FIT, "--json", folder=folder).stdout)
    assert said["columns"]["Age"] == {
        "as": "numbers", "fill": table["Age"].median(), "indicator": True, "missing": table["Age"].null_count()
    }  # fmt: skip
    assert said["columns"]["Sex"]["levels"] == ["female", "male"]
    assert sorted(said["left_out"]) == ["Booked", "Id", "Name"]
    assert said["train"]["baseline"]["label"] == "died"
    assert said["model"] is None
    chosen = said["cross_validation"]
    np.testing.assert_allclose(chosen["l2"], 1.0 / (np.logspace(-4, 4, 10) * 900))
    assert said["l2"] == chosen["l2"][int(np.argmin(chosen["log_loss"]))]


def test_the_penalty_that_was_chosen_can_be_given(folder):
    said = json.loads(call(*FIT, "-o", "chosen", "--json", folder=folder).stdout)
    again = call(*FIT, "-o", "given", "--l2", said["l2"], folder=folder)
    assert f"penalty l2 {said['l2']:.4g}, as given" in again.stdout
    np.testing.assert_array_equal(xlogreg.load(folder / "given").w, xlogreg.load(folder / "chosen").w)


def test_a_penalty_does_not_depend_on_units(folder, table):
    table.with_columns(pl.col("Age") * 12.0, pl.col("Fare") / 1000.0).write_csv(folder / "units.csv")
    fit = ("--target", "Outcome", "--l2", 0.01, "--json")
    losses = [json.loads(call("fit", name, *fit, folder=folder).stdout)["train"]["log_loss"] for name in
              ("passengers.csv", "units.csv")]  # fmt: skip
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


@pytest.mark.parametrize("options", [("--summary",), ("--checkpoint", "c")], ids=lambda own: own[0])
def test_beside_some_options_there_is_no_penalty_and_the_output_says_so(folder, options):
    done = call(*FIT, *options, folder=folder)
    assert f"\nno penalty: none is chosen beside {options[0]}; --l2 sets one\n" in done.stdout, done.stderr
    said = refused(*FIT, *options, "--folds", 3, folder=folder)
    assert said.endswith(f"by cross-validation, which cannot be had with {options[0]}")


def test_the_choice_of_the_penalty_keeps_to_a_time_limit(folder):
    chosen, limited = (json.loads(call(*FIT, *more, "--json", folder=folder).stdout) for more in
                       ((), ("--time-limit", 60)))  # fmt: skip
    assert limited["l2"] == chosen["l2"]
    assert limited["train"]["log_loss"] == pytest.approx(chosen["train"]["log_loss"], rel=1e-5)
    done = call(*FIT, "--time-limit", 1e-9, folder=folder)
    assert done.stderr.startswith("ConvergenceWarning: "), done.stderr


def test_a_fit_that_goes_on_keeps_the_penalty(folder):
    share = ("--test-share", 0.2)
    done = call(*FIT, *share, "--initial", "model", "-o", "again", folder=folder)
    assert "as of the model to start from; --l2 sets another\n" in done.stdout, done.stderr
    model, again = (xlogreg.load(folder / name) for name in ("model", "again"))
    assert again.l2 == model.l2
    np.testing.assert_allclose(again.w, model.w, atol=1e-6)


def test_folds_are_as_many_as_asked_for_or_as_the_rarest_class_allows(folder):
    (folder / "few.csv").write_text("x,y\n" + "1.5,a\n2,b\n3,b\n4,a\n" * 5 + "2.5,c\n3.5,c\n")
    done = call("fit", "few.csv", "--target", "y", folder=folder)
    assert "on 2 folds: the smallest log loss (2 folds, not 5, since the class 'c' has 2 samples)" in done.stdout
    done = call(*FIT, "--folds", 3, "--rule", "one-standard-error", folder=folder)
    assert "on 3 folds: the strongest within a standard error of the best" in done.stdout
    (folder / "one.csv").write_text("x,y\n" + "1.5,a\n2,b\n3,b\n4,a\n" * 5 + "2.5,c\n")
    said = refused("fit", "one.csv", "--target", "y", folder=folder)
    assert said.startswith("one sample of the class 'c' to train on is too few")
    assert call("fit", "one.csv", "--target", "y", "--l2", 0.1, folder=folder).returncode == 0


def test_a_model_finds_its_columns_and_its_target(folder, table):
    told = call("evaluate", "model", "passengers.csv", folder=folder)
    assert told.stdout.startswith("accuracy 0.7"), told.stderr
    assert "without features: always 'died'" in told.stdout
    shuffled = table.select(reversed(table.columns)).rename({"Outcome": "Died"}).with_columns(more=pl.lit("-"))
    shuffled.write_csv(folder / "shuffled.csv")
    again = call("evaluate", "model", "shuffled.csv", "--target", "Died", folder=folder)
    assert again.stdout == told.stdout
    said = refused("evaluate", "model", "shuffled.csv", folder=folder)
    assert said.startswith("shuffled.csv has no column 'Outcome' (--target)")
    table.drop("Age", "Sex").write_csv(folder / "fewer.csv")
    said = refused("predict", "model", "fewer.csv", folder=folder)
    assert said.startswith("fewer.csv has no column 'Sex', 'Age' (needed by the model); it has")


def test_a_class_that_a_model_does_not_have_is_named_with_its_row(folder, table):
    table.with_columns(Outcome=pl.when(pl.col("Id") == 3).then(pl.lit("lost")).otherwise("Outcome")).write_csv(
        folder / "lost.csv"
    )
    said = refused("evaluate", "model", "lost.csv", folder=folder)
    assert said.startswith("the column 'Outcome' holds 'lost' in row 2, counted from 0, which is no class of the model")


def test_the_file_of_a_model_with_a_target_is_checked(folder, tmp_path):
    model = xlogreg.load(folder / "model")
    assert model.encoding.target == "Outcome"
    for target in ("Age", 3):
        odd = dataclasses.replace(model, encoding=dataclasses.replace(model.encoding, target=target))
        odd.save(tmp_path / "odd")
        with pytest.raises(xlogreg.exceptions.ModelFileError, match="its target is odd"):
            xlogreg.load(tmp_path / "odd")
    for thousands in ("x", "", 3):
        odd = dataclasses.replace(model, encoding=dataclasses.replace(model.encoding, thousands=thousands))
        odd.save(tmp_path / "odd")
        with pytest.raises(xlogreg.exceptions.ModelFileError, match="its thousands are odd"):
            xlogreg.load(tmp_path / "odd")


def test_a_model_knows_how_digits_are_grouped(tmp_path):
    rows = [f'"{1000 + 37 * number:,}",{"ab"[number * 7 % 3 > 0]}' for number in range(40)]
    (tmp_path / "t.csv").write_text("x,y\n" + "\n".join(rows))
    (tmp_path / "plain.csv").write_text("x,y\n" + "\n".join(row.replace(",", "", 1) for row in rows))
    done = call("fit", "t.csv", "--target", "y", "--thousands", ",", "-o", "model", folder=tmp_path)
    assert "numbers: x" in done.stdout, done.stderr
    told = [
        call(verb, "model", name, folder=tmp_path)
        for verb in ("evaluate", "predict")
        for name in ("t.csv", "plain.csv")
    ]
    assert [done.returncode for done in told] == [0] * 4, [done.stderr for done in told]
    assert told[0].stdout == told[1].stdout
    assert told[2].stdout == told[3].stdout


@pytest.mark.parametrize("file", ["out.csv", "out.parquet"])
def test_columns_that_are_kept_come_before_the_predictions(folder, table, file):
    coded = table.with_columns(Code=pl.format("0{}", "Id"))
    coded.drop("Outcome").write_csv(folder / "coded.csv")
    kept = ("--keep", "Id,Name", "Code", "Age", "Booked")
    done = call("predict", "model", "coded.csv", "-o", file, *kept, folder=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    read = pl.read_parquet if file.endswith("parquet") else pl.read_csv
    found = read(folder / file, **({} if file.endswith("parquet") else {"schema_overrides": {"Code": pl.String}}))
    names = ["Id", "Name", "Code", "Age", "Booked"]
    assert found.columns == [*names, "prediction", "probability_died", "probability_survived"]
    assert found.select(names).equals(coded.select(names))
    model = xlogreg.load(folder / "model")
    features = table.select(column.name for column in model.encoding.columns)
    np.testing.assert_allclose(found["probability_died"], model.predict_proba(features)[:, 0], rtol=1e-12)


def test_columns_cannot_be_kept_under_the_name_of_a_prediction_or_of_an_array(folder, table):
    table.with_columns(prediction=pl.lit(1)).write_csv(folder / "named.csv")
    said = refused("predict", "model", "named.csv", "--keep", "prediction", folder=folder)
    assert said == "--keep prediction: a column of the predictions has that name; rename yours"
    np.save(folder / "X.npy", np.eye(4))
    xlogreg.fit(np.eye(4), [0, 1, 0, 1], samples="rows", l2=1.0).save(folder / "nameless")
    assert "--keep is for tables" in refused("predict", "nameless", "X.npy", "--keep", "0", folder=folder)


def test_new_categories_have_no_feature_and_are_told(folder, table):
    new = pl.when(pl.col("Id") <= 3).then(pl.lit("Kiel")).otherwise("Port").alias("Port")
    table.with_columns(new).write_csv(folder / "new.csv")
    done = call("predict", "model", "new.csv", folder=folder)
    assert done.stderr == "Port: 3 rows of categories that are new to the model ('Kiel'): they have no feature\n"
    said = json.loads(call("evaluate", "model", "new.csv", "--json", folder=folder).stdout)
    assert said["unseen"] == {"Port": {"rows": 3, "levels": ["'Kiel'"]}}
    assert call(*FIT, "--unseen", "error", "-o", "strict", folder=folder).returncode == 0
    assert "has levels that the model was not fitted on: 'Kiel'" in refused(
        "predict", "strict", "new.csv", folder=folder
    )


def test_a_model_shows_what_it_does_with_each_column(folder):
    shown = call("show", "model", folder=folder).stdout
    for line in (
        "classes: died, survived (column Outcome)\n",
        "penalty: l2 0.00",
        "  Sex: categories female, male\n",
        ", and marked by a feature\n",
        "  Port: categories Cherbourg, Cork, Southampton; missing values are one of their own\n",
        "certificate: the cost of this model is at most about ",
        f"read by xlogreg {xlogreg.__version__}\n",
    ):
        assert line in shown
    said = json.loads(call("show", "model", "--json", folder=folder).stdout)
    assert (said["target"], said["columns"]["Age"]["as"]) == ("Outcome", "numbers")
    assert said["certificate"] in shown


def test_codes_stay_text_in_a_file_that_has_only_digits(tmp_path):
    rng = np.random.default_rng(0)
    code, noise = rng.choice(["01", "02", "A1"], 90), rng.standard_normal(90)
    frame = pl.DataFrame({"code": code.tolist(), "x": noise, "y": (noise + (code == "01") > 0.5).tolist()})
    frame.write_csv(tmp_path / "all.csv")
    frame.filter(pl.col("code") != "A1").write_csv(tmp_path / "digits.csv")
    frame.filter(pl.col("code") != "A1").write_parquet(tmp_path / "digits.parquet")
    assert call("fit", "all.csv", "--target", "y", "-o", "model", folder=tmp_path).returncode == 0
    assert xlogreg.load(tmp_path / "model").encoding.columns[0].levels == ("01", "02", "A1")
    told = [call("predict", "model", f"digits.{kind}", folder=tmp_path) for kind in ("csv", "parquet")]
    assert told[0].stdout == told[1].stdout
    assert told[0].stderr == ""


def test_codes_of_digits_stay_text_if_they_are_said_to_be_categories(tmp_path):
    rng = np.random.default_rng(0)
    x, code, ward = rng.standard_normal(90), rng.choice(["01", "02", "10"], 90), rng.choice([2, 10], 90)
    frame = pl.DataFrame({"x": x, "code": code.tolist(), "ward": ward, "y": (code == "01").tolist()})
    frame.write_csv(tmp_path / "t.csv")
    done = call("fit", "t.csv", "--target", "y", "--categorical", "code,ward", "-o", "model", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    _, codes, wards = xlogreg.load(tmp_path / "model").encoding.columns
    assert (codes.levels, wards.levels) == (("01", "02", "10"), (2, 10))
    assert call("evaluate", "model", "t.csv", folder=tmp_path).stdout.startswith("accuracy 1.0")


def test_a_folder_of_parts_with_text_is_one_table(folder, table):
    (folder / "parts").mkdir()
    for number, part in enumerate((table[:400], table[400:])):
        part.write_parquet(folder / "parts" / f"{number}.parquet")
    done = call("fit", "parts", "--target", "Outcome", "-o", "of_parts", folder=folder)
    assert "parts: 900 samples of 12 features" in done.stdout, done.stderr
    call(*FIT, "-o", "of_table", folder=folder)
    np.testing.assert_allclose(xlogreg.load(folder / "of_parts").w, xlogreg.load(folder / "of_table").w, rtol=1e-9)
    told = [call("evaluate", "of_table", name, folder=folder).stdout for name in ("passengers.csv", "parts")]
    assert told[0] == told[1]
    assert call("predict", "of_table", "parts", folder=folder).stdout.count("\n") == 901


def test_two_quotes_are_an_empty_cell(tmp_path):
    (tmp_path / "t.csv").write_text(
        '"x","z","y"\n' + '"1.5","1,000","a"\n"","","b"\n"3","2,000","b"\n"9","7","a"\n' * 9
    )
    done = call("fit", "t.csv", "--target", "y", "--thousands", ",", "--json", folder=tmp_path)
    columns = json.loads(done.stdout)["columns"]
    assert {name: (own["as"], own["missing"]) for name, own in columns.items()} == {
        "x": ("numbers", 9), "z": ("numbers", 9)
    }  # fmt: skip


TARGETS = {
    "measure": (np.arange(200.0) / 7.0, "holds numbers that are not whole"),
    "count": (np.arange(200) ** 2, "holds 200 different numbers, some in one row only"),
    "name": ([f"n{number}" for number in range(200)], "holds 200 different texts in 200 rows, as names have"),
    "one": (["a"] * 200, "holds one class only ('a')"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_that_holds_no_classes_is_one_clear_error(tmp_path, name):
    values, said = TARGETS[name]
    pl.DataFrame({"x": np.random.default_rng(0).standard_normal(200), name: values}).write_csv(tmp_path / "t.csv")
    assert said in refused("fit", "t.csv", "--target", name, folder=tmp_path)


USAGE = {
    "usage: xlogreg fit TABLE": ("fit", "--target", "y", "--ignore", "a", "t.csv"),
    "--ignore takes all names that follow it, also 't.csv'": ("fit", "--target", "y", "--ignore", "a", "t.csv"),
    "usage: xlogreg predict MODEL TABLE": ("predict", "m", "t.csv", "--no-such"),
    "did you mean '--categorical'?": ("fit", "t.csv", "--target", "y", "--categoricl", "a"),
    "did you mean 'evaluate'?": ("evalute", "m"),
    "did you mean 'median'?": ("fit", "t.csv", "--target", "y", "--missing", "medain"),
    "usage: xlogreg images fit": ("images", "fit", "photographs", "-o", "m", "--no-such"),
}


@pytest.mark.parametrize("said", USAGE)
def test_wrong_usage_shows_the_usage_of_the_command_and_what_may_be_meant(tmp_path, said):
    done = call(*USAGE[said], folder=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


COMMANDS = (
    "fit",
    "predict",
    "evaluate",
    "show",
    "images",
    "images fit",
    "images predict",
    "images evaluate",
    "demo",
    "info",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_ends_with_an_example(tmp_path, command):
    done = call(*command.split(), "--help", folder=tmp_path)
    assert done.stdout.splitlines()[-1].startswith(f"  xlogreg {command}")
