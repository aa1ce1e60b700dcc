"""The check for machines with CUDA: what it does where there is none, and its timings, run on the CPU."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import xlogreg

ROOT = Path(__file__).parent.parent
CUPY = xlogreg.available_backends()["cupy"]


def run(*command, **more):
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT), **more}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def time_on_cpu(path, *arguments):
    """Exit code, and the results as strict JSON."""
    driver = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--allow-cpu", "--json", str(path)]
    done = run(*driver, *arguments, CUDA_VISIBLE_DEVICES="", JAX_PLATFORMS="cpu")
    assert path.exists(), done.stderr
    return done.returncode, json.loads(path.read_text(), parse_constant=pytest.fail)


@pytest.mark.skipif(CUPY.usable, reason="CuPy works here")
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(("stage", "code"), [("tests", 3), ("timings", 3), ("all", 3), ("nothing", 2)])
def test_without_cuda_the_check_says_why(stage, code):
    done = run("bash", str(ROOT / "benchmarks" / "gpu_check.sh"), stage)
    assert done.returncode == code
    assert done.stdout == ""
    assert (CUPY.reason if code == 3 else "gpu_check.sh tests") in done.stderr


# stands for an interpreter without array-api-compat until pip is asked for it
LACKING = """#!/bin/sh
case "$*" in
*"import numpy, array_api_compat"*) [ -f "$INSTALLED" ] || { echo "No module named 'array_api_compat'" >&2; exit 1; } ;;
"-m pip "*) echo "$@" >"$INSTALLED" && exit 0 ;;
esac
exec "$REAL" "$@"
"""


@pytest.mark.skipif(CUPY.usable, reason="CuPy works here")
@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize("named", [True, False])
def test_what_is_missing_is_installed_from_a_folder_of_wheels_named_after_the_stage(tmp_path, named):
    python, installed, wheels = tmp_path / "python", tmp_path / "installed", tmp_path / "some wheels"
    python.write_text(LACKING)
    python.chmod(0o755)
    wheels.mkdir()
    (wheels / "array_api_compat-1.12-py3-none-any.whl").touch()
    command = ["bash", str(ROOT / "benchmarks" / "gpu_check.sh"), "tests", *([str(wheels)] if named else [])]
    done = run(*command, PYTHON=str(python), REAL=sys.executable, INSTALLED=str(installed))
    if named:
        assert f"--no-index --find-links {wheels} numpy array-api-compat" in installed.read_text()
        assert (done.returncode, CUPY.reason in done.stderr) == (3, True)
    else:
        assert not installed.exists()
        assert (done.returncode, "array_api_compat" in done.stderr) == (2, True)


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
