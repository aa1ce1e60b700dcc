"""The computation graph of the notes, for any expression.

The names are imported at their first use: `import xlogreg` offers derivatives by slopes, and these need no graph.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xlogreg.graph.variable import Variable, exp, log, maximum, sigmoid

__all__ = ["Variable", "exp", "log", "maximum", "sigmoid"]


def __getattr__(name: str) -> Any:
    """Import the graph when one of its names is asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'xlogreg.graph' has no attribute {name!r}")
    return getattr(importlib.import_module("xlogreg.graph.variable"), name)
