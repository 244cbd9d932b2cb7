"""One run for all tests of reports."""

import pytest

from tests.report.made import benchmark, lossy, told


@pytest.fixture(scope="session")
def run():
    return lossy()


@pytest.fixture(scope="session")
def gate(run):
    """A record, and what its run left."""
    return told(run)


@pytest.fixture(scope="session")
def benchmarked():
    """A record of a benchmark."""
    return benchmark()
