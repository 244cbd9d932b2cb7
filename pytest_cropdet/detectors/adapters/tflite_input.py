"""The input of a TFLite file: its size, its type, and the numbers in it that stand for a pixel's 0..255."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors.description import Description, parse_size
from pytest_cropdet.detectors.resize import scale_values
from pytest_cropdet.errors import DetectorError

__all__ = ["Input", "Normalization", "Quantization", "read_input"]

ENDS = {"0..255": (0.0, 255.0), "0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0)}
MEANS = {"0..255": (0.0, 1.0), "0..1": (0.0, 255.0), "-1..1": (127.5, 127.5)}  # and deviations, that make a range
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
class Normalization:
    """Value = (pixel - ``mean``) / ``std``, one number for all channels or one for each, as a file's metadata say."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __str__(self) -> str:
        """As messages show it."""
        mean, std = (", ".join(f"{each:g}" for each in sorted(set(values))) for values in (self.mean, self.std))
        return f"mean {mean} and std {std}"

    @staticmethod
    def is_possible(mean: tuple[float, ...], std: tuple[float, ...]) -> bool:
        """Whether numbers are a normalisation of images: one or three of each, and no deviation of 0."""
        return {len(mean), len(std)} <= {1, 3} and bool(np.isfinite([*mean, *std]).all()) and all(std)

    @classmethod
    def described(cls, given: Description) -> "Normalization | None":
        """Return what ``mean`` and ``std`` of the user say of a pixel of 0 to 255; ``None`` without them.

        >>> Normalization.described(Description(range="0..1", mean="0.5,0.5,0.5", std="0.2,0.2,0.2"))
        Normalization(mean=(127.5, 127.5, 127.5), std=(51.0, 51.0, 51.0))
        """
        mean, std = given.statistics()
        if mean is None or std is None:
            return None
        zero, one = MEANS[str(given.range)]
        return cls(tuple(zero + one * each for each in mean), tuple(one * each for each in std))

    @property
    def usual_range(self) -> str | None:
        """The range that it makes of 0..255, where that is a usual one.

        >>> Normalization((127.0,), (128.0,)).usual_range, Normalization((123.7,), (58.4,)).usual_range
        ('-1..1', None)
        """
        low, high = (self.real(np.array([pixel] * 3)) for pixel in (0, 255))
        for name, ends in ENDS.items():
            if max(np.abs(low - ends[0]).max(), np.abs(high - ends[1]).max()) <= NEAR_RANGE * (ends[1] - ends[0]):
                return name
        return None

    @property
    def is_exact(self) -> bool:
        """Whether it makes just the usual range, as pixels are scaled without it."""
        known = MEANS.get(self.usual_range or "")
        return known is not None and {*self.mean} == {known[0]} and {*self.std} == {known[1]}

    def check(self, given: Description, *possible: str | None) -> None:
        """Raise ``DetectorError`` for a range that the user gives and that is none of the ``possible`` ones."""
        if given.range is not None and given.range not in possible:
            low, high = (float(self.real(np.full(3, pixel))[0]) for pixel in (0, 255))
            raise DetectorError(
                f"range={given.range}: the metadata in the file say {self}, which makes "
                f"{self.usual_range or f'{low:.4g}..{high:.4g}'}; remove range= from --cropdet-detector"
            )

    def real(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return pixels (..., 3) of 0..255 as the model takes them, float32."""
        return np.asarray((pixels - np.array(self.mean)) / np.array(self.std), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Input:
    """The tensor of images: ``batch`` pictures of ``height`` by ``width`` pixels, RGB; 0 where it takes any.

    ``channels_first``: [N, 3, height, width]. ``resizable``: the batch or the size is open, so it has to be set before
    a call. ``normalization``: what the file's metadata, or the user where ``is_described``, say of a pixel.
    """

    index: int
    batch: int
    height: int
    width: int
    dtype: Any
    quantization: Quantization
    channels_first: bool = False
    resizable: bool = False
    normalization: Normalization | None = None
    is_described: bool = False

    @property
    def fixed(self) -> str:
        """Its size, as messages begin."""
        if not self.height:
            return "its input takes images of any size"
        return f"its input is fixed at {self.width} x {self.height} pixels"

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """Return the shape of one image in it, without the batch."""
        return (3, height, width) if self.channels_first else (height, width, 3)

    def decide_range(self, given: Description) -> str | None:
        """Return the range of a pixel, from metadata, quantisation or the user; what cannot be is refused.

        A uint8 input made for a usual range takes pixels as they are: ``0..255``. ``None``: the metadata say a
        normalisation that makes no usual range, and it is applied.
        """
        if self.normalization is not None and self.is_described:
            return self._check_described(self.normalization)
        if self.dtype == np.float32 and self.normalization is not None:
            self.normalization.check(given, self.normalization.usual_range)
            return self.normalization.usual_range
        if self.dtype == np.float32:
            return str(given.require("range", "its input is float32, and the file does not say in which range"))
        if self.holds_pixels and given.range in (None, "0..255", self._usual_range()):
            return "0..255"
        if not self.quantization.scale:
            raise DetectorError(
                f"its input is {self.dtype} without a quantisation; only uint8 input works so, with "
                "--cropdet-detector range=0..255"
            )
        shown = "{:.4g}..{:.4g}".format(*self._ends())
        value_range = given.range or self._usual_range()
        if self.normalization is not None:
            said = self.normalization.usual_range
            self.normalization.check(given, said, self._usual_range())
            if value_range is None:
                return said
            if given.range is None and value_range != said:
                why = f"its input is quantised to {shown}, and its metadata say {self.normalization}"
                return str(given.require("range", why))
        if value_range is None:
            return str(given.require("range", f"its input is quantised to {shown}, which is no usual range"))
        low, high = ENDS[value_range]
        lowest, highest = self._ends()
        if min(high, highest) - max(low, lowest) < COVERED * (high - low):
            raise DetectorError(f"range={value_range}: its input is quantised to {shown}")
        return value_range

    def _check_described(self, normalization: Normalization) -> str | None:
        """Return the range that the user's mean and std make, if any; what the input cannot express is refused."""
        if self.dtype == np.float32:
            return normalization.usual_range
        if not self.quantization.scale:
            raise DetectorError(
                f"mean= and std=: its input is {self.dtype} without a quantisation, which takes pixels as they are; "
                "remove both from --cropdet-detector"
            )
        ends = np.array([normalization.real(np.full(3, pixel)) for pixel in (0, 255)])
        low, high = float(ends[0].min()), float(ends[1].max())
        lowest, highest = self._ends()
        if min(high, highest) - max(low, lowest) < COVERED * (high - low):
            raise DetectorError(
                f"mean= and std=: they make {low:.4g}..{high:.4g} of pixels, and its input is quantised to "
                f"{lowest:.4g}..{highest:.4g}, so it takes other values; remove both from --cropdet-detector"
            )
        return normalization.usual_range

    @property
    def holds_pixels(self) -> bool:
        """Whether its stored values are pixels, 0 to 255."""
        return bool(self.dtype == np.uint8 and (not self.quantization.scale or self._usual_range() is not None))

    def values(self, pixels: NDArray[Any], value_range: str | None) -> NDArray[Any]:
        """Return pixels (height, width, 3), 0..255, as the tensor stores them."""
        stored = self._stored(pixels, value_range)
        return np.ascontiguousarray(stored.transpose(2, 0, 1)) if self.channels_first else stored

    def _stored(self, pixels: NDArray[Any], value_range: str | None) -> NDArray[Any]:
        if self.holds_pixels and value_range == "0..255":
            return np.asarray(pixels, dtype=np.uint8)
        normalization = self.normalization
        if normalization is not None and value_range == normalization.usual_range and not normalization.is_exact:
            real = normalization.real(pixels)
        else:
            real = scale_values(pixels, str(value_range))
        if self.dtype == np.float32:
            return np.asarray(real, dtype=np.float32)
        return self.quantization.stored(real, self.dtype)

    def _ends(self) -> tuple[float, float]:
        ends = np.array([np.iinfo(self.dtype).min, np.iinfo(self.dtype).max])
        low, high = (ends - self.quantization.zero_point) * self.quantization.scale
        return float(low), float(high)

    def _usual_range(self) -> str | None:
        for name, (low, high) in ENDS.items():
            if np.abs(np.array(self._ends()) - (low, high)).max() <= NEAR_RANGE * (high - low):
                return name
        return None


def read_input(
    inputs: Sequence[Mapping[str, Any]],
    given: Description | None = None,
    normalization: Normalization | None = None,
) -> Input:
    """Return the input of an interpreter's details; what is no tensor of RGB images is refused.

    ``given``: its ``batch`` and ``input_size`` fill in what the file leaves open. ``normalization``: as its metadata
    say, which the user's ``mean`` and ``std`` cannot change.
    """
    if len(inputs) != 1:
        names = ", ".join(str(each["name"]) for each in inputs)
        raise DetectorError(f"it has {len(inputs)} inputs ({names}); a detector takes one tensor of images")
    details = inputs[0]
    declared = [int(side) for side in details.get("shape_signature", ())] or [int(side) for side in details["shape"]]
    shape = [int(side) for side in details["shape"]]
    dtype = np.dtype(details["dtype"])
    what = f"its input {details['name']!r} is {dtype} {declared}"
    channels_first = len(declared) == 4 and declared[1] == 3 and declared[3] != 3
    if len(declared) != 4 or declared[1 if channels_first else 3] != 3:
        raise DetectorError(f"{what}; images are [N, height, width, 3] or [N, 3, height, width]")
    if dtype not in (np.dtype(np.uint8), np.dtype(np.int8), np.dtype(np.float32)):
        raise DetectorError(f"{what}; inputs are uint8, int8 or float32 (export it so)")
    sides = declared[2:] if channels_first else declared[1:3]
    found = Input(int(details["index"]), max(1, shape[0]), sides[0], sides[1], dtype, Quantization.of(details))
    found = replace(found, channels_first=channels_first, normalization=normalization, resizable=-1 in declared)
    if given is not None and normalization is not None:
        given.refuse(f"the metadata in the file say {normalization}, which is applied", "mean", "std")
    described = None if given is None else Normalization.described(given)
    if described is not None:
        found = replace(found, normalization=described, is_described=True)
    if declared[0] == -1:
        found = replace(found, batch=given.batch if given is not None and given.batch else 1)
    return _sized(found, sides, given, what)


def _sized(found: Input, sides: Sequence[int], given: Description | None, what: str) -> Input:
    """Return an input with the size that the user gives it, where the file leaves one open."""
    size = None if given is None or given.input_size is None else parse_size(given.input_size)
    if -1 not in sides:
        if size is not None and size != (found.width, found.height):
            raise DetectorError(f"input_size={size[0]}x{size[1]}: {found.fixed}; remove it from --cropdet-detector")
        return found
    if size is not None:
        if any(side not in (-1, wanted) for side, wanted in zip(sides, size[::-1], strict=True)):
            raise DetectorError(f"input_size={size[0]}x{size[1]}: {what}")
        return replace(found, width=size[0], height=size[1])
    if sides[0] != sides[1]:
        raise DetectorError(f"{what}; set --cropdet-detector input_size=WIDTHxHEIGHT")
    return replace(found, width=0, height=0)
