"""Detectors behind HTTP: both protocols, whatever servers do, and what their version decides."""

from __future__ import annotations

import re
import socket
import sys

import numpy as np
import pytest

from pytest_cropdet import run
from pytest_cropdet.detectors import load_detector
from pytest_cropdet.detectors.adapters import http_service
from pytest_cropdet.detectors.adapters.tensorflow_model import TensorFlowAdapter
from pytest_cropdet.detectors.handle import describe
from pytest_cropdet.detectors.served import parse_address
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.gate.runner import Finished, events
from pytest_cropdet.inference import BatchKeys, Cache
from pytest_cropdet.plugin.option_values import named_specs, resolve_paths
from pytest_cropdet.settings import RunSettings
from tests.detectors.serving import Served, painted, serve
from tests.painted import Painted, paint, sample

pytest.importorskip("httpx")
pytest.importorskip("stamina")

IMAGE = paint(40, 30, {1: (3, 4, 20, 25), 3: (22, 0, 40, 12)})
BOXES = np.array([[3.0, 4, 20, 25], [22, 0, 40, 12]])
PATHS = {"tfserving": "/v1/models/ssd", "kserve": "/v2/models/ssd"}
ASK = {"tfserving": ":predict", "kserve": "/infer"}
both = pytest.mark.parametrize("kind", PATHS)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """Attempts follow one another at once, the first picture is small, and the environment names no proxy or header."""
    small = np.zeros((8, 8, 3), np.uint8)
    monkeypatch.setattr(TensorFlowAdapter, "warm_up", lambda adapter: adapter.detect([adapter.prepare(small)]))
    monkeypatch.setattr(http_service, "FIRST_WAIT", 0.0)
    monkeypatch.setattr(http_service, "LONGEST_WAIT", 0.0)
    for name in (
        "http_proxy",
        "HTTP_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "no_proxy",
        "NO_PROXY",
        http_service.AUTHORIZATION,
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def served():
    with serve(Served()) as one:
        yield one


def near(boxes, right, pixels=1e-4):
    """The tensors are float32."""
    np.testing.assert_allclose(boxes, right, rtol=0, atol=pixels)


def detector_of(served, kind, version="", **said):
    return load_detector(f"{kind}:{served.url}{PATHS[kind]}{version}", **said)


def failure(served, kind, **said):
    """What a detector that is loaded already says of a call that fails."""
    detector = detector_of(served, kind, **said)
    detector.load()
    yield detector
    with pytest.raises(DetectorError) as caught:
        detector([IMAGE])
    text = str(caught.value)
    assert f"{served.url}{PATHS[kind]}/versions/3{ASK[kind]}" in text
    yield text


# Right answers


@both
def test_a_served_detector_answers_as_a_saved_model_does(served, kind):
    detector = detector_of(served, kind)
    full, other = detector([IMAGE, paint(20, 50, {2: (5, 6, 15, 40)})])
    near(full.boxes, BOXES)
    assert full.categories.tolist() == [1, 3]
    assert full.scores.tolist() == [np.float64(np.float32(0.9))] * 2
    near(other.boxes, np.array([[5.0, 6, 15, 40]]))
    assert detector.batch == 8
    assert detector.max_detections == 3
    assert detector.description.boxes == "yxyx"
    assert describe(detector)["version"] == "3"


@both
def test_nothing_is_asked_before_something_is_needed(kind):
    load_detector(f"{kind}:http://127.0.0.1:9{PATHS[kind]}", labels="red,green")


@both
def test_images_of_one_shape_travel_together_up_to_the_batch(served, kind):
    detector = detector_of(served, kind, batch=2)
    detector.load()
    before = served.predictions
    assert len(detector([IMAGE] * 5)) == 5
    assert served.predictions - before == 3


@both
def test_labels_and_conventions_may_be_said(served, kind):
    detector = detector_of(served, kind, labels="red,green,blue", channels="bgr")
    assert detector.categories == {1: "red", 2: "green", 3: "blue"}
    near(detector([IMAGE])[0].boxes, BOXES[::-1])  # red is found where blue is


@both
def test_outputs_of_other_names_are_named_by_the_user(served, kind):
    served.outputs = {"b": ("DT_FLOAT", [-1, 3, 4]), "s": ("DT_FLOAT", [-1, 3]), "c": ("DT_FLOAT", [-1, 3])}

    def model(batch):
        found = painted(batch)
        classes = np.where(np.arange(3) < found["num_detections"][:, None], found["detection_classes"] - 1, -1)
        return {"b": found["detection_boxes"], "s": found["detection_scores"], "c": classes}

    served.model = model
    with pytest.raises(
        DetectorError, match=r"its outputs are b .N, 3, 4., c .N, 3., s .N, 3., and not the detection_boxes"
    ):
        detector_of(served, kind).load()
    said = {"outputs": "boxes:b,scores:s,classes:c", "boxes": "yxyx", "units": "normalized", "first_category": 0}
    (found,) = detector_of(served, kind, **said)([IMAGE])
    near(found.boxes, BOXES)
    assert found.categories.tolist() == [1, 3]


@both
def test_a_fixed_input_is_resized_here_and_its_range_has_to_be_said(served, kind):
    served.input = ("images", "DT_FLOAT", [1, 60, 80, 3])
    served.model = lambda batch: painted(batch * 255)
    with pytest.raises(DetectorError, match=r"its input is fixed at 80 x 60 .* set --cropdet-detector resize="):
        detector_of(served, kind).load()
    (found,) = detector_of(served, kind, resize="stretch", range="0..1")([IMAGE])
    near(found.boxes, BOXES, 0.6)
    assert served.bodies[-1].get("signature_name", "serving_default") == "serving_default"


def test_encoded_images_travel_as_base64_to_tensorflow_serving(served):
    served.input = ("image_bytes", "DT_STRING", [-1])
    (found,) = detector_of(served, "tfserving")([IMAGE])
    near(found.boxes, BOXES)
    assert [*served.bodies[-1]["inputs"]["image_bytes"][0]] == ["b64"]


@pytest.mark.parametrize(
    ("dtype", "shape"), [("DT_STRING", [-1]), ("DT_STRING", [-1, 1]), ("DT_HALF", [-1, -1, -1, 3])]
)
def test_what_json_cannot_carry_travels_as_bytes_where_the_server_takes_them(served, dtype, shape):
    served.input = ("image_bytes", dtype, shape)
    with pytest.raises(
        DetectorError, match="which JSON cannot carry, and the server has no extension binary_tensor_data"
    ):
        detector_of(served, "kserve").load()
    served.extensions = ["binary_tensor_data"]
    said = {} if dtype == "DT_STRING" else {"range": "0..255"}
    (found,) = detector_of(served, "kserve", **said)([IMAGE])
    near(found.boxes, BOXES)
    if dtype == "DT_STRING":
        assert served.bodies[-1]["inputs"][0]["shape"] == [1] * len(shape)


def test_only_what_is_read_is_sent_where_the_protocol_can_say_so(served):
    served.outputs["raw_detection_boxes"] = ("DT_FLOAT", [-1, 9600, 4])
    detector_of(served, "kserve")([IMAGE])
    assert [each["name"] for each in served.bodies[-1]["outputs"]] == [
        "detection_boxes",
        "detection_scores",
        "detection_classes",
        "num_detections",
    ]


def test_a_server_that_takes_rows_alone_is_asked_in_rows(served):
    served.formats = ("instances",)
    detector = detector_of(served, "tfserving")
    near(detector([IMAGE] * 2)[1].boxes, BOXES)
    assert "instances" in served.bodies[-1]
    asked = served.predictions
    detector([IMAGE])
    assert served.predictions == asked + 1  # the other format is not tried again


@both
def test_an_image_without_detections_and_open_rows_is_no_error(served, kind):
    served.outputs |= {"detection_boxes": ("DT_FLOAT", [-1, -1, 4])}
    served.model = lambda batch: {
        "detection_boxes": np.zeros((len(batch), 0, 4)),
        "detection_scores": np.zeros((len(batch), 0)),
        "detection_classes": np.zeros((len(batch), 0)),
        "num_detections": np.zeros(len(batch)),
    }
    assert [len(found) for found in detector_of(served, kind)([IMAGE] * 2)] == [0, 0]


@both
def test_numbers_are_those_that_the_model_computed_whatever_digits_a_server_writes(served, kind):
    served.model = lambda batch: {name: np.round(each.astype(np.float64), 7) for name, each in painted(batch).items()}
    (found,) = detector_of(served, kind)([IMAGE])
    assert found.scores.tolist() == [np.float64(np.float32(0.9))] * 2 != [0.9, 0.9]


# Servers that fail


@both
def test_a_server_that_is_down_is_named_after_some_attempts(kind):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}{PATHS[kind]}"
    with pytest.raises(
        DetectorError, match=rf"GET {url}: no answer \(ConnectError.*after 4 attempts; is the server up\?"
    ):
        load_detector(f"{kind}:{url}").load()


