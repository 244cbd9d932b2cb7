"""The crops that lost most, with their pictures and boxes: made where the run is, shown by the page."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from pytest_cropdet.causes import FATES, fate_of
from pytest_cropdet.errors import CropdetError
from pytest_cropdet.evaluation import FOUND_IOU, covering_detections
from pytest_cropdet.gate import Run
from pytest_cropdet.geometry import Bools, Crop, Image, iou

__all__ = ["MOST_CROPS", "MOST_OF_A_PASS", "worst_crop_pictures"]

MOST_CROPS = 24  # crops with pictures
MOST_OF_A_PASS = 6
MOST_BOXES = 60  # detections shown of each rendering, the strongest
LOWEST = 0.05  # score of a detection that is shown
WHOLE_SIDE, CROP_SIDE = 440, 400  # longest side of the pictures, in pixels
QUALITY = 76


def worst_crop_pictures(run: Run) -> dict[str, Any]:
    """Return the worst crops as built-in values, pictures as base64 JPEG; boxes are in pixels of the crop.

    The first is ``Run.worst``. ``losing``: how many
    crops lost an object. A picture that cannot be read leaves its entry without pictures.
    """
    scored, index = run.scored, run.objects.index
    fate, scores = fate_of(scored)
    losing = scored.point.losing_crops(run.objects)
    most = MOST_OF_A_PASS if run.verdict in ("pass", "none") else MOST_CROPS
    now = covering_detections(run.objects, scored.detected["crop"], scored.point.lost, run.hidden.score)
    entries = []
    for place, lost, before in losing[:most]:
        sample, crop = index.samples[index.unit[place]], index.crops[place]
        entries.append(
            {
                "image": sample.id,
                "size": [sample.width, sample.height],
                "crop": [crop.left, crop.top, crop.width, crop.height],
                "lost": lost,
                "found": before,
                "objects": _objects(run, place, fate, scores, now),
                "boxes": {name: _boxes(run, place, name, scored.point.lost) for name in ("reference", "crop")},
                "pictures": _pictures(sample.image, crop),
            }
        )
    return {
        "score": run.hidden.score,
        "losing": len(losing),
        "agreement": run.agreement,
        "fates": {name: int((fate == number).sum()) for number, name in enumerate(FATES)},
        "entries": entries,
    }


def _objects(run: Run, place: int, fate: Any, scores: Mapping[str, Any], now: Any) -> list[dict[str, Any]]:
    objects, names = run.objects, run.scored.names
    shown = []
    for row in np.flatnonzero(objects.truth.image == place).tolist():
        category = int(objects.truth.category[row])
        other = int(now[row])
        became = int(run.scored.detected["crop"].category[other]) if other >= 0 else None
        shown.append(
            {
                "id": int(objects.annotation[row]),
                "category": names.get(category, str(category)),
                "box": _rounded(objects.truth.boxes[row]),
                "visibility": round(float(objects.visibility[row]), 3),
                "fate": FATES[fate[row]] if fate[row] >= 0 else None,
                "whole": _score(scores["reference"][row]),
                "crop": _score(scores["crop"][row]),
                "became": None if became is None else names.get(became, str(became)),
            }
        )
    return shown


def _boxes(run: Run, place: int, rendering: str, lost: Bools) -> list[dict[str, Any]]:
    """Return the strongest detections of a crop; ``lost``: whether one lies on an object that was lost, at IoU 0.5."""
    table, names = run.scored.detected[rendering], run.scored.names
    missing = run.objects.truth.boxes[lost & (run.objects.truth.image == place)]
    rows = np.flatnonzero((table.image == place) & (table.score >= min(LOWEST, run.hidden.score)))
    rows = rows[np.argsort(-table.score[rows], kind="stable")][:MOST_BOXES]
    return [
        {
            "category": names.get(int(table.category[row]), str(int(table.category[row]))),
            "score": round(float(table.score[row]), 4),
            "box": _rounded(table.boxes[row]),
            "lost": bool((iou(table.boxes[[row]], missing) >= FOUND_IOU).any()),
        }
        for row in rows.tolist()
    ]


def _score(score: float) -> float | None:
    return round(float(score), 4) if score >= 0 else None


def _rounded(box: Any) -> list[float]:
    return [round(float(edge), 1) for edge in box]


def _pictures(read: Any, crop: Crop) -> dict[str, str] | None:
    try:
        image: Image = read()
        return {"whole": _jpeg(image, WHOLE_SIDE), "crop": _jpeg(crop.of(image), CROP_SIDE)}
    except (CropdetError, OSError, ValueError):
        return None


def _jpeg(image: Image, longest: int) -> str:
    """Return a picture as base64 JPEG, made smaller where it is larger than ``longest`` pixels."""
    import cv2

    height, width = image.shape[:2]
    share = min(1.0, longest / max(height, width))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if share < 1 else image
    done, content = cv2.imencode(".jpg", np.ascontiguousarray(small[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise ValueError("a picture could not be written as JPEG")
    return base64.b64encode(content.tobytes()).decode("ascii")
