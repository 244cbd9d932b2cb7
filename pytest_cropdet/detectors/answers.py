"""What functions answer for one image, in the forms of several libraries, read as detections.

A form is recognised by its attributes and keys; no library is imported. All mean boxes ``x0 y0 x1 y1`` in pixels of
the image. What a form leaves open is never guessed: the error says what to return or to set.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data import Detections
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.geometry import Image

__all__ = ["ANSWER_FORMS", "as_array", "read_answer"]

CLASS_KEYS = ("labels", "classes", "categories")  # of a dict, the first of them that it has
CORNERS = ("xmin", "ymin", "xmax", "ymax")
FEW = 5  # names that a message lists
ANSWER_FORMS = (
    "Detections, a dict or an object with boxes, scores and labels, a tuple (boxes, scores, classes), an ultralytics "
    "result, a supervision Detections, or a list of {score, label, box: {xmin, ymin, xmax, ymax}}"
)
SAY_NAMES = (
    "give it an attribute `categories` = {0: 'first name', ...}, wrap it with pytest_cropdet.as_detector(function, "
    "categories=...), or set --cropdet-detector labels=FILE"
)


@dataclass(frozen=True, slots=True)
class _Rows:
    """An image's answer as columns; ``numbers`` or ``names`` of the categories, or both; ``form`` for messages."""

    form: str
    boxes: Any
    scores: Any
    numbers: Any = None
    names: Sequence[Any] | None = None


def read_answer(answer: Any, picture: Image, categories: Mapping[int, str] | None) -> Detections:
    """Return what ``answer`` says of ``picture`` (RGB, as it was prepared) as detections.

    ``categories``: names by id, where the detector has them. Names in an answer become ids by them, and where an answer
    has both, name and id must agree.

    >>> read_answer({"boxes": [[1, 2, 3, 4]], "scores": [0.5], "labels": ["cat"]}, np.zeros((9, 9, 3)), {7: "cat"})
    Detections(boxes=[[1.0, 2.0, 3.0, 4.0]], scores=[0.5], categories=[7])
    """
    if isinstance(answer, Detections):
        return answer
    rows = _rows_of(answer, picture)
    boxes = as_array(rows.boxes)
    names = None if rows.names is None else [str(name) for name in rows.names]
    numbers = None
    if rows.numbers is not None:
        given = as_array(rows.numbers)
        if given.dtype.kind in "USO":
            names = [str(name) for name in given.tolist()]
        else:
            numbers = given
    if numbers is None:
        numbers = _ids_of(rows.form, names or [], categories)
    elif names is not None:
        _check_names(rows.form, numbers, names, categories)
    return Detections(boxes, as_array(rows.scores), numbers)


def as_array(values: Any) -> NDArray[Any]:
    """Return an array of any library (torch, TensorFlow, JAX, CuPy, lists of numbers) as NumPy's.

    >>> as_array([1, 2])
    array([1, 2])
    """
    if isinstance(values, np.ndarray):
        return values
    if callable(getattr(values, "detach", None)):  # torch, wherever it is, with gradients or not
        values = values.detach().cpu()
        try:
            return np.asarray(values.numpy())
        except TypeError:  # bfloat16, which NumPy does not have
            return np.asarray(values.float().numpy())
    if hasattr(values, "__array__") or not hasattr(values, "__dlpack__"):
        with suppress(TypeError):  # CuPy refuses an implicit copy, and has get()
            return np.asarray(values)
    if callable(getattr(values, "get", None)):
        return np.asarray(values.get())
    return np.from_dlpack(values)


