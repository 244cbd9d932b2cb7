"""Every way to bring an image to a model's size: where a box goes, as the frame says, and as other libraries do it."""

from __future__ import annotations

import math
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_cropdet.causes.diagnostics.model_input import at_input, input_note
from pytest_cropdet.detectors import Declared, DetectorHandle, alternatives, change_convention
from pytest_cropdet.detectors import adapters as module
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.handle import Profile, fingerprint_of_files
from pytest_cropdet.detectors.resize import fit, frame_of
from pytest_cropdet.detectors.resize_rule import ResizeRule
from pytest_cropdet.errors import DetectorError
from tests.geometry.invariants import same

INTERPOLATIONS = ("bilinear", "antialiased", "area")
# of an input pixel: half of one, and the rounding of 8 bits; a filter that the image's own border cuts weighs the rest
# more, in TensorFlow and Pillow as here
EDGE = {"bilinear": 0.53, "area": 0.53, "antialiased": 0.6}


def rule(resize: str, **keys) -> ResizeRule:
    return ResizeRule.said_in({"resize": resize, **keys})


# Painted boxes


@st.composite
def rules(draw) -> tuple[ResizeRule, int, int]:
    """A rule, with the width and height of a fixed input or 0; shrinks to a stretched square."""
    keys = {"interpolation": draw(st.sampled_from(INTERPOLATIONS))}
    wide, high = (draw(st.integers(24, 128)) for _ in range(2))
    resize = draw(st.sampled_from(["stretch", "letterbox", "keep_aspect"]))
    if resize == "stretch":
        return rule(resize, **keys), wide, high
    keys |= {"rounding": draw(st.sampled_from(["nearest", "floor"])), "fill": draw(st.sampled_from(["0", "114"]))}
    if resize == "letterbox":
        keys["align"] = draw(st.sampled_from(["center", "top_left"]))
    limits = draw(st.sampled_from(["none", "max_side", "min_side", "both"]))
    if limits == "none":
        return rule(resize, **keys), wide, high
    keys["pad"] = draw(st.sampled_from([2, 32, "max_side"] if limits != "min_side" else [2, 32]))
    if limits != "min_side":
        keys["max_side"] = max(wide, high)
    if limits != "max_side":
        keys["min_side"] = min(wide, high)
    return rule(resize, **keys), 0, 0


