"""mPC and rPC from the raw results of others, and what is refused because a mean over it would be wrong."""

import json

import numpy as np
import pytest

from pytest_cropdet.benchmark import BENCHMARK_CORRUPTIONS, read_corruption_results
from pytest_cropdet.errors import DataError

EXTRA = ("speckle_noise", "gaussian_blur", "spatter", "saturate")


def results(seed=0, corruptions=(*BENCHMARK_CORRUPTIONS, *EXTRA)):
    """AP as the benchmark's scripts write it: severity 0 of the first corruption alone, metrics by name."""
    rng = np.random.default_rng(seed)
    made = {
        each: {
            str(level): {"bbox_mAP": round(float(rng.uniform(0, 0.4)), 3), "bbox_mAP_50": 0.5} for level in range(1, 6)
        }
        for each in corruptions
    }
    made[corruptions[0]]["0"] = {"bbox_mAP": 0.36, "bbox_mAP_50": 0.58}
    return made


def plain(told, corruptions, metric="bbox_mAP"):
    """The means by the definition, written as arrays: (corruptions, severities)."""
    return np.array([[told[each][str(level)][metric] for level in range(1, 6)] for each in corruptions]).mean()


def test_the_means_are_over_the_fifteen_corruptions_of_the_benchmark_at_five_severities(tmp_path):
    told = results()
    (tmp_path / "results.json").write_text(json.dumps(told))
    found = read_corruption_results(tmp_path / "results.json")
    mean = plain(told, BENCHMARK_CORRUPTIONS)
    assert found.clean == 0.36
    assert found.mpc == pytest.approx(mean, abs=1e-12)
    assert found.rpc == pytest.approx(mean / 0.36, abs=1e-12)
    assert list(found.by_corruption) == list(BENCHMARK_CORRUPTIONS)
    assert str(found) == f"AP on clean images 0.360, mPC {mean:.3f}, rPC {mean / 0.36:.1%}"
    assert read_corruption_results(told) == found


def test_all_corruptions_or_another_metric_are_taken_on_request():
    told = results()
    assert read_corruption_results(told, every=True).mpc == pytest.approx(plain(told, list(told)), abs=1e-12)
    assert read_corruption_results(told, "bbox_mAP_50").mpc == 0.5


def test_corruptions_of_ones_own_with_numbers_in_place_of_metrics():
    own = {"crop": {0: 0.5, **dict.fromkeys(range(1, 6), 0.25)}, "tilt": dict.fromkeys(range(1, 6), 0.35)}
    found = read_corruption_results(own)
    assert (found.clean, found.mpc, found.rpc) == (0.5, pytest.approx(0.3), pytest.approx(0.6))
    assert found.by_corruption == {"crop": pytest.approx(0.25), "tilt": pytest.approx(0.35)}


def test_a_detector_that_finds_nothing_has_no_rpc():
    found = read_corruption_results({"fog2": dict.fromkeys(range(6), 0.0)})
    assert (found.mpc, found.rpc) == (0.0, None)
    assert "rPC undefined" in str(found)


def without(told, *path):
    *way, last = path
    part = told
    for key in way:
        part = part[key]
    del part[last]
    return told


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (without(results(), "snow", "3"), "no AP of snow 3; mPC is the mean"),
        (without(results(), "fog"), "no AP of fog 1 to 5"),
        (without(results(), "gaussian_noise", "0"), r"severity 0\) is needed, there is none"),
        ({**results(), "snow": {**results()["snow"], "0": {"bbox_mAP": 0.2}}}, "2 different ones: 0.2, 0.36"),
        ({**results(), "snow": {**results()["snow"], "6": {"bbox_mAP": 0.2}}}, "snow, severity 6: severities are 0"),
        ({**results(), "snow": [0.1]}, "snow is no mapping of severities"),
        (
            {**results(), "snow": dict.fromkeys(range(1, 6), 36.0)},
            "snow, severity 1: AP must be a number from 0 to 1, not 36",
        ),
        ({**results(), "snow": dict.fromkeys(range(1, 6), float("nan"))}, "must be a number from 0 to 1, not nan"),
        ({**results(), "snow": dict.fromkeys(range(1, 6), True)}, "must be a number from 0 to 1, not True"),
        ({}, "a mapping of corruptions to severities is needed"),
    ],
)
def test_what_is_missing_or_no_ap_is_named_and_never_counts_as_0(told, words):
    with pytest.raises(DataError, match=words):
        read_corruption_results(told)


def test_an_unknown_metric_shows_what_there_is():
    with pytest.raises(
        DataError, match=r"no metric 'bbox_map'; there are bbox_mAP, bbox_mAP_50; did you mean bbox_mAP"
    ):
        read_corruption_results(results(), "bbox_map")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("results.pkl", b"\x80\x04", "a pickle can run code"),
        ("results.json", b"{", "it is no JSON file"),
        ("results.json", b"\xff\xfe", "it is no JSON file"),
        ("results.json", b"[1]", "a mapping of corruptions"),
        ("results.json", None, "no such file"),
    ],
)
def test_a_file_that_is_no_such_file_is_named(tmp_path, name, content, words):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=words) as raised:
        read_corruption_results(path)
    assert str(path) in str(raised.value)
