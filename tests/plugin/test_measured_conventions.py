"""A gate that cannot start because a convention is open says which values fit the data that is at hand."""

import json

import pytest

from pytest_cropdet import load_dataset, load_detector
from pytest_cropdet.detectors import OpenConventionsError
from pytest_cropdet.inference import Cache
from pytest_cropdet.plugin import measured_conventions
from pytest_cropdet.plugin.measured_conventions import measure_open
from tests import painted_model
from tests.painted_model import RIGHT


@pytest.fixture
def painted(project, monkeypatch):
    painted_model.register(monkeypatch)
    data = painted_model.write_pictures(project.path / "shapes")
    spec = painted_model.write_model(project.path / "net.json")

    def gate(*arguments, data=data):
        named = [f"--cropdet-model={spec}", f"--cropdet-data={data}", "--cropdet-json=out.json"]
        return project.pytest("--pyargs", "pytest_cropdet.suite", "--cropdet-crops=tile", *named, *arguments)

    return gate


def test_the_error_has_the_table_and_the_lines_to_set(painted, said, without_tracebacks):
    result = painted("--cropdet-detector=boxes=yxyx", "--cropdet-detector=units=normalized")
    text = said(result)
    assert result.ret == 1
    assert without_tracebacks(result)
    assert "the file does not say range; set --cropdet-detector range=0..255|0..1|-1..1" in text
    assert "Measured on 24 images with 72 annotated objects:" in text
    assert "0..1 72 of 72 objects matched, mean score 0.87 <- best" in text
    assert "Set: --cropdet-detector=range=0..1 --cropdet-detector=first_category=0 " in text
    assert "pytest-cropdet inspect" not in text


def test_one_worker_measures_for_all(tmp_path, monkeypatch):
    painted_model.register(monkeypatch)
    dataset = load_dataset(painted_model.write_pictures(tmp_path / "shapes"))
    spec = painted_model.write_model(tmp_path / "net.json")
    with pytest.raises(OpenConventionsError) as caught:
        load_detector(spec).load()
    monkeypatch.setenv("PYTEST_XDIST_TESTRUNUID", "one run")
    first = measure_open(spec, {}, caught.value, dataset, Cache(tmp_path / "kept"))
    monkeypatch.setattr(measured_conventions, "examine", None)
    second = measure_open(spec, {}, caught.value, dataset, Cache(tmp_path / "kept"))
    assert "Measured on 24 images" in str(first)
    assert str(second) == str(first)
    monkeypatch.setenv("PYTEST_XDIST_TESTRUNUID", "another run")
    assert str(measure_open(spec, {}, caught.value, dataset, Cache(tmp_path / "kept"))) == str(caught.value)


def test_with_the_lines_set_the_gate_runs(painted, project):
    result = painted(*[f"--cropdet-detector={key}={value}" for key, value in RIGHT.items()])
    assert "Also open:" not in result.stdout.str()
    assert json.loads((project.path / "out.json").read_text())["gates"]


def test_data_that_cannot_be_opened_leaves_the_plain_error(painted, project, said):
    (project.path / "broken.json").write_text("{")
    text = said(painted(data=project.path / "broken.json"))
    assert "Also open:" in text
    assert "Measured on" not in text
    assert "To measure which values are right: pytest-cropdet inspect MODEL --data=ANNOTATED_DATA" in text


def test_images_without_objects_leave_the_plain_error(painted, project, said):
    arguments = [f"--cropdet-model=painted:{project.path / 'net.json'}", f"--cropdet-images={project.path / 'shapes'}"]
    text = said(project.pytest("--pyargs", "pytest_cropdet.suite", "--cropdet-crops=tile", *arguments))
    assert "Also open:" in text
    assert "Measured on" not in text
