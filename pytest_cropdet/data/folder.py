"""A folder of pictures without ground truth, for the agreement gate."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from pytest_cropdet.data.data_warnings import DataWarnings
from pytest_cropdet.data.image_files import image_size
from pytest_cropdet.data.images import read_image
from pytest_cropdet.data.samples import GroundTruth, Sample
from pytest_cropdet.errors import DataError

__all__ = ["ImageFolder"]

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


class ImageFolder:
    """The pictures of a folder and of the folders in it, by name; sizes are those in the heads of the files."""

    categories: Mapping[int, str] = {}
    layout = "images without annotations"
    has_truth = False

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self.warnings = DataWarnings()
        files = sorted(
            path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and not path.is_dir()
        )
        self._samples = [self._sample(folder, path, place) for place, path in enumerate(files)]
        if not self._samples:
            raise DataError(f"the folder {folder} holds no pictures ({', '.join(IMAGE_SUFFIXES)})")

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples)

    def _sample(self, folder: Path, path: Path, place: int) -> Sample:
        name = path.relative_to(folder).as_posix()
        note = partial(self.warnings.note, place, f"image {name}")
        width, height = image_size(path)
        return Sample(name, width, height, GroundTruth.empty(), partial(read_image, path, note=note), path)

    def __repr__(self) -> str:
        return f"ImageFolder({self.name!r}, {len(self)} images)"
