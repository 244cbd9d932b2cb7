"""Every option, once: those that a run reads are rows of ``settings``, the others are rows here.

An option ``x`` is ``--cropdet-x`` on the command line, ``cropdet_x`` in the ini file, and ``x=`` in the marker
``@pytest.mark.cropdet(...)``; the marker wins over the command line, and that over the ini file. Only the standard
library is imported here.
"""

from collections.abc import Sequence
from typing import Any

from pytest_cropdet.settings import Option, RunSettings, options_of

__all__ = [
    "CHECKS",
    "INVARIANTS",
    "NOT_FOR_MARKERS",
    "OF_RUNS",
    "OPTIONS",
    "Option",
    "in_shown_order",
    "ini_type",
    "option",
]

OF_RUNS = tuple(each for each in options_of(RunSettings).values() if each.help)
_OF_TESTS = (
    Option(
        "model",
        "lines",
        (),
        "[NAME=]PATH",
        "detector to gate: a path, kind:path, tfserving:URL, kserve:URL, package.module:factory, or a plug-in's name",
    ),
    Option("detector", "lines", (), "KEY=VALUE", "a convention of the detector, such as units=pixels; NAME:KEY=VALUE"),
    Option(
        "against",
        "lines",
        (),
        "[NAME=]PATH",
        "old model to compare with on the same crops, given as --cropdet-model is",
    ),
    Option("baseline", "path", None, "FILE", "baseline to compare with, in place of the old model's file"),
    Option(
        "baseline_images",
        "string",
        "all",
        "WHICH",
        "where the baseline has other images: refuse it, or compare those in common",
        ("all", "common"),
    ),
    Option(
        "data",
        "lines",
        (),
        "[NAME=]PATH",
        "data set: COCO, VOC, YOLO, TFRecord, CSV; a path, archive, URL, or a plug-in's name",
    ),
    Option(
        "images",
        "path",
        None,
        "DIR",
        "folder of the images, a zip or tar, or a URL (default: next to the JSON, or images/ there)",
        reads="folder or archive",
    ),
    Option(
        "data_labels",
        "path",
        None,
        "FILE",
        "ids of the data set's categories: a label map (.pbtxt), a CSV name,id, or a list",
        reads="file",
    ),
    Option(
        "data_errors",
        "string",
        "fail",
        "POLICY",
        "boxes that reach outside their image: fail refuses the data set, clip clips them",
        ("fail", "clip"),
    ),
    Option("strict_data", "flag", False, "", "every data warning is an error: the data set is refused"),
    Option(
        "plan",
        "path",
        None,
        "FILE",
        "take the windows that a strategy drew from FILE, not from cropdet_dir",
        reads="file",
    ),
    Option("examples", "int", 100, "N", "windows that the search and the invariants may try, each", least=1),
    Option(
        "tolerance",
        "lines",
        (),
        "NAME=NUMBER",
        "what an invariant allows: lost=0.1, stride=32, or the name of an invariant of your own",
        commas=True,
    ),
    Option(
        "sliced",
        "string",
        None,
        "SETTINGS",
        "compare sliced inference with one pass over the whole image: size=320,overlap=0.2,merge=seam; or windows "
        "round boxes: proposals=truth,margin=0.3",
    ),
    Option(
        "min_gain",
        "float",
        None,
        "X",
        "smallest allowed AP(sliced) - AP(whole image), -1 to 1 (default: the gain is reported, not judged)",
        signed=True,
    ),
    Option(
        "timeout",
        "float",
        None,
        "SECONDS",
        "seconds that one call of the detector may take; a longer one ends its test with an error (default: no limit)",
        least=0.1,
    ),
    Option("no_shrink", "flag", False, "", "the search stops at the first window that loses an object"),
)
_OF_SESSION = (  # which no marker takes
    Option(
        "checks",
        "lines",
        ("gate",),
        "CHECK",
        "what the suite does: gate, invariants, search, sliced; several with commas",
    ),
    Option("dry_run", "flag", False, "", "estimate cost and precision of a run; nothing is gated"),
    Option(
        "assume",
        "lines",
        (),
        "KEY=NUMBER",
        "what a dry run assumes: ms= per call, images=, calls= at once, distance= to the limit, price= per hour",
        commas=True,
    ),
    Option(
        "workers",
        "string",
        "auto",
        "auto|N",
        "calls of a TFLite or ONNX detector at once, each on cores of its own (auto: as many as the cores allow)",
    ),
    Option(
        "cluster",
        "string",
        None,
        "ADDRESS",
        "Dask cluster that runs the detector: tcp://SCHEDULER:8786, the scheduler's file, or local:N processes",
    ),
    Option("cache", "string", "", "DIR|off", "where detections are stored from run to run (default: in cropdet_dir)"),
    Option("dir", "path", None, "DIR", "folder for everything that is stored (default: .cropdet in the rootdir)"),
    Option(
        "benchmark",
        "string",
        None,
        "MODE",
        "the suite runs the crop benchmark, not the gate; write quick with = (alone: full)",
        ("quick", "full"),
        alone="full",
    ),
    Option(
        "benchmark_families",
        "lines",
        (),
        "FAMILY",
        "families of crops in the benchmark, your own ones too; several with commas (default: the five built-in ones)",
    ),
    Option(
        "update_baseline",
        "flag",
        False,
        "",
        "write the results of all gates to --cropdet-baseline, and say what changed; changes are not judged",
    ),
    Option(
        "history",
        "path",
        None,
        "FILE",
        "append a line for each gate there, JSON lines that `pytest-cropdet trend FILE` draws",
        writes="file",
    ),
    Option(
        "history_time",
        "string",
        None,
        "TIME|now",
        "the time of the history's lines, such as 2026-01-31T12:00:00Z (default: the date of git's commit)",
    ),
    Option(
        "history_commit",
        "string",
        None,
        "NAME",
        "the commit or version of the history's lines (default: git's commit of the rootdir)",
    ),
    Option("json", "path", None, "PATH", "write the results of all gates there", writes="file"),
    Option(
        "report",
        "string",
        "",
        "DIR|off",
        "where the HTML page is written (default: report/ in cropdet_dir); DIR/ with the slash: pictures of all "
        "changed crops in files beside it",
        writes="folder",
    ),
    Option("objects", "path", None, "FILE", "write a row for each object in each crop there: .csv or .parquet"),
    Option(
        "detections",
        "path",
        None,
        "DIR",
        "write COCO detections of every rendering there, and their truth",
        writes="folder",
    ),
)
# The order in which help and docs/options.md show them; what is not named here comes last.
_SHOWN = """
    model detector against baseline baseline_images update_baseline data images data_labels data_errors strict_data
    train_data crops max_crops max_drop min_ratio min_crop_ap max_worse max_drop_worse metric categories alias group
    min_visibility sample_images seed undecided min_images min_ap max_detections cap score_threshold looks explain
    fill both_orders try_mitigations plan checks examples tolerance no_shrink sliced min_gain timeout dry_run assume
    workers cluster cache dir verify benchmark benchmark_families
    json history history_time history_commit report objects detections
"""


