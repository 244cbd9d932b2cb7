"""Detect, then refine: a detector that looks once more at windows round proposals, and merges what it finds."""

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from pytest_cropdet.data import Dataset, Sample
from pytest_cropdet.detectors.handle import DetectorHandle, as_handle
from pytest_cropdet.detectors.sliced import MERGE_SETTINGS, read_window_settings
from pytest_cropdet.detectors.tiles import Tile
from pytest_cropdet.detectors.windowed import MergeFunction, Windowed
from pytest_cropdet.errors import DetectorError, SpecError
from pytest_cropdet.geometry import Boxes, Crop, Image

__all__ = ["Regions", "read_region_settings"]

PROPOSAL_SCORE = 0.3  # of a detection, from which it is a proposal


class Regions(Windowed):
    """A detector that runs ``detector`` on windows round proposals of each image and merges the results.

    ``proposals``: a first detector (what :func:`~pytest_cropdet.load_detector` returns, or a function of a list of RGB
    images), whose detections of ``score`` or more are the proposals; or a data set, whose annotated boxes are those of
    its images. ``margin``: share of a box's width and height that is added on each side, 0 or more; the window
    is rounded outwards to whole pixels and ends at the image. ``whole``: whether the whole image is sent, too.
    ``merge``, ``iou``, ``metric``, ``most``: as of :class:`~pytest_cropdet.Sliced`.

    An image without proposals has no window: nothing is found there, unless ``whole``. ``SpecError`` names a value that
    is wrong; ``DetectorError`` an image that is none of the data set's.

    >>> from pytest_cropdet.data import Detections
    >>> def first(images):
    ...     return [Detections([[20, 20, 40, 40]], [0.5], [1]) for image in images]
    >>> def second(images):
    ...     return [Detections([[2, 2, 18, 18]], [0.9], [1]) for image in images]
    >>> found = Regions(second, first, margin=0.1)([np.zeros((60, 120, 3), np.uint8)])
    >>> found[0].boxes.tolist()
    [[20.0, 20.0, 36.0, 36.0]]
    """

    kind = "regions"

    def __init__(
        self,
        detector: Any,
        proposals: Any,
        margin: float = 0.3,
        merge: str | MergeFunction = "nms",
        iou: float = 0.5,
        whole: bool = False,
        metric: str = "iou",
        most: int | None = None,
        score: float = PROPOSAL_SCORE,
    ) -> None:
        if not 0 <= margin < np.inf:
            raise SpecError(f"margin must be 0 or more, a share of the box's side, not {margin!r}")
        if not 0 <= score <= 1:
            raise SpecError(f"score must lie between 0 and 1, not {score!r}")
        self.margin, self.score = float(margin), float(score)
        self.proposals: Proposals = _proposals(proposals, self.score)
        super().__init__(detector, merge, iou, whole, metric, most)

    @property
    def fingerprint(self) -> str | None:
        """A hash of both detectors', or of the data set's boxes, and of the settings."""
        own, of = super().fingerprint, self.proposals.fingerprint
        return None if own is None or of is None else hashlib.sha256(f"{own} {of}".encode()).hexdigest()

    def windows_in(self, image: Image) -> list[Tile]:
        """Return a window round each proposal of an image, none of them twice."""
        return self._windows(self.proposals.in_image(image), image.shape[1], image.shape[0])

    def windows_of(self, sample: Sample) -> list[Tile]:
        """Return a window round each proposal of a sample's image, none of them twice."""
        return self._windows(self.proposals.of_sample(sample), sample.width, sample.height)

    def unmerged(self) -> "Regions":
        """Return the same windows without a merge."""
        found = Regions(self.inner, lambda images: [], self.margin, "none", whole=self.whole, score=self.score)
        found.proposals = self.proposals
        return found

    def known_settings(self) -> dict[str, str]:
        """Return the settings in words: ``margin=0.3,merge=nms,iou=0.5``."""
        found = {"margin": f"{self.margin:g}", "proposals": self.proposals.name, **self.merge_settings()}
        if self.score != PROPOSAL_SCORE:
            found["score"] = f"{self.score:g}"
        if self.whole:
            found["whole"] = "yes"
        if self.most is not None:
            found["most"] = str(self.most)
        return found

    def identity(self) -> dict[str, str]:
        """Return the settings on which detections depend: the proposals count by their content, not by their name."""
        return {key: value for key, value in self.known_settings().items() if key != "proposals"}

    def _windows(self, boxes: Boxes, width: int, height: int) -> list[Tile]:
        sides = boxes[:, 2:] - boxes[:, :2]
        low = np.floor(np.clip(boxes[:, :2] - self.margin * sides, 0, None)).astype(int)
        high = np.ceil(np.clip(boxes[:, 2:] + self.margin * sides, 0, [width, height])).astype(int)
        crops = dict.fromkeys(
            Crop(left, top, right - left, bottom - top)
            for (left, top), (right, bottom) in zip(low.tolist(), high.tolist(), strict=True)
            if right > left and bottom > top
        )
        return [Tile(crop, crop.width, crop.height) for crop in crops]


