"""pytest looks for its ini file before it knows our options, and takes a PATH that stands alone for a test path."""

import os

import pytest


@pytest.fixture
def elsewhere(project, tmp_path_factory, monkeypatch):
    """A project whose data lies in another folder tree, with a limit in its ini file that every detector keeps."""
    folder = project.path / "project"
    folder.mkdir()
    (folder / "conftest.py").write_text("")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(project.path), prepend=os.pathsep)
    return folder


def run(project, *arguments):
    rest = ("--cropdet-model=fakes:make", "--cropdet-crops=random:keep=0.7-0.9,per_image=1")
    return project.pytest("--pyargs", "pytest_cropdet.suite", *rest, *arguments)


def test_an_ini_file_that_was_missed_is_a_usage_error_with_the_mend(project, elsewhere, said):
    ini = elsewhere / "pytest.ini"
    ini.write_text("[pytest]\ncropdet_max_drop = 0.9\n")
    result = run(project, "--cropdet-data", project.data)
    assert result.ret == 4
    assert f"reads no ini file instead of {ini}; write" in said(result)
    assert f"write --cropdet-data={project.data}" in said(result)
    mended = run(project, f"--cropdet-data={project.data}")
    assert mended.ret == 0
    mended.stdout.fnmatch_lines([f"rootdir: {elsewhere}", "configfile: pytest.ini"])
    mended.stdout.no_fnmatch_line("cropdet: *write --cropdet-data=*")


def test_it_is_said_too_when_the_words_come_from_the_environment(project, elsewhere, monkeypatch, said):
    (elsewhere / "pyproject.toml").write_text("[tool.pytest.ini_options]\ncropdet_max_drop = '0.9'\n")
    monkeypatch.setenv("PYTEST_ADDOPTS", f"--cropdet-data {project.data}")
    result = run(project)
    assert result.ret == 4
    assert f"write --cropdet-data={project.data}" in said(result)


def test_without_an_ini_file_a_header_line_says_that_the_rootdir_moved(project, elsewhere):
    result = run(project, "--cropdet-data", project.data, "--cropdet-max-drop=0.9")
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"cropdet: rootdir is * write --cropdet-data={project.data}"])


def test_nothing_is_said_where_nothing_went_wrong(project, elsewhere):
    (elsewhere / "pytest.ini").write_text("[pytest]\ncropdet_max_drop = 0.9\n")
    (elsewhere / "shapes").symlink_to(project.data)
    (elsewhere / "checks").mkdir()
    (elsewhere / "checks" / "test_one.py").write_text("def test_one():\n    pass\n")
    inside = run(project, "--cropdet-data", "shapes")
    with_tests = run(project, "checks", "--cropdet-data", project.data)
    for result in (inside, with_tests):
        assert result.ret == 0
        result.stdout.fnmatch_lines(["configfile: pytest.ini"])
        result.stdout.no_fnmatch_line("cropdet: *write --cropdet-data=*")


def test_what_the_plugin_keeps_stays_with_the_project_on_workers_too(project, elsewhere, workers):
    (project.data.parent / "setup.py").write_text("")  # which draws pytest's rootdir to the data
    (elsewhere / "checks").mkdir()
    (elsewhere / "checks" / "test_crops.py").write_text("from pytest_cropdet.suite import *\n")
    rest = ("--cropdet-model=fakes:make", "--cropdet-crops=random:keep=0.7-0.9,per_image=1", "--cropdet-max-drop=0.9")
    try:
        result = project.pytest("checks", "--cropdet-data", project.data, *rest, workers=workers)
    finally:
        (project.data.parent / "setup.py").unlink()
    assert result.ret == 0
    result.stdout.fnmatch_lines([f"cropdet: rootdir is * write --cropdet-data={project.data}"])
    result.stdout.fnmatch_lines(["report: .cropdet/report/index.html"])
    assert 'class="gallery only-lost"' in (elsewhere / ".cropdet" / "report" / "index.html").read_text()
    assert not [each for each in project.data.parents if (each / ".cropdet").exists()]


def test_the_reports_path_can_be_opened_from_where_pytest_runs(project, elsewhere, monkeypatch):
    (elsewhere / "pytest.ini").write_text("[pytest]\n")
    (elsewhere / "below").mkdir()
    monkeypatch.chdir(elsewhere / "below")
    result = run(project, f"--cropdet-data={project.data}", "--cropdet-explain=off")
    paths = [line.partition("report: ")[2] for line in result.outlines if "report: " in line]
    assert len(paths) == 2  # of the failure, and of the session
    assert all((elsewhere / "below" / path).is_file() for path in paths)
    line = next(line for line in result.outlines if line.startswith("FAILED"))
    assert line.startswith("FAILED drop 0.")  # value and limit stand before an id that leaves no room behind it
    assert "/suite/gate.py::test_map_drop[random]" in line
    assert "> 0.050" in line[:80]
