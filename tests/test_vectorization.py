"""The benchmark of the notes' loops, on few numbers: its expressions compute what the loops do."""

import importlib
import json

import numpy as np
import pytest
from conftest import STATUS

from xlogreg.arrays.place import HOST, place_on


@pytest.fixture
def vectorization(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")  # or the benchmark would set it
    return importlib.import_module("benchmarks.vectorization")


@pytest.fixture
def at_once(vectorization, monkeypatch):
    """One reading of few calls."""
    monkeypatch.setattr(vectorization, "READINGS", 1)
    monkeypatch.setattr(vectorization, "LONG_ENOUGH", 0.0)


@pytest.mark.slow
def test_loops_and_expressions_agree_on_every_library(vectorization, at_once):
    places = {name: place_on(name) for name, status in STATUS.items() if status.usable}
    for name, case in vectorization.CASES.items():
        row = vectorization.measure(case, 200, places)
        assert row["loop"] > 0
        for place in places:
            assert row[place]["ratio"] == row["loop"] / row[place]["seconds"] > 0, name
            assert row[place]["difference"] <= vectorization.WITHIN[row[place]["dtype"]]


def test_an_expression_that_computes_something_else_is_refused(vectorization):
    case = vectorization.CASES["dot"]._replace(expression=lambda xp, a, b: a @ b + 1e-3)
    with pytest.raises(ArithmeticError, match="numpy on cpu differs from the loop by"):
        vectorization.measure(case, 100, {"numpy": HOST})


def test_the_loop_over_samples_is_a_step_of_gradient_descent(vectorization):
    X, Y, w, b = vectorization.draw_samples(np.random.default_rng(0), 500)
    found, bias, (J,) = vectorization.loop_step(X.tolist(), Y.tolist(), w.tolist(), b.tolist())
    A = 1 / (1 + np.exp(-(w.T @ X + b)))
    np.testing.assert_allclose(found, (w - 0.5 * X @ (A - Y).T / 10)[:, 0])
    assert bias == pytest.approx(float(b[0, 0] - 0.5 * np.mean(A - Y)))
    assert pytest.approx(-np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))) == J


def test_the_table_and_the_file_hold_every_case(vectorization, at_once, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(vectorization, "find_places", lambda: ({"numpy": HOST}, {"other": "it is not there"}))
    vectorization.main(["--size", "100", "--json", str(tmp_path / "found.json")])
    shown = capsys.readouterr().out
    results = json.loads((tmp_path / "found.json").read_text(), parse_constant=pytest.fail)
    assert results["missing"] == {"other": "it is not there"}
    assert "other: it is not there" in shown
    assert list(results["cases"]) == list(vectorization.CASES)
    for name, row in results["cases"].items():
        assert f"\n{name} " in shown
        assert set(row) == {"loop", "numpy"}
