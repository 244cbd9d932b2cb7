"""Two detectors on the same crops, paired by image: new against old, with bounds on what changed."""

from pytest_cropdet.comparison.against import Against, CategoryChange
from pytest_cropdet.comparison.baseline_file import baseline_entry, read_baseline, record_of_entry, write_baseline
from pytest_cropdet.comparison.match_record import MatchRecord
from pytest_cropdet.comparison.mismatch import common_images, refuse_mismatch
from pytest_cropdet.comparison.paired_measures import compare_runs
from pytest_cropdet.comparison.ranking import RankedRun, needed_replicates, rank_models

__all__ = [
    "Against",
    "CategoryChange",
    "MatchRecord",
    "RankedRun",
    "baseline_entry",
    "common_images",
    "compare_runs",
    "needed_replicates",
    "rank_models",
    "read_baseline",
    "record_of_entry",
    "refuse_mismatch",
    "write_baseline",
]
