"""Data sets: what reads which format."""

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_cropdet.data.dataset import Dataset
from pytest_cropdet.data.plugins import dataset_plugin, open_plugin
from pytest_cropdet.errors import DataError
from pytest_cropdet.settings import check_choice

if TYPE_CHECKING:
    from pytest_cropdet.data.coco import Annotations

__all__ = ["load_annotations", "load_dataset"]


def load_dataset(path: str | Path, images: str | Path | None = None, errors: str = "fail") -> Dataset:
    """Return the data set in ``path``: a COCO JSON file, a folder that holds exactly one, or the name of a plug-in's.

    ``images`` is the folder of the pictures; without it they are sought beside the JSON, then in ``images/`` beside
    it. No pixel is read. ``DataError`` says which file or annotation is wrong; with ``errors="clip"`` boxes that stick
    out of their image are clipped. What is odd is counted in ``warnings`` of the data set.
    """
    check_choice("cropdet_data_errors", errors, ("fail", "clip"))
    plugin = None if Path(path).exists() else dataset_plugin(str(path))
    if plugin is not None:
        if images is not None or errors != "fail":
            raise DataError(
                f"the data set {path} is a plug-in's, which reads its own images and annotations; no option "
                "for images or data errors applies to it"
            )
        return open_plugin(plugin)
    from pytest_cropdet.data.coco import CocoDataset

    folder = None if images is None else Path(images)
    return CocoDataset.open(_json_of(Path(path)), folder, "clip" if errors == "clip" else "fail")


def load_annotations(path: str | Path) -> "Annotations":
    """Return the boxes and image sizes in ``path``, a COCO JSON or a folder that holds exactly one, without pictures.

    ``DataError`` names the file if it is no COCO JSON or holds no boxes.
    """
    from pytest_cropdet.data.coco import read_annotations

    return read_annotations(_json_of(Path(path)))


def _json_of(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(file for file in path.iterdir() if file.suffix.lower() == ".json" and not file.is_dir())
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise DataError(f"the folder {path} must hold exactly one .json file to be a data set; found {names}")
    return found[0]
