"""The table of quirks in docs/data.md: each row has cases here, which end as the row says."""

from __future__ import annotations

import io
import json
import os
import re
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pictures

from pytest_cropdet.data import load_dataset
from pytest_cropdet.data.data_warnings import WARNING_KINDS, DataWarning
from pytest_cropdet.data.image_headers import png_without_animation
from pytest_cropdet.errors import DataError
from pytest_cropdet.geometry import Mask
from tests.data.pictures import coco, encoded, palette_png, quadrants, with_exif, write_set
from tests.data.test_data_quirks import POINTER, boxes_alone, many

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
ACCEPTED, REFUSED = "accepted", "refused"


def rows_of(page: str) -> dict[str, str]:
    """What the table says is done, by what is found."""
    lines = page.partition("| what is found | what is done |\n|---|---|\n")[2].splitlines()
    rows = {}
    for line in lines:
        if not line.startswith("| "):
            break
        found, done = line.strip("| ").split(" | ")
        rows[found] = done
    return rows


ROWS = rows_of(PAGE)
CASES: list[tuple[str, str, object]] = []


def case(begins: str, ends: str):
    """A function that writes a set into a folder and returns its JSON, or that and options: a case of a row."""

    def keep(function):
        CASES.append((begins, ends, function))
        return function

    return keep


def edited(begins: str, ends: str, **values: object) -> None:
    """A case that differs from a sound set in values of its first annotation."""

    def write(folder):
        content = boxes_alone()
        content["annotations"][0].update(values)
        path = write_set(folder)
        return rewrite(path, content)

    write.__name__ = "_".join([*values, *(f"{str(each)[:20]}" for each in values.values())])
    case(begins, ends)(write)


def rewrite(path: Path, content: object) -> Path:
    """Write images of a set, and its JSON with what json.dumps lets through."""
    write_set(path.parent, content)
    return path


def with_image(data: bytes, name: str = "a.png", width: int = 48, height: int = 32):
    """A set whose one image is these bytes."""

    def write(folder):
        images = [{"id": 1, "file_name": name, "width": width, "height": height}]
        path = folder / "instances.json"
        path.write_text(json.dumps(coco(images=images, annotations=[])))
        (folder / name).write_bytes(data)
        return path

    return write


def changed(begins: str, ends: str, change, base=boxes_alone, **options) -> None:
    """A case that is a change of a sound set."""

    def write(folder):
        content = base()
        change(content)
        return write_set(folder, content), options

    write.__name__ = getattr(change, "__name__", "change")
    case(begins, ends)(write)


def renamed(begins: str, ends: str, there: str, said: str, other: str = "b.png", **options) -> None:
    """A case in which the file of an image has another name than the JSON says."""

    def write(folder):
        path = write_set(folder, coco())
        (folder / there).parent.mkdir(parents=True, exist_ok=True)
        (folder / "a.png").rename(folder / there)
        (folder / "b.png").rename(folder / other)
        content = coco()
        content["images"][0]["file_name"], content["images"][1]["file_name"] = said, "b.png"
        path.write_text(json.dumps(content))
        return path, options

    write.__name__ = f"{there}_{said}"
    case(begins, ends)(write)


for key in ("iscrowd", "area", "segmentation"):
    changed(
        "`iscrowd`, `area`",
        ACCEPTED,
        lambda content, key=key: [each.pop(key) for each in content["annotations"]],
        many,
    )
changed("`iscrowd`, `area`", ACCEPTED, lambda content: None)
for empty in ([], None):
    edited("`segmentation` that is `[]`", ACCEPTED, segmentation=empty)
LEFT = {"size": [120, 160], "counts": [0, 100, 19100]}
WHOLE = {"size": [120, 160], "counts": Mask.encode(np.ones((120, 160))).counts.decode()}
edited("`segmentation` as a run", ACCEPTED, bbox=[0, 0, 1, 100], segmentation=LEFT)
edited("`segmentation` as a run", ACCEPTED, bbox=[0, 0, 160, 120], segmentation=WHOLE)
for wrong in ([[]], [5, 5, 20, 5, 20, 30], [[5, 5, 20, 30]]):
    edited("`segmentation` that is `[[]]`", "mask_shape", segmentation=wrong)
for wrong in (
    [[5, 5, 1e8, 5, 20, 30]],
    {"size": [160, 120], "counts": [0, 19200]},
    {"size": [120, 160], "counts": [0, 2**40]},
):
    edited("polygon more than ten", REFUSED, segmentation=wrong)


