"""What a session has measured: which test made each run, what travels with its report, and the file of all results."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_cropdet.crops import plan_name
from pytest_cropdet.errors import SpecError
from pytest_cropdet.evaluation import GateFailure
from pytest_cropdet.gate import Run
from pytest_cropdet.invariants import TOLERANCES
from pytest_cropdet.plugin import reports
from pytest_cropdet.plugin.configuration import setting
from pytest_cropdet.plugin.option_values import parse_policies, parse_tolerances
from pytest_cropdet.plugin.options import INVARIANTS
from pytest_cropdet.plugin.rankings import ranking_text
from pytest_cropdet.plugin.stash import Findings, failed_by, fixtures_in_setup, kept_runs
from pytest_cropdet.report import run_properties, sorted_checks, write_json
from pytest_cropdet.terms import RANKING, TROUBLE, Value, did_you_mean

__all__ = [
    "RunEntry",
    "explain_failure",
    "forget",
    "judge_stated",
    "keep",
    "leave_record",
    "start",
    "told_by",
    "unread_plan",
    "unread_policies",
    "unread_tolerances",
    "write_results",
]


@dataclass(slots=True, eq=False)
class RunEntry:
    """A run, the test that made it, and its place among that test's runs.

    ``fixture``: the fixture that made it and shares it between tests, ``None`` where it is this test's alone; ``over``:
    that fixture was taken down. ``at_setup``, ``at_start``: how many verdicts it had when the fixture was ready, and
    when the running test started. ``reported``: what of it was reported, its verdicts and how the test ended.
    ``trouble``: why the test failed where no gate was the reason. ``ranked``: what a ranking of several models needs.
    """

    run: Run
    test: str
    place: int
    fixture: pytest.FixtureDef[Any] | None = None
    over: bool = False
    at_setup: int = 0
    at_start: int = 0
    reported: tuple[int, str | None] | None = None
    trouble: str | None = None
    ranked: str | None = None

    def concerns(self, item: pytest.Item) -> bool:
        """Whether a test made this run, or uses the fixture that did."""
        if self.fixture is None or self.over:
            return self.test == item.nodeid
        info = getattr(item, "_fixtureinfo", None)
        used = getattr(info, "name2fixturedefs", {}).values()
        return self.test == item.nodeid or any(self.fixture in definitions for definitions in used)

    def compared(self) -> set[str]:
        """Return the names of the measures that its fixture or the running test compared.

        A comparison that does not pass, and that nobody acted on, is a forgotten ``assert``: it does not count.
        """
        verdicts = [*self.run.verdicts[: self.at_setup], *self.run.verdicts[self.at_start :]]
        return {each.measure.name for each in verdicts if each.passes or each.was_used}


runs_of_item = pytest.StashKey[list[RunEntry]]()


def keep(config: pytest.Config, run: Run, item: pytest.Item, place: int) -> None:
    """Keep a run for the reports, with the test and the fixture that make it."""
    making = config.stash.get(fixtures_in_setup, [])
    shared = making[-1] if making and making[-1].scope != "function" else None
    ranked = ranking_text(config, item, run, place)
    config.stash.setdefault(kept_runs, []).append(RunEntry(run, item.nodeid, place, shared, ranked=ranked))


def start(config: pytest.Config) -> None:
    """Note where the verdicts of the test that starts now begin, on runs that other tests made."""
    for each in config.stash.get(kept_runs, []):
        each.at_start = len(each.run.verdicts)


def judge_stated(config: pytest.Config, item: pytest.Item, since: int = 0) -> None:
    """Fail a test that ended well if a limit that was stated for one of its runs, and not compared by it, is broken.

    ``since``: the number of runs, in the session, that were judged before.
    """
    __tracebackhide__ = True
    texts = []
    for each in config.stash.get(kept_runs, [])[since:]:
        if each.concerns(item):
            verdicts = each.run.judge_rest(each.compared())
            if not all(verdict.passes for verdict in verdicts):
                why = f"the test ended without comparing {each.run.name!r} with its stated limits, so they were checked"
                texts.append(f"{each.run.explain_all(verdicts)}\n  {why}")
    if texts:
        failure = GateFailure("\n".join(texts))
        item.stash[failed_by] = failure
        raise failure


def explain_failure(config: pytest.Config, failure: object) -> None:
    """Have a run explained whose comparison failed a test, and put the causes into the text of the failure.

    The only place where the plugin asks for causes: limits that were stated beforehand are explained by the run itself.
    """
    if not isinstance(failure, GateFailure):
        return
    kept: list[RunEntry] = config.stash.get(kept_runs, [])
    for run in (each.run for each in reversed(kept)):
        for verdict in filter(run.may_explain, run.verdicts):
            unexplained = run.explain(verdict)
            if unexplained in str(failure):
                try:
                    run.explanation.find()
                except (Exception, pytest.fail.Exception) as error:  # the test has a report, whatever breaks here
                    run.explanation.error = _in_short(error)
                failure.args = (str(failure).replace(unexplained, run.explain(verdict)),)
                break


def forget(config: pytest.Config, item: pytest.Item) -> None:
    """Drop what an earlier try of the same test left: its runs, its verdicts on shared ones, all properties of ours."""
    kept = config.stash.get(kept_runs, [])
    kept[:] = [each for each in kept if each.test != item.nodeid or (each.fixture is not None and not each.over)]
    for each in kept:
        if each.concerns(item):
            del each.run.verdicts[max(each.at_start, each.at_setup) :]
            each.reported = each.trouble = None
    item.stash[runs_of_item] = []
    item.user_properties[:] = [pair for pair in item.user_properties if not pair[0].startswith("cropdet.")]


def leave_record(item: pytest.Item, kind: str, record: Mapping[str, Any], flat: Mapping[str, Value]) -> None:
    """Let a record of a ``kind`` travel with the report of its test, and flat properties for JUnit beside it."""
    place = sum(name == kind for name, _ in item.user_properties)
    whole = json.dumps([place, {**record, "test": item.nodeid}], allow_nan=False)
    item.user_properties[:] = [
        *(pair for pair in item.user_properties if pair[0] not in flat),
        (kind, whole),
        *flat.items(),
    ]


def told_by(config: pytest.Config, item: pytest.Item, failure: object = None) -> list[tuple[str, Value]]:
    """Return the properties of the runs that a test made, or judged after another test had made them.

    ``failure``: what failed the test, an exception or pytest's text.
    """
    told, trouble = item.stash.setdefault(runs_of_item, []), []
    kept = config.stash.get(kept_runs, [])
    own = [each for each in kept if each.test == item.nodeid]
    by_gate = isinstance(failure, GateFailure) and any(each.run.verdict in ("fail", "undecided") for each in own)
    if failure is not None and not by_gate:
        for each in own:
            each.trouble = each.trouble or _in_short(failure)
    for each in kept:
        now = (len(each.run.verdicts), each.trouble)
        if each.test == item.nodeid or each.reported != now:
            each.reported = now
            trouble += reports.leave_run(config, each.run, each.test, each.place)
            if each not in told:
                told.append(each)
    return [
        *(pair for each in told for pair in run_properties(each.run, each.test, each.place, each.trouble)),
        *((RANKING, each.ranked) for each in told if each.ranked is not None),
        *((TROUBLE, json.dumps(text)) for text in trouble),
    ]


def _in_short(failure: object) -> str:
    """Return the first line of what failed a test, with its class where it is an exception."""
    text = next(iter(str(failure).strip().splitlines()), "")
    if not isinstance(failure, BaseException):
        return text or "failed"
    return f"{type(failure).__name__}: {text}" if text else type(failure).__name__


def unread_plan(config: pytest.Config, taken: Findings) -> str | None:
    """Return what to tell the user if ``--cropdet-plan`` names a file that is of none of the gates."""
    given = setting(config, "plan")
    if given is None or not taken.gates:
        return None
    try:
        name = plan_name(Path(given))
    except SpecError as error:
        return str(error)
    if any(str(gate["plan"]).startswith(f"drawn:name={name},") for gate in taken.gates.values()):
        return None
    return f"--cropdet-plan={given} was read by no gate: none has windows of a strategy called {name!r}"


def unread_policies(config: pytest.Config, taken: Findings) -> str | None:
    """Return what to tell the user if ``--cropdet-undecided`` names a gate that there is not."""
    named, there = parse_policies(setting(config, "undecided"))[1], {gate["name"] for gate in taken.gates.values()}
    wrong = sorted({*named} - there)
    if not wrong or not there:
        return None
    return f"--cropdet-undecided names {', '.join(wrong)}, but the gates of this session are {', '.join(sorted(there))}"


def unread_tolerances(config: pytest.Config, taken: Findings) -> str | None:
    """Return what to tell the user if ``--cropdet-tolerance`` names what is neither a tolerance nor an invariant."""
    values = setting(config, "tolerance")
    there = sorted({str(check["invariant"]) for check in taken.checks.values() if check["kind"] == "invariant"})
    if not values or not there:
        return None
    wrong = sorted({*parse_tolerances(values)[1]} - {*there})
    if not wrong:
        return None
    known = [*TOLERANCES, *(name for name in there if name not in INVARIANTS)]
    return (
        f"--cropdet-tolerance names {', '.join(wrong)}, but the tolerances and the invariants of your own in this "
        f"session are {', '.join(known)}{did_you_mean(wrong[0], known)}"
    )


def write_results(config: pytest.Config, taken: Findings) -> str | None:
    """Write the JSON if it was asked for; return what to tell the user if its place cannot be written."""
    target = setting(config, "json")
    if target is None:
        return None
    try:
        checks = sorted_checks(taken.checks.values())
        write_json(Path(target), [*taken.gates.values()], [*taken.benchmarks.values()], checks, taken.rankings)
    except OSError as error:
        return f"--cropdet-json {target} could not be written: {error}"
    return None
