"""What the detector answered to every rendering, as COCO results beside the truth that they are held against.

One image of these files is one crop, and all boxes are in its frame, so that any COCO evaluator reads them.

An evaluator of COCO knows two of the comparison's rules only if the files carry them: a detection that lies mostly
outside of the window is ignored where it matches nothing, and a cut object has two right boxes. So each rendering has a
pair of data sets that give the run's own numbers: in the one each object has the box that its detections fit, in the
other what is ignored has an area outside of COCO's ranges.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pytest_cropdet.evaluation import (
    IOU_OF,
    AveragePrecision,
    Blocks,
    ChangedBlocks,
    Detected,
    OneBoxBlocks,
    Truth,
    average_precision,
    blocks_of,
    match_blocks,
    one_box_blocks,
)
from pytest_cropdet.gate import Run
from pytest_cropdet.report.json_pieces import write_large_json
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
    index = run.objects.index
    of_chain = {} if causes is None else {name: blocks_of(causes.detected, name, index) for name in causes.detected}
    renderings = {**of_chain, **{name: blocks_of(run.detected, name, index) for name in run.detected}}
    renderings.pop("whole", None)
    for name in {*CHAIN_FILES} - {*renderings}:  # of an earlier run: they would be taken for this one's
        for old in (f"{name}.json", f"truth-{name}.json", f"detections-{name}.json"):
            (target / old).unlink(missing_ok=True)
    write_large_json(target / "truth.json", _plain_truth(run))
    for name, blocks in renderings.items():
        write_large_json(target / f"{name}.json", partial(_results, blocks))
        for kind, content in _pair(run, name, blocks).items():
            write_large_json(target / f"{kind}-{name}.json", content)


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


def _pair(run: Run, name: str, blocks: Blocks) -> dict[str, dict[str, Any]]:
    """Return the two data sets of one rendering, ``truth`` and ``detections``."""
    cap, categories = run.matches["crop"].max_detections, run.matches["crop"].categories.tolist()
    exact = one_box_blocks(run.objects.truth, blocks, categories=categories, max_detections=cap)
    told = {
        "images": partial(_images, run),
        "categories": _categories(run, in_mean=True),
        "info": _info(run, name, blocks, exact),
    }
    truth = {**told, "annotations": partial(_objects, run, exact.truth)}
    return {"truth": truth, "detections": {**told, "annotations": partial(_detections, blocks, exact)}}


def _info(run: Run, name: str, blocks: Blocks, exact: OneBoxBlocks) -> dict[str, Any]:
    """Return what these files are, how they are evaluated, what they should give, and what they cannot carry."""
    cap, in_mean = run.matches["crop"].max_detections, {each.id for each in run.categories if each.in_mean}
    objects, ids = run.objects, [each.id for each in run.categories if each.in_mean]
    values = _values(_precision(objects.truth, blocks, ids, cap))
    told = values if not exact.apart else _values(_precision(exact.truth, exact.detected(blocks), ids, cap))
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
            "detections": exact.stray,
            "how": (
                "objects that do not count have iscrowd 1, or 'ignored' where one detection of each is set aside; "
                "detections that lie mostly outside of the window, or are of a category that is not checked in the "
                f"image, have 'stray'; both have the area {IGNORED_AREA:g}, so that evaluators leave them out"
            ),
        },
        "two_boxes": {
            "objects": int(changed.sum()),
            "tight": int((changed & (exact.truth.boxes != objects.truth.boxes).any(axis=1)).sum()),
            "moved_detections": len(exact.moved),
            "how": (
                "a cut object has two right boxes, that of the whole object, clipped, and the tight one of what shows "
                "('box'; the other is 'other_bbox'); each has the one that its detections fit, and the few detections "
                "that need the other are moved as one box is to become the other ('given_bbox' is the detector's)"
            ),
        },
        "not_carried": {
            "detections": exact.apart,
            "difference": {key: _less(told[key], values[key]) for key in values},
        },
    }


def _objects(run: Run, truth: Truth) -> Iterator[dict[str, Any]]:
    given = run.objects.truth
    other = given.boxes if given.tight is None else given.tight
    for row, each in enumerate(_annotations(run, truth)):
        clipped = bool((truth.boxes[row] == given.boxes[row]).all())
        if not given.crowd[row] and not (other[row] == given.boxes[row]).all():
            each["box"] = "clipped" if clipped else "tight"
            each["other_bbox"] = _bbox((other if clipped else given.boxes)[row].tolist())
        yield each


def _detections(blocks: Blocks, exact: OneBoxBlocks) -> Iterator[dict[str, Any]]:
    begin = 0
    for first, _, table in blocks.blocks():
        moved, columns = exact.where(begin, table), (table.stray.tolist(), table.area.tolist())
        rows = zip(_rows(first, exact.change(begin, table)), *columns, moved.tolist(), strict=True)
        for place, (row, stray, area, other) in enumerate(rows):
            marks: dict[str, Any] = {"stray": True} if stray else {}
            if other:
                marks["given_bbox"] = _bbox(table.boxes[place].tolist())
            counted = IGNORED_AREA if stray else area
            yield {"id": begin + place + 1, **row, "area": counted, "iscrowd": 0, **marks}
        begin += len(table)


# The files as any evaluator takes them, without these rules


def _plain_truth(run: Run) -> dict[str, Any]:
    truth, ids = replace(run.objects.truth, tight=None), sorted(int(key) for key in run.scored.names)
    plain, strays = {}, {}
    for name in run.detected:
        blocks = blocks_of(run.detected, name, run.objects.index)
        plain[name] = _values(_precision(truth, ChangedBlocks(blocks, _all_counted), ids, COCO_CAP))
        strays[name] = sum(int(table.stray.sum()) for _, _, table in blocks.blocks())
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
        "stray_detections": strays,
        "max_detections": COCO_CAP,
    }
    categories = _categories(run, in_mean=False)
    rows = {"images": partial(_images, run), "annotations": partial(_annotations, run, truth)}
    return {"info": info, **rows, "categories": categories}


def _all_counted(begin: int, table: Detected) -> Detected:
    return replace(table, stray=np.zeros(len(table), bool))


def _images(run: Run) -> Iterator[dict[str, Any]]:
    index = run.objects.index
    for place, (unit, crop) in enumerate(zip(index.unit.tolist(), index.crops, strict=True)):
        name = encodable(index.samples[unit].id)
        yield {
            "id": place,
            "file_name": name,
            "width": crop.width,
            "height": crop.height,
            "sample": name,
            "window": [crop.left, crop.top, crop.width, crop.height],
        }


def _annotations(run: Run, truth: Truth) -> Iterator[dict[str, Any]]:
    objects, ignored = run.objects, run.objects.truth.ignored
    for row in range(len(truth)):
        yield {
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


def _categories(run: Run, *, in_mean: bool) -> list[dict[str, Any]]:
    """Return the categories of the data set; ``in_mean``: those that the run's mean is over."""
    wanted = {each.id for each in run.categories if each.in_mean}
    return [{"id": int(key), "name": name} for key, name in run.scored.names.items() if not in_mean or key in wanted]