def _rows_of(answer: Any, picture: Image) -> _Rows:
    """Return the columns of an answer by the form that it has."""
    if isinstance(answer, Mapping):
        return _of_mapping(answer)
    if hasattr(answer, "boxes") and hasattr(answer, "names") and not hasattr(answer, "scores"):
        return _of_ultralytics(answer, picture)
    if all(hasattr(answer, name) for name in ("xyxy", "confidence", "class_id")):
        return _of_supervision(answer)
    if all(hasattr(answer, name) for name in ("boxes", "scores", "labels")):
        numbers = as_array(answer.labels)
        return _Rows("object", answer.boxes, _scores_of_labels(as_array(answer.scores), numbers), numbers)
    if isinstance(answer, list | tuple):
        if all(isinstance(each, Mapping) for each in answer):
            return _of_pipeline(answer)
        if len(answer) == 3:
            boxes, scores, classes = answer
            return _Rows("tuple", boxes, scores, classes)
    raise DetectorError(
        f"must return Detections for each image, not {type(answer).__name__}; it may return {ANSWER_FORMS}"
    )


def _of_mapping(answer: Mapping[Any, Any]) -> _Rows:
    """Read a dict of arrays, as of torchvision and of ``post_process_object_detection`` of transformers."""
    classes = next((key for key in CLASS_KEYS if key in answer), None)
    missing = [key for key in ("boxes", "scores") if key not in answer] + ["labels"] * (classes is None)
    if missing:
        raise DetectorError(
            f"must return Detections for each image, not a dict with {_listed(answer)}: {' and '.join(missing)} "
            "missing; a dict needs boxes (x0 y0 x1 y1 in pixels of the image), scores and labels"
        )
    return _Rows("dict", answer["boxes"], answer["scores"], answer[classes])


def _of_ultralytics(answer: Any, picture: Image) -> _Rows:
    """Read a result of ultralytics, and refuse one of an image whose channels were swapped."""
    taken = getattr(answer, "orig_img", None)
    if isinstance(taken, np.ndarray) and np.array_equal(taken, picture) and not np.array_equal(taken, taken[..., ::-1]):
        raise DetectorError(
            "ultralytics takes NumPy arrays as BGR, and was given RGB, so red and blue were swapped. Give it "
            "image[..., ::-1] or PIL.Image.fromarray(image), or return the model itself: it is then given BGR"
        )
    boxes = answer.boxes
    if not all(hasattr(boxes, name) for name in ("xyxy", "conf", "cls")):
        more = " (oriented boxes are not supported)" if getattr(answer, "obb", None) is not None else ""
        raise DetectorError(f"the ultralytics result has no boxes{more}; a model of task 'detect' returns them")
    numbers, known = as_array(boxes.cls), _by_number(answer.names)
    names = [known.get(int(number), f"number {int(number)}") for number in numbers]
    return _Rows("ultralytics result", boxes.xyxy, boxes.conf, numbers, names)


def _of_supervision(answer: Any) -> _Rows:
    """Read a ``Detections`` of supervision."""
    data = getattr(answer, "data", None)
    names = data.get("class_name") if isinstance(data, Mapping) else None
    if len(answer.xyxy) == 0:
        return _Rows("supervision Detections", answer.xyxy, [], [])
    if answer.confidence is None:
        raise DetectorError("the supervision Detections have no confidence; AP needs a score for each box")
    if answer.class_id is None and names is None:
        raise DetectorError("the supervision Detections have neither class_id nor data['class_name']")
    return _Rows("supervision Detections", answer.xyxy, answer.confidence, answer.class_id, names)


def _of_pipeline(answer: Sequence[Mapping[Any, Any]]) -> _Rows:
    """Read what an object-detection pipeline of transformers returns for an image; an empty list is nothing found."""
    for place, row in enumerate(answer):
        box = row.get("box")
        if "score" not in row or "label" not in row or not isinstance(box, Mapping) or not set(CORNERS) <= set(box):
            raise DetectorError(
                f"must return Detections for each image, not a list of dicts of which the one at {place} has "
                f"{_listed(row)}; one detection is a dict {{score, label, box: {{xmin, ymin, xmax, ymax}}}}"
            )
    boxes = np.array([[float(row["box"][side]) for side in CORNERS] for row in answer]).reshape(-1, 4)
    scores = np.array([float(row["score"]) for row in answer])
    return _Rows("list of dicts", boxes, scores, None, [row["label"] for row in answer])


