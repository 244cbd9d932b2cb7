"""TFRecords of the TF Object Detection API: images with their objects, read without TensorFlow.

Opening reads every record once and checks it; images are decoded when they are asked for, each by its place.
"""

import glob
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pytest_cropdet.data.category_files import CategoryIds, read_category_file
from pytest_cropdet.data.coco_truth import DataErrors
from pytest_cropdet.data.image_files import list_names, size_of_bytes
from pytest_cropdet.data.image_stores import StoredImages
from pytest_cropdet.data.images import LARGEST_UNCHECKED_IMAGE
from pytest_cropdet.data.readers.record_objects import RecordKind, RecordObjects, RecordRows
from pytest_cropdet.data.readers.tf_example import parse_example
from pytest_cropdet.data.readers.tfrecord_file import RecordFile, is_record_file
from pytest_cropdet.data.truth_table import TableDataset, TruthTable
from pytest_cropdet.errors import DataError
from pytest_cropdet.geometry import Mask

__all__ = ["RecordImages", "TfRecordLayout"]

_NAMED = re.compile(
    r"\.(tf_?records?|record|tfrec)(\.gz|-\d{5}-of-\d{5}(\.gz)?)?$|-\d{5}-of-\d{5}(\.gz)?$", re.IGNORECASE
)
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})(\.gz)?$")
_IMAGE = "image/encoded"
_BOX = tuple(f"image/object/bbox/{each}" for each in ("xmin", "ymin", "xmax", "ymax"))
_LABEL, _TEXT, _MASK = "image/object/class/label", "image/object/class/text", "image/object/mask"
_Source = tuple[int, int, bytes]  # file, place in it, SHA-256 of the image
_CROWD, _IGNORED = ("image/object/is_crowd", "image/object/group_of"), ("image/object/difficult",)
_AREA, _SIZE = "image/object/area", ("image/width", "image/height")
_ID = ("image/filename", "image/source_id")
_WANTED = {_IMAGE, *_BOX, _LABEL, _TEXT, _MASK, *_CROWD, *_IGNORED, _AREA, *_SIZE, *_ID}


@dataclass(frozen=True)
class TfRecordLayout:
    """The files of a TFRecord set in order, and its label map, where there is one beside them."""

    path: Path
    files: tuple[Path, ...]
    label_map: Path | None = None

    @classmethod
    def of(cls, path: Path) -> "TfRecordLayout | None":
        """Return the layout of a file, a folder, or a pattern such as ``val-*``; ``None`` if it is no TFRecord."""
        if path.is_dir():
            names = sorted(name for name in os.listdir(path) if _NAMED.search(name))  # noqa: PTH208
            files = [path / name for name in names if (path / name).is_file()]
        elif path.is_file():
            files = [path] if _NAMED.search(path.name) or is_record_file(path) else []
        else:
            files = [each for each in map(Path, sorted(glob.glob(str(path)))) if not each.is_dir()]  # noqa: PTH207
            files = [each for each in files if _NAMED.search(each.name) or is_record_file(each)]
        if not files:
            return None
        _check_shards(path, files)
        maps = sorted(files[0].parent.glob("*.pbtxt"))
        return cls(path, tuple(files), maps[0] if len(maps) == 1 else None)

    @property
    def layout(self) -> str:
        """The name of the format."""
        many = f"{len(self.files)} files" if len(self.files) > 1 else self.files[0].name
        return f"TFRecord, {many}{'' if self.label_map is None else f' with {self.label_map.name}'}"

    def read(
        self,
        images: Path | None,
        errors: DataErrors,
        labels: CategoryIds | None,
        store: StoredImages | None = None,
    ) -> TableDataset:
        """Read every record, checksums checked, and return the data set."""
        if images is not None:
            raise DataError(f"{self.path}: a TFRecord contains its images; leave out --cropdet-images")
        if labels is None and self.label_map is not None:
            labels = read_category_file(self.label_map)
        records = RecordImages(tuple(RecordFile(file) for file in self.files))
        reader = _Records(TruthTable(self.path), labels)
        for number, file in enumerate(records.files):
            for count, (place, content) in enumerate(file, 1):
                reader.read(content, (number, place), f"{file.path}: record {count}")
        reader.objects.settle()
        categories, named_only = reader.categories()
        return reader.table.dataset(self.layout, categories, errors, fetch=records, named_only=named_only)


