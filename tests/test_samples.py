"""The command line on arrays in files and folders of parts, with limits, checkpoints and interruptions."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from test_commands import call, refused, run

import xlogreg

pl = pytest.importorskip("polars")
samples = pytest.importorskip("xlogreg.cli.data")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((400, 5)).astype(np.float32)
Y = np.where(X[:, 0] - X[:, 1] + RNG.logistic(size=400) > 0, "yes", "no")
FIT = ("fit", "X.npy", "--target", "Y.npy", "--l2", "1e-3")


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "Y.npy", Y)
    return tmp_path


def test_an_array_is_fitted_judged_and_predicted_where_it_lies(folder, monkeypatch):
    monkeypatch.setattr(samples, "read_table", None)  # which would read it whole
    done = call(*FIT, "-o", "m", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "X.npy: 400 samples of 5 features, classes no, yes" in done.stdout
    model, expected = xlogreg.load(folder / "m"), xlogreg.fit(X, Y, samples="rows", l2=1e-3)
    assert model.feature_names is None
    np.testing.assert_allclose(model.w, expected.w, rtol=1e-5)
    whole = expected.evaluate(X, Y)
    said = json.loads(call("evaluate", "m", "X.npy", "--target", "Y.npy", "--json", folder=folder).stdout)
    assert (said["accuracy"], said["confusion"]) == (whole.accuracy, whole.confusion.tolist())
    assert said["log_loss"] == pytest.approx(whole.log_loss, rel=1e-6)
    assert call("predict", "m", "X.npy", "-o", "p.parquet", folder=folder).returncode == 0
    written = pl.read_parquet(folder / "p.parquet")
    np.testing.assert_allclose(written["probability_yes"].to_numpy(), expected.predict_proba(X)[:, 1], rtol=1e-6)
    assert written["prediction"].to_list() == expected.predict(X).tolist()


def test_samples_to_test_with_are_left_where_they_are(folder):
    done = call(*FIT, "--test-share", "0.25", "--seed", "3", "--json", "-o", "m", folder=folder)
    said = json.loads(done.stdout)
    train, test = samples_apart()
    assert said["samples"] == len(train)
    expected = xlogreg.fit(X[train], Y[train], samples="rows", l2=1e-3)
    np.testing.assert_allclose(xlogreg.load(folder / "m").w, expected.w, rtol=1e-4)
    for name, numbers in (("train", train), ("test", test)):
        report = expected.evaluate(X[numbers], Y[numbers])
        assert said[name]["confusion"] == report.confusion.tolist()
        assert said[name]["accuracy"] == pytest.approx(report.accuracy)
        assert said[name]["log_loss"] == pytest.approx(report.log_loss, rel=1e-5)


def test_a_penalty_for_blocks_is_chosen_only_if_folds_ask_for_it(folder):
    fit = FIT[:4]
    done = call(*fit, folder=folder)
    assert "\nno penalty: for arrays and parts that are read in blocks one is chosen only with --folds" in done.stdout
    said = json.loads(call(*fit, "--folds", 3, "--json", folder=folder).stdout)
    found = xlogreg.fit_cv(X, Y, 1 / (400 * np.logspace(-4, 4, 10)), folds=3, samples="rows", standardize=True)
    assert said["l2"] == found.l2[found.chosen]
    assert said["cross_validation"]["folds"] == 3


def samples_apart():
    from xlogreg.fitting.held_out import split

    return split(Y, 0.25, np.random.default_rng(3))


def test_arrays_that_do_not_fit_are_refused_in_one_line(folder):
    (folder / "text.npy").write_text("no array")
    (folder / "empty.npy").write_bytes(b"")
    np.save(folder / "short.npy", Y[:399])
    np.save(folder / "objects.npy", np.asarray([None] * 400, dtype=object))
    np.save(folder / "deep.npy", X[:, None])
    for table, target, message in (
        ("X.npy", "nothing.npy", "nothing.npy: No such file or directory"),
        ("nothing.npy", "Y.npy", "nothing.npy: No such file or directory"),
        ("X.npy", "short.npy", "short.npy has the shape (399,); X.npy holds 400 samples, with one label each"),
        ("X.npy", "X.npy", "X.npy has the shape (400, 5); X.npy holds 400 samples"),
        ("text.npy", "Y.npy", "text.npy holds no array: "),
        ("empty.npy", "Y.npy", "empty.npy holds no array: "),
        ("X.npy", "objects.npy", "objects.npy holds no array: Object arrays"),
        ("objects.npy", "Y.npy", "objects.npy holds no array: Array can't be memory-mapped"),
    ):
        said = refused("fit", table, "--target", target, "-o", "m", folder=folder)
        assert said.startswith(message), said
    said = refused("fit", "X.npy", "--target", "Y.npy", "--ignore", "0", "-o", "m", folder=folder)
    assert said == "X.npy: --ignore is for tables; all that an array or a folder of parts holds are features"
    assert "must have the shape (m, n_x)" in refused("fit", "deep.npy", "--target", "Y.npy", "-o", "m", folder=folder)


def test_a_time_limit_is_said_in_words_and_in_json(folder):
    done = call(*FIT, "--time-limit", "1e-9", "--json", "-o", "m", folder=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("ConvergenceWarning: newton made 0 steps within time_limit=1e-09 seconds")
    assert json.loads(done.stdout)["fit"]["reason"] == xlogreg.load(folder / "m").fit_info.reason == "time_limit"
    said = refused(*FIT, "--time-limit", "0", "-o", "m", folder=folder)
    assert said == "time_limit must be a finite number of seconds > 0, not 0.0"


def test_a_checkpoint_is_what_a_fit_goes_on_from(folder):
    done = call(*FIT, "--time-limit", "1e-9", "--checkpoint", "half", "-o", "m", folder=folder)
    assert done.returncode == 0
    again = call(*FIT, "--initial", "half", "-o", "m", folder=folder)
    assert (again.returncode, again.stderr) == (0, "")
    expected = xlogreg.fit(X, Y, samples="rows", l2=1e-3)
    np.testing.assert_allclose(xlogreg.load(folder / "m").w, expected.w, rtol=1e-4)
    assert refused(*FIT, "--initial", "X.npy", "-o", "m", folder=folder).startswith("X.npy is damaged, or no model")


def test_a_folder_for_checkpoints_that_is_not_there_is_said_before_the_work(folder, monkeypatch):
    monkeypatch.setattr("xlogreg.cli.tables.open_samples", None)
    assert refused(*FIT, "--checkpoint", "no/c", "-o", "m", folder=folder) == "no: No such file or directory"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="processes are interrupted in another way here")
def test_control_c_in_a_fit_says_how_to_go_on(folder):
    program = (
        "import functools, sys, xlogreg.cli, xlogreg.cli.tables\n"
        "def ready(state): state.iteration == 3 and print('ready', flush=True)\n"
        "endless = {'solver': 'gd', 'max_iter': 10**9, 'callback': ready}\n"
        "xlogreg.cli.tables.fit = functools.partial(xlogreg.cli.tables.fit, **endless)\n"
        "sys.exit(xlogreg.cli.main())\n"
    )
    command = [sys.executable, "-c", program, *FIT, "--checkpoint", "half.model", "-o", "m"]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True, cwd=folder) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    line = "xlogreg fit: interrupted; --initial half.model goes on from what was found so far\n"
    assert (process.returncode, said) == (1, line)
    assert not (folder / "m").exists()
    done = run(*FIT, "--initial", "half.model", "-o", "m", folder=folder)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_interruption_without_a_checkpoint_says_no_more(folder, monkeypatch):
    xlogreg.fit(X, Y, samples="rows").save(folder / "older")

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("xlogreg.cli.tables.fit", stop)
    for option in ((), ("--checkpoint", "older")):
        assert refused(*FIT, *option, "-o", "m", folder=folder) == "interrupted"


@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_a_folder_of_parts_is_one_table(folder, kind):
    many = folder / "many"
    many.mkdir()
    names = [f"x{number}" for number in range(5)]
    for number, part in enumerate(np.array_split(np.arange(400), 7)):
        if kind == "npy":
            np.save(many / f"part{number}.npy", X[part])
        else:
            frame = pl.DataFrame(X[part], schema=names).with_columns(pl.Series("answer", Y[part].tolist()))
            frame.write_parquet(many / f"part{number}.parquet")
    target = "Y.npy" if kind == "npy" else "answer"
    done = call("fit", "many", "--target", target, "--l2", "1e-3", "-o", "m", folder=folder)
    assert done.returncode == 0, done.stderr
    model, expected = xlogreg.load(folder / "m"), xlogreg.fit(X, Y, samples="rows", l2=1e-3)
    np.testing.assert_allclose(model.w, expected.w, rtol=1e-4)
    assert model.feature_names == (None if kind == "npy" else tuple(names))
    said = call("evaluate", "m", "many", "--target", target, folder=folder)
    assert said.stdout.startswith("accuracy 0.7"), said.stderr
    ignored = () if kind == "npy" else ("--ignore", "answer")
    done = call("predict", "m", "many", *ignored, "-o", "p.csv", folder=folder)
    assert done.returncode == 0, done.stderr
    assert pl.read_csv(folder / "p.csv")["prediction"].to_list() == expected.predict(X).tolist()


@pytest.mark.slow
def test_workers_of_a_cluster_read_what_they_fit(folder):
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    for name in ("arrays", "tables"):
        (folder / name).mkdir()
    for number, rows in enumerate((slice(0, 150), slice(150, 400))):
        np.save(folder / f"arrays/{number}.npy", X[rows])
        columns = {name: X[rows, i] for i, name in enumerate("abcde")} | {"y": Y[rows]}
        parquet.write_table(pyarrow.table(columns), folder / f"tables/{number}.parquet")
    expected = xlogreg.fit(X, Y, samples="rows", l2=1e-3)
    sized = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    with distributed.LocalCluster(**sized, protocol="tcp://") as cluster:
        at = ("--dask", cluster.scheduler_address, "--l2", "1e-3", "-o", "m", "--json")
        for given in (("X.npy", "--target", "Y.npy"), ("arrays", "--target", "Y.npy"), ("tables", "--target", "y")):
            given = [str(folder / part) if (folder / part).exists() else part for part in given]
            done = call("fit", *given, *at, folder=folder)
            assert done.returncode == 0, done.stderr
            said = json.loads(done.stdout)
            assert said["fit"]["device"].startswith("dask")
            assert said["train"]["accuracy"] == expected.evaluate(X, Y).accuracy
            np.testing.assert_allclose(xlogreg.load(folder / "m").w, expected.w, rtol=1e-4)


def test_what_workers_cannot_read_is_said(folder):
    pytest.importorskip("distributed", reason="dask.distributed is not installed")
    pl.DataFrame({"a": X[:, 0], "y": Y}).write_csv(folder / "t.csv")
    done = call("fit", "t.csv", "--target", "y", "-o", "m", "--dask", "nowhere", folder=folder)
    assert done.returncode == 1
    assert "--dask nowhere" in done.stderr
