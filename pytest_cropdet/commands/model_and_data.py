"""The model's conventions and the data set, as commands are given them."""

from typing import TYPE_CHECKING

from pytest_cropdet.commands.command import UsageMistake, nearest

if TYPE_CHECKING:
    from pytest_cropdet.data import Dataset

__all__ = ["described", "given_dataset"]


def described(values: list[str]) -> dict[str, str]:
    """Return what ``--detector`` says of a model; ``UsageMistake`` names what is no convention."""
    from dataclasses import fields

    from pytest_cropdet.detectors import Description
    from pytest_cropdet.errors import DetectorError

    known = [field.name for field in fields(Description)]
    found: dict[str, str] = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not text:
            raise UsageMistake(f"--detector={value}: must be KEY=VALUE")
        if key not in known:
            raise UsageMistake(f"--detector={value}: there is no convention {key!r}{nearest(key, known)}")
        found[key] = text
    try:
        Description.of(**found)
    except DetectorError as error:
        raise UsageMistake(f"--detector {error}") from error
    return found


def given_dataset(path: str, images: str | None) -> "Dataset":
    """Return the data set of ``--data`` and ``--images``."""
    from pytest_cropdet.data import load_dataset

    return load_dataset(path, images)
