"""What an ONNX file says before a runtime sees it: its operations, where its weights are, and its metadata.

The file is read by the numbers of the fields in ``onnx.proto``; the package ``onnx`` is not needed.
"""

import mmap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_cropdet.detectors.adapters.protobuf import DamagedMessageError, Message
from pytest_cropdet.errors import DetectorError
from pytest_cropdet.terms import one_line

__all__ = ["Node", "OnnxFile", "files_of", "read_onnx"]

# Domains of operations that ONNX Runtime itself has; all others are libraries of custom operations, which are code.
KNOWN_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training", "ai.onnx.training")
RUNTIME_DOMAINS = ("com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc", "org.pytorch.aten")
EXTERNAL = 1  # data_location of a tensor whose values are in another file
DAMAGED = "is not an ONNX file, or is damaged (a download that was cut off?)"


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of a graph; ``whole``: its attributes that are lists of whole numbers."""

    kind: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    whole: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """The graph's ``nodes`` in their order, ``sides`` of its constants by name, ``metadata`` as texts.

    ``operations``: (domain, kind) of every node, in graphs inside of nodes and in functions too; ``functions``: those
    that the file itself defines. ``external``: files with weights, as the file names them.
    """

    path: Path
    nodes: tuple[Node, ...]
    sides: Mapping[str, tuple[int, ...]]
    operations: frozenset[tuple[str, str]]
    functions: frozenset[tuple[str, str]]
    external: tuple[str, ...]
    metadata: Mapping[str, str]

    def external_files(self) -> list[Path]:
        """Return the files with weights; ``DetectorError`` names one that is missing or outside of the folder."""
        found = []
        for location in self.external:
            named, shown = Path(location), one_line(location)
            if named.is_absolute() or ".." in named.parts or not location:
                raise DetectorError(f"{self.path}: its weights are in {shown!r}, which is outside of its folder")
            file = self.path.parent / named
            if not file.is_file():
                raise DetectorError(
                    f"{self.path}: its weights are in a second file, {shown}, which is missing; copy it into the "
                    f"folder {self.path.parent}, or export the model into one file"
                )
            found.append(file)
        return found

    def refuse_custom(self) -> None:
        """Raise ``DetectorError`` for operations that no ONNX Runtime has."""
        known = {*KNOWN_DOMAINS, *RUNTIME_DOMAINS}
        custom = [each for each in sorted(self.operations - self.functions) if each[0] not in known]
        if custom:
            shown = ", ".join(one_line(f"{domain}:{kind}") for domain, kind in custom[:5])
            raise DetectorError(
                f"{self.path}: it needs custom operations ({shown}), which ONNX Runtime does not have. Their libraries "
                "are code, and are not loaded; export it without them, or write a function that loads it and returns "
                "Detections, and name it as package.module:factory"
            )


def read_onnx(path: Path) -> OnnxFile:
    """Return what the file in ``path`` says; ``DetectorError`` if it is no ONNX file, or is cut off."""
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _model(path, Message(data, 0, len(data)))
    except (DamagedMessageError, RecursionError, AttributeError, TypeError) as error:  # or a number for a text
        why = f": {error}" if isinstance(error, DamagedMessageError) else ""
        raise DetectorError(f"{path} {DAMAGED}{why}") from error
    except ValueError as error:  # mmap: of an empty file
        raise DetectorError(f"{path} {DAMAGED}: it is empty") from error


def files_of(path: Path) -> list[Path]:
    """Return all files that the model in ``path`` consists of: itself, and those with its weights."""
    return [path, *read_onnx(path).external_files()]


def _model(path: Path, message: Message) -> OnnxFile:
    parts = message.parts()
    if not parts.get(7) or not parts.get(8):  # a graph, and the versions of its operations
        raise DamagedMessageError("it contains no graph")
    graph: Message = parts[7][-1]
    functions = [each.parts() for each in parts.get(25, [])]
    nodes = [*_nodes(graph), *(node for function in functions for node in _below(function.get(7, [])))]
    tensors = [*_tensors(graph), *(each for function in functions for each in _tensors_of(function.get(7, [])))]
    outside = (_entries(each.get(13, [])) for each in tensors if each.get(14, [0])[-1] == EXTERNAL)
    return OnnxFile(
        path,
        tuple(_node(each) for each in graph.parts().get(1, [])),
        {_text(each, 8): tuple(_whole(each.get(1, []))) for each in tensors},
        frozenset((node.domain, node.kind) for node in nodes),
        frozenset((_text(function, 10), _text(function, 1)) for function in functions),
        tuple(sorted({each.get("location", "") for each in outside})),
        _entries(parts.get(14, [])),
    )


def _nodes(graph: Message) -> Iterator[Node]:
    """Yield the nodes of a graph, and of the graphs inside of them."""
    yield from _below(graph.parts().get(1, []))


def _below(nodes: Iterable[Message]) -> Iterator[Node]:
    for message in nodes:
        yield _node(message)
        for inner in _graphs(message):
            yield from _nodes(inner)


def _graphs(node: Message) -> Iterator[Message]:
    for attribute in node.parts().get(5, []):
        parts = attribute.parts()
        yield from (*parts.get(6, []), *parts.get(11, []))


def _node(message: Message) -> Node:
    parts = message.parts()
    attributes = [each.parts() for each in parts.get(5, [])]
    return Node(
        _text(parts, 4),
        _text(parts, 7),
        tuple(each.text() for each in parts.get(1, [])),
        tuple(each.text() for each in parts.get(2, [])),
        {_text(each, 1): tuple(_whole(each[8])) for each in attributes if each.get(8)},
    )


def _tensors(graph: Message) -> Iterator[dict[int, list[Message]]]:
    """Yield the fields of each tensor of a graph: constants of its own, and those in attributes of its nodes."""
    parts = graph.parts()
    yield from (each.parts() for each in parts.get(5, []))
    yield from _tensors_of(parts.get(1, []))


def _tensors_of(nodes: Iterable[Message]) -> Iterator[dict[int, list[Message]]]:
    for node in nodes:
        for attribute in node.parts().get(5, []):
            parts = attribute.parts()
            yield from (each.parts() for each in (*parts.get(5, []), *parts.get(10, [])))
        for inner in _graphs(node):
            yield from _tensors(inner)


def _entries(messages: Iterable[Message]) -> dict[str, str]:
    found = (each.parts() for each in messages)
    return {_text(each, 1): _text(each, 2) for each in found}


def _text(parts: Mapping[int, list[Message]], number: int) -> str:
    values = parts.get(number)
    return values[-1].text() if values else ""


def _whole(values: Iterable["int | Message"]) -> Iterator[int]:
    """Yield whole numbers, packed or not; those below 0 as they are."""
    for value in values:
        for each in (value,) if isinstance(value, int) else value.numbers():
            yield each - (1 << 64) if each >= 1 << 63 else each
