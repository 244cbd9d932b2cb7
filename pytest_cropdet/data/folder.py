"""A folder of pictures without ground truth, for the agreement gate."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from pytest_cropdet.data.data_warnings import DataWarnings
from pytest_cropdet.data.image_files import image_size
from pytest_cropdet.data.image_stores import StoredImages
from pytest_cropdet.data.images import Note, decode_image, read_image
from pytest_cropdet.data.samples import GroundTruth, Sample
from pytest_cropdet.errors import DataError
from pytest_cropdet.geometry import Image

__all__ = ["ImageFolder"]

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


class ImageFolder:
    """The pictures of a folder and of the folders in it, by name; sizes are those in the heads of the files."""

    categories: Mapping[int, str] = {}
    layout = "images without annotations"
    has_truth = False

    def __init__(self, folder: Path, store: StoredImages | None = None) -> None:
        self.name = str(folder) if store is None else store.source.shown
        self.warnings = DataWarnings()
        self._store = store
        if store is None:
            found = (path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and not path.is_dir())
            files = sorted(found)
        else:
            paths = store.paths_below(folder)
            store.measure(paths)
            files = [Path(path) for path in paths]
        self._samples = [self._sample(folder, path, place) for place, path in enumerate(files)]
        if not self._samples:
            raise DataError(
                f"{'the folder ' if store is None else ''}{self.name} contains no images ({', '.join(IMAGE_SUFFIXES)})"
            )

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples)

    def _sample(self, folder: Path, path: Path, place: int) -> Sample:
        name = path.relative_to(folder).as_posix()
        note = partial(self.warnings.note, place, f"image {name}")
        if self._store is not None:
            width, height = self._store.size(path)
            read = partial(_read_stored, self._store, str(path), note)
            content = self._store.content(str(path))
            return Sample(name, width, height, GroundTruth.empty(), read, content=content)
        width, height = image_size(path)
        return Sample(name, width, height, GroundTruth.empty(), partial(read_image, path, note=note), path)

    def __repr__(self) -> str:
        return f"ImageFolder({self.name!r}, {len(self)} images)"


def _read_stored(store: StoredImages, path: str, note: Note) -> Image:
    return decode_image(store(path), store.shown(path), note=note)
