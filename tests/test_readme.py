"""The README is true: its Python blocks run, in order, in one namespace."""

import doctest
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import xlogreg
from xlogreg.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
DOCS = sorted((ROOT / "docs").glob("*.md"))


def run_blocks(text):
    """The Python blocks, in order, in one namespace; how many they are."""
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    namespace: dict = {}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for number, block in enumerate(blocks):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", xlogreg.BackendFallbackWarning)  # it asks for a GPU
            if ">>>" in block:
                test = doctest.DocTestParser().get_doctest(block, namespace, f"block {number}", None, None)
                report: list[str] = []
                runner.run(test, out=report.append, clear_globs=False)
                namespace = test.globs
                assert runner.summarize(verbose=False).failed == 0, "".join(report)
            else:
                exec(compile(block, f"block {number}", "exec"), namespace)
    return len(blocks)


def test_the_code_blocks_of_the_readme_run():
    assert run_blocks(README) >= 3


def test_the_readme_shows_what_its_first_block_prints(capsys):
    block = re.search(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", xlogreg.BackendFallbackWarning)
        exec(compile(block, "the first block", "exec"), {})
    shown = re.search(r"^```text\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)[1]
    of_the_machine = ("backend", "device", "fallback", "gradient_norm", "gap ", "parameter_error", "seconds")
    lines = [
        [line for line in text.splitlines() if not line.startswith(of_the_machine)]
        for text in (capsys.readouterr().out, shown)
    ]
    assert len(lines[0]) > 15
    assert lines[0] == lines[1]


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.stem)
def test_the_code_blocks_of_the_documents_run(path):
    text = path.read_text()
    for module, name in {"torch": "PyTorch", "onnxruntime": "onnxruntime"}.items():
        if f"import {module}" in text:
            pytest.importorskip(module, reason=f"{path.name} has a block for {name}")
    run_blocks(text)


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


@pytest.mark.slow
def test_the_commands_of_the_readme_lead_from_photographs_to_predictions(tmp_path, monkeypatch, capsys):
    for needed in ("sklearn", "PIL", "matplotlib"):
        pytest.importorskip(needed)
    example, fit = re.search(r"^python3 .*&& \.venv/bin/python (.*) && \.venv/bin/xlogreg (.*)$", README, re.M).groups()
    monkeypatch.chdir(tmp_path)
    script, *arguments = example.split()
    subprocess.run([sys.executable, ROOT / script, *arguments], check=True, capture_output=True)
    commands = re.findall(r"^xlogreg (images.*)$", README, flags=re.MULTILINE)
    assert [command.split()[1] for command in commands] == ["fit", "predict", "evaluate"]
    said = []
    for command in (fit, *commands):
        assert main(command.split()) == 0, capsys.readouterr().err
        said.append(capsys.readouterr().out)
    accuracy = [float(re.search(r"^test: accuracy ([\d.]+)", text, re.M)[1]) for text in said[:2]]
    assert 0.7 < accuracy[0] == accuracy[1] < 1.0
    assert re.fullmatch(r"(pictures/\w+/000-000.png\t(flower|temple)\t[01]\.\d{4}\n){2}", said[2])
    assert said[3].startswith("accuracy 0.8")
    assert (tmp_path / "pictures.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "command", ["xlogreg demo", "pytest -n 2 --dist loadfile", "python examples/cut_photographs.py pictures && .*"]
)
def test_the_readme_has_its_three_commands(command):
    assert re.search(rf"^python3 -m venv \.venv && \.venv/bin/pip install -e .* && \.venv/bin/{command}$", README, re.M)


def test_the_house_is_drawn_whole():
    drawn = re.search(r"^## The house\n\n```\n(.*?)^```", README, re.M | re.S)[1]
    wings = [path.parent for path in (ROOT / "xlogreg").glob("*/__init__.py")]
    assert sorted(re.findall(r"^(\w+)/ ", drawn, re.M)) == sorted(wing.name for wing in wings)
    for path in (ROOT / "xlogreg").rglob("*.py"):
        assert path.read_text().startswith('"""'), f"{path} does not say what it is for"


WINGS = "arrays|cli|fitting|graph|images|inputs|math|model|samples|sklearn|solvers"


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_paths_of_files_lead_to_files(name):
    for path in re.findall(rf"`((?:{WINGS})/[\w/.]+)`", (ROOT / name).read_text()):
        assert (ROOT / "xlogreg" / path).exists(), path
