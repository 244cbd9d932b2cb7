"""docs/ci.md shows the files themselves, each of them, and its headings are where it says that they are."""

from __future__ import annotations

import re

from tests.examples.conftest import CI, ROOT

PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")


def test_every_file_is_on_the_page_and_none_is_a_copy():
    shown = re.findall(r"^```\{literalinclude\} \.\./examples/ci/(\S+)$", PAGE, re.MULTILINE)
    assert sorted(shown) == sorted(path.name for path in CI.iterdir() if path.is_file())
    assert re.findall(r"^```(?!\{literalinclude\})(\w+)", PAGE, re.MULTILINE) == ["console", "console"]


def test_the_table_names_parts_of_the_workflow():
    workflow = (CI / "github-actions.yml").read_text(encoding="utf-8")
    parts = re.findall(r"^\| ([^|]+) \| ", PAGE, re.MULTILINE)[1:]
    assert parts == ["Restore, Save detections", "Crop gate", "Keep the report", "`update-baseline`"]
    names = ("Restore detections", "Save detections", *parts[1:3])
    assert all(f"- name: {name}\n" in workflow for name in names)
    assert "\n  update-baseline:\n" in workflow