def far_mask(content):
    content["annotations"][1]["segmentation"] = [[150, 110, 159, 110, 159, 119]]


def far_masks(content):
    for each in content["annotations"]:
        each["segmentation"] = [[150, 110, 159, 110, 159, 119]]


def large_areas(content):
    for each in content["annotations"]:
        each["area"] *= 4


def all_crowds(content):
    for each in content["annotations"]:
        each.update(iscrowd=1, category_id=1)


changed("mask that overlaps", "mask_scale", far_mask, many)
changed("mask that overlaps", "mask_scale_all", far_masks, many)
changed("area above 1.5", "area", large_areas, many)
changed("nine tenths", "crowds", all_crowds, many)
for text in ("0", "1", "true", "false"):
    edited("`iscrowd` as text", ACCEPTED, iscrowd=text)
edited("`iscrowd` as text", REFUSED, iscrowd="maybe")
for values in ({"id": "x1"}, {"id": "7"}, {"image_id": "1"}, {"category_id": "1"}, {"id": 7.5}, {"image_id": 2**70}):
    edited("ids, sizes, areas", REFUSED, **values)
edited("ids, sizes, areas", ACCEPTED, id=7777.0, image_id=1.0, category_id=1.0)


def from_0(content):
    for table in ("images", "categories", "annotations"):
        for each in content[table]:
            each["id"] -= 1
    for each in content["annotations"]:
        each["image_id"] -= 1
        each["category_id"] -= 1


def same_id(content):
    content["annotations"][1]["id"] = content["annotations"][0]["id"]


def same_name(content):
    content["categories"] = [{"id": n, "name": "red" if n < 3 else "x"} for n in (1, 2, 3)]


def same_name_unused(content):
    content["categories"] += [{"id": 9, "name": "red"}]


def supercategory(content):
    content["categories"][:0] = [{"id": 0, "name": "colours", "supercategory": "none"}, {"id": 5, "name": "unused"}]


def same_file_name(content):
    content["images"][1]["file_name"] = content["images"][0]["file_name"]


def same_file(content):
    content["images"][1]["file_name"] = "./" + content["images"][0]["file_name"]


changed("ids of images, categories", ACCEPTED, from_0)
edited("annotation of an image", REFUSED, image_id=999)
edited("annotation of an image", REFUSED, category_id=999)
changed("annotation of an image", REFUSED, same_id)
changed("two categories of one name", REFUSED, same_name)
changed("two categories of one name", ACCEPTED, same_name_unused)
changed("category without annotations", ACCEPTED, supercategory)
changed("one `file_name`", REFUSED, same_file_name)
changed("one `file_name`", REFUSED, same_file)
for name in ("x/y/a.png", "a b.png", "ä 猫.png", "a%20b.png", "#?&.png"):
    renamed("`file_name` with folders", ACCEPTED, name, name)
for there, said in (("x/a.png", "x\\a.png"), ("a b.png", "a%20b.png"), ("x/ä.png", "x%2F%C3%A4.png")):
    renamed("`file_name` with backslashes", ACCEPTED, there, said)
for there, said in (("A.PNG", "a.png"), ("a.png", "A.png"), ("a.PNG", "a.jpg"), ("Train/a.png", "train/a.png")):
    renamed("`file_name` in another case", "other_image_name", there, said)
renamed("`file_name` in another case", REFUSED, "A.PNG", "a.png", "a.pNg")
renamed("`file_name` in another case", REFUSED, "b.jpg", "B.png", "b.png")
renamed("`file_name` with `..`", ACCEPTED, "x/a.png", "y/../x/a.png")
renamed("`file_name` with `..`", REFUSED, "a.png", "../a.png")
renamed("`file_name` with `..`", REFUSED, "a.png", "%2e%2e/a.png")
renamed("`file_name` with `..`", REFUSED, "a.png", "/etc/hostname")

edited("box outside its image by at most", ACCEPTED, bbox=[-1, -0.5, 161.9, 30])
edited("box outside its image by more", REFUSED, bbox=[-2, 5, 20, 30])
edited("box outside its image by more", REFUSED, bbox=[400, 400, 20, 30])
changed(
    "box outside its image by more",
    "clipped_box",
    lambda content: content["annotations"][0].update(bbox=[-2, 5, 20, 30]),
    errors="clip",
)
for wrong in ([1, 2, float("nan"), 4], [1, 2, 3], [1, 2, -3, 4], [1, 2, float("inf"), 4], None):
    edited("box that is not finite", REFUSED, bbox=wrong)


