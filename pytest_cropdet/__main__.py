"""``python -m pytest_cropdet``: the console command."""

import sys

from pytest_cropdet.commands import main

if __name__ == "__main__":
    sys.exit(main())
