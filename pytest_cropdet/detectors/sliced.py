"""Sliced inference: a detector that runs another one on tiles of the image, and merges what it finds.

It is a detector like any other, so gate, comparison, invariants, search and report work on it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytest_cropdet.data import Sample
from pytest_cropdet.detectors.tiles import Tile, TileGrid, tile_size
from pytest_cropdet.detectors.windowed import MergeFunction, Windowed
from pytest_cropdet.errors import SpecError
from pytest_cropdet.geometry import Image

__all__ = ["MERGE_SETTINGS", "Sliced", "read_sliced_spec", "read_window_settings"]


class Sliced(Windowed):
    """A detector that runs ``detector`` on tiles of each image and merges the results.

    ``detector``: anything that :func:`~pytest_cropdet.load_detector` takes or returns, or a function of a list of RGB
    images. ``size``: side of a tile in pixels (whole, 1 or more), as a share of the image's side (below 1), or a pair
    (width, height). ``overlap``: share of a tile by which neighbours overlap, 0 to below 1. ``edge``: ``inside`` moves
    the last tile of a row inside the image, ``pad`` fills it with grey. ``whole``: whether the whole image is sent,
    too. ``merge``: ``none``, ``nms``, ``soft-nms``, ``nmm``, ``greedy-nmm``, ``wbf``, ``seam``, or a function of
    :class:`~pytest_cropdet.detectors.merges.Pieces` that returns ``Detections``. ``iou``: the overlap from which on two
    boxes are one object; ``metric``: its measure, ``iou`` or ``ios`` (over the smaller of both areas). ``most``: the
    most detections of an image, best first; ``None`` for all.

    Detections are in pixels of the image, as of any detector. ``SpecError`` names a value that is wrong.

    >>> import numpy as np
    >>> from pytest_cropdet.data import Detections
    >>> def detect(images):
    ...     return [Detections([[0, 0, 10, 10]], [0.9], [1]) for image in images]
    >>> found = Sliced(detect, size=60, overlap=0, whole=False)([np.zeros((60, 120, 3), np.uint8)])
    >>> found[0].boxes.tolist()
    [[0.0, 0.0, 10.0, 10.0], [60.0, 0.0, 70.0, 10.0]]
    """

    kind = "sliced"

    def __init__(
        self,
        detector: Any,
        size: str | float | Sequence[int | float] = 320,
        overlap: float = 0.2,
        merge: str | MergeFunction = "nms",
        iou: float = 0.5,
        whole: bool = True,
        metric: str = "iou",
        edge: str = "inside",
        most: int | None = None,
    ) -> None:
        self.grid = TileGrid(tile_size(size), overlap, edge)
        super().__init__(detector, merge, iou, whole, metric, most)

    def tiles(self, width: int, height: int) -> list[Tile]:
        """Return what is sent of an image of that size: the whole image first, if it is, then the tiles row by row."""
        return self._with_whole(self.grid.tiles(width, height), width, height)

    def windows_in(self, image: Image) -> list[Tile]:
        """Return the tiles of an image, row by row."""
        return self.grid.tiles(image.shape[1], image.shape[0])

    def windows_of(self, sample: Sample) -> list[Tile]:
        """Return the tiles of a sample's image, row by row."""
        return self.grid.tiles(sample.width, sample.height)

    def unmerged(self) -> "Sliced":
        """Return the same tiles without a merge."""
        found = Sliced(self.inner, self.grid.size, self.grid.overlap, "none", whole=self.whole, edge=self.grid.edge)
        if self.source is not None and isinstance(self.source[0], str):  # what workers elsewhere load
            _, model = read_sliced_spec(self.source[0].removeprefix("sliced:"))
            found.source = (f"sliced:{found.settings}:{model}", self.source[1])
            found.workers, found.cluster = self.workers, self.cluster
        return found

    def known_settings(self) -> dict[str, str]:
        """Return the settings as a spec writes them, in its order."""
        width, height = self.grid.size
        found = {
            "size": f"{width}" if width == height else f"{width}x{height}",
            "overlap": f"{self.grid.overlap:g}",
            **self.merge_settings(),
        }
        if not self.whole:
            found["whole"] = "no"
        if self.grid.edge != "inside":
            found["edge"] = self.grid.edge
        if self.most is not None:
            found["most"] = str(self.most)
        return found


def read_sliced_spec(rest: str) -> tuple[dict[str, Any], str]:
    """Return the arguments of :class:`Sliced` and the spec of the inner model, from what follows ``sliced:``.

    >>> read_sliced_spec("size=320,overlap=0.1:tflite:net.tflite")
    ({'size': '320', 'overlap': 0.1}, 'tflite:net.tflite')
    >>> read_sliced_spec("net.tflite")
    ({}, 'net.tflite')
    """
    head, colon, model = rest.partition(":")
    first = head.partition("=")[0]
    if not colon or "=" not in head or not first.isidentifier():
        if not rest:
            raise SpecError("sliced: needs a model: sliced:size=320,overlap=0.2:MODEL")
        return {}, rest
    if not model:
        raise SpecError(f"sliced:{rest} names no model; write sliced:{head}:MODEL")
    return read_window_settings("sliced", head, SLICED_SETTINGS), model


def read_window_settings(of: str, head: str, readers: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    """Return ``key=value,...`` as arguments; ``of``: the word that errors begin with."""
    found: dict[str, Any] = {}
    for part in head.split(","):
        key, equals, text = part.partition("=")
        if key not in readers or not equals:
            raise SpecError(f"{of}:{head}: unknown setting {part!r}; choose from {', '.join(readers)}")
        try:
            found[key] = readers[key](text)
        except SpecError:
            raise
        except ValueError:
            raise SpecError(f"{of}:{head}: {key} cannot be {text!r}") from None
    return found


def _flag(text: str) -> bool:
    if text not in ("yes", "no"):
        raise SpecError(f"whole must be yes or no, not {text!r}")
    return text == "yes"


MERGE_SETTINGS: Mapping[str, Callable[[str], Any]] = {
    "merge": str,
    "iou": float,
    "metric": str,
    "whole": _flag,
    "most": int,
}
SLICED_SETTINGS: Mapping[str, Callable[[str], Any]] = {"size": str, "overlap": float, **MERGE_SETTINGS, "edge": str}
