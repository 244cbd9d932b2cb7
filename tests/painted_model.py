"""A kind of model file of our own, without a framework: a JSON file that says in secret which conventions are right.

Its network finds painted rectangles (red, green, blue: categories 1, 2, 3) on dark grey in pixels as they reach it: in
another range it sees nothing, in other channels other colours, and in another resize it is less sure. What it answers
is decoded as it was described. Used by the tests of commands/, invariants/ and plugin/ that measure conventions.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from pytest_cropdet.data import Detections, flatten_inverted
from pytest_cropdet.detectors import Description, PreparedImage
from pytest_cropdet.detectors.resize import fit, scale_values
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.geometry import from_format, to_format
from pytest_cropdet.terms import DETECTOR_KINDS

INPUT = (64, 64)  # width and height
GREY = 60
RIGHT = {
    "boxes": "yxyx",
    "units": "normalized",
    "range": "0..1",
    "first_category": 0,
    "channels": "bgr",
    "resize": "letterbox",
}
NAMES = ("red", "green", "blue")
CHOICES = {
    "boxes": ("xyxy", "yxyx", "xywh", "cxcywh"),
    "units": ("normalized", "input"),
    "range": ("0..255", "0..1", "-1..1"),
    "first_category": ("0", "1"),
    "channels": ("rgb", "bgr"),
    "resize": ("stretch", "letterbox", "keep_aspect"),
}
HIGHEST = {"0..255": 255.0, "0..1": 1.0, "-1..1": 1.0}
LOWEST = {"0..255": 0.0, "0..1": 0.0, "-1..1": -1.0}


class PaintedModel:
    """The adapter: prepares as described, sees as the file's secret says, decodes as described."""

    batch = 1
    fixed_input = True
    max_detections = None

    def __init__(self, secret: Mapping[str, object], description: Description) -> None:
        self.secret = secret
        for key, values in CHOICES.items():
            description.require(key, f"the file does not say {key}", *values)
        self.description = description
        first = int(description.first_category or 0)
        names = secret["names"] if description.labels is None else description.labels.split(",")
        self.categories = {first + place: str(name) for place, name in enumerate(names)}  # type: ignore[arg-type]

    def input_shape(self, width: int, height: int) -> tuple[int, int]:
        return INPUT[1], INPUT[0]

    def prepare(self, image: np.ndarray) -> PreparedImage:
        image = image[:, :, ::-1] if self.description.channels == "bgr" else image
        fitted = fit(np.ascontiguousarray(image), str(self.description.resize), *INPUT, np.float32)
        return PreparedImage(scale_values(fitted.pixels, str(self.description.range)), fitted.frame)

    def detect(self, inputs: Sequence[PreparedImage]) -> list[Detections]:
        return [self._read(prepared) for prepared in inputs]

    def _read(self, prepared: PreparedImage) -> Detections:
        boxes, scores, numbers = see(prepared.pixels, self.secret)
        boxes = from_format(boxes, str(self.description.boxes))
        if self.description.units == "normalized":
            boxes = prepared.frame.from_normalized(boxes)
        else:
            boxes = prepared.frame.to_image(boxes)
        return Detections(flatten_inverted(boxes), scores, numbers)


def see(pixels: np.ndarray, secret: Mapping[str, object]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the network itself finds: boxes in its own order and units, scores, category numbers."""
    low, high = LOWEST[str(secret["range"])], HIGHEST[str(secret["range"])]
    seen = (pixels - low) / (high - low)
    if seen.max() > 1.01 or seen.max() < 0.5 or seen.min() < -0.01 or secret.get("blind"):
        return np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64)
    seen = seen[:, :, ::-1] if secret["channels"] == "bgr" else seen
    # bars of black tell which resize it was; the network is surest of the one it was trained with
    bars = (bool((seen[0] < 0.05).all()), bool((seen[-1] < 0.05).all()))
    trained = {"stretch": (False, False), "letterbox": (True, True), "keep_aspect": (False, True)}
    sure = 0.9 if bars == trained[str(secret["resize"])] else 0.5
    boxes, numbers = [], []
    for channel in range(3):
        others = [each for each in range(3) if each != channel]
        y, x = np.nonzero((seen[:, :, channel] > 0.6) & (seen[:, :, others] < 0.5).all(axis=2))
        if x.size:
            boxes.append([x.min(), y.min(), x.max() + 1, y.max() + 1])
            numbers.append(channel + int(str(secret["first_category"])))
    found = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    if secret["units"] == "normalized":
        found = found / np.array([*INPUT, *INPUT])
    jitter = np.linspace(0, 0.06, len(found))
    return to_format(found, str(secret["boxes"])), np.full(len(found), sure) - jitter, np.array(numbers, np.int64)


def write_model(path: Path, **secret: object) -> str:
    """Write a model file and return its spec; ``secret`` over the conventions that are right."""
    path.write_text(json.dumps({"names": NAMES, **RIGHT, **secret}), encoding="utf-8")
    return f"painted:{path}"


def write_pictures(folder: Path, images: int = 24, size: tuple[int, int] = (96, 60), seed: int = 0) -> Path:
    """Write a COCO data set of pictures with a red, a green and a blue rectangle each, and return its JSON."""
    (folder / "images").mkdir(parents=True)
    draw = np.random.default_rng(seed)
    width, height = size
    entries, annotations = [], []
    for number in range(images):
        picture = np.full((height, width, 3), GREY, np.uint8)
        third = width // 3
        for category in (1, 2, 3):
            wide, high = int(draw.integers(12, third - 4)), int(draw.integers(12, height - 4))
            left = third * (category - 1) + int(draw.integers(1, third - wide))
            top = int(draw.integers(1, height - high))
            picture[top : top + high, left : left + wide] = [220 if each == category else 30 for each in (1, 2, 3)]
            box = [left, top, wide, high]
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": category, "bbox": box})
        cv2.imwrite(str(folder / "images" / f"{number:03}.png"), picture[:, :, ::-1])
        entries.append({"id": number, "file_name": f"{number:03}.png", "width": width, "height": height})
    categories = [{"id": place + 1, "name": name} for place, name in enumerate(NAMES)]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": entries, "annotations": annotations, "categories": categories}))
    return path


def register(patch: pytest.MonkeyPatch) -> None:
    """Make the kind known in this process: ``painted:PATH``."""

    def load(path: Path, description: Description) -> PaintedModel:
        description.refuse("a painted model has none", "anchors")
        secret = json.loads(path.read_text(encoding="utf-8"))
        if secret.get("broken"):
            raise DetectorError("it is broken")
        said = {key: value for key, value in secret.get("says", {}).items() if getattr(description, key) is None}
        return PaintedModel(secret, description.filled(**Description.of(**said).known(), batch=1))

    module = ModuleType("pytest_cropdet.detectors.adapters.painted")
    module.verify, module.load = (lambda path: None), load  # type: ignore[attr-defined]
    patch.setitem(sys.modules, module.__name__, module)
    patch.setitem(DETECTOR_KINDS, "painted", "a painted model")  # type: ignore[arg-type]
    patch.setenv("CROPDET_PROBE", "off")