@st.composite
def pictures(draw) -> tuple[int, int, tuple[int, int, int, int]]:
    """Width and height, and a box of a third of each side or more; even and odd."""
    sides, box = [], []
    for _ in range(2):
        side = draw(st.integers(24, 72))
        length = draw(st.integers(side // 3, side))
        start = draw(st.integers(0, side - length))
        sides.append(side)
        box.append((start, start + length))
    return sides[0], sides[1], (box[0][0], box[1][0], box[0][1], box[1][1])


@settings(deadline=None, max_examples=150)
@given(of=rules(), picture=pictures(), dtype=st.sampled_from([np.uint8, np.float32]))
def test_a_painted_box_is_found_in_the_input_where_the_frame_puts_it(of, picture, dtype):
    (how, wide, high), (width, height, box) = of, picture
    left, top, right, bottom = box
    image = np.zeros((height, width, 3), np.uint8)
    image[top:bottom, left:right] = 255
    prepared = fit(image, how, wide, high, dtype)
    assert prepared.pixels.shape[:2] == how.input_shape(width, height, wide, high)
    assert prepared.pixels.dtype == dtype
    y, x = np.nonzero(prepared.pixels[:, :, 0] > 127.5)
    found = np.array([[x.min(), y.min(), x.max() + 1, y.max() + 1]], float)
    expected = prepared.frame.to_input(np.array([box], float))
    assert np.abs(found - expected).max() <= EDGE[how.interpolation]
    rim = math.ceil(max(1.0, *prepared.frame.scale))  # over which an enlarged edge fades
    inside = prepared.pixels[y.min() + rim : y.max() + 1 - rim, x.min() + rim : x.max() + 1 - rim]
    assert (inside > 127.5).all(), "one box, without holes"


@settings(deadline=None, max_examples=150)
@given(of=rules(), picture=pictures())
def test_boxes_go_into_the_input_and_back_unchanged(of, picture):
    (how, wide, high), (width, height, box) = of, picture
    frame = frame_of(width, height, how, wide, high)
    boxes = np.array([box, (0, 0, width, height)], float)
    np.testing.assert_allclose(frame.to_image(frame.to_input(boxes)), boxes, rtol=0, atol=1e-12)
    into = frame.to_input(boxes)
    whole = np.array([frame.input_width, frame.input_height] * 2, float)
    np.testing.assert_allclose(frame.from_normalized(into / whole), boxes, rtol=0, atol=1e-12)
    inner_width, inner_height = how.inner_size(width, height, frame.input_width, frame.input_height)
    left, top = frame.offset
    np.testing.assert_allclose(into[1], [left, top, left + inner_width, top + inner_height], rtol=0, atol=1e-12)
    assert left >= 0
    assert top >= 0
    assert (left + inner_width, top + inner_height) <= (frame.input_width, frame.input_height)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"resize": "letterbox"}, (24, 0, 72, 48)),
        ({"resize": "letterbox", "align": "center"}, (24, 0, 72, 48)),
        ({"resize": "letterbox", "align": "top_left"}, (0, 0, 48, 48)),
        ({"resize": "keep_aspect", "align": "top_left"}, (0, 0, 48, 48)),
        ({"resize": "letterbox", "max_side": 40}, (28, 4, 68, 44)),
        ({"resize": "keep_aspect", "max_side": 40}, (0, 0, 40, 40)),
    ],
)
def test_align_puts_the_picture_in_the_middle_or_at_the_left_top(keys, expected):
    prepared = fit(np.full((60, 60, 3), 255, np.uint8), rule(**keys), 96, 48, np.uint8)
    y, x = np.nonzero(prepared.pixels[:, :, 0])
    assert (x.min(), y.min(), x.max() + 1, y.max() + 1) == expected


@pytest.mark.parametrize(
    ("fill", "expected"), [("114", (114, 114, 114)), ("10,20,30", (10, 20, 30)), (None, (0, 0, 0))]
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32])
def test_borders_are_filled_and_the_picture_is_not(fill, expected, dtype):
    white = np.full((20, 40, 3), 255, np.uint8)
    prepared = fit(white, rule("letterbox", fill=fill) if fill else "letterbox", 40, 40, dtype)
    assert (prepared.pixels[10:30] == 255).all()
    for part in (prepared.pixels[:10], prepared.pixels[30:]):
        same(part, np.broadcast_to(np.array(expected, dtype), part.shape))


def test_borders_of_a_whole_number_type_are_not_filled_with_a_part_of_the_number():
    how = rule("letterbox", fill="123.7,116.3,103.5")
    with pytest.raises(DetectorError, match=r"fill=123\.7,116\.3,103\.5: the input is uint8, so fill must be whole"):
        fit(np.zeros((20, 40, 3), np.uint8), how, 40, 40, np.uint8)
    assert fit(np.zeros((20, 40, 3), np.uint8), how, 40, 40, np.float32).pixels[0, 0].tolist() == pytest.approx(
        [123.7, 116.3, 103.5]
    )


# As it was, and as others do it


def fitted_before(image, resize, input_width, input_height, dtype):
    """What `fit` did when bilinear and black borders were all there was."""
    height, width = image.shape[:2]
    if resize == "stretch":
        inner_width, inner_height = input_width, input_height
    else:
        factor = min(input_width / width, input_height / height)
        inner_width = min(input_width, max(1, round(width * factor)))
        inner_height = min(input_height, max(1, round(height * factor)))
    left, top = 0, 0
    if resize == "letterbox":
        left, top = (input_width - inner_width) // 2, (input_height - inner_height) // 2
    pixels = image
    if (inner_width, inner_height) != (width, height):
        source = image if dtype == np.uint8 else image.astype(np.float32)
        pixels = cv2.resize(source, (inner_width, inner_height), interpolation=cv2.INTER_LINEAR)
    pixels = np.asarray(pixels, dtype=dtype)
    canvas = np.zeros((input_height, input_width, 3), dtype)
    canvas[top : top + inner_height, left : left + inner_width] = pixels
    return canvas, (inner_width / width, inner_height / height), (left, top)


