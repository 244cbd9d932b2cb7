"""Frozen graphs of TensorFlow 1: a ``.pb`` file with one ``GraphDef`` whose variables are constants.

The graph is imported into a wrapped function and cut down to what leads from the input to the outputs. A graph of the
TF Object Detection API has nodes called ``image_tensor`` and ``detection_boxes``; of any other the outputs are named.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pytest_cropdet.detectors.adapters.quiet import quiet
from pytest_cropdet.detectors.adapters.tensorflow_call import Call
from pytest_cropdet.detectors.adapters.tensorflow_inputs import operations_of
from pytest_cropdet.detectors.adapters.tensorflow_model import TensorFlowAdapter, import_tensorflow, warmed_up
from pytest_cropdet.detectors.adapters.tensorflow_outputs import API, follows_the_api, named_outputs
from pytest_cropdet.detectors.description import Description, outputs_by_role
from pytest_cropdet.errors import DetectorError

__all__ = ["call_of_file", "load", "verify"]

GRAPH_BEGIN, SAVED_MODEL_BEGIN = b"\x0a", b"\x08"  # the first byte of a GraphDef, and of a SavedModel
VARIABLES = ("Variable", "VariableV2", "VarHandleOp")
NO_OUTPUTS = ("Const", "Placeholder", "NoOp", "Assert", "PlaceholderWithDefault")
TEXT_BEGINS = (b"node {", b"node{", b"item {", b"item{", b"# ")


def verify(path: Path) -> None:
    """Raise ``DetectorError`` for a file whose first bytes are not those of a ``GraphDef``."""
    with path.open("rb") as stream:
        begin = stream.read(16)
    if begin.lstrip().startswith(TEXT_BEGINS):
        raise DetectorError(f"{path} is text; a frozen graph is binary: write it with as_text=False")
    if begin[:1] == SAVED_MODEL_BEGIN:
        raise DetectorError(
            f"{path} is the graph of a SavedModel under another name; call it saved_model.pb and give its folder"
        )
    if begin[:1] != GRAPH_BEGIN:
        raise DetectorError(
            f"{path} is not a frozen graph: it does not begin with a node (a download that was cut off?)"
        )


def load(path: Path, description: Description) -> TensorFlowAdapter:
    """Return the frozen graph in ``path``, warmed up."""
    description.refuse("a frozen graph has no signatures and no objects", "signature", "custom_objects")
    tensorflow = import_tensorflow(description.threads)
    with quiet():
        graph = _graph_in(path, tensorflow)
        return warmed_up(path, lambda: _call_of(graph, tensorflow, description), tensorflow, description)


def call_of_file(path: Path, tensorflow: Any, description: Description) -> Call:
    """Return the graph in ``path`` as a function of a batch of images."""
    return _call_of(_graph_in(path, tensorflow), tensorflow, description)


def _graph_in(path: Path, tensorflow: Any) -> Any:
    graph = tensorflow.compat.v1.GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
    except Exception as error:
        raise DetectorError(f"{path} is not a frozen graph: {error} (a download that was cut off?)") from error
    return graph


def _call_of(graph: Any, tensorflow: Any, description: Description) -> Call:
    variables = [node.name for node in graph.node if node.op in VARIABLES]
    if variables:
        raise DetectorError(
            f"the graph is not frozen: {len(variables)} variables such as {variables[0]!r} have no values; freeze it "
            "with its checkpoint, or give the folder of the SavedModel"
        )
    try:
        wrapped = tensorflow.compat.v1.wrap_function(lambda: tensorflow.import_graph_def(graph, name=""), [])
    except Exception as error:
        raise DetectorError(f"TensorFlow cannot import the graph: {type(error).__name__}: {error}") from error
    outputs = _outputs_of(wrapped.graph, graph, description)
    image = _input_of(wrapped.graph, graph, outputs)
    pruned = wrapped.prune(image, outputs)

    def run(batch: Any) -> Mapping[str, Any]:
        return named_outputs(pruned(batch))

    operations = operations_of(pruned.graph.as_graph_def()) if image.dtype.name == "string" else frozenset()
    return Call(image.op.name, image.dtype, image.shape, outputs, run, operations=operations)


def _outputs_of(imported: Any, graph: Any, description: Description) -> dict[str, Any]:
    """Return the tensors that may be outputs by name: those that are named, or the API's, or all that nothing uses."""
    nodes = {node.name for node in graph.node}
    loose = _unused(graph)
    if description.outputs is not None:
        wanted = set(outputs_by_role(description.outputs).values())
        found = _listed(imported, [name for name in wanted if _node(name) in nodes])
        return found if len(found) == len(wanted) else {**_listed(imported, loose), **found}
    if follows_the_api(nodes):
        return _listed(imported, [name for name in API.values() if name in nodes])
    return _listed(imported, loose)


def _listed(imported: Any, names: Iterable[str]) -> dict[str, Any]:
    tensors = {name: _tensor(imported, name) for name in names}
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


def _unused(graph: Any) -> list[str]:
    """Return the nodes whose results no other node takes."""
    used = {_node(each) for node in graph.node for each in node.input}
    return [node.name for node in graph.node if node.name not in used and node.op not in NO_OUTPUTS]


def _node(name: str) -> str:
    """Return the node in the name of a tensor or of a control input.

    >>> _node("^assert"), _node("split:1")
    ('assert', 'split')
    """
    return name.removeprefix("^").partition(":")[0]


def _tensor(imported: Any, name: str) -> Any:
    """Return a tensor by its name, of which ``:0`` may be left out; ``None`` if the graph has none."""
    try:
        return imported.get_tensor_by_name(name if ":" in name else f"{name}:0")
    except (KeyError, ValueError):
        return None


def _input_of(imported: Any, graph: Any, outputs: Mapping[str, Any]) -> Any:
    """Return the one placeholder that the outputs depend on."""
    nodes = {node.name: node for node in graph.node}
    waiting, seen = [tensor.op.name for tensor in outputs.values()], set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(_node(each) for each in nodes[name].input)
    inputs = [node.name for node in graph.node if node.op == "Placeholder" and node.name in seen]
    if len(inputs) != 1:
        raise DetectorError(f"the graph takes {', '.join(inputs) or 'nothing'}; a detector takes one tensor of images")
    return _tensor(imported, inputs[0])
