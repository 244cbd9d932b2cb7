"""What the pages say of the code: the files that they name, and the paths that they import from."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.test_architecture import FILES, interface, own_imports, room

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MEANT_OTHERWISE = ("__init__.py", "docs/_build/", "utils.py")  # of any room; made; that there must not be
GUIDES = ["CONTRIBUTING.md", "docs/architecture.md", "docs/style.md"]


def named_files(text: str) -> list[str]:
    """The files and folders that a page names: in backticks, or in a drawing as ``<b>room</b>/a.py, b/``."""
    drawn = re.findall(r"<b>([a-z_]+)</b>/([^>]+)>", text)
    named = [f"{room}/{file.strip()}" for room, files in drawn for file in files.split(",")]
    quoted = re.findall(r"`([\w./-]+)`", text)
    files = [each for each in quoted if each.endswith((".py", ".md", ".json", "/"))]
    return [*named, *(each for each in files if each not in MEANT_OTHERWISE)]


def is_there(name: str) -> bool:
    """Whether the repository or the package has a file or folder."""
    return any((folder / name).exists() for folder in (ROOT, ROOT / "pytest_cropdet"))


def deep_imports(text: str) -> list[str]:
    """The modules that a page's Python blocks import past a room's door, and that the door does not name as public."""
    blocks = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    modules = [module for block in blocks for _, module, _ in own_imports(ast.parse(block))]
    return [
        module
        for module in modules
        if f"{room(module)}/__init__.py" in FILES and module.partition(".")[2] not in {"", *interface(room(module))[1]}
    ]


@pytest.mark.parametrize("page", GUIDES)
def test_every_file_that_a_guide_names_is_there(page):
    names = named_files((ROOT / page).read_text(encoding="utf-8"))
    assert names
    assert not [name for name in names if not is_there(name)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_pages_import_by_a_rooms_door(page):
    assert not deep_imports(page.read_text(encoding="utf-8"))


def test_every_page_is_in_the_table_of_contents():
    listed = (ROOT / "docs" / "index.md").read_text(encoding="utf-8").splitlines()
    pages = {page.stem for page in PAGES[1:]} - {"index"}
    assert pages <= {*listed}
    assert not pages & {"genindex", "modindex", "search"}, "Sphinx writes a page of its own over it"


def test_the_checks_see_what_they_look_for():
    block = "```python\nfrom pytest_cropdet.gate.runner import run\n```\n"
    text = f"`gate/none.py`, `settings.py` [label=<<b>data</b>/coco.py, no/>]\n{block}"
    assert named_files(text) == ["data/coco.py", "data/no/", "gate/none.py", "settings.py"]
    assert [is_there(name) for name in named_files(text)] == [True, False, False, True]
    assert deep_imports(text) == ["gate.runner"]
