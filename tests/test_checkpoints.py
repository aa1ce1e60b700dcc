"""Checkpoints, and what an interruption leaves: a file to go on from, and nothing that is broken."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import numpy as np
import pytest

import xlogreg
from xlogreg.arrays.place import to_host
from xlogreg.fitting import checkpoint as checkpoints


@pytest.fixture
def eager(monkeypatch):
    """A checkpoint is written before each step."""
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0.0)


def interrupt(at, error=KeyboardInterrupt):
    def callback(state):
        if state.iteration == at:
            raise error

    return callback


def interrupted(path, *arguments, at=2, **options):
    """The model in the checkpoint of a fit that was interrupted."""
    with pytest.raises(KeyboardInterrupt):
        xlogreg.fit(*arguments, checkpoint=path, callback=interrupt(at), **options)
    return xlogreg.load(path)


@pytest.mark.parametrize("solver", ["auto", "lbfgs", "gd"])
def test_a_checkpoint_is_the_model_of_the_moment(where, problem, tmp_path, eager, solver):
    X, Y = where.asarray(problem[0]), problem[1]
    path = tmp_path / "fit.model"
    seen = []

    def callback(state):
        model = xlogreg.load(path)
        info = model.fit_info
        assert (info.reason, info.iterations, info.converged) == ("checkpoint", state.iteration, False)
        assert (info.cost, info.gradient_norm) == (state.cost, state.gradient_norm)
        np.testing.assert_array_equal(info.gap, state.gap)
        assert info.gap_known == {"auto": "decrement", "lbfgs": "estimate", "gd": ""}[solver]
        np.testing.assert_array_equal(model.w, state.w.astype(where.dtype))
        rounding = {"float32": 1e-6, "float64": 1e-14}[where.dtype]  # b makes up for what rounding of w does
        np.testing.assert_allclose(model.b, state.b, rtol=rounding, atol=rounding)
        seen.append(state.iteration)

    model = xlogreg.fit(
        X, Y, solver=solver, callback=callback, checkpoint=path, **({"max_iter": 3} if solver == "gd" else {})
    )
    assert len(seen) > 2
    last = xlogreg.load(path)
    assert last.fit_info == model.fit_info
    np.testing.assert_array_equal(last.w, to_host(model.w))
    assert os.listdir(tmp_path) == ["fit.model"]


def test_nothing_is_written_before_it_is_time(problem, tmp_path):
    path = tmp_path / "fit.model"
    model = xlogreg.fit(*problem, checkpoint=str(path), callback=lambda state: path.exists())
    assert model.fit_info.reason == "converged"
    assert path.exists()


def softmax(three_classes):
    return three_classes[0], np.asarray(["ant", "bee", "cow"])[three_classes[1]]


def wide(n_x=240, m=40):
    rng = np.random.default_rng(0)
    return rng.standard_normal((n_x, m)) + 1.0, np.arange(m) % 2


RESUMED = {
    "two classes": ({}, None),
    "no intercept": ({"bias": False}, None),
    "standardised": ({"standardize": True, "l2": 1e-2}, None),
    "lbfgs": ({"solver": "lbfgs", "l2": 1e-2}, None),
    "softmax": ({"l2": 1e-2}, softmax),
    "wide": ({"l2": 0.05}, wide),
}


@pytest.mark.parametrize("case", RESUMED)
def test_an_interrupted_fit_goes_on_to_the_same_optimum(case, problem, three_classes, tmp_path):
    options, make = RESUMED[case]
    X, Y = {None: lambda: problem, softmax: lambda: softmax(three_classes), wide: wide}[make]()
    options = {"tol": 1e-15} | options
    expected = xlogreg.fit(X, Y, **options).predict_proba(X)
    half = interrupted(tmp_path / "half", X, Y, **options)
    assert half.fit_info.reason == "checkpoint"
    assert np.max(np.abs(half.predict_proba(X) - expected)) > 1e-8
    again = xlogreg.fit(X, Y, initial=half, **options)
    np.testing.assert_allclose(again.predict_proba(X), expected, atol=1e-8)


def test_an_interrupted_fit_of_many_samples_goes_on(subsets, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((10, 6000)) + 2020.0
    Y = X[0] - X[1] + rng.logistic(size=6000) > 0
    expected = xlogreg.fit(X, Y)
    half = interrupted(tmp_path / "half", X, Y)
    again = xlogreg.fit(X, Y, initial=half)
    assert expected.fit_info.solver == again.fit_info.solver == "sampled-newton"
    assert again.fit_info.iterations < expected.fit_info.iterations
    np.testing.assert_allclose(again.predict_proba(X), expected.predict_proba(X), atol=1e-8)


def test_float32_far_from_zero_keeps_its_centre_in_a_checkpoint_and_after(problem, tmp_path):
    X, Y = (problem[0] + 1e6).astype(np.float32), problem[1]
    expected = xlogreg.fit(X, Y)
    half = interrupted(tmp_path / "half", X, Y, solver="newton")
    assert half.center is not None
    assert half.evaluate(X, Y).log_loss == pytest.approx(half.fit_info.cost, rel=1e-5)
    costs = []
    again = xlogreg.fit(X, Y, solver="newton", initial=half, callback=lambda state: costs.append(state.cost))
    assert costs[0] == pytest.approx(half.fit_info.cost, rel=1e-5)  # b alone is off by tenths of a score
    np.testing.assert_allclose(again.predict_proba(X), expected.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, OSError, MemoryError, ValueError])
def test_whatever_ends_a_fit_leaves_a_checkpoint(problem, tmp_path, error):
    with pytest.raises(error):
        xlogreg.fit(*problem, solver="newton", checkpoint=tmp_path / "half", callback=interrupt(2, error))
    assert xlogreg.load(tmp_path / "half").fit_info.iterations == 2


def test_an_interruption_while_the_answer_is_judged_is_none_too_late(problem, tmp_path, monkeypatch):
    def stop(*_, final):
        raise KeyboardInterrupt

    monkeypatch.setattr("xlogreg.fitting.outcome.judge", stop)
    with pytest.raises(KeyboardInterrupt):
        xlogreg.fit(*problem, checkpoint=tmp_path / "half")
    assert xlogreg.load(tmp_path / "half").fit_info.gap < 1e-6


def test_an_interruption_before_the_first_step_leaves_the_file_as_it_was(problem, tmp_path, monkeypatch):
    path = tmp_path / "fit.model"
    xlogreg.fit(*problem, checkpoint=path)
    before = path.read_bytes()

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("xlogreg.fitting.solving.Newton.evaluate", stop)
    with pytest.raises(KeyboardInterrupt):
        xlogreg.fit(*problem, solver="newton", checkpoint=path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["fit.model"]


def no_space(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("step", ["os.fsync", "os.replace"])
def test_a_full_disk_is_one_warning_and_the_fit_goes_on(problem, tmp_path, monkeypatch, eager, step):
    expected = xlogreg.fit(*problem)
    monkeypatch.setattr(step, no_space)
    with pytest.warns(xlogreg.CheckpointWarning, match=r"fit\.model: .*No space left on device") as caught:
        model = xlogreg.fit(*problem, checkpoint=tmp_path / "fit.model")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(model.w, expected.w)
    assert os.listdir(tmp_path) == []


def test_a_disk_that_has_room_again_is_written_to(problem, tmp_path, monkeypatch, eager):
    path, replace = tmp_path / "fit.model", os.replace

    def callback(state):
        if state.iteration == 1:
            monkeypatch.setattr(os, "replace", replace)

    monkeypatch.setattr(os, "replace", no_space)
    with pytest.warns(xlogreg.CheckpointWarning):
        model = xlogreg.fit(*problem, checkpoint=path, callback=callback)
    assert xlogreg.load(path).fit_info == model.fit_info


def test_a_folder_that_vanishes_is_one_warning(problem, tmp_path, eager):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.warns(xlogreg.CheckpointWarning, match="No such file or directory") as caught:
        model = xlogreg.fit(*problem, checkpoint=folder / "m", callback=lambda state: shutil.rmtree(folder, True))
    assert len(caught) == 1
    assert model.fit_info.converged


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="folders have no owner here")
def test_a_folder_that_nobody_may_write_into_is_one_warning():
    program = (
        "import os, sys, warnings, numpy as np, xlogreg\n"
        "samples = np.asarray([[-2.0, -1.0, 1.0, 2.0]]), [0, 1, 0, 1]\n"
        "xlogreg.fit(*samples)\n"  # imports what it needs
        "if os.geteuid() == 0: os.setuid(65534)\n"  # root writes into any folder
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    xlogreg.fit(*samples, checkpoint=sys.argv[1])\n"
        "print([warning.category.__name__ for warning in caught])\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        command = [sys.executable, "-c", program, os.path.join(folder, "m")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        os.chmod(folder, 0o755)
        assert done.stdout == "['CheckpointWarning']\n", done.stderr
        assert os.listdir(folder) == []


def test_a_fit_that_diverges_does_not_replace_a_checkpoint_by_nothing(problem, tmp_path, eager):
    path = tmp_path / "fit.model"
    with (
        pytest.warns(xlogreg.DivergenceWarning),
        pytest.warns(xlogreg.CheckpointWarning, match="is not finite") as caught,
    ):
        xlogreg.fit(*problem, solver="gd", learning_rate=1e200, l2=1.0, max_iter=500, checkpoint=path)
    assert [warning.category for warning in caught].count(xlogreg.CheckpointWarning) == 1
    assert np.isfinite(xlogreg.load(path).fit_info.cost)


def test_a_place_where_nothing_can_be_written_is_said_before_any_work(tmp_path):
    for path in (tmp_path / "no" / "m", str(tmp_path / "no" / "m")):
        with pytest.raises(FileNotFoundError, match="No such file or directory"):
            xlogreg.fit(None, None, checkpoint=path)  # X is not looked at
    with pytest.raises(IsADirectoryError):
        xlogreg.fit(None, None, checkpoint=tmp_path)


PROGRAM = """
import sys, threading
import numpy as np
import threadpoolctl
import xlogreg
from xlogreg.samples import threads

