"""COCO JSON: images, boxes, masks, crowds. Everything is checked when a set is opened, except pixels."""

import json
import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.boxes import Boxes
from pytest_cropdet.errors import DataError
from pytest_cropdet.images import read_image
from pytest_cropdet.masks import Mask
from pytest_cropdet.samples import GroundTruth, Image, Sample

__all__ = ["Annotations", "CocoDataset", "read_annotations"]

OVERHANG = 1.0  # px by which rounding lets boxes of published sets stick out; they are clipped, larger ones refused


class CocoDataset:
    """A data set read from a COCO JSON file."""

    def __init__(self, name: str, categories: Mapping[int, str], samples: list[Sample], path: Path) -> None:
        self.name = name
        self.categories = categories
        self.path = path
        self._samples = samples

    @classmethod
    def open(cls, path: Path, images: Path | None = None) -> "CocoDataset":
        """Read and check ``path``; pictures lie in ``images``, or beside the JSON, or in ``images/`` there."""
        content = _read_json(path)
        categories = _categories(content, path)
        entries = _images(content, path)
        grouped = _annotations(content, entries, categories, path)
        folder = _image_folder(path, images, [entry["file_name"] for entry in entries.values()])
        samples = []
        for image_id, entry in entries.items():
            width, height, file_name = entry["width"], entry["height"], entry["file_name"]
            truth = _truth(grouped[image_id], width, height, f"{path}: image {file_name}")
            read = partial(_read_checked, folder / file_name, width, height)
            samples.append(Sample(file_name, width, height, truth, read, folder / file_name))
        return cls(str(path), categories, samples, path)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples)

    def __repr__(self) -> str:
        return f"CocoDataset({self.name!r}, {len(self)} images, {len(self.categories)} categories)"


@dataclass(frozen=True, eq=False)
class Annotations:
    """The boxes of a data set without its pictures; crowds and boxes without area are left out.

    ``sizes``: (images, 2) width and height in pixels. ``image``: (n,) row in ``sizes``. ``boxes``: (n, 4) ``x0 y0 x1
    y1`` pixels. ``names``: the category of each box.
    """

    sizes: NDArray[np.int64]
    image: NDArray[np.int64]
    boxes: Boxes
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        return f"Annotations({len(self.sizes)} images, {len(self)} boxes)"


def read_annotations(path: Path) -> Annotations:
    """Return the boxes of a COCO JSON; no picture is sought. ``DataError`` names the file if it holds no boxes.

    Large training sets are rarely clean, so a box that sticks out of its image is clipped to it, however far.
    """
    content = _read_json(path)
    categories = _categories(content, path)
    entries = _images(content, path)
    grouped = _annotations(content, entries, categories, path)
    image, boxes, names = [], [], []
    for place, (image_id, entry) in enumerate(entries.items()):
        where = f"{path}: image {entry['file_name']}"
        for each in grouped[image_id]:
            box = _box(each, entry["width"], entry["height"], where, math.inf)
            if not each.get("iscrowd") and box[2] > box[0] and box[3] > box[1]:
                image.append(place)
                boxes.append(box)
                names.append(categories[int(each["category_id"])])
    if not boxes:
        raise DataError(f"{path} holds no boxes, so it does not show what a detector was trained on")
    sizes = [(entry["width"], entry["height"]) for entry in entries.values()]
    return Annotations(np.array(sizes), np.array(image), np.array(boxes, dtype=np.float64), tuple(names))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the data set {path}: {error}") from error
    if not text.strip():
        raise DataError(f"the data set {path} is an empty file; a COCO JSON was expected")
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"the data set {path} is not JSON: {error}") from error
    missing = [key for key in ("images", "annotations", "categories") if not isinstance(_get(content, key), list)]
    if missing:
        raise DataError(f"{path} is not COCO detection JSON: no list under {', '.join(map(repr, missing))}")
    for key in ("images", "annotations", "categories"):
        for place, entry in enumerate(content[key]):
            if not isinstance(entry, dict):
                raise DataError(f"{path}: {key}[{place}] is not an object but {type(entry).__name__}")
    if not content["images"]:
        raise DataError(f"{path} lists no images")
    return dict(content)


def _get(content: Any, key: str) -> Any:
    return content.get(key) if isinstance(content, dict) else None


def _whole(entry: Mapping[str, Any], key: str, where: str) -> int:
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not float(value).is_integer():
        raise DataError(f"{where}: {key} must be a whole number, is {value!r}")
    return int(value)


def _categories(content: Mapping[str, Any], path: Path) -> dict[int, str]:
    names: dict[int, str] = {}
    for place, entry in enumerate(content["categories"]):
        where = f"{path}: categories[{place}]"
        category = _whole(entry, "id", where)
        if category in names:
            raise DataError(f"{where}: category id {category} is given twice ({names[category]!r} before)")
        names[category] = str(entry.get("name", category))
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise DataError(f"{path}: two categories have the name {twice[0]!r}")
    return dict(sorted(names.items()))


def _images(content: Mapping[str, Any], path: Path) -> dict[int, dict[str, Any]]:
    entries: dict[int, dict[str, Any]] = {}
    names: set[str] = set()
    for place, entry in enumerate(content["images"]):
        where = f"{path}: images[{place}]"
        image_id = _whole(entry, "id", where)
        name = entry.get("file_name")
        if not isinstance(name, str) or not name:
            raise DataError(f"{where}: file_name is missing")
        if image_id in entries:
            raise DataError(f"{where} ({name}): image id {image_id} is given twice")
        if name in names:
            raise DataError(f"{where}: file_name {name!r} is given twice")
        width, height = _whole(entry, "width", where), _whole(entry, "height", where)
        if width < 1 or height < 1:
            raise DataError(f"{where} ({name}): a size of {width} x {height} pixels")
        names.add(name)
        entries[image_id] = {"file_name": name, "width": width, "height": height}
    return entries


