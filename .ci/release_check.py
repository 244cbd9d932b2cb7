"""Checks before and after a release is built: `make release` runs them.

`release_check.py source`: version, tag and changelog agree. `release_check.py built dist`: wheel and sdist are whole.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IN_THE_WHEEL = ("pytest_cropdet/py.typed", "pytest_cropdet/report/schema.json", "pytest_cropdet/suite/__init__.py")
IN_THE_SDIST = (
    "conftest.py",
    "pyproject.toml",
    "tests/conftest.py",
    "fixtures/models/labels.txt",
    "benchmarks/evaluation.py",
    "docs/index.md",
    "examples/demo.py",
    "Makefile",
    "CHANGELOG.md",
    "LICENSE",
)


def version_of(root: Path) -> str:
    """Return the version that the package states."""
    text = (root / "pytest_cropdet" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return found[1] if found else ""


def changelog_problem(changelog: str, version: str) -> str:
    """Return what is wrong with the changelog for a version, or nothing."""
    found = re.search(r"^## (\S+)[ \t]*(.*)$", changelog, re.MULTILINE)
    newest, date = (found[1], found[2]) if found else ("none", "")
    if newest != version:
        return (
            f"CHANGELOG.md: the newest section is {newest}, the package is {version}: add '## {version} (YYYY-MM-DD)'"
        )
    if not re.fullmatch(r"\(\d{4}-\d\d-\d\d\)", date):
        return f"CHANGELOG.md: the section {version} has no date: write '## {version} (YYYY-MM-DD)'"
    return ""


def citation_problem(citation: str, version: str) -> str:
    """Return what is wrong with CITATION.cff for a version, or nothing."""
    found = re.search(r"^version: (\S+)$", citation, re.MULTILINE)
    stated = found[1] if found else "none"
    return "" if stated == version else f"CITATION.cff: the version is {stated}, the package is {version}: change it"


def tag_problem(tags: list[str], version: str) -> str:
    """Return what is wrong with the tags of the commit, or nothing."""
    if f"v{version}" in tags:
        return ""
    return f"this commit has no tag v{version} (tags: {', '.join(tags) or 'none'}): git tag v{version}"


def missing(names: list[str], wanted: tuple[str, ...]) -> list[str]:
    """Return the files that a list of names lacks."""
    return [each for each in wanted if each not in names]


def source_problems(root: Path) -> list[str]:
    """Return why no release can be built from a checkout."""
    version = version_of(root)
    command = ["git", "-C", str(root), "tag", "--points-at", "HEAD"]
    tags = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    found = (
        changelog_problem((root / "CHANGELOG.md").read_text(encoding="utf-8"), version),
        citation_problem((root / "CITATION.cff").read_text(encoding="utf-8"), version),
        tag_problem(tags, version),
    )
    return [each for each in found if each]


def built_problems(folder: Path, version: str) -> list[str]:
    """Return what the wheel and the sdist in a folder lack."""
    wheel = folder / f"pytest_cropdet-{version}-py3-none-any.whl"
    sdist = folder / f"pytest_cropdet-{version}.tar.gz"
    problems = [f"{file} was not built" for file in (wheel, sdist) if not file.is_file()]
    if wheel.is_file():
        with zipfile.ZipFile(wheel) as archive:
            problems += [f"{wheel.name} has no {each}" for each in missing(archive.namelist(), IN_THE_WHEEL)]
    if sdist.is_file():
        with tarfile.open(sdist) as archive:
            names = [name.partition("/")[2] for name in archive.getnames()]
        problems += [f"{sdist.name} has no {each}" for each in missing(names, IN_THE_SDIST)]
    return problems


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["source"]:
        problems = source_problems(ROOT)
    else:
        problems = built_problems(Path(arguments[1]), version_of(ROOT))
    for each in problems:
        print(f"cropdet: {each}", file=sys.stderr)  # noqa: T201
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
