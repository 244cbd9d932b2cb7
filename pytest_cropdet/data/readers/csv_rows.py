"""CSV: one row for each object, in the columns of the TF Object Detection API's tutorials or of RetinaNet.

Coordinates are taken as they are: edges in pixels, from the left and top of the image.
"""

import csv
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from pytest_cropdet.data.category_files import CategoryIds, decode_text, read_category_file
from pytest_cropdet.data.coco_truth import DataErrors
from pytest_cropdet.data.image_files import IMAGE_ENDINGS, files_ending, image_size, leads_out, list_names
from pytest_cropdet.data.image_lookup import ImageLookup, refuse_shared
from pytest_cropdet.data.image_stores import StoredImages
from pytest_cropdet.data.truth_table import TableDataset, TruthTable
from pytest_cropdet.errors import DataError
from pytest_cropdet.files import refuse_special

__all__ = ["CsvLayout"]

_LARGEST_CSV = 1 << 30  # bytes
_LONGEST_LINE = 1 << 20  # letters
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_SNIFFED = 4096  # bytes by which the delimiter is found; the sniffer's patterns are slow on long text
_DELIMITERS = ",;\t|"
_COLUMNS = {  # column: its spellings
    "image": ("filename", "file_name", "image", "image_path", "path", "file"),
    "width": ("width", "image_width"),
    "height": ("height", "image_height"),
    "name": ("class", "label", "class_name", "category", "name"),
    "x0": ("xmin", "x_min", "x1", "left"),
    "y0": ("ymin", "y_min", "y1", "top"),
    "x1": ("xmax", "x_max", "x2", "right"),
    "y1": ("ymax", "y_max", "y2", "bottom"),
}
_NEEDED = ("image", "name", "x0", "y0", "x1", "y1")
_RETINANET = {"image": 0, "x0": 1, "y0": 2, "x1": 3, "y1": 4, "name": 5}
_EXPECTED = (
    "filename,width,height,class,xmin,ymin,xmax,ymax (in any order, named in the first row), or without names "
    "path,x1,y1,x2,y2,class_name"
)


@dataclass(frozen=True)
class CsvLayout:
    """The CSV of a data set, and the list of its classes, where there is one."""

    path: Path
    classes: Path | None = None

    @classmethod
    def of(cls, path: Path) -> "CsvLayout | None":
        """Return the layout of a file, or of a folder with exactly one CSV beside a list of classes."""
        if path.is_file():
            if path.suffix.lower() not in (".csv", ".tsv"):
                return None
            lists = [each for each in _csvs(path.parent) if each != path and "class" in each.stem.lower()]
            return cls(path, lists[0] if len(lists) == 1 and _is_class_list(lists[0]) else None)
        found = [each for each in _csvs(path) if not ("class" in each.stem.lower() and _is_class_list(each))]
        if len(found) > 1:
            raise DataError(f"the folder {path} contains several CSV files: name one of {list_names(map(str, found))}")
        return cls.of(found[0]) if found else None

    @property
    def layout(self) -> str:
        """The name of the format."""
        return f"CSV, {self.path.name}{'' if self.classes is None else f' with {self.classes.name}'}"

    def read(
        self,
        images: Path | None,
        errors: DataErrors,
        labels: CategoryIds | None,
        store: StoredImages | None = None,
    ) -> TableDataset:
        """Read every row and return the data set."""
        if labels is None and self.classes is not None:
            labels = read_category_file(self.classes)
        rows, columns = _table(self.path)
        folders = [self.path.parent, self.path.parent / "images"] if images is None else [images]
        if images is not None and store is not None:
            folders = list(dict.fromkeys((images, store.root)))
        table = TruthTable(self.path, "row")
        reader = _Rows(table, columns, folders, ImageLookup(self.path, images, store), store)
        for number, row in rows:
            reader.read(number, row)
        reader.refuse_missing()
        table.refuse_normalised()
        categories = table.settle_names(labels)
        return table.dataset(self.layout, categories, errors, fetch=store, named_only=labels is None)


