"""TensorFlow's threads and the memory of GPUs are set only where nobody else loaded it."""

import pytest

from pytest_cropdet.detectors.adapters import tensorflow_model


class FakeTensorFlow:
    """Notes what is configured."""

    def __init__(self, gpus=()):
        self.noted = []
        self.config = self
        self.threading = self
        self.experimental = self
        self.gpus = list(gpus)

    def set_intra_op_parallelism_threads(self, count):
        self.noted.append(("intra", count))

    def set_inter_op_parallelism_threads(self, count):
        self.noted.append(("inter", count))

    def list_physical_devices(self, kind):
        return self.gpus

    def set_memory_growth(self, gpu, grows):
        self.noted.append((gpu, grows))


@pytest.mark.parametrize(
    ("workers", "threads", "noted"),
    [
        (None, None, []),
        ("1", None, []),
        ("4", None, [("intra", 1), ("inter", 1)]),
        ("4", 3, [("intra", 3), ("inter", 3)]),
        (None, 2, [("intra", 2), ("inter", 2)]),
    ],
)
def test_one_thread_where_several_workers_run_unless_told_otherwise(monkeypatch, workers, threads, noted):
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    if workers is not None:
        monkeypatch.setenv("PYTEST_XDIST_WORKER_COUNT", workers)
    tensorflow = FakeTensorFlow()
    tensorflow_model._set_up(tensorflow, threads)
    assert tensorflow.noted == noted


def test_memory_of_a_gpu_grows_as_it_is_needed(monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER_COUNT", raising=False)
    tensorflow = FakeTensorFlow(["gpu 0"])
    tensorflow_model._set_up(tensorflow, None)
    assert tensorflow.noted == [("gpu 0", True)]


def test_a_process_that_had_tensorflow_before_is_left_as_it_is(monkeypatch):
    tensorflow = FakeTensorFlow()
    monkeypatch.setitem(tensorflow_model.sys.modules, "tensorflow", tensorflow)
    assert tensorflow_model.import_tensorflow(2) is tensorflow
    assert tensorflow.noted == []
