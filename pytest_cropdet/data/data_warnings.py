"""What is odd in a data set and may bend a result: counted by kind, with a first example, and carried by every result.

What cannot be used at all is an error. A warning is for what can be used, but perhaps not as it was meant.
"""

import warnings
from dataclasses import dataclass
from typing import Any

from pytest_cropdet.errors import DataError

__all__ = ["WARNING_KINDS", "DataWarning", "DataWarnings", "refuse_warnings", "warnings_of"]

_TEXTS = {  # kind: one of it, several of it, what it means
    "flat_box": ("box without area is left out", "boxes without area are left out", ""),
    "clipped_box": ("box sticks out of its image and is clipped", "boxes stick out of their image and are clipped", ""),
    "normalised_box": (
        "box lies between 0 and 1",
        "boxes lie between 0 and 1",
        "they look normalised, and COCO boxes are in pixels; other boxes of the data set are",
    ),
    "percent_boxes": (
        "box lies between 0 and 100 in a much larger image",
        "boxes, all there are, lie between 0 and 100 in much larger images",
        "they look like percent, and COCO boxes are in pixels",
    ),
    "mask_shape": (
        "mask is malformed and left out",
        "masks are malformed and left out",
        "a gate on boxes needs no masks",
    ),
    "mask_scale": (
        "mask does not fit its box",
        "masks do not fit their boxes",
        "these masks are left out; boxes or masks are in another scale, or of another version of the images",
    ),
    "mask_scale_all": (
        "mask does not fit its box",
        "masks do not fit their boxes",
        "so no mask of this data set is used; boxes or masks are in another scale, or of another version of the images",
    ),
    "area": (
        "area does not fit its box",
        "areas do not fit their boxes",
        "the area of the box is used instead; areas decide which objects count as small, medium and large",
    ),
    "crowds": (
        "annotation is a crowd (iscrowd 1)",
        "annotations, nearly all there are, are crowds (iscrowd 1)",
        "crowds are never scored; if they are single objects, set iscrowd to 0",
    ),
    "exif": (
        "image has an EXIF orientation that its size does not show",
        "images have an EXIF orientation that their size does not show",
        "boxes are taken as of the image as it is shown; if they are of the pixels as stored, remove the orientation",
    ),
    "dark_16_bit": (
        "16-bit image uses only its lowest 12 bits or less",
        "16-bit images use only their lowest 12 bits or less",
        "at 8 bits they are nearly black; scale their values to 0 to 65,535",
    ),
    "jpeg_damaged": (
        "JPEG is damaged, and part of it is shown wrongly",
        "JPEGs are damaged, and part of each is shown wrongly",
        "replace them by whole copies",
    ),
    "image_without_annotation": (
        "image has no annotation and is left out",
        "images have no annotation and are left out",
        "to count them as images without objects, give them annotations that list none",
    ),
    "annotation_without_image": (
        "label file has no image",
        "label files have no image",
        "if their images were renamed or moved, their objects are missing",
    ),
    "other_file_name": (
        "annotation names another image than its own name does",
        "annotations name other images than their own names do",
        "the image with the name of the annotation is used",
    ),
    "other_image_name": (
        "image has another name than its annotation says: another case or ending",
        "images have other names than their annotations say: another case or ending",
        "where exactly one image is alike, it is used",
    ),
    "counts_from_0": (
        "box begins at 0, but Pascal VOC counts pixels from 1",
        "boxes begin at 0, but Pascal VOC counts pixels from 1",
        "they are read as counted from 1; if the tool that wrote them counts from 0, all are 1 px too large",
    ),
    "repeated_box": (
        "line repeats the line of another object and is left out",
        "lines repeat the line of another object and are left out",
        "an object that is listed twice could never be found twice",
    ),
    "animated": ("image is animated", "images are animated", "only the first frame is used"),
}

WARNING_KINDS = tuple(_TEXTS)


