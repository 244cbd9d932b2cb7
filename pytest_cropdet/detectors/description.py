"""What a detector means by its numbers: order and units of boxes, first category, channels, range, resize, batch.

An adapter fills in what the model file says; what is left is asked of the user, by the name of the option.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from math import isfinite
from typing import Any

from pytest_cropdet.detectors.label_files import read_labels
from pytest_cropdet.detectors.resize_rule import RESIZE_CHOICES, RESIZE_KEYS, ResizeRule, fill_of, pad_of
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.geometry import FORMATS
from pytest_cropdet.terms import did_you_mean

__all__ = [
    "NO_ANCHORS",
    "Description",
    "OpenConventionError",
    "alternatives",
    "change_convention",
    "numbers_of",
    "outputs_by_role",
    "parse_size",
    "read_labels",
]

UNITS = ("normalized", "pixels", "input")
CHANNELS = ("rgb", "bgr")
RANGES = ("0..255", "0..1", "-1..1")
ACTIVATIONS = ("none", "sigmoid", "softmax")
HEADS = ("yolo", "yolo_objectness", "yolo_end2end", "yolox", "efficientdet")
STRINGS = ("encoded", "example")
ROLES = ("boxes", "classes", "scores", "count")
INPUT_FORMS = ("rgb", "bgr", "chw", "chw01", "pil")


class OpenConventionError(DetectorError):
    """A convention that the model file does not say and nobody set: its ``key``, and the values to choose from."""

    def __init__(self, text: str, key: str, choices: tuple[str, ...]) -> None:
        super().__init__(text)
        self.key = key
        self.choices = choices


@dataclass(frozen=True, slots=True)
class Description:
    """The conventions of a detector; ``None`` means "whatever the model file says".

    ``boxes``: order of the four numbers, ``xyxy``, ``yxyx``, ``xywh`` or ``cxcywh``. ``units``: ``normalized`` (0 to 1
    of the input), ``pixels`` (of the image it was given) or ``input`` (of the resized input). ``first_category``: the
    number it gives its first category. ``labels``: a file of names, one a line from the first category on (or
    lines with numbers, a .pbtxt, JSON), or the names with commas. ``channels``: ``rgb`` or ``bgr``. ``range``:
    values of a pixel, ``0..255``, ``0..1`` or ``-1..1``. ``resize``: ``inside`` (the model does it), ``stretch``,
    ``letterbox`` (aspect kept, centred) or ``keep_aspect`` (aspect kept, at the left top). ``batch``: most images a
    call. ``threads``: of the runtime, where the plugin is the first to load it. ``nms_iou``: IoU of its suppression of
    duplicates. ``anchors``: a file of its anchors, or ``none``. ``outputs``: which output is what, as
    ``boxes:NAME,classes:NAME,scores:NAME,count:NAME``. ``activation``: what makes its raw scores
    0 to 1, ``none``, ``sigmoid`` or ``softmax``. ``signature``: that of a SavedModel which takes images.
    ``custom_objects``: those of a Keras file, as ``package.module:mapping``. ``input``: what an input of strings
    takes, ``encoded`` images (PNG) or each in a serialised ``tf.train.Example``, ``example``; or what a function takes
    of an image, see :func:`~pytest_cropdet.as_detector`. ``timeout``: seconds that a served model may take for a call.
    ``head``: how one table of boxes is to be read: ``yolo`` (a box and class scores), ``yolo_objectness`` (an
    objectness before them), ``yolox`` (the same, in cells of grids), ``yolo_end2end`` (corners, a score, a category,
    no duplicates) or ``efficientdet`` (the image's number before them, y before x). ``input_size``: of an input of any
    size, as ``WIDTHxHEIGHT``. ``mean``, ``std``: three numbers with commas, in the order of the channels and on the
    scale of ``range``: subtracted from pixels, then divided by. ``interpolation``, ``fill``, ``align``, ``rounding``,
    ``min_side``, ``max_side``, ``pad``: the details of ``resize``, see
    :class:`~pytest_cropdet.detectors.resize_rule.ResizeRule`. ``provider``: what runs an ONNX file, by its name in ONNX
    Runtime; the CPU if not given.
    """

    boxes: str | None = None
    units: str | None = None
    first_category: int | None = None
    labels: str | None = None
    channels: str | None = None
    range: str | None = None
    resize: str | None = None
    batch: int | None = None
    threads: int | None = None
    nms_iou: float | None = None
    anchors: str | None = None
    outputs: str | None = None
    activation: str | None = None
    signature: str | None = None
    custom_objects: str | None = None
    head: str | None = None
    input_size: str | None = None
    mean: str | None = None
    std: str | None = None
    interpolation: str | None = None
    fill: str | None = None
    align: str | None = None
    rounding: str | None = None
    min_side: int | None = None
    max_side: int | None = None
    pad: str | None = None
    input: str | None = None
    provider: str | None = None
    timeout: float | None = field(default=None, repr=False)  # no answer depends on it

    def __repr__(self) -> str:
        """Return the description as code; it is hashed into fingerprints, so a later field appears only if decided."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.repr}
        shown = {name: value for name, value in values.items() if name in FIRST_FIELDS or value is not None}
        return f"Description({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @classmethod
    def of(cls, **given: Any) -> "Description":
        """Return a description from keyword arguments or the texts of options; unknown keys and values are named."""
        values = {key: _parse(key, value) for key, value in given.items() if value is not None}
        ResizeRule.said_in(values)
        return cls(**values)

    def filled(self, **defaults: Any) -> "Description":
        """Return the description with ``defaults`` for whatever is still open."""
        missing = {key: value for key, value in defaults.items() if getattr(self, key) is None}
        return replace(self, **missing)

    def known(self) -> dict[str, Any]:
        """Return what is decided, by name, in the order of the fields."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def rule(self) -> ResizeRule:
        """Return how images get to the model's input; ``DetectorError`` for keys of the resize that do not fit it."""
        known = self.known()
        decided = ResizeRule.said_in(known)
        if decided is None:
            key = next((key for key in RESIZE_KEYS if key in known), None)
            if key is not None:
                self.require("resize", f"{key}={known[key]} says how images are resized", "letterbox", "keep_aspect")
        return decided or ResizeRule("inside")

    def statistics(self) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
        """Return ``mean`` and ``std``, ``None`` without them; one alone, or no ``range``, is a ``DetectorError``."""
        given = {key: getattr(self, key) for key in ("mean", "std") if getattr(self, key) is not None}
        if not given:
            return None, None
        (key, text), *others = given.items()
        if not others:
            self.require("std" if key == "mean" else "mean", f"{key}={text} is given, so the other one is needed too")
        self.require("range", f"{key}={text} is on the scale of range, which is open")
        return numbers_of(str(self.mean)), numbers_of(str(self.std))

    def require(self, key: str, why: str, *choices: str) -> Any:
        """Return a decided value; if it is open, ``DetectorError`` says why it matters and which option decides it.

        ``choices``: those of its values that make sense here, where not all do.
        """
        value = getattr(self, key)
        if value is None:
            offered = choices or _CHOICES.get(key, ("VALUE",))
            raise OpenConventionError(f"{why}; set --cropdet-detector {key}={'|'.join(offered)}", key, offered)
        return value

    def refuse(self, why: str, *keys: str) -> None:
        """Raise ``DetectorError`` for the first of ``keys`` that is decided; ``why``: why nothing uses it."""
        for key in keys:
            if getattr(self, key) is not None:
                raise DetectorError(f"{key}={getattr(self, key)} is not used: {why}; remove it from --cropdet-detector")


# the fields that every fingerprint has, decided or not: a field that is added since must not change those there are
FIRST_FIELDS = (
    "boxes",
    "units",
    "first_category",
    "labels",
    "channels",
    "range",
    "resize",
    "batch",
    "threads",
    "nms_iou",
    "anchors",
    "outputs",
    "activation",
    "signature",
    "custom_objects",
)
NO_ANCHORS = "none"  # what a user says of a detector that has none
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "boxes": FORMATS,
    "units": UNITS,
    "channels": CHANNELS,
    "range": RANGES,
    **RESIZE_CHOICES,
    "first_category": ("0", "1"),
    "labels": ("FILE",),
    "anchors": ("FILE", NO_ANCHORS),
    "outputs": (",".join(f"{role}:NAME" for role in ROLES),),
    "activation": ACTIVATIONS,
    "head": HEADS,
    "input_size": ("WIDTHxHEIGHT",),
    "signature": ("NAME",),
    "custom_objects": ("package.module:mapping",),
    "input": (*STRINGS, *INPUT_FORMS),
    "mean": ("0.485,0.456,0.406", "0,0,0"),
    "std": ("0.229,0.224,0.225", "1,1,1"),
    "fill": ("114",),
    "min_side": ("PIXELS",),
    "max_side": ("PIXELS",),
    "pad": ("max_side", "32"),
    "provider": ("CUDAExecutionProvider",),
}
_NUMBERS: Mapping[str, tuple[type, float, float]] = {
    "first_category": (int, 0, 10_000),
    "batch": (int, 1, 4096),
    "threads": (int, 1, 1024),
    "nms_iou": (float, 0, 1),
    "timeout": (float, 0.1, 3600),
    "min_side": (int, 1, 16384),
    "max_side": (int, 1, 16384),
}


