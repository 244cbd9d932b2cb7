"""Matching by blocks of images is matching of all at once, to the last bit, however small the blocks are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_cropdet.data import Detections, GroundTruth
from pytest_cropdet.evaluation import (
    CropIndex,
    DetectedBlocks,
    DetectedTables,
    average_precision,
    blocks_of,
    build_objects,
    match,
    match_blocks,
    one_box_blocks,
)
from pytest_cropdet.evaluation import detected_blocks as module
from pytest_cropdet.evaluation.coco.one_box import one_box
from pytest_cropdet.geometry import Crop, Mask
from tests.support import sample

SAME = ("rows", "starts", "image", "outside", "contenders", "rank", "matched", "truth_image", "truth_category")
IDS = [1, 2, 3]


def made(seed, images, most):
    """Images with crops, few categories and few scores, so that there are ties."""
    rng = np.random.default_rng(seed)

    def boxes(count):
        corner = rng.integers(0, 30, (count, 2))
        return np.concatenate([corner, corner + rng.integers(4, 20, (count, 2))], axis=1).astype(float)

    def disc(box):
        y, x = np.mgrid[:50, :50]
        return Mask.encode((x - box[0] - box[2] + x) ** 2 + (2 * y - box[1] - box[3]) ** 2 < (box[2] - box[0]) ** 2)

    samples, windows = [], []
    for number in range(images):
        objects = boxes(int(rng.integers(0, 5)))
        truth = GroundTruth(
            objects,
            rng.integers(1, 4, len(objects)),
            crowd=rng.random(len(objects)) < 0.2,
            masks=tuple(disc(box) if rng.random() < 0.5 else None for box in objects),
        )
        samples.append(sample(number, truth, 50, 50))
        windows.append([Crop(0, 0, 30, 30), Crop(10, 5, 40, 45)][: int(rng.integers(0, 3))])
    unit = np.repeat(np.arange(images), [len(each) for each in windows])
    rank = np.concatenate([np.zeros(0, np.int64), *(np.arange(len(each)) for each in windows)])
    index = CropIndex(tuple(samples), tuple(crop for each in windows for crop in each), unit, rank)

    def found():
        count = int(rng.integers(0, most))
        return Detections(boxes(count), rng.choice([0.2, 0.5, 0.9], count), rng.integers(1, 5, count))

    return index, [found() for _ in range(images)], [found() for _ in range(len(index))]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9), st.sampled_from([1, 3, 100]), st.integers(1, 5), st.booleans())
def test_blocks_give_the_bits_of_all_at_once(seed, images, cap, size, whole):
    index, of_images, of_crops = made(seed, images, 12)
    objects = build_objects(index, 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "SOURCES_AT_ONCE", size)
        blocks = DetectedBlocks(index, of_images if whole else of_crops, 0.5, whole=whole)
        ours = match_blocks(objects.truth, blocks, categories=IDS, max_detections=cap)
        table, boxes = blocks.table(), one_box_blocks(objects.truth, blocks, categories=IDS, max_detections=cap)
        moved = boxes.detected(blocks).table()
        rows = np.arange(len(table))[::-2]
        assert blocks.rows(rows).boxes.tobytes() == table.boxes[rows].tobytes()
    theirs = match(objects.truth, table, images=len(index), categories=IDS, max_detections=cap, beyond=True)
    for name in SAME:
        one, other = getattr(ours, name), getattr(theirs, name)
        assert one.shape == other.shape, name
        assert (one == other).all(), name
    assert ours.score is not None
    assert ours.score.tobytes() == table.score[theirs.rows].tobytes()
    assert ours.scored.tobytes() == theirs.scored.tobytes()
    assert (ours.beyond, ours.max_detections, ours.images) == (theirs.beyond, theirs.max_detections, theirs.images)
    assert average_precision(ours).values.tobytes() == average_precision(theirs).values.tobytes()
    exact = one_box(objects.truth, table, images=len(index), categories=IDS, max_detections=cap)
    assert boxes.truth.boxes.tobytes() == exact.truth.boxes.tobytes()
    assert moved.boxes.tobytes() == exact.detected.boxes.tobytes()
    assert boxes.moved.tolist() == np.flatnonzero(exact.moved).tolist()
    assert (boxes.apart, boxes.stray) == (int(exact.apart.sum()), int(table.stray.sum()))


def test_a_table_is_shared_while_it_is_used_and_gone_afterwards():
    index, _, of_crops = made(1, 4, 9)
    tables = DetectedTables({"crop": DetectedBlocks(index, of_crops, 0.5)})
    table = tables["crop"]
    assert tables["crop"] is table
    again = blocks_of({"crop": table}, "crop", index).table()
    assert again.boxes.tobytes() == table.boxes.tobytes()
    assert again.image.tobytes() == table.image.tobytes()
    del table
    assert not len(tables._made)
