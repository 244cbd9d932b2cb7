"""Two detectors on the same crops, paired by image: new against old, with bounds on what changed."""

from pytest_cropdet.comparison.against import Against, CategoryChange
from pytest_cropdet.comparison.match_record import MatchRecord
from pytest_cropdet.comparison.mismatch import common_images, refuse_mismatch
from pytest_cropdet.comparison.paired_measures import compare_runs

__all__ = [
    "Against",
    "CategoryChange",
    "MatchRecord",
    "common_images",
    "compare_runs",
    "refuse_mismatch",
]
