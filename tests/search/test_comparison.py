"""One image and one crop: pairs, thresholds, the table, the picture, and what is refused."""

import sys
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_cropdet.data.samples import Detections
from pytest_cropdet.errors import CropdetError, DataError, DetectorError
from pytest_cropdet.evaluation.pairing import STATES
from pytest_cropdet.geometry.crop import Crop
from pytest_cropdet.search.comparison import Comparison, Pair, PlacedDetection, compare

WIDTH, HEIGHT = 200, 100
CROP = Crop(40, 20, 100, 60)
Row = tuple[tuple[float, float, float, float], float, int]


def detections(rows: list[Row]) -> Detections:
    return Detections([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows])


class Scripted:
    """A detector with one answer for the whole image and one for anything smaller; it keeps what it was shown."""

    def __init__(self, whole: list[Row], crop: list[Row], categories: Mapping[int, str] | None = None) -> None:
        self.whole, self.crop = detections(whole), detections(crop)
        self.shown: list[np.ndarray] = []
        if categories is not None:
            self.categories = categories

    def __call__(self, images):
        self.shown += images
        return [self.whole if image.shape[:2] == (HEIGHT, WIDTH) else self.crop for image in images]


def picture() -> np.ndarray:
    """Return an image in which each pixel holds its own column (red) and row (green)."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([columns, rows, np.full_like(rows, 7)], axis=2).astype(np.uint8)


def world(*rows: Row, categories: Mapping[int, str] | None = None):
    """Return a detector that sees ``rows``, clipped to whatever window of :func:`picture` it is shown, and no more."""

    def detector(images):
        answers = []
        for image in images:
            left, top = (int(value) for value in image[0, 0, :2])
            crop = Crop(left, top, image.shape[1], image.shape[0])
            boxes = crop.into(np.array([row[0] for row in rows], dtype=float).reshape(-1, 4))
            kept = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
            some = [row for row, keep in zip(rows, kept, strict=True) if keep]
            answers.append(Detections(boxes[kept], [row[1] for row in some], [row[2] for row in some]))
        return answers

    return detector


def compared(whole: list[Row], crop: list[Row], **options) -> Comparison:
    return compare(Scripted(whole, crop), picture(), CROP, **options)


def states(comparison: Comparison) -> list[str]:
    return [pair.state for pair in comparison]


# in the image's frame (60, 30, 70, 40), which is (20, 10, 30, 20) in the crop's
IN_IMAGE, IN_CROP = (60.0, 30.0, 70.0, 40.0), (20.0, 10.0, 30.0, 20.0)


# pairs


def test_the_whole_image_as_its_own_crop_is_all_found_with_an_iou_of_one():
    detector = world((IN_IMAGE, 0.9, 1), ((0.3, 0.7, 50.1, 60.9), 0.4, 2), ((190.0, 90.0, 200.0, 100.0), 0.3, 1))
    comparison = compare(detector, picture(), (0, 0, WIDTH, HEIGHT))
    assert states(comparison) == ["found"] * 3
    assert [(pair.iou, pair.visibility) for pair in comparison] == [(1.0, 1.0)] * 3


def test_a_pair_holds_both_sides_in_both_frames():
    cut = (100.0, 30.0, 180.0, 40.0)  # the window ends at column 140
    (pair,) = compared([(cut, 0.9, 3)], [((60.0, 10.0, 100.0, 20.0), 0.8, 3)])
    assert pair == Pair(
        "found",
        PlacedDetection("3", 3, 0.9, cut, (60.0, 10.0, 100.0, 20.0)),
        PlacedDetection("3", 3, 0.8, (100.0, 30.0, 140.0, 40.0), (60.0, 10.0, 100.0, 20.0)),
        iou=1.0,
        visibility=0.5,
    )


@pytest.mark.parametrize(
    ("crop_box", "category", "state", "iou"),
    [
        ((20, 10, 30, 17), 1, "found", 0.7),
        ((20, 10, 30, 16.999), 1, "moved", 0.6999),
        ((20, 10, 30, 15), 1, "moved", 0.5),
        ((20, 10, 30, 15), 2, "relabelled", 0.5),
        ((20, 10, 30, 20), 2, "relabelled", 1.0),
    ],
)
def test_the_state_follows_from_iou_and_category_and_a_border_belongs_to_the_better_state(
    crop_box, category, state, iou
):
    (pair,) = compared([(IN_IMAGE, 0.9, 1)], [(crop_box, 0.8, category)])
    assert pair.state == state
    assert pair.iou == pytest.approx(iou, abs=1e-12)


@pytest.mark.parametrize("category", [1, 2])
def test_below_the_border_both_stand_alone(category):
    comparison = compared([(IN_IMAGE, 0.9, 1)], [((20, 10, 30, 14.999), 0.8, category)])
    assert states(comparison) == ["lost", "new"]
    lost, new = comparison
    assert (lost.crop, lost.iou, lost.visibility) == (None, None, 1.0)
    assert (new.whole, new.iou, new.visibility) == (None, None, None)
    assert new.crop is not None
    assert new.crop.box == (60.0, 30.0, 70.0, 34.999)


def test_the_borders_are_arguments():
    whole, crop = [(IN_IMAGE, 0.9, 1)], [((20.0, 10.0, 30.0, 15.0), 0.8, 1)]
    assert states(compared(whole, crop, found_iou=0.5)) == ["found"]
    assert states(compared(whole, crop, moved_iou=0.51)) == ["lost", "new"]
    assert states(compared(whole, crop, score=0.8)) == ["moved"]
    assert states(compared(whole, crop, score=0.801)) == ["lost"]
    assert states(compared(whole, crop, score=0.901)) == []


def test_scores_from_the_threshold_on_count_on_both_sides():
    below = float(np.nextafter(0.3, 0))
    assert states(compared([(IN_IMAGE, 0.3, 1)], [(IN_CROP, 0.3, 1)])) == ["found"]
    assert states(compared([(IN_IMAGE, 0.3, 1)], [(IN_CROP, below, 1)])) == ["lost"]
    assert states(compared([(IN_IMAGE, below, 1)], [(IN_CROP, 0.3, 1)])) == ["new"]


def test_what_lies_outside_the_window_is_no_part_of_it():
    touching = (10.0, 20.0, 40.0, 80.0)  # ends where the window starts
    assert len(compared([(touching, 0.9, 1)], [])) == 0
    (pair,) = compared([(touching, 0.9, 1), ((10.0, 20.0, 41.0, 80.0), 0.8, 2)], [])
    assert pair.visibility == pytest.approx(1 / 31)
    assert pair.whole == PlacedDetection("2", 2, 0.8, (10.0, 20.0, 41.0, 80.0), (0.0, 0.0, 1.0, 60.0))


def test_the_crops_boxes_are_clipped_to_the_crop_too():
    (pair,) = compared([((20.0, 20.0, 60.0, 50.0), 0.9, 1)], [((-20.0, 0.0, 20.0, 30.0), 0.9, 1)])
    assert (pair.state, pair.iou) == ("found", 1.0)
    assert pair.crop is not None
    assert (pair.crop.box, pair.crop.box_in_crop) == ((40.0, 20.0, 60.0, 50.0), (0.0, 0.0, 20.0, 30.0))


def test_a_closer_box_of_another_category_takes_no_partner_from_its_own():
    comparison = compared([(IN_IMAGE, 0.9, 1)], [(IN_CROP, 0.95, 2), ((20, 10, 30, 16), 0.4, 1)])
    assert [(pair.state, pair.category, pair.iou) for pair in comparison] == [("moved", "1", 0.6), ("new", "2", None)]


def test_within_a_category_the_closest_pair_comes_first():
    near, far = (20.0, 10.0, 30.0, 19.0), (20.0, 10.0, 30.0, 16.0)
    comparison = compared([(IN_IMAGE, 0.9, 1)], [(far, 0.99, 1), (near, 0.4, 1)])
    assert [(pair.state, pair.sides[-1].score) for pair in comparison] == [("found", 0.4), ("new", 0.99)]


def test_ties_go_by_score_and_then_by_row():
    whole = [(IN_IMAGE, 0.6, 1), (IN_IMAGE, 0.9, 1)]
    crop = [(IN_CROP, 0.5, 1), (IN_CROP, 0.8, 1), (IN_CROP, 0.8, 1)]
    comparison = compared(whole, crop)
    scores = [(pair.whole and pair.whole.score, pair.crop and pair.crop.score) for pair in comparison]
    assert scores == [(0.9, 0.8), (0.6, 0.8), (None, 0.5)]
    one = compared(whole, crop[:1])
    assert [(pair.state, pair.sides[0].score) for pair in one] == [("found", 0.9), ("lost", 0.6)]
    equal = compared([(IN_IMAGE, 0.9, 1)], [((20, 10, 30, 18), 0.8, 1), ((20, 12, 30, 20), 0.8, 1)])
    assert equal.found[0].crop is not None
    assert equal.found[0].crop.box_in_crop == (20.0, 10.0, 30.0, 18.0)


def test_the_order_is_by_state_and_then_by_falling_score():
    boxes = [(x, 0.0, x + 5.0, 10.0) for x in range(0, 100, 10)]
    whole = [((x0 + 40, 20.0, x1 + 40, 30.0), 0.31 + x0 / 200, 1) for x0, _, x1, _ in boxes[:6]]
    crop = [(box, 0.5 + place / 100, 1 if place < 3 else 2) for place, box in enumerate(boxes[2:], 2)]
    comparison = compared(whole, crop)
    assert states(comparison) == ["found"] + ["relabelled"] * 3 + ["lost"] * 2 + ["new"] * 4
    scores = [pair.sides[0].score for pair in comparison]
    assert [scores[low:high] for low, high in ((1, 4), (4, 6), (6, 10))] == [
        sorted(scores[low:high], reverse=True) for low, high in ((1, 4), (4, 6), (6, 10))
    ]


def test_lost_and_hardly_visible_is_cut_away_but_still_lost():
    half, sliver = (20.0, 30.0, 60.0, 40.0), (10.0, 60.0, 41.0, 70.0)
    comparison = compared([(half, 0.9, 1), (sliver, 0.8, 1)], [])
    assert [pair.visibility for pair in comparison.lost] == [0.5, pytest.approx(1 / 31)]
    assert comparison.cut_away == comparison.lost[1:]
    assert compared([(half, 0.9, 1)], [], min_visibility=0.51).cut_away != ()
    found = compared([(sliver, 0.8, 1)], [((0.0, 40.0, 1.0, 50.0), 0.8, 1)])
    assert (states(found), found.cut_away) == (["found"], ())


def test_the_five_tuples_share_out_the_pairs():
    comparison = everything()
    tuples = (comparison.found, comparison.moved, comparison.relabelled, comparison.lost, comparison.new)
    assert [len(pairs) for pairs in tuples] == [1, 1, 1, 2, 1]
    assert sum(tuples, ()) == comparison.pairs == tuple(comparison)
    assert [{pair.state for pair in pairs} for pairs in tuples] == [{state} for state in STATES]
    assert len(comparison) == 6


@given(data=st.data())
def test_who_sees_the_same_in_the_crop_has_only_found_objects(data):
    coordinate = st.integers(-40, 4 * (WIDTH + 10)).map(lambda quarter: quarter / 4)
    side = st.integers(1, 400).map(lambda quarter: quarter / 4)
    rows = []
    for _ in range(data.draw(st.integers(0, 6))):
        x, y = data.draw(coordinate), data.draw(coordinate)
        box = (x, y, x + data.draw(side), y + data.draw(side))
        rows.append((box, data.draw(st.sampled_from([0.3, 0.5, 0.9])), data.draw(st.integers(1, 3))))
    left, top = data.draw(st.integers(0, WIDTH - 1)), data.draw(st.integers(0, HEIGHT - 1))
    size = (data.draw(st.integers(1, WIDTH - left)), data.draw(st.integers(1, HEIGHT - top)))
    comparison = compare(world(*rows), picture(), (left, top, *size))
    assert {pair.state for pair in comparison} <= {"found"}
    assert all(pair.iou == 1 for pair in comparison)
    visible = Crop(left, top, *size).into(np.array([row[0] for row in rows]).reshape(-1, 4))
    assert len(comparison) == ((visible[:, 2] > visible[:, 0]) & (visible[:, 3] > visible[:, 1])).sum()


# names, text


def everything() -> Comparison:
    names = {1: "person", 2: "dog", 3: "couch", 9: "a category whose name is longer than the column"}
    whole = [
        (IN_IMAGE, 0.91, 1),
        ((80.0, 30.0, 90.0, 40.0), 0.8, 1),
        ((100.0, 30.0, 110.0, 40.0), 0.71, 2),
        ((60.0, 60.0, 70.0, 75.25), 0.66, 4),
        ((-0.4, 60.0, 41.0, 70.0), 0.5, 9),
    ]
    crop = [
        (IN_CROP, 0.88, 1),
        ((40.0, 10.0, 50.0, 16.0), 0.85, 1),
        ((60.0, 10.0, 70.0, 19.0), 0.55, 3),
        ((80.0, 0.0, 99.5, 60.0), 1.0, 2),
    ]
    return compare(Scripted(whole, crop, names), picture(), CROP)


TABLE = """\
Crop(left=40, top=20, width=100, height=60): 1 found, 1 moved, 1 relabelled, 2 lost, 1 new
#  state       category                  score whole -> crop   IoU  visible     box in the image
1  found       person                           0.91 -> 0.88  1.00    1.00     60   30   70   40
2  moved       person                           0.80 -> 0.85  0.60    1.00     80   30   90   40
3  relabelled  dog -> couch                     0.71 -> 0.55  0.90    1.00    100   30  110   40
4  lost        4                                0.66 ->    -     -    1.00     60   60   70   75
5  lost        a category whose name...         0.50 ->    -     -    0.02*     0   60   41   70
6  new         dog                                 - -> 1.00     -       -    120   20  140   80
* cut away: less than 0.5 of it lies in the window"""


def test_it_prints_as_a_table():
    assert str(everything()) == TABLE
    assert max(map(len, TABLE.splitlines())) <= 100


def test_nothing_is_one_line_that_names_the_score():
    comparison = compared([], [], score=0.25)
    assert str(comparison) == "Crop(left=40, top=20, width=100, height=60): nothing in this window scores 0.25 or more"
    assert (len(comparison), comparison.pairs) == (0, ())


def test_the_repr_is_one_line():
    counts = "found=1, moved=1, relabelled=1, lost=2, new=1"
    assert repr(everything()) == f"Comparison(Crop(left=40, top=20, width=100, height=60), {counts})"


def test_names_come_from_the_detector_and_ids_stand_for_those_it_does_not_know():
    detector = Scripted([(IN_IMAGE, 0.9, 1), ((80, 30, 90, 40), 0.8, 7)], [], {1: "person"})
    comparison = compare(detector, picture(), CROP)
    assert [pair.category for pair in comparison] == ["person", "7"]
    assert [pair.sides[0].category_id for pair in comparison] == [1, 7]
    assert [pair.category for pair in compared([(IN_IMAGE, 0.9, 1)], [])] == ["1"]


def test_html_holds_the_same_cells_and_escapes_names():
    detector = Scripted([(IN_IMAGE, 0.9, 1)], [(IN_CROP, 0.8, 2)], {1: "<b>", 2: "R&D"})
    html = compare(detector, picture(), CROP)._repr_html_()
    assert "<td>&lt;b&gt; -&gt; R&amp;D</td><td>0.90 -&gt; 0.80</td><td>1.00</td>" in html
    assert "<b>" not in html
    assert html.count("<tr>") == 2
    assert "cut away" in everything()._repr_html_()


def test_a_pair_that_contradicts_itself_cannot_be_made():
    seen = PlacedDetection("1", 1, 0.9, IN_IMAGE, IN_CROP)
    with pytest.raises(ValueError, match="'lost' has no crop"):
        Pair("lost", seen, seen)
    with pytest.raises(ValueError, match="'new' has no whole"):
        Pair("new", seen, None)
    with pytest.raises(ValueError, match="any other state has both"):
        Pair("found", None, seen)


# what is shown to the detector


def test_the_detector_is_shown_the_image_and_the_window():
    detector = Scripted([], [])
    image = picture()
    compare(detector, image, CROP)
    whole, part = detector.shown
    np.testing.assert_array_equal(whole, image)
    np.testing.assert_array_equal(part, image[20:80, 40:140])


def test_an_image_of_opencv_is_turned_to_rgb_when_it_is_said_to_be_bgr():
    detector = Scripted([], [])
    comparison = compare(detector, picture()[:, :, ::-1], CROP, channels="bgr")
    np.testing.assert_array_equal(detector.shown[0], picture())
    np.testing.assert_array_equal(detector.shown[1], picture()[20:80, 40:140])
    np.testing.assert_array_equal(comparison.image, picture())
    assert all(image.flags.c_contiguous and image.flags.writeable for image in detector.shown)


def test_a_path_is_read_as_it_is_whatever_the_channels(tmp_path):
    import cv2

    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), np.ascontiguousarray(picture()[:, :, ::-1]))
    for source, channels in ((path, "rgb"), (str(path), "bgr")):
        detector = Scripted([], [])
        compare(detector, source, CROP, channels=channels)
        np.testing.assert_array_equal(detector.shown[0], picture())


def test_a_detector_that_paints_on_its_input_changes_neither_the_crop_nor_the_users_image():
    shown = []

    def painter(images):
        shown.extend(image.copy() for image in images)
        for image in images:
            image[:] = 0
        return [Detections.empty() for _ in images]

    image = picture()
    comparison = compare(painter, image, CROP)
    np.testing.assert_array_equal(shown[1], picture()[20:80, 40:140])
    np.testing.assert_array_equal(image, picture())
    image[:] = 0
    np.testing.assert_array_equal(comparison.image, picture())


# what is refused


@pytest.mark.parametrize(
    ("image", "mend"),
    [
        (None, "cv2.imread returns for a file that it cannot read"),
        ([[1, 2], [3, 4]], r"not list; numpy\.asarray\(image\)"),
        (np.zeros((4, 5), np.uint8), r"shape \(4, 5\) \(grayscale\? numpy\.stack\(\[image\] \* 3, axis=2\)"),
        (np.zeros((4, 5, 1), np.uint8), r"grayscale\? numpy\.repeat\(image, 3, axis=2\)"),
        (np.zeros((4, 5, 4), np.uint8), r"alpha\? image\[:, :, :3\]"),
        (np.zeros((3, 4, 5), np.uint8), r"channels first\? image\.transpose\(1, 2, 0\)"),
        (np.zeros((1, 4, 5, 3), np.uint8), r"a batch\? image\[0\]"),
        (np.zeros((7,), np.uint8), r"not of shape \(7,\)$"),
        (np.zeros((4, 5, 3)), r"not float64 \(0 to 1\? \(image \* 255\)\.round\(\)"),
        (np.zeros((4, 5, 3), np.uint16), r"not uint16 \(16 bits\? \(image >> 8\)"),
        (np.zeros((4, 5, 3), np.int64), r"not int64 \(0 to 255\? image\.astype\('uint8'\)\)"),
        (np.zeros((0, 5, 3), np.uint8), "no pixels"),
    ],
)
def test_an_image_that_would_need_a_guess_is_refused_with_the_mend(image, mend):
    with pytest.raises(ValueError, match=mend):
        compare(Scripted([], []), image, CROP)


@pytest.mark.parametrize(
    ("options", "mend"),
    [
        ({"score": 30}, r"score must lie between 0 and 1, not 30 \(percent\? write 0\.3\)"),
        ({"score": -0.1}, r"score must lie between 0 and 1, not -0\.1$"),
        ({"score": float("nan")}, "score must lie between 0 and 1, not nan"),
        ({"score": "0.3"}, "score must lie between 0 and 1, not '0.3'"),
        ({"found_iou": 1.5}, r"found_iou must lie between 0 and 1"),
        ({"moved_iou": 0}, "moved_iou must lie above 0 and not above found_iou=0.7, not 0"),
        ({"moved_iou": 0.8}, "moved_iou must lie above 0 and not above found_iou=0.7, not 0.8"),
        ({"min_visibility": True}, "min_visibility must lie between 0 and 1, not True"),
        ({"channels": "BGR"}, "channels must be 'rgb' or 'bgr', not 'BGR'"),
    ],
)
def test_a_wrong_argument_is_named(options, mend):
    with pytest.raises(ValueError, match=mend):
        compared([], [], **options)


@pytest.mark.parametrize("crop", [CROP, (40, 20, 100, 60), [40, 20, 100, 60], np.array([40, 20, 100, 60])])
def test_a_crop_may_be_four_numbers(crop):
    assert compare(Scripted([], []), picture(), crop).crop == CROP


@pytest.mark.parametrize(
    ("crop", "mend"),
    [
        ((1, 2, 3), r"\(left, top, width, height\) in pixels, not \(1, 2, 3\)"),
        ("1234", r"\(left, top, width, height\) in pixels, not '1234'"),
        (7, r"\(left, top, width, height\) in pixels, not 7"),
        ((0, 0, 10.5, 10), "whole pixels, not 10.5"),
        ((0, 0, 201, 100), "sticks out of an image 200 wide and 100 high"),
        ((-1, 0, 20, 10), "left and top must be >= 0"),
    ],
)
def test_a_crop_that_is_none_is_refused_before_the_detector_runs(crop, mend):
    detector = Scripted([], [])
    with pytest.raises(ValueError, match=mend):
        compare(detector, picture(), crop)
    assert detector.shown == []


def test_a_missing_file_and_a_failing_detector_are_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.png"):
        compare(Scripted([], []), tmp_path / "nowhere.png", CROP)
    with pytest.raises(DetectorError, match="is not callable"):
        compare(3, picture(), CROP)

    def too_small(images):
        if images[0].shape[0] < HEIGHT:
            raise RuntimeError("at least 100 rows")
        return [Detections.empty()]

    named = r"too_small failed on Crop\(left=40, .*\) of the image: RuntimeError: at least 100 rows"
    with pytest.raises(DetectorError, match=named):
        compare(too_small, picture(), CROP)


# the picture


def boxes_of(axes) -> list[tuple[str, str, tuple[float, ...]]]:
    """Return state, line style and ``x0 y0 x1 y1`` (edges of pixels) of each rectangle."""
    corners = [patch.get_corners() + 0.5 for patch in axes.patches]
    return [
        (patch.get_gid(), patch.get_linestyle(), (*corner[0].tolist(), *corner[2].tolist()))
        for patch, corner in zip(axes.patches, corners, strict=True)
    ]


@pytest.fixture
def figure():
    pytest.importorskip("matplotlib")
    return everything().plot()


def test_the_left_picture_holds_the_window_and_the_whole_images_boxes(figure):
    left, _ = figure.axes
    assert [(state, style) for state, style, _ in boxes_of(left)] == [
        (state, "-") for state in ("window", "found", "moved", "relabelled", "lost", "lost")
    ]
    assert boxes_of(left)[0][2] == (40.0, 20.0, 140.0, 80.0)
    assert boxes_of(left)[1][2] == IN_IMAGE
    assert sorted(text.get_text() for text in left.texts) == ["1", "2", "3", "4", "5"]
    pixels = left.images[0].get_array()
    np.testing.assert_array_equal(pixels[20:80, 40:140], picture()[20:80, 40:140])
    assert (pixels[:20] <= picture()[:20]).all()
    assert pixels[:20].sum() < picture()[:20].sum()


def test_the_right_picture_holds_the_crops_boxes_and_the_places_of_what_was_lost(figure):
    _, right = figure.axes
    assert [(state, style) for state, style, _ in boxes_of(right)] == [
        ("found", "-"),
        ("moved", "-"),
        ("relabelled", "-"),
        ("lost", "--"),
        ("lost", ":"),
        ("new", "-"),
    ]
    assert boxes_of(right)[1][2] == (40.0, 10.0, 50.0, 16.0)
    assert boxes_of(right)[3][2] == (20.0, 40.0, 30.0, 55.25)
    assert sorted(text.get_text().split()[0] for text in right.texts) == ["1", "2", "3", "4", "5", "6"]
    np.testing.assert_array_equal(right.images[0].get_array(), picture()[20:80, 40:140])


def test_a_label_with_room_says_all_and_one_in_a_crowd_its_number():
    pytest.importorskip("matplotlib")
    names = {1: "person", 2: "$x$"}
    roomy = compare(Scripted([(IN_IMAGE, 0.9, 2)], [(IN_CROP, 0.8, 2)], names), picture(), CROP).plot()
    assert [(text.get_text(), text.get_parse_math()) for text in roomy.axes[1].texts] == [("1 $x$ 0.80", False)]
    crowd = [((50 + x, 30 + y, 51 + x, 31 + y), 0.9, 1) for x in range(5) for y in range(10)]
    crowded = compare(Scripted(crowd, [], names), picture(), CROP).plot()
    texts = [text.get_text() for text in crowded.axes[1].texts]
    assert len(texts) == 50
    assert {text.split()[0] for text in texts} == {str(number) for number in range(1, 51)}
    assert any(text.isdigit() for text in texts)


@pytest.mark.parametrize("corner", [(40, 20), (40, 70), (130, 20), (130, 70)])
@pytest.mark.parametrize("count", [1, 8])
def test_labels_stay_in_their_picture(corner, count):
    pytest.importorskip("matplotlib")
    rows = [((*corner, corner[0] + 10.0, corner[1] + 10.0), 0.9, 1)] * count
    figure = compare(Scripted(rows, [], {1: "a longish name"}), picture(), CROP).plot()
    figure.canvas.draw()
    for axes in figure.axes:
        assert len(axes.texts) == count
        inside = axes.get_window_extent().get_points()
        for text in axes.texts:
            extent = text.get_window_extent().get_points()
            assert (inside[0] <= extent[0]).all()
            assert (extent[1] <= inside[1]).all()


def test_the_legend_counts_the_states_that_occur(figure):
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "found 1",
        "moved 1",
        "relabelled 1",
        "lost 2 (1 cut away)",
        "new 1",
    ]


@pytest.mark.parametrize("crop", [(0, 0, WIDTH, HEIGHT), (199, 0, 1, HEIGHT), (0, 99, WIDTH, 1), (3, 4, 1, 1)])
def test_a_picture_can_be_drawn_and_saved_for_any_crop(crop, tmp_path):
    pytest.importorskip("matplotlib")
    for detector in (world(((0.0, 0.0, WIDTH, HEIGHT), 0.9, 1)), Scripted([], [])):
        figure = compare(detector, picture(), crop).plot()
        figure.savefig(tmp_path / "picture.png")
        assert max(figure.get_size_inches()) < 20
    assert (tmp_path / "picture.png").stat().st_size > 1000
    assert figure.legends == []


def test_no_figure_is_left_open_and_pyplot_is_not_imported():
    pytest.importorskip("matplotlib")
    loaded = "matplotlib.pyplot" in sys.modules
    everything().plot()
    assert ("matplotlib.pyplot" in sys.modules) == loaded


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(CropdetError, match=r"pip install 'pytest-cropdet\[plot\]'"):
        everything().plot()
