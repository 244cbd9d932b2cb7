"""One call of a detector: whatever ends it badly becomes an error of ours that names the images."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from pytest_cropdet.data import Detections
from pytest_cropdet.errors import CropdetError, DetectorError, DetectorTimeoutError

__all__ = ["MOST_OF_ONE_IMAGE", "of_image", "one_call"]

MOST_OF_ONE_IMAGE = 50_000  # detections of one image; the raw output of a large YOLO has 25,200 rows
SKIPS = {"Skipped": "skip", "XFailed": "xfail"}  # what pytest raises, and the function that does
LEFT_BEHIND = 70  # exit code of a child process that a detector let run on


class _AtImageError(Exception):
    """What is wrong with the answer to one image of a batch; the cause is the error itself."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place


@contextmanager
def of_image(place: int) -> Iterator[None]:
    """Let an error inside the context name only the image at this place of the batch."""
    try:
        yield
    except Exception as error:
        raise _AtImageError(place) from error


def one_call(
    detect: Callable[[], list[Detections]],
    detector: str,
    names: Sequence[str],
    images: int,
) -> list[Detections]:
    """Return the detections of one batch of ``images``, one an image; ``names`` is what an error calls them.

    ``DetectorError`` for whatever ``detect`` raises, ``sys.exit`` and ``pytest.skip`` included, for another number of
    answers, and for more than ``MOST_OF_ONE_IMAGE`` detections of an image. An error of ours keeps its kind. A child
    process that the detector starts by ``os.fork`` and does not end is ended here: the session goes on once, not twice.
    """
    process = os.getpid()
    try:
        found = detect()
    except KeyboardInterrupt:
        raise
    except _AtImageError as error:
        where = names[error.place : error.place + 1] if len(names) == images else names
        _raise(error.__cause__ or error, detector, where)
    except BaseException as error:
        _raise(error, detector, names)
    finally:
        if os.getpid() != process:
            os._exit(LEFT_BEHIND)
    if len(found) != images:
        raise DetectorError(
            f"{detector} was given {images} images ({_listed(names)}) and answered {len(found)}; "
            "if it takes one image per call, set --cropdet-detector batch=1"
        )
    for place, each in enumerate(found):
        if len(each) > MOST_OF_ONE_IMAGE:
            where = names[place : place + 1] if len(names) == images else names
            raise DetectorError(
                f"{detector} returned {len(each):,} detections in {_listed(where)}; at most {MOST_OF_ONE_IMAGE:,} per "
                "image are read. Return the best ones, after NMS: AP counts 100 per image and category"
            )
    return found


def _raise(error: BaseException, detector: str, names: Sequence[str]) -> NoReturn:
    """Raise an error of ours with the images in it."""
    if isinstance(error, CropdetError):
        cause = None if isinstance(error, DetectorTimeoutError) else error  # which has nothing to add
        raise type(error)(f"{detector}, {_listed(names)}: {error}") from cause
    kind = type(error).__name__
    text = f"{detector} failed on {_listed(names)}: "
    if isinstance(error, SystemExit):
        text += f"it called sys.exit({'' if error.code is None else repr(error.code)}); raise an error instead"
    elif kind in SKIPS and type(error).__module__ in ("builtins", "_pytest.outcomes"):
        text += (
            f"it called pytest.{SKIPS[kind]}: {error}. A gate without a result is not skipped; skip in the test or "
            "in a fixture, before the detector is called"
        )
    else:
        text += f"{kind}: {error}"
    if len(names) > 1:
        text += "\n  To find which of these images it is: --cropdet-detector batch=1"
    raise DetectorError(text) from error


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "an image"
