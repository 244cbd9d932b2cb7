"""Data sets that are Python objects: what iterates dicts, MAITE's object detection data sets, lists of samples."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data.coco_truth import OVERHANG
from pytest_cropdet.data.data_warnings import DataWarnings
from pytest_cropdet.data.dataset import Dataset
from pytest_cropdet.data.readers.record_images import record_pixels, record_size
from pytest_cropdet.data.readers.record_values import Fields, RecordValues, feature_names, field_of
from pytest_cropdet.data.samples import GroundTruth, Sample
from pytest_cropdet.errors import DataError
from pytest_cropdet.geometry import Image, areas

__all__ = ["RecordsDataset", "as_dataset", "dataset_from_records"]

_BOXES = ("xyxy", "yxyx", "xywh", "cxcywh")
_UNITS = ("pixels", "normalized")
_EXAMPLES = (
    "TensorFlow Datasets have boxes='yxyx', units='normalized'; Hugging Face's COCO-like sets have boxes='xywh', "
    "units='pixels'"
)


def dataset_from_records(
    records: Any,
    *,
    boxes: str | None = None,
    units: str | None = None,
    categories: Mapping[int, str] | Sequence[str] | None = None,
    fields: Mapping[str, str] | None = None,
    name: str = "records",
) -> Dataset:
    """Return a data set from records: dicts with an image, boxes and labels, as TFDS and Hugging Face have them.

    ``records``: anything that can be indexed, or iterated once (its images are then kept in memory as PNG); MAITE's
    object detection data sets and lists of :class:`Sample` are taken as they are. ``boxes``: "xyxy", "yxyx", "xywh" or
    "cxcywh" (centre), ``units``: "pixels" or "normalized"; nothing in the records proves them, so both must be stated.
    ``categories``: names by id, or a list that counts from 0; without it those that the set states itself. ``fields``:
    where a record has its "image", "boxes", "labels", "crowd", "ignored" and "area", such as {"boxes": "objects.bbox"},
    where they are not where usual sets have them.
    """
    given = (
        None
        if categories is None
        else dict(categories.items() if isinstance(categories, Mapping) else enumerate(categories))
    )
    known = _known(records, given, name)
    if known is not None:
        return known
    if boxes not in _BOXES or units not in _UNITS:
        raise DataError(
            f"{name}: state the format of the boxes: boxes= is {', '.join(_BOXES)}, and units= is {', '.join(_UNITS)}"
            f", not {boxes!r} and {units!r}. {_EXAMPLES}"
        )
    if isinstance(records, (str, bytes, Mapping)) or not (_indexed(records) or isinstance(records, Iterable)):
        hint = "; name one split, such as records['validation']" if isinstance(records, Mapping) else ""
        raise DataError(f"{name}: {type(records).__name__} is neither a sequence of records nor iterates any{hint}")
    if not _indexed(records):
        records = [_kept(record, fields, row) for row, record in enumerate(records)]
    if len(records) == 0:
        raise DataError(f"{name} has no records")
    found = Fields.of(records, fields, name)
    names = feature_names(records, found.labels) if given is None else given
    if names is None:
        raise DataError(
            f"{name}: the names of the categories are not known: give categories=[...], by their ids from 0, or a dict"
        )
    return RecordsDataset(name, names, records, RecordValues(found, boxes, units, names))


def as_dataset(given: Any) -> Dataset:
    """Return a data set as it is, and one of what can only be a data set: MAITE's, or a list of samples.

    ``DataError`` says how to make one of anything else.
    """
    if isinstance(given, Dataset):
        return given
    known = _known(given, None, type(given).__name__)
    if known is not None:
        return known
    raise DataError(
        f"{type(given).__name__} is no data set; make one: pytest_cropdet.dataset_from_records(records, boxes=..., "
        f"units=..., categories=...). {_EXAMPLES}"
    )


class RecordsDataset:
    """A data set of records; each is read when its sample is first taken, and again for its pixels."""

    def __init__(
        self, name: str, categories: Mapping[int, str], records: Any, values: RecordValues, layout: str = "records"
    ) -> None:
        self.name, self.categories, self.layout = name, dict(categories), layout
        self.warnings = DataWarnings()
        self._records, self._values = records, values
        self._samples: list[Sample | None] = [None] * len(records)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        row = range(len(self))[index]
        sample = self._samples[row]
        if sample is None:
            sample = self._samples[row] = self._sample(row)
        return sample

    def __iter__(self) -> Iterator[Sample]:
        return (self[row] for row in range(len(self)))

    def _sample(self, row: int) -> Sample:
        record = self._records[row]
        own = self._values.id_of(record)
        name = f"record {row}" + (f" ({own})" if own else "")
        where = f"{self.name}: {name}"
        first = self._values.channels_first
        size = record_size(self._values.image_of(record, where), where, channels_first=first)
        columns = self._values.objects_of(record, size, where)
        truth = _truth(columns, size, where, self.warnings, row)
        return Sample(name, *size, truth, partial(self._pixels, row, where, size))

    def _pixels(self, row: int, where: str, size: tuple[int, int]) -> Image:
        image = self._values.image_of(self._records[row], where)
        pixels = record_pixels(image, where, channels_first=self._values.channels_first)
        if pixels.shape[1::-1] != size:
            raise DataError(
                f"{where}: the image is {pixels.shape[1]} x {pixels.shape[0]} now, was {size[0]} x {size[1]}"
            )
        return pixels

    def __repr__(self) -> str:
        return f"RecordsDataset({self.name!r}, {len(self)} images, {len(self.categories)} categories)"


class _SampleList:
    """Samples of a user's own as a data set."""

    layout = "samples"

    def __init__(self, name: str, categories: Mapping[int, str], samples: Sequence[Sample]) -> None:
        self.name, self.categories, self._samples = name, dict(categories), list(samples)
        counts: dict[str, int] = {}
        for sample in self._samples:
            counts[sample.id] = counts.get(sample.id, 0) + 1
        twice = [key for key, count in counts.items() if count > 1]
        if twice:
            raise DataError(f"{name}: two samples have the id {twice[0]!r}")

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {len(self)} images)"