def _annotations(
    content: Mapping[str, Any], entries: Mapping[int, Any], categories: Mapping[int, str], path: Path
) -> dict[int, list[dict[str, Any]]]:
    grouped: dict[int, list[dict[str, Any]]] = {image_id: [] for image_id in entries}
    seen: set[int] = set()
    for place, entry in enumerate(content["annotations"]):
        number = _whole(entry, "id", f"{path}: annotations[{place}]")
        where = f"{path}: annotation {number}"
        if number in seen:
            raise DataError(f"{where}: the id is given twice")
        seen.add(number)
        if not _among(entry.get("image_id"), grouped):
            raise DataError(f"{where}: no image has the id {entry.get('image_id')!r}")
        if not _among(entry.get("category_id"), categories):
            known = ", ".join(f"{key} {name}" for key, name in categories.items())
            raise DataError(f"{where}: unknown category {entry.get('category_id')!r}; the set has {known}")
        grouped[entry["image_id"]].append(entry)
    return grouped


def _among(value: Any, ids: Mapping[int, Any]) -> bool:
    return isinstance(value, (int, float)) and value in ids


def _truth(annotations: list[dict[str, Any]], width: int, height: int, where: str) -> GroundTruth:
    kept, boxes, flat = [], [], []
    for entry in annotations:
        box = _box(entry, width, height, where)
        if box[2] > box[0] and box[3] > box[1]:
            kept.append(entry)
            boxes.append(box)
        else:
            flat.append(entry["id"])
    if flat:
        numbers = ", ".join(map(str, flat))
        warnings.warn(f"{where}: left out annotation {numbers}: a box without area", stacklevel=4)
    return GroundTruth(
        boxes=np.array(boxes, dtype=np.float64).reshape(-1, 4),
        categories=np.array([entry["category_id"] for entry in kept], dtype=np.int64),
        ids=np.array([entry["id"] for entry in kept], dtype=np.int64),
        crowd=np.array([bool(entry.get("iscrowd", 0)) for entry in kept], dtype=bool),
        areas=np.array([_area(e, b, where) for e, b in zip(kept, boxes, strict=True)], dtype=np.float64),
        masks=tuple(_mask(entry, width, height, where) for entry in kept),
    )


def _box(
    entry: Mapping[str, Any], width: int, height: int, where: str, overhang: float = OVERHANG
) -> tuple[float, float, float, float]:
    where = f"{where}: annotation {entry['id']}"
    values = entry.get("bbox")
    if not isinstance(values, list) or len(values) != 4 or not all(isinstance(v, (int, float)) for v in values):
        raise DataError(f"{where}: bbox must be four numbers x y width height, is {values!r}")
    if not all(math.isfinite(value) for value in values):
        raise DataError(f"{where}: bbox {values} is not finite")
    x, y, w, h = map(float, values)
    if w < 0 or h < 0:
        raise DataError(f"{where}: bbox {values} has a negative size (COCO boxes are x y width height)")
    beyond = max(-x, -y, x + w - width, y + h - height)
    if beyond > overhang:
        raise DataError(
            f"{where}: bbox {values} lies {beyond:g} px outside its image of {width} x {height} "
            "(COCO boxes are x y width height, in pixels)"
        )
    return max(x, 0.0), max(y, 0.0), min(x + w, float(width)), min(y + h, float(height))


def _area(entry: Mapping[str, Any], box: tuple[float, float, float, float], where: str) -> float:
    area = entry.get("area")
    if area is None:
        return (box[2] - box[0]) * (box[3] - box[1])
    if not isinstance(area, (int, float)) or not math.isfinite(area) or area < 0:
        raise DataError(f"{where}: annotation {entry['id']}: area must be a number of pixels, is {area!r}")
    return float(area)


def _mask(entry: Mapping[str, Any], width: int, height: int, where: str) -> Mask | None:
    segmentation = entry.get("segmentation")
    if not segmentation:
        return None
    try:
        return Mask.from_segmentation(segmentation, height, width)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: annotation {entry['id']}: {error}") from error


def _image_folder(path: Path, images: Path | None, names: list[str]) -> Path:
    folders = [path.parent, path.parent / "images"] if images is None else [images]
    for folder in folders:
        missing = [name for name in names if not (folder / name).is_file()]
        if not missing:
            return folder
        if len(missing) < len(names) or images is not None:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise DataError(f"{path}: missing in {folder}: {', '.join(missing[:3])}{more} (of {len(names)} images)")
    raise DataError(
        f"{path}: no picture found in {folders[0]} or {folders[1]} (sought {names[0]}); "
        "name the folder: --cropdet-images DIR"
    )


def _read_checked(path: Path, width: int, height: int) -> Image:
    pixels = read_image(path)
    if pixels.shape[:2] != (height, width):
        found = f"{pixels.shape[1]} x {pixels.shape[0]}"
        turned = pixels.shape[:2] == (width, height)
        hint = " (its EXIF orientation turns it; annotate the picture as it is shown)" if turned else ""
        raise DataError(f"the image {path} is {found} pixels, its annotation says {width} x {height}{hint}")
    return pixels
