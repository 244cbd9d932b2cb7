"""Objects that readers check thousands at a time are those of one by one, with the same errors and warnings."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_cropdet.data import GroundTruth, Sample, load_dataset
from pytest_cropdet.data.readers import record_objects, yolo_lines
from pytest_cropdet.errors import DataError
from tests.data import writers

NAMES = {0: "cat", 1: "dog"}
SIDES = ((30, 20), (21, 33))
pixels = [np.zeros((height, width, 3), np.uint8) for width, height in SIDES]


def outcome(path: Path) -> object:
    """Return all that a set shows, or its error; and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            data = load_dataset(path)
        except DataError as error:
            return str(error), [str(each.message) for each in caught]
    truths = [
        {name: np.asarray(getattr(sample.truth, name)).tolist() for name in ("boxes", "categories", "ids", "areas")}
        for sample in data
    ]
    flags = [(sample.truth.crowd.tolist(), sample.truth.ignored.tolist(), sample.truth.masks) for sample in data]
    return truths, flags, dict(data.categories), [str(each.message) for each in caught]


WORDS = st.sampled_from(["0", "1", "0.5", "0.25", "0.333333", "-0.0", "1.005", "0.1", "1e-3"])
ROWS = st.tuples(st.sampled_from(["0", "1", "1.0"]), WORDS, WORDS, WORDS, WORDS).map(" ".join)
ODD_ROWS = st.sampled_from(
    ["", "2 0.5 0.5 0.1 0.1", "-1 0.5 0.5 0.1 0.1", "0 0.5 0.5 -0.1 0.1", "x 0 0 0 0", "0 nan 0 0 0", "0.5 0 0 0 0"]
) | st.sampled_from(
    ["0 0.5 0.5 0.1", "0 0.1 0.1 0.6 0.1 0.6 0.7", "0 7 0 0 0", "0 0.5 0.5 0.1 0.1 0.9", "99999999999 0 0 0 0"]
)


@pytest.mark.parametrize("rows", [ROWS, ROWS | ODD_ROWS], ids=["fine", "some wrong"])
@pytest.mark.parametrize("named", [True, False])
def test_lines_of_yolo(rows: st.SearchStrategy[str], named: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("set")
    for part in ("images", "labels"):
        (folder / part).mkdir()
    for number, each in enumerate(pixels):
        (folder / "images" / f"{number}.png").write_bytes(writers.png(each))
    if named:
        (folder / "classes.txt").write_text("cat\ndog\n", encoding="utf-8")

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.lists(rows, max_size=4), min_size=2, max_size=2), st.integers(1, 2))
    def check(lines: list[list[str]], at_once: int) -> None:
        for number, each in enumerate(lines):
            (folder / "labels" / f"{number}.txt").write_text("\n".join(each), encoding="utf-8")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(yolo_lines, "_AT_ONCE", at_once)
            bulk = outcome(folder)
            patch.setattr(yolo_lines.YoloLines, "_read_boxes", lambda _: False)
            assert bulk == outcome(folder)

    check()


EDGES = st.sampled_from([0.0, 3.0, 7.5, 11.3, 20.0]) | st.sampled_from([-3.0, 21.0, float("nan"), 900.0])


@pytest.mark.parametrize("at_once", [1, 3, 8192])
def test_objects_of_records(at_once: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("set")

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.lists(st.tuples(EDGES, EDGES, st.integers(0, 1), st.booleans()), max_size=3), max_size=3))
    def check(images: list[list[tuple[float, float, int, bool]]]) -> None:
        contents = []
        for number, rows in enumerate(images):
            boxes = np.array([[x, y, x + 4, y + 5] for x, y, _, _ in rows]).reshape(-1, 4)
            kinds, flags = [kind for *_, kind, _ in rows], [flag for *_, flag in rows]
            sound = np.nan_to_num(boxes)
            truth = GroundTruth(sound, kinds, crowd=flags, ignored=[not flag for flag in flags])
            sample = Sample(f"{number}.png", 30, 20, truth, lambda: pixels[0])
            object.__setattr__(truth, "boxes", boxes)
            contents.append(writers.example_of(sample, NAMES))
        (folder / "a.tfrecord").write_bytes(b"".join(map(writers.record, contents)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(record_objects, "_AT_ONCE", at_once)
            bulk = outcome(folder / "a.tfrecord")
            patch.setattr(record_objects.RecordRows, "_read_waiting", lambda _: False)
            assert bulk == outcome(folder / "a.tfrecord")

    check()
