"""The check for machines with CUDA: what it does where there is none, with a GPU that is made up, and on the CPU."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import xlogreg
from benchmarks.gpu_bench import Bench, attempt, open_bench, result_path
from benchmarks.gpu_profile import profile
from xlogreg.arrays.place import Place

ROOT = Path(__file__).parent.parent
SCRIPT = str(ROOT / "benchmarks" / "gpu_check.sh")
CUPY = xlogreg.available_backends()["cupy"]
STAGES = ("smoke", "tests", "timings")
needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
without_cupy = pytest.mark.skipif(CUPY.usable, reason="CuPy works here")


def run(*command, **more):
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT), **more}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def time_on_cpu(path, *arguments, driver="gpu"):
    """Exit code, and the results as strict JSON."""
    command = [sys.executable, "-m", f"benchmarks.{driver}", "--allow-cpu", "--json", str(path)]
    done = run(*command, *arguments, CUDA_VISIBLE_DEVICES="", JAX_PLATFORMS="cpu")
    assert path.exists(), done.stderr
    return done.returncode, json.loads(path.read_text(), parse_constant=pytest.fail)


@without_cupy
@needs_bash
@pytest.mark.parametrize(("stage", "code"), [*((stage, 3) for stage in (*STAGES, "all")), ("nothing", 2)])
@pytest.mark.slow
def test_without_cuda_the_check_says_why(stage, code):
    done = run("bash", SCRIPT, stage)
    assert done.returncode == code
    assert done.stdout == ""
    assert (CUPY.reason if code == 3 else "gpu_check.sh tests") in done.stderr


# stands for an interpreter without array-api-compat until pip is asked for something
LACKING = """#!/bin/sh
case "$*" in
*"import numpy,array_api_compat"*) [ -f "$INSTALLED" ] || { echo "No module named 'array_api_compat'" >&2; exit 1; } ;;
"-m pip "*) echo "$@" >>"$INSTALLED" && exit 0 ;;
esac
exec "$REAL" "$@"
"""
# stands for one with a GPU: says what it is asked to run, and ends as it is told
WITH_GPU = """#!/bin/sh
case "$*" in
*why_unusable*) ;;
"-c "*) exec "$REAL" "$@" ;;
"-m pytest "*) echo "ran $@"; exit "$TESTS" ;;
"-m benchmarks.gpu "*) echo "ran $@"; exit "$TIMINGS" ;;
*) echo "ran $@" ;;
esac
"""


def script(path, text):
    path.write_text(text)
    path.chmod(0o755)
    return {"PYTHON": str(path), "REAL": sys.executable}


@without_cupy
@needs_bash
@pytest.mark.parametrize("named", [True, False])
def test_wheels_of_what_is_missing_are_installed_into_a_folder_of_the_run(tmp_path, named):
    installed, wheels = tmp_path / "installed", tmp_path / "some wheels"
    wheels.mkdir()
    for name in ("numpy-2.1", "no_such_thing-1.0"):
        (wheels / f"{name}-py3-none-any.whl").touch()
    python = script(tmp_path / "python", LACKING)
    done = run("bash", SCRIPT, "tests", *([str(wheels)] if named else []), INSTALLED=str(installed), **python)
    if named:
        (asked,) = installed.read_text().splitlines()  # numpy is here
        assert f"--no-index --no-deps --no-cache-dir --find-links {wheels} --target " in asked
        folder, name = asked.partition("--target ")[2].split()
        assert (name, Path(folder).exists()) == ("no_such_thing", False)
        assert (done.returncode, CUPY.reason in done.stderr) == (3, True)
    else:
        assert not installed.exists()
        assert (done.returncode, "array_api_compat" in done.stderr) == (2, True)


@needs_bash
@pytest.mark.parametrize(("tests", "timings", "code"), [(0, 0, 0), (1, 0, 1), (124, 0, 124), (124, 1, 1), (1, 3, 1)])
@pytest.mark.slow
def test_all_stages_run_whatever_fails(tmp_path, tests, timings, code):
    python = script(tmp_path / "python", WITH_GPU)
    done = run("bash", SCRIPT, "all", TESTS=str(tests), TIMINGS=str(timings), BUDGET="100", **python)
    assert done.returncode == code, done.stderr
    ran = [line.split()[2] for line in done.stdout.splitlines() if line.startswith("ran ")]
    assert ran == ["xlogreg", "benchmarks.gpu_smoke", "pytest", "benchmarks.gpu"]


@needs_bash
def test_a_stage_gets_its_arguments_and_its_time(tmp_path):
    python = script(tmp_path / "python", WITH_GPU)
    done = run("bash", SCRIPT, "tests", "--left", "-k", "a or b", TESTS="0", BUDGET="100", **python)
    assert done.returncode == 0, done.stderr
    assert 90 <= int(re.search(r"-p benchmarks.gpu_tests --budget (\d+) ", done.stdout)[1]) <= 100
    assert done.stdout.endswith(" --left -k a or b\n")
    assert run("bash", SCRIPT, "smoke", str(tmp_path), **python).returncode == 2  # a folder without wheels


# the plugin of the tests

SOME_TESTS = """
import sys

import pytest


@pytest.mark.parametrize("name", ["numpy", "jax", "cupy", "torch-cuda"])
def test_each(name):
    pass


@pytest.mark.slow
def test_slow_cupy():
    pass


def test_of_something_else():
    sys.modules["zarr"] = None
    import zarr


def test_that_cannot_import():
    sys.modules["something"] = None
    import something
