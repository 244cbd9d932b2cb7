"""Which window a recipe draws, what becomes of the sample in it, and who is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from pytest_cropdet.augment import Augmentation, Context, Cut, Matched, Position, Scale
from pytest_cropdet.augment.draws import Draws, hash_words
from pytest_cropdet.crops.plan import make_plan
from pytest_cropdet.data.cropping import crop_truth
from pytest_cropdet.data.samples import GroundTruth, Sample
from pytest_cropdet.errors import DataError, SpecError
from pytest_cropdet.geometry.crop import Crop
from tests.augment.made import ALL, LARGEST, RECIPES, Fixed, crop_truth_in_numpy, numbers, pictures
from tests.geometry.invariants import EXACT, ODD, same
from tests.strategies import scenes

quick = settings(max_examples=60, deadline=None)
ONE = GroundTruth([[40, 30, 60, 70]], [3])
IMAGE = np.arange(100 * 120 * 3, dtype=np.uint32).reshape(100, 120, 3).astype(np.uint8)


# The gate's geometry


@pytest.mark.parametrize("check", EXACT, ids=lambda check: check.__name__)
@settings(max_examples=20, deadline=None)
@given(scene=scenes())
def test_in_numpy(check, scene):
    check(crop_truth_in_numpy, scene)


@settings(quick, max_examples=100)
@given(scene=scenes(odd=True))
def test_in_numpy_of_boxes_that_are_not_exact_in_binary(scene):
    for check in ODD:
        check(crop_truth_in_numpy, scene)


@quick
@given(picture=pictures(masked=True), index=numbers)
def test_objects_with_masks_count_as_in_a_gate_and_have_their_tight_box(picture, index):
    shown = ALL(picture.image, picture.truth, index)
    height, width = picture.image.shape[:2]
    left, top = max(shown.window.left, 0), max(shown.window.top, 0)
    right = min(shown.window.left + shown.window.width, width)
    bottom = min(shown.window.top + shown.window.height, height)
    truth = crop_truth(picture.truth, Crop(left, top, right - left, bottom - top))
    same(shown.kept, truth.kept)
    same(shown.ignored, ~truth.scored)
    same(shown.visibility, truth.visibility)
    moved = np.where(truth.scored[:, None], truth.tight, truth.truth.boxes)
    same(shown.boxes, moved + np.array([left - shown.window.left, top - shown.window.top] * 2))


@quick
@given(picture=pictures(whole=True), index=numbers)
def test_boxes_are_where_the_pixels_are(picture, index):
    """Each object painted alone into a black picture, which then goes through the same window."""
    shown = replace(ALL, fill=(0, 0, 0))(picture.image, picture.truth, index)
    for row, box in enumerate(picture.truth.boxes.astype(int)):
        painted = np.zeros_like(picture.image)
        painted[box[1] : box[3], box[0] : box[2]] = 255
        y, x = np.nonzero(replace(ALL, fill=(0, 0, 0))(painted, picture.truth, index).image[..., 0])
        place = np.flatnonzero(shown.kept == row)
        if not x.size:
            assert not place.size
            continue
        assert shown.boxes[place].tolist() == [[x.min(), y.min(), x.max() + 1, y.max() + 1]]


@quick
@given(picture=pictures(), index=numbers)
def test_out_of_the_window_again_an_uncut_box_is_bit_for_bit_the_one_that_went_in(picture, index):
    shown = ALL(picture.image, picture.truth, index)
    uncut = shown.visibility == 1
    back = shown.boxes + np.array([shown.window.left, shown.window.top] * 2)
    same(back[uncut], picture.truth.boxes[shown.kept[uncut]])


def test_boxes_are_resized_with_the_picture_each_side_by_its_own_factor():
    image = np.zeros((40, 60, 3), np.uint8)
    image[10:20, 15:45] = 200
    shown = Augmentation((Position(leave=1.0),), width=120, height=20)(image, GroundTruth([[15, 10, 45, 20]], [1]), 0)
    assert shown.image.shape == (20, 120, 3)
    assert shown.boxes.tolist() == [[30, 5, 90, 10]]
    y, x = np.nonzero(shown.image[..., 0] > 100)
    assert (x.min(), y.min(), x.max() + 1, y.max() + 1) == (30, 5, 90, 10)


def test_an_object_of_which_too_little_shows_is_ignored_and_not_background():
    shown = Augmentation((Fixed((0, 0, 45, 100)),))(IMAGE, ONE, 0)
    assert shown.ignored.tolist() == [True]
    assert shown.visibility.tolist() == [0.25]
    assert shown.boxes.tolist() == [[40, 30, 45, 70]]


# Windows


def drawn(recipe, count=300, width=120, height=100, truth=ONE):
    return [Augmentation((recipe,)).window(truth, width, height, index) for index in range(count)]


def test_context_holds_the_object_with_what_its_margin_gives():
    windows = drawn(Context(margin=(0.1, 0.5), least=0.05))
    for left, top, width, height in windows:
        assert 0 <= left <= 40
        assert 60 <= left + width <= 120
        assert 0 <= top <= 30
        assert 70 <= top + height <= 100
    assert {width for _, _, width, _ in windows} == set(range(24, 39, 2))
    assert min(left for left, *_ in windows) < 25
    assert {window.width for window in drawn(Context(margin=(0.0, 0.0), least=0.5))} == {60}


def test_cut_goes_through_the_object_and_leaves_what_was_asked_for():
    left, top, right, bottom = 0, 0, 0, 0
    for window in drawn(Cut(visible=(0.5, 0.75))):
        crop = Crop(*window)
        assert crop.fits(120, 100)
        seen = crop_truth(ONE, crop)
        assert 0.5 <= seen.visibility[0] <= 0.75 + 1 / 20
        assert seen.scored[0]
        left, right = left + (crop.left > 40), right + (crop.right < 60)
        top, bottom = top + (crop.top > 30), bottom + (crop.bottom < 70)
    assert left + top + right + bottom == 300
    assert min(left, top, right, bottom) > 50


def test_cut_turns_to_the_opposite_edge_where_an_object_at_the_border_leaves_no_room():
    at_the_bottom = GroundTruth([[50, 92, 60, 100]], [1])
    for left, top, width, height in drawn(Cut(keep=(0.4, 0.4)), truth=at_the_bottom):
        assert (left + width <= 120, top + height <= 100) == (True, True)
        assert (width, height) == (48, 40)


def test_position_moves_the_picture_in_its_own_frame_and_fills_with_its_mean():
    windows = drawn(Position(shift=2))
    assert {window[:2] for window in windows} == {(x, y) for x in range(-2, 3) for y in range(-2, 3)}
    assert {window[2:] for window in windows} == {(120, 100)}
    shown = Augmentation((Fixed((-3, 2, 120, 100)),))(IMAGE, ONE, 0)
    same(shown.image[:98, 3:], IMAGE[2:, :117])
    assert (shown.image[:, :3] == IMAGE.mean(axis=(0, 1)).astype(np.uint8)).all()
    assert (shown.image[98:] == shown.image[0, 0]).all()


def test_scale_zooms_in_and_out_equally_often():
    windows = drawn(Scale(window_share=(0.5, 3.0)))
    inside = [window for window in windows if window.width <= 120]
    assert all(Crop(*window).fits(120, 100) and window.width >= 60 for window in inside)
    around = [window for window in windows if window.width > 120]
    for left, top, width, height in around:
        assert left <= 0 <= left + width - 120 <= 240
        assert top <= 0 <= top + height - 100 <= 200
    assert 110 < len(inside) < 190


def test_matched_draws_the_windows_of_the_gates_family():
    sample = Sample("a.jpg", 120, 100, ONE, read=lambda: IMAGE)
    tiles = {(c.left, c.top, c.width, c.height) for _, c in make_plan([sample], "tile:size=50,overlap=0.3")}
    assert set(drawn(Matched("tile:size=50,overlap=0.3"))) == tiles
    shares = {(c.left, c.top, c.width, c.height) for _, c in make_plan([sample], "tile:size=0.4,overlap=0.3")}
    assert set(drawn(Matched("tile:size=0.4,overlap=0.3"))) == shares
    kept = drawn(Matched("random:keep=0.3"), 1000)
    assert {window[2:] for window in kept} == {(36, 30)}
    assert all(0 <= window.left <= 84 and 0 <= window.top <= 70 for window in kept)
    assert {0, 84} <= {window.left for window in kept}
    assert {0, 70} <= {window.top for window in kept}
    both = drawn(Matched("random:keep=0.3+tile:size=50"))
    assert 100 < sum(window[2:] == (36, 30) for window in both) < 200


def gates(spec, sample, seeds):
    """The windows that a gate draws of one sample, over many seeds."""
    plans = (make_plan([sample], spec, seed=seed) for seed in range(seeds))
    return {(crop.left, crop.top, crop.width, crop.height) for plan in plans for _, crop in plan}


@pytest.mark.parametrize("margin", [0, 0.25, 0.33, 3])
def test_matched_draws_the_window_round_an_object(margin):
    sample = Sample("a.jpg", 120, 100, ONE, read=lambda: IMAGE)
    spec = f"object:margin={margin}"
    assert set(drawn(Matched(spec), 20)) == gates(spec, sample, 3)


@pytest.mark.parametrize("visible", [0.3, 0.5, 0.6, 0.85])
@pytest.mark.parametrize(
    "box",
    [(20, 30, 60, 70), (2, 3, 14, 97), (40, 40, 80, 60), (22, 10, 100, 90)],
    ids=lambda box: "-".join(map(str, box)),
)
def test_matched_cuts_an_object_from_the_sides_that_the_gate_may_draw(visible, box):
    truth = GroundTruth([box], [1])
    sample = Sample("a.jpg", 120, 100, truth, read=lambda: IMAGE)
    spec = f"edge:visible={visible}"
    windows = drawn(Matched(spec), 200, truth=truth)
    assert set(windows) == gates(spec, sample, 60)
    counts = [windows.count(each) for each in set(windows)]
    assert max(counts) < 2 * min(counts)


def test_matched_draws_a_window_that_keeps_exactly_half_of_the_image():
    truth = GroundTruth([[50, 30, 70, 50]], [1])
    halves = {(60, 0, 60, 100), (0, 0, 60, 100)}
    assert set(drawn(Matched("edge:visible=0.5"), 100, truth=truth)) == {*halves, (0, 40, 120, 60)}


def test_matched_shifts_by_every_pair_of_pixels():
    sample = Sample("a.jpg", 120, 100, ONE, read=lambda: IMAGE)
    assert set(drawn(Matched("shift:px=2-4"), 200)) == gates("shift:px=2-4,per_image=9", sample, 1)
    one = Augmentation((Matched("shift"),)).window(GroundTruth.empty(), 1, 2, 3)
    assert tuple(one) == (0, 1, 1, 1)


def test_matched_needs_an_object_where_a_family_of_the_gate_does():
    needs = {spec: Matched(spec).needs_object for spec in ("random", "tile", "shift", "object", "edge", "tile+edge")}
    assert [spec for spec, needed in needs.items() if needed] == ["object", "edge", "tile+edge"]


def test_matched_leaves_an_object_alone_that_is_too_small_for_the_gate():
    small = GroundTruth([[50, 50, 57, 80]], [1])
    for spec in ("object:margin=0.5", "edge:visible=0.5"):
        assert set(drawn(Matched(spec), 20, truth=small)) == {(0, 0, 120, 100)}
        assert set(drawn(Matched(f"{spec},min_side=7"), 20, truth=small)) != {(0, 0, 120, 100)}


def test_the_windows_of_training_are_not_those_of_the_gate():
    sample = Sample("a.jpg", 640, 480, ONE, read=lambda: IMAGE)
    gate = {(c.left, c.top, c.width, c.height) for _, c in make_plan([sample], "random:keep=0.5,per_image=200", seed=0)}
    training = set(drawn(Matched("random:keep=0.5"), 200, 640, 480))
    assert len(gate & training) < 5


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: getattr(recipe, "spec", type(recipe).__name__))
def test_a_sample_without_objects_stays_one(recipe):
    shown = Augmentation((recipe,))(IMAGE, GroundTruth.empty(), 7)
    assert shown.boxes.shape == (0, 4)
    assert shown.ignored.shape == shown.visibility.shape == (0,)
    if recipe.needs_object:
        assert shown.window == (0, 0, 120, 100)


def test_crowds_are_not_what_a_window_is_drawn_for():
    crowd = GroundTruth([[0, 0, 5, 5], [40, 30, 60, 70]], [3, 3], crowd=[True, False])
    assert drawn(Cut(), truth=crowd) == drawn(Cut(), truth=ONE)


# Draws


def test_the_numbers_are_the_ones_that_the_documentation_defines():
    """Pinned: a training that is repeated next year draws the same windows."""
    assert hash_words(7, 0, 11, 0, 3) == PINNED_HASH
    first = Augmentation(RECIPES[:5])
    assert [tuple(first.window(ONE, 120, 100, index, seed=5)) for index in (0, 1, 2**40)] == PINNED_WINDOWS


def test_a_number_depends_on_seed_index_and_slot_and_is_even():
    seen = np.array([Draws(0, index).below(1, 10) for index in range(5000)])
    assert np.abs(np.bincount(seen, minlength=10) - 500).max() < 90
    one = [Draws(0, index).below(2, 2**32) for index in range(500)]
    assert len({*one, *(Draws(1, index).below(2, 2**32) for index in range(500))}) == 1000
    assert len({*one, *(Draws(0, index).below(3, 2**32) for index in range(500))}) == 1000
    assert Draws(2**32, 0).below(0, 2**32) != Draws(0, 0).below(0, 2**32) != Draws(0, 2**32).below(0, 2**32)


def test_recipes_are_chosen_by_weight_and_leave_the_share_alone_that_they_say():
    both = Augmentation((Fixed((0, 0, 1, 1), weight=3.0), Fixed((0, 0, 2, 2), leave=0.25)))
    sizes = [both.window(ONE, 120, 100, index).width for index in range(4000)]
    assert abs(sizes.count(1) - 3000) < 120
    assert abs(sizes.count(120) - 250) < 60


@quick
@given(picture=pictures(), index=numbers)
def test_the_same_index_gives_the_same_sample_and_nothing_that_was_given_changes(picture, index):
    before = picture.image.copy()
    one, again = (ALL(picture.image, picture.truth, index) for _ in range(2))
    same(one.image, again.image)
    same(one.boxes, again.boxes)
    one.image[:] = 0
    same(picture.image, before)


# Refusals


def test_a_sample_of_the_gated_data_set_is_refused():
    gated = Sample("a.jpg", 120, 100, ONE, read=lambda: IMAGE)
    recipe = Matched("random:keep=0.5", gated=[gated, "b.jpg"])
    augmentation = Augmentation((recipe, Scale()))
    with pytest.raises(DataError, match=r"1 training samples are in the gated data set, first 'a.jpg'"):
        augmentation.of(gated, 0)
    with pytest.raises(DataError, match=r"2 training samples .* first 'a.jpg'"):
        augmentation.refuse(["b.jpg", "c.jpg", "a.jpg"])
    with pytest.raises(DataError, match=r"this image has no name"):
        augmentation(IMAGE, ONE, 0)
    free = replace(gated, id="c.jpg")
    same(augmentation.of(free, 3).image, Augmentation((Matched("random:keep=0.5"), Scale()))(IMAGE, ONE, 3).image)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Augmentation(()), "at least one recipe"),
        (lambda: Augmentation((Scale(),), width=5), "give both"),
        (lambda: Augmentation((Scale(),), min_visibility=50), "a share, from 0 to 1"),
        (lambda: Augmentation((Scale(),), fill="black"), "fill='black'"),
        (lambda: Context(margin=(1, 0)), "Context: margin=.*low first"),
        (lambda: Cut(visible=0.5), r"Cut: visible is a range \(low, high\), not 0.5"),
        (lambda: Cut(keep=(0.5, 50)), "Cut: keep=.*between 0 and 1"),
        (lambda: Position(shift=0), "at least 1 pixel"),
        (lambda: Scale(leave=30), "share of samples left alone"),
        (lambda: Scale(weight=0), "weight=0 must be above 0"),
        (lambda: Matched("rnadom"), "unknown family"),
        (lambda: Matched("random", gated="val/instances.json"), "is a path; give load_dataset"),
    ],
)
def test_a_mistake_is_named(make, text):
    with pytest.raises(SpecError, match=text):
        make()


@pytest.mark.subprocess
def test_without_tensorflow_the_numpy_side_works_and_the_rest_names_the_line_that_installs_it():
    code = (
        "import sys; sys.modules['tensorflow'] = None\n"
        "import numpy as np\n"
        "import pytest_cropdet.augment as augment\n"
        "from pytest_cropdet import GroundTruth\n"
        "a = augment.Augmentation((augment.Scale(),))\n"
        "a(np.zeros((5, 5, 3), np.uint8), GroundTruth.empty(), 0)\n"
        "for name in ('padded_map', 'ragged_map', 'generic_map', 'CropAugmentation'):\n"
        "    try: getattr(augment, name)\n"
        "    except augment.DetectorError as error: assert \"pip install 'pytest-cropdet[tensorflow]'\" in str(error)\n"
        "    else: raise SystemExit(name)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr + run.stdout


def test_the_frame_of_the_invariants_holds_every_scene():
    assert LARGEST >= 3 * 9


PINNED_HASH = 966251591
PINNED_WINDOWS = [(37, 16, 30, 58), (-1, 2, 120, 100), (0, 10, 52, 83)]