@both
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_that_is_busy_is_asked_again(served, kind, status):
    detector = detector_of(served, kind)
    detector.load()
    served.fail = [(status, {"error": "busy"}), "hang up"]
    near(detector([IMAGE])[0].boxes, BOXES)
    assert served.predictions == 4


@both
def test_a_server_that_stays_busy_is_named_with_its_words(served, kind):
    told = failure(served, kind)
    next(told)
    served.fail = [(503, b"try later")] * 9
    assert "status 503 Service Unavailable: try later, after 4 attempts" in next(told)
    assert served.predictions == 5


@both
@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((500, {"error": "CUDA out of memory"}), 'status 500 Internal Server Error: {"error": "CUDA out of memory"}'),
        ((403, b""), "status 403 Forbidden: an empty answer"),
        ((200, b"<html><body>Login</body></html>"), "the answer is no JSON: <html>.*an HTML page"),
        ((200, b"x" * 5000), r"no JSON: x{200} ... \(5000 bytes\)"),
        ((200, [1, 2]), r"the answer has no '?outputs'?: \[1, 2\]"),
        (
            (302, b"http://elsewhere.example/v1"),
            "status 302, which points to http://elsewhere.example/v1; redirects are",
        ),
    ],
)
def test_an_answer_of_no_use_is_named_with_url_status_and_first_bytes(served, kind, answer, sentence):
    told = failure(served, kind)
    next(told)
    served.fail = [answer] * 2
    text = next(told)
    assert re.search(sentence if "\\" in sentence or ".*" in sentence else re.escape(sentence), text), text
    assert served.predictions == 2  # what is wrong now is wrong the next time, too


