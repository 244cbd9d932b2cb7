"""What detectors of other libraries take: recognised by their attributes, with nothing imported.

A function of the user's own takes RGB uint8 arrays (height, width, 3). What another library's object takes is known
from the library, or said by ``input``.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from pytest_cropdet.detectors.description import INPUT_FORMS, Description
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.geometry import Image

__all__ = ["Source", "as_detector"]

T = TypeVar("T")

SILENTLY_WRONG_ELSE = {"ultralytics": ("bgr", "pil"), "torchvision": ("chw01",)}  # inputs by library

SAY_INPUT = "--cropdet-detector input={choices}, an attribute `input`, or pytest_cropdet.as_detector(model, input=...)"


@dataclass(frozen=True, eq=False)
class Wrapped:
    """A function or a model with what is said of it; made by :func:`as_detector`."""

    function: Callable[[Any], Any]
    name: str | None = None
    input: str | None = None
    categories: Mapping[int, str] | None = None
    batch: int | None = None
    fingerprint: str | None = None
    max_detections: int | None = None

    def __call__(self, images: Any) -> Any:
        return self.function(images)


def as_detector(
    function: Callable[[Any], Any],
    *,
    input: str | None = None,  # noqa: A002  (the name of the attribute)
    categories: Mapping[int, str] | None = None,
    batch: int | None = None,
    fingerprint: str | None = None,
    max_detections: int | None = None,
    name: str | None = None,
) -> Wrapped:
    """Return ``function``, or the model of another library, with what is to be said of it.

    ``input``: what it takes of an image: ``rgb`` or ``bgr``, arrays (height, width, 3) of uint8; ``chw``, RGB arrays
    (3, height, width) of uint8; ``chw01``, the same as float32 of 0 to 1; ``pil``, images of Pillow. A torch module is
    given tensors of the type and device of its first parameter in place of ``chw`` and ``chw01`` arrays.
    The other arguments are the attributes of :class:`~pytest_cropdet.Detector`; ``None`` leaves the model's own.
    """
    if not callable(function):
        raise DetectorError(f"as_detector takes a function or a model; {type(function).__name__} cannot be called")
    called = name or attribute(function, "name") or attribute(function, "__name__") or type(function).__name__
    if input is not None:
        _check_form(input)
    Description.of(batch=batch)
    return Wrapped(
        function,
        str(called),
        input,
        categories,
        _own(function, "batch", int) if batch is None else batch,
        _own(function, "fingerprint", str) if fingerprint is None else fingerprint,
        _own(function, "max_detections", int) if max_detections is None else max_detections,
    )


def _check_form(form: str) -> None:
    if form not in INPUT_FORMS:
        raise DetectorError(f"input={form}: must be one of {', '.join(INPUT_FORMS)}, which a function may take")


def _own(function: Any, name: str, kind: type[T]) -> T | None:
    """Return an attribute as :class:`~pytest_cropdet.Detector` describes it; others of that name are not ours."""
    value = attribute(function, name)
    return value if isinstance(value, kind) else None


@dataclass(frozen=True, eq=False)
class Source:
    """A callable as a source of answers: what it is given for an image, and the names that its library has for it."""

    function: Callable[[Any], Any]
    input: str
    categories: Mapping[int, str] | None

    @classmethod
    def of(cls, function: Any, said: str | None = None) -> "Source":
        """Return how ``function`` is called; ``said``: what the description says of its input."""
        inner = function.function if isinstance(function, Wrapped) else function
        library = _library_of(inner)
        # a Keras model has an attribute `input`, too, which is a tensor
        said_of = (said, attribute(function, "input"), attribute(inner, "input"))
        own = next((each for each in said_of if isinstance(each, str)), None)
        chosen = own or (library.input if library is not None else "rgb")
        if chosen is None:
            raise DetectorError(
                f"{type(inner).__name__} has the metadata of a MAITE model, which takes (3, height, width); whether "
                f"pixels are 0 to 255 or 0 to 1 is not known. Set {SAY_INPUT.format(choices='chw|chw01')}"
            )
        _check_form(chosen)
        if library is not None:
            library.check(inner, chosen)
        given = attribute(function, "categories")
        given = attribute(inner, "categories") if given is None else given
        if given is None and library is not None:
            given = library.names
        return cls(function, chosen, given)

    def answers(self, pictures: Sequence[Image]) -> Any:
        """Return what the function answers; it is given copies of RGB ``pictures``, in the form that it takes."""
        inner = self.function.function if isinstance(self.function, Wrapped) else self.function
        given = [FORMS_OF_INPUT[self.input](picture) for picture in pictures]
        parameter = _parameter_of(inner) if self.input in ("chw", "chw01") else None
        if parameter is None:
            return self.function(given)
        with _without_gradients(parameter):
            return self.function([parameter.new_tensor(each) for each in given])


@dataclass(frozen=True, slots=True)
class _Library:
    """A library by its attributes: what its detectors take (``None``: it does not say), and their names."""

    name: str
    input: str | None
    names: Mapping[int, str] | None = None

    def check(self, model: Any, chosen: str) -> None:
        """Refuse what the library would read wrongly, or not at all."""
        right = SILENTLY_WRONG_ELSE.get(self.name, (chosen,))
        if chosen not in right:
            why = "NumPy arrays as BGR" if self.name == "ultralytics" else "values of 0 to 1"
            raise DetectorError(
                f"input={chosen}: a model of {self.name} takes {why}; set input={' or input='.join(right)}"
            )
        if self.name == "torchvision" and attribute(model, "training") is True:
            raise DetectorError(
                f"{type(model).__name__} is in training mode, where it answers losses: call model.eval()"
            )


def _library_of(function: Any) -> _Library | None:
    """Return the library of a detector whose attributes show one."""
    names, task = attribute(function, "names"), attribute(function, "task")
    if isinstance(task, str) and isinstance(names, Mapping) and callable(attribute(function, "predict")):
        return _Library("ultralytics", "bgr", _numbered(names))
    if task == "object-detection":
        config = attribute(attribute(function, "model"), "config")
        return _Library("transformers", "pil", _numbered(attribute(config, "id2label")))
    transform = attribute(function, "transform")
    if all(isinstance(attribute(transform, name), list | tuple) for name in ("image_mean", "image_std", "min_size")):
        return _Library("torchvision", "chw01")
    metadata = attribute(function, "metadata")
    if isinstance(metadata, Mapping) and "id" in metadata and not _is_ours(function):
        return _Library("MAITE", None, _numbered(metadata.get("index2label")))
    return None


def _is_ours(function: Any) -> bool:
    """Whether an object was written for this package: its categories are ours, so its pictures are, too."""
    return isinstance(attribute(function, "categories"), Mapping)


def attribute(thing: Any, name: str) -> Any:
    """Return an attribute, ``None`` where there is none or reading it fails, as of a Keras layer never called."""
    try:
        return getattr(thing, name, None)
    except Exception:  # of another library, about its own state
        return None


def _numbered(names: Any) -> dict[int, str] | None:
    """Return names by number, ``None`` of what is no such mapping."""
    if not isinstance(names, Mapping) or not names:
        return None
    try:
        return {int(number): str(name) for number, name in names.items()}
    except (TypeError, ValueError):
        return None


def _parameter_of(model: Any) -> Any:
    """Return the first parameter of a torch module, which can make tensors like itself; ``None`` of anything else."""
    parameters = attribute(model, "parameters")
    first = next(iter(parameters()), None) if callable(parameters) else None
    return first if callable(attribute(first, "new_tensor")) else None


def _without_gradients(parameter: Any) -> AbstractContextManager[Any]:
    """Return the context in which the parameter's framework, loaded already, keeps nothing for gradients."""
    framework = sys.modules.get(type(parameter).__module__.partition(".")[0])
    switch = attribute(framework, "no_grad")
    context: AbstractContextManager[Any] = switch() if callable(switch) else nullcontext()
    return context


def _pil(picture: Image) -> Any:
    try:
        from PIL import Image as pillow  # noqa: N813
    except ImportError as error:
        raise DetectorError(f"input=pil needs Pillow ({error}): pip install pillow") from error
    return pillow.fromarray(np.array(picture, order="C"))


def _chw(picture: Image) -> Any:
    return np.array(picture.transpose(2, 0, 1), order="C")


# Each makes a copy: what a detector writes into it changes no image, and no crop of it.
FORMS_OF_INPUT: Mapping[str, Callable[[Image], Any]] = {
    "rgb": lambda picture: np.array(picture, order="C"),
    "bgr": lambda picture: np.array(picture[:, :, ::-1], order="C"),
    "chw": _chw,
    "chw01": lambda picture: _chw(picture).astype(np.float32) / np.float32(255.0),
    "pil": _pil,
}
