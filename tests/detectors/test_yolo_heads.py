"""Raw heads of the YOLO family: known boxes go into every layout and come back; what shapes do not prove is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pytest_cropdet.detectors.adapters.yolo_heads import (
    YoloHead,
    YoloLayout,
    choose_yolo_head,
    grid_rows,
    is_yolo_table,
    measured_units,
    yolo_layout,
)
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.geometry.boxes import iou

SIZE = (96, 128)  # height and width of the input: 12 x 16 + 6 x 8 + 3 x 4 cells
CELLS = 252
LAYOUTS = [
    YoloLayout(transposed, objectness, 3, extra)
    for transposed in (False, True)
    for objectness in (False, True)
    for extra in (0, 32)
]


def centres() -> np.ndarray:
    """Return the centres (252, 2) of the cells of all three grids, in pixels."""
    grids = []
    for stride in (8, 16, 32):
        rows, columns = np.mgrid[: SIZE[0] // stride, : SIZE[1] // stride]
        grids.append(np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], 1) * stride)
    return np.concatenate(grids)


def answer(layout: YoloLayout, normalized: bool = False, found: dict[int, Any] | None = None) -> np.ndarray:
    """Return a table in which each cell answers with a box around itself; ``found``: boxes and scores of some."""
    boxes = np.concatenate([centres(), np.full((CELLS, 2), 6.0)], 1)
    scores = np.zeros((CELLS, layout.categories))
    objectness = np.full((CELLS, 1), 0.5 if layout.objectness else 1.0)
    for row, (box, each) in (found or {}).items():
        boxes[row], scores[row] = box, np.array(each) / objectness[row]
    if normalized:
        boxes = boxes / [SIZE[1], SIZE[0], SIZE[1], SIZE[0]]
    parts = [boxes, *([objectness] if layout.objectness else []), scores, np.full((CELLS, layout.extra), 7.0)]
    table = np.concatenate(parts, 1).astype(np.float32)
    return table.T if layout.transposed else table


FOUND = {
    40: ([50, 40, 20, 10], [0.4, 0.0, 0.0]),
    41: ([51, 40, 20, 10], [0.3, 0.2, 0.0]),  # the same object, and perhaps one of another category
    60: ([100, 80, 30, 20], [0.0, 0.0005, 0.45]),
}


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_known_boxes_come_back_from_every_layout_in_either_unit(layout: YoloLayout, normalized: bool) -> None:
    table = answer(layout, normalized, FOUND)
    head, described = choose_yolo_head(table, 1, SIZE, Description.of(nms_iou=0.7), 3, extra=layout.extra)
    assert head.layout == layout
    assert described.units == ("normalized" if normalized else "input")
    assert described.boxes == "cxcywh"
    assert described.head == ("yolo_objectness" if layout.objectness else "yolo")
    found = head.read([np.zeros(0), np.stack([np.zeros_like(table), table])], 1)
    assert found.scores.tolist() == pytest.approx([0.45, 0.4, 0.2])  # 0.3 is a duplicate, 0.0005 is too little
    assert found.numbers.tolist() == [2, 0, 1]
    scale = [1 / SIZE[1], 1 / SIZE[0]] * 2 if normalized else [1.0] * 4
    wanted = np.array([[85, 70, 115, 90], [40, 35, 60, 45], [41, 35, 61, 45]])
    assert found.boxes == pytest.approx(wanted * scale, rel=1e-5)
    assert not found.capped


def by_a_plain_loop(table: np.ndarray, max_iou: float, most: int) -> list[tuple[float, int, tuple[float, ...]]]:
    """Score, category and box of what remains of rows ``cx cy w h objectness classes``, one candidate after another."""
    candidates = []
    for row in table.astype(np.float64):
        for category, score in enumerate(row[5:] * row[4]):
            if score > 0.001:
                x, y, width, height = row[:4]
                box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
                candidates.append((float(score), category, box))
    kept: list[tuple[float, int, tuple[float, ...]]] = []
    for each in sorted(candidates, key=lambda one: -one[0]):
        rivals = [other for other in kept if other[1] == each[1]]
        if all(iou(np.array([each[2]]), np.array([other[2]]))[0, 0] <= max_iou for other in rivals):
            kept.append(each)
    return kept[:most]


@pytest.mark.parametrize("most", [300, 20])
def test_a_crowd_is_thinned_as_in_the_validation_of_these_models(most: int) -> None:
    random = np.random.default_rng(3)
    table = np.concatenate([random.uniform(10, 60, (90, 2)), random.uniform(5, 40, (90, 2)), random.random((90, 4))], 1)
    table[:30, 5:] *= 0.01  # many low scores
    head = YoloHead(0, YoloLayout(transposed=False, objectness=True, categories=3), nms_iou=0.6, most=most)
    found = head.read([table[None]], 0)
    wanted = by_a_plain_loop(table, 0.6, most)
    assert len(wanted) > 19
    assert found.scores.tolist() == pytest.approx([each[0] for each in wanted])
    assert found.numbers.tolist() == [each[1] for each in wanted]
    assert found.boxes == pytest.approx(np.array([each[2] for each in wanted]))
    assert found.capped is (len(wanted) >= most)


@pytest.mark.parametrize(
    ("shape", "categories", "wanted"),
    [
        ((84, 8400), 80, YoloLayout(transposed=True, objectness=False, categories=80)),
        ((8400, 84), 80, YoloLayout(transposed=False, objectness=False, categories=80)),
        ((25200, 85), 80, YoloLayout(transposed=False, objectness=True, categories=80)),
        ((8400, 85), 80, YoloLayout(transposed=False, objectness=True, categories=80)),
        ((8400, 85), 81, YoloLayout(transposed=False, objectness=False, categories=81)),
        ((8400, 6), 1, YoloLayout(transposed=False, objectness=True, categories=1)),
        ((8400, 6), 2, YoloLayout(transposed=False, objectness=False, categories=2)),
        ((6, 8400), 2, YoloLayout(transposed=True, objectness=False, categories=2)),
        ((5, 8400), 1, YoloLayout(transposed=True, objectness=False, categories=1)),
        ((2000, 9), 4, YoloLayout(transposed=False, objectness=True, categories=4)),
        ((9, 17), 5, YoloLayout(transposed=True, objectness=False, categories=5)),  # rows of no usual grid
    ],
)
def test_shapes_and_the_number_of_names_decide_the_layout(
    shape: tuple[int, int], categories: int, wanted: YoloLayout
) -> None:
    assert yolo_layout(shape, (640, 640), Description(), categories) == wanted
    said = Description.of(head="yolo_objectness" if wanted.objectness else "yolo")
    assert yolo_layout(shape, (640, 640), said, categories) == wanted


def test_without_names_the_rows_of_the_grid_and_the_kind_of_head_decide() -> None:
    assert yolo_layout((84, 8400), (640, 640), Description.of(head="yolo"), None).categories == 80
    assert yolo_layout((25200, 85), (640, 640), Description.of(head="yolo_objectness"), None).categories == 80


@pytest.mark.parametrize(
    ("shape", "head", "categories", "said"),
    [
        (
            (84, 8400),
            None,
            None,
            r"80 categories .*an objectness and 79 .*--cropdet-detector head=yolo\|yolo_obj",
        ),
        ((84, 8400), None, 81, r"79 or 80 categories, and 81 names.*labels=FILE"),
        ((84, 8400), "yolo_objectness", 80, r"79 categories, and 80 names.*labels=FILE"),
        ((84, 85), "yolo", None, r"in each row or in each column; .*labels=FILE"),
        ((84, 85), None, 80, r"in each row or in each column"),
    ],
)
def test_what_shapes_do_not_prove_is_refused_with_the_line_that_says_it(
    shape: tuple[int, int], head: str | None, categories: int | None, said: str
) -> None:
    with pytest.raises(DetectorError, match=said):
        yolo_layout(shape, (640, 640), Description.of(head=head), categories)


def test_a_table_of_a_yolo_is_known_by_its_grid_or_its_names_and_six_columns_prove_nothing() -> None:
    size, open_ = (640, 640), Description()
    assert {2100 * 4, 25200, 34000, 2000, 6000} <= grid_rows(640, 640)
    assert grid_rows(100, 100) >= {169 + 49 + 16}  # 13, 7 and 4 cells a side: sides are rounded up
    assert is_yolo_table((84, 8400), size, open_, None)
    assert is_yolo_table((8400, 6), size, open_, None)
    assert is_yolo_table((77, 85), size, open_, 80) is False  # fewer boxes than columns
    assert is_yolo_table((900, 85), size, open_, 80)
    assert not is_yolo_table((900, 85), size, open_, 79 + 10)
    assert not is_yolo_table((300, 6), size, open_, None)
    assert not is_yolo_table((300, 6), size, open_, 1)
    assert not is_yolo_table((300, 6), size, open_, 2)
    assert not is_yolo_table((300, 6), (128, 160), open_, 2)  # 300 is a number of the grid there
    assert is_yolo_table((300, 7), (128, 160), open_, 2)
    assert is_yolo_table((300, 6), size, Description.of(head="yolo"), None)
    assert not is_yolo_table((8400, 6), size, Description.of(head="yolo_end2end"), None)


def test_units_are_those_that_the_cells_of_the_grid_prove() -> None:
    pixels = answer(LAYOUTS[0])[:, :4]
    assert measured_units(pixels, SIZE) == "input"
    assert measured_units(pixels / [128, 96, 128, 96], SIZE) == "normalized"
    assert measured_units(np.zeros((252, 4)), SIZE) is None
    assert measured_units(np.full((252, 4), np.nan), SIZE) is None
    table = answer(LAYOUTS[0])
    with pytest.raises(DetectorError, match=r"units=normalized: its boxes are in pixels.*units=input"):
        choose_yolo_head(table, 0, SIZE, Description.of(nms_iou=0.7, units="normalized"), 3)
    table[:, :4] = 0
    with pytest.raises(DetectorError, match=r"--cropdet-detector units=normalized\|input"):
        choose_yolo_head(table, 0, SIZE, Description.of(nms_iou=0.7), 3)


def test_an_iou_is_needed_and_the_usual_ones_are_named() -> None:
    with pytest.raises(DetectorError, match=r"0\.7 is .*YOLOv8.*0\.6 of YOLOv5.*--cropdet-detector nms_iou="):
        choose_yolo_head(answer(LAYOUTS[0]), 0, SIZE, Description(), 3)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_logits_are_no_scores_until_the_user_says_what_makes_them_scores(layout: YoloLayout) -> None:
    table = answer(layout, found=FOUND)
    rows = table.T if layout.transposed else table
    first, last = 4, 4 + int(layout.objectness) + 3
    kept = np.clip(rows[:, first:last].astype(np.float64), 1e-4, 1 - 1e-4)
    rows[:, first:last] = np.log(kept / (1 - kept))
    with pytest.raises(DetectorError, match=r"no probabilities; .*activation=sigmoid\|softmax"):
        choose_yolo_head(table, 0, SIZE, Description.of(nms_iou=0.7), 3, extra=layout.extra)
    with pytest.raises(DetectorError, match=r"no probabilities; .*activation=sigmoid\|softmax"):
        YoloHead(0, layout, 0.7).read([table[None]], 0)  # where the empty image did not show it
    sigmoid = Description.of(nms_iou=0.7, activation="sigmoid")
    head, _ = choose_yolo_head(table, 0, SIZE, sigmoid, 3, extra=layout.extra)
    assert head.read([table[None]], 0).scores.tolist() == pytest.approx([0.45, 0.4, 0.2], abs=1e-3)
    with pytest.raises(DetectorError, match="activation=sigmoid: its class scores are 0 to 1 already; remove"):
        choose_yolo_head(answer(layout, found=FOUND), 0, SIZE, sigmoid, 3, extra=layout.extra)


def test_numbers_that_are_not_finite_are_refused() -> None:
    table = answer(LAYOUTS[0])
    head, _ = choose_yolo_head(table, 0, SIZE, Description.of(nms_iou=0.7), 3)
    table[7, 5] = np.nan
    with pytest.raises(DetectorError, match="not finite"):
        head.read([table[None]], 0)


def test_another_order_of_the_four_numbers_is_the_users_to_say() -> None:
    table = answer(LAYOUTS[0], found={40: ([40, 35, 60, 45], [0.4, 0, 0])})
    head, _ = choose_yolo_head(table, 0, SIZE, Description.of(nms_iou=0.7, boxes="xyxy"), 3)
    assert head.read([table[None]], 0).boxes.tolist() == [[40, 35, 60, 45]]
