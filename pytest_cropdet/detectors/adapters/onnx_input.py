"""The input of an ONNX file: where its channels are, its size, its type, and what stands for a pixel's 0..255."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors.adapters.onnx_file import OnnxFile
from pytest_cropdet.detectors.adapters.onnx_graph import Tensor, are_channels_first, shown_shape
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.resize import scale_values
from pytest_cropdet.errors import DetectorError

__all__ = ["MASK", "OnnxInput", "read_images_input"]

KINDS = (np.float32, np.float16, np.uint8)
TARGET_SIZES, MASK = "orig_target_sizes", "pixel_mask"  # second inputs that are known


@dataclass(frozen=True, slots=True)
class OnnxInput:
    """The tensor of images: ``shape`` is (batch, height, width) with ``None`` for what is open.

    ``channels``: the axis of the channels in one image, 0 or 2. ``batched``: whether it has an axis of images at all.
    ``others``: second inputs, which are filled in here.
    """

    tensor: Tensor
    batch: int | None
    height: int | None
    width: int | None
    channels: int
    batched: bool
    others: Sequence[Tensor]

    @property
    def shown(self) -> str:
        """Its name, type and shape, as messages begin."""
        return f"its input {self.tensor}"

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width, where the file fixes both."""
        return None if self.height is None or self.width is None else (self.height, self.width)

    @property
    def is_fixed(self) -> bool:
        """Whether the file fixes height and width."""
        return self.size is not None

    @property
    def has_pixels(self) -> bool:
        """Whether it takes the numbers of an image as they are."""
        return bool(self.tensor.dtype == np.uint8)

    @property
    def scales_boxes(self) -> bool:
        """Whether boxes come multiplied with sizes that are inputs too: with 1, they are 0 to 1."""
        return any(other.name == TARGET_SIZES for other in self.others)

    @property
    def has_mask(self) -> bool:
        """Whether it takes a mask of the pixels that belong to the image."""
        return any(other.name == MASK for other in self.others)

    def decide_range(self, given: Description) -> str:
        """Return the range of a pixel; what cannot be is refused."""
        if self.has_pixels:
            given.refuse("its input is uint8, which has the pixels as they are", "mean", "std")
            if given.range not in (None, "0..255"):
                raise DetectorError(f"range={given.range}: its input is uint8, which has 0..255")
            return "0..255"
        kind = np.dtype(self.tensor.dtype)
        value_range = str(given.require("range", f"{self.shown} is {kind}, and the file does not say in which range"))
        given.statistics()
        return value_range

    def values(self, pixels: NDArray[Any], given: Description) -> NDArray[Any]:
        """Return pixels (height, width, 3), 0..255, as the tensor has them."""
        if not self.has_pixels:
            pixels = scale_values(pixels, str(given.range), *given.statistics())
        ordered = pixels.transpose(2, 0, 1) if self.channels == 0 else pixels
        return np.ascontiguousarray(ordered, dtype=self.tensor.dtype)

    def feed(self, images: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Return every input for a batch of images."""
        count, height, width = len(images), *np.moveaxis(images, 1 + self.channels, -1).shape[1:3]
        feed = {self.tensor.name: images if self.batched else images[0]}
        for other in self.others:
            if other.name == TARGET_SIZES:
                shape = [count, 2]
            else:
                shape = [
                    count,
                    *(
                        side if isinstance(side, int) else known
                        for side, known in zip(other.shape[1:], (height, width), strict=True)
                    ),
                ]
            feed[other.name] = np.ones(shape, other.dtype)
        return feed


def read_images_input(inputs: Sequence[Tensor], file: OnnxFile) -> OnnxInput:
    """Return the input among ``inputs``; what is no tensor of RGB images is refused."""
    images = [each for each in inputs if _may_be_images(each)]
    others = [each for each in inputs if each not in images]
    if len(images) != 1 or not all(_is_known(each) for each in others):
        raise DetectorError(
            f"its inputs are {', '.join(map(str, inputs)) or 'none'}; a detector takes one tensor of RGB images (and "
            f"perhaps {TARGET_SIZES} or {MASK}). For any other write a function that returns Detections and name it as "
            "package.module:factory"
        )
    tensor = images[0]
    if tensor.dtype not in KINDS:
        raise DetectorError(f"its input {tensor} is not float32, float16 or uint8; export it so")
    batched = len(tensor.shape) == 4
    sides = tensor.shape[-3:]
    channels = _channels(tensor, file)
    height, width = (side if isinstance(side, int) else None for k, side in enumerate(sides) if k != channels)
    batch = tensor.shape[0] if batched and isinstance(tensor.shape[0], int) else None
    return OnnxInput(tensor, batch if batched else 1, height, width, channels, batched, others)


def _may_be_images(tensor: Tensor) -> bool:
    return len(tensor.shape) == 4 or (len(tensor.shape) == 3 and 3 in (tensor.shape[0], tensor.shape[2]))


def _is_known(tensor: Tensor) -> bool:
    rank: Mapping[str, int] = {TARGET_SIZES: 2, MASK: 3}
    return np.dtype(tensor.dtype).kind in "ib" and len(tensor.shape) == rank.get(tensor.name)


def _channels(tensor: Tensor, file: OnnxFile) -> int:
    sides = tensor.shape[-3:]
    first, last = sides[0] == 3, sides[2] == 3
    if first != last:
        return 0 if first else 2
    proven = are_channels_first(file, tensor.name) if not isinstance(sides[0], int) or first else None
    if proven is None:
        raise DetectorError(
            f"its input {tensor} does not show which side is that of the 3 channels; export it with the number of "
            f"channels fixed at 3, as in {shown_shape(['N', 3, 'height', 'width'])} (a detector takes RGB images)"
        )
    return 0 if proven else 2
