"""The generated reference pages: every option and every error of the code is in them."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

import pytest_cropdet
from pytest_cropdet import errors
from pytest_cropdet.errors import CropdetError
from pytest_cropdet.invariants import remap_errors
from pytest_cropdet.plugin.options import NOT_FOR_MARKERS, OPTIONS

DOCS = Path(__file__).resolve().parents[1] / "docs"


def script(name: str) -> ModuleType:
    """A script of docs/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["options", "errors"])
def test_a_page_is_up_to_date(name):
    page = script(f"make_{name}").page()
    assert (DOCS / f"{name}.md").read_text(encoding="utf-8") == page, f"run `python docs/make_{name}.py`"


def test_every_option_has_its_three_places():
    page = (DOCS / "options.md").read_text(encoding="utf-8")
    blocks = dict(part.split("`\n", 1) for part in page.split("\n### `")[1:])
    assert [*blocks] == [each.flag for each in OPTIONS]
    for each in OPTIONS:
        block = blocks[each.flag]
        assert f"command line  {each.flag}" in block
        assert f"ini file      cropdet_{each.name} = " in block
        assert (f"@pytest.mark.cropdet({each.name}=" in block) == (each.name not in NOT_FOR_MARKERS)
        assert "default: " in block


def test_every_class_of_errors_has_its_row():
    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    of_remaps = {name for name in remap_errors.__all__ if issubclass(getattr(remap_errors, name), CropdetError)}
    of_all = {name for name in errors.__all__ if issubclass(getattr(errors, name), CropdetError)}
    assert {"DataError", "SwappedAxes"} <= of_all | of_remaps
    assert not [name for name in of_all | of_remaps if f"| `{name}` | " not in page]


def test_an_error_of_a_module_without_a_topic_is_refused():
    made = script("make_errors")
    with pytest.raises(LookupError, match="give it a topic"):
        made.topic("new_room/thing.py")


def test_texts_are_found_with_a_mark_for_what_differs(tmp_path):
    made = script("make_errors")
    (tmp_path / "errors.py").write_text("class CropdetError(Exception): pass\nclass Mine(CropdetError): pass\n")
    (tmp_path / "use.py").write_text('raise Mine(f"{a}{b} is no box" + f": {c}")\nraise Other("not of ours")\n')
    trees = made.trees_of(tmp_path)
    assert [*made.texts(trees, made.families(trees))] == [("use.py", "Mine", "… is no box: …")]


def test_the_glossary_is_sorted_and_every_link_to_it_names_a_term():
    terms = re.findall(r"^## (.+)$", (DOCS / "glossary.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    anchors = {term.lower().replace(",", "").replace(" ", "-") for term in terms}
    assert terms == sorted(terms, key=str.lower)
    texts = {page.name: page.read_text(encoding="utf-8") for page in DOCS.glob("*.md")}
    used = {name: re.findall(r"\]\(glossary\.md#([\w-]+)\)", text) for name, text in texts.items()}
    used["glossary.md"] = re.findall(r"\]\(#([\w-]+)\)", texts["glossary.md"])
    assert sum(map(len, used.values())) > 8
    assert not {name: set(found) - anchors for name, found in used.items() if set(found) - anchors}


def test_the_reference_has_every_public_name():
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\.\. auto\w+:: pytest_cropdet\.(\w+)(?:\(|$)", page, flags=re.MULTILINE))
    by_module = {  # those that a module's members bring along
        name
        for module in re.findall(r"^\.\. automodule:: ([\w.]+)$", page, flags=re.MULTILINE)
        for name in vars(importlib.import_module(module))
    }
    assert len(documented) > 30
    assert not set(pytest_cropdet.__all__) - documented - by_module
