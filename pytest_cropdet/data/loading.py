"""Data sets: what reads which format."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pytest_cropdet.data.data_warnings import DataWarning, refuse_warnings
from pytest_cropdet.data.dataset import Dataset
from pytest_cropdet.data.folder import ImageFolder
from pytest_cropdet.data.image_files import files_ending, path_exists
from pytest_cropdet.data.image_stores import is_stored, open_store
from pytest_cropdet.data.plugins import dataset_plugin, open_plugin
from pytest_cropdet.data.staging import StagedSet, inside_archive, stage_set
from pytest_cropdet.errors import DataError
from pytest_cropdet.files import is_url, refuse_special, shown_url
from pytest_cropdet.settings import check_choice

if TYPE_CHECKING:
    from pytest_cropdet.data.category_files import CategoryIds
    from pytest_cropdet.data.coco import Annotations, CocoDataset
    from pytest_cropdet.data.coco_truth import DataErrors
    from pytest_cropdet.data.image_stores import StoredImages
    from pytest_cropdet.data.truth_table import TableDataset

__all__ = ["find_data", "load_annotations", "load_dataset", "load_images", "name_layout"]

_RECOGNISED = (
    "a COCO JSON, or a folder with exactly one",
    "Pascal VOC: a folder with Annotations/ and JPEGImages/, or XML files beside images; or a list in its ImageSets/",
    "YOLO: a data.yaml, a folder with one, a folder with images/ and labels/, or a .txt list of images",
    "TFRecord of the TF Object Detection API: a file, a folder, or a pattern such as 'val-*'",
    "CSV: filename,width,height,class,xmin,ymin,xmax,ymax, or path,x1,y1,x2,y2,class_name without a first row of names",
)
_CONVERT = "Other formats: convert them with supervision or globox (docs/data.md shows how)"
_SHOWN = 8  # names of a folder that an error shows


class _Layout(Protocol):
    """A data set that was recognised by its files, not read yet."""

    @property
    def layout(self) -> str:
        """The name of its format."""
        ...

    def read(
        self,
        images: Path | None,
        errors: "DataErrors",
        labels: "CategoryIds | None",
        store: "StoredImages | None" = None,
    ) -> "TableDataset":
        """Read it. ``store``: has its images, where they are no files of this disk."""
        ...


class _CocoLayout:
    """A COCO JSON."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def layout(self) -> str:
        return f"COCO JSON, {self.path.name}"

    def read(
        self,
        images: Path | None,
        errors: "DataErrors",
        labels: "CategoryIds | None",
        store: "StoredImages | None" = None,
    ) -> "CocoDataset":
        from pytest_cropdet.data.coco import CocoDataset

        if labels is not None:
            raise DataError(f"{self.path}: a COCO JSON has its own categories; leave out --cropdet-data-labels")
        return CocoDataset.open(self.path, images, errors, store)


def load_dataset(
    path: str | Path,
    images: str | Path | None = None,
    errors: "DataErrors" = "fail",
    labels: str | Path | None = None,
    strict: bool = False,
) -> Dataset:
    """Return the data set in ``path``, COCO JSON, VOC, YOLO, TFRecord or CSV, by its files; or that of a plug-in.

    ``path`` and ``images`` may be archives (zip, tar) and URLs of fsspec. ``images`` is the folder of the pictures;
    without it they are sought where the format puts them. ``labels``: a file
    with the ids of the categories (a label map, a list of classes). No pixel is read. ``DataError`` says which file or
    annotation is wrong; with ``errors="clip"`` boxes that stick out of their image are clipped. What is odd is counted
    in ``warnings`` of the data set; with ``strict`` every warning is a ``DataError``, also one that an image shows when
    it is decoded.
    """
    if strict:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            dataset = load_dataset(path, images, errors, labels)
        refuse_warnings(dataset)
        return dataset
    check_choice("cropdet_data_errors", errors, ("fail", "clip"))
    plugin = None if Path(path).exists() or is_url(str(path)) else dataset_plugin(str(path))
    if plugin is not None:
        if images is not None or labels is not None or errors != "fail":
            raise DataError(
                f"the data set {path} is a plug-in's, which reads its own images and annotations; no option "
                "for images, labels or data errors applies to it"
            )
        return open_plugin(plugin)
    names = None if labels is None else _read_categories(Path(labels))
    try:
        with _opened(path) as (staged, place):
            store = None if staged is None else staged.images
            folder = None
            if images is not None:
                store = open_store(images) if is_stored(images) else None
                folder = Path(images) if store is None else store.top
            data = find_data(place).read(folder, "clip" if errors == "clip" else "fail", names, store)
    except MemoryError as error:
        shown = shown_url(str(path)) if is_url(str(path)) else path
        raise DataError(f"cannot read the data set {shown}: there is too little memory for what it says") from error
    if staged is not None:
        data.name, data.path = staged.shown, Path(staged.shown)
        data.kept = staged
    return data


def load_images(path: str | Path) -> ImageFolder:
    """Return the images of a folder, an archive or a URL, without annotations."""
    if not is_stored(path):
        return ImageFolder(Path(path))
    store = open_store(path)
    return ImageFolder(store.top, store)


