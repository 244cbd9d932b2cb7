"""Which commands there are, and how one is found and run."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import NamedTuple

from pytest_cropdet.commands.command import (
    AMISS,
    EXIT_CODES,
    OK,
    PROGRAM,
    USAGE,
    Command,
    CommandParser,
    UsageMistake,
    nearest,
)
from pytest_cropdet.errors import CropdetError
from pytest_cropdet.terms import visible

__all__ = ["COMMANDS", "run_command"]

PACKAGE = "pytest_cropdet"


class _Place(NamedTuple):
    """Where a command is, and what it does in a line of the help; its module is imported when it is called."""

    module: str
    attribute: str
    summary: str


COMMANDS: Mapping[str, _Place] = {
    "inspect": _Place(
        "inspect_command", "INSPECT", "how a model is read and what must still be set; what a data set contains"
    ),
    "tiles": _Place("tiles_command", "TILES", "which tiles for sliced inference: AP gained against detector calls"),
    "trend": _Place("trend_command", "TREND", "the history of gates, drawn; from which commit on a drop is larger"),
    "diff": _Place("diff_command", "DIFF", "two results side by side: what changed"),
    "badge": _Place("badge_command", "BADGE", "a badge of a result, as an SVG file"),
}


def run_command(arguments: Sequence[str]) -> int:
    """Run the command that the first argument names, with the others, and return its exit code."""
    try:
        return _run(list(arguments))
    except SystemExit as ended:  # argparse: help, or a mistake that is on standard error already
        return OK if ended.code is None else int(ended.code)
    except UsageMistake as mistake:
        return _complain(str(mistake), USAGE)
    except CropdetError as error:
        return _complain(str(error), AMISS)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return AMISS
    except OSError as error:
        return _complain(f"{error.filename or 'a file'}: {error.strerror or error}", AMISS)


def _run(arguments: list[str]) -> int:
    if arguments and not arguments[0].startswith("-"):
        name, *rest = arguments
        if name not in COMMANDS:
            raise UsageMistake(f"{PROGRAM} has no command {name!r}{nearest(name, COMMANDS)}")
        place = COMMANDS[name]
        command: Command = getattr(import_module(f"{PACKAGE}.commands.{place.module}"), place.attribute)
        return command.run(command.parser().parse_args(rest), _write)
    parser = _top_parser()
    parser.parse_args(arguments)
    if not arguments:
        parser.print_usage(sys.stderr)
        raise UsageMistake(f"name a command: {', '.join(COMMANDS)}")
    return OK


def _top_parser() -> CommandParser:
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name.ljust(width)}  {place.summary}" for name, place in COMMANDS.items())
    parser = CommandParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [--help] [--version] COMMAND ...",
        description="Crop robustness of object detectors, beside pytest.",
        epilog=f"commands:\n{listed}\n\n{PROGRAM} COMMAND --help shows the options of a command\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {import_module(PACKAGE).__version__}")
    return parser


def _write(line: str) -> None:
    """Write a line to standard output, whatever letters that can show."""
    text = f"{visible(line)}\n"
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    sys.stdout.write(text.encode(encoding, errors="backslashreplace").decode(encoding))


def _complain(text: str, code: int) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"{PROGRAM}: {text}\n")
    return code