@both
@pytest.mark.parametrize("how", [1.0, "drip"])
def test_a_slow_server_is_waited_for_as_long_as_the_user_says(served, kind, how):
    told = failure(served, kind, timeout=0.3)
    next(told)
    served.fail = [how]
    assert "no answer within 0.3 s; --cropdet-detector timeout=SECONDS" in next(told)
    assert served.predictions == 2


CHANGES = {
    "too few images": (
        lambda value: value[:1],
        r"given 2 images and its answer has detection_boxes \[1, 3, 4\], .* are not 2 rows",
    ),
    "boxes of three numbers": (lambda value: value[..., :3], r"detection_boxes \[2, 3, 3\].*a list of detections has"),
    "rows of unequal length": (lambda value: value[:, :2], r"detection_boxes \[2, 2, 4\], detection_scores \[2, 3\]"),
    "texts": (
        lambda value: np.full(value.shape, "a"),
        "'detection_boxes' of the answer has values that are no numbers",
    ),
    "pixels": (lambda value: value * 300, "a box reaches .* so boxes are not normalised"),
}


@both
@pytest.mark.parametrize("change", CHANGES)
def test_tensors_that_are_not_those_of_the_images_are_refused(served, kind, change):
    detector = detector_of(served, kind)
    detector.load()
    wrong, sentence = CHANGES[change]
    served.model = lambda batch: {**(found := painted(batch)), "detection_boxes": wrong(found["detection_boxes"])}
    with pytest.raises(DetectorError, match=sentence):
        detector([IMAGE] * 2)


