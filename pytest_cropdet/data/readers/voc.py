"""Pascal VOC: one XML for each image, in a folder beside that of the images or together with them.

Coordinates count from 1 and include the last pixel, so a box is ``xmin-1 ymin-1 xmax ymax``.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_cropdet.data.category_files import CategoryIds, decode_text
from pytest_cropdet.data.coco_json import as_flag
from pytest_cropdet.data.coco_truth import DataErrors
from pytest_cropdet.data.image_files import IMAGE_ENDINGS, ImageNames, image_size, leads_out, list_names, spellings
from pytest_cropdet.data.image_stores import StoredImages
from pytest_cropdet.data.optional import import_extra
from pytest_cropdet.data.truth_table import TableDataset, TruthTable
from pytest_cropdet.errors import DataError
from pytest_cropdet.files import read_file

__all__ = ["VocLayout"]

_XML_FOLDERS = ("annotations", "annotation", "annots", "xml", "xmls", "labels")
_IMAGE_FOLDERS = ("jpegimages", "images", "image", "imgs", "img")
_SPLITS = ("val", "test", "train", "trainval")  # the first that there is
_LARGEST_XML = 16 << 20  # bytes
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class VocLayout:
    """Where the parts of a Pascal VOC set are. ``split``: the file that lists its images; ``None``: every XML."""

    path: Path
    xmls: Path
    images: Path
    split: Path | None = None

    @classmethod
    def of(cls, path: Path) -> "VocLayout | None":
        """Return the layout of a folder, or of a list in its ``ImageSets``; ``None`` if it is no such set."""
        if path.is_file():
            sets = next((each for each in path.parents if each.name.lower() == "imagesets"), None)
            found = None if sets is None or path.suffix.lower() != ".txt" else cls.of(sets.parent)
            return None if found is None else cls(path, found.xmls, found.images, path)
        folders = {each.name.lower(): each for each in _folders(path)}
        xmls = next((folders[name] for name in _XML_FOLDERS if name in folders and _has_xml(folders[name])), None)
        if xmls is None and _has_xml(path):
            xmls = path
        if xmls is None:
            return cls._of_kit(path)
        images = next((folders[name] for name in _IMAGE_FOLDERS if name in folders), xmls if xmls == path else path)
        sets = folders.get("imagesets")
        lists = [] if sets is None else [sets / "Main" / f"{name}.txt" for name in _SPLITS]
        lists += [] if sets is None else [sets / f"{name}.txt" for name in _SPLITS]
        return cls(path, xmls, images, next((each for each in lists if each.exists()), None))

    @classmethod
    def _of_kit(cls, path: Path) -> "VocLayout | None":
        """Return the layout of the one year in a VOCdevkit."""
        years = [each for each in _folders(path) if each.name.upper().startswith("VOC")]
        found = [(each, layout) for each in years if (layout := cls.of(each)) is not None]
        if len(found) > 1:
            raise DataError(
                f"the folder {path} contains several Pascal VOC sets: {list_names(str(y) for y, _ in found)}"
            )
        return found[0][1] if found else None

    @property
    def layout(self) -> str:
        """The name of the format, with the list that chooses the images."""
        return f"Pascal VOC, {'every XML' if self.split is None else f'{self.split.parent.name}/{self.split.name}'}"

    def read(
        self,
        images: Path | None,
        errors: DataErrors,
        labels: CategoryIds | None,
        store: StoredImages | None = None,
    ) -> TableDataset:
        """Read every XML and return the data set."""
        parse = import_extra("defusedxml.ElementTree", "Pascal VOC")
        files = ImageNames(self.images if images is None else images, None if store is None else store.paths_below)
        table = TruthTable(self.path)
        missing: list[str] = []
        for stem, path in self._annotations():
            root = _parsed(path, parse)
            file = _image_of(stem, root, files, table, path)
            if file is None:
                missing.append(f"{stem} ({_text(root, 'filename') or 'no filename'})")
                continue
            size = _size(root, path) or (image_size(file) if store is None else store.size(file))
            image = table.add_image(files.name_of(file), size, str(file))
            for number, element in enumerate(root.findall("object"), 1):
                _read_object(element, table, image, number)
        if missing:
            sought = files.folder if store is None else store.source.shown
            raise DataError(
                f"{self.path}: no image in {sought} for {list_names(missing)} (of "
                f"{len(missing) + len(table.names)} XML files); name the folder: --cropdet-images DIR"
            )
        table.refuse_normalised(origin=1.0)
        categories = table.settle_names(labels)
        self._count_extra(files, table)
        return table.dataset(self.layout, categories, errors, fetch=store, named_only=labels is None)

    def _annotations(self) -> Sequence[tuple[str, Path]]:
        """Return the stem and the path of each XML; lists name images with or without an ending, in any case."""
        with os.scandir(self.xmls) as entries:
            there = {entry.name[:-4]: self.xmls / entry.name for entry in entries if _is_xml(entry.name)}
        if self.split is None:
            return sorted(there.items())
        chosen = []
        for number, line in enumerate(decode_text(self.split, "the list").splitlines(), 1):
            parts = line.split()
            if len(parts) > 1 and parts[-1] in ("0", "1", "-1"):
                raise DataError(
                    f"{self.split} lists the images of one category (line {number}: {line.strip()[:60]}); name a list "
                    f"of the whole set, such as {self.split.parent / 'val.txt'}"
                )
            name = line.strip()
            if name and leads_out(name):
                raise DataError(f"{self.split}: line {number}: {name[:60]!r} leads out of the folder")
            stem, dot, ending = name.rpartition(".")
            if name in there or f"{dot}{ending}".lower() not in (".xml", *IMAGE_ENDINGS):
                stem = name
            if stem:
                chosen.append((stem, there.get(stem, self.xmls / f"{stem}.xml")))
        if not chosen:
            raise DataError(f"{self.split} lists no images")
        return chosen

    def _count_extra(self, files: ImageNames, table: TruthTable) -> None:
        """Count images without an XML; they are no part of a set of which every XML is read."""
        known = set(table.names)
        if self.split is None:
            for place, name in enumerate(sorted(set(files) - known)):
                table.found.add("image_without_annotation", f"image {name}", place)


def _folders(path: Path) -> list[Path]:
    try:
        return sorted(each for each in path.iterdir() if each.is_dir())
    except OSError:
        return []


def _is_xml(name: str) -> bool:
    return name.lower().endswith(".xml")


def _has_xml(path: Path) -> bool:
    try:
        with os.scandir(path) as entries:
            return any(_is_xml(entry.name) for entry in entries)
    except OSError:
        return False


def _parsed(path: Path, parse: Any) -> Any:
    """Return the root of an XML; one with entities, or too long, is refused."""
    try:
        size = path.stat().st_size
    except (OSError, ValueError):
        size = 0
    if size > _LARGEST_XML:
        raise DataError(f"cannot read the annotation {path}: it has {size:,} bytes, more than {_LARGEST_XML:,}")
    data = read_file(path, "the annotation")
    refused = import_extra("defusedxml.common", "Pascal VOC").DefusedXmlException
    try:
        root = parse.fromstring(data)
    except refused as error:
        raise DataError(
            f"the annotation {path} defines or loads entities, which no annotation needs: refused"
        ) from error
    except (parse.ParseError, ValueError, LookupError, RecursionError) as error:
        raise DataError(f"the annotation {path} is not XML: {error}") from error
    if root.tag != "annotation":
        raise DataError(f"the annotation {path} is no Pascal VOC XML: it begins with <{str(root.tag)[:40]}>")
    return root


def _text(element: Any, tag: str) -> str:
    return _stripped(element.find(tag))


def _stripped(found: Any) -> str:
    return "" if found is None or found.text is None else str(found.text).strip()


def _size(root: Any, path: Path) -> tuple[int, int] | None:
    """Return the annotated size; ``None`` where it is missing or 0, as some tools write it."""
    size = root.find("size")
    if size is None:
        return None
    try:
        width, height = (float(_text(size, tag) or 0) for tag in ("width", "height"))
        whole = int(width), int(height)
    except (ValueError, OverflowError):
        raise DataError(
            f"{path}: the size is no number: {_text(size, 'width')[:40]!r}, {_text(size, 'height')[:40]!r}"
        ) from None
    return whole if min(whole) > 0 else None


def _image_of(stem: str, root: Any, files: ImageNames, table: TruthTable, path: Path) -> Path | None:
    """Return the image of an XML: that of its own name, whatever its ending; else the one that it names."""
    named = _text(root, "filename").replace("\\", "/")
    if leads_out(named):
        named = named.rpartition("/")[2]  # tools write the path that an image had on another machine
    said = files.find(named) if named else None
    own = files.with_stem(stem)
    if said is not None and (not own or said in own):
        return said
    if not own:
        stems = [each.rpartition(".")[0] for each in spellings(named)]
        with_stem = next((found for each in stems if each and (found := files.with_stem(each))), [])
        in_any_case = (files.in_any_case(each) for each in (stem, *stems) if each)
        alike = with_stem or next((found for found in in_any_case if found), [])
        if len(alike) == 1 and not with_stem:
            table.found.add("other_image_name", f"{path.name}: {files.name_of(alike[0])}", len(table.names))
        return alike[0] if len(alike) == 1 else None
    if len(own) > 1:
        raise DataError(f"{path}: several images have its name: {list_names(each.name for each in own)}")
    if said is not None:
        table.found.add("other_file_name", f"{path.name}: {named}", len(table.names))
    return own[0]


def _read_object(element: Any, table: TruthTable, image: int, number: int) -> None:
    """Put an object into the table, or what is wrong with it to the faults."""
    parts = {each.tag: each for each in reversed(element)}  # the first of each tag
    box = parts.get("bndbox")
    if box is None:
        turned = "robndbox" in parts
        table.faults.add(
            f"{table.where(image, number)}: "
            + ("an oriented box (robndbox); only upright boxes are read" if turned else "no bndbox")
        )
        return
    name = _stripped(parts.get("name"))
    if not name:
        table.faults.add(f"{table.where(image, number)}: the name of its category is missing")
        return
    difficult = as_flag(_stripped(parts.get("difficult")) or None)
    if difficult is None:
        table.faults.add(
            f"{table.where(image, number)}: difficult must be 0 or 1, is {_text(element, 'difficult')[:40]!r}"
        )
        return
    edges = {each.tag: each.text for each in reversed(box)}
    texts = [(edges.get(tag) or "").strip() for tag in _CORNERS]
    try:
        left, top, right, bottom = map(float, texts)
    except ValueError:
        table.faults.add(
            f"{table.where(image, number)}: bndbox needs four numbers {' '.join(_CORNERS)}, is {' '.join(texts)[:60]!r}"
        )
        return
    if right < left or bottom < top:
        table.faults.add(
            f"{table.where(image, number)}: bndbox {' '.join(texts)[:60]} has xmax < xmin or ymax < ymin "
            f"({' '.join(_CORNERS)})"
        )
        return
    if left == 0 or top == 0:
        table.found.add("counts_from_0", table.where(image, number), image)
    table.add(image, table.kind(name), (left - 1, top - 1, right, bottom), number, ignored=difficult)