@settings(deadline=None, max_examples=150)
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    into=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    resize=st.sampled_from(["stretch", "letterbox", "keep_aspect"]),
    dtype=st.sampled_from([np.uint8, np.float16, np.float32]),
    as_rule=st.booleans(),
)
def test_without_further_keys_pixels_and_frames_are_what_they_were_to_the_last_bit(size, into, resize, dtype, as_rule):
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    pixels, scale, offset = fitted_before(noise, resize, *into, dtype)
    prepared = fit(noise, Description.of(resize=resize).rule() if as_rule else resize, *into, dtype)
    same(prepared.pixels, pixels)
    assert (prepared.frame.scale, prepared.frame.offset) == (scale, offset)


def ultralytics(width, height, side, *, auto=False, stride=32):
    """Size of the picture, and borders left, top, right, bottom: the published arithmetic of YOLOv5 to YOLO11."""
    r = min(side / height, side / width)
    inner = round(width * r), round(height * r)
    dw, dh = side - inner[0], side - inner[1]
    if auto:
        dw, dh = dw % stride, dh % stride
    dw, dh = dw / 2, dh / 2
    return inner, (round(dw - 0.1), round(dh - 0.1), round(dw + 0.1), round(dh + 0.1))


SIDES = st.integers(2, 4000)


@settings(max_examples=150)
@given(width=SIDES, height=SIDES, auto=st.booleans())
def test_a_letterbox_is_that_of_ultralytics(width, height, auto):
    if min(width, height) * 640 < max(width, height):  # theirs has no pixel then
        return
    inner, (left, top, right, bottom) = ultralytics(width, height, 640, auto=auto)
    how = rule("letterbox", max_side=640, pad=32) if auto else rule("letterbox", fill="114")
    frame = frame_of(width, height, how, *((0, 0) if auto else (640, 640)))
    if min(inner) < 1:
        return
    assert how.inner_size(width, height, frame.input_width, frame.input_height) == inner
    assert frame.offset == (left, top)
    assert (frame.input_width, frame.input_height) == (inner[0] + left + right, inner[1] + top + bottom)
    square = rule("letterbox", max_side=640, pad="max_side")
    assert frame_of(width, height, square) == frame_of(width, height, "letterbox", 640, 640)


@settings(max_examples=150)
@given(width=SIDES, height=SIDES, wide=st.integers(32, 700), high=st.integers(32, 700))
def test_keep_aspect_rounded_down_is_yolox(width, height, wide, high):
    r = min(high / height, wide / width)
    expected = max(1, int(width * r)), max(1, int(height * r))
    how = rule("keep_aspect", rounding="floor")
    assert how.inner_size(width, height, wide, high) == expected
    assert frame_of(width, height, how, wide, high).offset == (0, 0)
    square = rule("keep_aspect", rounding="floor", max_side=wide, pad="max_side")
    r = wide / max(width, height)
    assert square.inner_size(width, height, 0, 0) == (max(1, int(width * r)), max(1, int(height * r)))


@settings(max_examples=150)
@given(width=SIDES, height=SIDES, least=st.integers(32, 1024), more=st.integers(0, 1024))
def test_both_limits_rounded_down_are_torchvisions(width, height, least, more):
    """GeneralizedRCNNTransform: the factor in float32, the product in float64, cut."""
    most = least + more
    factor = float(
        min(np.float32(least) / np.float32(min(width, height)), np.float32(most) / np.float32(max(width, height)))
    )
    expected = tuple(max(1, math.floor(float(side) * factor)) for side in (width, height))
    how = rule("keep_aspect", min_side=least, max_side=most, rounding="floor", pad=32)
    assert how.inner_size(width, height, 0, 0) == expected
    high, wide = how.input_shape(width, height, 0, 0)
    assert (wide, high) == tuple(int(math.ceil(float(side) / 32) * 32) for side in expected)