def read_region_settings(text: str) -> dict[str, Any]:
    """Return the arguments of :class:`Regions` that ``proposals=truth,margin=0.3`` says; proposals stay words.

    >>> read_region_settings("proposals=truth,margin=0.5")
    {'proposals': 'truth', 'margin': 0.5}
    """
    found = read_window_settings("regions", text, {"proposals": str, "margin": float, **MERGE_SETTINGS})
    if not found.get("proposals"):
        raise SpecError(
            f"regions:{text}: say what the windows are round: proposals=truth, or proposals=FILE with boxes"
        )
    checked = Regions(lambda images: [], **{**found, "proposals": lambda images: []})
    return {**found, "margin": checked.margin}


class Proposals:
    """Boxes of images, by their pixels; ``name`` and ``fingerprint`` say where they come from."""

    def __init__(self, name: str, find: Callable[[Image, bytes], Boxes], fingerprint: Callable[[], str | None]) -> None:
        self.name = name
        self._find, self._fingerprint = find, fingerprint
        self._known: dict[bytes, Boxes] = {}

    @property
    def fingerprint(self) -> str | None:
        """A hash of what the boxes depend on; ``None`` where that is not known."""
        return self._fingerprint()

    def in_image(self, image: Image) -> Boxes:
        """Return the boxes of an image, (n, 4) ``x0 y0 x1 y1`` in its pixels."""
        key = _digest(image)
        if key not in self._known:
            self._known[key] = self._find(image, key)
        return self._known[key]

    def of_sample(self, sample: Sample) -> Boxes:
        """Return the boxes of a sample's image."""
        return self.in_image(sample.image())


class _Annotated(Proposals):
    """The annotated boxes of a data set; crowds are none."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset.name, self._of_pixels, cache(self._hash))
        self._dataset = dataset
        self._rows: dict[str, int] | None = None
        self._pixels: dict[bytes, int] | None = None

    def of_sample(self, sample: Sample) -> Boxes:
        if self._rows is None:
            self._rows = {each.id: row for row, each in enumerate(self._dataset)}
        row = self._rows.get(sample.id)
        return super().of_sample(sample) if row is None else _boxes_of(self._dataset[row])

    def _of_pixels(self, image: Image, key: bytes) -> Boxes:
        if self._pixels is None:
            self._pixels = {_digest(each.image()): row for row, each in enumerate(self._dataset)}
        row = self._pixels.get(key)
        if row is None:
            raise DetectorError(
                f"the proposals are the boxes of {self.name}, and an image of {image.shape[1]} x {image.shape[0]} is "
                "none of its images; crops of images need proposals by a detector"
            )
        return _boxes_of(self._dataset[row])

    def _hash(self) -> str:
        digest = hashlib.sha256()
        for each in self._dataset:
            digest.update(f"{each.id}\0".encode("utf-8", "backslashreplace"))
            digest.update(np.ascontiguousarray(_boxes_of(each)).data)
        return digest.hexdigest()


def _boxes_of(sample: Sample) -> Boxes:
    boxes: Boxes = sample.truth.boxes[~sample.truth.crowd]
    return boxes


def _digest(image: Image) -> bytes:
    return hashlib.sha256(f"{image.shape}".encode() + np.ascontiguousarray(image).tobytes()).digest()


def _proposals(given: Any, score: float) -> Proposals:
    if isinstance(given, Dataset):
        return _Annotated(given)
    if isinstance(given, (str, bytes)) or not (callable(given) or isinstance(given, DetectorHandle)):
        raise SpecError(
            f"proposals must be a detector (load_detector(...), a function) or a data set (load_dataset(...)), not "
            f"{given!r}"
        )
    first = as_handle(given)

    def find(image: Image, key: bytes) -> Boxes:
        (found,) = first([image])
        boxes: Boxes = found.boxes[found.scores >= score]
        return boxes

    return Proposals(first.name, find, lambda: first.fingerprint)