def _read_categories(path: Path) -> "CategoryIds":
    from pytest_cropdet.data.category_files import CategoryIds, read_category_file
    from pytest_cropdet.data.readers.yolo_yaml import YAML_ENDINGS, yaml_categories

    if path.suffix.lower() not in YAML_ENDINGS:
        return read_category_file(path)
    found = CategoryIds(path)
    for number, name in yaml_categories(path).items():
        found.add(number, name)
    return found


@contextmanager
def _opened(path: str | Path) -> "Iterator[tuple[StagedSet | None, Path]]":
    """Give the annotations of a data set as files of this disk, and their folder's keeper where they are copies."""
    staged = stage_set(path)
    if staged is None:
        yield None, Path(path)
        return
    with staged.naming():
        yield staged, staged.place


def load_annotations(path: str | Path) -> "Annotations":
    """Return the boxes and image sizes in ``path``, a data set of any format that :func:`load_dataset` recognises.

    Of a COCO JSON no picture is sought; no pixel is read of any. ``DataError`` names the file if it holds no boxes.
    """
    from pytest_cropdet.data.coco import read_annotations

    with _opened(path) as (staged, place):
        found = find_data(place)
        if isinstance(found, _CocoLayout):
            return read_annotations(found.path)
        return found.read(None, "clip", None, None if staged is None else staged.images).annotations()


def name_layout(path: str | Path) -> str | None:
    """Return the name of the format of a data set, ``None`` if it is not recognised; only names of files are read.

    Nothing is fetched from a URL for it, and of an archive nothing is copied.
    """
    if is_url(str(path)):
        return "read through fsspec"
    if inside_archive(str(path)) is not None:
        return "in an archive"
    try:
        return find_data(Path(path)).layout
    except (DataError, OSError):
        return None


def find_data(path: Path) -> "_Layout | _CocoLayout":
    """Return what the files of ``path`` are; ``DataError`` lists what is recognised, and what is there."""
    from pytest_cropdet.data.readers.tfrecord import TfRecordLayout

    if path.is_dir():
        return _in_folder(path)
    if not path_exists(path):
        pattern = TfRecordLayout.of(path) if any(letter in path.name for letter in "*?[") else None
        if pattern is not None:
            return pattern
    refuse_special(path, "the data set")
    if path.suffix.lower() == ".json":
        return _CocoLayout(path)
    for finder in _finders():
        found = finder(path)
        if found is not None:
            return found
    if _may_be_json(path):
        return _CocoLayout(path)
    raise DataError(f"cannot read the data set {path}: its format is not recognised. {_recognised()}")


def _finders() -> list[Callable[[Path], _Layout | None]]:
    from pytest_cropdet.data.readers.csv_rows import CsvLayout
    from pytest_cropdet.data.readers.tfrecord import TfRecordLayout
    from pytest_cropdet.data.readers.voc import VocLayout
    from pytest_cropdet.data.readers.yolo import YoloDataLayout

    return [VocLayout.of, YoloDataLayout.of, CsvLayout.of, TfRecordLayout.of]


def _in_folder(path: Path) -> "_Layout | _CocoLayout":
    try:
        jsons = _jsons(path)
        if len(jsons) == 1 and _looks_like_coco(jsons[0]):
            return _CocoLayout(jsons[0])
        others = [found for finder in _finders() if (found := finder(path)) is not None]
    except OSError as error:
        raise DataError(f"cannot read the folder {path}: {error.strerror or error}") from error
    if len(others) == 1:
        return others[0]
    if others:
        kinds = "; ".join(each.layout for each in others)
        raise DataError(f"the folder {path} may be several data sets: {kinds}. Name the file of one: {_recognised()}")
    return _CocoLayout(_json_of(path))


def _jsons(path: Path) -> list[Path]:
    return files_ending(path, (".json",))


def _json_of(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = _jsons(path)
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        inside = sorted(each.relative_to(path).as_posix() for each in path.glob("*/*.json"))[:_SHOWN]
        there = sorted(each.name + "/" * each.is_dir() for each in path.iterdir())
        more = f" and {len(there) - _SHOWN:,} more" if len(there) > _SHOWN else ""
        raise DataError(
            f"the folder {path} is not recognised as a data set; COCO needs exactly one .json file in it, found {names}"
            + (f"; in its folders: {', '.join(inside)}" if inside else "")
            + f".\n{_recognised()}\nIn the folder: {', '.join(there[:_SHOWN]) or 'nothing'}{more}."
            "\nImages alone, without annotations: --cropdet-images DIR without --cropdet-data"
        )
    return found[0]


def _recognised() -> str:
    return "Recognised are:\n  " + "\n  ".join(_RECOGNISED) + f"\n{_CONVERT}"


def _may_be_json(path: Path) -> bool:
    """Return whether a file without the ending of any format begins as JSON does, or is empty, or a Git LFS pointer."""
    with path.open("rb") as stream:
        start = stream.read(1 << 10).removeprefix(b"\xef\xbb\xbf").lstrip()
    return start[:1] in (b"", b"{", b"[") or start.startswith(b"version https://")


def _looks_like_coco(path: Path) -> bool:
    """Return whether a JSON beside the files of another format is one of COCO, by the names that it has."""
    if not path.is_file():
        return True
    with path.open("rb") as stream:
        text = b""
        while block := stream.read(1 << 20):
            text = text[-20:] + block
            if b'"annotations"' in text:
                return True
    return False
