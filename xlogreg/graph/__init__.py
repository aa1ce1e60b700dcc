"""A computation graph: derivatives of any expression by the chain rule, backwards (notes 1.7 to 1.9).

An expression of variables is a graph: J = 3(a + bc) is made of u = bc, v = a + u and J = 3v. The forward pass computes
the values, from the inputs to the output, while the expression is written. The backward pass goes from J back to the
inputs: dJ/dv = 3, dJ/du = dJ/dv dv/du = 3, dJ/db = dJ/du du/db = 3c. Each of its steps needs the derivative of one
operation only: `xlogreg.graph.operations` is a table of them. As in the notes, the derivative of the output with
respect to ``var`` is called ``dvar``.

No fit uses this module: for logistic regression, `xlogreg.gradients` has the result, written out by hand.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xlogreg.graph.variable import Variable, exp, log, maximum, sigmoid

__all__ = ["Variable", "exp", "log", "maximum", "sigmoid"]


def __getattr__(name: str) -> Any:
    """Import the graph when one of its names is asked for: `import xlogreg` needs `xlogreg.graph.slopes` alone."""
    if name not in __all__:
        raise AttributeError(f"module 'xlogreg.graph' has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module("xlogreg.graph.variable"), name)
    return found


def __dir__() -> list[str]:
    """List the names that `__getattr__` imports, too."""
    return sorted({*globals(), *__all__})
