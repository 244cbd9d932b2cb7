"""What `make release` checks before and after it builds, and which files of a release agree."""

from __future__ import annotations

import importlib.util
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SPEC = importlib.util.spec_from_file_location("release_check", ROOT / ".ci" / "release_check.py")
check = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(check)


@pytest.mark.parametrize(
    ("first", "problem"),
    [
        ("## 1.2.0 (2026-01-31)", ""),
        ("## 1.2.0 (unreleased)", "the section 1.2.0 has no date: write '## 1.2.0 (YYYY-MM-DD)'"),
        ("## 1.2.0", "has no date"),
        ("## 1.1.0 (2026-01-31)", "the newest section is 1.1.0, the package is 1.2.0"),
        ("", "the newest section is none"),
    ],
)
def test_the_changelog_begins_with_the_version_and_its_date(first, problem):
    found = check.changelog_problem(f"# Changelog\n\nWords.\n\n{first}\n\n- A line.\n", "1.2.0")
    assert problem in found
    assert bool(found) is bool(problem)


def test_the_commit_has_the_tag_of_the_version():
    assert check.tag_problem(["nightly", "v1.2.0"], "1.2.0") == ""
    assert "has no tag v1.2.0 (tags: v1.2.1): git tag v1.2.0" in check.tag_problem(["v1.2.1"], "1.2.0")
    assert "(tags: none)" in check.tag_problem([], "1.2.0")


@pytest.mark.subprocess
def test_the_sdist_has_all_that_is_in_the_repository_beside_git_s_own():
    tomllib = pytest.importorskip("tomllib")
    if not (ROOT / ".git").exists():
        pytest.skip("an unpacked sdist has no history")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    top = {each.partition("/")[0] for each in listed if each}
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = {each.strip("/") for each in settings["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]}
    assert top - included == {".gitignore", "pyproject.toml"}  # hatchling adds both


def test_the_citation_states_the_version_of_the_package():
    version = check.version_of(ROOT)
    assert version
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert check.citation_problem(citation, version) == ""
    assert "CITATION.cff: the version is" in check.citation_problem(citation, "99.0.0")


def built(folder, wheel, sdist):
    """Write a wheel and an sdist of version 1.2.0 with files of these names."""
    with zipfile.ZipFile(folder / "pytest_cropdet-1.2.0-py3-none-any.whl", "w") as archive:
        for name in wheel:
            archive.writestr(name, "")
    with tarfile.open(folder / "pytest_cropdet-1.2.0.tar.gz", "w:gz") as archive:
        for name in sdist:
            archive.addfile(tarfile.TarInfo(f"pytest_cropdet-1.2.0/{name}"))
    return folder


def test_what_was_built_is_whole(tmp_path):
    assert check.built_problems(built(tmp_path, check.IN_THE_WHEEL, check.IN_THE_SDIST), "1.2.0") == []


def test_a_file_that_is_missing_is_named(tmp_path):
    folder = built(tmp_path, check.IN_THE_WHEEL[1:], check.IN_THE_SDIST[1:])
    assert check.built_problems(folder, "1.2.0") == [
        "pytest_cropdet-1.2.0-py3-none-any.whl has no pytest_cropdet/py.typed",
        "pytest_cropdet-1.2.0.tar.gz has no conftest.py",
    ]
    assert len(check.built_problems(folder, "1.3.0")) == 2


def test_the_files_that_a_release_needs_are_in_the_checkout():
    assert not [each for each in (*check.IN_THE_WHEEL, *check.IN_THE_SDIST) if not (ROOT / each).is_file()]
