"""Batches on a real Dask scheduler with worker processes on loopback: the same answers, whatever dies on the way."""

from __future__ import annotations

import _thread
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytest_cropdet import Crop, Parameter, load_dataset, load_detector, register_family, run
from pytest_cropdet.crops import registry
from pytest_cropdet.crops.plan import make_plan
from pytest_cropdet.data.data_warnings import DataWarning
from pytest_cropdet.data.samples import GroundTruth, Sample
from pytest_cropdet.detectors.description import Description
from pytest_cropdet.detectors.handle import DetectorHandle, Profile, as_handle
from pytest_cropdet.errors import ClusterError, DataError, DetectorError, SpecError
from pytest_cropdet.gate.runner import Finished, events
from pytest_cropdet.inference import BatchKeys, Cache, Cluster, cluster_address, cluster_images, on_cluster
from pytest_cropdet.inference import cluster as cluster_module
from pytest_cropdet.inference.batches import detect_all
from pytest_cropdet.inference.cluster_tasks import own_versions
from pytest_cropdet.inference.sqlite import CacheWarning, Database
from pytest_cropdet.settings import RunSettings
from tests.inference import bright
from tests.inference.bright import Bright, write_images

cloudpickle = pytest.importorskip("cloudpickle", reason="needs Dask: pip install 'pytest-cropdet[cluster]'")
distributed = pytest.importorskip("distributed", reason="needs Dask: pip install 'pytest-cropdet[cluster]'")

pytestmark = [
    pytest.mark.subprocess,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

WORKERS = 3
SOON = 30.0
ROOT = Path(__file__).parents[2]
SETTINGS = RunSettings("random:keep=0.4,per_image=3", max_drop=0.05, replicates=100, min_images=5, explain="always")


@pytest.fixture(scope="module", autouse=True)
def _by_value():
    cloudpickle.register_pickle_by_value(bright)
    yield
    cloudpickle.unregister_pickle_by_value(bright)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return load_dataset(write_images(tmp_path_factory.mktemp("cluster") / "bright"))


@pytest.fixture(scope="module")
def client():
    """A client of a scheduler with three worker processes, which are started again when they die."""
    with (
        distributed.LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=1,
            host="127.0.0.1",
            memory_limit=None,
            dashboard_address=":0",
            silence_logs=50,
        ) as processes,
        distributed.Client(processes, set_as_default=False) as found,
    ):
        yield found


@pytest.fixture
def all_workers(client):
    """The client, when all workers are there; Dask gives up one that is killed while it starts."""
    try:
        client.wait_for_workers(WORKERS, timeout=5)
    except TimeoutError:
        client.cluster.scale(0)
        wait_until(lambda: not client.nthreads())
        client.cluster.scale(WORKERS)
        client.wait_for_workers(WORKERS, timeout=SOON)
    return client


def windows_of(data):
    return make_plan(list(data), "random:keep=0.4,per_image=3").windows


def plain(batches):
    return [
        (each.pictures, [(f.boxes.tolist(), f.scores.tolist(), f.categories.tolist()) for f in each.found])
        for each in batches
    ]


def alone(data, detector):
    return plain(detect_all(as_handle(detector), list(data), windows_of(data)))


def pids(client):
    return sorted(client.run(os.getpid).values())


def numbers(result):
    """The numbers of a run that its verdict rests on, and its verdict."""
    chain = result.explanation.causes.chain
    return (
        (result.drop.value, result.drop.low, result.drop.high),
        [(verdict.outcome, verdict.line) for verdict in result.all_verdicts],
        chain.ap,
        result.scored_objects,
    )


def test_verdict_bounds_and_causes_are_those_of_one_process(all_workers, data, tmp_path):
    here = run(Bright(tmp_path), data, SETTINGS)
    (tmp_path / "calls").unlink()
    there = run(Bright(tmp_path), data, SETTINGS, client=all_workers)
    assert numbers(there) == numbers(here)
    assert there.spent.model_calls == here.spent.model_calls
    calls = [int(pid) for pid in (tmp_path / "calls").read_text().split()]
    assert sum(pid == os.getpid() for pid in calls) <= 2  # whether the detector repeats itself is tried here
    assert set(calls) - {os.getpid()} == set(pids(all_workers))