def _parse(key: str, value: Any) -> Any:
    names = [field.name for field in fields(Description)]
    if key not in names:
        raise DetectorError(
            f"a detector's description has no {key!r}; it has {', '.join(names)}{did_you_mean(key, names)}"
        )
    if key in _NUMBERS:
        kind, low, high = _NUMBERS[key]
        try:
            number = kind(value)
        except (TypeError, ValueError):
            raise DetectorError(f"{key}={value}: must be a number") from None
        if not low <= number <= high:
            raise DetectorError(f"{key}={value}: must lie between {low:g} and {high:g}")
        return number
    text = str(value)
    choices = ("boxes", "units", "channels", "range", "activation", "head", "input", *RESIZE_CHOICES)
    if key in choices and text not in _CHOICES[key]:
        raise DetectorError(f"{key}={text}: must be one of {', '.join(_CHOICES[key])}")
    if key == "outputs":
        outputs_by_role(text)
    if key == "fill":
        return ",".join(f"{each:.10g}" for each in fill_of(text))
    if key == "input_size":
        return "x".join(map(str, parse_size(text)))
    if key in ("mean", "std"):
        _check_statistic(key, text)
    return str(pad_of(text)) if key == "pad" else text


def _check_statistic(key: str, text: str) -> None:
    numbers = numbers_of(text)
    if len(numbers) != 3 or not all(isfinite(each) for each in numbers) or (key == "std" and min(numbers) <= 0):
        more = " above 0" if key == "std" else ""
        raise DetectorError(f"{key}={text}: must be three numbers{more} with commas, such as {_CHOICES[key][0]}")


