"""The command line with formulas, and what it shows of models."""

import json

import numpy as np
import pytest
from test_commands import call, refused

import xlogreg

pl = pytest.importorskip("polars")
pytest.importorskip("formulaic")

M = 300
RNG = np.random.default_rng(3)
FORMULA = "died ~ center(age) + C(ward) + age:dose"


@pytest.fixture(scope="module")
def table():
    age, ward, dose = RNG.uniform(20.0, 80.0, M), RNG.choice(["A", "B", "C"], M), RNG.exponential(2.0, M)
    died = RNG.random(M) < xlogreg.sigmoid(0.05 * (age - 50.0) + (ward == "B") - 0.3 * dose)
    return pl.DataFrame(
        {"died": np.where(died, "yes", "no"), "age": age, "ward": ward, "dose": dose, "note": ["-"] * M}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory, table):
    folder = tmp_path_factory.mktemp("formulas")
    table.write_csv(folder / "patients.csv")
    gaps = pl.int_range(M) % 50
    table.with_columns(
        age=pl.when(gaps == 3).then(None).otherwise("age"),
        died=pl.when(gaps == 7).then(None).otherwise("died"),
        dose=pl.when(gaps == 9).then(float("nan")).otherwise("dose"),
    ).write_parquet(folder / "gaps.parquet")
    np.save(folder / "array.npy", np.zeros((4, 2)))
    done = call("fit", "patients.csv", "--formula", FORMULA, "-o", "model", "--summary", folder=folder)
    assert done.returncode == 0, done.stderr
    (folder / "said").write_text(done.stdout)
    return folder


def test_a_formula_is_fitted_shown_evaluated_and_predicted(folder, table):
    model, judge = xlogreg.load(folder / "model"), xlogreg.fit_formula(FORMULA, table)
    np.testing.assert_allclose(model.w, judge.w, rtol=1e-9)
    assert str(model.summary()) in (folder / "said").read_text()
    shown = call("show", "model", folder=folder).stdout
    for part in (f"formula: {FORMULA}", str(model.summary()), str(model.fit_info)):
        assert part in shown
    report = call("evaluate", "model", "patients.csv", folder=folder)
    assert str(judge.evaluate(table)) in report.stdout
    assert call("evaluate", "model", "patients.csv", "--target", "died", folder=folder).stdout == report.stdout
    assert call("predict", "model", "patients.csv", "-o", "found.csv", folder=folder).returncode == 0
    found = pl.read_csv(folder / "found.csv")
    np.testing.assert_allclose(found["probability_yes"], judge.predict_proba(table)[:, 1], rtol=1e-9)


def test_a_share_is_kept_to_test_with(folder):
    done = call("fit", "patients.csv", "--formula", FORMULA, "-o", "m", "--test-share", 0.25, "--json", folder=folder)
    said = json.loads(done.stdout)
    assert said["samples"] + np.sum(said["test"]["confusion"]) == M
    assert "summary" not in said


def test_rows_that_lack_values_are_left_out_if_asked_for(folder, table):
    said = refused("fit", "gaps.parquet", "--formula", FORMULA, "-o", "m", folder=folder)
    assert said.startswith(
        "X lacks values in these columns: 'died' (6, the first at row 7); remove those rows, or leave"
    )
    assert said.endswith("leave them out by --missing drop")
    arguments = ("fit", "gaps.parquet", "--formula", FORMULA, "--missing", "drop", "-o", "m", "--json")
    said = json.loads(call(*arguments, folder=folder).stdout)
    kept = ~np.isin(np.arange(M) % 50, [3, 7, 9])
    assert said["samples"] == said["fit"]["n_samples"] == kept.sum()
    judge = xlogreg.fit_formula(FORMULA, table.filter(pl.Series(kept)))
    np.testing.assert_allclose(xlogreg.load(folder / "m").w, judge.w, rtol=1e-9)


def test_a_dot_leaves_out_what_is_ignored(folder):
    done = call("fit", "patients.csv", "--formula", "died ~ .", "--ignore", "note", "-o", "m", folder=folder)
    assert done.returncode == 0, done.stderr
    assert xlogreg.load(folder / "m").feature_names == ("age", "ward[T.B]", "ward[T.C]", "dose")


def test_the_summary_and_what_is_shown_are_one_json_object_too(folder, table):
    arguments = ("fit", "patients.csv", "--target", "died", "--ignore", "note", "--categorical", "ward")
    fitted = json.loads(call(*arguments, "-o", "m", "--summary", "--json", folder=folder).stdout)
    shown = json.loads(call("show", "m", "--level", 0.95, "--json", folder=folder).stdout)
    assert shown["coefficients"] == fitted["summary"]
    assert shown["fit"] == fitted["fit"]
    assert "formula" not in shown
    model = xlogreg.load(folder / "m")
    assert [line["name"] for line in shown["coefficients"]] == [*model.feature_names, "bias"]
    np.testing.assert_allclose([line["coefficient"] for line in shown["coefficients"][:-1]], model.w[:, 0])
    np.testing.assert_allclose([line["p"] for line in shown["coefficients"]], model.summary().table["p"])
    narrow = json.loads(call("show", "m", "--level", 0.5, "--json", folder=folder).stdout)["coefficients"]
    assert all(one["lower"] > other["lower"] for one, other in zip(narrow, shown["coefficients"], strict=True))


