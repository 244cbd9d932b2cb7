"""The metadata inside a TFLite file, written here slot by slot as the published schema counts them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_cropdet import load_detector
from pytest_cropdet.detectors.adapters.tflite_file import read_tflite
from pytest_cropdet.detectors.anchors import read_anchors
from pytest_cropdet.errors import DetectorError
from tests.detectors import tflite_models as models

pytestmark = [
    pytest.mark.tensorflow,
    pytest.mark.usefixtures("needs_tensorflow"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*tf.lite.Interpreter:UserWarning"),
]

Make = Callable[..., Path]
OFFSET, FLOAT, BYTE, INT = "offset", "float", "byte", "int"


class Writer:
    """Writes tables of a flatbuffer: each value with its slot."""

    def __init__(self) -> None:
        self.builder = pytest.importorskip("flatbuffers").Builder(0)

    def text(self, value: str) -> int:
        return int(self.builder.CreateString(value))

    def table(self, slots: int, *fields: tuple[int, str, Any]) -> int:
        self.builder.StartObject(slots)
        for slot, kind, value in fields:
            if kind == OFFSET:
                self.builder.PrependUOffsetTRelativeSlot(slot, value, 0)
            elif kind == FLOAT:
                self.builder.PrependFloat32Slot(slot, value, 0.0)
            elif kind == BYTE:
                self.builder.PrependInt8Slot(slot, value, 0)
            else:
                self.builder.PrependInt32Slot(slot, value, 0)
        return int(self.builder.EndObject())

    def vector(self, values: Sequence[int]) -> int:
        self.builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            self.builder.PrependUOffsetTRelative(value)
        return int(self.builder.EndVector())

    def numbers(self, values: Sequence[float], dtype: Any = np.float32) -> int:
        return int(self.builder.CreateNumpyVector(np.array(values, dtype)))

    def finish(self, root: int, identifier: bytes) -> bytes:
        self.builder.Finish(root, identifier)
        return bytes(self.builder.Output())


def metadata(
    normalization: tuple[list[float], list[float]] | None = None,
    outputs: Sequence[str] = (),
    order: Sequence[int] | None = None,
    pixels: bool = False,
    custom: bytes | None = None,
    size: tuple[int, int] | None = None,
) -> bytes:
    """ModelMetadata with one graph; the slots are those of ``metadata_schema.fbs``."""
    to = Writer()
    parts: list[tuple[int, str, Any]] = []
    if normalization is not None:
        mean, std = (to.numbers(each) for each in normalization)
        options = to.table(2, (0, OFFSET, mean), (1, OFFSET, std))
        parts.append((4, OFFSET, to.vector([to.table(2, (0, BYTE, 1), (1, OFFSET, options))])))
    if size is not None:
        image_size = to.table(2, (0, INT, size[0]), (1, INT, size[1]))
        properties = to.table(2, (0, BYTE, 1), (1, OFFSET, image_size))
        parts.append((3, OFFSET, to.table(3, (0, BYTE, 2), (1, OFFSET, properties))))
    inputs = to.vector([to.table(7, (0, OFFSET, to.text("image")), *parts)])
    tensors = []
    for name in outputs:
        fields: list[tuple[int, str, Any]] = [(0, OFFSET, to.text(name))]
        if name == "location" and order is not None:
            index = to.numbers(order, np.uint32)
            box = to.table(3, (0, OFFSET, index), (1, BYTE, 1), (2, BYTE, int(pixels)))
            fields.append((3, OFFSET, to.table(3, (0, BYTE, 3), (1, OFFSET, box))))
        tensors.append(to.table(7, *fields))
    graph: list[tuple[int, str, Any]] = [(2, OFFSET, inputs)]
    if tensors:
        graph.append((3, OFFSET, to.vector(tensors)))
    if custom is not None:
        data = to.builder.CreateByteVector(custom)
        graph.append(
            (9, OFFSET, to.vector([to.table(2, (0, OFFSET, to.text("DETECTOR_METADATA")), (1, OFFSET, data))]))
        )
    graphs = to.vector([to.table(10, *graph)])
    return to.finish(to.table(8, (3, OFFSET, graphs)), b"M001")


def decoding(exponential: bool = True, sigmoid: bool = False) -> bytes:
    """MediaPipe's description of raw heads, with the anchors of the test models."""
    to = Writer()
    sides = models.ANCHORS[:, [1, 0, 3, 2]]
    anchors = to.vector([to.table(4, *((slot, FLOAT, float(side)) for slot, side in enumerate(row))) for row in sides])
    ssd = to.table(1, (0, OFFSET, to.table(1, (0, OFFSET, anchors))))
    scales = ((6, FLOAT, 10.0), (7, FLOAT, 10.0), (8, FLOAT, 5.0), (9, FLOAT, 5.0))
    options = to.table(12, (0, INT, 3), (1, INT, 4), *scales, (10, BYTE, int(exponential)), (11, BYTE, int(sigmoid)))
    return to.finish(to.table(3, (1, OFFSET, ssd), (2, OFFSET, options)), b"V001")


