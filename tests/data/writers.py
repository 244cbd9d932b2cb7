"""One data set in every format that is read: written here byte by byte, from samples, with nothing of the readers.

Used by the tests of data/ and by benchmarks/mutate_data.py and benchmarks/open_data.py.
"""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import cv2
import google_crc32c
import numpy as np

from pytest_cropdet.data import Sample


def png(pixels: np.ndarray) -> bytes:
    """RGB or grayscale pixels as a PNG, which loses none."""
    done, data = cv2.imencode(".png", pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[:, :, ::-1]))
    assert done
    return data.tobytes()


def stem(sample: Sample) -> str:
    return sample.id.rpartition(".")[0]


def coco(folder: Path, samples: Sequence[Sample], names: dict[int, str]) -> Path:
    """COCO JSON, with masks and crowds; the images beside it in images/."""
    images, annotations = [], []
    for number, sample in enumerate(samples, 1):
        images.append({"id": number, "file_name": sample.id, "width": sample.width, "height": sample.height})
        for row, box in enumerate(sample.truth.boxes.tolist()):
            mask = sample.truth.masks[row]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(sample.truth.categories[row]),
                    "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                    "area": float(sample.truth.areas[row]),
                    "iscrowd": int(sample.truth.crowd[row]),
                    "segmentation": [] if mask is None else {**mask.rle, "counts": mask.counts.decode()},
                }
            )
    copy(folder / "images", samples)
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": key, "name": name} for key, name in names.items()],
    }
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return path


def copy(folder: Path, samples: Iterable[Sample]) -> None:
    """The images as they are, or as PNG where there is no file."""
    folder.mkdir(parents=True, exist_ok=True)
    for sample in samples:
        (folder / sample.id).write_bytes(png(sample.image()) if sample.path is None else sample.path.read_bytes())


def voc_xml(sample: Sample, names: dict[int, str]) -> str:
    objects = "".join(
        f"<object><name>{escape(names[category])}</name><pose>Unspecified</pose><truncated>0</truncated>"
        f"<difficult>{int(ignored)}</difficult><bndbox><xmin>{x0 + 1:g}</xmin><ymin>{y0 + 1:g}</ymin>"
        f"<xmax>{x1:g}</xmax><ymax>{y1:g}</ymax></bndbox></object>\n"
        for (x0, y0, x1, y1), category, ignored in zip(
            sample.truth.boxes.tolist(), sample.truth.categories.tolist(), sample.truth.ignored, strict=True
        )
    )
    return (
        f"<annotation><folder>x</folder><filename>{escape(sample.id)}</filename><size><width>{sample.width}</width>"
        f"<height>{sample.height}</height><depth>3</depth></size>\n{objects}</annotation>"
    )


def voc(folder: Path, samples: Sequence[Sample], names: dict[int, str]) -> Path:
    """Pascal VOC, without masks and crowds; ids are lost."""
    (folder / "Annotations").mkdir(parents=True, exist_ok=True)
    for sample in samples:
        (folder / "Annotations" / f"{stem(sample)}.xml").write_text(voc_xml(sample, names))
    copy(folder / "JPEGImages", samples)
    return folder


def yolo_line(sample: Sample, row: int, category: int) -> str:
    x0, y0, x1, y1 = (sample.truth.boxes[row] / np.tile([sample.width, sample.height], 2)).tolist()
    return f"{category} {(x0 + x1) / 2!r} {(y0 + y1) / 2!r} {x1 - x0!r} {y1 - y0!r}\n"


def yolo(folder: Path, samples: Sequence[Sample], names: dict[int, str]) -> Path:
    """YOLO boxes with a data.yaml whose names are a mapping, so that ids stay."""
    labels = folder / "labels" / "val"
    labels.mkdir(parents=True, exist_ok=True)
    for sample in samples:
        lines = [yolo_line(sample, row, int(key)) for row, key in enumerate(sample.truth.categories)]
        if lines:
            (labels / f"{stem(sample)}.txt").write_text("".join(lines))
    copy(folder / "images" / "val", samples)
    path = folder / "data.yaml"
    named = "".join(f"  {key}: {json.dumps(name)}\n" for key, name in names.items())
    path.write_text(f"path: .\nval: images/val\nnames:\n{named}")
    return path


