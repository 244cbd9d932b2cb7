"""The tables of a COCO JSON: which file it is, and its images, categories and annotations, each entry checked."""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data.coco_columns import whole_columns
from pytest_cropdet.errors import DataError
from pytest_cropdet.files import read_file

__all__ = ["CocoEntries", "Faults", "ImageEntry", "as_flag", "as_number", "as_whole", "read_tables", "shown"]

MOST_PIXELS = 1 << 30  # of an image; OpenCV decodes no larger ones
LISTED = 5  # faults that are listed; all are counted
_LONGEST = 60  # letters of a value that a message shows
_LARGEST = 1 << 63  # of a whole number: 64 bits with sign
_FLAGS = {"0": False, "false": False, "1": True, "true": True}


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """An image as it is annotated: its name, and its size in pixels.

    ``checked``: in a federated set, categories of which the image is known to have no object; those of which it has
    some are added, but for those in ``partly``, of which not all objects are annotated. ``None``: all are checked.
    """

    file_name: str
    width: int
    height: int
    checked: frozenset[int] | None = None
    partly: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class CocoEntries:
    """The entries of a COCO JSON, in the file's order. ``annotations``: those that name an image and a category.

    ``rows``: (n, 3) of each of them its id, that of its image and that of its category.
    """

    path: Path
    images: Mapping[int, ImageEntry]
    categories: Mapping[int, str]
    annotations: list[dict[str, Any]]
    rows: NDArray[np.int64]
    faults: "Faults"

    def places(self, image_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the place of each image among the images."""
        ids = np.fromiter(self.images, dtype=np.int64, count=len(self.images))
        order = np.argsort(ids)
        return np.asarray(order[np.searchsorted(ids, image_ids, sorter=order)], dtype=np.int64)

    def where(self, row: int) -> str:
        """Return what messages call an annotation."""
        number, image, _ = self.rows[row].tolist()
        return f"image {self.images[image].file_name}: annotation {number}"


@dataclass(slots=True)
class Faults:
    """What is wrong with the annotations of a file, so that a user sees more than one at a time."""

    path: Path
    found: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Keep a sentence that says what is wrong where."""
        self.found.append(text)

    def refuse(self, advice: str = "") -> None:
        """Raise ``DataError`` if anything was wrong, with up to five sentences and the number of all."""
        if not self.found:
            return
        if len(self.found) == 1:
            raise DataError(f"{self.path}: {self.found[0]}{f'. {advice}' if advice else ''}")
        lines = [f"{self.path}: {len(self.found):,} annotations are wrong:", *self.found[:LISTED]]
        if len(self.found) > LISTED:
            lines.append(f"and {len(self.found) - LISTED:,} more")
        raise DataError("\n  ".join(lines) + (f"\n{advice}" if advice else ""))


def read_tables(path: Path) -> CocoEntries:
    """Return what a COCO JSON lists; ``DataError`` says which file or which entry of its tables is wrong.

    Faults of annotations are collected in ``faults``, for the caller may find more of them.
    """
    content = _read_json(path)
    plain = whole_columns(content["annotations"], ("id", "image_id", "category_id"))
    used: set[int | None]
    if plain is None:
        used = {as_whole(entry.get("category_id")) for entry in content["annotations"]}
    else:
        used = set(np.unique(plain[2]).tolist())
    categories = _categories(content, path, used)
    images = _images(content, path)
    faults = Faults(path)
    if plain is not None and _all_known(plain, images, categories):
        return CocoEntries(path, images, categories, content["annotations"], np.stack(plain, axis=1), faults)
    kept, rows = _annotations(content, images, categories, faults)
    return CocoEntries(path, images, categories, kept, rows, faults)


def _all_known(
    columns: Sequence[NDArray[np.int64]], images: Mapping[int, ImageEntry], categories: Mapping[int, str]
) -> bool:
    """Return whether ids of annotations differ, and those of their images and categories are known."""
    ids, image, category = columns
    sorted_ids = np.sort(ids)
    return (
        bool((sorted_ids[1:] != sorted_ids[:-1]).all())
        and set(image.tolist()) <= images.keys()
        and set(category.tolist()) <= categories.keys()
    )


def as_whole(value: Any) -> int | None:
    """Return a JSON value as a whole number of at most 64 bits, ``None`` if it is none; text and true are none.

    >>> as_whole(7.0), as_whole("7"), as_whole(True), as_whole(10**400)
    (7, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    return int(value) if -_LARGEST <= value < _LARGEST else None


def as_number(value: Any) -> float | None:
    """Return a JSON value as a number, ``None`` if it is none; one too large for 64 bits is infinite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def as_flag(value: Any) -> bool | None:
    """Return 0, 1, true, false or one of them as text as a truth value; ``None`` for anything else.

    >>> as_flag("0"), as_flag("true"), as_flag(1), as_flag(2)
    (False, True, True, None)
    """
    if value is None:
        return False
    if isinstance(value, str):
        return _FLAGS.get(value.strip().lower())
    return bool(value) if isinstance(value, (bool, int, float)) and value in (0, 1) else None


def shown(value: Any) -> str:
    """Return a value as messages show it: what is long is cut, and a number as text is called so."""
    text = repr(value)
    cut = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
    if isinstance(value, str) and value.strip().lstrip("-").replace(".", "", 1).isdigit():
        return f"{cut} (a text: write it without quotes)"
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        return f"{cut} (more than 64 bits)"
    return cut


def _read_json(path: Path) -> dict[str, Any]:
    data = read_file(path, "the data set")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"cannot read the data set {path}: it is not UTF-8 text ({error})") from error
    if not text.strip():
        raise DataError(f"the data set {path} is an empty file; a COCO JSON was expected")
    del data  # of a large set a tenth of a gigabyte, as is the text
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise DataError(f"the data set {path} is nested too deeply for a COCO JSON") from error
    except ValueError as error:  # no JSON, or a number of thousands of digits
        raise DataError(f"the data set {path} is not JSON: {error}") from error
    other = _other_kind(content)
    if other is not None:
        raise DataError(f"{path} is {other}; boxes are in instances_*.json")
    missing = [key for key in ("images", "annotations", "categories") if not isinstance(_get(content, key), list)]
    if missing:
        raise DataError(f"{path} is not COCO detection JSON: no list under {', '.join(map(repr, missing))}")
    for key in ("images", "annotations", "categories"):
        for place, entry in enumerate(content[key] if set(map(type, content[key])) != {dict} else ()):
            if not isinstance(entry, dict):
                raise DataError(f"{path}: {key}[{place}] is not an object but {type(entry).__name__}")
    if not content["images"]:
        raise DataError(f"{path} lists no images")
    return dict(content)


