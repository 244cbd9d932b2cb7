"""The geometry of the gate as augmentation for training.

Crop augmentation for training, by the gate's geometry: in NumPy for any loader, in a graph, as a Keras layer.

What needs TensorFlow (``padded_map``, ``ragged_map``, ``CropAugmentation``) is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pytest_cropdet.augment.augmentation import Augmentation, Augmented
from pytest_cropdet.augment.generic import Generic
from pytest_cropdet.augment.matched import Matched
from pytest_cropdet.augment.recipes import Context, Cut, Position, Recipe, Scale, Window
from pytest_cropdet.errors import DetectorError

if TYPE_CHECKING:
    from pytest_cropdet.augment.keras_layer import CropAugmentation as CropAugmentation
    from pytest_cropdet.augment.tf_generic import generic_map as generic_map
    from pytest_cropdet.augment.tf_graph import padded_map as padded_map
    from pytest_cropdet.augment.tf_graph import ragged_map as ragged_map

__all__ = ["Augmentation", "Augmented", "Context", "Cut", "Generic", "Matched", "Position", "Recipe", "Scale", "Window"]

_WITH_TENSORFLOW = {
    "CropAugmentation": "keras_layer",
    "generic_map": "tf_generic",
    "padded_map": "tf_graph",
    "ragged_map": "tf_graph",
}


def __getattr__(name: str) -> Any:
    if name not in _WITH_TENSORFLOW:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_WITH_TENSORFLOW[name]}")
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] not in ("tensorflow", "keras"):
            raise
        raise DetectorError(f"{name} needs TensorFlow ({error}): pip install 'pytest-cropdet[tensorflow]'") from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_WITH_TENSORFLOW})
