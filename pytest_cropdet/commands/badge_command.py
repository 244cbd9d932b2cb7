"""``pytest-cropdet badge``: a result as a badge, drawn here."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_cropdet.commands.command import OK, Command, UsageMistake, Write, nearest

if TYPE_CHECKING:
    from pytest_cropdet.terms import Record

__all__ = ["BADGE"]

_ORDER = ("fail", "error", "undecided", "none", "pass")  # the worst verdict first
_WORDS = {"error": "test failed", "none": "not judged"}
_CODES = (
    "exit codes: 0 the badge was written, whatever the verdict; 2 the command was called wrongly, or a file cannot be "
    "read"
)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("result", metavar="RESULT.json", help="the result, as pytest's option --cropdet-json writes it")
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="badge.svg", help="the SVG file (badge.svg); - prints it"
    )
    parser.add_argument(
        "--gate", metavar="NAME", help="show this gate (all gates, the worst verdict first, if not given)"
    )
    parser.add_argument("--label", metavar="TEXT", default="crop robustness", help="the left part (crop robustness)")


def _run(arguments: argparse.Namespace, write: Write) -> int:
    from pytest_cropdet.comparison import read_result
    from pytest_cropdet.errors import SpecError
    from pytest_cropdet.figures import badge
    from pytest_cropdet.files import write_whole
    from pytest_cropdet.terms import encodable, one_line

    try:
        gates = read_result(Path(arguments.result))["gates"]
    except SpecError as error:
        raise UsageMistake(str(error)) from error
    if arguments.gate is not None:
        names = [gate["name"] for gate in gates]
        if arguments.gate not in names:
            raise UsageMistake(f"--gate={arguments.gate}: the result has no such gate{nearest(arguments.gate, names)}")
        gates = [gate for gate in gates if gate["name"] == arguments.gate]
    message, verdict = _message(gates)
    details = "; ".join(f"{gate['name']}: {_one(gate)}" for gate in gates) or "no gate"
    drawn = encodable(badge(*map(one_line, (arguments.label, message, verdict, f"{arguments.label}: {details}"))))
    if arguments.output == "-":
        write(drawn.rstrip("\n"))
    else:
        write_whole(Path(arguments.output), drawn)
        write(f"written: {arguments.output}: {one_line(message)}")
    return OK


def _message(gates: Sequence["Record"]) -> tuple[str, str]:
    """Return the words of the right part, and the worst verdict."""
    if not gates:
        return "no result", "none"
    gates = sorted(gates, key=lambda gate: _ORDER.index(gate["verdict"]) if gate["verdict"] in _ORDER else 0)
    verdict = str(gates[0]["verdict"])
    if len(gates) == 1:
        return _one(gates[0]), verdict
    count = sum(gate["verdict"] == verdict for gate in gates)
    drops = [gate["drop"]["value"] for gate in gates if gate["drop"]["value"] is not None]
    most = f", drop up to {max(drops):.3f}" if drops else ""
    return f"{count} of {len(gates)} {_WORDS.get(verdict, verdict)}{most}", verdict


def _one(gate: "Record") -> str:
    from pytest_cropdet.evaluation import digits

    limit = "" if gate["limit"] is None else f" (limit {digits(gate['limit'])})"
    return f"{_WORDS.get(gate['verdict'], gate['verdict'])}, drop {digits(gate['drop']['value'])}{limit}"


BADGE = Command("badge", "Draw a badge of a result: verdict and drop.", _arguments, _run, _CODES)
