"""Sliced inference as SAHI and supervision do it, around a detector of this package, to compare with one pass.

    pip install 'pytest-cropdet[slicing]'
    PYTHONPATH=examples python examples/slicing_pipelines.py MODEL DATA SIZE [LABELS]

Each function returns a pipeline: called with whole RGB images, it returns detections in their pixels.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pytest_cropdet import Detections, Sliced, load_dataset, load_detector
from pytest_cropdet.comparison import compare_sliced

Pipeline = Callable[[Sequence[np.ndarray]], list[Detections]]


def with_sahi(
    detector: Any, size: int, overlap: float = 0.2, iou: float = 0.5, whole: bool = True, least: float = 0.0
) -> Pipeline:
    """Slice with SAHI's ``get_sliced_prediction`` and merge with its NMS by IoU; ``least``: the lowest score."""
    from sahi.models.base import DetectionModel
    from sahi.predict import get_sliced_prediction
    from sahi.prediction import ObjectPrediction
    from sahi.utils.compatibility import fix_full_shape_list, fix_shift_amount_list

    class Model(DetectionModel):
        """The face that SAHI wants: one image at a time, boxes in the slice, and how far it is shifted."""

        def check_dependencies(self, packages: Any = None) -> None: ...

        def set_device(self, device: Any = None) -> None:
            self.device = "cpu"

        def set_model(self, model: Any, **_: Any) -> None:
            self.model = model

        def perform_inference(self, image: np.ndarray) -> None:
            (self._original_predictions,) = self.model([image])
            self._size = image.shape[1], image.shape[0]

        def _create_object_prediction_list_from_original_predictions(
            self, shift_amount_list: Any = None, full_shape_list: Any = None
        ) -> None:
            found = self._original_predictions
            shape = fix_full_shape_list(full_shape_list)
            kept = _inside(found.take(np.flatnonzero(found.scores >= least)), *self._size)
            self._object_prediction_list_per_image = [
                [
                    ObjectPrediction(
                        bbox=box.tolist(),
                        category_id=int(category),
                        category_name=str(category),
                        score=float(score),
                        shift_amount=fix_shift_amount_list(shift_amount_list or [[0, 0]])[0],
                        full_shape=shape[0] if shape else None,
                    )
                    for box, score, category in zip(kept.boxes, kept.scores, kept.categories, strict=True)
                ]
            ]

    model = Model(model=detector, confidence_threshold=least)

    def run(images: Sequence[np.ndarray]) -> list[Detections]:
        return [one(image) for image in images]

    def one(image: np.ndarray) -> Detections:
        found = get_sliced_prediction(
            image,
            model,
            slice_height=size,
            slice_width=size,
            overlap_height_ratio=overlap,
            overlap_width_ratio=overlap,
            perform_standard_pred=whole,
            postprocess_type="NMS",
            postprocess_match_metric="IOU",
            postprocess_match_threshold=iou,
            verbose=0,
        ).object_prediction_list
        boxes = np.reshape([each.bbox.to_xyxy() for each in found], (-1, 4)).astype(np.float64)
        scores = np.array([each.score.value for each in found], dtype=np.float64)
        return Detections(boxes, scores, np.array([each.category.id for each in found], dtype=np.int64))

    run.categories = getattr(detector, "categories", None)  # type: ignore[attr-defined]
    return run


def with_supervision(detector: Any, size: int, overlap: float = 0.2, iou: float = 0.5) -> Pipeline:
    """Slice with supervision's ``InferenceSlicer``, which merges with NMS by IoU and sends no whole image."""
    import supervision as sv

    def callback(image: np.ndarray) -> sv.Detections:
        (found,) = detector([np.ascontiguousarray(image)])
        kept = _inside(found, image.shape[1], image.shape[0])
        return sv.Detections(xyxy=kept.boxes, confidence=kept.scores, class_id=kept.categories)

    lap = round(size * overlap)
    slicer = sv.InferenceSlicer(callback, slice_wh=(size, size), overlap_wh=(lap, lap), iou_threshold=iou)

    def run(images: Sequence[np.ndarray]) -> list[Detections]:
        found = [slicer(image) for image in images]
        return [
            Detections(each.xyxy, each.confidence, each.class_id) if len(each) else Detections.empty() for each in found
        ]

    run.categories = getattr(detector, "categories", None)  # type: ignore[attr-defined]
    return run


def _inside(found: Detections, width: int, height: int) -> Detections:
    """Return boxes clipped to the slice, as ``Sliced`` clips them; what has no area there is left out."""
    boxes = np.clip(found.boxes, 0, [width, height, width, height])
    kept = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    return Detections(boxes[kept], found.scores[kept], found.categories[kept])


def main(model: str, data: str, size: int, labels: str | None = None) -> None:
    """Print what both pipelines gain over one pass, and what is wrong in them."""
    detector, dataset = load_detector(model, labels=labels), load_dataset(data)
    for name, pipeline, whole in (
        ("SAHI", with_sahi(detector, size), True),
        ("supervision", with_supervision(detector, size), False),
    ):
        tiles = Sliced(detector, size=size, overlap=0.2, merge="nms", whole=whole)
        found = compare_sliced(tiles, dataset, pipeline=pipeline)
        print(f"{name}: {found.headline}", *found.lines(), sep="\n  ")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:5])
