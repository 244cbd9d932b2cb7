"""Models behind TensorFlow Serving: its REST API, or that of a server that speaks the same."""

import base64
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
from pytest_cropdet.detectors.adapters.tensorflow_outputs import named_outputs
from pytest_cropdet.errors import DetectorError

__all__ = ["TensorFlowServing"]

DATA_TYPES: Mapping[str, ValueKind] = {
    "DT_UINT8": ValueKind("uint8", np.uint8),
    "DT_FLOAT": ValueKind("float32", np.float32),
    "DT_HALF": ValueKind("float16", np.float16),
    "DT_STRING": ENCODED,
}
IN_COLUMNS, IN_ROWS = ("inputs", "outputs"), ("instances", "predictions")  # keys of the question, and of its answer
OTHER_FORMAT = (400, 404, 422, 500, 501)  # statuses of a server that may know the other format


class TensorFlowServing:
    """The client of ``/v1/models/NAME``: status, metadata and predict, in columns where the server takes them.

    The version that the metadata are of is named in each call, so that no other one answers.
    """

    def __init__(self, service: Service, address: ModelAddress, signature: str | None) -> None:
        self._service, self._address, self._signature = service, address, signature
        self._pinned = True
        self._format: tuple[str, str] | None = None

    def facts(self) -> ServedFacts:
        """Return version and signature of the model as they are now."""
        version = self._version()
        said = self._metadata(version)
        try:
            signatures = said["metadata"]["signature_def"]["signature_def"]
            version = version or said["model_spec"].get("version") or None
            name = self._choose(signatures)
            chosen = signatures[name]
            inputs = {each: _tensor(spec) for each, spec in chosen["inputs"].items()}
            outputs = {each: _tensor(spec) for each, spec in chosen["outputs"].items()}
        except DetectorError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DetectorError(
                f"GET {self._place(version)}/metadata: not what TensorFlow Serving says of a model "
                f"({type(error).__name__}: {error}): {json.dumps(said)[:200]}"
            ) from error
        self._signature = name
        return ServedFacts(version, inputs, outputs, [name, chosen])

    def _metadata(self, version: str | None) -> Any:
        """Return what the server says of a version, or of the model where URLs have no versions."""
        try:
            return self._service.get(f"{self._place(version)}/metadata")
        except AnswerError as error:
            if error.status != 404 or version is None or not self._pinned or self._is_fixed:
                raise
        self._pinned = False
        return self._service.get(f"{self._place(None)}/metadata")

    def predict(self, batch: NDArray[Any], facts: ServedFacts, _: Sequence[str]) -> Mapping[str, NDArray[Any]]:
        """Return all outputs by name; the format is the first of the two that the server takes."""
        name = next(iter(facts.inputs))
        values = (
            [{"b64": base64.b64encode(each).decode()} for each in batch] if batch.dtype == object else batch.tolist()
        )
        if self._format is not None:
            outputs = self._ask(self._format, name, values, facts)
        else:
            try:
                outputs = self._ask(IN_COLUMNS, name, values, facts)
                self._format = IN_COLUMNS
            except AnswerError as error:
                if error.status not in OTHER_FORMAT:
                    raise
                try:
                    outputs = self._ask(IN_ROWS, name, values, facts)
                except AnswerError:
                    raise error from None
                self._format = IN_ROWS
        if not self._pinned:
            self._check_version(facts)
        return outputs

    def _check_version(self, facts: ServedFacts) -> None:
        """Raise ``DetectorError`` if the model's version is another one now."""
        try:
            now = self.facts().version
        except AnswerError as error:
            if error.status != 404:
                raise
            now = None
        if facts.version is not None and now != facts.version:
            raise DetectorError(changed(self._address.model, facts.version, now))

    def _ask(
        self, form: tuple[str, str], name: str, values: list[Any], facts: ServedFacts
    ) -> Mapping[str, NDArray[Any]]:
        question, answer = form
        sent = {name: values} if form == IN_COLUMNS else [{name: value} for value in values]
        body = json.dumps({"signature_name": self._signature, question: sent}).encode()
        url = f"{self._place(facts.version)}:predict"
        try:
            said = self._service.post(url, body)
        except AnswerError as error:
            if error.status != 404 or not self._pinned or facts.version is None:
                raise
            self._check_version(facts)
            if self._is_fixed:
                raise
            self._pinned = False  # a server that does not know versions in URLs
            return self._ask(form, name, values, facts)
        if not isinstance(said, Mapping) or answer not in said:
            raise AnswerError(f"POST {url}: the answer has no {answer!r}: {json.dumps(said)[:200]}", 200)
        given = said[answer]
        try:
            found = _of_rows(given, facts) if answer == IN_ROWS[1] else _of_columns(given, facts)
            return {each: np.asarray(value) for each, value in found.items()}
        except (TypeError, ValueError, KeyError) as error:
            raise DetectorError(
                f"POST {url}: the {answer} are no tensors ({type(error).__name__}: {error}): {json.dumps(given)[:200]}"
            ) from error

    def _place(self, version: str | None) -> str:
        """Return the model's URL, with its version where that is known; a label may move from version to version."""
        wanted = self._address.version
        if version is not None and self._pinned and not self._is_fixed:
            wanted = f"versions/{version}"
        return self._address.model if wanted is None else f"{self._address.model}/{wanted}"

    @property
    def _is_fixed(self) -> bool:
        """Whether the user named the version."""
        return (self._address.version or "").startswith("versions/")

    def _version(self) -> str | None:
        """Return the newest version that is available; ``None`` of a server that does not say."""
        url = self._place(None)
        try:
            said = self._service.get(url)
        except AnswerError as error:
            if error.status in (404, 405, 501):  # the metadata then say what is there, or that nothing is
                return None
            raise
        states = said.get("model_version_status") if isinstance(said, Mapping) else None
        if not isinstance(states, list):
            return None
        ready = [str(each["version"]) for each in states if each.get("state") == "AVAILABLE"]
        if not ready:
            shown = (
                ", ".join(f"{each.get('version')} is {each.get('state')}" for each in states) or "it has no versions"
            )
            raise DetectorError(f"GET {url}: no version of the model is available ({shown})")
        return max(ready, key=version_order)

    def _choose(self, signatures: Mapping[str, Any]) -> str:
        """Return the name of the signature that takes images."""
        names = sorted(name for name in signatures if not name.startswith("__"))
        wanted = self._signature or ("serving_default" if "serving_default" in names or len(names) != 1 else names[0])
        if wanted not in names:
            raise DetectorError(
                f"the served model has no signature {wanted!r}; it has {', '.join(names) or 'none'}; set "
                "--cropdet-detector signature=NAME"
            )
        return wanted