def test_a_penalised_model_shows_its_coefficients_and_why_there_are_no_errors(folder):
    arguments = ("fit", "patients.csv", "--formula", FORMULA, "--l2", 0.1, "-o", "m")
    assert "the fit is penalised" in call(*arguments, "--summary", folder=folder).stdout
    said = json.loads(call("show", "m", "--json", folder=folder).stdout)
    assert said["l2"] == 0.1
    assert {line["standard_error"] for line in said["coefficients"]} == {None}
    assert said["formula"] == FORMULA


def test_of_very_many_coefficients_the_largest_are_shown(tmp_path):
    X, Y = np.random.default_rng(0).standard_normal((500, 40)), np.arange(40) % 2
    model = xlogreg.fit(X, Y, l2=0.1)
    model.save(tmp_path / "wide")
    shown = call("show", "wide", folder=tmp_path).stdout
    table = model.summary().table
    largest = table[np.argmax(np.abs(table["coefficient"]))]
    first = shown.partition("\n\n")[2].split()
    assert first[1] == largest["name"]
    assert float(first[0]) == pytest.approx(largest["coefficient"], rel=1e-4)
    assert "301 smaller coefficients are not shown; --json has all" in shown
    assert len(json.loads(call("show", "wide", "--json", folder=tmp_path).stdout)["coefficients"]) == 501


def test_names_from_a_file_cannot_control_the_terminal(tmp_path):
    X, Y = np.random.default_rng(0).standard_normal((30, 2)), np.arange(30) % 2
    table = pl.DataFrame({"a\x1b[31m": X[:, 0], "b": X[:, 1], "y\x1b[0m": Y})
    xlogreg.fit_formula("`y\x1b[0m` ~ .", table).save(tmp_path / "model")
    shown = call("show", "model", folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "\x1b" not in shown.stdout


REFUSED = {
    "'agee', 'warrd'": ("fit", "patients.csv", "--formula", "died ~ agee + warrd", "-o", "m"),
    "labels left of one '~'": ("fit", "patients.csv", "--formula", "died", "-o", "m"),
    "--l1-ratio cannot be had with --formula": (
        *("fit", "patients.csv", "--formula", "died ~ age", "-o", "m", "--l1-ratio", 0.5),
    ),
    "--categorical cannot be had": (
        "fit",
        "patients.csv",
        "--formula",
        "died ~ age",
        "-o",
        "m",
        "--categorical",
        "ward",
    ),
    "--unseen cannot be had": ("fit", "patients.csv", "--formula", "died ~ age", "-o", "m", "--unseen", "zeros"),
    "--missing mean is not for a formula": (
        *("fit", "patients.csv", "--formula", "died ~ age", "-o", "m", "--missing", "mean"),
    ),
    "--missing drop leaves out rows, which only --formula can do": (
        "fit",
        "patients.csv",
        "--target",
        "died",
        "-o",
        "m",
        "--missing",
        "drop",
    ),
    "--formula is for tables": ("fit", "array.npy", "--formula", "died ~ age", "-o", "m"),
    "level must be between 0 and 1": ("show", "model", "--level", 2),
    "damaged, or no model file": ("show", "patients.csv"),
}


@pytest.mark.parametrize("said", REFUSED)
def test_what_cannot_be_is_refused_in_one_line(folder, said):
    assert said in refused(*REFUSED[said], folder=folder)


def test_a_model_without_a_formula_needs_the_target(folder, tmp_path, table):
    xlogreg.fit(table[["age", "dose"]], table["died"], samples="rows").save(tmp_path / "plain")
    said = refused("evaluate", tmp_path / "plain", "patients.csv", folder=folder)
    assert said.startswith("--target is missing: the model does not know")


@pytest.mark.parametrize("given", [(), ("--target", "died", "--formula", "died ~ age")])
def test_a_fit_has_a_target_or_a_formula(folder, given):
    done = call("fit", "patients.csv", "-o", "m", *given, folder=folder)
    assert done.returncode == 2
    assert "--formula" in done.stderr


def test_a_column_with_the_offset_is_no_feature_of_a_formula(folder, table):
    known = RNG.standard_normal(M)
    table.with_columns(known=known).drop("note").write_csv(folder / "known.csv")
    done = call("fit", "known.csv", "--formula", "died ~ .", "--offset", "known", "-o", "offset", folder=folder)
    assert done.returncode == 0, done.stderr
    model, judge = xlogreg.load(folder / "offset"), xlogreg.fit_formula("died ~ age + ward + dose", table, offset=known)
    assert model.feature_names == judge.feature_names
    np.testing.assert_allclose(model.w, judge.w, rtol=1e-9)
    assert model.offset
    done = call("evaluate", "offset", "known.csv", "--offset", "known", "--json", folder=folder)
    assert json.loads(done.stdout)["log_loss"] == pytest.approx(-judge.log_likelihood / M)
    named = xlogreg.fit_formula("died ~ age", table.with_columns(known=known), offset="known")
    np.testing.assert_array_equal(named.w, xlogreg.fit_formula("died ~ age", table, offset=known).w)


def test_rows_that_lack_values_leave_their_offset_out(folder, table):
    gaps = pl.read_parquet(folder / "gaps.parquet")
    known = np.arange(M) / M
    model = xlogreg.fit_formula("died ~ age + dose", gaps, missing="drop", offset=known)
    whole = gaps.with_columns(known=known).drop_nulls().drop_nans()
    judge = xlogreg.fit_formula("died ~ age + dose", whole, offset="known")
    np.testing.assert_array_equal(model.w, judge.w)
