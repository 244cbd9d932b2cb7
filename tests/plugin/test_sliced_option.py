"""--cropdet-sliced in a session: its verdicts, on workers, in every file that is written, and what is refused."""

import json
from importlib import resources

import cv2
import pytest

CUTS = "--cropdet-sliced=size=32,overlap=0,merge=none,whole=no"  # objects are up to 16 x 30 px: many are cut
SAME = "--cropdet-sliced=size=64x48,merge=none"  # one tile, the image
PAGE = ".cropdet/report/index.html"


def sliced(project, model, *options, workers=0):
    return project.gate(model, "--cropdet-checks=sliced", *options, workers=workers)


class TestVerdict:
    def test_without_a_limit_the_gain_is_reported_and_the_test_passes(self, project, said):
        result = sliced(project, "fakes:perfect", CUTS)
        result.assert_outcomes(passed=1)
        assert "not judged: no --cropdet-min-gain" in said(result)
        (check,) = project.checks
        assert (check["kind"], check["verdict"], check["limit"], check["passes"]) == ("sliced", "none", None, True)
        assert check["value"] < -0.2
        assert check["chain"] is None

    def test_a_gain_below_the_limit_fails_with_the_numbers_and_the_causes(self, project, said):
        result = sliced(project, "fakes:perfect", CUTS, "--cropdet-min-gain=0")
        result.assert_outcomes(failed=1)
        text = said(result)
        assert "FAIL gain -0." in text
        assert text.count("why: cut (objects cut at seams)") == 2  # in the failure, and in the section at the end
        assert "FAILED gain -0." in text
        (check,) = project.checks
        assert (check["verdict"], check["limit"], check["passes"]) == ("fail", 0.0, False)
        steps = {each["name"]: each["value"] for each in check["chain"]["steps"]}
        assert sum(steps.values()) == pytest.approx(check["value"])
        assert steps["cut"] < -0.2
        assert (steps["scale"], steps["context"]) == (0, 0)

    def test_a_limit_that_is_surely_met_passes_without_a_search_for_causes(self, project, said):
        result = sliced(project, "fakes:perfect", SAME, "--cropdet-min-gain=-0.01")
        result.assert_outcomes(passed=1)
        assert "PASS gain 0.000" in said(result)
        (check,) = project.checks
        assert (check["value"], check["low"], check["high"], check["chain"]) == (0.0, 0.0, 0.0, None)

    @pytest.mark.parametrize(("accepted", "passes"), [("fail", False), ("pass", True)])
    def test_an_uncertain_gain_is_undecided_and_one_option_accepts_that(self, project, said, accepted, passes):
        result = sliced(project, "fakes:perfect", CUTS, "--cropdet-min-gain=-0.61", f"--cropdet-undecided={accepted}")
        result.assert_outcomes(**{"passed" if passes else "failed": 1})
        (check,) = project.checks
        assert (check["verdict"], check["passes"], check["reason"]) == ("undecided", passes, None)
        assert check["low"] < check["limit"] < check["high"]

    def test_too_few_images_never_pass(self, project, said):
        options = (SAME, "--cropdet-min-gain=-0.01", "--cropdet-sample-images=5", "--cropdet-undecided=pass")
        sliced(project, "fakes:perfect", *options).assert_outcomes(failed=1)
        (check,) = project.checks
        assert (check["verdict"], check["passes"]) == ("undecided", False)
        assert "5 source images" in check["reason"]
        assert check["images_to_decide"] is None  # the bounds say nothing of it

    def test_a_detector_that_finds_nothing_does_not_pass(self, project, said):
        result = sliced(project, "fakes:blind", SAME, "--cropdet-min-gain=-0.01")
        result.assert_outcomes(failed=1)
        assert "the detector is too weak for this test" in said(result)
        assert project.checks[0]["verdict"] == "undecided"

    def test_the_causes_can_be_asked_for_always_or_never(self, project):
        sliced(project, "fakes:perfect", SAME, "--cropdet-explain=always")
        assert project.checks[0]["chain"]["steps"]
        sliced(project, "fakes:perfect", CUTS, "--cropdet-min-gain=0", "--cropdet-explain=off")
        assert project.checks[0]["chain"] is None

    def test_named_categories_alone_count(self, project):
        sliced(project, "fakes:perfect", CUTS, "--cropdet-categories=red")
        assert project.checks[0]["objects"] == 60


