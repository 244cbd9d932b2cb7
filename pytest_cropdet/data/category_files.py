"""Files that give the categories of a data set their ids: label maps, lists of classes, tables of name and id."""

import csv
import os
from collections.abc import Mapping
from pathlib import Path

from pytest_cropdet.data.label_map import LabelMapError, label_map_items
from pytest_cropdet.errors import DataError
from pytest_cropdet.files import is_pointer, refuse_pointer, refuse_special

__all__ = ["CategoryIds", "decode_text", "read_category_file"]

_LARGEST = 16 << 20  # bytes


class CategoryIds:
    """Names by id, as shown, and ids by every name that an annotation may use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names: dict[int, str] = {}
        self.ids: dict[str, int] = {}

    def add(self, number: int, *names: str) -> None:
        """Add a category; the last of its names is shown, and annotations may use any of them."""
        if number in self.names:
            raise DataError(f"{self.path}: the id {number} is given twice")
        if not names or not names[-1]:
            raise DataError(f"{self.path}: the category with the id {number} has no name")
        for name in dict.fromkeys(names):
            if name in self.ids:
                raise DataError(f"{self.path}: the name {name!r} is given twice (ids {self.ids[name]} and {number})")
            self.ids[name] = number
        self.names[number] = names[-1]

    def lacks(self, name: str) -> str:
        """Return what is wrong with a name that the file lacks."""
        known = ", ".join(list(self.names.values())[:20])
        return f"the category {name[:60]!r} is not in {self.path}, which has {known}"


def decode_text(path: Path, what: str, limit: int = _LARGEST) -> str:
    """Return the text of a file in UTF-8, or in UTF-16 with its byte order mark; ``DataError`` names any other."""
    refuse_special(path, what)
    try:
        with path.open("rb", buffering=0) as stream:
            size = os.fstat(stream.fileno()).st_size
            data = b"" if size > limit else stream.readall()
    except OSError as error:
        raise DataError(f"cannot read {what} {path}: {error.strerror or error}") from error
    if size > limit:
        raise DataError(f"cannot read {what} {path}: it has {size:,} bytes, more than {limit:,}")
    if is_pointer(data):
        refuse_pointer(path, what)
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"cannot read {what} {path}: it is not UTF-8 text ({error}); save it as UTF-8") from error


def read_category_file(path: Path) -> CategoryIds:
    """Return the categories in a label map (``.pbtxt``), a table ``name,id`` (``.csv``) or a list, one name a line.

    The ids of a list count from 0. ``DataError`` names a line that does not fit.
    """
    text = decode_text(path, "the categories")
    found = CategoryIds(path)
    if path.suffix.lower() in (".pbtxt", ".prototxt"):
        _read_label_map(text, found)
    elif path.suffix.lower() == ".csv":
        _read_table(text, found)
    else:
        for number, line in enumerate(text.rstrip().splitlines()):
            found.add(number, line.strip())
    if not found.names:
        raise DataError(f"{path} lists no categories")
    return found


def _read_table(text: str, found: CategoryIds) -> None:
    try:
        rows = [row for row in csv.reader(text.splitlines()) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataError(f"{found.path} is not a CSV: {error}") from error
    for line, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        if len(cells) != 2 or not cells[1].isascii() or not cells[1].isdigit() or len(cells[1]) > 9:
            raise DataError(f"{found.path}: row {line} is not a name and a whole number: {','.join(cells)[:60]}")
        found.add(int(cells[1]), cells[0])


def _read_label_map(text: str, found: CategoryIds) -> None:
    """Read ``item { name: "..." id: 1 display_name: "..." }``; what else an item has is passed over."""
    try:
        for item in label_map_items(text):
            _add_item(dict(item), found)
    except LabelMapError as error:
        raise DataError(f"{found.path}: {error}") from None


def _add_item(item: Mapping[str, str], found: CategoryIds) -> None:
    number = item.get("id", "")
    if not number.isascii() or not number.isdigit() or len(number) > 9:
        raise DataError(f"{found.path}: an item has no whole number as its id, but {number!r} ({item.get('name')})")
    names = [item[key] for key in ("name", "display_name") if item.get(key)]
    found.add(int(number), *names)
