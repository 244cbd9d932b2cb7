"""Detectors behind HTTP: their URLs, and a handle whose fingerprint is the version that the server has."""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytest_cropdet.detectors.adapters.http_service import Service
from pytest_cropdet.detectors.adapters.kserve import OpenInference
from pytest_cropdet.detectors.adapters.served_model import ModelAddress, ServedFacts, ServedModel, load_served
from pytest_cropdet.detectors.adapters.tfserving import TensorFlowServing, changed
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.handle import DetectorHandle, fingerprint_of_files
from pytest_cropdet.errors import DetectorError

__all__ = ["ServedHandle", "parse_address"]

PATHS = {
    "tfserving": re.compile(r"(.*)(/v1/models/[^/:]+)(?:/((?:versions|labels)/[^/:]+))?(?::predict)?/?"),
    "kserve": re.compile(r"(.*)(/v2/models/[^/:]+)(?:/(versions/[^/:]+))?(?:/infer)?/?"),
}
EXAMPLES = {"tfserving": "http://HOST:8501/v1/models/NAME", "kserve": "http://HOST:8000/v2/models/NAME"}


def parse_address(kind: str, url: str) -> ModelAddress:
    """Return the parts of a model's URL; a ``DetectorError`` says how one is written.

    >>> parse_address("tfserving", "http://localhost:8501/v1/models/ssd/versions/3:predict").version
    'versions/3'
    """
    example = f"{kind}:{EXAMPLES[kind]}, perhaps with /versions/N"
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for what is no number
    except ValueError as error:
        raise DetectorError(f"{kind}:{url} is no URL ({error}); write {example}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise DetectorError(f"{kind}:{url} is no URL of HTTP; write {example}")
    if parts.username is not None or parts.password is not None:
        raise DetectorError(
            f"{kind}:{parts.scheme}://...@{parts.hostname}: a URL with a name or password would be shown in reports; "
            "set the environment variable CROPDET_SERVING_AUTHORIZATION to the value of the header Authorization"
        )
    found = PATHS[kind].fullmatch(parts.path)
    if found is None or parts.query or parts.fragment:
        raise DetectorError(f"{kind}:{url} names no model; write {example}")
    server = f"{parts.scheme}://{parts.netloc}{found.group(1)}"
    model = f"{server}{found.group(2)}"
    version = found.group(3)
    return ModelAddress(model if version is None else f"{model}/{version}", server, model, version)


class ServedHandle(DetectorHandle):
    """A detector behind HTTP; no connection is opened before something is needed of it.

    ``contents``: hashes of the files that the description names. It stays with the version that it found first;
    :meth:`identify` finds out whether the server still has that one.
    """

    def __init__(self, kind: str, url: str, description: Description, contents: Sequence[str] = ()) -> None:
        self._kind, self._address = kind, parse_address(kind, url)
        if kind == "kserve":
            description.refuse("the Open Inference Protocol has no signatures", "signature")
        self._facts: ServedFacts | None = None
        self._contents = tuple(contents)
        super().__init__(f"{kind}:{self._address.url}", self._open, description)

    @cached_property
    def _model(self) -> ServedModel:
        service = Service(self._address.url, self._given.timeout)
        if self._kind == "kserve":
            return OpenInference(service, self._address)
        return TensorFlowServing(service, self._address, self._given.signature)

    def identify(self) -> None:
        """Look up which version the server has; ``DetectorError`` if it is another one than before."""
        try:
            facts = self._model.facts()
        except DetectorError as error:
            raise DetectorError(f"{self.name}: {error}") from error
        before = self._facts
        if before is not None and facts.version != before.version:
            raise DetectorError(changed(self.name, before.version or "unknown", facts.version))
        if before is not None and facts.identity != before.identity:
            raise DetectorError(
                f"{self.name}: the server describes another model than before under one version; run again"
            )
        self._facts = facts

    @property
    def version(self) -> str | None:
        """The version that answers, where the server says so."""
        return self._known.version

    @property
    def facts(self) -> ServedFacts:
        """What the server says of the model; it is requested where it is not known yet."""
        return self._known

    @property
    def fingerprint(self) -> str | None:
        """A hash of URL, version, signature and conventions; ``None`` of a server that names no version."""
        facts = self._known
        if facts.version is None:
            return None
        parts = (self._kind, self._address.url, facts.identity, self._given, *self._contents)
        return fingerprint_of_files(Path(), [], *parts)

    @property
    def _known(self) -> ServedFacts:
        if self._facts is None:
            self.identify()
        return self._facts  # type: ignore[return-value]  # identify sets it

    def _open(self) -> Any:
        facts = self._known
        try:
            return load_served(self._model, facts, self._given)
        except DetectorError as error:
            raise DetectorError(f"{self.name}: {error}") from error
