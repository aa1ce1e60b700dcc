"""The commands of the pages run as written, in order, in an empty folder, and print the text below them."""

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# the shell finds the commands of the environment that runs the tests, wherever they are
SHELL = 'set -e; xlogreg() { "$PYTHON" -m xlogreg "$@"; }; python() { "$PYTHON" "$@"; }\n'


def said_by(commands, folder):
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        ["bash", "-c", SHELL + commands], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, commands + done.stdout + done.stderr
    return done.stdout


def number(word):
    try:
        return float(word.strip("(),;%"))
    except ValueError:
        return None


def begins(words, others):
    """Whether words begin with others, but for numbers that differ by no more than rounding and the machine do."""
    for one, other, unit in zip(words, others, [*others[1:], ""], strict=False):
        a, b = number(one), number(other)
        if one == other or (None not in (a, b) and unit.strip(".,") in ("s", "ms")):
            continue
        if None in (a, b) or not math.isclose(a, b, rel_tol=0.02, abs_tol=1e-6):
            return False
    return len(words) >= len(others)


def alike(said, shown):
    """Whether the shown lines were said, in order; a line of three points stands for any lines."""
    words, *pieces = said.split(), *re.split(r"^\.\.\.$", shown, flags=re.MULTILINE)
    for place, piece in enumerate(pieces):
        others = piece.split()
        starts = range(len(words) - len(others) + 1) if place else [0]
        found = next((start for start in starts if begins(words[start:], others)), None)
        if found is None:
            return False
        words = words[found + len(others) :]
    return not words or not pieces[-1].strip()


def run_page(name, folder):
    """Run all console blocks; how many of them have a text below, which must be their output."""
    (folder / "examples").symlink_to(ROOT / "examples")
    page = (ROOT / "docs" / f"{name}.md").read_text()
    blocks = re.findall(r"^```console\n(.*?)^```(?:\n\n```text\n(.*?)^```)?", page, re.M | re.S)
    for commands, shown in blocks:
        said = said_by(commands, folder)
        assert not shown or alike(said, shown), f"{commands}\nsays\n{said}\nand the page shows\n{shown}"
    return sum(bool(shown) for _, shown in blocks)


def test_outputs_are_alike_if_only_times_and_last_digits_differ():
    shown = "converged after 18 passes, 0.061 s\ncost 0.366487, about 7e-17 above the minimum"
    assert alike(shown.replace("0.061", "4.2").replace("0.366487", "0.366488").replace("7e-17", "9e-15"), shown)
    for one, other in (("18", "25"), ("minimum", "maximum"), ("0.366487", "0.46"), ("minimum", "minimum .")):
        assert not alike(shown.replace(one, other), shown)
    assert alike("a\nb\nc\nd", "a\n...\nc\n...")
    for said in ("b\na\nc", "a\nb", "a\nb\nC"):
        assert not alike(said, "a\n...\nc\n...")


def test_the_one_line_that_learns_from_pictures_is_made_of_the_commands_below_it():
    page = (ROOT / "docs" / "pictures.md").read_text()
    line = re.search(r"^python3 -m venv .venv && (.*)$", page, re.M)[1].replace(".venv/bin/", "").split(" && ")
    assert line[0] == 'pip install -e ".[demo]"'
    assert len(line) == 3
    for command in line[1:]:
        assert f"```console\n{command}\n```" in page


@pytest.mark.slow
@pytest.mark.parametrize(("name", "texts"), [("pictures", 5), ("command_line", 6)])
def test_the_commands_of_a_page_print_what_it_shows(name, texts, tmp_path):
    for needed in ("sklearn", "PIL", "matplotlib", "polars"):
        pytest.importorskip(needed, reason=f"the page needs {needed}")
    assert run_page(name, tmp_path) == texts


@pytest.mark.slow
def test_the_commands_between_the_code_of_linear_probes_print_what_the_page_shows():
    for needed in ("torch", "PIL", "polars"):
        pytest.importorskip(needed, reason=f"the page needs {needed}")
    page = (ROOT / "docs" / "linear_probes.md").read_text()
    blocks = re.findall(r"^```(python|console)\n(.*?)^```(?:\n\n```text\n(.*?)^```)?", page, re.M | re.S)
    names: dict = {}
    for kind, block, shown in blocks:
        if kind == "python":
            exec(compile(block, "linear_probes", "exec"), names)
        else:
            said = said_by(block, names["here"])
            assert alike(said, f"...\n{shown}...\n"), f"{block}\nsays\n{said}\nand the page shows\n{shown}"
    assert sum(kind == "console" and bool(shown) for kind, _, shown in blocks) == 2