@dataclass(frozen=True)
class RecordImages:
    """Finds the encoded image of a record again: called with the number of its file and its place there."""

    files: tuple[RecordFile, ...]

    def content(self, source: _Source) -> str:
        """Return the SHA-256 of the encoded image."""
        return source[2].hex()

    def __call__(self, source: _Source) -> bytes:
        """Return the encoded image."""
        number, place, _ = source
        file = self.files[number]
        found, _ = parse_example(file.at(place), (_IMAGE,), f"{file.path}: the record at byte {place:,}")
        return bytes(found[_IMAGE][0])  # type: ignore[arg-type]


def _check_shards(path: Path, files: Sequence[Path]) -> None:
    """Refuse a folder or a pattern of which shards are missing; a single file is taken as it is named."""
    if len(files) < 2:
        return
    named = [
        (each.name[: found.start()], int(found[1]), int(found[2]))
        for each in files
        if (found := _SHARD.search(each.name))
    ]
    sets = sorted({(prefix, total) for prefix, _, total in named})
    if named and (len(sets) > 1 or len(named) < len(files)):
        names = list_names(f"{prefix}-*" for prefix, _ in sets)
        raise DataError(f"{path} contains TFRecords of several sets ({names}); name one by a pattern such as 'val-*'")
    if named and len(named) < sets[0][1] and path.is_dir():
        raise DataError(f"{path}: {len(named)} of {sets[0][1]} shards of {sets[0][0]} are there")
    if not named:
        raise DataError(f"{path} contains several TFRecords: name one of {list_names(map(str, files))}, or a pattern")


