"""What a command is, and how its arguments are read: a mistake names the nearest right word."""

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn

__all__ = ["AMISS", "EXIT_CODES", "OK", "PROGRAM", "USAGE", "Command", "CommandParser", "UsageMistake", "nearest"]

PROGRAM = "pytest-cropdet"
OK, AMISS, USAGE = 0, 1, 2
EXIT_CODES = (
    f"exit codes: {OK} all is well; {AMISS} something is wrong, open or unclear; {USAGE} the command was called wrongly"
)

Write = Callable[[str], None]


class UsageMistake(Exception):  # noqa: N818  (the user's, not the program's)
    """The command was called wrongly; the text says how to call it."""


@dataclass(frozen=True)
class Command:
    """One command: ``arguments`` adds its own to a parser, ``run`` does it and returns the exit code.

    ``run`` gets the parsed arguments and what writes a line to standard output. Nothing heavy may be imported before.
    ``exit_codes``: what its exit codes say, for the help.
    """

    name: str
    summary: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Write], int]
    exit_codes: str = EXIT_CODES

    def parser(self) -> "CommandParser":
        """Return the parser of the command's own arguments."""
        found = CommandParser(prog=f"{PROGRAM} {self.name}", description=self.summary, epilog=self.exit_codes)
        self.arguments(found)
        return found


class CommandParser(argparse.ArgumentParser):
    """A parser that takes no abbreviations, and names the nearest option where one is unknown."""

    def __init__(self, **settings: object) -> None:
        super().__init__(allow_abbrev=False, **settings)  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments: "):
            unknown = message.removeprefix("unrecognized arguments: ").split()[0].partition("=")[0]
            options = [option for action in self._actions for option in action.option_strings]
            message = f"unknown option {unknown}{nearest(unknown, options)}"
        sys.stderr.write(f"{self.prog}: {message}\n{self.prog} --help shows how to call it\n")
        raise SystemExit(USAGE)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a hint at the known word that is nearest, else the list of all.

    >>> nearest("rnage", ["boxes", "range"]), nearest("xyz", ["boxes", "range"])
    ('; did you mean range?', '; there are boxes, range')
    """
    words = list(known)
    close = get_close_matches(word, words, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(words)}"