def _scores_of_labels(scores: NDArray[Any], labels: NDArray[Any]) -> NDArray[Any]:
    """Return one score a detection: of scores (n, categories), as MAITE allows, that in the column of its label."""
    if scores.ndim != 2 or scores.shape[0] != labels.size or labels.ndim != 1:
        return scores
    count, columns = scores.shape
    if not count:
        return np.zeros(0)
    numbers = labels.astype(np.int64)
    inside = (numbers >= 0) & (numbers < columns)
    if not inside.all() or not (scores.argmax(axis=1) == numbers).any():
        raise DetectorError(
            f"its scores have {columns} columns, and no label is the number of its highest column, counted from 0 "
            f"(label {int(numbers[0])}, highest column {int(scores[0].argmax())}). Return scores of shape (n,), that "
            "of each label"
            if inside.all()
            else f"its scores have {columns} columns, and a label is {int(numbers[~inside][0])}; labels count the "
            "columns from 0. Return scores of shape (n,), that of each label"
        )
    return np.asarray(scores[np.arange(count), numbers])


def _ids_of(form: str, names: Sequence[str], categories: Mapping[int, str] | None) -> NDArray[np.int64]:
    """Return the ids of categories that an answer gives by name alone."""
    if not names:
        return np.zeros(0, np.int64)
    if categories is None:
        raise DetectorError(
            f"its {form} has names for categories ({_listed(names)}) and the detector does not say which id each name "
            f"has; {SAY_NAMES}"
        )
    ids: dict[str, list[int]] = {}
    for number, name in categories.items():
        ids.setdefault(_plain(name), []).append(int(number))
    found = []
    for name in names:
        fits = ids.get(_plain(name), [])
        if len(fits) != 1:
            why = "is not among" if not fits else f"is the name of {len(fits)} ids of"
            raise DetectorError(
                f"its {form} has the category {name!r}, which {why} the detector's categories "
                f"({_listed(categories.values())}); correct them: {SAY_NAMES}"
            )
        found.append(fits[0])
    return np.array(found, np.int64)


def _check_names(form: str, numbers: NDArray[Any], names: Sequence[str], categories: Mapping[int, str] | None) -> None:
    """Refuse names beside numbers that the detector's categories do not have, or have otherwise."""
    if len(names) != numbers.size:
        raise DetectorError(f"its {form} has {numbers.size} categories and {len(names)} names")
    if not names:
        return
    pairs = dict(zip(map(int, np.ravel(numbers)), names, strict=True))
    shown = _listed(f"{number} {name}" for number, name in sorted(pairs.items()))
    if categories is None:
        raise DetectorError(
            f"its {form} has names for its numbers ({shown}) and the detector has none, so they would be taken for the "
            f"data set's ids; {SAY_NAMES}"
        )
    for number, name in pairs.items():
        if _plain(categories.get(number, "")) != _plain(name):
            known = f"{categories[number]!r}" if number in categories else "no name"
            raise DetectorError(
                f"its {form} calls category {number} {name!r}, and the detector's categories have {known} for "
                f"{number}; correct them (with --cropdet-detector labels=..., first_category=0 where they count from 0)"
            )


def _by_number(names: Any) -> dict[int, str]:
    """Return names by number, of a mapping or a list."""
    pairs = names.items() if isinstance(names, Mapping) else enumerate(names)
    return {int(number): str(name) for number, name in pairs}


def _plain(name: str) -> str:
    return str(name).strip().casefold()


def _listed(names: Any) -> str:
    different = list(dict.fromkeys(map(str, names)))
    more = ", ..." if len(different) > FEW else ""
    return ", ".join(different[:FEW]) + more if different else "nothing"
