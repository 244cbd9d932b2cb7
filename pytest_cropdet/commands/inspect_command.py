"""``pytest-cropdet inspect``: a model, with annotated data or an image, or a data set alone."""

import argparse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_cropdet.commands.command import Command, UsageMistake, Write
from pytest_cropdet.commands.model_and_data import add_data_and_conventions, described, given_dataset

if TYPE_CHECKING:
    pass

__all__ = ["INSPECT"]

MEASURING_SECONDS = 300.0


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="a model file or folder, kind:PATH, package.module:factory, or an entry point, as in --cropdet-model",
    )
    add_data_and_conventions(
        parser, "a data set, as pytest's option of that name; with a model: measure its conventions"
    )
    parser.add_argument("--image", metavar="FILE", help="run the model on this image and draw what it finds")
    parser.add_argument(
        "-o", "--output", metavar="DIR", default=None, help="the folder for pictures (.cropdet/inspect if not given)"
    )
    parser.add_argument(
        "--seconds",
        metavar="N",
        type=float,
        default=MEASURING_SECONDS,
        help=f"begin no further measurement after so many seconds ({MEASURING_SECONDS:g})",
    )


def _run(arguments: argparse.Namespace, write: Write) -> int:
    given = _check(arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of data sets are shown with their counts
        return _inspect(arguments, given, write)


def _inspect(arguments: argparse.Namespace, given: dict[str, str], write: Write) -> int:
    dataset = None if arguments.data is None else given_dataset(arguments.data, arguments.images)
    if arguments.model is None and dataset is not None:
        from pytest_cropdet.commands.inspect_dataset import inspect_dataset

        return inspect_dataset(dataset, arguments.output, write)
    from pytest_cropdet.commands.inspect_model import inspect_model

    return inspect_model(arguments, given, dataset, write)


def _check(arguments: argparse.Namespace) -> dict[str, str]:
    """Return what ``--detector`` says; raise what shows that the command was called wrongly."""
    if arguments.model is None and arguments.data is None:
        raise UsageMistake("inspect what? Give a MODEL, or --data=PATH, or both")
    if arguments.model is None and (arguments.image is not None or arguments.detector):
        raise UsageMistake("--image and --detector need a MODEL")
    if arguments.images is not None and arguments.data is None:
        raise UsageMistake("--images is the folder of a data set's images: it needs --data=PATH")
    if not arguments.seconds > 0:
        raise UsageMistake("--seconds must be larger than 0")
    from pytest_cropdet.data import inside_archive

    for option in ("data", "images", "image"):
        value = getattr(arguments, option)
        if value is None or Path(value).exists() or any(sign in value for sign in ("://", "*", "::")):
            continue
        if option == "image" or inside_archive(value) is None:
            raise UsageMistake(f"--{option}={value}: there is no such file or folder")
    return described(arguments.detector)


INSPECT = Command(
    "inspect",
    "Show how a model is read and what must still be set, or what a data set contains.",
    _arguments,
    _run,
)
