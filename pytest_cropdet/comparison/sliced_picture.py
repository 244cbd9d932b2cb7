"""One image of a comparison of sliced inference: its tiles, what they found, what the merge made of it, the truth."""

from collections.abc import Mapping

import numpy as np

from pytest_cropdet.comparison.seams import SURE_SCORE, Judged, judge
from pytest_cropdet.comparison.sliced_gain import WholeAnswers
from pytest_cropdet.data import Detections, Sample
from pytest_cropdet.detectors import Windowed
from pytest_cropdet.figures import MarkedBox, SheetTile, contact_sheet
from pytest_cropdet.geometry import Floats, Image

__all__ = ["draw_sliced", "most_changed"]

CELL_SIZE = (460, 380)  # px of a cell of the picture: width, height


def most_changed(whole: WholeAnswers, cut: WholeAnswers) -> int:
    """Return the place of the image on which slicing changes most: objects found or lost, and new false positives."""
    changes = []
    for sample, plain, found in zip(whole.samples, whole.found, cut.found, strict=True):
        before, after = judge(sample, plain, found), judge(sample, found, plain)
        changes.append(int((before.missed != after.missed).sum() + after.new.sum()))
    return int(np.argmax(changes))


def draw_sliced(
    sliced: Windowed, whole: WholeAnswers, cut: WholeAnswers, names: Mapping[int, str], place: int
) -> Image:
    """Return the picture of one image, RGB uint8: truth and tiles, one pass, all tiles before the merge, and after it.

    ``place``: of the image. Detections that score 0.3 or more are shown; the tiles are read from the cache, or detected
    once more.
    """
    sample, plain, found = whole.samples[place], whole.found[place], cut.found[place]
    image = sample.image()
    ((pieces, _),) = sliced.pieces([image])
    before = cut.mapped.translate(Detections(pieces.boxes, pieces.scores, pieces.categories))
    sure = before.take(np.flatnonzero(before.scores >= SURE_SCORE))
    tiles = sliced.windows_of(sample)
    crops = [tile.crop for tile in tiles]
    borders = [MarkedBox((crop.left, crop.top, crop.right, crop.bottom), "tile") for crop in crops]
    objects = sample.truth.boxes[sample.truth.counted]
    cells = [
        SheetTile(
            image,
            [*borders, *(MarkedBox(_corners(box), "truth") for box in objects)],
            f"{sample.id}: {len(objects)} objects, {len(tiles)} tiles",
        ),
        _answer(image, sample, judge(sample, plain, plain), names, "one pass"),
        SheetTile(
            image,
            [*borders, *(MarkedBox(_corners(box), "found") for box in sure.boxes)],
            f"before the merge: {len(sure)} detections of all tiles",
        ),
        _answer(image, sample, judge(sample, found, plain), names, "after the merge"),
    ]
    return contact_sheet(cells, 2, CELL_SIZE, f"Sliced inference, {sliced.settings}")


def _answer(image: Image, sample: Sample, judged: Judged, names: Mapping[int, str], what: str) -> SheetTile:
    """Return the cell of one way to detect: what it found, missed, and found where nothing is."""
    objects = np.flatnonzero(sample.truth.counted)
    boxes = [
        MarkedBox(
            _corners(sample.truth.boxes[row]), "missed", str(names.get(int(sample.truth.categories[row]), "object"))
        )
        for row in objects[judged.missed]
    ]
    for row, box in enumerate(judged.sure.boxes):
        name = str(names.get(int(judged.sure.categories[row]), "?"))
        label = "" if judged.right[row] else f"{name} {judged.sure.scores[row]:.2f}"
        boxes.append(MarkedBox(_corners(box), "found", label))
    wrong = int((~judged.right & ~judged.ignored).sum())
    found = len(objects) - int(judged.missed.sum())
    return SheetTile(
        image,
        boxes,
        f"{what}: {found} of {len(objects)} objects found, {wrong} false positive{'' if wrong == 1 else 's'}",
    )


def _corners(box: Floats) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(side) for side in box)
    return x0, y0, x1, y1
