"""New against old in a session: by the old model, by a baseline in a file, on workers, and what is refused."""

import json
import shutil

import pytest

LIMIT = "--cropdet-max-worse=0.05"


def _without_times(gate):
    return {key: each for key, each in gate.items() if key not in ("seconds", "model_calls", "looks")}


def _against(gate):
    return {key: each for key, each in gate["against"].items() if key != "old"}


class TestOldModel:
    def test_a_better_one_passes_and_says_so(self, project, said):
        result = project.gate("fakes:perfect", "--cropdet-against=old=fakes:make", LIMIT)
        result.assert_outcomes(passed=1)
        text = said(result)
        assert "PASS random, worse" in text
        assert "against old: the model got better on crops: update the baseline?" in text
        gate = project.gates[0]
        assert gate["verdict"] == "pass"
        assert gate["against"]["change"] == "better"
        assert gate["against"]["old"]["name"] == "old"
        assert gate["against"]["worse"]["high"] < 0
        assert gate["against"]["crop_ap"]["value"] == -gate["against"]["worse"]["value"]

    def test_a_worse_one_fails_and_says_where(self, project, said):
        result = project.gate(
            "fakes:make", "--cropdet-against=old=fakes:perfect", LIMIT, "--cropdet-max-drop-worse=0.9"
        )
        result.assert_outcomes(failed=1)
        text = said(result)
        assert "the model got less robust" in text
        assert "what grew: position" in text  # it misses what touches the border of its picture
        verdicts = {each["measure"]: each["outcome"] for each in project.gates[0]["verdicts"]}
        assert verdicts["worse"] == "fail"
        steps = {each["name"]: each["value"] for each in project.gates[0]["against"]["grown_steps"]}
        assert sum(steps.values()) == pytest.approx(project.gates[0]["against"]["drop_worse"]["value"])

    def test_the_default_limit_on_the_drop_is_not_added(self, project):
        """Both lose far more than 0.05, alike."""
        project.gate("fakes:make", "--cropdet-against=old=fakes:make", LIMIT).assert_outcomes(passed=1)
        assert [each["measure"] for each in project.gates[0]["verdicts"]] == ["worse"]

    def test_a_stated_limit_on_the_drop_is_judged_beside(self, project):
        options = (LIMIT, "--cropdet-max-drop=0.05")
        project.gate("fakes:make", "--cropdet-against=old=fakes:make", *options).assert_outcomes(failed=1)
        assert {each["measure"]: each["outcome"] for each in project.gates[0]["verdicts"]} == {
            "drop": "fail",
            "worse": "pass",
        }

    def test_categories_have_limits_of_their_own(self, project):
        limits = ("--cropdet-max-worse=red=0.05", "--cropdet-max-drop-worse=blue=0.05")
        project.gate("fakes:make", "--cropdet-against=old=fakes:perfect", *limits).assert_outcomes(failed=1)
        assert {each["measure"] for each in project.gates[0]["verdicts"]} == {"worse of red", "drop_worse of blue"}

    def test_ini_marker_and_argument_work_like_the_command_line(self, project):
        project.write(
            pytest_ini="[pytest]\ncropdet_model = fakes:make\ncropdet_against = old=fakes:perfect\n"
            f"cropdet_data = {project.data}\ncropdet_crops = random:keep=0.7-0.9,per_image=1\n"
            "cropdet_max_worse = 0.9\n",
            test_it="""
                import pytest
                from fakes import make

                def test_of_the_ini_file(cropdet):
                    assert cropdet.run().comparison.change == "less robust"

                @pytest.mark.cropdet(max_worse=0.01)
                def test_marker(cropdet):
                    cropdet.run()

                def test_argument(cropdet):
                    run = cropdet.run(against=make(), max_worse=0.01)
                    assert run.comparison.change == "same"

                def test_two_runs(cropdet):
                    new = cropdet.run(max_worse=None)
                    assert new.against(cropdet.run(max_worse=None)).worse <= 0
            """.replace("\n" + " " * 16, "\n"),
        )
        project.pytest("-p", "no:randomly").assert_outcomes(passed=3, failed=1)

    def test_what_is_said_of_a_detector_reaches_the_old_one_by_its_name(self, project, said):
        project.write(
            more="from fakes import Finder\n\n\nclass FromNought(Finder):\n    categories = None\n"
            "    def find(self, image):\n        found = super().find(image)\n"
            "        return type(found)(found.boxes, found.scores, found.categories - 1)\n\n\nmake = FromNought\n"
        )
        project.gate(
            "fakes:perfect", "--cropdet-against=old=more:make", LIMIT, "--cropdet-detector=old:first_category=0"
        ).assert_outcomes(passed=1)
        assert project.gates[0]["against"]["change"] == "same"


