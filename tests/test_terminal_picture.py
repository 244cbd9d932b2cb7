"""The recording of `make demo`: what README shows as text, without anything of the machine."""

from __future__ import annotations

import re
from html import unescape

from tests.test_reference_pages import DOCS, script

PICTURE = DOCS / "images" / "terminal.svg"
OUTPUT = """$ pytest --pyargs pytest_cropdet.suite -c examples/demo.ini
============ test session starts ============
platform linux -- Python 3.11.7
rootdir: /somewhere
collected 2 items

pytest_cropdet/suite/gate.py F.     [100%]
FAIL drop 0.121 > 0.050 <&>
=========== short test summary info =========
FAILED a
==== 1 failed, 1 passed in 13.24s ====

cropdet demo: the plain detector: fail
"""


def shown() -> list[str]:
    """The lines in the picture."""
    return [unescape(each) for each in re.findall(r"<text[^>]*>(.*?)</text>", PICTURE.read_text(encoding="utf-8"))]


def test_the_picture_is_that_of_its_lines():
    assert script("make_terminal_picture").svg(shown()) == PICTURE.read_text(encoding="utf-8")


def test_the_picture_shows_what_readme_says_of_the_demo():
    block = re.search(
        r"```text\n(FAIL drop .*?)```", (DOCS.parent / "README.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert block is not None
    words = " ".join("\n".join(shown()).split())
    assert " ".join(block[1].split()) in words


def test_nothing_of_machine_or_time_is_shown_and_both_verdicts_are():
    lines = script("make_terminal_picture").lines_of(OUTPUT)
    assert lines == [
        "$ make demo",
        "",
        "pytest_cropdet/suite/gate.py F.     [100%]",
        "FAIL drop 0.121 > 0.050 <&>",
        "",
        "cropdet demo: the plain detector: fail",
    ]
    text = "\n".join(shown())
    assert re.search(r"^FAIL +plain-random", text, re.MULTILINE)
    assert re.search(r"^PASS +crops-random", text, re.MULTILINE)
    assert "&lt;&amp;&gt;" in script("make_terminal_picture").svg(lines)


def test_the_picture_needs_no_other_file():
    text = PICTURE.read_text(encoding="utf-8")
    assert re.findall(r"https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"]
    assert "<script" not in text
    assert "prefers-reduced-motion" in text
