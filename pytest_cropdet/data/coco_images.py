"""Where the images of a COCO JSON are: in one folder, in one archive, or at one URL."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pytest_cropdet.data.archives import ARCHIVE_ENDINGS
from pytest_cropdet.data.data_warnings import DataWarnings
from pytest_cropdet.data.image_files import files_ending
from pytest_cropdet.data.image_lookup import ImageLookup, refuse_shared
from pytest_cropdet.data.image_stores import StoredImages, open_store
from pytest_cropdet.errors import DataError
from pytest_cropdet.files import read_file

__all__ = ["ImageFiles", "image_files"]


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """The path of each image; ``store`` has them, where they are no files of this disk."""

    paths: list[str]
    store: StoredImages | None = None

    def encoded(self, path: str) -> tuple[bytes, str]:
        """Return an encoded image and what messages call it."""
        if self.store is None:
            return read_file(Path(path), "the image"), path
        return self.store(path), self.store.shown(path)


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder in which images may be, on this disk or in a store."""

    folder: Path
    store: StoredImages | None
    lookup: ImageLookup

    @property
    def shown(self) -> str:
        """What messages call it."""
        return str(self.folder) if self.store is None else self.store.shown(self.folder / "_").removesuffix("/_")


def image_files(
    path: Path, images: Path | None, names: list[str], found: DataWarnings, store: StoredImages | None
) -> ImageFiles:
    """Return the file of each image, all in one place; one of another case or ending is counted."""
    best: tuple[_Place, list[str]] | None = None
    seen: list[tuple[_Place, dict[str, Path], list[str]]] = []
    for place in _places(path, images, store):
        exact = {name: file for name in names if (file := place.lookup.find(place.folder, name)) is not None}
        missing = [name for name in names if name not in exact]
        if not missing:
            return _taken(path, names, exact, place.store)
        seen.append((place, exact, missing))
    for place, exact, others in seen:
        similar = _not_taken(exact, others, partial(place.lookup.similar, place.folder))
        files = exact | similar
        missing = [name for name in others if name not in similar]
        if not missing:
            taken = _taken(path, names, files, place.store)
            for row, name in enumerate(names):
                if name in similar:
                    found.add("other_image_name", f"image {name}: {files[name].name}", row)
            return taken
        named = images is not None and best is None
        if named or len(missing) < len(names if best is None else best[1]):
            best = place, missing
    seen[0][0].lookup.refuse_leading_out(names if best is None else best[1])
    if best is not None:
        missing = best[1]
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise DataError(f"{path}: missing in {best[0].shown}: {', '.join(missing[:3])}{more} (of {len(names)} images)")
    sought = " or ".join(place.shown for place, *_ in seen[:2])
    raise DataError(f"{path}: no picture found in {sought} (sought {names[0]}); name the folder: --cropdet-images DIR")


def _taken(path: Path, names: list[str], files: Mapping[str, Path], store: StoredImages | None) -> ImageFiles:
    refuse_shared(path, files)
    return ImageFiles([str(files[name]) for name in names], store)


def _places(path: Path, images: Path | None, store: StoredImages | None) -> Iterator[_Place]:
    """Yield where the images may be: what is named, else folders near the JSON, then archives."""
    lookup = ImageLookup(path, images, store)
    if images is not None:
        for folder in [images] if store is None else dict.fromkeys((images, store.root)):
            yield _Place(folder, store, lookup)
        return
    for folder in _folders_of(path):
        if store is None or not store.source.lists or folder.is_dir():
            yield _Place(folder, store, lookup)
    if store is None:
        for archive in _archives_of(path):
            inside = open_store(archive)
            for folder in dict.fromkeys((inside.top, inside.root)):
                yield _Place(folder, inside, ImageLookup(path, None, inside))


def _archives_of(path: Path) -> list[Path]:
    """Return the archives near a JSON that are called as folders of its images are: ``images.zip``, ``val2017.tar``."""
    stems = {"images", "data", path.stem.lower(), path.stem.lower().rpartition("instances_")[2]}
    above = [path.parent.parent] if path.parent.name.lower() == "annotations" else []
    found = []
    for folder in (path.parent, *above):
        found += [each for each in files_ending(folder, ARCHIVE_ENDINGS) if each.name.lower().split(".")[0] in stems]
    return found


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
