"""Small data sets held in memory, and detectors whose answers are known.

A pixel says where it is: red is its column, green its row, blue the number of its picture. So a detector can tell from
any window what it is shown, and a test decides what it answers there.

The tests of every room from crops/ on use it: where truth, answers and windows are to be known by number. Where a
detector must really look at its pixels, take ``tests.painted``; for boxes and windows alone, ``tests.strategies``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pytest_cropdet.data.cropping import crop_detections
from pytest_cropdet.data.samples import Detections, GroundTruth, Sample
from pytest_cropdet.gate.runner import Run, run
from pytest_cropdet.geometry.crop import Crop

NAMES = {3: "cat", 7: "dog", 12: "bird"}
WIDTH, HEIGHT = 120, 90
Row = tuple[tuple[float, float, float, float], float, int]  # box, score, category
Answer = Callable[[int, Crop], Detections]


class Data:
    """A data set of samples in a list."""

    def __init__(self, samples: Sequence[Sample], categories: Mapping[int, str] = NAMES) -> None:
        self.name = "made up"
        self.categories = dict(categories)
        self.samples = list(samples)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def __iter__(self):
        return iter(self.samples)


def sample(number: int, truth: GroundTruth, width: int = WIDTH, height: int = HEIGHT) -> Sample:
    """Picture ``number`` with its objects."""

    def read() -> np.ndarray:
        pixels = np.empty((height, width, 3), np.uint8)
        pixels[:, :, 0], pixels[:, :, 1], pixels[:, :, 2] = np.arange(width), np.arange(height)[:, None], number
        return pixels

    return Sample(f"{number:03}.png", width, height, truth, read)


def objects(*rows: tuple[tuple[float, float, float, float], int]) -> GroundTruth:
    """Ground truth from boxes with their categories."""
    return GroundTruth(np.reshape([row[0] for row in rows], (-1, 4)), [row[1] for row in rows])


def detections(*rows: Row, capped: bool = False) -> Detections:
    """A detector's answer from boxes with their scores and categories."""
    boxes = np.reshape([row[0] for row in rows], (-1, 4))
    return Detections(boxes, [row[1] for row in rows], [row[2] for row in rows], capped)


def made(images: int = 60, per_image: int = 3, categories: Mapping[int, str] = NAMES, seed: int = 0) -> Data:
    """Pictures with ``per_image`` objects each, categories taken in turn."""
    rng = np.random.default_rng(seed)
    ids = list(categories)
    samples = []
    for number in range(images):
        size = rng.integers(10, 36, (per_image, 2))
        corner = np.floor(rng.random((per_image, 2)) * (np.array([WIDTH, HEIGHT]) - size))
        kinds = [ids[(number + place) % len(ids)] for place in range(per_image)]
        samples.append(sample(number, GroundTruth(np.concatenate([corner, corner + size], axis=1), kinds)))
    return Data(samples, categories)


def window_of(image: np.ndarray) -> tuple[int, Crop]:
    """The number of the picture and the window that is shown."""
    height, width = image.shape[:2]
    left, top, number = (int(value) for value in image[0, 0])
    return number, Crop(left, top, width, height)


class Fake:
    """A detector that answers as told; it counts the pictures that it was shown and keeps their windows."""

    def __init__(self, answer: Answer, batch: int = 8, **attributes: object) -> None:
        self.answer = answer
        self.batch = batch
        self.shown: list[tuple[int, Crop]] = []
        for name, value in attributes.items():
            setattr(self, name, value)

    def __call__(self, images: Sequence[np.ndarray]) -> list[Detections]:
        places = [window_of(image) for image in images]
        self.shown += places
        return [self.answer(number, crop) for number, crop in places]


def is_whole(crop: Crop) -> bool:
    return (crop.width, crop.height) == (WIDTH, HEIGHT)


def opinions(data: Data, seed: int = 0, missing: float = 0.2, false: int = 2, loose: float = 0.0) -> list[Detections]:
    """What a fair detector finds in each whole picture: most objects, not all labels right, and things that are not."""
    rng = np.random.default_rng(seed)
    ids = list(data.categories)
    found = []
    for each in data:
        some = np.flatnonzero(rng.random(len(each.truth)) >= missing)
        boxes = each.truth.boxes[some]
        sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        boxes = boxes + np.clip(loose * rng.normal(0, 1, boxes.shape), -0.3, 0.3) * sides
        wrong = rng.random(len(some)) < 0.1
        kinds = np.where(wrong, rng.choice(ids, len(some)), each.truth.categories[some])
        size = rng.integers(10, 36, (false, 2))
        corner = rng.random((false, 2)) * (np.array([WIDTH, HEIGHT]) - size)
        found.append(
            Detections(
                np.concatenate([boxes, np.concatenate([corner, corner + size], axis=1)]),
                np.concatenate([rng.uniform(0.3, 1.0, len(some)), rng.uniform(0.1, 0.7, false)]),
                np.concatenate([kinds, rng.choice(ids, false)]),
            )
        )
    return found


def shown_in(whole: Detections, crop: Crop, least: float = 0.5) -> Detections:
    """The detections of a whole picture in a window, without those of which less than ``least`` lies in it."""
    cropped = crop_detections(whole, crop)
    return cropped.detections.take(np.flatnonzero(cropped.visibility >= least))


def same(whole: Sequence[Detections], **attributes: object) -> Fake:
    """A detector that sees in a window what it sees in the whole picture."""
    return Fake(lambda number, crop: shown_in(whole[number], crop), **attributes)


def loses_cut(whole: Sequence[Detections], least: float = 1.0, **attributes: object) -> Fake:
    """A detector that misses in a window what is cut to less than ``least``."""
    return Fake(lambda number, crop: shown_in(whole[number], crop, max(least, 0.5)), **attributes)


def blind(**attributes: object) -> Fake:
    """A detector that finds nothing."""
    return Fake(lambda number, crop: Detections.empty(), **attributes)


def perfect(data: Data, **attributes: object) -> Fake:
    """A detector that finds every object, and draws what of it is in the window."""
    whole = [Detections(each.truth.boxes, np.full(len(each.truth), 0.9), each.truth.categories) for each in data]
    return same(whole, **attributes)


def strongest(found: Detections, rows: int) -> Detections:
    """The strongest ``rows`` of an answer, marked when there are as many."""
    order = np.argsort(-found.scores, kind="stable")[:rows]
    return Detections(found.boxes[order], found.scores[order], found.categories[order], capped=len(order) == rows)


def fair_run() -> Run:
    """A run of a fair detector that loses more in crops, with objects enough to be told apart by where they lie."""
    data = made(images=60, per_image=6)
    return small_run(loses_cut(opinions(data, seed=3), least=0.9), data, "random:keep=0.6,per_image=3")


def small_run(detector: object, data: Data, crops: str = "random:keep=0.6,per_image=2", **changes: object) -> Run:
    """A run with few replicates, since most tests ask for no more."""
    return run(detector, data, **{"crops": crops, "replicates": 200, **changes})  # type: ignore[arg-type]
