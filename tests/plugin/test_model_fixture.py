"""A fixture ``cropdet_detector`` that returns a model of TensorFlow as it is."""

import pytest

MODEL = """
import pytest
from pytest_cropdet.detectors.adapters.tensorflow_model import import_tensorflow
from tests.detectors.saved_models import module_of

@pytest.fixture(scope="session")
def cropdet_detector():
    return module_of(import_tensorflow(), {convention})
"""
GATE = """
def test_drop(cropdet):
    result = cropdet.run("random:keep=0.7-0.9,per_image=1", max_drop=0.9)
    assert result.ap["reference"] > 0.99
"""


@pytest.mark.tensorflow
def test_a_module_is_gated_as_it_is(project, data):
    project.write(conftest=MODEL.format(convention="shape=(None, None, None, 3)"), test_own=GATE)
    project.pytest(f"--cropdet-data={data}", "test_own.py").assert_outcomes(passed=1)


@pytest.mark.tensorflow
def test_what_a_module_does_not_say_is_one_failed_set_up_with_the_line_of_python(project, data, said):
    project.write(conftest=MODEL.format(convention="rename=(('detection_boxes', 'bboxes'),)"), test_own=GATE)
    result = project.pytest(f"--cropdet-data={data}", "test_own.py")
    result.assert_outcomes(errors=1)
    assert "load_detector(model, outputs=...) with boxes:bboxes,scores:detection_scores" in said(result)
