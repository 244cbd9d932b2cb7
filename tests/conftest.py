"""What tests everywhere may ask for."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of real photographs and real detectors, where the environment names one."""
    folder = os.environ.get("CROPDET_ASSETS")
    if not folder:
        pytest.skip("needs real photographs and detectors: CROPDET_ASSETS names no folder")
    path = Path(folder)
    if not path.is_dir():
        pytest.fail(f"CROPDET_ASSETS={folder}: no such folder", pytrace=False)
    return path


@pytest.fixture(scope="session")
def needs_tensorflow() -> None:
    """Skips where there is no TensorFlow, and imports none."""
    if find_spec("tensorflow") is None:
        pytest.skip("needs TensorFlow: pip install 'pytest-cropdet[tensorflow]'")
