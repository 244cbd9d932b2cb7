"""The adapter of a user's own function: a list of images in, an answer for each out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_cropdet.data import Detections
from pytest_cropdet.detectors.answers import read_answer
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.libraries import Source
from pytest_cropdet.detectors.one_call import of_image
from pytest_cropdet.detectors.resize import Frame, PreparedImage
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.geometry import Image

__all__ = ["CallableAdapter"]


class CallableAdapter:
    """A user's own callable: a list of images in, an answer for each out, in one of the forms of ``answers``."""

    fixed_input = False
    is_function = True  # its code may be tied to the thread that made it

    def __init__(self, function: Callable[..., Any], description: Description) -> None:
        self._source = Source.of(function, description.input)
        batch = description.batch or getattr(function, "batch", None) or 1
        self.batch = int(batch)
        self.categories = self._source.categories
        self.max_detections = getattr(function, "max_detections", None)
        self.fingerprint = getattr(function, "fingerprint", None)
        self.description = description

    def input_shape(self, width: int, height: int) -> tuple[int, int]:
        return height, width

    def prepare(self, image: Image) -> PreparedImage:
        height, width = image.shape[:2]
        return PreparedImage(image, Frame(width, height, width, height))

    def detect(self, inputs: Sequence[PreparedImage]) -> list[Detections]:
        pictures = [prepared.pixels for prepared in inputs]
        answer = self._source.answers(pictures)
        if isinstance(answer, Mapping) or not isinstance(answer, Iterable):
            raise DetectorError(f"must return a list of Detections, one an image, not {type(answer).__name__}")
        answers = list(answer)
        if len(answers) != len(pictures):
            return answers  # whose number the handle refuses
        found = []
        for place, (each, picture) in enumerate(zip(answers, pictures, strict=True)):
            with of_image(place):
                found.append(read_answer(each, picture, self.categories))
        first = self.description.first_category
        if self.categories is None and first is not None:  # as of any detector without names
            found = [replace(each, categories=each.categories - first + 1) for each in found]
        most = self.max_detections
        return [replace(each, capped=each.capped or (most is not None and len(each) >= most)) for each in found]
