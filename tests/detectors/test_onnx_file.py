"""What an ONNX file is made of: weights in a second file, operations that are code, damage."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_cropdet import load_detector
from pytest_cropdet.detectors import probe as probing
from pytest_cropdet.detectors.adapters.onnx_file import read_onnx
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.errors import DetectorError
from tests.detectors import onnx_models as models
from tests.detectors.onnx_models import Graph
from tests.detectors.test_onnx import LIST, paint, refusal

onnx = pytest.importorskip("onnx", reason="needs the package onnx, which writes the models")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime: pip install 'pytest-cropdet[onnx]'")
SHIPPED = Path(__file__).parents[2] / "fixtures" / "models" / "ssd.onnx"


@pytest.fixture(autouse=True)
def unprobed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROPDET_PROBE", "off")


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """The shipped detector, with weights in a second file."""
    path = tmp_path / "big.onnx"
    onnx.save_model(onnx.load(SHIPPED), path, save_as_external_data=True, location="big.onnx_data")
    assert path.stat().st_size < 100_000
    return path


def test_weights_in_a_second_file_belong_to_the_model(split: Path) -> None:
    assert read_onnx(split).external == ("big.onnx_data",)
    detector = load_detector(split)
    image, _ = paint((211, 157))
    assert detector([image])[0].scores.tolist() == load_detector(SHIPPED)([image])[0].scores.tolist()
    data = split.with_suffix(".onnx_data")
    changed = bytearray(data.read_bytes())
    changed[-1] ^= 1
    data.write_bytes(changed)
    assert load_detector(split).fingerprint != detector.fingerprint


def test_a_second_file_that_is_missing_is_named(split: Path) -> None:
    split.with_suffix(".onnx_data").unlink()
    with pytest.raises(DetectorError, match=r"second file, big\.onnx_data, which is missing; copy it into the folder"):
        load_detector(split)


def test_a_second_file_that_is_a_pointer_of_git_lfs_is_named(split: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    split.with_suffix(".onnx_data").write_text(pointer)
    with pytest.raises(DetectorError, match=r"big\.onnx_data.*Git LFS"):
        load_detector(split)


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "a/../../b", ""])
def test_weights_outside_of_the_folder_are_refused(split: Path, location: str) -> None:
    model = onnx.load(split, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = location if entry.key == "location" else entry.value
    split.write_bytes(model.SerializeToString())
    with pytest.raises(DetectorError, match="outside of its folder"):
        load_detector(split)


def with_operation(path: Path, kind: str, domain: str, inside: bool = False, sides: tuple[int, int] = (1, 1)) -> Path:
    graph = models.detections(Graph())
    node = graph.helper.make_node(kind, ["images"] * sides[0], ["odd", *"bcd"][: sides[1]], domain=domain)
    if inside:
        body = graph.helper.make_graph([node], "body", [], [graph.helper.make_tensor_value_info("odd", 1, None)])
        node = graph.helper.make_node(
            "If", [graph.constant(True, np.bool_)], ["odd"], then_branch=body, else_branch=body
        )
    graph.nodes.append(node)
    model = graph.model()
    model.opset_import.append(graph.helper.make_opsetid(domain, 1)) if domain else None
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("inside", [False, True])
def test_an_operation_of_a_library_is_named_and_no_library_is_loaded(tmp_path: Path, inside: bool) -> None:
    path = with_operation(tmp_path / "tiny.onnx", "DeformConv", "mmdeploy", inside)
    message = refusal(path, **LIST)
    assert "custom operations (mmdeploy:DeformConv)" in message
    assert "libraries are code, and are not loaded" in message


def test_a_function_of_the_file_itself_is_no_custom_operation(tmp_path: Path) -> None:
    graph = models.detections(Graph())
    graph.nodes.append(graph.helper.make_node("Same", ["images"], ["odd"], domain="own"))
    model = graph.model()
    node = graph.helper.make_node("Identity", ["x"], ["y"])
    version = graph.helper.make_opsetid("", 17)
    model.functions.append(graph.helper.make_function("own", "Same", ["x"], ["y"], [node], [version]))
    model.opset_import.append(graph.helper.make_opsetid("own", 1))
    path = tmp_path / "tiny.onnx"
    path.write_bytes(model.SerializeToString())
    load_detector(path, **LIST).load()


@pytest.mark.parametrize(("kind", "sides"), [("YoloLayer_TRT", (1, 1)), ("Svd_TRT", (2, 4))])
def test_an_operation_that_the_runtime_does_not_have_is_named(
    tmp_path: Path, kind: str, sides: tuple[int, int]
) -> None:
    message = refusal(with_operation(tmp_path / "tiny.onnx", kind, "", sides=sides), **LIST)
    assert f"does not have the operation {kind}; export it without" in message


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\3\4" + bytes(100), bytes(1000), b"\x08\x08"])
def test_what_is_no_onnx_file_is_refused_before_the_runtime_sees_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(content)
    with pytest.raises(DetectorError, match="is not an ONNX file, or is damaged"):
        load_detector(path, **LIST)


def test_a_file_that_was_cut_off_is_refused_wherever_it_was_cut(tmp_path: Path) -> None:
    whole = SHIPPED.read_bytes()
    path = tmp_path / "cut.onnx"
    for length in (10, 1000, len(whole) // 2, len(whole) - 1000, len(whole) - 5):
        path.write_bytes(whole[:length])
        with pytest.raises(DetectorError, match="cut off"):
            load_detector(path)


def test_bytes_that_were_changed_give_a_clear_error_or_a_model(tmp_path: Path) -> None:
    """The reader itself ends in nothing but its own error, whatever the bytes say."""
    whole = SHIPPED.read_bytes()
    nodes = whole[:30_000]  # the graph's operations come first
    chance = random.Random(0)
    refused = 0
    for _ in range(60):
        damaged = bytearray(nodes)
        for _ in range(3):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path = tmp_path / "damaged.onnx"
        path.write_bytes(bytes(damaged) + whole[len(nodes) :])
        try:
            read_onnx(path)
        except DetectorError:
            refused += 1
    assert 0 < refused < 60


def test_a_folder_is_no_onnx_file(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(SHIPPED.read_bytes())
    with pytest.raises(DetectorError, match=r"is a folder.*contains .*model\.onnx"):
        load_detector(f"onnx:{tmp_path}")


@pytest.mark.subprocess
def test_a_file_that_nobody_knows_is_tried_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(probing.SWITCH)
    monkeypatch.setattr(probing, "known_as_good", set())
    path = models.detections(Graph()).save(tmp_path / "tiny.onnx")
    load_detector(path, **LIST).load()
    assert len(probing.known_as_good) == 1
    assert "set --cropdet-detector boxes=" in refusal(path, **LIST | {"boxes": None})


def test_without_the_runtime_the_line_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "pip install 'pytest-cropdet[onnx]'" in refusal(SHIPPED)


def test_keys_that_came_later_change_no_fingerprint_of_a_detector_without_them() -> None:
    """The text was taken before there was a key mean or head; fingerprints of detectors contain it."""
    before = (
        "Description(boxes='yxyx', units=None, first_category=1, labels=None, channels=None, range=None, resize=None, "
        "batch=None, threads=None, nms_iou=None, anchors=None, outputs=None, activation=None, signature=None, "
        "custom_objects=None)"
    )
    given: dict[str, Any] = {"boxes": "yxyx", "first_category": 1}
    assert repr(Description.of(**given)) == before
    assert repr(Description.of(**given, mean="0,0,0")) == f"{before[:-1]}, mean='0,0,0')"
