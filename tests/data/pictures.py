"""Pictures and data sets as files, written byte by byte where a library would tidy up.

Used by the tests of data/, by those of causes/ and inference/ that need files, and by docs/make_pictures.py.
"""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np


def encoded(pixels: np.ndarray, suffix: str = ".png", *options: int) -> bytes:
    """RGB, grayscale or RGBA pixels as a file's bytes."""
    if pixels.ndim == 3:
        pixels = pixels[:, :, [2, 1, 0, 3][: pixels.shape[2]]]
    done, data = cv2.imencode(suffix, np.ascontiguousarray(pixels), list(options))
    assert done
    return data.tobytes()


def quadrants(width: int = 48, height: int = 32) -> np.ndarray:
    """A picture whose four quarters have four colours, so that every turn and mirror of it looks different."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = (250, 10, 10)
    pixels[: height // 2, width // 2 :] = (10, 250, 10)
    pixels[height // 2 :, : width // 2] = (10, 10, 250)
    pixels[height // 2 :, width // 2 :] = (250, 250, 250)
    return pixels


def with_exif(jpeg: bytes, orientation: int, thumbnail: bytes = b"") -> bytes:
    """A JPEG with an EXIF block that says how it was held, and a preview such as cameras put there."""
    tags = struct.pack("<H HHI HH I", 1, 0x0112, 3, 1, orientation, 0, 0)
    block = b"Exif\0\0" + b"II*\0" + struct.pack("<I", 8) + tags + thumbnail
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def palette_png(indices: np.ndarray, palette: list[tuple[int, int, int]], transparent: int | None = None) -> bytes:
    """A PNG of colour type 3, one byte a pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = indices.shape
    rows = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in indices)
    alpha = [] if transparent is None else [chunk(b"tRNS", bytes([255] * transparent + [0]))]
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            chunk(b"PLTE", b"".join(bytes(colour) for colour in palette)),
            *alpha,
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND", b""),
        ]
    )


def coco(**changes: Any) -> dict[str, Any]:
    """A data set of two pictures of 48 x 32 and three objects, with changes to it."""
    content: dict[str, Any] = {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 48, "height": 32},
            {"id": 3, "file_name": "b.png", "width": 48, "height": 32},
        ],
        "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
        "annotations": [
            {"id": 30, "image_id": 7, "category_id": 1, "bbox": [1.5, 2, 10, 20.25], "area": 150.5, "iscrowd": 0},
            {"id": 10, "image_id": 7, "category_id": 18, "bbox": [40, 20, 8, 12], "iscrowd": 1},
            {"id": 20, "image_id": 3, "category_id": 1, "bbox": [0, 0, 48, 32]},
        ],
    }
    return {**content, **changes}


def write_set(folder: Path, content: Any = None, images: str = ".") -> Path:
    """A COCO JSON and the pictures it lists, in a folder of their own or beside it."""
    content = coco() if content is None else content
    for entry in content["images"]:
        target = folder / images / entry["file_name"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(encoded(quadrants(entry["width"], entry["height"])))
    path = folder / "instances.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
