"""Raw heads with an output for each level of a pyramid are refused with all shapes and what to do, in each runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_cropdet import load_detector
from pytest_cropdet.detectors.adapters.pyramid_levels import are_pyramid_levels
from pytest_cropdet.errors import DetectorError
from tests.detectors import tflite_models as models

SAID = {"range": "0..1", "resize": "stretch"}
ADVICE = r"outputs of their own for each level of a pyramid.* package\.module:factory"


@pytest.mark.parametrize(
    ("shapes", "are"),
    [
        ([(1, 255, 80, 80), (1, 255, 40, 40), (1, 255, 20, 20)], True),
        ([(1, 3, 80, 80, 85), (1, 3, 40, 40, 85), (1, 3, 20, 20, 85)], True),
        ([(1, s, s, c) for s in (38, 19, 10, 5, 3, 1) for c in (16, 84)], True),  # SSD
        ([(1, 60, 80, 18), (1, 30, 40, 18), (1, 15, 20, 18)], True),
        ([(1, n * 9, c) for n in (6400, 1600, 400, 100, 25) for c in (4, 91)], True),  # RetinaNet
        ([(1, 80, 128, 128), (1, 2, 128, 128), (1, 2, 128, 128)], False),  # CenterNet's maps
        ([(1, 100, 4), (1, 100, 91)], False),
        ([(1, 84, 8400), (1, 32, 160, 160)], False),
        ([(1, 85, 22, 22)], False),
    ],
    ids=str,
)
def test_levels_are_recognised_by_their_sizes(shapes: list[tuple[int, ...]], are: bool) -> None:
    assert are_pyramid_levels(shapes) == are


def levels(picture: Any) -> dict[str, Any]:
    """Grids at strides 8, 16 and 32 with 18 numbers a cell, as YOLOv3 and v5 leave them."""
    tf = models.tensorflow()
    light = tf.cast(picture, tf.float32)[..., :1]
    return {f"level{stride}": tf.tile(light[:, ::stride, ::stride], [1, 1, 1, 18]) for stride in (8, 16, 32)}


@pytest.mark.usefixtures("needs_tensorflow")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*tf.lite.Interpreter:UserWarning")
def test_a_tflite_file_and_a_saved_model_are_refused_with_all_shapes(tmp_path: Path) -> None:
    tf = models.tensorflow()
    module = tf.Module()
    spec = tf.TensorSpec([1, models.HEIGHT, models.WIDTH, 3], tf.float32, name="images")
    module.serve = tf.function(levels, input_signature=[spec])
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.serve)
    for path in (models.convert(levels, tmp_path / "levels.tflite"), tmp_path / "model"):
        with pytest.raises(DetectorError, match=ADVICE) as caught:
            load_detector(path, **SAID).load()
        for shape in ("[1, 12, 16, 18]", "[1, 6, 8, 18]", "[1, 3, 4, 18]"):
            assert shape in str(caught.value)


def test_an_onnx_file_is_refused_with_all_shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="needs ONNX Runtime: pip install 'pytest-cropdet[onnx]'")
    from tests.detectors.onnx_models import Graph

    monkeypatch.setenv("CROPDET_PROBE", "off")
    graph = Graph()
    for stride in (8, 16, 32):
        level = graph("AveragePool", "images", kernel_shape=[stride, stride], strides=[stride, stride])
        graph.output(f"level{stride}", level, ["N", 3, 96 // stride, 128 // stride])
    with pytest.raises(DetectorError, match=ADVICE) as caught:
        load_detector(graph.save(tmp_path / "levels.onnx"), **SAID).load()
    for shape in ("3, 12, 16]", "3, 6, 8]", "3, 3, 4]"):
        assert shape in str(caught.value)
