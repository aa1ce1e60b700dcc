"""What is known of a model, for the terminal: `xlogreg show`, and the table of `xlogreg fit --summary`."""

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from xlogreg.cli.column_report import columns_as_json, lines_of_columns
from xlogreg.inputs.files import printable
from xlogreg.inputs.formula_encoding import FormulaEncoding
from xlogreg.model.file import format_version
from xlogreg.model.model import Model, load
from xlogreg.model.reports import FitInfo, as_json
from xlogreg.version import __version__

__all__ = ["dumped", "formula_of", "lines_of", "show_model", "table_of"]

PENALTY = ("l1", "l2", "standardize", "relax")  # fields of a model that say its penalty
KNOWN = {  # how the gap of a fit is known
    "bound": "which is proved",
    "decrement": "as the curvature of the cost there says",
    "estimate": "as an estimate of the curvature of the cost says",
    "local": "as the curvature there says, unless there is another minimum",
    "separated": "which is 0 for classes that a hyperplane separates",
    "": "as far as is known",
}

MOST_LINES = 200  # of coefficients that are printed


def show_model(arguments: argparse.Namespace) -> None:
    """Print what a model has learned, what it does with each column, and how exact it is."""
    model, level = load(arguments.model), arguments.level
    (_show_as_json if arguments.json else _show_as_text)(arguments.model, model, level)


def _show_as_text(path: Path, model: Model, level: float) -> None:
    table, formula, target = table_of(model, level), formula_of(model), target_of(model)
    print(printable(f"{path}: {model!r}"))
    column = "" if target is None else f" (column {target})"
    print(printable(f"classes: {', '.join(map(str, model.classes.tolist()))}{column}"))
    if formula is not None:
        print(f"formula: {printable(formula)}")
    print(f"penalty: {penalty_of(model)}")
    if lines := lines_of_columns(model):
        print("columns:")
        print("\n".join(f"  {line}" for line in lines))
    print(f"certificate: {certificate_of(model.fit_info)}")
    print(f"versions: model file {format_version(path)}, read by xlogreg {__version__}")
    print(f"\n{table}\n\n{model.fit_info}")


def _show_as_json(path: Path, model: Model, level: float) -> None:
    formula, target = formula_of(model), target_of(model)
    said: dict[str, Any] = {"model": str(path), "classes": model.classes.tolist()}
    said |= {} if formula is None else {"formula": formula}
    said |= {} if target is None else {"target": target}
    said |= {name: getattr(model, name) for name in PENALTY if getattr(model, name) is not None}
    said |= {"penalty_said": penalty_of(model), "certificate": certificate_of(model.fit_info)}
    versions = {"model file": format_version(path), "xlogreg": __version__}
    said |= {"columns": columns_as_json(model), "versions": versions}
    print(dumped(said | {"coefficients": lines_of(model, level), "fit": as_json(model.fit_info)}))


def dumped(said: dict[str, Any]) -> str:
    """Write JSON, in which labels of bytes are text, as in a table of predictions."""
    return json.dumps(said, default=lambda label: label.decode("latin-1"))


def target_of(model: Model) -> str | None:
    """Return the column that held the labels of a model, if it is known."""
    return None if model.encoding is None else model.encoding.target


def penalty_of(model: Model) -> str:
    """Say which penalty a model was fitted with."""
    if model.l2 is None:
        return "not known, since the model is of an earlier version"
    parts = {"l1": model.l1, "l2": model.l2}
    said = ", ".join(f"{name} {value:.4g}" for name, value in parts.items() if value)
    if not said:
        return "none" if model.bias_reduction is None else f"none, but a bias reduction ({model.bias_reduction})"
    if model.standardize:
        scale = model.standardize
        said += " on standardised features" if scale is True else f" on features divided by {scale:g}"
    if model.penalty_factor is not None:  # that of a table measures numbers by their standard deviations
        said += " on standardised numbers" if target_of(model) is not None else ", with a factor for each feature"
    return said + ("" if model.relax is None else f"; fitted again with l2 {model.relax:.4g}")


def certificate_of(info: FitInfo) -> str:
    """Say in a sentence how exact a fit is, and how that is known."""
    if info.separation in ("complete", "quasi-complete") and not info.converged:
        said = "a hyperplane of the features separates the classes: without a penalty the weights would grow for ever"
        return f"none; {said}"
    if math.isnan(info.gap):
        return f"none; the fit ended by {info.reason!r}, and how far its cost is from the lowest one is not known"
    how = KNOWN[info.gap_known]
    exact = f"the cost of this model is at most about {info.gap:.1g} above the lowest that any weights have, {how}"
    if not math.isfinite(info.parameter_error):
        return exact
    return f"{exact}; so its weights are about {info.parameter_error:.1g} standard errors from the best ones"


def formula_of(model: Model) -> str | None:
    """Return the formula of a model, if it was fitted by one."""
    return model.encoding.formula if isinstance(model.encoding, FormulaEncoding) else None


def table_of(model: Model, level: float) -> str:
    """Return the summary as text; of very many coefficients only the largest, in a list."""
    summary = model.summary(level=level)
    if len(summary.table) <= MOST_LINES:
        return str(summary)
    largest = np.argsort(-np.abs(summary.table["coefficient"]), kind="stable")[:MOST_LINES]
    lines = []
    for line in summary.table[largest].tolist():
        fields = dict(zip(summary.table.dtype.names or (), line, strict=True))
        name = f"{fields['name']}[{fields['class']}]" if "class" in fields else fields["name"]
        lines.append(f"{fields['coefficient']:12.5g}  {printable(name)}")
    return "\n".join([*lines, f"{len(summary.table) - MOST_LINES} smaller coefficients are not shown; --json has all"])


def lines_of(model: Model, level: float) -> list[dict[str, Any]]:
    """Return the lines of the summary for JSON; numbers that are not finite become null."""
    table = model.summary(level=level).table
    lines = (dict(zip(table.dtype.names or (), line, strict=True)) for line in table.tolist())
    return [
        {name: None if isinstance(part, float) and not math.isfinite(part) else part for name, part in line.items()}
        for line in lines
    ]
