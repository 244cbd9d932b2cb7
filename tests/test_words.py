"""Plain words: pages and messages leave out words that a reader who learned English later reads twice."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = sorted((ROOT / "pytest_cropdet").rglob("*.py"))
TEMPLATES = sorted((ROOT / "pytest_cropdet").rglob("*.html"))
BANNED = re.compile(
    r"\b(tells?|told|telling|mend(?:s|ed|ing)?|ask(?:s|ed|ing)?|stands?|holds?|held|whoever|[Ss]o do(?:es)?|kept)\b",
    re.I,
)
BETTER = "report, fix, run (a detector), is, contains, stored; turn 'so do ...' round"
ALLOWED = {  # sentences that stay, and why
    "cannot tell": "a verdict in the JSON of comparisons, which is never renamed",
    "a sample that stands for its objects": "for developers: a sample without pixels, which no run of a user makes",
    "the kept categories have less than half": "'kept' as in the JSON's key of the categories in a mean",
    "`kept` ids": "a key of the baseline's file",
    "are kept.** New ones": "the rule that public names do not change, for contributors",
    "D8-score-kept": "the name of a test",
    "D9-category-kept": "the name of a test",
    "kept: ": "the key of a check's record",
    "kept it; with": "albumentations returns the box: it does not store it",
}


def prose(page: str) -> str:
    """A page without its code blocks, its code spans and its links' targets."""
    text = re.sub(r"^(```|~~~).*?^\1", "", page, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return re.sub(r"`[^`]*`", "`x`", text)


def messages(source: str) -> list[str]:
    """The texts of a module that are no docstrings; an f-string is one text."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    quiet = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    parts = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    found = []
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            found.append("".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (quiet | parts):
            found.append(node.value)
    return [text for text in found if " " in text or text in ALLOWED]


def banned(text: str) -> list[str]:
    """The banned words of a text with the words around them."""
    for allowed in ALLOWED:
        text = text.replace(allowed, "")
    flat = " ".join(text.split())
    return [flat[max(0, each.start() - 40) : each.end() + 40] for each in BANNED.finditer(flat)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_are_in_plain_words(page):
    assert not banned(prose(page.read_text(encoding="utf-8"))), BETTER


def test_messages_are_in_plain_words():
    texts = {path: messages(path.read_text(encoding="utf-8")) for path in MODULES}
    assert sum(map(len, texts.values())) > 1000
    assert not {path.name: found for path, each in texts.items() for text in each if (found := banned(text))}, BETTER


def test_templates_are_in_plain_words():
    texts = {path.name: re.sub(r"\{[{%#].*?[}%#]\}", "", path.read_text(encoding="utf-8")) for path in TEMPLATES}
    assert texts
    assert not {name: found for name, text in texts.items() if (found := banned(text))}, BETTER


def test_every_exception_is_needed():
    everything = [page.read_text(encoding="utf-8") for page in PAGES]
    everything += [text for path in MODULES for text in messages(path.read_text(encoding="utf-8"))]
    assert not [
        each for each in ALLOWED if not any(each in " ".join(text.split()) or each in text for text in everything)
    ]


def test_the_check_sees_what_it_looks_for():
    assert banned("The detector is asked\nagain") == ["The detector is asked again"]
    assert banned(prose("# A\n```text\nit was told\n```\nuse `kept`, [mend](told.md)")) == ["# A use `x`, [mend]"]
    assert messages('"""It holds."""\nx = f"{a} holds {b} boxes"\ny = "told you"\n') == [
        "{} holds {} boxes",
        "told you",
    ]
