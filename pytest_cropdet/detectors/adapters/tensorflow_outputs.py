"""Which output of a TensorFlow model is what: by the names of the Object Detection API, or as the user says."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors.adapters.pyramid_levels import LEVELS_ADVICE, are_pyramid_levels
from pytest_cropdet.detectors.description import Description, outputs_by_role
from pytest_cropdet.errors import DetectorError

__all__ = ["API", "REQUIRED", "choose_outputs", "follows_the_api", "list_outputs", "named_outputs", "read_count"]

API: Mapping[str, str] = {
    "boxes": "detection_boxes",
    "scores": "detection_scores",
    "classes": "detection_classes",
    "count": "num_detections",
}
REQUIRED = ("boxes", "scores", "classes")
COUNT_SLACK = 0.25  # counts as floats may be that far from a whole number
# Words in the names that exporters use; the first that fits is proposed, never taken.
OUTPUT_WORDS: Mapping[str, tuple[str, ...]] = {
    "boxes": ("boxes", "bboxes", "bbox", "box", "rects", "coordinates"),
    "scores": ("scores", "confidences", "confidence", "conf", "score", "probabilities", "probs"),
    "classes": ("classes", "labels", "class_ids", "categories", "category_ids", "class", "label", "cls"),
    "count": ("num_detections", "valid_detections", "count", "num"),
}


def named_outputs(structure: Any) -> dict[str, Any]:
    """Return what a function returned by name: a mapping's own names, ``output_0`` and so on for a list or one tensor.

    >>> named_outputs([1, 2])
    {'output_0': 1, 'output_1': 2}
    """
    if isinstance(structure, Mapping):
        return {str(name): value for name, value in structure.items()}
    parts = structure if isinstance(structure, (list, tuple)) else [structure]
    return {f"output_{place}": value for place, value in enumerate(parts)}


def follows_the_api(names: Iterable[str]) -> bool:
    """Whether outputs have the names of the TensorFlow Object Detection API."""
    return {API[role] for role in REQUIRED} <= set(names)


def choose_outputs(outputs: Mapping[str, Any], given: Description) -> dict[str, str]:
    """Return the name of each output by its role: boxes, scores, classes and perhaps count.

    ``outputs``: whatever has a ``shape``, by name. ``DetectorError`` proposes the line to set where names are not those
    of the Object Detection API, and names an output that is not there or of no use.
    """
    if given.outputs is not None:
        roles = {role: _resolve(name, outputs) for role, name in outputs_by_role(given.outputs).items()}
        missing = [role for role in REQUIRED if role not in roles]
        if missing:
            raise DetectorError(
                f"outputs={given.outputs}: {' and '.join(missing)} missing; it has {list_outputs(outputs)}"
            )
    elif follows_the_api(outputs):
        roles = {role: name for role, name in API.items() if name in outputs}
    elif are_pyramid_levels(_known_shapes(outputs)):
        raise DetectorError(f"its outputs are {list_outputs(outputs)}. {LEVELS_ADVICE}")
    else:
        raise DetectorError(
            f"its outputs are {list_outputs(outputs)}, and not the {', '.join(API[role] for role in REQUIRED)} of the "
            f"TensorFlow Object Detection API; {_proposal(outputs)}"
        )
    _check(roles, outputs)
    return roles


def _known_shapes(outputs: Mapping[str, Any]) -> list[list[int]]:
    """Return shapes with 0 for a side that is open, and none of a tensor whose number of sides is."""
    shapes = (each.shape for each in outputs.values())
    return [[int(side or 0) for side in shape] if shape.rank is not None else [] for shape in shapes]


def _resolve(name: str, outputs: Mapping[str, Any]) -> str:
    """Return the output that a user means by a name or by its place."""
    if name in outputs:
        return name
    if name.isdecimal() and int(name) < len(outputs):
        return f"output_{name}" if f"output_{name}" in outputs else [*outputs][int(name)]
    raise DetectorError(f"outputs=: there is no output {name!r}; it has {list_outputs(outputs)}")


def _proposal(outputs: Mapping[str, Any]) -> str:
    found: dict[str, str] = {}
    for role, words in OUTPUT_WORDS.items():
        fits = (name for word in words for name in outputs if _has_word(name, word) and name not in found.values())
        name = next(fits, None)
        if name is not None:
            found[role] = name
    if set(REQUIRED) <= set(found):
        named = ",".join(f"{role}:{name}" for role, name in found.items())
        return f"if these are a list of detections, set --cropdet-detector outputs={named}"
    return (
        "set --cropdet-detector outputs=boxes:NAME,scores:NAME,classes:NAME if it has a list of detections; for any "
        "other write a function that returns Detections and name it as package.module:factory"
    )


def _has_word(name: str, word: str) -> bool:
    return f"_{word}_" in f"_{name.lower().replace('/', '_').replace(':', '_').replace('-', '_')}_"


def _check(roles: Mapping[str, str], outputs: Mapping[str, Any]) -> None:
    """Refuse outputs whose shapes cannot be those of a list of detections; unknown sides fit."""
    shapes = {role: outputs[name].shape for role, name in roles.items()}
    ranks = {role: shape.rank for role, shape in shapes.items()}
    boxes = shapes["boxes"]
    fits = boxes.rank is None or (boxes.rank in (2, 3) and boxes[-1] in (4, None))
    for role in ("scores", "classes"):
        fits = fits and (ranks[role] is None or boxes.rank is None or ranks[role] == boxes.rank - 1)
    if not fits:
        shown = ", ".join(f"{role} {roles[role]} {_shape(shapes[role])}" for role in REQUIRED)
        raise DetectorError(
            f"its outputs are {shown}; a list of detections has boxes [N, rows, 4], scores and classes [N, rows]"
        )


def list_outputs(outputs: Mapping[str, Any]) -> str:
    """Return outputs with their shapes, as messages show them."""
    return ", ".join(f"{name} {_shape(value.shape)}" for name, value in sorted(outputs.items())) or "none"


def _shape(shape: Any) -> str:
    if shape.rank is None:
        return "of unknown shape"
    return f"[{', '.join('N' if side is None else str(side) for side in shape)}]"


def read_count(counts: NDArray[Any], row: int, rows: int, name: str) -> int:
    """Return how many of an image's ``rows`` are detections; what cannot be a number of rows is a ``DetectorError``.

    >>> read_count(np.array([[2.0], [1.9999]], np.float32), 1, 100, "num_detections")
    2
    """
    given = float(np.ravel(counts)[row])
    if not (np.isfinite(given) and abs(np.rint(given) - given) < COUNT_SLACK and given > -COUNT_SLACK):
        raise DetectorError(
            f"its {name} is {given:g}, which is no number of rows; is another output the count? set --cropdet-detector "
            "outputs=boxes:NAME,scores:NAME,classes:NAME,count:NAME"
        )
    return min(round(given), rows)
