"""``crops_of()`` without a data set: the configured one, opened when it draws."""

import pytest

from tests.plugin.test_own_tests import OWN_FIXTURES

SEARCH = """
from hypothesis import HealthCheck, example, given, settings
from pytest_cropdet import Crop, crops_of

@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=crops_of(min_side=5))
@example(case=("000.png", Crop(0, 0, 64, 48)))
def test_fits(case):
    name, crop = case
    assert name.endswith(".png")
    assert crop.fits(64, 48)
"""
FROM_37_PX_ON = """
from hypothesis import HealthCheck, given, settings
from pytest_cropdet import crops_of

@settings(database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=crops_of())
def test_survives(case):
    assert case[1].left < 37
"""


def test_it_is_the_configured_data_set(project, workers):
    project.write(test_search=SEARCH)
    project.pytest(f"--cropdet-data={project.data}", workers=workers).assert_outcomes(passed=1)


def test_a_failure_shows_the_smallest_cut_as_code_to_paste(project):
    project.write(test_search=FROM_37_PX_ON)
    result = project.pytest(f"--cropdet-data={project.data}")
    result.assert_outcomes(failed=1)
    assert "case=('000.png', Crop(left=37, top=0, width=27, height=48))" in result.stdout.str()


def test_it_is_the_users_own_fixture_even_where_the_test_does_not_ask_for_it(project):
    project.write(conftest=OWN_FIXTURES, test_search=FROM_37_PX_ON)
    assert "case=('0.png', Crop(left=37" in project.pytest().stdout.str()


def test_a_marker_names_the_data_of_one_test(project):
    marked = SEARCH.replace("@settings", f"@pytest.mark.cropdet(data={str(project.data)!r})\n@settings", 1)
    project.write(test_search=f"import pytest\n{marked}", test_other=FROM_37_PX_ON)
    result = project.pytest()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*no data set: give --cropdet-data=PATH*"])


def test_of_several_data_sets_it_is_the_one_that_the_test_is_run_with(project):
    project.write(
        test_search=SEARCH.replace("(case)", "(cropdet_dataset, case)").replace(
            "    name, crop = case", "    name, crop = case\n    assert name in {each.id for each in cropdet_dataset}"
        ),
        test_other=SEARCH,
    )
    result = project.pytest(f"--cropdet-data=a={project.data}", f"--cropdet-data=b={project.data}", "-rA")
    result.assert_outcomes(passed=2, failed=1)
    assert "which of a, b? Let the test use the fixture cropdet_dataset" in result.stdout.str()


SEEDED = pytest.param(("--hypothesis-seed=3",), id="seeded", marks=pytest.mark.subprocess)


@pytest.mark.parametrize("more", [pytest.param((), id="plain"), SEEDED])
def test_nothing_configured_is_one_failure_that_says_what_to_give(project, said, more):
    project.write(test_search=FROM_37_PX_ON)
    result = project.pytest(*more)
    result.assert_outcomes(failed=1)
    assert "no data set: give --cropdet-data=PATH (or cropdet_data in the ini file)" in said(result)
    assert "Falsifying example" not in said(result)


@pytest.mark.subprocess
def test_the_strategies_load_no_framework_and_no_decoder(project):
    project.write(
        conftest="""
import sys

def pytest_unconfigure(config):
    print("imported:", [name for name in ("tensorflow", "cv2", "matplotlib") if name in sys.modules])
""",
        test_search=(
            "from hypothesis import HealthCheck, given, settings\n"
            "from pytest_cropdet.crops.strategies import crops\n\n"
            "@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])\n"
            "@given(crops(9, 9))\ndef test_fits(crop):\n    assert crop.fits(9, 9)\n"
        ),
    )
    result = project.pytest()
    result.assert_outcomes(passed=1)
    assert "imported: []" in result.outlines
