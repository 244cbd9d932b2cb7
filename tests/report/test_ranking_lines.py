"""A ranking in the terminal, on the page and in the summary of a job."""

import numpy as np
import pytest

from pytest_cropdet.comparison import rank_models
from pytest_cropdet.report.github import github_summary
from pytest_cropdet.report.html import html_page
from pytest_cropdet.report.ranking_lines import matrix_of, ranking_table
from tests.comparison.test_ranking import made_up
from tests.report.made import HOSTILE


def ranking(*names):
    """Models that differ by 0.007 from one to the next, each difference with a spread of 0.004."""
    rng = np.random.default_rng(2)
    shared = 0.02 * rng.normal(size=999)
    draws = [0.5 - 0.007 * place + shared + 0.003 * rng.normal(size=999) for place in range(len(names))]
    runs = [made_up(name, 0.5 - 0.007 * place, draws[place]) for place, name in enumerate(names)]
    return rank_models("random", runs)


def test_a_matrix_that_fits_is_shown_with_a_sign_at_what_can_be_shown():
    lines = ranking_table(ranking("a", "b", "c"), 80)
    assert max(map(len, lines)) <= 80
    row = next(line for line in lines if line.startswith("c  ") and "[" in line)
    assert row.count("*") == 1
    assert "-0.014 [" in row
    assert "row minus column" in " ".join(lines)


def test_pairs_are_listed_where_the_matrix_is_too_wide_and_long_names_are_cut():
    names = [f"{'n' * 40}-{number}" for number in range(7)]
    lines = ranking_table(ranking(*names), 80)
    assert max(map(len, lines)) <= 96  # a pair of names and its numbers
    assert "first minus second" in " ".join(lines)
    assert "nnnnnnnn..." in lines[3]
    assert lines[3].split()[1].endswith("-0")
    assert lines[-1] == "and 9 more pairs, in the report and the JSON"


def test_a_matrix_has_both_directions():
    cells = matrix_of(ranking("a", "b"), "crop_ap")
    one, other = cells["a", "b"], cells["b", "a"]
    assert one["value"] == pytest.approx(0.007)
    for key, mirror in (("value", "value"), ("low", "high"), ("corrected_low", "corrected_high")):
        assert one[key] == -other[mirror]


@pytest.mark.parametrize("models", [3, 14])
def test_hostile_names_stay_text_on_the_page_and_in_the_summary(models):
    names = [*HOSTILE, *(f"m{number}" for number in range(models))][: max(models, len(HOSTILE))]
    found = ranking(*names)
    page = html_page([], rankings=[found])
    for raw in HOSTILE[:2]:
        assert raw not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in github_summary([], rankings=[found])


def test_who_is_left_out_and_why_is_everywhere():
    runs = [
        *(made_up(name, 0.5, np.zeros(99), images=60) for name in "ab"),
        made_up("few", 0.5, np.zeros(99), images=9),
    ]
    found = rank_models("random", runs)
    for text in (
        " ".join(ranking_table(found, 80)),
        html_page([], rankings=[found]),
        github_summary([], rankings=[found]),
    ):
        assert "few" in text
        assert "images is 9, not 60" in text