def in_shown_order(options: Sequence[Option]) -> tuple[Option, ...]:
    """Return options as help and page show them."""
    shown = _SHOWN.split()
    return tuple(sorted(options, key=lambda each: shown.index(each.name) if each.name in shown else len(shown)))


OPTIONS = in_shown_order((*_OF_TESTS, *OF_RUNS, *_OF_SESSION))
NOT_FOR_MARKERS = tuple(each.name for each in _OF_SESSION)

CHECKS = ("gate", "invariants", "search", "sliced")  # modules of the suite
INVARIANTS = (
    "D1-repeatable",
    "D2-alone-as-in-a-batch",
    "D3-padding",
    "D4-shift-by-strides",
    "D5-shift-by-pixels",
    "D6-interior-object-found",
    "D7-nothing-made-up",
    "D8-score-kept",
    "D9-category-kept",
    "D10-no-duplicates",
    "D11-inside-frame",
    "D12-truncated-object-found",
    "D13-score-falls-with-cut",
    "D14-empty-picture",
    "D15-conventions",
)


def option(name: str) -> Option:
    """Return an option by its name."""
    return next(each for each in OPTIONS if each.name == name)


def ini_type(each: Option) -> Any:
    """Return the type pytest reads an option's ini key as."""
    return {"lines": "linelist", "path": "string", "flag": "bool"}.get(each.kind, each.kind)
