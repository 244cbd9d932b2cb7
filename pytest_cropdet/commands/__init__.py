"""The console command, with a module for each of its commands.

Exit codes of all commands: 0, all is well; 1, something is wrong, open or unclear; 2, the command was called wrongly.
"""

import sys
from collections.abc import Sequence

from pytest_cropdet.commands.dispatch import run_command

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the console command with ``arguments``, those of the process if not given, and return its exit code."""
    return run_command(sys.argv[1:] if arguments is None else list(arguments))
