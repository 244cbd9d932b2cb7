"""What a user can get wrong: a usage error before anything runs, or one failure with a sentence."""

import json
import shutil

import pytest

GOOD = ("--cropdet-model=fakes:make", "--cropdet-data=DATA")
USAGE_ERRORS = {
    "percent": (("--cropdet-max-drop=5",), "cropdet_max_drop must lie between 0 and 1, not 5 (percent? write 0.05)"),
    "no number": (("--cropdet-max-drop=little",), "cropdet_max_drop must be a number or CATEGORY=NUMBER, not 'little'"),
    "family": (("--cropdet-crops=randum",), "unknown family 'randum'; known are random, tile"),
    "key": (("--cropdet-crops=tile:sise=3",), "tile does not know 'sise=3'; it takes size=320, overlap=0.2"),
    "metric": (("--cropdet-metric=mAP50",), "invalid choice: 'mAP50'"),
    "model": (("--cropdet-model=nets/none",), "nets/none': neither an existing path nor one of"),
    "kind": (("--cropdet-model=saved_model:none",), "the path does not exist"),
    "data": (("--cropdet-data=none.json",), "none.json: no such file or folder"),
    "images": (("--cropdet-images=none",), "none: no such folder"),
    "twice": (("--cropdet-model=other:make",), "two of --cropdet-model have the name 'make'; write NAME=PATH"),
    "description": (("--cropdet-detector=units",), "cropdet_detector must be KEY=VALUE or NAME:KEY=VALUE, not 'units'"),
    "description key": (("--cropdet-detector=unit=pixels",), "a detector's description has no 'unit'"),
    "description of none": (("--cropdet-detector=big:units=pixels",), "no model is called 'big'; there are make"),
    "folder": (("--cropdet-json=.",), "is a folder; name a file"),
    "family mistyped": (("--cropdet-crops=randum",), "random, tile, object, edge, shift; did you mean random?"),
    "description key mistyped": (("--cropdet-detector=unit=pixels",), "did you mean units?"),
    "option mistyped": (("--cropdet-max-dorp=0.05",), "did you mean: --cropdet-max-drop"),
    "label file": (("--cropdet-detector=labels=none.txt",), "labels=none.txt: no such file"),
}


def check_usage_error(project, said, arguments, sentence, workers=0):
    arguments = [each.replace("DATA", str(project.data)) for each in arguments]
    result = project.pytest("--pyargs", "pytest_cropdet.suite", *arguments, workers=workers)
    assert result.ret == 4
    assert sentence in said(result)
    assert "Traceback" not in said(result)
    assert "test session starts" not in said(result) or "collected" not in said(result)
    assert project.notes == []


@pytest.mark.parametrize(("arguments", "sentence"), USAGE_ERRORS.values(), ids=USAGE_ERRORS)
def test_what_options_alone_show_is_a_usage_error(project, said, arguments, sentence):
    check_usage_error(project, said, (*GOOD, *arguments), sentence)


@pytest.mark.parametrize("case", ["percent", "model"])
@pytest.mark.subprocess
def test_it_is_one_on_workers_too(project, said, case):
    arguments, sentence = USAGE_ERRORS[case]
    check_usage_error(project, said, (*GOOD, *arguments), sentence, workers=2)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("cropdet_max_drop = 5", "cropdet_max_drop must lie between 0 and 1, not 5 (percent? write 0.05)"),
        ("cropdet_metric = mAP50", "cropdet_metric must be one of mAP, AP50, AP75, not 'mAP50'"),
        ("cropdet_seed = seven", "pytest.ini must be of type int"),
    ],
)
def test_so_it_is_in_the_ini_file(project, said, line, sentence):
    project.write(pytest_ini=f"[pytest]\n{line}\n")
    check_usage_error(project, said, GOOD, sentence)


