"""The command line, run as a user runs it."""

import subprocess
import sys

import numpy as np
import pytest

import xlogreg
from xlogreg.cli import main


@pytest.fixture
def demo():
    """The module; its data need scikit-learn and Pillow, its pictures Matplotlib."""
    for needed in ("sklearn", "PIL", "matplotlib"):
        pytest.importorskip(needed)
    return pytest.importorskip("xlogreg.cli.demo")


def run(*arguments):
    return subprocess.run([sys.executable, "-m", "xlogreg", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.skipif(xlogreg.available_backends()["cupy"].usable, reason="CuPy works here")
@pytest.mark.slow
def test_the_demo_shows_both_solvers_on_both_data_sets(tmp_path, demo):
    done = run("demo", "--backend", "cupy", "--save-dir", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("BackendFallbackWarning") == 1
    assert len(done.stderr.splitlines()) == 1
    for text in ("breast cancer", "m_train 426, m_test 143, n_x 30", "m_train 209, m_test 50, n_x 12288, uint8"):
        assert text in done.stdout
    assert done.stdout.count("gradient descent  ") == 2
    assert done.stdout.count("default solver  ") == 2
    assert done.stdout.count("computed by numpy on cpu") == 2
    for name in ("breast-cancer.png", "pictures.png"):
        picture = (tmp_path / "new" / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 10_000


def test_info_tells_versions_threads_and_backends(capsys):
    assert main(["info"]) == 0
    shown = capsys.readouterr().out
    for text in ("xlogreg", "python", "numpy", "BLAS", "threads", "cupy", "array-api-strict", "usable"):
        assert text in shown


def test_errors_are_one_line_and_exit_code_1(capsys, demo):
    assert main(["demo", "--backend", "nope"]) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith("xlogreg demo: backend 'nope' is unknown; usable on this machine: 'numpy'")
    assert len(shown.err.splitlines()) == 1


def test_a_missing_extra_is_named(capsys, monkeypatch, demo):
    monkeypatch.delitem(sys.modules, "xlogreg.cli.demo")
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert main(["demo"]) == 1
    assert "pip install 'xlogreg[demo]'" in capsys.readouterr().err


def test_a_library_that_names_no_missing_package_is_quoted(capsys, monkeypatch, demo):
    def lacks(*arguments):
        raise ImportError("Pillow is needed to read pictures")

    monkeypatch.setattr("sklearn.datasets.load_sample_images", lacks)
    monkeypatch.delitem(sys.modules, "xlogreg.cli.demo", raising=False)
    assert main(["demo"]) == 1
    assert "demo: Pillow is needed to read pictures: pip install 'xlogreg[demo]'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["demo", "--no-such-option"]])
def test_wrong_usage_is_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: xlogreg" in capsys.readouterr().err


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"xlogreg {xlogreg.__version__}\n"


def test_train_and_test_patches_share_no_pixel(demo):
    # the same cuts, of a picture whose pixels are their own numbers
    numbers = np.arange(427 * 640 * 3).reshape(427, 640, 3)
    train = demo.cut_patches(numbers, 105, demo.TRAIN_COLUMNS, np.random.default_rng(0))
    test = demo.cut_patches(numbers, 25, demo.TEST_COLUMNS, np.random.default_rng(1))
    assert train.shape == (105, 64, 64, 3)
    assert not np.isin(test, train).any()


def test_pictures_are_flattened_as_in_the_notes(demo):
    problem = demo.load_pictures()
    assert problem.X_train.shape == (12288, 209)
    assert problem.X_test.shape == (12288, 50)
    assert problem.X_train.dtype == np.uint8
    assert set(problem.Y_train.tolist()) == {"temple", "flower"}


@pytest.mark.parametrize("load", ["load_table", "load_pictures"])
def test_without_a_penalty_the_classes_of_the_demo_are_separated(load, demo):
    problem = getattr(demo, load)()
    with pytest.warns(xlogreg.SeparationWarning):
        xlogreg.fit(problem.X_train, problem.Y_train, standardize=problem.standardize)
