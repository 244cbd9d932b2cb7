"""The anchors of an SSD, a RetinaNet or an EfficientDet, from the parameters that its configuration names.

Names, defaults, formulas and the order of rows are those of the TensorFlow Object Detection API: its
``ssd_anchor_generator`` (Liu et al., SSD, section 2.2) and its ``multiscale_anchor_generator`` (Lin et al., Focal Loss
for Dense Object Detection, section 4).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.errors import DetectorError

__all__ = ["GENERATORS", "generate_rows"]

Rows = NDArray[np.float64]
YX = tuple[float, float]  # of y and x

_COMMON: Mapping[str, Any] = {"input": None, "feature_maps": None, "count": None, "scale_factors": None}
GENERATORS: Mapping[str, Mapping[str, Any]] = {
    "ssd_anchor_generator": {
        "num_layers": 6,
        "min_scale": 0.2,
        "max_scale": 0.95,
        "scales": (),
        "aspect_ratios": (),
        "interpolated_scale_aspect_ratio": 1.0,
        "reduce_boxes_in_lowest_layer": True,
        "base_anchor_height": 1.0,
        "base_anchor_width": 1.0,
        "height_stride": (),
        "width_stride": (),
        "height_offset": (),
        "width_offset": (),
    },
    "multiscale_anchor_generator": {
        "min_level": 3,
        "max_level": 7,
        "anchor_scale": 4.0,
        "aspect_ratios": (),
        "scales_per_octave": 2,
        "normalize_coordinates": True,
    },
}


def generate_rows(parameters: Mapping[str, Any], source: str) -> Rows:
    """Return anchors (n, 4), ``cy cx h w`` in 0 to 1 of the input; a ``DetectorError`` names what is wrong.

    ``parameters``: ``type``, one of :data:`GENERATORS`, with its fields; ``input``, the model's, as ``{"height": 300,
    "width": 300}``; ``feature_maps``, ``[[height, width], ...]`` from the finest, where they are not the input divided
    by 16, 32, 64 ... (ssd) or by 2 ** level (multiscale), rounded up; ``count``, how many there should be, is checked.
    Rows go by feature map, row, column and then shape. ``normalize_coordinates`` changes nothing here: with ``false``
    the model's anchors are these in pixels.
    """
    kind = str(parameters.get("type"))
    if kind not in GENERATORS:
        raise DetectorError(f"anchors={source}: type is {kind!r}; known are {', '.join(GENERATORS)}")
    known = {"type": kind, **GENERATORS[kind], **_COMMON}
    foreign = sorted(set(parameters) - set(known))
    if foreign:
        raise DetectorError(f"anchors={source}: {kind} has no {foreign[0]!r}; it has {', '.join(known)}")
    values = {**known, **parameters}
    if not values["aspect_ratios"]:
        raise DetectorError(f"anchors={source}: aspect_ratios are missing, such as [1.0, 2.0, 0.5]")
    make = _ssd if kind == "ssd_anchor_generator" else _multiscale
    try:
        height, width = int(values["input"]["height"]), int(values["input"]["width"])
        rows = np.concatenate(make(values, height, width))
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise DetectorError(
            f"anchors={source}: {kind} cannot be made: {type(error).__name__}: {error}; it needs "
            '"input": {"height": ..., "width": ...}, and lists as long as it has feature maps'
        ) from error
    if values["count"] not in (None, len(rows)):
        raise DetectorError(f"anchors={source}: they come to {len(rows)} and not to count={values['count']}")
    return rows


def _ssd(values: Mapping[str, Any], height: int, width: int) -> list[Rows]:
    layers = int(values["num_layers"])
    scales = [float(each) for each in values["scales"]]
    if not scales:
        low, high = float(values["min_scale"]), float(values["max_scale"])
        scales = [low + (high - low) * layer / (layers - 1) for layer in range(layers)]
    layers = min(layers, len(scales))
    strides, offsets = (
        _pairs(values[f"height_{name}"], values[f"width_{name}"], layers) for name in ("stride", "offset")
    )
    maps = _maps(values, [strides[layer] if strides else (2.0 ** (layer + 4),) * 2 for layer in range(layers)])
    shorter = min(height, width)  # a base of equal sides is a square of the input, whatever the input's aspect
    base = (values["base_anchor_height"] * shorter / height, values["base_anchor_width"] * shorter / width)
    found = []
    for layer, (scale, following) in enumerate(zip(scales[:layers], [*scales[1:], 1.0], strict=False)):
        specs = [(scale, float(ratio)) for ratio in values["aspect_ratios"]]
        between = float(values["interpolated_scale_aspect_ratio"])
        if between > 0:
            specs.append((math.sqrt(scale * following), between))
        if layer == 0 and values["reduce_boxes_in_lowest_layer"]:
            specs = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
        rows, columns = maps[layer]
        step = (strides[layer][0] / height, strides[layer][1] / width) if strides else (1 / rows, 1 / columns)
        first = (offsets[layer][0] / height, offsets[layer][1] / width) if offsets else (step[0] / 2, step[1] / 2)
        found.append(_tiled(maps[layer], step, first, _shapes(specs, base)))
    return found


def _multiscale(values: Mapping[str, Any], height: int, width: int) -> list[Rows]:
    levels = range(int(values["min_level"]), int(values["max_level"]) + 1)
    octave = int(values["scales_per_octave"])
    specs = [(2 ** (part / octave), float(ratio)) for ratio in values["aspect_ratios"] for part in range(octave)]
    maps = _maps(values, [(2.0**level, 2.0**level) for level in levels])
    found = []
    for level, shape in zip(levels, maps, strict=True):
        stride = 2.0**level
        base = (stride * values["anchor_scale"] / height, stride * values["anchor_scale"] / width)
        # an input that the stride does not divide has its first anchors at 0 and not at half a stride
        first = tuple((stride / 2 if length % stride == 0 else 0.0) / length for length in (height, width))
        found.append(_tiled(shape, (stride / height, stride / width), (first[0], first[1]), _shapes(specs, base)))
    return found


def _pairs(y: Sequence[float], x: Sequence[float], layers: int) -> list[YX]:
    """Return the values of y and x, a pair for each layer; none where none are given."""
    if len(y) != len(x) or len(y) not in (0, layers):
        raise ValueError(f"{len(y)} heights and {len(x)} widths of strides or offsets for {layers} layers")
    return [(float(a), float(b)) for a, b in zip(y, x, strict=True)]


def _maps(values: Mapping[str, Any], strides: Sequence[YX]) -> list[tuple[int, int]]:
    """Return rows and columns of each feature map, as given or as strides over the input leave them."""
    if values["feature_maps"]:
        given = [(int(rows), int(columns)) for rows, columns in values["feature_maps"]]
        if len(given) != len(strides):
            raise ValueError(f"{len(given)} feature_maps for {len(strides)} layers")
        return given
    height, width = values["input"]["height"], values["input"]["width"]
    return [(math.ceil(height / y), math.ceil(width / x)) for y, x in strides]


def _shapes(specs: Sequence[YX], base: YX) -> Rows:
    """Return (n, 2) heights and widths from scales and aspect ratios (width over height)."""
    return np.array(
        [(scale / math.sqrt(ratio) * base[0], scale * math.sqrt(ratio) * base[1]) for scale, ratio in specs]
    )


def _tiled(grid: tuple[int, int], step: YX, first: YX, shapes: Rows) -> Rows:
    """Return every shape at every place of a grid, rows then columns then shapes."""
    y, x = (np.arange(count) * each + start for count, each, start in zip(grid, step, first, strict=True))
    centres = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2)
    return np.concatenate([np.repeat(centres, len(shapes), axis=0), np.tile(shapes, (len(centres), 1))], axis=1)
