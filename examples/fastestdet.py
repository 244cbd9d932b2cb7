"""A detector of one's own over ONNX Runtime: FastestDet, whose output no reader knows.

    PYTHONPATH=examples FASTESTDET=fastestdet.onnx FASTESTDET_NAMES=coco80.names pytest --pyargs pytest_cropdet.suite \
        --cropdet-model=fastestdet:factory --cropdet-data=val/instances.json

Its output is [1, 85, 22, 22], a cell for each 16 pixels of an input of 352 x 352: an objectness, four numbers of a box
and the probabilities of 80 categories.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from pytest_cropdet import Detections

SIDE = 352  # px of the input
LEAST_SCORE, NMS_IOU, MOST = 0.01, 0.45, 100


class FastestDet:
    """Called with RGB images, it returns boxes ``x0 y0 x1 y1`` in their pixels."""

    def __init__(self, model: Path, names: Sequence[str]) -> None:
        self.session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        self.categories = dict(enumerate(names, start=1))
        self.max_detections = MOST
        self.fingerprint = hashlib.sha256(model.read_bytes()).hexdigest()

    def __call__(self, images: Sequence[np.ndarray]) -> list[Detections]:
        return [self.find(image) for image in images]

    def find(self, image: np.ndarray) -> Detections:
        height, width = image.shape[:2]
        pixels = cv2.resize(image[:, :, ::-1], (SIDE, SIDE)).transpose(2, 0, 1)[None] / np.float32(255)
        (output,) = self.session.run(None, {self.session.get_inputs()[0].name: pixels})
        table = output[0].astype(np.float64)
        rows, columns = np.mgrid[0 : table.shape[1], 0 : table.shape[2]]
        centre = (np.tanh(table[1:3]) + np.stack([columns, rows])) / [[[table.shape[2]]], [[table.shape[1]]]]
        half = 0.5 / (1 + np.exp(-table[3:5]))
        corners = np.concatenate([centre - half, centre + half]).reshape(4, -1).T
        boxes = corners * [width, height, width, height]
        best = table[5:].argmax(axis=0)
        scores = (table[0] ** 0.6 * table[5:].max(axis=0) ** 0.4).ravel()
        likely = scores >= LEAST_SCORE
        boxes, scores, best = boxes[likely], scores[likely], best.ravel()[likely]
        sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)  # OpenCV's x y width height
        kept = np.array(cv2.dnn.NMSBoxesBatched(sides.tolist(), scores.tolist(), best.tolist(), 0.0, NMS_IOU), int)[
            :MOST
        ]
        return Detections(boxes[kept], scores[kept], best[kept] + 1)


def factory() -> FastestDet:
    """Return the detector that the environment names."""
    names = Path(os.environ["FASTESTDET_NAMES"]).read_text(encoding="utf-8").splitlines()
    return FastestDet(Path(os.environ["FASTESTDET"]), names)
