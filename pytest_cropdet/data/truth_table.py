"""Images and objects as flat columns: what a reader fills, what is checked over the whole set, and its samples.

An object takes some 60 bytes; ground truth is made when a sample is taken.
"""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import nan
from pathlib import Path
from struct import Struct
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_cropdet.data.category_files import CategoryIds
from pytest_cropdet.data.coco import Annotations
from pytest_cropdet.data.coco_json import MOST_PIXELS, Faults
from pytest_cropdet.data.coco_truth import OVERHANG, DataErrors
from pytest_cropdet.data.data_warnings import DataWarnings
from pytest_cropdet.data.image_stores import StoredImages
from pytest_cropdet.data.images import Note, decode_image, read_image
from pytest_cropdet.data.named_categories import NamedCategories
from pytest_cropdet.data.samples import GroundTruth, Sample
from pytest_cropdet.errors import DataError
from pytest_cropdet.geometry import Image, Mask, areas

__all__ = ["TableDataset", "TruthTable"]

_Size = tuple[int, int]
_OBJECT = Struct("<iii??d4d")
_COLUMNS = np.dtype(
    [
        ("image", "<i4"),
        ("category", "<i4"),
        ("place", "<i4"),
        ("crowd", "?"),
        ("ignored", "?"),
        ("area", "<f8"),
        ("box", "<f8", (4,)),
    ]
)
_FEW_BOXES = 10  # that may all lie within one pixel by chance, if they are whole numbers
_CLIP_ADVICE = "to clip boxes that stick out: --cropdet-data-errors clip"


class _Fetch(Protocol):
    """Finds an encoded image by what :meth:`TruthTable.add_image` was given for it."""

    def __call__(self, source: Any, /) -> bytes:
        """Return the encoded image."""
        ...

    def content(self, source: Any, /) -> str | Callable[[], str]:
        """Return the SHA-256 of the encoded image, as it was when the set was opened, or what finds it."""
        ...


