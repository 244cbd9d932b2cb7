"""One table of boxes from a TensorFlow model: SavedModels and Keras models as exporters of YOLO write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_cropdet import load_detector
from pytest_cropdet.errors import DetectorError
from tests.detectors import tflite_models as models
from tests.detectors import yolo_models as yolo
from tests.detectors.test_tflite_yolo import GIVEN, away, paint

pytestmark = pytest.mark.usefixtures("needs_tensorflow")

SAID = {**GIVEN, "labels": models.LABELS}
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    def made(serve: Callable[[Any], Any], batch: int | None = None, size: bool = True, dtype: str = "float32") -> Path:
        tf = models.tensorflow()
        sides = [models.HEIGHT, models.WIDTH] if size else [None, None]
        module = tf.Module()
        spec = tf.TensorSpec([batch, *sides, 3], dtype, name="images")
        module.serve = tf.function(serve, input_signature=[spec])
        path = tmp_path_factory.mktemp("table") / "model"
        tf.saved_model.save(module, str(path), signatures=module.serve)
        return path

    return made


def layered(serve: Callable[[Any], Any]) -> Any:
    """Return a Keras model of one layer, which answers with the table alone."""
    models.tensorflow()
    import keras

    class Table(keras.layers.Layer):  # type: ignore[misc]
        def call(self, pixels: Any) -> Any:
            return serve(pixels)["found"]

        def compute_output_spec(self, pixels: Any) -> Any:
            return keras.KerasTensor((pixels.shape[0], yolo.CELLS, 7), "float32")

    images = keras.Input((models.HEIGHT, models.WIDTH, 3), name="images")
    return keras.Model(images, Table(name="table")(images)), {"Table": Table}


@pytest.mark.parametrize(
    ("how", "batch"),
    [
        ({"transposed": True}, 1),
        ({"transposed": True, "normalized": False}, None),
        ({"objectness": True, "normalized": False}, None),
        ({"transposed": True, "masks": True}, 1),
    ],
    ids=str,
)
def test_a_painted_box_comes_back_from_a_saved_model(make: Make, how: dict[str, bool], batch: int | None) -> None:
    detector = load_detector(make(yolo.table(**how), batch), **SAID)
    pictures = [paint(), paint(colour=(255, 90, 0))]
    for (_, box), found, colour in zip(
        pictures, detector([each for each, _ in pictures]), (models.BLUE, models.RED), strict=True
    ):
        assert away(found, box) < 1.5
        assert found.scores.tolist() == pytest.approx([0.9], abs=1e-3)  # the wider one is a duplicate
        assert found.categories.tolist() == [colour]
    known = detector.description.known()
    assert known["head"] == ("yolo_objectness" if how.get("objectness") else "yolo")
    assert known["units"] == ("normalized" if how.get("normalized", True) else "input")
    assert (known["boxes"], known["first_category"]) == ("cxcywh", 0)
    assert (detector.max_detections, detector.batch) == (300, batch or 8)
    every = load_detector(detector.name, **{**SAID, "nms_iou": 1})([pictures[0][0]])[0]
    assert every.scores.tolist() == pytest.approx([0.9, 0.6], abs=1e-3)


def test_a_keras_model_and_its_file_are_read_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, objects = layered(yolo.table(objectness=True))
    path = tmp_path / "table.keras"
    model.save(path)
    monkeypatch.setenv("CROPDET_PROBE", "off")
    monkeypatch.setattr("pytest_cropdet.detectors.adapters.keras._custom_objects", lambda name: objects)
    image, box = paint()
    said = {**SAID, "labels": "nothing,red,blue"}
    for detector in (load_detector(model, **said), load_detector(path, **said, custom_objects="its:objects")):
        found = detector([image])[0]
        assert away(found, box) < 1.5
        assert found.categories.tolist() == [models.BLUE]
        assert detector.description.head == "yolo_objectness"


@pytest.mark.parametrize("kind", ["tfserving", "kserve"])
def test_a_painted_box_comes_back_from_a_server(kind: str) -> None:
    pytest.importorskip("httpx")
    pytest.importorskip("stamina")
    from tests.detectors.serving import Served, serve

    detect = yolo.table(transposed=True)
    tf = models.tensorflow()
    one = Served(lambda batch: {"output_0": detect(tf.constant(np.asarray(batch, np.float32)))["found"].numpy()})
    one.input = ("images", "DT_FLOAT", [1, models.HEIGHT, models.WIDTH, 3])
    one.outputs = {"output_0": ("DT_FLOAT", [1, 7, yolo.CELLS])}
    version = {"tfserving": "v1", "kserve": "v2"}[kind]
    with serve(one) as served:
        spec = f"{kind}:{served.url}/{version}/models/ssd"
        image, box = paint()
        found = load_detector(spec, **SAID)([image])[0]
        with pytest.raises(DetectorError, match="--cropdet-detector nms_iou="):
            load_detector(spec, **{key: value for key, value in SAID.items() if key != "nms_iou"}).load()
    assert away(found, box) < 1.5
    assert found.categories.tolist() == [models.BLUE]


def test_end_to_end_rows_are_read_where_the_head_is_named(make: Make) -> None:
    path = make(yolo.of_any_size, size=False)
    said = {"head": "yolo_end2end", "units": "input", "range": "0..255", "labels": models.LABELS}
    detector = load_detector(path, resize="letterbox", input_size="128x96", **said)
    image, box = paint()
    found = detector([image])[0]
    assert away(found, box) < 1.5
    assert found.categories.tolist() == [models.BLUE]
    assert detector.profile.input_size == (96, 128)
    with pytest.raises(DetectorError, match="boxes="):
        load_detector(path, resize="inside", range="0..255").load()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"nms_iou": None}, "--cropdet-detector nms_iou="),
        ({"labels": None}, "--cropdet-detector head=yolo"),
        ({"labels": "red"}, "has 2 or 3 categories, and 1 names are known"),
        ({"units": "input"}, "--cropdet-detector units=normalized"),
        ({"activation": "sigmoid"}, "are 0 to 1 already"),
        ({"input_size": "64x64"}, "its input is fixed at 128 x 96 pixels"),
        ({"head": "efficientdet"}, "head=efficientdet is not used"),
    ],
    ids=str,
)
def test_what_is_open_or_contradicts_the_table_is_named(make: Make, given: dict[str, Any], sentence: str) -> None:
    said = {key: value for key, value in {**SAID, **given}.items() if value is not None}
    with pytest.raises(DetectorError, match=sentence):
        load_detector(make(yolo.table(transposed=True), 1), **said).load()


def test_a_list_of_detections_is_given_no_head(tmp_path: Path) -> None:
    tf = models.tensorflow()

    class Listed(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)])
        def __call__(self, images: Any) -> dict[str, Any]:
            return {
                "detection_boxes": tf.zeros([1, 5, 4]),
                "detection_scores": tf.zeros([1, 5]),
                "detection_classes": tf.ones([1, 5]),
            }

    for key, value in (("head", "yolo"), ("activation", "sigmoid")):
        with pytest.raises(DetectorError, match=f"{key}={value} is not used: its outputs are read as a list"):
            load_detector(Listed(), **{key: value}).load()


class TestPixels:
    """Pixels less a mean, as models from PyTorch take them: the box is found only where mean and std are applied."""

    MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    NORMALIZED = {"range": "0..1", "mean": "0.485,0.456,0.406", "std": "0.229,0.224,0.225"}  # noqa: RUF012

    @classmethod
    def serve(cls, pixels: Any) -> Any:
        """Undo the normalisation; what was not normalised is then no picture, and answers with other scores."""
        tf = models.tensorflow()
        given = pixels * tf.constant(cls.STD) + tf.constant(cls.MEAN)
        found = yolo.table(transposed=True)(given)["found"]
        black = tf.abs(tf.reduce_min(given, axis=[1, 2, 3])) < 0.02  # every picture here has black pixels
        good = black & (tf.reduce_max(given, axis=[1, 2, 3]) < 1.02)
        seen = tf.concat([tf.ones(4), tf.zeros(3)], 0)[:, None]
        return {"found": tf.where(good[:, None, None], found, found * seen)}

    @pytest.fixture(scope="class")
    @staticmethod
    def saved(make: Make) -> Path:
        return make(TestPixels.serve, 1)

    @pytest.fixture(scope="class")
    @staticmethod
    def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
        folder = tmp_path_factory.mktemp("normalised")
        return {"tflite": models.convert(TestPixels.serve, folder / "float.tflite")}

    @pytest.mark.parametrize("kind", ["saved_model", "tflite"])
    def test_mean_and_std_are_applied(self, kind: str, saved: Path, files: dict[str, Path]) -> None:
        path = saved if kind == "saved_model" else files[kind]
        image, box = paint()
        found = load_detector(path, **{**SAID, **self.NORMALIZED})([image])[0]
        assert away(found, box) < 1.5
        assert found.scores.tolist() == pytest.approx([0.9], abs=1e-3)
        assert not len(load_detector(path, **SAID)([image])[0])

    @pytest.mark.parametrize("kind", ["saved_model", "tflite"])
    @pytest.mark.parametrize(
        ("left_out", "line"), [("std", "--cropdet-detector std="), ("mean", "mean="), ("range", "range=")]
    )
    def test_one_alone_is_not_enough(
        self, kind: str, left_out: str, line: str, saved: Path, files: dict[str, Path]
    ) -> None:
        said = {**SAID, **self.NORMALIZED}
        del said[left_out]
        with pytest.raises(DetectorError, match=line):
            load_detector(saved if kind == "saved_model" else files[kind], **said).load()

    def test_an_input_that_takes_pixels_as_they_are_has_no_mean(self, make: Make) -> None:
        path = make(yolo.table(), 1, dtype="uint8")
        with pytest.raises(DetectorError, match=r"mean=.* is not used: its input is uint8"):
            load_detector(path, **{**SAID, **self.NORMALIZED, "range": "0..255"}).load()


def test_a_quantised_input_takes_normalised_pixels_as_its_scale_says(tmp_path: Path) -> None:
    from pytest_cropdet.detectors.adapters.tflite_input import read_input
    from pytest_cropdet.detectors.description import Description

    details = {
        "index": 0,
        "name": "images",
        "shape": np.array([1, 8, 8, 3]),
        "shape_signature": np.array([1, 8, 8, 3]),
        "dtype": np.int8,
        "quantization": (4.8 / 255, -16),  # -2.1 to 2.7
    }
    given = Description.of(**TestPixels.NORMALIZED)
    found = read_input([details], given)
    assert found.decide_range(given) is None
    pixels = np.full((8, 8, 3), 255, np.uint8)
    wanted = (1 - np.array(TestPixels.MEAN)) / TestPixels.STD
    assert np.abs((found.values(pixels, None)[0, 0] + 16.0) * (4.8 / 255) - wanted).max() < 4.8 / 255
    narrow = read_input([{**details, "quantization": (1 / 255, -128)}], given)
    with pytest.raises(DetectorError, match=r"its input is quantised to 0\.\.1"):
        narrow.decide_range(given)
