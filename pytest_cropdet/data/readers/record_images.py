"""Images as records of Python libraries have them: arrays, pictures of PIL, encoded bytes, paths."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.data.image_files import image_size, size_of_bytes
from pytest_cropdet.data.images import decode_image, read_image
from pytest_cropdet.errors import DataError
from pytest_cropdet.geometry import Image

__all__ = ["record_pixels", "record_size"]


def record_size(image: Any, where: str, *, channels_first: bool = False) -> tuple[int, int]:
    """Return width and height of an image; no pixel is decoded of what is a file, bytes or a picture of PIL."""
    image = _plain(image, where)
    if isinstance(image, bytes):
        return size_of_bytes(image, where)
    if isinstance(image, Path):
        return image_size(image)
    if _is_pil(image):
        width, height = image.size
        return int(width), int(height)
    array = _array(image, where, channels_first)
    return array.shape[1], array.shape[0]


def record_pixels(image: Any, where: str, *, channels_first: bool = False) -> Image:
    """Return the pixels of an image: RGB uint8 (height, width, 3). ``channels_first``: arrays are (3, h, w)."""
    image = _plain(image, where)
    if isinstance(image, bytes):
        return decode_image(image, where)
    if isinstance(image, Path):
        return read_image(image)
    if _is_pil(image):
        image, channels_first = image.convert("RGB"), False
    array = _array(image, where, channels_first)
    if array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
    return np.ascontiguousarray(array[:, :, :3])


def _plain(image: Any, where: str) -> Any:
    """Return bytes, a path, or what it is; a mapping is one of Hugging Face's images that are not decoded."""
    if isinstance(image, Mapping):
        image = image.get("bytes") or image.get("path")
    if isinstance(image, (str, os.PathLike)):
        return Path(image)
    if image is None:
        raise DataError(f"{where} has no image")
    return bytes(image) if isinstance(image, (bytearray, memoryview)) else image


def _is_pil(image: Any) -> bool:
    return hasattr(image, "convert") and hasattr(image, "getbands")


def _array(image: Any, where: str, channels_first: bool) -> NDArray[np.uint8]:
    try:
        array = np.asarray(image)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{where}: the image is no array: {error}") from error
    shape = array.shape
    if channels_first and array.ndim == 3:
        array = np.moveaxis(array, 0, 2)
    elif array.ndim == 2 and not channels_first:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or not array.size:
        wanted = "(3, height, width)" if channels_first else "(height, width, 3)"
        hint = "; numpy.moveaxis(image, 0, 2) makes it so" if len(shape) == 3 and shape[0] in (1, 3, 4) else ""
        raise DataError(f"{where}: the image has shape {shape}, expected {wanted}{hint}")
    if array.dtype == np.uint8:
        return array
    whole = array.dtype.kind in "iuf" and bool(np.isfinite(array).all()) and bool((array == np.rint(array)).all())
    if not whole or array.min() < 0 or array.max() > 255 or array.max() <= 1:
        low, high = (array.min(), array.max()) if array.dtype.kind in "iuf" else ("?", "?")
        raise DataError(
            f"{where}: the image is {array.dtype} with values {low} to {high}, expected uint8, 0 to 255; of 0 to 1: "
            "(image * 255).round().astype('uint8')"
        )
    return array.astype(np.uint8)
