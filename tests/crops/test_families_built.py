"""Detectors with one weakness each, and the family that shows it."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_cropdet.crops.families import FAMILIES
from pytest_cropdet.crops.family import SEVERITIES
from pytest_cropdet.data.cropping import crop_detections
from pytest_cropdet.data.samples import Detections
from pytest_cropdet.geometry.boxes import clip
from pytest_cropdet.geometry.crop import Crop
from tests.support import HEIGHT, WIDTH, Fake, loses_cut, made, perfect, shown_in, small_run

DATA = made(images=30)
WHOLE = [Detections(each.truth.boxes, np.full(len(each.truth), 0.9), each.truth.categories) for each in DATA]
NEEDS = np.random.default_rng(5).random((len(WHOLE), 3))  # a number from 0 to 1 for each object


def stride_phase(number: int, crop: Crop) -> Detections:
    """Of stride 8: blind to a picture in its own scale that begins off the stride's grid, along x and y.

    Pictures of less than 0.6 of a side are enlarged first, and have no such grid.
    """
    enlarged = crop.width <= 0.6 * WIDTH or crop.height <= 0.6 * HEIGHT
    if not enlarged and crop.left % 8 and crop.top % 8:
        return Detections.empty()
    return shown_in(WHOLE[number], crop)


def truncation(number: int, crop: Crop) -> Detections:
    """Finds an object if enough of it shows: of each a share of its own, from a half to all."""
    cropped = crop_detections(WHOLE[number], crop)
    enough = cropped.visibility >= 0.5 + 0.5 * NEEDS[number][cropped.kept]
    return cropped.detections.take(np.flatnonzero(enough))


def context(number: int, crop: Crop) -> Detections:
    """Finds an object if enough of its surroundings shows: of each up to twice its size, as far as there is image."""
    boxes = WHOLE[number].boxes
    reach = 2 * NEEDS[number][:, None] * (boxes[:, 2:] - boxes[:, :2])
    needed = clip(np.concatenate([boxes[:, :2] - reach, boxes[:, 2:] + reach], axis=1), WIDTH, HEIGHT)
    inside = (np.abs(crop.clip(needed) - needed) < 1e-9).all(axis=1)
    return crop_detections(WHOLE[number].take(np.flatnonzero(inside)), crop).detections


def drops(answer, family: str) -> list[float]:
    """The mAP lost at each severity."""
    return [small_run(Fake(answer), DATA, f"{family}:severity={severity}").drop.value for severity in SEVERITIES]


@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_detector_that_sees_in_crops_what_it_sees_in_images_loses_nothing_in_any_family(severity):
    spec = "+".join(f"{family}:severity={severity}" for family in FAMILIES)
    assert small_run(perfect(DATA), DATA, spec).drop.value == 0.0


def test_a_stride_phase_weakness_shows_in_shift_and_nowhere_else():
    lost = {family: small_run(Fake(stride_phase), DATA, f"{family}:severity=5").drop for family in FAMILIES}
    assert lost.pop("shift").low > 0.5
    assert {family: drop.value for family, drop in lost.items()} == dict.fromkeys(lost, 0.0)


def test_a_shift_by_the_whole_stride_does_not_show_it():
    exact = {px: small_run(Fake(stride_phase), DATA, f"shift:px={px}").drop.value for px in (7, 8, 9, 16)}
    assert (exact[8], exact[16]) == (0.0, 0.0)
    assert (exact[7], exact[9]) == (1.0, 1.0)


def test_a_truncation_weakness_grows_with_the_severity_of_edge():
    lost = drops(truncation, "edge")
    assert all(np.diff(lost) > 0)
    assert lost[0] < 0.2 < 0.4 < lost[-1]


def test_a_detector_that_misses_whatever_is_cut_keeps_what_is_centred():
    """Objects within their margin are whole: the weakness is seen by ``edge`` and far less by ``object``."""
    edge, centred = (small_run(loses_cut(WHOLE), DATA, f"{family}:severity=1").drop for family in ("edge", "object"))
    assert centred.high < edge.low


def test_a_need_of_context_grows_with_the_severity_of_object():
    lost = drops(context, "object")
    assert all(np.diff(lost) > 0)
    assert lost[0] < 0.4 < 0.8 < lost[-1]  # other objects in the window lose their surroundings at any severity
