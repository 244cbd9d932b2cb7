"""How an image gets a size that a model takes: the keys of a description that decide it, checked together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_cropdet.errors import DetectorError

__all__ = ["RESIZE_CHOICES", "RESIZE_KEYS", "ResizeRule"]

PAD_TO_MAX = "max_side"
RESIZE_CHOICES: Mapping[str, tuple[str, ...]] = {
    "resize": ("inside", "stretch", "letterbox", "keep_aspect"),
    "interpolation": ("bilinear", "antialiased", "area"),
    "align": ("center", "top_left"),
    "rounding": ("nearest", "floor"),
}
RESIZE_KEYS = ("interpolation", "fill", "align", "rounding", "min_side", "max_side", "pad")  # beside resize itself
ADDED = "--cropdet-detector"


@dataclass(frozen=True, slots=True)
class ResizeRule:
    """How an image gets a size that a model takes; a combination of keys that makes no sense is a ``DetectorError``.

    ``resize``: ``inside`` (the model does it), ``stretch``, ``letterbox`` or ``keep_aspect``. ``interpolation``:
    ``bilinear``, ``antialiased`` or ``area``. ``fill``: of the borders, one number or one for each channel in the
    model's order, 0 to 255. ``align``: where the picture lies between them, ``center`` or ``top_left``. ``rounding``:
    of its sides to whole pixels, ``nearest`` or ``floor``. ``min_side``, ``max_side``: its shorter side in pixels, and
    what its longer side must not exceed, 0 for none. ``pad``: 0, or the borders go up to a multiple of so many pixels,
    or ``max_side``, to a square of that side.
    """

    resize: str
    interpolation: str = "bilinear"
    fill: tuple[float, ...] = (0.0,)
    align: str = ""
    rounding: str = "nearest"
    min_side: int = 0
    max_side: int = 0
    pad: int | str = 0

    def __post_init__(self) -> None:
        if not self.align:
            object.__setattr__(self, "align", "center" if self.resize == "letterbox" else "top_left")

    @classmethod
    def of(cls, resize: "str | ResizeRule") -> "ResizeRule":
        """Return a rule as it is, and the word for one as the rule with nothing else set."""
        return resize if isinstance(resize, ResizeRule) else cls(resize)

    @classmethod
    def said_in(cls, said: Mapping[str, Any]) -> "ResizeRule | None":
        """Return the rule in a description's known values, ``None`` where nothing says how images are resized.

        >>> ResizeRule.said_in({"resize": "letterbox", "fill": "114", "channels": "rgb"})
        ResizeRule(resize='letterbox', interpolation='bilinear', fill=(114.0,), align='center', rounding='nearest', \
min_side=0, max_side=0, pad=0)
        """
        resize = said.get("resize")
        if resize is None:
            return None
        given = {key: said[key] for key in RESIZE_KEYS if said.get(key) is not None}
        _check(str(resize), given)
        if "fill" in given:
            given["fill"] = fill_of(given["fill"])
        if "pad" in given:
            given["pad"] = pad_of(given["pad"])
        return cls(str(resize), **given)

    def __str__(self) -> str:
        """Return the keys that decide it, as a sentence shows them.

        >>> str(ResizeRule("keep_aspect", min_side=800, max_side=1333))
        'resize=keep_aspect, min_side=800, max_side=1333'
        """
        plain = ResizeRule(self.resize)
        keys = [f"resize={self.resize}"]
        for key in RESIZE_KEYS:
            value = getattr(self, key)
            if value != getattr(plain, key):
                keys.append(f"{key}={_shown(value) if isinstance(value, tuple) else value}")
        return ", ".join(keys)

    @property
    def has_limits(self) -> bool:
        """Whether the size of the picture follows from limits of its sides, not from the size of the input."""
        return bool(self.min_side or self.max_side)

    def knows_input(self, input_width: int, input_height: int) -> bool:
        """Return whether the place of any image in the model's input is known; 0 where the input takes any size."""
        return self.resize != "inside" and (self.has_limits or min(input_width, input_height) > 0)

    def check_input(self, input_width: int, input_height: int) -> None:
        """Raise ``DetectorError`` where the rule does not fit an input of that size, 0 for any."""
        if self.resize == "inside":
            return
        if input_width and input_height:
            self._check_fixed(input_width, input_height)
            return
        if self.resize == "stretch" or not self.has_limits:
            raise DetectorError(
                f"resize={self.resize}: the model takes images of any size and resizes them itself; if it does not, "
                f"set {ADDED} resize=keep_aspect with min_side= or max_side= (pixels), and pad= if it needs borders"
            )
        if input_width or input_height:
            raise DetectorError(
                f"resize={self.resize}: one side of its input is fixed and the other takes any size; limits of the "
                "sides fit no such input"
            )
        if not self.pad:
            if self.resize == "letterbox":
                raise DetectorError(
                    f"resize=letterbox: the model takes images of any size, and nothing says how far the borders go; "
                    f"set {ADDED} pad=max_side (a square) or pad=32 (a multiple), or resize=keep_aspect for no borders"
                )
            if self.fill != (0.0,):
                raise DetectorError(
                    f"fill={_shown(self.fill)} is not used: nothing is padded; set {ADDED} pad=max_side or pad=32, "
                    "or remove fill"
                )

    def _check_fixed(self, input_width: int, input_height: int) -> None:
        size = f"its input is fixed at {input_width} x {input_height} pixels"
        if self.pad:
            raise DetectorError(
                f"pad={self.pad} is not used: {size}, and the borders go up to that; remove it from {ADDED}"
            )
        if not self.has_limits:
            return
        if not self.max_side:
            raise DetectorError(
                f"min_side={self.min_side}: {size}, and the longer side of an image has no limit; add {ADDED} "
                f"max_side={min(input_width, input_height)}, or remove min_side to fit every image into the input"
            )
        if self.max_side > min(input_width, input_height):
            raise DetectorError(
                f"max_side={self.max_side}: {size}, and not every image of that side fits into it; remove min_side and "
                "max_side to fit every image into the input"
            )

    def input_shape(self, width: int, height: int, input_width: int, input_height: int) -> tuple[int, int]:
        """Return (height, width) of the input for an image of ``width`` by ``height``; 0 by 0 where that decides it.

        ``input_width``, ``input_height``: of a fixed input in pixels, 0 where it takes any.
        """
        if self.has_limits and not (input_width and input_height):
            if self.pad == PAD_TO_MAX:
                return self.max_side, self.max_side
            if not (width and height):
                return 0, 0
            wide, high = self.inner_size(width, height, 0, 0)
            step = int(self.pad or 1)
            return -(-high // step) * step, -(-wide // step) * step
        return input_height or height, input_width or width

    def inner_size(self, width: int, height: int, input_width: int, input_height: int) -> tuple[int, int]:
        """Return (width, height) of the resized picture, without borders."""
        if self.resize == "inside":
            return width, height
        if self.has_limits:
            return self._limited(width, height)
        if self.resize == "stretch":
            return input_width, input_height
        factor = min(input_width / width, input_height / height)
        whole = round if self.rounding == "nearest" else int
        return min(input_width, max(1, whole(width * factor))), min(input_height, max(1, whole(height * factor)))

    def _limited(self, width: int, height: int) -> tuple[int, int]:
        """Return the size that the limits give, with the arithmetic of those who use them.

        Both limits: ``nearest`` is the keep_aspect_ratio_resizer of the TF Object Detection API, and ``floor`` is
        torchvision's GeneralizedRCNNTransform; both compute the factor in float32. ``max_side`` alone: the letterbox
        of Ultralytics (``nearest``) and YOLOX (``floor``), in float64.
        """
        short, long = min(width, height), max(width, height)
        single = np.float32 if self.min_side else np.float64
        least, most = single(self.min_side) / single(short), single(self.max_side) / single(long)
        if self.rounding == "floor":
            factor = float(min(least, most) if self.min_side and self.max_side else max(least, most))
            wide, high = int(width * factor), int(height * factor)
        else:
            wide, high = (int(np.rint(single(side) * (least if self.min_side else most))) for side in (width, height))
            if self.min_side and self.max_side and max(wide, high) > self.max_side:
                wide, high = (int(np.rint(single(side) * most)) for side in (width, height))
        return max(1, wide), max(1, high)


def fill_of(value: Any) -> tuple[float, ...]:
    """Return what borders are filled with: one number of 0 to 255, or three, one for each channel.

    >>> fill_of("114"), fill_of("123.7,116.3,103.5")
    ((114.0,), (123.7, 116.3, 103.5))
    """
    try:
        numbers = tuple(float(each) for each in str(value).split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3) or not all(0 <= each <= 255 for each in numbers):
        raise DetectorError(
            f"fill={value}: must be one number of 0 to 255, or three with commas, one for each channel in the model's "
            "order (fill=114, fill=124,116,104)"
        )
    return numbers


def pad_of(value: Any) -> int | str:
    """Return what borders go up to: ``max_side``, or a multiple of so many pixels.

    >>> pad_of("32"), pad_of("max_side")
    (32, 'max_side')
    """
    if value == PAD_TO_MAX:
        return PAD_TO_MAX
    try:
        step = int(value)
    except (TypeError, ValueError):
        step = 0
    if not 2 <= step <= 4096:
        raise DetectorError(f"pad={value}: must be max_side, or a number of pixels from 2 to 4096 (pad=32)")
    return step


def _check(resize: str, given: Mapping[str, Any]) -> None:
    """Refuse keys that a resize does not use, and those that contradict one another."""
    used = {"inside": (), "stretch": ("interpolation",)}.get(resize, RESIZE_KEYS)
    why = {
        "inside": "with resize=inside the model resizes images itself",
        "stretch": "resize=stretch brings both sides to the input's, without borders",
    }
    for key, value in given.items():
        if key not in used:
            raise DetectorError(
                f"{key}={value} is not used: {why[resize]}; remove it from {ADDED}, or set resize=letterbox or "
                "resize=keep_aspect"
            )
    if resize == "keep_aspect" and given.get("align") == "center":
        raise DetectorError(
            "align=center contradicts resize=keep_aspect, which puts the picture at the left top; set "
            f"{ADDED} resize=letterbox"
        )
    least, most, pad = (given.get(key) for key in ("min_side", "max_side", "pad"))
    if least and most and least > most:
        raise DetectorError(f"min_side={least} is larger than max_side={most}: the shorter side cannot be the longer")
    if pad == PAD_TO_MAX and not most:
        raise DetectorError(f"pad=max_side: no max_side is set; add {ADDED} max_side=PIXELS")
    if pad and not (least or most):
        raise DetectorError(
            f"pad={pad} is not used: without min_side or max_side an image is fitted into the model's fixed input; "
            f"add one of them to {ADDED}, or remove pad"
        )


def _shown(fill: tuple[float, ...]) -> str:
    return ",".join(f"{each:.10g}" for each in fill)