def test_workers_need_not_know_a_family_that_is_registered_here(all_workers, data, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})

    @register_family("halves", parameters={"share": Parameter(0.5, float)})
    def halves(sample, draws, share):
        width = max(1, int(share * sample.width))
        return [Crop(left, 0, width, sample.height) for left in (0, sample.width - width)]

    settings = replace(SETTINGS, crops="halves:share=0.6")
    here = run(Bright(tmp_path), data, settings)
    (tmp_path / "calls").unlink()
    there = run(Bright(tmp_path), data, settings, client=all_workers)
    assert numbers(there) == numbers(here)
    assert there.plan.windows == here.plan.windows
    assert set((tmp_path / "calls").read_text().split()) > {str(os.getpid())}


def test_the_old_model_runs_on_the_cluster_too(all_workers, data, tmp_path):
    new, old = tmp_path / "new", tmp_path / "old"
    new.mkdir(), old.mkdir()
    settings = RunSettings("random:keep=0.4,per_image=1", replicates=100, min_images=5, explain="off")
    here = run(Bright(new), data, settings, against=Bright(old, breaks=99))
    (old / "calls").unlink()
    there = run(Bright(new), data, settings, against=Bright(old, breaks=99), client=all_workers)
    assert there.comparison.worse.value == here.comparison.worse.value
    assert sum(int(pid) == os.getpid() for pid in (old / "calls").read_text().split()) <= 2


def test_batches_come_in_the_plans_order_and_every_worker_has_a_part(all_workers, data, tmp_path):
    detector = Bright(tmp_path, seconds=0.02)
    assert plain(detect_all(on_cluster(as_handle(detector), all_workers), list(data), windows_of(data))) == alone(
        data, Bright(tmp_path / "..")
    )
    assert len(set((tmp_path / "calls").read_text().split())) == WORKERS


class Counting:
    """A client that counts the batches which are with the scheduler."""

    def __init__(self, client):
        self._client, self.most = client, 0
        self._there = []

    def __getattr__(self, name):
        return getattr(self._client, name)

    def submit(self, *args, **options):
        future = self._client.submit(*args, **options)
        self._there = [each for each in [*self._there, future] if not each.done()]
        self.most = max(self.most, len(self._there))
        return future


def test_no_more_than_two_batches_a_worker_are_under_way(all_workers, data, tmp_path):
    counting = Counting(all_workers)
    detector = on_cluster(as_handle(Bright(tmp_path, seconds=0.03)), counting)
    assert len(list(detect_all(detector, list(data), windows_of(data)))) == 24
    assert WORKERS < counting.most <= cluster_module.PER_WORKER * WORKERS


@pytest.mark.parametrize("after", [0, 5])
def test_a_worker_that_is_killed_costs_nothing_but_time(all_workers, data, tmp_path, after):
    detector = on_cluster(as_handle(Bright(tmp_path, seconds=0.02)), all_workers)
    found = []
    for each in detect_all(detector, list(data), windows_of(data)):
        if len(found) == after:
            os.kill(pids(all_workers)[0], signal.SIGKILL)
        found.append(each)
    assert plain(found) == alone(data, Bright(tmp_path / ".."))


