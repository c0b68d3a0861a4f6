"""Sphinx: pages in Markdown, the API from the docstrings, pictures drawn at each build."""

import importlib.metadata
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import figures  # noqa: E402

project = "fastgmm"
author = copyright = "the fastgmm developers"
release = version = importlib.metadata.version("fastgmm")

extensions = [
    "mathml",
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
]
myst_enable_extensions = ["amsmath", "deflist", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
autodoc_typehints = "none"  # the docstrings have the types in words
default_role = "autolink"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"fastgmm {release}"
html_static_path = []


def draw_figures(app):
    """Draw every picture of the pages from the library, so that none is out of date."""
    figures.draw_all(HERE / "_build" / "figures")


def setup(app):
    """Tell Sphinx when to draw."""
    app.connect("builder-inited", draw_figures)