def _known(given: Any, categories: Mapping[int, str] | None, name: str) -> Dataset | None:
    """Return the data set in what needs no description: a list of samples, or a data set of MAITE."""
    if isinstance(given, (list, tuple)) and given and all(isinstance(each, Sample) for each in given):
        ids = sorted({int(key) for each in given for key in each.truth.categories})
        return _SampleList(name, {key: str(key) for key in ids} if categories is None else categories, given)
    if not _indexed(given) or isinstance(given, (str, bytes)) or not len(given):
        return None
    try:
        first = given[0]
    except (LookupError, TypeError):
        return None
    if (
        not isinstance(first, tuple)
        or len(first) != 3
        or not all(hasattr(first[1], key) for key in ("boxes", "labels"))
    ):
        return None
    metadata = getattr(given, "metadata", None)
    stated = metadata if isinstance(metadata, Mapping) else {}
    names = categories or {int(key): str(each) for key, each in (stated.get("index2label") or {}).items()}
    if not names:
        raise DataError(
            f"{name}: a MAITE data set without index2label in its metadata: dataset_from_records(..., categories=[...])"
        )
    values = RecordValues(None, "xyxy", "pixels", names)
    return RecordsDataset(str(stated.get("id") or name), names, given, values, "MAITE")


def _indexed(given: Any) -> bool:
    return hasattr(given, "__getitem__") and hasattr(given, "__len__")


def _kept(record: Any, fields: Mapping[str, str] | None, row: int) -> Any:
    """Return a record whose image is a PNG, so that a set that iterates once stays small in memory."""
    import cv2

    if not isinstance(record, Mapping):
        raise DataError(f"record {row} is no dict but {type(record).__name__}")
    place = (fields or {}).get("image", "image")
    image = field_of(record, place)
    if image is None or isinstance(image, (str, bytes, Mapping)):
        return record
    pixels = record_pixels(image, f"record {row}")
    data = cv2.imencode(".png", np.ascontiguousarray(pixels[:, :, ::-1]), [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    return {**record, place: data}


def _truth(
    columns: Mapping[str, NDArray[Any]], size: tuple[int, int], where: str, found: DataWarnings, place: int
) -> GroundTruth:
    """Return the ground truth of a record; ``DataError`` names the object that is wrong."""
    width, height = size
    boxes = columns["boxes"]
    frame = np.array([width, height, width, height], dtype=np.float64)
    with np.errstate(invalid="ignore"):
        beyond = np.asarray(
            np.concatenate([-boxes[:, :2], boxes[:, 2:] - frame[2:]], axis=1).max(axis=1, initial=-np.inf)
        )
        turned = np.asarray((boxes[:, 2:] < boxes[:, :2]).any(axis=1))
    for row, box in enumerate(boxes):
        text = " ".join(f"{value:g}" for value in box)
        if not np.isfinite(box).all():
            raise DataError(f"{where}: object {row}: the box {text} is not finite")
        if turned[row] or beyond[row] > OVERHANG:
            what = "has its second corner before its first" if turned[row] else f"is {beyond[row]:g} px outside of it"
            raise DataError(
                f"{where}: object {row}: in the image of {width} x {height} the box {text} (x0 y0 x1 y1) {what}; are "
                "boxes= and units= right?"
            )
    clipped = np.clip(boxes, 0.0, frame)
    flat = ~((clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1]))
    for row in np.flatnonzero(flat).tolist():
        found.add("flat_box", f"{where}: object {row}", place)
    kept = np.flatnonzero(~flat)
    own = areas(clipped[kept])
    area = columns["areas"][kept]
    return GroundTruth(
        clipped[kept],
        columns["labels"][kept],
        crowd=columns["crowd"][kept],
        areas=np.where(area > 0, area, own),
        ignored=columns["ignored"][kept],
    )