def _results(blocks: Blocks) -> Iterator[dict[str, Any]]:
    for first, _, table in blocks.blocks():
        yield from _rows(first, table)


def _rows(first: int, table: Detected) -> Iterator[dict[str, Any]]:
    """Yield a block's detections as COCO results; ``first``: the evaluation image that its images are counted from."""
    columns = (table.image.tolist(), table.category.tolist(), table.boxes.tolist(), table.score.tolist())
    for image, category, box, score in zip(*columns, strict=True):
        yield {"image_id": first + image, "category_id": category, "bbox": _bbox(box), "score": score}


def _bbox(box: Sequence[float]) -> list[float]:
    left, top, right, bottom = box
    return [left, top, right - left, bottom - top]


def _precision(truth: Truth, blocks: Blocks, categories: Sequence[int], cap: int) -> AveragePrecision:
    return average_precision(match_blocks(truth, blocks, categories=categories, max_detections=cap))


def _values(precision: AveragePrecision, categories: Any = None) -> Values:
    """Return mAP, AP50 and AP75 over ``categories``, a mask; ``None`` where undefined."""
    found = {name: precision.mean(threshold=IOU_OF[name], categories=categories) for name in METRICS}
    return {name: None if np.isnan(value) else float(value) for name, value in found.items()}


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
