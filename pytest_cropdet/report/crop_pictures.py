"""Pictures of crops: JPEG in base64 on the page, or as files beside it; and the fill of the renderings."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from pytest_cropdet.causes import fill_image
from pytest_cropdet.errors import CropdetError
from pytest_cropdet.gate import Run
from pytest_cropdet.geometry import Crop, Image

__all__ = ["PICTURES", "PictureSize", "embedded_pictures", "jpeg_bytes", "remove_unused", "write_pictures"]

PICTURES = "pictures"  # the folder beside the page
MOST_BESIDE = 5_000  # crops of a gate with pictures in files
LARGEST = 1600  # longest side in a file, in pixels
QUALITY = 76
_OWN_FOLDER, _OWN_PICTURE = re.compile(r"[0-9a-f]{12}"), re.compile(r"(crop|image)-\d+\.jpg")
FILL_CELLS = 8  # a fill as small as that looks the same when it is enlarged: a colour, or a blur of 8 x 8 cells


class PictureSize:
    """Longest sides of pictures on the page, in pixels."""

    WORST = (440, 480)  # of whole image and crop
    EXAMPLE = (360, 360)


def embedded_pictures(read: Any, crop: Crop, sides: tuple[int, int], fill: str | None) -> dict[str, str] | None:
    """Return ``whole`` and ``crop`` as base64 JPEG, ``fill`` as a tiny PNG; ``None`` if the image cannot be read."""
    try:
        image: Image = read()
        found = {"whole": _base64(jpeg_bytes(image, sides[0])), "crop": _base64(jpeg_bytes(crop.of(image), sides[1]))}
        if fill is not None:
            found["fill"] = _base64(_encoded(".png", _tiny(fill_image(image, fill)), []))
    except (CropdetError, OSError, ValueError):
        return None
    return found


def write_pictures(
    folder: Path, run: Run, places: Sequence[int], files: Sequence[int], token: str = ""
) -> dict[str, Any]:
    """Write the pictures of crops below ``folder``, and return how the page finds them.

    ``places``: crops as places in the plan, ``files``: of each the place of its image in the table's list of files. A
    crop's picture is ``base + "crop-<place>.jpg"``, an image's ``base + "image-<file>.jpg"``; ``done`` are the places
    of those that were written. ``token``: tells gates of one name apart. ``OSError`` if the folder cannot be written.
    """
    index = run.objects.index
    name = hashlib.sha256(f"{token}\n{run.name}".encode("utf-8", "backslashreplace")).hexdigest()[:12]
    target = folder / PICTURES / name
    target.mkdir(parents=True, exist_ok=True)
    for old in target.iterdir():
        if _OWN_PICTURE.fullmatch(old.name):
            old.unlink()
    done = []
    by_file: dict[int, list[int]] = {}
    for place, file in zip(places[:MOST_BESIDE], files, strict=False):
        by_file.setdefault(file, []).append(place)
    for file, own in by_file.items():
        try:
            image: Image = index.samples[index.unit[own[0]]].image()
            pictures = {f"crop-{place}.jpg": jpeg_bytes(index.crops[place].of(image), LARGEST) for place in own}
            pictures[f"image-{file}.jpg"] = jpeg_bytes(image, LARGEST)
        except (CropdetError, ValueError):
            continue
        for file_name, content in pictures.items():
            (target / file_name).write_bytes(content)
        done += own
    return {"base": f"{PICTURES}/{name}/", "done": sorted(done)}


def remove_unused(folder: Path, used: Sequence[Mapping[str, Any] | None]) -> None:
    """Remove the pictures beside a page that earlier runs wrote and that it does not use; nothing else is touched.

    ``used``: what :func:`write_pictures` returned for each gate of the page, ``None`` for a gate without.
    """
    kept = {Path(each["base"]).name for each in used if each}
    with suppress(OSError):
        for other in (folder / PICTURES).iterdir():
            if other.name not in kept and _OWN_FOLDER.fullmatch(other.name) and other.is_dir():
                for picture in other.iterdir():
                    if _OWN_PICTURE.fullmatch(picture.name):
                        picture.unlink()
                other.rmdir()


def jpeg_bytes(image: Image, longest: int = LARGEST) -> bytes:
    """Return a picture as JPEG, made smaller where it is larger than ``longest`` pixels."""
    import cv2

    height, width = image.shape[:2]
    share = min(1.0, longest / max(height, width))
    size = (max(1, round(width * share)), max(1, round(height * share)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA) if share < 1 else image, dtype=np.uint8)
    return _encoded(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def _tiny(image: Image) -> Image:
    import cv2

    if (image == image[:1, :1]).all():
        return image[:1, :1]
    return np.asarray(cv2.resize(image, (FILL_CELLS, FILL_CELLS), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _encoded(kind: str, image: Image, how: list[int]) -> bytes:
    import cv2

    done, content = cv2.imencode(kind, np.ascontiguousarray(image[:, :, ::-1]), how)
    if not done:
        raise ValueError(f"a picture could not be written as {kind}")
    return bytes(content.tobytes())


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
