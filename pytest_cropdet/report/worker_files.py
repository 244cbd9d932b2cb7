"""What a process leaves on disk for the page: one file a run, written whole or not at all.

Records travel to the controller with pytest's reports, pictures and tables are too large for that. A worker that dies
leaves what it wrote, and of a run that it had begun, that it had.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pytest_cropdet.files import write_whole

__all__ = ["WorkerFiles"]

OLD = 24 * 3600.0  # seconds after which what another session left behind is taken away


class WorkerFiles:
    """The folder ``parts/<session>`` of one session, shared by its processes."""

    def __init__(self, folder: Path, session: str) -> None:
        self.folder = folder / "parts" / session

    def begin(self, test: str, place: int, gate: str) -> None:
        """Say that a run has begun."""
        self._write(test, place, {"test": test, "place": place, "gate": gate, "done": False})

    def finish(self, test: str, place: int, content: Mapping[str, Any]) -> None:
        """Keep what a run leaves, in place of what :meth:`begin` said."""
        self._write(test, place, {"test": test, "place": place, "done": True, **content})

    def expect(self, tests: list[str]) -> None:
        """Keep the tests that a worker was given: the controller does not know which of them gate."""
        write_whole(self.folder / "planned.json", json.dumps(tests))

    def expected(self) -> list[str]:
        """Return the tests that :meth:`expect` kept."""
        try:
            return [str(test) for test in json.loads((self.folder / "planned.json").read_text(encoding="utf-8"))]
        except (OSError, ValueError):
            return []

    def read(self) -> dict[tuple[str, int], dict[str, Any]]:
        """Return what every run left, by test and place; a file that cannot be read is left out."""
        found = {}
        for path in sorted(self.folder.glob("run-*.json")):
            with suppress(OSError, ValueError, KeyError):
                content = json.loads(path.read_text(encoding="utf-8"))
                found[content["test"], content["place"]] = content
        return found

    def remove(self) -> None:
        """Take the session's folder away, and those that sessions left behind which never came to an end."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):
            for other in self.folder.parent.iterdir():
                if time.time() - other.stat().st_mtime > OLD:
                    shutil.rmtree(other, ignore_errors=True)
            self.folder.parent.rmdir()  # if it is empty

    def _write(self, test: str, place: int, content: Mapping[str, Any]) -> None:
        name = hashlib.sha256(f"{test}\n{place}".encode("utf-8", "backslashreplace")).hexdigest()[:20]
        write_whole(self.folder / f"run-{name}.json", json.dumps(content, allow_nan=False))