"""


def test_tests_for_the_gpu_come_first_and_the_rest_can_follow_later(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow: takes long\n")
    (tmp_path / "test_some.py").write_text(SOME_TESTS)
    command = [sys.executable, "-m", "pytest", "-rs", "-v", "--rootdir", str(tmp_path), "-p", "benchmarks.gpu_tests"]
    command.append(str(tmp_path))
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = run(*command, "--budget", "0", **alone)
    assert done.returncode == 124
    assert "test_each[cupy] PASSED" in done.stdout
    assert done.stdout.endswith("6 tests were not run: 1 of cupy, 1 of cuda, 1 of jax\n")
    done = run(*command, "--left", **alone)
    assert done.returncode == 1
    names = ["test_slow_cupy", "test_each[torch-cuda]", "test_each[jax]", "test_each[numpy]", "test_of_something_else"]
    ran = [line.partition("::")[2].split()[0] for line in done.stdout.splitlines() if "test_some.py::" in line]
    assert ran == [*names, "test_that_cannot_import"]
    assert "zarr is not installed" in done.stdout
    assert "1 failed, 4 passed, 1 skipped, 1 deselected" in done.stdout
    done = run(*command, "--left", **alone)
    assert (done.returncode, done.stdout.endswith("no test was left out\n")) == (0, True)


# the timings


def test_a_device_is_a_gpu_by_its_platform_whatever_its_name():
    devices = [("jax", SimpleNamespace(platform=name)) for name in ("gpu", "cuda", "cpu")]
    devices += [("torch", SimpleNamespace(type=name)) for name in ("cuda", "cpu")] + [("numpy", "cpu")]
    found = [Bench(name, None, Place(name, device), None).on_gpu for name, device in devices]
    assert found == [True, True, False, True, False, False]


def test_what_takes_too_long_is_stopped_and_keeps_what_it_had():
    def work(row):
        row["half"] = 1
        while True:
            time.sleep(0.01)

    row = {}
    attempt(row, time.perf_counter() + 0.1, work, row)
    assert row == {"half": 1, "stopped": "the time is up"}


def test_results_go_where_they_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("OUT", raising=False)
    assert result_path("gpu", None, False) is None
    assert result_path("gpu", None, True).parent == ROOT / "benchmarks" / "results"
    monkeypatch.setenv("OUT", str(tmp_path))
    assert result_path("gpu", None, True).parent == tmp_path
    assert result_path("gpu", Path("x.json"), True) == Path("x.json")


def test_a_profile_has_the_steps_and_the_calls_of_a_fit():
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((3, 200)), np.arange(200) % 2
    row = profile(open_bench("numpy", False), X, Y)
    assert len(row["steps"]) >= xlogreg.fit(X, Y, l2=1 / 200).fit_info.iterations
    assert "fit" in {name.split()[-1] for name, _, _ in row["inside"]}
    assert all(count > 0 and seconds >= 0 for name, count, seconds in row["own"])


@pytest.mark.slow
def test_the_smoke_test_has_a_row_of_every_fit(tmp_path):
    arguments = ["--libraries", "torch", "jax", "--shapes", "2000x16"]
    code, results = time_on_cpu(tmp_path / "smoke.json", *arguments, "--budget", "300", driver="gpu_smoke")
    assert code == 0
    here = [name for name in ("torch", "jax") if name not in results["missing"]] or ["numpy"]
    for name in here:
        row = results["rows"][f"2000x16, {name}, resident"]
        assert min(row["first"], row["seconds"], row["passes"]) > 0
    assert all("skipped" not in row or "needs" in row["skipped"] for row in results["rows"].values())
    code, late = time_on_cpu(tmp_path / "late.json", *arguments, "--budget", "0", driver="gpu_smoke")
    assert code == 0
    assert late["rows"].keys() == results["rows"].keys()
    assert all("skipped" in row for row in late["rows"].values())


@pytest.mark.slow
def test_the_timings_hold_a_row_for_every_library(tmp_path):
    names = ["numpy", "torch", "jax"]
    code, results = time_on_cpu(tmp_path / "all.json", "--libraries", *names, "--shapes", "2000x16")
    assert code == 0
    rows = results["fits"]["2000x16"]
    for name in names:
        if name in results["missing"]:
            assert name not in rows
            continue
        assert results["ceilings GB/s"][name]["device copy"] > 0
        assert len(rows[name]["GB/s"]) == 4
        for where in {"resident", "host"} - ({"host"} if name == "numpy" else set()):
            fit = rows[name][where]
            assert min(fit["first"], fit["seconds"], fit["predict"], fit["passes"]) > 0
            assert fit["converged"]
            assert fit["difference"] < 1e-4
    rivals = [row for name, row in rows.items() if name.startswith("scikit-learn")]
    assert all(row["resident"]["difference"] < 1e-2 for row in rivals)


@pytest.mark.slow
def test_a_pair_that_fails_or_comes_too_late_is_a_row_as_well(tmp_path):
    code, results = time_on_cpu(tmp_path / "failed.json", "--libraries", "numpy", "--shapes", "1x3", "300x3")
    assert code == 1
    assert "one class only" in results["fits"]["1x3"]["numpy"]["error"]
    assert results["fits"]["300x3"]["numpy"]["resident"]["converged"]
    code, results = time_on_cpu(tmp_path / "late.json", "--libraries", "numpy", "--shapes", "300x3", "--budget", "0")
    assert code == 0
    assert "skipped" in results["fits"]["300x3"]["numpy"]