def test_workers_killed_at_ten_random_moments_change_no_digit(all_workers, data, tmp_path):
    wanted = alone(data, Bright(tmp_path / ".."))
    draw, killed, over = random.Random(2026), [], threading.Event()

    def kill():
        while len(killed) < 10 and not over.is_set():
            over.wait(draw.uniform(0.02, 0.4))
            alive = [
                nanny.pid for nanny in list(all_workers.cluster.workers.values()) if nanny.pid not in (None, *killed)
            ]
            if alive and len(all_workers.scheduler_info()["workers"]) > 1:
                killed.append(draw.choice(alive))
                os.kill(killed[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        for _ in range(50):
            detector = on_cluster(as_handle(Bright(tmp_path, seconds=0.05)), all_workers)
            assert plain(detect_all(detector, list(data), windows_of(data))) == wanted
            if len(killed) == 10:
                break
    finally:
        over.set()
        killer.join()
    assert len(killed) == 10


def test_a_batch_at_which_every_worker_dies_is_named(all_workers, data, tmp_path):
    detector = on_cluster(as_handle(Bright(tmp_path, deadly=7)), all_workers)
    with pytest.raises(ClusterError, match=r"did not answer .*007\.png.* died"):
        list(detect_all(detector, list(data), {sample.id: () for sample in data}))


def test_an_image_at_which_the_detector_raises_is_named_as_in_one_process(all_workers, data, tmp_path):
    said = []
    for detector in (
        as_handle(Bright(tmp_path, breaks=5)),
        on_cluster(as_handle(Bright(tmp_path, breaks=5)), all_workers),
    ):
        with pytest.raises(DetectorError, match=r"005\.png: RuntimeError: out of tea") as raised:
            list(detect_all(detector, list(data), {sample.id: () for sample in data}))
        said.append(str(raised.value))
    assert said[0] == said[1]


def test_a_damaged_image_is_named_as_in_one_process(all_workers, tmp_path):
    data = load_dataset(write_images(tmp_path / "own", 4))
    (tmp_path / "own" / "images" / "002.png").write_bytes(b"no picture")
    said = []
    for detector in (as_handle(Bright(tmp_path)), on_cluster(as_handle(Bright(tmp_path)), all_workers)):
        with pytest.raises(DataError, match=r"002\.png") as raised:
            list(detect_all(detector, list(data), {sample.id: () for sample in data}))
        said.append(str(raised.value))
    assert said[0] == said[1]


def test_oddities_that_a_worker_sees_in_an_image_reach_the_data_set(all_workers, tmp_path):
    import cv2

    data = load_dataset(write_images(tmp_path / "own", 2))
    path = tmp_path / "own" / "images" / "001.png"
    cv2.imwrite(str(path), np.full((bright.HEIGHT, bright.WIDTH), 4000, np.uint16))
    detector = on_cluster(as_handle(Bright(tmp_path)), all_workers)
    with pytest.warns(DataWarning, match=r"image 001\.png: highest value 4000"):
        list(detect_all(detector, list(data), {sample.id: () for sample in data}))
    assert [kind for kind, _ in data.warnings.noted("image 001.png")] == ["dark_16_bit"]


def test_ctrl_c_keeps_what_has_arrived_and_the_next_run_goes_on_there(all_workers, data, tmp_path):
    def handle():
        return on_cluster(as_handle(Bright(tmp_path, seconds=0.2)), all_workers)

    first = handle()
    keys = BatchKeys.of(Cache(tmp_path), first)
    timer = threading.Timer(0.8, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        list(detect_all(first, list(data), windows_of(data), keys))
    timer.join()
    assert 0 < first.images_sent < 48
    again = handle()
    keys = BatchKeys.of(Cache(tmp_path), again)
    assert plain(detect_all(again, list(data), windows_of(data), keys)) == alone(data, Bright(tmp_path / ".."))
    assert first.images_sent + again.images_sent == 48


def test_answers_are_kept_when_they_arrive_and_not_when_their_turn_comes(all_workers, data, tmp_path):
    detector = on_cluster(as_handle(Bright(tmp_path, seconds=0.02)), all_workers)
    keys = BatchKeys.of(Cache(tmp_path), detector)
    batches = detect_all(detector, list(data), windows_of(data), keys)
    next(batches)
    time.sleep(0.5)
    batches.close()  # as a client that is lost after its first batch
    assert detector.images_sent > 2


def test_a_full_disk_costs_a_warning_and_no_digit(all_workers, data, tmp_path, monkeypatch):
    def full(self):
        raise OSError(28, "No space left on device")

    wanted = run(Bright(tmp_path), data, SETTINGS)
    monkeypatch.setattr(Database, "_open", full)
    detector = on_cluster(as_handle(Bright(tmp_path)), all_workers)
    with pytest.warns(CacheWarning, match="No space left"):
        *_, last = events(detector, data, SETTINGS, cache=Cache(tmp_path))
    assert isinstance(last, Finished)
    assert numbers(last.run) == numbers(wanted)


def test_files_that_workers_do_not_have_are_sent_once_by_their_bytes(all_workers, data, tmp_path, monkeypatch):
    sees = cluster_images.ImageFile

    def elsewhere(shown, path, *more):
        return sees(shown, Path("/not/on/this/machine") / path.name, *more)

    scattered = []
    scatter = type(all_workers).scatter
    monkeypatch.setattr(cluster_images, "ImageFile", elsewhere)
    monkeypatch.setattr(
        type(all_workers), "scatter", lambda self, one, **more: scattered.append(one) or scatter(self, one, **more)
    )
    detector = on_cluster(as_handle(Bright(tmp_path)), all_workers)
    assert plain(detect_all(detector, list(data), windows_of(data))) == alone(data, Bright(tmp_path / ".."))
    assert detector.cluster.images.by_bytes
    assert len(scattered) == len(data)


def test_a_file_with_another_time_is_known_by_its_content(all_workers, data, tmp_path, monkeypatch):
    sees = cluster_images.ImageFile
    monkeypatch.setattr(
        cluster_images,
        "ImageFile",
        lambda shown, path, size, length, changed, digest: sees(shown, path, size, length, 1, digest),
    )
    detector = on_cluster(as_handle(Bright(tmp_path)), all_workers)
    keys = BatchKeys.of(Cache(tmp_path), detector)
    assert len(list(detect_all(detector, list(data), windows_of(data), keys))) == 24
    assert not detector.cluster.images.by_bytes


def test_images_that_are_no_files_go_as_pixels(all_workers, tmp_path):
    def of(number):
        return Sample(f"{number}", 8, 8, GroundTruth.empty(), lambda: np.full((8, 8, 3), 200 + number, np.uint8))

    samples = [of(number) for number in range(6)]
    none = {sample.id: () for sample in samples}
    there = plain(detect_all(on_cluster(as_handle(Bright(tmp_path)), all_workers), samples, none))
    assert there == plain(detect_all(as_handle(Bright(tmp_path)), samples, none))


# Workers that cannot run the detector


@pytest.fixture
def started():
    """Starts workers and schedulers of Dask's command line; what was started ends with the test."""
    processes = []

    def start(what, *arguments, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments, "--no-dashboard"],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
                **environment,
            },
            cwd="/",  # or the package of this tree comes first
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()


def worker(started, address, **environment):
    return started("worker", address, "--nthreads", "1", "--no-nanny", **environment)


@pytest.mark.parametrize(
    ("package", "said"),
    [
        (None, "pytest-cropdet is not installed there"),
        ('__version__ = "0.0.1"', "it has pytest-cropdet 0.0.1, this process"),
    ],
)
def test_a_worker_without_the_package_or_with_another_version_is_named(
    all_workers, started, data, tmp_path, package, said
):
    (tmp_path / "pytest_cropdet").mkdir()
    (tmp_path / "pytest_cropdet" / "__init__.py").write_text(
        package or "raise ModuleNotFoundError(\"No module named 'pytest_cropdet'\", name='pytest_cropdet')"
    )
    bad = worker(started, all_workers.scheduler.address, PYTHONPATH=str(tmp_path))
    all_workers.wait_for_workers(WORKERS + 1, timeout=SOON)
    try:
        with pytest.raises(ClusterError, match=f"1 of 4 workers .* cannot run bright: tcp://.*{said}"):
            list(detect_all(on_cluster(as_handle(Bright(tmp_path)), all_workers), list(data), windows_of(data)))
    finally:
        bad.kill()
        wait_until(lambda: len(all_workers.nthreads()) == WORKERS)


def test_a_runtime_of_another_version_is_named(all_workers, data, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "pytest_cropdet.inference.cluster_check.own_versions", lambda: (*own_versions(), ("numpy", "0.9"))
    )
    with pytest.raises(ClusterError, match=r"other versions, so its answers may differ: numpy .* \(here 0\.9\)"):
        list(detect_all(on_cluster(as_handle(Bright(tmp_path)), all_workers), list(data), windows_of(data)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.unlink(), r"no detector at .*ssd\.tflite"),
        (lambda path: path.write_bytes(b"\0\0\0\0TFL3 another"), "the worker has another file under this path"),
    ],
)
def test_a_worker_without_the_models_file_or_with_another_one_is_named(all_workers, data, tmp_path, change, said):
    path = tmp_path / "ssd.tflite"
    path.write_bytes(b"\0\0\0\0TFL3 one")
    handle = load_detector(path)
    handle.recall(Profile(1, {1: "bright"}, None, (8, 8), Description()))
    handle = on_cluster(handle, all_workers)
    handle.cluster.recipe(handle)
    change(path)
    with pytest.raises(ClusterError, match=f"3 of 3 workers .*{said}.*the same files under the same paths"):
        list(detect_all(handle, list(data), windows_of(data)))


def test_paths_are_absolute_for_workers_elsewhere(all_workers, tmp_path, monkeypatch):
    (tmp_path / "ssd.tflite").write_bytes(b"\0\0\0\0TFL3 one")
    (tmp_path / "labels.txt").write_text("bright\n")
    monkeypatch.chdir(tmp_path)
    handle = load_detector("tflite:ssd.tflite", labels="labels.txt")
    cluster = Cluster(all_workers)
    assert cluster.workers(handle) == WORKERS
    sliced = load_detector("sliced:size=32:tflite:ssd.tflite", labels="labels.txt")
    assert cluster.workers(sliced) == WORKERS


def test_a_detector_that_cannot_be_sent_says_what_to_give(all_workers, tmp_path):
    lock = threading.Lock()
    detector = Bright(tmp_path)
    detector.lock = lock
    with pytest.raises(ClusterError, match=r"cannot be sent to a cluster .*package\.module:factory"):
        Cluster(all_workers).recipe(as_handle(detector))
    detector.lock = os.urandom(1 << 20)
    with pytest.raises(ClusterError, match="too many to go with every batch; give the workers a function"):
        Cluster(all_workers).recipe(as_handle(detector))
    with pytest.raises(ClusterError, match="nothing says how it was made"):
        Cluster(all_workers).recipe(DetectorHandle("own", lambda: None, Description()))


# Schedulers that come and go


def wait_until(is_so, seconds=SOON):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def scheduler(started, port, folder):
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)
    process = started("scheduler", "--port", str(port), "--host", "127.0.0.1", "--scheduler-file", str(file))
    wait_until(lambda: file.exists() and file.stat().st_size)
    return process, file


