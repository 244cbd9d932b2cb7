"""A model file that nobody knows is tried in a process of its own: what ends it does not end pytest."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pytest_cropdet import load_detector
from pytest_cropdet.detectors import probe as probing
from pytest_cropdet.detectors.adapters import tflite
from pytest_cropdet.detectors.callables import CallableAdapter
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.inference.cache import Cache
from pytest_cropdet.inference.cache_keys import BatchKeys

MODELS = Path(__file__).parents[2] / "fixtures" / "models"
WELL = "print('chatter'); print('cropdet: loaded \"\"')"
pytestmark = pytest.mark.subprocess


@pytest.fixture(autouse=True)
def on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch the probe on, with nothing known."""
    monkeypatch.delenv(probing.SWITCH, raising=False)
    monkeypatch.setattr(probing, "known_as_good", set())


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "net.tflite"
    path.write_bytes(b"\0\0\0\0TFL3")
    return path


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the process run other code; how often one was started is in the list that is returned."""

    def runs(code: str) -> list[str]:
        started: list[str] = []
        run = subprocess.run

        def counted(*args: Any, **more: Any) -> Any:
            started.append(more["input"])
            return run(*args, **more)

        monkeypatch.setattr(probing, "START", code.replace("{", "{{").replace("}", "}}"))
        monkeypatch.setattr(probing.subprocess, "run", counted)
        return started

    return runs


def probe(path: Path, memory: Any = None) -> None:
    probing.try_out("tflite", path, [path], Description(), memory)


def test_a_model_that_went_well_is_tried_once_and_remembered_by_its_content(
    tmp_path: Path, model: Path, process: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = process(WELL)
    cache = Cache(tmp_path / ".cropdet")
    for _ in range(2):
        probe(model, cache)
    assert len(started) == 1
    monkeypatch.setattr(probing, "known_as_good", set())  # as in another session
    other = tmp_path / "elsewhere" / model.name
    other.parent.mkdir()
    other.write_bytes(model.read_bytes())
    probe(other, Cache(tmp_path / ".cropdet"))
    assert len(started) == 1
    other.write_bytes(model.read_bytes() + b"more")
    probe(other, cache)
    assert len(started) == 2


def test_a_detector_remembers_in_the_cache_that_has_its_answers(
    tmp_path: Path, process: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = process(WELL)
    monkeypatch.setattr(tflite, "load", lambda path, description: CallableAdapter(len, description))
    for _ in range(2):
        monkeypatch.setattr(probing, "known_as_good", set())
        detector = load_detector(MODELS / "ssd_nms.tflite")
        assert BatchKeys.of(Cache(tmp_path / ".cropdet"), detector) is not None
        detector.load()
    assert len(started) == 1


def test_without_a_cache_a_model_is_tried_once_in_each_session(model: Path, process: Any) -> None:
    started = process(WELL)
    for _ in range(3):
        probe(model)
    assert len(started) == 1


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended in .* .SIGSEGV.; the model is damaged"),
        ("import os, sys; sys.stderr.write('F00 Check failed: 1 == 2\\n'); os.abort()", "SIGABRT: F00 Check failed: 1"),
        ("print('cropdet: failed \"MemoryError: std::bad_alloc\"')", "needs too much memory: MemoryError"),
    ],
)
def test_a_process_that_dies_is_reported_with_the_file_and_is_not_remembered(
    tmp_path: Path, model: Path, process: Any, code: str, said: str
) -> None:
    started, cache = process(code), Cache(tmp_path / ".cropdet")
    for _ in range(2):
        with pytest.raises(DetectorError, match=rf"net\.tflite cannot be used: loading and calling it once .*{said}"):
            probe(model, cache)
    assert len(started) == 2


def test_a_process_that_does_not_end_is_ended(model: Path, process: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    process("import time; time.sleep(60)")
    monkeypatch.setattr(probing, "SECONDS", 0.5)
    with pytest.raises(DetectorError, match=r"net\.tflite cannot be used: .* took more than"):
        probe(model)


@pytest.mark.parametrize("code", ["print('cropdet: failed \"Op type not registered\"')", "1 / 0", "import no_such"])
def test_an_error_that_is_no_crash_is_left_to_the_loader(tmp_path: Path, model: Path, process: Any, code: str) -> None:
    started, cache = process(code), Cache(tmp_path / ".cropdet")
    for _ in range(2):
        probe(model, cache)
    assert len(started) == 2, "it is not known as good"


def test_the_process_itself_loads_a_good_model_and_calls_it(tmp_path: Path) -> None:
    cache = Cache(tmp_path / ".cropdet")
    path = MODELS / "ssd_nms.tflite"
    description = Description.of(range="0..255", labels=str(MODELS / "labels.txt"))
    probing.try_out("tflite", path, [path], description, cache)
    assert len(probing.known_as_good) == 1


def test_what_the_process_refuses_is_refused_without_loading_it_here() -> None:
    path = MODELS / "ssd_nms.tflite"
    with pytest.raises(DetectorError, match=r"^.*ssd_nms\.tflite: its input is float32, .* range=") as refused:
        load_detector(path).load()
    assert refused.traceback[-1].path.name == "probe.py"


def test_where_no_process_can_be_started_the_model_is_loaded_all_the_same(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*args: Any, **more: Any) -> None:
        raise PermissionError("no processes here")

    monkeypatch.setattr(probing.subprocess, "run", refused)
    probe(model)


@pytest.mark.parametrize("value", ["off", "OFF", "0", "no"])
def test_it_can_be_switched_off(model: Path, process: Any, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    started = process(WELL)
    monkeypatch.setenv(probing.SWITCH, value)
    probe(model)
    assert not started


def test_workers_that_share_a_cache_try_a_model_once(tmp_path: Path, model: Path, process: Any) -> None:
    started = process(f"import time; time.sleep(0.5); {WELL}")
    first, second = Cache(tmp_path / ".cropdet"), Cache(tmp_path / ".cropdet")
    second._owner = f"{first._owner.partition(':')[0]}:{os.getppid()}"  # as of another process that is alive
    other = threading.Thread(target=probe, args=(model, second))
    other.start()
    time.sleep(0.2)
    probing.known_as_good.clear()
    probe(model, first)
    other.join()
    assert len(started) == 1


@pytest.mark.usefixtures("needs_tensorflow")
def test_a_good_model_is_loaded_and_called_in_its_process() -> None:
    path = MODELS / "ssd_nms.tflite"
    probing.try_out("tflite", path, [path], Description.of(range="0..255"), None)
    assert len(probing.known_as_good) == 1


@pytest.mark.tensorflow
def test_a_model_that_aborts_does_not_take_pytest_with_it(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")

    class Aborts(tf.Module):  # type: ignore[misc, name-defined]
        @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, name="input_tensor")])  # type: ignore[untyped-decorator]
        def detect(self, images: Any) -> dict[str, Any]:
            with tf.control_dependencies([tf.raw_ops.Abort(error_msg="no way", exit_without_error=False)]):
                scores = tf.cast(images[:, :1, 0, 0], tf.float32) * 0.0
            return {
                "detection_boxes": tf.stack([scores] * 4, -1),
                "detection_scores": scores,
                "detection_classes": scores + 1,
            }

    module = Aborts()
    path = tmp_path / "aborts"
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.detect})
    with pytest.raises(DetectorError, match=r"aborts cannot be used: loading and calling it once ended in SIGABRT"):
        load_detector(path).load()
