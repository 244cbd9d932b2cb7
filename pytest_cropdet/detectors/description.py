"""What a detector means by its numbers: order and units of boxes, first category, channels, range, resize, batch.

An adapter fills in what the model file says; what is left is asked of the user, by the name of the option.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from pytest_cropdet.detectors.label_files import read_labels
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.geometry import FORMATS

__all__ = ["NO_ANCHORS", "Description", "OpenConventionError", "alternatives", "outputs_by_role", "read_labels"]

UNITS = ("normalized", "pixels", "input")
CHANNELS = ("rgb", "bgr")
RANGES = ("0..255", "0..1", "-1..1")
RESIZES = ("inside", "stretch", "letterbox", "keep_aspect")
ACTIVATIONS = ("none", "sigmoid", "softmax")
ROLES = ("boxes", "classes", "scores", "count")


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
    ``custom_objects``: those of a Keras file, as ``package.module:mapping``.
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

    @classmethod
    def of(cls, **given: Any) -> "Description":
        """Return a description from keyword arguments or the texts of options; unknown keys and values are named."""
        values = {key: _parse(key, value) for key, value in given.items() if value is not None}
        return cls(**values)

    def filled(self, **defaults: Any) -> "Description":
        """Return the description with ``defaults`` for whatever is still open."""
        missing = {key: value for key, value in defaults.items() if getattr(self, key) is None}
        return replace(self, **missing)

    def known(self) -> dict[str, Any]:
        """Return what is decided, by name, in the order of the fields."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def require(self, key: str, why: str, *choices: str) -> Any:
        """Return a decided value; if it is open, ``DetectorError`` says why it matters and which option decides it.

        ``choices``: those of its values that make sense here, where not all do.
        """
        value = getattr(self, key)
        if value is None:
            offered = choices or _CHOICES.get(key, ("VALUE",))
            raise OpenConventionError(f"{why}; say --cropdet-detector {key}={'|'.join(offered)}", key, offered)
        return value

    def refuse(self, why: str, *keys: str) -> None:
        """Raise ``DetectorError`` for the first of ``keys`` that is decided; ``why``: why nothing uses it."""
        for key in keys:
            if getattr(self, key) is not None:
                raise DetectorError(f"{key}={getattr(self, key)} is not used: {why}; remove it from --cropdet-detector")


NO_ANCHORS = "none"  # what a user says of a detector that has none
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "boxes": FORMATS,
    "units": UNITS,
    "channels": CHANNELS,
    "range": RANGES,
    "resize": RESIZES,
    "first_category": ("0", "1"),
    "labels": ("FILE",),
    "anchors": ("FILE", NO_ANCHORS),
    "outputs": (",".join(f"{role}:NAME" for role in ROLES),),
    "activation": ACTIVATIONS,
    "signature": ("NAME",),
    "custom_objects": ("package.module:mapping",),
}
_NUMBERS: Mapping[str, tuple[type, float, float]] = {
    "first_category": (int, 0, 10_000),
    "batch": (int, 1, 4096),
    "threads": (int, 1, 1024),
    "nms_iou": (float, 0, 1),
}


def _parse(key: str, value: Any) -> Any:
    names = [field.name for field in fields(Description)]
    if key not in names:
        raise DetectorError(f"a detector's description has no {key!r}; it has {', '.join(names)}")
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
    if key in ("boxes", "units", "channels", "range", "resize", "activation") and text not in _CHOICES[key]:
        raise DetectorError(f"{key}={text}: must be one of {', '.join(_CHOICES[key])}")
    if key == "outputs":
        outputs_by_role(text)
    return text


def alternatives(key: str, value: Any) -> list[Any]:
    """Return the other values a convention may have; none for one that is decided inside the model, or not at all.

    >>> alternatives("channels", "rgb")
    ['bgr']
    """
    if value is None or value == "inside":
        return []
    kind = type(value)
    return [kind(each) for each in _CHOICES[key] if kind(each) != value and each != "inside"]


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
