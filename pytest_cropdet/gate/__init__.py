"""Run, stop early, judge, and word the failure."""

from pytest_cropdet.evaluation import Doubt, GateFailure, Measure, Outcome, Verdict
from pytest_cropdet.gate.caps import cap_on, noise_score
from pytest_cropdet.gate.controls import Cap
from pytest_cropdet.gate.costs import Assumptions, Cost
from pytest_cropdet.gate.dry_runs import dry_run, try_detector
from pytest_cropdet.gate.evaluator_cap import cut_off_pairs
from pytest_cropdet.gate.limits import one_per_limit, verdict_records, worst_verdict
from pytest_cropdet.gate.match_records import hash_of_file, match_record
from pytest_cropdet.gate.measured_data import data_digest
from pytest_cropdet.gate.old_model import old_on_cluster
from pytest_cropdet.gate.ranking_entry import ranked_run
from pytest_cropdet.gate.repeatability import Repeat, check_repeat
from pytest_cropdet.gate.results import Run
from pytest_cropdet.gate.run_entry import run_record
from pytest_cropdet.gate.runner import Event, Finished, events, run
from pytest_cropdet.gate.targets import Targets, check_answers, has_truth

__all__ = [
    "Assumptions",
    "Cap",
    "Cost",
    "Doubt",
    "Event",
    "Finished",
    "GateFailure",
    "Measure",
    "Outcome",
    "Repeat",
    "Run",
    "Targets",
    "Verdict",
    "cap_on",
    "check_answers",
    "check_repeat",
    "cut_off_pairs",
    "data_digest",
    "dry_run",
    "events",
    "has_truth",
    "hash_of_file",
    "match_record",
    "noise_score",
    "old_on_cluster",
    "one_per_limit",
    "ranked_run",
    "run",
    "run_record",
    "try_detector",
    "verdict_records",
    "worst_verdict",
]
