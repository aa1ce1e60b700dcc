"""Sphinx: `sphinx-build -W --keep-going docs build/docs` executes tutorial and gallery, and writes the pages."""

import re
import sys
from pathlib import Path

import xlogreg

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "extensions"), str(HERE.parent)]  # the latter for benchmarks/, which is not installed

project, author, copyright = "xlogreg", "the xlogreg developers", "the xlogreg developers"
version = release = xlogreg.__version__
extensions = ["myst_nb", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx_gallery.gen_gallery"]
extensions += ["formulas", "speed", "whole"]  # in docs/extensions
exclude_patterns = ["**.ipynb", "gallery"]  # the notebook is the tutorial again; the gallery is made of that folder
templates_path = ["_templates"]
default_role = "py:obj"  # in docstrings `fit` is the name of something, linked where it is a page
nitpicky = True  # a name in single backticks leads somewhere, but for these and for names of other libraries
PLACELESS = ("ax_", "classes", "classes_", "file", "plot", "reason", "Selection.judged")
nitpick_ignore_regex = [("py:obj", r"(sklearn|scipy)\..*"), *(("py:obj", name) for name in PLACELESS)]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
myst_update_mathjax = False
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120  # seconds a cell
nb_merge_streams = True
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "generated/gallery",
    "filename_pattern": r"\.py$",  # all of them are executed
    "run_stale_examples": True,  # also those that did not change: xlogreg may have
    "image_scrapers": ("matplotlib", "graphs"),
    "capture_repr": (),
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1000,  # seconds: an example does not say how long it took
}
autosummary_filename_map = {"xlogreg.bootstrap": "xlogreg.bootstrap-function"}  # beside xlogreg.Bootstrap, where
# the names of files know no capitals
# methods that scikit-learn makes for metadata routing, whose docstrings have its links
REQUESTS = [
    f"set_{name}_request" for name in ("fit", "score", *(f"predict{kind}" for kind in ("", "_proba", "_log_proba")))
]
autodoc_default_options = {"exclude-members": ", ".join([*REQUESTS, "set_decision_function_request"])}
autodoc_typehints = "none"  # the docstrings say more than the types do
numpydoc_show_class_members = False  # the template shows them, with their docstrings
html_theme = "pydata_sphinx_theme"
TOC = {"**": ["page-toc"], "index": []}
html_theme_options = {"show_prev_next": False, "navigation_with_keys": False, "secondary_sidebar_items": TOC}
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_sidebars = {page: [] for page in ("index", "changelog")}  # which have no pages below them
html_title = f"xlogreg {version}"
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is


def link_pages(app, what, name, obj, options, lines):
    """Make a link of each docs/page.md that a docstring names."""
    lines[:] = [re.sub(r"docs/(\w+)\.md", r":doc:`/\1`", line) for line in lines]


def find_public(app, env, node, contnode):
    """Find a name that a docstring of a submodule says without its module."""
    for module in ("xlogreg", "xlogreg.images", "xlogreg.plots") if node.get("refdomain") == "py" else ():
        domain, name = env.domains["py"], f"{module}.{node['reftarget']}"
        found = domain.resolve_xref(env, node["refdoc"], app.builder, "obj", name, node, contnode)
        if found is not None:
            return found
    return None


def setup(app):
    app.connect("autodoc-process-docstring", link_pages)
    app.connect("missing-reference", find_public)
