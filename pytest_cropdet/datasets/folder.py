"""A folder of pictures without ground truth, for the agreement gate."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from pytest_cropdet.errors import DataError
from pytest_cropdet.images import read_image
from pytest_cropdet.samples import GroundTruth, Sample

__all__ = ["ImageFolder"]

ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


class ImageFolder:
    """The pictures of a folder and of the folders in it, by name. Sizes are found by reading each picture once."""

    categories: Mapping[int, str] = {}
    has_truth = False

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._samples = [_sample(folder, path) for path in sorted(folder.rglob("*")) if path.suffix.lower() in ENDINGS]
        if not self._samples:
            raise DataError(f"the folder {folder} holds no pictures ({', '.join(ENDINGS)})")

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples)

    def __repr__(self) -> str:
        return f"ImageFolder({self.name!r}, {len(self)} images)"


def _sample(folder: Path, path: Path) -> Sample:
    height, width = read_image(path).shape[:2]
    name = path.relative_to(folder).as_posix()
    return Sample(name, width, height, GroundTruth.empty(), partial(read_image, path), path)
