"""COCO JSON: images, boxes, masks, crowds. Everything is checked when a set is opened, except pixels."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data.coco_json import CocoEntries, read_tables
from pytest_cropdet.data.coco_truth import AnnotatedObjects, DataErrors, read_objects
from pytest_cropdet.data.data_warnings import DataWarnings
from pytest_cropdet.data.image_lookup import ImageLookup, refuse_shared
from pytest_cropdet.data.images import LARGEST_UNCHECKED_IMAGE, Note, check_size, read_image
from pytest_cropdet.data.samples import GroundTruth, Sample
from pytest_cropdet.errors import DataError
from pytest_cropdet.geometry import Boxes, Image

__all__ = ["Annotations", "CocoDataset", "read_annotations"]


class CocoDataset:
    """A data set read from a COCO JSON file; ``warnings`` counts what is odd in it and in images decoded so far."""

    layout = "COCO JSON"

    def __init__(
        self,
        name: str,
        categories: Mapping[int, str],
        samples: list[Sample],
        path: Path,
        found: DataWarnings | None = None,
    ) -> None:
        self.name = name
        self.categories = categories
        self.path = path
        self.warnings = DataWarnings() if found is None else found
        self._samples = samples

    @classmethod
    def open(cls, path: Path, images: Path | None = None, errors: DataErrors = "fail") -> "CocoDataset":
        """Read and check ``path``; pictures lie in ``images``, or beside the JSON, or in ``images/`` there.

        ``errors``: "clip" clips boxes that stick out of their image.
        """
        tables, found = read_tables(path), DataWarnings()
        truths = _truths(tables, read_objects(tables, found, errors))
        files = _image_files(path, images, [entry.file_name for entry in tables.images.values()], found)
        samples = []
        for place, (image_id, entry) in enumerate(tables.images.items()):
            file = files[entry.file_name]
            if entry.width * entry.height > LARGEST_UNCHECKED_IMAGE:  # its masks may take gigabytes
                check_size(file, (entry.width, entry.height))
            note = partial(found.note, place, f"image {entry.file_name}")
            read = partial(_read_checked, file, (entry.width, entry.height), note)
            truth, checked = truths[image_id], entry.checked
            if checked is not None:
                checked |= frozenset(truth.categories.tolist()) - entry.partly
            samples.append(Sample(entry.file_name, entry.width, entry.height, truth, read, file, checked))
        found.warn(str(path), stacklevel=5)
        return cls(str(path), tables.categories, samples, path, found)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples)

    def __repr__(self) -> str:
        return f"CocoDataset({self.name!r}, {len(self)} images, {len(self.categories)} categories)"


@dataclass(frozen=True, eq=False)
class Annotations:
    """The boxes of a data set without its pictures; crowds and boxes without area are left out.

    ``sizes``: (images, 2) width and height in pixels. ``image``: (n,) row in ``sizes``. ``boxes``: (n, 4) ``x0 y0 x1
    y1`` pixels. ``names``: the category of each box.
    """

    sizes: NDArray[np.int64]
    image: NDArray[np.int64]
    boxes: Boxes
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.boxes)

    def __repr__(self) -> str:
        return f"Annotations({len(self.sizes)} images, {len(self)} boxes)"


def read_annotations(path: Path) -> Annotations:
    """Return the boxes of a COCO JSON; no picture is sought. ``DataError`` names the file if it holds no boxes.

    Large training sets are rarely clean, so a box that sticks out of its image is clipped to it, however far.
    """
    tables = read_tables(path)
    objects = read_objects(tables, DataWarnings(), "clip", boxes_only=True)
    places = {image_id: place for place, image_id in enumerate(tables.images)}
    kept = np.flatnonzero(~objects.crowd)
    if not len(kept):
        raise DataError(f"{path} holds no boxes, so it does not show what a detector was trained on")
    order = kept[np.argsort([places[image] for image in objects.image[kept].tolist()], kind="stable")]
    return Annotations(
        np.array([(entry.width, entry.height) for entry in tables.images.values()]),
        np.array([places[image] for image in objects.image[order].tolist()]),
        objects.boxes[order],
        tuple(tables.categories[category] for category in objects.category[order].tolist()),
    )


def _truths(tables: CocoEntries, objects: AnnotatedObjects) -> dict[int, GroundTruth]:
    """Return the ground truth of each image, objects in the order of the file."""
    rows: dict[int, list[int]] = {image_id: [] for image_id in tables.images}
    for row, image_id in enumerate(objects.image.tolist()):
        rows[image_id].append(row)
    return {
        image_id: GroundTruth(
            boxes=objects.boxes[own].reshape(-1, 4),
            categories=objects.category[own],
            ids=objects.ids[own],
            crowd=objects.crowd[own],
            areas=objects.areas[own],
            masks=tuple(objects.masks[row] for row in own),
        )
        for image_id, own in ((key, np.array(each, dtype=np.int64)) for key, each in rows.items())
    }


def _image_files(path: Path, images: Path | None, names: list[str], found: DataWarnings) -> dict[str, Path]:
    """Return the file of each image by its name, all in one folder; one of another case or ending is counted."""
    folders = _folders_of(path) if images is None else [images]
    lookup = ImageLookup(path, images)
    best: tuple[Path, list[str]] | None = None
    for find in (lookup.find, lookup.similar):
        for folder in folders:
            exact = {name: file for name in names if (file := lookup.find(folder, name)) is not None}
            missing = [name for name in names if name not in exact]
            files = exact if find is lookup.find else exact | _not_taken(exact, missing, partial(find, folder))
            missing = [name for name in names if name not in files]
            if not missing:
                refuse_shared(path, files)
                for place, name in enumerate(names):
                    if name not in exact:
                        found.add("other_image_name", f"image {name}: {files[name].name}", place)
                return files
            if images is not None or len(missing) < len(names if best is None else best[1]):
                best = folder, missing
    lookup.refuse_leading_out(names if best is None else best[1])
    if best is not None:
        folder, missing = best
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise DataError(f"{path}: missing in {folder}: {', '.join(missing[:3])}{more} (of {len(names)} images)")
    sought = " or ".join(map(str, folders[:2]))
    raise DataError(f"{path}: no picture found in {sought} (sought {names[0]}); name the folder: --cropdet-images DIR")


def _not_taken(exact: Mapping[str, Path], missing: list[str], find: Callable[[str], Path | None]) -> dict[str, Path]:
    """Return the files of similar names, but for those that another name means exactly."""
    taken = set(exact.values())
    found = {name: file for name in missing if (file := find(name)) is not None}
    return {name: file for name, file in found.items() if file not in taken}


def _folders_of(path: Path) -> list[Path]:
    """Return the folders in which exports have the images of a JSON, from its own on.

    ``data/``: FiftyOne's. A JSON in ``annotations/`` may have them in ``images/`` beside that folder (CVAT, Datumaro),
    or in a folder that is called as the end of its name says: ``instances_val2017.json`` and ``val2017/`` (COCO).
    """
    here, above = path.parent, path.parent.parent
    folders = [here, here / "images", here / "data"]
    if here.name.lower() == "annotations":
        subset = path.stem.rpartition("instances_")[2]
        folders += [above / "images" / subset, above / "images", above / subset, above]
    return [folder for place, folder in enumerate(folders) if place < 2 or folder.is_dir()]


def _read_checked(path: Path, size: tuple[int, int], note: Note) -> Image:
    return read_image(path, size, note)
