"""What the detector answered to every rendering, as COCO results beside the truth that they are held against.

One image of these files is one crop, and all boxes are in its frame, so that any COCO evaluator reads them.

An evaluator of COCO knows two of the comparison's rules only if the files carry them: a detection that lies mostly
outside of the window is ignored where it matches nothing, and a cut object has two right boxes. So each rendering has a
pair of data sets that give the run's own numbers: in the one each object has the box that its detections fit, in the
other what is ignored has an area outside of COCO's ranges.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pytest_cropdet.evaluation import (
    IOU_OF,
    AveragePrecision,
    Detected,
    OneBox,
    Truth,
    average_precision,
    match,
    one_box,
)
from pytest_cropdet.files import write_whole
from pytest_cropdet.gate import Run
from pytest_cropdet.settings import METRICS
from pytest_cropdet.terms import encodable

__all__ = ["write_detections"]

IGNORED_AREA = 2e10  # square pixels, beyond all of COCO's ranges
COCO_CAP = 100
CHAIN_FILES = ("context", "cut", "moved", "placebo", "hollow")  # of the chain
Values = dict[str, float | None]


def write_detections(folder: Path, run: Run) -> None:
    """Write the truth and the detections of each rendering into a folder of the run's name below ``folder``.

    Renderings: ``reference`` (the whole image's detections, clipped), ``crop``, and those of the chain where they are
    known. For each ``truth-NAME.json`` and ``detections-NAME.json``, two COCO data sets that evaluate to the run's own
    numbers, and ``NAME.json``, the detections as a list of COCO results, as the detector gave them. ``truth.json``: the
    objects of all crops, with ``sample`` and ``window`` of each image; what does not count is ``iscrowd``.
    """
    target = folder / folder_name(run.name)
    causes = run.explanation.causes
    tables = dict(run.detected) if causes is None else {**causes.detected, **run.detected}
    tables.pop("whole", None)
    for name in {*CHAIN_FILES} - {*tables}:  # of an earlier run: they would be taken for this one's
        for old in (f"{name}.json", f"truth-{name}.json", f"detections-{name}.json"):
            (target / old).unlink(missing_ok=True)
    _write(target / "truth.json", _plain_truth(run))
    for name, table in tables.items():
        _write(target / f"{name}.json", _results(table))
        for kind, content in _pair(run, name, table).items():
            _write(target / f"{kind}-{name}.json", content)


def _write(path: Path, content: Any) -> None:
    write_whole(path, json.dumps(encodable(content), allow_nan=False))


def folder_name(name: str) -> str:
    """Return a name that any file system takes, the same for the same gate.

    >>> folder_name("ssd-random"), folder_name("tile:size=320")
    ('ssd-random', 'tile-size-320-91f45924')
    """
    plain = re.sub(r"[^A-Za-z0-9_.+-]+", "-", name).strip("-.") or "gate"
    if plain == name:
        return plain
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}"


# The pair that gives the run's numbers


def _pair(run: Run, name: str, table: Detected) -> dict[str, dict[str, Any]]:
    """Return the two data sets of one rendering, ``truth`` and ``detections``."""
    cap, categories = run.matches["crop"].max_detections, run.matches["crop"].categories.tolist()
    exact = one_box(run.objects.truth, table, images=len(run.objects.index), categories=categories, max_detections=cap)
    told = {
        "images": _images(run),
        "categories": _categories(run, in_mean=True),
        "info": _info(run, name, table, exact),
    }
    truth = {**told, "annotations": _objects(run, exact.truth)}
    return {"truth": truth, "detections": {**told, "annotations": _detections(table, exact)}}


def _info(run: Run, name: str, table: Detected, exact: OneBox) -> dict[str, Any]:
    """Return what these files are, how they are evaluated, what they should give, and what they cannot carry."""
    cap, in_mean = run.matches["crop"].max_detections, {each.id for each in run.categories if each.in_mean}
    objects, ids = run.objects, [each.id for each in run.categories if each.in_mean]
    values = _values(_precision(run, objects.truth, table, ids, cap))
    told = values if not exact.apart.any() else _values(_precision(run, exact.truth, exact.detected, ids, cap))
    changed = np.zeros(len(objects.truth), bool)
    if objects.truth.tight is not None:
        changed = objects.scored & (objects.truth.tight != objects.truth.boxes).any(axis=1)
    limit = ""
    if cap != COCO_CAP:
        limit = f" with params.maxDets = [1, 10, {cap}] (mAP: the mean of eval['precision'][..., 0, 2] above -1)"
    return {
        "description": (
            f"Crops of {run.dataset}, rendering {name}. COCOeval(COCO('truth-{name}.json'), "
            f"COCO('detections-{name}.json'), 'bbox'){limit} gives the numbers under 'report'. Both are data sets: "
            "loadRes would compute the areas of detections anew and lose which are ignored"
        ),
        "gate": run.name,
        "rendering": name,
        "report": values,
        "drop_is": "share of objects lost, not a difference of AP" if run.agreement else "AP(reference) - AP(crop)",
        "max_detections": cap,
        "categories_not_in_the_mean": [
            {"id": each.id, "name": each.name} for each in run.categories if each.objects and each.id not in in_mean
        ],
        "ignored": {
            "objects": int((~objects.scored).sum()),
            "detections": int(table.stray.sum()),
            "how": (
                "objects that do not count have iscrowd 1, or 'ignored' where one detection of each is set aside; "
                "detections that lie mostly outside of the window, or are of a category that is not checked in the "
                f"image, have 'stray'; both have the area {IGNORED_AREA:g}, so that evaluators leave them out"
            ),
        },
        "two_boxes": {
            "objects": int(changed.sum()),
            "tight": int((changed & (exact.truth.boxes != objects.truth.boxes).any(axis=1)).sum()),
            "moved_detections": int(exact.moved.sum()),
            "how": (
                "a cut object has two right boxes, that of the whole object, clipped, and the tight one of what shows "
                "('box'; the other is 'other_bbox'); each has the one that its detections fit, and the few detections "
                "that need the other are moved as one box is to become the other ('given_bbox' is the detector's)"
            ),
        },
        "not_carried": {
            "detections": int(exact.apart.sum()),
            "difference": {key: _less(told[key], values[key]) for key in values},
        },
    }


def _objects(run: Run, truth: Truth) -> list[dict[str, Any]]:
    given = run.objects.truth
    other = given.boxes if given.tight is None else given.tight
    rows = _annotations(run, truth)
    for row, each in enumerate(rows):
        clipped = bool((truth.boxes[row] == given.boxes[row]).all())
        if not given.crowd[row] and not (other[row] == given.boxes[row]).all():
            each["box"] = "clipped" if clipped else "tight"
            each["other_bbox"] = _bbox((other if clipped else given.boxes)[row].tolist())
    return rows


def _detections(table: Detected, exact: OneBox) -> list[dict[str, Any]]:
    rows = []
    for row, each in enumerate(_results(exact.detected)):
        area = IGNORED_AREA if table.stray[row] else float(table.area[row])
        marks: dict[str, Any] = {"stray": True} if table.stray[row] else {}
        if exact.moved[row]:
            marks["given_bbox"] = _bbox(table.boxes[row].tolist())
        rows.append({"id": row + 1, **each, "area": area, "iscrowd": 0, **marks})
    return rows


# The files as any evaluator takes them, without these rules


def _plain_truth(run: Run) -> dict[str, Any]:
    truth, ids = replace(run.objects.truth, tight=None), sorted(int(key) for key in run.scored.names)
    plain = {}
    for name, table in run.detected.items():
        loose = replace(table, stray=np.zeros(len(table), bool))
        plain[name] = _values(_precision(run, truth, loose, ids, COCO_CAP))
    sides = {"reference": run.matches["reference"], "crop": run.matches["crop"]}
    in_mean = np.array([each.in_mean for each in run.categories], dtype=bool)
    report = {name: _values(average_precision(table), in_mean) for name, table in sides.items()}
    info = {
        "description": (
            f"Crops of {run.dataset}. With the lists of results beside it (loadRes of 'reference.json', 'crop.json') "
            "this file gives the numbers under 'as_they_are', not the report's: detections that lie mostly outside of "
            "the window count as wrong, a cut object has its clipped box alone, and every category is in the mean. "
            "The report's numbers come from truth-NAME.json with detections-NAME.json"
        ),
        "gate": run.name,
        "as_they_are": plain,
        "report": report,
        "difference": {
            name: {key: _less(plain[name][key], report[name][key]) for key in plain[name]} for name in plain
        },
        "stray_detections": {name: int(table.stray.sum()) for name, table in run.detected.items()},
        "max_detections": COCO_CAP,
    }
    categories = _categories(run, in_mean=False)
    return {"info": info, "images": _images(run), "annotations": _annotations(run, truth), "categories": categories}


def _images(run: Run) -> list[dict[str, Any]]:
    index = run.objects.index
    return [
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


def _annotations(run: Run, truth: Truth) -> list[dict[str, Any]]:
    objects, ignored = run.objects, run.objects.truth.ignored
    return [
        {
            "id": row + 1,
            "image_id": int(truth.image[row]),
            "category_id": int(truth.category[row]),
            "bbox": _bbox(truth.boxes[row].tolist()),
            "area": IGNORED_AREA if ignored[row] else float(truth.area[row]),
            "iscrowd": int(not objects.scored[row] and not ignored[row]),
            **({"ignored": True} if ignored[row] else {}),
            "annotation": int(objects.annotation[row]),
            "visibility": float(objects.visibility[row]),
        }
        for row in range(len(truth))
    ]


def _categories(run: Run, *, in_mean: bool) -> list[dict[str, Any]]:
    """Return the categories of the data set; ``in_mean``: those that the run's mean is over."""
    wanted = {each.id for each in run.categories if each.in_mean}
    return [{"id": int(key), "name": name} for key, name in run.scored.names.items() if not in_mean or key in wanted]


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


def _bbox(box: Sequence[float]) -> list[float]:
    left, top, right, bottom = box
    return [left, top, right - left, bottom - top]


def _precision(run: Run, truth: Truth, table: Detected, categories: Sequence[int], cap: int) -> AveragePrecision:
    images = len(run.objects.index)
    return average_precision(match(truth, table, images=images, categories=categories, max_detections=cap))


def _values(precision: AveragePrecision, categories: Any = None) -> Values:
    """Return mAP, AP50 and AP75 over ``categories``, a mask; ``None`` where undefined."""
    found = {name: precision.mean(threshold=IOU_OF[name], categories=categories) for name in METRICS}
    return {name: None if np.isnan(value) else float(value) for name, value in found.items()}


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
