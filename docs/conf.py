"""Sphinx configuration; `make docs` builds the pages into docs/_build, and a warning is an error there."""

from pytest_cropdet import __version__

project = "pytest-cropdet"
author = "pytest-cropdet contributors"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.graphviz", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
autodoc_member_order = "bysource"
autodoc_mock_imports = ["keras", "tensorflow"]  # the pages show signatures and docstrings, which need no framework
autodoc_typehints = "description"
graphviz_output_format = "svg"  # drawn when the pages are built, so that a page loads nothing from other hosts
html_theme = "furo"
html_title = "pytest-cropdet"