class _Rows:
    """Reads rows into images and objects; the file of an image is sought once."""

    def __init__(
        self,
        table: TruthTable,
        columns: dict[str, int],
        folders: Sequence[Path],
        lookup: ImageLookup,
        store: StoredImages | None,
    ) -> None:
        self.table, self.folders, self.lookup, self.store = table, folders, lookup, store
        self._there: Callable[[Path], bool] = _there if store is None else store.exists
        self._measured: Callable[[Path], tuple[int, int]] = image_size if store is None else store.size
        self.missing: dict[str, None] = {}
        self._images: dict[str, int] = {}
        self._files: dict[str, Path] = {}
        self._sides: dict[int, tuple[str, str]] = {}
        self._last, self._name_at, self._kind_at = max(columns.values()), columns["image"], columns["name"]
        self._box_at = [columns[key] for key in ("x0", "y0", "x1", "y1")]
        self._size_at = [columns[key] for key in ("width", "height")] if {"width", "height"} <= {*columns} else []

    def read(self, number: int, row: Sequence[str]) -> None:
        """Read a row: an object, or an image without any."""
        cells = [*row, *[""] * (self._last + 1 - len(row))] if len(row) <= self._last else row
        name = cells[self._name_at].strip()
        if not name:
            self.table.faults.add(f"row {number}: the name of the image is missing")
            return
        sides = (cells[self._size_at[0]].strip(), cells[self._size_at[1]].strip()) if self._size_at else ("", "")
        image = self._images.get(name)
        if image is None or sides != self._sides.get(image, sides):
            image = self._image(name, sides, number)
            if image is None:
                return
        corners = [cells[place].strip() for place in self._box_at]
        kind = cells[self._kind_at].strip()
        if not kind and not any(corners):
            return
        try:
            box = [float(text) for text in corners]
        except ValueError:
            try:
                box = [float(text.replace(",", ".")) for text in corners]
            except ValueError:
                self.table.faults.add(f"row {number}: the box needs four numbers, is {' '.join(corners)[:60]!r}")
                return
        if not kind:
            self.table.faults.add(f"row {number}: the name of the category is missing")
            return
        self.table.add(image, self.table.kind(kind), box, number)

    def _image(self, name: str, sides: tuple[str, str], number: int) -> int | None:
        """Return the row of an image that is new, or whose size is written otherwise than before; ``None``: missing."""
        if name in self.missing:
            return None
        size, image = self._size(sides, number), self._images.get(name)
        if image is None:
            file = self._file(name, number)
            if file is None:
                self.missing[name] = None
                return None
            try:
                measured = size or self._measured(file)
            except DataError as error:
                raise DataError(f"{self.table.path}, row {number}: {error}") from error.__cause__
            image = self._images[name] = self.table.add_image(name, measured, str(file))
            self._files[name] = file
            self._sides[image] = sides
        known = (self.table.sizes[2 * image], self.table.sizes[2 * image + 1])
        if size is not None and size != known:
            self.table.faults.add(
                f"row {number}: {name} has a size of {size[0]} x {size[1]}, in a row before {known[0]} x {known[1]}"
            )
        return image

    def refuse_missing(self) -> None:
        """Raise ``DataError`` if the files of some images are not there."""
        refuse_shared(self.table.path, self._files)
        if self.missing:
            self.lookup.refuse_leading_out(list(self.missing))
            every = len(self.missing) + len(self._images)
            raise DataError(
                f"{self.table.path}: missing in {self._sought()}: {list_names(self.missing)} (of "
                f"{every:,} images); name the folder: --cropdet-images DIR"
            )

    def _sought(self) -> str:
        return " and ".join(map(str, self.folders)) if self.store is None else self.store.source.shown

    def _size(self, texts: tuple[str, str], number: int) -> tuple[int, int] | None:
        if not any(texts) or texts == ("0", "0"):
            return None
        try:
            width, height = (int(float(text)) for text in texts)
        except (ValueError, OverflowError):
            self.table.faults.add(f"row {number}: width and height must be numbers, are {' '.join(texts)[:60]!r}")
            return None
        return width, height

    def _file(self, name: str, number: int) -> Path | None:
        """Return the file of an image; a path from the root of a disk is taken, as RetinaNet's rows have them."""
        plain = Path(name.replace("\\", "/"))
        if plain.is_absolute() and self._there(plain):
            return plain
        found = next((file for folder in self.folders if (file := self.lookup.find(folder, name)) is not None), None)
        if found is not None:
            return found
        if leads_out(name):
            if not plain.is_absolute() and self.lookup.images is None:
                raise DataError(
                    f"{self.table.path}: row {number}: {name[:60]!r} leads out of the folder; name the folder of the "
                    "images: --cropdet-images DIR"
                )
            return None
        if not plain.suffix:
            for folder, ending in product(self.folders, IMAGE_ENDINGS):
                if self._there(folder / f"{plain}{ending}"):
                    return folder / f"{plain}{ending}"
        found = next((file for folder in self.folders if (file := self.lookup.similar(folder, name)) is not None), None)
        if found is not None:
            self.table.found.add("other_image_name", f"image {name}: {found.name}", len(self.table.names))
        return found


