"""Files made to exhaust memory or time, or to lead out of a data set: refused within 5 s and 500 MB, in a child."""

from __future__ import annotations

import gzip
import json
import os
import struct
import subprocess
import sys
import zlib
from contextlib import nullcontext
from pathlib import Path

import pytest

from pytest_cropdet.data import load_dataset
from pytest_cropdet.data.data_warnings import DataWarning
from pytest_cropdet.errors import DataError
from tests.data import writers
from tests.data.pictures import coco, encoded, quadrants, write_set

SECONDS, MEGABYTES = 5, 500

IN_A_CHILD = """
import resource, sys, time, warnings
from pathlib import Path
import cv2, defusedxml.ElementTree, google_crc32c, yaml
from pytest_cropdet.data import decoder_version, load_annotations, load_dataset
from pytest_cropdet.data.folder import ImageFolder
from pytest_cropdet.data.data_warnings import DataWarning
from pytest_cropdet.errors import DataError
decoder_version()
cv2.imdecode(cv2.imencode(".png", __import__("numpy").zeros((9, 9, 3), "uint8"))[1], 1)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = used + MEGABYTES * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
warnings.simplefilter("ignore")
for line in sys.stdin.read().splitlines():
    name, path = line.split("\\t")
    begun = time.process_time()
    try:
        data = ImageFolder(Path(path)) if name.startswith("image alone") else load_dataset(path)
        for sample in data:
            [mask.decode() for mask in sample.truth.masks if mask is not None]
            sample.image()
        said = "accepted"
    except DataError as error:
        said = "refused: " + str(error).replace("\\n", " ")
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
    sys.stdout.write(f"{name}\\t{time.process_time() - begun:.2f}\\t{said}\\n")
    sys.stdout.flush()
""".replace("MEGABYTES", str(MEGABYTES))


