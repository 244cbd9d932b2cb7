"""What raises no error in a runtime and reads a TFLite file wrongly: each is read right, or refused."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_cropdet import load_detector
from pytest_cropdet.detectors.adapters import tflite
from pytest_cropdet.detectors.adapters.heads import ListHead
from pytest_cropdet.detectors.adapters.tflite_graph import Graph, Output
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.errors import DetectorError
from tests.detectors import tflite_models as models

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.usefixtures("needs_tensorflow"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*tf.lite.Interpreter:UserWarning"),
]

Make = Callable[..., Path]
GIVEN = {"range": "0..255", "resize": "stretch"}
ROLES = ("boxes", "classes", "scores", "count")


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    folder = tmp_path_factory.mktemp("traps")

    def made(name: str, serve: Callable[[Any], Any], **how: Any) -> Path:
        path = folder / f"{name}.tflite"
        return path if path.exists() else models.convert(serve, path, **how)

    return made


def picture(colour: tuple[int, int, int] = (255, 90, 0)) -> tuple[np.ndarray, list[float]]:
    image = np.zeros((models.HEIGHT, models.WIDTH, 3), np.uint8)
    image[20:60, 30:100] = colour
    return image, [30.0, 20.0, 100.0, 60.0]


@pytest.mark.parametrize("order", ["zyxw", "wyxz", "wzyx", "xwzy"])
def test_the_operation_says_which_output_is_what_in_every_order_of_converters(make: Make, order: str) -> None:
    path = make(f"op_{order}", lambda image: models.postprocessed(image, order))
    image = np.zeros((models.HEIGHT, models.WIDTH, 3), np.uint8)
    image[:, models.WIDTH // 2 :] = 255
    found = load_detector(path, range="0..255", labels="left,right")([image])[0]
    assert found.boxes[0] == pytest.approx([80, 24, 112, 72], abs=0.01)
    assert found.categories.tolist() == [1]
    assert found.scores.tolist() == pytest.approx([0.8], abs=0.01)


def test_the_file_says_it_where_the_runtime_shows_no_operations() -> None:
    shapes = {"StatefulPartitionedCall:1": (1, 10), "StatefulPartitionedCall:3": (1, 10, 4)}
    shapes |= {"StatefulPartitionedCall:0": (1,), "StatefulPartitionedCall:2": (1, 10)}
    outputs = tuple(Output(10 + place, name, None, shape) for place, (name, shape) in enumerate(shapes.items()))
    written = (11, 13, 10, 12)  # boxes, classes, scores, count
    graph = Graph(outputs, (), written)
    assert graph.roles(Description()) == {"boxes": 1, "classes": 3, "scores": 0, "count": 2}
    assert graph.is_postprocessed()
    assert not Graph(outputs).is_postprocessed()


@pytest.mark.parametrize("order", list(permutations(ROLES)))
def test_numbered_outputs_without_the_operation_are_proposed_and_never_taken(order: tuple[str, ...]) -> None:
    shapes = {"boxes": (1, 10, 4), "classes": (1, 10), "scores": (1, 10), "count": (1,)}
    outputs = tuple(
        Output(10 + place, f"StatefulPartitionedCall:{number}", f"output_{number}", shapes[role])
        for place, (number, role) in enumerate(enumerate(order))
    )
    graph = Graph(outputs)
    assert graph.roles(Description()) == {}
    name = "StatefulPartitionedCall"
    fits = (order[3], order[0]) == ("boxes", "count")
    assert graph.proposal() == (f"boxes:{name}:3,classes:{name}:2,scores:{name}:1,count:{name}:0" if fits else None)


def test_obvious_names_of_outputs_are_proposed(make: Make) -> None:
    def named(image: Any) -> dict[str, Any]:
        boxes, classes, scores, count = models.list_of(image, (0.0, 255.0))
        return {"bboxes": boxes, "labels": classes, "confidences": scores, "num_detections": count}

    path = make("named", named)
    with pytest.raises(
        DetectorError, match=r"If this is a list, set --cropdet-detector outputs=boxes:(\S+)\."
    ) as raised:
        load_detector(path, **GIVEN).load()
    proposed = str(raised.value).split("outputs=")[1].split(". ")[0]
    image, box = picture()
    found = load_detector(path, outputs=proposed, boxes="yxyx", units="normalized", **GIVEN)([image])[0]
    assert found.boxes[0] == pytest.approx(box, abs=1e-3)
    assert found.scores.tolist() == pytest.approx([0.9, 0.25])


@pytest.mark.parametrize(("kind", "outputs"), [("int8", "int8"), ("uint8", "uint8"), ("int8", "float32")])
def test_the_count_cuts_the_rows_though_it_is_a_float_or_a_quantised_number(
    make: Make, kind: str, outputs: str
) -> None:
    serve = models.api_list((0.0, 255.0))
    path = make(f"count_{kind}_{outputs}", serve, quantise=(kind, (0.0, 255.0)), outputs=outputs)
    image, box = picture()
    found = load_detector(path, range=None, resize="stretch", first_category=0)([image])[0]
    assert found.scores.tolist() == pytest.approx([0.9, 0.25], abs=0.01)  # rows 2 and 3 score 1
    assert found.boxes[0] == pytest.approx(box, abs=1.5)
    assert found.categories.tolist() == [models.RED + 1, models.BLUE + 1]


def test_a_count_a_little_below_a_whole_number_is_that_number() -> None:
    head = ListHead({role: place for place, role in enumerate(ROLES)}, "xyxy", most=3)
    tensors = [np.ones((1, 3, 4)), np.zeros((1, 3)), np.full((1, 3), 0.5), np.array([1.9999])]
    assert len(head.read(tensors, 0).scores) == 2


@pytest.mark.parametrize("role", ["boxes", "classes", "scores"])
def test_small_integers_without_a_scale_are_not_read_as_real_numbers(make: Make, role: str) -> None:
    def whole(image: Any) -> dict[str, Any]:
        tf = models.tensorflow()
        found = models.api_list((0.0, 255.0))(image)
        name = f"detection_{role}"
        return {**found, name: tf.cast(found[name] * (1 if role == "classes" else 100), tf.int8)}

    detector = load_detector(make(f"whole_{role}", whole), first_category=0, **GIVEN)
    if role == "classes":  # whole numbers are what they are
        assert detector([picture()[0]])[0].categories.tolist() == [models.RED + 1, models.BLUE + 1]
        return
    with pytest.raises(DetectorError, match=r"its output .* is int8 without scale and zero point.*export the model"):
        detector.load()


@pytest.mark.parametrize("place", ["list", "rows"])
def test_logits_in_place_of_scores_are_refused(make: Make, place: str) -> None:
    def with_logits(image: Any) -> dict[str, Any]:
        tf = models.tensorflow()
        if place == "rows":
            found = models.rows("xyxy", "input", (0.0, 255.0))(image)["found"]
            return {"found": found * tf.constant([1.0] * 4 + [3.0, 1.0])}
        boxes, classes, scores, count = models.list_of(image, (0.0, 255.0))
        logits = tf.math.log(scores / (1.001 - scores))
        names = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
        return dict(zip(names, (boxes, classes, logits, count), strict=True))

    given: dict[str, Any] = {"boxes": "xyxy", "units": "input"} if place == "rows" else {"first_category": 0}
    detector = load_detector(make(f"logits_{place}", with_logits), **given, **GIVEN)
    with pytest.raises(DetectorError, match=r"its scores go from .* not 0 to 1"):
        detector([picture()[0]])


def test_boxes_in_an_order_that_the_file_does_not_say_are_never_guessed(make: Make) -> None:
    path = make("shuffled", models.shuffled_list((0.0, 255.0)))
    outputs = "boxes:delta,classes:gamma,scores:alpha,count:beta"
    image, box = picture()
    with pytest.raises(DetectorError, match=r"--cropdet-detector boxes=xyxy\|yxyx\|xywh\|cxcywh"):
        load_detector(path, outputs=outputs, units="normalized", **GIVEN).load()
    found = load_detector(path, outputs=outputs, units="normalized", boxes="yxyx", **GIVEN)([image])[0]
    assert found.boxes[0] == pytest.approx(box, abs=1e-3)


def test_a_first_column_for_the_background_is_no_category(make: Make, tmp_path: Path) -> None:
    anchors = tmp_path / "anchors.npy"
    np.save(anchors, models.ANCHORS)
    path = make("background", models.raw(4, "softmax"))
    given = {"anchors": str(anchors), "nms_iou": 0.5, "outputs": "boxes:encodings,scores:predictions", **GIVEN}
    found = load_detector(path, labels=models.LABELS, **given)([picture()[0]])[0]
    assert found.categories.tolist() == [models.RED]
    with pytest.raises(
        DetectorError, match=r"4 columns and no names are known, so whether the first is the background"
    ):
        load_detector(path, **given).load()


def test_operations_of_tensorflow_are_named_with_what_helps(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows(image: Any) -> dict[str, Any]:
        return dict(models.rows("xyxy", "input", (0.0, 255.0))(models.tensorflow().math.sinh(image / 255)))

    def without_them(**_: Any) -> Any:
        raise RuntimeError("Select TensorFlow op(s), included in the given model, is(are) not supported")

    monkeypatch.setattr(tflite, "_runtimes", lambda: [lambda: without_them])  # some versions of TensorFlow have them
    helps = r"not supported; it has operations of TensorFlow \(Sinh\).*use the SavedModel .*without SELECT_TF_OPS$"
    with pytest.raises(DetectorError, match=helps):
        load_detector(make("flex", rows, select_tf_ops=True), boxes="xyxy", units="input", **GIVEN).load()