def free_port():
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_a_scheduler_that_starts_again_goes_on_and_one_that_does_not_ends_the_run(started, data, tmp_path):
    port = free_port()
    first, file = scheduler(started, port, tmp_path)
    helper = worker(started, f"tcp://127.0.0.1:{port}")
    cluster = Cluster.open(str(file))
    try:
        cluster.patience = SOON
        detector = as_handle(Bright(tmp_path, seconds=0.02))
        detector.cluster = cluster
        found = []
        for each in detect_all(detector, list(data), windows_of(data)):
            found.append(each)
            if len(found) == 4:
                for process in (first, helper):
                    process.kill()
                    process.wait()
                second, _ = scheduler(started, port, tmp_path)
                helper = worker(started, f"tcp://127.0.0.1:{port}")
        assert plain(found) == alone(data, Bright(tmp_path / ".."))

        cluster.patience = 2.0
        keys = BatchKeys.of(Cache(tmp_path), detector)
        rest = detect_all(detector, list(data), windows_of(data), keys)
        for _ in range(4):
            next(rest)
        for process in (second, helper):
            process.kill()
            process.wait()
        with pytest.raises(ClusterError, match=r"no longer reached|is not reached|no workers"):
            list(rest)
        before = len((tmp_path / "calls").read_text().split())
        known = as_handle(Bright(tmp_path))
        list(detect_all(known, list(data), windows_of(data), keys))
        assert len((tmp_path / "calls").read_text().split()) - before < 24
    finally:
        cluster.close()