threads.thread_count = lambda: 2
rng = np.random.default_rng(0)
X = rng.integers(0, 256, (100, 400_000), dtype=np.uint8)  # converted in threads
Y = X[0].astype(float) - X[1] + 40 * rng.logistic(size=400_000) > 0
before = threadpoolctl.threadpool_info()
expected = xlogreg.fit(X, Y, l2=1e-3)
try:
    xlogreg.fit(X, Y, l2=1e-3, solver="gd", max_iter=10**9, checkpoint=sys.argv[1],
                callback=lambda state: state.iteration == 2 and print("ready", flush=True))
except KeyboardInterrupt as interruption:
    kept = interruption  # with its traceback
else:
    sys.exit("it was not interrupted")
assert not threads._busy.locked()
assert threadpoolctl.threadpool_info() == before
model = xlogreg.load(sys.argv[1])
assert model.fit_info.reason == "checkpoint" and model.fit_info.iterations >= 2
again = xlogreg.fit(X, Y, l2=1e-3, initial=model)
assert np.allclose(again.predict_proba(X), expected.predict_proba(X), atol=1e-5)
print("done")
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="processes are interrupted in another way here")
@pytest.mark.parametrize("wait", [0.0, 0.37])
def test_control_c_in_the_middle_of_a_fit_leaves_a_checkpoint_and_a_process_that_works(tmp_path, wait):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "half")]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout.readline() == "ready\n", process.communicate()
        time.sleep(wait)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=120)
    assert (process.returncode, out, said) == (0, "done\n", "")