def _get(content: Any, key: str) -> Any:
    return content.get(key) if isinstance(content, dict) else None


def _other_kind(content: Any) -> str | None:
    """Return what a COCO file without boxes is, ``None`` if it may have some."""
    if isinstance(content, list):
        first = content[0] if content and isinstance(content[0], dict) else {}
        return "a COCO results file (detections), not the annotations" if {"image_id", "score"} <= set(first) else None
    annotations = _get(content, "annotations")
    first = annotations[0] if isinstance(annotations, list) and annotations else {}
    if not isinstance(first, dict) or "bbox" in first:
        return None
    if "segments_info" in first:
        return "a COCO panoptic JSON: its annotations are segments of PNG files"
    if "caption" in first:
        return "a COCO caption JSON: its annotations are sentences"
    return None


def _whole(entry: Mapping[str, Any], key: str, where: str) -> int:
    value = as_whole(entry.get(key))
    if value is None:
        raise DataError(f"{where}: {key} must be a whole number, is {shown(entry.get(key))}")
    return value


def _categories(content: Mapping[str, Any], path: Path, used: Collection[int | None]) -> dict[int, str]:
    """Return names by id. Of several categories of one name those that no annotation uses are left out."""
    names: dict[int, str] = {}
    for place, entry in enumerate(content["categories"]):
        where = f"{path}: categories[{place}]"
        category = _whole(entry, "id", where)
        if category in names:
            raise DataError(f"{where}: category id {category} is given twice ({names[category]!r} before)")
        name = entry.get("name")
        names[category] = str(category if name is None else name)
    counts = Counter(names.values())
    for name in (name for name, count in counts.items() if count > 1):
        same = [category for category, other in names.items() if other == name]
        kept = [category for category in same if category in used] or same[:1]
        if len(kept) > 1:
            ids = " and ".join(map(str, kept))
            raise DataError(
                f"{path}: two categories have the name {name!r}, and annotations use both (ids {ids}); "
                "rename one, or give all of these annotations one id"
            )
        for category in set(same) - {*kept}:
            del names[category]
    return dict(sorted(names.items()))


