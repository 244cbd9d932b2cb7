"""The YAML of a YOLO data set, read as plain text values: no tag, no alias, nothing that a reader could run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_cropdet.data.category_files import decode_text
from pytest_cropdet.data.coco_json import shown
from pytest_cropdet.data.image_files import path_exists
from pytest_cropdet.data.optional import import_extra
from pytest_cropdet.errors import DataError

__all__ = ["SPLITS", "YAML_ENDINGS", "YoloYaml", "yaml_categories"]

_LARGEST_YAML = 1 << 19  # bytes
_DEEPEST = 20
YAML_ENDINGS = (".yaml", ".yml")
SPLITS = ("val", "test", "train")  # the first that there is


@dataclass(frozen=True)
class YoloYaml:
    """What a ``data.yaml`` says. ``splits``: paths as written; ``keypoints``: numbers behind each box of a pose set."""

    path: Path
    names: Mapping[int, str]
    root: str
    splits: Mapping[str, tuple[str, ...]]
    task: str
    keypoints: int

    @classmethod
    def read(cls, path: Path) -> "YoloYaml":
        """Return what a file says; ``DataError`` names what in it is wrong."""
        content = _load(path)
        if not isinstance(content, dict) or "names" not in content:
            raise DataError(f"{path} is no YOLO data set: it has no names (of categories)")
        splits: dict[str, tuple[str, ...]] = {}
        for key, word in (
            ("val", "val"),
            ("valid", "val"),
            ("validation", "val"),
            ("test", "test"),
            ("train", "train"),
        ):
            paths = content.get(key)
            paths = [paths] if isinstance(paths, str) else paths
            if not paths:
                continue
            if not isinstance(paths, list) or not all(isinstance(each, str) for each in paths):
                raise DataError(f"{path}: {key} must be a path or a list of paths, is {shown(paths)}")
            kept = tuple(each for each in paths if each)
            if kept:
                splits.setdefault(word, kept)
        root, task = content.get("path") or "", content.get("task") or ""
        if not isinstance(root, str) or not isinstance(task, str):
            raise DataError(f"{path}: path and task must be texts, are {shown(root)} and {shown(task)}")
        return cls(path, _names(content, path), root, splits, task.lower(), _keypoints(content.get("kpt_shape"), path))

    def folders_of(self, split: str) -> list[Path]:
        """Return the folders, or lists, of a split; ``DataError`` says where they were sought."""
        return [self._find(each, split) for each in self.splits[split]]

    def _find(self, written: str, split: str) -> Path:
        """Return a path that there is: below ``path``, else below the YAML's folder, also with its ``../`` left out."""
        here = self.path.parent
        roots = [here / self.root] if self.root else []
        plain = written.removeprefix("../") if written.startswith("../") else written
        places = [*(root / each for each in dict.fromkeys((written, plain)) for root in (*roots, here))]
        for place in places:
            if path_exists(place):
                return place
        sought = ", ".join(dict.fromkeys(str(place) for place in places))
        raise DataError(
            f"{self.path}: {split} is {written!r}, which does not exist; sought {sought}; correct it in the YAML, or "
            "name the folder: --cropdet-images DIR"
        )


def yaml_categories(path: Path) -> Mapping[int, str]:
    """Return the names of the categories in a YOLO YAML, by their numbers, which count from 0."""
    return YoloYaml.read(path).names


def _load(path: Path) -> Any:
    yaml = import_extra("yaml", "a YOLO data.yaml")
    text = decode_text(path, "the data set", _LARGEST_YAML)
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise DataError(
                    f"{path}: line {event.start_mark.line + 1}: an alias (*), which no data set needs: refused"
                )
            if depth > _DEEPEST:
                raise DataError(f"{path} is nested too deeply for a YOLO data set")
        loader = type("TextLoader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": {}})  # `no` is a name, not false
        return yaml.load(text, Loader=loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read as YAML: {' '.join(str(error).split())[:300]}") from error


def _names(content: Mapping[str, Any], path: Path) -> dict[int, str]:
    names = content["names"]
    if isinstance(names, list):
        found = dict(enumerate(names))
    elif isinstance(names, dict):
        found = {}
        for key, name in names.items():
            if not isinstance(key, str) or not key.isascii() or not key.isdigit() or len(key) > 9:
                raise DataError(f"{path}: names has the key {shown(key)}; its keys are the numbers of the categories")
            found[int(key)] = name
    else:
        raise DataError(f"{path}: names must be a list or a mapping from numbers, is {shown(names)}")
    for key, name in found.items():
        if not isinstance(name, str) or not name.strip():
            raise DataError(f"{path}: category {key} has no name, but {shown(name)}")
    plain = {key: name.strip() for key, name in found.items()}
    for name in plain.values():
        same = [key for key, other in plain.items() if other == name]
        if len(same) > 1:
            raise DataError(f"{path}: two categories have the name {name!r} ({same[0]} and {same[1]}); rename one")
    count = content.get("nc")
    if isinstance(count, str) and count.isdigit() and int(count[:9]) != len(plain):
        raise DataError(f"{path}: nc is {count[:9]}, but names has {len(plain)} categories")
    if not plain:
        raise DataError(f"{path}: names is empty")
    return plain


def _keypoints(shape: Any, path: Path) -> int:
    if shape is None:
        return 0
    if not isinstance(shape, list) or not all(isinstance(each, str) and each.strip().isdigit() for each in shape):
        raise DataError(f"{path}: kpt_shape must be two numbers such as [17, 3], is {shown(shape)}")
    numbers = [int(each[:6]) for each in shape]
    if len(numbers) != 2 or numbers[1] not in (2, 3) or not 0 < numbers[0] < 10_000:
        raise DataError(f"{path}: kpt_shape must be two numbers such as [17, 3], is {shown(shape)}")
    return numbers[0] * numbers[1]
