"""Sheets of pictures with boxes: everything is where it should be."""

from __future__ import annotations

import numpy as np

from pytest_cropdet.figures import MarkedBox, SheetTile, contact_sheet
from pytest_cropdet.figures.box_sheets import BOX_COLOURS, _colour, _label


def rows_and_columns(sheet, meaning):
    return np.nonzero((sheet == _colour(BOX_COLOURS[meaning])).all(axis=2))


def tile(*boxes, size=(100, 50)):
    return SheetTile(np.full((size[1], size[0], 3), 200, np.uint8), boxes, "a picture")


def test_a_box_lies_where_it_lies_in_its_picture():
    sheet = contact_sheet([tile(MarkedBox((10, 10, 60, 40), "truth"))], 1, (200, 100), "title")
    rows, columns = rows_and_columns(sheet[:140], "truth")  # without the legend at the foot
    # twice as large, 12 px from the left, below a title of 34 px; lines are up to 3 px wide
    assert abs(columns.min() - (12 + 20)) <= 2
    assert abs(columns.max() - (12 + 119)) <= 2
    assert abs(rows.min() - (34 + 20)) <= 2
    assert abs(rows.max() - (34 + 79)) <= 2


def test_the_legend_names_only_what_occurs():
    alone = contact_sheet([tile(MarkedBox((10, 10, 60, 40), "truth"))], 1, (300, 150), "")
    foot = slice(alone.shape[0] - 34, None)
    assert len(rows_and_columns(alone[foot], "truth")[0])
    assert not len(rows_and_columns(alone[foot], "found")[0])


def test_tiles_go_row_by_row_and_no_more_columns_are_made_than_tiles():
    one, five = (contact_sheet([tile()] * count, 4, (100, 50), "") for count in (1, 5))
    assert one.shape[1] == 100 + 2 * 12
    assert five.shape[1] == 4 * 100 + 5 * 12
    assert five.shape[0] - one.shape[0] == 50 + 26 + 12


def test_labels_do_not_cover_one_another_and_stay_in_the_picture():
    picture = np.full((100, 200, 3), 200, np.uint8)
    taken = []
    for box in ((2, 2, 60, 60), (2, 2, 60, 60), (2, 2, 60, 60), (150, 2, 199, 60)):
        _label(picture, MarkedBox(box, "found", "category"), np.ones(4), taken)
    for place, (left, top, right, bottom) in enumerate(taken):
        assert 0 <= left < right <= 200
        assert 0 <= top < bottom <= 100
        for other in taken[:place]:
            assert left >= other[2] or other[0] >= right or top >= other[3] or other[1] >= bottom


def test_a_box_far_outside_and_a_name_in_other_letters_are_drawn_without_an_error():
    marks = [MarkedBox((-500, -500, -400, -400), "missed", "猫"), MarkedBox((90, 40, 300, 300), "found", "Größe 0.5")]
    assert contact_sheet([tile(*marks)], 1, (100, 50), "Ünïcode").shape[2] == 3


def test_the_picture_that_was_given_is_not_changed():
    image = np.full((50, 100, 3), 200, np.uint8)
    contact_sheet([SheetTile(image, [MarkedBox((0, 0, 50, 50), "found", "x")], "")], 1, (100, 50), "")
    assert (image == 200).all()