def _images(content: Mapping[str, Any], path: Path) -> dict[int, ImageEntry]:
    entries: dict[int, ImageEntry] = {}
    names: set[str] = set()
    for place, entry in enumerate(content["images"]):
        where = f"{path}: images[{place}]"
        image_id = _whole(entry, "id", where)
        name = _file_name(entry)
        if name is None:
            raise DataError(f"{where}: file_name is missing")
        if image_id in entries:
            raise DataError(f"{where} ({name}): image id {image_id} is given twice")
        if name in names:
            raise DataError(f"{where}: file_name {name!r} is given twice")
        width, height = _whole(entry, "width", where), _whole(entry, "height", where)
        if width < 1 or height < 1:
            raise DataError(f"{where} ({name}): a size of {width} x {height} pixels")
        if width * height > MOST_PIXELS:
            raise DataError(
                f"{where} ({name}): a size of {width} x {height} pixels; images have at most {MOST_PIXELS:,} pixels"
            )
        names.add(name)
        entries[image_id] = ImageEntry(name, width, height, *_checked(entry, where))
    return entries


def _file_name(entry: Mapping[str, Any]) -> str | None:
    """Return the name of an image; LVIS has none, but the address in COCO, of which the last part is the name."""
    name = entry.get("file_name")
    if name is None and isinstance(entry.get("coco_url"), str):
        name = entry["coco_url"].rpartition("/")[2]
    return name if isinstance(name, str) and name else None


def _checked(entry: Mapping[str, Any], where: str) -> tuple[frozenset[int] | None, frozenset[int]]:
    """Return what a federated set says of the categories of an image; others say nothing."""
    if "neg_category_ids" not in entry and "not_exhaustive_category_ids" not in entry:
        return None, frozenset()
    found = []
    for key in ("neg_category_ids", "not_exhaustive_category_ids"):
        values = entry.get(key) or []
        ids = [as_whole(each) for each in values] if isinstance(values, list) else [None]
        if any(each is None for each in ids):
            raise DataError(f"{where}: {key} must be a list of whole numbers, is {shown(values)}")
        found.append(frozenset(each for each in ids if each is not None))
    return found[0] - found[1], found[1]


def _annotations(
    content: Mapping[str, Any], images: Mapping[int, ImageEntry], categories: Mapping[int, str], faults: Faults
) -> tuple[list[dict[str, Any]], NDArray[np.int64]]:
    kept: list[dict[str, Any]] = []
    rows: list[tuple[int, int, int]] = []
    seen: set[int] = set()
    for place, entry in enumerate(content["annotations"]):
        number = as_whole(entry.get("id"))
        if number is None:
            faults.add(f"annotations[{place}]: id must be a whole number, is {shown(entry.get('id'))}")
            continue
        image_id, category = as_whole(entry.get("image_id")), as_whole(entry.get("category_id"))
        if number in seen:
            faults.add(f"annotation {number}: the id is given twice")
        elif image_id is None or image_id not in images:
            faults.add(f"annotation {number}: no image has the id {shown(entry.get('image_id'))}")
        elif category is None or category not in categories:
            known = ", ".join(f"{key} {name}" for key, name in categories.items())
            faults.add(f"annotation {number}: unknown category {shown(entry.get('category_id'))}; the set has {known}")
        else:
            kept.append(entry)
            rows.append((number, image_id, category))
        seen.add(number)
    return kept, np.array(rows, dtype=np.int64).reshape(-1, 3)
