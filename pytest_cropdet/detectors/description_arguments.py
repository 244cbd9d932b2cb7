"""The conventions of a detector as arguments: what editors complete and type checkers check."""

from typing import TypedDict

__all__ = ["DescriptionArguments"]


class DescriptionArguments(TypedDict, total=False):
    """The fields of :class:`~pytest_cropdet.detectors.Description`, as ``load_detector`` takes them.

    ``None`` means what the model file says, as does an argument that is left out. Numbers may be texts, as in options.
    """

    boxes: str | None
    units: str | None
    first_category: int | str | None
    labels: str | None
    channels: str | None
    range: str | None
    resize: str | None
    batch: int | str | None
    threads: int | str | None
    nms_iou: float | str | None
    anchors: str | None
    outputs: str | None
    activation: str | None
    signature: str | None
    custom_objects: str | None
    head: str | None
    input_size: str | None
    mean: str | None
    std: str | None
    interpolation: str | None
    fill: str | float | None
    align: str | None
    rounding: str | None
    min_side: int | str | None
    max_side: int | str | None
    pad: int | str | None
    input: str | None
    provider: str | None
    timeout: float | str | None