class TestBaseline:
    def test_another_process_judges_by_it_as_by_the_old_model(self, project, workers):
        project.gate("fakes:make", "--cropdet-baseline=b.json", "--cropdet-update-baseline", workers=workers)
        assert (project.path / "b.json").exists()
        project.gate("fakes:perfect", "--cropdet-baseline=b.json", LIMIT).assert_outcomes(passed=1)
        stored = project.gates[0]
        project.gate("fakes:perfect", "--cropdet-against=old=fakes:make", LIMIT)
        beside = project.gates[0]
        assert _against(stored) == _against(beside)
        assert stored["against"]["old"]["name"] == "the baseline b.json"
        assert _without_times({**stored, "against": None}) == _without_times({**beside, "against": None})

    def test_a_worse_one_fails(self, project, said):
        project.gate("fakes:perfect", "--cropdet-baseline=b.json", "--cropdet-update-baseline").assert_outcomes(
            passed=1
        )
        result = project.gate("fakes:make", "--cropdet-baseline=b.json", LIMIT)
        result.assert_outcomes(failed=1)
        assert "against the baseline b.json: the model got less robust" in said(result)

    def test_an_update_says_what_changed_and_is_not_judged(self, project, said):
        options = ("--cropdet-baseline=b.json", "--cropdet-update-baseline", LIMIT)
        first = project.gate("fakes:perfect", *options)
        first.assert_outcomes(passed=1)
        assert "b.json written random: mAP crop 1.000, whole 1.000, drop 0.000 (new)" in said(first)
        second = project.gate("fakes:make", *options)
        second.assert_outcomes(passed=1)
        assert "random: mAP crop 1.000 -> 0." in said(second)
        assert "against the baseline b.json: the model got less robust" in said(second)
        third = project.gate("fakes:make", *options, "--cropdet-seed=3")
        assert "seed: 0 -> 3; the same model" not in said(third)  # a function without fingerprint: known by its name
        assert "seed: 0 -> 3" in said(third)

    def test_other_gates_of_the_file_stay(self, project, said):
        options = ("--cropdet-baseline=b.json", "--cropdet-update-baseline")
        both = ("--cropdet-crops=random:keep=0.7-0.9,per_image=1", "--cropdet-crops=tile:size=32")
        project.gate("fakes:make", *options, *both)
        assert sorted(json.loads((project.path / "b.json").read_text())["gates"]) == ["random", "tile"]
        result = project.gate("fakes:perfect", *options)
        assert "unchanged: tile" in said(result)
        numbers = json.loads((project.path / "b.json").read_text())["gates"]
        assert numbers["random"]["numbers"]["crop"] == 1.0
        assert numbers["tile"]["numbers"]["crop"] < 1.0

    def test_a_run_that_breaks_leaves_the_file_as_it_was(self, project, said):
        options = ("--cropdet-baseline=b.json", "--cropdet-update-baseline")
        project.gate("fakes:perfect", *options)
        before = (project.path / "b.json").read_bytes()
        result = project.gate("fakes:raising", *options)
        result.assert_outcomes(failed=1)
        assert "was not written: no gate gave a result" in said(result)
        assert (project.path / "b.json").read_bytes() == before

    def test_other_images_are_refused_and_compared_where_that_is_asked_for(self, project, said):
        project.gate(
            "fakes:make", "--cropdet-baseline=b.json", "--cropdet-update-baseline", "--cropdet-sample-images=55"
        )
        refused = project.gate("fakes:perfect", "--cropdet-baseline=b.json", LIMIT)
        refused.assert_outcomes(failed=1)
        assert "5 images are only here" in said(refused)
        assert "--cropdet-baseline-images=common" in said(refused)
        taken = project.gate("fakes:perfect", "--cropdet-baseline=b.json", LIMIT, "--cropdet-baseline-images=common")
        taken.assert_outcomes(passed=1)
        assert "compared on the 55 images that both have: 60 here, 55 there" in said(taken)
        assert project.gates[0]["against"]["images"] == 55

    def test_another_picture_under_the_same_name_is_noticed(self, project, said, tmp_path):
        folder = tmp_path / "copy"
        shutil.copytree(project.data, folder)
        project.data = folder
        project.gate("fakes:make", "--cropdet-baseline=b.json", "--cropdet-update-baseline")
        shutil.copy(folder / "images" / "001.png", folder / "images" / "002.png")
        result = project.gate("fakes:make", "--cropdet-baseline=b.json", LIMIT)
        assert "1 images have other pixels (002.png)" in said(result)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((LIMIT,), "name it: --cropdet-against=MODEL or --cropdet-baseline=FILE"),
        ((LIMIT, "--cropdet-baseline=none.json"), "there is no baseline"),
        (("--cropdet-update-baseline",), "--cropdet-baseline=FILE"),
        ((LIMIT, "--cropdet-baseline=fakes.py"), "cannot be read as a baseline"),
        ((LIMIT, "--cropdet-against=a=fakes:make", "--cropdet-looks=auto"), "looks=auto stops one model early"),
        ((LIMIT, "--cropdet-against=a=fakes:make", "--cropdet-against=b=fakes:perfect"), "takes one old model, not 2"),
        (("--cropdet-max-worse=1.5",), "cropdet_max_worse must lie between 0 and 1"),
        (("--cropdet-max-drop-worse=red=x",), "cropdet_max_drop_worse must be a number or CATEGORY=NUMBER"),
        ((LIMIT, "--cropdet-against=fakes:nothing"), "has no 'nothing'"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(project, said, without_tracebacks, options, sentence):
    result = project.gate("fakes:make", *options)
    assert sentence in said(result)
    assert result.ret != 0
    assert without_tracebacks(result)


def test_two_old_models_are_refused(project, said):
    project.gate("fakes:make", "--cropdet-baseline=b.json", "--cropdet-update-baseline")
    result = project.gate("fakes:make", "--cropdet-baseline=b.json", "--cropdet-against=old=fakes:make", LIMIT)
    assert "are two old models; remove one" in said(result)


def test_two_models_without_truth_cannot_be_paired(project, said):
    images = f"--cropdet-images={project.data / 'images'}"
    named = ("--cropdet-model=fakes:make", "--cropdet-against=old=fakes:perfect", "--cropdet-crops=tile:size=32")
    result = project.pytest("--pyargs", "pytest_cropdet.suite", images, *named)
    assert "without ground truth" in said(result)
