"""The augmentation as a Keras layer, for dictionaries as Keras's own preprocessing layers take them."""

from dataclasses import fields
from typing import Any

import keras
import tensorflow as tf

from pytest_cropdet.augment.augmentation import Augmentation
from pytest_cropdet.augment.matched import Matched
from pytest_cropdet.augment.recipes import Context, Cut, Position, Scale
from pytest_cropdet.augment.tf_graph import padded_map
from pytest_cropdet.errors import SpecError

__all__ = ["CropAugmentation"]

RECIPES: dict[str, Any] = {each.__name__: each for each in (Context, Cut, Matched, Position, Scale)}


@keras.saving.register_keras_serializable(package="pytest_cropdet")
class CropAugmentation(keras.layers.Layer):
    """Crops a batch, its boxes with it: ``{"images": ..., "bounding_boxes": {"boxes": ..., "labels": ...}}``.

    Each image has a window of its own, resized to the augmentation's ``width`` and ``height`` (``SpecError`` without
    them). ``bounding_box_format``: one of Keras's, such as ``"xyxy"``. ``labels`` are -1 for no object, in and out, and
    come back -1 for what is ignored, too, with a mask ``bounding_boxes["ignored"]``, which may also be given (crowds).
    Ragged boxes come back padded. Where ``training`` is false there is no window, only the resize. Other keys
    (tensors, as Keras asks) stay as they are, and the dictionary that was given is not changed.

    The windows follow from the augmentation's seed and from ``data["indices"]`` (batch,), or the number of samples
    seen so far; in a ``map`` with parallel calls give ``indices``. Needs Keras on TensorFlow.
    """

    def __init__(self, augmentation: Augmentation, bounding_box_format: str = "xyxy", **options: Any) -> None:
        super().__init__(**{"autocast": False, "trainable": False, **options})
        if keras.config.backend() != "tensorflow":
            raise SpecError(
                f"CropAugmentation needs Keras on TensorFlow, not {keras.config.backend()}: set "
                "KERAS_BACKEND=tensorflow, or call the augmentation itself, which is NumPy, in your loader"
            )
        if augmentation.width is None or augmentation.height is None:
            raise SpecError("CropAugmentation makes batches of one size: give the Augmentation width and height")
        self.augmentation = augmentation
        self.bounding_box_format = bounding_box_format
        settings = _settings(augmentation)
        self._crop = padded_map(augmentation)
        self._resize = padded_map(Augmentation((Position(leave=1.0),), **settings))
        self._seen = tf.Variable(0, dtype=tf.int64, trainable=False, name="seen")

    def call(self, data: dict[str, Any], training: bool = True) -> dict[str, Any]:
        """Return the dictionary with images, boxes and labels cropped."""
        images = tf.convert_to_tensor(data["images"])
        if images.shape.rank == 3:
            one = tf.nest.map_structure(lambda part: tf.expand_dims(part, 0), _parts(data), expand_composites=True)
            batch = self._call(one, training)
            return {**data, **tf.nest.map_structure(lambda part: part[0], batch)}
        return {**data, **self._call(_parts(data), training)}

    def _call(self, data: dict[str, Any], training: bool) -> dict[str, Any]:
        images, given = tf.convert_to_tensor(data["images"]), data["bounding_boxes"]
        boxes, labels = _dense(given["boxes"], 0), _dense(given["labels"], -1)
        ignored = _dense(given["ignored"], 0) if "ignored" in given else tf.zeros_like(labels)
        size = tf.shape(images, tf.int64)
        indices = data.get("indices")
        if indices is None:
            indices = self._seen.assign_add(size[0]) - size[0] + tf.range(size[0])
        boxes = self._convert(boxes, self.bounding_box_format, "xyxy", size[1], size[2])
        apply = self._crop if training else self._resize

        def one(parts: tuple[Any, ...]) -> tuple[Any, ...]:
            image, corners, label, crowd, index = parts
            crop, found, kept, left_out = apply(image, corners, label + 1, index, ignored=tf.cast(crowd, tf.bool))
            return crop, found, kept - 1, left_out

        width, height = self.augmentation.width, self.augmentation.height
        images, boxes, labels, ignored = tf.map_fn(
            one,
            (images, boxes, labels, ignored, tf.cast(indices, tf.int64)),
            fn_output_signature=(
                tf.TensorSpec((height, width, images.shape[-1]), images.dtype),
                tf.TensorSpec((boxes.shape[1], 4), boxes.dtype),
                tf.TensorSpec((labels.shape[1],), labels.dtype),
                tf.TensorSpec((labels.shape[1],), tf.bool),
            ),
        )
        boxes = self._convert(boxes, "xyxy", self.bounding_box_format, height, width)
        return {"images": images, "bounding_boxes": {"boxes": boxes, "labels": labels, "ignored": ignored}}

    @staticmethod
    def _convert(boxes: Any, source: str, target: str, height: Any, width: Any) -> Any:
        if source == target:
            return boxes
        sides = tf.cast(height, boxes.dtype), tf.cast(width, boxes.dtype)
        return keras.utils.bounding_boxes.convert_format(boxes, source, target, *sides, dtype=boxes.dtype.name)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shapes: images of the new size, boxes and labels as they came."""
        batch, channels = input_shape["images"][:-3], input_shape["images"][-1:]
        size = (self.augmentation.height, self.augmentation.width)
        boxes = dict(input_shape["bounding_boxes"])
        boxes["ignored"] = boxes["labels"]
        return {**input_shape, "images": (*batch, *size, *channels), "bounding_boxes": boxes}

    def get_config(self) -> dict[str, Any]:
        """Return everything that makes the same layer again."""
        written = [{"recipe": type(each).__name__, **_values(each)} for each in self.augmentation.recipes]
        augmentation = {**_settings(self.augmentation), "recipes": written}
        return {
            **super().get_config(),
            "augmentation": augmentation,
            "bounding_box_format": self.bounding_box_format,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "CropAugmentation":
        """Return the layer of a configuration."""
        settings = dict(config.pop("augmentation"))
        made = []
        for written in settings.pop("recipes"):
            values = {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in written.items()
                if key != "recipe"
            }
            made.append(RECIPES[written["recipe"]](**values))
        if isinstance(settings["fill"], list):
            settings["fill"] = tuple(settings["fill"])
        return cls(Augmentation(tuple(made), **settings), **config)


def _values(recipe: Any) -> dict[str, Any]:
    values = {each.name: getattr(recipe, each.name) for each in fields(recipe) if each.init}
    return {key: sorted(value) if isinstance(value, frozenset) else value for key, value in values.items()}


def _settings(augmentation: Augmentation) -> dict[str, Any]:
    return {each.name: getattr(augmentation, each.name) for each in fields(augmentation) if each.name != "recipes"}


def _parts(data: dict[str, Any]) -> dict[str, Any]:
    return {key: data[key] for key in ("images", "bounding_boxes", "indices") if key in data}


def _dense(values: Any, default: int) -> Any:
    if isinstance(values, tf.RaggedTensor):
        return values.to_tensor(default_value=default)
    return tf.convert_to_tensor(values)