@both
def test_an_output_that_is_missing_or_a_count_that_is_short_is_refused(served, kind):
    detector = detector_of(served, kind)
    detector.load()
    served.model = lambda batch: {**painted(batch), "num_detections": np.ones(1)}
    with pytest.raises(DetectorError, match="given 2 images, and num_detections has 1 numbers"):
        detector([IMAGE] * 2)
    served.model = lambda batch: {name: each for name, each in painted(batch).items() if name != "detection_scores"}
    with pytest.raises(DetectorError, match="the answer has no output 'detection_scores'; it has detection_boxes"):
        detector([IMAGE])


def test_numbers_that_do_not_fill_their_shape_are_refused(served):
    detector = detector_of(served, "kserve")
    detector.load()
    served.fail = [lambda said: {**said, "outputs": [{**each, "shape": [1, 7]} for each in said["outputs"]]}]
    with pytest.raises(DetectorError, match=r"the output 'detection_boxes' is no tensor .ValueError: cannot reshape"):
        detector([IMAGE])


@both
@pytest.mark.parametrize("said", [(200, []), (200, {"metadata": 7}), (200, {"inputs": 3})])
def test_metadata_that_are_none_are_named(served, kind, said):
    served.metadata = said
    with pytest.raises(DetectorError, match=r"not what TensorFlow Serving says of a model|not the metadata of a model"):
        detector_of(served, kind).load()


@both
def test_a_model_that_the_server_does_not_have_is_named(served, kind):
    url = f"{served.url}{PATHS[kind]}".replace("ssd", "other")
    with pytest.raises(
        DetectorError, match=rf"GET {url}.*: status 404 Not Found: {{.error.: .Could not find any versions"
    ):
        load_detector(f"{kind}:{url}").load()


def test_a_model_whose_versions_are_all_loading_is_named(served):
    served.versions = []
    with pytest.raises(DetectorError, match=r"no version of the model is available .99 is LOADING"):
        detector_of(served, "tfserving").load()


@both
def test_what_takes_no_images_is_refused(served, kind):
    served.input = ("x", "DT_INT64", [-1, 4])
    with pytest.raises(DetectorError, match="its input 'x' is int64"):
        detector_of(served, kind).load()
    served.input = ("tf_example", "DT_STRING", [-1])
    served.extensions = ["binary_tensor_data"]
    with pytest.raises(DetectorError, match="its input 'tf_example' takes serialised examples"):
        detector_of(served, kind).load()


# Versions, and what is kept


@both
def test_the_newest_version_is_named_in_each_call(served, kind):
    served.versions = ["9", "10"]
    detector_of(served, kind)([IMAGE])
    assert served.asked[-1] == ("POST", f"{PATHS[kind]}/versions/10{ASK[kind]}")
    detector_of(served, kind, "/versions/9")([IMAGE])
    assert served.asked[-1] == ("POST", f"{PATHS[kind]}/versions/9{ASK[kind]}")


def test_a_label_is_the_version_that_it_had_at_first(served):
    served.versions = ["3", "4"]
    detector = detector_of(served, "tfserving", "/labels/canary")
    detector([IMAGE])
    assert served.asked[-1] == ("POST", "/v1/models/ssd/versions/3:predict")
    served.versions = ["4", "3"]
    with pytest.raises(DetectorError, match=r"now serves version 4 and no longer 3"):
        BatchKeys.of(None, detector)


@both
def test_a_fingerprint_follows_version_conventions_and_address(served, kind, tmp_path):
    def prints():
        labels = tmp_path / "labels.txt"
        labels.write_text("red\ngreen\nblue\n")
        first = [detector_of(served, kind, **said).fingerprint for said in ({}, {"channels": "bgr"}, {"batch": 1})]
        first.append(detector_of(served, kind, labels=labels).fingerprint)
        labels.write_text("red\ngreen\nBlue\n")
        return [*first, detector_of(served, kind, labels=labels).fingerprint]

    before = prints()
    assert prints() == before
    assert detector_of(served, kind, timeout=7).fingerprint == before[0]
    served.versions = ["4"]
    assert len({*before, *prints()}) == 10


