"""What the detector answered to every rendering, as COCO results beside the truth that they are held against.

One image of these files is one crop, and all boxes are in its frame, so that any COCO evaluator reads them.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from pytest_cropdet.escapes import encodable
from pytest_cropdet.evaluation import Detected
from pytest_cropdet.report.files import write_whole
from pytest_cropdet.results import Run

__all__ = ["write_detections"]


def write_detections(folder: Path, run: Run) -> None:
    """Write ``truth.json`` and a file of results for each rendering into a folder of the run's name below ``folder``.

    ``truth.json``: a COCO data set of the crops, with ``sample`` and ``window`` of each image; what does not count is
    ``iscrowd``. Results: of ``reference`` (the whole image's, clipped) and ``crop``, and of the renderings of the
    chain where they are known.
    """
    target = folder / folder_name(run.name)
    causes = run.explanation.causes
    tables = dict(run.detected) if causes is None else {**causes.detected, **run.detected}
    tables.pop("whole", None)
    write_whole(target / "truth.json", json.dumps(encodable(_truth(run))))
    for name, table in tables.items():
        write_whole(target / f"{name}.json", json.dumps(_results(table)))


def folder_name(name: str) -> str:
    """Return a name that any file system takes, the same for the same gate.

    >>> folder_name("ssd-random"), folder_name("tile:size=320")
    ('ssd-random', 'tile-size-320-91f45924')
    """
    plain = re.sub(r"[^A-Za-z0-9_.+-]+", "-", name).strip("-.") or "gate"
    if plain == name:
        return plain
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}"


def _truth(run: Run) -> dict[str, Any]:
    objects, index = run.objects, run.objects.index
    images = [
        {
            "id": place,
            "file_name": index.samples[unit].id,
            "width": crop.width,
            "height": crop.height,
            "sample": index.samples[unit].id,
            "window": [crop.left, crop.top, crop.width, crop.height],
        }
        for place, (unit, crop) in enumerate(zip(index.unit.tolist(), index.crops, strict=True))
    ]
    truth = objects.truth
    annotations = [
        {
            "id": row + 1,
            "image_id": int(truth.image[row]),
            "category_id": int(truth.category[row]),
            "bbox": _bbox(truth.boxes[row].tolist()),
            "area": float(truth.area[row]),
            "iscrowd": int(not objects.scored[row]),
            "annotation": int(objects.annotation[row]),
            "visibility": float(objects.visibility[row]),
        }
        for row in range(len(truth))
    ]
    categories = [{"id": int(key), "name": name} for key, name in run.scored.names.items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def _results(table: Detected) -> list[dict[str, Any]]:
    return [
        {
            "image_id": int(table.image[row]),
            "category_id": int(table.category[row]),
            "bbox": _bbox(table.boxes[row].tolist()),
            "score": float(table.score[row]),
        }
        for row in range(len(table))
    ]


def _bbox(box: list[float]) -> list[float]:
    left, top, right, bottom = box
    return [left, top, right - left, bottom - top]
