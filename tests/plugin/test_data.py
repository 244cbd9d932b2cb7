"""Odd data under pytest: what is said of it, where it ends up, and the options that decide about it."""

import json
import os
import shutil

import pytest

from tests.data.pictures import encoded, quadrants, with_exif

QUICK = "--cropdet-explain=off"


@pytest.fixture
def odd(project, tmp_path):
    """The data set with seven masks that are none and two boxes that stick out by 30 px."""
    project.data = shutil.copytree(project.data, tmp_path / "odd")
    path = project.data / "shapes.json"
    content = json.loads(path.read_text())
    for each in content["annotations"][:7]:
        each["segmentation"] = [[]]
    for each in content["annotations"][2:6:3]:
        each["bbox"][2] += 64 + 30 - each["bbox"][0] - each["bbox"][2]
    path.write_text(json.dumps(content))
    return project


@pytest.mark.subprocess
def test_data_warnings_travel_from_workers_to_every_place_where_a_result_is(odd, said, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(odd.path / "summary.md"))
    odd.write(pytest_ini="[pytest]\ncropdet_data_errors = clip\nfilterwarnings = error\n")
    result = odd.gate("fakes:perfect", "--cropdet-max-drop=0", "--cropdet-undecided=pass", QUICK, workers=2)
    (gate,) = odd.gates
    assert [(each["kind"], each["count"]) for each in gate["data_warnings"]] == [("clipped_box", 2), ("mask_shape", 7)]
    texts = [each["text"] for each in gate["data_warnings"]]
    assert texts[0] == "2 boxes stick out of their image and are clipped (first: image 000.png: annotation 3)"
    page = (odd.path / ".cropdet" / "report" / "index.html").read_text(encoding="utf-8")
    for text in texts:
        assert f"data: {text}" in said(result)
        assert text in page
        assert text.partition(" (")[0] in (odd.path / "summary.md").read_text(encoding="utf-8")


def test_a_test_may_clip_for_itself_and_without_it_the_boxes_are_listed(odd, said, without_tracebacks):
    odd.write(
        test_own="""
            import pytest

            @pytest.mark.cropdet(data_errors="clip")
            def test_clipped(cropdet):
                assert len(cropdet.dataset.warnings) == 2

            def test_strict(cropdet):
                pass
        """.replace("\n            ", "\n")
    )
    result = odd.pytest("test_own.py", "--cropdet-model=fakes:perfect", f"--cropdet-data={odd.data}")
    result.assert_outcomes(passed=1, errors=1, warnings=2)
    assert "2 annotations are wrong: image 000.png: annotation 3: bbox " in said(result)
    assert "lies 30 px outside its image of 64 x 48" in said(result)
    assert "--cropdet-data-errors clip" in said(result)
    assert without_tracebacks(result)


def test_too_many_crops_are_refused_with_an_estimate_as_is_a_pipe(project, said, without_tracebacks):
    project.write(
        test_own="""
            import pytest

            @pytest.mark.cropdet(max_crops=100)
            def test_windows(cropdet):
                cropdet.run("random:per_image=2")

            @pytest.mark.cropdet(max_crops=100)
            def test_drawn(cropdet):
                cropdet.run(lambda sample: None, name="a", per_image=2)

            @pytest.mark.cropdet(data="pipe.json")
            def test_pipe(cropdet):
                pass
        """.replace("\n            ", "\n")
    )
    if hasattr(os, "mkfifo"):
        os.mkfifo(project.path / "pipe.json")
    result = project.pytest("test_own.py", "--cropdet-model=fakes:perfect", f"--cropdet-data={project.data}")
    result.assert_outcomes(failed=2, errors=1)
    assert "crops 'random:per_image=2': about 120 crops of 60 images, and the limit is 100; take" in said(result)
    assert "crops 'drawn:name=a,per_image=2': about 120 crops of 60 images" in said(result)
    if hasattr(os, "mkfifo"):
        assert "it is a named pipe; only regular files are read" in said(result)
    assert without_tracebacks(result)


def test_a_wrong_policy_is_a_usage_error(project, said):
    project.write(pytest_ini="[pytest]\ncropdet_data_errors = drop\n")
    result = project.gate("fakes:perfect")
    assert result.ret == 4
    assert "cropdet_data_errors must be one of fail, clip, not 'drop'" in said(result)


WARNED = "2 kinds of data warnings are errors with --cropdet-strict-data:"


@pytest.mark.parametrize("way", ["option", "ini", "marker"])
def test_strict_data_refuses_a_set_with_warnings_however_it_is_stated(odd, said, without_tracebacks, way):
    ini = "[pytest]\ncropdet_data_errors = clip\n" + "cropdet_strict_data = true\n" * (way == "ini")
    mark = "@pytest.mark.cropdet(strict_data=True)\n" * (way == "marker")
    odd.write(pytest_ini=ini, test_own=f"import pytest\n\n{mark}def test_own(cropdet):\n    pass\n")
    flags = ["--cropdet-strict-data"] * (way == "option")
    result = odd.pytest("test_own.py", "--cropdet-model=fakes:perfect", f"--cropdet-data={odd.data}", *flags)
    result.assert_outcomes(errors=1)
    text = said(result)
    assert WARNED in text
    assert "2 boxes stick out of their image and are clipped (first: image 000.png: annotation 3)" in text
    assert "7 masks are malformed and left out" in text
    assert without_tracebacks(result)


def test_strict_data_is_for_a_data_set_of_the_tests_own_and_for_images_alone_too(odd, said, without_tracebacks):
    odd.write(
        test_own="""
            import pytest
            from pytest_cropdet import load_dataset

            @pytest.fixture(scope="session")
            def cropdet_dataset():
                return load_dataset(PATH, errors="clip")

            def test_own(cropdet):
                pass
        """.replace("\n            ", "\n").replace("PATH", repr(str(odd.data)))
    )
    result = odd.pytest("test_own.py", "--cropdet-model=fakes:perfect", "--cropdet-strict-data")
    result.assert_outcomes(errors=1, warnings=2)
    assert WARNED in said(result)
    assert without_tracebacks(result)


@pytest.mark.parametrize("packed", [False, True])
def test_strict_data_stops_at_an_image_without_annotation_that_is_odd(
    project, said, tmp_path, without_tracebacks, packed
):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(with_exif(encoded(quadrants(32, 32), ".jpg"), 3))
    place = shutil.make_archive(str(tmp_path / "packed"), "zip", folder) if packed else folder
    flags = [f"--cropdet-images={place}", "--cropdet-strict-data", "--cropdet-undecided=pass", QUICK]
    result = project.pytest("--pyargs", "pytest_cropdet.suite", "--cropdet-model=fakes:perfect", *flags)
    assert result.ret == 1
    assert "a data warning is an error with --cropdet-strict-data:" in said(result)
    assert "1 image has an EXIF orientation" in said(result)
    assert without_tracebacks(result)