def masked(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    return length + masked(length) + content + masked(content)


def varint(value: int) -> bytes:
    out = bytearray()
    value &= (1 << 64) - 1
    while True:
        out.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def example(**features: object) -> bytes:
    """A tf.train.Example; ``a__b`` is the feature a/b. Bytes, floats and whole numbers, in lists."""
    entries = b""
    for name, values in features.items():
        listed = list(values) if isinstance(values, (list, tuple)) else [values]
        if listed and isinstance(listed[0], bytes):
            feature = field(1, b"".join(field(1, each) for each in listed))
        elif listed and isinstance(listed[0], float):
            feature = field(2, field(1, struct.pack(f"<{len(listed)}f", *listed)))
        else:
            feature = field(3, field(1, b"".join(map(varint, listed))))
        entries += field(1, field(1, name.replace("__", "/").encode()) + field(2, feature))
    return field(1, entries)


def example_of(sample: Sample, names: dict[int, str], *, masks: bool = True) -> bytes:
    truth = sample.truth
    sides = truth.boxes / np.tile([sample.width, sample.height], 2)
    corners = {
        f"image__object__bbox__{key}": sides[:, at].tolist() for at, key in enumerate(("xmin", "ymin", "xmax", "ymax"))
    }
    shapes = [png(mask.decode().astype(np.uint8)) for mask in truth.masks if mask is not None]
    return example(
        image__encoded=png(sample.image()) if sample.path is None else sample.path.read_bytes(),
        image__filename=sample.id.encode(),
        image__width=sample.width,
        image__height=sample.height,
        **corners,
        image__object__class__label=truth.categories.tolist(),
        image__object__class__text=[names[key].encode() for key in truth.categories.tolist()],
        image__object__is_crowd=truth.crowd.astype(int).tolist(),
        image__object__difficult=truth.ignored.astype(int).tolist(),
        image__object__area=truth.areas.tolist(),
        **({"image__object__mask": shapes} if masks and len(shapes) == len(truth) else {}),
    )


def label_map(path: Path, names: dict[int, str]) -> Path:
    path.write_text("".join(f"item {{\n  id: {key}\n  name: {json.dumps(name)}\n}}\n" for key, name in names.items()))
    return path


def tfrecord(
    folder: Path, samples: Sequence[Sample], names: dict[int, str], *, shards: int = 1, zipped: bool = False
) -> Path:
    """TFRecords with a label map: ids, masks, crowds and areas stay; boxes are rounded to float32."""
    folder.mkdir(parents=True, exist_ok=True)
    label_map(folder / "label_map.pbtxt", names)
    for shard in range(shards):
        size = -(-len(samples) // shards)
        part = samples[shard * size : (shard + 1) * size]
        data = b"".join(record(example_of(sample, names)) for sample in part)
        name = "val.tfrecord" if shards == 1 else f"val.tfrecord-{shard:05}-of-{shards:05}"
        (folder / name).write_bytes(gzip.compress(data, 1) if zipped else data)
    return folder / "val.tfrecord" if shards == 1 else folder


def csv_tutorial(folder: Path, samples: Sequence[Sample], names: dict[int, str]) -> Path:
    """The columns of the TF Object Detection API's tutorials, with a table of ids."""
    rows = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
    for sample in samples:
        begin = f"{sample.id},{sample.width},{sample.height}"
        for box, category in zip(sample.truth.boxes.tolist(), sample.truth.categories.tolist(), strict=True):
            rows.append(",".join([begin, names[category], *(repr(edge) for edge in box)]))
        if not len(sample.truth):
            rows.append(f"{begin},,,,,")
    copy(folder, samples)
    (folder / "labels.csv").write_text("\n".join(rows))
    (folder / "classes.csv").write_text("\n".join(f"{name},{key}" for key, name in names.items()))
    return folder / "labels.csv"


def csv_retinanet(folder: Path, samples: Sequence[Sample], names: dict[int, str]) -> Path:
    """RetinaNet's rows without names of columns."""
    rows = []
    for sample in samples:
        for box, category in zip(sample.truth.boxes.tolist(), sample.truth.categories.tolist(), strict=True):
            rows.append(",".join([sample.id, *(repr(edge) for edge in box), names[category]]))
        if not len(sample.truth):
            rows.append(f"{sample.id},,,,,")
    copy(folder / "images", samples)
    (folder / "annotations.csv").write_text("\n".join(rows))
    (folder / "classes.csv").write_text("\n".join(f"{name},{key}" for key, name in names.items()))
    return folder / "annotations.csv"


FORMATS = {
    "coco": coco,
    "voc": voc,
    "yolo": yolo,
    "tfrecord": tfrecord,
    "csv tutorial": csv_tutorial,
    "csv retinanet": csv_retinanet,
}