@dataclass
class _Records:
    """Reads records into a table; categories come last, for the records themselves may say how they are numbered."""

    table: TruthTable
    labels: CategoryIds | None
    _seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.objects = RecordRows(self.table)

    def read(self, content: bytes, source: tuple[int, int], where: str) -> None:
        """Read one record."""
        features, names = parse_example(content, _WANTED, where)
        encoded = features.get(_IMAGE, [])
        if len(encoded) != 1 or not isinstance(encoded[0], bytes):
            known = ", ".join(names[:8])
            raise DataError(
                f"{where} has no {_IMAGE}, so it is not of the TF Object Detection API; it has {known or 'nothing'}"
            )
        said = self._size(features, where)
        size = size_of_bytes(encoded[0], f"in {where}") if said is None else said
        digest = hashlib.sha256(encoded[0]).digest()
        image = self.table.add_image(self._name(features, where), size, (*source, digest))
        columns = [self._column(features, name, None, where) for name in _BOX]
        count = len(columns[0])
        if any(len(column) != count for column in columns):
            raise DataError(
                f"{where}: xmin, ymin, xmax, ymax have {', '.join(str(len(each)) for each in columns)} values"
            )
        kinds = self._kinds(features, count, where)
        crowd, ignored = (self._flags(features, names, count, where) for names in (_CROWD, _IGNORED))
        area: Sequence[Any] = features.get(_AREA) or []
        given = area if len(area) == count else [None] * count
        masks = self._masks(features, count, size, where)
        self.objects.add(RecordObjects(image, size, columns, kinds, crowd, ignored, given, masks))

    def _flags(self, features: dict[str, Any], names: Sequence[str], count: int, where: str) -> Sequence[bool]:
        """Return for each object whether any of several flags is set."""
        there = [self._column(features, name, count, where) for name in names if features.get(name)]
        if len(there) == 1:
            return [bool(each) for each in there[0]]
        return [any(row) for row in zip(*there, strict=True)] if there else [False] * count

    def categories(self) -> tuple[dict[int, str], bool]:
        """Put the objects into the table; return the names by id, and whether ids are ours, not the set's."""
        if self.labels is not None:
            names, ids, made_up = self.labels.names, self.labels.ids, False
        else:
            names, ids, made_up = self._own_categories()
        listed = ", ".join(f"{key} {name}" for key, name in list(names.items())[:20])

        def id_of(kind: RecordKind) -> int | None:
            number, text = kind
            found = number if text is None else ids.get(text)
            return found if found in names else None

        def unknown(kind: RecordKind) -> str:
            number, text = kind
            shown = number if text is None else repr(text[:60])
            return f"unknown category {shown}; {'the label map' if self.labels else 'the set'} has {listed}"

        self.table.settle(id_of, unknown)
        return dict(names), made_up

    def _own_categories(self) -> tuple[dict[int, str], dict[str, int], bool]:
        """Return names and ids as the records pair them; without labels, ids in the order of the names."""
        texts = sorted({text for _, text in self.table.kinds if text is not None})
        numbers = sorted({number for number, _ in self.table.kinds if number is not None})
        if texts and numbers:
            if len(self.table.kinds) != len(texts) or len(numbers) != len(texts):
                odd = ", ".join(f"{number} {text}" for number, text in sorted(self.table.kinds, key=str)[:10])
                raise DataError(
                    f"{self.table.path}: the records pair labels and texts in several ways ({odd}); name the label "
                    "map: --cropdet-data-labels FILE.pbtxt"
                )
            pairs = {number: text for number, text in self.table.kinds if number is not None and text is not None}
            return dict(sorted(pairs.items())), {text: number for number, text in pairs.items()}, False
        if texts:
            return dict(enumerate(texts, 1)), {text: number for number, text in enumerate(texts, 1)}, True
        return {number: str(number) for number in numbers}, {}, False

    def _name(self, features: dict[str, Any], where: str) -> str:
        """Return what the data set calls an image; one that another has already, or none, gets the record's own."""
        for key in _ID:
            values = features.get(key) or []
            if len(values) == 1 and isinstance(values[0], bytes) and values[0]:
                name = values[0].decode("utf-8", "replace")
                if name not in self._seen:
                    self._seen.add(name)
                    return name
        return where

    def _size(self, features: dict[str, Any], where: str) -> tuple[int, int] | None:
        values = [features.get(key) or [0] for key in _SIZE]
        if any(len(each) != 1 or not isinstance(each[0], int) for each in values):
            raise DataError(f"{where}: {' and '.join(_SIZE)} must be one whole number each")
        width, height = values[0][0], values[1][0]
        return (width, height) if width or height else None

    def _column(self, features: dict[str, Any], name: str, count: int | None, where: str) -> list[Any]:
        values = features.get(name) or []
        if any(isinstance(each, bytes) for each in values[:1]):
            raise DataError(f"{where}: {name} must be numbers, is text")
        if count is not None and not values:
            return [0] * count
        if count is not None and len(values) != count:
            raise DataError(f"{where}: {name} has {len(values)} values for {count} boxes")
        return values

    def _kinds(self, features: dict[str, Any], count: int, where: str) -> list[RecordKind]:
        labels, texts = features.get(_LABEL) or [], features.get(_TEXT) or []
        for name, values, kind in ((_LABEL, labels, int), (_TEXT, texts, bytes)):
            if values and (len(values) != count or not isinstance(values[0], kind)):
                raise DataError(f"{where}: {name} has {len(values)} values for {count} boxes, or of another type")
        if count and not labels and not texts:
            raise DataError(f"{where}: its objects have neither {_LABEL} nor {_TEXT}")
        numbers = labels or [None] * count
        if not texts:
            return [(number, None) for number in numbers]
        names = [each.decode("utf-8", "replace").strip() or None for each in texts]
        return list(zip(numbers, names, strict=True))

    def _masks(self, features: dict[str, Any], count: int, size: tuple[int, int], where: str) -> list[Mask | None]:
        """Return the masks, each of which is a PNG."""
        values = features.get(_MASK) or []
        if not values:
            return [None] * count
        if not isinstance(values[0], bytes):
            raise DataError(f"{where}: {_MASK} has numbers; masks are read as PNGs (mask_type: PNG_MASKS)")
        if len(values) != count:
            raise DataError(f"{where}: {_MASK} has {len(values)} PNGs for {count} boxes")
        return [_png_mask(each, size, f"mask {row} in {where}") for row, each in enumerate(values, 1)]


def _png_mask(data: bytes, size: tuple[int, int], name: str) -> Mask:
    """Return the mask in an encoded image; its size is checked before it is decoded."""
    import cv2

    if size[0] * size[1] > LARGEST_UNCHECKED_IMAGE:
        raise DataError(f"the image {name}: masks are read in images of at most {LARGEST_UNCHECKED_IMAGE:,} pixels")
    if size_of_bytes(data, name) != size:
        raise DataError(f"the image {name} is not of the image's size, {size[0]} x {size[1]} pixels")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DataError(f"cannot decode the image {name}: {error}") from error
    if pixels is None or pixels.ndim != 2 or pixels.shape != size[::-1]:
        raise DataError(f"cannot decode the image {name}: it must be a grayscale PNG, 0 outside of the object")
    return Mask.encode(pixels)
