"""Where the pictures of searches and of sliced inference lie: under the plugin's folder, each test its own."""

import hashlib
import re
from pathlib import Path

import pytest

from pytest_cropdet.files import make_folder
from pytest_cropdet.plugin.configuration import folder_of

__all__ = ["picture_path", "seen_from_start"]


def picture_path(config: pytest.Config, item: pytest.Item | None, kind: str, name: str, sample: str) -> Path:
    """Return where a picture is written, in a folder of its kind, which is there then.

    The file's name tells apart the tests, such as those of two models, and samples whose ids differ in signs alone.
    """
    folder = folder_of(config)
    of = hashlib.sha256(f"{'' if item is None else item.nodeid}\x1f{sample}".encode()).hexdigest()[:8]
    stem, _, ending = name.rpartition(".")
    file = re.sub(r"[^\w.-]+", "_", f"{stem}_{of}.{ending}")
    make_folder(folder)
    (folder / kind).mkdir(exist_ok=True)
    return folder / kind / file


def seen_from_start(config: pytest.Config, path: Path) -> str:
    """Return a path as seen from where pytest was started, where it lies below."""
    here = config.invocation_params.dir
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