@pytest.mark.parametrize(
    ("size", "limits", "expected"),
    [
        ((640, 480), (600, 1024), (800, 600)),
        ((1920, 1080), (600, 1024), (1024, 576)),  # the longer side decides
        ((1080, 1920), (600, 1024), (576, 1024)),
        ((100, 100), (640, 640), (640, 640)),
        ((500, 333), (800, 1333), (1201, 800)),
        ((427, 640), (800, 1333), (800, 1199)),
    ],
)
def test_both_limits_are_the_keep_aspect_ratio_resizer(size, limits, expected):
    how = rule("keep_aspect", min_side=limits[0], max_side=limits[1])
    assert how.inner_size(*size, 0, 0) == expected
    assert how.input_shape(*size, 0, 0) == expected[::-1], "without pad the input is the picture"
    padded = rule("keep_aspect", min_side=limits[0], max_side=limits[1], pad="max_side")
    assert padded.input_shape(*size, 0, 0) == (limits[1], limits[1])
    assert padded.input_shape(0, 0, 0, 0) == (limits[1], limits[1]), "known without an image"
    assert how.input_shape(0, 0, 0, 0) == (0, 0)


def test_torchvision_and_tensorflow_round_one_image_differently():
    """800 / 480 in float32 is a little less than 5 / 3."""
    keys = {"min_side": 800, "max_side": 1333}
    assert rule("keep_aspect", **keys).inner_size(640, 480, 0, 0) == (1067, 800)
    assert rule("keep_aspect", rounding="floor", **keys).inner_size(640, 480, 0, 0) == (1066, 799)
    assert rule("keep_aspect", rounding="floor", **keys).inner_size(900, 1000, 0, 0) == (800, 888)  # as users report


def test_an_image_of_one_limit_is_not_resampled_and_one_too_thin_keeps_a_pixel():
    noise = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    for interpolation in INTERPOLATIONS:
        how = rule("keep_aspect", max_side=48, interpolation=interpolation)
        same(fit(noise, how, 0, 0, np.uint8).pixels, noise)
    assert rule("keep_aspect", max_side=10, rounding="floor").inner_size(1000, 2, 0, 0) == (10, 1)
    assert rule("keep_aspect", min_side=1).inner_size(1000, 2, 0, 0) == (500, 1)


# Keys


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (
            {"resize": "stretch", "fill": 114},
            "fill=114 is not used: resize=stretch brings both sides .*, without borders",
        ),
        ({"resize": "stretch", "min_side": 9}, "min_side=9 is not used: resize=stretch"),
        ({"resize": "inside", "interpolation": "area"}, "interpolation=area is not used: with resize=inside the model"),
        ({"resize": "inside", "align": "center"}, "align=center is not used: .*; remove it from --cropdet-detector"),
        (
            {"resize": "keep_aspect", "align": "center"},
            "align=center contradicts .*; set --cropdet-detector resize=letter",
        ),
        ({"resize": "letterbox", "min_side": 9, "max_side": 8, "pad": 2}, "min_side=9 is larger than max_side=8"),
        ({"resize": "letterbox", "pad": "max_side"}, "pad=max_side: no max_side is set; add"),
        ({"resize": "letterbox", "pad": "max_side", "min_side": 9}, "pad=max_side: no max_side is set; add"),
        ({"resize": "letterbox", "pad": "32"}, "pad=32 is not used: without min_side or max_side"),
        ({"fill": "300"}, "fill=300: must be one number of 0 to 255, or three with commas"),
        ({"fill": "1,2"}, "fill=1,2: must be one number of 0 to 255, or three"),
        ({"fill": "gray"}, "fill=gray: must be one number"),
        ({"fill": "nan"}, "fill=nan: must be one number"),
        ({"pad": "1"}, "pad=1: must be max_side, or a number of pixels from 2 to 4096"),
        ({"pad": "square"}, "pad=square: must be max_side"),
        ({"align": "left"}, "align=left: must be one of center, top_left"),
        ({"rounding": "up"}, "rounding=up: must be one of nearest, floor"),
        ({"interpolation": "linear"}, "interpolation=linear: must be one of bilinear, antialiased, area"),
        ({"min_side": 0}, "min_side=0: must lie between 1 and 16384"),
        ({"max_side": "640x640"}, "max_side=640x640: must be a number"),
    ],
)
def test_keys_that_make_no_sense_are_named_when_they_are_given(keys, sentence):
    with pytest.raises(DetectorError, match=sentence):
        Description.of(**keys)


