"""The documentation is whole: every public name has its place in the reference, every page its place in the book."""

import re
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


def test_the_notebook_in_the_tutorial_shows_no_code_that_a_page_cuts_off():
    cells = re.findall(
        r"^```\{code-cell\}[^\n]*\n(.*?)^```", (DOCS / "tutorial.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert len(cells) > 30
    assert max(len(line) for cell in cells for line in cell.splitlines()) <= 80
