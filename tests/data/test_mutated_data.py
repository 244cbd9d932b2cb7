"""Files with mistakes drawn at random, read in a process of their own, so that a crash is a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "mutate_data.py"


@pytest.mark.subprocess
def test_whatever_is_changed_it_is_read_or_refused_by_name():
    """``CROPDET_MUTATE_SECONDS`` makes it longer, ``CROPDET_MUTATE_SEED`` draws other mistakes."""
    seconds, seed = os.environ.get("CROPDET_MUTATE_SECONDS", "6"), os.environ.get("CROPDET_MUTATE_SEED", "0")
    command = [sys.executable, str(SCRIPT), "--seconds", seconds, "--seed", seed]
    done = subprocess.run(command, capture_output=True, text=True, timeout=float(seconds) + 120, check=False)
    assert done.returncode == 0, (done.stdout or done.stderr)[-4000:]
    assert "0 neither" in done.stdout
    *readers, last = done.stdout.splitlines()
    assert int(last.split(" tried:")[0]) > 100
    assert len(readers) == 15
    assert not [line for line in readers if int(line.split(" tried:")[0].split()[-1].replace(",", "")) < 10]


@pytest.mark.subprocess
def test_one_reader_can_be_chosen():
    command = [sys.executable, str(SCRIPT), "--seconds", "1", "--reader", "yolo", "--reader", "images"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert [line.split()[0] for line in done.stdout.splitlines()[:-1]] == ["yolo", "images"]
