"""YOLO: a text file for each image, one line for each object, in sides of the image: boxes, or polygons as masks."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_cropdet.data.category_files import CategoryIds, decode_text
from pytest_cropdet.data.coco_truth import DataErrors
from pytest_cropdet.data.image_files import IMAGE_ENDINGS, files_ending, image_paths, image_size, leads_out, list_names
from pytest_cropdet.data.image_stores import StoredImages
from pytest_cropdet.data.readers.yolo_lines import YoloLines
from pytest_cropdet.data.readers.yolo_yaml import SPLITS, YoloYaml
from pytest_cropdet.data.truth_table import TableDataset, TruthTable
from pytest_cropdet.errors import DataError

__all__ = ["YoloDataLayout"]

_YAMLS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_LISTS = ("classes.txt", "obj.names", "classes.names", "labels.txt")
_OTHERS = {
    *_LISTS,
    "train.txt",
    "val.txt",
    "valid.txt",
    "test.txt",
    "readme.txt",
    "readme.roboflow.txt",
    "readme.dataset.txt",
}


@dataclass(frozen=True)
class YoloDataLayout:
    """Where the parts of a YOLO set are: a ``data.yaml``, a list of images, or folders ``images/`` and ``labels/``."""

    path: Path
    yaml: Path | None = None
    listed: Path | None = None
    folder: Path | None = None

    @classmethod
    def of(cls, path: Path) -> "YoloDataLayout | None":
        """Return the layout of a file or a folder, ``None`` if it is none of YOLO's."""
        if path.is_file():
            if path.suffix.lower() in (".yaml", ".yml"):
                return cls(path, yaml=path)
            return cls(path, listed=path) if path.suffix.lower() == ".txt" and _lists_images(path) else None
        yamls = [path / name for name in _YAMLS if (path / name).exists()][:1] or _yamls_with_names(path)
        if len(yamls) > 1:
            raise DataError(f"the folder {path} contains several YAML files: name one of {list_names(map(str, yamls))}")
        if yamls:
            return cls(path, yaml=yamls[0])
        images, labels = path / "images", path / "labels"
        if images.is_dir() and labels.is_dir() and (_has_texts(labels)):
            return cls(path, folder=images)
        return cls(path, folder=path) if _has_labels_beside(path) else None

    @property
    def layout(self) -> str:
        """The name of the format."""
        if self.yaml is not None:
            yaml = YoloYaml.read(self.yaml)
            return f"YOLO, {self.yaml.name}, {_split_of(yaml)}"
        return f"YOLO, the list {self.listed.name}" if self.listed is not None else "YOLO, images and labels"

    def read(
        self,
        images: Path | None,
        errors: DataErrors,
        labels: CategoryIds | None,
        store: StoredImages | None = None,
    ) -> TableDataset:
        """Read the size of every image and every label file, and return the data set."""
        yaml = None if self.yaml is None else YoloYaml.read(self.yaml)
        if images is not None and store is not None:
            raise DataError(
                f"{self.path}: the label files of YOLO are beside its images, so {store.source.shown} cannot be used "
                "for images alone; name the whole set: --cropdet-data with an archive or a URL of both"
            )
        if images is not None:
            roots = [images]
        else:
            roots = [self.listed or self.folder or self.path] if yaml is None else yaml.folders_of(_split_of(yaml))
        files = list(dict.fromkeys(file for root in roots for file in _images_in(root, store)))
        if not files:
            raise DataError(f"{self.path}: no image in {list_names(map(str, roots))} ({', '.join(IMAGE_ENDINGS)})")
        names = self._categories(yaml, roots) if labels is None else labels.names
        table = TruthTable(self.path, "line")
        lines = YoloLines(table, yaml, names)
        common = len(os.path.commonpath([os.path.dirname(each) for each in files]).rstrip(os.sep)) + 1  # noqa: PTH120
        labels_of = {file: _label_of(file) for file in files}
        texts = _label_files(labels_of.values())
        others = _in_lower_case(texts.keys() - labels_of.values())
        if store is not None:
            store.measure(files)
        for file, text in labels_of.items():
            size = image_size(Path(file)) if store is None else store.size(file)
            image = table.add_image(file[common:].replace(os.sep, "/"), size, file)
            if text not in texts and text.lower() in others:
                text = others.pop(text.lower())  # noqa: PLW2901
                table.found.add("other_image_name", f"image {table.names[image]}: {os.path.split(text)[1]}", image)
            if text in texts:
                texts[text] = True
                lines.read(image, Path(text))
        if not any(texts.values()):
            raise DataError(
                f"{self.path}: no label file for any of {len(files):,} images; sought {labels_of[files[0]]} for "
                f"{files[0]}"
            )
        whole = all(root.is_dir() for root in roots)  # a list leaves out some on purpose
        for place, unused in enumerate(_unused(texts) if whole else []):
            table.found.add("annotation_without_image", unused if store is None else store.shown(unused), place)
        categories = lines.finish()
        return table.dataset(self.layout, categories, errors, fetch=store)

    def _categories(self, yaml: YoloYaml | None, roots: Sequence[Path]) -> Mapping[int, str] | None:
        """Return the names by number, ``None`` where no file has them."""
        if yaml is not None:
            return yaml.names
        base = self.path if self.path.is_dir() else self.path.parent
        places = [base, base / "labels", *(root.parent for root in roots), *roots]
        found = next((place / name for place in places for name in _LISTS if (place / name).is_file()), None)
        if found is None:
            return None
        names = [line.strip() for line in decode_text(found, "the categories").rstrip().splitlines()]
        if not all(names) or len(set(names)) < len(names):
            raise DataError(f"{found}: an empty line, or a name that is given twice; it lists one category a line")
        return dict(enumerate(names))


