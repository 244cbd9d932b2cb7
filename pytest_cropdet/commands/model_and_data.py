"""The model's conventions and the data set, as commands are given them."""

import argparse
from typing import TYPE_CHECKING

from pytest_cropdet.commands.command import UsageMistake, nearest

if TYPE_CHECKING:
    from pytest_cropdet.data import Dataset

__all__ = ["add_data_and_conventions", "described", "given_dataset"]


def add_data_and_conventions(parser: argparse.ArgumentParser, data: str, required: bool = False) -> None:
    """Add ``--data``, whose help is given, ``--images`` and ``--detector``, under pytest's names, too."""
    parser.add_argument("--data", "--cropdet-data", metavar="PATH", required=required, help=data)
    parser.add_argument("--images", "--cropdet-images", metavar="DIR", help="the folder, archive or URL of the images")
    parser.add_argument(
        "--detector",
        "--cropdet-detector",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="a convention of the model, as pytest's option of that name; may be given several times",
    )


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
