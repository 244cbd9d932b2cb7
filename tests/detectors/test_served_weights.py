"""One set of weights, directly and over HTTP: the same detections, the same mAP and the same drop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_cropdet import load_dataset, load_detector, run
from tests.detectors.serving import API, Served, serve
from tests.geometry.invariants import same

pytestmark = [pytest.mark.usefixtures("needs_tensorflow"), pytest.mark.tensorflow]
pytest.importorskip("httpx")
pytest.importorskip("stamina")

FIXTURES = Path(__file__).parents[2] / "fixtures"
MODEL = FIXTURES / "models" / "saved_model"
PATHS = {"tfserving": "/v1/models/ssd", "kserve": "/v2/models/ssd"}
IMAGES = 16  # pixels travel as JSON numbers, 1.3 MB an image


@pytest.fixture(scope="module")
def direct() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROPDET_PROBE", "off")  # the file is known to be whole
        return _loaded()


def _loaded() -> Any:
    detector = load_detector(f"saved_model:{MODEL}", labels=str(FIXTURES / "models" / "labels.txt"))
    detector.load()
    return detector


@pytest.fixture(scope="module")
def served():
    """The shipped detector behind a server: the same file, called by its signature, one image a call."""
    import tensorflow as tf

    model = tf.saved_model.load(str(MODEL))
    signature = model.signatures["serving_default"]

    def detect(batch: np.ndarray) -> dict[str, np.ndarray]:
        found = signature(input_tensor=tf.constant(batch))
        return {name: found[name].numpy() for name in API}

    one = Served(detect)
    one.input = ("input_tensor", "DT_UINT8", [1, -1, -1, 3])
    one.outputs = {name: (kind, [1, 100, 4][: len(shape)]) for name, (kind, shape) in API.items()}
    with serve(one):
        yield one


@pytest.mark.slow
@pytest.mark.parametrize("kind", PATHS)
def test_the_shipped_detector_is_the_same_over_http(direct, served, kind):
    over_http = load_detector(f"{kind}:{served.url}{PATHS[kind]}", labels=str(FIXTURES / "models" / "labels.txt"))
    data = load_dataset(FIXTURES / "scenes")
    image = data[0].image()
    for one, other in zip(direct([image, image[:99, 50:]]), over_http([image, image[:99, 50:]]), strict=True):
        for name in ("boxes", "scores", "categories"):
            same(getattr(one, name), getattr(other, name))
    said = {
        "crops": "random:keep=0.3-0.9,per_image=1",
        "sample_images": IMAGES,
        "min_images": 2,
        "max_drop": 0.02,
        "explain": "off",
        "replicates": 100,
    }
    here, there = run(direct, data, **said), run(over_http, data, **said)
    assert here.ap == there.ap
    assert 0.4 < here.ap["reference"] < 1
    assert (here.drop.value, here.drop.low, here.drop.high) == (there.drop.value, there.drop.low, there.drop.high)
    assert [each.outcome for each in here.judge()] == [each.outcome for each in there.judge()]
    assert {each.name: each.reference for each in here.categories} == {
        each.name: each.reference for each in there.categories
    }
