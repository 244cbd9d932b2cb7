"""A server on 127.0.0.1 that speaks TensorFlow Serving's REST API and the Open Inference Protocol.

Behind it is a function of a batch; what is asked of it is kept, and it can be made to fail as servers do.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import cv2
import numpy as np

from tests.painted import find

ROWS = 3
DTYPES = {"DT_UINT8": "UINT8", "DT_FLOAT": "FP32", "DT_STRING": "BYTES", "DT_HALF": "FP16", "DT_INT64": "INT64"}
API = {
    "detection_boxes": ("DT_FLOAT", [-1, ROWS, 4]),
    "detection_scores": ("DT_FLOAT", [-1, ROWS]),
    "detection_classes": ("DT_FLOAT", [-1, ROWS]),
    "num_detections": ("DT_FLOAT", [-1]),
}


def painted(batch: np.ndarray) -> dict[str, np.ndarray]:
    """What a model of the TensorFlow Object Detection API answers for painted pictures.

    Rows above the count are junk.
    """
    boxes, scores, classes = (
        np.full((len(batch), ROWS, 4), 0.3),
        np.full((len(batch), ROWS), 0.8),
        np.ones((len(batch), ROWS)),
    )
    count = np.zeros(len(batch))
    for place, picture in enumerate(batch):
        pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), 1)[..., ::-1] if isinstance(picture, bytes) else picture
        found = find(pixels)
        height, width = pixels.shape[:2]
        count[place] = rows = len(found)
        boxes[place, :rows] = found.boxes[:, [1, 0, 3, 2]] / [height, width, height, width]
        scores[place, :rows], classes[place, :rows] = found.scores, found.categories
    tensors = {
        "detection_boxes": boxes,
        "detection_scores": scores,
        "detection_classes": classes,
        "num_detections": count,
    }
    return {name: value.astype(np.float32) for name, value in tensors.items()}


class Served:
    """What is served, and how. ``fail``: what happens to the next questions to the model, one after the other."""

    def __init__(self, model: Callable[[Any], Mapping[str, np.ndarray]] = painted) -> None:
        self.model = model
        self.versions = ["3"]
        self.input = ("input_tensor", "DT_UINT8", [-1, -1, -1, 3])
        self.outputs: dict[str, tuple[str, list[int]]] = dict(API)
        self.formats = ("inputs", "instances")
        self.versions_in_urls = True
        self.status_page = True
        self.names_version = True  # the Open Inference Protocol's model_version in answers
        self.extensions: list[str] = []
        self.fail: list[Any] = []
        self.metadata: Any = None  # in place of what is right
        self.asked: list[tuple[str, str]] = []  # method and path
        self.bodies: list[Any] = []
        self.headers: list[Mapping[str, str]] = []
        self.url = ""

    @property
    def predictions(self) -> int:
        return sum(method == "POST" for method, _ in self.asked)

    # What is answered: a status with a value for JSON, or with bytes as they are

    def get(self, path: str) -> tuple[int, Any]:
        if self.metadata is not None:
            return self.metadata
        if path == "/v2":
            return 200, {"name": "look-alike", "extensions": self.extensions}
        if path == "/v1/models/ssd/labels/canary":  # the label of the first version
            return 200, {"model_version_status": [{"version": self.versions[0], "state": "AVAILABLE", "status": {}}]}
        base, _, version = path.removesuffix("/metadata").partition("/versions/")
        if version and (version not in self.versions or not self.versions_in_urls):
            return 404, {"error": f"Could not find version {version} of model ssd"}
        newest = version or max(self.versions, key=int, default="")
        if base == "/v2/models/ssd":
            tensors = {
                "inputs": [{"name": self.input[0], "datatype": DTYPES[self.input[1]], "shape": self.input[2]}],
                "outputs": [{"name": n, "datatype": DTYPES[k], "shape": s} for n, (k, s) in self.outputs.items()],
            }
            return 200, {"name": "ssd", "versions": self.versions, "platform": "numpy", **tensors}
        if base != "/v1/models/ssd":
            return 404, {"error": "Could not find any versions of model other"}
        if not path.endswith("/metadata"):
            if not self.status_page:
                return 404, b"<html>not here</html>"
            states = [{"version": each, "state": "AVAILABLE", "status": {}} for each in self.versions]
            return 200, {"model_version_status": [*states, {"version": "99", "state": "LOADING", "status": {}}]}
        signature = {
            "inputs": {self.input[0]: spec(*self.input[1:])},
            "outputs": {name: spec(*each) for name, each in self.outputs.items()},
        }
        named = {"serving_default": signature, "__saved_model_init_op": {"inputs": {}, "outputs": {}}}
        return 200, {
            "model_spec": {"name": "ssd", "signature_name": "", "version": newest},
            "metadata": {"signature_def": {"signature_def": named}},
        }

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, Any]:
        place = path.removesuffix(":predict").removesuffix("/infer")
        version = place.partition("/versions/")[2]
        if version and (version not in self.versions or not self.versions_in_urls):
            return 404, {"error": f"Could not find version {version} of model ssd"}
        head = int(headers.get("Inference-Header-Content-Length", len(body)))
        said = json.loads(body[:head])
        self.bodies.append(said)
        if path.startswith("/v2"):
            return self._infer(said, body[head:], version)
        if self.formats[0] not in said and self.formats[-1] not in said:
            return 400, {"error": "JSON Value: has no known key"}
        name, kind, _ = self.input
        rows = said["inputs"][name] if "inputs" in said else [row[name] for row in said["instances"]]
        batch = [base64.b64decode(row["b64"]) for row in rows] if kind == "DT_STRING" else np.array(rows, self.dtype)
        found = {key: value.tolist() for key, value in self.model(batch).items()}
        if "inputs" in said:
            return 200, {"outputs": found if len(found) > 1 else next(iter(found.values()))}
        return 200, {"predictions": [{key: value[place] for key, value in found.items()} for place in range(len(rows))]}

    def _infer(self, said: Any, raw: bytes, version: str) -> tuple[int, Any]:
        (tensor,) = said["inputs"]
        if tensor["datatype"] == "BYTES":
            batch, rest = [], raw
            while rest:
                size = int.from_bytes(rest[:4], "little")
                batch.append(rest[4 : 4 + size])
                rest = rest[4 + size :]
        elif raw:
            batch = np.frombuffer(raw, self.dtype).reshape(tensor["shape"])
        else:
            batch = np.array(tensor["data"], self.dtype).reshape(tensor["shape"])
        outputs = [
            {"name": key, "datatype": "FP32", "shape": list(value.shape), "data": value.ravel().tolist()}
            for key, value in self.model(batch).items()
            if {"name": key} in said["outputs"]
        ]
        named = {"model_version": version or max(self.versions, key=int)} if self.names_version else {}
        return 200, {"model_name": "ssd", **named, "outputs": outputs}

    @property
    def dtype(self) -> str:
        return {"DT_FLOAT": "float32", "DT_HALF": "float16"}.get(self.input[1], "uint8")


def spec(dtype: str, shape: list[int]) -> dict[str, Any]:
    return {"dtype": dtype, "tensor_shape": {"dim": [{"size": str(side)} for side in shape], "unknown_rank": False}}


@contextmanager
def serve(served: Served) -> Iterator[Served]:
    """Serve while the block runs; ``served.url`` is where."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet, else the second waits for an acknowledgement

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            served.asked.append(("GET", self.path))
            served.headers.append(dict(self.headers))
            self.answer(*served.get(self.path))

        def do_POST(self) -> None:
            served.asked.append(("POST", self.path))
            body = self.rfile.read(int(self.headers["Content-Length"]))
            how = served.fail.pop(0) if served.fail else None
            if how == "hang up":
                self.close_connection = True
                return
            if how == "drip":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                for _ in range(100):
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    time.sleep(0.05)
                return
            if isinstance(how, float):
                time.sleep(how)
            status, value = served.post(self.path, body, self.headers)
            if callable(how):
                value = how(value)
            elif isinstance(how, tuple):
                status, value = how
            self.answer(status, value)

        def answer(self, status: int, value: Any) -> None:
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", content.decode())
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:  # a client that waits no longer
            pass

    server = Server(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