def huge_png(width: int, height: int = 0) -> bytes:
    """A PNG of a few kilobytes that says it is as large as this."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height or width, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(9999))) + chunk(b"IEND", b"")
    )


def huge_tiff(side: int) -> bytes:
    """A TIFF whose sizes are of a type that is not expected there."""
    tags = [(256, 9, side), (257, 9, side), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (278, 4, side)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in [*tags, (279, 4, 8)])
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags) + 1) + entries + bytes(4)


def one_image(folder: Path, data: bytes, side: int, name: str = "a.png", **annotation: object) -> Path:
    images = [{"id": 1, "file_name": name, "width": side, "height": side}]
    objects = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], **annotation}] if annotation else []
    (folder / name).write_bytes(data)
    path = folder / "a.json"
    path.write_text(json.dumps(coco(images=images, annotations=objects)))
    return path


def text(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def voc(folder: Path, xml: str) -> Path:
    (folder / "Annotations").mkdir(parents=True)
    (folder / "JPEGImages").mkdir()
    (folder / "JPEGImages" / "a.png").write_bytes(encoded(quadrants()))
    text(folder / "Annotations", "a.xml", xml)
    return folder


def yolo(folder: Path, yaml: str, label: str = "0 0.5 0.5 0.1 0.1\n", image: bytes = b"") -> Path:
    for name in ("images", "labels"):
        (folder / name).mkdir()
    (folder / "images" / "a.png").write_bytes(image or encoded(quadrants()))
    text(folder / "labels", "a.txt", label)
    return text(folder, "data.yaml", yaml)


def pipe(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    os.mkfifo(folder / name)
    return folder / name


def masked(side: int) -> bytes:
    """A record whose image and mask say they are as large as this."""
    corners = {f"image__object__bbox__{key}": [edge] for key, edge in zip(("xmin", "ymin"), (0.1, 0.1), strict=True)}
    corners |= {f"image__object__bbox__{key}": [0.5] for key in ("xmax", "ymax")}
    return writers.record(
        writers.example(
            image__encoded=huge_png(side),
            image__width=side,
            image__height=side,
            **corners,
            image__object__class__label=[1],
            image__object__mask=[huge_png(side)],
        )
    )


LAUGHS = (
    "<!DOCTYPE a [<!ENTITY a '"
    + "x" * 99
    + "'>"
    + "".join(f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 20}'>" for n in range(9))
)
RUNS = {"size": [30_000, 30_000], "counts": [0, 900_000_000]}
LONG = {"size": [8, 8], "counts": "1" * 10_000_000}
BOMB = gzip.compress(b"\0" * (1 << 26), 1) * 8

CASES = {
    "PNG of 60,000 x 60,000": (lambda at: one_image(at, huge_png(60_000), 60_000), "images have at most 1,073,741,824"),
    "its annotation says less": (lambda at: one_image(at, huge_png(60_000), 48), "60,000 x 60,000 pixels; at most"),
    "image alone, 60,000 x 60,000": (
        lambda at: text(at, "a.png", huge_png(60_000)).parent,
        "60,000 x 60,000 pixels; at most 268,435,456 pixels are decoded",
    ),
    "TIFF that hides its size": (lambda at: one_image(at, huge_tiff(30_000), 48, "a.tif"), "states no size"),
    "mask of gigabytes in a small image": (
        lambda at: one_image(at, encoded(quadrants()), 30_000, segmentation=RUNS, bbox=[0, 0, 30_000, 30_000]),
        "48 x 32 pixels, its annotation says 30000 x 30000",
    ),
    "mask of more runs than pixels": (
        lambda at: one_image(
            at, encoded(quadrants(8, 8)), 8, segmentation={"size": [8, 8], "counts": "1" * 10_000_000}
        ),
        "do not add up",
    ),
    "mask of another size": (
        lambda at: one_image(at, encoded(quadrants(8, 8)), 8, segmentation=RUNS),
        "run-length code of size",
    ),
    "JSON of a million levels": (lambda at: text(at, "a.json", "[" * 1_000_000), "nested too deeply"),
    "JSON of a number of a million digits": (lambda at: text(at, "a.json", '{"a":' + "9" * 10**6 + "}"), "not JSON"),
    "JSON of NUL": (lambda at: text(at, "a.json", bytes(50_000_000)), "not JSON"),
    "XML of a billion laughs": (lambda at: voc(at, LAUGHS + "]><annotation>&j;</annotation>"), "entities"),
    "XML that reads a file": (
        lambda at: voc(at, '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><annotation>&x;</annotation>'),
        "entities",
    ),
    "XML of a million levels": (lambda at: voc(at, "<annotation>" + "<a>" * 1_000_000), "is not XML"),
    "YAML of a billion laughs": (
        lambda at: yolo(at, "a: &a [x]\n" + "".join(f"b{n}: &b{n} [{'*a, ' * 9}]\n" for n in range(9)) + "names: [a]"),
        "alias",
    ),
    "YAML with a tag": (lambda at: yolo(at, "names: !!python/object/apply:os.system [exit]\nval: images"), "tag"),
    "YAML of many levels": (lambda at: yolo(at, f"names: {'[' * 100_000}"), ""),
    "label of one long line": (
        lambda at: yolo(at, "val: images\nnames: [a]", "0 " + "0.5 " * 5_000_000),
        "bytes, more than",
    ),
    "polygons in an image of 10,000,000 x 30": (
        lambda at: yolo(at, "val: images\nnames: [a]", "0 0 0 1 1 0 1\n" * 9, huge_png(10_000_000, 30)),
        "10,000,000 x 30 pixels; at most 268,435,456 pixels",
    ),
    "polygons in an image of 8,000,000 x 30": (
        lambda at: yolo(at, "val: images\nnames: [a]", "0 0 0 1 1 0 1\n" * 9, huge_png(8_000_000, 30)),
        "longer than 2,000,000 px",
    ),
    "TFRecord with a length of 2^60": (
        lambda at: text(at, "a.tfrecord", (head := struct.pack("<Q", 2**60)) + writers.masked(head) + bytes(99)),
        "1,152,921,504,606,846,976 bytes; at most",
    ),
    "TFRecord that unpacks to 512 MB": (lambda at: text(at, "a.tfrecord.gz", BOMB), "checksum"),
    "TFRecord with a mask of 16,000 x 16,000": (
        lambda at: text(at, "a.tfrecord", masked(16_000)),
        "masks are read in images of at most 67,108,864 pixels",
    ),
    "CSV of one long line": (lambda at: text(at, "a.csv", "a," * 20_000_000), "at most 1,048,576 are read"),
    "CSV of quotes": (lambda at: text(at, "a.csv", '"' * 10_000_000), ""),
    "pipe for a JSON": (lambda at: pipe(at, "a.json"), "named pipe"),
    "pipe for a CSV": (lambda at: pipe(at, "a.csv"), "named pipe"),
    "pipe for a TFRecord": (lambda at: pipe(at, "a.tfrecord"), "named pipe"),
    "device": (lambda at: Path("/dev/zero"), "device"),
    **{
        f"nothing in a{end}": (lambda at, end=end: text(at, f"a{end}", ""), "")
        for end in (".json", ".csv", ".tfrecord")
    },
}


@pytest.mark.subprocess
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the limit of memory needs Linux")
def test_hostile_files_are_refused_in_seconds_and_little_memory(tmp_path):
    lines = []
    for place, (name, (write, _)) in enumerate(CASES.items()):
        folder = tmp_path / str(place)
        folder.mkdir()
        lines.append(f"{name}\t{write(folder)}\n")
    command = [sys.executable, "-c", IN_A_CHILD]
    said = "".join(lines)
    done = subprocess.run(command, input=said, capture_output=True, text=True, timeout=240, check=False)
    told = {(line := each.split("\t"))[0]: (float(line[1]), line[2]) for each in done.stdout.splitlines()}
    assert (done.returncode, list(told)) == (0, list(CASES)), done.stderr[-2000:]
    wrong = {
        name: answer
        for name, answer in told.items()
        if not answer[1].startswith("refused: ") or CASES[name][1] not in answer[1] or answer[0] > SECONDS
    }
    assert wrong == {}


def outside(folder: Path) -> Path:
    """A set whose folder is beside the images, in the way of exporters that keep JSON files apart."""
    path = write_set(folder / "set" / "annotations", coco(), images="../images")
    content = coco()
    for each in content["images"]:
        each["file_name"] = f"../images/{each['file_name']}"
    path.write_text(json.dumps(content))
    return path


def test_a_path_out_of_annotations_stays_in_the_set_and_is_read(tmp_path):
    data = load_dataset(outside(tmp_path))
    assert data[0].id == "../images/a.png"
    assert data[0].path == tmp_path / "set" / "images" / "a.png"
    assert data[0].image().shape == (32, 48, 3)


@pytest.mark.parametrize("name", ["../../x/a.png", "%2e%2e/%2e%2e/x/a.png", "..\\..\\x\\a.png", "{at}/x/a.png"])
def test_a_path_out_of_the_set_is_refused_with_the_line_that_fixes_it_and_that_line_does(tmp_path, name):
    path = outside(tmp_path)
    (tmp_path / "x").mkdir()
    for each in ("a.png", "b.png"):
        (tmp_path / "x" / each).write_bytes(encoded(quadrants()))
    content = coco()
    for each in content["images"]:
        each["file_name"] = name.format(at=tmp_path).replace("a.png", each["file_name"])
    path.write_text(json.dumps(content))
    with pytest.raises(DataError) as caught:
        load_dataset(path)
    assert f"images are named outside of the data set {tmp_path / 'set'}: " in str(caught.value)
    assert str(caught.value).endswith("in which the end of each such path is then sought: --cropdet-images DIR")
    assert load_dataset(path, images=tmp_path / "x")[1].path == tmp_path / "x" / "b.png"
    assert load_dataset(path, images=tmp_path)[1].path == tmp_path / "x" / "b.png"


def test_the_end_of_a_path_from_another_machine_is_sought_where_the_user_says(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.png").write_bytes(encoded(quadrants()))
    rows = "filename,width,height,class,xmin,ymin,xmax,ymax\n{},48,32,dog,1,2,10,20\n"
    path = tmp_path / "a.csv"
    for name in ("/home/me/x/a.png", "C:\\Users\\me\\x\\a.png", "../../x/a.png"):
        path.write_text(rows.format(name))
        with pytest.raises(DataError, match="--cropdet-images DIR"):
            load_dataset(path)
        assert load_dataset(path, images=tmp_path / "x")[0].path == tmp_path / "x" / "a.png"
    path.write_text(rows.format(tmp_path / "x" / "a.png"))  # as RetinaNet writes them
    assert load_dataset(path)[0].path == tmp_path / "x" / "a.png"


def test_names_of_csv_and_voc_are_found_as_those_of_coco(tmp_path):
    (tmp_path / "A b.PNG").write_bytes(encoded(quadrants()))
    path = tmp_path / "a.csv"
    for name, kinds in (("A%20b.PNG", []), ("a b.png", ["other_image_name"]), ("A b.jpg", ["other_image_name"])):
        path.write_text(f"filename,width,height,class,xmin,ymin,xmax,ymax\n{name},48,32,dog,1,2,10,20\n")
        with pytest.warns(DataWarning) if kinds else nullcontext():
            data = load_dataset(path)
        assert [each["kind"] for each in data.warnings.records()] == kinds
        assert data[0].path == tmp_path / "A b.PNG"
    xml = "<annotation><filename>{}</filename></annotation>"
    folder = voc(tmp_path / "voc", xml.format("x"))
    (folder / "Annotations" / "a.xml").rename(folder / "Annotations" / "A.xml")
    with pytest.warns(UserWarning, match="another case or ending"):
        assert load_dataset(folder)[0].path == folder / "JPEGImages" / "a.png"
    (folder / "Annotations" / "A.xml").rename(folder / "Annotations" / "q.xml")
    (folder / "Annotations" / "q.xml").write_text(xml.format("%61.png"))
    assert load_dataset(folder)[0].path == folder / "JPEGImages" / "a.png"
