"""The command line that benchmarks of scikit-learn beside ours share: chosen cases, a line each, and a file."""

import argparse
import json
import os
import platform
import warnings
from collections.abc import Callable, Iterable

import numpy as np
import sklearn

import xlogreg
from benchmarks.bars import Bar, show

__all__ = ["report"]


def report(
    description: str | None,
    names: Iterable[str],
    measure: Callable[[str], dict[str, object]],
    bars: Iterable[Bar] = (),
) -> None:
    """Run the cases asked for, print them and their bars, and write the results."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="*", default=[""], help="parts of the names of cases")
    parser.add_argument("--json", help="write the results there")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    found = []
    for name in (name for name in names if any(part in name for part in arguments.case)):
        found.append(measure(name))
        print(", ".join(f"{key} {x:.3g}" if isinstance(x, float) else f"{key} {x}" for key, x in found[-1].items()))
    show(bars, {"cases": found})
    if arguments.json:
        versions = {"xlogreg": xlogreg.__version__, "numpy": np.__version__, "scikit-learn": sklearn.__version__}
        machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
        machine["threads"] = os.environ.get("OPENBLAS_NUM_THREADS", "all")
        with open(arguments.json, "w") as file:
            json.dump({"versions": versions, **machine, "cases": found}, file, indent=1)
