"""Check the remaps of other libraries: crop a labelled image with each, and table what is found.

    python examples/check_remaps.py

Each library that is missing is skipped with a line: pip install albumentations torch torchvision keras supervision
"""

import importlib.metadata
import os
from collections.abc import Callable, Iterator

import numpy as np

from pytest_cropdet.invariants.remap_checks import find_remap_errors

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def albumentations_crop(**box_settings: object) -> Callable:
    """Crop, boxes in pixels; what is promised: a box is kept if at least ``min_visibility`` of it is."""
    import albumentations

    def remap(image, boxes, labels, crop):
        parameters = albumentations.BboxParams("pascal_voc", label_fields=["labels"], **box_settings)
        transform = albumentations.Compose(
            [albumentations.Crop(crop.left, crop.top, crop.right, crop.bottom)], bbox_params=parameters
        )
        done = transform(image=image, bboxes=boxes, labels=labels)
        return {
            "boxes": np.reshape(done["bboxes"], (-1, 4)),
            "labels": np.array(done["labels"]),
            "image": done["image"],
        }

    return remap


def torchvision_crop(sanitize: bool) -> Callable:
    """``crop`` of torchvision v2, then ``SanitizeBoundingBoxes``, or what has no area dropped by hand."""
    import torch
    from torchvision import tv_tensors
    from torchvision.transforms import v2
    from torchvision.transforms.v2 import functional

    def remap(image, boxes, labels, crop):
        data = torch.from_numpy(np.ascontiguousarray(boxes, np.float32))
        given = tv_tensors.BoundingBoxes(data, format="XYXY", canvas_size=image.shape[:2])
        cut = functional.crop(given, crop.top, crop.left, crop.height, crop.width)
        if sanitize:
            done = v2.SanitizeBoundingBoxes()({"boxes": cut, "labels": torch.from_numpy(labels)})
            return done["boxes"].numpy(), done["labels"].numpy()
        inside = cut.numpy()
        shows = (inside[:, 2] > inside[:, 0]) & (inside[:, 3] > inside[:, 1])
        return inside[shows], labels[shows]

    return remap


def keras_random_crop(image, boxes, labels, crop):
    """What ``RandomCrop`` does to boxes once it has drawn a place (its own method, without the chance)."""
    import keras

    layer = keras.layers.RandomCrop(crop.height, crop.width, bounding_box_format="xyxy", data_format="channels_last")
    given = {"boxes": keras.ops.convert_to_tensor(boxes, "float32"), "labels": keras.ops.convert_to_tensor(labels)}
    done = layer.transform_bounding_boxes(given, (crop.top, crop.left))
    found = np.asarray(done["boxes"])
    shows = (found[:, 2] > found[:, 0]) & (found[:, 3] > found[:, 1])
    return found[shows], np.asarray(done["labels"])[shows]


def supervision_move(image, boxes, labels, crop):
    """``move_boxes`` and ``clip_boxes``, then what has no area dropped, which they leave to the caller."""
    import supervision

    moved = supervision.move_boxes(boxes, np.array([-crop.left, -crop.top]))
    inside = supervision.clip_boxes(moved, (crop.width, crop.height))
    shows = (inside[:, 2] > inside[:, 0]) & (inside[:, 3] > inside[:, 1])
    return inside[shows], labels[shows]


def remaps() -> Iterator[tuple[str, str, Callable[[], Callable], dict[str, float]]]:
    """Library, what is checked, the remap, and what it promises."""
    yield "albumentations", "Crop", albumentations_crop, {}
    half = {"min_visibility": 0.5}
    yield "albumentations", "Crop, min_visibility=0.5", lambda: albumentations_crop(**half), half
    yield "torchvision", "v2 crop", lambda: torchvision_crop(sanitize=False), {}
    yield "torchvision", "v2 crop, SanitizeBoundingBoxes()", lambda: torchvision_crop(sanitize=True), {}
    yield "keras", "RandomCrop", lambda: keras_random_crop, {}
    yield "supervision", "move_boxes, clip_boxes", lambda: supervision_move, {}


def main() -> None:
    for library, what, make, promises in remaps():
        try:
            version = importlib.metadata.version(library)
            __import__(library)
        except (ImportError, RuntimeError) as error:
            print(f"{library}: skipped ({error})")
            continue
        found = find_remap_errors(make(), **promises)
        print(f"| {library} {version} | {what} | {', '.join(type(each).__name__ for each in found) or 'nothing'} |")
        for each in found:
            print("    " + str(each).replace("\n", "\n    "))


if __name__ == "__main__":
    main()
