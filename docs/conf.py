"""Sphinx configuration: `sphinx-build -W docs docs/_build`."""

from pytest_cropdet import __version__

project = "pytest-cropdet"
author = "pytest-cropdet contributors"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
html_theme = "furo"
html_title = "pytest-cropdet"
