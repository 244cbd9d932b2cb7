"""Detectors that misbehave in a session: their gate has no result, and every other test is what it is without them."""

import os
import signal

import pytest

DETECTORS = """
import os, sys, time
import pytest
from fakes import Finder

finder = Finder()

def acting(action, batch=16):
    def make():
        def detect(images):
            for image in images:
                if image.shape[:2] == (48, 64) and image[0, 0, 0] == 30:
                    action()
            return finder(images)
        detect.batch = batch
        return detect
    return make

def stop():
    raise RuntimeError("out of tea")

def flood():
    os.write(1, b"o" * 100_000)
    sys.stderr.write("e" * 100_000)
    for line in range(100_000):
        print(line)

exits, skips, raises = acting(lambda: sys.exit(0)), acting(lambda: pytest.skip("no GPU")), acting(stop, batch=1)
hangs, prints, quiet = acting(lambda: time.sleep(600)), acting(flood), acting(int)

def spins_in_crops():
    def detect(images):
        while images[0].shape[:2] != (48, 64):
            pass
        return finder(images)
    return detect

def stuck():
    return lambda images: time.sleep(600)

def forks():
    def detect(images):
        os.fork()
        return finder(images)
    detect.batch = 16
    return detect
"""
TESTS = """
import pytest

def test_gate(cropdet):
    cropdet.run("random:keep=0.7-0.9,per_image=1")

def test_another():
    pass
"""
posix = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers that interrupt")


@pytest.fixture
def misbehaving(project):
    project.write(bad=DETECTORS)
    return project


def run(project, name, *options, workers=0, tests=TESTS):
    project.write(test_own=tests)
    given = (f"--cropdet-model=bad:{name}", f"--cropdet-data={project.data}", "--cropdet-cache=off")
    return project.pytest("test_own.py", *given, *options, workers=workers)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("exits", "031.png: it called sys.exit(0); raise an error instead"),
        ("skips", "031.png: it called pytest.skip: no GPU. A gate without a result is not skipped"),
        ("raises", "E pytest_cropdet.errors.DetectorError: bad:raises failed on 030.png: RuntimeError: out of tea"),
    ],
)
def test_a_gate_whose_detector_gives_up_fails_alone(misbehaving, said, name, sentence):
    result = run(misbehaving, name)
    result.assert_outcomes(failed=1, passed=1)
    assert sentence in said(result)


@posix
def test_a_call_that_hangs_ends_its_gate_and_the_session_goes_on(misbehaving, said, workers):
    result = run(misbehaving, "hangs", "--cropdet-timeout=0.3", workers=workers)
    result.assert_outcomes(failed=1, passed=1)
    assert "030.png, 031.png: no answer within 0.3 s (--cropdet-timeout); it was at bad.py:" in said(result)


@posix
def test_a_crop_on_which_it_hangs_is_named(misbehaving, said):
    result = run(misbehaving, "spins_in_crops", "--cropdet-timeout=0.3")
    result.assert_outcomes(failed=1, passed=1)
    assert "bad:spins_in_crops, Crop(left=" in said(result)
    assert "of 000.png: no answer within 0.3 s (--cropdet-timeout); it was at bad.py:" in said(result)


MARKED = """
import pytest

@pytest.mark.cropdet(timeout=0.2)
def test_marked(cropdet):
    cropdet.run("random:keep=0.7-0.9,per_image=1")

def test_direct(cropdet_detector, cropdet_dataset):
    cropdet_detector([sample.image() for sample in cropdet_dataset])

@pytest.mark.cropdet(timeout=0.4)
def test_direct_and_marked(cropdet_detector, cropdet_dataset):
    cropdet_detector([sample.image() for sample in cropdet_dataset])
"""


@posix
def test_the_limit_is_an_option_of_the_ini_file_and_of_the_marker(misbehaving, said):
    misbehaving.write(pytest_ini="[pytest]\ncropdet_timeout = 0.3\n")
    result = run(misbehaving, "hangs", tests=MARKED)
    result.assert_outcomes(failed=3)
    assert [limit for limit in ("0.2 s", "0.3 s", "0.4 s") if f"no answer within {limit} (" in said(result)] == [
        "0.2 s",
        "0.3 s",
        "0.4 s",
    ]


OWN = """
import bad, pytest

@pytest.fixture(scope="session")
def cropdet_detector():
    return bad.hangs()
"""


@posix
def test_a_detector_of_ones_own_fixture_is_limited_too_and_the_suites_failure_is_a_sentence(
    misbehaving, said, without_tracebacks
):
    misbehaving.write(conftest=OWN)
    result = misbehaving.pytest(
        "--pyargs",
        "pytest_cropdet.suite",
        f"--cropdet-data={misbehaving.data}",
        "--cropdet-timeout=0.3",
        "--cropdet-crops=tile",
    )
    result.assert_outcomes(failed=1)
    assert "detect, 030.png: no answer" in said(result) or "031.png: no answer within 0.3 s" in said(result)
    assert without_tracebacks(result)


@posix
def test_invariants_and_search_are_limited_too(misbehaving, said):
    checks = "--cropdet-checks=gate,search,invariants"
    options = ("-k", "map_drop or no_crop or D14-", "--cropdet-timeout=0.3", "--cropdet-crops=tile")
    result = misbehaving.gate("bad:stuck", checks, *options, "--cropdet-cache=off")
    result.assert_outcomes(failed=3)
    assert said(result).count("no answer within 0.3 s") == 3
    assert "INTERNALERROR" not in said(result)


@pytest.mark.parametrize("value", ["0", "-1", "nan"])
def test_a_limit_that_is_none_is_refused_before_anything_is_run(misbehaving, said, value):
    result = run(misbehaving, "quiet", f"--cropdet-timeout={value}")
    assert result.ret == 4
    assert "cropdet_timeout must be 0.1 or more, not " in said(result)


def test_a_detector_that_prints_a_lot_has_the_result_of_a_quiet_one(misbehaving):
    drops = []
    for name in ("quiet", "prints"):
        misbehaving.gate(f"bad:{name}", "--cropdet-max-drop=0.9").assert_outcomes(passed=1)
        drops.append(misbehaving.gates[0]["drop"])
    assert drops[0] == drops[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.subprocess
def test_a_detector_that_forks_and_forgets_its_children_has_one_session_and_one_result(misbehaving):
    result = misbehaving.gate("bad:forks", "--cropdet-max-drop=0.9", "--cropdet-cache=off", "-p", "no:warnings")
    assert result.ret == 0
    assert result.stdout.str().count("1 passed") == 1
