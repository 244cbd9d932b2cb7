"""Models behind KServe's v2 protocol, the Open Inference Protocol: Triton, MLServer, OpenVINO Model Server."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors.adapters.http_service import AnswerError, Service
from pytest_cropdet.detectors.adapters.served_model import (
    ENCODED,
    ModelAddress,
    ServedFacts,
    ServedTensor,
    Sides,
    ValueKind,
)
from pytest_cropdet.detectors.adapters.tfserving import changed, version_order
from pytest_cropdet.errors import DetectorError

__all__ = ["OpenInference"]

DATATYPES: Mapping[str, ValueKind] = {
    "UINT8": ValueKind("uint8", np.uint8),
    "FP32": ValueKind("float32", np.float32),
    "FP16": ValueKind("float16", np.float16),
    "BYTES": ENCODED,
}
BINARY = "binary_tensor_data"  # the extension that JSON cannot do without for FP16 and encoded images
ONLY_BINARY = ("FP16", "BYTES")


class OpenInference:
    """The client of ``/v2/models/NAME``: metadata and infer."""

    def __init__(self, service: Service, address: ModelAddress) -> None:
        self._service, self._address = service, address
        self._pinned = True
        self._binary = False
        self._answered: str | None = None  # the version that the first answer named

    def facts(self) -> ServedFacts:
        """Return version, inputs and outputs of the model as they are now."""
        url = self._place(None)
        said = self._service.get(url)
        try:
            inputs = {str(each["name"]): _tensor(each) for each in said["inputs"]}
            outputs = {str(each["name"]): _tensor(each) for each in said["outputs"]}
            versions = [str(each) for each in said.get("versions") or []]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DetectorError(
                f"GET {url}: not the metadata of a model in the Open Inference Protocol "
                f"({type(error).__name__}: {error}): {json.dumps(said)[:200]}"
            ) from error
        given = self._address.version
        version = given.partition("/")[2] if given else (max(versions, key=version_order) if versions else None)
        datatypes = {str(each["datatype"]) for each in said["inputs"]}
        self._binary = bool(datatypes & set(ONLY_BINARY))
        if self._binary and BINARY not in self._extensions():
            raise DetectorError(
                f"{url} takes {', '.join(sorted(datatypes))}, which JSON cannot carry, and the server has no extension "
                f"{BINARY}; serve the model with an input of type UINT8 or FP32"
            )
        return ServedFacts(
            version, inputs, outputs, {key: said.get(key) for key in ("name", "platform", "inputs", "outputs")}
        )

    def predict(self, batch: NDArray[Any], facts: ServedFacts, wanted: Sequence[str]) -> Mapping[str, NDArray[Any]]:
        """Return the wanted outputs by name; no others are sent."""
        body, headers = self._question(batch, facts, wanted)
        url = f"{self._place(facts.version)}/infer"
        try:
            said = self._service.post(url, body, headers)
        except AnswerError as error:
            if error.status not in (400, 404) or not self._pinned or facts.version is None or self._address.version:
                raise
            self._check_version(facts)
            self._pinned = False  # a server that does not know versions in URLs
            try:
                return self.predict(batch, facts, wanted)
            except AnswerError:
                raise error from None
        if not isinstance(said, Mapping) or not isinstance(said.get("outputs"), list):
            raise AnswerError(f"POST {url}: the answer has no outputs: {json.dumps(said)[:200]}", 200)
        version = said.get("model_version")
        before = facts.version or self._answered
        self._answered = self._answered or (str(version) if version else None)
        if version and before is not None and str(version) != before:
            raise DetectorError(changed(self._address.model, before, str(version)))
        if not version and not self._pinned:
            self._check_version(facts)
        return {str(each.get("name")): _values(url, each) for each in said["outputs"]}

    def _check_version(self, facts: ServedFacts) -> None:
        now = self.facts()
        if facts.version is not None and now.version != facts.version:
            raise DetectorError(changed(self._address.model, facts.version, now.version))

    def _question(self, batch: NDArray[Any], facts: ServedFacts, wanted: Sequence[str]) -> tuple[bytes, dict[str, str]]:
        """Return the body of a request, and the headers that its format needs."""
        name, spec = next(iter(facts.inputs.items()))
        datatype = next(each for each, kind in DATATYPES.items() if kind.name == spec.dtype.name)
        shape = [len(batch), 1] if batch.dtype == object and spec.shape.rank == 2 else list(batch.shape)
        tensor: dict[str, Any] = {"name": name, "shape": shape, "datatype": datatype}
        outputs = [{"name": each} for each in wanted]
        if not self._binary:
            values = batch.ravel().tolist()
            return json.dumps({"inputs": [{**tensor, "data": values}], "outputs": outputs}).encode(), {}
        if batch.dtype == object:
            raw = b"".join(len(each).to_bytes(4, "little") + each for each in batch)
        else:
            raw = batch.astype(spec.dtype.as_numpy_dtype).tobytes()
        sent = [{**tensor, "parameters": {"binary_data_size": len(raw)}}]
        head = json.dumps({"inputs": sent, "outputs": outputs}).encode()
        sizes = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
        return head + raw, sizes

    def _place(self, version: str | None) -> str:
        """Return the model's URL, with its version where that is known."""
        wanted = self._address.version or (f"versions/{version}" if version is not None and self._pinned else None)
        return self._address.model if wanted is None else f"{self._address.model}/{wanted}"

    def _extensions(self) -> list[str]:
        said = self._service.get(f"{self._address.server}/v2")
        found = said.get("extensions") if isinstance(said, Mapping) else None
        return [str(each) for each in found] if isinstance(found, list) else []


def _tensor(said: Mapping[str, Any]) -> ServedTensor:
    kind = str(said["datatype"])
    return ServedTensor(
        DATATYPES.get(kind, ValueKind(kind.lower(), object)), Sides.of([int(side) for side in said["shape"]])
    )


def _values(url: str, output: Mapping[str, Any]) -> NDArray[Any]:
    """Return the values of one output in its shape."""
    try:
        shape = [int(side) for side in output["shape"]]
        values = np.asarray(output["data"])
        return values.reshape(shape)
    except (KeyError, TypeError, ValueError) as error:
        raise DetectorError(
            f"POST {url}: the output {output.get('name')!r} is no tensor ({type(error).__name__}: {error}): "
            f"{json.dumps(output)[:200]}"
        ) from error