def test_a_cluster_without_workers_ends_the_run(started, data, tmp_path):
    _, file = scheduler(started, free_port(), tmp_path)
    cluster = Cluster.open(str(file))
    try:
        cluster.patience = 1.0
        detector = as_handle(Bright(tmp_path))
        detector.cluster = cluster
        with pytest.raises(ClusterError, match=r"for 1 s it has no workers; .* `dask worker ADDRESS"):
            list(detect_all(detector, list(data), windows_of(data)))
    finally:
        cluster.close()


def test_no_scheduler_at_the_address_is_said_after_the_time_out():
    begun = time.monotonic()
    with pytest.raises(ClusterError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:\d+ within 0\.5 s"):
        cluster_address.open_client(f"tcp://127.0.0.1:{free_port()}", 0.5)
    assert time.monotonic() - begun < 10


def test_a_scheduler_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ClusterError, match="the file does not exist; start a scheduler with `dask scheduler"):
        Cluster.open(str(tmp_path / "scheduler.json"))


def test_without_dask_the_line_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=r"pip install 'pytest-cropdet\[cluster\]'"):
        Cluster.open("local:2")


@pytest.mark.parametrize("wrong", ["local", "local:0", "local:-1", "here", "http:", "scheduler.yaml"])
def test_what_names_no_cluster_is_refused(wrong):
    with pytest.raises(SpecError, match="cropdet_cluster must be"):
        cluster_address.check_address(wrong)


@pytest.mark.parametrize("wrong", ["tcp://127.0.0.1:8786", object()])
def test_what_is_no_client_is_refused(data, tmp_path, wrong):
    with pytest.raises(SpecError, match=r"client must be a dask\.distributed\.Client"):
        run(Bright(tmp_path), data, SETTINGS, client=wrong)
