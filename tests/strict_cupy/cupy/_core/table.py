"""The names and signatures of CuPy 14.2."""

import json
from pathlib import Path

__all__ = ["TABLE"]

TABLE = json.loads((Path(__file__).parents[1] / "signatures.json").read_text())
