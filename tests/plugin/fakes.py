"""Detectors without a framework, copied into the projects under test: they find coloured rectangles by their colour."""

import os
from pathlib import Path

import numpy as np

from pytest_cropdet import Detections

COLOURS = {1: (220, 40, 40), 2: (40, 220, 40), 3: (40, 40, 220)}
WHOLE = (48, 64)  # height, width of every picture of the data set


def note(what):
    """Leave a line that a test can count, in whichever process this runs."""
    with (Path(__file__).parent / "notes.txt").open("a") as stream:
        stream.write(f"{what}\n")


class Finder:
    """Finds every rectangle exactly; one that loses the cut ones misses what touches the border of its picture."""

    batch = 16

    def __init__(self, loses_cut=False, dies_on=None):
        self.loses_cut = loses_cut
        self.dies_on = dies_on

    def __call__(self, images):
        return [self.find(image) for image in images]

    def find(self, image):
        if self.dies_on is not None and image.shape[:2] == WHOLE and image[0, 0, 0] == self.dies_on:
            os._exit(3)
        boxes, categories = [], []
        for category, colour in COLOURS.items():
            rows, columns = np.nonzero((image == colour).all(axis=2))
            if len(rows) == 0:
                continue
            box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            cut = box[0] == 0 or box[1] == 0 or box[2] == image.shape[1] or box[3] == image.shape[0]
            if not (cut and self.loses_cut):
                boxes.append(box)
                categories.append(category)
        return Detections(np.reshape(boxes, (-1, 4)), np.full(len(boxes), 0.9), categories)


def make():
    note("loaded make")
    return Finder(loses_cut=True)


def perfect():
    note("loaded perfect")
    return Finder()


def blind():
    """A detector that finds nothing."""
    return lambda images: [Detections.empty() for _ in images]


def raising():
    """A detector that raises on every picture."""

    def detect(images):
        raise RuntimeError("out of tea")

    return detect


def dying():
    return Finder(dies_on=30)


def cannot_load():
    from pytest_cropdet import DetectorError

    raise DetectorError("the graph has no signature 'serving_default'")


def breaks():
    raise RuntimeError("out of tea")


def strangers():
    """A detector whose categories the data set does not know."""
    finder = Finder()
    finder.categories = {1: "cat", 2: "dog", 3: "bird"}
    return finder


def interrupted():
    """A detector during whose work the user presses Ctrl-C."""

    def detect(images):
        raise KeyboardInterrupt

    return detect


def warning():
    import warnings

    warnings.warn("this format is old", DeprecationWarning, stacklevel=1)
    return Finder()


def slow():
    """A detector whose calls take so long that a run shows how far it is."""
    import time

    finder = Finder()

    def detect(images):
        time.sleep(0.06)
        return finder(images)

    detect.batch = finder.batch
    return detect
