"""Which kind of ending a TFLite file has, and what of it has to be asked of the user."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_cropdet.detectors.adapters.heads import AnchorHead, Head, ListHead
from pytest_cropdet.detectors.adapters.pyramid_levels import LEVELS_ADVICE, are_pyramid_levels
from pytest_cropdet.detectors.adapters.table_heads import box_order, choose_table_head, place_of_table
from pytest_cropdet.detectors.adapters.tflite_graph import Graph
from pytest_cropdet.detectors.anchors import Anchors, anchors_of, read_anchors
from pytest_cropdet.detectors.description import NO_ANCHORS, Description
from pytest_cropdet.errors import DetectorError

__all__ = ["Known", "choose_head"]

NAME_ALL = "--cropdet-detector outputs=boxes:NAME,classes:NAME,scores:NAME,count:NAME"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known beside the outputs themselves.

    ``categories``: their number. ``constants``: the outputs that are the same for every image, by the number of their
    tensor: anchors. ``answer``: what the model answers to an empty image, by place. ``size``: height and width of its
    input in pixels.
    """

    categories: int | None = None
    constants: Mapping[int, NDArray[np.float64]] = field(default_factory=dict)
    answer: Sequence[NDArray[Any]] = ()
    size: tuple[int, int] = (0, 0)


def choose_head(graph: Graph, batch: int, given: Description, known: Known | None = None) -> tuple[Head, Description]:
    """Return how the outputs are read, and the description with what their kind decides.

    Outputs of no known kind are refused with their shapes.
    """
    known = known or Known()
    roles = graph.roles(given)
    _refuse_unscaled(graph, roles)
    if {"boxes", "classes", "scores"} <= set(roles):
        given.refuse("its scores are those of a list of detections, not raw ones", "activation", "head")
        described = given.filled(boxes="yxyx", units="normalized") if graph.follows_the_api() else given
        return _list_head(graph, batch, roles, described), described
    head = None if roles else _table_head(graph, batch, given, known)
    if head is not None:
        return head
    given.refuse("its outputs are not one table of boxes", "head")
    pair = None
    if set(roles) == {"boxes", "scores"}:
        pair = (roles["boxes"], roles["scores"])
    elif not given.outputs:
        pair = _raw_pair(graph, batch, known.constants)
    if pair is None:
        if not roles and are_pyramid_levels([output.shape for output in graph.outputs]):
            raise DetectorError(f"its outputs are {graph.listed()}. {LEVELS_ADVICE}")
        proposed = graph.proposal()
        hint = "" if proposed is None else f" If this is a list, set --cropdet-detector outputs={proposed}."
        raise DetectorError(
            f"its outputs are {graph.listed()}.{hint} Known are boxes, classes, scores, count (name them with "
            f"{NAME_ALL}), "
            f"rows [{batch}, N, 6], tables of a YOLO [{batch}, N, 4 + C] (set head=yolo or head=yolo_objectness), and "
            f"raw heads [{batch}, A, 4] with [{batch}, A, C]; for a model with other outputs write a function that "
            "returns Detections and name it as package.module:factory"
        )
    described = given.filled(boxes="yxyx", units="normalized")
    return _anchor_head(graph, pair, described, known), described


def _refuse_unscaled(graph: Graph, roles: Mapping[str, int]) -> None:
    whole = [roles[role] for role in ("classes", "count") if role in roles]
    for place, output in enumerate(graph.outputs):
        if output.unscaled is not None and place not in whole:
            raise DetectorError(
                f"its output {output} is {output.unscaled} without scale and zero point, so nothing says which real "
                "numbers it contains; export the model with quantised outputs that have both, or with float outputs"
            )


def _table_head(graph: Graph, batch: int, given: Description, known: Known) -> tuple[Head, Description] | None:
    """Return how one table of boxes is read, ``None`` where the outputs are something else."""
    shapes = [None if output.index in known.constants else output.shape for output in graph.outputs]
    place = place_of_table(shapes)
    if place is None or graph.outputs[place].shape[0] != batch:
        return None
    table = known.answer[place][0] if known.answer else None
    return choose_table_head(shapes, table, known.size, given, known.categories, graph.listed())


