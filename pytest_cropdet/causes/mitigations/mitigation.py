"""What can be changed at inference, without training: other pictures of a window, and their answers made one.

| name | what the detector is shown for a window of w by h pixels |
|---|---|
| ``mean`` | the window with m px of its mean colour on each side |
| ``reflection`` | the window with m px of its own reflection on each side |
| ``wider`` | a window m px wider on each side, as far as the image reaches |
| ``whole`` | the window, and the whole image made small: two pictures |
| ``overlap`` | the tiles of a denser grid that meet the window; where the plan is one of tiles |

All detections are mapped to the window's frame. Where a window has more than one picture, duplicates go by greedy NMS
of what lies in the window, each category by itself. What reaches over the window is clipped later, as any crop's is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_cropdet.crops import Family, parse_spec
from pytest_cropdet.data import Detections, Sample
from pytest_cropdet.detectors import suppress
from pytest_cropdet.errors import SpecError
from pytest_cropdet.geometry import Boxes, Crop, Image, clip, translate
from pytest_cropdet.inference import Picture

__all__ = ["MARGINS", "NMS_IOU", "Mitigation", "Padded", "Shrunk", "mitigations", "size_of"]

MARGINS = (16, 32, 64)  # px that windows are padded or widened by
OVERLAPS = (0.25, 0.5)  # shares of a tile's side
NMS_IOU = 0.6  # where the detector's description does not say another
InputShape = Callable[[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Padded:
    """A crop with ``margin`` px on each side: of its mean colour (``fill`` is "mean"), or of its "reflection"."""

    fill: str
    margin: int

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"padded by {self.fill}"

    def __str__(self) -> str:
        """Return what tells it from any other: part of the name under which its detections are kept."""
        return f"padded {self.fill} {self.margin}"

    def size(self, crop: Crop) -> tuple[int, int]:
        """Return (width, height) of what is shown."""
        return crop.width + 2 * self.margin, crop.height + 2 * self.margin

    def pixels(self, image: Image, crop: Crop) -> Image:
        """Return what is shown; its reflection repeats the pixels at the border, so that any margin can be had."""
        import cv2

        shown, m = crop.of(image), self.margin
        if self.fill == "reflection":
            return np.pad(shown, ((m, m), (m, m), (0, 0)), mode="symmetric")
        padded = np.empty((crop.height + 2 * m, crop.width + 2 * m, 3), np.uint8)
        padded[:] = np.rint(cv2.mean(np.ascontiguousarray(shown))[:3])
        padded[m : m + crop.height, m : m + crop.width] = shown
        return padded


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A crop made ``width`` by ``height`` pixels, by the mean of the pixels that each new one covers."""

    width: int
    height: int

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"made {self.width}x{self.height}"

    def __str__(self) -> str:
        """Return what tells it from any other: part of the name under which its detections are kept."""
        return f"shrunk {self.width} {self.height}"

    def size(self, crop: Crop) -> tuple[int, int]:
        """Return (width, height) of what is shown."""
        return self.width, self.height

    def pixels(self, image: Image, crop: Crop) -> Image:
        """Return what is shown."""
        import cv2

        shown = cv2.resize(crop.of(image), (self.width, self.height), interpolation=cv2.INTER_AREA)
        return np.asarray(shown, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Mitigation:
    """One measure at inference with its parameter.

    ``name`` as in the table above; ``margin``: px on each side, ``overlap`` and ``size``: of the denser tiles, as in a
    spec of windows. ``max_iou``: of the NMS where a window has more than one picture.
    """

    name: str
    margin: int | None = None
    overlap: float | None = None
    size: int | float | None = None
    max_iou: float = NMS_IOU

    @property
    def parameters(self) -> dict[str, Any]:
        """What it was done with, by name."""
        told = {"margin": self.margin, "overlap": self.overlap}
        more_pictures = {"nms_iou": self.max_iou} if self.name in ("whole", "overlap") else {}
        return {name: value for name, value in told.items() if value is not None} | more_pictures

    @property
    def shares_pictures(self) -> bool:
        """Whether windows of one image share their pictures, so that those count once for all of them."""
        return self.name == "overlap"

    def __str__(self) -> str:
        """Return it as advice, in a few words."""
        return {
            "mean": f"pad windows by {self.margin} px of their mean colour",
            "reflection": f"pad windows by {self.margin} px of reflection",
            "wider": f"widen windows by {self.margin} px",
            "whole": "add the downscaled whole image",
            "overlap": "let tiles overlap more" if self.overlap is None else f"let tiles overlap by {self.overlap:.0%}",
        }[self.name]

    def pictures(self, sample: Sample, crop: Crop, input_shape: InputShape) -> tuple[Picture, ...]:
        """Return what the detector is shown for a window of ``sample``.

        ``input_shape``: (height, width) of what the model is given of a picture of (width, height).
        """
        if self.name == "wider":
            return (Picture(sample.id, 0, _wider(crop, self.margin or 0, sample)),)
        if self.name == "whole":
            return Picture(sample.id, 0, crop), _beside(sample, crop, input_shape)
        if self.name == "overlap":
            tiles = Family("tile", (("size", self.size), ("overlap", self.overlap))).windows(sample, 0)
            return tuple(Picture(sample.id, 0, tile) for tile in tiles if _meet(tile, crop))
        return (Picture(sample.id, 0, crop, Padded(self.name, self.margin or 0)),)

    def merged(
        self, sample: Sample, crop: Crop, pictures: Sequence[Picture], found: Sequence[Detections]
    ) -> Detections:
        """Return one answer in the window's frame from the detector's in each of its pictures."""
        boxes = [
            translate(_in_image(picture, sample, each.boxes), -crop.left, -crop.top)
            for picture, each in zip(pictures, found, strict=True)
        ]
        together = Detections(
            np.concatenate(boxes),
            np.concatenate([each.scores for each in found]),
            np.concatenate([each.categories for each in found]),
            any(each.capped for each in found),
        )
        if len(pictures) == 1:
            return together
        shown = clip(together.boxes, crop.width, crop.height)
        return together.take(suppress(shown, together.scores, together.categories, self.max_iou))


def mitigations(spec: str, max_iou: float | None = None) -> list[Mitigation]:
    """Return every measure with every parameter that is tried for windows of a spec, the milder parameter first.

    >>> [each.name for each in mitigations("random") if each.margin in (None, 16)]
    ['mean', 'reflection', 'wider', 'whole']
    """
    merge = NMS_IOU if max_iou is None else max_iou
    found = [Mitigation(name, margin=m) for name in ("mean", "reflection", "wider") for m in MARGINS]
    found.append(Mitigation("whole", max_iou=merge))
    try:
        families = parse_spec(spec)
    except SpecError:  # windows that were drawn or given, or of a family that is not known here
        families = ()
    if [family.name for family in families] == ["tile"]:
        own = dict(families[0].parameters)
        denser = [overlap for overlap in OVERLAPS if overlap > own["overlap"]]
        found += [Mitigation("overlap", overlap=each, size=own["size"], max_iou=merge) for each in denser]
    return found


def size_of(picture: Picture, sample: Sample) -> tuple[int, int]:
    """Return (width, height) of a picture that a measure shows."""
    if picture.crop is None:
        return sample.width, sample.height
    if isinstance(picture.rendering, Padded | Shrunk):
        return picture.rendering.size(picture.crop)
    return picture.crop.width, picture.crop.height


def _wider(crop: Crop, margin: int, sample: Sample) -> Crop:
    left, top = max(0, crop.left - margin), max(0, crop.top - margin)
    right, bottom = min(sample.width, crop.right + margin), min(sample.height, crop.bottom + margin)
    return Crop(left, top, right - left, bottom - top)


def _beside(sample: Sample, crop: Crop, input_shape: InputShape) -> Picture:
    """Return the whole image as the model would have it no larger than the crop: by itself, or made smaller for it."""
    high, wide = input_shape(crop.width, crop.height)
    if (high, wide) == input_shape(sample.width, sample.height):
        return Picture(sample.id, -1, None)
    factor = min(wide / sample.width, high / sample.height, 1.0)
    width, height = (max(1, round(factor * side)) for side in (sample.width, sample.height))
    return Picture(sample.id, 0, Crop(0, 0, sample.width, sample.height), Shrunk(width, height))


def _meet(one: Crop, other: Crop) -> bool:
    return one.left < other.right and other.left < one.right and one.top < other.bottom and other.top < one.bottom


def _in_image(picture: Picture, sample: Sample, boxes: Boxes) -> Boxes:
    """Return boxes found in a picture in the frame of the whole image."""
    if picture.crop is None:
        return boxes
    view = picture.rendering
    if isinstance(view, Padded):
        boxes = translate(boxes, -view.margin, -view.margin)
    elif isinstance(view, Shrunk):
        boxes = boxes * np.array([sample.width / view.width, sample.height / view.height] * 2)
    return picture.crop.out_of(boxes)