def test_no_model_is_a_usage_error_after_collection(project, said):
    project.write(test_one="def test_one(cropdet):\n    pass\n")
    result = project.pytest("test_one.py", f"--cropdet-data={project.data}")
    assert result.ret == 4
    assert "no detector: give --cropdet-model=PATH (or cropdet_model in the ini file)" in said(result)


def test_tests_that_do_not_run_need_no_model(project):
    project.write(
        test_one="""
import pytest

@pytest.mark.skipif(True, reason="no model on this machine")
def test_skipped(cropdet):
    pass

def test_deselected(cropdet):
    pass

def test_other():
    pass
"""
    )
    project.pytest("-k", "not deselected").assert_outcomes(passed=1, skipped=1, deselected=1)
    listed = project.pytest("--collect-only", "-q", "--pyargs", "pytest_cropdet.suite", "test_one.py")
    assert listed.ret == 0
    listed.stdout.fnmatch_lines(["pytest_cropdet/suite/gate.py::test_map_drop[[]random[]]"])


def test_what_only_loading_shows_is_one_failure_with_the_sentence(project, said, without_tracebacks, workers):
    broken, corrupt = project.path / "broken.json", project.path / "corrupt"
    broken.write_text('{"images": [')
    shutil.copytree(project.data, corrupt)
    (corrupt / "images" / "007.png").write_bytes(b"no picture")
    project.write(test_own="def test_own(cropdet):\n    pass\n")
    models = ("cannot_load", "strangers", "perfect")
    result = project.pytest(
        "--pyargs",
        "pytest_cropdet.suite",
        *(f"--cropdet-model=fakes:{name}" for name in models),
        *(f"--cropdet-data={path}" for path in (project.data, broken, corrupt)),
        "--cropdet-json=out.json",
        "test_own.py",
        workers=workers,
    )
    assert result.ret == 1
    result.assert_outcomes(passed=1 + 4, failed=3, errors=5 + 5)
    for sentence in (
        "the graph has no signature 'serving_default'",
        f"the data set {broken} is not JSON",
        "007.png: not a picture that OpenCV reads",
        "the detector does not know 'red', 'green', 'blue' of the data set.",
        "the data set's | the detector's 1 red | - 2 green | - 3 blue | - - | 1 cat - | 2 dog - | 3 bird",
    ):
        assert sentence in said(result)
    assert without_tracebacks(result)
    assert [gate["name"] for gate in json.loads((project.path / "out.json").read_text())["gates"]] == [
        "perfect-shapes-random"
    ]


def test_a_mistyped_key_of_the_ini_file_is_a_usage_error(project, said):
    project.write(pytest_ini="[pytest]\ncropdet_max_dorp = 0.01\n")
    result = project.pytest("--pyargs", "pytest_cropdet.suite", "--cropdet-model=fakes:make")
    assert result.ret == 4
    assert "there is no key cropdet_max_dorp; did you mean cropdet_max_drop?" in said(result)


@pytest.mark.parametrize("option", ["--cropdet-categories=rde", "--cropdet-max-drop=rde=0.1"])
def test_a_category_that_the_data_lacks_is_named_before_a_detector_is_loaded(project, said, option):
    project.write(loud="def make():\n    raise RuntimeError('it was loaded')\n")
    result = project.gate("loud:make", option)
    assert result.ret == 1
    assert "the data set has no category 'rde'" in said(result)
    assert "did you mean 'red'?" in said(result)
    assert "it was loaded" not in said(result)


def test_help_has_groups_values_and_defaults(project, said):
    text = said(project.pytest("--help"))
    for title in ("detector", "data", "crops", "limits", "causes", "checks and benchmark", "results"):
        assert f"crop robustness of detectors: {title}:" in text
    assert "(default: 0.05)" in text
    assert "when to analyse causes; auto: when a gate does not pass; one of auto, always, off (default: auto)" in text
    assert "seed of windows and resamples (default: 0)" in text
    limits = text.partition("crop robustness of detectors: limits:")[2].partition("crop robustness of detectors: m")[0]
    assert "--cropdet-max-drop" in limits
    assert "--cropdet-model" not in limits
