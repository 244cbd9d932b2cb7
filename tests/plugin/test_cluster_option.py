"""``--cropdet-cluster``: from the option to workers, and what a session says where there is no cluster."""

from importlib.util import find_spec

import pytest

WINDOWS = "random:keep=0.7-0.9,per_image=1"
TEST = """
import os
from pathlib import Path

class Detector:
    batch, fingerprint = 8, "nothing"

    def __call__(self, images):
        from pytest_cropdet import Detections
        with Path("calls").open("a") as stream:
            stream.write(str(os.getpid()) + chr(10))
        return [Detections.empty() for _ in images]

def make():
    return Detector()
"""
OWN = """
def test_it(cropdet):
    assert cropdet.run(replicates=100).crops == 60
"""


needs_dask = pytest.mark.skipif(
    find_spec("distributed") is None, reason="needs Dask: pip install 'pytest-cropdet[cluster]'"
)


@needs_dask
@pytest.mark.subprocess
@pytest.mark.slow
def test_workers_of_this_machine_run_the_detector(project, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)  # the session is no worker of pytest-xdist
    project.write(empty=TEST, test_own=OWN)
    named = ("--cropdet-model=empty:make", f"--cropdet-data={project.data}", f"--cropdet-crops={WINDOWS}")
    project.pytest("test_own.py", *named, "--cropdet-cluster=local:2", "--cropdet-cache=off").assert_outcomes(passed=1)
    calls = (project.path / "calls").read_text().split()
    assert len(set(calls)) == 3  # two workers, and the session, which tries whether the detector repeats itself


@needs_dask
@pytest.mark.subprocess
@pytest.mark.slow
def test_a_client_of_the_test_itself_runs_the_detector(project):
    own = """
from distributed import Client, LocalCluster

def test_it(cropdet):
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as processes:
        with Client(processes, set_as_default=False) as client:
            assert cropdet.run(replicates=100, client=client).crops == 60
            assert cropdet.detector.cluster is None
"""
    project.write(empty=TEST, test_own=own)
    named = ("--cropdet-model=empty:make", f"--cropdet-data={project.data}", f"--cropdet-crops={WINDOWS}")
    project.pytest("test_own.py", *named, "--cropdet-cache=off").assert_outcomes(passed=1)
    assert len(set((project.path / "calls").read_text().split())) == 2


@pytest.mark.subprocess  # an earlier test of the process may have imported the real Dask
def test_without_dask_one_failed_set_up_names_the_line_that_installs_it(project, said):
    project.write(distributed="raise ImportError('there is no Dask')")
    text = said(project.gate("fakes:perfect", "--cropdet-cluster=local:2"))
    assert "pip install 'pytest-cropdet[cluster]'" in text
    assert "Traceback" not in text


@needs_dask
@pytest.mark.subprocess  # Dask brings finders of packages along, which later sessions of one process do not survive
def test_no_scheduler_is_one_failed_set_up(project, said):
    result = project.gate("fakes:perfect", "--cropdet-cluster=missing/scheduler.json")
    assert result.ret == 1
    assert "no cluster at missing/scheduler.json: the file does not exist; start a scheduler" in said(result)


@pytest.mark.parametrize("value", ["here", "local:0", "4"])
def test_a_value_that_names_no_cluster_ends_the_session(project, said, value):
    result = project.gate("fakes:perfect", f"--cropdet-cluster={value}")
    assert result.ret == 4
    assert f"cropdet_cluster must be tcp://SCHEDULER:8786, the scheduler's file (.json), or local:N, not '{value}'" in (
        said(result)
    )


def test_a_dry_run_connects_to_nothing(project):
    project.gate("fakes:perfect", "--cropdet-cluster=tcp://127.0.0.1:1", "--cropdet-dry-run").assert_outcomes(skipped=1)
