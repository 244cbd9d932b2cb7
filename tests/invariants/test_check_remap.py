"""What is found in other people's remaps: each mistake by its own name, with the smallest case."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from pytest_cropdet import Crop, CropdetError, RemapError, check_remap, crop_truth
from pytest_cropdet.data.samples import GroundTruth
from pytest_cropdet.errors import SpecError
from pytest_cropdet.geometry.boxes import areas, has_sides, visible_fraction
from pytest_cropdet.invariants import remap_errors
from pytest_cropdet.invariants.remap_checks import find_remap_errors, remap_cases
from pytest_cropdet.invariants.remap_rules import RemapCase, RemapRules, assert_remap


def right(image, boxes, labels, crop, crowd):
    shown = crop_truth(GroundTruth(boxes, labels, crowd=crowd), crop)
    return {
        "boxes": shown.truth.boxes,
        "labels": shown.truth.categories,
        "visibility": shown.visibility,
        "crowd": shown.truth.crowd,
        "kept": shown.kept,
        "image": crop.of(image),
    }


def short(image, boxes, labels, crop):
    inside = crop.into(boxes)
    shows = has_sides(inside)
    return inside[shows], labels[shows]


def then(change):
    """The right answer without ``kept``, with something changed in it."""

    def remap(image, boxes, labels, crop, crowd):
        answer = right(image, boxes, labels, crop, crowd)
        kept = answer.pop("kept")
        return {**answer, **change(answer, boxes, labels, crop, kept)}

    return remap


def boxes_as(change, keep=None):
    """Boxes by another arithmetic, those kept that then have sides."""

    def remap(image, boxes, labels, crop):
        changed = change(boxes, crop)
        keeps = has_sides(changed if keep is None else keep(boxes, crop))
        return changed[keeps], labels[keeps]

    return remap


def of_right(change):
    """The right objects, their boxes changed."""
    return boxes_as(lambda boxes, crop: change(crop.into(boxes), crop), lambda boxes, crop: crop.into(boxes))


def cut(boxes, left, top, width, height):
    return np.clip(boxes - [left, top, left, top], 0, [width, height, width, height])


def only(shows):
    def remap(image, boxes, labels, crop, crowd):
        inside = crop.into(boxes)
        keeps = shows(boxes, inside, crop, crowd)
        return {"boxes": inside[keeps], "labels": labels[keeps], "crowd": crowd[keeps]}

    return remap


def touching_kept(image, boxes, labels, crop):
    inside = (boxes[:, :2] <= [crop.right, crop.bottom]).all(axis=1)
    inside &= (boxes[:, 2:] >= [crop.left, crop.top]).all(axis=1)
    return crop.into(boxes)[inside], labels[inside]


def in_float32(image, boxes, labels, crop):
    """The slivers of arithmetic on normalised coordinates."""
    size = np.array([image.shape[1], image.shape[0]] * 2, np.float32)
    window = np.array([crop.left, crop.top, crop.right, crop.bottom], np.float32) / size
    unit = boxes.astype(np.float32) / size
    low, high = np.tile(window[:2], 2), np.tile(window[2:], 2)
    inside = ((np.clip(unit, low, high) - low) * size).astype(np.float64)
    inside[:, 2:] += 1e-5
    shows = has_sides(inside)
    return inside[shows], labels[shows]


def raises_when_all_leave(image, boxes, labels, crop):
    kept, names = short(image, boxes, labels, crop)
    return np.stack(list(kept)), names


def changes_its_input(image, boxes, labels, crop):
    boxes -= [crop.left, crop.top] * 2
    clipped = np.clip(boxes, 0, [crop.width, crop.height] * 2)
    shows = has_sides(clipped)
    return clipped[shows], labels[shows]


MISTAKES = {
    "axes swapped": (boxes_as(lambda b, c: cut(b, c.top, c.left, c.height, c.width)), "SwappedAxes"),
    "offsets swapped": (boxes_as(lambda b, c: cut(b, c.top, c.left, c.width, c.height)), "SwappedAxes"),
    "sizes swapped": (boxes_as(lambda b, c: cut(b, c.left, c.top, c.height, c.width)), "SwappedAxes"),
    "answers y x": (of_right(lambda inside, crop: inside[:, [1, 0, 3, 2]]), "SwappedAxes"),
    "one pixel right": (of_right(lambda inside, crop: inside + np.array([1, 0, 1, 0])), "OffByOne"),
    "one pixel up and left": (of_right(lambda inside, crop: inside - 1), "OffByOne"),
    "inclusive ends": (of_right(lambda inside, crop: inside - [0, 0, 1, 1]), "OffByOne"),
    "counted from 1 before clipping": (boxes_as(lambda b, c: c.into(b + 1)), "OffByOne"),
    "clipped to W - 1": (
        boxes_as(lambda b, c: cut(b, c.left, c.top, c.width - 1, c.height - 1)),
        "ClippedToLastPixel",
    ),
    "clipped to W - 1 when all are kept": (
        of_right(lambda inside, crop: np.minimum(inside, [crop.width - 1, crop.height - 1] * 2)),
        "ClippedToLastPixel",
    ),
    "cut to whole pixels": (of_right(lambda inside, crop: np.trunc(inside)), "RoundedToPixels"),
    "rounded": (of_right(lambda inside, crop: np.rint(inside)), "RoundedToPixels"),
    "cast to int before all": (boxes_as(lambda b, c: c.into(b.astype(int).astype(float))), "RoundedToPixels"),
    "grown to whole pixels": (
        of_right(lambda inside, crop: np.hstack([np.floor(inside[:, :2]), np.ceil(inside[:, 2:])])),
        "RoundedToPixels",
    ),
    "not moved": (of_right(lambda inside, crop: crop.out_of(inside)), "BoxesNotMoved"),
    "not clipped": (
        boxes_as(lambda b, c: b - [c.left, c.top] * 2, lambda b, c: c.into(b)),
        "BoxesNotClipped",
    ),
    "a tenth of a pixel off": (of_right(lambda inside, crop: inside + 0.1), "ImpreciseBoxes"),
    "a tenth too large": (of_right(lambda inside, crop: inside * 1.1 + 3), "WrongBoxes"),
    "touching boxes kept": (touching_kept, "SliverKept"),
    "slivers of float32 kept": (in_float32, "SliverKept"),
    "slivers below a square pixel dropped": (
        only(lambda b, inside, c, crowd: areas(inside) >= 1),
        "VisibleObjectDropped",
    ),
    "objects that are cut dropped": (
        only(lambda b, inside, c, crowd: (c.clip(b) == b).all(axis=1)),
        "VisibleObjectDropped",
    ),
    "by the middle of the box": (
        only(lambda b, inside, c, crowd: has_sides(inside) & ((b[:, 0] + b[:, 2]) / 2 < c.right)),
        "VisibleObjectDropped",
    ),
    "crowds dropped": (only(lambda b, inside, c, crowd: has_sides(inside) & ~crowd), "CrowdDropped"),
    "labels not filtered": (
        then(lambda answer, boxes, labels, crop, kept: {"labels": labels[: len(kept)]}),
        "LabelsMisaligned",
    ),
    "labels turned round": (
        then(lambda answer, boxes, labels, crop, kept: {"labels": answer["labels"][::-1], "crowd": None}),
        "LabelsMisaligned",
    ),
    "crowd turned into none": (
        then(lambda answer, boxes, labels, crop, kept: {"crowd": np.zeros(len(kept), bool)}),
        "CrowdMisaligned",
    ),
    "visibility of the clipped box": (
        then(lambda answer, boxes, labels, crop, kept: {"visibility": np.ones(len(kept))}),
        "RebasedVisibility",
    ),
    "visibility against the window": (
        then(
            lambda answer, boxes, labels, crop, kept: {
                "visibility": areas(answer["boxes"]) / (crop.width * crop.height)
            }
        ),
        "RebasedVisibility",
    ),
    "visibility of the width alone": (
        then(
            lambda answer, boxes, labels, crop, kept: {
                "visibility": (answer["boxes"][:, 2] - answer["boxes"][:, 0]) / (boxes[kept, 2] - boxes[kept, 0])
            }
        ),
        "WrongVisibility",
    ),
    "the image not cut": (
        lambda image, boxes, labels, crop: {
            **dict(zip(("boxes", "labels"), short(image, boxes, labels, crop), strict=True)),
            "image": image,
        },
        "WrongImage",
    ),
    "raises when all leave": (raises_when_all_leave, "RemapRaised"),
    "changes its input": (changes_its_input, "InputChanged"),
    "answers None": (lambda image, boxes, labels, crop: None, "WrongAnswer"),
    "labels of another number": (lambda *given: (short(*given)[0], given[2]), "WrongAnswer"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_by_its_name_and_no_other(name):
    function, cause = MISTAKES[name]
    assert [type(error).__name__ for error in find_remap_errors(function, max_examples=60)] == [cause]


def test_every_class_is_the_name_of_some_mistake_here():
    names = {cause for _, cause in MISTAKES.values()} | {"RemapError", "HiddenObjectKept"}
    assert names == set(remap_errors.__all__)


@pytest.mark.parametrize("function", [right, short], ids=["right", "short"])
def test_a_right_remap_passes(function):
    check_remap(function)


def caught(function, **more):
    with pytest.raises(RemapError) as caught:
        check_remap(function, **more)
    return caught.value


def test_the_error_gives_the_smallest_case_in_numbers_and_as_code():
    error = caught(MISTAKES["clipped to W - 1 when all are kept"][0])
    assert isinstance(error, AssertionError)
    assert isinstance(error, CropdetError)
    lines = str(error).splitlines()
    assert lines[0] == "boxes are clipped to width - 1 and height - 1"
    assert lines[1].startswith("  image ")
    assert any(line.startswith("  box ") and "; expected " in line for line in lines)
    assert any(line.startswith("  got ") for line in lines)
    again = eval(lines[-1], {"RemapCase": RemapCase, "Crop": Crop})
    assert again == error.case
    assert len(again.boxes) == 1
    with pytest.raises(type(error)):
        assert_remap(MISTAKES["clipped to W - 1 when all are kept"][0], again)
    assert_remap(short, again)


def test_two_mistakes_are_two_errors():
    def both(image, boxes, labels, crop, crowd):
        inside = crop.into(boxes)
        keeps = has_sides(inside) & ~crowd
        return inside[keeps] + [1, 0, 1, 0], labels[keeps]

    error = caught(both)
    assert {type(each).__name__ for each in (error, *error.others)} == {"OffByOne", "CrowdDropped"}
    assert "\nalso " in str(error)


def thresholded(holds):
    def remap(image, boxes, labels, crop):
        keeps = has_sides(crop.into(boxes)) & holds(visible_fraction(boxes, crop.clip(boxes)))
        return crop.into(boxes)[keeps], labels[keeps]

    return remap


def test_a_declared_threshold_is_at_least_and_no_other():
    check_remap(thresholded(lambda seen: seen >= 0.5), min_visibility=0.5)
    error = caught(thresholded(lambda seen: seen > 0.5), min_visibility=0.5)
    assert type(error).__name__ == "VisibleObjectDropped"
    assert "0.5 of it visible" in str(error)
    assert type(caught(short, min_visibility=0.5)).__name__ == "HiddenObjectKept"


def test_tolerance_and_whole_pixels_forgive_what_they_say():
    check_remap(of_right(lambda inside, crop: inside + 0.1), tolerance=0.11)
    check_remap(of_right(lambda inside, crop: np.rint(inside)), whole_pixels=True)
    with pytest.raises(SpecError, match="min_visibility=2 must lie between 0 and 1"):
        check_remap(short, min_visibility=2)


def test_the_verdict_is_the_same_each_time_and_whatever_the_users_profile():
    function = MISTAKES["rounded"][0]
    first = str(caught(function))
    before = settings.get_current_profile_name()
    settings.register_profile("loud", max_examples=3, phases=[], suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("loud")
    try:
        assert str(caught(function)) == first
        assert settings.get_current_profile_name() == "loud"
    finally:
        settings.load_profile(before)


def test_a_picture_shows_window_expected_and_returned_boxes(tmp_path):
    pytest.importorskip("matplotlib")
    target = tmp_path / "mistake.png"
    caught(of_right(lambda inside, crop: inside + np.array([1, 0, 1, 0])), picture=target)
    assert target.read_bytes().startswith(b"\x89PNG")


@given(case=remap_cases())
@settings(max_examples=30, deadline=None)
def test_a_case_is_code_and_the_right_answer_is_right(case):
    assert eval(repr(case), {"RemapCase": RemapCase, "Crop": Crop}) == case
    assert_remap(right, case, RemapRules(tolerance=0.0))