def parse_size(text: str) -> tuple[int, int]:
    """Return the width and height of an input in pixels, from ``640x480`` or, for both sides, ``640``.

    >>> parse_size("640x480"), parse_size("320")
    ((640, 480), (320, 320))
    """
    sides = text.lower().split("x")
    if not 1 <= len(sides) <= 2 or not all(side.strip().isdecimal() and 0 < int(side) <= 16384 for side in sides):
        raise DetectorError(f"input_size={text}: must be WIDTHxHEIGHT in pixels, such as 640x480, each from 1 to 16384")
    return int(sides[0]), int(sides[-1])


def alternatives(key: str, value: Any) -> list[Any]:
    """Return the other values a convention may have; none for one that is decided inside the model, or not at all.

    >>> alternatives("channels", "rgb")
    ['bgr']
    """
    if value is None or value == "inside":
        return []
    kind = type(value)
    return [kind(each) for each in _CHOICES[key] if kind(each) != value and each != "inside"]


def numbers_of(text: str) -> tuple[float, ...]:
    """Return numbers with commas; an empty tuple for what is none.

    >>> numbers_of("0.5, 1,2"), numbers_of("imagenet")
    ((0.5, 1.0, 2.0), ())
    """
    try:
        return tuple(float(each) for each in text.split(","))
    except ValueError:
        return ()


def change_convention(said: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """Return what is said of a detector with one convention changed, without the keys that another resize cannot use.

    >>> change_convention({"resize": "letterbox", "fill": "114", "batch": 1}, "resize", "stretch")
    {'resize': 'stretch', 'batch': 1}
    """
    other = {**said, key: value}
    if key == "resize":
        unused = RESIZE_KEYS if value == "inside" else RESIZE_KEYS[1:] if value == "stretch" else ("align",)
        other = {name: each for name, each in other.items() if name not in unused}
    return other


def outputs_by_role(text: str) -> dict[str, str]:
    """Return the names in ``outputs=``, by what they hold; a ``DetectorError`` names what is no role.

    >>> outputs_by_role("boxes:head:0,scores:head:1")
    {'boxes': 'head:0', 'scores': 'head:1'}
    """
    found: dict[str, str] = {}
    for part in text.split(","):
        role, _, name = part.strip().partition(":")
        if role not in ROLES or not name or role in found:
            raise DetectorError(f"outputs={text}: must be {_CHOICES['outputs'][0]}, each at most once, not {part!r}")
        found[role] = name
    return found