def _there(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        refuse_special(path, "the image")
    return stat.S_ISREG(mode)


def _csvs(folder: Path) -> list[Path]:
    return files_ending(folder, (".csv", ".tsv"))


def _is_class_list(path: Path) -> bool:
    """Return whether a CSV has rows of a name and a number alone."""
    try:
        with path.open("rb") as stream:
            lines = stream.read(_SNIFFED).decode("utf-8-sig", "replace").splitlines()[:-1] if path.is_file() else []
        if path.is_file() and path.stat().st_size < _SNIFFED:
            lines = decode_text(path, "the list of classes").splitlines()
    except (OSError, DataError):
        return False
    rows = [line.split(",") for line in lines if line.strip()]
    return bool(rows) and all(len(row) == 2 and row[1].strip().isdigit() for row in rows)


def _table(path: Path) -> tuple[Iterator[tuple[int, list[str]]], dict[str, int]]:
    """Return the rows with objects, each with its number, and the places of the columns."""
    text = decode_text(path, "the data set", _LARGEST_CSV)
    if not text.strip():
        raise DataError(f"the data set {path} is an empty file; a CSV was expected")
    start = "\n".join(text[:_SNIFFED].splitlines()[:20])
    try:
        delimiter = csv.Sniffer().sniff(start, _DELIMITERS).delimiter
    except csv.Error:
        delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    if delimiter not in _DELIMITERS:
        delimiter = ","
    rows = _rows(text, delimiter, path)
    first = next(rows, (1, []))
    columns = _named_columns(first[1])
    if columns is not None:
        return rows, columns
    if len(first[1]) != len(_RETINANET) or not _is_retinanet(first[1]):
        raise DataError(f"{path}: the first row is {delimiter.join(first[1])[:80]!r}; expected the columns {_EXPECTED}")
    return _rows(text, delimiter, path), _RETINANET


def _rows(text: str, delimiter: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(_lines(text, path), delimiter=delimiter)
    number = 0
    try:
        for row in reader:
            number = reader.line_num
            if any(map(str.strip, row)):
                yield number, row
    except csv.Error as error:
        raise DataError(f"{path}: row {number + 1}: {error}") from error


def _lines(text: str, path: Path) -> Iterator[str]:
    """Yield the lines of a CSV; a line that no row could need is refused, for all of its cells would be in memory."""
    for number, line in enumerate(_LINE.finditer(text), 1):
        length = line.end() - line.start()
        if length > _LONGEST_LINE:
            raise DataError(f"{path}: line {number:,} has {length:,} letters; at most {_LONGEST_LINE:,} are read")
        yield line[0]


def _named_columns(row: Sequence[str]) -> dict[str, int] | None:
    """Return where each column is, if a row has their names."""
    cells = [cell.strip().lower() for cell in row]
    found = {}
    for key, spellings in _COLUMNS.items():
        place = next((cells.index(name) for name in spellings if name in cells), None)
        if place is not None:
            found[key] = place
    return found if all(key in found for key in _NEEDED) else None


def _is_retinanet(row: Sequence[str]) -> bool:
    cells = [cell.strip() for cell in row]
    if not any(cells[1:]):
        return bool(cells[0])
    try:
        [float(cell) for cell in cells[1:5]]
    except ValueError:
        return False
    return bool(cells[5])
