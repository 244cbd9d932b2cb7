"""The pictures that the commands write: a sheet of images with their boxes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pytest_cropdet.data import Detections, Sample
from pytest_cropdet.detectors import overlaps
from pytest_cropdet.errors import CropdetError
from pytest_cropdet.evaluation import FOUND_IOU
from pytest_cropdet.figures import MarkedBox, SheetTile, contact_sheet
from pytest_cropdet.files import make_folder, write_whole
from pytest_cropdet.geometry import Image

__all__ = ["found_tile", "picture_folder", "truth_tile", "write_sheet"]


def picture_folder(given: str | None) -> Path:
    """Return the folder for pictures, made if it is not there."""
    if given is not None:
        Path(given).mkdir(parents=True, exist_ok=True)
        return Path(given)
    make_folder(Path(".cropdet"))
    folder = Path(".cropdet") / "inspect"
    folder.mkdir(exist_ok=True)
    return folder


def truth_tile(sample: Sample, names: Mapping[int, str]) -> SheetTile:
    """Return a sample with its annotated objects."""
    boxes = [
        MarkedBox(tuple(box), "truth", names.get(int(category), f"id {category}"))
        for box, category in zip(sample.truth.boxes.tolist(), sample.truth.categories.tolist(), strict=True)
    ]
    count = len(boxes)
    return SheetTile(sample.image(), boxes, f"{sample.id}: {count} object{'' if count == 1 else 's'}")


def found_tile(
    image: Image, sample: Sample | None, found: Detections, names: Mapping[int, str], least: float, name: str
) -> SheetTile:
    """Return an image with what was found in it from the score ``least`` on, and with its objects, if they are known.

    ``found``: with ids that ``names`` has, those of the sample where there is one.
    """
    shown = found.take(np.flatnonzero(found.scores >= least))
    boxes = [
        MarkedBox(tuple(box), "found", f"{names.get(category, f'id {category}')} {score:.2f}")
        for box, category, score in zip(
            shown.boxes.tolist(), shown.categories.tolist(), shown.scores.tolist(), strict=True
        )
    ]
    caption = f"{name}: {len(shown)} detection{'' if len(shown) == 1 else 's'}"
    if sample is None:
        return SheetTile(image, boxes, caption)
    truth = sample.truth.take(np.flatnonzero(sample.truth.counted))
    hit = overlaps(shown, sample).max(axis=1, initial=0.0) >= FOUND_IOU
    for box, category, is_hit in zip(truth.boxes.tolist(), truth.categories.tolist(), hit.tolist(), strict=True):
        label = "" if is_hit else names.get(category, f"id {category}")
        boxes.append(MarkedBox(tuple(box), "truth" if is_hit else "missed", label))
    return SheetTile(image, boxes, f"{caption}, {int(hit.sum())} of {len(truth)} objects found")


def write_sheet(path: Path, tiles: Sequence[SheetTile], columns: int, cell: tuple[int, int], title: str) -> Path:
    """Write the sheet as PNG and return its path."""
    import cv2

    sheet = contact_sheet(tiles, columns, cell, title)
    done, data = cv2.imencode(".png", np.ascontiguousarray(sheet[:, :, ::-1]))
    if not done:
        raise CropdetError(f"OpenCV could not write {path}")
    write_whole(path, data.tobytes())
    return path