def corners(content):
    for each in content["annotations"]:
        x, y, w, h = each["bbox"]
        each["bbox"] = [x, y, x + w, y + h]


def corners_with_areas(content):
    """Near the upper left, where no corner sticks out as a size."""
    for each in content["annotations"]:
        x, y, w, h = each["bbox"]
        each.update(bbox=[x / 2 + 1, y / 2 + 1, (x + w) / 2 - 9, (y + h) / 2 - 3])
        x, y, right, bottom = each["bbox"]
        each["area"] = (right - x) * (bottom - y)


def normalised(content):
    for each in content["annotations"]:
        each["bbox"] = (np.array(each["bbox"]) / [160, 120, 160, 120]).tolist()


def some_normalised(content):
    normalised({"annotations": content["annotations"][3:9]})


def percent(content):
    for each in content["images"]:
        each.update(width=640, height=480)
    for each in content["annotations"]:
        each["bbox"] = (np.array(each["bbox"]) / [1.6, 1.2, 1.6, 1.2]).tolist()


for errors in ("fail", "clip"):
    changed("boxes that are corners", REFUSED, corners, errors=errors)
    changed("all boxes within 0 to 1", REFUSED, normalised, errors=errors)
changed("boxes that are corners", REFUSED, corners_with_areas)
changed("some boxes within 0 to 1", "normalised_box", some_normalised)
changed("all boxes within 0 to 100", "percent_boxes", percent)
edited("box without area", "flat_box", bbox=[5, 5, 0, 9])


@case("panoptic JSON", REFUSED)
def caption(folder):
    path = folder / "a.json"
    path.write_text(json.dumps({"images": [], "annotations": [{"caption": "a dog"}]}))
    return path


@case("image missing", REFUSED)
def missing(folder):
    path = write_set(folder)
    (folder / "a.png").unlink()
    return path


@case("empty file, named pipe", REFUSED)
def pipe(folder):
    path = missing(folder)
    os.mkfifo(folder / "a.png")
    return path


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)


def saved(kind: str, pixels: np.ndarray | None = None, mode: str = "RGB", **options: object) -> bytes:
    """A picture as Pillow writes it."""
    stream = io.BytesIO()
    Pictures.fromarray(quadrants() if pixels is None else pixels).convert(mode).save(stream, kind, **options)
    return stream.getvalue()


def frames(kind: str, count: int) -> bytes:
    more = [Pictures.fromarray(noise(32, 48, 3)) for _ in range(count - 1)]
    return saved(kind, save_all=True, append_images=more, duration=40)


JPEG = encoded(quadrants(), ".jpg")
case("image missing", REFUSED)(with_image(encoded(quadrants(40, 30))))
for data in (b"", POINTER.encode()):
    case("empty file, named pipe", REFUSED)(with_image(data))
TURNED = with_exif(encoded(quadrants(32, 48), ".jpg"), 6)
case("EXIF orientation that turns the image by 90 degrees, size annotated as shown", ACCEPTED)(with_image(TURNED))
case("EXIF orientation that turns the image by 90 degrees, size annotated as stored", REFUSED)(
    with_image(TURNED, width=32, height=48)
)
case("EXIF orientation that the size", "exif")(with_image(with_exif(JPEG, 3)))
UNUSUAL = {
    "a.jpg": saved("JPEG", mode="CMYK"),
    "gray.png": encoded(quadrants()[..., 0]),
    "palette.png": palette_png(noise(32, 48) % 2, [(1, 2, 3), (200, 100, 50)]),
    "deep.png": cv2.imencode(".png", noise(32, 48, 3).astype(np.uint16) * 257)[1].tobytes(),
    "alpha.png": saved("PNG", mode="RGBA"),
    "a.webp": saved("WEBP"),
    "a.tiff": saved("TIFF"),
    "cmyk.tiff": saved("TIFF", mode="CMYK"),
    "pages.tiff": frames("TIFF", 2),
}
Pictures.init()
if cv2.haveImageWriter("a.gif"):  # which OpenCV has since 4.11
    UNUSUAL["a.gif"] = saved("GIF")