@both
def test_a_server_that_names_no_version_has_no_fingerprint_and_is_run(served, kind):
    served.versions, served.versions_in_urls, served.status_page, served.names_version = [], False, False, False
    detector = detector_of(served, kind)
    assert detector.fingerprint is None
    near(detector([IMAGE])[0].boxes, BOXES)


@both
def test_a_version_that_goes_away_during_a_run_is_an_error(served, kind):
    detector = detector_of(served, kind)
    detector([IMAGE])
    served.versions = ["4"]
    with pytest.raises(DetectorError, match=r"now serves version 4 and no longer 3, .* Run again"):
        detector([IMAGE])


@both
def test_a_server_without_versions_in_its_urls_is_watched_all_the_same(served, kind):
    served.versions_in_urls = False
    detector = detector_of(served, kind)
    near(detector([IMAGE])[0].boxes, BOXES)
    served.versions, served.names_version = ["4"], False
    with pytest.raises(DetectorError, match=r"now serves version 4 and no longer 3"):
        detector([IMAGE])


def test_an_answer_of_another_version_is_refused(served):
    detector = detector_of(served, "kserve")
    detector.load()
    served.fail = [lambda said: {**said, "model_version": "8"}]
    with pytest.raises(DetectorError, match=r"now serves version 8 and no longer 3"):
        detector([IMAGE])


class OnDisk(Painted):
    """Painted pictures that are files, so that what is found in them can be kept."""


@pytest.fixture
def data(tmp_path):
    import cv2

    samples = []
    for place in range(6):
        each = sample(f"{place}.png", 60, 50, {1: (5, 5, 40, 40), 3: (42, 8, 58, 30)})
        path = tmp_path / each.id
        cv2.imwrite(str(path), each.image()[..., ::-1])
        object.__setattr__(each, "path", path)
        samples.append(each)
    return OnDisk(samples)


def gate(detector, data, cache):
    settings = RunSettings(crops="random:keep=0.9,per_image=1", replicates=100, explain="off")
    return next(each.run for each in events(detector, data, settings, None, cache) if isinstance(each, Finished))


@both
def test_what_is_kept_is_of_one_version_and_a_new_one_is_never_answered_from_it(served, kind, data, tmp_path):
    cache = Cache(tmp_path / "kept")
    first = gate(detector_of(served, kind), data, cache)
    asked = served.predictions
    again = gate(detector_of(served, kind), data, cache)
    assert served.predictions == asked  # not even to warm it up
    assert first.ap == again.ap
    assert first.detector["version"] == again.detector["version"] == "3"
    served.versions = ["4"]
    served.model = lambda batch: {**painted(batch), "num_detections": np.zeros(len(batch))}
    newer = gate(detector_of(served, kind), data, cache)
    assert served.predictions > asked
    assert newer.ap["reference"] == 0
    assert newer.detector["version"] == "4"


@both
def test_a_detector_that_was_opened_before_the_version_changed_starts_no_other_run(served, kind, data, tmp_path):
    cache = Cache(tmp_path / "kept")
    detector = detector_of(served, kind)
    gate(detector, data, cache)
    served.versions = ["4"]
    for kept in (cache, None):
        with pytest.raises(DetectorError, match=r"now serves version 4 and no longer 3"):
            gate(detector, data, kept)


@both
def test_another_model_under_the_same_version_is_noticed_by_its_signature(served, kind):
    detector = detector_of(served, kind)
    before = detector.fingerprint
    served.outputs["detection_boxes"] = ("DT_FLOAT", [-1, 100, 4])
    with pytest.raises(DetectorError, match="describes another model than before under one version"):
        BatchKeys.of(None, detector)
    assert detector_of(served, kind).fingerprint != before


def test_a_run_without_a_cache_works_too(served, data):
    assert run(detector_of(served, "tfserving"), data, crops="random:keep=0.9,per_image=1").ap["reference"] > 0.99


# Connections


