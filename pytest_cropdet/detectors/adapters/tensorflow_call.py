"""A TensorFlow model as one function of a batch of images, wherever it comes from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_cropdet.detectors.label_files import Proof
from pytest_cropdet.detectors.resize import Frame

__all__ = ["Call"]


@dataclass(frozen=True, eq=False)
class Call:
    """A function of one tensor of images: the input's ``name``, ``dtype`` and ``shape``, and what it returns.

    ``outputs``: by name, whatever has a ``shape``; ``run`` takes a batch and returns the tensors by name. ``tensor``:
    another name of the input, in the graph; ``operations``: of the graph, where the input takes strings.
    ``roles``: which output is what, ``conventions``: how its numbers are to be read, where the model itself says so;
    ``frame``: given an image's width and height, how it lies in the input to which the model resizes it. ``order``: of
    a box's numbers, where it is another one than the description's; ``proof``: of the number of categories.
    """

    name: str
    dtype: Any
    shape: Any
    outputs: Mapping[str, Any]
    run: Callable[[Any], Mapping[str, Any]]
    tensor: str = ""
    operations: frozenset[str] = frozenset()
    roles: Mapping[str, str] | None = None
    conventions: Mapping[str, str] = field(default_factory=dict)
    frame: Callable[[int, int], Frame] | None = None
    order: str | None = None
    proof: Proof | None = None
