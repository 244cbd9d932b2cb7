"""``pytest-cropdet diff``: two results side by side."""

import argparse
from pathlib import Path

from pytest_cropdet.commands.command import AMISS, OK, Command, UsageMistake, Write

__all__ = ["DIFF"]

_CODES = (
    "exit codes: 0 nothing is worse by more than is allowed, or nothing is limited; 1 a gate is worse by more, or "
    "cannot be compared; 2 the command was called wrongly, or a file cannot be read"
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "before", metavar="A.json", help="the first result, as pytest's option --cropdet-json writes it"
    )
    parser.add_argument("after", metavar="B.json", help="the second result")
    parser.add_argument(
        "--max-worse",
        metavar="X",
        type=float,
        help="exit with 1 where AP on crops of a gate fell by more than X, 0 to 1",
    )
    parser.add_argument(
        "--max-drop-worse", metavar="X", type=float, help="exit with 1 where the drop of a gate grew by more than X"
    )


def _run(arguments: argparse.Namespace, write: Write) -> int:
    from pytest_cropdet.comparison import diff_results, read_result
    from pytest_cropdet.errors import SpecError
    from pytest_cropdet.settings import check_share

    try:
        for option in ("max_worse", "max_drop_worse"):
            value = getattr(arguments, option)
            if value is not None:
                check_share(f"--{option.replace('_', '-')}", value)
        before, after = (read_result(Path(each)) for each in (arguments.before, arguments.after))
    except SpecError as error:
        raise UsageMistake(str(error)) from error
    found = diff_results(before, after, arguments.max_worse, arguments.max_drop_worse)
    write(f"{arguments.before} -> {arguments.after}")
    write("")
    for line in found.lines:
        write(line)
    if found.same:
        write(f"nothing changed in {', '.join(found.same)}")
    elif not found.lines:
        write("nothing changed")
    for line in found.worse:
        write(f"WORSE: {line}")
    return AMISS if found.worse else OK


DIFF = Command("diff", "Show what changed from one result to another.", _arguments, _run, _CODES)