@both
def test_loopback_never_goes_through_a_proxy_of_the_environment(served, kind, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert len(detector_of(served, kind)([IMAGE])[0]) == 2


def test_a_header_authorization_comes_from_the_environment_and_is_in_no_name(served, monkeypatch):
    monkeypatch.setenv(http_service.AUTHORIZATION, "Bearer abc")
    detector = detector_of(served, "tfserving")
    detector.load()
    assert served.headers[-1]["Authorization"] == "Bearer abc"
    assert "abc" not in str(describe(detector))


@pytest.mark.parametrize("package", ["httpx", "stamina"])
def test_a_missing_library_is_named_with_the_line_that_installs_it(served, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    detector = detector_of(served, "tfserving")
    with pytest.raises(DetectorError, match=r"needs httpx and stamina .*: pip install 'pytest-cropdet\[serving\]'"):
        detector.load()


# What options say


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            "tfserving:ssd",
            "is no URL of HTTP; write tfserving:http://HOST:8501/v1/models/NAME, perhaps with /versions/N",
        ),
        ("tfserving:http://host:8501", "names no model; write tfserving:http"),
        ("tfserving:http://host:8501/v2/models/ssd", "names no model; write tfserving"),
        ("kserve:http://host:8000/v1/models/ssd", "names no model; write kserve:http://HOST:8000/v2/models/NAME"),
        ("kserve:ftp://host/v2/models/ssd", "is no URL of HTTP"),
        ("kserve:http://host:port/v2/models/ssd", "is no URL .Port could not"),
        ("kserve:http://host/v2/models/ssd?x=1", "names no model"),
        (
            "kserve:http://me:secret@host/v2/models/ssd",
            "would be shown in reports; set the environment variable CROPDET_SERV",
        ),
        (
            "http://host:8501/v1/models/ssd",
            "does not say the server's protocol; write tfserving:http://host:8501/v1/models/ssd",
        ),
    ],
)
def test_a_url_that_names_no_model_is_refused_before_anything_is_asked(spec, sentence):
    with pytest.raises(DetectorError, match=sentence) as caught:
        load_detector(spec)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "said", [{"threads": 2}, {"activation": "sigmoid"}, {"head": "yolo"}, {"custom_objects": "a:b"}, {"input": "chw"}]
)
def test_what_a_served_model_does_not_use_is_refused(served, said):
    with pytest.raises(DetectorError, match=f"{next(iter(said))}=.* is not used: (a served model|its outputs are)"):
        detector_of(served, "tfserving", **said).load()


def test_a_signature_is_one_that_the_model_has(served):
    with pytest.raises(
        DetectorError,
        match=r"ssd: the served model has no signature 'other'; it has serving_default; set --cropdet-detector",
    ):
        detector_of(served, "tfserving", signature="other").load()
    with pytest.raises(
        DetectorError, match="signature=other is not used: the Open Inference Protocol has no signatures"
    ):
        detector_of(served, "kserve", signature="other")


def test_a_whole_url_of_a_call_is_as_good_as_that_of_the_model():
    for text in ("", "/", ":predict"):
        assert parse_address("tfserving", f"http://h:1/v1/models/a{text}").url == "http://h:1/v1/models/a"
    found = parse_address("kserve", "https://h/prefix/v2/models/a/versions/7/infer")
    assert (found.server, found.model, found.version) == (
        "https://h/prefix",
        "https://h/prefix/v2/models/a",
        "versions/7",
    )
    assert parse_address("tfserving", "http://h/v1/models/a/labels/canary").version == "labels/canary"


def test_urls_pass_through_the_options_as_they_are(tmp_path):
    url = "tfserving:http://127.0.0.1:8501/v1/models/ssd/versions/3"
    assert resolve_paths("model", [url, f"new={url}"], tmp_path) == [url, f"new={url}"]
    assert [(each.name, each.spec) for each in named_specs([url, f"new={url}"], "model")] == [
        ("ssd", url),
        ("new", url),
    ]
    assert named_specs(["kserve:https://h/v2/models/yolo"], "model")[0].name == "yolo"
