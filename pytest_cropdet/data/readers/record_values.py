"""Where the parts of a record are, and its boxes and labels as arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.errors import DataError
from pytest_cropdet.geometry import as_boxes, from_format

__all__ = ["Fields", "RecordValues", "feature_names", "field_of"]

_USUAL = {  # part: where usual sets have it
    "image": ("image",),
    "boxes": ("objects.bbox", "objects.boxes", "boxes", "bbox", "bboxes"),
    "labels": ("objects.label", "objects.category", "objects.categories", "objects.category_id", "labels", "label"),
    "crowd": ("objects.is_crowd", "objects.iscrowd", "is_crowd", "iscrowd"),
    "ignored": ("objects.is_difficult", "objects.difficult", "is_difficult", "difficult"),
    "area": ("objects.area",),
}
_IDS = ("image/filename", "file_name", "filename", "image_id", "id")
_MOST_EMPTY = 100  # records without objects that are looked at for their fields
_NEEDED = ("image", "boxes", "labels")


def field_of(record: Any, path: str) -> Any:
    """Return a part of a record, ``None`` where it has none; in a list of dicts, that part of each.

    >>> field_of({"objects": [{"bbox": 1}, {"bbox": 2}]}, "objects.bbox")
    [1, 2]
    """
    if isinstance(record, Mapping) and path in record:
        return record[path]
    first, _, rest = path.partition(".")
    if isinstance(record, Mapping):
        return field_of(record[first], rest) if rest and first in record else None
    if isinstance(record, (list, tuple)) and all(isinstance(each, Mapping) for each in record):
        found = [field_of(each, path) for each in record]
        return None if any(each is None for each in found) else found
    return None


@dataclass(frozen=True)
class Fields:
    """Where a record has each of its parts; ``None``: not at all."""

    image: str
    boxes: str
    labels: str
    crowd: str | None
    ignored: str | None
    area: str | None

    @classmethod
    def of(cls, records: Any, stated: Mapping[str, str] | None, name: str) -> "Fields":
        """Return the places as stated, or where usual sets have them; ``DataError`` if they are not clear.

        An empty list of objects does not show what its objects have, so the first record with some is looked at.
        """
        record = records[0]
        for row in range(1, min(len(records), _MOST_EMPTY)):
            if not isinstance(record, Mapping) or record.get("objects", True) != []:
                break
            record = records[row]
        if not isinstance(record, Mapping):
            raise DataError(f"{name}: a record is {type(record).__name__}, not a dict with image, boxes and labels")
        wrong = sorted({*(stated or {})} - {*_USUAL})
        if wrong:
            raise DataError(f"{name}: fields has {', '.join(wrong)}; it takes {', '.join(_USUAL)}")
        found: dict[str, str | None] = {}
        for part, places in _USUAL.items():
            if stated and part in stated:
                found[part] = stated[part]
                continue
            there = [place for place in places if field_of(record, place) is not None]
            if len(there) > 1 and part in _NEEDED:
                raise DataError(
                    f"{name}: the {part} may be {' or '.join(there)}; set fields={{{part!r}: {there[0]!r}}}"
                )
            found[part] = there[0] if there else None
        missing = [part for part in _NEEDED if found[part] is None]
        if missing:
            part = missing[0]
            raise DataError(
                f"{name}: no {part} found in a record with {', '.join(map(str, record))}; set "
                f"fields={{{part!r}: 'objects.NAME'}}"
            )
        return cls(**found)  # type: ignore[arg-type]


@dataclass(frozen=True)
class RecordValues:
    """Reads records: ``fields`` of dicts, ``None`` for MAITE's tuples; ``boxes`` and ``units`` as they are stated."""

    fields: Fields | None
    boxes: str
    units: str
    categories: Mapping[int, str]

    @property
    def channels_first(self) -> bool:
        """Whether arrays are (3, height, width), as MAITE has them."""
        return self.fields is None

    def id_of(self, record: Any) -> str:
        """Return what a record calls its image, if it says that."""
        source = record[2] if self.fields is None else record
        for key in _IDS:
            value = source.get(key) if isinstance(source, Mapping) else None
            if isinstance(value, bytes):
                value = value.decode("utf-8", "replace")
            if isinstance(value, (str, int, np.integer)) and not isinstance(value, bool):
                return str(value)[:100]
        return ""

    def image_of(self, record: Any, where: str) -> Any:
        """Return the image of a record, as it has it."""
        return record[0] if self.fields is None else self._part(record, self.fields.image, where)

    def objects_of(self, record: Any, size: tuple[int, int], where: str) -> dict[str, NDArray[Any]]:
        """Return boxes as ``x0 y0 x1 y1`` pixels, labels, and which are crowds or ignored."""
        if self.fields is None:
            given, labels = record[1].boxes, record[1].labels
        else:
            given, labels = (self._part(record, each, where) for each in (self.fields.boxes, self.fields.labels))
        try:
            boxes = from_format(as_boxes(np.asarray(given, dtype=np.float64)), self.boxes)
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{where}: {error}") from error
        if self.units == "normalized":
            boxes = boxes * np.tile(np.asarray(size, dtype=np.float64), 2)
        elif len(boxes) > 1 and boxes.max() <= 1 and (boxes % 1 != 0).any():
            raise DataError(
                f"{where}: all boxes are between 0 and 1, so they are not units='pixels'; set units='normalized'"
            )
        count = len(boxes)
        columns = {"boxes": boxes, "labels": self._labels(labels, count, where)}
        for key in ("crowd", "ignored"):
            flags = self._column(record, key, count, where)
            columns[key] = np.zeros(count, dtype=bool) if flags is None else flags.astype(bool)
        area = self._column(record, "area", count, where)
        columns["areas"] = np.zeros(count) if area is None else area.astype(np.float64)
        return columns

    def _labels(self, given: Any, count: int, where: str) -> NDArray[np.int64]:
        labels = _array(given, "labels", where)
        if labels.size == 0 and count == 0:
            return np.zeros(0, dtype=np.int64)
        if labels.shape != (count,):
            raise DataError(f"{where}: {count} boxes and labels of shape {labels.shape}")
        if labels.dtype.kind in "USO":
            ids = {name: key for key, name in self.categories.items()}
            texts = [
                each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in labels.tolist()
            ]
            unknown = next((text for text in texts if text not in ids), None)
            if unknown is not None:
                raise DataError(
                    f"{where}: the label {unknown[:60]!r} is none of the categories {', '.join(list(ids)[:20])}"
                )
            return np.array([ids[text] for text in texts], dtype=np.int64)
        if labels.dtype.kind not in "biuf" or not (np.isfinite(labels) & (labels == np.rint(labels))).all():
            raise DataError(f"{where}: labels are no whole numbers: {str(labels[:5].tolist())[:80]}")
        whole = labels.astype(np.int64)
        unknown_ids = sorted({*whole.tolist()} - {*self.categories})
        if unknown_ids:
            known = ", ".join(f"{key} {name}" for key, name in list(self.categories.items())[:20])
            raise DataError(f"{where}: unknown category {unknown_ids[0]}; the set has {known}")
        return whole

    def _column(self, record: Any, part: str, count: int, where: str) -> NDArray[Any] | None:
        place = None if self.fields is None else getattr(self.fields, part)
        values = None if place is None else field_of(record, place)
        if values is None:
            return None
        column = _array(values, str(place), where)
        if column.shape != (count,) or column.dtype.kind not in "biuf":
            if count == 0 and column.size == 0:
                return np.zeros(0)
            raise DataError(f"{where}: {place} has shape {column.shape} for {count} boxes, or no numbers")
        return column

    def _part(self, record: Any, place: str, where: str) -> Any:
        value = field_of(record, place)
        if value is None:
            raise DataError(f"{where} has no {place}")
        return value


def _array(values: Any, what: str, where: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{where}: {what}: {error}") from error


def feature_names(records: Any, labels: str) -> dict[int, str] | None:
    """Return the names of the categories that a Hugging Face set states in its features; ``None`` if it has none."""
    feature = getattr(records, "features", None)
    for key in labels.split("."):
        while feature is not None and not isinstance(feature, Mapping):
            inner = feature[0] if isinstance(feature, list) and feature else getattr(feature, "feature", None)
            if inner is None:
                return None
            feature = inner
        feature = feature.get(key) if isinstance(feature, Mapping) else None
    while feature is not None and not hasattr(feature, "names"):
        feature = feature[0] if isinstance(feature, list) and feature else getattr(feature, "feature", None)
    names = getattr(feature, "names", None)
    return dict(enumerate(map(str, names))) if names else None
