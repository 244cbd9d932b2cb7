"""The pixels of a sample, checked: a data set of the user's own may fail, or answer with another picture."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from pytest_cropdet.data import Sample
from pytest_cropdet.errors import CropdetError, DataError
from pytest_cropdet.geometry import Image

__all__ = ["read_sample"]


def read_sample(sample: Sample, reading: AbstractContextManager[Any] | None = None) -> Image:
    """Return a sample's pixels; a data set of the user's own that fails, or answers with another picture, is named.

    ``reading``: taken for images that are no files, because what reads them may be no affair of several threads.
    """
    try:
        with nullcontext() if reading is None or sample.path is not None else reading:
            image = sample.image()
    except CropdetError:
        raise
    except Exception as error:
        raise DataError(f"sample {sample.id}: {type(error).__name__}: {error}") from error
    shape, kind = getattr(image, "shape", None), getattr(image, "dtype", type(image).__name__)
    if shape != (sample.height, sample.width, 3) or kind != np.uint8:
        raise DataError(
            f"sample {sample.id}: its image has shape {shape} and type {kind}; it should be RGB uint8 of shape "
            f"(height, width, 3) and {sample.width} x {sample.height} pixels"
        )
    return image
