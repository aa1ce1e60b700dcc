"""From a table to predictions on the command line, each command in a process of its own, on real files."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

import xlogreg
from xlogreg.cli import main

pl = pytest.importorskip("polars")
datasets = pytest.importorskip("sklearn.datasets")


def run(*arguments, folder):
    command = [sys.executable, "-m", "xlogreg", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def call(*arguments, folder):
    """The same in this process, for what is tried many times."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(list(map(str, arguments)))
        except SystemExit as wrong_usage:
            code = wrong_usage.code
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def refused(*arguments, folder):
    """What is said in the one line of an error."""
    done = call(*arguments, folder=folder)
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith(f"xlogreg {arguments[0]}: ")
    assert done.stdout == ""
    return done.stderr.removeprefix(f"xlogreg {arguments[0]}: ").rstrip("\n")


@pytest.fixture(scope="module")
def data():
    return datasets.load_breast_cancer()


@pytest.fixture(scope="module")
def table(data):
    frame = pl.DataFrame(data.data, schema=[name.replace(" ", "_") for name in data.feature_names])
    return frame.with_columns(pl.Series("tumour", data.target_names[data.target].tolist()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, table, data):
    folder = tmp_path_factory.mktemp("tables")
    table.write_csv(folder / "cells.csv")
    table.write_parquet(folder / "cells.parquet")
    np.save(folder / "cells.npy", np.column_stack([data.data, data.target]))
    np.savez(folder / "cells.npz", cell=data.data, tumour=data.target_names[data.target])
    return folder


FIT = ("--target", "tumour", "--l2", "1e-3", "--standardize")


@pytest.fixture(scope="module")
def model(folder):
    done = run("fit", "cells.csv", *FIT, "-o", "cells.model", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder / "cells.model"


def test_fit_writes_the_model_and_reports(folder):
    done = run("fit", "cells.csv", *FIT, "--test-share", "0.25", "-o", "tested.model", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    for text in (
        "cells.csv: 427 samples of 30 features, classes benign, malignant",
        "converged after",
        " above the minimum",
        "train: accuracy 0.9",
        "test: accuracy 0.9",
        "model written to tested.model",
    ):
        assert text in done.stdout
    assert xlogreg.load(folder / "tested.model").samples == "rows"


@pytest.mark.slow
def test_l1_is_relaxed_and_chosen_with_as_many_folds_as_asked_for(folder):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 5))
    Y = (X[:, 0] + rng.logistic(size=200) > 0).astype(int)
    np.save(folder / "small.npy", np.column_stack([X, Y]))
    given = ("fit", "small.npy", "--target", "5", "-o", "l1.model", "--relax", "0.01")
    done = call(*given, "--l1", "0.02", folder=folder)
    assert "of 5 features have weights, with l1 = 0.02 and l2 = 0; fitted again with l2 = 0.01" in done.stdout
    assert "penalty l1 0.02, l2 0, as given" in done.stdout
    assert "\nthe largest first: 0" in done.stdout
    done = call(*given, "--l1", "9", folder=folder)
    assert "\nevery weight that l1 penalises is zero; the first one enters below l1 = 0." in done.stdout
    assert call(*given, "--l1", "0.02", folder=folder).returncode == 0
    options = {"relax": 0.01, "samples": "rows", "standardize": True}
    np.testing.assert_allclose(xlogreg.load(folder / "l1.model").w, xlogreg.fit(X, Y, l1=0.02, **options).w)
    assert call(*given, "--l1-ratio", "1", "--folds", "3", folder=folder).returncode == 0
    found = xlogreg.fit_cv(X, Y, penalties="auto", folds=3, tol=1e-7, **options)
    np.testing.assert_allclose(xlogreg.load(folder / "l1.model").w, found.model.w)
    rule = ("--rule", "one-standard-error")
    done = call(*given, "--l1-ratio", "1", "--folds", "3", *rule, "--json", folder=folder)
    found = xlogreg.fit_cv(X, Y, penalties="auto", folds=3, rule="one standard error", tol=1e-7, **options)
    said = json.loads(done.stdout)
    assert said["l1"] == found.l1[found.chosen]
    assert sorted(said["selected"]) == np.flatnonzero(found.model.w).astype(str).tolist()
    said = refused(*given, "--l1", "1", *rule, folder=folder)
    assert said == "--rule is for the choice of the penalty by cross-validation, which cannot be had with --l1"


def test_the_model_is_that_of_the_library(model, table, data):
    loaded = xlogreg.load(model)
    labels = data.target_names[data.target]
    expected = xlogreg.fit(data.data, labels, samples="rows", l2=1e-3, standardize=True)
    np.testing.assert_allclose(loaded.w, expected.w, rtol=1e-7)
    assert loaded.feature_names == tuple(table.columns[:-1])


def test_one_json_object_is_all_that_is_printed(folder):
    arguments = ("fit", "cells.csv", *FIT, "--test-share", "0.2", "--seed", "3", "--json", "-o", "json.model")
    said = [json.loads(run(*arguments, folder=folder).stdout) for _ in range(2)]
    assert said[0]["fit"]["converged"] is True
    assert said[0]["samples"] + sum(map(sum, said[0]["test"]["confusion"])) == 569
    assert said[0]["test"] == said[1]["test"]


@pytest.mark.parametrize("name", ["cells.parquet", "cells.npz"])
def test_other_files_hold_the_same_table(folder, model, name):
    done = call("fit", name, *FIT, "-o", "other.model", folder=folder)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(xlogreg.load(folder / "other.model").w, xlogreg.load(model).w, rtol=1e-9)


def test_the_columns_of_an_array_are_called_by_number(folder, model):
    done = run("fit", "cells.npy", "--target", "30", "--l2", "1e-3", "--standardize", "-o", "npy.model", folder=folder)
    assert done.returncode == 0, done.stderr
    again = xlogreg.load(folder / "npy.model")
    np.testing.assert_allclose(again.w, -xlogreg.load(model).w, rtol=1e-7)  # 0 is malignant there
    assert again.feature_names[:2] == ("0", "1")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_predictions_are_written_for_every_row(folder, model, data, suffix):
    done = run("predict", model, "cells.csv", "--ignore", "tumour", "-o", f"out{suffix}", folder=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    read = pl.read_csv if suffix == ".csv" else pl.read_parquet
    written = read(folder / f"out{suffix}")
    assert written.columns == ["prediction", "probability_benign", "probability_malignant"]
    expected = xlogreg.load(model).predict_proba(data.data)
    np.testing.assert_allclose(written["probability_malignant"].to_numpy(), expected[:, 1], rtol=1e-12)
    assert written["prediction"].to_list() == xlogreg.load(model).predict(data.data).tolist()


def test_predictions_are_printed_without_a_file(folder, model):
    done = run("predict", model, "cells.csv", "--ignore", "tumour", folder=folder)
    lines = done.stdout.splitlines()
    assert len(lines) == 570
    assert lines[0] == "prediction,probability_benign,probability_malignant"


def test_columns_are_matched_by_name(folder, model, table):
    table.select(reversed(table.columns)).write_csv(folder / "reversed.csv")
    shown = [run("evaluate", model, name, "--target", "tumour", folder=folder).stdout for name in
             ("cells.csv", "reversed.csv")]  # fmt: skip
    assert shown[0] == shown[1]
    assert shown[0].startswith("accuracy 0.9")
    assert json.loads(run("evaluate", model, "cells.csv", "--target", "tumour", "--json", folder=folder).stdout)


def test_columns_that_do_not_fit_the_model_are_named(folder, model, table):
    table.drop("mean_area").write_csv(folder / "fewer.csv")
    said = refused("evaluate", model, "fewer.csv", "--target", "tumour", folder=folder)
    assert said.startswith("fewer.csv has no column 'mean_area' (needed by the model); it has 'mean_radius', ")
    said = refused("predict", model, "cells.csv", "--ignore", "mean_area", folder=folder)
    assert said.startswith("the model needs the column 'mean_area'")


def test_columns_that_a_model_does_not_know_are_left_alone(folder, model, table):
    table.with_columns(pl.lit("-").alias("note")).write_csv(folder / "more.csv")
    more, fewer = (call("predict", model, name, folder=folder) for name in ("more.csv", "cells.csv"))
    assert (more.returncode, more.stdout) == (0, fewer.stdout), more.stderr


def test_no_cell_is_a_formula(folder, table):
    danger = pl.when(pl.col("tumour") == "benign").then(pl.lit("=HYPERLINK(0)")).otherwise(pl.lit("-1"))
    table.with_columns(danger.alias("tumour")).write_csv(folder / "danger.csv")
    assert call("fit", "danger.csv", *FIT, "-o", "danger.model", folder=folder).returncode == 0
    done = run("predict", "danger.model", "danger.csv", "--ignore", "tumour", folder=folder)
    cells = {line.partition(",")[0] for line in done.stdout.splitlines()[1:]}
    assert cells == {"'=HYPERLINK(0)", "'-1"}


TEXT = {
    "bom": lambda text: text.encode("utf-8-sig"),
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "decimal commas": lambda text: text.replace(",", ";").replace(".", ",").encode(),
    "tabs": lambda text: text.replace(",", "\t").encode(),
    "carriage returns": lambda text: text.replace("\n", "\r\n").encode(),
    "no last line end": lambda text: text.rstrip("\n").encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "quotes": lambda text: text.replace("benign", '"benign"').encode(),
}


@pytest.mark.parametrize("case", TEXT)
def test_the_usual_kinds_of_csv_are_read(folder, model, case):
    (folder / "kind.csv").write_bytes(TEXT[case]((folder / "cells.csv").read_text()))
    done = call("fit", "kind.csv", *FIT, "-o", "kind.model", folder=folder)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(xlogreg.load(folder / "kind.model").w, xlogreg.load(model).w)


def test_quoted_line_ends_belong_to_their_cell(folder, table):
    table.with_columns(pl.lit('two\nlines, "quoted"').alias("note")).write_csv(folder / "notes.csv")
    done = call("fit", "notes.csv", *FIT, "-o", "notes.model", folder=folder)
    assert "left out: note: the same value in every row" in done.stdout, done.stderr


def lines(*chosen):
    return lambda text: "\n".join(text.split("\n")[:1] + [text.split("\n")[i] for i in chosen]).encode()


BAD = {
    "empty": (lambda text: b"", "bad.csv is empty"),
    "blank": (lambda text: b"\n \n", "bad.csv is empty"),
    "no rows": (lines(), "bad.csv holds no samples: 31 columns, 0 rows"),
    "one row": (lines(1), "the target 'tumour' holds one class only ('malignant')"),
    "too many cells": (
        lambda text: text.replace("malignant\n", "malignant,1\n", 3).encode(),
        "bad.csv holds no table: line 2 has 32 cells, the header has 31",
    ),
    "too few cells": (
        lambda text: (text + "1,2,3\n").encode(),
        "the column 'tumour' lacks 1 value; remove those samples first: the first is in row 569, counted from 0",
    ),
    "bytes": (lambda text: bytes(range(256)) * 9, "bad.csv holds no table: it holds bytes of value 0"),
    "only a mark": (lambda text: b"\xef\xbb\xbf", "bad.csv is empty"),
    "names twice": (
        lambda text: text.replace("mean_area", "mean_radius").encode(),
        "bad.csv holds no table: several columns have the name 'mean_radius'",
    ),
    "no target": (
        lambda text: text.replace("tumour", "kind").encode(),
        "bad.csv has no column 'tumour' (--target); it has 'mean_",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_refused_in_one_line(folder, case):
    change, message = BAD[case]
    (folder / "bad.csv").write_bytes(change((folder / "cells.csv").read_text()))
    assert refused("fit", "bad.csv", *FIT, "-o", "bad.model", folder=folder).startswith(message)
    assert not (folder / "bad.model").exists()


SMALL = {  # text of a CSV of x and y -> the x that is read, or what is said of it
    "spaces": ("x, y\n" + "1,0\n2,1\n3,0\n" * 9 + "\n\n", [1.0, 2.0, 3.0]),
    "dates beside decimal commas": (
        "day;x;y\n" + "01.02.2020;0,5;0\n31.12.2021;1,25;1\n01.01.2000;2,125;0\n" * 9,
        [0.5, 1.25, 2.125],
    ),
    "thousands": (
        "x;y\n" + "500;1\n1,001;0\n502;1\n" * 9,
        "the column 'x' cannot be read as numbers: '1,001' in row 1, counted from 0, is none; --thousands says",
    ),
    "a version": (
        "x\ty\n" + "1.5.2\t1\n2.5.3\t0\n1\t1\n" * 9,
        "the column 'x' cannot be read as numbers: '1.5.2' in row 0, counted from 0, is none",
    ),
    "NaN for a class": ("x,y\n" + "1,a\n2,b\n3,NaN\n" * 9, "the column 'y' lacks 9 values"),
    "blanks for a class": ("x,y\n" + '1,a\n2,b\n3," "\n' * 9, "the column 'y' lacks 9 values"),
    "huge integers": ("x,y\n" + "12345678901234567890,0\n2,1\n3,0\n" * 9, [12345678901234567890.0, 2.0, 3.0]),
    "Latin-1 in a name": ("x\xe4,y\n" + "1,0\n2,1\n3,0\n" * 9, [1.0, 2.0, 3.0]),
}


@pytest.mark.parametrize("case", SMALL)
def test_cells_are_read_as_they_are_meant_or_refused(folder, case):
    text, expected = SMALL[case]
    (folder / "small.csv").write_bytes(text.encode("latin-1"))
    ignored = ("--ignore", "day") if "day" in text else ()
    arguments = ("fit", "small.csv", "--target", "y", "--l2", "1", *ignored, "-o", "small.model", "--no-standardize")
    arguments += ("--numeric", "x") if "be read" in expected else ()
    if isinstance(expected, str):
        assert refused(*arguments, folder=folder).startswith(expected)
        return
    done = call(*arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    same = xlogreg.fit(np.asarray(expected * 9)[:, None], [0, 1, 0] * 9, samples="rows", l2=1.0)
    np.testing.assert_allclose(xlogreg.load(folder / "small.model").w, same.w, rtol=1e-9)


def test_a_name_is_no_pattern(folder):
    (folder / "data[1].csv").write_text("x,y\n" + "1,0\n2,1\n3,0\n" * 9)
    (folder / "data1.csv").write_text("z,y\n" + "1,0\n2,1\n3,0\n" * 9)
    assert call("fit", "data[1].csv", "--target", "y", "--l2", "1", "-o", "d", folder=folder).returncode == 0
    assert xlogreg.load(folder / "d").feature_names == ("x",)


def test_every_class_keeps_a_sample_to_train_on(folder):
    (folder / "few.csv").write_text("x,y\n" + "1,0\n2,1\n3,0\n" * 9 + "4,2\n")
    arguments = ("fit", "few.csv", "--target", "y", "--l2", "1", "--test-share", "0.999", "-o", "few")
    done = call(*arguments, folder=folder)
    assert done.returncode == 0, done.stderr
    assert xlogreg.load(folder / "few").classes.tolist() == [0, 1, 2]


def test_labels_of_bytes_are_written_as_text(folder, data):
    xlogreg.fit(data.data, np.where(data.target, b"b", b"m"), samples="rows", l2=1e-3).save(folder / "bytes.model")
    done = call("predict", "bytes.model", "cells.csv", "--ignore", "tumour", folder=folder)
    assert {line.partition(",")[0] for line in done.stdout.splitlines()[1:]} == {"b", "m"}


def test_an_error_is_one_line_of_the_process_and_exit_code_1(folder):
    (folder / "bad.csv").write_text("")
    done = run("fit", "bad.csv", *FIT, "-o", "bad.model", folder=folder)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "xlogreg fit: bad.csv is empty\n")


@pytest.mark.slow
def test_ten_thousand_columns_are_read(folder):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 10_000)).round(3)
    frame = pl.DataFrame(X, schema=[f"feature_{i}" for i in range(10_000)])
    frame.with_columns(pl.Series("y", (X[:, 0] > 0).astype(int))).write_csv(folder / "wide.csv")
    done = run("fit", "wide.csv", "--target", "y", "--l2", "1", "-o", "wide.model", folder=folder)
    assert done.returncode == 0, done.stderr
    assert xlogreg.load(folder / "wide.model").w.shape == (10_000, 1)


def test_other_files_are_refused(folder, model):
    for name, message in (
        ("nothing.csv", "nothing.csv: No such file or directory"),
        (
            "cells.model",
            "cells.model: tables are files of .csv, .tsv, .txt (each also with .gz or .zst), .parquet, .npy, .npz, "
            "not '.model'",
        ),
    ):
        assert refused("fit", name, *FIT, "-o", "bad.model", folder=folder) == message
    np.savez(folder / "objects.npz", x=np.asarray([{}], dtype=object))
    assert "objects.npz holds no table: Object arrays" in refused("fit", "objects.npz", *FIT, "-o", "b", folder=folder)
    np.savez(folder / "uneven.npz", x=np.ones(3), tumour=np.ones(2))
    assert "not of the same length" in refused("fit", "uneven.npz", *FIT, "-o", "b", folder=folder)
    np.savez(folder / "same.npz", x=np.ones((3, 2)), x1=np.ones(3), tumour=np.arange(3))
    assert "several columns have the name 'x1'" in refused("fit", "same.npz", *FIT, "-o", "b", folder=folder)
    (folder / "model.npz").write_bytes((folder / "cells.model").read_bytes())
    assert "'header.json' is no array" in refused("fit", "model.npz", *FIT, "-o", "b", folder=folder)
    (folder / "cut.npz").write_bytes((folder / "cells.npz").read_bytes()[:-100])
    assert "cut.npz holds no table" in refused("fit", "cut.npz", *FIT, "-o", "b", folder=folder)
    (folder / "broken.parquet").write_bytes(b"PAR1 and no more")
    assert "broken.parquet holds no table" in refused("fit", "broken.parquet", *FIT, "-o", "b", folder=folder)
    said = refused("predict", "cells.csv", "cells.csv", folder=folder)
    assert said.startswith("cells.csv is damaged, or no model file")
    assert refused("predict", model, "cells.csv", "-o", "x.xls", "--ignore", "tumour", folder=folder).endswith(
        ".parquet"
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npy", ".npz"])
def test_what_is_no_regular_file_is_not_waited_for(folder, model, suffix, tmp_path):
    pipe, device = tmp_path / f"pipe{suffix}", tmp_path / f"device{suffix}"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    said = "is no regular file; a table in a pipe is read from standard input: -"
    for path in (pipe, device):
        assert refused("fit", path, *FIT, "-o", "bad.model", folder=folder) == f"{path} {said}"
        assert refused("predict", model, path, folder=folder) == f"{path} {said}"
        assert refused("evaluate", model, path, "--target", "tumour", folder=folder) == f"{path} {said}"
        if suffix == ".npy":
            assert refused("fit", "cells.npy", "--target", path, "-o", "bad.model", folder=folder) == f"{path} {said}"
            assert refused("fit", path, "--target", "cells.npy", "-o", "bad.model", folder=folder) == f"{path} {said}"


def test_a_folder_that_is_not_there_is_said_before_the_work(folder, model, monkeypatch):
    monkeypatch.setattr("xlogreg.cli.data.read_table", None)
    assert refused("fit", "cells.csv", *FIT, "-o", "no/m", folder=folder) == "no: No such file or directory"
    assert refused("predict", model, "cells.csv", "-o", "no/p.csv", folder=folder) == "no: No such file or directory"


def test_a_reader_that_has_had_enough_is_no_error(folder, model, table):
    pl.concat([table.drop("tumour")] * 40).write_csv(folder / "long.csv")
    command = f"{sys.executable} -m xlogreg predict {model} long.csv | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=folder, check=False)
    assert (done.stdout, done.stderr) == ("prediction,probability_benign,probability_malignant\n", "")


@pytest.mark.parametrize(("error", "line"), [(KeyboardInterrupt(), "interrupted"), (MemoryError(), "out of memory")])
def test_an_interruption_is_one_line(folder, model, monkeypatch, error, line):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr("xlogreg.cli.data.read_table", fails)
    assert refused("predict", model, "cells.csv", folder=folder) == line


@pytest.mark.skipif(os.name != "posix", reason="processes are interrupted in another way here")
def test_control_c_ends_a_process_with_one_line(folder):
    program = (
        "import sys, time, xlogreg.cli, xlogreg.cli.data\n"
        "def wait(*_, **__): print('ready', flush=True); time.sleep(60)\n"
        "xlogreg.cli.data.read_table = wait\n"
        "sys.exit(xlogreg.cli.main())\n"
    )
    command = [sys.executable, "-c", program, "fit", "cells.csv", *FIT, "-o", "stopped.model"]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, cwd=folder) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (1, "xlogreg fit: interrupted\n")
    assert not (folder / "stopped.model").exists()


def test_options_that_are_wrong_are_errors_or_usage(folder):
    said = refused("fit", "cells.csv", "--target", "tumour", "--l2", "-1", "-o", "bad.model", folder=folder)
    assert said == "l2 must be a finite number >= 0, not -1.0"
    for wrong in (("--test-share", "1.5"), ("--l2", "much"), ("--no-such",)):
        assert call("fit", "cells.csv", *FIT, "-o", "bad.model", *wrong, folder=folder).returncode == 2
    assert call("fit", "cells.csv", "-o", "bad.model", folder=folder).returncode == 2  # no target
    again = call("fit", "cells.csv", *FIT, "--ignore", "tumour", "--ignore", "tumour", "-o", "x", folder=folder)
    assert again.returncode == 0


def test_a_fit_without_a_minimum_warns_and_goes_on(folder):
    done = run("fit", "cells.csv", "--target", "tumour", "--l2", "0", "-o", "separated.model", folder=folder)
    assert done.returncode == 0
    assert done.stderr.startswith("SeparationWarning: ")
    assert "such as --l2 0.001" in done.stderr  # in the words of the command line
