"""README and the pages are true: their Python blocks run, in order, and print the text below them; links lead on."""

import logging
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import xlogreg
from xlogreg.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCS = sorted((ROOT / "docs").glob("*.md"))
OF_THE_MACHINE = ("backend", "device", "fallback", "gradient_norm", "gap ", "parameter_error", "seconds")


def of_every_machine(text):
    return [line.rstrip() for line in text.splitlines() if not line.startswith(OF_THE_MACHINE)]


def run_blocks(text, capsys):
    """The Python blocks, in order, in one namespace; how many have a text below them, which must be their output."""
    blocks = re.findall(r"^```python\n(.*?)^```(?:\n(?:\n.*:\n)?\n```text\n(.*?)^```)?", text, flags=re.M | re.S)
    namespace: dict = {}
    for number, (block, shown) in enumerate(blocks):
        capsys.readouterr()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", xlogreg.BackendFallbackWarning)  # it asks for a GPU
            exec(compile(block, f"block {number}", "exec"), namespace)
        if shown:
            assert of_every_machine(capsys.readouterr().out) == of_every_machine(shown)
    return sum(bool(shown) for _, shown in blocks)


def test_the_code_of_the_readme_runs_and_prints_what_it_shows(capsys):
    assert run_blocks(README, capsys) == 1


LONG = ("selection", "linear_probes", "many_models")  # pages that take seconds


@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=[pytest.mark.slow] if path.stem in LONG else [], id=path.stem) for path in DOCS]
)
def test_the_code_of_the_pages_runs_and_prints_what_they_show(path, capsys):
    text = path.read_text()
    for module, name in {"torch": "PyTorch", "onnxruntime": "onnxruntime"}.items():
        if f"import {module}" in text:
            pytest.importorskip(module, reason=f"{path.name} has a block for {name}")
    level = logging.getLogger("xlogreg").level
    try:
        shown = run_blocks(text, capsys)
    finally:
        logging.getLogger("xlogreg").setLevel(level)  # a page turns the log on, for the whole process
    assert shown >= {"certificate": 1, "selection": 5, "statistics": 1}.get(path.stem, 0)


def test_the_commands_of_the_readme_lead_from_a_table_to_predictions(tmp_path, monkeypatch, capsys):
    polars = pytest.importorskip("polars")
    rng = np.random.default_rng(0)
    age, dose = rng.uniform(20, 80, 300).round(1), rng.uniform(0, 5, 300).round(2)
    recovered = np.where(dose - age / 20 + rng.logistic(size=300) > 0, "yes", "no")
    people = polars.DataFrame({"age": age, "dose": dose, "city": ["Bern"] * 300, "recovered": recovered.tolist()})
    people.write_csv(tmp_path / "people.csv")
    people.drop("recovered").write_csv(tmp_path / "new.csv")
    commands = re.findall(r"^xlogreg ((?!images).*)$", README, flags=re.MULTILINE)
    assert [command.partition(" ")[0] for command in commands] == ["fit", "evaluate", "predict"]
    monkeypatch.chdir(tmp_path)
    for command in commands:
        assert main(command.split()) == 0, capsys.readouterr().err
    predictions = polars.read_csv("predictions.csv")
    assert predictions.columns == ["prediction", "probability_no", "probability_yes"]
    assert np.mean(predictions["prediction"].to_numpy() == recovered) > 0.7


@pytest.mark.parametrize(
    "command", ['-e ".[demo]" && .venv/bin/xlogreg demo', '-e ".[test]" && .venv/bin/pytest -n 2 --dist loadfile']
)
def test_the_readme_has_its_two_commands(command):
    assert f"\npython3 -m venv .venv && .venv/bin/pip install {command}\n" in README


def test_the_house_is_drawn_whole():
    drawn = re.search(r"^## The house\n\n```\n(.*?)^```", (ROOT / "CONTRIBUTING.md").read_text(), re.M | re.S)[1]
    wings = [path.parent for path in (ROOT / "xlogreg").glob("*/__init__.py")]
    assert sorted(re.findall(r"^(\w+)/ ", drawn, re.M)) == sorted(wing.name for wing in wings)
    for path in (ROOT / "xlogreg").rglob("*.py"):
        assert path.read_text().startswith('"""'), f"{path} does not say what it is for"


WINGS = "arrays|cli|fitting|graph|images|inputs|math|model|samples|sklearn|solvers"


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_paths_of_files_lead_to_files(name):
    for path in re.findall(rf"`((?:{WINGS})/[\w/.]+)`", (ROOT / name).read_text()):
        assert (ROOT / "xlogreg" / path).exists(), path


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS], ids=lambda path: path.stem)
def test_links_lead_to_files_and_to_headings(path):
    for target in re.findall(r"\]\((?!https?:)([^)]*)\)", path.read_text()):
        name, _, anchor = target.partition("#")
        page = path.parent / name if name else path
        assert page.exists(), target
        headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M) if anchor else []
        assert not anchor or anchor in [re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in headings]