class DataWarning(UserWarning):
    """Something in a data set may bend a result."""


@dataclass(frozen=True, slots=True)
class _Example:
    """Where something was found; the smallest ``place`` comes first."""

    place: int
    where: str


class DataWarnings:
    """The warnings of one data set, from when it was opened and from the images that were decoded since.

    They do not depend on the order in which images are decoded; the same image decoded again counts once.
    """

    def __init__(self) -> None:
        self._found: dict[str, set[_Example]] = {}
        self._noted: dict[str, dict[str, str]] = {}
        self._strict = ""

    def add(self, kind: str, where: str, place: int = 0) -> bool:
        """Count a finding, once for each ``where``; return whether it is the first of its kind."""
        first = kind not in self._found
        self._found.setdefault(kind, set()).add(_Example(place, _plain(where)))
        if self._strict:
            self._refuse()
        return first

    def refuse_all(self, name: str) -> None:
        """Raise ``DataError`` with all that was found, and from now on with whatever is; ``name``: of the data set."""
        self._strict = name
        if self._found:
            self._refuse()

    def _refuse(self) -> None:
        texts = [each["text"] for each in self.records()]
        what = "a data warning is an error" if len(texts) == 1 else f"{len(texts)} kinds of data warnings are errors"
        raise DataError("\n  ".join([f"{self._strict}: {what} with --cropdet-strict-data:", *texts]))

    def note(self, place: int, where: str, kind: str, detail: str = "") -> None:
        """Count a finding in an image that is decoded, the ``place``-th of its set; warn at the first of its kind."""
        example = f"{where}: {detail}" if detail else where
        self._noted.setdefault(where, {})[kind] = detail
        if self.add(kind, example, place):
            warnings.warn(_text(kind, 1, _plain(example)), DataWarning, stacklevel=2)

    def noted(self, where: str) -> list[tuple[str, str]]:
        """Return kind and detail of what was noted of an image."""
        return sorted(self._noted.get(where, {}).items())

    def warn(self, name: str, stacklevel: int) -> None:
        """Issue each warning that was found so far; ``name``: of the data set."""
        for each in self.records():
            warnings.warn(f"{name}: {each['text']}", DataWarning, stacklevel=stacklevel)

    def records(self) -> list[dict[str, Any]]:
        """Return the warnings as built-in values: ``kind``, ``count``, ``example`` and ``text`` of each."""
        copied = {kind: list(each) for kind, each in list(self._found.items())}  # a thread may be adding to them
        found = {kind: sorted(each, key=lambda one: (one.place, one.where)) for kind, each in copied.items()}
        return [
            {
                "kind": kind,
                "count": len(found[kind]),
                "example": found[kind][0].where,
                "text": _text(kind, len(found[kind]), found[kind][0].where),
            }
            for kind in _TEXTS
            if kind in found
        ]

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        counts = [f"{each['count']} {each['kind']}" for each in self.records()]
        return f"DataWarnings({', '.join(counts)})"


def warnings_of(dataset: object) -> list[dict[str, Any]]:
    """Return the warnings of a data set as built-in values; none for a data set that keeps none."""
    found = getattr(dataset, "warnings", None)
    return found.records() if isinstance(found, DataWarnings) else []


def refuse_warnings(dataset: object) -> None:
    """Make every warning of a data set a ``DataError``: those so far now, others when an image shows them."""
    found = getattr(dataset, "warnings", None)
    if isinstance(found, DataWarnings):
        found.refuse_all(str(getattr(dataset, "name", type(dataset).__name__)))


def _plain(text: str) -> str:
    """Return text in one line, without letters that steer a terminal or turn the direction of reading."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _text(kind: str, count: int, example: str) -> str:
    one, several, meaning = _TEXTS[kind]
    what = f"1 {one}" if count == 1 else f"{count:,} {several}"
    text = f"{what} ({'' if count == 1 else 'first: '}{example})"
    return f"{text}: {meaning}" if meaning else text