@pytest.mark.subprocess
def test_the_numbers_are_the_same_on_workers_and_a_second_run(project):
    options = (CUTS, "--cropdet-min-gain=0", "--cropdet-model=two=fakes:make")
    sliced(project, "fakes:perfect", *options)
    first = project.checks
    assert {each["name"]: each["verdict"] for each in first} == {"perfect-sliced": "fail", "two-sliced": "fail"}
    for workers in (2, 0):
        sliced(project, "fakes:perfect", *options, workers=workers)
        assert [{**each, "again": None} for each in project.checks] == [{**each, "again": None} for each in first]


def test_the_results_are_as_the_schema_says(project):
    jsonschema = pytest.importorskip("jsonschema", reason="needs jsonschema")
    schema = json.loads(resources.files("pytest_cropdet.report").joinpath("schema.json").read_text(encoding="utf-8"))
    for options in (
        (CUTS,),
        (CUTS, "--cropdet-min-gain=0"),
        (CUTS, "--cropdet-min-gain=0", "--cropdet-model=two=fakes:blind"),
    ):
        sliced(project, "fakes:perfect", *options)
        told = json.loads((project.path / "out.json").read_text())
        assert told["checks"]
        jsonschema.Draft202012Validator(schema).validate(told)
        told["checks"][0]["verdict"] = "skip"
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(schema).validate(told)


def test_every_file_has_the_verdict(project, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "summary.md"))
    result = sliced(project, "fakes:perfect", CUTS, "--cropdet-min-gain=0", "--junitxml=junit.xml")
    assert "::error title=" in result.stdout.str()
    assert "**sliced**: FAIL gain" in (project.path / "summary.md").read_text(encoding="utf-8")
    ((_, _, properties),) = project.cases()
    assert properties["cropdet.sliced.verdict"] == "fail"
    assert float(properties["cropdet.sliced.limit"]) == 0
    page = (project.path / PAGE).read_text(encoding="utf-8")
    assert "Slicing does not gain enough" in page
    for words in ("objects cut at seams", "What the merge left behind", "By distance to the nearest seam"):
        assert words in page
    (check,) = project.checks
    assert check["no_picture"] is None
    drawn = cv2.imread(str(project.path / check["picture"]))
    assert drawn.shape[0] > 800  # two rows of cells
    assert "data:image/jpeg;base64," in page


def test_a_picture_that_cannot_be_written_is_named_and_the_verdict_stays(project, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("pytest_cropdet.plugin.sliced_test.write_whole", full)
    sliced(project, "fakes:perfect", CUTS).assert_outcomes(passed=1)
    (check,) = project.checks
    assert (check["picture"], check["no_picture"]) == (None, "no space left on device")
    assert "There is no picture to show: no space left" in (project.path / PAGE).read_text(encoding="utf-8")


class TestRegions:
    def test_windows_round_the_truth_are_compared_with_one_pass(self, project):
        sliced(project, "fakes:make", "--cropdet-sliced=proposals=truth,margin=0.1", "--cropdet-min-gain=-0.1")
        (check,) = project.checks
        assert check["verdict"] == "pass"
        assert check["tiles"].startswith("margin=0.1,proposals=")
        assert check["calls_per_image"] == 3  # objects of an image

    def test_without_a_margin_a_detector_that_loses_what_touches_the_border_finds_nothing(self, project):
        sliced(project, "fakes:make", "--cropdet-sliced=proposals=truth,margin=0", "--cropdet-min-gain=-0.1")
        (check,) = project.checks
        assert (check["verdict"], check["ap"]["all"]["sliced"]) == ("fail", 0.0)
        steps = {each["name"]: each["value"] for each in check["chain"]["steps"]}
        assert sum(steps.values()) == pytest.approx(check["value"])

    def test_boxes_in_a_file_are_proposals_of_the_same_images(self, project):
        content = json.loads((project.data / "shapes.json").read_text())
        content["annotations"] = [each for each in content["annotations"] if each["category_id"] == 1]
        boxes = project.path / "boxes.json"
        boxes.write_text(json.dumps({**content, "images": content["images"]}))
        (project.path / "images").symlink_to(project.data / "images")
        sliced(project, "fakes:perfect", f"--cropdet-sliced=proposals={boxes},margin=0.1")
        (check,) = project.checks
        assert check["calls_per_image"] == 1
        assert check["ap"]["all"]["sliced"] == pytest.approx(1 / 3, abs=0.1)  # of three categories red alone

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ("margin=0.3", "say what the windows are round: proposals=truth"),
            ("proposals=truth,margin=-1", "margin must be 0 or more"),
            ("proposals=truth,size=32", "unknown setting 'size=32'"),
            ("proposals=nowhere.json", "nowhere.json"),
        ],
    )
    def test_wrong_settings_are_named(self, project, said, settings, words):
        result = sliced(project, "fakes:perfect", f"--cropdet-sliced={settings}")
        assert words in said(result)
        assert result.ret != 0


