"""A TFLite file is read with every offset checked: damage is named, and no runtime ever sees it."""

from __future__ import annotations

import inspect
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pytest_cropdet import load_detector
from pytest_cropdet.detectors.adapters.flatbuffer import DamagedError, read_flatbuffer
from pytest_cropdet.detectors.adapters.flexbuffer import read_map
from pytest_cropdet.detectors.adapters.tflite_file import PostProcess, read_tflite
from pytest_cropdet.detectors.adapters.tflite_schema import TABLES, UNIONS
from pytest_cropdet.detectors.anchors import read_anchors
from pytest_cropdet.errors import DetectorError
from tests.detectors import tflite_models as models

MODELS = Path(__file__).parents[2] / "fixtures" / "models"
MUTANTS = 300


@pytest.fixture(scope="module")
def schema(needs_tensorflow: None) -> Any:
    """TensorFlow's own reading of the schema."""
    return pytest.importorskip("tensorflow.lite.python.schema_py_generated", reason="needs TensorFlow's schema")


@pytest.fixture(scope="module")
def small(needs_tensorflow: None, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file of a few operations, the last of which is the post-processing."""
    return models.convert(models.postprocessed, tmp_path_factory.mktemp("small") / "small.tflite").read_bytes()


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a file cut off, or with up to 16 bytes changed."""
    if rng.integers(4) == 0:
        return data[: int(rng.integers(8, len(data)))]
    changed = bytearray(data)
    for _ in range(int(2 ** rng.integers(0, 5))):
        changed[int(rng.integers(len(data)))] = int(rng.integers(256))
    return bytes(changed)


def test_of_300_damaged_files_each_is_read_or_named(tmp_path: Path, small: bytes) -> None:
    rng, path = np.random.default_rng(3), tmp_path / "damaged.tflite"
    refused = 0
    for _ in range(MUTANTS):
        path.write_bytes(damaged(small, rng))
        try:
            read_tflite(path)
        except DetectorError as error:
            refused += str(error).startswith(str(path))
    assert MUTANTS // 2 < refused < MUTANTS, "some changes are in numbers that may be any"


@pytest.mark.parametrize("kept", [8, 100, 5_000, 1_000_000, 2_700_000])
def test_a_file_that_was_cut_off_is_refused_before_anything_is_loaded(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes((MODELS / "ssd_nms.tflite").read_bytes()[:kept])
    with pytest.raises(DetectorError, match=r"cut\.tflite cannot be used: .*; the file is damaged"):
        load_detector(path, labels="a").load()


def no_subgraphs(model: Any) -> None:
    model.subgraphs = []


def buffer_beyond(model: Any) -> None:
    model.subgraphs[0].tensors[3].buffer = 70_000


def kind_beyond(model: Any) -> None:
    model.subgraphs[0].operators[0].opcodeIndex = 99


def input_beyond(model: Any) -> None:
    model.subgraphs[0].operators[2].inputs = [5_000]


def output_beyond(model: Any) -> None:
    model.subgraphs[0].outputs = [5_000]


def read_before_it_is_written(model: Any) -> None:
    operators = model.subgraphs[0].operators
    operators[0], operators[-1] = operators[-1], operators[0]


def never_written(model: Any) -> None:
    model.subgraphs[0].operators = model.subgraphs[0].operators[:3]


def weights_too_short(model: Any) -> None:
    buffer = next(tensor.buffer for tensor in model.subgraphs[0].tensors if sized(model, tensor) > 4)
    model.buffers[buffer].data = model.buffers[buffer].data[:-4]


def sized(model: Any, tensor: Any) -> int:
    data = model.buffers[tensor.buffer].data
    return 0 if data is None else len(data)


def endless_shape(model: Any) -> None:
    model.subgraphs[0].tensors[0].shape = [1 << 30, 1 << 30]


def negative_shape(model: Any) -> None:
    model.subgraphs[0].tensors[0].shape = [1, -7]


def no_such_type(model: Any) -> None:
    model.subgraphs[0].tensors[0].type = 77


def metadata_beyond(model: Any) -> None:
    model.metadata[0].buffer = 9_999


def nameless_signature(model: Any) -> None:
    model.signatureDefs[0].outputs[0].name = None


def signature_beyond(model: Any) -> None:
    model.signatureDefs[0].outputs[0].tensorIndex = 9_999


def options_beyond(model: Any) -> None:
    model.subgraphs[0].operators[-1].largeCustomOptionsOffset = 1 << 40
    model.subgraphs[0].operators[-1].largeCustomOptionsSize = 8


def options_that_are_none(model: Any) -> None:
    model.subgraphs[0].operators[-1].customOptions = [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (no_subgraphs, "it has no subgraphs"),
        (buffer_beyond, r"tensor 3 .*: buffer is 70,000 of"),
        (kind_beyond, "operation 0: kind is 99 of"),
        (input_beyond, "operation 2: tensor of its inputs is 5,000 of"),
        (output_beyond, "tensor of its outputs is 5,000 of"),
        (read_before_it_is_written, "operation 0 reads tensor .* which has no value"),
        (never_written, "its output .* is never written"),
        (weights_too_short, "bytes of data are needed, there are"),
        (endless_shape, "its shape is"),
        (negative_shape, r"its shape is \[1, -7\]"),
        (no_such_type, "its type is 77"),
        (metadata_beyond, "metadata 0: buffer is 9,999 of"),
        (nameless_signature, "signature 0: a tensor has no name"),
        (signature_beyond, "signature 0: tensor .* is 9,999 of"),
        (options_beyond, "options ends at byte"),
        (options_that_are_none, "the options of an operation"),
    ],
)
def test_numbers_that_point_at_nothing_are_named(
    tmp_path: Path, schema: ModuleType, small: bytes, damage: Callable[[Any], None], said: str
) -> None:
    flatbuffers = pytest.importorskip("flatbuffers")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(small))
    damage(model)
    builder = flatbuffers.Builder(len(small))
    builder.Finish(model.Pack(builder), b"TFL3")
    path = tmp_path / "damaged.tflite"
    path.write_bytes(bytes(builder.Output()))
    with pytest.raises(DetectorError, match=said):
        read_tflite(path)


