"""The users' files are for type checkers: nothing in them runs."""

collect_ignore_glob = ["user_*.py"]
