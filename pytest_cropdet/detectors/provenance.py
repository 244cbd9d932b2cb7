"""Where each convention of a detector comes from: the user, the model file, a rule of its kind, or nowhere yet."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_cropdet.detectors.adapters.model_facts import ModelFacts, facts_of_server, read_facts
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.open_conventions import OpenConvention
from pytest_cropdet.detectors.sliced import read_sliced_spec
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.terms import DETECTOR_KINDS, SERVED_KINDS

__all__ = ["Origin", "facts_of", "origins"]

FROM_THE_FILE = {
    "boxes": "the file says (names or operations of its outputs)",
    "units": "the file says (names or operations of its outputs)",
    "first_category": "the file says (names of its outputs)",
    "range": "the file says (type or name of its input)",
    "batch": "the shape of its input, or the usual number",
    "anchors": "the file contains them",
}
ASSUMED = "assumed: no file says it"


@dataclass(frozen=True, slots=True)
class Origin:
    """A convention with its value and where that comes from; ``is_open``: nothing says it, and the value is a list."""

    key: str
    value: str
    source: str
    is_open: bool = False


def origins(
    description: Description, given: Mapping[str, Any], opened: Sequence[OpenConvention], kind: str
) -> list[Origin]:
    """Return every convention that is known or open, the open ones first.

    ``description``: with what the file says; ``given``: what the user said.
    """
    free = {each.key for each in opened if each.key not in given}
    found = [
        Origin(each.key, "|".join(each.choices) or "VALUE", f"open: {each.why}", is_open=True)
        for each in opened
        if each.key in free
    ]
    for key, value in description.known().items():
        if key not in free:
            found.append(Origin(key, str(value), _source(key, value, given, kind)))
    return found


def _source(key: str, value: object, given: Mapping[str, Any], kind: str) -> str:
    if key in given:
        return "you said"
    if key == "channels":
        return ASSUMED
    if key == "resize":
        return "the file says (its input takes any size)" if value == "inside" else f"assumed for a {kind} of this form"
    if key == "first_category" and kind != "saved_model":
        return f"assumed: {kind} models count from {value}"
    return FROM_THE_FILE.get(key, "the file says")


def facts_of(spec: str, given: Mapping[str, Any] | None = None) -> ModelFacts:
    """Return what the model of ``spec``, ``kind:path`` or ``kind:URL``, says of itself; empty for a function.

    ``given``: what the user says of it.
    """
    kind, colon, place = spec.partition(":")
    if colon and kind == "sliced":
        return facts_of(read_sliced_spec(place)[1], given)
    known = Description.of(**(given or {}))
    if colon and kind in DETECTOR_KINDS:
        return read_facts(kind, Path(place), known)
    if colon and kind in SERVED_KINDS:
        from pytest_cropdet.detectors.served import ServedHandle

        with suppress(DetectorError):  # the reason is shown where the model is opened
            return facts_of_server(ServedHandle(kind, place, known).facts)
    return ModelFacts()