def _list_head(graph: Graph, batch: int, roles: dict[str, int], given: Description) -> ListHead:
    shapes = {role: graph.outputs[place].shape for role, place in roles.items()}
    rows = shapes["boxes"][1] if len(shapes["boxes"]) == 3 else 0
    wanted = {"boxes": (batch, rows, 4), "classes": (batch, rows), "scores": (batch, rows)}
    fits = all(shapes[role] == shape for role, shape in wanted.items())
    if not fits or ("count" in shapes and int(np.prod(shapes["count"])) != batch):
        shown = ", ".join(f"{role}: {graph.outputs[place]}" for role, place in roles.items())
        raise DetectorError(
            f"its outputs ({shown}) are not boxes [{batch}, N, 4], classes and scores [{batch}, N], count [{batch}]; "
            f"say {NAME_ALL}"
        )
    return ListHead(roles, box_order(given), rows, given.nms_iou)


def _raw_pair(graph: Graph, batch: int, constants: Mapping[int, NDArray[np.float64]]) -> tuple[int, int] | None:
    places = [place for place, output in enumerate(graph.outputs) if output.index not in constants]
    shapes = [graph.outputs[place].shape for place in places]
    if len(shapes) != 2 or not all(len(shape) == 3 and shape[0] == batch for shape in shapes):
        return None
    if shapes[0][1] != shapes[1][1] or 4 not in (shapes[0][2], shapes[1][2]):
        return None
    if shapes[0] == shapes[1]:
        raise DetectorError(
            f"its outputs are {graph.listed()}, and either may be the boxes; set --cropdet-detector "
            "outputs=boxes:NAME,scores:NAME"
        )
    return (places[0], places[1]) if shapes[0][2] == 4 else (places[1], places[0])


def _anchors(graph: Graph, rows: int, given: Description, constants: Mapping[int, NDArray[np.float64]]) -> Anchors:
    """Return the anchors that the user names, else those among the outputs."""
    why = f"its outputs are raw heads ({graph.listed()}), which need their anchors"
    if given.anchors == NO_ANCHORS:
        raise DetectorError(f"anchors={NO_ANCHORS}: {why}; set --cropdet-detector anchors=FILE")
    inside = [values.reshape(-1, 4) for values in constants.values() if values.shape in ((rows, 4), (1, rows, 4))]
    if given.anchors is None and len(inside) == 1:
        return anchors_of(inside[0], f"the output of {rows} rows")
    source = str(given.require("anchors", why, "FILE"))
    anchors = read_anchors(source)
    if len(anchors.rows) != rows:
        raise DetectorError(f"anchors={source}: it contains {len(anchors.rows)} anchors, and the head has {rows}")
    return anchors


def _anchor_head(
    graph: Graph,
    pair: tuple[int, int],
    given: Description,
    known: Known,
) -> AnchorHead:
    boxes, scores = (graph.outputs[place].shape for place in pair)
    if len(boxes) != 3 or boxes[2] != 4 or len(scores) != 3 or boxes[:2] != scores[:2]:
        raise DetectorError(
            f"outputs=: boxes {list(boxes)} and scores {list(scores)} are no raw heads, [1, A, 4] and [1, A, C]; for "
            "decoded boxes name the classes too, or write a package.module:factory"
        )
    if given.boxes != "yxyx":
        raise DetectorError(f"boxes={given.boxes}: raw heads are ty tx th tw, decoded here; leave boxes= away")
    anchors = _anchors(graph, boxes[1], given, known.constants)
    nms_iou = given.require("nms_iou", "raw heads find an object many times; duplicates go above a certain IoU")
    inside = graph.activation_of(pair[1])
    if inside is not None and given.activation not in (None, "none"):
        raise DetectorError(
            f"activation={given.activation}: a {inside} is the last step inside the file, so its class scores are "
            "probabilities already; remove activation= from --cropdet-detector"
        )
    activation = given.activation or ("none" if inside else None)
    if activation is None:
        given.require("activation", "the file does not say whether its class scores are probabilities or logits")
    first = int(given.first_category or 0)
    columns, categories = scores[2], known.categories or 0
    if columns not in (categories, categories + 1):
        raise DetectorError(
            f"its scores have {columns} columns and {categories or 'no'} names are known, so whether the first is the "
            f"background is open; set --cropdet-detector labels=FILE with {columns - 1} or {columns} names"
        )
    return AnchorHead(*pair, anchors, str(activation), columns == categories + 1, first, float(nms_iou))
