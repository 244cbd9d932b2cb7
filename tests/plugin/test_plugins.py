"""The example of a plug-in, installed as a user installs it and then used by its names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder into which pip installed the example, without a network."""
    pytest.importorskip("setuptools", reason="the example is built with setuptools")
    pytest.importorskip("pip")
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(EXAMPLE, folder / "source")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    command += ["--disable-pip-version-check", "--target", str(folder / "site"), str(folder / "source")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture
def gate(pytester, installed, monkeypatch):
    path = os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", path)
    for name in ("CI", "BUILD_NUMBER", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments):
        return pytester.runpytest_subprocess(
            "--pyargs", "pytest_cropdet.suite", "--cropdet-crops=random:keep=0.9,per_image=1", *arguments
        )

    return run


@pytest.mark.subprocess
def test_the_example_is_installed_and_its_detector_and_data_are_found_by_name(gate, pytester):
    result = gate(
        "--cropdet-model=squares", "--cropdet-data=squares", "--cropdet-json=out.json", "--cropdet-min-images=1"
    )
    (found,) = json.loads((pytester.path / "out.json").read_text())["gates"]
    assert (found["detector"]["name"], found["dataset"], found["images"]) == ("squares", "squares", 7)
    assert found["pairing"]["by"] == "name"
    assert found["ap"]["reference"] == pytest.approx(1.0)
    assert result.ret in (0, 1)


@pytest.mark.subprocess
def test_an_ini_file_names_plug_ins_too_and_a_name_that_no_package_has_is_refused(gate, pytester):
    pytester.makeini("[pytest]\ncropdet_model = squares\ncropdet_data =\n    squares\n")
    assert "7 crops of 7 images" in gate("--cropdet-dry-run").stdout.str()
    result = gate("--cropdet-data=circles")
    assert result.ret == 4
    assert "circles: no such file or folder" in result.stderr.str()
