"""Records, JUnit, terminal, GitHub, page, COCO and object files.

Nothing is computed here: a record holds what a run found, and everything else shows the record.

Public modules: `charts`, the page's charts of a run for a notebook.
"""

from pytest_cropdet.report.check_texts import sorted_checks
from pytest_cropdet.report.coco_export import write_detections
from pytest_cropdet.report.crop_pictures import jpeg_bytes, remove_unused
from pytest_cropdet.report.github import github_summary
from pytest_cropdet.report.history_panels import trend_panels
from pytest_cropdet.report.html.page import html_page
from pytest_cropdet.report.html.trend import trend_page
from pytest_cropdet.report.junit import benchmark_properties, check_properties, run_properties
from pytest_cropdet.report.object_file import write_objects
from pytest_cropdet.report.records import MissingResult, benchmark_record, invariant_record, search_record, write_json
from pytest_cropdet.report.sliced_texts import sliced_record
from pytest_cropdet.report.terminal import (
    benchmark_summary,
    checks_summary,
    ranking_summary,
    short_verdict,
    sliced_summary,
    write_summary,
)
from pytest_cropdet.report.worker_files import WorkerFiles
from pytest_cropdet.report.worst_crops import worst_crop_pictures

__all__ = [
    "MissingResult",
    "WorkerFiles",
    "benchmark_properties",
    "benchmark_record",
    "benchmark_summary",
    "check_properties",
    "checks_summary",
    "github_summary",
    "html_page",
    "invariant_record",
    "jpeg_bytes",
    "ranking_summary",
    "remove_unused",
    "run_properties",
    "search_record",
    "short_verdict",
    "sliced_record",
    "sliced_summary",
    "sorted_checks",
    "trend_page",
    "trend_panels",
    "worst_crop_pictures",
    "write_detections",
    "write_json",
    "write_objects",
    "write_summary",
]
