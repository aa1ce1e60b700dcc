"""The documentation is whole: every public name has its place in the reference, every page its place in the book."""

import re
import tomllib
from pathlib import Path

import pytest

import xlogreg

DOCS = Path(__file__).parent.parent / "docs"
REFERENCE = (DOCS / "reference.rst").read_text()


@pytest.mark.parametrize("module", ["", "graph", "images", "plots"])
def test_every_public_name_is_in_the_reference(module):
    found = getattr(xlogreg, module) if module else xlogreg
    names = {f"{module}.{name}".lstrip(".") for name in found.__all__}
    assert names <= set(re.findall(r"^   ([\w.]+)$", REFERENCE, flags=re.MULTILINE))


def test_every_page_is_listed():
    pages = {page.stem: page.read_text() for page in DOCS.glob("*.md")}
    trees = [tree for text in pages.values() for tree in re.findall(r"^```\{toctree\}\n(.*?)^```", text, re.M | re.S)]
    for page in pages.keys() - {"index"}:
        assert re.search(rf"^(.* <)?{page}>?$", "\n".join(trees), flags=re.MULTILINE), page


DOORS = """coming_from_scikit_learn statistics backends linear_probes command_line pictures tables notes large_data
    scaling faults many_models selection sparse separation tests_and_intervals"""


@pytest.mark.parametrize("door", DOORS.split())
def test_every_door_says_what_gap_pass_and_certificate_mean(door):
    text = (DOCS / f"{door}.md").read_text()
    assert "*gap*" in text
    assert "*pass*" in text
    assert "certificate](certificate.md)" in text


def test_the_notebook_in_the_tutorial_shows_no_code_that_a_page_cuts_off():
    cells = re.findall(
        r"^```\{code-cell\}[^\n]*\n(.*?)^```", (DOCS / "tutorial.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(cells) > 30
    assert max(len(line) for cell in cells for line in cell.splitlines()) <= 80


def test_every_extra_is_listed():
    extras = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    table = (DOCS / "fit.md").read_text().partition("## What to install")[2].partition("## Save and load")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, flags=re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(extras)