class TestRefused:
    @pytest.mark.parametrize(
        ("option", "words"),
        [
            ("--cropdet-sliced=size", "cropdet_sliced must be KEY=VALUE"),
            ("--cropdet-sliced=size=32:net.tflite", "cropdet_sliced has settings only"),
            ("--cropdet-sliced=colour=red", "colour"),
            ("--cropdet-sliced=size=32,merge=glue", "glue"),
            ("--cropdet-min-gain=5", "cropdet_min_gain must lie between -1 and 1, not 5"),
        ],
    )
    def test_wrong_settings_are_named_before_anything_runs(self, project, said, without_tracebacks, option, words):
        result = sliced(project, "fakes:perfect", option)
        assert words in said(result)
        assert without_tracebacks(result)
        assert not project.notes

    def test_the_check_without_its_settings_says_what_is_missing(self, project, said):
        result = sliced(project, "fakes:perfect")
        result.assert_outcomes(failed=1)
        assert "Give --cropdet-sliced=SETTINGS, such as size=320,overlap=0.2" in said(result)

    def test_a_model_that_slices_already(self, project, said):
        sliced_model = "sliced:size=32:fakes:perfect"
        result = sliced(project, sliced_model, CUTS)
        result.assert_outcomes(failed=1)
        assert "slices already; give --cropdet-model the model alone" in said(result)

    def test_data_without_truth(self, project, said):
        (project.path / "plain").mkdir()
        for path in sorted((project.data / "images").iterdir())[:3]:
            (project.path / "plain" / path.name).write_bytes(path.read_bytes())
        options = ("--cropdet-model=fakes:perfect", "--cropdet-checks=sliced", CUTS)
        result = project.pytest("--pyargs", "pytest_cropdet.suite", *options, "--cropdet-images=plain")
        result.assert_outcomes(failed=1)
        assert "the gain of slicing needs annotations" in said(result)


def test_a_dry_run_says_the_cost_and_sends_nothing(project, said):
    result = sliced(project, "fakes:perfect", CUTS, "--cropdet-dry-run", "-rs")
    result.assert_outcomes(skipped=1)
    text = said(result)
    assert "60 images, 4.0 images sent per image; 300 images to send in all" in text
    assert "to find the causes" not in text  # without a limit nobody asks for them
    result = sliced(
        project,
        "fakes:perfect",
        "--cropdet-sliced=size=32,overlap=0",
        "--cropdet-dry-run",
        "-rs",
        "--cropdet-min-gain=0",
    )
    text = said(result)
    assert "60 images, 5.0 images sent per image; 360 images to send in all" in text
    assert "to find the causes unless the limit is met: 480 more" in text


def test_the_fixture_takes_settings_and_limits_of_its_own(project):
    project.write(
        pytest_ini=f"[pytest]\ncropdet_model = fakes:perfect\ncropdet_data = {project.data}\n",
        test_it="""
import pytest


def test_gain(cropdet):
    found = cropdet.compare_sliced("size=64x48,merge=none", min_gain=-0.5)
    found.check()
    assert found.gain >= -0.01
    assert found.verdict == "pass"


@pytest.mark.cropdet(sliced="size=32,overlap=0,merge=none,whole=no", min_gain=0)
def test_marker(cropdet):
    found = cropdet.compare_sliced(seed=1, sample_images=55)
    with pytest.raises(AssertionError, match="why: cut"):
        found.check()


def test_words_that_mean_nothing(cropdet):
    with pytest.raises(Exception, match="not crops"):
        cropdet.compare_sliced("size=32", crops="grid")
""",
    )
    project.pytest("--cropdet-json=out.json").assert_outcomes(passed=3)
    found = {each["verdict"] for each in json.loads((project.path / "out.json").read_text())["checks"]}
    assert found == {"pass", "fail"}
