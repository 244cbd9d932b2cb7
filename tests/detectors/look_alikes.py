"""Objects with the surface of other libraries' detectors and answers, which find painted rectangles.

Each takes what its library takes and checks it; ``find`` of tests.painted does the finding, in RGB.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from tests.painted import find

NAMES = {0: "red", 1: "green", 2: "blue"}  # counted from 0


class Tensor:
    """As of torch: NumPy's array only after detach() and cpu()."""

    def __init__(self, values, *, attached=True, kind="float32"):
        self.values, self.attached, self.kind = np.asarray(values), attached, kind

    def detach(self):
        return Tensor(self.values, attached=False, kind=self.kind)

    def cpu(self):
        return self

    def float(self):
        return Tensor(self.values.astype(np.float32), attached=False)

    def numpy(self):
        if self.attached:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        if self.kind == "bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.values

    def __array__(self, dtype=None, copy=None):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def __len__(self):
        return len(self.values)


class Parameter(Tensor):
    """As of torch: makes tensors like itself."""

    def new_tensor(self, values):
        return Tensor(np.asarray(values, np.float16).astype(np.float32))


def rgb_of_chw01(tensor):
    """The picture that a (3, height, width) array of 0 to 1 was made of; anything else fails, as in a model."""
    values = tensor.values if isinstance(tensor, Tensor) else tensor
    assert values.dtype == np.float32
    assert values.shape[0] == 3
    assert values.max(initial=0) <= 1
    return np.rint(values.transpose(1, 2, 0) * 255).astype(np.uint8)


class TorchvisionModel:
    """As ``torchvision.models.detection.fasterrcnn_resnet50_fpn_v2``: a torch module with a ``transform``."""

    def __init__(self, *, training=False):
        self.training = training
        self.transform = SimpleNamespace(image_mean=[0, 0, 0], image_std=[1, 1, 1], min_size=(800,), max_size=1333)

    def parameters(self):
        return iter([Parameter([0.0])])

    def __call__(self, images):
        assert isinstance(images, list)
        assert all(isinstance(image, Tensor) for image in images)
        found = [find(rgb_of_chw01(image)) for image in images]
        return [
            {"boxes": Tensor(each.boxes), "labels": Tensor(each.categories), "scores": Tensor(each.scores)}
            for each in found
        ]


class Pipeline:
    """As ``transformers.pipeline("object-detection")``: takes images of Pillow, answers names."""

    task = "object-detection"

    def __init__(self):
        self.model = SimpleNamespace(config=SimpleNamespace(id2label={0: "N/A", 1: "red", 2: "green", 3: "blue"}))

    def __call__(self, images):
        assert all(hasattr(image, "convert") for image in images)
        return [pipeline_rows(find(np.asarray(image))) for image in images]


def pipeline_rows(found):
    rows = zip(found.boxes.tolist(), found.scores.tolist(), found.categories.tolist(), strict=True)
    return [
        {
            "score": score,
            "label": NAMES[number - 1],
            "box": dict(zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)),
        }
        for box, score, number in rows
    ]


class Yolo:
    """As ``ultralytics.YOLO``: takes arrays as BGR and images of Pillow as RGB."""

    task = "detect"
    names = NAMES

    def predict(self, source):
        taken = [np.asarray(each)[..., ::-1] if hasattr(each, "convert") else each for each in source]
        return [ultralytics_result(each) for each in taken]

    def __call__(self, source):
        return self.predict(source)


def ultralytics_result(bgr):
    found = find(bgr[..., ::-1])
    boxes = SimpleNamespace(
        xyxy=Tensor(found.boxes), conf=Tensor(found.scores), cls=Tensor(found.categories.astype(float) - 1)
    )
    return SimpleNamespace(boxes=boxes, names=NAMES, orig_img=bgr, obb=None)


class SupervisionDetections:
    """As ``supervision.Detections``, which can be iterated over, too."""

    def __init__(self, found, *, names=True):
        self.xyxy, self.confidence, self.class_id = found.boxes, found.scores, found.categories - 1
        self.data = {"class_name": np.array([NAMES[each] for each in self.class_id])} if names else {}

    def __len__(self):
        return len(self.xyxy)

    def __iter__(self):
        yield from zip(self.xyxy, self.confidence, self.class_id, strict=True)


class MaiteDetector:
    """As MAITE's ``ObjectDetector``: takes (3, height, width); ``columns``: scores of every category a box."""

    def __init__(self, *, columns=False):
        self.metadata = {"id": "painted", "index2label": NAMES}
        self.columns = columns

    def __call__(self, batch):
        return [self.target(find(rgb_of_chw01(image))) for image in batch]

    def target(self, found):
        labels = found.categories - 1
        scores = np.full((len(labels), 3), 0.02)
        scores[np.arange(len(labels)), labels] = found.scores
        return SimpleNamespace(boxes=found.boxes, labels=labels, scores=scores if self.columns else found.scores)
