"""`make demo`: the first thing a newcomer runs."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.subprocess, pytest.mark.slow, pytest.mark.usefixtures("needs_tensorflow")]


def test_the_demo_ends_with_a_fail_a_pass_and_what_to_look_at(tmp_path):
    (tmp_path / "examples").mkdir()
    for name in ("demo.py", "demo.ini"):
        shutil.copy(ROOT / "examples" / name, tmp_path / "examples")
    for name in ("fixtures", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    command = [sys.executable, "examples/demo.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    gates = json.loads((tmp_path / ".cropdet" / "demo" / "result.json").read_text(encoding="utf-8"))["gates"]
    verdicts = {gate["name"]: (gate["verdict"], gate["limit"]) for gate in gates}
    assert verdicts == {"plain-random": ("fail", 0.05), "crops-random": ("pass", 0.05)}
    assert all(gate["images"] < 600 for gate in gates)  # each stopped when it was decided
    *_, first, second, third = done.stdout.rstrip().splitlines()
    assert first.split()[:2] == ["1.", ".cropdet/report/index.html"]
    assert second.split()[:2] == ["2.", ".cropdet/demo/worst.png"]
    assert third.split()[:2] == ["3.", "docs/quickstart.md"]
    assert all((tmp_path / line.split()[1]).exists() for line in (first, second, third))
