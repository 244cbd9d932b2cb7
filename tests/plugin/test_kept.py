"""What is kept from run to run, what a dry run tells, and pictures without ground truth."""

import shutil

import pytest

KEEPING = """
import fakes

import pytest


class Kept(fakes.Finder):
    fingerprint = "finder 1"

    def __call__(self, images):
        fakes.note(f"called {len(images)}")
        return super().__call__(images)


def make():
    return Kept(loses_cut=True)
"""


def calls(project):
    return sum(line.startswith("called") for line in project.notes)


def comparable(gate):
    return {key: value for key, value in gate.items() if key not in ("seconds", "model_calls")}


class TestDetectionsAreKept:
    def test_a_second_run_calls_no_detector_and_says_the_same(self, project, workers):
        project.write(keeping=KEEPING)
        project.gate("keeping:make", "--cropdet-max-drop=0.9", workers=workers).assert_outcomes(passed=1)
        (first,), before = project.gates, calls(project)
        project.gate("keeping:make", "--cropdet-max-drop=0.9", workers=workers).assert_outcomes(passed=1)
        (second,) = project.gates
        assert before > 0
        assert calls(project) == before
        assert (first["model_calls"], second["model_calls"]) == (120, 0)
        assert comparable(second) == comparable(first)
        assert (project.path / ".cropdet" / ".gitignore").read_text().endswith("*\n")
        assert (project.path / ".cropdet" / "CACHEDIR.TAG").exists()

    def test_the_file_is_closed_at_the_end_also_on_workers(self, project, workers):
        look = """
from pathlib import Path
import fakes

def pytest_configure(config):
    config.add_cleanup(lambda: fakes.note(f"left {len(list(Path('.cropdet').glob('*-wal')))}"))

def pytest_unconfigure(config):
    fakes.note(f"open {len(list(Path('.cropdet').glob('*-wal')))}")
"""
        project.write(keeping=KEEPING, conftest=look)
        project.gate("keeping:make", "--cropdet-max-drop=0.9", workers=workers).assert_outcomes(passed=1)
        assert "open 1" in project.notes
        assert project.notes[-1] == "left 0"
        assert not [*(project.path / ".cropdet").glob("cache.sqlite-*")]

    @pytest.mark.slow
    def test_measures_at_inference_are_kept_too_and_stand_in_the_json(self, project):
        project.write(keeping=KEEPING)
        project.gate("keeping:make", "--cropdet-try-mitigations").assert_outcomes(failed=1)
        (first,), before = project.gates, calls(project)
        project.gate("keeping:make", "--cropdet-try-mitigations").assert_outcomes(failed=1)
        (second,) = project.gates
        assert calls(project) == before
        assert comparable(second) == comparable(first)
        told = {each["name"]: each for each in first["advice"]["mitigations"]}
        assert list(told) == ["mean", "reflection", "wider", "whole"]
        assert set(told["mean"]) == {"name", "parameters", "ap_won_back", "calls_a_crop", "chosen"}
        assert told["mean"]["ap_won_back"]["low"] > 0

    @pytest.mark.slow
    def test_cache_clear_forgets_off_keeps_nothing_and_another_folder_is_taken(self, project):
        project.write(keeping=KEEPING)
        project.gate("keeping:make", "--cropdet-cache=off")
        assert not list(project.path.rglob("cache.sqlite"))
        project.gate("keeping:make", "--cropdet-cache=elsewhere")
        assert (project.path / "elsewhere" / "cache.sqlite").exists()
        before = calls(project)
        project.gate("keeping:make", "--cropdet-cache=elsewhere", "--cache-clear")
        assert calls(project) > before

    @pytest.mark.slow
    def test_a_changed_picture_is_detected_again(self, project, tmp_path):
        project.write(keeping=KEEPING)
        project.data = shutil.copytree(project.data, tmp_path / "data")
        project.gate("keeping:make")
        picture = project.data / "images" / "000.png"
        picture.write_bytes(picture.read_bytes() + b"\0")  # the same pixels, another file
        project.gate("keeping:make")
        assert 0 < project.gates[0]["model_calls"] < 120

    def test_a_detector_without_fingerprint_is_told_so(self, project, said):
        result = project.gate("fakes:make", "--cropdet-report=off")
        assert "no fingerprint, so its detections are not stored" in said(result)
        assert not (project.path / ".cropdet").exists()

    def test_the_folder_can_be_named_in_the_ini_file(self, project):
        project.write(keeping=KEEPING, pytest_ini="[pytest]\ncropdet_dir = here/it/is\n")
        project.gate("keeping:make")
        assert (project.path / "here" / "it" / "is" / "cache.sqlite").exists()


class TestDryRun:
    def test_needs_no_detector_and_gates_nothing(self, project, workers, said):
        result = project.pytest(
            "--pyargs", "pytest_cropdet.suite", f"--cropdet-data={project.data}", "--cropdet-dry-run", workers=workers
        )
        result.assert_outcomes(skipped=1)
        assert "240 crops of 60 images, 300 detector calls" in said(result)
        assert "3 categories" in said(result)

    def test_tells_the_time_with_a_detector_and_judges_it_not(self, project, said):
        result = project.gate("fakes:make", "--cropdet-dry-run", "--cropdet-max-drop=0")
        result.assert_outcomes(skipped=1)
        assert "of detector time" in said(result)
        assert project.gates == []


class TestPicturesWithoutTruth:
    def test_are_gated_on_agreement(self, project, workers):
        result = project.pytest(
            "--pyargs",
            "pytest_cropdet.suite",
            "--cropdet-model=fakes:perfect",
            f"--cropdet-images={project.data / 'images'}",
            "--cropdet-crops=random:keep=0.7-0.9,per_image=1",
            "--cropdet-json=out.json",
            workers=workers,
        )
        result.assert_outcomes(passed=1)
        (gate,) = project.gates
        assert (gate["metric"], gate["drop"]["value"]) == ("lost", 0.0)


@pytest.mark.subprocess
def test_ctrl_c_in_the_middle_says_how_far_it_came(project, said):
    project.write(
        keeping=KEEPING + "\n\ndef stops():\n    return Stops()\n\n\nclass Stops(Kept):\n    count = 0\n\n"
        "    def __call__(self, images):\n        self.count += 1\n        if self.count == 4:\n"
        "            raise KeyboardInterrupt\n        return super().__call__(images)\n"
    )
    text = said(project.gate("keeping:stops"))
    assert "of 120 detector calls; they are stored, and the next run goes on from there" in text