def put_inside(path: Path, target: Path, data: bytes) -> Path:
    """Write a copy of a TFLite file with metadata inside."""
    schema = pytest.importorskip("tensorflow.lite.python.schema_py_generated", reason="needs TensorFlow's schema")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(data, np.uint8)
    entry.name, entry.buffer = "TFLITE_METADATA", len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = pytest.importorskip("flatbuffers").Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    target.write_bytes(bytes(builder.Output()))
    return target


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    folder = tmp_path_factory.mktemp("metadata")

    def made(name: str, serve: Callable[[Any], Any], **how: Any) -> Path:
        path = folder / f"{name}.tflite"
        return path if path.exists() else models.convert(serve, path, **how)

    return made


def picture(grey: int = 255) -> tuple[np.ndarray, list[float]]:
    image = np.zeros((models.HEIGHT, models.WIDTH, 3), np.uint8)
    image[20:60, 30:100] = (grey, grey // 4, 0)
    return image, [30.0, 20.0, 100.0, 60.0]


@pytest.mark.parametrize(
    ("ends", "mean", "std", "wanted"),
    [
        ((-1.0, 1.0), [127.5], [127.5], "-1..1"),
        ((0.0, 1.0), [0.0], [255.0], "0..1"),
        ((-2.0, 3.0), [102.0] * 3, [51.0], None),
    ],
)
def test_mean_and_deviation_decide_the_range_of_a_float_input(
    make: Make, tmp_path: Path, ends: tuple[float, float], mean: list[float], std: list[float], wanted: str | None
) -> None:
    plain = make(f"api{ends}", models.api_list(ends))
    path = put_inside(plain, tmp_path / "said.tflite", metadata((mean, std)))
    image, box = picture(140)  # half as bright as any pixel: a wrong range loses it
    given = {"resize": "stretch", "first_category": 0}
    detector = load_detector(path, **given)
    assert detector([image])[0].boxes[0] == pytest.approx(box, abs=1e-3)
    assert detector.description.range == wanted
    with pytest.raises(DetectorError, match=r"range=0\.\.255: the metadata in the file say mean .* and std .*; remove"):
        load_detector(path, range="0..255", **given).load()
    with pytest.raises(DetectorError, match="range="):
        load_detector(plain, **given).load()


@pytest.mark.parametrize("pixels", [True, False])
def test_names_in_the_metadata_tell_the_outputs_of_a_list_apart(make: Make, tmp_path: Path, pixels: bool) -> None:
    path = make("shuffled", models.shuffled_list((0.0, 255.0)))
    # what the file's outputs are, in their order, which the converter chose
    tensors = {"alpha": "score", "beta": "number of detections", "gamma": "category", "delta": "location"}
    outputs = models.tensorflow().lite.Interpreter(str(path))
    runner = outputs.get_signature_runner()
    names = {details["index"]: tensors[alias] for alias, details in runner.get_output_details().items()}
    told = [names[each["index"]] for each in outputs.get_output_details()]
    inside = put_inside(path, tmp_path / "told.tflite", metadata(outputs=told, order=(1, 0, 3, 2)))
    image, box = picture()
    detector = load_detector(inside, range="0..255", resize="stretch")
    found = detector([image])[0]
    assert found.boxes[0] == pytest.approx(box, abs=1e-3)
    assert found.scores.tolist() == pytest.approx([0.9, 0.25])
    assert found.categories.tolist() == [models.RED + 1, models.BLUE + 1]
    assert (detector.description.boxes, detector.description.units) == ("yxyx", "normalized")
    unclear = metadata(outputs=told, order=(1, 0, 3, 2), pixels=True) if pixels else metadata(outputs=told)
    with pytest.raises(DetectorError, match=f"--cropdet-detector {'units' if pixels else 'boxes'}="):
        load_detector(put_inside(path, inside, unclear), range="0..255", resize="stretch").load()


def test_mediapipes_metadata_decode_raw_heads(make: Make, tmp_path: Path) -> None:
    for ending, sigmoid in (("logits", True), ("sigmoid", False)):
        path = make(ending, models.raw(3, ending))
        inside = put_inside(path, tmp_path / f"{ending}.tflite", metadata(custom=decoding(sigmoid=sigmoid)))
        image, box = picture()
        found = load_detector(inside, range="0..255", resize="stretch", nms_iou=0.5)([image])[0]
        assert found.boxes[0] == pytest.approx(box, abs=0.05)
        assert found.scores.tolist() == pytest.approx([0.9], abs=0.01)
        assert found.categories.tolist() == [models.RED + 1]
        assert read_anchors(inside).rows == pytest.approx(models.ANCHORS, abs=1e-6)
    linear = put_inside(path, tmp_path / "linear.tflite", metadata(custom=decoding(exponential=False)))
    with pytest.raises(DetectorError, match=r"linear\.tflite: its metadata decode .* without an exponential"):
        load_detector(linear, range="0..255", resize="stretch", nms_iou=0.5).load()


def test_a_file_that_decodes_its_boxes_itself_needs_no_metadata_for_it(make: Make, tmp_path: Path) -> None:
    path = make("postprocessed", models.postprocessed)
    said = metadata(([0.0], [1.0]), custom=decoding(sigmoid=True))
    inside = put_inside(path, tmp_path / "both.tflite", said)
    image = np.full((models.HEIGHT, models.WIDTH, 3), 255, np.uint8)
    found = load_detector(inside, labels="left,right")([image])[0]
    assert found.categories.tolist() == [0, 1]
    assert found.scores.tolist() == pytest.approx([0.9, 0.8], abs=0.01)


def test_the_usual_size_in_the_metadata_warms_up_an_input_of_any_size(make: Make, tmp_path: Path) -> None:
    data = metadata(size=(64, 48))
    assert read_tflite(put_inside(make("api", models.api_list((0.0, 255.0))), tmp_path / "a", data)).metadata.size == (
        64,
        48,
    )


def test_metadata_that_point_outside_of_themselves_are_damage(make: Make, tmp_path: Path) -> None:
    whole = metadata(([0.0], [255.0]), outputs=("location",))
    plain, path = make("api", models.api_list((0.0, 255.0))), tmp_path / "cut.tflite"
    for kept in (20, len(whole) // 2, len(whole) - 30):
        with pytest.raises(DetectorError, match=r"cut\.tflite cannot be used: .*the file is damaged"):
            read_tflite(put_inside(plain, path, whole[:kept]))


def test_the_metadata_of_a_published_model_are_read(assets: Path) -> None:
    (path,) = (assets / "models" / "ssd_mobilenet_v1_coco").glob("*.tflite")
    said = read_tflite(path).metadata
    assert said.normalization is not None
    assert (said.normalization.mean, said.normalization.std) == ((127.5,), (127.5,))
    assert said.roles == {"boxes": 0, "classes": 1, "scores": 2, "count": 3}
    assert (said.boxes, said.units) == ("yxyx", "normalized")
