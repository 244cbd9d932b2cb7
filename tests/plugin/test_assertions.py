"""The assertions of docs/assertions.md, as a user's test file: they hold for a good detector, and fail for bad ones."""

import json
import re
import shutil
from pathlib import Path

import pytest

from pytest_cropdet.crops import registry

PAGE = Path(__file__).parents[2] / "docs" / "assertions.md"
DETECTORS = """
import numpy as np
import fakes
from pytest_cropdet import Detections

NAMES = {1: "person", 2: "ambulance", 3: "truck"}

def good():
    finder = fakes.Finder()
    finder.categories = NAMES
    return finder

class Bad(fakes.Finder):
    categories = NAMES

    def find(self, image):
        found = super().find(image)
        if image.shape[:2] == fakes.WHOLE or not len(found):
            return found
        kinds = np.where(found.categories == 2, 3, found.categories)
        shown = found.categories != 1
        boxes = [*found.boxes[shown], [0, 0, 3, 3]]
        return Detections(boxes, [*[0.6] * int(shown.sum()), 0.9], [*kinds[shown], 1])

def bad():
    return Bad()
"""
NOT_ITS_MISTAKE = {"test_the_quantised_detector_agrees"}


@pytest.fixture
def page(project, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    data = project.path / "named"
    shutil.copytree(project.data, data)
    content = json.loads((data / "shapes.json").read_text())
    for category, name in zip(content["categories"], ("person", "ambulance", "truck"), strict=True):
        category["name"] = name
    (data / "shapes.json").write_text(json.dumps(content))
    monkeypatch.setattr(registry, "_registered", {})  # both runs are in this process
    project.write(test_page="\n\n".join(blocks), detectors=DETECTORS)
    return lambda name: project.pytest("test_page.py", f"--cropdet-model=detectors:{name}", f"--cropdet-data={data}")


@pytest.mark.slow
def test_all_hold_for_a_detector_that_sees_the_same_in_crops(page):
    page("good").assert_outcomes(passed=17)


@pytest.mark.slow
def test_each_fails_for_a_detector_that_is_wrong_about_crops(page):
    result = page("bad")
    passed = set(re.findall(r"def (test_\w+)", PAGE.read_text(encoding="utf-8")))
    passed -= set(re.findall(r"FAILED (?:.* )?test_page\.py::(test_\w+)", result.stdout.str()))
    assert passed == NOT_ITS_MISTAKE
