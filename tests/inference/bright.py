"""A data set of files with one bright rectangle each, and a detector that finds it; for processes that come and go.

The detector is pickled by value, so a worker needs no module of the tests.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import cv2
import numpy as np

from pytest_cropdet.data.samples import Detections

WIDTH, HEIGHT = 64, 48


def write_images(folder: Path, count: int = 12) -> Path:
    """Write images with a rectangle each, and their COCO JSON; a pixel says which image it is."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for number in range(count):
        picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        left, top, width, height = (int(rng.integers(*each)) for each in ((4, 24), (4, 18), (12, 30), (10, 22)))
        picture[top : top + height, left : left + width] = 200 + number
        name = f"{number:03}.png"
        cv2.imwrite(str(folder / "images" / name), picture)
        images.append({"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT})
        annotations.append({"id": number + 1, "image_id": number, "category_id": 1, "bbox": [left, top, width, height]})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "bright"}]}
    (folder / "instances.json").write_text(json.dumps(content))
    return folder / "instances.json"


class Bright:
    """Finds what is bright, and leaves a line in ``calls`` for every call: process and time.

    ``breaks``: the image at which it raises. ``deadly``: the image at which its process dies.
    """

    batch = 2
    name = "bright"

    def __init__(self, folder, seconds=0.0, breaks=None, deadly=None):
        self.calls, self.seconds = folder / "calls", seconds
        self.breaks, self.deadly = breaks, deadly
        self.categories = {1: "bright"}
        self.fingerprint = f"bright {breaks} {deadly}"

    def __call__(self, images):
        with self.calls.open("a") as stream:
            stream.write(f"{os.getpid()}\n")
        time.sleep(self.seconds)
        return [self.find(image) for image in images]

    def find(self, image):
        rows, columns = np.nonzero(image[:, :, 0] > 100)
        if not len(rows):
            return Detections.empty()
        number = int(image[rows[0], columns[0], 0]) - 200
        if number == self.breaks:
            raise RuntimeError("out of tea")
        if number == self.deadly:
            os._exit(3)
        box = [columns.min(), rows.min() + number % 3, columns.max() + 1, rows.max() + 1]
        return Detections([box, [0, 0, 5, 5]], [0.6 + number / 100, 0.3], [1, 1])
