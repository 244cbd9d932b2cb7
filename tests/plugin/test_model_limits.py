"""Limits of one of several models: NAME:0.3 for its mean, NAME:person=0.2 for a category."""

WINDOWS = "random:keep=0.7-0.9,per_image=1"


def drops(project):
    return {gate["name"]: (gate["limit"], gate["settings"]["by_category"]) for gate in project.gates}


TWO = ("--cropdet-model=a=fakes:perfect", "--cropdet-model=b=fakes:make", f"--cropdet-crops={WINDOWS}")


def test_one_of_several_models_has_limits_of_its_own(project, workers):
    rest = (f"--cropdet-data={project.data}", "--cropdet-json=out.json", "--cropdet-explain=off")
    suite = ("--pyargs", "pytest_cropdet.suite", *TWO, *rest)
    limits = ("b:0.9", "red=0.8", "b:red=0.95")
    project.pytest(*suite, *(f"--cropdet-max-drop={each}" for each in limits), workers=workers)
    assert drops(project) == {"a-random": (0.05, {"red": 0.8}), "b-random": (0.9, {"red": 0.95})}
    project.write(pytest_ini="[pytest]\ncropdet_max_drop =\n    a:0.2\n    0.3\n")
    project.pytest(*suite, workers=workers)
    assert drops(project) == {"a-random": (0.2, {}), "b-random": (0.3, {})}


def test_a_limit_of_the_only_model_and_in_a_marker(project):
    project.write(
        test_own="import pytest\n@pytest.mark.cropdet(max_drop=['perfect:0.4', '0.1'])\ndef test_it(cropdet):\n"
        f"    cropdet.gate({WINDOWS!r})\n"
    )
    rest = (f"--cropdet-data={project.data}", "--cropdet-json=out.json", "--cropdet-model=fakes:perfect")
    project.pytest("test_own.py", *rest).assert_outcomes(passed=1)
    assert [gate["limit"] for gate in project.gates] == [0.4]


def test_a_limit_of_a_model_that_there_is_not_is_a_usage_error(project, said):
    result = project.gate("nets=fakes:perfect", "--cropdet-max-drop=net:0.3")
    assert result.ret == 4
    assert "cropdet_max_drop 'net:0.3': no model is called 'net'; there are nets; did you mean nets?" in said(result)
    result = project.gate("nets=fakes:perfect", "--cropdet-max-worse=nets:5")
    assert "cropdet_max_worse must lie between 0 and 1, not 5" in said(result)
    result = project.gate("nets=fakes:perfect", "--cropdet-max-drop=nets:much")
    assert "cropdet_max_drop must be a number or CATEGORY=NUMBER, not 'nets:much'" in said(result)
