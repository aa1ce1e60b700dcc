"""Sphinx extension: write formulas as MathML, which browsers draw without a script and without a network."""

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert


def mathml(formula: str, display: str) -> str:
    """Convert LaTeX, with the space around log that TeX has, and without the space that browsers leave in |z|."""
    text = convert(formula, display=display)
    text = re.sub(r"<mi>(\w{2,})</mi>", r'<mo lspace="0.17em" rspace="0.17em">\1</mo>', text)
    return re.sub(r"<mo[^>]*>(&#x0007C;|\|)</mo>", r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>', text)


def visit_inline(translator: Any, node: nodes.Element) -> None:
    translator.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def visit_block(translator: Any, node: nodes.Element) -> None:
    translator.body.append(f'<div class="formula">{mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
