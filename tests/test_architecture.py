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
    [
        "version",
        "exceptions",
        "arrays.host",
        "arrays.devices",
        "inputs.options",
        "model.reports",
        "samples.threads",
        "samples.ahead",
    ],
    ["arrays.library", "arrays.stored", "inputs.tables"],
    ["arrays.place", "samples.files.sequential"],
    [
        "arrays.choice",
        "math.losses",
        "plots.display",
        "samples.source",
        "graph.slopes",
        "graph.drawing",
        "inputs.matrices",
        "samples.files.folder",
        "samples.subsets",
        "samples.cluster.tasks",
    ],
    ["math.logistic", "graph.operations"],
    ["math.sums", "graph.variable"],
    ["math.scores", "math.moves"],
    ["inputs.labels", "samples.memory", "model.file", "model.to_sklearn"],
    ["plots.boundaries", "plots.fits", "plots.penalties", "plots.pictures", "plots.predictions"],
    ["plots"],
    ["samples.cluster.worker", "samples.files.factory"],
    ["samples.cluster.distributed"],
    ["samples.nonfinite", "samples.cluster.from_dask", "samples.folds"],
    ["solvers.coordinates", "solvers.objective", "model.on_cluster", "model.overflow"],
    ["solvers.span", "solvers.parameters"],
    ["solvers.preconditioners", "fitting.progress", "solvers.result"],
    ["solvers.kronecker", "images.files", "solvers.existence"],
    ["images.pictures"],
    [
        "solvers.gradient_descent",
        "solvers.descent",
        "solvers.newton",
        "solvers.quasi_newton",
        "solvers.simultaneous",
        "solvers",
    ],
    ["solvers.certificate", "solvers.sampled_newton", "solvers.spectral_lbfgs"],
    ["model.model"],
    ["fitting.problem"],
    ["inference.covariance", "fitting.watching"],
    ["fitting.solving", "fitting.answer"],
    ["fitting.outcome"],
    ["solvers.penalty_path"],
    ["samples.intake", "fitting.together"],
    ["fitting.plans", "fitting.partition", "fitting.checkpoint"],
    ["fitting.spans"],
    ["fitting.fit"],
    ["fitting.fit_many", "sklearn.checks", "sklearn.optimum"],
    ["fitting.fit_path", "fitting.absent", "fitting.bootstrap"],
    ["fitting.held_out"],
    ["fitting.fit_cv", "sklearn.logistic", "sklearn.grid"],
    ["sklearn.logistic_cv"],
    [""],
    ["cli.demo", "cli.table_files"],
    ["cli.data"],
    ["cli.tables", "cli.picture_report"],
    ["cli.pictures"],
    ["cli.parser"],
    ["__main__"],
]
WINGS = {
    f"xlogreg.{name}" for name in ("arrays", "math", "inputs", "graph", "samples", "samples.files", "samples.cluster")
} | {f"xlogreg.{name}" for name in ("inference", "images", "model", "fitting", "sklearn", "cli")}
LEVEL = {f"xlogreg.{name}".rstrip("."): level for level, names in enumerate(LAYERS) for name in names}
SOLVERS = ("gradient_descent", "descent", "newton", "quasi_newton", "simultaneous", "result")
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
    assert set(MODULES) - WINGS == set(LEVEL)


@pytest.mark.parametrize("module", set(MODULES) - WINGS)
def test_imports_run_one_way(module):
    for imported in imports_of(MODULES[module]):
        if imported.partition(".")[0] == "xlogreg" and imported not in WINGS:
            allowed = LEVEL[imported] < LEVEL[module] or {module, imported} <= {"xlogreg.solvers", imported}
            same_layer = LEVEL[imported] == LEVEL[module] and module.rpartition(".")[2] in SOLVERS
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


@pytest.mark.parametrize("module", set(MODULES) - {"xlogreg.arrays.library"})
def test_only_one_file_names_an_array_library(module):
    assert not {name.partition(".")[0] for name in imports_of(MODULES[module])} & set(ARRAY_LIBRARIES)
    code = ast.parse(MODULES[module].read_text())
    names = {node.id for node in ast.walk(code) if isinstance(node, ast.Name)}
    assert not names & set(ARRAY_LIBRARIES)


@pytest.mark.parametrize(
    "module", ["xlogreg.math.losses", "xlogreg.math.logistic", "xlogreg.math.sums", "xlogreg.math.moves"]
)
def test_the_math_names_no_library_and_makes_no_host_value(module):
    tree = ast.parse(MODULES[module].read_text())
    imported = {name.partition(".")[0] for name in imports_of(MODULES[module])}
    assert imported <= {"xlogreg", "math", "typing", "collections"}
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not calls & {"float", "bool", "int", "to_host"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.AugAssign)], "arrays are never written into"


@pytest.mark.parametrize(
    "module", ["xlogreg.solvers.objective", *(name for name in MODULES if name.rpartition(".")[2] in SOLVERS)]
)
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
