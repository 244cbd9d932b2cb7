"""What is read from a TFLite file's description alone: inputs, the names of outputs, anchors; and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_cropdet.detectors.adapters.heads import ListHead, RowsHead
from pytest_cropdet.detectors.adapters.tflite_graph import Graph, Output
from pytest_cropdet.detectors.adapters.tflite_heads import choose_head
from pytest_cropdet.detectors.adapters.tflite_input import Normalization, Quantization, read_input
from pytest_cropdet.detectors.anchors import read_anchors
from pytest_cropdet.detectors.description import Description, outputs_by_role
from pytest_cropdet.errors import DetectorError

SUFFIXED = "TFLite_Detection_PostProcess"


def graph(*outputs: tuple[str, tuple[int, ...]], operations: tuple[dict[str, Any], ...] = ()) -> Graph:
    """Return outputs with tensor names and shapes, numbered from 10."""
    return Graph(
        tuple(Output(10 + place, name, None, shape) for place, (name, shape) in enumerate(outputs)), operations
    )


def tensor(shape: list[int], dtype: Any, quantization: tuple[float, int] = (0.0, 0)) -> dict[str, Any]:
    return {"name": "image", "index": 3, "shape": shape, "dtype": dtype, "quantization": quantization}


def test_suffixes_of_the_operation_tell_the_outputs_apart_in_any_order() -> None:
    shuffled = graph(
        (f"{SUFFIXED}:2", (1, 10)), (f"{SUFFIXED}:3", (1,)), (f"{SUFFIXED}:1", (1, 10)), (SUFFIXED, (1, 10, 4))
    )
    assert shuffled.roles(Description()) == {"scores": 0, "count": 1, "classes": 2, "boxes": 3}
    assert shuffled.follows_the_api()


def test_the_operation_goes_before_names_and_the_user_before_both() -> None:
    names = [(SUFFIXED, (1, 10)), (f"{SUFFIXED}:1", (1, 10, 4)), ("c", (1,)), ("d", (1, 10))]
    operation = {"op_name": SUFFIXED, "inputs": [1, 2, 3], "outputs": [11, 13, 10, 12]}
    told = graph(*names, operations=(operation,))
    assert told.roles(Description()) == {"boxes": 1, "classes": 3, "scores": 0, "count": 2}
    user = Description.of(outputs=f"classes:{SUFFIXED},scores:d")
    assert told.roles(user) == {"boxes": 1, "classes": 0, "scores": 3, "count": 2}


def test_scores_are_probabilities_where_the_file_ends_in_an_activation() -> None:
    chain = (
        {"op_name": "LOGISTIC", "inputs": [1], "outputs": [5]},
        {"op_name": "SOFTMAX", "inputs": [2], "outputs": [6]},
        {"op_name": "ADD", "inputs": [5], "outputs": [7]},
        {"op_name": "CONCATENATION", "inputs": [5, 5], "outputs": [10]},
        {"op_name": "DEQUANTIZE", "inputs": [6], "outputs": [11]},
        {"op_name": "RESHAPE", "inputs": [7], "outputs": [12]},
    )
    ends = graph(("a", (1, 2)), ("b", (1, 2)), ("c", (1, 2)), ("d", (1, 2)), operations=chain)
    assert [ends.activation_of(place) for place in range(4)] == ["sigmoid", "softmax", None, None]


@pytest.mark.parametrize(
    ("shape", "dtype", "said"),
    [
        ([1, 1, 320, 320], np.float32, r"\[N, height, width, 3\] or \[N, 3, height, width\]"),
        ([1, 320, 320, 1], np.float32, r"\[N, height, width, 3\]"),
        ([320, 320, 3], np.float32, r"\[N, height, width, 3\]"),
        ([1, -1, 320, 3], np.float32, "input_size=WIDTHxHEIGHT"),
        ([1, 320, 320, 3], np.int16, "uint8, int8 or float32"),
        ([1, 320, 320, 3], np.int32, "uint8, int8 or float32"),
    ],
)
def test_inputs_that_are_no_images_are_refused(shape: list[int], dtype: Any, said: str) -> None:
    with pytest.raises(DetectorError, match=said):
        read_input([tensor(shape, dtype)])
    with pytest.raises(DetectorError, match="2 inputs"):
        read_input([tensor([1, 320, 320, 3], np.uint8)] * 2)


def test_sides_and_batch_that_the_file_leaves_open_are_the_users_to_say() -> None:
    any_size, any_batch = tensor([1, -1, -1, 3], np.float32), tensor([-1, 320, 240, 3], np.float32)
    found = read_input([any_size])
    assert (found.width, found.height, found.resizable) == (0, 0, True)
    found = read_input([any_size], Description.of(input_size="640x480"))
    assert (found.width, found.height, found.resizable) == (640, 480, True)
    assert read_input([any_batch]).batch == 1
    assert read_input([any_batch], Description.of(batch=4)).batch == 4
    assert not read_input([tensor([2, 320, 240, 3], np.float32)]).resizable
    first = read_input([tensor([1, 3, 320, 240], np.uint8)])
    assert (first.channels_first, first.width, first.height) == (True, 240, 320)
    assert first.values(np.zeros((320, 240, 3), np.uint8), "0..255").shape == (3, 320, 240)
    fixed = tensor([1, 320, 240, 3], np.float32)
    assert read_input([fixed], Description.of(input_size="240x320")).width == 240
    with pytest.raises(DetectorError, match="input_size=320x240: its input is fixed at 240 x 320 pixels; remove it"):
        read_input([fixed], Description.of(input_size="320x240"))
    half_open = tensor([1, -1, 240, 3], np.float32)
    assert read_input([half_open], Description.of(input_size="240x80")).height == 80
    with pytest.raises(DetectorError, match="input_size=80x240: its input 'image'"):
        read_input([half_open], Description.of(input_size="80x240"))


NORMALIZED = [
    (np.float32, (0.0, 0), Normalization((127.5,), (127.5,)), "-1..1"),
    (np.float32, (0.0, 0), Normalization((127.0,) * 3, (128.0,)), "-1..1"),
    (np.float32, (0.0, 0), Normalization((0.0,), (255.0,) * 3), "0..1"),
    (np.float32, (0.0, 0), Normalization((0.0,), (1.0,)), "0..255"),
    (np.float32, (0.0, 0), Normalization((123.7, 116.3, 103.5), (58.4, 57.1, 57.4)), None),
    (np.uint8, (0.0078125, 128), Normalization((127.5,), (127.5,)), "0..255"),
    (np.uint8, (0.0186, 114), Normalization((123.7, 116.3, 103.5), (58.4, 57.1, 57.4)), None),
    (np.int8, (2 / 255, 0), Normalization((127.5,), (127.5,)), "-1..1"),
]


@pytest.mark.parametrize(("dtype", "quantization", "normalization", "wanted"), NORMALIZED)
def test_mean_and_deviation_in_the_metadata_decide_the_range(
    dtype: Any, quantization: tuple[float, int], normalization: Normalization, wanted: str | None
) -> None:
    image = read_input([tensor([1, 8, 8, 3], dtype, quantization)], None, normalization)
    assert image.decide_range(Description()) == wanted
    pixels = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    stored = image.values(pixels, wanted)
    scale, zero_point = quantization
    step = scale or 1e-5
    real = (stored.astype(np.float64) - zero_point) * scale if scale else stored.astype(np.float64)
    exact = (pixels - np.array(normalization.mean)) / np.array(normalization.std)
    reachable = (
        np.clip(exact, *((np.array([np.iinfo(dtype).min, np.iinfo(dtype).max]) - zero_point) * scale))
        if scale
        else exact
    )
    assert np.abs(real - reachable).max() <= 1.01 * step
    for other in ("0..1", "-1..1", "0..255"):
        if other not in (wanted, "0..255" if dtype == np.uint8 else None, image._usual_range() if scale else None):
            with pytest.raises(DetectorError, match=rf"range={other}.*(metadata in the file say mean|quantised)"):
                image.decide_range(Description.of(range=other))


def test_a_quantisation_and_metadata_that_contradict_one_another_are_the_users_to_decide() -> None:
    image = read_input([tensor([1, 8, 8, 3], np.int8, (1 / 255, -128))], None, Normalization((127.5,), (127.5,)))
    with pytest.raises(DetectorError, match=r"quantised to 0\.\.1, and its metadata say mean 127\.5.*range="):
        image.decide_range(Description())
    assert image.decide_range(Description.of(range="0..1")) == "0..1"


@pytest.mark.parametrize(("mean", "std"), [((), ()), ((0.0,), (0.0,)), ((1.0, 2.0), (1.0,)), ((np.nan,), (1.0,))])
def test_numbers_that_are_no_normalisation_say_nothing(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    assert not Normalization.is_possible(mean, std)


@pytest.mark.parametrize(
    ("dtype", "quantization", "given", "wanted"),
    [
        (np.uint8, (0.0078125, 128), None, "0..255"),
        (np.uint8, (0.0078125, 128), "0..255", "0..255"),
        (np.uint8, (0.0078125, 128), "-1..1", "0..255"),
        (np.uint8, (0.0078125, 128), "0..1", "0..1"),
        (np.uint8, (0.97, 0), "0..255", "0..255"),
        (np.int8, (1 / 255, -128), None, "0..1"),
        (np.int8, (2 / 255, 0), None, "-1..1"),
        (np.int8, (1.0, -128), None, "0..255"),
        (np.int8, (0.95, -128), "0..255", "0..255"),
    ],
)
def test_a_quantised_input_decides_the_range_of_a_pixel(
    dtype: Any, quantization: tuple[float, int], given: str | None, wanted: str
) -> None:
    image = read_input([tensor([1, 8, 8, 3], dtype, quantization)])
    assert image.decide_range(Description.of(range=given)) == wanted


@pytest.mark.parametrize(
    ("dtype", "quantization", "given"),
    [
        (np.uint8, (0.0186, 114), None),  # mean and deviation of ImageNet
        (np.int8, (0.0078, -1), "0..255"),
        (np.int8, (0.0, 0), None),
        (np.int8, (0.0, 0), "0..255"),
        (np.float32, (0.0, 0), None),
    ],
)
def test_a_range_that_is_not_decided_or_cannot_be_is_named(
    dtype: Any, quantization: tuple[float, int], given: str | None
) -> None:
    with pytest.raises(DetectorError, match="range="):
        read_input([tensor([1, 8, 8, 3], dtype, quantization)]).decide_range(Description.of(range=given))


def test_pixels_go_into_a_uint8_input_as_they_are_and_into_an_int8_one_by_its_scale() -> None:
    pixels = np.array([[[0, 127, 255]]], dtype=np.uint8)
    plain = read_input([tensor([1, 8, 8, 3], np.uint8, (0.0078125, 128))])
    assert np.array_equal(plain.values(pixels, "0..255"), pixels)
    signed = read_input([tensor([1, 8, 8, 3], np.int8, (1 / 255, -128))])
    assert signed.values(pixels, "0..1").tolist() == [[[-128, -1, 127]]]
    assert signed.values(pixels, "0..1").dtype == np.int8
    coarse = read_input([tensor([1, 8, 8, 3], np.int8, (1 / 64, 0))])
    assert coarse.values(pixels, "-1..1").tolist() == [[[-64, 0, 64]]]


def test_quantised_numbers_come_back_within_half_a_step() -> None:
    numbers = np.linspace(-0.4, 0.8, 50, dtype=np.float32)
    for dtype, zero_point in ((np.uint8, 90), (np.int8, -40)):
        quantization = Quantization(0.005, zero_point)
        assert np.abs(quantization.real(quantization.stored(numbers, dtype)) - numbers).max() <= 0.0026
    assert Quantization().real(numbers) is numbers


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ([("yolo", (1, 84, 8400))], r"yolo \[1, 84, 8400\].*package\.module:factory"),
        ([("a", (1, 10, 4)), ("b", (1, 20, 7))], r"a \[1, 10, 4\], b \[1, 20, 7\].*package\.module:factory"),
        ([("a", (2, 10, 6))], r"package\.module:factory"),
        ([("a", (1, 10, 6)), ("b", (1,))], r"package\.module:factory"),
        ([(SUFFIXED, (1, 10, 4)), (f"{SUFFIXED}:1", (1, 9)), (f"{SUFFIXED}:2", (1, 10))], "outputs=boxes:NAME"),
        ([(SUFFIXED, (1, 10)), (f"{SUFFIXED}:1", (1, 10)), (f"{SUFFIXED}:2", (1, 10, 4))], "outputs=boxes:NAME"),
    ],
)
def test_outputs_of_no_known_kind_are_listed_with_their_shapes(
    outputs: list[tuple[str, tuple[int, ...]]], said: str
) -> None:
    with pytest.raises(DetectorError, match=said):
        choose_head(graph(*outputs), 1, Description())


@pytest.mark.parametrize("text", ["boxes", "boxes:", "rows:a", "boxes:a,boxes:b"])
def test_outputs_are_named_by_what_they_hold(text: str) -> None:
    with pytest.raises(DetectorError, match="outputs="):
        Description.of(outputs=text)
    assert outputs_by_role("scores:Part:1, boxes:Part:0") == {"scores": "Part:1", "boxes": "Part:0"}


def test_a_list_is_capped_when_the_count_reaches_its_rows() -> None:
    head = ListHead({"boxes": 0, "classes": 1, "scores": 2, "count": 3}, "yxyx", most=3)
    boxes, numbers, scores = np.ones((1, 3, 4)), np.array([[5, 6, 7]]), np.array([[0.9, 0.8, 0.7]])
    for count, rows, capped in ((3.0, 3, True), (1.999, 2, False), (0.0, 0, False), (9.0, 3, True), (-1.0, 0, False)):
        found = head.read([boxes, numbers, scores, np.array([count])], 0)
        assert (len(found.scores), found.capped) == (rows, capped)


def test_rows_are_capped_by_what_is_left_after_suppression() -> None:
    table = np.array([[[0, 0, 9, 9, 0.9, 1], [0, 0, 9, 8, 0.8, 1]]], dtype=np.float32)
    assert RowsHead(0, "xyxy", most=2).read([table], 0).capped
    assert not RowsHead(0, "xyxy", most=2, nms_iou=0.5).read([table], 0).capped


@pytest.mark.parametrize(("score", "category"), [(3.0, 1), (-0.5, 1), (float("nan"), 1), (0.9, 0.5)])
def test_what_cannot_be_scores_or_categories_is_refused(score: float, category: float) -> None:
    head = ListHead({"boxes": 0, "classes": 1, "scores": 2, "count": 3}, "xyxy", most=1)
    tensors = [np.ones((1, 1, 4)), np.array([[category]]), np.array([[score]]), np.ones(1)]
    with pytest.raises(DetectorError, match="outputs="):
        head.read(tensors, 0)


ROWS = [[0.5, 0.25, 0.2, 0.1], [0.5, 0.75, 0.4, 0.3]]


def test_anchors_are_read_from_every_kind_of_file_and_decode_to_themselves(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array(ROWS, dtype=np.float32))
    (tmp_path / "a.csv").write_text("\n".join(",".join(map(str, row)) for row in ROWS) + "\n")
    (tmp_path / "a.json").write_text(json.dumps(ROWS))
    (tmp_path / "b.json").write_text(json.dumps({"anchors": ROWS, "scales": [1, 2, 4, 8]}))
    for name in ("a.npy", "a.csv", "a.json", "b.json"):
        boxes = read_anchors(str(tmp_path / name)).decode(np.zeros((2, 4)))
        assert boxes == pytest.approx(np.array([[0.2, 0.4, 0.3, 0.6], [0.6, 0.3, 0.9, 0.7]]), abs=1e-6)


def test_encodings_move_and_stretch_an_anchor_by_its_scales(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    codes = np.array([[10.0, -5.0, 5 * np.log(2), 5 * np.log(0.5)]])
    path.write_text(json.dumps([ROWS[0]]))
    # down by one height, left by half a width, twice as high, half as wide
    wanted = np.array([[0.2 - 0.025, 0.7 - 0.2, 0.2 + 0.025, 0.7 + 0.2]])
    assert read_anchors(str(path)).decode(codes) == pytest.approx(wanted)
    path.write_text(json.dumps({"anchors": [ROWS[0]], "scales": [20, 20, 10, 10]}))
    assert read_anchors(str(path)).decode(codes * 2) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[[1, 2, 3]]", "rows of four"),
        ("[]", "rows of four"),
        ("{", "not a file of rows"),
        ('{"anchors": 9600}', "rows of four"),
        ('{"anchors": [[0.5, 0.5, 0.2, 0.2]], "scales": [10, 10]}', "scales"),
        ("[[0.5, 0.5, 0.0, 0.2]]", "h and w above 0"),
        (json.dumps([[0.0, 0.1 * k, 0.1, 0.1 * k + 0.1] for k in range(10)]), "look like corners"),
    ],
)
def test_a_file_that_holds_no_anchors_is_refused(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "anchors.json"
    path.write_text(content)
    with pytest.raises(DetectorError, match=f"anchors=.*{said}"):
        read_anchors(str(path))
    with pytest.raises(DetectorError, match="no such file"):
        read_anchors(str(tmp_path / "none.npy"))