class TruthTable:
    """The images and objects of a set while it is read. ``unit``: what messages call an entry ("object", "line").

    Boxes are ``x0 y0 x1 y1`` in pixels of the image as shown.
    """

    def __init__(self, path: Path, unit: str = "object") -> None:
        self.path, self.unit = path, unit
        self.faults, self.found = Faults(path), DataWarnings()
        self.names: list[str] = []
        self.sizes = array("q")
        self.sources: list[Any] = []
        self.kinds: dict[Any, int] = {}
        self._known: set[str] = set()
        self._rows = bytearray()  # of _OBJECT
        self._ids: list[int] | None = None  # by the numbers that kind() gave
        self._masks: dict[int, Mask] = {}

    def add_image(self, name: str, size: _Size, source: Any) -> int:
        """Add an image and return its row. ``source``: its file, or what the set's ``fetch`` finds it by."""
        width, height = size
        if name in self._known:
            raise DataError(f"{self.path}: the image {name} is listed twice")
        if width < 1 or height < 1 or width * height > MOST_PIXELS:
            raise DataError(
                f"{self.path}: image {name}: a size of {width} x {height} pixels; images have 1 to {MOST_PIXELS:,}"
            )
        self._known.add(name)
        self.names.append(name)
        self.sizes.extend(size)
        self.sources.append(source)
        return len(self.names) - 1

    def add(
        self,
        image: int,
        category: int,
        box: Sequence[float],
        place: int,
        *,
        crowd: bool = False,
        ignored: bool = False,
        area: float | None = None,
        mask: Mask | None = None,
    ) -> None:
        """Add an object of the image in row ``image``; ``place``: its number in the image's annotation."""
        if mask is not None:
            self._masks[len(self._rows) // _OBJECT.size] = mask
        self._rows += _OBJECT.pack(image, category, place, crowd, ignored, nan if area is None else area, *box)

    def add_many(
        self,
        image: NDArray[Any],
        category: NDArray[Any],
        boxes: NDArray[np.float64],
        place: NDArray[Any],
        *,
        crowd: ArrayLike = False,
        ignored: ArrayLike = False,
        area: ArrayLike = nan,
    ) -> None:
        """Add objects without masks, one row each; the values of :meth:`add` as columns, ``area`` NaN for none."""
        rows = np.empty(len(boxes), dtype=_COLUMNS)
        columns = {"image": image, "category": category, "place": place, "box": boxes}
        for name, values in {**columns, "crowd": crowd, "ignored": ignored, "area": area}.items():
            rows[name] = values
        self._rows += rows.tobytes()

    def kind(self, key: Any) -> int:
        """Return a number that stands for a category until :meth:`settle` puts its id in its place."""
        return self.kinds.setdefault(key, len(self.kinds))

    def settle(self, id_of: Callable[[Any], int | None], unknown: Callable[[Any], str]) -> None:
        """Put ids in the place of the numbers that :meth:`kind` gave; ``unknown`` says what is wrong without one."""
        keys = list(self.kinds)
        ids = [id_of(key) for key in keys]
        if None in ids:
            lacking = [kind for kind, known in enumerate(ids) if known is None]
            for image, kind, place, *_ in self._table()[np.isin(self._table()["category"], lacking)].tolist():
                self.faults.add(f"{self.where(image, place)}: {unknown(keys[kind])}")
        self._ids = [known or 0 for known in ids]

    def settle_names(self, labels: CategoryIds | None) -> dict[int, str]:
        """Settle categories that are names, by a file or else in their order, and return the names by id."""
        names = dict(enumerate(sorted(self.kinds), 1)) if labels is None else labels.names
        ids = {name: number for number, name in names.items()} if labels is None else labels.ids
        self.settle(ids.get, lambda name: "" if labels is None else labels.lacks(name))
        return dict(names)

    def where(self, image: int, place: int) -> str:
        """Return what messages call an object."""
        return f"image {self.names[image]}: {self.unit} {place}"

    def dataset(
        self,
        layout: str,
        categories: Mapping[int, str],
        errors: DataErrors,
        *,
        fetch: _Fetch | None = None,
        named_only: bool = False,
    ) -> "TableDataset":
        """Check all objects and return the data set; ``DataError`` lists up to five that are wrong and counts all.

        ``layout``: the format's name. ``named_only``: the set has no ids of its own, so only names can be paired.
        """
        if not self.names:
            self.faults.refuse()
            raise DataError(f"{self.path} lists no images")
        sizes = np.array(self.sizes, dtype=np.float64).reshape(-1, 2)
        rows = self._table()
        boxes, advice = self._checked(rows, sizes, errors)
        self.faults.refuse(advice)
        kept = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        for row in np.flatnonzero(~kept).tolist():
            self.found.add("flat_box", self._where(row), row)
        image = rows["image"][kept]
        ids = np.flatnonzero(kept) + 1
        if not kept.all():
            rows, boxes = rows[kept], boxes[kept]
        if (np.diff(image) < 0).any():  # the objects of an image are apart, as rows of a CSV may be
            order = np.argsort(image, kind="stable")
            rows, boxes, image, ids = rows[order], boxes[order], image[order], ids[order]
        category, area = rows["category"].astype(np.int64), rows["area"]
        columns = {
            "boxes": boxes,
            "categories": category if self._ids is None else np.array([*self._ids, 0], dtype=np.int64)[category],
            "ids": ids,
            "crowd": rows["crowd"].copy(),
            "areas": np.where(np.isfinite(area) & (area >= 0), area, areas(boxes)),
            "ignored": rows["ignored"].copy(),
        }
        starts = np.searchsorted(image, np.arange(len(self.names) + 1))
        self.found.warn(str(self.path), stacklevel=5)
        return TableDataset(self, layout, categories, columns, starts, self._masks, fetch, named_only)

    def _table(self) -> NDArray[Any]:
        return np.frombuffer(bytes(self._rows) if not self._rows else self._rows, dtype=_COLUMNS)

    def _where(self, row: int) -> str:
        image, _, place = self._table()[row].tolist()[:3]
        return self.where(image, place)

    def _checked(
        self, rows: NDArray[Any], sizes: NDArray[np.float64], errors: DataErrors
    ) -> tuple[NDArray[np.float64], str]:
        """Return the boxes cut to their images, and advice on those that stick out of them too far."""
        given, image = rows["box"], rows["image"]
        finite = np.isfinite(given).all(axis=1)
        turned = finite & ((given[:, 2] < given[:, 0]) | (given[:, 3] < given[:, 1]))
        for row in np.flatnonzero(~finite | turned).tolist():
            what = "has its second corner before its first" if turned[row] else "is not finite"
            self.faults.add(f"{self._where(row)}: box {_box(given[row])} {what}")
        boxes = np.empty(given.shape)
        beyond = np.full(len(given), -np.inf)
        with np.errstate(over="ignore", invalid="ignore"):
            for column in range(4):
                edge = sizes[image, column % 2]
                np.fmax(beyond, -given[:, column] if column < 2 else given[:, column] - edge, out=beyond)
                np.clip(given[:, column], 0.0, edge, out=boxes[:, column])
        advice = ""
        for row in np.flatnonzero(finite & ~turned & (beyond > OVERHANG)).tolist():
            where = self._where(row)
            if errors == "clip":
                self.found.add("clipped_box", where, row)
                continue
            width, height = sizes[image[row]]
            self.faults.add(
                f"{where}: box {_box(given[row])} (x0 y0 x1 y1) is {beyond[row]:g} px outside its image of "
                f"{width:.0f} x {height:.0f}"
            )
            advice = _CLIP_ADVICE
        return boxes, advice

    def refuse_normalised(self, origin: float = 0.0) -> None:
        """Raise ``DataError`` if all boxes lie in 0 to 1 as written, where the format has pixels from ``origin`` on."""
        boxes = self._table()["box"].copy()
        boxes[:, :2] += origin
        if not len(boxes) or not np.isfinite(boxes).all() or min(self.sizes) < 4:
            return
        fractions = bool((boxes % 1 != 0).any())
        if boxes.max() <= 1.001 and boxes.min() >= -0.001 and (fractions or len(boxes) >= _FEW_BOXES):
            raise DataError(
                f"{self.path}: all {len(boxes):,} boxes are between 0 and 1, so they look normalised; boxes of this "
                "format are in pixels: multiply x by the width of the image and y by its height"
            )


class TableDataset:
    """A data set read from files; ``layout`` names the format, ``warnings`` counts what is odd.

    ``named_only``: the format gives its categories no ids, so they are :class:`NamedCategories`.
    """

    def __init__(
        self,
        table: TruthTable,
        layout: str,
        categories: Mapping[int, str],
        columns: Mapping[str, NDArray[Any]],
        starts: NDArray[np.int64],
        masks: Mapping[int, Mask],
        fetch: _Fetch | None,
        named_only: bool,
    ) -> None:
        self.name, self.path, self.layout = str(table.path), table.path, layout
        self.kept: object = None  # what must stay as long as the data set
        self.categories: Mapping[int, str] = NamedCategories(categories) if named_only else dict(categories)
        self.warnings = table.found
        self._names, self._sizes, self._sources = table.names, table.sizes, table.sources
        self._columns, self._starts, self._masks, self._fetch = columns, starts, masks, fetch

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> Sample:
        row = range(len(self))[index]
        name, size = self._names[row], (self._sizes[2 * row], self._sizes[2 * row + 1])
        note = partial(self.warnings.note, row, f"image {name}")
        source = self._sources[row]
        path: Path | None = None
        content: str | Callable[[], str] | None = None
        if self._fetch is None:
            path = Path(source)
            read: Callable[[], Image] = partial(_read_file, path, size, note)
        else:
            content = self._fetch.content(source)
            shown = self._fetch.shown(source) if isinstance(self._fetch, StoredImages) else f"{name} of {self.path}"
            read = partial(_read_fetched, self._fetch, source, shown, size, note)
        return Sample(name, *size, self._truth(row), read, path, content=content)

    def __iter__(self) -> Iterator[Sample]:
        return (self[row] for row in range(len(self)))

    def annotations(self) -> Annotations:
        """Return the boxes of all images as flat columns, without crowds and what is ignored."""
        counted = ~(self._columns["crowd"] | self._columns["ignored"])
        if not counted.any():
            raise DataError(f"{self.name} has no boxes, so it does not show what a detector was trained on")
        return Annotations(
            np.array(self._sizes, dtype=np.int64).reshape(-1, 2),
            np.repeat(np.arange(len(self)), np.diff(self._starts))[counted],
            self._columns["boxes"][counted],
            tuple(self.categories[key] for key in self._columns["categories"][counted].tolist()),
        )

    def _truth(self, row: int) -> GroundTruth:
        rows = slice(self._starts[row], self._starts[row + 1])
        own = {name: values[rows] for name, values in self._columns.items()}
        masks: tuple[Mask | None, ...] = ()
        if self._masks:
            masks = tuple(self._masks.get(number - 1) for number in own["ids"].tolist())
        return GroundTruth(**own, masks=masks)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {len(self)} images, {len(self.categories)} categories)"


def _read_file(path: Path, size: _Size, note: Note) -> Image:
    return read_image(path, size, note)


def _read_fetched(fetch: _Fetch, source: Any, name: str, size: _Size, note: Note) -> Image:
    return decode_image(fetch(source), name, size, note)


def _box(values: NDArray[np.float64]) -> str:
    return " ".join(f"{value:g}" for value in values)
