"""Random detections, and what the package ``tidecv`` says of them.

``python -m tests.causes.tide`` writes the stored numbers anew; it needs ``pip install tidecv``.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pytest_cropdet.evaluation import Detected, Truth, match
from pytest_cropdet.evaluation.crop_tables import CropIndex, Objects

STORED = Path(__file__).parent / "data" / "tidecv.json"
CATEGORIES = (3, 7, 12)
IMAGES = 40
SEEDS = range(12)
THEIR_NAMES = {
    "Cls": "class",
    "Loc": "localisation",
    "Both": "both",
    "Dupe": "duplicate",
    "Bkg": "background",
    "Miss": "missed",
    "FalsePos": "false_positive",
    "FalseNeg": "false_negative",
}


def case(seed: int, regions: bool = False) -> tuple[Truth, Detected]:
    """Objects and detections with every kind of mistake; no two scores are equal, and every image has an object.

    With ``regions`` some objects are regions that do not count, far from all that do, with detections in them.
    """
    draw = np.random.default_rng([seed, regions])
    image, category, boxes, crowd = [], [], [], []
    rows = []
    for number in range(IMAGES):
        for _ in range(draw.integers(1, 7)):
            corner, size = draw.uniform(0, 150, 2), draw.uniform(15, 60, 2)
            box, kind = np.concatenate([corner, corner + size]), draw.choice(CATEGORIES)
            image.append(number)
            category.append(kind)
            boxes.append(box)
            crowd.append(False)
            for _ in range(draw.integers(0, 4)):
                loose = draw.choice([0.03, 0.12, 0.3])
                label = kind if draw.random() < 0.7 else draw.choice(CATEGORIES)
                rows.append((number, label, moved(box, draw.normal(0, loose, 4))))
        for _ in range(draw.integers(0, 3)):
            corner = draw.uniform(0, 200, 2)
            rows.append((number, draw.choice(CATEGORIES), [*corner, *corner + draw.uniform(15, 60, 2)]))
        if regions:
            image.append(number)
            category.append(draw.choice(CATEGORIES))
            boxes.append(np.array([400.0, 400.0, 520.0, 500.0]))
            crowd.append(True)
            for _ in range(3):
                corner = draw.uniform(395, 460, 2)
                rows.append((number, draw.choice(CATEGORIES), [*corner, *corner + draw.uniform(15, 60, 2)]))
    boxes = np.array(boxes)
    truth = Truth(image, category, boxes, np.ones(len(image)), crowd, np.zeros(len(image), bool))
    score = draw.permutation(len(rows)) / len(rows)
    return truth, Detected(*(np.array([row[column] for row in rows]) for column in range(3)), score)


def moved(box: np.ndarray, by: np.ndarray) -> np.ndarray:
    """A box with each edge moved by a share of its sides, never turned inside out."""
    return box + np.clip(by, -0.45, 0.45) * np.tile(box[2:] - box[:2], 2)


def objects_of(truth: Truth, images: int = IMAGES) -> Objects:
    """The objects as of whole images, each an image of its own."""
    index = CropIndex((), (), np.arange(images), np.zeros(images, dtype=np.int64))
    return Objects(truth, index, ~truth.crowd, np.arange(len(truth)), np.ones(len(truth)))


def tables(truth: Truth, detected: Detected, images: int = IMAGES) -> tuple:
    """Arguments of ``error_types``: the same detections as reference and as crop."""
    found = match(truth, detected, images=images, categories=CATEGORIES)
    both = ("reference", "crop")
    kept = np.ones(len(CATEGORIES), dtype=bool)
    return objects_of(truth, images), dict.fromkeys(both, detected), dict.fromkeys(both, found), kept


def ask_tidecv(truth: Truth, detected: Detected) -> dict[str, float]:
    """The costs that tidecv names, 0 to 1, and its AP50."""
    from tidecv import TIDE, Data

    theirs, found = Data("truth"), Data("found")
    for name in CATEGORIES:
        theirs.add_class(name, str(name))
    for row in range(len(truth)):
        box = corner_and_size(truth.boxes[row])
        add = theirs.add_ignore_region if truth.crowd[row] else theirs.add_ground_truth
        add(int(truth.image[row]), int(truth.category[row]), box=box)
    for row in range(len(detected)):
        box = corner_and_size(detected.boxes[row])
        found.add_detection(int(detected.image[row]), int(detected.category[row]), float(detected.score[row]), box=box)
    tide = TIDE()
    run = tide.evaluate(theirs, found, mode=TIDE.BOX)
    (main,), (special,) = tide.get_main_errors().values(), tide.get_special_errors().values()
    costs = {THEIR_NAMES[name]: float(value) / 100 for name, value in {**main, **special}.items()}
    return {"AP50": run.ap / 100, **costs}


def corner_and_size(box: np.ndarray) -> list[float]:
    return [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]


if __name__ == "__main__":
    numbers = {f"{seed} {regions}": ask_tidecv(*case(seed, regions)) for regions in (False, True) for seed in SEEDS}
    STORED.parent.mkdir(exist_ok=True)
    STORED.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
