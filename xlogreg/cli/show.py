"""What is known of a model, for the terminal: `xlogreg show`, and the table of `xlogreg fit --summary`."""

import argparse
import json
import math
from typing import Any

import numpy as np

from xlogreg.inputs.files import printable
from xlogreg.inputs.formula_encoding import FormulaEncoding
from xlogreg.model.model import Model, load
from xlogreg.model.reports import as_json

__all__ = ["formula_of", "lines_of", "show_model", "table_of"]

MOST_LINES = 200  # of coefficients that are printed


def show_model(arguments: argparse.Namespace) -> None:
    """Print coefficients with their names, errors and tests where there are any, and what the fit says of itself."""
    model, level = load(arguments.model), arguments.level
    formula = formula_of(model)
    if arguments.json:
        said: dict[str, Any] = {"model": str(arguments.model), "classes": model.classes.tolist()}
        said |= {} if formula is None else {"formula": formula}
        said |= {name: getattr(model, name) for name in ("l1", "l2") if getattr(model, name) is not None}
        print(json.dumps(said | {"coefficients": lines_of(model, level), "fit": as_json(model.fit_info)}))
        return
    table = table_of(model, level)
    print(printable(f"{arguments.model}: {model!r}"))
    if formula is not None:
        print(f"formula: {printable(formula)}")
    print(f"\n{table}\n\n{model.fit_info}")


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