def test_the_schema_is_that_of_the_runtime(schema: ModuleType) -> None:
    sizes = {"Bool": 1, "Uint8": 1, "Int8": 1, "Uint16": 2, "Int16": 2, "Float32": 4, "Uint64": 8, "Int64": 8}
    sizes |= {"Int32": 4, "Uint32": 4, "UOffsetTRelative": 0}
    checked = 0
    for table, kinds in TABLES.items():
        forms = [kind.rpartition(":")[2] for kind in kinds]
        added = [name for name in dir(schema) if re.fullmatch(f"{table}Add[A-Z].*", name)]
        assert hasattr(schema, table), table
        for name in added:
            kind, slot = re.findall(r"Prepend(\w+)Slot\((\d+),", inspect.getsource(getattr(schema, name)))[0]
            form = forms[int(slot)]
            number = int(form[-1]) if form[-1].isdigit() else 0
            assert number == sizes[kind], f"{table}, field {slot}: {form} and {kind}"
            begin = getattr(schema, f"{table}Start{name.removeprefix(f'{table}Add')}Vector", None)
            assert (begin is not None) == form.startswith("["), f"{table}, field {slot}"
            if begin is not None:
                element = int(re.findall(r"StartVector\((\d+),", inspect.getsource(begin))[0])
                assert element == (int(form[-2]) if form[-2].isdigit() else 4), f"{table}, field {slot}"
            checked += 1
    assert checked > 200
    for union, members in UNIONS.items():
        declared = {number: name for name, number in vars(getattr(schema, union)).items() if isinstance(number, int)}
        assert declared == dict(enumerate(("NONE", *members))), union


def test_tables_inside_tables_without_end_are_refused() -> None:
    # a table of one field, which is the table before it, and so on
    form, tables = b"\x06\x00\x08\x00\x04\x00\x00\x00", []
    for number in range(100):
        tables.append((8 + 8 * number + 4).to_bytes(4, "little") + (8).to_bytes(4, "little", signed=True)[:4])
    data = (12).to_bytes(4, "little") + form + b"".join(tables)
    fixed = bytearray(data)
    for number in range(100):
        place = 12 + 8 * number
        fixed[place : place + 4] = (place - 4).to_bytes(4, "little")
        fixed[place + 4 : place + 8] = (4).to_bytes(4, "little")
    with pytest.raises(DamagedError, match="more than 64 tables inside one another"):
        read_flatbuffer(bytes(fixed), "Link", {"Link": ("next:Link",)}, {})


def test_a_map_of_options_is_read_or_refused_at_every_length() -> None:
    flexbuffers = pytest.importorskip("flatbuffers.flexbuffers")
    settings = {"num_classes": 90, "y_scale": 10.0, "use_regular_nms": False, "max_detections": 100_000, "x": -3}
    data = bytes(flexbuffers.Dumps(settings))
    assert read_map(data) == settings
    for kept in range(len(data)):
        try:
            read_map(data[:kept])
        except DamagedError:
            continue
    rng = np.random.default_rng(5)
    for _ in range(500):
        changed = bytearray(data)
        changed[int(rng.integers(len(data)))] = int(rng.integers(256))
        try:
            read_map(bytes(changed))
        except DamagedError:
            continue


def test_the_file_says_how_many_categories_its_operation_has_and_has_its_anchors_inside() -> None:
    found = read_tflite(MODELS / "ssd_nms.tflite").postprocess
    assert isinstance(found, PostProcess)
    assert found.categories == 8
    inside, beside = read_anchors(MODELS / "ssd_nms.tflite"), read_anchors(MODELS / "ssd_anchors.npy")
    assert np.allclose(inside.rows, beside.rows, atol=1e-6)
    assert inside.scales == beside.scales == (10.0, 10.0, 5.0, 5.0)
    assert read_tflite(MODELS / "ssd_raw.tflite").postprocess is None
    with pytest.raises(DetectorError, match="has no anchors inside"):
        read_anchors(MODELS / "ssd_raw.tflite")


@pytest.mark.parametrize("kind", ["damaged", "locked"])
def test_an_archive_inside_that_cannot_be_read_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "labelled.tflite"
    path.write_bytes((MODELS / "ssd_raw.tflite").read_bytes())
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.txt", "cat\n" * 100)
    data = bytearray(path.read_bytes())
    entry, directory = data.rfind(b"PK\x03\x04"), data.rfind(b"PK\x01\x02")
    if kind == "locked":
        data[entry + 6] |= 1
        data[directory + 8] |= 1
    else:
        data[entry + 42 : entry + 46] = b"\xff\xff\xff\xff"
    path.write_bytes(bytes(data))
    with pytest.raises(DetectorError, match=r"the files inside cannot be read: .*labels=FILE"):
        load_detector(path, range="0..255").load()