@pytest.mark.parametrize(
    ("keys", "size", "sentence"),
    [
        (
            {"resize": "stretch"},
            (0, 0),
            "resize=stretch: the model takes images of any size and resizes them itself; if",
        ),
        (
            {"resize": "letterbox", "fill": "114"},
            (0, 0),
            "set --cropdet-detector resize=keep_aspect with min_side= or max",
        ),
        (
            {"resize": "letterbox", "max_side": 64},
            (0, 0),
            r"set --cropdet-detector pad=max_side \(a square\) or pad=32",
        ),
        ({"resize": "keep_aspect", "max_side": 64, "fill": "9"}, (0, 0), "fill=9 is not used: nothing is padded; set"),
        (
            {"resize": "keep_aspect", "max_side": 64, "pad": 32},
            (64, 64),
            "pad=32 is not used: its input is fixed at 64 x",
        ),
        ({"resize": "keep_aspect", "min_side": 64}, (80, 64), "add --cropdet-detector max_side=64, or remove min_side"),
        (
            {"resize": "keep_aspect", "max_side": 80},
            (80, 64),
            "max_side=80: its input is fixed at 80 x 64 pixels, and not",
        ),
        ({"resize": "keep_aspect", "max_side": 80}, (80, 0), "one side of its input is fixed and the other takes any"),
    ],
)
def test_a_rule_that_does_not_fit_the_models_input_is_refused_with_what_to_set(keys, size, sentence):
    with pytest.raises(DetectorError, match=sentence):
        Description.of(**keys).rule().check_input(*size)


@pytest.mark.parametrize(
    ("keys", "size"),
    [
        ({"resize": "inside"}, (0, 0)),
        ({"resize": "stretch", "interpolation": "area"}, (64, 48)),
        ({"resize": "letterbox", "fill": "114", "align": "top_left", "rounding": "floor"}, (64, 48)),
        ({"resize": "keep_aspect", "align": "top_left", "min_side": 32, "max_side": 48}, (64, 48)),
        ({"resize": "keep_aspect", "min_side": 32, "max_side": 48}, (0, 0)),
        ({"resize": "letterbox", "max_side": 48, "pad": "max_side", "fill": "114"}, (0, 0)),
    ],
)
def test_rules_that_fit(keys, size):
    Description.of(**keys).rule().check_input(*size)


def test_details_without_a_resize_require_it():
    with pytest.raises(DetectorError, match=r"fill=114 says how images are resized; .* resize=letterbox\|keep_aspect"):
        Description.of(fill=114).rule()
    assert Description().rule() == ResizeRule("inside")


def test_another_resize_takes_only_the_keys_that_it_uses():
    said = Description.of(resize="letterbox", align="center", fill=114, interpolation="area", boxes="xyxy").known()
    assert [change_convention(said, "resize", each) for each in alternatives("resize", "letterbox")] == [
        {"resize": "stretch", "interpolation": "area", "boxes": "xyxy"},
        {"resize": "keep_aspect", "fill": "114", "interpolation": "area", "boxes": "xyxy"},
    ]
    for value in alternatives("resize", "letterbox"):
        Description.of(**change_convention(said, "resize", value))


# What depends on it