def _split_of(yaml: YoloYaml) -> str:
    for split in SPLITS:
        if split in yaml.splits:
            return split
    raise DataError(
        f"{yaml.path} names no images: it has none of {', '.join(SPLITS)}; add one, as in `val: images/val`"
    )


def _images_in(place: Path, store: StoredImages | None) -> list[str]:
    """Return the images of a folder, or those that a list names, below the list's folder or absolute."""
    place = Path(os.path.abspath(place))  # noqa: PTH100  (links stay, because labels are beside what is named)
    if place.is_dir():
        return image_paths(place) if store is None else store.paths_below(place)
    files = []
    for number, line in enumerate(decode_text(place, "the list of images").splitlines(), 1):
        name = line.strip().replace("\\", "/")
        if not name:
            continue
        if not Path(name).is_absolute() and leads_out(name):
            raise DataError(f"{place}: line {number}: {name[:60]!r} leads out of the folder of the list")
        if not name.lower().endswith(IMAGE_ENDINGS):
            raise DataError(f"{place}: line {number}: {name[:60]!r} is no image ({', '.join(IMAGE_ENDINGS)})")
        files.append(str(place.parent / name))
    return files


def _label_of(file: str) -> str:
    """Return the label file of an image: the last ``images`` of its path becomes ``labels``, its ending ``.txt``."""
    folder, name = os.path.split(file)
    before, found, after = f"{folder}{os.sep}".rpartition(f"{os.sep}images{os.sep}")
    if found:
        folder = f"{before}{os.sep}labels{os.sep}{after}"
    return os.path.join(folder, f"{name.rpartition('.')[0]}.txt")  # noqa: PTH118


def _label_files(wanted: Iterable[str]) -> dict[str, bool]:
    """Return the label files there are in the folders of the wanted ones, each with False: not used yet."""
    found: dict[str, bool] = {}
    for folder in dict.fromkeys(os.path.dirname(path) for path in wanted):  # noqa: PTH120
        try:
            with os.scandir(folder) as entries:
                names = [entry.name for entry in entries]
        except OSError:
            continue
        found |= {os.path.join(folder, name): False for name in names if name.lower().endswith(".txt")}  # noqa: PTH118
    return found


def _in_lower_case(texts: Iterable[str]) -> dict[str, str]:
    """Return label files by their paths in lower case, without those of which several are alike."""
    found: dict[str, list[str]] = {}
    for text in texts:
        found.setdefault(text.lower(), []).append(text)
    return {key: each[0] for key, each in found.items() if len(each) == 1}


def _unused(texts: Mapping[str, bool]) -> list[str]:
    """Return the label files without an image; lists and notes among them are none."""
    return sorted(each for each, used in texts.items() if not used and Path(each).name.lower() not in _OTHERS)


def _lists_images(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            lines = stream.read(4096).decode("utf-8", "replace").splitlines()
    except OSError:
        return False
    first = next((line.strip().lower() for line in lines if line.strip()), "")
    return first.endswith(IMAGE_ENDINGS)


def _yamls_with_names(path: Path) -> list[Path]:
    """Return the YAML files of a folder that have names of categories, by a look at their text."""
    found = []
    for file in files_ending(path, (".yaml", ".yml")):
        if file.is_file():
            with file.open("rb") as stream:
                text = stream.read(1 << 16)
            if any(line.startswith(b"names") for line in text.splitlines()):
                found.append(file)
    return found


def _has_texts(folder: Path) -> bool:
    return any(name.endswith(".txt") for _, _, names in os.walk(folder) for name in names)


def _has_labels_beside(path: Path) -> bool:
    """Return whether a folder has images with label files of the same names beside them, and names of categories."""
    with os.scandir(path) as entries:
        names = {entry.name for entry in entries}
    if not names & {*_LISTS}:
        return False
    return any(f"{name.rpartition('.')[0]}.txt" in names for name in names if name.lower().endswith(IMAGE_ENDINGS))
