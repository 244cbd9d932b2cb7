"""What `make quick` selects imports no TensorFlow and starts no process; a test that does is told which mark to set."""

import shutil
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
TESTS = """
import importlib.util
import os
import subprocess
import sys
import pytest

def test_plain():
    assert importlib.util.find_spec("tensorflow")
    assert not {"tensorflow", "keras"} & set(sys.modules)

@pytest.fixture
def started():
    subprocess.run([sys.executable, "-c", ""], check=True)

@pytest.fixture
def needs_tensorflow():
    pass

@pytest.fixture
def net(needs_tensorflow):
    return importlib.import_module("tensorflow")

def test_imports():
    try:
        import tensorflow.lite
    except Exception:
        pass

def test_imports_if_there_is_one():
    pytest.importorskip("tensorflow")

def test_imports_by_another_name():
    import keras

def test_starts():
    subprocess.Popen([sys.executable, "-c", ""])

def test_starts_when_it_is_set_up(started):
    pass

def test_forks():
    if os.fork() == 0:
        os._exit(0)

def test_starts_by_a_shell():
    os.system("true")

@pytest.mark.tensorflow
def test_marked_tensorflow():
    import tensorflow

@pytest.mark.subprocess
def test_marked_subprocess(started):
    pass

@pytest.mark.slow
def test_marked_slow():
    pass

def test_with_a_fixture_that_needs_it(net):
    pass
"""
WHOLE = 'import pytest\ntf = pytest.importorskip("tensorflow")\ndef test_whole():\n    assert tf\n'
INI = """
[pytest]
markers =
    tensorflow: one
    subprocess: two
    slow: three
"""


@pytest.fixture
def folder(pytester):
    """A folder with the conftest of this project, and a TensorFlow and a keras that cost nothing."""
    shutil.copy(CONFTEST, pytester.path)
    for name in ("tensorflow", "keras"):
        (pytester.path / name).mkdir()
        (pytester.path / name / "__init__.py").write_text("")
    (pytester.path / "tensorflow" / "lite.py").write_text("")
    (pytester.path / "pytest.ini").write_text(INI)
    pytester.makepyfile(test_one=TESTS, test_two=WHOLE)
    return pytester


OPTIONS = ("-p", "no:cacheprovider", "-p", "no:cropdet", "--strict-markers")


@pytest.mark.subprocess
def test_what_is_marked_does_not_run_and_what_should_be_is_told_its_mark(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")  # a narrow terminal cuts what a failure says
    result = folder.runpytest_subprocess(*OPTIONS, "--quick")
    result.assert_outcomes(passed=1, failed=6, errors=1, deselected=4)
    said = {line for line in result.outlines if line.startswith(("FAILED", "ERROR"))}
    importing = {
        "test_imports": "tensorflow",
        "test_imports_if_there_is_one": "tensorflow",
        "test_imports_by_another_name": "keras",
    }
    starting = ("test_starts", "test_forks", "test_starts_by_a_shell")
    imports = "with --quick no test imports {}: mark this one with @pytest.mark.tensorflow"
    starts = "with --quick no test starts a process: mark this one with @pytest.mark.subprocess"
    assert said == {
        *(f"FAILED test_one.py::{test} - Failed: {imports.format(what)}" for test, what in importing.items()),
        *(f"FAILED test_one.py::{test} - Failed: {starts}" for test in starting),
        f"ERROR test_one.py::test_starts_when_it_is_set_up - Failed: {starts}",
    }


@pytest.mark.subprocess
def test_without_the_option_everything_runs(folder):
    folder.runpytest_subprocess(*OPTIONS).assert_outcomes(passed=12, failed=1)  # TensorFlow is there now
