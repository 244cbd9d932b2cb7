"""Data sets: what reads which format."""

from pathlib import Path

from pytest_cropdet.errors import DataError
from pytest_cropdet.protocols import Dataset

__all__ = ["load_dataset"]


def load_dataset(path: str | Path, images: str | Path | None = None) -> Dataset:
    """Return the data set in ``path``: a COCO JSON file, or a folder that holds exactly one.

    ``images`` is the folder of the pictures; without it they are sought beside the JSON, then in ``images/`` beside
    it. No pixel is read. ``DataError`` says which file or annotation is wrong.
    """
    from pytest_cropdet.datasets.coco import CocoDataset

    path = Path(path)
    if path.is_dir():
        found = sorted(path.glob("*.json"))
        if len(found) != 1:
            names = ", ".join(file.name for file in found) or "none"
            raise DataError(f"the folder {path} must hold exactly one .json file to be a data set; found {names}")
        path = found[0]
    return CocoDataset.open(path, None if images is None else Path(images))
