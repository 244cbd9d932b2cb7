"""Detectors on the same crops, paired by image: new against old, several ranked; and results over time."""

from pytest_cropdet.comparison.against import Against, CategoryChange
from pytest_cropdet.comparison.baseline_file import baseline_entry, read_baseline, record_of_entry, write_baseline
from pytest_cropdet.comparison.history_file import (
    DamagedLine,
    HistoryLine,
    append_history,
    history_line,
    read_history,
)
from pytest_cropdet.comparison.match_record import MatchRecord
from pytest_cropdet.comparison.mismatch import common_images, refuse_mismatch
from pytest_cropdet.comparison.paired_measures import compare_runs
from pytest_cropdet.comparison.ranking import RankedRun, category_set, needed_replicates, rank_models
from pytest_cropdet.comparison.result_diff import ResultDiff, diff_results, read_result
from pytest_cropdet.comparison.seams import SeamCounts, SeamErrors, seam_counts, seam_errors
from pytest_cropdet.comparison.sliced_chain import CHAIN_STEPS, SlicedChain, find_sliced_chain, perfect_merge
from pytest_cropdet.comparison.sliced_comparison import SlicedComparison, compare_sliced
from pytest_cropdet.comparison.sliced_gain import SlicedGain, detect_whole, measure_gain
from pytest_cropdet.comparison.slicing_faults import SLICING_FAULTS, SlicingFault, find_slicing_faults
from pytest_cropdet.comparison.tile_search import TileCell, TileSearch, search_tiles
from pytest_cropdet.comparison.trend import Trend, find_trends

__all__ = [
    "CHAIN_STEPS",
    "SLICING_FAULTS",
    "Against",
    "CategoryChange",
    "DamagedLine",
    "HistoryLine",
    "MatchRecord",
    "RankedRun",
    "ResultDiff",
    "SeamCounts",
    "SeamErrors",
    "SlicedChain",
    "SlicedComparison",
    "SlicedGain",
    "SlicingFault",
    "TileCell",
    "TileSearch",
    "Trend",
    "append_history",
    "baseline_entry",
    "category_set",
    "common_images",
    "compare_runs",
    "compare_sliced",
    "detect_whole",
    "diff_results",
    "find_sliced_chain",
    "find_slicing_faults",
    "find_trends",
    "history_line",
    "measure_gain",
    "needed_replicates",
    "perfect_merge",
    "rank_models",
    "read_baseline",
    "read_history",
    "read_result",
    "record_of_entry",
    "refuse_mismatch",
    "seam_counts",
    "seam_errors",
    "search_tiles",
    "write_baseline",
]
