"""The house stands as CONTRIBUTING.md draws it: read from the imports, not from the intentions."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "xlogreg"
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
# every module may import those above it, never those below
LAYERS = [
    ["version", "exceptions", "host", "devices", "options", "reports", "threads", "ahead"],
    ["libraries", "stored", "tables"],
    ["backends", "sequential"],
    [
        "placement",
        "losses",
        "plots.display",
        "source",
        "derivatives",
        "drawing",
        "matrices",
        "folders",
        "subsets",
        "workers",
    ],
    ["logistic", "operations"],
    ["terms", "graph"],
    ["scoring", "moves"],
    ["labels", "data", "files", "exports"],
    ["plots.boundaries", "plots.fits", "plots.penalties", "plots.pictures", "plots.predictions"],
    ["plots"],
    ["parts", "streams"],
    ["cluster"],
    ["nonfinite", "sharing", "folds"],
    ["coordinates", "objective", "lazy", "overflow"],
    ["wide", "parameters"],
    ["preconditioners", "progress", "solvers.result"],
    ["kronecker", "picture_files", "existence"],
    ["images"],
    [
        "solvers.gradient_descent",
        "solvers.descent",
        "solvers.newton",
        "solvers.quasi_newton",
        "solvers.simultaneous",
        "solvers",
    ],
    ["certificate", "engine", "spectral"],
    ["model"],
    ["problem"],
    ["inference", "watching"],
    ["solving", "answer"],
    ["judging"],
    ["continuation"],
    ["assembly", "batches"],
    ["plans", "partition", "checkpoints"],
    ["spans"],
    ["fitting"],
    ["many", "intake", "optimum"],
    ["paths", "absent", "resampling"],
    ["left_out"],
    ["selection", "estimators", "grid"],
    ["estimators_cv"],
    [""],
    ["demo", "datasets"],
    ["samples"],
    ["commands", "picture_report"],
    ["picture_commands"],
    ["cli"],
    ["__main__"],
]
LEVEL = {f"xlogreg.{name}".rstrip("."): level for level, names in enumerate(LAYERS) for name in names}
ARRAY_LIBRARIES = ("cupy", "torch", "jax", "array_api_strict", "array_api_compat", "dask")


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


def test_every_module_has_its_place_in_the_house():
    assert set(MODULES) == set(LEVEL)


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module):
    for imported in imports_of(MODULES[module]):
        if imported.partition(".")[0] == "xlogreg":
            allowed = LEVEL[imported] < LEVEL[module] or {module, imported} <= {"xlogreg.solvers", imported}
            same_layer = LEVEL[imported] == LEVEL[module] and "solvers" in module
            assert allowed or same_layer, f"{module} imports {imported}, which is not below it"


def test_there_is_no_circle():
    graph = {name: imports_of(path) & MODULES.keys() for name, path in MODULES.items()}
    order: list[str] = []
    while graph:
        free = [name for name, needs in graph.items() if needs <= set(order)]
        assert free, f"these import each other in a circle: {sorted(graph)}"
        order += free
        for name in free:
            del graph[name]


@pytest.mark.parametrize("module", set(MODULES) - {"xlogreg.libraries"})
def test_only_one_file_names_an_array_library(module):
    assert not {name.partition(".")[0] for name in imports_of(MODULES[module])} & set(ARRAY_LIBRARIES)
    code = ast.parse(MODULES[module].read_text())
    names = {node.id for node in ast.walk(code) if isinstance(node, ast.Name)}
    assert not names & set(ARRAY_LIBRARIES)


@pytest.mark.parametrize("module", ["xlogreg.losses", "xlogreg.logistic", "xlogreg.terms", "xlogreg.moves"])
def test_the_math_names_no_library_and_makes_no_host_value(module):
    tree = ast.parse(MODULES[module].read_text())
    imported = {name.partition(".")[0] for name in imports_of(MODULES[module])}
    assert imported <= {"xlogreg", "math", "typing", "collections"}
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not calls & {"float", "bool", "int", "to_host"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.AugAssign)], "arrays are never written into"


@pytest.mark.parametrize("module", [name for name in MODULES if "solvers" in name] + ["xlogreg.objective"])
def test_objective_and_solvers_speak_the_namespace_of_theta_alone(module):
    assert "numpy" not in imports_of(MODULES[module])


def test_no_file_is_longer_than_a_reader_can_hold():
    lengths = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}
    assert max(lengths.values()) <= 400, lengths


def test_importing_xlogreg_imports_no_extra_and_is_quick():
    program = (
        "import numpy, time, sys, json; before = set(sys.modules); start = time.perf_counter(); import xlogreg; "
        "print(json.dumps([time.perf_counter() - start, sorted(set(sys.modules) - before)]))"
    )
    runs = [
        json.loads(subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout)
        for _ in range(3)
    ]
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
    }
    assert not {name.partition(".")[0] for name in runs[0][1]} & heavy
    assert min(seconds for seconds, _ in runs) < 0.2


def test_the_extras_never_ask_for_a_source_build_of_cupy_or_for_torch():
    text = (PACKAGE.parent / "pyproject.toml").read_text()
    extras = text.partition("[project.optional-dependencies]")[2].partition("[project.scripts]")[0]
    assert not re.search(r'"(cupy|torch)\b(?!-cuda)', extras)
