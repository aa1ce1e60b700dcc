"""The house stands as CONTRIBUTING.md draws it: read from the imports, not from the intentions."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from xlogreg.arrays.libraries.table import LIBRARIES

PACKAGE = Path(__file__).parent.parent / "xlogreg"
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
# the folders of the package, from the ground: each imports from itself and from those before it
ORDER = """exceptions version arrays math inputs graph samples solvers inference images plots model fitting sklearn
    xlogreg cli __main__"""
LEVEL = {wing: level for level, wing in enumerate(ORDER.split())}
ARRAY_LIBRARIES = {*(library.module for library in LIBRARIES.values()), "array_api_compat", "dask"} - {"numpy"}
LONGEST_FUNCTION, LONGEST_FILE = 60, 400  # lines of code, and lines


def wing_of(module: str) -> str:
    """The folder of a module, or the module itself where it lies in none."""
    return module.split(".")[1] if "." in module else module


def imports_of(path: Path, anywhere: bool = True) -> set[str]:
    """Modules that a file imports: everywhere, or only when it is imported itself."""
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if anywhere else tree.body
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= inner or {str(node.module)}
    return found


def test_every_wing_has_its_place_in_the_house():
    assert {wing_of(module) for module in MODULES} == set(LEVEL)


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module):
    for imported in imports_of(MODULES[module]):
        if imported.partition(".")[0] == "xlogreg":
            allowed = LEVEL[wing_of(imported)] <= LEVEL[wing_of(module)]
            assert allowed, f"{module} imports {imported}, which is not below it"


def test_there_is_no_circle():
    graph = {name: imports_of(path) & MODULES.keys() for name, path in MODULES.items()}
    order: list[str] = []
    while graph:
        free = [name for name, needs in graph.items() if needs <= set(order)]
        assert free, f"these import each other in a circle: {sorted(graph)}"
        order += free
        for name in free:
            del graph[name]


@pytest.mark.parametrize(
    "module", [name for name in MODULES if not name.startswith(("xlogreg.arrays.traits", "xlogreg.arrays.libraries"))]
)
def test_only_the_files_of_the_libraries_name_them(module):
    assert not {name.partition(".")[0] for name in imports_of(MODULES[module])} & ARRAY_LIBRARIES
    code = ast.parse(MODULES[module].read_text())
    names = {node.id for node in ast.walk(code) if isinstance(node, ast.Name)}
    texts = {node.value for node in ast.walk(code) if isinstance(node, ast.Constant)}
    assert not (names | texts) & {*ARRAY_LIBRARIES, *LIBRARIES} - {"dask", "numpy"}


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("xlogreg.math")])
def test_the_math_names_no_library_and_makes_no_host_value(module):
    tree = ast.parse(MODULES[module].read_text())
    imported = {name.partition(".")[0] for name in imports_of(MODULES[module])}
    assert imported <= {"xlogreg", "math", "typing", "collections", "dataclasses", "functools"}
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not calls & {"float", "bool", "int", "to_host"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.AugAssign)], "arrays are never written into"


@pytest.mark.parametrize("name", ["objective", "descent", "gradient_descent", "newton", "quasi_newton", "simultaneous"])
def test_objective_and_solvers_speak_the_namespace_of_theta_alone(name):
    assert "numpy" not in imports_of(MODULES[f"xlogreg.solvers.{name}"])


@pytest.mark.parametrize("module", [name for name in MODULES if wing_of(name) in ("fitting", "solvers", "model")])
def test_fits_ask_their_samples_and_coordinates_and_not_for_their_kind(module):
    kinds = {"Dense", "Stored", "Matrix", "Shards", "Distributed", "InMemory", "Folds"}
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("isinstance", "type"):
            assert not {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} & kinds


@pytest.mark.parametrize(
    "module", [name for name in MODULES if wing_of(name) in ("solvers", "inference", "model", "fitting")]
)
def test_coordinate_systems_are_asked_and_not_told_apart(module):
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            kinds = {part.id for part in ast.walk(node.args[1]) if isinstance(part, ast.Name)}
            assert not kinds & {"Coordinates", "Span"}, f"line {node.lineno}: ask for `features`"


@pytest.mark.parametrize("module", MODULES)
def test_files_and_functions_are_as_long_as_a_reader_can_hold(module):
    text = MODULES[module].read_text()
    lines = text.splitlines()
    assert len(lines) <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            statements = [part for part in node.body if ast.get_docstring(node) is None or part is not node.body[0]]
            written = {line for part in statements for line in range(part.lineno, part.end_lineno + 1)}
            code = [line for line in written if not re.match(r"\s*(#|$)", lines[line - 1])]
            assert len(code) <= LONGEST_FUNCTION, f"{node.name} has {len(code)} lines"


def test_importing_xlogreg_imports_no_extra():
    program = (
        "import numpy, sys, json; before = set(sys.modules); import xlogreg; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    heavy = {
        "polars",
        "torch",
        "cupy",
        "jax",
        "sklearn",
        "scipy",
        "pandas",
        "matplotlib",
        "tqdm",
        "PIL",
        "h5py",
        "array_api_strict",
        "dask",
        "distributed",
        "argparse",
        "onnx",
        "skl2onnx",
    }
    assert not {name.partition(".")[0] for name in json.loads(done.stdout)} & heavy


def test_the_extras_never_ask_for_a_source_build_of_cupy_or_for_torch():
    text = (PACKAGE.parent / "pyproject.toml").read_text()
    extras = text.partition("[project.optional-dependencies]")[2].partition("[project.scripts]")[0]
    assert not re.search(r'"(cupy|torch)\b(?!-cuda)', extras)