def test_fingerprints_of_descriptions_without_the_newer_keys_are_those_they_had(tmp_path):
    """Hashed before the keys were there: else every cache would be lost with an upgrade."""
    model = tmp_path / "m.bin"
    model.write_bytes(b"model")
    old = Description.of(boxes="xyxy", resize="letterbox", range="0..1", nms_iou="0.5", batch=4)
    assert f"{old}" == (
        "Description(boxes='xyxy', units=None, first_category=None, labels=None, channels=None, range='0..1', "
        "resize='letterbox', batch=4, threads=None, nms_iou=0.5, anchors=None, outputs=None, activation=None, "
        "signature=None, custom_objects=None)"
    )
    assert [fingerprint_of_files(model, [model], "tflite", each)[:16] for each in (Description(), old)] == [
        "4f7bfb2bead13fbf",
        "6aab0938370ea330",
    ]
    changed = {
        fingerprint_of_files(model, [model], "tflite", Description.of(resize="letterbox", **each))
        for each in (
            {},
            {"fill": 114},
            {"align": "top_left"},
            {"interpolation": "area"},
            {"rounding": "floor"},
            {"max_side": 64},
            {"max_side": 64, "pad": 32},
            {"min_side": 64},
        )
    }
    assert len(changed) == 8, "each key makes another detector of it"


def test_a_profile_carries_the_rule_and_the_shape_follows_from_it_without_the_model():
    given = Description.of(resize="keep_aspect", min_side=60, max_side=100, pad=8, fill="1,2,3")
    profile = Profile.from_json(Profile(1, None, None, (0, 0), given).to_json())
    assert profile.description == given
    handle = DetectorHandle("it", lambda: pytest.fail("loaded"), given)
    handle.recall(profile)
    assert handle.input_shape(300, 200) == (64, 96)  # 90 x 60
    assert handle.input_shape(200, 400) == (104, 56)  # 60 x 120 is too long, so 50 x 100
    assert DetectorHandle("it", lambda: None, given).description.rule() == given.rule()


def test_sizes_at_the_input_are_measured_with_the_rule():
    box = np.array([[20.0, 10.0, 60.0, 30.0]])
    how = rule("keep_aspect", min_side=50, max_side=400, pad=32)
    seen = at_input(box, [[200, 100]], (0, 0), how)  # 100 x 50 in 128 x 64
    assert 4 ** seen.size[0] == pytest.approx(20 * 10)
    assert (seen.x[0], seen.y[0]) == (pytest.approx(20 / 128), pytest.approx(10 / 64))
    assert input_note((0, 0), how) == (
        "sizes are those at the model's input (resize=keep_aspect, min_side=50, max_side=400, pad=32)"
    )
    assert input_note((320, 300), "letterbox").endswith("input of 300 x 320 pixels (resize=letterbox)")


def test_boxes_are_read_in_another_way_with_the_rule():
    how = rule("letterbox", align="top_left", rounding="floor", min_side=50, max_side=90)
    boxes = np.array([[20.0, 10.0, 60.0, 30.0]])
    for units in ("normalized", "input"):
        for size in ((96, 96), (0, 0)):
            declared = Declared("yxyx", units, *size, how)
            assert declared.knows_input
            expected = frame_of(201, 100, how, *size).to_input(boxes)
            if units == "normalized":
                frame = frame_of(201, 100, how, *size)
                expected = expected / np.array([frame.input_width, frame.input_height] * 2, float)
            np.testing.assert_allclose(declared.undone(boxes, 201, 100)[:, [1, 0, 3, 2]], expected, rtol=1e-12)
    assert not Declared("yxyx", "input", 0, 0, "letterbox").knows_input


def test_no_adapter_resizes_by_the_word_alone():
    """`fit(image, description.resize, ...)` would leave out fill, align and the other keys without a word."""
    adapters = Path(module.__file__).parent.glob("*.py")
    calls = {path.name: re.findall(r"\bfit\(([^()]*(?:\([^()]*\))?[^()]*)\)", path.read_text()) for path in adapters}
    found = {name: each for name, each in calls.items() if each}
    assert {"tflite.py", "tensorflow_model.py"} <= set(found)
    assert not [name for name, each in found.items() if any("description.resize" in call for call in each)]
