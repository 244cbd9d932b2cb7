"""The input of a TFLite file: its size, its type, and the numbers in it that stand for a pixel's 0..255."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.resize import scale_values
from pytest_cropdet.errors import DetectorError

__all__ = ["Input", "Quantization", "read_input"]

ENDS = {"0..255": (0.0, 255.0), "0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0)}
NEAR_RANGE = 0.02  # of a range: how far the ends of a quantised input may lie from the range it is made for
COVERED = 0.75  # of a range: less than that can be expressed, and the range is not the input's


@dataclass(frozen=True, slots=True)
class Quantization:
    """Real value = (stored value - ``zero_point``) * ``scale``; with ``scale`` 0 values are stored as they are."""

    scale: float = 0.0
    zero_point: int = 0

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> "Quantization":
        """Return the quantisation of a tensor from its details."""
        scale, zero_point = details["quantization"]
        return cls(float(scale), int(zero_point))

    def real(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return real values: float32 where they were quantised.

        >>> Quantization(0.5, 128).real(np.array([126, 128, 131], dtype=np.uint8))
        array([-1. ,  0. ,  1.5], dtype=float32)
        """
        if not self.scale:
            return stored
        return ((stored.astype(np.int64) - self.zero_point) * self.scale).astype(np.float32)

    def stored(self, real: NDArray[Any], dtype: Any) -> NDArray[Any]:
        """Return values as the tensor stores them, rounded, and cut to what ``dtype`` holds."""
        ends = np.iinfo(dtype)
        values = np.clip(np.rint(real / self.scale) + self.zero_point, ends.min, ends.max)
        return np.asarray(values, dtype=dtype)


@dataclass(frozen=True, slots=True)
class Input:
    """The tensor of images: ``batch`` pictures of ``height`` by ``width`` pixels, RGB."""

    index: int
    batch: int
    height: int
    width: int
    dtype: Any
    quantization: Quantization

    @property
    def fixed(self) -> str:
        """Its size, as messages begin."""
        return f"its input is fixed at {self.width} x {self.height} pixels"

    def decide_range(self, given: Description) -> str:
        """Return the range of a pixel, from the quantisation or the user; what cannot be is refused.

        A uint8 input made for a usual range takes pixels as they are: ``0..255``.
        """
        if self.dtype == np.float32:
            return str(given.require("range", "its input is float32, and the file does not say in which range"))
        if self.holds_pixels and given.range in (None, "0..255", self._usual_range()):
            return "0..255"
        if not self.quantization.scale:
            raise DetectorError(
                f"its input is {self.dtype} without a quantisation; only uint8 holds pixels so, with "
                "--cropdet-detector range=0..255"
            )
        shown = "{:.4g}..{:.4g}".format(*self._ends())
        value_range = given.range or self._usual_range()
        if value_range is None:
            return str(given.require("range", f"its input is quantised to {shown}, which is no usual range"))
        low, high = ENDS[value_range]
        lowest, highest = self._ends()
        if min(high, highest) - max(low, lowest) < COVERED * (high - low):
            raise DetectorError(f"range={value_range}: its input is quantised to {shown}")
        return value_range

    @property
    def holds_pixels(self) -> bool:
        """Whether its stored values are pixels, 0 to 255."""
        return bool(self.dtype == np.uint8 and (not self.quantization.scale or self._usual_range() is not None))

    def values(self, pixels: NDArray[Any], value_range: str) -> NDArray[Any]:
        """Return pixels, 0..255, as the tensor stores them."""
        if self.dtype == np.float32:
            return np.asarray(scale_values(pixels, value_range), dtype=np.float32)
        if self.holds_pixels and value_range == "0..255":
            return np.asarray(pixels, dtype=np.uint8)
        return self.quantization.stored(scale_values(pixels, value_range), self.dtype)

    def _ends(self) -> tuple[float, float]:
        ends = np.array([np.iinfo(self.dtype).min, np.iinfo(self.dtype).max])
        low, high = (ends - self.quantization.zero_point) * self.quantization.scale
        return float(low), float(high)

    def _usual_range(self) -> str | None:
        for name, (low, high) in ENDS.items():
            if np.abs(np.array(self._ends()) - (low, high)).max() <= NEAR_RANGE * (high - low):
                return name
        return None


def read_input(inputs: Sequence[Mapping[str, Any]]) -> Input:
    """Return the input of an interpreter's details; what is no tensor of RGB images of one size is refused."""
    if len(inputs) != 1:
        names = ", ".join(str(each["name"]) for each in inputs)
        raise DetectorError(f"it has {len(inputs)} inputs ({names}); a detector takes one tensor of images")
    details = inputs[0]
    declared = [int(side) for side in details.get("shape_signature", details["shape"])]
    shape = [int(side) for side in details["shape"]]
    dtype = np.dtype(details["dtype"])
    what = f"its input {details['name']!r} is {dtype} {declared}"
    if len(shape) == 4 and shape[1] == 3 and shape[3] != 3:
        raise DetectorError(f"{what}: channels come first (NCHW); export it with channels last, [N, height, width, 3]")
    if len(shape) != 4 or shape[3] != 3 or -1 in declared[1:3]:
        raise DetectorError(f"{what}; images are [N, height, width, 3] of one size")
    if dtype not in (np.dtype(np.uint8), np.dtype(np.int8), np.dtype(np.float32)):
        raise DetectorError(f"{what}; inputs are uint8, int8 or float32 (export it so)")
    batch = 1 if declared[0] == -1 else shape[0]
    return Input(int(details["index"]), batch, shape[1], shape[2], dtype, Quantization.of(details))