if cv2.haveImageWriter("a.avif") and "AVIF" in Pictures.SAVE:
    UNUSUAL["a.avif"] = saved("AVIF")
    UNUSUAL["b.avif"] = UNUSUAL["a.avif"].replace(b"ftypavif\0\0\0\0avifmif1", b"ftypmif1\0\0\0\0mif1avif")
for name, data in UNUSUAL.items():
    case("CMYK JPEG", ACCEPTED)(with_image(data, name))
case("16-bit image", "dark_16_bit")(with_image(cv2.imencode(".png", noise(32, 48, 3).astype(np.uint16))[1].tobytes()))
for kind in ("GIF", "PNG", "WEBP") if "a.gif" in UNUSUAL else ("PNG", "WEBP"):
    case("animated GIF", "animated")(with_image(frames(kind, 3)))
for data in (
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(50),
    b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50),
    b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    b"%PDF-1.7\n",
    b"8BPS\0\1",
    b"<!DOCTYPE html><html>",
):
    case("HEIC, JPEG XL", REFUSED)(with_image(data, "a.jpg"))
case("image of more pixels", REFUSED)(with_image(encoded(quadrants()), width=40_000, height=40_000))
case("JPEG or PNG without", REFUSED)(with_image(JPEG[: len(JPEG) // 2]))
case("JPEG or PNG without", REFUSED)(with_image(encoded(quadrants())[:-20]))
NOISE = encoded(noise(32, 48, 3), ".jpg")
case("JPEG of which libjpeg", "jpeg_damaged")(with_image(NOISE[: len(NOISE) // 2] + b"\xff\xd9"))


def outcome(folder: Path, write) -> str:
    """How a case ends: refused, accepted, or the kinds of its warnings."""
    written = write(folder)
    path, options = written if isinstance(written, tuple) else (written, {})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            data = load_dataset(path, **options)
            for sample in data:
                sample.image()
    except DataError:
        return REFUSED
    return ", ".join(each["kind"] for each in data.warnings.records()) or ACCEPTED


def row_of(begins: str) -> str:
    (row,) = [row for row in ROWS if row == begins] or [row for row in ROWS if row.startswith(begins)]
    return row


@pytest.mark.parametrize(
    ("begins", "ends", "write"),
    CASES,
    ids=[f"{begins[:24]}-{ends}-{place}" for place, (begins, ends, _) in enumerate(CASES)],
)
def test_each_case_ends_as_the_row_of_the_page_says(tmp_path, begins, ends, write):
    assert outcome(tmp_path, write) == ends
    assert (f"`{ends}`" if ends in WARNING_KINDS else ends if ends == REFUSED else "") in ROWS[row_of(begins)]


def test_each_row_of_the_page_has_a_case_of_all_that_it_says():
    shown = {row: set(re.findall(r"`(\w+)`", done)) & {*WARNING_KINDS} for row, done in ROWS.items()}
    for row, done in ROWS.items():
        shown[row] |= {REFUSED} if REFUSED in done else set()
        shown[row] |= {ACCEPTED} if done.startswith(ACCEPTED) or "`7.0` is 7" in done else set()
    covered: dict[str, set[str]] = {row: set() for row in ROWS}
    for begins, ends, _ in CASES:
        covered[row_of(begins)].add(ends)
    assert covered == shown
    assert len(ROWS) >= 40


def test_a_row_without_a_case_would_be_seen():
    added = PAGE.replace("|---|---|\n| `iscrowd`", "|---|---|\n| a new quirk | refused |\n| `iscrowd`", 1)
    assert set(rows_of(added)) - {row_of(begins) for begins, _, _ in CASES} == {"a new quirk"}


def test_what_is_accepted_is_read_rightly(tmp_path):
    """CMYK has the colours of the image, a GIF its first frame, and a category 0 is one like others."""
    for place, name in enumerate({"a.jpg", "b.avif", "a.gif", "cmyk.tiff", "pages.tiff", "a.webp"} & {*UNUSUAL}):
        folder = tmp_path / str(place)
        folder.mkdir()
        pixels = load_dataset(with_image(UNUSUAL[name], name)(folder))[0].image()
        assert np.abs(pixels[8, 8].astype(int) - [250, 10, 10]).max() < 30, name
    content = boxes_alone()
    from_0(content)
    data = load_dataset(write_set(tmp_path, content))
    assert list(data.categories) == [0, 1]
    assert data[0].truth.ids.tolist() == [0, 1, 2]
    assert png_without_animation(encoded(quadrants())) == encoded(quadrants())
