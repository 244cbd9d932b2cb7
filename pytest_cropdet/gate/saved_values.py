"""Frozen values as a JSON tree and flat arrays, and back, bit for bit: no pickle, so no code runs when they are read.

A value that is reached in two ways is written once, and is one value again when it is read. Only the classes that the
caller names are made; of functions, only the methods that the caller names are kept.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["TreeReader", "TreeWriter"]

_KINDS: Mapping[str, Callable[[Any], Any]] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


class TreeWriter:
    """Writes values as a tree of built-in values; their arrays are appended to one flat array per type of number.

    ``classes``: the dataclasses it may write. ``dropped``: names of fields in which a function is written as ``None``.
    ``special``: by class, a function that returns what is written of a value in the place of its fields. ``lists``:
    classes of sequences whose values are written as those of a list.
    """

    def __init__(
        self,
        classes: Sequence[type],
        dropped: Sequence[str] = (),
        special: Mapping[type, Callable[[Any], Mapping[str, Any]]] | None = None,
        lists: tuple[type[Sequence[Any]], ...] = (),
    ) -> None:
        self._classes = {each: each.__name__ for each in classes}
        self._dropped = {*dropped}
        self._special = special or {}
        self._lists = lists
        self._places: dict[int, int] = {}
        self._alive: list[Any] = []  # an id is one value's only while that value lives
        self._parts: dict[str, list[NDArray[Any]]] = {}
        self._lengths: dict[str, int] = {}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the flat arrays by their type, as ``<f8``."""
        return {kind: np.concatenate(parts) for kind, parts in self._parts.items()}

    def write(self, value: Any) -> Any:
        """Return a value's tree; ``TypeError`` names a class that cannot be written."""
        if value is None or isinstance(value, str | bool):
            return str(value) if isinstance(value, str) else value
        if isinstance(value, np.generic):
            return {"number": self._array(np.asarray(value))}
        if isinstance(value, int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"float": repr(value)}
        if isinstance(value, bytes):
            return {"bytes": value.hex()}
        if isinstance(value, PurePath):
            return {"path": str(value)}
        known = self._places.get(id(value))
        if known is not None:
            return {"same": known}
        place = len(self._places)
        self._places[id(value)] = place
        self._alive.append(value)
        return {"place": place, **self._tree(value)}

    def _tree(self, value: Any) -> dict[str, Any]:
        if isinstance(value, np.ndarray):
            return {"array": self._array(value)}
        if isinstance(value, Mapping):
            return {"map": [[self.write(key), self.write(each)] for key, each in value.items()]}
        for name, kind in _KINDS.items():
            if type(value) is kind:
                each = sorted(value) if name in ("set", "frozenset") else value
                return {name: [self.write(one) for one in each]}
        if isinstance(value, self._lists):
            return {"list": [self.write(one) for one in value]}
        known, own = self._class_of(value)
        if known is not None:
            return {"class": known, "fields": {key: self._field(key, each) for key, each in own.items()}}
        method = getattr(value, "__func__", None)
        if method is not None and type(value.__self__) in self._classes:
            return {"method": method.__name__, "of": self.write(value.__self__)}
        raise TypeError(f"a {type(value).__module__}.{type(value).__qualname__} cannot be saved")

    def _class_of(self, value: Any) -> tuple[str | None, Mapping[str, Any]]:
        for kind in type(value).__mro__:
            if kind in self._special and kind in self._classes:
                return self._classes[kind], self._special[kind](value)
        if type(value) in self._classes and is_dataclass(value):
            return self._classes[type(value)], {each.name: getattr(value, each.name) for each in fields(value)}
        return None, {}

    def _field(self, name: str, value: Any) -> Any:
        return None if name in self._dropped and callable(value) else self.write(value)

    def _array(self, value: NDArray[Any]) -> list[Any]:
        if value.dtype.kind not in "biufU":
            raise TypeError(f"an array of {value.dtype} cannot be saved")
        kind = value.dtype.newbyteorder("<").str
        flat = np.ascontiguousarray(value).astype(kind, copy=False).reshape(-1)
        start = self._lengths.get(kind, 0)
        self._parts.setdefault(kind, []).append(flat)
        self._lengths[kind] = start + len(flat)
        return [kind, start, list(value.shape)]


class TreeReader:
    """Reads what :class:`TreeWriter` wrote; ``ValueError``, ``KeyError`` or ``TypeError`` where it is damaged.

    ``make``: by name of a class, what makes a value of its fields, in the place of the class itself. ``methods``: the
    ``(class name, method name)`` that are taken up again.
    """

    def __init__(
        self,
        arrays: Mapping[str, NDArray[Any]],
        classes: Sequence[type],
        make: Mapping[str, Callable[..., Any]] | None = None,
        methods: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._arrays = arrays
        self._make: dict[str, Callable[..., Any]] = {**{each.__name__: each for each in classes}, **(make or {})}
        self._methods = {*methods}
        self._made: dict[int, Any] = {}

    def read(self, tree: Any) -> Any:
        """Return the value of a tree."""
        if not isinstance(tree, dict):
            if isinstance(tree, list):
                raise ValueError("a list without its type")
            return tree
        if "same" in tree:
            return self._made[tree["same"]]
        if "number" in tree:
            return self._array(tree["number"])[()]
        if "float" in tree:
            return float(tree["float"])
        if "bytes" in tree:
            return bytes.fromhex(tree["bytes"])
        if "path" in tree:
            return Path(tree["path"])
        value = self._value(tree)
        self._made[tree["place"]] = value
        return value

    def _value(self, tree: Mapping[str, Any]) -> Any:
        if "array" in tree:
            return self._array(tree["array"])
        if "map" in tree:
            return {self.read(key): self.read(value) for key, value in tree["map"]}
        if "class" in tree:
            return self._make[tree["class"]](**{key: self.read(each) for key, each in tree["fields"].items()})
        if "method" in tree:
            owner = self.read(tree["of"])
            if (type(owner).__name__, tree["method"]) not in self._methods:
                raise ValueError(f"the method {tree['method']!r} is none that is saved")
            return getattr(owner, tree["method"])
        for name, kind in _KINDS.items():
            if name in tree:
                return kind(self.read(each) for each in tree[name])
        raise ValueError("a value without its type")

    def _array(self, place: Sequence[Any]) -> NDArray[Any]:
        kind, start, shape = place
        size = math.prod(shape)
        found = self._arrays[kind][start : start + size]
        if start < 0 or len(found) != size:
            raise ValueError(f"an array of {size} numbers ends after {len(found)}")
        return np.asarray(found.reshape(shape))