def changed(model: str, before: str, now: str | None) -> str:
    """Return the sentence for a version that changed while it was in use."""
    return (
        f"{model} now serves version {now or 'unknown'} and no longer {before}, with which this run began; results of "
        "two versions are not mixed. Run again, or name the version in the URL (.../versions/N)"
    )


def version_order(version: str) -> tuple[int, str]:
    """Return what versions are ordered by: numbers by their value.

    >>> max(["9", "10"], key=version_order)
    '10'
    """
    return (int(version), "") if version.isdecimal() else (-1, version)


def _tensor(spec: Mapping[str, Any]) -> ServedTensor:
    kind = str(spec["dtype"])
    shape = spec.get("tensor_shape") or {}
    sides = None if shape.get("unknown_rank") else [int(each["size"]) for each in shape.get("dim", [])]
    return ServedTensor(DATA_TYPES.get(kind, ValueKind(kind.removeprefix("DT_").lower(), object)), Sides.of(sides))


def _of_rows(given: Any, facts: ServedFacts) -> Mapping[str, Any]:
    """Return the tensors of a list with one entry an image."""
    if not isinstance(given, list):
        raise TypeError(f"{type(given).__name__} in place of a list")
    if given and isinstance(given[0], Mapping):
        return {name: [row[name] for row in given] for name in given[0]}
    return {next(iter(facts.outputs)): given} if len(facts.outputs) == 1 else named_outputs(given)


def _of_columns(given: Any, facts: ServedFacts) -> Mapping[str, Any]:
    """Return the tensors of a mapping, or of the one that a model with a single output answers."""
    return given if isinstance(given, Mapping) else {next(iter(facts.outputs)): given}
